"""The geometry of a pyramid: levels, blocks and tiles, and what axes they have.

Level z has 16 * 2^z intervals along each axis. Up to 1024 intervals a level is one block, beyond
that it is cut into blocks of 1024. Neighbouring blocks share a row of points. A block is cut into
tiles as `sweep` would cut it; tiles are counted over all blocks of their level.
"""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np

from dynfrac.orbits.axes import Axis
from dynfrac.web.problems import Problem
from dynfrac.web.scenes import FIRST_CELLS, Scene

BLOCK_LEVELS = 6
"""From this level on, blocks have the same number of intervals: 1024."""

DEEPEST = 46
"""No level is deeper: at 2^50 intervals float64 does not tell fractions of the window apart."""

TileKey = tuple[int, int, int]
"""Level, and the tile's place along x and y."""

BlockKey = tuple[int, int, int]
"""Level, and the block's place along x and y."""

Part = tuple[slice, slice]
"""A range along x and one along y."""


@final
class Levels:
    """The levels of a scene.

    Attributes
    ----------
    axes : tuple of Axis
        Of the whole window.
    edges : list of (int, int)
        Points of a tile along x and y, for levels 0 to `BLOCK_LEVELS`.
    """

    def __init__(self, scene: Scene) -> None:
        self.axes = scene.axes
        self.edges: list[tuple[int, int]] = []
        for z in range(BLOCK_LEVELS + 1):
            axes = [dataclasses.replace(axis, n=intervals(z) + 1) for axis in self.axes]
            rows, columns = scene.plan.along(axes).spec["tile"]
            self.edges.append((columns, rows))

    def check(self, key: TileKey) -> None:
        """Refuse a tile that is not there.

        Raises
        ------
        Problem
        """
        z, *place = key
        if not 0 <= z <= DEEPEST:
            raise Problem(404, f"there is no level {z}; the levels are 0 to {DEEPEST}")
        for at, tiles in zip(place, self._tiles(z), strict=True):
            n = tiles << (z - min(z, BLOCK_LEVELS))
            if not 0 <= at < n:
                raise Problem(404, f"level {z} has the tiles 0 to {n - 1}, and none at {at}")

    def place(self, key: TileKey) -> tuple[BlockKey, Part]:
        """Return the block that a tile lies in, and the tile's points there."""
        z, *at = key
        pairs = [divmod(i, tiles) for i, tiles in zip(at, self._tiles(z), strict=True)]
        (bx, tx), (by, ty) = pairs
        n = intervals(z) + 1
        x, y = (
            slice(i * edge, min((i + 1) * edge, n))
            for i, edge in zip((tx, ty), self.edges[min(z, BLOCK_LEVELS)], strict=True)
        )
        return (z, bx, by), (x, y)

    def block_axes(self, key: BlockKey) -> tuple[Axis, Axis] | None:
        """Return the axes of a block; None if they would have no length."""
        z, bx, by = key
        blocks = 1 << max(0, z - BLOCK_LEVELS)
        return self._cut((bx / blocks, (bx + 1) / blocks), (by / blocks, (by + 1) / blocks), z)

    def part_axes(self, z: int, part: Part) -> tuple[Axis, Axis] | None:
        """Return the axes of a range of points of a level; None if they would have no length."""
        whole = FIRST_CELLS << z
        x, y = ((span.start / whole, (span.stop - 1) / whole) for span in part)
        found = self._cut(x, y, z)
        if found is None:
            return None
        counts = (span.stop - span.start for span in part)
        x_axis, y_axis = (
            dataclasses.replace(axis, n=n) for axis, n in zip(found, counts, strict=True)
        )
        return x_axis, y_axis

    def _cut(
        self, x: tuple[float, float], y: tuple[float, float], z: int
    ) -> tuple[Axis, Axis] | None:
        axes = []
        for axis, ends in zip(self.axes, (x, y), strict=True):
            low, high = axis.values(np.array(ends)).tolist()
            if not low < high:
                return None
            axes.append(dataclasses.replace(axis, low=low, high=high, n=intervals(z) + 1))
        return axes[0], axes[1]

    def _tiles(self, z: int) -> tuple[int, int]:
        """Return how many tiles a block of a level has along x and y."""
        columns, rows = self.edges[min(z, BLOCK_LEVELS)]
        n = intervals(z) + 1
        return math.ceil(n / columns), math.ceil(n / rows)


def intervals(z: int) -> int:
    """Return how many intervals a block of a level has along each axis."""
    return FIRST_CELLS << min(z, BLOCK_LEVELS)
