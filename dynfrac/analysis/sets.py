"""Sets of known dimension as pictures: for tests, for documentation, and to try an estimator on.

Most functions draw an n x n picture of the unit square, rows and columns at pixel centres, and take
where the set lies in it: `center` (x, y), `size` and `angle` (radians), in units of the picture. A
few draw a line of n pixels, or a cube. Some return labels, whose boundary is the set, others (named
in `MASKS`) masks, whose non-zero pixels are.

For points of known sets see `dynfrac.analysis.point_sets`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dynfrac.analysis.julia_sets import RABBIT as RABBIT
from dynfrac.analysis.julia_sets import newton_basins as newton_basins
from dynfrac.analysis.julia_sets import quadratic_julia as quadratic_julia
from dynfrac.analysis.julia_sets import rabbit_julia as rabbit_julia
from dynfrac.analysis.pixels import CENTER, Point, pixel_coordinates

DIMENSIONS: dict[str, float] = {
    "half_plane": 1.0,
    "disc": 1.0,
    "koch_snowflake": math.log(4) / math.log(3),
    "sierpinski_gasket": math.log(3) / math.log(2),
    "sierpinski_carpet": math.log(8) / math.log(3),
    "cantor_set": math.log(2) / math.log(3),
    "cantor_dust": math.log(4) / math.log(3),
    "rabbit_julia": 1.3934,
    "newton_basins": 1.444,
    "half_space": 2.0,
    "ball": 2.0,
    "menger_sponge": math.log(20) / math.log(3),
}
"""Box dimension of each set in this module, as it is drawn without further arguments. All are exact
but two: the rabbit's is the value of C. McMullen, "Hausdorff dimension and conformal dynamics III",
Amer. J. Math. 120, 691 (1998), that of Newton's basins is computed, to 0.006."""

MASKS = frozenset(
    {"sierpinski_gasket", "sierpinski_carpet", "cantor_set", "cantor_dust", "menger_sponge"}
)
"""The sets whose non-zero pixels are meant, not their boundary."""

_ROOT3 = math.sqrt(3.0)


def half_plane(n: int, *, center: Point = CENTER, angle: float = 0.3) -> np.ndarray:
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
    _, y = pixel_coordinates(n, center, 1.0, angle)
    return y > 0


def disc(n: int, *, center: Point = CENTER, radius: float = 0.35) -> np.ndarray:
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
    x, y = pixel_coordinates(n, center, radius, 0.0)
    return x**2 + y**2 < 1


def koch_snowflake(
    n: int,
    *,
    center: Point = CENTER,
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
    x, y = pixel_coordinates(n, center, size, angle)
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
    n: int, *, center: Point = CENTER, size: float = 0.8, angle: float = 0.0
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
    n: int, *, center: Point = CENTER, size: float = 1.0, angle: float = 0.0
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
    x, y = pixel_coordinates(n, center, size, angle)
    x, y = x + 0.5, y + 0.5
    inside = (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
    for _ in range(_generations(n * size)):
        x, y = 3 * x, 3 * y
        inside &= ~((np.floor(x) == 1) & (np.floor(y) == 1))
        x, y = x - np.floor(x), y - np.floor(y)
    return inside


def cantor_set(n: int, *, center: float = 0.5, size: float = 1.0) -> np.ndarray:
    """Mark the pixels of a middle-thirds Cantor set on a line; its least gaps are 1 to 3 pixels.

    Parameters
    ----------
    n : int
        Pixels of the line.
    center : float
        Middle of the set.
    size : float
        Its length.

    Returns
    -------
    (n,) bool array
    """
    if n < 1 or not size > 0:
        raise ValueError(f"n={n}, size={size} draw nothing; pass positive numbers")
    return _outside_gaps(((np.arange(n) + 0.5) / n - center) / size + 0.5, n * size)


def cantor_dust(
    n: int, *, center: Point = CENTER, size: float = 1.0, angle: float = 0.0
) -> np.ndarray:
    """Mark the pixels of the product of two middle-thirds Cantor sets.

    Parameters
    ----------
    n : int
        Pixels along each side.
    center : tuple of two floats
    size : float
        Side of the square around it.
    angle : float
        By which it is turned.

    Returns
    -------
    (n, n) bool array
    """
    x, y = pixel_coordinates(n, center, size, angle)
    return _outside_gaps(x + 0.5, n * size) & _outside_gaps(y + 0.5, n * size)


def menger_sponge(n: int) -> np.ndarray:
    """Mark the cells of a Menger sponge that fills the cube; its least holes are 1 to 3 cells wide.

    Parameters
    ----------
    n : int
        Cells along each side; exact at powers of 3.

    Returns
    -------
    (n, n, n) bool array
    """
    if n < 1:
        raise ValueError(f"n={n} draws nothing; pass a positive number")
    places = (np.arange(n) + 0.5) / n
    inside = np.ones((n, n, n), dtype=bool)
    for _ in range(_generations(n)):
        places = 3 * places
        middle = np.floor(places) == 1
        # What is in the middle third in two or three directions is cut out.
        pairs = middle[:, None] & middle
        inside &= ~(pairs[:, :, None] | pairs[:, None, :] | pairs[None, :, :])
        places = places - np.floor(places)
    return inside


def half_space(
    n: int,
    *,
    center: Sequence[float] = (0.5, 0.5, 0.5),
    normal: Sequence[float] = (0.8, 0.5, 0.33),
) -> np.ndarray:
    """Label the points on one side of a plane.

    Parameters
    ----------
    n : int
        Cells along each side of the cube.
    center : sequence of three floats
        A point of the plane.
    normal : sequence of three floats
        Across the plane, to the labelled side.

    Returns
    -------
    (n, n, n) bool array
    """
    x, y, z = _cell_offsets(n, center)
    return normal[0] * x + normal[1] * y + normal[2] * z > 0


def ball(n: int, *, center: Sequence[float] = (0.5, 0.5, 0.5), radius: float = 0.35) -> np.ndarray:
    """Label the points inside a sphere.

    Parameters
    ----------
    n : int
        Cells along each side of the cube.
    center : sequence of three floats
    radius : float

    Returns
    -------
    (n, n, n) bool array
    """
    x, y, z = _cell_offsets(n, center)
    return x**2 + y**2 + z**2 < radius**2


def _generations(pixels: float) -> int:
    """Return how often a length can be divided by three before it is smaller than a pixel."""
    return math.floor(math.log(pixels, 3) + 1e-9)


def _outside_gaps(x: np.ndarray, pixels: float) -> np.ndarray:
    """Tell which points of [0, 1] are in no gap of a Cantor set of so many pixels."""
    inside = (x >= 0) & (x < 1)
    for _ in range(_generations(pixels)):
        x = 3 * x
        inside &= np.floor(x) != 1
        x = x - np.floor(x)
    return inside


def _cell_offsets(n: int, center: Sequence[float]) -> list[np.ndarray]:
    """Return the coordinates of all cell centres from a point, arrays that broadcast to a cube."""
    if n < 1 or len(center) != 3:
        raise ValueError(f"n={n}, center={center} draw nothing; pass n > 0 and three coordinates")
    steps = (np.arange(n) + 0.5) / n
    shapes = ((n, 1, 1), (1, n, 1), (1, 1, n))
    return [(steps - c).reshape(shape) for c, shape in zip(center, shapes, strict=True)]


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
