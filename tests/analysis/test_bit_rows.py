"""Rows of bits, against the same operations on bool arrays."""

import numpy as np
import pytest

from dynfrac.analysis.bit_rows import count_by_tile, pack_rows, shift_rows, unpack_rows

SHAPES = [(1,), (64,), (200,), (5, 63), (7, 130), (3, 4, 129)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pad", [0, 3, 64, 77])
def test_what_is_packed_is_unpacked(shape, pad):
    cells = np.random.default_rng(1).random(shape) < 0.4
    words = pack_rows(cells, pad)
    np.testing.assert_array_equal(unpack_rows(words, shape, pad), cells)
    assert np.bitwise_count(words).sum() == cells.sum()
    padded = np.pad(cells, pad)
    np.testing.assert_array_equal(unpack_rows(words, padded.shape), padded)


@pytest.mark.parametrize("step", [-130, -64, -5, 0, 1, 63, 64, 65, 128, 190, 1000])
def test_shifts_bring_in_empty_cells(step):
    cells = np.random.default_rng(2).random((3, 190)) < 0.5
    expected = np.zeros_like(cells)
    for j in range(190):
        if 0 <= j + step < 190:
            expected[:, j] = cells[:, j + step]
    np.testing.assert_array_equal(
        unpack_rows(shift_rows(pack_rows(cells), step), cells.shape), expected
    )


@pytest.mark.parametrize("shape", [(200,), (20, 130), (9, 12, 70)])
def test_tiles_are_counted(shape):
    cells = np.random.default_rng(3).random(shape) < 0.3
    cuts = [np.array([1, length // 3, length // 2, length - 1]) for length in shape]
    counts = count_by_tile(pack_rows(cells), cuts)
    assert counts.shape == (3,) * len(shape)
    for tile in np.ndindex(counts.shape):
        part = tuple(slice(cut[k], cut[k + 1]) for k, cut in zip(tile, cuts, strict=True))
        assert counts[tile] == cells[part].sum()
