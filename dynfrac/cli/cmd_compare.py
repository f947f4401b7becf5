"""`dynfrac compare`: the boundaries of two architectures, seed by seed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from dynfrac.boundaries.windows import make_window_rule
from dynfrac.cli.comparison_tables import print_comparison
from dynfrac.cli.output import check_output, format_duration, print_json, progress_bar
from dynfrac.cli.pairs import parse_numbers, parse_pairs
from dynfrac.cli.sources import make_source, training_arguments
from dynfrac.cli.targets import check_targets, result_options, write_record
from dynfrac.orbits.axes import Axis
from dynfrac.studies.arms import METHODS, Arm, Protocol
from dynfrac.studies.comparison_summaries import Comparison
from dynfrac.studies.comparisons import (
    SEEDS,
    choose_seeds,
    compare,
    compare_levels,
    default_search,
)
from dynfrac.studies.readings import seconds_per_run
from dynfrac.sweeps.fingerprints import fingerprint
from dynfrac.systems.abstract import AbstractMap

STEPS = 100
BUDGET = 2000

LONG_RUN = 5.0
"""Seconds from which on a comparison is announced."""


@click.command()
@click.argument("a")
@click.argument("b", required=False)
@click.option(
    "--axis",
    "level",
    metavar="NAME=LOW:HIGH:N",
    help="Compare A with itself at N values of a hyperparameter, such as skip=0:1:5.",
)
@click.option("--x", metavar="NAME=LOW:HIGH", help="First axis of the box that is searched.")
@click.option("--y", metavar="NAME=LOW:HIGH", help="Second axis.  [default: by the network]")
@click.option("--z", metavar="NAME=LOW:HIGH", help="A third axis.")
@click.option(
    "--seeds",
    metavar="N",
    default=str(SEEDS),
    show_default=True,
    help="Paired seeds: how many, or FIRST:STOP.",
)
@click.option(
    "--budget",
    type=int,
    default=BUDGET,
    show_default=True,
    help="Most runs for each arm and seed, at least 500.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=STEPS,
    show_default=True,
    help="Steps of every run.",
)
@click.option(
    "--window", default="rays:1", show_default=True, help="Rule that chooses the windows."
)
@click.option(
    "--scales",
    metavar="LOW:HIGH",
    help="Fit every dimension over these distances and no others, in units of the window, such as "
    "2^-8:2^-4.  [default: every fit chooses]",
)
@click.option("--method", type=click.Choice(METHODS), default="auto", show_default=True)
@click.option(
    "--margin",
    type=float,
    metavar="DIFFERENCE",
    help="Call the two equal if the 90 % interval lies within this.",
)
@click.option("--width", metavar="NUMBER", help="As --arg width=NUMBER.")
@click.option("--image-size", metavar="PIXELS", help="As --arg image_size=PIXELS.")
@click.option(
    "--arg",
    "arguments",
    metavar="NAME=VALUE",
    multiple=True,
    help="An argument of both networks; repeatable.",
)
@click.option(
    "--arg-a", "own_a", metavar="NAME=VALUE", multiple=True, help="Of A alone; repeatable."
)
@click.option(
    "--arg-b", "own_b", metavar="NAME=VALUE", multiple=True, help="Of B alone; repeatable."
)
@click.option("--data", metavar="NAME", help="What both are trained on: a name, or FILE.npz.")
@click.option("--optimizer", metavar="NAME", help="Parts joined by +, or package.module:name.")
@click.option("--loss", metavar="NAME", help="cross-entropy, mse, or package.module:name.")
@click.option("--batch", type=click.IntRange(min=1), help="Examples a step.")
@click.option(
    "--set", "settings", metavar="NAME=VALUE", multiple=True, help="A hyperparameter; repeatable."
)
@click.option("--rule", metavar="NAME", help="What converged means, such as published@test_loss.")
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32", "bfloat16"]),
    help="[default: float64; float32 for convolutional networks]",
)
@click.option("--lanes", type=click.IntRange(min=1), help="Runs per batch.  [default: by size]")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the points and the intervals; the weights have --seeds.",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path),
    help="Keep every outcome in this folder; go on from it if it is there.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), help="Write a report of one page here, .html."
)
@result_options
def command(
    a: str,
    b: str | None,
    level: str | None,
    x: str | None,
    y: str | None,
    z: str | None,
    seeds: str,
    budget: int,
    steps: int,
    window: str,
    scales: str | None,
    method: str,
    margin: float | None,
    width: str | None,
    image_size: str | None,
    arguments: tuple[str, ...],
    own_a: tuple[str, ...],
    own_b: tuple[str, ...],
    settings: tuple[str, ...],
    rule: str | None,
    dtype: str | None,
    lanes: int | None,
    seed: int,
    journal: Path | None,
    report: Path | None,
    plot: Path | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    **shorthands: Any,
) -> int:
    """Whether the trainability boundaries of two architectures A and B differ in dimension.

    A and B are names (`dynfrac list`) or package.module:factory. For each seed both start from the
    same key and train on the same data in the same order. In each case the window rule finds a
    stretch of boundary within the box of --x and --y, the dimension is measured there, and a
    quadratic with a smooth boundary is measured in the same window, also with as few runs. The
    answer is the mean
    difference with its interval over seeds, and how many pairs would see a difference of 0.1.

    With --axis skip=0:1:5 the arms are A with shortcuts of five strengths, from the plain network
    to the residual one; B may then be left out.

    The box is weight_offset=1e-4:1 and lr=1e-3:1e3 unless given, for mean-field networks
    lr_in=1e-3:1e6 and lr_out=1e-3:1e6. --journal keeps every outcome: the same command goes on from
    there, also with more --seeds. Exit status 1 means that there is no value, as when fewer than
    two pairs are complete; the power statement is printed all the same.

    \b
    Example:
      dynfrac compare resnet8 plain8 --width 0.25 --image-size 14 --steps 60 --seeds 3 --budget 500
      dynfrac compare resnet20 plain20 --journal kept --plot pairs.png --report report.html
      dynfrac compare resnet8 --axis skip=0:1:5 --arg batch_norm=false --margin 0.05
      dynfrac compare resnet8 plain8 --scales 2^-8:2^-4 --budget 4000 --journal same-scales
      dynfrac compare my_nets:Deep my_nets:Shallow --optimizer momentum --batch 32
    """
    check_targets(
        {"--plot": plot, "--report": report, "--out": out}, kinds={"--report": (".html", ".htm")}
    )
    if journal is not None:
        check_output(journal, "--journal", folder=True)
    if budget < 500:
        raise ValueError(f"--budget {budget} is too small; give at least 500")
    levels = None if level is None else Axis.parse(level)
    if levels is not None and levels.n is None:
        raise ValueError(f"--axis {level} does not say how many values; write NAME=LOW:HIGH:N")
    if b is None and levels is None:
        raise click.UsageError("give two architectures, or one and --axis NAME=LOW:HIGH:N")
    hparams = parse_numbers("--set", settings)
    given = _shared_arguments(arguments, width, image_size, shorthands)
    own = parse_pairs("--arg-a", own_a), parse_pairs("--arg-b", own_b)
    first = _make_arm(a, {**given, **own[0]}, steps)
    second = None if b is None else _make_arm(b, {**given, **own[1]}, steps)
    if levels is not None and second is not None:
        _check_twins(first, second, levels)
    chosen = _parse_seeds(seeds)
    axes = tuple(Axis.parse(text) for text in (x, y, z) if text is not None)
    search = axes or default_search(first.make(chosen[0]))
    options: dict[str, Any] = {
        "n_steps": steps,
        "budget": budget,
        "window": window,
        "method": method,
        "seed": seed,
        "hparams": hparams,
        "rule": rule,
        "dtype": dtype,
        "lanes": lanes,
        "scales": None if scales is None else _parse_scales(scales),
    }
    if not quiet:
        arms = [first] if second is None or levels is not None else [first, second]
        n_arms = len(arms) if levels is None else int(levels.n or 1)
        protocol = Protocol(search, **{**options, "window": make_window_rule(window)})
        _announce(arms, n_arms, chosen, protocol)
    options |= {"seeds": chosen, "margin": margin, "journal": journal}
    with progress_bar("compare", 1.0) as advance:
        options["on_progress"] = _reporter(advance, journal)
        if levels is not None:
            found = compare_levels(first, levels, search, **options)
        else:
            assert second is not None
            found = compare(first, second, search, **options)
    made_with = {"arguments": given, "arguments_a": own[0], "arguments_b": own[1]}
    record = {"a": a, "b": b, **made_with, **found.to_dict()}
    write_record(record, out)
    _draw(found, plot, report)
    if as_json:
        print_json(record)
    else:
        print_comparison(found)
    return 0 if found.difference.has_value else 1


def _shared_arguments(
    arguments: tuple[str, ...],
    width: str | None,
    image_size: str | None,
    shorthands: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the arguments of both networks."""
    given = training_arguments(arguments, shorthands)
    texts = {"width": width, "image_size": image_size}
    for name, text in texts.items():
        if text is not None:
            if name in given:
                option = name.replace("_", "-")
                raise ValueError(f"--{option} and --arg {name} are both given; drop one of them")
            given |= parse_pairs(f"--{name}", [f"{name}={text}"])
    return given


