"""Options that say how a grid is run: how much of it, and by whom."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import click

from dynfrac.sweeps.clusters import connect
from dynfrac.sweeps.refinement import Refinement

_OPTIONS = (
    click.option(
        "--adaptive",
        is_flag=True,
        help="Run only what the boundary needs, and fill in the rest from the nearest run.",
    ),
    click.option(
        "--stride",
        type=click.IntRange(min=2),
        help="With --adaptive: cells between the first runs, a power of two.  [default: 16]",
    ),
    click.option(
        "--guard",
        type=click.IntRange(min=0),
        help="With --adaptive: cells beside the boundary that are looked at on every grid.  "
        "[default: 6]",
    ),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Processes of this machine that share the tiles.",
    ),
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Of a dask.distributed cluster that computes the tiles, such as tcp://10.0.0.1:8786.",
    ),
)


def execution_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that `prepare_execution` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def prepare_execution(
    stack: contextlib.ExitStack,
    *,
    adaptive: bool,
    stride: int | None,
    guard: int | None,
    workers: int,
    scheduler: str | None,
) -> dict[str, Any]:
    """Return keywords of `dynfrac.sweep`; the stack closes the connection to a cluster.

    Raises
    ------
    click.UsageError, ValueError
        For options that exclude each other, and a cluster that does not answer.
    """
    if scheduler is not None and workers > 1:
        raise click.UsageError("--workers and --scheduler exclude each other; give one of them")
    given = {"stride": stride, "guard": guard}
    given = {name: value for name, value in given.items() if value is not None}
    if given and not adaptive:
        raise click.UsageError(f"--{next(iter(given))} is for adaptive sweeps; add --adaptive")
    refinement = Refinement(**given) if adaptive else False
    hands = workers if scheduler is None else stack.enter_context(connect(scheduler))
    return {"adaptive": refinement, "workers": hands}
