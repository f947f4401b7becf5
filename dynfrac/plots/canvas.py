"""The page that pictures of a sweep share: its measures, its cells, its keys and legends.

The sizes are fixed in inches, so that pictures of a series can be laid on each other. Cells are
equal in the scaled coordinates: decades on a logarithmic axis.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypedDict, final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle
from matplotlib.transforms import ScaledTranslation

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.outcomes import Status
from dynfrac.plots.palettes import PUBLISHED, Palette, find_palette
from dynfrac.plots.ticks import broken, choose_ticks, label_axis

INK = "0.25"
"""Colour of frames and ticks."""

_UNKNOWN = "0.6"
_HATCH = {"facecolor": "0.96", "edgecolor": "0.72", "hatch": "////", "lw": 0.0}
_SIDE = 4.7
_MARGINS = (0.95, 1.75, 0.85, 0.75)
"""Inches: side of the picture; left, right, bottom and top of it."""
_LINE = 0.17
"""Inches of one more line of a label."""
_SPARED = 0.9
"""Part of given axes that a layout leaves to the picture, about."""
_KEY = (1.035, 0.0, 0.045, 1.0)
"""Where colour keys stand, in fractions of the picture."""


class Frame(TypedDict, total=False):
    """Where a picture is drawn and what stands above it: the keywords that all pictures share.

    Attributes
    ----------
    ax : matplotlib.axes.Axes
        A figure of its own is made when absent.
    title : str
    caption : str
        Stands below the title in smaller type: the conditions of the sweep.
    palette : {"published", "safe"}
        "safe" is for readers who lack one kind of cone: see `dynfrac.plots.palettes`.
    """

    ax: Axes | None
    title: str
    caption: str
    palette: str | Palette


@final
@dataclasses.dataclass(frozen=True)
class Canvas:
    """Labelled axes on which the cells of a sweep are drawn.

    Attributes
    ----------
    ax : matplotlib.axes.Axes
    status : (ny, nx) or (nx,) uint8 array
        Codes of `Status`. Pending cells are hatched, all others grey until something is drawn.
    axes : tuple of Axis
        x, and y unless `status` has one dimension.
    palette : Palette
    room : float
        Inches along a side, as far as they are known before a layout is made.
    """

    ax: Axes
    status: np.ndarray
    axes: tuple[Axis, ...]
    palette: Palette
    room: float

    @property
    def done(self) -> np.ndarray:
        """Bool array like `status`: cells that have been computed."""
        return self.status != Status.PENDING

    def draw(self, values: np.ndarray, margin: float = 0.5, **style: Any) -> AxesImage:
        """Add one cell per value, which may be not-a-number for none.

        Parameters
        ----------
        values : array
            One or two dimensions; the first row is the low end of y.
        margin : float
            How many cells the outer edge lies beyond the end points of the axes.
        **style
            Colours, as for matplotlib's `imshow`.
        """
        # In the coordinates of the data matplotlib would draw cells of equal value, not size.
        extent = np.reshape(_extent(self.axes, margin), (2, 2)).T
        (left, bottom), (right, top) = self.ax.transScale.transform(extent).tolist()
        return self.ax.imshow(
            np.atleast_2d(values),
            extent=(left, right, bottom, top),
            transform=self.ax.transLimits + self.ax.transAxes,
            origin="lower",
            aspect="auto",
            **style,
        )

    def fill(self, cells: np.ndarray, colour: Any, margin: float = 0.5) -> None:
        """Give the cells of a bool array one flat colour."""
        flat = ListedColormap([colour])
        self.draw(np.where(cells, 1.0, np.nan), margin, cmap=flat)

    def add_key(self) -> Axes:
        """Return new axes beside the picture, where a colour key belongs."""
        return self.ax.inset_axes(_KEY)

    def add_colour_bar(self, image: AxesImage, label: str) -> None:
        """Explain the colours of an image by a scale beside the picture."""
        bar = Colorbar(self.add_key(), image)
        low, high = image.get_clim()
        scale = "log10" if isinstance(image.norm, LogNorm) else "linear"
        ticks = choose_ticks(Axis("colour", low, high, scale=scale))
        bar.set_ticks(ticks.major, labels=ticks.labels)
        bar.set_ticks(ticks.minor, minor=True, labels=[""] * len(ticks.minor))
        if ticks.offset:
            label += f",  {ticks.offset}"
        strip = self.status.ndim == 1
        bar.set_label(broken(label, self.room))
        bar.ax.tick_params(which="both", color=INK, labelsize=8 if strip else None)
        bar.outline.set(linewidth=0.6, edgecolor=INK)

    def add_legend(
        self, entries: Sequence[tuple[str, Any, np.ndarray | None]] = (), *, beside: bool = False
    ) -> None:
        """Explain flat colours, with their shares of all cells.

        Parameters
        ----------
        entries : sequence of (str, colour, bool array or None)
            Words, colour and cells; None has no share, and what has no cells is left out. Pending
            cells are always explained.
        beside : bool
            Stands right of the picture instead of below it.
        """
        gap = "\n" if beside else "  "
        patches = [
            *(({"facecolor": c, "edgecolor": INK, "lw": 0.4}, w, n) for w, c, n in entries),
            ({**_HATCH, "lw": 0.4}, "not computed yet", ~self.done),
        ]
        handles = [
            Patch(label=words + ("" if cells is None else gap + percent(cells.mean())), **style)
            for style, words, cells in patches
            if cells is None or cells.any()
        ]
        if not handles:
            return
        lines = self.ax.get_xlabel().count("\n")
        below = ScaledTranslation(0, -0.58 - _LINE * lines, self.ax.figure.dpi_scale_trans)
        self.ax.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1.035, 1.0) if beside else (0.0, 0.0),
            bbox_transform=self.ax.transAxes if beside else self.ax.transAxes + below,
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


def open_canvas(
    status: np.ndarray,
    axes: Sequence[Axis],
    *,
    ax: Axes | None = None,
    title: str = "",
    caption: str = "",
    palette: str | Palette = PUBLISHED,
) -> Canvas:
    """Return a canvas with labelled axes, title and caption.

    Parameters
    ----------
    status : (ny, nx) or (nx,) uint8 array
    axes : sequence of Axis
    ax, title, caption, palette
        As in `Frame`.

    Raises
    ------
    ValueError
        If there is not one axis for each of one or two dimensions, or no palette of that name.
    """
    if status.ndim not in (1, 2) or len(axes) != status.ndim:
        raise ValueError(
            f"the array has shape {status.shape} and {len(axes)} axes; "
            "pass one axis for each of its one or two dimensions"
        )
    colours = find_palette(palette)
    spared = 1.0 if ax is None else _SPARED
    if ax is None:
        ax = _page(height=_SIDE if status.ndim == 2 else _SIDE / 3)
    dpi = ax.get_figure(root=True).dpi  # type: ignore[union-attr]
    width, height = spared * ax.bbox.width / dpi, spared * ax.bbox.height / dpi
    room = min(width, height)
    if status.ndim == 2:
        label_axis(ax, "x", axes[0], room)
        label_axis(ax, "y", axes[1], room)
        ax.set_box_aspect(1)
    else:
        label_axis(ax, "x", axes[0], width)
        ax.set_yticks([])
    left, right, bottom, top = _extent(axes)
    ax.set(xlim=(left, right), ylim=(bottom, top))
    ax.tick_params(which="both", direction="out", color=INK)
    ax.spines[:].set(color=INK, linewidth=0.6)
    lines = caption.count("\n") + 1 if caption else 0
    ax.set_title(title, loc="left", fontsize=12, pad=6 + 10.5 * lines)
    small = {"fontsize": 8, "color": "0.35", "linespacing": 1.2}
    ax.annotate(
        caption, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", **small
    )
    canvas = Canvas(ax, status, tuple(axes), colours, room)
    if not canvas.done.all():
        ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, zorder=0, **_HATCH))
    canvas.fill(canvas.done, _UNKNOWN)
    return canvas


def percent(share: float) -> str:
    """Write a share so that a part is never called 0 % or 100 %."""
    value = 100 * share
    if 0 < value < 0.1:
        return "< 0.1 %"
    return "> 99.9 %" if 99.9 < value < 100 else f"{value:.1f} %"


def _page(height: float) -> Axes:
    """Make a figure with room for the labels, the title and the key, all of fixed sizes."""
    left, right, bottom, top = _MARGINS
    size = (left + _SIDE + right, bottom + height + top)
    box = (left / size[0], bottom / size[1], _SIDE / size[0], height / size[1])
    return Figure(figsize=size).add_axes(box)


def _extent(axes: Sequence[Axis], margin: float = 0.5) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top edges, `margin` cells beyond the end points."""
    edges = []
    for axis in axes:
        beyond = margin / ((axis.n or 2) - 1)
        edges.append(axis.values(np.array([-beyond, 1 + beyond])))
    (left, right), (bottom, top) = edges if len(edges) == 2 else (*edges, (0.0, 1.0))
    return float(left), float(right), float(bottom), float(top)
