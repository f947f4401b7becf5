"""Sets of known dimension as pictures: for tests, for documentation, and to try an estimator on.

Every function draws an n x n picture of the unit square, rows and columns at pixel centres, and
takes where the set lies in it: `center` (x, y), `size` and `angle` (radians), in units of the
picture. The first kind returns labels, whose boundary is the set; the gasket and the carpet return
masks, whose non-zero pixels are.
"""

from __future__ import annotations

import math

import numpy as np

DIMENSIONS: dict[str, float] = {
    "half_plane": 1.0,
    "disc": 1.0,
    "koch_snowflake": math.log(4) / math.log(3),
    "sierpinski_gasket": math.log(3) / math.log(2),
    "sierpinski_carpet": math.log(8) / math.log(3),
    "rabbit_julia": 1.3934,
}
"""Box dimension of each set in this module. All are exact but the rabbit's, which is the value of
C. McMullen, "Hausdorff dimension and conformal dynamics III", Amer. J. Math. 120, 691 (1998)."""

RABBIT = -0.12256116687665361 + 0.74486176661974424j
"""The parameter c at which the critical point of z^2 + c has period three."""

Point = tuple[float, float]

_CENTER: Point = (0.5, 0.5)
_ROOT3 = math.sqrt(3.0)


def half_plane(n: int, *, center: Point = _CENTER, angle: float = 0.3) -> np.ndarray:
    """Label the points on the left of a straight line.

    Parameters
    ----------
    n : int
        Pixels along each side.
    center : tuple of two floats
        A point of the line.
    angle : float
        Of the line with the x axis.

    Returns
    -------
    (n, n) bool array
    """
    _, y = _coordinates(n, center, 1.0, angle)
    return y > 0


def disc(n: int, *, center: Point = _CENTER, radius: float = 0.35) -> np.ndarray:
    """Label the points inside a circle.

    Parameters
    ----------
    n : int
        Pixels along each side.
    center : tuple of two floats
    radius : float

    Returns
    -------
    (n, n) bool array
    """
    x, y = _coordinates(n, center, radius, 0.0)
    return x**2 + y**2 < 1


def koch_snowflake(
    n: int,
    *,
    center: Point = _CENTER,
    size: float = 0.8,
    angle: float = 0.0,
    depth: int | None = None,
) -> np.ndarray:
    """Label the points inside a Koch snowflake.

    Parameters
    ----------
    n : int
        Pixels along each side.
    center : tuple of two floats
    size : float
        Diameter of the circle around it.
    angle : float
        By which it is turned.
    depth : int, optional
        Generations of bumps. Default: until a bump is much smaller than a pixel.

    Returns
    -------
    (n, n) bool array
    """
    x, y = _coordinates(n, center, size, angle)
    if depth is None:
        depth = math.ceil(math.log(n * size, 3)) + 3
    side = _ROOT3 / 2
    inside = np.ones((n, n), dtype=bool)
    for turn in (0.0, 2 * math.pi / 3, 4 * math.pi / 3):
        along = math.cos(turn) * x + math.sin(turn) * y
        out = math.cos(turn) * y - math.sin(turn) * x
        inside &= _below_koch_curve(along / side + 0.5, (out - 0.25) / side, depth)
    return inside


def sierpinski_gasket(
    n: int, *, center: Point = _CENTER, size: float = 0.8, angle: float = 0.0
) -> np.ndarray:
    """Mark the pixels that an equilateral Sierpinski gasket touches.

    Parameters
    ----------
    n : int
        Pixels along each side.
    center : tuple of two floats
        Centre of mass of the triangle.
    size : float
        Side of the triangle.
    angle : float
        By which it is turned.

    Returns
    -------
    (n, n) bool array
    """
    # Corners of the triangles of half a pixel: none of the pixels touched can be missed by much.
    generations = math.ceil(math.log2(n * size)) + 1
    corners = np.exp(2j * math.pi * np.arange(3) / 3 + 1j * (angle + math.pi / 2)) / _ROOT3
    points = np.zeros(1, dtype=complex)
    for _ in range(generations):
        points = ((points + corners[:, None]) / 2).ravel()
    points = (complex(*center) + size * points) * n
    column, row = np.floor(points.real).astype(int), np.floor(points.imag).astype(int)
    seen = (column >= 0) & (column < n) & (row >= 0) & (row < n)
    mask = np.zeros((n, n), dtype=bool)
    mask[row[seen], column[seen]] = True
    return mask


