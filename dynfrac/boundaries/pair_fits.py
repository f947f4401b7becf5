"""From pairs to a dimension: fits of the fraction that disagrees, with bootstrap errors.

The fit is that of counts (`dynfrac.analysis.scaling.fit_counts`), so that distances with a handful
of disagreeing pairs, or with none, say what they know. All labels of one centre go into several
distances at once, so fractions at different distances are correlated, and the textbook error is 10
to 30 % too small. The bootstrap resamples centres.
"""

from __future__ import annotations

import math

import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate, interval_95
from dynfrac.analysis.scaling import fit_counts
from dynfrac.boundaries.pair_plans import MAX_FRACTION, MIN_SCALES
from dynfrac.boundaries.pairs import FEWEST_GIVEN, Pairs
from dynfrac.boundaries.streams import PAIRS_BOOTSTRAP, make_stream

METHOD = "stratified pairs"
N_RESAMPLES = 400
MIN_HITS = 3
"""Disagreeing pairs from which on a distance counts as measured."""
LEAST_HITS = 30
"""Disagreeing pairs without which there is no fit at all."""
FEW_HITS = 60
"""Disagreeing pairs below which a fit is flagged."""

_BLOCK = 2**20
"""Weights of centres that are drawn at once, 8 bytes each."""
_NEARLY_FLAT = 0.1
_BENT = 0.15


def fraction_curve(pairs: Pairs, resampled: np.ndarray) -> Curve:
    """Return f(eps) against eps, ascending, with its bootstrap standard error.

    Parameters
    ----------
    pairs : Pairs
    resampled : (B, S) float array
        From `resample`.
    """
    fractions = pairs.fractions()[0]
    measured = np.flatnonzero(np.isfinite(fractions))[::-1]
    stderr = np.nanstd(resampled[:, measured], axis=0)
    return Curve(pairs.scales[measured], fractions[measured], stderr)


