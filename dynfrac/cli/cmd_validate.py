"""`dynfrac validate`: every estimator against systems whose answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import click

from dynfrac.cli.output import (
    format_duration,
    format_table,
    print_json,
    progress_bar,
)
from dynfrac.cli.targets import check_targets, result_options, write_record
from dynfrac.studies.reference_table import PROVENANCE, Case
from dynfrac.studies.validation import ROUNDING, Row, Validation, choose_cases, validate


@click.command()
@click.option("--quick", is_flag=True, help="Only what takes a few seconds: under a minute in all.")
@click.option(
    "--only", metavar="CASE", multiple=True, help="Run this case; repeatable. --list names them."
)
@click.option("--list", "as_list", is_flag=True, help="List the known values and run nothing.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of initial tangents, bootstraps and random samples.",
)
@result_options
def command(
    quick: bool,
    only: tuple[str, ...],
    as_list: bool,
    seed: int,
    plot: Path | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Every estimator against systems whose answer is known.

    Maps with known exponents, sets with known dimensions, basins, repellers and counts from the
    literature are measured with the functions that you use, and compared with the known values.
    A row passes if the estimate is within its tolerance, or within four standard errors if that is
    more; and its standard error must not exceed two tolerances, so that nothing passes by being
    vague. Exit status 1 means that a row is out.

    The column "known" says how: exact is a closed form or an identity, published a value from the
    literature, computed one that two independent methods agree on. A dash under stderr stands for
    a number without a statistical error, such as a count.

    \b
    Example:
      dynfrac validate --quick
      dynfrac validate --out validation.json --plot validation.png
    """
    check_targets({"--plot": plot, "--out": out})
    cases = choose_cases(quick=quick, only=only)
    if as_list:
        _list(cases, as_json)
        return 0
    with progress_bar("validate", len(cases)) as advance:
        table = validate(quick=quick, only=only, seed=seed, on_progress=lambda case: advance(1))
    write_record(table, out)
    if plot is not None:
        # Imported here: matplotlib takes longer to import than some tables take to compute.
        from dynfrac.plots.validation import validation_figure

        validation_figure(table).savefig(plot, dpi=200)
    if as_json:
        print_json(table)
    else:
        _print(table)
    return 0 if table.passed else 1


def _list(cases: tuple[Case, ...], as_json: bool) -> None:
    """Print the table of known values."""
    if as_json:
        print_json({"cases": cases, "known": PROVENANCE})
        return
    for case in cases:
        click.echo(f"{case.name}: {case.title}{' (quick)' if case.quick else ''}")
        for row in case.rows:
            click.echo(
                f"    {row.quantity} = {row.reference:.7g} to {row.tolerance:.2g}, "
                f"{row.known}: {row.source}"
            )


def _print(table: Validation) -> None:
    """Print the table for people, and the reasons below it."""
    headers = ("  quantity", "reference", "estimate", "stderr", "sigmas", "known", "")
    header, *lines = format_table(headers, [_cells(row) for row in table.rows]).split("\n")
    click.echo(header)
    system = ""
    for row, line in zip(table.rows, lines, strict=True):
        if row.case != system:
            system = row.case
            click.echo(system)
        click.echo(line)
    n_passed = sum(row.passed for row in table.rows)
    seconds = format_duration(sum(table.seconds.values()))
    click.echo(f"\n{n_passed} of {len(table.rows)} known values are met, in {seconds}")
    for row in table.rows:
        if not row.passed:
            reason = row.note or (
                f"{row.estimate:.7g} is {row.deviation:+.2g} from {row.known.reference:.7g}; "
                f"tolerance {row.known.tolerance:.2g}, standard error {row.stderr:.2g}"
            )
            click.echo(f"out: {row.known.id}: {reason}")


def _cells(row: Row) -> tuple[str, ...]:
    exact = row.stderr < ROUNDING
    return (
        f"  {row.known.quantity}",
        f"{row.known.reference:.6g}",
        f"{row.estimate:.6g}" if math.isfinite(row.estimate) else "-",
        f"{row.stderr:.1e}" if math.isfinite(row.stderr) and not exact else "-",
        f"{row.sigmas:+.1f}" if math.isfinite(row.sigmas) else "-",
        row.known.known,
        "" if row.passed else "out",
    )
