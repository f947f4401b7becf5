"""What `dynfrac compare` prints for people."""

from __future__ import annotations

import math

import click

from dynfrac.analysis.estimates import Estimate
from dynfrac.cli.output import echo_flags, print_table
from dynfrac.studies.comparison_summaries import ArmSummary, Comparison
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
        ("arm", "mean", "null at this budget", "excess", "null, many runs", "no value"),
        [
            (
                arm.name,
                _value(arm.dimension),
                null_at_budget(arm),
                _value(arm.excess),
                _value(arm.null),
                f"{arm.n_missing} of {arm.n_seeds}",
            )
            for arm in found.arms
        ],
    )
    click.echo()
    print_table(
        ("arm", "undecided", "last bit", "twice the steps", "loss of converged runs"),
        [
            (
                arm.name,
                *(share(part) for part in (arm.undecided, arm.rounding, arm.steps)),
                loss(arm),
            )
            for arm in found.arms
        ],
    )
    click.echo()
    _print_difference(found)
    click.echo(f"power: {found.power.sentence}")
    echo_flags(found.flags)


def null_at_budget(arm: ArmSummary) -> str:
    """Return what the smooth null reads with the runs of a reading, how far apart, how often."""
    if not arm.null_repetitions:
        return "-"
    often = f"in {arm.null_values} of {arm.null_repetitions}"
    if not arm.null_values:
        return f"no value {often.replace('in 0', 'in any')}"
    spread = f", sd {arm.null_spread:.3f}" if math.isfinite(arm.null_spread) else ""
    return f"{arm.null_at_budget.value:.3f}{spread}, {often}"


def share(estimate: Estimate) -> str:
    """Return a share in per cent, or a dash."""
    return f"{estimate.value:.1%}" if estimate.has_value else "-"


def loss(arm: ArmSummary) -> str:
    """Return the median loss of converged runs, or a dash."""
    return f"{arm.converged_loss:.3g}" if math.isfinite(arm.converged_loss) else "-"


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
    if found.conditions["scales"] is not None:
        low, high = found.conditions["scales"]
        click.echo(f"all dimensions are fitted over the same scales, {_range(low, high)}")
    elif found.shared.has_value:
        low, high = difference.window
        click.echo(
            f"at the scales that all fits share, {_range(low, high)}: {_interval(found.shared)}"
        )
    if found.trend is not None and found.trend.has_value:
        click.echo(f"slope per unit of what is swept: {_interval(found.trend)}")
    if found.equivalence is not None:
        told = "equal" if found.equivalence.equivalent else "not shown to be equal"
        click.echo(
            f"{told} within {found.equivalence.margin:g}: 90 % interval "
            f"{found.equivalence.ci_low:+.3f} ... {found.equivalence.ci_high:+.3f}"
        )


def _range(low: float, high: float) -> str:
    return f"{low:.2g} to {high:.2g} of the window"


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
