"""What a sweep will be, before anything is computed or written: checked, and cut into tiles."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from dynfrac.orbits.axes import Axis, check_axes
from dynfrac.orbits.columns import N_STEPS, check_steps
from dynfrac.orbits.inspection import choose_readings
from dynfrac.orbits.rules import AbstractRule, make_rule
from dynfrac.sweeps.filling import TileJob
from dynfrac.sweeps.refinement import Refinement
from dynfrac.sweeps.specifications import (
    AXIS_KEYS,
    attributes_of,
    canonical,
    specification_hash,
    specify,
)
from dynfrac.sweeps.stores import Store, create_store
from dynfrac.sweeps.tiles import tile_runs, tile_shape
from dynfrac.systems.abstract import AbstractMap, check_ranges, resolve_hparams


@final
@dataclasses.dataclass(frozen=True, eq=False)
class SweepPlan:
    """A sweep that is ready to be run.

    Attributes
    ----------
    axes : tuple of Axis
        x first.
    shape : tuple of int
        Of the arrays: the last axis first.
    spec : dict
        The specification.
    job : TileJob
        What all tiles have in common.
    refinement : Refinement or None
        Of an adaptive sweep.
    runs_per_tile : int
        At most so many cells form a tile.
    """

    axes: tuple[Axis, ...]
    shape: tuple[int, ...]
    spec: dict[str, Any]
    job: TileJob
    refinement: Refinement | None
    runs_per_tile: int

    @property
    def hash(self) -> str:
        """The SHA-256 of the specification, in hexadecimal."""
        return specification_hash(self.spec)

    def along(self, axes: Sequence[Axis]) -> SweepPlan:
        """Return the plan of the same runs on another grid over the same hyperparameters.

        Parameters
        ----------
        axes : sequence of Axis
            Of the same names, with numbers of points.
        """
        shape = _shape(axes)
        edges = tile_shape(shape, self.runs_per_tile)
        named = dict(zip(AXIS_KEYS, map(dataclasses.asdict, axes), strict=False))
        spec = {**self.spec, "axes": canonical(named), "tile": canonical(edges)}
        return dataclasses.replace(self, axes=tuple(axes), shape=shape, spec=spec)

    def try_out(self) -> None:
        """Compile the step in this thread alone, and show a map that does not work."""
        corner = {axis.name: axis.low for axis in self.axes}
        if self.job.own_lengths:
            del corner[N_STEPS]
        self.job.try_out(corner)

    def create(self, path: str | os.PathLike[str]) -> Store:
        """Create the store, in which every cell is pending.

        Raises
        ------
        FileExistsError
            If there is something under that name already.
        """
        points = {axis.name: axis.points() for axis in reversed(self.axes)}
        return create_store(Path(path), attributes_of(self.spec), points, self.spec["tile"])


def plan_sweep(
    map_: AbstractMap,
    axes: Sequence[Axis],
    *,
    n_steps: int | None = None,
    hparams: Mapping[str, float] | None = None,
    rule: str | AbstractRule | None = None,
    every: int = 1,
    record: Sequence[str] = (),
    dtype: str | None = None,
    lanes: int | None = None,
    tile: int | None = None,
    adaptive: bool | Refinement = False,
    identity: Mapping[str, Any] | None = None,
) -> SweepPlan:
    """Check the arguments of a sweep and return what it will be; all as in `dynfrac.sweep`.

    Raises
    ------
    ValueError
        For wrong axes, names or numbers.
    """
    axes = tuple(axes)
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
    runs_per_tile = tile or tile_runs(map_, job.lanes, n_steps)
    return SweepPlan(axes, _shape(axes), spec, job, refinement, runs_per_tile)


def _shape(axes: Sequence[Axis]) -> tuple[int, ...]:
    return tuple(axis.n for axis in reversed(axes) if axis.n is not None)


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
