"""`dynfrac lyapunov`: exponents of a map or of a training run."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from dynfrac.analysis.curvature import sharpness
from dynfrac.analysis.lyapunov import LyapunovSpectrum, default_warmup, lyapunov_spectrum
from dynfrac.cli.output import (
    check_output,
    echo_flags,
    format_duration,
    jsonable,
    print_json,
    print_table,
    progress_bar,
)
from dynfrac.cli.pairs import parse_numbers
from dynfrac.cli.sources import make_source, source_options, training_arguments
from dynfrac.orbits.iteration import Progress
from dynfrac.orbits.outcomes import Status
from dynfrac.systems.abstract import AbstractMap, resolve_hparams

MAP_STEPS = 500_000
ARCHITECTURE_STEPS = 50

LONG_RUN = 2.0
"""Seconds from which on a run is announced."""

FIGURES = (".png", ".pdf", ".svg")
"""What --plot can write."""


@click.command()
@source_options
@click.option(
    "--set", "settings", metavar="NAME=VALUE", multiple=True, help="A hyperparameter; repeatable."
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help=f"Steps to average.  [default: {MAP_STEPS} with --map, {ARCHITECTURE_STEPS} with --arch]",
)
@click.option(
    "-k",
    "--exponents",
    type=click.IntRange(min=1),
    help="Number of leading exponents.  [default: all of up to 64 dimensions, else 4]",
)
@click.option(
    "--transient",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Steps of the orbit alone, before the tangents start.",
)
@click.option(
    "--warmup",
    type=click.IntRange(min=0),
    help="Steps that align the tangents before averaging.  "
    "[default: a tenth of --steps, at least 100, at most a quarter]",
)
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    help="[default: float64; float32 for convolutional networks]",
)
@click.option("--lr", type=float, help="Learning rate, as --set lr=VALUE.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the initial tangents; that of the weights is --arg seed=N.",
)
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Write the figure here, .png, .pdf or .svg."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the JSON record here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress bar and no estimate.")
def command(
    map_name: str | None,
    arch: str | None,
    settings: tuple[str, ...],
    arguments: tuple[str, ...],
    steps: int | None,
    exponents: int | None,
    transient: int,
    warmup: int | None,
    dtype: str | None,
    lr: float | None,
    seed: int,
    plot: Path | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    **shorthands: Any,
) -> int:
    """Lyapunov exponents of a map or of a training run.

    Prints the leading exponents in nats per step with their standard errors, the Kaplan-Yorke
    dimension, what kind of orbit it was, and, for gradient descent, the sharpness of the loss at
    the end against the value at which descent becomes unstable, 2/lr. Fewer than 400 steps give
    finite-time exponents of that stretch of the run.

    resnet{6n+2} and plain{6n+2} train by gradient descent (sgd, lr 0.1) on the first 32 embedded
    MNIST digits, 28 x 28, in float32. --batch N takes the first N digits instead; with --arg
    n_data=M as well, steps are on minibatches of N out of M. --optimizer momentum, --arg width=0.5,
    image_size=14 and batch_norm=false are other choices; `dynfrac list` has them all. A network of
    your own trains on the first 256 digits unless --data says otherwise.

    Exit status 1 means that the orbit did not stay finite, so that there are no exponents.

    \b
    Example:
      dynfrac lyapunov --map henon --set a=1.4 --set b=0.3
      dynfrac lyapunov --arch resnet20 --lr 0.05 -k 4 --plot spectrum.png
    """
    for path, option in ((plot, "--plot"), (out, "--out")):
        if path is not None:
            check_output(path, option)
    if plot is not None and plot.suffix.lower() not in FIGURES:
        raise ValueError(f"--plot {plot} is no figure; end its name in {', '.join(FIGURES)}")

    given = training_arguments(arguments, shorthands)
    hparams: dict[str, Any] = dict(parse_numbers("--set", settings))
    if lr is not None:
        hparams["lr"] = lr
    name = map_name or arch or ""
    if steps is None:
        steps = MAP_STEPS if map_name else ARCHITECTURE_STEPS
    if warmup is None:
        warmup = default_warmup(steps)
    # A minibatch stream is as long as all of it, or it would repeat without being asked to.
    whole = transient + warmup + steps
    map_, _ = make_source(arch, map_name, given, wanted=hparams, steps=whole)

    try:
        with progress_bar("lyapunov", 1.0) as advance:
            spectrum = lyapunov_spectrum(
                map_,
                hparams,
                n_steps=steps,
                n_exponents=exponents,
                n_transient=transient,
                n_warmup=warmup,
                seed=seed,
                dtype=dtype,
                on_progress=_reporter(advance, transient, announce=not quiet),
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("a spectrum keeps nothing; ask for fewer --steps") from None
    curvature = _curvature(map_, hparams, spectrum, dtype)
    record = {"name": name, **spectrum.to_dict(), "sharpness": curvature}
    if out is not None:
        out.write_text(json.dumps(jsonable(record), indent=2) + "\n", encoding="utf-8")
    if plot is not None:
        _draw(spectrum, plot, name, is_training=arch is not None or curvature is not None)
    if as_json:
        print_json(record)
    else:
        _print(name, spectrum, curvature)
    return 1 if np.any(np.isnan(spectrum.exponents)) else 0


def _reporter(advance: Callable[[float], None], transient: int, *, announce: bool) -> Progress:
    """Return a callback that moves the bar and, once it can tell, says how long it will take.

    Calls before the tangents start do not count, and the fastest of the next three intervals is
    taken, because what is needed later may be compiled during one of them.
    """
    seen: list[tuple[int, float]] = []
    shown = 0.0

    def report(done: int, total: int) -> None:
        nonlocal shown
        advance(done / total - shown)
        shown = done / total
        if done <= transient or len(seen) == 4:
            return
        seen.append((done, time.perf_counter()))
        if len(seen) == 4 and announce:
            rate = min((b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(seen))
            left = rate * (total - done)
            if left > LONG_RUN:
                click.echo(
                    f"{total} steps at {rate:.2g} s each, compiled: "
                    f"about {format_duration(left)} to go",
                    err=True,
                )

    return report


def _curvature(
    map_: AbstractMap, hparams: dict[str, Any], spectrum: LyapunovSpectrum, dtype: str | None
) -> dict[str, Any] | None:
    """Measure the sharpness at the end and the value at which descent becomes unstable, if any."""
    find_threshold = getattr(map_, "stability_threshold", None)
    if find_threshold is None or spectrum.status != Status.BOUNDED:
        return None
    threshold = find_threshold(resolve_hparams(map_, hparams))
    if threshold is None:
        return None
    measured = sharpness(map_, spectrum.final_state, hparams, dtype=dtype)
    return {**dataclasses.asdict(measured), "threshold": float(threshold)}


def _draw(spectrum: LyapunovSpectrum, path: Path, name: str, *, is_training: bool) -> None:
    # Imported here: matplotlib takes longer to import than most spectra take to compute.
    from dynfrac.plots.spectra import spectrum_figure

    label = "training loss" if is_training else None
    spectrum_figure(spectrum, title=name, loss_label=label).savefig(path, dpi=200)


def _print(name: str, spectrum: LyapunovSpectrum, curvature: dict[str, Any] | None) -> None:
    """Print the spectrum for people."""
    conditions = spectrum.conditions
    first, stop = spectrum.step_range
    k, d = len(spectrum.exponents), spectrum.dimension
    values = " ".join(f"{key}={value:g}" for key, value in conditions["hparams"].items())
    click.echo(f"{name}  {values}")
    click.echo(
        f"{k} of {d} exponents in nats per step, {conditions['dtype']}, "
        f"{spectrum.n_steps} steps averaged" + (f" ({first} to {stop - 1})" if stop > first else "")
    )
    rows = [
        (
            j + 1,
            "-" if math.isnan(value) else f"{value:+.6f}",
            f"{stderr:.2g}" if math.isfinite(stderr) else "-",
        )
        for j, (value, stderr) in enumerate(zip(spectrum.exponents, spectrum.stderr, strict=True))
    ]
    print_table(("", "exponent", "stderr"), rows)
    if k == d and np.all(np.isfinite(spectrum.exponents)):
        click.echo(f"sum                    {spectrum.exponents.sum():+.9f}")
    dimension = spectrum.kaplan_yorke
    if math.isnan(dimension.value):
        known = f"between {dimension.low:.6g} and {dimension.high:.6g}"
        text = "unknown" if math.isnan(dimension.low) else known
    else:
        text = f"{dimension.value:.4f}, interval {dimension.low:.4f} to {dimension.high:.4f}"
    click.echo(f"Kaplan-Yorke dimension {text}")
    period = f" (period {spectrum.period})" if spectrum.period > 1 else ""
    click.echo(f"verdict                {spectrum.verdict}{period}")
    if curvature is not None:
        click.echo(
            f"sharpness              {curvature['value']:.6g}, unstable above "
            f"{curvature['threshold']:.6g}"
        )
        echo_flags(curvature["flags"])
    echo_flags(spectrum.flags)
