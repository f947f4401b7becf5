"""Counts of boxes, against boxes counted one by one."""

import numpy as np
import pytest

from dynfrac.analysis.coverings import box_sizes, count_boxes


def counted_one_by_one(occupied, size):
    """Mean count over all positions of the grid; a box is at a cell if that is its centre."""
    padded = np.pad(occupied, size)
    hits = 0
    for centre in np.ndindex(occupied.shape):
        start = [i - size // 2 + size for i in centre]
        hits += padded[tuple(slice(i, i + size) for i in start)].any()
    return hits / size**occupied.ndim


@pytest.mark.parametrize("shape", [(16, 16), (9, 21), (4, 150), (200,), (7, 9, 12), (3, 3, 70)])
def test_counts_equal_those_of_a_loop(shape):
    # Rows on both sides of the 64 bits of a word.
    occupied = np.random.default_rng(3).random(shape) < 0.08
    sizes = np.array([1, 2, 3, 4, 6, 9, 17])
    counts = count_boxes(occupied, sizes, n_tiles=2)
    assert counts.shape == (2 ** len(shape), 7)
    expected = [counted_one_by_one(occupied, size) for size in sizes]
    np.testing.assert_allclose(counts.sum(axis=0), expected, rtol=1e-12)


def test_large_boxes_are_counted_over_many_words():
    occupied = np.zeros((3, 1000), bool)
    occupied[1, 777] = True
    sizes = box_sizes(256)
    # As many windows around the pixel as fit: three rows high, s columns wide.
    expected = [min(s, 3) * s / s**2 for s in sizes]
    np.testing.assert_allclose(count_boxes(occupied, sizes, 1)[0], expected)


@pytest.mark.parametrize("shape", [(137,), (40, 137), (9, 20, 137)])
def test_every_tile_holds_its_own_cells(shape):
    occupied = np.random.default_rng(8).random(shape) < 0.3
    counts = count_boxes(occupied, np.array([1]), n_tiles=4)[:, 0]
    parts = [occupied]
    for axis, length in enumerate(shape):
        cuts = np.linspace(0, length, 5).astype(int)[1:-1]
        parts = [piece for part in parts for piece in np.split(part, cuts, axis)]
    np.testing.assert_array_equal(counts, [part.sum() for part in parts])


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


@pytest.mark.parametrize("n", [64, 256, 1024])
def test_a_piece_of_the_set_takes_its_large_boxes_with_it(n):
    # A line along the edge between two rows of tiles: as many boxes of each size on either side of
    # it, but none of them belongs to a tile without a piece of the line.
    line = np.zeros((n, n), bool)
    line[n // 2] = True
    sizes = box_sizes(n // 4)
    counts = count_boxes(line, sizes, n_tiles=4).reshape(4, 4, -1)
    large = sizes > n / 64
    assert large.sum() >= 4 and not counts[[0, 1, 3]][..., large].any()
    # The two inner tiles hold a quarter each; the outer ones what reaches over the border besides.
    shares = counts[2][:, large] / counts[2][:, large].sum(axis=0)
    np.testing.assert_allclose(shares[1:3], 0.25, atol=0.05)


def test_shares_change_no_sum():
    occupied = np.random.default_rng(5).random((200, 230)) < 0.002
    sizes = box_sizes(50)
    tiled, whole = count_boxes(occupied, sizes, 8), count_boxes(occupied, sizes, 1)
    np.testing.assert_allclose(tiled.sum(axis=0), whole[0], rtol=1e-12)


def test_boxes_centred_outside_are_left_out():
    disc = np.hypot(*(np.indices((90, 90)) - 44.5)) < 30
    sizes = box_sizes(16)
    counts = count_boxes(disc, sizes, 2, within=disc).sum(axis=0)
    np.testing.assert_allclose(counts, disc.sum() / sizes.astype(float) ** 2)
    half = np.zeros_like(disc)
    half[:45] = True
    both = count_boxes(disc, sizes, 1, within=half) + count_boxes(disc, sizes, 1, within=~half)
    np.testing.assert_allclose(both, count_boxes(disc, sizes, 1))
