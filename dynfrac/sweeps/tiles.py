"""Cutting a grid into tiles: the unit of work, of storage and of what a killed sweep loses.

Tiles are fixed by the specification of a sweep alone, never by how fast a machine is or how many
take part, so that every process that works on a sweep cuts it in the same way.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from dynfrac.orbits.batch_sizes import pool_runs
from dynfrac.orbits.inspection import state_size
from dynfrac.systems.abstract import AbstractMap

Tile = tuple[slice, ...]
"""One range of cells along each dimension of the arrays."""

_TILE_UPDATES = 2**28
"""Updates of single state variables in one tile: some five seconds for the published network on
two cores."""

_LEAST_RUNS = 4
"""Runs that a tile has at least, so that maps of one lane leave work for several threads."""


def tile_runs(map_: AbstractMap, lanes: int, n_steps: int) -> int:
    """Return how many runs one tile should have: a sensible amount of work to lose.

    Parameters
    ----------
    map_ : AbstractMap
    lanes : int
        Runs per batch of the evaluator; the answer is a multiple of it.
    n_steps : int
        Steps of each run.

    Returns
    -------
    int
        At most what the evaluator keeps in flight (`pool_runs`, 4096 for small maps), less for
        maps with a large state or long runs, but never less than one batch
        or four runs.
    """
    most = pool_runs(map_, lanes)
    size = max(1, state_size(map_))
    runs = max(lanes, _LEAST_RUNS, min(most, _TILE_UPDATES // (size * n_steps)))
    return runs // lanes * lanes


def tile_shape(shape: Sequence[int], runs: int) -> tuple[int, ...]:
    """Return the largest nearly cubic tile of at most `runs` cells, evened out over the grid.

    Parameters
    ----------
    shape : sequence of int
        Cells along each dimension of the grid.
    runs : int
        Cells that a tile may have, at least 1.

    Returns
    -------
    tuple of int
        Edges are powers of two, the later dimensions the longer, except that a dimension is cut
        into equal parts (up to one cell) where it is no multiple of the edge.

    Examples
    --------
    >>> tile_shape((256, 256), 4096)
    (64, 64)
    >>> tile_shape((100, 100), 4096)
    (50, 50)
    """
    doublings = int(math.log2(runs))
    edges = []
    # Short dimensions take less than their share and leave the rest to the others.
    for rank, i in enumerate(sorted(range(len(shape)), key=lambda i: (shape[i], i))):
        most = math.ceil(math.log2(shape[i]))
        share = min(doublings // (len(shape) - rank), most)
        doublings -= share
        edges.append((i, min(2**share, shape[i])))
    even = {i: math.ceil(shape[i] / math.ceil(shape[i] / edge)) for i, edge in edges}
    return tuple(even[i] for i in range(len(shape)))


def cut(shape: Sequence[int], tile: Sequence[int]) -> Iterator[Tile]:
    """Yield the tiles of a grid, the last dimension running fastest.

    Parameters
    ----------
    shape : sequence of int
        Cells along each dimension.
    tile : sequence of int
        Edges of a tile; those at the far ends may be shorter.

    Examples
    --------
    >>> list(cut((3,), (2,)))
    [(slice(0, 2, None),), (slice(2, 3, None),)]
    """
    ranges = [
        [slice(start, min(start + edge, n)) for start in range(0, n, edge)]
        for n, edge in zip(shape, tile, strict=True)
    ]
    yield from itertools.product(*ranges)
