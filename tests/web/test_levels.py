"""Levels, blocks and tiles: every point once, and each where its neighbours' are."""

import numpy as np
import pytest

from dynfrac.web.levels import BLOCK_LEVELS, DEEPEST, Levels, intervals
from dynfrac.web.problems import Problem
from tests.web.servers import quadratic_scene


@pytest.fixture(scope="module")
def levels():
    return Levels(quadratic_scene())


@pytest.mark.parametrize("z", range(BLOCK_LEVELS + 1))
def test_tiles_of_a_block_have_every_point_once(levels, z):
    n = intervals(z) + 1
    seen = np.zeros((n, n), int)
    columns, rows = (-(-n // edge) for edge in levels.edges[z])
    for i in range(columns):
        for j in range(rows):
            levels.check((z, i, j))
            block, (x, y) = levels.place((z, i, j))
            assert block == (z, 0, 0)
            seen[y, x] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("z", [0, 3, BLOCK_LEVELS, BLOCK_LEVELS + 2, DEEPEST])
def test_tiles_beyond_a_level_are_refused(levels, z):
    columns = -(-(intervals(z) + 1) // levels.edges[min(z, BLOCK_LEVELS)][0])
    columns <<= z - min(z, BLOCK_LEVELS)
    levels.check((z, columns - 1, 0))
    for place in ((columns, 0), (-1, 0), (0, -1), (0, 2**60)):
        with pytest.raises(Problem, match="has the tiles 0 to"):
            levels.check((z, *place))


@pytest.mark.parametrize("z", [-1, DEEPEST + 1, 10**9])
def test_levels_that_are_not_there(levels, z):
    with pytest.raises(Problem, match="there is no level"):
        levels.check((z, 0, 0))


def test_levels_nest_bit_by_bit(levels):
    for z in range(1, BLOCK_LEVELS + 1):
        coarse, fine = levels.block_axes((z - 1, 0, 0)), levels.block_axes((z, 0, 0))
        for a, b in zip(coarse, fine, strict=True):
            assert np.array_equal(a.points(), b.points()[::2])


@pytest.mark.parametrize("z", [BLOCK_LEVELS + 1, 20, 40])
def test_neighbouring_blocks_share_an_end(levels, z):
    last = 2 ** (z - BLOCK_LEVELS) - 1
    for bx in (0, last // 2, last - 1):
        left, right = levels.block_axes((z, bx, 0)), levels.block_axes((z, bx + 1, 0))
        assert left[0].high == right[0].low
        assert left[1] == right[1]
    assert levels.block_axes((z, last, last))[0].high == levels.axes[0].high


def test_a_part_has_the_ends_of_its_points(levels):
    x, y = levels.part_axes(4, (slice(16, 49), slice(0, 257)))
    assert (x.n, y.n) == (33, 257)
    assert (y.low, y.high) == (levels.axes[1].low, levels.axes[1].high)
    whole = levels.block_axes((4, 0, 0))[0].points()
    assert np.allclose([x.low, x.high], whole[[16, 48]], rtol=1e-14)


def test_where_numbers_end_there_are_no_axes(levels):
    middle = 2 ** (DEEPEST - BLOCK_LEVELS) // 3
    assert levels.block_axes((DEEPEST, middle, middle)) is not None
    tiny = levels.part_axes(DEEPEST, (slice(2**50 - 2, 2**50), slice(0, 2)))
    assert tiny is None or tiny[0].low < tiny[0].high
