"""Pilot grids: a coarse look at a window that says where to look closely."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.ndimage import binary_dilation

from dynfrac.boundaries.oracles import Oracle

SHARE = 0.1
"""Of what is left of a budget that a pilot may spend."""
LARGEST_SHARE = 0.25
"""The same of a small budget."""
SIDES = {1: 1024, 2: 64, 3: 16}
"""Most cells along an axis, by the number of axes."""


def pilot_zones(oracle: Oracle, *, least: int = 0, reach: float = 0.0) -> np.ndarray:
    """Label the nodes of a grid and say which of its cells the boundary crosses.

    Parameters
    ----------
    oracle : Oracle
        Asked for at most a tenth of the labels it has left, or `least`, or 5^d if that is more.
    least : int
        Nodes that a small budget spends up to a quarter of itself on.
    reach : float
        On one axis, the distance from a crossed cell up to which cells count as near it.

    Returns
    -------
    (side, ...) uint8 array
        0 where the corners of a cell have different labels, 1 in the cells that touch such a cell
        or lie within `reach` of it, 2 elsewhere. A boundary between the nodes is not seen.
    """
    d = oracle.n_axes
    n_nodes = max(SHARE * oracle.left, min(LARGEST_SHARE * oracle.left, least))
    side = min(max(int(n_nodes ** (1 / d)) - 1, 4), SIDES[d])
    nodes = np.indices((side + 1,) * d).reshape(d, -1).T / side
    labels = oracle(nodes).reshape((side + 1,) * d)
    corners = [
        labels[tuple(slice(i, side + i) for i in shift)]
        for shift in itertools.product((0, 1), repeat=d)
    ]
    crossed = np.any([corner != corners[0] for corner in corners], axis=0)
    # A thousand cells on a line are narrower than the pairs are wide. What lies within a pair's
    # width of the boundary must not be left to the few centres that are drawn elsewhere. In a plane
    # cells are as wide as that, and drawing further around them would only thin the draws out.
    steps = max(1, math.ceil(reach * side)) if d == 1 else 1
    around = binary_dilation(crossed, np.ones((3,) * d), iterations=steps)
    return np.where(crossed, 0, np.where(around, 1, 2)).astype(np.uint8)
