"""Maps and trainings with their conditions, as the command line names them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, final

import click

from dynfrac.cli.sources import check_demand, make_source, on_demand
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.columns import N_STEPS
from dynfrac.studies.presets import PRESETS, make_preset
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.training import TrainingMap

STEPS = 500
"""Steps of every run, unless a preset or the user says otherwise."""


@final
@dataclasses.dataclass(frozen=True)
class Conditions:
    """A map and what its runs are like, before options change it.

    Attributes
    ----------
    map_ : AbstractMap
    identity : dict
        What it was made from.
    axes : tuple of Axis
        Those of a preset.
    n_steps, every, rule, record, dtype
        As for `dynfrac.sweep`; None where a preset says nothing.
    """

    map_: AbstractMap
    identity: dict[str, Any]
    axes: tuple[Axis, ...]
    n_steps: int
    every: int = 1
    rule: str | None = None
    record: tuple[str, ...] | None = None
    dtype: str | None = None


def preset_conditions(
    name: str,
    arguments: Mapping[str, Any],
    wanted: Mapping[str, float],
    *,
    steps: int | None,
    epochs: int | None,
) -> Conditions:
    """Return the conditions of a preset.

    Parameters
    ----------
    name : str
    arguments : mapping
        Those that are not the preset's own.
    wanted : mapping of str to float
        Hyperparameters that are set or an axis, with their largest values.
    steps, epochs : int or None
        At most one of them.

    Raises
    ------
    ValueError
        For names that do not exist, and hyperparameters that the map cannot have.
    """
    own = dict(PRESETS[name].arguments) if name in PRESETS else {}
    # The preset's own seed gives way to an axis; one that was asked for does not.
    own.pop("seed", None)
    given = {**arguments, **on_demand({**own, **arguments}, wanted)}
    made = make_preset(name, steps=steps, epochs=epochs, **given)
    check_demand(made.map_, wanted)
    return Conditions(
        made.map_,
        made.identity,
        made.axes,
        made.n_steps,
        made.every,
        made.rule,
        made.record,
        made.dtype,
    )


def named_conditions(
    arch: str | None,
    map_name: str | None,
    arguments: dict[str, Any],
    wanted: Mapping[str, float],
    *,
    steps: int | None,
    epochs: int | None,
) -> Conditions:
    """Return the conditions of a map or a training, as `preset_conditions`.

    Raises
    ------
    click.UsageError
        For epochs of something that is no training.
    ValueError
        As `preset_conditions`.
    """
    n_steps = int(wanted.get(N_STEPS, STEPS)) if steps is None else steps
    made, identity = make_source(
        arch, map_name, arguments, wanted=wanted, steps=n_steps, epochs=epochs
    )
    every = 1
    if epochs is not None:
        if not isinstance(made, TrainingMap):
            raise click.UsageError("--epochs needs a network; give --steps")
        every = made.batches.epoch_steps
        n_steps = epochs * every
    return Conditions(made, identity, (), n_steps, every)


def place_axes(own: Sequence[Axis], given: Sequence[Axis | None]) -> list[Axis]:
    """Put the axes of the command line, x first, in place of a preset's.

    Raises
    ------
    click.UsageError
        If one is left out between others, or there is none.
    """
    axes: list[Axis] = []
    for i, axis in enumerate(given):
        if axis is not None:
            if len(axes) < i:
                raise click.UsageError(f"--{'xyz'[i]} needs --{'xyz'[i - 1]} before it")
            axes.append(axis)
        elif i < len(own):
            axes.append(own[i])
    if not axes:
        raise click.UsageError("give --x NAME=LOW:HIGH, and --y for a picture")
    return axes
