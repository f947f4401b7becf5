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


def count_boxes(occupied: np.ndarray, sizes: np.ndarray, n_tiles: int) -> np.ndarray:
    """Mean number of boxes that touch the set, over all positions of the grid, tile by tile.

    Parameters
    ----------
    occupied : bool array of 1 or more axes
        The elementary boxes that the set touches.
    sizes : (S,) int array
        Box sides, ascending from 1, each at most twice the one before.
    n_tiles : int
        Every axis is cut into so many parts.

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
    A box belongs to the tile that holds its centre, and every elementary box is the centre of one
    box of each size. What lies outside the picture is taken to be empty. Boxes that reach over the
    border are few, and so little of them is outside that a straight line through a picture of
    1024 px gains 0.002 in dimension; to count only boxes inside would cost a margin of the picture,
    and improved no set that was tried.

    Examples
    --------
    >>> line = np.zeros((8, 8), dtype=bool)
    >>> line[4] = True
    >>> count_boxes(line, np.array([1, 2, 4]), n_tiles=1)
    array([[8., 4., 2.]])
    """
    cuts = [np.linspace(0, length, n_tiles + 1).astype(int) for length in occupied.shape]
    counts = np.empty((n_tiles**occupied.ndim, len(sizes)))
    for k, (touched, start) in enumerate(sliding_windows(occupied, sizes)):
        counts[:, k] = count_by_tile(touched, [start + cut for cut in cuts]).ravel()
    return counts / sizes.astype(float) ** occupied.ndim


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
