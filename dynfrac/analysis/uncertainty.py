"""Uncertainty exponent of labels on a lattice: how fast disagreement falls as points come closer.

Two points that are a small distance eps apart have different labels with a probability f(eps) that
falls like eps^alpha. If the boundary between the labels has box dimension D and there are N axes,
D = N - alpha: a smooth boundary has alpha = 1, and as alpha approaches 0 no precision of the start
predicts the outcome. Here f is read off all pairs of lattice points along the axes; where labels
can be asked for at any point, pairs that are chosen freely reach far smaller distances.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import ArrayLike

from dynfrac.analysis.bit_rows import count_by_tile, pack_rows, shift_rows
from dynfrac.analysis.boxes import MIN_SIDE
from dynfrac.analysis.coverings import box_sizes
from dynfrac.analysis.estimates import Curve, Estimate, interval_95
from dynfrac.analysis.labels import as_labels, label_codes
from dynfrac.analysis.resampling import TILES_PER_AXIS, check_resamples, draw_tiles
from dynfrac.analysis.scaling import (
    Fit,
    Window,
    fit_ensemble,
    fit_window,
    scaling_flags,
    slope_weights,
    window_sensitivity,
)

METHOD = "uncertainty exponent"
MIN_PAIRS = 60
"""Fewest pairs that must disagree at the smallest distance."""
MAX_FRACTION = 0.1
"""Where more pairs than this disagree, f bends towards what unrelated points read."""
MIN_OCTAVES = 2.0
"""Shortest window that the data may choose, in factors of two."""

_LARGEST = 1 / 8
"""Of the shorter side: pairs farther apart see the outline of the regions."""
_UNSEEN = 0.005
"""Added to the standard error, in squares: a bias that no curve shows."""
_FLAT = 0.05
"""An exponent below this is no power law: the labels are not resolved."""


def uncertainty_fraction(
    labels: ArrayLike, *, threshold: float | None = None, n_resamples: int = 1000, seed: int = 0
) -> Curve:
    """Fraction of pairs of lattice points with different labels, for every distance.

    Parameters
    ----------
    labels : (nx,), (ny, nx) or (nz, ny, nx) array
        Booleans or integers with at most 16 values are labels, floats of both signs a signed
        field; see `dynfrac.analysis.labels`. All axes have the same unit, a pixel.
    threshold : float, optional
        Separate the points above it from the others first.
    n_resamples : int
        Bootstrap resamples of 64 tiles, at least 2.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Curve
        `x` (S,) distances in pixels, all small integers and then four to the octave, up to 1/8 of
        the shorter side; `y` (S,) the fraction in [0, 1], mean over the axes; `stderr` its
        bootstrap standard error.

    Raises
    ------
    ValueError
        If `labels` cannot be read as labels, are shorter than 8 px along an axis, or `n_resamples`
        is below 2.

    Notes
    -----
    Every distance sees the same pairs of places: those whose midpoint is at least half the largest
    distance away from the border. Without this the margin, which only close pairs can enter, would
    bend the curve of a straight line from slope 1.00 to 1.04.

    Examples
    --------
    >>> stripes = np.arange(64) // 8 % 2 == np.zeros((64, 1))
    >>> uncertainty_fraction(stripes).y[[0, 1, 3]]
    array([0.0625, 0.125 , 0.25  ])
    """
    check_resamples(n_resamples)
    picture = as_labels(labels, threshold=threshold)
    if min(picture.shape) < 8:
        raise ValueError(
            f"the labels have shape {picture.shape}; pass at least 8 px along every axis"
        )
    curve, _ = _measure(picture, n_resamples, seed)
    return curve


def uncertainty_exponent(
    labels: ArrayLike,
    *,
    threshold: float | None = None,
    window: Window | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Exponent alpha of the fraction of uncertain pairs, f(eps) ~ eps^alpha.

    Parameters
    ----------
    labels : (nx,), (ny, nx) or (nz, ny, nx) array
        As in `uncertainty_fraction`.
    threshold : float, optional
        Separate the points above it from the others first.
    window : tuple of two floats, optional
        Smallest and largest distance to fit, in pixels. By default the data choose at least two
        octaves among the distances at which at most a tenth of the pairs disagree.
    n_resamples : int
        Bootstrap resamples of 64 tiles, at least 2.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Estimate
        `value` is alpha, in [0, 1]; `boundary_dimension_of` turns it into D = N - alpha. `curve`
        is f(eps) against the distance in pixels, `n_runs` the number of lattice points.
        Not-a-number, with the reason in `flags`, if there is no boundary, the labels are smaller
        than 32 px (256 along a single axis), fewer than 60 neighbours disagree, or fewer than 4
        distances can be fitted.

    Raises
    ------
    ValueError
        If `labels` cannot be read as labels, or `window` or `n_resamples` is out of range.

    Notes
    -----
    A weighted least-squares line through ln f against ln eps, each distance by the inverse of its
    bootstrap variance. The binomial variance of independent pairs, as for pairs drawn at random, is
    not that of a lattice, whose pairs at one distance share their boundary. The standard error has
    three parts, added in squares: the bootstrap over tiles; the larger of the change of the slope
    when an octave is left out at either end of the window and the spread of the ensemble of slopes;
    and an allowance of 0.005 for what neither shows.

    Intervals held alpha for all of 420 shifted, turned and scaled pictures, of 256 to 1024 px, of a
    line, a disc, a Koch curve, two Julia sets, Newton's basins and a Cantor set times a curve, and
    for all of 300 lines of 2^12 to 2^17 points with the labels of open tent maps. Of 288 pictures
    of six families drawn after that, 278 did; the allowance was added because of them, and with it
    286 do. Of 192 of four families more, all did even without it. Boundaries that run in slits
    narrower than a pixel are not in the labels, and read alpha too large by some tenths.

    Pairs on a lattice cannot be closer than a pixel. If more than a tenth of the neighbours
    disagree, the exponent is fitted over the smallest distances there are, where f already
    saturates, and flagged. An exponent of nearly zero is flagged too: labels that are riddled,
    undecided or chaotic look like this at every resolution, and so does noise.

    References
    ----------
    C. Grebogi, S. W. McDonald, E. Ott, J. A. Yorke, "Final state sensitivity: an obstruction to
    predictability", Phys. Lett. A 99, 415 (1983); S. W. McDonald, C. Grebogi, E. Ott, J. A. Yorke,
    "Fractal basin boundaries", Physica D 17, 125 (1985).

    Examples
    --------
    >>> y, x = np.mgrid[-1:1:128j, -1:1:128j]
    >>> round(float(uncertainty_exponent(x**2 + y**2 < 0.4)), 2)
    1.0
    """
    check_resamples(n_resamples)
    picture = as_labels(labels, threshold=threshold)
    side, least = min(picture.shape), MIN_SIDE[picture.ndim]
    if window is not None and side >= least:
        _check_window(window, int(side * _LARGEST))
    obstacle = _obstacle(picture)
    if obstacle:
        return Estimate.missing(METHOD, picture.size, [obstacle])

    curve, resampled = _measure(picture, n_resamples, seed)
    fit, ensemble, doubts = _choose_fit(curve, window)
    if not math.isfinite(fit.slope):
        reason = f"only {fit.n_points} distances can be fitted; at least 4 are needed"
        return Estimate.missing(METHOD, picture.size, [reason], curve)
    form = slope_weights(curve.x, fit.window, weights=_weights(curve))
    resampled = resampled[(resampled > 0).all(axis=1)]
    sampling = float((np.log(resampled) @ form).std()) if len(resampled) else math.nan
    drifts = (window_sensitivity(curve.x, curve.y, fit.window), ensemble.deviation)
    scaling = max(drift for drift in drifts if math.isfinite(drift))
    stderr = math.hypot(sampling, scaling, _UNSEEN)
    # f(2 eps) <= 2 f(eps) for all labels whatever, and f does not fall with the distance.
    ci_low, ci_high = interval_95(fit.slope, stderr, lowest=0.0, highest=1.0)
    return Estimate(
        value=fit.slope,
        stderr=stderr,
        ci_low=ci_low,
        ci_high=ci_high,
        method=METHOD,
        n_runs=picture.size,
        window=fit.window,
        curve=curve,
        flags=doubts + _flatness(curve, fit) + scaling_flags(fit, ensemble),
    )


