"""`dynfrac dimension`: the dimension of a boundary without a sweep."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from dynfrac.boundaries.dimensions import METHODS
from dynfrac.boundaries.oracles import Labels
from dynfrac.cli.boundary_dimensions import print_report
from dynfrac.cli.conditions import STEPS, named_conditions, place_axes, preset_conditions
from dynfrac.cli.output import format_duration, print_json, progress_bar
from dynfrac.cli.pairs import parse_numbers
from dynfrac.cli.sources import source_options, training_arguments
from dynfrac.cli.targets import check_targets, result_options, write_record
from dynfrac.orbits.axes import Axis
from dynfrac.studies.dimension_reports import DimensionReport, report_dimension
from dynfrac.systems.importing import import_callable, in_words

BUDGET = 20_000

NOTICE_AFTER = 10.0
"""Seconds of work after which the time that is left is told, if there is much of it."""


@click.command()
@click.option("--preset", metavar="NAME", help="Conditions that have a name; see dynfrac list.")
@source_options
@click.option(
    "--labels",
    metavar="PATH",
    help="A function instead, package.module:name, from an (N, d) array of axis values to N "
    "integers.",
)
@click.option("--x", metavar="NAME=LOW:HIGH", help="First axis: NAME=LOW:HIGH[:SCALE].")
@click.option("--y", metavar="NAME=LOW:HIGH", help="Second axis, of the same form.")
@click.option("--z", metavar="NAME=LOW:HIGH", help="A third axis.")
@click.option(
    "--budget",
    type=int,
    default=BUDGET,
    show_default=True,
    help="Most runs in all, at least 500; a smooth boundary needs 2000 for a value.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="auto: pairs, with stretch-tail as a second opinion on maps. pairs: without a second "
    "opinion. Any other: refereed by pairs.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help=f"Steps of every run.  [default: the preset's, else {STEPS}]",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Length in epochs instead, with one recorded loss in each.",
)
@click.option(
    "--set", "settings", metavar="NAME=VALUE", multiple=True, help="A hyperparameter; repeatable."
)
@click.option("--rule", metavar="NAME", help="What converged means, such as published@test_loss.")
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32", "bfloat16"]),
    help="[default: float64; float32 for convolutional networks]",
)
@click.option("--lanes", type=click.IntRange(min=1), help="Runs per batch.  [default: by size]")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the points and the intervals; that of the weights is --arg seed=N.",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path),
    help="Keep every answer in this file; the same command goes on from it, to the same numbers.",
)
@result_options
def command(
    preset: str | None,
    arch: str | None,
    map_name: str | None,
    labels: str | None,
    x: str | None,
    y: str | None,
    z: str | None,
    budget: int,
    method: str,
    steps: int | None,
    epochs: int | None,
    settings: tuple[str, ...],
    arguments: tuple[str, ...],
    rule: str | None,
    dtype: str | None,
    lanes: int | None,
    seed: int,
    journal: Path | None,
    plot: Path | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    **shorthands: Any,
) -> int:
    """Dimension of a boundary without a sweep: from runs at chosen points.

    Draws pairs of points around the boundary between runs that converge and runs that do not, and
    reads the dimension off how fast pairs come to agree as they move together, over as many
    octaves of distance as the budget can buy. Beside it stand a second method, the dimension at
    every scale, the share of runs that were not decided, what doubling --steps does, and how many
    labels change with the last bit of the hyperparameters: a dimension means little without them.
    Budgets below 8000 leave parts out, and the notes say which. Below 2000 a smooth boundary often
    has no value, and at 500 none.

    --journal keeps every answer. After Ctrl-C, a crash or a kill the same command goes on from
    there and prints what an uninterrupted one would have printed.

    Distances are fractions of the window, decades counting evenly on logarithmic axes. Exit status
    1 means that there is no value, for instance because no boundary was met.

    \b
    Example:
      dynfrac dimension --map quadratic --x z_re=-1.5:1.5 --y z_im=-1.5:1.5 --steps 200
      dynfrac dimension --preset published-tanh --budget 50000 --journal tanh.journal
      dynfrac dimension --arch resnet8 --x lr=1e-3:10 --y init_scale=0.1:10 --steps 60 --budget 2000
      dynfrac dimension --labels my_basins:label --x a=0:1 --y b=0:1 --plot basins.png
    """
    check_targets({"--plot": plot, "--out": out, "--journal": journal})
    if budget < 500:
        raise ValueError(f"--budget {budget} is too small; give at least 500")
    given = training_arguments(arguments, shorthands)
    hparams = parse_numbers("--set", settings)
    parsed = [None if text is None else Axis.parse(text) for text in (x, y, z)]
    wanted = {**hparams, **{axis.name: axis.high for axis in parsed if axis is not None}}
    if steps is not None and epochs is not None:
        raise click.UsageError("--epochs and --steps exclude each other; give one of them")
    if sum(source is not None for source in (preset, arch, map_name, labels)) != 1:
        raise click.UsageError("give one of --preset, --arch, --map and --labels")
    if labels is not None:
        only_maps = {"--steps": steps, "--epochs": epochs, "--set": settings, "--arg": arguments}
        only_maps |= {"--rule": rule, "--dtype": dtype, "--lanes": lanes}
        only_maps |= {f"--{name}": value for name, value in shorthands.items()}
        for option, value in only_maps.items():
            if value not in (None, ()):
                raise click.UsageError(f"{option} is about runs; leave it out beside --labels")
        name, target, own = labels, _labels(labels), ()
        about: dict[str, Any] = {"identity": {"labels": labels}}
    else:
        if preset is not None:
            source = preset_conditions(preset, given, wanted, steps=steps, epochs=epochs)
        else:
            source = named_conditions(arch, map_name, given, wanted, steps=steps, epochs=epochs)
        name, target, own = preset or arch or map_name or "", source.map_, source.axes
        about = {
            "n_steps": source.n_steps,
            "every": source.every,
            "rule": rule if rule is not None else source.rule,
            "dtype": dtype if dtype is not None else source.dtype,
            "lanes": lanes,
            "identity": source.identity,
        }
    axes = _window(own, parsed)
    with (
        progress_bar("dimension", budget) as advance,
        _explained(journal) as reached,
    ):
        report = report_dimension(
            target,
            axes,
            budget=budget,
            seed=seed,
            hparams=hparams or None,
            method=method,
            journal=journal,
            **about,
            on_progress=_reporter(advance, reached, budget, announce=not quiet),
        )
    record = {"name": name, **report.to_dict()}
    write_record(record, out)
    if plot is not None:
        _draw(report, plot, name)
    if as_json:
        print_json(record)
    else:
        print_report(name, report)
    return 0 if report.has_value else 1


def _labels(path: str) -> Labels:
    """Return the function that a path names, whose errors end in one sentence."""
    function = import_callable(path, makes="labels")

    def ask(points: np.ndarray) -> Any:
        try:
            return function(points)
        except Exception as error:
            raise ValueError(f"--labels {path} raised {in_words(error)}") from error

    return ask


def _window(own: Sequence[Axis], given: Sequence[Axis | None]) -> list[Axis]:
    """Put the axes of the command line in place of a preset's."""
    for axis in given:
        if axis is not None and axis.n is not None:
            raise ValueError(
                f"axis {axis.name} has n={axis.n} points; leave the number out, points are "
                "chosen between its ends"
            )
    return place_axes(own, given)