def _make_arm(name: str, arguments: dict[str, Any], steps: int) -> Arm:
    """Return the arm of a network that is named on the command line."""
    if "seed" in arguments:
        raise ValueError("--arg seed is what the pairs differ in; give --seeds")

    def make(seed: int) -> AbstractMap:
        try:
            return make_source(name, None, {**arguments, "seed": seed}, steps=steps)[0]
        except ValueError as error:
            if "takes no seed" in str(error):
                raise ValueError(
                    f"{name} returns the same map for every seed; give its factory the argument "
                    "seed, or return a network"
                ) from error
            raise

    return Arm(name, make)


def _check_twins(first: Arm, second: Arm, levels: Axis) -> None:
    """Refuse two networks that are not the two ends of one that is swept."""
    one, other = first.make(0), second.make(0)
    ends = {one.defaults.get(levels.name), other.defaults.get(levels.name)}
    alike = {k: v for k, v in one.defaults.items() if k != levels.name and v == v} == {
        k: v for k, v in other.defaults.items() if k != levels.name and v == v
    }
    # Networks of other depths or widths have the same hyperparameters.
    if not alike or _made_of(one) != _made_of(other) or ends != {levels.low, levels.high}:
        raise ValueError(
            f"--axis {levels.name}={levels.low:g}:{levels.high:g} does not lead from "
            f"{second.name} to {first.name}; leave out {second.name}"
        )