def sierpinski_carpet(
    n: int, *, center: Point = _CENTER, size: float = 1.0, angle: float = 0.0
) -> np.ndarray:
    """Mark the pixels of a Sierpinski carpet whose smallest holes are one to three pixels wide.

    Parameters
    ----------
    n : int
        Pixels along each side.
    center : tuple of two floats
    size : float
        Side of the square.
    angle : float
        By which it is turned.

    Returns
    -------
    (n, n) bool array
    """
    x, y = _coordinates(n, center, size, angle)
    x, y = x + 0.5, y + 0.5
    inside = (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
    for _ in range(math.floor(math.log(n * size, 3) + 1e-9)):
        x, y = 3 * x, 3 * y
        inside &= ~((np.floor(x) == 1) & (np.floor(y) == 1))
        x, y = x - np.floor(x), y - np.floor(y)
    return inside


def rabbit_julia(
    n: int,
    *,
    center: Point = _CENTER,
    size: float = 0.3,
    angle: float = 0.0,
    n_steps: int = 300,
) -> np.ndarray:
    """Label the points that stay bounded under z^2 + c, with c of Douady's rabbit.

    Parameters
    ----------
    n : int
        Pixels along each side.
    center : tuple of two floats
        Where z = 0 is.
    size : float
        Length of the unit of z. The set is 2.8 units wide.
    angle : float
        By which it is turned.
    n_steps : int
        Iterations; points that have not left the circle of radius 2 by then are labelled bounded.

    Returns
    -------
    (n, n) bool array
    """
    x, y = _coordinates(n, center, size, angle)
    z = (x + 1j * y).ravel()
    alive = np.arange(z.size)
    for _ in range(n_steps):
        z = z * z + RABBIT
        bounded = z.real**2 + z.imag**2 <= 4
        z, alive = z[bounded], alive[bounded]
    labels = np.zeros(n * n, dtype=bool)
    labels[alive] = True
    return labels.reshape(n, n)


def _coordinates(n: int, center: Point, size: float, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of all pixel centres, in the frame of a set that was placed in the square."""
    if n < 1 or not size > 0:
        raise ValueError(f"n={n}, size={size} draw nothing; pass positive numbers")
    steps = (np.arange(n) + 0.5) / n
    x, y = steps[None, :] - center[0], steps[:, None] - center[1]
    cosine, sine = math.cos(angle) / size, math.sin(angle) / size
    return cosine * x + sine * y, cosine * y - sine * x


def _below_koch_curve(x: np.ndarray, y: np.ndarray, depth: int) -> np.ndarray:
    """Tell which points lie below the Koch curve over [0, 1] on the x axis.

    The curve is four copies of itself, each inside the flat triangle over its own base. A point in
    none of the triangles is settled; a point in one of them is mapped back to the whole.
    """
    shape, below = y.shape, (y <= 0).ravel()
    open_ = np.flatnonzero(_in_flat_triangle(x, y))
    x, y = x.ravel()[open_], y.ravel()[open_]
    for _ in range(depth):
        x = np.minimum(x, 1 - x)  # the curve is symmetric
        below[open_] = y <= _ROOT3 * (x - 1 / 3)  # inside the bump of this generation
        outer = 3 * x, 3 * y
        inner = 1.5 * (x - 1 / 3) + 1.5 * _ROOT3 * y, 1.5 * y - 1.5 * _ROOT3 * (x - 1 / 3)
        in_outer, in_inner = _in_flat_triangle(*outer), _in_flat_triangle(*inner)
        kept = in_outer | in_inner
        x = np.where(in_outer, outer[0], inner[0])[kept]
        y = np.where(in_outer, outer[1], inner[1])[kept]
        open_ = open_[kept]
    return below.reshape(shape)


def _in_flat_triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Tell which points lie above the base [0, 1] and below sides of 30 degrees on it."""
    return (y > 0) & (y * _ROOT3 <= np.minimum(x, 1 - x))