@contextlib.contextmanager
def _explained(journal: Path | None) -> Iterator[list[int]]:
    """Yield where the number of answers is noted, and say what an interrupt leaves behind."""
    reached = [0]
    try:
        yield reached
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "nothing was kept; --journal FILE keeps what is done, to go on from"
            if journal is None
            else f"{reached[0]} answers are kept; the same command goes on from {journal}"
        ) from None


def _reporter(
    advance: Callable[[float], None], reached: list[int], budget: int, *, announce: bool
) -> Callable[[int], None]:
    """Return a callback that moves the bar and, after a while, says how long it will take.

    The speed is that of the second half of the while: what a journal answers costs nothing, and
    what is needed later is compiled in the first.
    """
    start = time.perf_counter()
    seen: list[tuple[float, int]] = []

    def report(used: int) -> None:
        nonlocal announce
        shown, reached[0] = reached[0], used
        elapsed = time.perf_counter() - start
        if announce:
            seen.append((elapsed, used))
            since, before = next(entry for entry in seen if entry[0] >= elapsed / 2)
            if elapsed > NOTICE_AFTER and used > before:
                announce = False
                left = (elapsed - since) * (budget - used) / (used - before)
                if left > NOTICE_AFTER and math.isfinite(left):
                    click.echo(f"at most about {format_duration(left)} left", err=True)
        advance(used - shown)

    return report


def _draw(report: DimensionReport, path: Path, name: str) -> None:
    # Imported here: matplotlib takes longer to import than small budgets take to spend.
    from dynfrac.plots.boundary_dimensions import boundary_dimension_figure

    boundary_dimension_figure(report, title=name).savefig(path, dpi=200)
