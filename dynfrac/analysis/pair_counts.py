"""How many pairs of points lie closer than each radius, block by block.

The points are cut into blocks of neighbouring rows, and pairs are counted for every pair of blocks.
The sum over the blocks is the correlation sum; the blocks themselves are what a bootstrap resamples
without counting again, and they show whether close pairs are close in time.
"""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist, pdist

TREE_DIMENSIONS = 10
"""Up to this many coordinates a k-d tree is faster than looking at all pairs."""

N_BLOCKS = 32
"""Blocks that a bootstrap resamples: enough to know a standard error to 13 %."""

RADII_PER_OCTAVE = 4

MAX_OCTAVES = 40
"""Radii further below the largest one are beyond the rounding errors of what is measured."""

_ROUNDING = 1e-12
"""Relative width around a radius within which a distance counts as equal to it: distances of
lattices are off by a few units in the last place, and the comparison is meant to be strict."""

_ROWS = 2048
"""Rows of all pairs that are looked at together: 32 MiB of distances."""


@final
@dataclasses.dataclass(frozen=True)
class PairCounts:
    """Pairs of points by block and by distance.

    Attributes
    ----------
    radii : (S,) float array
    close : (B, B, S) int array
        Pairs closer than each radius, with one point in either block. Upper triangular: block a
        with block b >= a.
    pairs : (B, B) int array
        All pairs that were admitted.
    n_points : int
    """

    radii: np.ndarray
    close: np.ndarray
    pairs: np.ndarray
    n_points: int

    @property
    def total(self) -> np.ndarray:
        """Pairs closer than each radius, (S,)."""
        return self.close.sum(axis=(0, 1))

    @property
    def n_pairs(self) -> int:
        """All pairs that were admitted."""
        return int(self.pairs.sum())

    @property
    def fraction(self) -> np.ndarray:
        """The correlation sum: the share of pairs closer than each radius, (S,)."""
        return self.total / self.n_pairs

    def without_smallest(self) -> PairCounts:
        """Return the counts at all radii but the first."""
        return PairCounts(self.radii[1:], self.close[..., 1:], self.pairs, self.n_points)

    def resample(self, n_resamples: int, seed: int) -> np.ndarray:
        """Fractions of close pairs among blocks drawn with replacement.

        Parameters
        ----------
        n_resamples : int
        seed : int

        Returns
        -------
        (n_resamples, S) float array

        Notes
        -----
        A block that was drawn k times counts its inner pairs k times, and its pairs with a block
        drawn l times k l times. Pairs between two copies of one block are left out on both sides
        of the fraction: they would set every point against itself.
        """
        n_blocks = len(self.pairs)
        rng = np.random.default_rng(seed)
        draws = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_resamples)
        draws = draws.astype(np.float64)
        inner = np.arange(n_blocks)
        everything = np.concatenate([self.close, self.pairs[..., None]], axis=2).astype(np.float64)
        own = everything[inner, inner].copy()
        everything[inner, inner] = 0
        across = np.einsum("ra,abs->rbs", draws, everything, optimize=True)
        sums = np.einsum("rb,rbs->rs", draws, across, optimize=True) + draws @ own
        return sums[:, :-1] / sums[:, -1:]


def count_pairs(
    points: np.ndarray, radii: np.ndarray, *, theiler: int = 0, n_blocks: int = 1
) -> PairCounts:
    """Count the pairs closer than each radius, for every pair of blocks.

    Parameters
    ----------
    points : (n, d) float array
        In order of time if `theiler` is not 0.
    radii : (S,) float array
        Ascending and positive.
    theiler : int
        Pairs at most this many rows apart are left out.
    n_blocks : int
        Blocks of neighbouring rows, as equal as can be.

    Returns
    -------
    PairCounts

    Notes
    -----
    Distances are Euclidean and compared strictly. Up to ten coordinates the counts of two k-d trees
    are used, whose cost grows like n ln n where the radii are small against the set; above, all
    pairs are looked at in chunks. The pairs within the Theiler window are subtracted one by one.
    """
    n = len(points)
    bounds = radii * (1 - _ROUNDING)
    ends = np.linspace(0, n, n_blocks + 1).astype(int)
    sizes = np.diff(ends)
    pairs = np.triu(np.outer(sizes, sizes))
    pairs[np.diag_indices(n_blocks)] = sizes * (sizes - 1) // 2
    if points.shape[1] > TREE_DIMENSIONS:
        close = _count_all(points, bounds, ends)
    else:
        close = _count_with_trees(points, bounds, ends)
    if theiler:
        near, near_pairs = _count_in_time(points, bounds, sizes, theiler)
        close, pairs = close - near, pairs - near_pairs
    return PairCounts(radii, close, pairs, n)


