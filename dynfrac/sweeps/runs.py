"""Dense sweeps: run a map on a grid of hyperparameters, tile by tile, into a store on disk.

`sweep` may be interrupted or killed at any moment and called again with the same arguments: tiles
that are finished are kept, the rest is computed, and the arrays come out as if nothing had
happened, byte for byte.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from dynfrac.orbits.axes import Axis, check_axes
from dynfrac.orbits.columns import N_STEPS, check_steps
from dynfrac.orbits.evaluator import Evaluator
from dynfrac.orbits.inspection import choose_readings
from dynfrac.orbits.iteration import Progress
from dynfrac.orbits.outcomes import Status, one_sided
from dynfrac.orbits.rules import AbstractRule, make_rule
from dynfrac.sweeps.clocks import stopwatch
from dynfrac.sweeps.specifications import (
    AXIS_KEYS,
    PACKAGES,
    attributes_of,
    refuse_another,
    specify,
    stored_specification,
)
from dynfrac.sweeps.stores import Store, all_fields, check_space, create_store, open_store
from dynfrac.sweeps.tiles import Tile, cut
from dynfrac.systems.abstract import AbstractMap, check_ranges, resolve_hparams
from dynfrac.systems.numerics import hparam_dtype
from dynfrac.systems.provenance import git_state, versions


@final
@dataclasses.dataclass(frozen=True)
class Sweep:
    """A sweep on disk, finished or not.

    Arrays are read from disk at each access. They have one dimension per axis, the last axis first:
    of a sweep over x and y, rows are y and the first row is its low end.

    Attributes
    ----------
    path : Path
    axes : tuple of Axis
        x first.
    spec : dict
        The specification: map, axes, fixed hyperparameters, steps, rule, metrics, dtype, lanes,
        tile and kind of device.
    shape : tuple of int
        Of the arrays: ``(ny, nx)``.
    computed, reused : int
        Cells computed by this call, and cells that were there before.
    seconds : float
        Wall time of this call.
    compile_seconds : float
        The part of it that was spent compiling.
    flags : tuple of str
        Reservations, in sentences.
    """

    path: Path
    axes: tuple[Axis, ...]
    spec: dict[str, Any]
    shape: tuple[int, ...]
    computed: int
    reused: int
    seconds: float
    compile_seconds: float
    flags: tuple[str, ...]
    _store: Store = dataclasses.field(repr=False, compare=False)

    @property
    def status(self) -> np.ndarray:
        """Uint8 array: codes of `Status`, 0 where nothing has been computed yet."""
        return self._store.read("status")

    @property
    def measure(self) -> np.ndarray:
        """Float64 array: the rule's signed measure, NaN in pending cells."""
        return self._read_finished("measure")

    @property
    def t_escape(self) -> np.ndarray:
        """int32 array: first loss over the limit or not finite, -1 without one or if pending."""
        return self._read_finished("t_escape")

    @property
    def final_loss(self) -> np.ndarray:
        """Float64 array: the last recorded loss, NaN in pending cells."""
        return self._read_finished("final_loss")

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of all fields: status, measure, t_escape, final_loss and recorded metrics."""
        return self._store.fields

    def field(self, name: str) -> np.ndarray:
        """Return a field by name, blank in pending cells.

        Raises
        ------
        ValueError
            If the sweep did not record it.
        """
        if name == "status":
            return self.status
        if name not in self.fields:
            listed = ", ".join(sorted(self.fields))
            raise ValueError(
                f"{self.path} has no field {name!r}, only {listed}; sweep again with --record "
                f"{name} into another folder"
            )
        return self._read_finished(name)

    @property
    def labels(self) -> np.ndarray:
        """Bool array: True where the run converged. Pending cells are False: see `pending`."""
        return self.status == Status.CONVERGED

    @property
    def points(self) -> tuple[np.ndarray, ...]:
        """The points of each axis, x first."""
        return tuple(self._store.read(axis.name) for axis in self.axes)

    @property
    def counts(self) -> dict[str, int]:
        """Cells of each status by its name in lower case, pending ones included."""
        found = np.bincount(self.status.ravel(), minlength=len(Status))
        return {status.name.lower(): int(found[status]) for status in Status}

    @property
    def pending(self) -> int:
        """Cells that have not been computed."""
        return self.counts["pending"]

    @property
    def run_steps_per_second(self) -> float:
        """Cells of this call x steps asked for, over wall time without compilation; else NaN."""
        seconds = self.seconds - self.compile_seconds
        if not self.computed or seconds <= 0:
            return float("nan")
        steps = float(self.spec["n_steps"])
        for axis, points in zip(self.axes, self.points, strict=True):
            if axis.name == N_STEPS and N_STEPS not in self.spec["hparams"]:
                steps = float(points.mean())
        return self.computed * steps / seconds

    def _read_finished(self, name: str) -> np.ndarray:
        """Read a field with what is left of unfinished tiles blanked."""
        values = self._store.read(name)
        kind, fill, _ = all_fields(self._store.attributes)[name]
        values[self.status == Status.PENDING] = np.asarray(fill, kind)
        return values


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
    identity : mapping, optional
        What the map is, in plain JSON values: the name and the arguments it was made from.
    on_progress : callable, optional
        Called with the run-steps settled and those to settle, from (0, total) on. A resumed sweep
        counts only what is left, and makes no call if that is nothing.

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
        If `out` cannot be created or written to.
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
        fixed = _check_arguments(map_, axes, hparams, tile)
        n_steps = _longest(map_, axes, n_steps, every)
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
        engine = functools.partial(
            Evaluator,
            map_,
            every=every,
            rule=rule,
            record=tuple(record),
            dtype=spec["dtype"],
            lanes=spec["lanes"],
        )
        if tiles:
            report = on_progress or (lambda done, total: None)
            report(0, todo * n_steps)
            # Compiles the step in this thread alone, and shows a map that does not work before
            # there is anything on disk.
            corner = {axis.name: axis.low for axis in axes}
            if own_lengths:
                del corner[N_STEPS]
            engine(n_steps=every)({**fixed, **corner})
        if store is None:
            points = {axis.name: axis.points() for axis in reversed(axes)}
            store = create_store(path, attributes_of(spec), points, spec["tile"])
        else:
            check_space(path, todo, shape, len(record))
        store.log({**_session(), "event": "start", "pending": todo})
        if tiles:
            ready = engine(n_steps=n_steps, own_lengths=own_lengths)
            _fill(store, tiles, ready, fixed, on_progress)
        store.log({"event": "end", "seconds": round(watch.seconds, 3)})
        return dataclasses.replace(
            open_sweep(path),
            computed=todo,
            reused=status.size - todo,
            seconds=watch.seconds,
            compile_seconds=watch.compile_seconds,
        )


def open_sweep(path: str | os.PathLike[str]) -> Sweep:
    """Open a sweep that is on disk, finished or not.

    Parameters
    ----------
    path : path
        The folder that `sweep` wrote.

    Returns
    -------
    Sweep
        With `computed` 0 and `reused` the cells that are there.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If what is there is not a sweep or is damaged.
    """
    store = open_store(path)
    spec = stored_specification(store)
    axes = tuple(Axis(**spec["axes"][key]) for key in AXIS_KEYS if key in spec["axes"])
    found = Sweep(store.path, axes, spec, store.shape, 0, 0, 0.0, 0.0, (), store)
    counts = found.counts
    flags = [_resolution_flag(axis, spec["dtype"]) for axis in axes] + [one_sided(counts)]
    return dataclasses.replace(
        found,
        reused=sum(counts.values()) - counts["pending"],
        flags=tuple(flag for flag in flags if flag),
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


def _fill(
    store: Store,
    tiles: Sequence[Tile],
    engine: Evaluator,
    fixed: Mapping[str, float],
    on_progress: Progress | None,
) -> None:
    """Compute the given tiles one after the other and write each as soon as it is there."""
    points = [store.read(name) for name in store.dimensions]
    sizes = [math.prod(cell.stop - cell.start for cell in cells) for cells in tiles]
    total = sum(sizes) * engine.n_steps
    settled = done = 0

    def report(steps: int) -> None:
        nonlocal settled
        settled += steps
        if on_progress is not None:
            on_progress(settled, total)

    try:
        for cells, size in zip(tiles, sizes, strict=True):
            ranges = [values[cell] for values, cell in zip(points, cells, strict=True)]
            grid = np.meshgrid(*ranges, indexing="ij")
            columns = {name: g.ravel() for name, g in zip(store.dimensions, grid, strict=True)}
            outcomes = engine({**fixed, **columns}, on_progress=report)
            values = {**vars(outcomes), **outcomes.metrics}
            block = {name: values[name].reshape(grid[0].shape) for name in store.fields}
            store.write(cells, block)
            done += size
            store.log({"event": "tile", "first": [cell.start for cell in cells], "cells": size})
    except KeyboardInterrupt:
        cells = math.prod(store.shape)
        raise KeyboardInterrupt(
            f"{cells - sum(sizes) + done} of {cells} cells are kept in {store.path}; "
            "run the same command again to resume"
        ) from None


def _resolution_flag(axis: Axis, dtype: str) -> str | None:
    """Say so if neighbouring points of an axis are one number in the type of the sweep."""
    kind = hparam_dtype(np.dtype(dtype))
    distinct = len(np.unique(axis.points().astype(kind)))
    if distinct == axis.n:
        return None
    return f"axis {axis.name} has {axis.n} points of which {kind} tells only {distinct} apart"


def _session() -> dict[str, Any]:
    """Who computes, where and when: for the log only."""
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "pid": os.getpid(),
        "versions": versions(PACKAGES),
        "git": git_state(),
    }
