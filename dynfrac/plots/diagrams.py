"""Figure of an orbit diagram: where orbits end up over a hyperparameter, and the exponent beneath.

The upper panel counts the kept values in a fine raster, so that a file does not grow with their
number and a thin line of a cycle stays as visible as a band of chaos. Colours are a logarithmic
scale of counts, from light to dark; no colour carries a meaning of its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from dynfrac.analysis.cascades import OrbitDiagram
from dynfrac.plots.canvas import INK
from dynfrac.plots.ticks import label_axis

ROWS = 50
"""Rows of the raster for every inch of the figure's height: lines of a cycle have the width of a
thin pen at any size."""

COLUMNS = 700
"""A diagram with fewer values has columns that do not touch."""

_INKS = LinearSegmentedColormap.from_list("inks", ["#b9c8dc", "#3f5f8f", "#0b1a33"])
_LINE = "#0b1a33"
_BAND = "#8fa6c6"
_MARK = "#b3541e"
_GONE = "#efe9e4"

_LABEL = 2.1
"""Points of type for the labels of y, for every inch of the figure's height."""

_APART = 0.035
"""Marks whose distance is less of the axis than this share one label."""


def orbit_figure(
    diagram: OrbitDiagram,
    *,
    title: str = "",
    label: str | None = None,
    y_range: tuple[float, float] | None = None,
    logarithmic: bool = False,
    size: tuple[float, float] = (6.4, 5.6),
) -> Figure:
    """Draw an orbit diagram and the largest exponent with two standard errors.

    Parameters
    ----------
    diagram : OrbitDiagram
    title : str
        What was run.
    label : str, optional
        What was observed, in words; the observable's name when absent.
    y_range : (float, float), optional
        What is shown of the observable; everything when absent.
    logarithmic : bool, default False
        Whether the observable has a logarithmic scale. Values that are not positive are left out.
    size : (float, float)
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window; save it with `savefig`.

    Notes
    -----
    Vertical lines are where the period is first seen doubled and where chaos is first seen, in the
    middle of the pale interval in which `OrbitDiagram.cascade` has it begin. Shaded values are
    those whose runs escaped. The exponent's axis is cut where it would follow superstable orbits
    down to minus infinity.
    """
    figure = Figure(figsize=size, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.9, 1))
    label_axis(below, "x", diagram.axis)
    edges = _edges(diagram)
    below.set_xlim(edges[0], edges[-1])
    above.tick_params(labelbottom=False)
    _draw_orbits(above, diagram, edges, y_range, logarithmic, round(ROWS * size[1]))
    usual = "observed value" if diagram.observable == "loss" else diagram.observable
    above.set_ylabel(usual if label is None else label)
    _draw_exponents(below, diagram)
    # Of a small figure the lower panel is shorter than its label.
    type_size = min(10.0, _LABEL * size[1])
    for ax in (above, below):
        ax.yaxis.label.set_fontsize(type_size)
    _draw_gone(diagram, edges, above, below)
    _draw_marks(above, below, diagram)
    for ax in (above, below):
        ax.tick_params(which="both", color=INK)
        ax.spines[:].set(color=INK, linewidth=0.6)
    figure.align_ylabels()
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def _edges(diagram: OrbitDiagram) -> np.ndarray:
    """Return the n + 1 edges of the columns, in values of the hyperparameter."""
    n = len(diagram.values)
    return diagram.axis.values((np.arange(n + 1) - 0.5) / (n - 1))


