"""Cutting grids: every cell once, tiles of the promised size, fixed by the specification."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynfrac.orbits.batch_sizes import default_lanes, pool_runs
from dynfrac.sweeps.tiles import cut, tile_runs, tile_shape
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.systems.numerics import precision
from dynfrac.systems.published import published_map

shapes = st.lists(st.integers(2, 40), min_size=1, max_size=3)


@given(shapes, st.integers(1, 5000))
def test_tiles_cover_every_cell_once(shape, runs):
    tile = tile_shape(shape, runs)
    seen = np.zeros(shape, int)
    for cells in cut(shape, tile):
        seen[cells] += 1
        assert seen[cells].shape <= tile
    assert (seen == 1).all()


@given(shapes, st.integers(1, 5000))
def test_tiles_are_no_larger_than_asked_and_not_much_smaller(shape, runs):
    tile = tile_shape(shape, runs)
    assert math.prod(tile) <= runs
    # Powers of two lose less than half, and evening out the parts less than half a dimension.
    assert math.prod(tile) >= min(runs, math.prod(shape)) / 2 ** (1 + len(shape))


@pytest.mark.parametrize(
    ("shape", "runs", "expected"),
    [
        ((256, 256), 4096, (64, 64)),
        ((256, 256), 2048, (32, 64)),
        ((48, 48), 4096, (48, 48)),
        ((100, 100), 4096, (50, 50)),
        ((8, 1024), 4096, (8, 512)),
        ((10000,), 4096, (3334,)),
        ((64, 64, 64), 4096, (16, 16, 16)),
    ],
)
def test_tile_shapes(shape, runs, expected):
    assert tile_shape(shape, runs) == expected


def test_small_maps_fill_the_evaluator():
    with precision():
        lanes = default_lanes(Quadratic())
        most = pool_runs(Quadratic(), lanes)
    assert tile_runs(Quadratic(), lanes, 500) == most


def test_long_runs_and_large_states_make_small_tiles():
    map_ = published_map()  # 272 weights: 2^28 updates are 986 runs of 1000 steps
    assert tile_runs(map_, 16, 1000) == 976
    assert tile_runs(map_, 16, 10_000) == 96
    assert tile_runs(map_, 16, 10**9) == 16
    assert tile_runs(map_, 1, 10**9) == 4
    assert tile_runs(map_, 8192, 500) == 8192
