"""Pyramids: the outcomes of a scene, level by level, on disk.

**Every block is a sweep**, in a store of its own that `sweep`, `show` and `boxdim` take like any
other: tiles that the explorer computes and those of `sweep` are the same tiles.

Points of a level are points of the next one, bit for bit as long as both levels are one block.
Their outcomes are copied then and not run again.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import final

import numpy as np

from dynfrac.orbits.outcomes import Status
from dynfrac.sweeps.arrays import all_fields
from dynfrac.sweeps.filling import Block, tile_columns
from dynfrac.sweeps.locks import write_lock
from dynfrac.sweeps.plans import SweepPlan
from dynfrac.sweeps.specifications import mismatches
from dynfrac.sweeps.stores import Store, open_store
from dynfrac.sweeps.tiles import Tile
from dynfrac.systems.numerics import hparam_dtype
from dynfrac.web.levels import BLOCK_LEVELS, BlockKey, Levels, Part, TileKey, intervals
from dynfrac.web.scenes import Scene

_OPEN = 64
"""Stores that are kept open."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class OpenBlock:
    """A block that is on disk.

    Attributes
    ----------
    plan : SweepPlan
    store : Store
    points : tuple of array
        Of the axes, y first as in the store.
    """

    plan: SweepPlan
    store: Store
    points: tuple[np.ndarray, ...]


