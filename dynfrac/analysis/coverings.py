"""How many boxes touch a set: counts over all positions of the grid, for every size at once.

The set is given by its elementary boxes, the cells or pixels that it touches, on a lattice of one,
two or three axes. A grid of boxes of side s can lie in s^N positions over them; their mean count is
the number of windows of side s that touch the set, divided by s^N. A window is counted by dilation,
so the cost of a size does not depend on the size.

Sixty-four cells of a row are the bits of one word (`dynfrac.analysis.bit_rows`), so that a dilation
is a shift and an `or` of words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from dynfrac.analysis.bit_rows import count_by_tile, pack_rows, shift_rows

SIZES_PER_OCTAVE = 4

_SMALL = 16
"""Boxes this many times smaller than a tile are counted in the tile of their centre."""


def box_sizes(largest: int) -> np.ndarray:
    """Box sides to count, in pixels: all small integers, then four to the octave.

    Parameters
    ----------
    largest : int
        None is larger; at least 1.

    Returns
    -------
    (S,) int array
        Ascending from 1, without repetitions. Between neighbours the factor is at most 2.

    Examples
    --------
    >>> box_sizes(16)
    array([ 1,  2,  3,  4,  5,  6,  7,  8, 10, 11, 13, 16])
    """
    n_steps = math.floor(SIZES_PER_OCTAVE * math.log2(largest) + 1e-9)
    return np.unique(np.rint(2 ** (np.arange(n_steps + 1) / SIZES_PER_OCTAVE)).astype(int))


def count_boxes(
    occupied: np.ndarray,
    sizes: np.ndarray,
    n_tiles: int,
    *,
    within: np.ndarray | None = None,
) -> np.ndarray:
    """Mean number of boxes that touch the set, over all positions of the grid, tile by tile.

    Parameters
    ----------
    occupied : bool array of 1 or more axes
        The elementary boxes that the set touches.
    sizes : (S,) int array
        Box sides, ascending from 1, each at most twice the one before.
    n_tiles : int
        Every axis is cut into so many parts.
    within : bool array like `occupied`, optional
        Count only boxes whose centre is here.

    Returns
    -------
    (n_tiles^N, S) float array
        The sum over the tiles is N(s).

    Raises
    ------
    ValueError
        If `sizes` does not start at 1 or leaves out more than a factor of two.

    Notes
    -----
    Every elementary box is the centre of one box of each size. What lies outside the picture is
    taken to be empty. Boxes that reach over the border are few, and so little of them is outside
    that a straight line through a picture of 1024 px gains 0.002 in dimension; to count only boxes
    inside would cost a margin of the picture, and improved no set that was tried.

    A box that lies in several tiles is shared among them in proportion to the cells of the set that
    it holds in each. If it belonged to the tile of its centre, a piece of the set beside the edge
    of a tile would lend its large boxes, but not its small ones, to the neighbour, and tiles would
    scatter in slope where the set does not. Shares are counted in blocks of a few cells, which
    changes no sum. (Boxes much smaller than a tile do belong to that of their centre.)

    Examples
    --------
    >>> line = np.zeros((8, 8), dtype=bool)
    >>> line[4] = True
    >>> count_boxes(line, np.array([1, 2, 4]), n_tiles=1)
    array([[8., 4., 2.]])
    """
    cuts = [np.linspace(0, length, n_tiles + 1).astype(int) for length in occupied.shape]
    inside = None if within is None else pack_rows(within)
    small = max(min(occupied.shape) / (_SMALL * n_tiles), 1)
    mass, block = occupied.view(np.uint8), 1
    counts = np.empty((n_tiles**occupied.ndim, len(sizes)))
    for k, (touched, start) in enumerate(sliding_windows(occupied, sizes)):
        if inside is not None:
            rows = tuple(slice(start, start + length) for length in occupied.shape[:-1])
            touched, start = shift_rows(touched[rows], start)[..., : inside.shape[-1]] & inside, 0
        by_centre = count_by_tile(touched, [start + cut for cut in cuts]).ravel()
        counts[:, k] = by_centre
        if n_tiles > 1 and sizes[k] > small:
            # At least four blocks to a box and to a tile.
            widest = min(sizes[k], min(occupied.shape) / n_tiles) / 4
            if block == 1 and widest >= 8:
                mass, block = _in_blocks_of_eight(occupied), 8
            while 2 * block <= widest:
                mass, block = _merged(mass, 2), 2 * block
            shares = _tile_shares(mass, max(round(sizes[k] / block), 1), [c / block for c in cuts])
            counts[:, k] = by_centre.sum() * shares
    return counts / sizes.astype(float) ** occupied.ndim


def _in_blocks_of_eight(occupied: np.ndarray) -> np.ndarray:
    """Count the cells of the set in blocks of 8 along every axis, along rows by their bytes."""
    rows = np.bitwise_count(np.packbits(occupied, axis=-1))
    return _merged(rows, 8, n_axes=occupied.ndim - 1)


def _merged(mass: np.ndarray, factor: int, n_axes: int | None = None) -> np.ndarray:
    """Add up `factor` neighbours along the first axes, all of them by default."""
    for axis in range(mass.ndim if n_axes is None else n_axes):
        starts = np.arange(0, mass.shape[axis], factor)
        mass = np.add.reduceat(mass, starts, axis=axis, dtype=np.int32)
    return mass


def _tile_shares(mass: np.ndarray, size: int, cuts: list[np.ndarray]) -> np.ndarray:
    """Return the share (n_tiles^N,) of each tile in the windows of `size` blocks that hold a set.

    Every window that is not empty is worth one, and gives each of its blocks the block's share of
    the mass in it.
    """
    held = _box_sums(mass.astype(np.int64), size)
    worth = np.divide(1.0, held, out=np.zeros(held.shape), where=held > 0)
    around = _box_sums(worth, size)[tuple(slice(size - 1, size - 1 + n) for n in mass.shape)]
    given = mass * around
    for axis, cut in enumerate(cuts):
        # A block belongs to the tile of its centre.
        firsts = np.searchsorted(np.arange(mass.shape[axis]) + 0.5, cut[:-1])
        given = np.add.reduceat(given, firsts, axis=axis)
    return given.ravel() / given.sum()


def _box_sums(values: np.ndarray, size: int) -> np.ndarray:
    """Add up all windows of `size` cells along every axis, those over the edge included."""
    for axis in range(values.ndim):
        pad = [(0, 0)] * values.ndim
        pad[axis] = (size, size - 1)
        total = np.cumsum(np.pad(values, pad), axis=axis)
        before = (slice(None),) * axis
        values = total[*before, size:] - total[*before, :-size]
    return values


def sliding_windows(occupied: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Find all windows that touch the set, size after size.

    Parameters
    ----------
    occupied : bool array of 1 or more axes
    sizes : (S,) int array
        Sides of the windows, ascending from 1, each at most twice the one before.

    Yields
    ------
    touched : uint64 array
        Rows of bits (`dynfrac.analysis.bit_rows`), one bit for each window.
    start : int
        The window with the first cell at its centre has this index along every axis, and the
        others follow.

    Raises
    ------
    ValueError
        If `sizes` does not start at 1 or leaves out more than a factor of two.

    Notes
    -----
    A window of side s is the union of the 2^N windows of side r >= s/2 in its corners, so each
    size follows from the one before in one pass along each axis. The centre of an even window is
    the first cell beyond its middle.
    """
    if sizes[0] != 1 or (sizes[1:] > 2 * sizes[:-1]).any():
        raise ValueError(f"sizes={sizes} leaves gaps; pass box_sizes(largest)")
    pad = int(sizes[-1]) // 2
    side, touched = 1, pack_rows(occupied, pad)
    for size in map(int, sizes):
        step = size - side
        if step:
            for axis in range(occupied.ndim - 1):
                last = touched.shape[axis] - step
                ahead = (slice(None),) * axis
                touched = touched[*ahead, :last] | touched[*ahead, step:]
            touched = touched | shift_rows(touched, step)
        side = size
        yield touched, pad - size // 2
