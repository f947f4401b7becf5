"""Figure of a boundary dimension: f(eps) with its fit, D at every scale, all methods."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from dynfrac.analysis.estimates import Estimate
from dynfrac.boundaries.dimensions import PAIRS
from dynfrac.studies.dimension_reports import DimensionReport

# Okabe-Ito, which colour-blind readers tell apart.
_DATA = "#0072B2"
_FIT = "#D55E00"
_WINDOW = "0.93"

_DISTANCE = "distance, in units of the window"


def boundary_dimension_figure(report: DimensionReport, *, title: str | None = None) -> Figure:
    """Draw how pairs come to agree, the dimension at every scale, and all methods.

    Parameters
    ----------
    report : DimensionReport
        With a value or without.
    title : str, optional
        What was measured.

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window; save it with `savefig`.
    """
    curves = _has_curve(report)
    # A lone method without a curve of pairs is drawn as one of several: else its value is not seen.
    several = len(report.estimates) > 1 or (report.headline.has_value and not curves)
    figure = Figure(figsize=(9.0 if several else 6.2, 4.6), layout="constrained")
    widths = (1.9, 1) if several else (1,)
    grid = figure.add_gridspec(2, len(widths), width_ratios=widths, height_ratios=(1.25, 1))
    if curves:
        pairs = report.estimates[PAIRS]
        above = figure.add_subplot(grid[0, 0] if len(report.local) else grid[:, 0])
        draw_fractions(above, pairs, len(report.axes))
        if len(report.local):
            above.tick_params(labelbottom=False)
            above.set_xlabel("")
            draw_scale_dimensions(figure.add_subplot(grid[1, 0], sharex=above), report)
    else:
        _say(figure.add_subplot(grid[:, 0]), report.headline.flags + report.flags)
    if several:
        draw_methods(figure.add_subplot(grid[:, 1]), report)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def draw_fractions(axes: Axes, pairs: Estimate, n_axes: int) -> Axes:
    """Draw the fraction of pairs that disagree with two standard errors, the window and the fit.

    Parameters
    ----------
    axes : matplotlib Axes
    pairs : Estimate
        Of stratified pairs, with a curve.
    n_axes : int
        Of the window: the dimension is this less the slope.

    Returns
    -------
    matplotlib Axes
        The same.
    """
    axes.set_xscale("log")
    axes.set_yscale("log")
    seen = pairs.curve.y > 0
    x, y, stderr = (values[seen] for values in (pairs.curve.x, pairs.curve.y, pairs.curve.stderr))
    # An error as large as the value would reach down to zero, which is nowhere on this axis.
    below = np.minimum(2 * np.nan_to_num(stderr), 0.9 * y)
    axes.errorbar(
        x,
        y,
        yerr=[below, 2 * np.nan_to_num(stderr)],
        fmt="o",
        markersize=3.2,
        linewidth=0.9,
        color=_DATA,
        zorder=3,
    )
    if pairs.has_value:
        ends = np.array(pairs.window)
        alpha = n_axes - pairs.value
        axes.axvspan(*pairs.window, color=_WINDOW, zorder=0, linewidth=0)
        axes.plot(
            ends,
            np.exp(_level(x, y, stderr, pairs.window, alpha)) * ends**alpha,
            color=_FIT,
            linewidth=1.6,
            zorder=4,
            label=f"D = {pairs.value:.3f} \N{PLUS-MINUS SIGN} {_half_width(pairs):.3f} (95 %)",
        )
        axes.legend(loc="upper left", frameon=False, fontsize=9, handlelength=1.4)
    # At least a decade, or there is no power of ten to label.
    middle, span = math.sqrt(y.min() * y.max()), max(2.5, y.max() / y.min())
    axes.set_ylim(middle / span**0.5 / 3, min(middle * span**0.5 * 3, 2.0))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=_DISTANCE, ylabel="pairs that disagree")
    _tidy_distances(axes, x)
    return axes


def draw_scale_dimensions(axes: Axes, report: DimensionReport) -> Axes:
    """Draw the dimension at every scale with two standard errors, and the band of the headline.

    Parameters
    ----------
    axes : matplotlib Axes
    report : DimensionReport
        With a curve D(scale).

    Returns
    -------
    matplotlib Axes
        The same.
    """
    axes.set_xscale("log")
    curve, headline = report.local, report.headline
    pairs = report.estimates.get(PAIRS)
    if pairs is not None and pairs.has_value:
        axes.axvspan(*pairs.window, color=_WINDOW, zorder=0, linewidth=0)
    if headline.has_value:
        axes.axhspan(headline.ci_low, headline.ci_high, color=_FIT, alpha=0.2, linewidth=0)
        axes.axhline(headline.value, color=_FIT, linewidth=1.6)
    axes.errorbar(
        curve.x,
        curve.y,
        yerr=2 * np.nan_to_num(curve.stderr),
        fmt="o-",
        markersize=3.2,
        linewidth=0.9,
        color=_DATA,
        zorder=3,
    )
    # The errors of a few pairs would flatten everything else.
    n_axes = len(report.axes)
    errors = np.nan_to_num(curve.stderr)
    low, high = (curve.y - errors).min(), (curve.y + errors).max()
    if headline.has_value:
        low, high = min(low, headline.ci_low), max(high, headline.ci_high)
    axes.set_ylim(max(low - 0.1, n_axes - 1.6), min(high + 0.1, n_axes + 0.4))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set(xlabel=_DISTANCE, ylabel="D at this scale")
    _tidy_distances(axes, curve.x)
    return axes


def draw_methods(axes: Axes, report: DimensionReport) -> Axes:
    """Draw the value of every method with its 95 % interval.

    Parameters
    ----------
    axes : matplotlib Axes
    report : DimensionReport

    Returns
    -------
    matplotlib Axes
        The same.
    """
    names = list(report.estimates)
    known = [(i, report.estimates[name]) for i, name in enumerate(names)]
    known = [(i, reading) for i, reading in known if reading.has_value]
    if report.headline.has_value:
        ends = report.headline.ci_low, report.headline.ci_high
        axes.axhspan(*ends, color=_FIT, alpha=0.2, linewidth=0)
    for i, reading in known:
        below, above = reading.value - reading.ci_low, reading.ci_high - reading.value
        axes.errorbar(
            [i],
            [reading.value],
            yerr=[[max(below, 0.0)], [max(above, 0.0)]],
            fmt="o",
            markersize=4.5,
            capsize=3,
            color=_FIT if reading is report.headline else _DATA,
        )
        axes.annotate(
            f"{reading.value:.3f}",
            (i, reading.value),
            (7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    for i, name in enumerate(names):
        if not report.estimates[name].has_value:
            middle = axes.get_xaxis_transform()
            axes.text(i, 0.5, "no value", transform=middle, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    if known:
        low = min(reading.ci_low for _, reading in known)
        high = max(reading.ci_high for _, reading in known)
        room = max(0.25 * (high - low), 0.05)
        axes.set_ylim(low - room, high + room)
    else:
        axes.set_yticks([])
    axes.set_ylabel("dimension")
    axes.grid(axis="y", color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _has_curve(report: DimensionReport) -> bool:
    """Whether pairs were asked, and some of them disagreed."""
    pairs = report.estimates.get(PAIRS)
    return pairs is not None and bool((pairs.curve.y > 0).any())


def _level(
    x: np.ndarray, y: np.ndarray, stderr: np.ndarray, window: tuple[float, float], alpha: float
) -> float:
    """Return ln f at distance 1 of the line of a given slope that passes the points in a window."""
    inside = (x >= window[0] / 1.01) & (x <= window[1] * 1.01)
    weights = (y / np.maximum(np.nan_to_num(stderr), 1e-3 * y))[inside] ** 2
    return float(np.average(np.log(y[inside]) - alpha * np.log(x[inside]), weights=weights))


def _half_width(estimate: Estimate) -> float:
    return (estimate.ci_high - estimate.ci_low) / 2


def _say(axes: Axes, flags: tuple[str, ...]) -> None:
    """Write the flags where a curve would be."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, "\n".join(flags), ha="center", va="center", wrap=True)


def _tidy_distances(axes: Axes, x: np.ndarray) -> None:
    """Label few decades of distance, however many there are, and parts of them if there are two."""
    n_decades = math.log10(x[-1] / x[0])
    if n_decades < 2:
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=12))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    else:
        axes.xaxis.set_major_locator(LogLocator(base=10, numticks=8))
    if n_decades > 3:
        axes.xaxis.set_minor_locator(LogLocator(base=10, subs=[], numticks=1))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)
