"""Zooms: pictures of one place, each a part of the one before, as deep as numbers reach.

Every frame is a sweep, kept in its own store, resumed, shown and measured like any other.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.labels import boundary_cells
from dynfrac.orbits.axes import Axis
from dynfrac.sweeps.results import Sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import choose_dtype, hparam_dtype

_SMOOTH = 1.05
"""Box dimension up to which a boundary is taken for smooth."""

ZoomProgress = Callable[[int, int, int], None]
"""Called with the number of the frame, and its run-steps settled and to settle."""


@final
@dataclasses.dataclass(frozen=True)
class ZoomFrame:
    """One picture of a zoom.

    Attributes
    ----------
    sweep : Sweep
    boundary : float
        Share of the cells that the boundary crosses.
    dimension : Estimate
        Box dimension of the boundary in this frame.
    """

    sweep: Sweep
    boundary: float
    dimension: Estimate


@final
@dataclasses.dataclass(frozen=True)
class Zoom:
    """A sequence of frames.

    Attributes
    ----------
    path : Path
        The folder of the frames' stores, ``000.zarr`` and on.
    frames : tuple of ZoomFrame
    factor : float
        How many times shorter every axis is from frame to frame, in the units of its scale.
    ended : str
        Why there are no more frames, in a sentence.
    flags : tuple of str
        Reservations, in sentences.
    """

    path: Path
    frames: tuple[ZoomFrame, ...]
    factor: float
    ended: str
    flags: tuple[str, ...]


def zoom(
    map_: AbstractMap,
    axes: Sequence[Axis],
    *,
    out: str | os.PathLike[str],
    frames: int = 10,
    factor: float = 2.0,
    at: Mapping[str, float] | None = None,
    on_progress: ZoomProgress | None = None,
    **settings: Any,
) -> Zoom:
    """Sweep a window, then a part of it, and so on.

    Parameters
    ----------
    map_ : AbstractMap
    axes : sequence of Axis
        Two, x first, with their numbers of points: the first frame.
    out : path
        The folder for the frames; new, or that of an earlier call.
    frames : int, default 10
        How many at most.
    factor : float, default 2
        How many times shorter the axes become from frame to frame, more than 1.
    at : mapping of str to float, optional
        The place to zoom into, a value for each axis. Absent: every frame is the part of the one
        before that has the most cells with the boundary in them.
    on_progress : callable, optional
        Called with the number of the frame and its run-steps settled and to settle.
    **settings
        As for `dynfrac.sweep`: `n_steps`, `rule`, `adaptive`, `workers` and so on.

    Returns
    -------
    Zoom
        It ends early where neighbouring points can no longer be told apart in the map's type, or
        where a frame shows no boundary; `ended` says so.

    Raises
    ------
    ValueError
        For arguments out of range, and as `dynfrac.sweep`.
    KeyboardInterrupt
        With a message; the same call goes on.

    Notes
    -----
    With a fixed number of steps a boundary is smooth at small scales, where no run has had the time
    to stretch its neighbourhood: the deeper the zoom, the longer the runs should be. Frames where
    that has happened have dimension 1.

    Following the most boundary is a biased choice: dimensions along such a zoom are those of its
    roughest places, not of the boundary as a whole, for which `dynfrac.boundary_dimension` is made.

    Examples
    --------
    >>> import tempfile
    >>> from dynfrac.systems.complex_maps import Quadratic
    >>> axes = Axis("c_re", -2, 0.5, 64), Axis("c_im", -1.2, 1.2, 64)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = zoom(Quadratic(), axes, out=folder, frames=3, n_steps=50, rule="bounded:2")
    >>> [round(frame.sweep.axes[0].high - frame.sweep.axes[0].low, 3) for frame in found.frames]
    [2.5, 1.25, 0.625]
    """
    window: tuple[Axis, ...] | None = _check(axes, frames, factor, at)
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder for the frames")
    kind = hparam_dtype(np.dtype(choose_dtype(map_, settings.get("dtype"))))
    made: list[ZoomFrame] = []
    ended = f"{frames} frames were asked for"
    for i in range(frames):
        if window is None or not all(axis.resolved_in(kind) for axis in window):
            ended = (
                f"frame {i} would be finer than {kind} can tell neighbouring points apart: this is "
                "as deep as it goes"
            )
            break
        folder.mkdir(parents=True, exist_ok=True)
        done = sweep(
            map_,
            window,
            out=folder / f"{i:03}.zarr",
            on_progress=None if on_progress is None else _numbered(on_progress, i),
            **settings,
        )
        crossed = boundary_cells(done.labels)
        made.append(ZoomFrame(done, float(crossed.mean()), box_dimension(done.labels)))
        if not crossed.any():
            ended = f"frame {i} shows no boundary"
            break
        if at is None:
            centre = _richest(crossed, factor)
        else:
            centre = [axis.position(at[axis.name]) for axis in window]
        window = _about(window, centre, factor)
    if not made:
        raise ValueError(f"the window is too narrow for {kind}: {ended}; give a wider one")
    return Zoom(folder, tuple(made), factor, ended, _flags(made))


def _check(
    axes: Sequence[Axis], frames: int, factor: float, at: Mapping[str, float] | None
) -> tuple[Axis, ...]:
    if len(axes) != 2:
        raise ValueError(f"{len(axes)} axes were given; a zoom has two")
    if frames < 1:
        raise ValueError(f"frames={frames} must be at least 1")
    if not (math.isfinite(factor) and factor > 1):
        raise ValueError(f"factor={factor} must be a number above 1")
    for axis in axes:
        if axis.is_whole:
            raise ValueError(f"{axis.name} counts in whole numbers, into which no zoom leads")
        if at is None:
            continue
        if axis.name not in at:
            raise ValueError(f"at has no value for {axis.name}; give one for each axis")
        if not axis.low <= at[axis.name] <= axis.high:
            raise ValueError(
                f"at {axis.name}={at[axis.name]:g} is outside the axis; give a value from "
                f"{axis.low:g} to {axis.high:g}"
            )
    names = [axis.name for axis in axes]
    for name in at or ():
        if name not in names:
            raise ValueError(f"at has {name}, which is no axis; the axes are {' and '.join(names)}")
    return tuple(axes)


def _numbered(on_progress: ZoomProgress, frame: int) -> Callable[[int, int], None]:
    return lambda done, total: on_progress(frame, done, total)


def _richest(crossed: np.ndarray, factor: float) -> list[float]:
    """Return the middle of that part, of the next frame's size, with the most crossed cells.

    Returns
    -------
    list of float
        Its place along x and along y, 0 to 1.
    """
    rows, columns = (max(1, round(n / factor)) for n in crossed.shape)
    sums = np.pad(crossed.astype(np.int64), [(1, 0), (1, 0)]).cumsum(0).cumsum(1)
    counts = sums[rows:, columns:] - sums[:-rows, columns:]
    counts += sums[:-rows, :-columns] - sums[rows:, :-columns]
    # Of several as rich, that nearest to the middle.
    middle = [(n - 1) / 2 for n in counts.shape]
    places = np.argwhere(counts == counts.max())
    row, column = places[np.hypot(*(places - middle).T).argmin()]
    n_rows, n_columns = crossed.shape
    return [(column + columns / 2) / n_columns, (row + rows / 2) / n_rows]


def _about(axes: Sequence[Axis], centre: Sequence[float], factor: float) -> tuple[Axis, ...] | None:
    """Return axes that are `factor` times shorter and lie about a place, within the old ones.

    None if they would have no length at all.
    """
    shorter = []
    for axis, at in zip(axes, centre, strict=True):
        start = min(max(at - 0.5 / factor, 0.0), 1 - 1 / factor)
        ends = axis.values(np.array([start, start + 1 / factor]))
        # Rounding must not lead out of the frame before.
        low, high = np.clip(ends, axis.low, axis.high).tolist()
        if not low < high:
            return None
        shorter.append(dataclasses.replace(axis, low=low, high=high))
    return tuple(shorter)


def _flags(frames: Sequence[ZoomFrame]) -> tuple[str, ...]:
    flags = list(frames[0].sweep.flags)
    measured = [i for i, frame in enumerate(frames) if frame.dimension.has_value]
    rough = [i for i in measured if frames[i].dimension.value > _SMOOTH]
    smooth = [i for i in measured if i > max(rough, default=-1)]
    if smooth:
        flags.append(
            f"from frame {smooth[0]} on the boundary reads at most {_SMOOTH}, as a smooth line "
            "does: runs of this length have not folded it at these scales; take more steps"
        )
    return tuple(flags)
