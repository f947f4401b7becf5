"""Bisection of segments whose two ends have different labels, many at once."""

from __future__ import annotations

import numpy as np

from dynfrac.boundaries.oracles import Oracle


def bisect_segments(
    oracle: Oracle, inside: np.ndarray, outside: np.ndarray, labels: np.ndarray, *, halvings: int
) -> tuple[np.ndarray, np.ndarray]:
    """Halve segments again and again, keeping the half whose ends differ.

    Parameters
    ----------
    oracle : Oracle
        Asked for the N middles together, once per halving.
    inside, outside : (N, d) float arrays
        Ends of the segments, in the unit cube.
    labels : (N,) int array
        Those of `inside`; `outside` must have any other.
    halvings : int
        What is left of a segment is 2^-halvings of it.

    Returns
    -------
    inside, outside : (N, d) float arrays
        Ends with the label and with another one.

    Notes
    -----
    A segment that crosses the boundary several times is narrowed down to one of its crossings, but
    not always to the first. Of more than two labels, `outside` can have any that is not `labels`.
    """
    inside, outside = inside.copy(), outside.copy()
    for _ in range(halvings):
        middle = (inside + outside) / 2
        same = oracle(middle) == labels
        inside[same], outside[~same] = middle[same], middle[~same]
    return inside, outside
