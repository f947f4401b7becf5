"""`dynfrac lyapunov`: exponents of a map or of a training run."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from dynfrac.analysis.curvature import sharpness
from dynfrac.analysis.finite_time import FiniteTimeExponents, finite_time_lyapunov
from dynfrac.analysis.lyapunov import default_warmup, lyapunov_spectrum
from dynfrac.analysis.spectra import LyapunovSpectrum
from dynfrac.cli.checkpoints import CheckpointFile, read_checkpoint
from dynfrac.cli.exponents import print_growth, print_spectrum
from dynfrac.cli.output import (
    format_duration,
    print_json,
    progress_bar,
)
from dynfrac.cli.pairs import parse_numbers
from dynfrac.cli.sources import make_source, source_options, training_arguments
from dynfrac.cli.targets import check_targets, result_options, write_record
from dynfrac.orbits.checkpoints import Checkpoint
from dynfrac.orbits.iteration import Progress
from dynfrac.orbits.outcomes import Status
from dynfrac.systems.abstract import AbstractMap, resolve_hparams
from dynfrac.systems.iterates import epoch_map

MAP_STEPS = 500_000
ARCHITECTURE_STEPS = 50

LONG_RUN = 2.0
"""Seconds from which on a run is announced."""


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
    "--tolerance",
    type=float,
    metavar="ERROR",
    help="Stop once every standard error is below this; --steps is then the most that are spent.",
)
@click.option(
    "--starts",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Run from so many starts near the map's own, and compare; 8 or more tell most.",
)
@click.option(
    "--finite-time",
    "window",
    type=click.IntRange(min=1),
    metavar="WINDOW",
    help="Print the distribution of the exponents over windows of so many steps instead.",
)
@click.option(
    "--statistics",
    is_flag=True,
    help="Count running statistics (BatchNorm) as coordinates: each adds the log of its decay.",
)
@click.option(
    "--per-epoch",
    is_flag=True,
    help="Take an epoch for one step: exponents are per epoch, and --steps counts epochs.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Keep the run in this file, every 30 s and at Ctrl-C; go on from it if it is there.",
)
@result_options
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
    tolerance: float | None,
    starts: int,
    window: int | None,
    statistics: bool,
    per_epoch: bool,
    checkpoint: Path | None,
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

    Standard errors allow for autocorrelation; the column "naive" does not, and stands there for
    comparison. --starts runs the same from several starts and says if they disagree.

    Exit status 1 means that the orbit did not stay finite, so that there are no exponents.

    \b
    Example:
      dynfrac lyapunov --map henon --set a=1.4 --set b=0.3
      dynfrac lyapunov --map henon --tolerance 1e-3 --starts 8
      dynfrac lyapunov --map logistic --finite-time 100 --plot growth.png
      dynfrac lyapunov --arch resnet20 --lr 0.05 -k 4 --plot spectrum.png
    """
    check_targets({"--plot": plot, "--out": out, "--checkpoint": checkpoint})
    if window is not None and (tolerance is not None or checkpoint is not None):
        other = "--checkpoint" if tolerance is None else "--tolerance"
        raise click.UsageError(f"--finite-time and {other} exclude each other")
    if tolerance is not None and not 0 < tolerance < math.inf:
        raise ValueError(f"--tolerance {tolerance} is out of range; pass a number above 0")

    given = training_arguments(arguments, shorthands)
    hparams: dict[str, Any] = dict(parse_numbers("--set", settings))
    if lr is not None:
        hparams["lr"] = lr
    name = map_name or arch or ""
    if steps is None:
        steps = max(MAP_STEPS if map_name else ARCHITECTURE_STEPS, window or 1)
    elif window is not None and window > steps:
        raise ValueError(f"--finite-time {window} is longer than --steps {steps}; raise --steps")
    if warmup is None:
        warmup = default_warmup(steps)
    # A minibatch stream is as long as all of it, or it would repeat without being asked to.
    length = {"epochs" if per_epoch else "steps": transient + warmup + steps}
    map_, _ = make_source(arch, map_name, given, wanted=hparams, **length)
    if per_epoch:
        map_ = epoch_map(map_)
    options: dict[str, Any] = {
        "n_transient": transient,
        "n_warmup": warmup,
        "n_starts": starts,
        "slaved": statistics,
        "seed": seed,
        "dtype": dtype,
    }
    bounded = tolerance is not None
    with progress_bar("lyapunov", 1.0) as advance:
        options["on_progress"] = _reporter(advance, transient, announce=not quiet, at_most=bounded)
        if window is not None:
            growth = finite_time_lyapunov(
                map_,
                hparams,
                window=window,
                n_steps=steps,
                n_exponents=exponents or 1,
                **options,
            )
            return _finish_growth(name, growth, plot, out, as_json=as_json)
        with _kept(checkpoint) as options["on_checkpoint"], _explained(checkpoint):
            spectrum = lyapunov_spectrum(
                map_,
                hparams,
                n_steps=steps,
                n_exponents=exponents,
                atol=tolerance or 0.0,
                resume=None if checkpoint is None else read_checkpoint(checkpoint),
                **options,
            )
    curvature = _curvature(map_, hparams, spectrum, dtype)
    record = {"name": name, **spectrum.to_dict(), "sharpness": curvature}
    write_record(record, out)
    if plot is not None:
        _draw(spectrum, plot, name, is_training=arch is not None or curvature is not None)
    if as_json:
        print_json(record)
    else:
        print_spectrum(name, spectrum, curvature)
    return 1 if np.any(np.isnan(spectrum.exponents)) else 0


@contextlib.contextmanager
def _kept(path: Path | None) -> Iterator[Callable[[Checkpoint], None] | None]:
    """Yield what takes the checkpoints of a run; write the last one, however the run ends.

    Raises
    ------
    KeyboardInterrupt
        With what was kept and how to go on.
    """
    if path is None:
        try:
            yield None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "nothing was kept; --checkpoint FILE keeps what is done, to go on from"
            ) from None
        return
    file = CheckpointFile(path)
    try:
        yield file.offer
    except KeyboardInterrupt:
        file.write()
        done = 0 if file.latest is None else file.latest.t
        raise KeyboardInterrupt(
            f"{done} steps are kept; the same command goes on from {path}"
        ) from None
    file.write()


@contextlib.contextmanager
def _explained(path: Path | None) -> Iterator[None]:
    """Say of a checkpoint that does not fit which file it is."""
    try:
        yield
    except ValueError as error:
        if path is None or not str(error).startswith("the checkpoint"):
            raise
        words = str(error).removeprefix("the checkpoint ").partition(";")[0]
        raise ValueError(
            f"--checkpoint {path} {words}; choose another name or delete it"
        ) from error


def _finish_growth(
    name: str, growth: FiniteTimeExponents, plot: Path | None, out: Path | None, *, as_json: bool
) -> int:
    """Write and print finite-time exponents; return the exit status."""
    record = {"name": name, **growth.to_dict()}
    write_record(record, out)
    if plot is not None and growth.has_value:
        # Imported here: matplotlib takes longer to import than most spectra take to compute.
        from dynfrac.plots.spectra import finite_time_figure

        finite_time_figure(growth, title=name).savefig(plot, dpi=200)
    if as_json:
        print_json(record)
    else:
        print_growth(name, growth)
    return 0 if growth.has_value else 1


def _reporter(
    advance: Callable[[float], None], transient: int, *, announce: bool, at_most: bool
) -> Progress:
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
                    f"{'at most' if at_most else 'about'} {format_duration(left)} to go",
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