@final
class Pyramid:
    """The pyramid of a scene.

    Parameters
    ----------
    scene : Scene
    folder : Path
        Where its stores are, one for each block.
    """

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.folder = folder
        self.levels = Levels(scene)
        self._lock = threading.Lock()
        self._open: dict[BlockKey, OpenBlock] = {}
        # Asked of the same few blocks again and again, and not free: powers of ten.
        self._told_apart = functools.lru_cache(maxsize=1024)(self._resolve)

    def path(self, key: BlockKey) -> Path:
        """Return where the store of a block is or will be."""
        z, x, y = key
        return self.folder / f"{z:02}-{x}-{y}.zarr"

    def resolved(self, key: TileKey) -> bool:
        """Whether the type of the runs tells the points of a tile's block apart."""
        return self._told_apart(self.levels.place(key)[0])

    def read(self, key: TileKey, field: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Return a field and the status of a tile; None if it has not been computed.

        Raises
        ------
        ValueError
            If what is on disk is damaged or of another sweep.
        """
        block_key, (x, y) = self.levels.place(key)
        if not self.path(block_key).exists():
            return None
        store = self.block(block_key).store
        status = store.read_tile("status", (y, x))
        return (store.read_tile(field, (y, x)), status) if status.all() else None

    def compute(self, key: TileKey, on_progress: Callable[[int], None]) -> None:
        """Compute a tile and keep it.

        Parameters
        ----------
        key : TileKey
            Resolved.
        on_progress : callable
            Called with run-steps settled since the last call; may raise to give up.

        Raises
        ------
        ValueError, OSError
            If something else is under the name of the store, or it cannot be written to.
        """
        block_key, (x, y) = self.levels.place(key)
        block, cells = self.block(block_key), (y, x)
        store = block.store
        with write_lock(store.path, alone=False):
            values, known = self._known(block_key, block, cells)
            todo = ~known.ravel()
            if todo.any():
                columns = tile_columns(store, block.points, cells)
                wanted = {name: column[todo] for name, column in columns.items()}
                found = block.plan.job(wanted, on_progress)
                for name, array in values.items():
                    array.reshape(-1)[todo] = found[name]
            store.write(cells, values)
            first = [cell.start for cell in cells]
            store.log({"event": "tile", "first": first, "cells": known.size})

    def block(self, key: BlockKey) -> OpenBlock:
        """Open the store of a block, or make it.

        Raises
        ------
        ValueError, OSError
            As `compute`.
        """
        with self._lock:
            block = self._open.pop(key, None)
            if block is None or not block.store.path.exists():  # removed by its owner meanwhile
                block = self._enter(key)
            self._open[key] = block
            while len(self._open) > _OPEN:
                del self._open[next(iter(self._open))]
            return block

    def gather(self, z: int, part: Part) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
        """Return all fields of a part of a level, and the points along x and y.

        Parameters
        ----------
        z : int
        part : Part
            Points of the level, counted over all blocks.

        Returns
        -------
        fields : dict of str to (rows, columns) array
            Blank where nothing has been computed, as those of `Sweep` are: `status` 0, `t_escape`
            -1, the others not-a-number.
        points : list of two arrays
            Not-a-number where they are not told apart.
        """
        (x0, x1), (y0, y1) = ((span.start, span.stop) for span in part)
        shape = (y1 - y0, x1 - x0)
        kinds = all_fields({"specification": self.scene.plan.spec})
        fields = {
            name: np.full(shape, fill, kind)
            for name, (kind, fill, _) in kinds.items()
            if name in self.scene.fields
        }
        points = [np.full(x1 - x0, np.nan), np.full(y1 - y0, np.nan)]
        n = intervals(z)
        blocks = 1 << max(0, z - BLOCK_LEVELS)
        for by in range(y0 // n, min((y1 - 1) // n, blocks - 1) + 1):
            for bx in range(x0 // n, min((x1 - 1) // n, blocks - 1) + 1):
                axes = self.levels.block_axes((z, bx, by))
                if axes is None:
                    continue
                across, from_x = _overlap(part[0], bx * n, n + 1)
                along, from_y = _overlap(part[1], by * n, n + 1)
                points[0][across] = axes[0].points()[from_x]
                points[1][along] = axes[1].points()[from_y]
                if not self.path((z, bx, by)).exists():
                    continue
                store = self.block((z, bx, by)).store
                done = store.read_tile("status", (from_y, from_x)) != Status.PENDING
                for name, values in fields.items():
                    values[along, across][done] = store.read_tile(name, (from_y, from_x))[done]
        return fields, points

    def _resolve(self, key: BlockKey) -> bool:
        axes = self.levels.block_axes(key)
        kind = hparam_dtype(np.dtype(self.scene.plan.spec["dtype"]))
        return axes is not None and all(axis.resolved_in(kind) for axis in axes)

    def _enter(self, key: BlockKey) -> OpenBlock:
        axes = self.levels.block_axes(key)
        assert axes is not None, "only tiles that are resolved are computed"
        plan = self.scene.plan.along(axes)
        path = self.path(key)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                plan.create(path)
            except OSError:
                if not path.exists():  # or else another explorer was quicker
                    raise
        store = open_store(path)
        found = mismatches(store, plan.spec)
        if found:
            raise ValueError(
                f"{path} holds another sweep: {found}; start the explorer with another --out, or "
                f"remove {self.folder}"
            )
        return OpenBlock(plan, store, tuple(axis.points() for axis in reversed(axes)))

    def _known(self, key: BlockKey, block: OpenBlock, cells: Tile) -> tuple[Block, np.ndarray]:
        """Return arrays for a tile's fields, filled where the level above has the same points."""
        z, bx, by = key
        values = {name: block.store.read_tile(name, cells) for name in block.store.fields}
        known = np.zeros([cell.stop - cell.start for cell in cells], bool)
        if not 0 < z <= BLOCK_LEVELS or not self.path((z - 1, bx, by)).exists():
            return values, known
        above = self.block((z - 1, bx, by))
        parts = tuple(slice(-(-cell.start // 2), (cell.stop - 1) // 2 + 1) for cell in cells)
        here = tuple(
            slice(2 * part.start - cell.start, None, 2)
            for part, cell in zip(parts, cells, strict=True)
        )
        copied = above.store.read_tile("status", parts) != Status.PENDING
        for i, (cell, part) in enumerate(zip(cells, parts, strict=True)):
            same = block.points[i][cell][here[i]] == above.points[i][part]
            copied &= same[:, None] if i == 0 else same[None, :]
        for name, array in values.items():
            array[here][copied] = above.store.read_tile(name, parts)[copied]
        known[here] = copied
        return values, known


def _overlap(wanted: slice, start: int, n: int) -> tuple[slice, slice]:
    """Return which part of a range lies in a block, counted from either's beginning."""
    low, high = max(wanted.start, start), min(wanted.stop, start + n)
    return slice(low - wanted.start, high - wanted.start), slice(low - start, high - start)
