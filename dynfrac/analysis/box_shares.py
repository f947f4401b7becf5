"""How points fill the boxes of a grid: which grid, which boxes, and the entropy of their shares.

The shares of the boxes are not known but estimated from counts, and sums of their powers are
biased; what is done about it stands in `dynfrac.analysis.generalized`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import gammaln, psi

MARGIN = 1 / 16
"""Share of the longest axis that is left for moving the grid."""
SIZES_PER_OCTAVE = 4

_TRIES = 8
"""Positions of a grid that are tried for one that covers half of the points."""
_NEARLY_ONE = 1e-4
"""Orders this close to 1 are taken for 1: ln(sum p^q) / (1 - q) is lost in rounding errors."""
_ROUNDING = 1e-9
"""Relative slack where lengths that are equal by construction are compared."""


def divisions() -> Iterator[int]:
    """Yield how many boxes of a size make one of the largest: 1, 2, 3, 4, 5, 6, 7, 8, 10, ..."""
    last = 0
    for k in range(60 * SIZES_PER_OCTAVE):
        number = round(2 ** (k / SIZES_PER_OCTAVE))
        if number > last:
            last = number
            yield number


def place_grid(
    points: np.ndarray, largest: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return points relative to the corner of a random grid, and which of them it covers.

    Along every axis the grid covers as many of the largest boxes as fit; one that is too short
    for any is covered as a whole. If most points sit at the ends, where such a grid misses them,
    it covers all of them and some room beside.
    """
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    length = _cover_length(extent, largest)
    thin = length < largest / 2
    for _ in range(_TRIES):
        place = rng.random(points.shape[1])
        corner = np.where(thin, low - place * largest, low + place * (extent - length))
        relative = points - corner
        kept = ((relative >= 0) & ((relative < length) | thin)).all(axis=1)
        if np.count_nonzero(kept) >= len(points) / 2:
            return relative[kept], np.flatnonzero(kept)
    room = (np.floor(extent / largest) + 1) * largest - extent
    return points - (low - rng.random(points.shape[1]) * room), np.arange(len(points))


def _cover_length(extent: np.ndarray, largest: float) -> np.ndarray:
    """Return how much of every axis the largest boxes cover.

    They cover the longest but for its margin, and nothing of one that is too short for them.
    """
    longest = extent == extent.max()
    number = np.floor(np.where(longest, extent * (1 - MARGIN), extent) / largest * (1 + _ROUNDING))
    return number * largest


def share_covered(extent: np.ndarray, largest: float) -> float:
    """Return the share of the volume that the boxes cover, thin axes taken as a whole."""
    length = _cover_length(extent, largest)
    return float(np.prod(np.where(length > 0, length / np.where(length > 0, extent, 1), 1)))


def fill_boxes(relative: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the box of every point (m,), numbered, and how many points each box holds."""
    keys = np.zeros(len(relative), np.int64)
    for column in relative.T:
        index = np.floor(column / size).astype(np.int64)
        width = int(index.max()) + 1
        if int(keys.max()) >= 2**62 // width:
            keys = np.unique(keys, return_inverse=True)[1]
        keys = keys * width + index
    _, box, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return box, counts


def box_entropy(counts: np.ndarray, q: float) -> tuple[float, np.ndarray]:
    """Return the Renyi entropy of order q, and its slope in the weight of a point of each box.

    Not-a-number, and zeros, if no box holds as many points as the order has factors.
    """
    n = int(counts.sum())
    shares = counts / n
    if abs(q - 1) < _NEARLY_ONE:
        surprise = math.log(n) - psi(counts)
        return float(shares @ surprise), surprise
    if q < 1:
        powers = shares**q
    else:
        # Where there are fewer points in a box than factors, there is no such group of points.
        enough = counts > q - 1
        ends = gammaln(n + 1) - gammaln(n + 1 - q)
        powers = np.zeros(len(counts))
        of = counts[enough] + 1
        powers[enough] = np.exp(gammaln(of) - gammaln(of - q) - ends)
    total = powers.sum()
    if total == 0:
        return math.nan, np.zeros(len(counts))
    return math.log(total) / (1 - q), q / (1 - q) * powers / shares / total
