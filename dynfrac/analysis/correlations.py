"""Correlation sum and correlation dimension of an orbit or of a set of points.

C(r) is the share of pairs of points closer than r, and the correlation dimension D2 is the slope of
`ln C` against `ln r`. Two things make it treacherous. Points of one orbit are close because they
follow each other, which the Theiler window removes; and noise with a memory, or a curve that never
returns, has a slope too, which only the comparison with a surrogate shows.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist

from dynfrac.analysis.estimates import Z95, Curve, Estimate
from dynfrac.analysis.pair_counts import (
    PairCounts,
    block_number,
    check_theiler,
    count_neighbours,
    count_pairs,
    radius_ladder,
)
from dynfrac.analysis.pair_scaling import MAX_FRACTION, METHOD, MIN_PAIRS, fit_counts
from dynfrac.analysis.point_clouds import as_points, in_fewest_coordinates, theiler_window
from dynfrac.analysis.point_limits import (
    MIN_POINTS,
    coincidence,
    largest_dimension,
    limit_doubts,
    rounding_distance,
    thin_axes,
)
from dynfrac.analysis.scaling import Window
from dynfrac.analysis.surrogates import phase_randomised, random_walk

"""Half-width of a 95 % normal interval in standard deviations."""
_SAMPLE = 1500
"""Points whose distances say how large the set is."""
_SHAPE = 0.05
"""Share of its slope by which a surrogate may differ because its set has another shape: a uniform
square reads a little less than the round cloud of its surrogate."""
_RETURNING = 1 / 3
"""Close pairs of an orbit that returns are as far apart in time as any two points are. Below this
share of it, they are close because little time has passed."""


def correlation_sum(
    points: ArrayLike, radii: ArrayLike, *, theiler: int = 0, q: float = 2.0
) -> Curve:
    """Share of point pairs that lie closer than each radius.

    Parameters
    ----------
    points : (n, d) or (n,) array
        One row per point, in order of time if `theiler` is not 0; all coordinates in one unit.
    radii : (S,) array
        Positive and strictly ascending, in the unit of `points`.
    theiler : int
        Pairs at most this many rows apart are left out, 0 to n - 2.
    q : float
        Order, above 1. At 2 all pairs count alike; a larger one gives more weight to points with
        many neighbours. The logarithm of the sum grows with the generalised dimension D_q.

    Returns
    -------
    Curve
        `x` are the radii, `y` is C(r) from 0 to 1, non-decreasing; `stderr` is not-a-number.

    Raises
    ------
    ValueError
        If `points` are not finite rows of numbers, or another argument is out of range.

    Notes
    -----
    C(r) = #{j - i > w, abs(x_i - x_j) < r} / #{j - i > w} with Euclidean distances, compared
    strictly: a distance that equals r up to rounding does not count. For another q it is the mean
    over the points of (share of the others closer than r)^(q-1), to the power of 1/(q-1).

    The slope of `ln C` is biased low where r nears the size of the set, and meaningless below the
    level of noise. 10^5 points in three dimensions take 16 radii in some 15 s on one core.

    References
    ----------
    `grassberger1983`, `theiler1986` in docs/references.bib

    Examples
    --------
    >>> correlation_sum([[0.0, 0.0], [0.5, 0.5]], [0.1, 1.0]).y
    array([0., 1.])
    """
    rows = in_fewest_coordinates(as_points(points))
    scales = _as_radii(radii)
    check_theiler(theiler, len(rows))
    if not 1 < q < math.inf:
        raise ValueError(f"q={q:g} is no order of a correlation sum; pass a number above 1")
    if q == 2:
        fraction = count_pairs(rows, scales, theiler=theiler).fraction
    else:
        close, others = count_neighbours(rows, scales, theiler=theiler)
        # Next to a long Theiler window a point can be left without any other.
        shares = (close / np.maximum(others, 1)[:, None])[others > 0]
        fraction = np.mean(shares ** (q - 1), axis=0) ** (1 / (q - 1))
    return Curve(scales, fraction, np.full(len(scales), math.nan))


def correlation_dimension(
    points: ArrayLike,
    *,
    theiler: int | None = None,
    radii: ArrayLike | None = None,
    window: Window | None = None,
    n_resamples: int = 200,
    seed: int = 0,
) -> Estimate:
    """Correlation dimension D2 of an orbit or of a set of points, from the correlation sum.

    Parameters
    ----------
    points : (n, d) or (n,) array
        One row per point; all coordinates in one unit. Finite.
    theiler : int, optional
        Pairs at most this many rows apart are left out. By default the rows are an orbit and the
        window is that of `theiler_window`. **0 says that the points have no order**: they are
        resampled one by one and not compared with a surrogate.
    radii : (S,) array, optional
        Positive and strictly ascending. By default four to the octave, from the smallest distance
        to the radius that holds a tenth of all pairs.
    window : tuple of two floats, optional
        Smallest and largest radius to fit. By default the data choose at least two octaves and at
        least half of the range in which 50 pairs or more, and at most a tenth of them, are close.
    n_resamples : int
        Bootstrap resamples of the blocks, at least 2.
    seed : int
        Of the bootstrap and of the surrogate.

    Returns
    -------
    Estimate
        `curve` is C(r) with its bootstrap standard error; `n_runs` is the number of points.
        Not-a-number, with the reason in `flags`, if there are fewer than 20 points, fewer than 4
        radii can be fitted, or the slope is more than n points can show, 2 log10 n. 0, with a
        flag, if nearly all points coincide: a converged or periodic orbit.

    Raises
    ------
    ValueError
        If `points` are not finite rows of numbers, or another argument is out of range.

    Notes
    -----
    The slope is that of least squares over the window, which is chosen by the ensemble of fits
    (`dynfrac.analysis.scaling.fit_ensemble`). The standard error has two parts, added in squares:

    - sampling: a bootstrap of 32 blocks, of consecutive rows of an orbit or of random points of a
      set. Close pairs are counted once for every pair of blocks, and a resample weighs those
      counts; pairs between two copies of a block are left out, since they set every point against
      itself. What is left counts the noise of single pairs three times in the variance, and two
      of these, known from the counts, are subtracted.
    - scaling: the largest of three views of one bias. They are the change of the slope when one
      octave is left out at either end of the window, the spread of the ensemble as a standard
      deviation, and the difference to the slope of a fit over all radii with a term in r, which is
      what the edge of a set does to C(r).

    Over 40 copies of each of eight sets with 10 000 points (2000 in brackets), the 95 % intervals
    held the dimension in 93 to 100 %, where the edge of the set is the worst: bias and median
    half-width are -0.018 and 0.035 (-0.034, 0.079) for a square, -0.062 and 0.120 (-0.10, 0.23) for
    a cube, 0.000 and 0.006 for a circle, 0.000 and 0.029 for the gasket, -0.005 and 0.020 for the
    generalised baker, -0.001 and 0.008 for a Cantor set. The Henon attractor reads 1.203(9) with
    a half-width of 0.04.

    It is misleading for

    - trajectories that do not return, such as most of a training run. Close pairs that are close in
      time are flagged, as is a slope that does not lie below that of a phase-randomised surrogate;
    - attractors seen in too few coordinates, which read as many dimensions as there are;
    - noise, which fills all dimensions below its level: fix a `window` above it.

    References
    ----------
    `grassberger1983`, `theiler1986`, `eckmann1992`, `tsonis1993` in docs/references.bib

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, 2000)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> round(float(correlation_dimension(circle, theiler=0)), 1)
    1.0
    """
    rows = in_fewest_coordinates(as_points(points))
    n = len(rows)
    if n_resamples < 2:
        raise ValueError(f"n_resamples={n_resamples} gives no spread; pass at least 2")
    if window is not None and not 0 < window[0] < window[1] < math.inf:
        raise ValueError(f"window={window} is no range of radii; pass 0 < low < high")
    if theiler is not None:
        check_theiler(theiler, n)
    scales = None if radii is None else _as_radii(radii)
    if n < MIN_POINTS:
        reason = f"there are {n} points; at least {MIN_POINTS} are needed"
        return Estimate.missing(METHOD, n, [reason])
    excluded = theiler_window(rows) if theiler is None else theiler
    ordered = excluded > 0
    if not ordered:
        rows = np.random.default_rng(seed).permutation(rows)

    apart = rounding_distance(rows)
    largest = _largest_radius(rows)
    if scales is None:
        scales = radius_ladder(rows, largest) if largest > apart else np.empty(0)
    scales = np.concatenate([[apart], scales[scales > apart]])
    counts = count_pairs(rows, scales, theiler=excluded, n_blocks=block_number(n, excluded))
    n_same, counts = int(counts.total[0]), counts.without_smallest()
    same = coincidence(rows, n_same)
    if same is not None:
        curve = Curve(counts.radii, counts.fraction, np.full(len(counts.radii), math.nan))
        return Estimate(0.0, 0.0, 0.0, 0.0, METHOD, n, (math.nan, math.nan), curve, (same,))

    estimate = fit_counts(counts, rows.shape[1], window, n_resamples, seed)
    if not estimate.has_value:
        doubts = _order_doubts(counts, excluded) if ordered else ()
        return dataclasses.replace(estimate, flags=estimate.flags + doubts)
    if estimate.value > largest_dimension(n):
        reason = (
            f"the slope is {estimate.value:.1f}, but {n} points cannot show a dimension above "
            f"{largest_dimension(n):.1f}"
        )
        return Estimate.missing(METHOD, n, [reason], estimate.curve)
    doubts = limit_doubts(n, estimate.value, n_same) + thin_axes(rows, estimate.window[0])
    if ordered:
        doubts += _order_doubts(counts, excluded)
        null = _read_like(estimate, phase_randomised(rows, seed=seed), excluded, seed)
        doubts += _separation_doubts(estimate, null)
    return dataclasses.replace(estimate, flags=estimate.flags + doubts)


def surrogate_dimensions(
    points: ArrayLike, estimate: Estimate, *, theiler: int | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """Slopes of surrogates of an orbit, at the same radii and over the same window.

    Parameters
    ----------
    points : (n, d) or (n,) array
        The orbit, one row per step.
    estimate : Estimate
        What `correlation_dimension` found for it, with a value.
    theiler : int, optional
        As it was given there.
    seed : int
        Of the surrogates.

    Returns
    -------
    dict of str to Estimate
        `"phase-randomised"` is Gaussian noise with the same spectrum, `"random walk"` the same
        steps in random order. Not-a-number if too few of their pairs are that close, which happens
        if noise of this kind fills more dimensions.

    Notes
    -----
    See `dynfrac.analysis.surrogates`. An estimate that lies clearly below both is not noise, and
    not a curve that passes once; one that does not may be either.
    """
    rows = in_fewest_coordinates(as_points(points))
    excluded = theiler_window(rows) if theiler is None else theiler
    makers = {"phase-randomised": phase_randomised, "random walk": random_walk}
    return {
        name: _read_like(estimate, make(rows, seed=seed), excluded, seed)
        for name, make in makers.items()
    }


def _read_like(estimate: Estimate, points: np.ndarray, theiler: int, seed: int) -> Estimate:
    """Return the slope of other points at the radii and over the window of an estimate."""
    n_blocks = block_number(len(points), theiler)
    counts = count_pairs(points, estimate.curve.x, theiler=theiler, n_blocks=n_blocks)
    return fit_counts(counts, points.shape[1], estimate.window, 100, seed)


def _order_doubts(counts: PairCounts, theiler: int) -> tuple[str, ...]:
    """Say what is doubtful about an orbit as an orbit."""
    n, n_blocks = counts.n_points, len(counts.pairs)
    doubts = []
    if theiler * n_blocks > n:
        doubts.append(
            f"the Theiler window of {theiler} steps is longer than 1/{n_blocks} of the orbit: the "
            "orbit is too short for its memory, and the interval too narrow"
        )
    gaps = abs(np.subtract.outer(np.arange(n_blocks), np.arange(n_blocks)))

    def mean_gap(numbers: np.ndarray) -> float:
        return float((gaps * numbers).sum() / numbers.sum()) - theiler * n_blocks / n

    enough = counts.total >= MIN_PAIRS
    closest = counts.close[..., np.argmax(enough)] if enough.any() else None
    if closest is None or mean_gap(closest) < _RETURNING * mean_gap(counts.pairs):
        doubts.append(
            "the orbit does not return to where it was: points are close only if little time has "
            "passed, as along a curve, and a slope says nothing about an attractor"
        )
    return tuple(doubts)


def _separation_doubts(estimate: Estimate, null: Estimate) -> tuple[str, ...]:
    """Say so if noise with the spectrum of the orbit reads the same or less."""
    if not null.has_value:
        return ()
    clear = Z95 * math.hypot(estimate.stderr, null.stderr) + _SHAPE * null.value
    if null.value - estimate.value > clear:
        return ()
    return (
        f"not told apart from noise: a phase-randomised surrogate reads {null.value:.2f} over the "
        "same radii",
    )


def _largest_radius(points: np.ndarray) -> float:
    """Return a radius that about a tenth of all pairs do not reach."""
    some = points[np.linspace(0, len(points) - 1, min(len(points), _SAMPLE)).astype(int)]
    return float(np.quantile(pdist(some), MAX_FRACTION))


def _as_radii(radii: ArrayLike) -> np.ndarray:
    scales = np.asarray(radii, dtype=np.float64)
    if scales.ndim != 1 or len(scales) == 0:
        raise ValueError(f"radii have shape {scales.shape}; pass a row of at least one radius")
    if not (np.isfinite(scales).all() and scales[0] > 0 and (np.diff(scales) > 0).all()):
        raise ValueError("radii are not positive, finite and strictly ascending; sort them")
    return scales
