"""The smooth null: what a smooth boundary reads in a picture of the same size.

A count has a finite-size error that depends on the resolution, the window and the rule. A circle
and a tilted line pass through the same pipeline, in a volume a ball and a tilted plane; what a
picture shows in excess of them is the finding. On a line a smooth boundary is a few points, of
dimension zero, of which there are too few to count: there is nothing to compare with.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.labels import boundary_cells
from dynfrac.analysis.scaling import Window
from dynfrac.analysis.uncertainty import uncertainty_exponent

LINE_ANGLE = 0.3
"""In radians: far from the axes and the diagonals, along which a line is a special case."""
CIRCLE_RADIUS = 0.35
"""In units of the picture's shorter side."""


def smooth_labels(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Two labels with a smooth boundary, in the shape of what is to be compared.

    Parameters
    ----------
    shape : tuple of ints
        Lengths of the axes.

    Returns
    -------
    dict of str to bool array
        `"circle"` and `"line"` for a picture, `"ball"` and `"plane"` for a volume; empty for a
        single axis.
    """
    if len(shape) == 1:
        return {}
    # Vertical last, as in a picture: x is the last axis.
    lengths = [(np.arange(n) - (n - 1) / 2) / min(shape) for n in shape]
    *_, y, x = coordinates = np.meshgrid(*lengths, indexing="ij", sparse=True)
    round_, flat = ("circle", "line") if len(shape) == 2 else ("ball", "plane")
    distance: Any = sum(coordinate**2 for coordinate in coordinates)
    side: Any = math.cos(LINE_ANGLE) * y - math.sin(LINE_ANGLE) * x
    if len(shape) == 3:
        side = math.cos(LINE_ANGLE) * side + math.sin(LINE_ANGLE) * coordinates[0]
    return {round_: distance < CIRCLE_RADIUS**2, flat: side > 0}


def smooth_null(
    shape: tuple[int, ...],
    *,
    mask: bool = False,
    window: Window | None = None,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Box dimension of a circle and of a tilted line, whose dimension is one, or of surfaces.

    Parameters
    ----------
    shape : tuple of ints
        Lengths of the axes of what is to be compared.
    mask : bool
        Draw the curves one pixel thick and measure them as masks, instead of measuring the
        boundary of what they enclose.
    window : tuple of two floats, optional
        Box sides to fit, in pixels; use that of the estimate to compare with.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to Estimate
        `"circle"` and `"line"`; `"ball"` and `"plane"`, of dimension two, for three axes; empty
        for one.

    Examples
    --------
    >>> null = smooth_null((256, 256))
    >>> {name: round(float(estimate), 2) for name, estimate in null.items()}
    {'circle': 1.0, 'line': 1.0}
    """
    pictures = smooth_labels(shape)
    if mask:
        pictures = {name: boundary_cells(side) for name, side in pictures.items()}
    return {
        name: box_dimension(picture, mask=mask, window=window, seed=seed)
        for name, picture in pictures.items()
    }


def smooth_uncertainty(
    shape: tuple[int, ...], *, window: Window | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """Uncertainty exponent of smooth boundaries between two labels, which is one.

    Parameters
    ----------
    shape : tuple of ints
        Lengths of the axes of what is to be compared.
    window : tuple of two floats, optional
        Distances to fit, in pixels; use that of the estimate to compare with.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to Estimate
        As in `smooth_null`.
    """
    return {
        name: uncertainty_exponent(picture, window=window, seed=seed)
        for name, picture in smooth_labels(shape).items()
    }
