"""Pictures of a sweep: which trainings converged, how fast, when the others escaped.

Every function takes an array and the axes it lies on and returns the matplotlib Axes it drew on;
nothing is shown or saved. Rows of an array are the y axis, its first row the low end. An array of
one dimension becomes a strip.

The signed measure is drawn in the colours of the published pictures: converged runs from green
(fast) to blue (slow), the others from yellow (diverged at once) to dark red (held out longest).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle
from matplotlib.transforms import ScaledTranslation

from dynfrac.analysis.labels import boundary_cells
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.outcomes import Status
from dynfrac.plots.ticks import label_axis

_GAP = 0.25
"""Equalised values keep this distance from zero, so that the two classes never meet in colour."""

_PUBLISHED = matplotlib.colormaps["Spectral"]
_INK = "0.25"
_UNKNOWN = "0.6"
_PALE = "#d5e4ee"
_PALE_RED = "#f6dcc8"
_HATCH = {"facecolor": "0.96", "edgecolor": "0.72", "hatch": "////", "lw": 0.0}
_SIDE = 4.7
_MARGINS = (0.95, 1.75, 0.85, 0.75)
"""Inches: side of the picture; left, right, bottom and top of it."""
_KEY = (1.035, 0.0, 0.045, 1.0)
"""Where colour keys stand, in fractions of the picture."""

_STATUS_COLOURS = {
    Status.CONVERGED: _PUBLISHED(0.9),
    Status.BOUNDED: _PUBLISHED(0.42),
    Status.ESCAPED: _PUBLISHED(0.22),
    Status.NOT_FINITE: _PUBLISHED(0.03),
}
_STATUS_WORDS = {
    Status.CONVERGED: "converged",
    Status.BOUNDED: "stayed bounded",
    Status.ESCAPED: "escaped",
    Status.NOT_FINITE: "not finite",
}


def equalise(measure: np.ndarray) -> np.ndarray:
    """Spread a signed measure evenly over the colours, each sign by itself.

    Parameters
    ----------
    measure : float array
        Negative where the run converged; not-a-number where there is nothing to colour.

    Returns
    -------
    float array
        Ranks, in [0.25, 1] for negative values (1 the most negative) and in [-1, -0.25] for the
        others (-1 the largest); equal values get equal colours, not-a-number stays.

    Notes
    -----
    Only the order of the values within their sign survives: equal steps of colour are equal numbers
    of cells, so the scale differs from picture to picture.
    """
    coloured = np.full(np.shape(measure), np.nan)
    negative = measure < 0
    for sign, cells in ((1, negative), (-1, measure >= 0)):
        values = sign * measure[cells]  # the smallest of each class lies farthest from zero
        order = np.sort(values)
        # The middle of the places that equal values share.
        rank = (np.searchsorted(order, values) + np.searchsorted(order, values, "right") - 1) / 2
        place = rank / max(len(order) - 1, 1)
        coloured[cells] = sign * (1 - (1 - _GAP) * place)
    return coloured


def plot_measure(
    measure: np.ndarray,
    status: np.ndarray,
    axes: Sequence[Axis],
    *,
    ax: Axes | None = None,
    title: str = "",
    caption: str = "",
) -> Axes:
    """Draw the signed measure in the published colours.

    Parameters
    ----------
    measure : (ny, nx) or (nx,) float array
        Negative where the run converged. Its meaning is the rule's; for both built-in rules it
        grows with the time to converge, and with the time to diverge.
    status : uint8 array of the same shape
        Codes of `Status`. Pending cells are hatched.
    axes : sequence of Axis
        x, and y unless the arrays have one dimension.
    ax : matplotlib.axes.Axes, optional
        A figure of its own is made when absent.
    title, caption : str
        The caption stands below the title in smaller type: the conditions of the sweep.

    Returns
    -------
    matplotlib.axes.Axes
        Its `figure` saves the picture.
    """
    ax = _canvas(status, axes, ax, title, caption)
    coloured = equalise(np.where(status == Status.PENDING, np.nan, measure))
    _image(ax, coloured, axes, cmap=_PUBLISHED, vmin=-1, vmax=1)
    _measure_key(ax, coloured)
    _legend(ax, status, [])
    return ax


def plot_status(
    status: np.ndarray,
    axes: Sequence[Axis],
    *,
    ax: Axes | None = None,
    title: str = "",
    caption: str = "",
) -> Axes:
    """Draw the four outcomes, with their shares; parameters as in `plot_measure`."""
    ax = _canvas(status, axes, ax, title, caption)
    colours = ListedColormap(list(_STATUS_COLOURS.values()))
    codes = np.where(status == Status.PENDING, np.nan, status)
    _image(ax, codes, axes, cmap=colours, norm=BoundaryNorm(np.arange(0.5, 5.0), 4))
    entries = [(_STATUS_WORDS[s], _STATUS_COLOURS[s], status == s) for s in _STATUS_COLOURS]
    _legend(ax, status, entries, beside=True)
    return ax


def plot_t_escape(
    t_escape: np.ndarray,
    status: np.ndarray,
    axes: Sequence[Axis],
    *,
    ax: Axes | None = None,
    title: str = "",
    caption: str = "",
) -> Axes:
    """Draw the first step over the limit; parameters as in `plot_measure`.

    Runs that never passed it are left pale. A converged run may have passed it on its way.
    """
    ax = _canvas(status, axes, ax, title, caption)
    escaped = (t_escape >= 0) & (status != Status.PENDING)
    inside = (t_escape < 0) & (status != Status.PENDING)
    _image(ax, np.where(inside, 1.0, np.nan), axes, cmap=ListedColormap([_PALE]))
    # Counted from 1, so that the first step has a place on the logarithmic scale.
    steps = np.where(escaped, t_escape + 1.0, np.nan)
    last = max(float(t_escape.max()) + 1, 10.0)
    image = _image(ax, steps, axes, cmap="magma_r", norm=LogNorm(1, last))
    _colour_bar(ax, image, "first step over the limit, counted from 1")
    _legend(ax, status, [("never over the limit", _PALE, inside)])
    return ax


def plot_final_loss(
    final_loss: np.ndarray,
    status: np.ndarray,
    axes: Sequence[Axis],
    *,
    ax: Axes | None = None,
    title: str = "",
    caption: str = "",
) -> Axes:
    """Draw the last recorded loss; parameters as in `plot_measure`.

    The colours span the first to the 99th percentile of the runs that neither escaped nor became
    not finite; losses outside take the colour of the nearer end.
    """
    ax = _canvas(status, axes, ax, title, caption)
    kept = (status == Status.CONVERGED) | (status == Status.BOUNDED)
    positive = kept & np.isfinite(final_loss) & (final_loss > 0)
    low, high = np.percentile(final_loss[positive], (1, 99)) if positive.any() else (0.1, 1.0)
    norm = LogNorm(low, max(high, low * 1.01), clip=True)
    losses = np.where(positive, final_loss, np.where(kept & (final_loss == 0), low, np.nan))
    _colour_bar(ax, _image(ax, losses, axes, cmap="viridis", norm=norm), "loss of the last step")
    gone = (Status.ESCAPED, Status.NOT_FINITE)
    for code in gone:
        flat = ListedColormap([_STATUS_COLOURS[code]])
        _image(ax, np.where(status == code, 1.0, np.nan), axes, cmap=flat)
    entries = [(_STATUS_WORDS[code], _STATUS_COLOURS[code], status == code) for code in gone]
    _legend(ax, status, entries)
    return ax


def plot_boundary(
    status: np.ndarray,
    axes: Sequence[Axis],
    *,
    ax: Axes | None = None,
    title: str = "",
    caption: str = "",
) -> Axes:
    """Draw the boundary between converged runs and all others; parameters as in `plot_measure`.

    Cells of the lattice whose four corners do not all have the same label are black, as they are
    counted by `box_dimension`. Beside pending cells no boundary is drawn.
    """
    ax = _canvas(status, axes, ax, title, caption)
    done = status != Status.PENDING
    converged = status == Status.CONVERGED
    classes = ListedColormap([_PALE_RED, _PALE])
    _image(ax, np.where(done, converged, np.nan), axes, cmap=classes, vmin=0, vmax=1)
    labels, known = (np.repeat(a[None], 2, axis=0) if a.ndim == 1 else a for a in (converged, done))
    edge = boundary_cells(labels) & known[:-1, :-1] & ~boundary_cells(known)
    # A cell of the lattice lies between the points that are its corners.
    black = ListedColormap(["black"])
    _image(ax, np.where(edge, 1.0, np.nan), axes, margin=0.0, cmap=black)
    entries = [
        ("converged", _PALE, converged),
        ("did not converge", _PALE_RED, done & ~converged),
        ("boundary", "black", None),
    ]
    _legend(ax, status, entries, beside=True)
    return ax


def _canvas(
    status: np.ndarray, axes: Sequence[Axis], ax: Axes | None, title: str, caption: str
) -> Axes:
    """Prepare labelled axes with a title: pending cells hatched, all others grey."""
    if status.ndim not in (1, 2) or len(axes) != status.ndim:
        raise ValueError(
            f"the array has shape {status.shape} and {len(axes)} axes; "
            "pass one axis for each of its one or two dimensions"
        )
    if ax is None:
        ax = _page(height=_SIDE if status.ndim == 2 else _SIDE / 3)
    label_axis(ax, "x", axes[0])
    if status.ndim == 2:
        label_axis(ax, "y", axes[1])
        ax.set_box_aspect(1)
    else:
        ax.set_yticks([])
    left, right, bottom, top = _extent(axes)
    ax.set(xlim=(left, right), ylim=(bottom, top))
    if (status == Status.PENDING).any():
        hatch = Rectangle((0, 0), 1, 1, transform=ax.transAxes, zorder=0, **_HATCH)
        ax.add_patch(hatch)
    known = np.where(status == Status.PENDING, np.nan, 1.0)
    _image(ax, known, axes, cmap=ListedColormap([_UNKNOWN]))
    ax.tick_params(which="both", direction="out", color=_INK)
    ax.spines[:].set(color=_INK, linewidth=0.6)
    lines = caption.count("\n") + 1 if caption else 0
    ax.set_title(title, loc="left", fontsize=12, pad=6 + 10.5 * lines)
    small = {"fontsize": 8, "color": "0.35", "linespacing": 1.2}
    ax.annotate(
        caption, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", **small
    )
    return ax


def _page(height: float) -> Axes:
    """Make a figure with room for the labels, the title and the key, all of fixed sizes."""
    left, right, bottom, top = _MARGINS
    size = (left + _SIDE + right, bottom + height + top)
    box = (left / size[0], bottom / size[1], _SIDE / size[0], height / size[1])
    return Figure(figsize=size).add_axes(box)


def _image(
    ax: Axes, values: np.ndarray, axes: Sequence[Axis], margin: float = 0.5, **style: Any
) -> AxesImage:
    """Add an image of one cell per point; cells that are not-a-number are transparent.

    The cells are equal in the scaled coordinates, decades on a logarithmic axis. In the coordinates
    of the data matplotlib would draw them equal in value.
    """
    return ax.imshow(
        np.atleast_2d(values),
        extent=_scaled(ax, _extent(axes, margin)),
        transform=ax.transLimits + ax.transAxes,
        origin="lower",
        aspect="auto",
        **style,
    )


def _extent(axes: Sequence[Axis], margin: float = 0.5) -> tuple[float, float, float, float]:
    """Return the edges of a picture that goes `margin` cells beyond the end points."""
    edges = []
    for axis in axes:
        beyond = margin / ((axis.n or 2) - 1)
        edges.append(axis.values(np.array([-beyond, 1 + beyond])))
    (left, right), (bottom, top) = edges if len(edges) == 2 else (*edges, (0.0, 1.0))
    return float(left), float(right), float(bottom), float(top)


def _scaled(
    ax: Axes, extent: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """Take the edges of a picture from values to the coordinates after the axes' scales."""
    corners = ax.transScale.transform(np.reshape(extent, (2, 2)).T)
    (left, bottom), (right, top) = corners.tolist()
    return left, right, bottom, top


