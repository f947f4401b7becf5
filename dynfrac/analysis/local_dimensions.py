"""Map of the local dimension of a boundary: where in a picture it is rough, and where smooth.

One box dimension is a mixture, dominated by the roughest part. Here the count is taken in a
neighbourhood that slides over the picture, over a fixed range of box sizes, so that neighbouring
values can be compared. A value is a local slope over few octaves in a small part of the set: maps
show contrasts, and are no substitute for the dimension of a part with its interval.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from dynfrac.analysis.bit_rows import count_by_tile, unpack_rows
from dynfrac.analysis.coverings import box_sizes, sliding_windows
from dynfrac.analysis.labels import as_labels, as_mask, boundary_cells
from dynfrac.analysis.scaling import MIN_POINTS, Window, slope_weights

MAX_SIDE = 512
"""Values along an axis; larger pictures have one value for a block of pixels."""
MIN_SIDE = 64
"""Shortest side of a picture, in pixels."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class LocalDimension:
    """Local box dimensions over a picture.

    Attributes
    ----------
    values : (my, mx) float array
        Slope in the neighbourhood of each block of pixels; not-a-number where no box of the
        largest size around the block touches the set.
    step : int
        Pixels along the side of a block; value (i, j) is at pixel `step * (i + 1/2)`.
    neighbourhood : int
        Side of the neighbourhood in pixels.
    window : tuple of two floats
        Smallest and largest box side fitted, in pixels.
    shape : tuple of two ints
        Of the cells or pixels that the set was looked for in: (ny - 1, nx - 1) for labels.
    flags : tuple of str
        Plain sentences.
    """

    values: np.ndarray
    step: int
    neighbourhood: int
    window: Window
    shape: tuple[int, ...]
    flags: tuple[str, ...] = ()

    def over_cells(self) -> np.ndarray:
        """Return one value for each cell: the array (ny, nx) of `shape`, constant over blocks."""
        rows, columns = self.shape
        return np.kron(self.values, np.ones((self.step, self.step)))[:rows, :columns]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the values, and their quartiles."""
        seen = self.values[np.isfinite(self.values)]
        quartiles = np.percentile(seen, (25, 50, 75)).tolist() if seen.size else [None] * 3
        return {
            "quartiles": quartiles,
            "step": self.step,
            "neighbourhood": self.neighbourhood,
            "window": list(self.window),
            "shape": list(self.shape),
            "flags": list(self.flags),
        }


def local_dimension(
    labels: ArrayLike,
    *,
    mask: bool = False,
    threshold: float | None = None,
    window: Window | None = None,
    neighbourhood: int | None = None,
) -> LocalDimension:
    """Box dimension in sliding neighbourhoods of a picture.

    Parameters
    ----------
    labels : (ny, nx) array
        As in `dynfrac.analysis.boxes.box_dimension`.
    mask : bool
        Take the non-zero pixels themselves for the set.
    threshold : float, optional
        Separate the pixels above it from the others first.
    window : tuple of two floats, optional
        Smallest and largest box side to fit, in pixels, at most half the neighbourhood.
        Default: 2 px to a quarter of the neighbourhood.
    neighbourhood : int, optional
        Side of the neighbourhood, in pixels, at least 16. Default: an eighth of the shorter side,
        at least 32.

    Returns
    -------
    LocalDimension
        All not-a-number, with the reason in `flags`, if there is no boundary.

    Raises
    ------
    ValueError
        If `labels` is not a picture of at least 64 px, or `window` or `neighbourhood` is out of
        range or holds fewer than four sizes.

    Notes
    -----
    N(s) is the number of boxes whose centre is in the neighbourhood, averaged over all positions of
    the grid, and the value minus the slope of ln N by least squares. A piece of smooth curve that
    ends, or enters, near the edge of a neighbourhood reads up to some tenths below or above one
    there, since large boxes reach it and small ones do not; blocks are drawn as far from the
    boundary as the largest box reaches, and the values along the boundary itself are the best.

    Examples
    --------
    >>> y, x = np.mgrid[-1:1:256j, -1:1:256j]
    >>> local = local_dimension(x**2 + y**2 < 0.5)
    >>> round(float(np.nanmedian(local.values)), 1), local.window
    (1.0, (2.0, 8.0))
    """
    picture = (as_mask if mask else as_labels)(labels, threshold=threshold)
    if picture.ndim != 2 or min(picture.shape) < MIN_SIDE:
        raise ValueError(
            f"the picture has shape {picture.shape}; a map needs two axes of at least {MIN_SIDE} px"
        )
    if neighbourhood is None:
        neighbourhood = max(32, min(picture.shape) // 8)
    low, high = window = (2.0, neighbourhood / 4) if window is None else window
    if not 16 <= neighbourhood <= min(picture.shape):
        raise ValueError(
            f"neighbourhood={neighbourhood} does not fit; pass 16 to {min(picture.shape)} px"
        )
    if not 1 <= low < high <= neighbourhood / 2:
        raise ValueError(
            f"window=({low:g}, {high:g}) is not a range of box sides; pass 1 <= low < high <= "
            f"{neighbourhood / 2:g} px, half of the neighbourhood"
        )
    sizes = box_sizes(math.floor(high))
    fitted = slope_weights(sizes, window)
    if not np.isfinite(fitted).all():
        raise ValueError(
            f"window=({low:g}, {high:g}) holds fewer than {MIN_POINTS} box sizes; widen it"
        )
    occupied = picture if mask else boundary_cells(picture)
    step = max(1, math.ceil(max(occupied.shape) / MAX_SIDE))
    cuts = [np.append(np.arange(0, n, step), n) for n in occupied.shape]
    slopes = np.zeros([len(cut) - 1 for cut in cuts])
    near = np.zeros(slopes.shape, bool)
    radius = max(1, round(neighbourhood / step / 2))
    for size, weight, (touched, start) in zip(
        sizes.tolist(), fitted, sliding_windows(occupied, sizes), strict=True
    ):
        if step == 1:
            blocks = unpack_rows(touched, occupied.shape, start).astype(np.int64)
        else:
            blocks = count_by_tile(touched, [start + cut for cut in cuts])
        near = blocks > 0
        if weight:
            with np.errstate(divide="ignore", invalid="ignore"):  # nothing near: not drawn
                slopes -= weight * np.log(_sums_around(blocks, radius) / size**2)
    drawn = np.where(near & np.isfinite(slopes), slopes, np.nan)
    flags = () if near.any() else ("there is no boundary: nothing touches a box",)
    return LocalDimension(drawn, step, neighbourhood, (low, high), occupied.shape, flags)


def _sums_around(blocks: np.ndarray, radius: int) -> np.ndarray:
    """Add up the blocks at most `radius` away along every axis, those inside the picture."""
    for axis, length in enumerate(blocks.shape):
        pad = [(0, 0)] * blocks.ndim
        pad[axis] = (1, 0)
        total = np.cumsum(np.pad(blocks, pad), axis=axis)
        places = np.arange(length)
        ends = np.minimum(places + radius + 1, length), np.maximum(places - radius, 0)
        blocks = total.take(ends[0], axis=axis) - total.take(ends[1], axis=axis)
    return blocks
