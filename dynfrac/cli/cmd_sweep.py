"""`dynfrac sweep`: a grid of runs, stored as it is computed."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import click

from dynfrac.cli.execution import execution_options, prepare_execution
from dynfrac.cli.output import (
    check_output,
    echo_flags,
    format_duration,
    print_json,
    print_table,
    progress_reporter,
)
from dynfrac.cli.tasks import read_task, task_options
from dynfrac.orbits.iteration import Progress
from dynfrac.sweeps.results import Sweep
from dynfrac.sweeps.runs import sweep

NOTICE_AFTER = 10.0
"""Seconds of work after which the time that is left is told, if there is much of it."""


@click.command()
@task_options
@execution_options
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The sweep's folder, a Zarr store; new, or one to resume.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress bar and no estimate.")
def command(
    adaptive: bool,
    stride: int | None,
    guard: int | None,
    workers: int,
    scheduler: str | None,
    out: Path,
    as_json: bool,
    quiet: bool,
    **what: Any,
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
    task = read_task(**what)
    with contextlib.ExitStack() as stack:
        execution = prepare_execution(
            stack,
            adaptive=adaptive,
            stride=stride,
            guard=guard,
            workers=workers,
            scheduler=scheduler,
        )
        result = sweep(
            task.map_,
            task.axes,
            out=out,
            on_progress=_reporter(stack, announce=not quiet),
            **task.settings,
            **execution,
        )
    if as_json:
        print_json(_record(result))
    else:
        _print(result)


def _reporter(stack: contextlib.ExitStack, *, announce: bool) -> Progress:
    """Return a callback that opens the bar when it hears the total, and tells a long wait once.

    The notice is for logs, where no bar is drawn, and for planning: it stays on the screen.
    """
    show = progress_reporter(stack, "sweep")
    began = time.perf_counter()
    first: tuple[float, int] | None = None

    def report(done: int, total: int) -> None:
        nonlocal first, announce
        show(done, total)
        now = time.perf_counter()
        if done and first is None:
            first = now, done  # what was before is mostly compilation, which does not come again
        elif announce and first is not None and done > first[1] and now - began > NOTICE_AFTER:
            announce = False
            left = (now - first[0]) * (total - done) / (done - first[1])
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
    what = "cells, with runs" if "adaptive" in result.spec else "runs"
    click.echo(f"{result.path}  {grid} {what} of {result.spec['n_steps']} steps{recorded}")
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
