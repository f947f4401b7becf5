"""What a number of points can show: how large a dimension, and whether they are points at all."""

from __future__ import annotations

import math

import numpy as np

MIN_POINTS = 20
"""Fewer points than this have no pairs to speak of."""

_COINCIDENT = 1e-12
"""Distances below this, in units of the largest coordinate, are rounding errors."""
_SEPARATE_AXES = 10
"""With more coordinates than this nobody thinks of each as a quantity with a unit."""


def largest_dimension(n_points: int) -> float:
    """Largest correlation dimension that points can show, 2 log10 n.

    Parameters
    ----------
    n_points : int

    Returns
    -------
    float

    Notes
    -----
    Over a decade of radii C(r) falls by 10^D, and of the n^2/2 pairs one must be left.

    References
    ----------
    `eckmann1992` in docs/references.bib

    Examples
    --------
    >>> largest_dimension(1000)
    6.0
    """
    return 2 * math.log10(n_points)


def points_needed(dimension: float) -> float:
    """Points with which a dimension is measured well, 10^(2 + 0.4 D).

    Parameters
    ----------
    dimension : float

    Returns
    -------
    float

    References
    ----------
    `tsonis1993` in docs/references.bib

    Examples
    --------
    >>> round(points_needed(2.5))
    1000
    """
    return 10 ** (2 + 0.4 * dimension)


def rounding_distance(points: np.ndarray) -> float:
    """Distance below which two points are the same but for rounding errors.

    Parameters
    ----------
    points : (n, d) float array

    Returns
    -------
    float
        In the unit of the points, positive.
    """
    # The size of a coordinate that never changes rounds nothing off: its differences are 0.
    moving = points[:, np.ptp(points, axis=0) > 0]
    largest = float(np.abs(moving).max()) if moving.size else 0.0
    return max(_COINCIDENT * largest, float(np.finfo(np.float64).tiny))


def coincidence(points: np.ndarray, n_same: int) -> str | None:
    """Say that the points are a handful of different ones only, if they are.

    Parameters
    ----------
    points : (n, d) float array
    n_same : int
        Pairs of points that are the same.

    Returns
    -------
    str or None
        A sentence if a tenth of all pairs are the same, or there are no more different points
        than the square root of their number: such a set has dimension 0.

    Examples
    --------
    >>> coincidence(np.tile([[0.0], [1.0]], (50, 1)), 2 * 50 * 49 // 2)
    'the 100 points are about 2 different ones: a converged or periodic orbit has dimension 0'
    """
    n = len(points)
    # k values that are taken equally often give n (n/k - 1) / 2 equal pairs. Where some are taken
    # more often than others there are more pairs, so that few pairs need no closer look.
    equivalent = n**2 / (n + 2 * n_same)
    if equivalent > max(10, math.sqrt(n)):
        return None
    grid = np.rint(points / rounding_distance(points))
    different = len(np.unique(grid, axis=0))
    if equivalent > 10 and different > math.sqrt(n):
        return None
    count = min(different, round(equivalent))
    return (
        f"the {n} points are about {count} different one{'s' * (count > 1)}: "
        "a converged or periodic orbit has dimension 0"
    )


def limit_doubts(n_points: int, value: float, n_same: int) -> tuple[str, ...]:
    """Say what is doubtful about a dimension because of the number of points.

    Parameters
    ----------
    n_points : int
    value : float
        The dimension found.
    n_same : int
        Pairs of points that are the same.

    Returns
    -------
    tuple of str
        Plain sentences; empty if nothing is.
    """
    doubts = []
    if value > 0 and n_points < points_needed(value):
        doubts.append(
            f"{n_points} points are few for a dimension of {value:.2f}: about "
            f"{points_needed(value):.2g} are needed"
        )
    if n_same:
        doubts.append(
            f"{n_same} pairs of points are the same: duplicated or rounded points make C(r) level "
            "off at small radii"
        )
    return tuple(doubts)


def thin_axes(points: np.ndarray, smallest: float) -> tuple[str, ...]:
    """Say so if a coordinate varies by less than the smallest scale that was fitted.

    Parameters
    ----------
    points : (n, d) float array
    smallest : float
        Scale in the unit of the points.

    Returns
    -------
    tuple of str
        A sentence, or empty; empty too for more than ten coordinates, of which some always do.

    Examples
    --------
    >>> thin_axes(np.array([[0.0, 0.0], [1.0, 1e-6]]), 0.01)
    ('1 of 2 coordinates varies by less than the smallest scale fitted and does not count: if the \
units differ, divide each by its spread',)
    """
    extent = np.ptp(points, axis=0)
    thin = np.count_nonzero((extent > 0) & (extent < smallest))
    if not thin or len(extent) > _SEPARATE_AXES:
        return ()
    verbs = ("vary", "do") if thin > 1 else ("varies", "does")
    return (
        f"{thin} of {len(extent)} coordinates {verbs[0]} by less than the smallest scale fitted "
        f"and {verbs[1]} not count: if the units differ, divide each by its spread",
    )
