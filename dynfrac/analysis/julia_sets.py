"""Julia sets as pictures: of quadratic polynomials, and of Newton's method."""

from __future__ import annotations

import numpy as np

from dynfrac.analysis.pixels import CENTER, Point, pixel_coordinates

RABBIT = -0.12256116687665361 + 0.74486176661974424j
"""The parameter c at which the critical point of z^2 + c has period three."""


def quadratic_julia(
    n: int,
    c: complex = -1.0,
    *,
    center: Point = CENTER,
    size: float = 0.3,
    angle: float = 0.0,
    n_steps: int = 300,
) -> np.ndarray:
    """Label the points that stay bounded under z^2 + c; the boundary is the Julia set.

    Parameters
    ----------
    n : int
        Pixels along each side.
    c : complex
        Default: the basilica. For c outside the Mandelbrot set next to no point stays.
    center : tuple of two floats
        Where z = 0 is.
    size : float
        Length of the unit of z. The set fits into a circle of radius 2 units.
    angle : float
        By which it is turned.
    n_steps : int
        Iterations; points that have not left the circle of radius max(2, abs(c)) by then are
        labelled bounded.

    Returns
    -------
    (n, n) bool array

    Notes
    -----
    For small c the dimension is 1 + abs(c)^2 / (4 ln 2) to leading order (Ruelle 1982).
    """
    x, y = pixel_coordinates(n, center, size, angle)
    z = (x + 1j * y).ravel()
    limit = max(4.0, abs(c) ** 2)
    alive = np.arange(z.size)
    for _ in range(n_steps):
        z = z * z + c
        bounded = np.real(z) ** 2 + np.imag(z) ** 2 <= limit
        z, alive = z[bounded], alive[bounded]
    labels = np.zeros(n * n, dtype=bool)
    labels[alive] = True
    return labels.reshape(n, n)


def rabbit_julia(
    n: int,
    *,
    center: Point = CENTER,
    size: float = 0.3,
    angle: float = 0.0,
    n_steps: int = 300,
) -> np.ndarray:
    """Label the points that stay bounded under z^2 + c, with c of Douady's rabbit.

    Parameters are those of `quadratic_julia`. The set is 2.8 units wide.
    """
    return quadratic_julia(n, RABBIT, center=center, size=size, angle=angle, n_steps=n_steps)


def newton_basins(
    n: int,
    degree: int = 3,
    *,
    center: Point = CENTER,
    size: float = 1 / 3,
    angle: float = 0.0,
    n_steps: int = 100,
) -> np.ndarray:
    """Label every point by the root of z^degree = 1 at which Newton's method ends.

    Parameters
    ----------
    n : int
        Pixels along each side.
    degree : int
        At least 2; at 2 the boundary is a line.
    center, size, angle
        As of `quadratic_julia`. The set is unbounded.
    n_steps : int
        Iterations, after which all but a point in a million are within 1e-6 of a root.

    Returns
    -------
    (n, n) int array
        0 .. degree - 1, against the clock from the root 1; `degree` where no root was reached.
    """
    if degree < 2:
        raise ValueError(f"degree={degree} leaves at most one root; pass 2 or more")
    x, y = pixel_coordinates(n, center, size, angle)
    z = (x + 1j * y).ravel()
    labels = np.full(n * n, degree)
    open_ = np.arange(n * n)
    for _ in range(n_steps):
        with np.errstate(all="ignore"):
            z = ((degree - 1) * z + z ** (1 - degree)) / degree
            turns = np.angle(z) / (2 * np.pi) * degree
            near = np.abs(z - np.exp(2j * np.pi * np.round(turns) / degree)) < 1e-6
        labels[open_[near]] = np.round(turns[near]).astype(int) % degree
        # Not-a-number is a point without a next step.
        kept = ~near & np.isfinite(np.abs(z))
        z, open_ = z[kept], open_[kept]
    return labels.reshape(n, n)