def count_neighbours(
    points: np.ndarray, radii: np.ndarray, *, theiler: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Count for every point how many others are closer than each radius.

    Parameters
    ----------
    points, radii, theiler
        As in `count_pairs`.

    Returns
    -------
    close : (n, S) int array
    others : (n,) int array
        Points that are more than `theiler` rows away.
    """
    n = len(points)
    bounds = radii * (1 - _ROUNDING)
    close = np.empty((n, len(bounds)), np.int64)
    if points.shape[1] <= TREE_DIMENSIONS:
        tree = KDTree(points)
        for k, bound in enumerate(bounds):
            close[:, k] = tree.query_ball_point(points, bound, return_length=True)
    else:
        for start in range(0, n, _ROWS):
            distances = np.sort(cdist(points[start : start + _ROWS], points), axis=1)
            for row, ascending in zip(close[start : start + _ROWS], distances, strict=True):
                row[:] = np.searchsorted(ascending, bounds, side="right")
    close -= 1  # every point is its own neighbour
    for lag in range(1, theiler + 1):
        steps = points[lag:] - points[:-lag]
        near = np.sqrt(np.einsum("ij,ij->i", steps, steps))[:, None] <= bounds
        close[lag:] -= near
        close[:-lag] -= near
    rows = np.arange(n)
    return close, n - 1 - np.minimum(rows, theiler) - np.minimum(n - 1 - rows, theiler)


def radius_ladder(points: np.ndarray, largest: float) -> np.ndarray:
    """Radii four to the octave, from the smallest distance between two points to the largest.

    Parameters
    ----------
    points : (n, d) float array
    largest : float
        The last radius, positive.

    Returns
    -------
    (S,) float array
        Ascending; distances of 0 do not count, and never more than 40 octaves.
    """
    smallest = largest * 2.0**-MAX_OCTAVES
    if points.shape[1] <= TREE_DIMENSIONS:
        nearest = KDTree(points).query(points, k=2)[0][:, 1]
    else:
        # A sample of pairs stands for all: what is closer holds too few pairs to be used.
        some = points[np.linspace(0, len(points) - 1, min(len(points), _ROWS)).astype(int)]
        nearest = pdist(some) / 4
    nearest = nearest[nearest > smallest]
    if len(nearest):
        smallest = float(nearest.min())
    n_steps = max(0, math.floor(RADII_PER_OCTAVE * math.log2(largest / smallest)))
    return largest * 2.0 ** (-np.arange(n_steps, -1, -1) / RADII_PER_OCTAVE)


def _count_with_trees(points: np.ndarray, bounds: np.ndarray, ends: np.ndarray) -> np.ndarray:
    n_blocks = len(ends) - 1
    trees = [KDTree(points[ends[a] : ends[a + 1]]) for a in range(n_blocks)]
    close = np.zeros((n_blocks, n_blocks, len(bounds)), np.int64)
    for a, tree in enumerate(trees):
        # Of a tree with itself every pair is counted twice, and every point with itself.
        close[a, a] = (tree.count_neighbors(tree, bounds) - tree.n) // 2
        for b in range(a + 1, n_blocks):
            close[a, b] = tree.count_neighbors(trees[b], bounds)
    return close


def _count_all(points: np.ndarray, bounds: np.ndarray, ends: np.ndarray) -> np.ndarray:
    n_blocks = len(ends) - 1
    close = np.zeros((n_blocks, n_blocks, len(bounds)), np.int64)
    for a in range(n_blocks):
        for b in range(a, n_blocks):
            for start in range(ends[a], ends[a + 1], _ROWS):
                rows = slice(start, min(start + _ROWS, ends[a + 1]))
                for begin in range(ends[b] if b > a else start, ends[b + 1], _ROWS):
                    columns = slice(begin, min(begin + _ROWS, ends[b + 1]))
                    distances = cdist(points[rows], points[columns])
                    if begin == start:  # the diagonal: every pair once, no point with itself
                        distances = distances[np.triu_indices(len(distances), 1)]
                    close[a, b] += _tally(distances.ravel(), bounds)
    return close


def _tally(distances: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return how many distances do not exceed each bound."""
    bins = np.searchsorted(bounds, distances[distances <= bounds[-1]])
    return np.bincount(bins, minlength=len(bounds)).cumsum()


def _count_in_time(
    points: np.ndarray, bounds: np.ndarray, sizes: np.ndarray, theiler: int
) -> tuple[np.ndarray, np.ndarray]:
    """Count pairs at most `theiler` rows apart: the close ones (B, B, S), and all (B, B)."""
    n, n_blocks, n_bins = len(points), len(sizes), len(bounds) + 1
    block = np.repeat(np.arange(n_blocks), sizes)
    counts = np.zeros(n_blocks * n_blocks * n_bins, np.int64)
    for lag in range(1, min(theiler, n - 1) + 1):
        steps = points[lag:] - points[:-lag]
        bins = np.searchsorted(bounds, np.sqrt(np.einsum("ij,ij->i", steps, steps)))
        index = (block[:-lag] * n_blocks + block[lag:]) * n_bins + bins
        counts += np.bincount(index, minlength=len(counts))
    cumulated = counts.reshape(n_blocks, n_blocks, n_bins).cumsum(axis=2)
    return cumulated[..., :-1], cumulated[..., -1]


def block_number(n_points: int, theiler: int) -> int:
    """Return into how many blocks points are cut: not shorter than the memory of an orbit."""
    return min(N_BLOCKS, n_points // 4, max(8, n_points // max(theiler, 1)))


def check_theiler(theiler: int, n_points: int) -> None:
    """Raise `ValueError` unless the window leaves pairs."""
    if not 0 <= theiler <= n_points - 2:
        raise ValueError(
            f"theiler={theiler} is out of range for {n_points} points; pass 0 to {n_points - 2}"
        )
