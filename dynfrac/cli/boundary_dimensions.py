"""What `dynfrac dimension` prints for people."""

from __future__ import annotations

import math

import click

from dynfrac.analysis.estimates import Estimate
from dynfrac.boundaries.dimensions import STRETCH_TAIL
from dynfrac.cli.output import echo_flags, print_table
from dynfrac.orbits.axes import Axis
from dynfrac.studies.dimension_reports import DimensionReport


def print_report(name: str, report: DimensionReport) -> None:
    """Print the headline, the methods, D at every scale, the shares, and the doubts."""
    conditions = report.conditions
    window = ", ".join(
        f"{axis.name}={axis.low:g}:{axis.high:g} ({axis.scale})" for axis in report.axes
    )
    click.echo(f"{name}: dimension of the boundary in {window}")
    spent = sum(report.runs.values())
    if conditions:
        click.echo(
            f"{spent} runs of {conditions['n_steps']} steps, budget {report.budget}, rule "
            f"{conditions['rule']}, {conditions['dtype']}"
        )
        values = {key: value for key, value in conditions["hparams"].items() if value is not None}
        fixed = " ".join(f"{key}={value:g}" for key, value in values.items())
        if fixed:
            click.echo(f"at {fixed}")
    else:
        click.echo(f"{spent} labels, budget {report.budget}")
    if report.n_kept:
        click.echo(f"{report.n_kept} of them were kept in the journal")
    click.echo()
    _print_headline(report)
    click.echo()
    print_table(
        ("", "dimension", "stderr", "95 % interval", "scales", "runs"),
        [_row(key, reading) for key, reading in report.estimates.items()],
    )
    click.echo(report.agreement)
    if len(report.local):
        click.echo("\nthe dimension at each scale, in units of the window\n")
        curve = report.local
        print_table(
            ("scale", "D", "stderr"),
            [
                (f"{x:.2g}", f"{y:.3f}", f"{error:.3f}" if math.isfinite(error) else "-")
                for x, y, error in zip(
                    curve.x[::-1], curve.y[::-1], curve.stderr[::-1], strict=True
                )
            ],
        )
    _print_shares(report)
    echo_flags(report.headline.flags)
    for key, reading in report.estimates.items():
        if reading is not report.headline:
            echo_flags(f"{key}: {flag}" for flag in reading.flags)
    echo_flags(report.flags)


def _print_headline(report: DimensionReport) -> None:
    headline = report.headline
    if not headline.has_value:
        click.echo("no value")
        return
    click.echo(
        f"D = {headline.value:.4f}, stderr {headline.stderr:.4f}, 95 % interval "
        f"[{headline.ci_low:.4f}, {headline.ci_high:.4f}], {headline.method}"
    )
    low, high = headline.window
    if low > 0 and headline is not report.estimates.get(STRETCH_TAIL):
        along = "; ".join(_in_units(axis, low, high) for axis in report.axes)
        click.echo(
            f"over {math.log10(high / low):.1f} decades of distance, {low:.2g} to {high:.2g} of "
            f"the window: {along}"
        )


def _in_units(axis: Axis, low: float, high: float) -> str:
    """Say how far apart points at these distances are along an axis."""
    if axis.scale == "log10":
        width, unit = math.log10(axis.high / axis.low), " decades"
    else:
        width, unit = axis.high - axis.low, ""
    return f"{axis.name} {low * width:.2g} to {high * width:.2g}{unit}"


def _row(name: str, reading: Estimate) -> tuple[str, ...]:
    if not reading.has_value:
        return (name, "no value", "", "", "", str(reading.n_runs))
    low, high = reading.window
    # The window of stretch-tail is one of thresholds, not of distances.
    scales = f"{low:.2g} to {high:.2g}" if low > 0 and name != STRETCH_TAIL else ""
    return (
        name,
        f"{reading.value:.4f}",
        f"{reading.stderr:.4f}",
        f"[{reading.ci_low:.4f}, {reading.ci_high:.4f}]",
        scales,
        str(reading.n_runs),
    )


def _print_shares(report: DimensionReport) -> None:
    """Print what the dimension hangs on."""
    rows: list[tuple[str, str, str]] = []

    def add(what: str, reading: Estimate | None) -> None:
        if reading is not None and reading.has_value:
            interval = f"[{100 * reading.ci_low:.2f}, {100 * reading.ci_high:.2f}]"
            rows.append((what, f"{100 * reading.value:.2f} %", interval))

    add("runs undecided at the end", report.undecided)
    add("settled runs still stretching", report.still_stretching)
    doubling = report.doubling
    if doubling is not None:
        add("labels that change with twice the steps", doubling.changed)
        change = doubling.change
        if change.has_value:
            interval = f"[{change.ci_low:+.4f}, {change.ci_high:+.4f}]"
            rows.append(("change of D with twice the steps", f"{change.value:+.4f}", interval))
    add("labels at the boundary that hang on the last bit", report.ulp_flips)
    if rows:
        click.echo()
        print_table(("", "", "95 % interval"), rows)
