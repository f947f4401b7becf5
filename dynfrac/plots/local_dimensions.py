"""Map of the local dimension of a boundary, over a picture or over the axes of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from dynfrac.analysis.local_dimensions import LocalDimension, local_dimension
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.outcomes import Status
from dynfrac.plots.canvas import Frame, open_canvas

_COLOURS = "viridis"  # colour-blind readers and grey printers see its order
_PALE = ListedColormap(["0.97", "0.90"])
_LABEL = "local dimension"


def local_dimension_figure(
    local: LocalDimension,
    picture: np.ndarray,
    *,
    mask: bool = False,
    origin: Literal["upper", "lower"] = "upper",
    title: str | None = None,
) -> Figure:
    """Draw the local dimension over a picture.

    Parameters
    ----------
    local : LocalDimension
        Of that picture.
    picture : (ny, nx) array
        The labels, drawn in pale greys beneath, or the mask, which is not drawn.
    mask : bool
        Whether the set is the non-zero pixels.
    origin : {"upper", "lower"}
        Where row 0 is drawn: on top for images, at the bottom for sweeps.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window; save it with `savefig`.
    """
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.subplots()
    rows, columns = picture.shape
    bottom, top = (rows, 0) if origin == "upper" else (0, rows)
    if not mask:
        # Every other label is darker: neighbours mostly differ by one.
        shades = np.unique(picture, return_inverse=True)[1].reshape(picture.shape) % 2
        axes.imshow(
            shades,
            cmap=_PALE,
            vmin=0,
            vmax=1,
            origin=origin,
            extent=(0, columns, bottom, top),
            interpolation="nearest",
        )
    margin = (rows - local.shape[0]) / 2  # cells lie between the centres of pixels
    inward = -margin if origin == "upper" else margin
    image = axes.imshow(
        local.over_cells(),
        cmap=_COLOURS,
        norm=_norm(local),
        origin=origin,
        extent=(margin, columns - margin, bottom + inward, top - inward),
        interpolation="nearest",
    )
    bar = figure.colorbar(image, ax=axes, shrink=0.85, label=_LABEL)
    bar.outline.set_linewidth(0.6)  # type: ignore[union-attr]
    axes.set(xlim=(0, columns), ylim=(bottom, top), aspect="equal", xlabel="px")
    axes.set_title(_conditions(local), fontsize=8, loc="left", color="0.35")
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def plot_local_dimension(status: np.ndarray, axes: Sequence[Axis], **frame: Unpack[Frame]) -> Axes:
    """Draw the local dimension of the boundary of the converged runs over the axes of a sweep.

    Parameters
    ----------
    status : (ny, nx) uint8 array
        Codes of `Status`.
    axes : sequence of two Axis
    **frame
        `ax`, `title` and `caption`: see `dynfrac.plots.canvas.Frame`.

    Returns
    -------
    matplotlib.axes.Axes
        Its `figure` saves the picture.

    Raises
    ------
    ValueError
        If cells are pending, or the sweep has not two axes of at least 64 points.
    """
    pending = int(np.count_nonzero(status == Status.PENDING))
    if pending:
        raise ValueError(
            f"{pending} cells are pending, whose neighbours have no local dimension; resume the "
            "sweep first"
        )
    converged = status == Status.CONVERGED
    local = local_dimension(converged)
    frame["caption"] = "\n".join(filter(None, (frame.get("caption"), _conditions(local))))
    canvas = open_canvas(status, axes, **frame)
    canvas.draw(converged.astype(float), cmap=_PALE, vmin=0, vmax=1)
    image = canvas.draw(local.over_cells(), margin=0.0, cmap=_COLOURS, norm=_norm(local))
    canvas.add_colour_bar(image, _LABEL)
    return canvas.ax


def _norm(local: LocalDimension) -> Normalize:
    """Span the values but for the outermost hundredths, and at least a tenth."""
    seen = local.values[np.isfinite(local.values)]
    low, high = np.percentile(seen, (1, 99)) if seen.size else (1.0, 2.0)
    slack = max(0.1 - (high - low), 0) / 2
    return Normalize(low - slack, high + slack, clip=True)


def _conditions(local: LocalDimension) -> str:
    low, high = local.window
    side = local.neighbourhood
    if local.flags:
        return local.flags[0]
    return f"local dimension: boxes of {low:g} to {high:g} px, in neighbourhoods of {side} px"
