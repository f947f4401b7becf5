"""`dynfrac show`: the picture of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from dynfrac.cli.output import check_output, print_json
from dynfrac.orbits.outcomes import Status
from dynfrac.plots.trainability import (
    plot_boundary,
    plot_final_loss,
    plot_measure,
    plot_status,
    plot_t_escape,
)
from dynfrac.studies.presets import PRESETS
from dynfrac.sweeps.runs import Sweep, open_sweep

# Field -> (function, arrays of the sweep that it takes).
FIELDS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "measure": (plot_measure, ("measure", "status")),
    "status": (plot_status, ("status",)),
    "t_escape": (plot_t_escape, ("t_escape", "status")),
    "final_loss": (plot_final_loss, ("final_loss", "status")),
    "boundary": (plot_boundary, ("status",)),
}
SUFFIXES = (".png", ".pdf", ".svg")


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--field",
    type=click.Choice(list(FIELDS)),
    default="measure",
    show_default=True,
    help="What to colour.",
)
@click.option("--at", type=float, help="Value of a third axis.  [default: its middle point]")
@click.option("--title", help="[default: what was swept]")
@click.option(
    "--dpi",
    type=click.IntRange(30, 1200),
    default=300,
    show_default=True,
    help="Pixels per inch.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The picture: .png, .pdf or .svg.  [default: a .png beside the sweep]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(
    store: Path,
    field: str,
    at: float | None,
    title: str | None,
    dpi: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Draw the picture of a sweep, finished or not.

    The signed measure is drawn in the published colours: converged runs green (fast) to blue
    (slow), the others yellow (diverged early) to red (late). Cells that are not computed yet are
    hatched. The other fields are the outcome, the step of escape, the last loss, and the boundary
    of the converged runs.

    \b
    Example:
      dynfrac show run.zarr --out run.pdf
      dynfrac show run.zarr --field boundary
    """
    result = open_sweep(store)
    suffix = ".png" if field == "measure" else f"-{field}.png"
    target = out if out is not None else result.path.with_name(result.path.stem + suffix)
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--out {target} is not a picture; end it in {', '.join(SUFFIXES)}")
    check_output(target)
    draw, names = FIELDS[field]
    where, place = _plane(result, at)
    arrays = [getattr(result, name)[where] for name in names]
    pending = float(np.mean(arrays[-1] == Status.PENDING))
    heading = (_name(result) if title is None else title) + place
    if pending:
        heading += f" ({1 - pending:.0%} computed)"
    ax = draw(*arrays, result.axes[:2], title=heading, caption=_conditions(result))
    # The picture's size is fixed, so that pictures of a series can be laid on each other.
    ax.get_figure(root=True).savefig(target, dpi=dpi)  # type: ignore[union-attr]
    if as_json:
        record = {"picture": target, "store": result.path, "field": field}
        print_json({**record, "shape": arrays[-1].shape, "pending": result.pending})
    else:
        click.echo(target)


def _plane(result: Sweep, at: float | None) -> tuple[Any, str]:
    """Return the index of the plane to draw, and its place on the third axis in words."""
    if len(result.axes) < 3:
        if at is not None:
            raise ValueError(f"--at {at:g} needs a sweep over three axes; leave it out")
        return ..., ""
    axis = result.axes[2]
    points = result.points[2]
    if at is None:
        index = len(points) // 2
    elif axis.low <= at <= axis.high:
        index = int(np.argmin(np.abs(points - at)))
    else:
        raise ValueError(
            f"--at {at:g} is outside the axis {axis.name}; give a value from {axis.low:g} to "
            f"{axis.high:g}"
        )
    return index, f", {axis.name} = {points[index]:.6g}"


def _name(result: Sweep) -> str:
    """Say what was swept: a preset's name, or a factory's with its arguments."""
    identity = result.spec["map"]
    # The length of the minibatch stream follows the number of steps, which the caption tells.
    arguments = {k: v for k, v in identity.get("arguments", {}).items() if k != "n_steps"}
    for name, recipe in PRESETS.items():
        same = (recipe.architecture, dict(recipe.arguments)) == (
            identity.get("architecture"),
            arguments,
        )
        if same and [axis.name for axis in recipe.axes] == [axis.name for axis in result.axes]:
            return name
    names = (identity.get(key) for key in ("architecture", "map", "class"))
    what = next((str(name) for name in names if name), "sweep")
    return ", ".join([what, *(f"{key}={value}" for key, value in arguments.items())])


def _conditions(result: Sweep) -> str:
    """Say how it was swept, in two lines."""
    spec = result.spec
    grid = " × ".join(str(axis.n) for axis in result.axes)
    lines = [f"{grid} runs of {spec['n_steps']} steps in {spec['dtype']}"]
    if "architecture" not in spec["map"]:
        lines[0] += "".join(f", {name} = {value:g}" for name, value in spec["hparams"].items())
    kind, _, limit = spec["rule"].partition(":")
    meanings = {
        "published": "the mean of the last 20 losses is below the first loss",
        "bounded": f"no loss is above {limit}",
    }
    return "\n".join([*lines, f"converged: {meanings.get(kind, 'by the rule ' + spec['rule'])}"])
