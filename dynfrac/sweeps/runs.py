"""Sweeps: run a map on a grid of hyperparameters, tile by tile, into a store on disk.

`sweep` may be interrupted or killed at any moment and called again with the same arguments: tiles
that are finished are kept, the rest is computed, and the arrays come out as if nothing had
happened, byte for byte.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.iteration import Progress
from dynfrac.orbits.rules import AbstractRule
from dynfrac.sweeps.adaptive import fill_adaptively
from dynfrac.sweeps.clocks import stopwatch
from dynfrac.sweeps.filling import fill
from dynfrac.sweeps.locks import write_lock
from dynfrac.sweeps.plans import plan_sweep
from dynfrac.sweeps.processes import ProcessWorkers
from dynfrac.sweeps.refinement import Refinement
from dynfrac.sweeps.results import Sweep, open_sweep
from dynfrac.sweeps.specifications import (
    PACKAGES,
    refuse_another,
)
from dynfrac.sweeps.stores import check_space, open_store
from dynfrac.sweeps.tiles import cut
from dynfrac.sweeps.workers import Workers
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.provenance import git_state, versions


def sweep(
    map_: AbstractMap,
    axes: Sequence[Axis],
    *,
    n_steps: int | None = None,
    out: str | os.PathLike[str],
    hparams: Mapping[str, float] | None = None,
    rule: str | AbstractRule | None = None,
    every: int = 1,
    record: Sequence[str] = (),
    dtype: str | None = None,
    lanes: int | None = None,
    tile: int | None = None,
    adaptive: bool | Refinement = False,
    workers: int | Workers = 1,
    identity: Mapping[str, Any] | None = None,
    on_progress: Progress | None = None,
) -> Sweep:
    """Run a map at every point of a grid and keep the outcomes on disk; resume if they exist.

    Parameters
    ----------
    map_ : AbstractMap
        A map, or a training as a map.
    axes : sequence of Axis
        One, two or three, x first, each with its number of points. Besides hyperparameters,
        ``n_steps`` may be one: runs of different lengths.
    n_steps : int
        Steps of each run, at least 1 and a multiple of `every`; absent where it is an axis.
    out : path
        Where the store is or will be: a folder that does not exist yet, or an earlier call's.
    hparams : mapping of str to float, optional
        Hyperparameters that are the same everywhere and not the map's defaults.
    rule : str or AbstractRule, optional
        Outcome rule; the map's own, else the published one, when absent.
    every : int, default 1
        Steps per recorded loss, as in `dynfrac.evaluate`.
    record : sequence of str
        Metrics of the map, such as ``"test_loss"``, to keep of every run, or ``"lyapunov"``, the
        largest finite-time exponent, as in `dynfrac.evaluate`.
    dtype : {"float64", "float32", "bfloat16"}, optional
        The map's preferred one, else float64, when absent.
    lanes : int, optional
        Runs per batch of the evaluator.
    tile : int, optional
        At most so many runs form a tile, the unit that is lost when a sweep is killed. Chosen by
        the size of the map and `n_steps` when absent.
    adaptive : bool or Refinement, default False
        Run only what the boundary needs and give the other cells the outcome of the nearest run:
        `Sweep.was_run` tells which. True is ``Refinement()``. Every boundary cell of the picture
        is one of the dense picture too, and islands may be missed.
    workers : int or Workers, default 1
        More than one: so many processes compute tiles, with equal shares of the processors. Or
        workers elsewhere, such as `dynfrac.sweeps.clusters.connect` gives. They change no byte.
    identity : mapping, optional
        What the map is, in plain JSON values: the name and the arguments it was made from.
    on_progress : callable, optional
        Called with the run-steps settled and those to settle, from (0, total) on. A resumed sweep
        counts only what is left, and makes no call if that is nothing. Of an adaptive sweep this
        is a guess, in units of the whole picture.

    Returns
    -------
    Sweep
        With no pending cell.

    Raises
    ------
    ValueError
        Before anything is written: for wrong axes, names or numbers, a grid that the disk cannot
        hold, a folder that is not a sweep or is damaged, or a sweep with another specification.
    OSError
        If `out` cannot be created or written to, or something else is writing to it, and one of
        the two is an adaptive sweep or a repair.
    ChildProcessError, ConnectionError
        If workers are lost again and again, or their cluster is.
    KeyboardInterrupt
        With a message that says what is kept and how to go on.

    Notes
    -----
    Outcomes are exactly those of `dynfrac.evaluate` at the same `lanes`, `dtype` and kind of
    device. A store can only be resumed with the version of jax it was begun with.

    Examples
    --------
    >>> import tempfile
    >>> from dynfrac.systems.complex_maps import Quadratic
    >>> axes = Axis("c_re", -2, 0.5, 9), Axis("c_im", -1.2, 1.2, 9)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = sweep(Quadratic(), axes, n_steps=50, rule="bounded:2", out=folder + "/m.zarr")
    ...     int(result.labels.sum())
    16
    """
    with stopwatch() as watch:
        hands = _choose_workers(workers)
        plan = plan_sweep(
            map_,
            axes,
            n_steps=n_steps,
            hparams=hparams,
            rule=rule,
            every=every,
            record=record,
            dtype=dtype,
            lanes=lanes,
            tile=tile,
            adaptive=adaptive,
            identity=identity,
        )
        path = Path(out)
        store = open_store(path) if path.exists() else None
        if store is None:
            check_space(path, math.prod(plan.shape), plan.shape, len(record))
            status = np.zeros(plan.shape, np.uint8)
        else:
            refuse_another(store, plan.spec)
            status = store.read("status")
        tiles = [cells for cells in cut(plan.shape, plan.spec["tile"]) if not status[cells].all()]
        todo = sum(status[cells].size for cells in tiles)
        if tiles:
            report = on_progress or (lambda done, total: None)
            report(0, todo * plan.job.n_steps)
            plan.try_out()  # before there is anything on disk
        if store is None:
            store = plan.create(path)
        else:
            check_space(path, todo, plan.shape, len(record))
        computed = todo
        alone = plan.refinement is not None
        with write_lock(path, alone=alone) if tiles else nullcontext():
            store.log({**_session(), "event": "start", "pending": todo})
            if tiles and plan.refinement is not None:
                computed = fill_adaptively(store, plan.job, plan.refinement, hands, on_progress)
            elif tiles:
                fill(store, tiles, plan.job, hands, on_progress)
            store.log({"event": "end", "seconds": round(watch.seconds, 3)})
        found = open_sweep(path)
        return dataclasses.replace(
            found,
            computed=computed,
            reused=found.reused - computed,
            seconds=watch.seconds,
            compile_seconds=watch.compile_seconds,
        )


def _choose_workers(workers: int | Workers) -> Workers | None:
    """Return who computes; None is this process."""
    if isinstance(workers, Workers):
        return workers
    if isinstance(workers, bool) or workers != int(workers) or workers < 1:
        raise ValueError(f"workers={workers} is no number of processes; pass 1 or more")
    return None if workers == 1 else ProcessWorkers(int(workers))


def _session() -> dict[str, Any]:
    """Who computes, where and when: for the log only."""
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "pid": os.getpid(),
        "versions": versions(PACKAGES),
        "git": git_state(),
    }
