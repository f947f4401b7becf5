"""Where an adaptive sweep ran, and where it filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap

from dynfrac.orbits.axes import Axis
from dynfrac.plots.canvas import Frame, open_canvas


def plot_stride(
    stride: np.ndarray, status: np.ndarray, axes: Sequence[Axis], **frame: Unpack[Frame]
) -> Axes:
    """Draw which cells of an adaptive sweep were run, and how far apart the runs are elsewhere.

    Parameters
    ----------
    stride : (ny, nx) or (nx,) integer array
        1 where the cell was run, else how far apart the runs about it are.
    status, axes, **frame
        As in `dynfrac.plots.trainability.plot_measure`.
    """
    canvas = open_canvas(status, axes, **frame)
    edges = [int(edge) for edge in np.unique(stride[canvas.done])] or [1]
    colours = matplotlib.colormaps["magma"](np.linspace(0.1, 0.97, len(edges)))
    places = np.where(canvas.done, np.searchsorted(edges, stride), np.nan)
    norm = BoundaryNorm(np.arange(len(edges) + 1) - 0.5, len(edges))
    canvas.draw(places, cmap=ListedColormap(list(colours)), norm=norm)
    entries = [
        ("run" if edge == 1 else f"filled in, runs {edge} apart", colour, stride == edge)
        for edge, colour in zip(edges, colours, strict=True)
    ]
    canvas.add_legend(entries, beside=True)
    return canvas.ax
