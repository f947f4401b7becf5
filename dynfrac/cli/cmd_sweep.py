"""`dynfrac sweep`: a grid of runs, stored as it is computed."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import click

from dynfrac.cli.output import (
    check_output,
    echo_flags,
    format_duration,
    print_json,
    print_table,
    progress_reporter,
)
from dynfrac.cli.pairs import parse_numbers
from dynfrac.cli.sources import (
    check_demand,
    make_source,
    on_demand,
    source_options,
    training_arguments,
)
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.columns import N_STEPS
from dynfrac.orbits.inspection import metric_names
from dynfrac.orbits.iteration import Progress
from dynfrac.studies.presets import PRESETS, make_preset
from dynfrac.sweeps.refinement import Refinement
from dynfrac.sweeps.results import Sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.sweeps.workers import connect
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.training import TrainingMap

RESOLUTION = 256
STEPS = 500

NOTICE_AFTER = 10.0
"""Seconds of work after which the time that is left is told, if there is much of it."""


@final
@dataclasses.dataclass(frozen=True)
class _Task:
    """What is to be swept."""

    map_: AbstractMap
    identity: dict[str, Any]
    axes: tuple[Axis, ...]
    n_steps: int
    every: int
    rule: str | None
    record: tuple[str, ...] | None
    dtype: str | None


@click.command()
@click.option("--preset", metavar="NAME", help="Conditions that have a name; see dynfrac list.")
@source_options
@click.option("--x", metavar="NAME=LOW:HIGH", help="Horizontal axis: NAME=LOW:HIGH[:N][:SCALE].")
@click.option("--y", metavar="NAME=LOW:HIGH", help="Vertical axis, of the same form.")
@click.option("--z", metavar="NAME=LOW:HIGH", help="A third axis.")
@click.option(
    "--res",
    type=click.IntRange(min=2),
    default=RESOLUTION,
    show_default=True,
    help="Points along every axis that does not say how many.",
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
@click.option("--every", type=click.IntRange(min=1), help="Steps per recorded loss.  [default: 1]")
@click.option(
    "--set", "settings", metavar="NAME=VALUE", multiple=True, help="A hyperparameter; repeatable."
)
@click.option("--rule", metavar="NAME", help="What converged means, such as published@test_loss.")
@click.option(
    "--record",
    metavar="NAME",
    multiple=True,
    help="A metric to keep of every run, or lyapunov, the largest exponent; repeatable; none for "
    "none.  [default: the map's metrics]",
)
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32", "bfloat16"]),
    help="[default: float64; float32 for convolutional networks]",
)
@click.option("--lanes", type=click.IntRange(min=1), help="Runs per batch.  [default: by size]")
@click.option("--seed", type=click.IntRange(min=0), help="Of weights and data.  [default: 0]")
@click.option(
    "--adaptive",
    is_flag=True,
    help="Run only what the boundary needs, and fill in the rest from the nearest run.",
)
@click.option(
    "--stride",
    type=click.IntRange(min=2),
    help="With --adaptive: cells between the first runs, a power of two.  [default: 16]",
)
@click.option(
    "--guard",
    type=click.IntRange(min=0),
    help="With --adaptive: cells beside the boundary that are looked at on every grid.  "
    "[default: 3]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes of this machine that share the tiles.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Of a dask.distributed cluster that computes the tiles, such as tcp://10.0.0.1:8786.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The sweep's folder, a Zarr store; new, or one to resume.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress bar and no estimate.")
def command(
    preset: str | None,
    arch: str | None,
    map_name: str | None,
    x: str | None,
    y: str | None,
    z: str | None,
    res: int,
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
    adaptive: bool,
    stride: int | None,
    guard: int | None,
    workers: int,
    scheduler: str | None,
    out: Path,
    as_json: bool,
    quiet: bool,
    **shorthands: Any,
) -> None:
    """Run a map or a training at every point of a grid and store every outcome.

    The grid is cut into tiles, and each is on disk as soon as it is computed. After an interrupt,
    a crash or a kill the same command goes on where it stopped, and the result is the same to the
    last byte. Scales are log10 for learning rates, offsets, weight decay and init_scale, else
    linear; end points are values, and included. `dynfrac show` draws the picture, at any time.

    Besides the hyperparameters that `dynfrac list` has, label_noise, seed, batch_size and n_steps
    can be axes; the last three run over whole numbers.

    A tile has the same bytes whoever computes it. One process uses several processors, by threads;
    --workers shares the tiles between processes, --scheduler sends them to a cluster. What a lost
    worker was at is done again.

    --adaptive is for pictures of a boundary: it begins with every 16th cell and halves that, each
    time only near the boundary that the last grid showed, and follows it. What it draws of the
    boundary is there; it may miss islands that lie far from everything else. `dynfrac show
    --field stride` draws where it ran.

    --record lyapunov keeps the largest finite-time Lyapunov exponent of every run, for a few times
    the work and without a change of any other outcome; --rule threshold:0@lyapunov takes its sign
    for what converged means.

    \b
    Example:
      dynfrac sweep --preset published-tanh --res 256 --steps 500 --out run.zarr
      dynfrac sweep --preset published-tanh --res 1024 --adaptive --out fine.zarr
      dynfrac sweep --arch mlp --x lr_in=1e-3:1e6 --y lr_out=1e-3:1e6 --out mlp.zarr
      dynfrac sweep --arch my_nets:Net --optimizer adam --batch 32 --epochs 20 \\
          --x lr=1e-4:1 --y seed=0:15 --out mine.zarr
      dynfrac sweep --map quadratic --x c_re=-2:0.5 --y c_im=-1.2:1.2 --rule bounded:2 --out m.zarr
    """
    check_output(out, folder=True)
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
        task = _preset_task(preset, steps, epochs, given, wanted)
    else:
        task = _named_task(arch, map_name, given, wanted, steps, epochs)
    axes = _choose_axes(task.axes, parsed, res)
    lengths = [axis for axis in axes if axis.name == N_STEPS]
    if lengths and (steps is not None or epochs is not None):
        raise click.UsageError("n_steps is an axis, so leave out --steps and --epochs")
    if scheduler is not None and workers > 1:
        raise click.UsageError("--workers and --scheduler exclude each other; give one of them")
    refinement = _choose_refinement(adaptive, stride, guard)
    with contextlib.ExitStack() as stack:
        hands = workers if scheduler is None else stack.enter_context(connect(scheduler))
        result = sweep(
            task.map_,
            axes,
            n_steps=None if lengths else task.n_steps,
            every=task.every if every is None else every,
            out=out,
            hparams=hparams,
            rule=rule if rule is not None else task.rule,
            record=_choose_record(record, task, bool(lengths)),
            dtype=dtype if dtype is not None else task.dtype,
            lanes=lanes,
            adaptive=refinement,
            workers=hands,
            identity=task.identity,
            on_progress=_reporter(stack, announce=not quiet),
        )
    if as_json:
        print_json(_record(result))
    else:
        _print(result)


def _preset_task(
    name: str,
    steps: int | None,
    epochs: int | None,
    arguments: dict[str, Any],
    wanted: dict[str, float],
) -> _Task:
    own = dict(PRESETS[name].arguments) if name in PRESETS else {}
    # The preset's own seed gives way to an axis; one that was asked for does not.
    own.pop("seed", None)
    arguments = {**arguments, **on_demand({**own, **arguments}, wanted)}
    made = make_preset(name, steps=steps, epochs=epochs, **arguments)
    check_demand(made.map_, wanted)
    return _Task(
        made.map_,
        made.identity,
        made.axes,
        made.n_steps,
        made.every,
        made.rule,
        made.record,
        made.dtype,
    )


def _named_task(
    arch: str | None,
    map_name: str | None,
    arguments: dict[str, Any],
    wanted: dict[str, float],
    steps: int | None,
    epochs: int | None,
) -> _Task:
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
    return _Task(made, identity, (), n_steps, every, None, None, None)


def _choose_record(given: tuple[str, ...], task: _Task, different_lengths: bool) -> tuple[str, ...]:
    """Return the metrics to record: those asked for, the preset's, or all that the map has."""
    if given:
        names = tuple(name for text in given for name in text.split(","))
        if "none" in names and len(names) > 1:
            raise click.UsageError("--record none excludes any other; give one of them")
        return () if names == ("none",) else names
    if different_lengths:
        return ()
    return metric_names(task.map_) if task.record is None else task.record


