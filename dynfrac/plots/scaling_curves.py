"""Figure of a box dimension: the set, its counts with the fit, and the local slopes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.labels import boundary_cells
from dynfrac.analysis.scaling import fit_window, local_slopes

# Okabe-Ito, which colour-blind readers tell apart.
_DATA = "#0072B2"
_FIT = "#D55E00"
_NULL = "0.55"
_WINDOW = "0.93"

_LARGEST_PICTURE = 800
"""Pixels of the set drawn along each side; larger pictures are drawn in blocks."""


def box_dimension_figure(
    estimate: Estimate,
    picture: np.ndarray,
    *,
    mask: bool = False,
    smooth: Mapping[str, Estimate] | None = None,
    origin: Literal["upper", "lower"] = "upper",
    title: str | None = None,
) -> Figure:
    """Draw the set that was measured, its counts with the fit, and the local slopes beneath.

    Parameters
    ----------
    estimate : Estimate
        As `box_dimension` returns it, with a value or without.
    picture : (nx,), (ny, nx) or (nz, ny, nx) array
        The labels, or the mask. A line is drawn as a strip, of a volume the plane in the middle.
    mask : bool
        Whether the set is the non-zero pixels and not the boundary between labels.
    smooth : mapping of str to Estimate, optional
        What smooth curves read at the same size, as `smooth_null` returns it.
    origin : {"upper", "lower"}
        Where row 0 is drawn: on top for images, at the bottom for sweeps.
    title : str, optional
        What was measured.

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window; save it with `savefig`.
    """
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.15), height_ratios=(1.5, 1))
    draw_set(figure.add_subplot(grid[:, 0]), picture, mask=mask, origin=origin)
    if len(estimate.curve):
        counts = figure.add_subplot(grid[0, 1])
        draw_counts(counts, estimate)
        counts.tick_params(labelbottom=False)
        draw_local_slopes(figure.add_subplot(grid[1, 1], sharex=counts), estimate, smooth or {})
    else:
        empty = figure.add_subplot(grid[:, 1])
        empty.set_axis_off()
        empty.text(0.5, 0.5, "\n".join(estimate.flags), ha="center", va="center", wrap=True)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def draw_set(
    axes: Axes,
    picture: np.ndarray,
    *,
    mask: bool = False,
    origin: Literal["upper", "lower"] = "upper",
) -> Axes:
    """Draw a mask, or labels in pale greys with the boundary between them in black.

    Parameters
    ----------
    axes : matplotlib Axes
    picture : (nx,), (ny, nx) or (nz, ny, nx) array
    mask : bool
        Whether the set is the non-zero pixels.
    origin : {"upper", "lower"}
        Where row 0 is drawn.

    Returns
    -------
    matplotlib Axes
        The same.
    """
    part = ""
    if picture.ndim == 3:
        part = f" in plane {len(picture) // 2} of {len(picture)}"
        picture = picture[len(picture) // 2]
    strip = picture.ndim == 1
    if strip:  # of any height
        picture = np.tile(picture, (max(2, len(picture) // 8), 1))
    rows, columns = picture.shape
    margin = 0.0 if mask else 0.5  # cells lie between the centres of pixels
    bottom, top = (rows, 0) if origin == "upper" else (0, rows)
    inward = -margin if origin == "upper" else margin
    block = max(1, math.ceil(max(rows, columns) / _LARGEST_PICTURE))
    if mask:
        touched = picture != 0
    else:
        touched = boundary_cells(picture)
        shades, labels = np.unique(picture[::block, ::block], return_inverse=True)
        greys = ListedColormap([str(grey) for grey in np.linspace(0.97, 0.78, max(2, len(shades)))])
        axes.imshow(
            labels.reshape(picture[::block, ::block].shape),
            cmap=greys,
            vmin=0,
            vmax=max(1, len(shades) - 1),
            origin=origin,
            extent=(0, columns, bottom, top),
            interpolation="nearest",
        )
    # A block is black if the set touches it: a thin boundary must not fall between drawn pixels.
    drawn = _any_in_blocks(touched, block)
    axes.imshow(
        np.where(drawn, 1.0, np.nan),
        cmap=ListedColormap(["black"]),
        origin=origin,
        extent=(margin, columns - margin, bottom + inward, top - inward),
        interpolation="nearest",
    )
    axes.set(xlim=(0, columns), ylim=(bottom, top), aspect="equal", xlabel="px")
    if strip:
        axes.set_yticks([])
    axes.set_title(("the set" if mask else "the boundary") + part, fontsize=10, loc="left")
    return axes


def draw_counts(axes: Axes, estimate: Estimate) -> Axes:
    """Draw N(s) against the box side with two standard errors, the window and the fit.

    Parameters
    ----------
    axes : matplotlib Axes
    estimate : Estimate
        With a curve.

    Returns
    -------
    matplotlib Axes
        The same.
    """
    curve = estimate.curve
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.errorbar(
        curve.x,
        curve.y,
        yerr=np.minimum(2 * curve.stderr, 0.95 * curve.y),
        fmt="o",
        markersize=3.2,
        linewidth=0.9,
        color=_DATA,
        zorder=3,
    )
    if estimate.has_value:
        fit = fit_window(curve.x, curve.y, estimate.window)
        ends = np.array(fit.window)
        axes.axvspan(*fit.window, color=_WINDOW, zorder=0, linewidth=0)
        half = (estimate.ci_high - estimate.ci_low) / 2
        axes.plot(
            ends,
            np.exp(fit.intercept) * ends**fit.slope,
            color=_FIT,
            linewidth=1.6,
            zorder=4,
            label=f"D = {estimate.value:.3f} \N{PLUS-MINUS SIGN} {half:.3f} (95 %)",
        )
        axes.legend(loc="upper right", frameon=False, fontsize=10, handlelength=1.4)
    axes.set_ylabel("boxes N(s)")
    _tidy(axes)
    return axes


def draw_local_slopes(
    axes: Axes, estimate: Estimate, smooth: Mapping[str, Estimate] | None = None
) -> Axes:
    """Draw the dimension between neighbouring sizes, with the interval and the smooth curves'.

    Parameters
    ----------
    axes : matplotlib Axes
    estimate : Estimate
        With a curve.
    smooth : mapping of str to Estimate, optional
        Curves to compare with, by name.

    Returns
    -------
    matplotlib Axes
        The same.
    """
    axes.set_xscale("log")
    smooth = smooth or {}
    for null in smooth.values():
        axes.plot(*_local_dimension(null), linestyle="--", color=_NULL, linewidth=1.2)
    if estimate.has_value:
        axes.axvspan(*estimate.window, color=_WINDOW, zorder=0, linewidth=0)
        axes.fill_between(
            estimate.window, estimate.ci_low, estimate.ci_high, color=_FIT, alpha=0.2, linewidth=0
        )
        axes.plot(estimate.window, [estimate.value] * 2, color=_FIT, linewidth=1.6)
    axes.plot(*_local_dimension(estimate), "o-", markersize=3.2, linewidth=0.9, color=_DATA)
    if smooth:
        name = " and ".join(smooth)
        axes.plot([], [], linestyle="--", color=_NULL, linewidth=1.2, label=f"smooth: {name}")
        axes.legend(loc="upper left", frameon=False, fontsize=8)
        # Room for the legend above the curves.
        axes.set_ylim(top=axes.get_ylim()[1] + 0.25 * np.ptp(axes.get_ylim()))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set(xlabel="box side s (px)", ylabel="local slope")
    _tidy(axes)
    return axes


def _local_dimension(estimate: Estimate) -> tuple[np.ndarray, np.ndarray]:
    sides, slopes = local_slopes(estimate.curve.x, estimate.curve.y)
    return sides, -slopes


def _any_in_blocks(touched: np.ndarray, block: int) -> np.ndarray:
    """Return whether anything in each block x block part is touched; ragged ends count."""
    rows, columns = touched.shape
    by_row = np.logical_or.reduceat(touched, np.arange(0, rows, block), axis=0)
    return np.logical_or.reduceat(by_row, np.arange(0, columns, block), axis=1)


def _tidy(axes: Axes) -> None:
    """Label box sides as plain numbers of powers of two, and leave out what frames nothing."""
    axes.xaxis.set_major_locator(LogLocator(base=2, numticks=8))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(LogLocator(base=2, subs=[], numticks=1))
    axes.spines[["top", "right"]].set_visible(False)
