"""Filling the tiles of a store, in this process or by workers elsewhere.

One process writes, whoever computes: workers are sent points and send back outcomes. So a worker
that is lost loses the tile it was at and nothing else, and no two of them can disagree on disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, final

import jax
import numpy as np

from dynfrac.orbits.evaluator import Evaluator
from dynfrac.orbits.iteration import Progress
from dynfrac.orbits.rules import AbstractRule
from dynfrac.sweeps.stores import Store
from dynfrac.sweeps.tiles import Tile
from dynfrac.sweeps.workers import Workers
from dynfrac.systems.abstract import AbstractMap

Block = dict[str, np.ndarray]
"""What a tile's runs came to: an array for each field, one entry for each run."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class TileJob:
    """What all tiles of a sweep have in common; it can be pickled if the map can.

    Attributes
    ----------
    map_ : AbstractMap
    n_steps, every, rule, record, dtype, lanes
        As in `dynfrac.evaluate`.
    own_lengths : bool
        Whether each run has a length of its own.
    fixed : mapping of str to float
        Hyperparameters that are the same everywhere.
    """

    map_: AbstractMap
    n_steps: int
    every: int
    rule: AbstractRule
    record: tuple[str, ...]
    dtype: str
    lanes: int
    own_lengths: bool
    fixed: Mapping[str, float]

    @functools.cached_property
    def evaluator(self) -> Evaluator:
        """The evaluator, made once."""
        return Evaluator(
            self.map_,
            n_steps=self.n_steps,
            every=self.every,
            rule=self.rule,
            record=self.record,
            dtype=self.dtype,
            lanes=self.lanes,
            own_lengths=self.own_lengths,
        )

    def try_out(self, point: Mapping[str, float]) -> None:
        """Take the shortest run there is: it compiles, and shows a map that does not work."""
        short = dataclasses.replace(self, n_steps=self.every, own_lengths=False)
        short.evaluator({**self.fixed, **point})

    def __call__(self, columns: Mapping[str, np.ndarray], on_progress: Any = None) -> Block:
        """Run all points of a tile."""
        outcomes = self.evaluator({**self.fixed, **columns}, on_progress=on_progress)
        return {**vars(outcomes), **outcomes.metrics}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the evaluator, which holds compiled programs."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def fill(
    store: Store,
    tiles: Sequence[Tile],
    job: TileJob,
    workers: Workers | None,
    on_progress: Progress | None,
) -> None:
    """Compute the given tiles and write each as soon as it is there.

    Parameters
    ----------
    store : Store
    tiles : sequence of Tile
    job : TileJob
    workers : Workers or None
        None computes in this process.
    on_progress : callable or None
        Called with the run-steps settled and those to settle.

    Raises
    ------
    KeyboardInterrupt
        With a message that says what is kept.
    ChildProcessError, ConnectionError
        If workers are lost again and again.
    ValueError
        If they compute on another kind of device.
    """
    sizes = {tile_key(cells): math.prod(c.stop - c.start for c in cells) for cells in tiles}
    total = sum(sizes.values()) * job.n_steps
    settled = 0

    def report(steps: int) -> None:
        nonlocal settled
        settled += steps
        if on_progress is not None:
            on_progress(settled, total)

    points = [store.read(name) for name in store.dimensions]
    tasks = ((cells, tile_columns(store, points, cells)) for cells in tiles)
    kept = math.prod(store.shape) - sum(sizes.values())
    try:
        # Closed here, not when it is collected: workers must be gone before the message is out.
        with contextlib.closing(run_tasks(tasks, job, workers, report)) as blocks:
            for cells, values in blocks:
                shape = tuple(cell.stop - cell.start for cell in cells)
                store.write(cells, {name: values[name].reshape(shape) for name in store.fields})
                size = sizes[tile_key(cells)]
                kept += size
                first = [cell.start for cell in cells]
                store.log({"event": "tile", "first": first, "cells": size})
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{kept} of {math.prod(store.shape)} cells are kept in {store.path}; "
            "run the same command again to resume"
        ) from None


def tile_key(cells: Tile) -> tuple[int, ...]:
    """Return the first cell of a tile, which names it."""
    return tuple(cell.start for cell in cells)


def run_tasks(
    tasks: Iterable[tuple[Any, dict[str, np.ndarray]]],
    job: TileJob,
    workers: Workers | None,
    report: Callable[[int], None],
) -> Generator[tuple[Any, Block]]:
    """Run what is asked for, and yield each task's key and outcomes as they come.

    Parameters
    ----------
    tasks : iterable of (key, columns)
        Keys name the tasks; columns are the hyperparameters of its runs.
    job : TileJob
    workers : Workers or None
        None computes in this process, one task after the other.
    report : callable
        Called with the run-steps settled since the last call.

    Raises
    ------
    ChildProcessError, ConnectionError
        If workers are lost again and again.
    ValueError
        If they compute on another kind of device.
    """
    if workers is None:
        for key, columns in tasks:
            yield key, job(columns, report)
        return
    here = jax.devices()[0].device_kind
    with contextlib.closing(workers.run(job, tasks)) as results:
        for key, block, device in results:
            if device != here:
                raise ValueError(
                    f"workers compute on {device!r} and this process on {here!r}, which round "
                    "differently; start the sweep on a machine of the workers' kind"
                )
            report(job.n_steps * len(block["status"]))
            yield key, block


def tile_columns(store: Store, points: Sequence[np.ndarray], cells: Tile) -> dict[str, np.ndarray]:
    """Return the hyperparameters of a tile's runs."""
    ranges = [values[cell] for values, cell in zip(points, cells, strict=True)]
    grid = np.meshgrid(*ranges, indexing="ij")
    return {name: values.ravel() for name, values in zip(store.dimensions, grid, strict=True)}
