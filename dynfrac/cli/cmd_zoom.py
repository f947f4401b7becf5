"""`dynfrac zoom`: pictures of one place, deeper and deeper, and a movie of them."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import click
import numpy as np

from dynfrac.analysis.estimates import Estimate
from dynfrac.cli.execution import execution_options, prepare_execution
from dynfrac.cli.output import (
    check_output,
    echo_flags,
    print_json,
    print_table,
    progress_reporter,
)
from dynfrac.cli.pairs import parse_numbers
from dynfrac.cli.tasks import read_task, task_options
from dynfrac.orbits.axes import Axis
from dynfrac.studies.zooms import Zoom, ZoomProgress, zoom


@click.command()
@task_options
@execution_options
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Pictures, if the type of the numbers goes so deep.",
)
@click.option(
    "--factor",
    type=click.FloatRange(min=1, min_open=True),
    default=2.0,
    show_default=True,
    help="How many times shorter the axes become from frame to frame.",
)
@click.option(
    "--at",
    metavar="NAME=VALUE",
    multiple=True,
    help="Where to, one for each axis.  [default: where the most boundary is]",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder of the frames, each a sweep; new, or one to go on with.",
)
@click.option(
    "--movie", type=click.Path(path_type=Path), help="A movie: .webp, .gif, or .mp4 by ffmpeg."
)
@click.option(
    "--size",
    type=click.IntRange(64, 4096),
    default=512,
    show_default=True,
    help="Width of the movie in pixels.",
)
@click.option(
    "--fps",
    type=click.IntRange(1, 120),
    default=24,
    show_default=True,
    help="Pictures a second of the movie.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Time from frame to frame in the movie.",
)
@click.option(
    "--palette",
    type=click.Choice(["published", "safe"]),
    default="published",
    show_default=True,
    help="Colours of the movie; safe ones are told apart by colour-blind readers.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress bar.")
def command(
    frames: int,
    factor: float,
    at: tuple[str, ...],
    out: Path,
    movie: Path | None,
    size: int,
    fps: int,
    seconds: float,
    palette: str,
    as_json: bool,
    quiet: bool,
    adaptive: bool,
    stride: int | None,
    guard: int | None,
    workers: int,
    scheduler: str | None,
    **what: Any,
) -> None:
    """Zoom into a boundary, as deep as the numbers go.

    The first frame is the window of the axes. Every other one is the part of the frame before that
    has the most boundary in it, or lies about the place given by --at. It ends after --frames, or
    where neighbouring points can no longer be told apart in the type of the run, and says which.
    Frames are sweeps: they can be shown and measured, and the same command goes on after an
    interrupt.

    With few steps a boundary is a smooth line at small scales: the deeper the zoom, the more
    --steps it takes. The dimensions are those of the richest places, not of the whole boundary.

    \b
    Example:
      dynfrac zoom --map quadratic --x c_re=-2:0.5 --y c_im=-1.2:1.2 --rule bounded:2 \\
          --steps 1000 --frames 20 --out seahorses --movie seahorses.webp
      dynfrac zoom --preset published-tanh --frames 8 --adaptive --out tanh --movie tanh.webp
    """
    check_output(out, folder=True)
    place = parse_numbers("--at", at)
    if movie is not None:
        from dynfrac.plots.movies import check_movie

        check_output(movie)
        check_movie(movie, size=size, fps=fps, seconds=seconds)
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
        found = zoom(
            task.map_,
            task.axes,
            out=out,
            frames=frames,
            factor=factor,
            at=place or None,
            on_progress=_reporter(stack, frames),
            **task.settings,
            **execution,
        )
    if movie is not None:
        from dynfrac.plots.movies import save_movie

        sweeps = [frame.sweep for frame in found.frames]
        measures, axes = [s.measure for s in sweeps], [s.axes for s in sweeps]
        look: dict[str, Any] = {"size": size, "fps": fps, "seconds": seconds, "palette": palette}
        save_movie(measures, axes, movie, **look)
    if as_json:
        print_json(_record(found, movie))
    else:
        _print(found, movie)


def _reporter(stack: contextlib.ExitStack, frames: int) -> ZoomProgress:
    """Return a callback that shows one bar for all frames."""
    show = progress_reporter(stack, "zoom")
    unit = 1000

    def report(frame: int, done: int, total: int) -> None:
        show(frame * unit + (unit * done // total if total else unit), frames * unit)

    return report


def _record(found: Zoom, movie: Path | None) -> dict[str, Any]:
    return {
        "path": found.path,
        "frames": [
            {
                "store": frame.sweep.path,
                "axes": frame.sweep.axes,
                "computed": frame.sweep.computed,
                "boundary": frame.boundary,
                "dimension": frame.dimension,
            }
            for frame in found.frames
        ],
        "factor": found.factor,
        "ended": found.ended,
        "movie": movie,
        "flags": found.flags,
    }


def _middle(axis: Axis) -> str:
    """Write the middle of an axis with the digits that its length is worth."""
    value = float(axis.values(np.array(0.5)))
    digits = math.log10(max(abs(value), 1e-300) / (axis.high - axis.low))
    return f"{value:.{min(17, max(3, math.ceil(digits) + 3))}g}"


def _dimension(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ± {estimate.stderr:.3f}" if estimate.has_value else "-"


def _print(found: Zoom, movie: Path | None) -> None:
    """Print the frames for people."""
    x, y = found.frames[0].sweep.axes
    rows = []
    for i, frame in enumerate(found.frames):
        rows.append(
            (
                f"{i:03}.zarr",
                f"{found.factor**i:.3g}",
                *map(_middle, frame.sweep.axes),
                f"{frame.boundary:.2%}",
                _dimension(frame.dimension),
            )
        )
    print_table(("frame", "x", x.name, y.name, "boundary", "box dimension"), rows)
    click.echo(found.ended)
    echo_flags(found.flags)
    click.echo(f"draw one: dynfrac show {found.path / '000.zarr'}")
    if movie is not None:
        click.echo(movie)
