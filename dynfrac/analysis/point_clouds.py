"""Points as the dimension estimators take them: checked, embedded, with the memory of their order.

Points come from an orbit, one row per step, or they are a sample without order. The difference
matters twice: neighbours in time must not be mistaken for neighbours in space, and what a bootstrap
may resample are stretches of an orbit but single points of a sample.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from dynfrac.analysis.autocorrelation import autocovariance

_LARGEST = 1e150
"""Coordinates whose squares, added up, stay below the largest float64."""
_TAIL = 0.01
"""Share of the points at either end of a coordinate that may be far away."""
_STRETCH = 4
"""How many times longer far points must make a set before they are left out."""
_MIXING = 1 / math.e
"""Autocorrelation at which an orbit is taken to have forgotten where it was."""


def as_points(points: ArrayLike) -> np.ndarray:
    """Return points as a float64 array of rows, or say what is wrong with them.

    Parameters
    ----------
    points : (n, d) or (n,) array
        Real numbers; one row per point. A single column may be given flat.

    Returns
    -------
    (n, d) float64 array

    Raises
    ------
    ValueError
        If there are fewer than two points or no coordinate, or a number is not real, not finite
        or above 1e150, where the squares of distances overflow.

    Examples
    --------
    >>> as_points([0.0, 0.5, 1.0]).shape
    (3, 1)
    """
    array = np.asarray(points)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"points are of type {array.dtype}; pass real numbers")
    rows = array[:, None] if array.ndim == 1 else array
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(f"points have shape {array.shape}; pass one row of coordinates per point")
    if len(rows) < 2:
        raise ValueError(f"points have shape {array.shape}; pass at least two rows")
    rows = np.ascontiguousarray(rows, dtype=np.float64)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ValueError(
            f"points are not finite in {np.count_nonzero(~finite)} of {len(rows)} rows, first in "
            f"row {first}; leave these out, or end the orbit before it diverges"
        )
    largest = float(np.abs(rows).max())
    if largest > _LARGEST:
        raise ValueError(
            f"points are as large as {largest:.3g}, and the squares of distances overflow; divide "
            "them by their size, or end the orbit before it diverges"
        )
    return rows


def in_fewest_coordinates(points: np.ndarray) -> np.ndarray:
    """Turn n points that have more than n coordinates so that n coordinates hold them.

    Parameters
    ----------
    points : (n, d) float array

    Returns
    -------
    (n, min(n, d)) float array
        With the same distances up to rounding. The states of a training run are such points: as
        many coordinates as weights, and a few thousand steps.
    """
    n, d = points.shape
    if d <= n:
        return points
    triangle = np.linalg.qr((points - points.mean(axis=0)).T)[1]
    return np.ascontiguousarray(triangle.T)


def delay_embedding(series: ArrayLike, n_delays: int, lag: int = 1) -> np.ndarray:
    """Points made of delayed copies of a series.

    Parameters
    ----------
    series : (n, d) or (n,) array
        One row per step.
    n_delays : int
        Copies side by side, at least 1.
    lag : int
        Steps between neighbouring copies, at least 1.

    Returns
    -------
    (n - (n_delays - 1) lag, n_delays d) float64 array
        Row t holds the values at t, t + lag, ..., t + (n_delays - 1) lag.

    Raises
    ------
    ValueError
        If an argument is out of range or fewer than two points remain.

    References
    ----------
    `takens1981` in docs/references.bib

    Examples
    --------
    >>> delay_embedding([0.0, 1.0, 2.0, 3.0], 2)
    array([[0., 1.],
           [1., 2.],
           [2., 3.]])
    """
    rows = as_points(series)
    if n_delays < 1 or lag < 1:
        raise ValueError(f"n_delays={n_delays}, lag={lag} is out of range; pass at least 1 each")
    n = len(rows) - (n_delays - 1) * lag
    if n < 2:
        raise ValueError(
            f"n_delays={n_delays} copies {lag} steps apart need more than {len(rows)} points; "
            "pass a longer series or fewer copies"
        )
    return np.concatenate([rows[k * lag : k * lag + n] for k in range(n_delays)], axis=1)


def theiler_window(points: ArrayLike) -> int:
    """Length of the memory of an orbit: until then, points are close because they follow on.

    Parameters
    ----------
    points : (n, d) or (n,) array
        One row per step.

    Returns
    -------
    int
        1 for an orbit that forgets within a step, as chaotic maps do; otherwise three times the
        lag at which the autocorrelation first falls below 1/e, at most n / 10.

    Notes
    -----
    The autocovariances of the coordinates are added before they are normalised, so that the result
    does not depend on the directions of the axes. A trajectory that never returns has no such time;
    what comes out then is a tenth of its length.

    Examples
    --------
    >>> theiler_window(np.sin(np.arange(1000) / 10))
    39
    """
    rows = as_points(points)
    longest = max(1, len(rows) // 10)
    # Coordinates that never move have nothing to say, and training runs have many of them.
    moving = np.flatnonzero(np.ptp(rows, axis=0) > 0)
    if not len(moving):
        return 1
    covariance = np.zeros(longest + 1)
    for column in moving:
        covariance += autocovariance(rows[:, column], longest)
    forgotten = np.flatnonzero(covariance < _MIXING * covariance[0])
    lag = int(forgotten[0]) if len(forgotten) else longest
    return 1 if lag <= 1 else min(3 * lag, longest)


def without_outliers(points: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Leave out points so far from the rest that they alone make the set long.

    Parameters
    ----------
    points : (n, d) float array

    Returns
    -------
    points : (m, d) float array
        Without those that along a coordinate are further from the middle 98 % of the points than
        these are long. All of them, unless those make the longest axis four times as long as the
        rest does.
    doubts : tuple of str
        A sentence if points are left out.

    Notes
    -----
    A grid of boxes is laid over the length of the set: over one far point and a cloud, all the
    cloud lies in one box, of which every slope is 0.

    Examples
    --------
    >>> cloud = np.linspace(0, 1, 1000)[:, None]
    >>> without_outliers(np.concatenate([cloud, [[1e6]]]))[1]
    ('1 of 1001 points is far from the rest and left out',)
    """
    low, high = np.quantile(points, [_TAIL, 1 - _TAIL], axis=0)
    width = high - low
    # Coordinates that hardly ever move have no width to measure a distance with.
    near = ((points >= low - width) & (points <= high + width) | (width == 0)).all(axis=1)
    n_far = int(np.count_nonzero(~near))
    if not n_far or np.ptp(points, axis=0).max() < _STRETCH * np.ptp(points[near], axis=0).max():
        return points, ()
    verb = "are" if n_far > 1 else "is"
    return points[near], (f"{n_far} of {len(points)} points {verb} far from the rest and left out",)
