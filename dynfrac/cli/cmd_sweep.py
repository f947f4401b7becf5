"""`dynfrac sweep`: a grid of runs, stored as it is computed."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import click

from dynfrac.cli.output import (
    check_output,
    echo_flags,
    format_duration,
    print_json,
    print_table,
    progress_bar,
)
from dynfrac.cli.pairs import parse_numbers, parse_pairs
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.iteration import Progress
from dynfrac.studies.presets import make_preset
from dynfrac.sweeps.runs import Sweep, sweep
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.catalogue import make_architecture, make_map

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
    rule: str | None


@click.command()
@click.option("--preset", metavar="NAME", help="Conditions that have a name; see dynfrac list.")
@click.option("--arch", metavar="NAME", help="A network to train, or package.module:factory.")
@click.option("--map", "map_name", metavar="NAME", help="A toy map, or package.module:factory.")
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
    "--set", "settings", metavar="NAME=VALUE", multiple=True, help="A hyperparameter; repeatable."
)
@click.option(
    "--arg",
    "arguments",
    metavar="NAME=VALUE",
    multiple=True,
    help="An argument of the factory of --arch or --map, such as width=32; repeatable.",
)
@click.option("--rule", metavar="NAME", help="What converged means.  [default: the preset's]")
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    help="[default: float64; float32 for convolutional networks]",
)
@click.option("--lanes", type=click.IntRange(min=1), help="Runs per batch.  [default: by size]")
@click.option("--seed", type=click.IntRange(min=0), help="Of weights and data.  [default: 0]")
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
    settings: tuple[str, ...],
    arguments: tuple[str, ...],
    rule: str | None,
    dtype: str | None,
    lanes: int | None,
    seed: int | None,
    out: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a map or a training at every point of a grid and store every outcome.

    The grid is cut into tiles, and each is on disk as soon as it is computed. After an interrupt,
    a crash or a kill the same command goes on where it stopped, and the result is the same to the
    last byte. Scales are log10 for learning rates, offsets and init_scale, else linear; end points
    are values, and included. `dynfrac show` draws the picture, at any time.

    \b
    Example:
      dynfrac sweep --preset published-tanh --res 256 --steps 500 --out run.zarr
      dynfrac sweep --arch mlp --x lr_in=1e-3:1e6 --y lr_out=1e-3:1e6 --out mlp.zarr
      dynfrac sweep --map quadratic --x c_re=-2:0.5 --y c_im=-1.2:1.2 --rule bounded:2 --out m.zarr
    """
    check_output(out, folder=True)
    given = parse_pairs("--arg", arguments)
    hparams = parse_numbers("--set", settings)
    if (preset is not None) + (arch is not None) + (map_name is not None) != 1:
        raise click.UsageError("give one of --preset, --arch and --map")
    if preset is not None:
        if given:
            raise click.UsageError("--arg needs --arch or --map; a preset has its own arguments")
        task = _preset_task(preset, steps, seed)
    else:
        if seed is not None:
            given["seed"] = seed
        task = _named_task(arch, map_name, given, steps)
    axes = _choose_axes(task.axes, (("--x", x), ("--y", y), ("--z", z)), res)
    with contextlib.ExitStack() as stack:
        result = sweep(
            task.map_,
            axes,
            n_steps=task.n_steps,
            out=out,
            hparams=hparams,
            rule=rule if rule is not None else task.rule,
            dtype=dtype,
            lanes=lanes,
            identity=task.identity,
            on_progress=_reporter(stack, announce=not quiet),
        )
    if as_json:
        print_json(_record(result))
    else:
        _print(result)


def _preset_task(name: str, steps: int | None, seed: int | None) -> _Task:
    made = make_preset(name, steps=steps, seed=seed)
    return _Task(made.map_, made.identity, made.axes, made.n_steps, made.rule)


def _named_task(
    arch: str | None, map_name: str | None, arguments: dict[str, Any], steps: int | None
) -> _Task:
    kind, make = ("architecture", make_architecture) if arch else ("map", make_map)
    name = arch or map_name or ""
    if "batch" in arguments and ":" not in name:
        # The length of a minibatch stream is part of its recipe, as in the presets.
        arguments = {"n_steps": steps or STEPS, **arguments}
    identity = {kind: name, "arguments": arguments}
    return _Task(make(name, **arguments), identity, (), steps or STEPS, None)


def _choose_axes(
    own: tuple[Axis, ...], given: tuple[tuple[str, str | None], ...], res: int
) -> list[Axis]:
    """Put the axes of the command line in place of a preset's, and give each its resolution."""
    axes: list[Axis] = []
    for i, (option, text) in enumerate(given):
        if text is not None:
            if len(axes) < i:
                raise click.UsageError(f"{option} needs {given[i - 1][0]} before it")
            axes.append(Axis.parse(text))
        elif i < len(own):
            axes.append(own[i])
    if not axes:
        raise click.UsageError("give --x NAME=LOW:HIGH, and --y for a picture")
    return [axis if axis.n is not None else dataclasses.replace(axis, n=res) for axis in axes]


def _reporter(stack: contextlib.ExitStack, *, announce: bool) -> Progress:
    """Return a callback that opens the bar when it hears the total, and tells a long wait once.

    The notice is for logs, where no bar is drawn, and for planning: it stays on the screen.
    """
    advance: Callable[[float], None] | None = None
    shown, start = 0, 0.0

    def report(done: int, total: int) -> None:
        nonlocal advance, shown, start, announce
        if advance is None:
            advance = stack.enter_context(progress_bar("sweep", total))
            start = time.perf_counter()
        advance(done - shown)
        shown = done
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
    counts = {name: n for name, n in result.counts.items() if n}
    cells = sum(counts.values())
    click.echo(f"{result.path}  {grid} runs of {result.spec['n_steps']} steps")
    print_table(("", "", ""), [(name, n, f"{n / cells:.2%}") for name, n in counts.items()])
    if result.computed:
        click.echo(
            f"computed {result.computed} in {format_duration(result.seconds)}, "
            f"reused {result.reused}; "
            f"{result.run_steps_per_second:.3g} run-steps per second"
        )
    else:
        click.echo("nothing was left to compute")
    echo_flags(result.flags)
    click.echo(f"draw it: dynfrac show {result.path}")
