"""Figure of the dimensions of points: C(r), its local slopes, D2(r0) and D_q."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.scaling import fit_window, local_slopes

# Okabe-Ito, which colour-blind readers tell apart.
_DATA = "#0072B2"
_FIT = "#D55E00"
_NULL = "0.55"
_WINDOW = "0.93"
_DASHES = ("--", ":")

_FEWEST = 1e-12
"""Values of C(r) below this are not drawn."""


def point_dimension_figure(
    estimate: Estimate,
    *,
    takens: Estimate | None = None,
    surrogates: Mapping[str, Estimate] | None = None,
    dimensions: Mapping[float, Estimate] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the correlation sum with its fit and local slopes, Takens' D2(r0), and D_q.

    Parameters
    ----------
    estimate : Estimate
        As `correlation_dimension` returns it, with a value or without.
    takens : Estimate, optional
        As `takens_dimension` returns it.
    surrogates : mapping of str to Estimate, optional
        As `surrogate_dimensions` returns it.
    dimensions : mapping of float to Estimate, optional
        D_q by q, as `generalized_dimension` returns it.
    title : str, optional
        What was measured.

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window; save it with `savefig`.
    """
    right = [panel for panel in (takens, dimensions) if panel]
    figure = Figure(figsize=(9.0 if right else 5.4, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 2 if right else 1, width_ratios=(1.2, 1) if right else (1,))
    if len(estimate.curve) and (estimate.curve.y > 0).any():
        above = figure.add_subplot(grid[0, 0])
        draw_correlation_sum(above, estimate, surrogates)
        above.tick_params(labelbottom=False)
        draw_local_slopes(figure.add_subplot(grid[1, 0], sharex=above), estimate, surrogates)
    else:
        _say(figure.add_subplot(grid[:, 0]), estimate)
    if takens is not None:
        panel = figure.add_subplot(grid[0 if dimensions else slice(None), 1])
        draw_takens(panel, takens) if len(takens.curve) else _say(panel, takens)
    if dimensions:
        panel = figure.add_subplot(grid[1 if takens is not None else slice(None), 1])
        draw_spectrum(panel, dimensions)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def draw_correlation_sum(
    axes: Axes, estimate: Estimate, surrogates: Mapping[str, Estimate] | None = None
) -> Axes:
    """Draw C(r) with two standard errors, the window and the fit.

    Parameters
    ----------
    axes : matplotlib Axes
    estimate : Estimate
        With a curve.
    surrogates : mapping of str to Estimate, optional

    Returns
    -------
    matplotlib Axes
        The same.
    """
    axes.set_xscale("log")
    axes.set_yscale("log")
    for (name, null), dashes in zip((surrogates or {}).items(), _DASHES, strict=False):
        seen = null.curve.y > _FEWEST
        axes.plot(
            null.curve.x[seen], null.curve.y[seen], dashes, color=_NULL, linewidth=1.2, label=name
        )
    x, y, stderr = (getattr(estimate.curve, field) for field in ("x", "y", "stderr"))
    seen = y > _FEWEST
    errors = np.minimum(2 * np.nan_to_num(stderr[seen]), 0.95 * y[seen])
    axes.errorbar(
        x[seen], y[seen], yerr=errors, fmt="o", markersize=2.6, linewidth=0.8, color=_DATA, zorder=3
    )
    if _has_window(estimate):
        fit = fit_window(x, y, estimate.window)
        ends = np.array(fit.window)
        axes.axvspan(*fit.window, color=_WINDOW, zorder=0, linewidth=0)
        half = (estimate.ci_high - estimate.ci_low) / 2
        axes.plot(
            ends,
            np.exp(fit.intercept) * ends**fit.slope,
            color=_FIT,
            linewidth=1.6,
            zorder=4,
            label=f"D2 = {estimate.value:.3f} \N{PLUS-MINUS SIGN} {half:.3f} (95 %)",
        )
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], labels[::-1], loc="upper left", frameon=False, fontsize=8)
    axes.set_ylabel("close pairs C(r)")
    _tidy(axes)
    return axes


