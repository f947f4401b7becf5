"""What `dynfrac lyapunov` prints for people."""

from __future__ import annotations

import math
from typing import Any

import click
import numpy as np

from dynfrac.analysis.finite_time import FiniteTimeExponents
from dynfrac.analysis.spectra import LyapunovSpectrum
from dynfrac.cli.output import echo_flags, print_table


def print_spectrum(name: str, spectrum: LyapunovSpectrum, curvature: dict[str, Any] | None) -> None:
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
    columns = {"exponent": spectrum.exponents, "stderr": spectrum.stderr}
    columns["naive"] = spectrum.naive_stderr
    if spectrum.starts is not None:
        columns["between"] = spectrum.starts.between_stderr
    rows = [
        (
            j + 1,
            *(_number(column[j], is_error=name != "exponent") for name, column in columns.items()),
        )
        for j in range(k)
    ]
    print_table(("", *columns), rows)
    if spectrum.starts is not None:
        click.echo(f"means over {len(spectrum.starts.verdicts)} starts")
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


def _number(value: float, *, is_error: bool) -> str:
    """Write an exponent or its error."""
    if is_error:
        return f"{value:.2g}" if math.isfinite(value) else "-"
    return "-" if math.isnan(value) else f"{value:+.6f}"


def print_growth(name: str, growth: FiniteTimeExponents) -> None:
    """Print the distribution of finite-time exponents for people."""
    values = {n: v for n, v in growth.conditions["hparams"].items() if np.ndim(v) == 0}
    click.echo(f"{name}  {' '.join(f'{key}={value:g}' for key, value in values.items())}")
    n, k = growth.values.shape
    finished = int(np.sum(~np.isnan(growth.values[:, 0])))
    click.echo(f"{finished} of {n} windows of {growth.window} steps, in nats per step")
    quantiles = [f"{100 * level:g} %" for level in growth.levels]
    rows = [
        (
            j + 1,
            _number(growth.mean[j], is_error=False),
            _number(growth.stderr[j], is_error=True),
            _number(growth.sd[j], is_error=True),
            *(_number(value, is_error=False) for value in growth.quantiles[:, j]),
        )
        for j in range(k)
    ]
    print_table(("", "mean", "stderr", "sd", *quantiles), rows)
    if finished > 1:
        click.echo("")
        print_table(
            ("steps", "sd of exponent 1", "times sqrt(steps)"),
            [
                (int(length), f"{sd:.4g}", f"{sd * math.sqrt(length):.4g}")
                for length, sd in zip(growth.lengths, growth.sds[:, 0], strict=True)
            ],
        )
    echo_flags(growth.flags)
