"""Counts of boxes, against boxes counted one by one."""

import numpy as np
import pytest

from dynfrac.analysis.coverings import box_sizes, count_boxes


def counted_one_by_one(occupied, size):
    """Mean count over all positions of the grid; a box is at (i, j) if its centre cell is."""
    rows, columns = occupied.shape
    back = size // 2
    padded = np.pad(occupied, size)
    hits = 0
    for i in range(rows):
        for j in range(columns):
            top, left = i - back + size, j - back + size
            hits += padded[top : top + size, left : left + size].any()
    return hits / size**2


@pytest.mark.parametrize("shape", [(16, 16), (9, 21)])
def test_counts_equal_those_of_a_loop(shape):
    occupied = np.random.default_rng(3).random(shape) < 0.08
    sizes = np.array([1, 2, 3, 4, 6, 9])
    counts = count_boxes(occupied, sizes, n_tiles=2)
    assert counts.shape == (4, 6)
    expected = [counted_one_by_one(occupied, size) for size in sizes]
    np.testing.assert_allclose(counts.sum(axis=0), expected, rtol=1e-12)


def test_tiles_hold_the_boxes_of_their_part():
    occupied = np.zeros((16, 16), bool)
    occupied[3, 12] = True
    counts = count_boxes(occupied, np.array([1, 2]), n_tiles=2)
    # Upper right; the four boxes of side two around the pixel are one box on average.
    np.testing.assert_array_equal(counts, [[0, 0], [1, 1], [0, 0], [0, 0]])


def test_a_filled_square_needs_its_area_in_boxes():
    sizes = box_sizes(16)
    counts = count_boxes(np.ones((64, 64), bool), sizes, n_tiles=4).sum(axis=0)
    np.testing.assert_allclose(counts, 64**2 / sizes.astype(float) ** 2)


def test_turning_the_set_by_a_right_angle_keeps_the_counts_of_odd_boxes():
    # Odd boxes have a centre cell; even ones lean by half a cell, and only at the border.
    occupied = np.random.default_rng(4).random((24, 24)) < 0.05
    sizes = np.array([1, 2, 3, 5, 9])
    turned = count_boxes(np.rot90(occupied), sizes, n_tiles=1)
    upright = count_boxes(occupied, sizes, n_tiles=1)
    np.testing.assert_array_equal(turned[:, sizes % 2 == 1], upright[:, sizes % 2 == 1])


def test_sizes_are_dense_and_never_skip_a_factor_of_two():
    for largest in (1, 2, 7, 16, 100, 2048):
        sizes = box_sizes(largest)
        assert sizes[0] == 1 and sizes[-1] <= largest
        assert (np.diff(sizes) > 0).all() and (sizes[1:] <= 2 * sizes[:-1]).all()
    assert box_sizes(2048)[-1] == 2048
    for gaps in ([2, 4], [1, 3]):
        with pytest.raises(ValueError, match="gaps"):
            count_boxes(np.ones((8, 8), bool), np.array(gaps), n_tiles=1)
