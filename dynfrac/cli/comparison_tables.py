"""What `dynfrac compare` prints for people."""

from __future__ import annotations

import math

import click

from dynfrac.analysis.estimates import Estimate
from dynfrac.cli.output import echo_flags, print_table
from dynfrac.studies.comparison_summaries import Comparison
from dynfrac.studies.readings import Reading


def print_comparison(found: Comparison) -> None:
    """Print the readings of every seed, the arms, the difference, and what it would take."""
    conditions = found.conditions
    names = [arm.name for arm in found.arms]
    search = ", ".join(f"{n}={low:g}:{high:g}" for n, low, high, _ in conditions["search"])
    click.echo(f"{names[0]} against {names[-1]}: dimension of the boundary in {search}")
    click.echo(
        f"windows {conditions['window']}, {conditions['n_steps']} steps, rule "
        f"{', '.join(conditions['rules'])}, {', '.join(conditions['dtypes'])}, at most "
        f"{conditions['budget']} runs for each arm and seed\n"
    )
    print_table(
        ("seed", *names, "difference"),
        [
            (
                row[0].seed,
                *(_reading(reading) for reading in row),
                _number(row[0].estimate.value - row[-1].estimate.value),
            )
            for row in found.readings
        ],
    )
    click.echo()
    print_table(
        ("arm", "mean", "smooth null", "excess", "undecided", "no value"),
        [
            (
                arm.name,
                _value(arm.dimension),
                _value(arm.null),
                _value(arm.excess),
                f"{arm.undecided.value:.1%}" if arm.undecided.has_value else "-",
                f"{arm.n_missing} of {arm.n_seeds}",
            )
            for arm in found.arms
        ],
    )
    click.echo()
    _print_difference(found)
    click.echo(f"power: {found.power.sentence}")
    echo_flags(found.flags)


def _print_difference(found: Comparison) -> None:
    difference, statistics = found.difference, found.statistics
    if not difference.has_value:
        click.echo("difference: no value")
        return
    click.echo(
        f"difference {_interval(difference)} over {statistics.n_pairs} pairs (bootstrap "
        f"{statistics.bootstrap_low:+.3f} ... {statistics.bootstrap_high:+.3f}; sign test "
        f"p = {statistics.sign_p:.2g}, permutation p = {statistics.permutation_p:.2g})"
    )
    if found.shared.has_value:
        low, high = difference.window
        click.echo(
            f"at the scales that all fits share, {low:.2g} to {high:.2g} of the window: "
            f"{_interval(found.shared)}"
        )
    if found.trend is not None and found.trend.has_value:
        click.echo(f"slope per unit of what is swept: {_interval(found.trend)}")
    if found.equivalence is not None:
        told = "equal" if found.equivalence.equivalent else "not shown to be equal"
        click.echo(
            f"{told} within {found.equivalence.margin:g}: 90 % interval "
            f"{found.equivalence.ci_low:+.3f} ... {found.equivalence.ci_high:+.3f}"
        )


def _interval(estimate: Estimate) -> str:
    return (
        f"{estimate.value:+.3f}, 95 % interval {estimate.ci_low:+.3f} ... {estimate.ci_high:+.3f}"
    )


def _reading(reading: Reading) -> str:
    mark = "*" if reading.estimate.flags else ""
    if not reading.estimate.has_value:
        return "-" + mark
    return f"{reading.estimate.value:.3f} ({reading.estimate.stderr:.3f}){mark}"


def _value(estimate: Estimate) -> str:
    if not estimate.has_value:
        return "-"
    error = f" ({estimate.stderr:.3f})" if math.isfinite(estimate.stderr) else ""
    return f"{estimate.value:.3f}{error}"


def _number(value: float) -> str:
    return f"{value:+.3f}" if math.isfinite(value) else "-"
