"""Sets of known dimension that played no part while the rules of the intervals were made.

The first families were drawn when the rules of `box_dimension` and `uncertainty_exponent` stood.
They showed box intervals that were too narrow, which were widened once, and so they are used up.
The second families were drawn after that, and nothing was changed since. Every copy has a place, a
size and an angle of its own.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize

from dynfrac.analysis import sets
from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.uncertainty import uncertainty_exponent


def placement(rng, low, high):
    """Draw a place in the unit square (complex), a size and an angle."""
    center = complex(*rng.uniform(0.46, 0.54, size=2))
    return center, rng.uniform(low, high), rng.uniform(0, 2 * np.pi)


def frame(n, rng, low, high):
    """Coordinates (n, n) of the pixels, complex, in the frame of a set that is placed at random."""
    center, size, angle = placement(rng, low, high)
    y, x = (np.mgrid[:n, :n] + 0.5) / n
    return (x + 1j * y - center) * np.exp(-1j * angle) / size


def eisenstein_parts(z):
    """Return the integers a, b of the number a + b w nearest to z, with w = exp(2 pi i / 3)."""
    b0 = z.imag * 2 / math.sqrt(3)
    a0 = z.real + b0 / 2
    a, b = np.floor(a0), np.floor(b0)
    best, parts = np.full(z.shape, np.inf), (a, b)
    for da, db in ((0, 0), (0, 1), (1, 0), (1, 1)):
        x = a + da - (b + db) / 2 - z.real
        y = (b + db) * math.sqrt(3) / 2 - z.imag
        distance = x * x + y * y
        nearer = distance < best
        best = np.where(nearer, distance, best)
        parts = tuple(
            np.where(nearer, new, old) for new, old in zip((a + da, b + db), parts, strict=True)
        )
    return parts[0].astype(np.int64), parts[1].astype(np.int64)


def gosper_island(n, rng):
    """Points whose expansion in the base 2 - w, digits 0 and six units, has no whole part."""
    z = frame(n, rng, 0.45, 0.75)
    w = np.exp(2j * np.pi / 3)
    base = 2 - w  # of norm 7
    depth = math.ceil(math.log(n) / math.log(math.sqrt(7))) + 2
    a, b = eisenstein_parts(z * base**depth)
    # w = 2 modulo the base, so the residue of a + b w is a + 2 b modulo 7, and the units are
    # +-1, +-w = +-2, +-(1 + w) = +-3.
    digit_a = np.array([0, 1, 0, 1, -1, 0, -1])
    digit_b = np.array([0, 0, 1, 1, -1, -1, 0])
    for _ in range(depth):
        residue = (a + 2 * b) % 7
        a, b = a - digit_a[residue], b - digit_b[residue]
        # 1 / (2 - w) = (2 - w^2) / 7 = (3 + w) / 7
        a, b = (3 * a - b) // 7, (a + 2 * b) // 7
    return (a == 0) & (b == 0)


def twindragon(n, rng):
    """Points whose expansion in the base -1 + i, digits 0 and 1, has no whole part."""
    z = frame(n, rng, 0.35, 0.5) - (0.2 + 0.1j)
    depth = 2 * math.ceil(math.log2(n)) + 4
    z = z * (-1 + 1j) ** depth
    a, b = np.rint(z.real).astype(np.int64), np.rint(z.imag).astype(np.int64)
    for _ in range(depth):
        a = a - (a + b) % 2
        # (a + i b) / (-1 + i)
        a, b = (b - a) // 2, -(a + b) // 2
    return (a == 0) & (b == 0)


def terdragon(n, rng):
    """Points whose expansion in the base 1 - w, digits 0, 1 and 1 + w, has no whole part."""
    w = np.exp(2j * np.pi / 3)
    base = 1 - w  # of norm 3
    depth = 2 * math.ceil(math.log(n, 3)) + 4
    middle = (2 + w) / 3 / (base - 1)
    a, b = eisenstein_parts((frame(n, rng, 0.45, 0.7) + middle) * base**depth)
    digit_a, digit_b = np.array([0, 1, 1]), np.array([0, 0, 1])
    for _ in range(depth):
        residue = (a + b) % 3  # w = 1 modulo the base
        a, b = a - digit_a[residue], b - digit_b[residue]
        # 1 / (1 - w) = (2 + w) / 3
        a, b = (2 * a - b) // 3, (a + b) // 3
    return (a == 0) & (b == 0)


def pixels_touched(points, n):
    """Mask of the pixels in which points of the unit square lie."""
    mask = np.zeros((n, n), bool)
    mask[(points.imag * n).astype(int), (points.real * n).astype(int)] = True
    return mask


def points_of(offsets, ratio, n, size):
    """Points of the set that consists of copies of itself, `ratio` as large, at `offsets`."""
    points = np.zeros(1, complex)
    for _ in range(math.ceil(math.log(2 * n * size) / -math.log(ratio))):
        points = (ratio * points + offsets[:, None]).ravel()
    return points


def flake(n, rng, offsets, ratio, low, high):
    """Mask of the pixels that such a set touches, its copies at `offsets`."""
    center, size, angle = placement(rng, low, high)
    points = points_of(offsets, ratio, n, size)
    return pixels_touched(center + size * np.exp(1j * angle) * points, n)


def vicsek(n, rng):
    offsets = np.append(0, np.exp(0.5j * np.pi * np.arange(4))) * (2 / 3) / 2
    return flake(n, rng, offsets, 1 / 3, 0.55, 0.85)


def hexaflake(n, rng):
    offsets = np.append(0, np.exp(1j * np.pi / 3 * np.arange(6))) * (2 / 3) / 2
    return flake(n, rng, offsets, 1 / 3, 0.55, 0.85)


def pentaflake(n, rng):
    ratio = (3 - math.sqrt(5)) / 2
    offsets = np.exp(0.4j * np.pi * np.arange(5)) * (1 - ratio) / 2
    return flake(n, rng, offsets, ratio, 0.55, 0.85)


HEPTAFLAKE = 1 / (2 + 2 * math.cos(2 * math.pi / 7))


def heptaflake(n, rng):
    offsets = np.exp(2j * np.pi * np.arange(7) / 7) * (1 - HEPTAFLAKE) / 2
    return flake(n, rng, offsets, HEPTAFLAKE, 0.55, 0.85)


def dust(n, rng):
    offsets = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j]) * 0.3
    return flake(n, rng, offsets, 0.4, 0.4, 0.6)


UNEQUAL = np.array([0.5, 0.35, 0.35, 0.2])


def unequal_dust(n, rng):
    """Copies of three sizes in the corners of a square; smaller than half a pixel, a point."""
    center, size, angle = placement(rng, 0.35, 0.6)
    points, sizes, done = np.zeros(1, complex), np.ones(1), []
    while len(points):
        corners = np.array([0, 1, 1j, 1 + 1j]) * (1 - UNEQUAL)
        points = (points[:, None] + sizes[:, None] * corners).ravel()
        sizes = (sizes[:, None] * UNEQUAL).ravel()
        small = sizes * size * n < 0.5
        done.append(points[small])
        points, sizes = points[~small], sizes[~small]
    points = np.concatenate(done) - (0.5 + 0.5j)
    return pixels_touched(center + size * np.exp(1j * angle) * points, n)


def moran(ratios):
    """Dimension of a set of copies that do not overlap: the D at which ratios^D add up to 1."""
    return scipy.optimize.brentq(lambda d: (ratios**d).sum() - 1, 0, 2)


def filled(corners, n):
    """Label the pixels whose centre is inside a polygon, by the number of sides to their left."""
    start, stop = corners * n - 0.5 * (1 + 1j), np.roll(corners, -1) * n - 0.5 * (1 + 1j)
    low = np.ceil(np.minimum(start.imag, stop.imag)).astype(int)
    high = np.ceil(np.maximum(start.imag, stop.imag)).astype(int)
    side = np.repeat(np.arange(len(corners)), high - low)
    row = np.arange(len(side)) - np.repeat(np.cumsum(high - low) - high, high - low)
    share = (row - start.imag[side]) / (stop.imag - start.imag)[side]
    x = start.real[side] + share * (stop.real - start.real)[side]
    column = np.clip(np.ceil(x), 0, n).astype(int)
    crossings = np.zeros((n, n + 1), int)
    np.add.at(crossings, (row, column), 1)
    return np.cumsum(crossings, axis=1)[:, :n] % 2 == 1


def island(n, rng, generator, low, high):
    """Square island whose sides are replaced again and again by `generator`, a path from 0 to 1."""
    center, size, angle = placement(rng, low, high)
    corners = np.exp(0.5j * np.pi * np.arange(4))
    longest = abs(np.diff(generator)).max()
    for _ in range(math.ceil(math.log(2 * n * size) / -math.log(longest))):
        sides = np.roll(corners, -1) - corners
        corners = (corners[:, None] + sides[:, None] * generator[:-1]).ravel()
    return filled(center + size / 2 * np.exp(1j * angle) * corners, n)


def quadric_koch(n, rng):
    """Mask of the curve: slits narrower than a pixel hide most of it from labels of its inside."""
    turns = np.array([1, 1j, 1, -1j, 1])
    center, size, angle = placement(rng, 0.55, 0.85)
    starts = np.array([0, 1, 1 + 1j, 2 + 1j, 2]) / 3
    points = np.zeros(1, complex)
    for _ in range(math.ceil(math.log(2 * n * size, 3))):
        points = (turns[:, None] / 3 * points + starts[:, None]).ravel()
    return pixels_touched(center + size * np.exp(1j * angle) * (points - 0.5 - 0.2j), n)


def cesaro(degrees):
    """Draw the square island whose sides bear tips of this base angle."""
    cosine, tip = math.cos(math.radians(degrees)), np.exp(-1j * math.radians(degrees))
    path = np.array([0, 1, 1 + tip, 1 + 2 * cosine, 2 + 2 * cosine]) / (2 + 2 * cosine)
    return lambda n, rng: island(n, rng, path, 0.4, 0.6)


def cesaro_dimension(degrees):
    return math.log(4) / math.log(2 + 2 * math.cos(math.radians(degrees)))


def julia(c):
    """Draw the points that stay bounded under z^2 + c."""

    def draw(n, rng):
        center, size, angle = placement(rng, 0.22, 0.32)
        place = {"center": (center.real, center.imag), "size": size, "angle": angle}
        return sets.quadratic_julia(n, c, n_steps=80, **place)

    return draw


def apollonian(n, rng):
    """Label the discs of an Apollonian packing and the outside; between them is the gasket."""
    center, size, angle = placement(rng, 0.6, 0.85)
    curvature = 1 + 2 / math.sqrt(3)
    start = [(-1.0, 0j)] + [
        (curvature, (1 - 1 / curvature) * np.exp(2j * np.pi * k / 3) * curvature) for k in range(3)
    ]
    limit = 0.5 * size * n / 0.3
    discs = start[1:]
    stack = [(start[1:], start[0])]
    stack += [([start[0], *(start[j] for j in (1, 2, 3) if j != k)], start[k]) for k in (1, 2, 3)]
    while stack:
        three, fourth = stack.pop()
        # Both solutions of Descartes' theorem add up to twice the sum of the three.
        new = tuple(2 * sum(circle[i] for circle in three) - fourth[i] for i in range(2))
        if new[0] <= limit:
            discs.append(new)
            stack += [([new, *(c for c in three if c is not out)], out) for out in three]
    y, x = np.mgrid[:n, :n] + 0.5
    place = center * n
    labels = (abs(x + 1j * y - place) > size / 2 * n).astype(int)
    for k, (bend, moment) in enumerate(discs):
        middle = place + moment / bend * np.exp(1j * angle) * size / 2 * n
        radius = size / 2 * n / bend
        box = tuple(
            slice(max(int(m - radius) - 1, 0), int(m + radius) + 2)
            for m in (middle.imag, middle.real)
        )
        inside = (x[box] - middle.real) ** 2 + (y[box] - middle.imag) ** 2 < radius**2
        labels[box][inside] = 2 + k % 14
    return labels


# What draws it, mask or not, its dimension.
FIRST = {
    "gosper island": (gosper_island, False, 2 * math.log(3) / math.log(7)),
    "twindragon": (twindragon, False, 1.5236271),
    "vicsek": (vicsek, True, math.log(5) / math.log(3)),
    "hexaflake": (hexaflake, True, math.log(7) / math.log(3)),
    "pentaflake": (pentaflake, True, math.log(5) / math.log((3 + math.sqrt(5)) / 2)),
    "cesaro 75": (cesaro(75), False, cesaro_dimension(75)),
    "julia 0.2": (julia(0.2), False, 1.0257),
    "julia -0.6": (julia(-0.6), False, 1.1129),
    "apollonian": (apollonian, False, 1.305688),
}
SECOND = {
    "terdragon": (terdragon, False, math.log(4) / math.log(3)),
    "heptaflake": (heptaflake, True, math.log(7) / -math.log(HEPTAFLAKE)),
    "dust": (dust, True, math.log(4) / math.log(2.5)),
    "unequal dust": (unequal_dust, True, moran(UNEQUAL)),
    "cesaro 40": (cesaro(40), False, cesaro_dimension(40)),
    "julia 0.1": (julia(0.1), False, 1.00438),
    "julia -0.5": (julia(-0.5), False, 1.0734),
}
COPIES = 8


def covered(estimates, truth):
    return sum(e.ci_low <= truth <= e.ci_high for e in estimates)


@pytest.mark.slow
@pytest.mark.parametrize("n", [256, 512, 1024])
@pytest.mark.parametrize("families", [FIRST, SECOND], ids=["first", "second"])
def test_box_intervals_cover(families, n):
    rng = np.random.default_rng(11)
    shares = {}
    for name, (draw, mask, dimension) in families.items():
        copies = [draw(n, rng) for _ in range(COPIES)]
        estimates = [box_dimension(copy, mask=mask, n_resamples=200) for copy in copies]
        shares[name] = covered(estimates, dimension)
    # Copies of one set differ by less than their bias, so that a family is held or missed as a
    # whole; one miss of eight is what the scatter does at the edge.
    assert min(shares.values()) >= COPIES - 1, shares
    assert sum(shares.values()) >= 0.95 * COPIES * len(shares), shares


@pytest.mark.slow
@pytest.mark.parametrize("n", [256, 1024])
def test_uncertainty_intervals_cover(n):
    rng = np.random.default_rng(13)
    labelled = {name: (d, D) for name, (d, m, D) in (FIRST | SECOND).items() if not m}
    shares = {}
    for name, (draw, dimension) in labelled.items():
        estimates = [uncertainty_exponent(draw(n, rng), n_resamples=200) for _ in range(COPIES)]
        shares[name] = covered(estimates, 2 - dimension)
    # Here the scatter decides, so misses are independent: six of eight or more are held in 99 of
    # 100 families if 95 % of all intervals hold.
    assert min(shares.values()) >= COPIES - 2, shares
    assert sum(shares.values()) >= 0.9 * COPIES * len(shares), shares


@pytest.mark.slow
def test_a_curve_that_touches_itself_along_lines_reads_low():
    """A warning of the docstring: lines of contact are seen as less than the sum of two sides."""
    estimates = [
        box_dimension(quadric_koch(512, np.random.default_rng(k)), mask=True) for k in (1, 2)
    ]
    biases = [e.value - math.log(5) / math.log(3) for e in estimates]
    assert all(-0.13 <= bias <= -0.07 for bias in biases)


@pytest.mark.slow
def test_slits_below_a_pixel_are_not_in_the_labels():
    """A warning of the docstring: labels of the island of the same curve read lower still."""
    path = np.array([0, 1, 1 - 1j, 2 - 1j, 2, 3]) / 3
    labels = island(512, np.random.default_rng(1), path, 0.4, 0.6)
    assert -0.3 <= box_dimension(labels).value - math.log(5) / math.log(3) <= -0.1