def _made_of(map_: AbstractMap) -> str:
    """Return a hash of all of a map but the settings of its hyperparameters."""
    return fingerprint(map_.replace(settings={}) if hasattr(map_, "settings") else map_)


def _parse_seeds(text: str) -> tuple[int, ...]:
    """Read ``8`` as 0 to 7, and ``8:16`` as 8 to 15."""
    try:
        ends = [int(part) for part in text.split(":")]
        return choose_seeds(ends[0] if len(ends) == 1 else tuple(range(*ends)))
    except (ValueError, TypeError):
        raise ValueError(
            f"--seeds {text} is not understood; write a number, or FIRST:STOP"
        ) from None


def _parse_scales(text: str) -> tuple[float, float]:
    """Read ``2^-8:2^-4`` or ``0.004:0.06``.

    >>> _parse_scales("2^-8:0.0625")
    (0.00390625, 0.0625)
    """
    try:
        low, high = (_number(part) for part in text.split(":"))
    except (ValueError, OverflowError):
        raise ValueError(
            f"--scales {text} is not understood; write LOW:HIGH, such as 2^-8:2^-4 or 0.004:0.06"
        ) from None
    return low, high


def _number(text: str) -> float:
    base, power, exponent = text.partition("^")
    return float(base) ** float(exponent) if power else float(base)


def _announce(arms: list[Arm], n_arms: int, seeds: tuple[int, ...], protocol: Protocol) -> None:
    """Say on standard error how long it will take, measured on a few runs."""
    each = sum(seconds_per_run(arm, seeds[0], protocol) for arm in arms) / len(arms)
    n_runs = n_arms * len(seeds) * protocol.budget
    if each * n_runs > LONG_RUN:
        click.echo(
            f"{n_runs} runs at most, {each:.2g} s each: about {format_duration(each * n_runs)}, "
            "less what diverges early or is in the journal",
            err=True,
        )


def _reporter(advance: Callable[[float], None], journal: Path | None) -> Callable[[int, int], None]:
    """Return a callback that moves the bar, and says on Ctrl-C what is kept."""
    shown = 0.0

    def report(done: int, total: int) -> None:
        nonlocal shown
        try:
            advance(done / total - shown)
        except KeyboardInterrupt:
            remedy = "nothing was kept; --journal FOLDER keeps what is done, to go on from"
            if journal is not None:
                remedy = f"the same command goes on from {journal}"
            raise KeyboardInterrupt(remedy) from None
        shown = done / total

    return report


def _draw(found: Comparison, plot: Path | None, report: Path | None) -> None:
    """Write figure and report."""
    if plot is None and report is None:
        return
    # Imported here: matplotlib takes longer to import than the options take to check.
    from dynfrac.plots.comparisons import comparison_figure

    if plot is not None:
        comparison_figure(found).savefig(plot, dpi=200)
    if report is not None:
        from dynfrac.plots.comparison_reports import comparison_report

        text = comparison_report(found, command=" ".join(["dynfrac", *sys.argv[1:]]))
        report.write_text(text, encoding="utf-8")