def local_uncertainty_exponents(
    labels: ArrayLike,
    *,
    threshold: float | None = None,
    octaves: float = 2.0,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Curve:
    """Local exponent alpha(eps) = d ln f / d ln eps of the fraction of uncertain pairs.

    Parameters
    ----------
    labels, threshold, n_resamples, seed
        As in `uncertainty_fraction`.
    octaves : float
        Width of the window of each slope, at least 1.

    Returns
    -------
    Curve
        `x` the geometric middles of the windows in pixels, an octave apart, ascending; `y` the
        slope between the two ends of each; `stderr` by bootstrap over tiles, which is the scatter
        between windows like this one and overstates that of points within it. Empty if the picture
        is too small.

    Raises
    ------
    ValueError
        As `uncertainty_fraction`, and for windows below an octave.

    Examples
    --------
    >>> plane = np.add.outer(np.arange(257), 2 * np.arange(257)) > 400
    >>> local_uncertainty_exponents(plane).y.round(2)
    array([1., 1., 1., 1.])
    """
    if not octaves >= 1:
        raise ValueError(f"octaves={octaves} is too narrow for a slope; pass at least 1")
    check_resamples(n_resamples)
    picture = as_labels(labels, threshold=threshold)
    curve, resampled = _measure(picture, n_resamples, seed)
    ends = []
    for first in 2.0 ** np.arange(math.floor(math.log2(curve.x[-1])) + 1):
        low = int(np.argmin(abs(curve.x - first)))
        high = int(np.argmin(abs(curve.x - first * 2**octaves)))
        if curve.x[high] >= 0.9 * first * 2**octaves and min(curve.y[low], curve.y[high]) > 0:
            ends.append((low, high))
    if not ends:
        return Curve.empty()
    low, high = np.transpose(ends)
    steps = np.log(curve.x[high] / curve.x[low])
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.log(resampled[:, high] / resampled[:, low]) / steps
    slopes[~np.isfinite(slopes)] = math.nan
    return Curve(
        np.sqrt(curve.x[low] * curve.x[high]),
        np.log(curve.y[high] / curve.y[low]) / steps,
        np.nanstd(slopes, axis=0),
    )


def boundary_dimension_of(alpha: Estimate, n_axes: int) -> Estimate:
    """Turn an uncertainty exponent into the dimension of the boundary, D = N - alpha.

    Parameters
    ----------
    alpha : Estimate
        As `uncertainty_exponent` returns it.
    n_axes : int
        Number of axes N of the labels, 1 to 3.

    Returns
    -------
    Estimate
        The same error, curve and flags; the curve is still f(eps).

    Raises
    ------
    ValueError
        If `n_axes` is not 1, 2 or 3.

    Examples
    --------
    >>> alpha = uncertainty_exponent(np.indices((64, 64)).sum(axis=0) > 70)
    >>> round(float(boundary_dimension_of(alpha, 2)), 2)
    1.0
    """
    if n_axes not in MIN_SIDE:
        raise ValueError(f"n_axes={n_axes} is not a number of axes; pass 1, 2 or 3")
    return dataclasses.replace(
        alpha,
        value=n_axes - alpha.value,
        ci_low=n_axes - alpha.ci_high,
        ci_high=n_axes - alpha.ci_low,
        method=f"N - {METHOD}",
    )


def _measure(picture: np.ndarray, n_resamples: int, seed: int) -> tuple[Curve, np.ndarray]:
    """Return f(eps) and resamples (n_resamples, S) of it."""
    distances = box_sizes(max(int(min(picture.shape) * _LARGEST), 1))
    differing, pairs = _count_pairs(picture, distances)
    draws = draw_tiles(len(pairs), n_resamples, np.random.default_rng(seed))
    resampled = (draws @ differing) / (draws @ pairs)[:, None]
    curve = Curve(distances, differing.sum(axis=0) / pairs.sum(), resampled.std(axis=0))
    return curve, resampled


def _count_pairs(picture: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the pairs that disagree (tiles, S), over all axes, and all pairs (tiles,)."""
    margin = int(distances[-1]) // 2
    # The pairs (i, i + r) from i = margin - r // 2 on: their midpoints are the same for every r.
    n_tiles = min(TILES_PER_AXIS[picture.ndim], *(length - 2 * margin for length in picture.shape))
    cuts = [
        np.linspace(margin, length - int(distances[-1]) + margin, n_tiles + 1).astype(int)
        for length in picture.shape
    ]
    codes, n_labels = label_codes(picture)
    # Binary digits of the labels, so that two labels differ if any of their digits does.
    digits = range((n_labels - 1).bit_length()) if n_labels > 1 else range(1)
    planes = [pack_rows((codes >> digit) & 1 == 1) for digit in digits]
    differing = np.zeros((n_tiles**picture.ndim, len(distances)))
    for k, distance in enumerate(map(int, distances)):
        for axis in range(picture.ndim):
            changed = functools.reduce(
                np.bitwise_or, (plane ^ _ahead(plane, axis, distance) for plane in planes)
            )
            first = [cut - (distance // 2 if a == axis else 0) for a, cut in enumerate(cuts)]
            differing[:, k] += count_by_tile(changed, first).ravel()
    lengths = functools.reduce(np.multiply.outer, (np.diff(cut) for cut in cuts))
    return differing, picture.ndim * lengths.ravel().astype(float)


def _ahead(words: np.ndarray, axis: int, distance: int) -> np.ndarray:
    """Bring the labels `distance` further along an axis to every place; empty ones beyond it."""
    if axis == words.ndim - 1:
        return shift_rows(words, distance)
    before = (slice(None),) * axis
    moved = np.zeros_like(words)
    moved[*before, :-distance] = words[*before, distance:]
    return moved


def _weights(curve: Curve) -> np.ndarray:
    """Return the inverse bootstrap variances of ln f, all equal where none scatters."""
    scatter = np.divide(curve.stderr, curve.y, out=np.zeros(len(curve)), where=curve.y > 0)
    # Tiles that are all alike give no scatter, and no reason to prefer a distance.
    floor = max(float(scatter.max()) / 10, 1e-9)
    return np.where(curve.y > 0, np.maximum(scatter, floor) ** -2.0, 0.0)


def _choose_fit(curve: Curve, window: Window | None) -> tuple[Fit, Fit, tuple[str, ...]]:
    """Return the fit to report, the ensemble that it competed with, and doubts about the choice."""
    candidates = curve.y <= MAX_FRACTION
    doubts: tuple[str, ...] = ()
    first = float(curve.x[0])
    clear = curve.x[candidates]
    if len(clear) < 5 or clear[-1] < first * 2**MIN_OCTAVES:
        candidates = curve.x <= max(curve.x[-1] / 2, first * 2**MIN_OCTAVES)
        doubts = (
            f"f(eps) passes {MAX_FRACTION:.0%} within two octaves of the smallest distance, where "
            f"it is {curve.y[0]:.1%}: the exponent is read where f saturates",
        )
    x, y = curve.x[candidates], curve.y[candidates]
    ensemble = fit_ensemble(x, y, min_octaves=MIN_OCTAVES)
    if window is None:
        chosen = ensemble.window if ensemble.n_points else (x[0], x[-1])
    else:
        chosen = window
    return fit_window(curve.x, curve.y, chosen, weights=_weights(curve)), ensemble, doubts


def _flatness(curve: Curve, fit: Fit) -> tuple[str, ...]:
    """Say whether f hardly falls, over the window or at its small end."""
    if fit.slope < _FLAT:
        return (
            f"f(eps) hardly falls with the distance (alpha = {fit.slope:.3f}): the labels are "
            "riddled, undecided, chaotic or noise at this size, and N - alpha is no dimension",
        )
    near = fit_window(curve.x, curve.y, (curve.x[0], 4 * curve.x[0]))
    if near.slope < fit.slope / 2:
        return (
            f"f(eps) flattens at the smallest distances (local exponent {near.slope:.3f}): labels "
            "are unresolved there; repeat with more steps or more pixels",
        )
    return ()


def _obstacle(picture: np.ndarray) -> str | None:
    """Say why there can be no value, if there can be none."""
    side, least = min(picture.shape), MIN_SIDE[picture.ndim]
    if side < least:
        where = "on their shorter side" if picture.ndim > 1 else "long"
        return f"the labels are {side} px {where}; at least {least} are needed"
    changes = sum(
        int(np.count_nonzero(np.diff(picture, axis=axis))) for axis in range(picture.ndim)
    )
    if not changes:
        return "there is no boundary: every point has the same label"
    if changes < MIN_PAIRS:
        return f"{changes} pairs of neighbours disagree; at least {MIN_PAIRS} are needed"
    return None


def _check_window(window: Window, largest: int) -> None:
    low, high = window
    if not 1 <= low < high <= largest:
        raise ValueError(
            f"window=({low:g}, {high:g}) is not a range of distances; pass 1 <= low < high <= "
            f"{largest} px, an eighth of the shorter side"
        )
