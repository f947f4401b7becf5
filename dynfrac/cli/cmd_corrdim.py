"""`dynfrac corrdim`: correlation and generalised dimensions of points or of an orbit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from dynfrac.analysis.correlations import correlation_dimension, surrogate_dimensions
from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.generalized import generalized_dimension, order_doubts
from dynfrac.analysis.point_clouds import as_points, delay_embedding, theiler_window
from dynfrac.analysis.takens import takens_dimension
from dynfrac.cli.output import (
    echo_flags,
    print_json,
    print_table,
    progress_bar,
)
from dynfrac.cli.pairs import parse_numbers
from dynfrac.cli.points import read_points
from dynfrac.cli.sources import make_source, source_options, training_arguments
from dynfrac.cli.targets import check_targets, result_options, write_record
from dynfrac.orbits.iteration import iterate

MAP_STEPS, MAP_TRANSIENT = 20_000, 1000
ARCHITECTURE_STEPS = 1000


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--key", metavar="NAME", help="Which array of a .npz archive.")
@source_options
@click.option(
    "--set", "settings", metavar="NAME=VALUE", multiple=True, help="A hyperparameter; repeatable."
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help=f"Points of the orbit.  [default: {MAP_STEPS} with --map, {ARCHITECTURE_STEPS} with "
    "--arch]",
)
@click.option(
    "--transient",
    type=click.IntRange(min=0),
    help=f"Steps before the first point.  [default: {MAP_TRANSIENT} with --map, 0 with --arch]",
)
@click.option(
    "--embed",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="M",
    help="Put M delayed copies side by side.",
)
@click.option(
    "--lag",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Steps between the copies of --embed.",
)
@click.option("--q", "orders", default="0,1,2", show_default=True, help="Orders of D_q, or none.")
@click.option(
    "--theiler",
    type=click.IntRange(min=1),
    help="Leave out pairs at most this many rows apart.  [default: from the autocorrelation]",
)
@click.option("--unordered", is_flag=True, help="The rows are a sample of points, not an orbit.")
@click.option(
    "--window",
    type=float,
    nargs=2,
    metavar="LOW HIGH",
    help="Smallest and largest radius of C(r) to fit.  [default: chosen by the data]",
)
@click.option("--radius", type=float, help="Largest distance that Takens' estimator uses.")
@click.option(
    "--resamples",
    type=click.IntRange(min=2),
    default=200,
    show_default=True,
    help="Bootstrap resamples behind the intervals.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the bootstrap, the surrogates and the grids.",
)
@result_options
def command(
    file: Path | None,
    key: str | None,
    map_name: str | None,
    arch: str | None,
    settings: tuple[str, ...],
    arguments: tuple[str, ...],
    steps: int | None,
    transient: int | None,
    embed: int,
    lag: int,
    orders: str,
    theiler: int | None,
    unordered: bool,
    window: tuple[float, float] | None,
    radius: float | None,
    resamples: int,
    seed: int,
    plot: Path | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    **shorthands: Any,
) -> int:
    """Correlation and generalised dimensions of points or of an orbit.

    FILE is a .npy array, a .npz archive, or a table as .csv or .txt, one row per point. Without it
    the points are the states of a map or of a training run. Rows are taken for an orbit, in order
    of time; --unordered says that they are not.

    Prints the correlation dimension D2, from the slope of the correlation sum and by Takens'
    estimator, the generalised dimensions D_q, each with its 95 % interval, and what noise with the
    spectrum of the orbit reads over the same radii. n steps cannot show a dimension above
    2 log10 n. Exit status 1 means that the correlation sum gave no value.

    \b
    Example:
      dynfrac corrdim --map henon --set a=1.4 --steps 20000 --plot henon.png
      dynfrac corrdim points.csv --unordered --q 0,1,2,3 --json
    """
    check_targets({"--plot": plot, "--out": out}, sources=[] if file is None else [file])
    if unordered and theiler is not None:
        raise click.UsageError("--theiler needs an order; leave out --unordered")
    if unordered and embed > 1:
        raise click.UsageError("--embed needs an order; leave out --unordered")
    wanted = _parse_orders(orders)

    if file is not None:
        orbits = {"map": map_name, "arch": arch, "arg": arguments, "set": settings}
        orbits |= {"steps": steps, "transient": transient, **shorthands}
        for option, value in orbits.items():
            if value not in (None, ()):
                raise click.UsageError(f"--{option} is about an orbit; leave out the file {file}")
        points, name = read_points(file, key), str(file)
    else:
        if key is not None:
            raise click.UsageError("--key needs a file")
        if map_name is None and arch is None:
            raise click.UsageError("give a file of points, --map NAME or --arch NAME")
        hparams = dict(parse_numbers("--set", settings))
        steps = steps or (MAP_STEPS if map_name else ARCHITECTURE_STEPS)
        if transient is None:
            transient = MAP_TRANSIENT if map_name else 0
        given = training_arguments(arguments, shorthands)
        map_, _ = make_source(arch, map_name, given, wanted=hparams, steps=transient + steps)
        with progress_bar("orbit", transient + steps) as advance:
            points = _orbit(map_, hparams, transient, steps, advance)
        name = map_name or arch or ""
    common: dict[str, Any] = {"n_resamples": resamples, "seed": seed}
    escaped = None if file is not None else _where_not_finite(points)
    null: dict[str, Estimate] = {}
    if escaped is not None:
        reason = [f"the orbit is not finite from step {(transient or 0) + escaped} on"]
        excluded = 0
        estimate, takens, *others = (
            Estimate.missing(method, escaped, reason)
            for method in (
                "correlation sum",
                "Takens estimator",
                *["box probabilities"] * len(wanted),
            )
        )
        dimensions = dict(zip(wanted, others, strict=True))
    else:
        try:
            points = delay_embedding(points, embed, lag) if embed > 1 else as_points(points)
            excluded = 0 if unordered else theiler or theiler_window(points)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        common["theiler"] = excluded
        with progress_bar("dimensions", 3 + len(wanted)) as advance:
            estimate = correlation_dimension(points, window=window, **common)
            advance(1)
            takens = takens_dimension(points, radius=radius, **common)
            advance(1)
            if excluded and estimate.has_value and estimate.window[0] > 0:
                null = surrogate_dimensions(points, estimate, theiler=excluded, seed=seed)
            advance(1)
            dimensions = {}
            for q in wanted:
                dimensions[q] = generalized_dimension(points, q, seed=seed)
                advance(1)
            dimensions = order_doubts(dimensions)

    record = {
        "name": name,
        "n_points": points.shape[0],
        "n_coordinates": points.shape[1],
        "theiler": excluded,
        "correlation": estimate,
        "takens": takens,
        "surrogates": null or None,
        "dimensions": {f"{q:g}": reading for q, reading in dimensions.items()},
    }
    write_record(record, out)
    if plot is not None:
        _draw(estimate, takens, null, dimensions, plot, name)
    if as_json:
        print_json(record)
    else:
        _print(record, estimate, takens, null, dimensions)
    return 0 if estimate.has_value else 1


def _parse_orders(text: str) -> list[float]:
    """Return the orders of D_q, ascending and once each."""
    if text.strip().lower() == "none":
        return []
    try:
        orders = sorted({float(part) for part in text.split(",")})
    except ValueError:
        orders = []
    if not orders or not 0 <= orders[0] <= orders[-1] < float("inf"):
        raise ValueError(f"--q {text} is no list of orders; give numbers from 0 on, as in 0,1,2")
    return orders


def _where_not_finite(states: np.ndarray) -> int | None:
    """Return the first row that is not finite, if there is one."""
    finite = np.isfinite(states).all(axis=1)
    return None if finite.all() else int(np.argmin(finite))


def _orbit(
    map_: Any, hparams: Mapping[str, float], transient: int, steps: int, advance: Any
) -> Any:
    """Return the states of an orbit after its transient."""
    shown = 0

    def report(done: int, total: int) -> None:
        nonlocal shown
        advance(done - shown)
        shown = done

    orbit = iterate(map_, hparams, n_steps=transient + steps, keep_states=True, on_progress=report)
    assert orbit.states is not None
    return np.asarray(orbit.states[transient:], np.float64)


def _draw(
    estimate: Estimate,
    takens: Estimate,
    null: Mapping[str, Estimate],
    dimensions: Mapping[float, Estimate],
    path: Path,
    name: str,
) -> None:
    # Imported here: matplotlib takes longer to import than most orbits take to measure.
    from dynfrac.plots.point_dimensions import point_dimension_figure

    figure = point_dimension_figure(
        estimate, takens=takens, surrogates=null, dimensions=dimensions, title=name
    )
    figure.savefig(path, dpi=200)


def _print(
    record: Mapping[str, Any],
    estimate: Estimate,
    takens: Estimate,
    null: Mapping[str, Estimate],
    dimensions: Mapping[float, Estimate],
) -> None:
    """Print all readings in one table, and the doubts below it under the name of the reading."""
    if record["theiler"]:
        kind = f"an orbit, Theiler window {record['theiler']}"
    else:
        kind = "without order"
    click.echo(
        f"{record['name']}: {record['n_points']} points in {record['n_coordinates']} "
        f"dimension{'s' * (record['n_coordinates'] > 1)}, {kind}\n"
    )
    readings = {
        "D2, correlation sum": estimate,
        "D2, Takens": takens,
        **{f"D_{q:g}, boxes": reading for q, reading in dimensions.items()},
        **{f"surrogate, {name}": reading for name, reading in null.items()},
    }
    print_table(
        ("", "dimension", "stderr", "95 % interval", "scales"),
        [_row(name, reading) for name, reading in readings.items()],
    )
    said: set[str] = set()
    for name, reading in readings.items():
        if not name.startswith("surrogate"):
            echo_flags(f"{name}: {flag}" for flag in reading.flags if flag not in said)
            said.update(reading.flags)


def _row(name: str, reading: Estimate) -> tuple[str, ...]:
    if not reading.has_value:
        return (name, "no value", "", "", "")
    low, high = reading.window
    return (
        name,
        f"{reading.value:.4f}",
        f"{reading.stderr:.4f}",
        f"[{reading.ci_low:.4f}, {reading.ci_high:.4f}]",
        f"{low:.3g} to {high:.3g}" if low > 0 else "",
    )
