"""Figure of a comparison: partners, their differences, and the dimension at every scale."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dynfrac.analysis.estimates import Estimate
from dynfrac.studies.comparison_summaries import Comparison

# Okabe-Ito, which colour-blind readers tell apart; the markers differ, too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "D", "^", "v", "P")
_NULL = "0.82"
_LINE = "0.65"
_LEAST_RANGE = 0.4
"""Height of the axis of dimensions, so that a narrow band does not look like a wide one."""


def comparison_figure(found: Comparison, *, title: str | None = None) -> Figure:
    """Draw the values of all pairs, their differences with the interval, and D(scale).

    Parameters
    ----------
    found : Comparison
        With a difference or without.
    title : str, optional
        The names of the arms when absent.

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window; save it with `savefig`.
    """
    n_arms = len(found.arms)
    figure = Figure(figsize=(8.2 + 0.7 * n_arms, 3.9), layout="constrained")
    grid = figure.add_gridspec(1, 3, width_ratios=(0.8 + 0.45 * n_arms, 1.25, 2.0))
    draw_pairs_of_values(figure.add_subplot(grid[0]), found)
    draw_differences(figure.add_subplot(grid[1]), found)
    draw_scales(figure.add_subplot(grid[2]), found)
    first, last = found.arms[0].name, found.arms[-1].name
    words = title if title is not None else f"{first} against {last}"
    figure.suptitle(words, x=0.01, ha="left", fontsize=11)
    return figure


def draw_pairs_of_values(axes: Axes, found: Comparison) -> Axes:
    """Draw the dimension of every arm and seed, with lines between partners.

    Parameters
    ----------
    axes : matplotlib Axes
    found : Comparison

    Returns
    -------
    matplotlib Axes
        The same. Error bars are two standard errors, the bar across an arm is its mean, the band is
        where the smooth null reads in the same windows with as many runs.
    """
    n_arms, n_rows = len(found.arms), len(found.readings)
    spread = np.linspace(-0.13, 0.13, n_rows) if n_rows > 1 else np.zeros(1)
    for shift, row in zip(spread, found.readings, strict=True):
        values = np.array([reading.estimate.value for reading in row])
        axes.plot(np.arange(n_arms) + shift, values, color=_LINE, linewidth=0.8, zorder=1)
        for k, reading in enumerate(row):
            if reading.estimate.has_value:
                axes.errorbar(
                    k + shift,
                    reading.estimate.value,
                    yerr=2 * reading.estimate.stderr,
                    fmt=_MARKERS[k % len(_MARKERS)],
                    color=_COLOURS[k % len(_COLOURS)],
                    markersize=4,
                    elinewidth=0.8,
                    zorder=3,
                )
    for k, arm in enumerate(found.arms):
        if arm.dimension.has_value:
            axes.hlines(arm.dimension.value, k - 0.25, k + 0.25, color="0.1", linewidth=1.8)
        if arm.null_at_budget.has_value:
            half = _null_half(arm.null_at_budget)
            axes.fill_between(
                [k - 0.32, k + 0.32],
                arm.null_at_budget.value - half,
                arm.null_at_budget.value + half,
                color=_NULL,
                linewidth=0,
                zorder=0,
            )
    nulls = [arm.null_at_budget.value for arm in found.arms[:1] if arm.null_at_budget.has_value]
    if nulls:
        half_null = _null_half(found.arms[0].null_at_budget)
        axes.annotate(
            "smooth null",
            (-0.32, nulls[0] - half_null),
            (0, -9),
            textcoords="offset points",
            fontsize=7.5,
            color="0.35",
        )
    labels = [
        textwrap.fill(arm.name, 13)
        + (f"\n{arm.n_missing} of {arm.n_seeds} no value" if arm.n_missing else "")
        for arm in found.arms
    ]
    axes.set_xticks(range(n_arms), labels, fontsize=8)
    axes.set_xlim(-0.5, n_arms - 0.5)
    low, high = axes.get_ylim()
    widen = max(0.0, (_LEAST_RANGE - (high - low)) / 2)
    axes.set_ylim(low - widen, high + widen)
    axes.set_ylabel("dimension of the boundary")
    _tidy(axes)
    return axes


def draw_differences(axes: Axes, found: Comparison) -> Axes:
    """Draw the difference of every pair, and their mean with its 95 % interval.

    Parameters
    ----------
    axes : matplotlib Axes
    found : Comparison

    Returns
    -------
    matplotlib Axes
        The same. The band is the margin of equivalence, if there is one.
    """
    axes.axhline(0, color="0.6", linewidth=0.8, zorder=1)
    if found.equivalence is not None:
        margin = found.equivalence.margin
        axes.axhspan(-margin, margin, color="0.93", linewidth=0, zorder=0)
    differences = np.array(
        [row[0].estimate.value - row[-1].estimate.value for row in found.readings]
    )
    errors = np.array(
        [np.hypot(row[0].estimate.stderr, row[-1].estimate.stderr) for row in found.readings]
    )
    kept = np.isfinite(differences)
    shown = int(kept.sum())
    axes.errorbar(
        np.linspace(-0.3, 0.0, shown) if shown > 1 else np.full(shown, -0.15),
        differences[kept],
        yerr=2 * errors[kept],
        fmt="o",
        color=_LINE,
        markersize=3.5,
        elinewidth=0.8,
    )
    _draw_interval(axes, 0.3, found.difference, "o")
    _draw_interval(axes, 0.8, found.shared, "D")
    if not found.difference.has_value:
        words = "no value:\n" + textwrap.fill(found.difference.flags[0], 18)
        axes.text(
            0.5,
            0.98,
            words,
            transform=axes.transAxes,
            ha="center",
            va="top",
            fontsize=8,
            color="0.3",
        )
        if not shown:
            axes.set_ylim(-0.5, 0.5)
    ticks = {-0.15: "pairs", 0.3: "mean"}
    if found.conditions["scales"] is None:
        ticks[0.8] = "shared\nscales"
    axes.set_xticks([*ticks], [*ticks.values()], fontsize=8)
    axes.set_xlim(-0.42, 0.3 + max(ticks))
    axes.set_ylabel("difference")
    _tidy(axes)
    return axes


def draw_scales(axes: Axes, found: Comparison) -> Axes:
    """Draw the mean dimension of every arm at every octave, with two standard errors.

    Parameters
    ----------
    axes : matplotlib Axes
    found : Comparison

    Returns
    -------
    matplotlib Axes
        The same.
    """
    axes.set_xscale("log", base=2)
    low, high = found.difference.window
    if np.isfinite(low):
        axes.axvspan(low, high, color="0.95", linewidth=0, zorder=0)
    drawn = False
    for k, arm in enumerate(found.arms):
        if not len(arm.scales):
            continue
        drawn = True
        axes.errorbar(
            # Side by side, so that error bars do not hide each other.
            arm.scales.x * 2 ** (0.12 * (k - (len(found.arms) - 1) / 2)),
            arm.scales.y,
            yerr=2 * arm.scales.stderr,
            fmt=_MARKERS[k % len(_MARKERS)] + "-",
            color=_COLOURS[k % len(_COLOURS)],
            markersize=3.5,
            linewidth=1,
            elinewidth=0.8,
            label=arm.name,
        )
    if drawn:
        # Above the panel: inside, long names cover the error bars.
        axes.legend(
            frameon=False,
            fontsize=8,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            borderaxespad=0.0,
            ncols=1 if len(found.arms) < 4 else 2,
        )
        axes.set_xlabel("scale / width of the window")
    else:
        axes.set_xticks([])
        axes.text(
            0.5,
            0.5,
            "no scale at which two seeds\nof an arm have a value",
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=8,
            color="0.3",
        )
    axes.set_ylabel("local dimension")
    _tidy(axes)
    return axes


def _null_half(null: Estimate) -> float:
    """Return two standard errors, or what can still be seen."""
    return max(2 * float(np.nan_to_num(null.stderr)), 0.004)


def _draw_interval(axes: Axes, x: float, estimate: Estimate, marker: str) -> None:
    if not estimate.has_value:
        return
    ends = [[estimate.value - estimate.ci_low], [estimate.ci_high - estimate.value]]
    axes.errorbar(
        [x], [estimate.value], yerr=ends, fmt=marker, color="0.1", markersize=5, elinewidth=1.6
    )


def _tidy(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
