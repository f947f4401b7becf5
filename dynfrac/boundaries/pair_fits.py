"""From pairs to a dimension: weighted fits of the fraction that disagrees, with bootstrap errors.

All labels of one centre go into several distances at once, so fractions at different distances are
correlated, and the textbook error of a weighted line is 10 to 30 % too small. The bootstrap
resamples centres.
"""

from __future__ import annotations

import math

import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate, interval_95
from dynfrac.analysis.scaling import fit_window, slope_weights
from dynfrac.boundaries.pairs import Pairs

METHOD = "stratified pairs"
N_RESAMPLES = 400
MIN_HITS = 10
"""Disagreeing pairs without which a distance is not fitted."""
MIN_SCALES = 4
MAX_FRACTION = 0.1
"""Where more pairs than this disagree, f bends towards what unrelated points read."""

_FLAT = 0.05
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
    rng = np.random.default_rng([seed, 1])  # a stream that drew no points
    size = n_resamples, 1
    weights = [
        rng.poisson(1.0, (size[0], len(part.strata))).astype(np.float32) for part in pairs.rounds
    ]
    return pairs.fractions(weights)


def dimension_estimate(pairs: Pairs, *, seed: int) -> Estimate:
    """Fit the box dimension of the boundary to pairs.

    Parameters
    ----------
    pairs : Pairs
    seed : int
        Of the bootstrap.

    Returns
    -------
    Estimate
        Of N - alpha; `curve` is f(eps) with eps in units of the window.
    """
    resampled = resample(pairs, seed=seed)
    curve = fraction_curve(pairs, resampled)
    hits = pairs.counts()[0][0].sum(axis=0)
    used, flags = _choose_scales(pairs, hits)
    if len(used) < MIN_SCALES:
        reason = (
            "no boundary was met: all labels that were asked for are the same"
            if not hits.any()
            else f"only {len(used)} distances have {MIN_HITS} disagreeing pairs or more; at least "
            f"{MIN_SCALES} are needed: raise the budget"
        )
        return Estimate.missing(METHOD, pairs.n_labels, (reason, *flags), curve)
    x, y = pairs.scales[used][::-1], pairs.fractions()[0][used][::-1]
    # A resample can miss every hit of a distance; it then has no slope.
    drawn = resampled[:, used[::-1]]
    logs = np.log(drawn[(drawn > 0).all(axis=1)])
    weights = hits[used][::-1]
    window = (float(x[0]), float(x[-1]))
    fit = fit_window(x, y, window, weights=weights)
    sampling = float((logs @ slope_weights(x, window, weights=weights)).std())
    stderr = math.hypot(sampling, _drift(x, y, fit.slope) / 2)
    value = pairs.n_axes - fit.slope
    low, high = interval_95(value, stderr, lowest=0.0, highest=float(pairs.n_axes))
    return Estimate(
        value=value,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        method=METHOD,
        n_runs=pairs.n_labels,
        window=window,
        curve=curve,
        flags=flags + _doubts(pairs, fit.slope, stderr, x, y, weights),
    )


def scale_dimensions(pairs: Pairs, *, seed: int, octaves: int = 2) -> Curve:
    """Local dimension as a function of scale, D(eps) = N - d ln f / d ln eps.

    Parameters
    ----------
    pairs : Pairs
    seed : int
        Of the bootstrap.
    octaves : int
        Width of the window of each slope.

    Returns
    -------
    Curve
        `x` the geometric middle of each window, `y` N minus its slope, `stderr` by bootstrap.
        Neighbouring values share pairs.
    """
    resampled = resample(pairs, seed=seed)
    hits = pairs.counts()[0][0].sum(axis=0)
    fractions = pairs.fractions()[0]
    first = np.flatnonzero(
        (hits[:-octaves] >= MIN_HITS)
        & (hits[octaves:] >= MIN_HITS)
        & np.isfinite(fractions[:-octaves] * fractions[octaves:])
    )[::-1]
    last = first + octaves
    step = octaves * math.log(2)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.log(resampled[:, first] / resampled[:, last]) / step
    drawn[~np.isfinite(drawn)] = math.nan
    slopes = np.log(fractions[first] / fractions[last]) / step
    middles = np.sqrt(pairs.scales[first] * pairs.scales[last])
    return Curve(middles, pairs.n_axes - slopes, np.nanstd(drawn, axis=0))


def _choose_scales(pairs: Pairs, hits: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the distances to fit, and what is doubtful about them."""
    fractions = pairs.fractions()[0]
    known = (hits >= MIN_HITS) & np.isfinite(fractions)
    small = known & (fractions <= MAX_FRACTION)
    if small.sum() >= MIN_SCALES:
        return np.flatnonzero(small), ()
    if known.sum() < MIN_SCALES:
        return np.flatnonzero(known), ()
    share = float(np.min(fractions[known]))
    return np.flatnonzero(known), (
        f"{share:.0%} of the pairs disagree even at the smallest distance: the boundary is not "
        "resolved, or fills the window",
    )


def _drift(x: np.ndarray, y: np.ndarray, slope: float) -> float:
    """Return the larger change of the slope when the smallest or the largest distance is left out.

    f bends at large distances, and what is beyond the resolution of the labels shows at small ones.
    """
    ends = ((x[1], x[-1]), (x[0], x[-2]))
    changes = [abs(fit_window(x, y, end).slope - slope) for end in ends]
    return max((change for change in changes if math.isfinite(change)), default=0.0)


def _doubts(
    pairs: Pairs,
    alpha: float,
    stderr: float,
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
) -> tuple[str, ...]:
    """Say what is doubtful about a fit."""
    flags = []
    if math.log2(x[-1] / x[0]) < 2:
        flags.append("fit covers less than two octaves")
    if alpha < max(_FLAT, 2 * stderr):
        flags.append(
            "the fraction of disagreeing pairs hardly falls with their distance: labels are "
            "riddled, chaotic or arithmetic noise at these scales, and the dimension says no more"
        )
    half = len(x) // 2
    if half >= MIN_SCALES:
        slopes = [
            fit_window(x[part], y[part], (x[part][0], x[part][-1]), weights=weights[part])
            for part in (slice(None, half), slice(half, None))
        ]
        difference = abs(slopes[0].slope - slopes[1].slope)
        if difference > max(_BENT, 4 * stderr):
            flags.append(
                f"no single scaling region: the dimension is {pairs.n_axes - slopes[0].slope:.2f} "
                f"at the smaller half of the scales and {pairs.n_axes - slopes[1].slope:.2f} at "
                "the larger"
            )
    return tuple(flags)
