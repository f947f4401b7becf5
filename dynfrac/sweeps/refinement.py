"""Where an adaptive picture has to look: grids from coarse to fine, and the boundary in them.

Plain arrays and indices; nothing is run here. A picture is a lattice of points, and the boundary
crosses a cell between neighbouring points whose labels differ (`dynfrac.analysis.labels`).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import final

import numpy as np
from scipy.ndimage import maximum_filter

from dynfrac.analysis.labels import boundary_cells

Grid = tuple[np.ndarray, ...]
"""Indices along each dimension, ascending, the first and last point of the picture included."""

_LEAST_CELLS = 8
"""Cells that the first grid has along every dimension, if the picture has as many."""


@final
@dataclasses.dataclass(frozen=True)
class Refinement:
    """How an adaptive picture looks for the boundary.

    Attributes
    ----------
    stride : int, default 16
        Distance between the points of the first grid, a power of two from 2 on. It is less along
        dimensions that would get fewer than 8 cells. An island of other outcomes that all of its
        points miss, and that is not near anything else, is not found.
    guard : int, default 6
        Cells of each grid, around those that the boundary crosses, that are looked at as well; 0 or
        more. It finds the islands near the boundary, of which fractal boundaries have many.

    Raises
    ------
    ValueError
        For numbers out of range.
    """

    stride: int = 16
    guard: int = 6

    def __post_init__(self) -> None:
        if self.stride < 2 or self.stride & (self.stride - 1):
            raise ValueError(f"stride={self.stride} must be a power of two from 2 on")
        if self.guard < 0:
            raise ValueError(f"guard={self.guard} must be at least 0 cells")

    def grids(self, shape: Sequence[int]) -> list[tuple[int, Grid]]:
        """Return the strides and grids of a picture from the coarsest to that of all its points.

        Examples
        --------
        >>> [(stride, rows.tolist()) for stride, (rows,) in Refinement(stride=2).grids([18])]
        [(2, [0, 2, 4, 6, 8, 10, 12, 14, 16, 17]), (1, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, \
13, 14, 15, 16, 17])]
        """
        most = [1 << max(0, ((n - 1) // _LEAST_CELLS).bit_length() - 1) for n in shape]
        stride = min(self.stride, max(most))
        grids = []
        while stride >= 1:
            edges = (min(stride, edge) for edge in most)
            grids.append(
                (stride, tuple(_every(n, edge) for n, edge in zip(shape, edges, strict=True)))
            )
            stride //= 2
        return grids

    def near_boundary(self, labels: np.ndarray) -> np.ndarray:
        """Return which cells the boundary crosses, and those within the guard of one.

        Parameters
        ----------
        labels : bool array
            At the points of a grid.

        Returns
        -------
        bool array, shorter by one along every dimension
        """
        crossed = boundary_cells(labels)
        return maximum_filter(crossed, 2 * self.guard + 1, mode="constant")


def _every(n: int, stride: int) -> np.ndarray:
    points = np.arange(0, n, stride)
    return points if points[-1] == n - 1 else np.append(points, n - 1)


def nearest(coarse: Grid, fine: Grid) -> Grid:
    """Return the places in a coarse grid of the points that are nearest to those of a fine one.

    Parameters
    ----------
    coarse, fine : Grid
        Of one picture.

    Returns
    -------
    Grid
        Places in `coarse`, along each dimension; of two that are as near, the lower.

    Examples
    --------
    >>> nearest((np.array([0, 4, 6]),), (np.arange(7),))
    (array([0, 0, 0, 1, 1, 1, 2]),)
    """
    middles = [(points[1:] + points[:-1]) / 2 for points in coarse]
    return tuple(np.searchsorted(m, points) for m, points in zip(middles, fine, strict=True))


def points_within(cells: np.ndarray, coarse: Grid, fine: Grid) -> np.ndarray:
    """Find the points of a grid that lie in chosen cells of a coarser one, or on their edges.

    Parameters
    ----------
    cells : bool array
        Chosen cells of `coarse`.
    coarse, fine : Grid
        Of one picture.

    Returns
    -------
    bool array
        Over the points of `fine`.

    Examples
    --------
    >>> points_within(np.array([False, True]), (np.array([0, 4, 6]),), (np.arange(7),))
    array([False, False, False, False,  True,  True,  True])
    """
    sides = []
    for points, wanted in zip(coarse, fine, strict=True):
        last = len(points) - 2
        above = np.searchsorted(points, wanted, side="right") - 1
        below = np.searchsorted(points, wanted, side="left") - 1
        sides.append((np.clip(below, 0, last), np.clip(above, 0, last)))
    found = np.zeros([len(points) for points in fine], bool)
    for cell in itertools.product(*sides):
        found |= cells[np.ix_(*cell)]
    return found


def spacings(run: np.ndarray, grids: Sequence[tuple[int, Grid]]) -> np.ndarray:
    """Return how far apart the runs about each point of a picture are.

    Parameters
    ----------
    run : bool array
        Points that were run, all those of the first grid among them.
    grids : sequence of (stride, Grid)
        As `Refinement.grids` gives them.

    Returns
    -------
    uint16 array
        1 at points that were run; else the stride of the finest grid of which all corners of the
        cell about the point were run.

    Examples
    --------
    >>> grids = Refinement(stride=2).grids([17])
    >>> spacings(np.arange(17) % 2 == 0, grids)
    array([1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1], dtype=uint16)
    """
    found = np.empty(run.shape, np.uint16)
    every = grids[-1][1]
    for stride, grid in grids:
        known = run[np.ix_(*grid)]
        whole = ~boundary_cells(known) & known[tuple(slice(None, -1) for _ in grid)]
        cell = (
            np.clip(np.searchsorted(points, wanted, side="right") - 1, 0, len(points) - 2)
            for points, wanted in zip(grid, every, strict=True)
        )
        found[whole[np.ix_(*cell)]] = stride
    found[run] = 1
    return found


def corners(cells: np.ndarray) -> np.ndarray:
    """Return which points are corners of chosen cells; longer by one along each dimension.

    Examples
    --------
    >>> corners(np.array([False, True, False]))
    array([False,  True,  True, False])
    """
    found = np.zeros([n + 1 for n in cells.shape], bool)
    ends = (slice(None, -1), slice(1, None))
    for corner in itertools.product(ends, repeat=cells.ndim):
        found[corner] |= cells
    return found
