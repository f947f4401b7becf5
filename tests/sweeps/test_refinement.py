"""The geometry of adaptive pictures, without a run."""

import itertools

import numpy as np
import pytest

from dynfrac.analysis.labels import boundary_cells
from dynfrac.sweeps.refinement import (
    Refinement,
    corners,
    nearest,
    points_within,
    spacings,
)


@pytest.mark.parametrize("shape", [(1,), (2,), (17,), (100,), (1024, 1024), (64, 5), (33, 100, 7)])
def test_grids_are_nested_and_reach_the_ends(shape):
    grids = Refinement(stride=16).grids(shape)
    strides = [stride for stride, _ in grids]
    assert strides == [strides[0] >> i for i in range(len(strides))] and strides[-1] == 1
    for n, points in zip(shape, grids[-1][1], strict=True):
        np.testing.assert_array_equal(points, np.arange(n))
    for (stride, coarse), (_, fine) in itertools.pairwise(grids):
        for n, a, b in zip(shape, coarse, fine, strict=True):
            assert set(a) <= set(b) and a[0] == 0 and a[-1] == n - 1
            assert np.diff(a).max(initial=1) <= stride
            # A short dimension is seen whole from the start, or in eight parts at least.
            assert len(a) > 8 or len(a) == n


def test_the_first_grid_has_the_stride_that_was_asked_for():
    assert [s for s, _ in Refinement(stride=32).grids((1024, 1024))] == [32, 16, 8, 4, 2, 1]
    assert [s for s, _ in Refinement(stride=32).grids((100, 100))] == [8, 4, 2, 1]
    assert [s for s, _ in Refinement().grids((9,))] == [1]


def test_the_guard_widens_what_is_looked_at():
    labels = np.zeros((9, 9), bool)
    labels[4, 4] = True
    for guard, side in ((0, 2), (1, 4), (3, 8)):
        near = Refinement(guard=guard).near_boundary(labels)
        assert near.shape == (8, 8) and near.sum() == side**2


@pytest.mark.parametrize("shape", [(40,), (23, 40), (17, 9, 12)])
def test_points_of_a_finer_grid_by_the_definition(shape):
    rng = np.random.default_rng(7)
    (_, coarse), (_, fine) = Refinement(stride=4).grids(shape)[-2:]
    near = nearest(coarse, fine)
    for points, places, wanted in zip(coarse, near, fine, strict=True):
        apart = abs(points[:, None] - wanted)
        np.testing.assert_array_equal(points[places], points[apart.argmin(0)])
    cells = rng.random([len(points) - 1 for points in coarse]) < 0.2
    found = points_within(cells, coarse, fine)
    expected = np.zeros_like(found)
    for cell in np.argwhere(cells):
        inside = [
            (points[i] <= wanted) & (wanted <= points[i + 1])
            for i, points, wanted in zip(cell, coarse, fine, strict=True)
        ]
        expected |= np.logical_and.reduce(np.meshgrid(*inside, indexing="ij"))
    np.testing.assert_array_equal(found, expected)


def test_corners_are_all_points_of_a_crossed_cell():
    rng = np.random.default_rng(0)
    labels = rng.random((12, 15)) < 0.1
    found = corners(boundary_cells(labels))
    for i, j in np.ndindex(labels.shape):
        about = (slice(max(i - 1, 0), i + 1), slice(max(j - 1, 0), j + 1))
        assert found[i, j] == boundary_cells(labels)[about].any()


def test_spacings_are_those_of_the_finest_grid_that_was_run_all_about():
    grids = Refinement(stride=4).grids((33, 33))
    run = np.zeros((33, 33), bool)
    run[::4, ::4] = True
    run[8:13, 8:13] = True
    run[16:25:2, 16:25:2] = True
    found = spacings(run, grids)
    assert (found[run] == 1).all()
    assert set(found[16:24, 16:24].ravel()) == {1, 2}
    assert found[0, 1] == found[31, 31] == 4 and found[18, 17] == 2
    assert (found == 1).sum() == run.sum()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"stride": 12}, "stride=12 must be a power of two from 2 on"),
        ({"stride": 1}, "stride=1 must be a power of two from 2 on"),
        ({"guard": -1}, "guard=-1 must be at least 0 cells"),
    ],
)
def test_wrong_settings_are_refused(settings, expected):
    with pytest.raises(ValueError, match=expected):
        Refinement(**settings)