def _choose_axes(own: tuple[Axis, ...], given: Sequence[Axis | None], res: int) -> list[Axis]:
    """Put the axes of the command line in place of a preset's, and give each its resolution."""
    options = ("--x", "--y", "--z")
    axes: list[Axis] = []
    for i, axis in enumerate(given):
        if axis is not None:
            if len(axes) < i:
                raise click.UsageError(f"{options[i]} needs {options[i - 1]} before it")
            axes.append(axis)
        elif i < len(own):
            axes.append(own[i])
    if not axes:
        raise click.UsageError("give --x NAME=LOW:HIGH, and --y for a picture")
    return [
        axis if axis.n is not None else dataclasses.replace(axis, n=axis.default_n(res))
        for axis in axes
    ]


def _choose_refinement(adaptive: bool, stride: int | None, guard: int | None) -> bool | Refinement:
    given = {"stride": stride, "guard": guard}
    given = {name: value for name, value in given.items() if value is not None}
    if given and not adaptive:
        raise click.UsageError(f"--{next(iter(given))} is for adaptive sweeps; add --adaptive")
    return Refinement(**given) if adaptive else False


def _reporter(stack: contextlib.ExitStack, *, announce: bool) -> Progress:
    """Return a callback that opens the bar when it hears the total, and tells a long wait once.

    The notice is for logs, where no bar is drawn, and for planning: it stays on the screen.
    """
    show = progress_reporter(stack, "sweep")
    start: float | None = None

    def report(done: int, total: int) -> None:
        nonlocal start, announce
        show(done, total)
        if start is None:
            start = time.perf_counter()
        elapsed = time.perf_counter() - start
        if announce and done and elapsed > NOTICE_AFTER:
            announce = False
            left = elapsed * (total - done) / done
            if left > NOTICE_AFTER:
                click.echo(f"about {format_duration(left)} left", err=True)

    return report


def _record(result: Sweep) -> dict[str, Any]:
    return {
        "store": result.path,
        "shape": result.shape,
        "counts": result.counts,
        "computed": result.computed,
        "reused": result.reused,
        "seconds": result.seconds,
        "compile_seconds": result.compile_seconds,
        "run_steps_per_second": result.run_steps_per_second,
        "flags": result.flags,
    }


def _print(result: Sweep) -> None:
    """Print the outcome for people."""
    grid = " x ".join(str(axis.n) for axis in result.axes)
    every = result.spec["every"]
    recorded = f", a loss every {every}" if every > 1 else ""
    counts = {name: n for name, n in result.counts.items() if n}
    cells = sum(counts.values())
    click.echo(f"{result.path}  {grid} runs of {result.spec['n_steps']} steps{recorded}")
    print_table(("", "", ""), [(name, n, f"{n / cells:.2%}") for name, n in counts.items()])
    if result.computed:
        click.echo(
            f"ran {result.computed} in {format_duration(result.seconds)}, "
            f"reused {result.reused}; "
            f"{result.run_steps_per_second:.3g} run-steps per second"
        )
    else:
        click.echo("nothing was left to compute")
    echo_flags(result.flags)
    click.echo(f"draw it: dynfrac show {result.path}")
