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

from dynfrac.orbits.axes import Axis, check_axes
from dynfrac.orbits.columns import N_STEPS, check_steps
from dynfrac.orbits.inspection import choose_readings
from dynfrac.orbits.iteration import Progress
from dynfrac.orbits.rules import AbstractRule, make_rule
from dynfrac.sweeps.adaptive import fill_adaptively
from dynfrac.sweeps.clocks import stopwatch
from dynfrac.sweeps.filling import TileJob, fill
from dynfrac.sweeps.locks import write_lock
from dynfrac.sweeps.processes import ProcessWorkers
from dynfrac.sweeps.refinement import Refinement
from dynfrac.sweeps.results import Sweep, open_sweep
from dynfrac.sweeps.specifications import (
    AXIS_KEYS,
    PACKAGES,
    attributes_of,
    refuse_another,
    specify,
)
from dynfrac.sweeps.stores import check_space, create_store, open_store
from dynfrac.sweeps.tiles import cut
from dynfrac.sweeps.workers import Workers
from dynfrac.systems.abstract import AbstractMap, check_ranges, resolve_hparams
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
        axes = tuple(axes)
        hands = _choose_workers(workers)
        fixed = _check_arguments(map_, axes, hparams, tile)
        n_steps = _longest(map_, axes, n_steps, every)
        if isinstance(adaptive, bool):
            refinement = Refinement() if adaptive else None
        else:
            refinement = adaptive
        rule = make_rule(rule if rule is not None else getattr(map_, "rule", None))
        own_lengths = _has_lengths(map_, axes)
        choose_readings(map_, rule, record, every, fixed_length=not own_lengths)
        spec = specify(
            map_,
            axes,
            fixed,
            n_steps=n_steps,
            every=every,
            rule=rule,
            record=record,
            dtype=dtype,
            lanes=lanes,
            tile=tile,
            adaptive=refinement,
            identity=identity,
        )
        path = Path(out)
        shape = tuple(axis.n for axis in reversed(axes) if axis.n is not None)
        store = open_store(path) if path.exists() else None
        if store is None:
            check_space(path, math.prod(shape), shape, len(record))
            status = np.zeros(shape, np.uint8)
        else:
            refuse_another(store, spec)
            status = store.read("status")
        tiles = [cells for cells in cut(shape, spec["tile"]) if not status[cells].all()]
        todo = sum(status[cells].size for cells in tiles)
        job = TileJob(
            map_,
            n_steps=n_steps,
            every=every,
            rule=rule,
            record=tuple(record),
            dtype=spec["dtype"],
            lanes=spec["lanes"],
            own_lengths=own_lengths,
            fixed=fixed,
        )
        if tiles:
            report = on_progress or (lambda done, total: None)
            report(0, todo * n_steps)
            # Compiles the step in this thread alone, and shows a map that does not work before
            # there is anything on disk.
            corner = {axis.name: axis.low for axis in axes}
            if own_lengths:
                del corner[N_STEPS]
            job.try_out(corner)
        if store is None:
            points = {axis.name: axis.points() for axis in reversed(axes)}
            store = create_store(path, attributes_of(spec), points, spec["tile"])
        else:
            check_space(path, todo, shape, len(record))
        computed = todo
        with write_lock(path, alone=refinement is not None) if tiles else nullcontext():
            store.log({**_session(), "event": "start", "pending": todo})
            if tiles and refinement is not None:
                computed = fill_adaptively(store, job, refinement, hands, on_progress)
            elif tiles:
                fill(store, tiles, job, hands, on_progress)
            store.log({"event": "end", "seconds": round(watch.seconds, 3)})
        found = open_sweep(path)
        return dataclasses.replace(
            found,
            computed=computed,
            reused=found.reused - computed,
            seconds=watch.seconds,
            compile_seconds=watch.compile_seconds,
        )


def _check_arguments(
    map_: AbstractMap,
    axes: tuple[Axis, ...],
    hparams: Mapping[str, float] | None,
    tile: int | None,
) -> dict[str, Any]:
    """Refuse what cannot be swept; return the fixed hyperparameters, defaults included."""
    if not 1 <= len(axes) <= len(AXIS_KEYS):
        raise ValueError(f"{len(axes)} axes were given; a sweep has one, two or three")
    check_axes(axes, [*map_.defaults, N_STEPS])
    check_ranges(map_, {axis.name: (axis.low, axis.high) for axis in axes})
    for axis in axes:
        if axis.n is None:
            raise ValueError(f"axis {axis.name} does not say how many points it has; give n")
    if tile is not None and tile < 1:
        raise ValueError(f"tile={tile} must be at least 1 run")
    swept = {axis.name for axis in axes}
    for name, value in (hparams or {}).items():
        if name in swept:
            raise ValueError(f"{name}={value} is fixed and {name} is an axis too; drop one of them")
        if np.ndim(value):
            raise ValueError(f"hyperparameter {name} has several values; make it an axis")
    resolved = resolve_hparams(map_, hparams)
    check_ranges(map_, {name: v for name, v in resolved.items() if name not in swept})
    return {name: float(value) for name, value in resolved.items() if name not in swept}


def _choose_workers(workers: int | Workers) -> Workers | None:
    """Return who computes; None is this process."""
    if isinstance(workers, Workers):
        return workers
    if isinstance(workers, bool) or workers != int(workers) or workers < 1:
        raise ValueError(f"workers={workers} is no number of processes; pass 1 or more")
    return None if workers == 1 else ProcessWorkers(int(workers))


def _has_lengths(map_: AbstractMap, axes: tuple[Axis, ...]) -> bool:
    """Whether each run has a length of its own, and ``n_steps`` is no hyperparameter of the map."""
    return N_STEPS not in map_.defaults and any(axis.name == N_STEPS for axis in axes)


def _longest(map_: AbstractMap, axes: tuple[Axis, ...], n_steps: int | None, every: int) -> int:
    """Return the number of steps of the longest run."""
    for axis in axes:
        if axis.name == N_STEPS and _has_lengths(map_, axes):
            if n_steps not in (None, int(axis.high)):
                raise ValueError(f"n_steps={n_steps} is given and n_steps is an axis; drop one")
            return check_steps(int(axis.high), every)
    if n_steps is None:
        raise ValueError("n_steps is missing; say how many steps each run has")
    return check_steps(n_steps, every)


def _session() -> dict[str, Any]:
    """Who computes, where and when: for the log only."""
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "pid": os.getpid(),
        "versions": versions(PACKAGES),
        "git": git_state(),
    }