def _measure_key(ax: Axes, coloured: np.ndarray) -> None:
    """Draw the colour key beside the picture: the two halves of the colour map, apart."""
    key = ax.inset_axes(_KEY)
    total = max(np.isfinite(coloured).sum(), 1)
    halves = [
        # from, to, colours from bottom to top, word, cells, what the ends mean
        (0.0, 0.485, (-1.0, -_GAP), "did not converge", coloured < 0, ("diverged late", "early")),
        (0.515, 1.0, (_GAP, 1.0), "converged", coloured > 0, ("fast", "slowly")),
    ]
    for bottom, top, colours, word, cells, ends in halves:
        ramp = np.linspace(*colours, 128)[:, None]
        key.imshow(
            ramp, cmap=_PUBLISHED, vmin=-1, vmax=1, extent=(0, 1, bottom, top), origin="lower"
        )
        outline = Rectangle((0, bottom), 1, top - bottom, fill=False, clip_on=False)
        outline.set(edgecolor=_INK, linewidth=0.6)
        key.add_patch(outline)
        share = f"{word}\n{_percent(cells.sum() / total)}"
        key.text(1.5, (bottom + top) / 2, share, va="center", fontsize=9)
        for y, end, va in ((bottom, ends[0], "bottom"), (top, ends[1], "top")):
            key.text(1.5, y, end, va=va, fontsize=8, color="0.35")
    key.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="auto")
    key.set_axis_off()


