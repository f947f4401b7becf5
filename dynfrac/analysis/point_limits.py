"""What a number of points can show: how large a dimension, and whether they are points at all."""

from __future__ import annotations

import math

import numpy as np

MIN_POINTS = 20
"""Fewer points than this have no pairs to speak of."""

_COINCIDENT = 1e-12
"""Distances below this, in units of the largest coordinate, are rounding errors."""


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
    return max(_COINCIDENT * float(np.abs(points).max()), float(np.finfo(np.float64).tiny))


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