def resample(pairs: Pairs, *, seed: int, n_resamples: int = N_RESAMPLES) -> np.ndarray:
    """Return f of resampled centres, (n_resamples, S).

    Every centre counts as often as a Poisson variable of mean 1 says, which resamples each stratum
    of each round by itself.
    """
    rng = make_stream(seed, PAIRS_BOOTSTRAP)
    n_scales = len(pairs.scales)
    hits, asked = np.zeros((2, n_resamples, 3, n_scales))
    for part in pairs.rounds:
        # A few resamples at a time: a round of a large budget has ten thousands of centres.
        n = len(part.strata)
        rows = max(1, _BLOCK // n)
        for start in range(0, n_resamples, rows):
            block = slice(start, min(start + rows, n_resamples))
            weights = rng.poisson(1.0, (block.stop - start, n)).astype(np.float32)
            disagreeing, present = part.counts(weights, n_scales)
            hits[block] += disagreeing
            asked[block] += present
    return pairs.fractions_of(hits, asked)


def dimension_estimate(
    pairs: Pairs,
    *,
    seed: int,
    window: tuple[float, float] | None = None,
    resampled: np.ndarray | None = None,
) -> Estimate:
    """Fit the box dimension of the boundary to pairs.

    Parameters
    ----------
    pairs : Pairs
    seed : int
        Of the bootstrap.
    window : tuple of two floats, optional
        Fit all distances between these two and no others. By default the data choose.
    resampled : (B, S) float array, optional
        From `resample`, if it is there already.

    Returns
    -------
    Estimate
        Of N - alpha; `curve` is f(eps) with eps in units of the window. The error has two parts:
        the bootstrap, and what leaving out the first or last distance changes. In a window that is
        given it is the bootstrap alone, as that range is then the question. `window` of the result
        reaches down to the smallest distance at which three pairs disagreed.

    Notes
    -----
    On smooth boundaries the smallest budgets have a value only where chance made many pairs
    disagree at small distances, so that those values read high: 1.11 on average from 1000 labels
    of a disc, of which half the seeds have a value, and no bias from 3000 on.
    """
    if resampled is None:
        resampled = resample(pairs, seed=seed)
    curve = fraction_curve(pairs, resampled)
    hits = pairs.counts()[0][0].sum(axis=0)
    if window is None:
        fewest, (used, flags) = MIN_SCALES, _choose_scales(pairs, hits)
    else:
        fewest, (used, flags) = FEWEST_GIVEN, _given_scales(pairs, window, hits, curve)
    measured = used[hits[used] >= MIN_HITS]
    n_hits = int(hits[used].sum())
    if len(measured) < fewest or n_hits < LEAST_HITS:
        reason = (
            "no boundary was met: the two labels of every pair are the same"
            if not hits.any()
            else f"only {n_hits} pairs disagree, at {len(measured)} distances; {LEAST_HITS} at "
            f"{fewest} are needed: raise the budget"
        )
        return Estimate.missing(METHOD, pairs.n_labels, (reason, *flags), curve)
    x, y = pairs.scales[used], pairs.fractions()[0][used]
    exposures = _exposures(pairs, used)
    alpha = float(fit_counts(x, y, exposures)[0])
    stderr = _spread(fit_counts(x, resampled[:, used], exposures)[0])
    if window is None:
        stderr = math.hypot(stderr, _drift(x, y, exposures, hits[used], alpha) / 2)
    value = pairs.n_axes - alpha
    low, high = interval_95(value, stderr, lowest=0.0, highest=float(pairs.n_axes))
    return Estimate(
        value=value,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        method=METHOD,
        n_runs=pairs.n_labels,
        window=(float(pairs.scales[measured[-1]]), float(x[0])),
        curve=curve,
        flags=flags + _doubts(pairs, used, alpha, stderr, resampled, fewest),
    )


def scale_dimensions(
    pairs: Pairs, *, seed: int, octaves: int = 2, resampled: np.ndarray | None = None
) -> Curve:
    """Local dimension as a function of scale, D(eps) = N - d ln f / d ln eps.

    Parameters
    ----------
    pairs : Pairs
    seed : int
        Of the bootstrap.
    octaves : int
        Least width of the window of each slope. It is more where not every octave was measured.
    resampled : (B, S) float array, optional
        From `resample`, if it is there already.

    Returns
    -------
    Curve
        `x` the geometric middle of each window, ascending, `y` N minus its slope, `stderr` by
        bootstrap. Neighbouring values share pairs. Empty if there are too few.
    """
    if resampled is None:
        resampled = resample(pairs, seed=seed)
    hits = pairs.counts()[0][0].sum(axis=0)
    fractions = pairs.fractions()[0]
    known = np.flatnonzero((hits >= MIN_HITS) & np.isfinite(fractions))
    # From each distance to the next that is far enough below it.
    after = np.searchsorted(known, known + octaves)
    first, last = known[after < len(known)][::-1], known[after[after < len(known)]][::-1]
    steps = np.log(pairs.scales[first] / pairs.scales[last])
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.log(resampled[:, first] / resampled[:, last]) / steps
    drawn[~np.isfinite(drawn)] = math.nan
    slopes = np.log(fractions[first] / fractions[last]) / steps
    middles = np.sqrt(pairs.scales[first] * pairs.scales[last])
    return Curve(middles, pairs.n_axes - slopes, np.nanstd(drawn, axis=0))


def _choose_scales(pairs: Pairs, hits: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the distances to fit, descending, and what is doubtful about them.

    All that were asked, from the first on at which f is small. What came out at a distance must not
    decide whether it counts: leaving out those where nothing disagreed would make f too flat.
    """
    fractions = pairs.fractions()[0]
    asked = np.flatnonzero(np.isfinite(fractions))
    small = asked[fractions[asked] <= MAX_FRACTION]
    used = asked[asked >= small[0]] if len(small) else asked[:0]
    if np.sum(hits[used] >= MIN_HITS) >= MIN_SCALES or np.sum(hits[asked] >= MIN_HITS) < MIN_SCALES:
        return used, ()
    share = float(np.min(fractions[asked[hits[asked] >= MIN_HITS]]))
    if share <= MAX_FRACTION:
        return asked, (
            f"too few distances lie below those at which {MAX_FRACTION:.0%} of the pairs disagree, "
            "where f bends: raise the budget",
        )
    return asked, (
        f"{share:.0%} of the pairs disagree even at the smallest distance: the boundary is not "
        "resolved, or fills the window",
    )


def _given_scales(
    pairs: Pairs, window: tuple[float, float], hits: np.ndarray, curve: Curve
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the distances inside a range that were asked, and what is doubtful about them."""
    low, high = window[0] * (1 - 1e-9), window[1] * (1 + 1e-9)
    fractions = pairs.fractions()[0]
    used = np.flatnonzero(np.isfinite(fractions) & (pairs.scales >= low) & (pairs.scales <= high))
    if not len(used):
        return used, ()
    flags = []
    largest = float(fractions[used[0]])
    stderr = float(curve.stderr[np.searchsorted(curve.x, pairs.scales[used[0]])])
    if largest - 2 * stderr > MAX_FRACTION:
        flags.append(
            f"{largest:.0%} of the pairs disagree at the largest distance of the range: f bends "
            "there, and the dimension reads high"
        )
    enough = np.flatnonzero(hits[used] >= MIN_HITS)
    last = int(enough[-1]) if len(enough) else -1
    if last < len(used) - 1 and hits.any():
        flags.append(
            f"fewer than {MIN_HITS} pairs disagree at each of the {len(used) - 1 - last} smallest "
            f"distances of the range, from {pairs.scales[used[last + 1]]:.2g} down: raise the "
            "budget, or the low end of the range"
        )
    return used, tuple(flags)


def _exposures(pairs: Pairs, used: np.ndarray) -> np.ndarray:
    """Return what f is multiplied by to give the number of disagreeing pairs.

    Where none disagreed, the number of pairs stands in, scaled as at the other distances.
    """
    hits, asked = (counts[0].sum(axis=0)[used] for counts in pairs.counts())
    fractions = pairs.fractions()[0][used]
    worth = fractions.sum() / (hits / asked).sum()
    return np.where(hits > 0, hits / np.where(hits > 0, fractions, 1.0), asked / worth)


def _spread(drawn: np.ndarray) -> float:
    """Return the standard deviation of resampled slopes from the middle two thirds of them.

    A resample that missed all but two distances can have any slope.
    """
    known = drawn[np.isfinite(drawn)]
    low, high = np.quantile(known, (0.1587, 0.8413)) if len(known) else (0.0, 0.0)
    return float(high - low) / 2


def _drift(
    x: np.ndarray, y: np.ndarray, exposures: np.ndarray, hits: np.ndarray, alpha: float
) -> float:
    """Return the larger change of the slope when the smallest or the largest distance is left out.

    f bends at large distances, and what is beyond the resolution of the labels shows at small ones.
    """
    last = int(np.flatnonzero(hits >= MIN_HITS)[-1])
    ends = slice(1, None), slice(None, last)
    changes = [abs(float(fit_counts(x[end], y[end], exposures[end])[0]) - alpha) for end in ends]
    return max((change for change in changes if math.isfinite(change)), default=0.0)


def _doubts(
    pairs: Pairs,
    used: np.ndarray,
    alpha: float,
    stderr: float,
    resampled: np.ndarray,
    fewest: int,
) -> tuple[str, ...]:
    """Say what is doubtful about a fit to at least `fewest` distances."""
    flags = []
    n_hits = int(pairs.counts()[0][0].sum(axis=0)[used].sum())
    if n_hits < FEW_HITS:
        flags.append(
            f"the fit rests on {n_hits} disagreeing pairs: a larger budget would tell more"
        )
    if alpha + 2 * stderr < _NEARLY_FLAT:
        flags.append(
            "the fraction of disagreeing pairs hardly falls with their distance: labels are "
            "riddled, chaotic or arithmetic noise at these scales, and the dimension says no more"
        )
    elif alpha < 2 * stderr:
        flags.append("the dimension is not told from that of the whole window: raise the budget")
    bend = _sharpest_bend(pairs, used, resampled, fewest)
    if bend is not None:
        scale, above, below = bend
        flags.append(
            f"no single scaling region: the dimension is {pairs.n_axes - above:.2f} above "
            f"{scale:.2g} of the window and {pairs.n_axes - below:.2f} below"
        )
    return tuple(flags)


def _sharpest_bend(
    pairs: Pairs, used: np.ndarray, resampled: np.ndarray, fewest: int
) -> tuple[float, float, float] | None:
    """Return where f bends most, and the slopes above and below, unless it is straight.

    On either side at least `fewest` distances have been measured: a slope through one or two hits
    is no slope, and its resamples do not show how uncertain it is.
    """
    x, y = pairs.scales[used], pairs.fractions()[0][used]
    exposures = _exposures(pairs, used)
    sharpest, found = 4.0, None
    measured = pairs.counts()[0][0].sum(axis=0)[used] >= MIN_HITS
    for cut in range(fewest - 1, len(used) - fewest + 1):
        parts = slice(None, cut + 1), slice(cut, None)
        if min(measured[part].sum() for part in parts) < fewest:
            continue
        slopes = [float(fit_counts(x[part], y[part], exposures[part])[0]) for part in parts]
        drawn = [
            fit_counts(x[part], resampled[:, used[part]], exposures[part])[0] for part in parts
        ]
        spread = max(_spread(drawn[0] - drawn[1]), 1e-12)
        difference = abs(slopes[0] - slopes[1])
        if difference > _BENT and difference / spread > sharpest:
            sharpest, found = difference / spread, (float(x[cut]), slopes[0], slopes[1])
    return found
