"""`dynfrac orbits`: what a map or a training does in the long run over a hyperparameter."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import click
import numpy as np

from dynfrac.analysis.cascades import OrbitDiagram
from dynfrac.analysis.curvature import sharpness
from dynfrac.analysis.diagrams import FOLLOW, orbit_diagram
from dynfrac.cli.output import (
    echo_flags,
    print_json,
    print_table,
    progress_bar,
)
from dynfrac.cli.pairs import parse_numbers
from dynfrac.cli.sources import make_source, source_options, training_arguments
from dynfrac.cli.targets import check_targets, write_record
from dynfrac.orbits.axes import SCALES, Axis
from dynfrac.orbits.iteration import Progress, iterate
from dynfrac.systems.abstract import AbstractMap, resolve_hparams

MAP_STEPS, MAP_VALUES = 2000, 800
ARCHITECTURE_STEPS, ARCHITECTURE_VALUES = 500, 100

WINDOWS = 5
"""Cycles beyond the onset of chaos that are listed, the widest ones."""

RECORDS = (".json", ".npz")


@click.command()
@source_options
@click.option(
    "--x", required=True, metavar="NAME=LOW:HIGH", help="The axis: NAME=LOW:HIGH[:N][:SCALE]."
)
@click.option(
    "--set", "settings", metavar="NAME=VALUE", multiple=True, help="A hyperparameter; repeatable."
)
@click.option(
    "--observable",
    metavar="NAME",
    help="What is drawn: loss, a metric, or x0, x1, ... for a coordinate.  [default: loss]",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help=f"Steps to average.  [default: {MAP_STEPS} with --map, {ARCHITECTURE_STEPS} with --arch]",
)
@click.option(
    "--transient", type=click.IntRange(min=0), help="Steps before them.  [default: as many]"
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    help="Values that are drawn at each point of the axis.  [default: 256, at most --steps]",
)
@click.option(
    "--follow",
    type=click.Choice(FOLLOW),
    help="Start every run where its neighbour ended, going up or down the axis.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    help="[default: float64; float32 for convolutional networks]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the tangent; that of the weights is --arg seed=N.",
)
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Write the figure here, .png, .pdf or .svg."
)
@click.option(
    "--y-range", metavar="LOW:HIGH", help="What the figure shows: LOW:HIGH[:SCALE].  [default: all]"
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the record here, .json, or arrays, .npz."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress bar.")
def command(
    arch: str | None,
    map_name: str | None,
    arguments: tuple[str, ...],
    x: str,
    settings: tuple[str, ...],
    observable: str | None,
    steps: int | None,
    transient: int | None,
    keep: int | None,
    follow: str | None,
    dtype: str | None,
    seed: int,
    plot: Path | None,
    y_range: str | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    **shorthands: Any,
) -> int:
    """Orbit diagram: where orbits end up over a hyperparameter, with the largest exponent.

    At every point of the axis the map, or the training, runs from its start; the last values of the
    observable are kept, and the largest Lyapunov exponent is averaged with its standard error. Told
    are the values between which the period doubles and chaos begins, the widest windows of cycles
    beyond, and how many runs escaped.

    Exit status 1 means that no run stayed bounded.

    \b
    Example:
      dynfrac orbits --map gd-cubic --x lr=0.8:2:800:linear --plot diagram.png
      dynfrac orbits --map henon --x a=0.9:1.4:600 --observable x0 --plot henon.png
      dynfrac orbits --arch mlp --x lr=1:120 --steps 400 --transient 1600 --plot mlp.png
    """
    check_targets({"--plot": plot, "--out": out}, kinds={"--out": RECORDS})
    limits = _parse_range(y_range)
    axis = Axis.parse(x)
    hparams: dict[str, Any] = dict(parse_numbers("--set", settings))
    if axis.n is None:
        n = axis.default_n(MAP_VALUES if map_name else ARCHITECTURE_VALUES)
        axis = dataclasses.replace(axis, n=n)
    if steps is None:
        steps = MAP_STEPS if map_name else ARCHITECTURE_STEPS
    transient = steps if transient is None else transient
    map_, _ = make_source(
        arch,
        map_name,
        training_arguments(arguments, shorthands),
        wanted={**hparams, axis.name: axis.high},
        steps=transient + steps,
    )
    name = map_name or arch or ""
    try:
        with progress_bar("orbits", 1.0) as advance:
            diagram = orbit_diagram(
                map_,
                axis,
                hparams,
                observable=observable,
                n_steps=steps,
                n_transient=transient,
                n_keep=keep,
                follow=follow,
                seed=seed,
                dtype=dtype,
                on_progress=_reporter(advance),
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "a diagram keeps nothing; ask for fewer --steps or points"
        ) from None
    edge = _edge(map_, hparams, diagram, dtype)
    record = {"name": name, **diagram.to_dict(), "edge": edge}
    if out is not None:
        _write(diagram, record, out)
    if plot is not None:
        is_training = arch is not None or hasattr(map_, "stability_threshold")
        _draw(diagram, plot, name, limits, is_training=is_training)
    if as_json:
        print_json(record)
    else:
        _print(name, diagram, edge)
    return 0 if diagram.bounded.any() else 1


def _parse_range(text: str | None) -> tuple[tuple[float, float] | None, bool]:
    """Read ``LOW:HIGH[:log10|:linear]``; return the ends and whether the scale is logarithmic."""
    if text is None:
        return None, False
    parts = text.split(":")
    scale = parts.pop() if parts[-1] in SCALES else "linear"
    try:
        low, high = map(float, parts)
    except ValueError:
        low = high = math.nan
    if not (low < high and math.isfinite(high - low)) or (scale == "log10" and low <= 0):
        raise ValueError(
            f"--y-range {text} is not understood; write LOW:HIGH or LOW:HIGH:log10, lower end first"
        )
    return (low, high), scale == "log10"


def _reporter(advance: Any) -> Progress:
    """Return a callback that moves the bar by shares of the whole."""
    shown = 0.0

    def report(done: int, total: int) -> None:
        nonlocal shown
        advance(done / total - shown)
        shown = done / total

    return report


def _edge(
    map_: AbstractMap, hparams: dict[str, Any], diagram: OrbitDiagram, dtype: str | None
) -> dict[str, Any] | None:
    """Measure the sharpness where descent last settled before its period doubled, if it did."""
    find_threshold = getattr(map_, "stability_threshold", None)
    doubled = [
        change for change in diagram.cascade if (change.kind, change.period) == ("period", 2)
    ]
    if find_threshold is None or not doubled or diagram.conditions["follow"]:
        return None
    point = {**hparams, diagram.axis.name: doubled[0].low}
    threshold = find_threshold(resolve_hparams(map_, point))
    if threshold is None:
        return None
    orbit = iterate(map_, point, n_steps=diagram.n_transient + diagram.n_steps, dtype=dtype)
    measured = sharpness(map_, orbit.final_state, point, dtype=dtype)
    return {
        diagram.axis.name: doubled[0].low,
        **dataclasses.asdict(measured),
        "threshold": float(threshold),
    }


def _write(diagram: OrbitDiagram, record: dict[str, Any], path: Path) -> None:
    """Write the record as JSON, or the arrays alone."""
    if path.suffix.lower() == ".json":
        write_record(record, path)
        return
    names = ("values", "observed", "exponents", "stderr", "periods", "status")
    np.savez(path, **{name: getattr(diagram, name) for name in names})


def _draw(
    diagram: OrbitDiagram,
    path: Path,
    name: str,
    limits: tuple[tuple[float, float] | None, bool],
    *,
    is_training: bool,
) -> None:
    # Imported here: matplotlib takes longer to import than most diagrams take to compute.
    from dynfrac.plots.diagrams import orbit_figure

    y_range, logarithmic = limits
    label = "training loss" if is_training and diagram.observable == "loss" else None
    figure = orbit_figure(
        diagram, title=name, label=label, y_range=y_range, logarithmic=logarithmic
    )
    figure.savefig(path, dpi=200)


def _print(name: str, diagram: OrbitDiagram, edge: dict[str, Any] | None) -> None:
    """Print the places where something begins, for people."""
    axis, conditions = diagram.axis, diagram.conditions
    values = " ".join(f"{key}={value:g}" for key, value in conditions["hparams"].items())
    click.echo(f"{name}  {values}")
    click.echo(
        f"{axis.n} values of {axis.name} from {axis.low:g} to {axis.high:g}, "
        f"{conditions['dtype']}, {diagram.n_steps} steps averaged after {diagram.n_transient}"
    )
    cascade = [
        (
            "chaos" if change.kind == "chaotic" else f"period {change.period}",
            change.low,
            change.high,
        )
        for change in diagram.cascade
    ]
    if cascade:
        print_table(("begins", "between", "and"), cascade)
    else:
        click.echo("no period doubles and nothing is chaotic")
    beyond = [change.high for change in diagram.cascade if change.kind == "chaotic"]
    windows = [
        stretch
        for stretch in diagram.stretches
        if beyond and stretch.kind == "period" and stretch.low > beyond[0]
    ]
    widest = sorted(sorted(windows, key=lambda w: w.n)[-WINDOWS:], key=lambda w: w.low)
    if widest:
        rows = [(f"period {w.period}", w.low, w.high, w.n) for w in widest]
        print_table(("widest windows", "from", "to", "values"), rows)
    _print_shares(diagram)
    if edge is not None:
        click.echo(
            f"sharpness {edge['value']:.6g} at {axis.name}={edge[axis.name]:.6g}, unstable above "
            f"{edge['threshold']:.6g}"
        )
    echo_flags(diagram.flags)


def _print_shares(diagram: OrbitDiagram) -> None:
    """Print how many values there are of each kind."""
    counts: dict[str, int] = {}
    for stretch in diagram.stretches:
        counts[stretch.kind] = counts.get(stretch.kind, 0) + stretch.n
    words = {"period": "settled or periodic", "unsettled": "neither periodic nor chaotic"}
    rows = [
        (words.get(kind, kind), n, f"{n / len(diagram.values):.1%}") for kind, n in counts.items()
    ]
    print_table(("", "values", ""), rows)
