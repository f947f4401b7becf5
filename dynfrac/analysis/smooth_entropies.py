"""Boundary basin entropy of a smooth boundary between two labels: in balls, and in squares.

Both are integrals over the places at which a flat boundary crosses the ball or the square, with no
parameter but the number of axes or the angle. They are what a measured entropy is compared with.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from scipy.special import betainc


@functools.cache
def smooth_entropy_in_balls(n_axes: int) -> float:
    """Boundary basin entropy of a flat boundary between two labels, in random balls.

    Parameters
    ----------
    n_axes : int
        At least 1.

    Returns
    -------
    float
        In nats: the mean entropy of balls whose centres lie anywhere within a radius of the
        boundary.

    Examples
    --------
    >>> [round(smooth_entropy_in_balls(n), 6) for n in (1, 2, 3, 4, 5)]
    [0.5, 0.439509, 0.396092, 0.363194, 0.337226]
    """

    def entropy(height: np.ndarray) -> np.ndarray:
        # Share of the ball beyond a plane at this distance from its centre, in radii.
        share = betainc((n_axes + 1) / 2, 0.5, 1 - height**2) / 2
        return _entropy_of_two(share)

    return _quadrature(entropy)


def smooth_entropy_in_squares(angle: float | None = None) -> float:
    """Boundary basin entropy of a straight boundary between two labels, in random squares.

    Parameters
    ----------
    angle : float, optional
        Of the boundary with an axis, in radians; the mean over all directions by default.

    Returns
    -------
    float
        In nats.

    Examples
    --------
    >>> [round(smooth_entropy_in_squares(angle), 4) for angle in (0.0, math.pi / 4, None)]
    [0.5, 0.3645, 0.4001]
    """
    if angle is not None:
        return _square_entropy(angle)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    angles = (nodes + 1) * math.pi / 8  # the others follow by symmetry
    # A square meets a line of this direction as often as it is wide across it.
    widths = np.cos(angles) + np.sin(angles)
    means = np.array([_square_entropy(float(angle)) for angle in angles])
    return float(np.average(means, weights=weights * widths))


def _square_entropy(angle: float) -> float:
    cosine, sine = sorted((abs(math.cos(angle)), abs(math.sin(angle))), reverse=True)
    half = (cosine + sine) / 2

    def entropy(height: np.ndarray) -> np.ndarray:
        # Share of the unit square beyond a line at this fraction of the largest distance.
        depth = half * (1 - height)
        corner = depth**2 / (2 * max(sine * cosine, 1e-300))
        share = np.where(depth < sine, corner, (depth - sine / 2) / cosine)
        return _entropy_of_two(np.clip(share, 0, 0.5))

    return _quadrature(entropy, breaks=(0.0, (half - sine) / half, 1.0))


def _quadrature(function: Any, breaks: tuple[float, ...] = (0.0, 1.0)) -> float:
    """Integrate over [0, 1]; the ends may have logarithmic derivatives."""
    nodes, weights = _gauss_nodes()
    total = 0.0
    for low, high in zip(breaks[:-1], breaks[1:], strict=True):
        # t^2 (3 - 2 t) crowds the nodes at both ends.
        t = (nodes + 1) / 2
        x = low + (high - low) * t**2 * (3 - 2 * t)
        total += float((weights / 2 * 6 * t * (1 - t)) @ function(x)) * (high - low)
    return total


@functools.cache
def _gauss_nodes() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(200)


def _entropy_of_two(share: np.ndarray) -> np.ndarray:
    return entropy_of(np.stack([share, 1 - share]))


def entropy_of(shares: np.ndarray) -> np.ndarray:
    """Return -sum p ln p over the first axis, in nats."""
    return -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=0)
