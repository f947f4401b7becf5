"""Maps of the local dimension: smooth and rough parts of one picture, slopes of single places."""

import math

import numpy as np
import pytest

from dynfrac.analysis import sets
from dynfrac.analysis.labels import boundary_cells
from dynfrac.analysis.local_dimensions import local_dimension

# Left half a Koch curve, right half a circle.
MIXED = np.where(np.arange(512) < 256, sets.koch_snowflake(512), sets.disc(512, radius=0.4))


def test_smooth_curves_read_one_everywhere():
    for labels in (sets.disc(256), sets.half_plane(256)):
        local = local_dimension(labels)
        seen = local.values[np.isfinite(local.values)]
        assert np.median(seen) == pytest.approx(1, abs=0.01)
        # Where the line leaves the picture, and at the edge of the band, boxes reach in from aside.
        assert np.percentile(abs(seen - 1), 95) < 0.1
        assert local.window == (2, 8) and local.neighbourhood == 32 and local.step == 1


def test_rough_and_smooth_parts_are_told_apart():
    local = local_dimension(MIXED)
    rough, smooth = local.values[:, :220], local.values[:, 300:]
    # From 2 to 16 px the Koch curve is still 0.05 short of its 1.26.
    assert np.nanmedian(rough) == pytest.approx(1.22, abs=0.03)
    assert np.nanmedian(smooth) == pytest.approx(1, abs=0.01)
    assert np.nanpercentile(rough, 5) > np.nanpercentile(smooth, 95)


def test_values_are_drawn_near_the_boundary_only():
    local = local_dimension(sets.disc(256), window=(2, 10))
    y, x = (np.indices(local.shape) + 1) / 256 - 0.5
    distance = abs(np.hypot(x, y) - 0.35) * 256
    seen = np.isfinite(local.over_cells())
    assert seen[distance < 3].all() and not seen[distance > 9].any()


def test_a_single_place_by_hand():
    labels = np.random.default_rng(2).random((80, 90)) < 0.03
    local = local_dimension(labels, window=(1, 8), neighbourhood=20)
    occupied = np.pad(boundary_cells(labels), 10)
    sizes = [1, 2, 3, 4, 5, 6, 7, 8]
    counts = []
    for size in sizes:
        hits = 0
        for i in range(40 - 10, 40 + 11):
            for j in range(33 - 10, 33 + 11):
                top, left = i - size // 2 + 10, j - size // 2 + 10
                hits += occupied[top : top + size, left : left + size].any()
        counts.append(hits / size**2)
    expected = -np.polyfit(np.log(sizes), np.log(counts), 1)[0]
    assert local.values[40, 33] == pytest.approx(expected, rel=1e-10)


def test_large_pictures_are_read_in_blocks():
    large = np.kron(MIXED, np.ones((2, 2), bool))
    coarse = local_dimension(large, window=(4, 32))
    fine = local_dimension(MIXED, window=(2, 16))
    assert coarse.step == 2 and coarse.shape == (1023, 1023)
    assert coarse.over_cells().shape == (1023, 1023)
    both = np.isfinite(coarse.values[:511, :511]) & np.isfinite(fine.values)
    # The same picture with pixels twice as large, up to where pixels are felt.
    assert np.median(abs(coarse.values[:511, :511] - fine.values)[both]) < 0.03


def test_masks_are_their_own_cells():
    mask = sets.sierpinski_gasket(256)
    local = local_dimension(mask, mask=True)
    assert local.shape == (256, 256)
    assert np.nanmedian(local.values) == pytest.approx(math.log(3) / math.log(2), abs=0.06)


def test_no_boundary_is_said():
    local = local_dimension(np.ones((64, 64), bool))
    assert np.isnan(local.values).all() and "no boundary" in local.flags[0]
    assert local.to_dict()["quartiles"] == [None] * 3


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (sets.disc(63), {}, "two axes of at least 64 px"),
        (np.arange(4000) % 2, {}, "two axes"),
        (sets.disc(64), {"neighbourhood": 8}, "neighbourhood=8"),
        (sets.disc(64), {"neighbourhood": 65}, "neighbourhood=65"),
        (sets.disc(64), {"window": (2, 17)}, r"window=\(2, 17\)"),
        (sets.disc(64), {"window": (5, 2)}, r"window=\(5, 2\)"),
        (sets.disc(64), {"window": (2, 4)}, "fewer than 4 box sizes"),
    ],
)
def test_misuse_is_a_sentence(labels, options, message):
    with pytest.raises(ValueError, match=message):
        local_dimension(labels, **options)
