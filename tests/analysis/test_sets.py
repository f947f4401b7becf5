"""The known sets are what they claim to be."""

import math

import numpy as np
import pytest

from dynfrac.analysis import sets


def test_areas_are_those_of_the_shapes():
    # The share of pixels differs from the area by about a pixel times the length of the boundary.
    assert sets.disc(400, radius=0.3).mean() == pytest.approx(math.pi * 0.09, abs=1e-3)
    assert sets.half_plane(400).mean() == pytest.approx(0.5, abs=2e-3)
    side = 0.9 * math.sqrt(3) / 2
    snowflake = 2 * math.sqrt(3) / 5 * side**2
    assert sets.koch_snowflake(600, size=0.9, angle=0.2).mean() == pytest.approx(
        snowflake, abs=1e-3
    )


def test_depth_zero_is_the_triangle_and_each_depth_adds_bumps():
    areas = [sets.koch_snowflake(500, depth=depth) for depth in range(4)]
    side = 0.8 * math.sqrt(3) / 2
    assert areas[0].mean() == pytest.approx(math.sqrt(3) / 4 * side**2, abs=2e-3)
    for inner, outer in zip(areas[:-1], areas[1:], strict=True):
        assert not (inner & ~outer).any() and outer.sum() > inner.sum()
    added = (areas[1].mean() - areas[0].mean()) / areas[0].mean()
    assert added == pytest.approx(1 / 3, abs=0.01)


def test_the_carpet_is_exact_where_the_pixels_allow_it():
    carpet = sets.sierpinski_carpet(243)
    assert carpet.sum() == 8**5
    np.testing.assert_array_equal(carpet, carpet.T)
    assert not carpet[81:162, 81:162].any() and carpet[80].all()


def test_the_gasket_is_three_copies_of_itself():
    gasket = sets.sierpinski_gasket(512, size=0.8)
    half = sets.sierpinski_gasket(512, size=0.4)
    # Three copies that meet in three points; the pixels are offset, which moves a few per cent.
    assert gasket.sum() == pytest.approx(3 * half.sum(), rel=0.05)


def test_the_rabbit_is_mapped_into_itself():
    n, size = 301, 0.3
    inside = sets.rabbit_julia(n, size=size)
    rows, columns = np.nonzero(inside)
    z = ((columns + 0.5) / n - 0.5 + 1j * ((rows + 0.5) / n - 0.5)) / size
    image = z * z + sets.RABBIT
    assert (abs(image) <= 2).all()
    assert inside[n // 2, n // 2] and not inside[0, 0]


@pytest.mark.parametrize(
    "draw", [sets.koch_snowflake, sets.sierpinski_carpet, sets.rabbit_julia, sets.sierpinski_gasket]
)
def test_sets_can_be_moved_and_turned(draw):
    size = 0.15 if draw is sets.rabbit_julia else 0.4
    here = draw(200, size=size)
    moved = draw(200, center=(0.5 + 0.2, 0.5 - 0.1), size=size)
    # 0.2 and 0.1 of the picture are 40 and 20 pixels; rounding may shift single pixels.
    shifted = np.roll(here, (-20, 40), axis=(0, 1))
    assert (moved != shifted).mean() < 0.01
    turned = draw(200, size=size, angle=math.pi / 2)
    assert (turned != np.rot90(here, -1)).mean() < 0.02


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="size=0"):
        sets.koch_snowflake(64, size=0)
