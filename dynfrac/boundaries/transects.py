"""Transects: label changes along random segments, at all dyadic spacings at once.

Almost every line meets a set of dimension D > d - 1 in a set of dimension D - d + 1 (Marstrand), so
that counts along lines see the boundary. A segment of 2^J + 1 points has a number of label changes
at every spacing of 2^k points. These numbers, pooled over segments, grow like eps^-(D - d + 1) as
the spacing eps falls. Slopes of single lines are not averaged: pooled counts do not care about
exceptional directions, and are the fractions of disagreeing pairs that the uncertainty exponent is
made of, with every point serving many pairs.

Most segments of a window meet nothing. A pilot grid sorts candidates, which cost nothing, into
those that pass through a cell the boundary crosses, those that pass near one, and the rest. Most
segments are drawn of the first kind, and counts are weighted by how common each kind is: they are
unbiased whatever the pilot has missed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import final

import numpy as np
from scipy.special import stdtrit

from dynfrac.analysis.estimates import Z95, Curve, Estimate, interval_95
from dynfrac.analysis.scaling import fit_window, slope_weights
from dynfrac.boundaries.budgets import LEAST_BUDGET
from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pilots import pilot_zones
from dynfrac.boundaries.streams import TRANSECTS, TRANSECTS_BOOTSTRAP, make_stream

METHOD = "transects"
LENGTH = 2.0**-4
"""Of a segment, in units of the window."""
SHARES = (0.6, 0.2, 0.2)
"""Of the segments: through crossed cells, near them, elsewhere."""
N_SEGMENTS = {1: 64, 2: 300, 3: 300}
"""At least so many segments, by the number of axes, unless points would be fewer than `MIN_OCTAVES`
says; a larger budget makes points denser. On one axis boundaries are rough, or single points."""
MIN_OCTAVES = 6
N_RESAMPLES = 400
MIN_HITS = 10
"""Label changes without which a spacing is not fitted."""
MIN_MEETING = 20
"""Segments that must meet the boundary."""
ALLOWANCE = 0.002
"""Least standard error: a few octaves do not know a dimension better."""

_N_CANDIDATES = 2**16
_NEARLY_FLAT = 0.1
_BENT = 0.15
_MIN_SCALES = 4


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Transects:
    """Label changes along segments.

    Attributes
    ----------
    spacings : (S,) float array
        Ascending by factors of two, in units of the window.
    changes : (n, S) int array
        Of each segment at each spacing.
    directions : (n, d) float array
        Unit vectors.
    kinds : (n,) int array
        0 through a cell that the pilot saw crossed, 1 near one, 2 elsewhere.
    shares : (3,) float array
        How common each kind is.
    n_axes, n_labels : int
    """

    spacings: np.ndarray
    changes: np.ndarray
    directions: np.ndarray
    kinds: np.ndarray
    shares: np.ndarray
    n_axes: int
    n_labels: int

    def counts(self, weights: np.ndarray) -> np.ndarray:
        """Return the mean number of changes on a segment of the window.

        Parameters
        ----------
        weights : (B, n) float array
            How often each segment counts, in B resamples.

        Returns
        -------
        (B, S) float array
            Not-a-number where a kind that exists has no weight.
        """
        mean = np.zeros((len(weights), len(self.spacings)))
        for kind in np.flatnonzero(self.shares):
            of_kind = self.kinds == kind
            chosen = weights[:, of_kind]
            with np.errstate(invalid="ignore"):
                mean += self.shares[kind] * (
                    chosen @ self.changes[of_kind] / chosen.sum(axis=1, keepdims=True)
                )
        return mean


def draw_transects(
    oracle: Oracle, *, seed: int, on_progress: Callable[[int], None] | None = None
) -> Transects:
    """Spend a budget of labels on random segments.

    Parameters
    ----------
    oracle : Oracle
        With a budget of a few thousand labels at least.
    seed : int
    on_progress : callable, optional
        Called with the number of labels used so far.

    Returns
    -------
    Transects
        Without segments if the budget or the precision of the hyperparameters pays for none.
    """
    rng = make_stream(seed, TRANSECTS)
    report = on_progress or (lambda used: None)
    d = oracle.n_axes
    finest = math.floor(math.log2(LENGTH / oracle.finest))
    if oracle.left < LEAST_BUDGET or finest < MIN_OCTAVES:
        return Transects(
            np.empty(0),
            np.empty((0, 0), int),
            np.empty((0, d)),
            np.empty(0, int),
            np.zeros(3),
            d,
            oracle.used,
        )
    zones = pilot_zones(oracle)
    report(oracle.used)
    affordable = math.floor(math.log2(oracle.left / N_SEGMENTS[d]))
    octaves = min(max(affordable, MIN_OCTAVES), finest)
    n = oracle.left // (2**octaves + 1)
    starts, directions, kinds, shares = _choose_segments(zones, n, rng)
    steps = np.linspace(0.0, LENGTH, 2**octaves + 1)
    changes = []
    # In rounds, so that progress can be seen and labels of a million points need not be held.
    for part in np.array_split(np.arange(n), min(n, 16)):
        points = starts[part, None, :] + steps[:, None] * directions[part, None, :]
        labels = oracle(np.clip(points, 0.0, 1.0).reshape(-1, d))
        changes.append(_count_changes(labels.reshape(len(part), -1)))
        report(oracle.used)
    spacings = LENGTH * 2.0 ** -np.arange(octaves + 1)[::-1]
    counted = np.concatenate(changes)
    return Transects(spacings, counted, directions, kinds, shares, d, oracle.used)


def transect_dimension(
    oracle: Oracle, *, seed: int = 0, on_progress: Callable[[int], None] | None = None
) -> Estimate:
    """Box dimension of a boundary from label changes along random segments.

    Parameters
    ----------
    oracle : Oracle
        Labels in a window of one to three axes; what is left of its budget is spent.
    seed : int, default 0
    on_progress : callable, optional
        Called with the number of labels used so far.

    Returns
    -------
    Estimate
        Of d - 1 plus the exponent of the counts; `curve` is the mean number of label changes on a
        segment against the spacing of its points, in units of the window. The error is a bootstrap
        over segments, together with how far the slope moves when the largest or the smallest
        spacing is left out; the interval is that of Student's t. Not-a-number if fewer than 20
        segments meet the boundary.

    Notes
    -----
    The exponent is never negative, so that the dimension reads d - 1 or more. A boundary of a lower
    dimension, such as isolated points, is met by no line: that is no value.

    In a window of one axis segments are pieces of it, and the dimension is that of the exponent.

    References
    ----------
    J. M. Marstrand, "Some fundamental geometrical properties of plane sets of fractional
    dimensions", Proc. London Math. Soc. 4, 257 (1954).
    """
    return transect_estimate(draw_transects(oracle, seed=seed, on_progress=on_progress), seed=seed)


def transect_estimate(transects: Transects, *, seed: int) -> Estimate:
    """Fit the dimension to transects; `seed` is that of the bootstrap."""
    n_segments = len(transects.changes)
    if not n_segments:
        reason = (
            f"fewer than {LEAST_BUDGET} labels, or less than {MIN_OCTAVES} octaves between a "
            "segment and the precision of the hyperparameters: raise the budget or widen the window"
        )
        return Estimate.missing(METHOD, transects.n_labels, (reason,))
    n_meeting = int((transects.changes[:, 0] > 0).sum())
    resampled = _resample(transects, seed)
    curve = _curve(transects, resampled)
    hits = transects.changes.sum(axis=0)
    used = np.flatnonzero(hits >= MIN_HITS)
    if n_meeting < MIN_MEETING or len(used) < _MIN_SCALES:
        reason = (
            f"only {n_meeting} of {n_segments} segments meet the boundary: there is none, its "
            f"dimension is below {transects.n_axes - 1}, or the budget is too small"
        )
        return Estimate.missing(METHOD, transects.n_labels, (reason,), curve)
    x, y, weights = curve.x[used], curve.y[used], hits[used].astype(float)
    window = (float(x[0]), float(x[-1]))
    slope = fit_window(x, y, window, weights=weights).slope
    drawn = resampled[:, used]
    form = slope_weights(x, window, weights=weights)
    # A resample can lack every change at a spacing, or every segment of a kind: it has no slope.
    sampling = float((np.log(drawn[(drawn > 0).all(axis=1)]) @ form).std())
    stderr = math.hypot(sampling, _drift(x, y, weights, slope) / 2, ALLOWANCE)
    value = transects.n_axes - 1 - slope
    low, high = interval_95(
        value,
        stderr * _student(transects) / Z95,
        lowest=transects.n_axes - 1.0,
        highest=float(transects.n_axes),
    )
    return Estimate(
        value=value,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        method=METHOD,
        n_runs=transects.n_labels,
        window=window,
        curve=curve,
        flags=_doubts(transects, x, y, weights, slope, stderr),
    )


def transect_dimensions(transects: Transects, *, seed: int, octaves: int = 2) -> Curve:
    """Dimension as a function of scale.

    Parameters
    ----------
    transects : Transects
        From `draw_transects`.
    seed : int
        Of the bootstrap.
    octaves : int
        Width of the window of each slope.

    Returns
    -------
    Curve
        `x` the geometric middle of each window of spacings, in units of the window, ascending; `y`
        the dimension there, `stderr` by bootstrap. Neighbouring values share segments.
    """
    resampled = _resample(transects, seed)
    curve = _curve(transects, resampled)
    hits = transects.changes.sum(axis=0)
    first = np.flatnonzero((hits[:-octaves] >= MIN_HITS) & (hits[octaves:] >= MIN_HITS))
    last = first + octaves
    step = octaves * math.log(2)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.log(resampled[:, first] / resampled[:, last]) / step
    drawn[~np.isfinite(drawn)] = math.nan
    slopes = np.log(curve.y[first] / curve.y[last]) / step
    middles = np.sqrt(curve.x[first] * curve.x[last])
    return Curve(middles, transects.n_axes - 1 + slopes, np.nanstd(drawn, axis=0))


def _choose_segments(
    zones: np.ndarray, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return starts, directions and kinds of n segments, and how common the kinds are."""
    d, side = zones.ndim, len(zones)
    starts = rng.random((_N_CANDIDATES, d))
    directions = rng.standard_normal((_N_CANDIDATES, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # Turned around where it would leave the window; moved in where a corner is on both sides.
    outside = np.any(np.abs(starts + LENGTH * directions - 0.5) > 0.5, axis=1)
    directions[outside] *= -1
    ends = starts + LENGTH * directions
    starts -= np.clip(ends - 1, 0, None) + np.clip(ends, None, 0)
    kinds = np.full(_N_CANDIDATES, 2)
    for step in np.linspace(0.0, LENGTH, math.ceil(2 * LENGTH * side) + 1):
        cells = np.clip((starts + step * directions) * side, 0, side - 1).astype(int)
        kinds = np.minimum(kinds, zones[tuple(cells.T)])
    common = np.bincount(kinds, minlength=3) / len(kinds)
    wanted = np.where(common > 0, SHARES, 0.0)
    sizes = np.floor(n * wanted / wanted.sum()).astype(int)
    sizes[np.argmax(sizes)] += n - sizes.sum()
    chosen = np.concatenate(
        [np.flatnonzero(kinds == kind)[:size] for kind, size in enumerate(sizes)]
    )
    # In a mixed order, so that a cut of the work is a sample of all kinds.
    chosen = rng.permutation(chosen)
    return starts[chosen], directions[chosen], kinds[chosen], common


def _count_changes(labels: np.ndarray) -> np.ndarray:
    """Return the changes along rows of 2^J + 1 labels, (n, J + 1), the smallest spacing first."""
    octaves = int(math.log2(labels.shape[1] - 1))
    changes = [
        (labels[:, 2**k :: 2**k] != labels[:, : -(2**k) : 2**k]).sum(axis=1)
        for k in range(octaves + 1)
    ]
    return np.stack(changes, axis=1)


def _resample(transects: Transects, seed: int) -> np.ndarray:
    """Return mean counts of resampled segments, (N_RESAMPLES, S)."""
    rng = make_stream(seed, TRANSECTS_BOOTSTRAP)
    weights = rng.poisson(1.0, (N_RESAMPLES, len(transects.changes))).astype(float)
    return transects.counts(weights)


def _curve(transects: Transects, resampled: np.ndarray) -> Curve:
    counts = transects.counts(np.ones((1, len(transects.changes))))[0]
    return Curve(transects.spacings, counts, np.nanstd(resampled, axis=0))


def _drift(x: np.ndarray, y: np.ndarray, weights: np.ndarray, slope: float) -> float:
    """Return the larger change of the slope when the smallest or largest spacing is left out."""
    parts = (slice(1, None), slice(None, -1))
    changes = [
        abs(fit_window(x[p], y[p], (x[p][0], x[p][-1]), weights=weights[p]).slope - slope)
        for p in parts
    ]
    return max((change for change in changes if math.isfinite(change)), default=0.0)


def _doubts(
    transects: Transects,
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    slope: float,
    stderr: float,
) -> tuple[str, ...]:
    """Say what is doubtful about a fit."""
    flags = []
    base = transects.n_axes - 1
    if 1 + slope + 2 * stderr < _NEARLY_FLAT:
        flags.append(
            "labels change as often as the points allow at every spacing: they are riddled, "
            "chaotic or arithmetic noise at these scales, and the dimension says no more"
        )
    half = len(x) // 2
    if half >= _MIN_SCALES:
        finer, coarser = (
            fit_window(x[p], y[p], (x[p][0], x[p][-1]), weights=weights[p]).slope
            for p in (slice(None, half), slice(half, None))
        )
        if abs(finer - coarser) > max(_BENT, 4 * stderr):
            flags.append(
                f"no single scaling region: the dimension is {base - finer:.2f} at the smaller "
                f"half of the scales and {base - coarser:.2f} at the larger"
            )
    return tuple(flags) + _direction_flag(transects, x, stderr)


def _student(transects: Transects) -> float:
    """Return half the width of a 95 % interval in standard errors.

    That of Student's t, for the number of segments, of equal weight, that would be as informative
    as those that meet the boundary.
    """
    n_of_kind = np.bincount(transects.kinds, minlength=3)
    weights = transects.shares[transects.kinds] / n_of_kind[transects.kinds]
    parts = weights * transects.changes[:, 0]
    return float(stdtrit(max(parts.sum() ** 2 / (parts**2).sum() - 1, 2.0), 0.975))


def _direction_flag(transects: Transects, x: np.ndarray, stderr: float) -> tuple[str, ...]:
    """Compare segments along the direction in which labels change most with those across it."""
    if transects.n_axes == 1:
        return ()
    finest = transects.changes[:, 0] * transects.shares[transects.kinds]
    most = np.linalg.eigh((transects.directions.T * finest) @ transects.directions)[1][:, -1]
    along = np.abs(transects.directions @ most)
    groups = along >= np.median(along), along < np.median(along)
    used = np.isin(transects.spacings, x)
    slopes = []
    for group in groups:
        counts = transects.counts(group[None].astype(float))[0]
        hits = (transects.changes[group].sum(axis=0) * used).astype(float)
        if hits.max() < MIN_MEETING or not np.all(np.isfinite(counts)):
            return ()
        slopes.append(fit_window(x, counts[used], (x[0], x[-1]), weights=hits[used]).slope)
    if abs(slopes[0] - slopes[1]) <= max(_BENT, 6 * stderr):
        return ()
    base = transects.n_axes - 1
    return (
        f"the dimension depends on the direction: {base - slopes[0]:.2f} on segments along which "
        f"labels change most, {base - slopes[1]:.2f} on those across",
    )
