"""Pictures of a sweep: which trainings converged, how fast, and when the others escaped.

Every function takes an array, the status of the same cells and the axes they lie on, and returns
the matplotlib Axes it drew on; nothing is shown or saved. Rows of an array are the y axis, its
first row the low end. An array of one dimension becomes a strip. The keywords `ax`, `title`,
`caption` and `palette` are those of `dynfrac.plots.canvas.Frame`.

The signed measure is drawn in the colours of the published pictures: converged runs from green to
blue, the others from yellow to dark red; another palette is for readers who cannot tell these
apart. What the ends mean is the rule's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.patches import Rectangle

from dynfrac.analysis.labels import boundary_cells
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.rules import Ends, PublishedRule
from dynfrac.plots.canvas import INK, Canvas, Frame, open_canvas, percent
from dynfrac.plots.palettes import GAP

_PUBLISHED_ENDS = PublishedRule().ends
_PALE = "#d5e4ee"
_PALE_RED = "#f6dcc8"


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
        coloured[cells] = sign * (1 - (1 - GAP) * places(values, np.sort(values)))
    return coloured


def places(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the places of values among others that are in ascending order, 0 to 1.

    Equal values share the middle of their places; those beyond the ends have the place of the end.
    """
    rank = (np.searchsorted(order, values) + np.searchsorted(order, values, "right") - 1) / 2
    return np.clip(rank / max(len(order) - 1, 1), 0, 1)


def plot_measure(
    measure: np.ndarray,
    status: np.ndarray,
    axes: Sequence[Axis],
    *,
    ends: Ends = _PUBLISHED_ENDS,
    **frame: Unpack[Frame],
) -> Axes:
    """Draw the signed measure.

    Parameters
    ----------
    measure : (ny, nx) or (nx,) float array
        Negative where the run converged. Only its order is drawn: see `equalise`.
    status : uint8 array of the same shape
        Codes of `Status`. Pending cells are hatched.
    axes : sequence of Axis
        x, and y unless the arrays have one dimension.
    ends : Ends
        The rule's words for the ends of its measure; those of the published rule when absent.
    **frame
        `ax`, `title`, `caption` and `palette`: see `Frame`.

    Returns
    -------
    matplotlib.axes.Axes
        Its `figure` saves the picture.
    """
    canvas = open_canvas(status, axes, **frame)
    coloured = equalise(np.where(canvas.done, measure, np.nan))
    canvas.draw(coloured, cmap=canvas.palette.signed, vmin=-1, vmax=1)
    _add_measure_key(canvas, coloured, ends)
    canvas.add_legend()
    return canvas.ax


def plot_status(status: np.ndarray, axes: Sequence[Axis], **frame: Unpack[Frame]) -> Axes:
    """Draw the four outcomes, with their shares; parameters as in `plot_measure`."""
    canvas = open_canvas(status, axes, **frame)
    styles = canvas.palette.describe_classes()
    colours = ListedColormap([colour for _, colour in styles.values()])
    codes = np.where(canvas.done, status, np.nan)
    canvas.draw(codes, cmap=colours, norm=BoundaryNorm(np.arange(0.5, 5.0), 4))
    canvas.add_legend([(*styles[s], status == s) for s in styles], beside=True)
    return canvas.ax


def plot_t_escape(
    t_escape: np.ndarray, status: np.ndarray, axes: Sequence[Axis], **frame: Unpack[Frame]
) -> Axes:
    """Draw the first loss over the limit; parameters as in `plot_measure`.

    Runs that never passed it are left pale. A converged run may have passed it on its way.
    """
    canvas = open_canvas(status, axes, **frame)
    escaped = (t_escape >= 0) & canvas.done
    inside = (t_escape < 0) & canvas.done
    canvas.fill(inside, _PALE)
    # Counted from 1, so that the first loss has a place on the logarithmic scale.
    numbers = np.where(escaped, t_escape + 1.0, np.nan)
    last = max(float(t_escape.max()) + 1, 10.0)
    image = canvas.draw(numbers, cmap="magma_r", norm=LogNorm(1, last))
    canvas.add_colour_bar(image, "first loss over the limit, counted from 1")
    canvas.add_legend([("never over the limit", _PALE, inside)])
    return canvas.ax


def plot_boundary(status: np.ndarray, axes: Sequence[Axis], **frame: Unpack[Frame]) -> Axes:
    """Draw the boundary between converged runs and all others; parameters as in `plot_measure`.

    Cells of the lattice whose four corners do not all have the same label are black, as they are
    counted by `box_dimension`. Beside pending cells no boundary is drawn.
    """
    canvas = open_canvas(status, axes, **frame)
    done, converged = canvas.done, status == Status.CONVERGED
    classes = ListedColormap([_PALE_RED, _PALE])
    canvas.draw(np.where(done, converged, np.nan), cmap=classes, vmin=0, vmax=1)
    edge = edge_cells(canvas)
    canvas.fill(edge, "black", margin=0.0)
    entries = [
        ("converged", _PALE, converged),
        ("did not converge", _PALE_RED, done & ~converged),
    ]
    canvas.add_legend(entries + [("boundary", "black", None)] * bool(edge.any()), beside=True)
    return canvas.ax


def edge_cells(canvas: Canvas) -> np.ndarray:
    """Return the cells between computed points whose corners do not all have the same label.

    A cell of the lattice lies between the points that are its corners: draw it without a margin.
    """
    pair = canvas.status == Status.CONVERGED, canvas.done
    labels, known = (np.repeat(a[None], 2, axis=0) if a.ndim == 1 else a for a in pair)
    return boundary_cells(labels) & known[:-1, :-1] & ~boundary_cells(known)


def _add_measure_key(canvas: Canvas, coloured: np.ndarray, ends: Ends) -> None:
    """Draw the colour key beside the picture: the two halves of the colour map, apart."""
    key = canvas.add_key()
    total = max(np.isfinite(coloured).sum(), 1)
    halves = [
        # from, to, colours from bottom to top, word, cells, what the ends mean
        (0.0, 0.485, (-1.0, -GAP), "did not converge", coloured < 0, ends[:2]),
        (0.515, 1.0, (GAP, 1.0), "converged", coloured > 0, ends[2:]),
    ]
    for bottom, top, colours, word, cells, words in halves:
        ramp = np.linspace(*colours, 128)[:, None]
        if cells.any() and np.ptp(coloured[cells]) == 0:
            # Equal measures have one colour, and no order that words could be about.
            ramp, words = coloured[cells][:1, None], ("", "")
        key.imshow(
            ramp,
            cmap=canvas.palette.signed,
            vmin=-1,
            vmax=1,
            extent=(0, 1, bottom, top),
            origin="lower",
        )
        outline = Rectangle((0, bottom), 1, top - bottom, fill=False, clip_on=False)
        outline.set(edgecolor=INK, linewidth=0.6)
        key.add_patch(outline)
        share = f"{word}\n{percent(cells.sum() / total)}"
        key.text(1.5, (bottom + top) / 2, share, va="center", fontsize=9)
        for y, end, va in ((bottom, words[0], "bottom"), (top, words[1], "top")):
            key.text(1.5, y, end, va=va, fontsize=8, color="0.35")
    key.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="auto")
    key.set_axis_off()