def draw_local_slopes(
    axes: Axes, estimate: Estimate, surrogates: Mapping[str, Estimate] | None = None
) -> Axes:
    """Draw the slope of C(r) between neighbouring radii, with the interval and the surrogates'.

    Parameters
    ----------
    axes : matplotlib Axes
    estimate : Estimate
        With a curve.
    surrogates : mapping of str to Estimate, optional

    Returns
    -------
    matplotlib Axes
        The same.
    """
    axes.set_xscale("log")
    for null, dashes in zip((surrogates or {}).values(), _DASHES, strict=False):
        axes.plot(*local_slopes(null.curve.x, null.curve.y), dashes, color=_NULL, linewidth=1.2)
    if _has_window(estimate):
        axes.axvspan(*estimate.window, color=_WINDOW, zorder=0, linewidth=0)
        axes.fill_between(
            estimate.window, estimate.ci_low, estimate.ci_high, color=_FIT, alpha=0.25, linewidth=0
        )
        axes.plot(estimate.window, [estimate.value] * 2, color=_FIT, linewidth=1.6)
    slopes = local_slopes(estimate.curve.x, estimate.curve.y)
    axes.plot(*slopes, "o-", markersize=2.6, linewidth=0.8, color=_DATA)
    # The few pairs at the smallest radii scatter far beyond what is of interest.
    fitted = slopes[1][np.isfinite(slopes[1])]
    centre = estimate.value if estimate.has_value else float(np.median(fitted))
    axes.set_ylim(0, max(2 * centre, 1.0))
    axes.set(xlabel="radius r", ylabel="local slope")
    _tidy_linear(axes)
    return axes


def draw_takens(axes: Axes, takens: Estimate) -> Axes:
    """Draw D2(r0) with two standard errors, and the radius that was chosen.

    Parameters
    ----------
    axes : matplotlib Axes
    takens : Estimate
        With a curve.

    Returns
    -------
    matplotlib Axes
        The same.
    """
    axes.set_xscale("log")
    x, y, stderr = (getattr(takens.curve, field) for field in ("x", "y", "stderr"))
    axes.fill_between(x, y - 2 * stderr, y + 2 * stderr, color=_DATA, alpha=0.2, linewidth=0)
    axes.plot(x, y, color=_DATA, linewidth=1.2)
    if _has_window(takens):
        axes.errorbar(
            [takens.window[1]],
            [takens.value],
            yerr=_whiskers(takens),
            fmt="o",
            markersize=4,
            color=_FIT,
            label=f"D2 = {takens.value:.3f} (Takens)",
        )
        axes.legend(loc="best", frameon=False, fontsize=8)
    axes.set(xlabel="largest radius r0", ylabel="D2(r0)")
    _tidy_linear(axes)
    return axes


def draw_spectrum(axes: Axes, dimensions: Mapping[float, Estimate]) -> Axes:
    """Draw D_q against q with its 95 % intervals.

    Parameters
    ----------
    axes : matplotlib Axes
    dimensions : mapping of float to Estimate

    Returns
    -------
    matplotlib Axes
        The same.
    """
    known = {q: reading for q, reading in dimensions.items() if reading.has_value}
    for q, reading in known.items():
        whiskers = _whiskers(reading)
        axes.errorbar([q], [reading.value], yerr=whiskers, fmt="o", markersize=4, color=_DATA)
    axes.set_xticks(list(dimensions))
    axes.margins(x=0.15)
    axes.set(xlabel="order q", ylabel="$D_q$")
    if not known:
        axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center", va="center")
    _tidy_linear(axes)
    return axes


def _whiskers(estimate: Estimate) -> list[list[float]]:
    """Return the lengths of an error bar; a value can lie beyond an interval cut at d."""
    below, above = estimate.value - estimate.ci_low, estimate.ci_high - estimate.value
    return [[max(below, 0.0)], [max(above, 0.0)]]


def _has_window(estimate: Estimate) -> bool:
    return estimate.has_value and math.isfinite(estimate.window[0])


def _say(axes: Axes, estimate: Estimate) -> None:
    """Write the flags where a curve would be."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, "\n".join(estimate.flags), ha="center", va="center", wrap=True)


def _tidy_linear(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
