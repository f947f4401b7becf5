"""What a command is to run at every point of a grid: its options, and the task that they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, final

import click

from dynfrac.cli.conditions import (
    STEPS,
    Conditions,
    named_conditions,
    place_axes,
    preset_conditions,
)
from dynfrac.cli.pairs import parse_numbers
from dynfrac.cli.sources import source_options, training_arguments
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.columns import N_STEPS
from dynfrac.orbits.inspection import metric_names
from dynfrac.systems.abstract import AbstractMap

RESOLUTION = 256


@final
@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be run.

    Attributes
    ----------
    map_ : AbstractMap
    axes : tuple of Axis
        With their numbers of points, x first.
    settings : dict
        Other keywords of `dynfrac.sweep`.
    """

    map_: AbstractMap
    axes: tuple[Axis, ...]
    settings: dict[str, Any]


_PRESET = click.option(
    "--preset", metavar="NAME", help="Conditions that have a name; see dynfrac list."
)
_AXES = (
    click.option(
        "--x", metavar="NAME=LOW:HIGH", help="Horizontal axis: NAME=LOW:HIGH[:N][:SCALE]."
    ),
    click.option("--y", metavar="NAME=LOW:HIGH", help="Vertical axis, of the same form."),
)
_GRID = (
    click.option("--z", metavar="NAME=LOW:HIGH", help="A third axis."),
    click.option(
        "--res",
        type=click.IntRange(min=2),
        default=RESOLUTION,
        show_default=True,
        help="Points along every axis that does not say how many.",
    ),
)
_RUNS = (
    click.option(
        "--steps",
        type=click.IntRange(min=1),
        help=f"Steps of every run.  [default: the preset's, else {STEPS}]",
    ),
    click.option(
        "--epochs",
        type=click.IntRange(min=1),
        help="Length in epochs instead, with one recorded loss in each.",
    ),
    click.option(
        "--every", type=click.IntRange(min=1), help="Steps per recorded loss.  [default: 1]"
    ),
    click.option(
        "--set",
        "settings",
        metavar="NAME=VALUE",
        multiple=True,
        help="A hyperparameter; repeatable.",
    ),
    click.option(
        "--rule", metavar="NAME", help="What converged means, such as published@test_loss."
    ),
    click.option(
        "--record",
        metavar="NAME",
        multiple=True,
        help="A metric to keep of every run, or lyapunov, the largest exponent; repeatable; none "
        "for none.  [default: the map's metrics]",
    ),
    click.option(
        "--dtype",
        type=click.Choice(["float64", "float32", "bfloat16"]),
        help="[default: float64; float32 for convolutional networks]",
    ),
    click.option("--lanes", type=click.IntRange(min=1), help="Runs per batch.  [default: by size]"),
    click.option("--seed", type=click.IntRange(min=0), help="Of weights and data.  [default: 0]"),
)


def task_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that `read_task` takes."""
    return _with_options(command, _AXES + _GRID + _RUNS)


def window_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `read_task` that are about a window and not a grid."""
    return _with_options(command, _AXES + _RUNS)


def _with_options(command: Callable[..., Any], options: Sequence[Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return _PRESET(source_options(command))


def read_task(
    *,
    preset: str | None,
    arch: str | None,
    map_name: str | None,
    x: str | None,
    y: str | None,
    z: str | None = None,
    res: int = RESOLUTION,
    steps: int | None,
    epochs: int | None,
    every: int | None,
    settings: tuple[str, ...],
    arguments: tuple[str, ...],
    rule: str | None,
    record: tuple[str, ...],
    dtype: str | None,
    lanes: int | None,
    seed: int | None,
    **shorthands: Any,
) -> Task:
    """Make a task of what was typed.

    Raises
    ------
    click.UsageError, ValueError
        For options that exclude each other, and whatever does not exist.
    """
    hparams = parse_numbers("--set", settings)
    given = training_arguments(arguments, shorthands)
    if (preset is not None) + (arch is not None) + (map_name is not None) != 1:
        raise click.UsageError("give one of --preset, --arch and --map")
    for option, other in (("--steps", steps), ("--every", every)):
        if epochs is not None and other is not None:
            raise click.UsageError(f"--epochs and {option} exclude each other; give one of them")
    if N_STEPS in hparams:
        raise click.UsageError("n_steps is no hyperparameter; give --steps, or make it an axis")
    parsed = [None if text is None else Axis.parse(text) for text in (x, y, z)]
    wanted = {**hparams, **{axis.name: axis.high for axis in parsed if axis is not None}}
    if seed is not None:
        if "seed" in given:
            raise click.UsageError("--seed and --arg seed are both given; drop one of them")
        given["seed"] = seed
    if preset is not None:
        source = preset_conditions(preset, given, wanted, steps=steps, epochs=epochs)
    else:
        source = named_conditions(arch, map_name, given, wanted, steps=steps, epochs=epochs)
    axes = [
        axis if axis.n is not None else dataclasses.replace(axis, n=axis.default_n(res))
        for axis in place_axes(source.axes, parsed)
    ]
    lengths = [axis for axis in axes if axis.name == N_STEPS]
    if lengths and (steps is not None or epochs is not None):
        raise click.UsageError("n_steps is an axis, so leave out --steps and --epochs")
    return Task(
        source.map_,
        tuple(axes),
        {
            "n_steps": None if lengths else source.n_steps,
            "every": source.every if every is None else every,
            "hparams": hparams,
            "rule": rule if rule is not None else source.rule,
            "record": _choose_record(record, source, bool(lengths)),
            "dtype": dtype if dtype is not None else source.dtype,
            "lanes": lanes,
            "identity": source.identity,
        },
    )


def _choose_record(
    given: tuple[str, ...], source: Conditions, different_lengths: bool
) -> tuple[str, ...]:
    """Return the metrics to record: those asked for, the preset's, or all that the map has."""
    if given:
        names = tuple(name for text in given for name in text.split(","))
        if "none" in names and len(names) > 1:
            raise click.UsageError("--record none excludes any other; give one of them")
        return () if names == ("none",) else names
    if different_lengths:
        return ()
    return metric_names(source.map_) if source.record is None else source.record
