"""`dynfrac show`: the picture of a sweep."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from dynfrac.cli.output import check_output, print_json
from dynfrac.orbits.outcomes import Status, one_sided
from dynfrac.orbits.rules import AbstractRule, make_rule
from dynfrac.plots.local_dimensions import plot_local_dimension
from dynfrac.plots.metrics import plot_accuracy, plot_exponent, plot_final_loss, plot_test_loss
from dynfrac.plots.palettes import PALETTES, PUBLISHED
from dynfrac.plots.strides import plot_stride
from dynfrac.plots.trainability import plot_boundary, plot_measure, plot_status, plot_t_escape
from dynfrac.studies.presets import PRESETS
from dynfrac.sweeps.results import Sweep, open_sweep

# Field -> (function, arrays of the sweep that it takes).
FIELDS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "measure": (plot_measure, ("measure", "status")),
    "status": (plot_status, ("status",)),
    "t_escape": (plot_t_escape, ("t_escape", "status")),
    "final_loss": (plot_final_loss, ("final_loss", "status")),
    "test_loss": (plot_test_loss, ("test_loss", "status")),
    "accuracy": (plot_accuracy, ("accuracy", "status")),
    "train_accuracy": (partial(plot_accuracy, data="training"), ("train_accuracy", "status")),
    "lyapunov": (plot_exponent, ("lyapunov", "status")),
    "boundary": (plot_boundary, ("status",)),
    "stride": (plot_stride, ("stride", "status")),
    "local-dimension": (plot_local_dimension, ("status",)),
}
WIDEST = 92
"""Letters of a line of the caption."""
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
@click.option(
    "--palette",
    type=click.Choice(list(PALETTES)),
    default=PUBLISHED,
    show_default=True,
    help="Colours; safe ones are told apart by colour-blind readers.",
)
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
    palette: str,
    title: str | None,
    dpi: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Draw the picture of a sweep, finished or not.

    The signed measure is drawn in the published colours: converged runs green to blue, the others
    yellow to red. A key says what the ends mean, which depends on the rule. Cells that are not
    computed yet are hatched. The other fields are the outcome, the number of the loss at which a
    run escaped, the last loss, the boundary of the converged runs, its local dimension (of a
    finished sweep; dark is smooth, yellow is rough), and, if the sweep recorded them, test loss,
    accuracies and the largest Lyapunov exponent; of an adaptive sweep also the stride, which is
    where it ran.

    \b
    Example:
      dynfrac show run.zarr --out run.pdf
      dynfrac show run.zarr --field boundary
      dynfrac show run.zarr --palette safe
    """
    result = open_sweep(store)
    suffix = ".png" if field == "measure" else f"-{field}.png"
    target = out if out is not None else result.path.with_name(result.path.stem + suffix)
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--out {target} is not a picture; end it in {', '.join(SUFFIXES)}")
    check_output(target)
    draw, names = FIELDS[field]
    where, place = _plane(result, at)
    arrays = [result.field(name)[where] for name in names]
    pending = float(np.mean(arrays[-1] == Status.PENDING))
    rule = _rule(result)
    words = {"ends": rule.ends} if field == "measure" and rule is not None else {}
    heading = (_name(result) if title is None else title) + place
    if pending:
        heading += f" ({1 - pending:.0%} computed)"
    frame = {"title": heading, "caption": _conditions(result, rule), "palette": palette}
    ax = draw(*arrays, result.axes[:2], **frame, **words)
    # The picture's size is fixed, so that pictures of a series can be laid on each other.
    ax.get_figure(root=True).savefig(target, dpi=dpi)  # type: ignore[union-attr]
    if as_json:
        record = {"picture": target, "store": result.path, "field": field}
        print_json({**record, "shape": arrays[-1].shape, "pending": result.pending})
    else:
        click.echo(target)
    if sentence := one_sided({s.name.lower(): int(np.sum(arrays[-1] == s)) for s in Status}):
        click.echo(sentence, err=True)


def _rule(result: Sweep) -> AbstractRule | None:
    """Return the rule of a sweep; None if it is a user's own, of which only the name is kept."""
    try:
        return make_rule(result.spec["rule"])
    except ValueError:
        return None


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
    """Say what was swept: a preset's name, or that of an architecture or a map."""
    identity = result.spec["map"]
    if name := _preset(result):
        return name
    names = (identity.get(key) for key in ("architecture", "map", "class"))
    return next((str(name) for name in names if name), "sweep")


def _preset(result: Sweep) -> str | None:
    """Return the preset that a sweep is of, if it is of one."""
    identity = result.spec["map"]
    wanted = identity.get("architecture"), _arguments(result), [axis.name for axis in result.axes]
    for name, recipe in PRESETS.items():
        axes = [axis.name for axis in recipe.axes]
        if (recipe.architecture, dict(recipe.arguments), axes) == wanted:
            return name
    return None


def _arguments(result: Sweep) -> dict[str, Any]:
    """Return the arguments of what was swept that the rest of the caption does not tell.

    The length of a minibatch stream follows the number of steps.
    """
    told = ("n_steps", "n_epochs")
    arguments = result.spec["map"].get("arguments", {})
    return {name: value for name, value in arguments.items() if name not in told}


def _conditions(result: Sweep, rule: AbstractRule | None) -> str:
    """Say how it was swept, in a few lines that are no wider than the picture."""
    spec = result.spec
    grid = " × ".join(str(axis.n) for axis in result.axes)
    longest = "up to " if any(axis.name == "n_steps" for axis in result.axes) else ""
    cells = "runs" if "adaptive" not in spec else f"cells, {result.was_run.mean():.1%} with runs"
    line = f"{grid} {cells} of {longest}{spec['n_steps']} steps in {spec['dtype']}"
    if (every := spec.get("every", 1)) > 1:
        line += f", one loss every {every} steps"
    details = [line]
    if _preset(result) is None:
        given = _arguments(result).items()
        details += [f"{name} = {value}" for name, value in given if value is not None]
    if "architecture" not in spec["map"]:
        # Not-a-number, which a specification writes as text, stands for "as another one".
        values = ((name, float(value)) for name, value in spec["hparams"].items())
        details += [f"{name} = {value:g}" for name, value in values if value == value]
    meaning = f"by the rule {spec['rule']}" if rule is None else rule.description
    texts = (", ".join(details), f"converged: {meaning}")
    # A name stays on one line with its value: such spaces do not break.
    tied = (text.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}") for text in texts)
    lines = [piece for text in tied for piece in textwrap.wrap(text, WIDEST)]
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")
