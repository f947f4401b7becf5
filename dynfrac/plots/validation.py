"""Figure of a validation: how far every estimate is from the known value, in tolerances."""

from __future__ import annotations

from textwrap import shorten

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dynfrac.studies.validation import Row, Validation

PER_COLUMN = 45
"""Rows of the table in one column of the figure."""

_ROW = 0.19
"""Inches of a row."""
_LIMIT = 2.2
"""Tolerances that the axis shows; what lies beyond is drawn at the edge as an arrow."""
# Okabe-Ito, which colour-blind readers tell apart; the markers differ, too.
_STYLE = {"exact": ("#0072B2", "o"), "published": ("#D55E00", "s"), "computed": ("#009E73", "D")}
_OUT = "#CC0000"
_NAME = 52
"""Characters of a system's name."""


def validation_figure(table: Validation) -> Figure:
    """Draw every row of a validation, in as many columns as it needs.

    Parameters
    ----------
    table : Validation

    Returns
    -------
    matplotlib.figure.Figure
        Deviations with two standard errors, in units of each row's tolerance; the band is where a
        row passes without need of its error. Not attached to any window; save it with `savefig`.
    """
    n_columns = max(1, -(-len(table.rows) // PER_COLUMN))
    length = max(1, -(-len(table.rows) // n_columns))
    size = (7.4 * n_columns, 1.2 + _ROW * (length + 1))
    figure = Figure(figsize=size, layout="constrained")
    for j in range(n_columns):
        axes = figure.add_subplot(1, n_columns, j + 1)
        _draw(axes, table.rows[j * length : (j + 1) * length], length)
    n_passed = sum(row.passed for row in table.rows)
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=5, label=name)
        for name, (colour, marker) in _STYLE.items()
    ]
    figure.legend(
        handles=handles, loc="outside lower right", ncols=len(handles), frameon=False, fontsize=9
    )
    figure.suptitle(
        f"{n_passed} of {len(table.rows)} known values met", x=0.01, ha="left", fontsize=11
    )
    return figure


def _draw(axes: Axes, rows: tuple[Row, ...], length: int) -> None:
    """Draw some rows, the first on top."""
    axes.axvspan(-1, 1, color="0.92", zorder=0)
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=1)
    for i, row in enumerate(rows):
        colour, marker = _STYLE[row.known.known]
        colour = colour if row.passed else _OUT
        deviation = row.deviation / row.known.tolerance
        if not np.isfinite(deviation):
            axes.text(0, i, "no estimate", color=colour, ha="center", va="center", fontsize=7)
            continue
        if abs(deviation) > _LIMIT:
            marker = ">" if deviation > 0 else "<"
        error = min(2 * row.stderr / row.known.tolerance, 2 * _LIMIT)
        axes.errorbar(
            np.clip(deviation, -_LIMIT, _LIMIT),
            i,
            xerr=error,
            fmt=marker,
            color=colour,
            markersize=4,
            elinewidth=1,
        )
    names = [
        f"{shorten(row.case, _NAME, placeholder=' ...')}:  {row.known.quantity}" for row in rows
    ]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.set_ylim(length - 0.4, -0.6)
    axes.set_xlim(-_LIMIT * 1.05, _LIMIT * 1.05)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(r"(estimate $-$ known value) / tolerance, $\pm$ 2 standard errors", fontsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
