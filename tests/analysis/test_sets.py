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
    "draw",
    [
        sets.koch_snowflake,
        sets.sierpinski_carpet,
        sets.rabbit_julia,
        sets.sierpinski_gasket,
        sets.cantor_dust,
    ],
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


def test_every_known_dimension_is_that_of_a_set():
    for name in sets.DIMENSIONS:
        drawn = getattr(sets, name)(27)
        assert drawn.shape == (27,) * drawn.ndim
        assert (drawn.dtype == bool) == (name != "newton_basins")
        assert 0 < drawn.mean() < 2
    assert sets.MASKS < sets.DIMENSIONS.keys()


@pytest.mark.parametrize(
    ("name", "pieces"), [("cantor_set", 2), ("cantor_dust", 4), ("menger_sponge", 20)]
)
def test_sets_in_thirds_are_exact_where_the_pixels_allow_it(name, pieces):
    draw = getattr(sets, name)
    for generation in (0, 1, 3):
        assert draw(3**generation).sum() == pieces**generation
    large, small = draw(27), draw(9)
    corner = (slice(9),) * large.ndim
    np.testing.assert_array_equal(large[corner], small)
    np.testing.assert_array_equal(large, np.flip(large))


def test_a_face_of_the_sponge_is_a_carpet_and_its_axis_is_empty():
    sponge = sets.menger_sponge(27)
    np.testing.assert_array_equal(sponge[0], sets.sierpinski_carpet(27))
    assert not sponge[:, 13, 13].any()
    np.testing.assert_array_equal(sponge, np.moveaxis(sponge, 0, 2))


def test_a_cantor_set_can_be_moved():
    np.testing.assert_array_equal(
        sets.cantor_set(200, center=0.75, size=0.25), np.roll(sets.cantor_set(200, size=0.25), 50)
    )


def test_volumes_are_those_of_the_bodies():
    # The surface times a tenth of a cell is 1e-3 at 60 cells.
    assert sets.ball(60, radius=0.4).mean() == pytest.approx(4 / 3 * math.pi * 0.064, abs=1e-3)
    assert sets.half_space(60).mean() == pytest.approx(0.5, abs=1e-3)
    tilted = sets.half_space(40, center=(0.2, 0.5, 0.5), normal=(1, 0, 0))
    assert not tilted[:8].any() and tilted[8:].all()


def test_julia_sets_of_small_and_of_escaping_parameters():
    # At c = 0 it is the unit circle; far outside the Mandelbrot set it is dust.
    inside = sets.quadratic_julia(200, 0.0, size=0.25)
    assert inside.mean() == pytest.approx(math.pi / 16, abs=2e-3)
    assert sets.quadratic_julia(200, 1.0 + 1.0j).mean() < 1e-3
    # Points that are in for |c| > 2 may lie outside the circle of radius 2.
    assert sets.quadratic_julia(1000, -6.0 + 0.0j, size=0.1, n_steps=3)[500].any()
    np.testing.assert_array_equal(
        sets.quadratic_julia(64, sets.RABBIT, angle=0.3), sets.rabbit_julia(64, angle=0.3)
    )


def test_the_basilica_is_mapped_onto_itself():
    n, size = 400, 0.28
    inside = sets.quadratic_julia(n, -1.0, size=size)
    np.testing.assert_array_equal(inside, np.flip(inside))
    z = ((np.arange(n) + 0.5) / n - 0.5) / size
    fixed = (1 + math.sqrt(5)) / 2  # the right end, a fixed point of z^2 - 1
    row = inside[n // 2]
    assert not row[np.abs(z) > fixed + 0.01].any() and row[np.abs(z) < 0.6].all()


def test_newton_basins_are_those_of_a_plain_loop():
    n, size = 41, 1 / 3
    labels = sets.newton_basins(n, size=size)
    roots = np.exp(2j * np.pi * np.arange(3) / 3)
    centres = ((np.arange(n) + 0.5) / n - 0.5) / size
    for row in range(0, n, 5):
        for column in range(0, n, 5):
            z = centres[column] + 1j * centres[row]
            if z == 0:
                assert labels[row, column] == 3
                continue
            for _ in range(100):
                z = z - (z**3 - 1) / (3 * z**2)
            assert labels[row, column] == np.abs(z - roots).argmin()
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    # Turning by a third of a circle permutes the basins.
    turned = sets.newton_basins(200, angle=2 * math.pi / 3, center=(0.501, 0.502))
    whole = sets.newton_basins(200, center=(0.501, 0.502))
    assert ((whole - 1) % 3 == turned).mean() > 0.99
    half = sets.newton_basins(50, 2)
    assert np.all(half[:, :25] == 1) and np.all(half[:, 25:] == 0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sets.koch_snowflake(64, size=0), "size=0"),
        (lambda: sets.cantor_set(0), "n=0"),
        (lambda: sets.menger_sponge(0), "n=0"),
        (lambda: sets.ball(9, center=(0.5, 0.5)), "three coordinates"),
        (lambda: sets.newton_basins(9, 1), "degree=1"),
    ],
)
def test_nonsense_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