def _colour_bar(ax: Axes, image: AxesImage, label: str) -> None:
    bar = Colorbar(ax.inset_axes(_KEY), image)
    bar.set_label(label)
    bar.outline.set(linewidth=0.6, edgecolor=_INK)


def _legend(
    ax: Axes,
    status: np.ndarray,
    entries: Sequence[tuple[str, Any, np.ndarray | None]],
    *,
    beside: bool = False,
) -> None:
    """Explain flat colours, with their shares of all cells: beside the picture, else below it."""
    handles = []
    gap = "\n" if beside else "  "
    pending = status == Status.PENDING
    for words, style, cells in [
        *((words, {"facecolor": c, "edgecolor": _INK, "lw": 0.4}, n) for words, c, n in entries),
        ("not computed yet", {**_HATCH, "lw": 0.4}, pending),
    ]:
        if cells is None or cells.any():
            share = "" if cells is None else f"{gap}{_percent(cells.mean())}"
            handles.append(Patch(label=words + share, **style))
    if not handles:
        return
    below = ScaledTranslation(0, -0.58, ax.figure.dpi_scale_trans)
    ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.035, 1.0) if beside else (0.0, 0.0),
        bbox_transform=ax.transAxes if beside else ax.transAxes + below,
        ncols=1 if beside else len(handles),
        frameon=False,
        fontsize=8,
        handlelength=1.3,
        handleheight=1.0,
        borderpad=0.0,
        borderaxespad=0.0,
        columnspacing=1.5,
        labelspacing=0.8,
    )


def _percent(share: float) -> str:
    """Write a share so that a part is never called 0 % or 100 %."""
    percent = 100 * share
    if 0 < percent < 0.1:
        return "< 0.1 %"
    return "> 99.9 %" if 99.9 < percent < 100 else f"{percent:.1f} %"
