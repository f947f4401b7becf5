"""The smooth null: what a curve of dimension one reads in a picture of the same size.

A box count has a finite-size error that depends on the resolution, the window and the counting
rule. A circle and a tilted line pass through the same pipeline; what a picture shows in excess of
them is the finding.
"""

from __future__ import annotations

import numpy as np

from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.labels import boundary_cells
from dynfrac.analysis.scaling import Window

LINE_ANGLE = 0.3
"""In radians: far from the axes and the diagonals, along which a line is a special case."""
CIRCLE_RADIUS = 0.35
"""In units of the picture's shorter side."""


def smooth_null(
    shape: tuple[int, int],
    *,
    mask: bool = False,
    window: Window | None = None,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Box dimension of a circle and of a tilted line, whose dimension is one.

    Parameters
    ----------
    shape : tuple of two ints
        Rows and columns of the picture to compare with.
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
        `"circle"` and `"line"`.

    Examples
    --------
    >>> null = smooth_null((256, 256))
    >>> {name: round(float(estimate), 2) for name, estimate in null.items()}
    {'circle': 1.0, 'line': 1.0}
    """
    rows, columns = shape
    y = (np.arange(rows)[:, None] - (rows - 1) / 2) / min(shape)
    x = (np.arange(columns)[None, :] - (columns - 1) / 2) / min(shape)
    curves = {
        "circle": x**2 + y**2 < CIRCLE_RADIUS**2,
        "line": np.cos(LINE_ANGLE) * y > np.sin(LINE_ANGLE) * x,
    }
    pictures = {name: boundary_cells(side) if mask else side for name, side in curves.items()}
    return {
        name: box_dimension(picture, mask=mask, window=window, seed=seed)
        for name, picture in pictures.items()
    }
