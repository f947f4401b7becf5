"""Figures of exponents: a spectrum and how it settled, the distribution of finite-time ones."""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FormatStrFormatter,
    LogFormatterSciNotation,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from dynfrac.analysis.finite_time import FiniteTimeExponents
from dynfrac.analysis.spectra import LyapunovSpectrum

N_LINES = 6
"""Exponents whose history is drawn."""

LONG = 1000
"""From this many steps on, the time axis of the history is logarithmic."""


def spectrum_figure(
    spectrum: LyapunovSpectrum, *, title: str | None = None, loss_label: str | None = None
) -> Figure:
    """Draw a spectrum with two standard errors, and the running means behind it.

    Parameters
    ----------
    spectrum : LyapunovSpectrum
    title : str, optional
        What was run.
    loss_label : str, optional
        If given, what the map observed is drawn below the history under this label, such as
        ``"training loss"``; on a logarithmic scale if it is never
        negative and spans more than a factor of 3.

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window; save it with `savefig`.
    """
    figure = Figure(figsize=(9.0, 4.4 if loss_label else 3.6), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.9), height_ratios=(2.2, 1))
    _draw_exponents(figure.add_subplot(grid[:, 0]), spectrum)
    if loss_label is None:
        _draw_history(figure.add_subplot(grid[:, 1]), spectrum)
    else:
        above = figure.add_subplot(grid[0, 1])
        _draw_history(above, spectrum)
        above.set_xlabel("")
        above.tick_params(labelbottom=False)
        _draw_loss(figure.add_subplot(grid[1, 1], sharex=above), spectrum, loss_label)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def finite_time_figure(growth: FiniteTimeExponents, *, title: str | None = None) -> Figure:
    """Draw the distribution of finite-time exponents, and how it narrows with the window.

    Parameters
    ----------
    growth : FiniteTimeExponents
        With at least one finished window.
    title : str, optional
        What was run.

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window; save it with `savefig`.
    """
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
    n_lines = min(N_LINES, growth.values.shape[1])
    for j, colour in enumerate(_colours(n_lines)):
        values = growth.values[:, j]
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        # As many bars as windows can fill: by their number, not by the extremes among them.
        bins = int(np.clip(2 * len(values) ** (1 / 3), 5, 60))
        left.hist(values, bins=bins, color=colour, alpha=0.75, label=f"exponent {j + 1}")
        left.axvline(growth.mean[j], color=colour, linewidth=1.2, linestyle="--")
    low, high = left.get_xlim()
    if low < 0 < high:
        left.axvline(0.0, color="0.6", linewidth=0.8, zorder=0)
    left.set_xlabel(f"exponent over {growth.window} steps (nats per step), dashed: mean")
    left.set_ylabel("windows")
    if n_lines > 1:
        left.legend(frameon=False, fontsize=9)
    for j, colour in enumerate(_colours(n_lines)):
        # Exponents of a constant sum scatter alike: the later ones stay visible below the first.
        size = 4 + 2.5 * j
        right.plot(
            growth.lengths, growth.sds[:, j], "o-", markersize=size, color=colour, zorder=9 - j
        )
    known = np.flatnonzero(growth.sds[:, 0] > 0)
    if known.size:
        first = known[0]
        slope = growth.sds[first, 0] * np.sqrt(growth.lengths[first] / growth.lengths)
        label = r"like $1/\sqrt{\mathrm{steps}}$"
        right.plot(growth.lengths, slope, color="0.6", linewidth=1.0, label=label)
        right.legend(frameon=False, fontsize=9)
        right.set_xscale("log")
        right.set_yscale("log")
        shown = growth.lengths[:: math.ceil(len(growth.lengths) / 6)]
        right.set_xticks(shown, [str(length) for length in shown])
        right.xaxis.set_minor_locator(NullLocator())
        right.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        right.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        right.yaxis.set_minor_formatter(NullFormatter())
    right.set_xlabel("steps of a window")
    right.set_ylabel("standard deviation")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def _colours(n: int) -> Any:
    """Return n colours from dark to light: the leading exponent is the darkest."""
    return matplotlib.colormaps["viridis"](np.linspace(0.0, 0.8, max(n, 2)))[:n]


def _draw_exponents(axes: Axes, spectrum: LyapunovSpectrum) -> None:
    """Draw the exponents against their number."""
    k = len(spectrum.exponents)
    number = np.arange(1, k + 1)
    known = np.isfinite(spectrum.exponents)
    errors = np.nan_to_num(2 * spectrum.stderr[known])
    axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
    if np.any(known):
        axes.errorbar(
            number[known],
            spectrum.exponents[known],
            yerr=errors,
            fmt="o",
            markersize=5 if k <= 16 else 2.5,
            capsize=3 if k <= 16 else 0,
            color="0.15",
        )
    else:
        axes.text(0.5, 0.5, spectrum.verdict, ha="center", transform=axes.transAxes)
    axes.set_xlim(0.5, k + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=min(k, 8), integer=True, min_n_ticks=1))
    axes.set_xlabel(f"exponent, {k} of {spectrum.dimension}")
    axes.set_ylabel("exponent $\\pm$ 2 standard errors\n(nats per step)")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_history(axes: Axes, spectrum: LyapunovSpectrum) -> None:
    """Draw the running means of the leading exponents, and name their values."""
    steps = spectrum.history.steps
    n_lines = min(N_LINES, len(spectrum.exponents))
    axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
    for j, colour in enumerate(_colours(n_lines)):
        label = _with_error(float(spectrum.exponents[j]), float(spectrum.stderr[j]))
        axes.plot(steps, spectrum.history.exponents[:, j], color=colour, label=label)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    if spectrum.n_steps >= LONG:
        axes.set_xscale("log")
    axes.set_xlabel(f"steps averaged, from step {spectrum.step_range[0]} on")
    axes.set_ylabel("running mean (nats per step)")
    axes.spines[["top", "right"]].set_visible(False)


def _with_error(value: float, error: float) -> str:
    """Write a number to the digits that its error leaves, four to six decimals."""
    digits = math.ceil(-math.log10(error)) if error > 0 else 6
    text = f"{value:+.{min(max(digits, 4), 6)}f}".replace("-", "\N{MINUS SIGN}")
    return f"{text} $\\pm$ {error:.1g}"


def _draw_loss(axes: Axes, spectrum: LyapunovSpectrum, label: str) -> None:
    """Draw what the map observed at the recorded steps."""
    values = spectrum.history.observations
    axes.plot(spectrum.history.steps, values, color="0.15", linewidth=1.2)
    # A loss that has underflowed to zero leaves a gap on the logarithmic scale.
    positive = values[values > 0]
    if len(positive) and np.min(values) >= 0 and np.max(values) > 3 * np.min(positive):
        axes.set_yscale("log")
        wide = np.max(values) > 100 * np.min(positive)
        axes.yaxis.set_major_locator(
            LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=6)
        )
        axes.yaxis.set_major_formatter(
            LogFormatterSciNotation() if wide else FormatStrFormatter("%g")
        )
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"steps averaged, from step {spectrum.step_range[0]} on")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
