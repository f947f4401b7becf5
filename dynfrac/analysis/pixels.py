"""The frame of the pictures of known sets: where the pixels are, seen from the set."""

from __future__ import annotations

import math

import numpy as np

Point = tuple[float, float]

CENTER: Point = (0.5, 0.5)
"""The middle of the picture."""


def pixel_coordinates(
    n: int, center: Point, size: float, angle: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of all pixel centres, in the frame of a set that was placed in the square.

    Parameters
    ----------
    n : int
        Pixels along each side.
    center : tuple of two floats
        Where the set has its origin, in units of the picture.
    size : float
        What is 1 to the set.
    angle : float
        By which it is turned.

    Returns
    -------
    x, y : (n, n) float arrays
    """
    if n < 1 or not size > 0:
        raise ValueError(f"n={n}, size={size} draw nothing; pass positive numbers")
    steps = (np.arange(n) + 0.5) / n
    x, y = steps[None, :] - center[0], steps[:, None] - center[1]
    cosine, sine = math.cos(angle) / size, math.sin(angle) / size
    return cosine * x + sine * y, cosine * y - sine * x
