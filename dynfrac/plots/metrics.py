"""Pictures of what a sweep recorded at the end of its runs: losses, accuracies, exponents.

Arguments and results are those of `dynfrac.plots.trainability`, whose pictures lie on these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.outcomes import Status
from dynfrac.plots.canvas import Canvas, Frame, open_canvas
from dynfrac.plots.trainability import edge_cells

_NO_EXPONENT = "0.8"


def plot_final_loss(
    final_loss: np.ndarray, status: np.ndarray, axes: Sequence[Axis], **frame: Unpack[Frame]
) -> Axes:
    """Draw the last recorded loss; parameters as in `trainability.plot_measure`.

    The colours span the first to the 99th percentile of the runs that neither escaped nor became
    not finite; losses outside take the colour of the nearer end.
    """
    return _plot_loss(final_loss, open_canvas(status, axes, **frame), "last recorded loss")


def plot_test_loss(
    test_loss: np.ndarray, status: np.ndarray, axes: Sequence[Axis], **frame: Unpack[Frame]
) -> Axes:
    """Draw the loss on the test data at the end, with the scale of `plot_final_loss`.

    Escaped and not finite are, as there, the runs whose *watched* losses were; a run whose test
    loss alone is not finite is shown among the latter.
    """
    return _plot_loss(test_loss, open_canvas(status, axes, **frame), "final test loss")


def plot_accuracy(
    accuracy: np.ndarray,
    status: np.ndarray,
    axes: Sequence[Axis],
    *,
    data: str = "test",
    **frame: Unpack[Frame],
) -> Axes:
    """Draw an accuracy at the end, on a linear scale from 0 to 1.

    Parameters
    ----------
    accuracy : (ny, nx) or (nx,) float array
        Drawn for every run that has one, escaped or not. Where it is not finite the outputs of the
        network were not numbers; these runs have a flat colour.
    status, axes, **frame
        As in `dynfrac.plots.trainability.plot_measure`.
    data : str
        On which data, for the label: ``"test"`` or ``"training"``.
    """
    canvas = open_canvas(status, axes, **frame)
    image = canvas.draw(
        np.where(canvas.done, accuracy, np.nan), cmap=canvas.palette.sequential, vmin=0, vmax=1
    )
    canvas.add_colour_bar(image, f"final {data} accuracy")
    gone = canvas.done & ~np.isfinite(accuracy)
    colour = canvas.palette.classes[Status.NOT_FINITE]
    canvas.fill(gone, colour)
    canvas.add_legend([("outputs not finite", colour, gone)])
    return canvas.ax


def plot_exponent(
    exponent: np.ndarray, status: np.ndarray, axes: Sequence[Axis], **frame: Unpack[Frame]
) -> Axes:
    """Draw the largest finite-time Lyapunov exponent, with the boundary of the converged runs.

    Parameters
    ----------
    exponent : (ny, nx) or (nx,) float array
        In nats per step. Blue where small changes die out, red where they grow, pale at zero; the
        scale is symmetric and ends at the 98th percentile of the sizes of the runs that neither
        escaped nor became not finite. Minus infinity takes the last blue.
    status, axes, **frame
        As in `dynfrac.plots.trainability.plot_measure`.

    Notes
    -----
    Runs that escaped have the mean up to there, which is mostly beyond the scale. Cells of the
    lattice whose corners do not all have one label are black, as in `plot_boundary`.
    """
    canvas = open_canvas(status, axes, **frame)
    kept = canvas.done & np.isin(status, (Status.CONVERGED, Status.BOUNDED)) & np.isfinite(exponent)
    known = kept if kept.any() else canvas.done & np.isfinite(exponent)
    limit = float(np.percentile(np.abs(exponent[known]), 98)) if known.any() else 0.0
    limit = limit or 1e-3  # all exponents may be zero
    shown = np.where(canvas.done, np.clip(exponent, -limit, limit), np.nan)
    image = canvas.draw(shown, cmap=canvas.palette.diverging, vmin=-limit, vmax=limit)
    canvas.add_colour_bar(image, "largest exponent (nats per step)")
    none = canvas.done & np.isnan(exponent)
    canvas.fill(none, _NO_EXPONENT)
    edge = edge_cells(canvas)
    canvas.fill(edge, "black", margin=0.0)
    entries: list[tuple[str, Any, np.ndarray | None]] = [("no finite step", _NO_EXPONENT, none)]
    canvas.add_legend([("boundary", "black", None)] * bool(edge.any()) + entries)
    return canvas.ax


def _plot_loss(loss: np.ndarray, canvas: Canvas, label: str) -> Axes:
    """Draw losses on a logarithmic scale, with flat colours for those that have no place on it."""
    escaped = canvas.status == Status.ESCAPED
    gone = canvas.done & ~escaped & ((canvas.status == Status.NOT_FINITE) | ~np.isfinite(loss))
    kept = canvas.done & ~escaped & ~gone
    positive = kept & (loss > 0)
    low, high = np.percentile(loss[positive], (1, 99)) if positive.any() else (0.1, 1.0)
    norm = LogNorm(low, max(high, low * 1.01), clip=True)
    # A loss of zero takes the lowest colour.
    shown = np.where(positive, loss, np.where(kept & (loss == 0), low, np.nan))
    canvas.add_colour_bar(canvas.draw(shown, cmap=canvas.palette.sequential, norm=norm), label)
    styles = canvas.palette.describe_classes()
    entries = [(*styles[Status.ESCAPED], escaped), (*styles[Status.NOT_FINITE], gone)]
    for _, colour, cells in entries:
        canvas.fill(cells, colour)
    canvas.add_legend(entries)
    return canvas.ax
