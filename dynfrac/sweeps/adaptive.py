"""Adaptive pictures: runs only where the boundary is, and the outcome of the nearest run elsewhere.

The picture is run on a coarse grid, then on grids of half the stride, each time only near the
boundary as the last one showed it. On every grid the boundary is followed as well: a cell that it
crosses has all its corners run. So every cell of the boundary that the picture shows is one of the
dense picture too; what it can miss are islands.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, final

import numpy as np

from dynfrac.analysis.labels import boundary_cells
from dynfrac.orbits.iteration import Progress
from dynfrac.orbits.outcomes import Status
from dynfrac.sweeps.arrays import RUN, was_run
from dynfrac.sweeps.filling import Block, TileJob, run_tasks
from dynfrac.sweeps.refinement import (
    Grid,
    Refinement,
    corners,
    nearest,
    points_within,
    spacings,
)
from dynfrac.sweeps.stores import Store
from dynfrac.sweeps.tiles import Tile, cut
from dynfrac.sweeps.workers import Workers

_AT_ONCE = 64
"""Tiles that are filled in together, so that the disk is waited for once."""


def fill_adaptively(
    store: Store,
    job: TileJob,
    refinement: Refinement,
    workers: Workers | None,
    on_progress: Progress | None,
) -> int:
    """Run what the boundary needs, and give every other cell the outcome of the nearest run.

    Which cells are run follows from the labels alone, so that a picture that was interrupted comes
    out as if it had not been.

    Parameters
    ----------
    store : Store
        Of an adaptive sweep.
    job : TileJob
    refinement : Refinement
    workers : Workers or None
        None computes in this process.
    on_progress : callable or None
        Called with run-steps settled and those to settle, cells that are not run included. How
        many runs there will be is not known, so this is a guess until the end.

    Returns
    -------
    int
        The runs that were done now.

    Raises
    ------
    KeyboardInterrupt
        With a message that says what is kept.
    ChildProcessError, ConnectionError, ValueError
        As `dynfrac.sweeps.filling.fill`.
    """
    picture = _Picture(store, job, workers)
    before = int(picture.run.sum())
    grids = refinement.grids(store.shape)
    progress = _Progress(on_progress, len(grids), math.prod(store.shape) * job.n_steps)
    try:
        (stride, grid), *finer = grids
        whole = np.ones([len(points) for points in grid], bool)
        labels = picture.look(grid, whole, whole, progress)
        store.log({"event": "pass", "stride": stride, "runs": int(picture.run.sum())})
        for stride, fine in finer:
            near = points_within(refinement.near_boundary(labels), grid, fine)
            guess = labels[np.ix_(*nearest(grid, fine))]
            labels = picture.look(fine, guess, near, progress)
            store.log({"event": "pass", "stride": stride, "runs": int(picture.run.sum())})
            grid = fine
        picture.fill_in(grids)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{picture.run.sum()} runs are kept in {store.path}; run the same command again to "
            "resume"
        ) from None
    progress.finish()
    return int(picture.run.sum()) - before


@final
class _Progress:
    """Progress of passes of which each is expected to take twice as long as the one before."""

    def __init__(self, on_progress: Progress | None, n_passes: int, total: int) -> None:
        self._call = on_progress or (lambda done, total: None)
        self._total = total
        self._share = 1 / (2**n_passes - 1)
        self._begun = 0.0

    @contextlib.contextmanager
    def one_pass(self, steps: int) -> Iterator[Callable[[int], None]]:
        """Yield what is to be called with the run-steps settled of the `steps` first asked for."""
        settled = 0

        def report(more: int) -> None:
            nonlocal settled
            settled += more
            # More than was asked for first if the boundary led on.
            part = settled / (settled + max(steps - settled, 0.05 * settled, 1))
            self._call(int((self._begun + part * self._share) * self._total), self._total)

        yield report
        self._begun += self._share
        self._share *= 2

    def finish(self) -> None:
        self._call(self._total, self._total)


@final
class _Picture:
    """What of a picture has been run, in memory and on disk.

    Attributes
    ----------
    run : bool array
        Cells that were run.
    labels : bool array
        Their labels; of no meaning elsewhere.
    """

    def __init__(self, store: Store, job: TileJob, workers: Workers | None) -> None:
        self.store = store
        self.job = job
        self.workers = workers
        status = store.read("status")
        self.run = was_run(status, store.read("stride"))
        self.labels = status == Status.CONVERGED
        self._points = [store.read(name) for name in store.dimensions]

    def look(
        self, grid: Grid, guess: np.ndarray, wanted: np.ndarray, progress: _Progress
    ) -> np.ndarray:
        """Run points of a grid, follow the boundary, and return the labels of the grid.

        Parameters
        ----------
        grid : Grid
        guess : bool array
            Labels of the grid's points where they are not run.
        wanted : bool array
            Points to run.
        """
        at = np.ix_(*grid)
        labels = np.where(self.run[at], self.labels[at], guess)
        missing = wanted & ~self.run[at]
        with progress.one_pass(int(missing.sum()) * self.job.n_steps) as report:
            while missing.any():
                places = tuple(p[i] for p, i in zip(grid, np.nonzero(missing), strict=True))
                self._run_cells(places, report)
                labels[missing] = self.labels[places]
                missing = corners(boundary_cells(labels)) & ~self.run[at]
        return labels

    def fill_in(self, grids: list[tuple[int, Grid]]) -> None:
        """Give the cells that were not run the outcome of the nearest run, tile by tile."""
        every = grids[-1][1]
        steps = [
            tuple(points[at] for points, at in zip(grid, nearest(grid, every), strict=True))
            for _, grid in reversed(grids[:-1])
        ]
        stride = spacings(self.run, grids)
        blocks = []
        for cells in cut(self.store.shape, self.store.tile):
            if self.store.read_tile("status", cells).all():
                continue
            places = np.indices([c.stop - c.start for c in cells])
            places += np.reshape([c.start for c in cells], (-1,) + (1,) * len(cells))
            for near in steps:
                blank = ~self.run[tuple(places)]
                for i, along in enumerate(near):
                    places[i][blank] = along[places[i][blank]]
            blocks.append((cells, {**self._values_at(places), "stride": stride[cells]}))
            if len(blocks) == _AT_ONCE:
                self.store.write_all(blocks)
                blocks.clear()
        self.store.write_all(blocks)

    def _values_at(self, places: np.ndarray) -> Block:
        """Return all fields at cells that may lie in several tiles."""
        box = tuple(slice(int(p.min()), int(p.max()) + 1) for p in places)
        inside = tuple(p - b.start for p, b in zip(places, box, strict=True))
        return {name: self.store.read_tile(name, box)[inside] for name in self.store.fields}

    def _run_cells(self, places: tuple[np.ndarray, ...], report: Any) -> None:
        """Run cells and write them into their tiles; a task has at most a tile's worth of runs."""
        edges = np.reshape(self.store.tile, (-1, 1))
        tiles = np.asarray(places) // edges
        order = np.lexsort(tiles[::-1])
        tiles = tiles[:, order]
        where = np.asarray(places)[:, order]
        starts = np.flatnonzero(np.diff(tiles, prepend=-1).any(0))
        ends = [*starts[1:].tolist(), len(order)]
        tasks = self._tasks(where, starts.tolist(), ends)
        with contextlib.closing(run_tasks(tasks, self.job, self.workers, report)) as results:
            for parts, values in results:
                values = {**values, "stride": np.full(len(values["status"]), RUN, np.uint16)}
                first = parts[0].start
                blocks = []
                for part in parts:
                    inside = slice(part.start - first, part.stop - first)
                    of_tile = {name: values[name][inside] for name in self.store.fields}
                    blocks.append(self._merged(where[:, part], of_tile))
                self.store.write_all(blocks)
                done = tuple(where[:, first : parts[-1].stop])
                self.run[done] = True
                self.labels[done] = values["status"] == Status.CONVERGED

    def _tasks(
        self, where: np.ndarray, starts: list[int], ends: list[int]
    ) -> Iterator[tuple[tuple[slice, ...], dict[str, np.ndarray]]]:
        """Yield tasks: the ranges of cells, one for each tile, and their hyperparameters."""
        most = math.prod(self.store.tile)
        parts: list[slice] = []
        for part in itertools.starmap(slice, zip(starts, ends, strict=True)):
            if parts and part.stop - parts[0].start > most:
                yield self._task(where, parts)
                parts = []
            parts.append(part)
        yield self._task(where, parts)

    def _task(
        self, where: np.ndarray, parts: list[slice]
    ) -> tuple[tuple[slice, ...], dict[str, np.ndarray]]:
        cells = where[:, parts[0].start : parts[-1].stop]
        named = zip(self.store.dimensions, self._points, cells, strict=True)
        return tuple(parts), {name: points[at] for name, points, at in named}

    def _merged(self, places: np.ndarray, values: Block) -> tuple[Tile, Block]:
        """Return the tile that cells are of, and what it holds with their values put in."""
        cells = tuple(
            slice(int(p) // edge * edge, min((int(p) // edge + 1) * edge, n))
            for p, edge, n in zip(places[:, 0], self.store.tile, self.store.shape, strict=True)
        )
        inside = tuple(p - c.start for p, c in zip(places, cells, strict=True))
        block = {name: self.store.read_tile(name, cells).copy() for name in self.store.fields}
        for name, array in block.items():
            array[inside] = values[name]
        return cells, block