def _draw_orbits(
    ax: Axes,
    diagram: OrbitDiagram,
    edges: np.ndarray,
    y_range: tuple[float, float] | None,
    logarithmic: bool,
    n_rows: int,
) -> None:
    """Count the kept values in cells, and draw the counts."""
    shown = diagram.observed[np.isfinite(diagram.observed)]
    shown = shown[shown > 0] if logarithmic else shown
    low, high = y_range if y_range is not None else _limits(shown, logarithmic)
    ax.set_yscale("log" if logarithmic else "linear")
    ax.set_ylim(low, high)
    if not shown.size:
        ax.text(0.5, 0.5, "no run stayed bounded", ha="center", transform=ax.transAxes)
        return
    scale = np.log if logarithmic else np.asarray
    rows = np.linspace(scale(low), scale(high), n_rows + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        heights = scale(diagram.observed)
    counts = np.stack([np.histogram(line[np.isfinite(line)], rows)[0] for line in heights], axis=1)
    # Few values stand apart: each fills the middle third of its column.
    parts = 3 if len(diagram.values) < COLUMNS // 3 else 1
    raster = np.zeros((n_rows, parts * len(diagram.values)))
    raster[:, parts // 2 :: parts] = counts
    box = np.array([[edges[0], low], [edges[-1], high]])
    (left, bottom), (right, top) = ax.transScale.transform(box).tolist()
    ax.imshow(
        np.ma.masked_equal(raster, 0),
        cmap=_INKS,
        norm=LogNorm(1, max(2, diagram.observed.shape[1])),
        # In these coordinates cells have one size, on a logarithmic axis too.
        extent=(left, right, bottom, top),
        transform=ax.transLimits + ax.transAxes,
        origin="lower",
        aspect="auto",
        interpolation="none",
        zorder=2,
    )


def _limits(shown: np.ndarray, logarithmic: bool) -> tuple[float, float]:
    """Return the range of the observable with a margin."""
    if not shown.size:
        return (0.1, 1.0) if logarithmic else (0.0, 1.0)
    low, high = float(shown.min()), float(shown.max())
    if logarithmic:
        margin = max((high / low) ** 0.04, 1.02)
        return low / margin, high * margin
    margin = 0.04 * (high - low) or 0.5 * max(abs(high), 1e-12)
    return low - margin, high + margin


def _draw_exponents(ax: Axes, diagram: OrbitDiagram) -> None:
    """Draw the exponents with their band, around zero."""
    x, exponents = diagram.values, diagram.exponents
    finite = np.isfinite(exponents)
    ax.set_ylabel("largest exponent\n(nats per step)")
    ax.axhline(0.0, color="0.45", linewidth=0.8, zorder=1)
    if not finite.any():
        return
    known = np.where(finite, exponents, np.nan)
    error = 2 * np.nan_to_num(diagram.stderr)
    ax.fill_between(x, known - error, known + error, color=_BAND, linewidth=0, zorder=2)
    style = {"marker": "o", "markersize": 1.6} if len(x) < COLUMNS // 3 else {}
    ax.plot(x, known, color=_LINE, linewidth=0.7, zorder=3, **style)
    top = float(np.nanmax(known))
    # Superstable orbits go down without end: of the lowest twentieth only the direction is shown.
    cut = float(np.percentile(known[finite], 5))
    bottom = max(float(np.nanmin(known)), min(1.6 * cut, -abs(top), -0.01))
    margin = 0.06 * max(top - bottom, 1e-6)
    ax.set_ylim(min(bottom, 0.0) - margin, max(top, 0.0) + margin)
    superstable = np.isneginf(exponents)
    if superstable.any():
        floor = blended_transform_factory(ax.transData, ax.transAxes)
        at = np.full(int(superstable.sum()), 0.03)
        ax.plot(x[superstable], at, "v", color=_LINE, markersize=3.5, transform=floor, zorder=4)


def _draw_gone(diagram: OrbitDiagram, edges: np.ndarray, above: Axes, below: Axes) -> None:
    """Shade the values whose runs did not stay bounded."""
    gone = ~diagram.bounded
    if not gone.any():
        return
    starts = np.flatnonzero(gone & ~np.r_[False, gone[:-1]])
    stops = np.flatnonzero(gone & ~np.r_[gone[1:], False]) + 1
    for start, stop in zip(starts, stops, strict=True):
        for ax in (above, below):
            ax.axvspan(edges[start], edges[stop], color=_GONE, linewidth=0, zorder=0)
    widest = int(np.argmax(stops - starts))
    place = diagram.axis.values((starts[widest] + stops[widest] - 1) / 2 / (len(gone) - 1))
    if (stops - starts)[widest] > 0.05 * len(gone):
        middle = blended_transform_factory(above.transData, above.transAxes)
        words = {"rotation": 90, "ha": "center", "va": "center", "fontsize": 8, "color": "0.4"}
        above.text(float(place), 0.5, "escaped", transform=middle, **words)


def _draw_marks(above: Axes, below: Axes, diagram: OrbitDiagram) -> None:
    """Draw a line where each period and chaos begin, with labels as far as there is room."""
    top = blended_transform_factory(above.transData, above.transAxes)
    marks = []
    for change in diagram.cascade:
        low = change.high if math.isnan(change.low) else change.low
        x = (low + change.high) / 2
        for ax in (above, below):
            ax.axvspan(low, change.high, color=_MARK, alpha=0.12, linewidth=0, zorder=1)
            ax.axvline(x, color=_MARK, linewidth=0.6, alpha=0.75, zorder=1.5)
        place = float(above.transLimits.transform(above.transScale.transform((x, 1.0)))[0])
        marks.append((place, x, change))
    taken = [place for place, _, change in marks if change.kind == "chaotic"]  # has its word first
    for place, x, change in marks:
        if change.kind == "chaotic":
            _write_above(above, "chaos", (x, 1.0), top, "left")
        elif all(abs(place - other) >= _APART for other in taken):
            _write_above(above, str(change.period), (x, 1.0), top, "center")
            taken.append(place)
    if any(change.kind == "period" for change in diagram.cascade):
        _write_above(above, "period", (0.0, 1.0), above.transAxes, "right")


def _write_above(ax: Axes, text: str, place: tuple[float, float], transform: Any, ha: str) -> None:
    """Write a word of the marks just above the panel."""
    shift = (2 if ha == "left" else 0, 2)
    words = {"color": _MARK, "fontsize": 8, "ha": ha, "va": "bottom"}
    ax.annotate(text, place, shift, xycoords=transform, textcoords="offset points", **words)
