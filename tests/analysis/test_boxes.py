"""Box dimensions: identities, small known sets, refusals. `test_known_sets.py` has large ones."""

import dataclasses
import math

import numpy as np
import pytest

from dynfrac.analysis import boxes, sets
from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.labels import boundary_cells
from dynfrac.analysis.nulls import smooth_null

KOCH = sets.koch_snowflake(512, angle=0.2)
PICTURES = [
    "half_plane",
    "disc",
    "koch_snowflake",
    "sierpinski_gasket",
    "sierpinski_carpet",
    "rabbit_julia",
]


def covers(estimate, dimension):
    return estimate.ci_low <= dimension <= estimate.ci_high


@pytest.mark.parametrize("n", [256, 512])
@pytest.mark.parametrize("name", PICTURES)
def test_known_sets_lie_inside_the_interval(name, n):
    mask = name in sets.MASKS
    estimate = box_dimension(getattr(sets, name)(n), mask=mask)
    assert covers(estimate, sets.DIMENSIONS[name])
    # Twice the biases that the docstring admits at 256 px, which are the larger ones.
    assert estimate.value == pytest.approx(sets.DIMENSIONS[name], abs=0.06)
    assert (estimate.ci_high - estimate.ci_low) / 2 <= 0.16
    assert estimate.n_runs == n * n and estimate.method == "box counting"


def test_more_pixels_narrow_the_interval():
    widths = [box_dimension(sets.rabbit_julia(n)).stderr for n in (128, 256, 1024)]
    assert widths[0] > widths[1] > widths[2]


def test_straight_boundaries_read_one_at_every_angle():
    for angle in (0.0, 0.1, math.pi / 4, 1.2, math.pi / 2):
        estimate = box_dimension(sets.half_plane(256, angle=angle))
        # What lies beyond the border is unseen, which costs most, 0.012, at 45 degrees.
        assert estimate.value == pytest.approx(1, abs=0.015) and covers(estimate, 1)


def test_filled_and_full_masks_have_dimension_two():
    # A filled square with a margin is cropped to its frame; the whole picture has none.
    square = np.zeros((256, 256), bool)
    square[40:200, 50:210] = True
    for mask in (square, np.ones((256, 256), bool)):
        estimate = box_dimension(mask, mask=True)
        assert estimate.value == pytest.approx(2, abs=1e-9) and estimate.ci_high == 2


def test_noise_fills_the_plane_and_is_flagged():
    noise = np.random.default_rng(1).random((256, 256)) < 0.5
    estimate = box_dimension(noise)
    assert estimate.value == pytest.approx(2, abs=0.01)
    assert any("not resolved" in flag for flag in estimate.flags)
    assert not any("not resolved" in flag for flag in box_dimension(KOCH).flags)


def test_labels_have_no_names():
    plain = box_dimension(KOCH)
    for renamed in (~KOCH, np.where(KOCH, 7, -3), np.where(KOCH, -0.5, 2.0)):
        assert box_dimension(renamed).to_dict() == plain.to_dict()
    assert box_dimension(np.where(KOCH, 7.0, 3.0), threshold=5).value == plain.value


def test_the_boundary_as_a_mask_is_the_same_set():
    labels, mask = box_dimension(KOCH), box_dimension(boundary_cells(KOCH), mask=True)
    np.testing.assert_array_equal(labels.curve.y, mask.curve.y)
    assert labels.value == mask.value


def test_turning_the_picture_hardly_changes_the_value():
    # Even boxes lean by half a cell, which is felt where tiles meet and at the border.
    values = [box_dimension(np.rot90(KOCH, k)).value for k in range(4)]
    assert np.ptp(values) < 1e-3


def test_several_labels_have_one_boundary():
    basins = KOCH.astype(int) + sets.half_plane(512)
    union = boundary_cells(KOCH) | boundary_cells(sets.half_plane(512))
    estimate = box_dimension(basins)
    # Where the two boundaries cross, labels 0 + 1 and 1 + 0 may meet without one.
    assert estimate.curve.y[0] == pytest.approx(union.sum(), rel=0.01)


def test_the_same_seed_gives_the_same_interval():
    first, again = box_dimension(KOCH, seed=3), box_dimension(KOCH, seed=3)
    other = box_dimension(KOCH, seed=4)
    assert first.to_dict() == again.to_dict()
    assert other.value == first.value and other.stderr != first.stderr
    # A thousand resamples know a standard deviation to 2 %.
    assert other.stderr == pytest.approx(first.stderr, rel=0.1)


def test_a_window_can_be_fixed():
    estimate = box_dimension(KOCH, window=(4, 32))
    assert estimate.window == (4.0, 32.0) and covers(estimate, math.log(4) / math.log(3))
    chosen = box_dimension(KOCH)
    assert chosen.window[0] >= 2 and chosen.window[1] / chosen.window[0] >= 4


@pytest.mark.parametrize("window", [(0, 16), (16, 4), (4, 4), (4, 200), (math.nan, 16)])
def test_windows_out_of_range_are_refused(window):
    with pytest.raises(ValueError, match="pass 1 <= low < high <= 127 px"):
        box_dimension(KOCH, window=window)


def test_too_few_resamples_are_refused():
    with pytest.raises(ValueError, match="n_resamples=1"):
        box_dimension(KOCH, n_resamples=1)


LINE = np.zeros((256, 256), bool)
LINE[:25, 30] = True
CORNER = np.zeros((256, 256), bool)
CORNER[:12, :12] = True


@pytest.mark.parametrize(
    ("picture", "mask", "reason"),
    [
        (np.ones((64, 64), bool), False, "every pixel has the same label"),
        (np.zeros((64, 64), bool), True, "every pixel is zero"),
        (sets.disc(31), False, "31 px on its shorter side"),
        (sets.disc(200)[:20], False, "20 px on its shorter side"),
        (LINE, True, "touches 25 boxes"),
        (CORNER, True, "spans 12 px"),
        (np.arange(200) % 2, False, "200 px long; at least 256"),
        (np.arange(4000) > 1000, False, "touches 1 boxes"),
        (np.indices((31, 40, 40)).sum(axis=0) > 40, False, "31 px on its shorter side"),
    ],
)
def test_no_value_comes_with_the_reason(picture, mask, reason):
    estimate = box_dimension(picture, mask=mask)
    assert math.isnan(estimate.value) and math.isnan(estimate.ci_low)
    (flag,) = estimate.flags
    assert reason in flag
    assert estimate.n_runs == picture.size


def test_a_window_with_too_few_sizes_has_a_curve_but_no_value():
    estimate = box_dimension(KOCH, window=(4, 6.5))
    assert math.isnan(estimate.value) and len(estimate.curve) > 20
    assert estimate.flags == ("only 3 box sizes can be fitted; at least 4 are needed",)


def test_small_pictures_are_flagged():
    small = box_dimension(sets.disc(40, radius=0.42))
    assert small.value == pytest.approx(1, abs=0.1)
    assert any("spans only" in flag for flag in small.flags)
    assert "fit covers less than two octaves" in box_dimension(KOCH, window=(4, 14)).flags


def test_a_set_in_a_corner_is_measured_on_its_own_scales():
    corner = np.zeros((1024, 1024), bool)
    corner[100:356, 600:856] = sets.disc(256, radius=0.45)
    estimate = box_dimension(corner)
    assert estimate.value == pytest.approx(1, abs=0.01) and estimate.window[1] <= 32


def test_a_carpet_with_a_margin_is_cropped_to_its_frame():
    carpet = sets.sierpinski_carpet(243)
    framed = np.pad(carpet, ((10, 3), (0, 40)))
    np.testing.assert_array_equal(boxes._crop_to_frame(framed), carpet)
    assert box_dimension(framed, mask=True).value == box_dimension(carpet, mask=True).value
    gasket = sets.sierpinski_gasket(256)
    assert boxes._crop_to_frame(gasket) is gasket


def open_tent(n, slope):
    """Parity of the step at which a point of [-0.1, 1.1] leaves the tent map; exact dimension."""
    x, labels = np.linspace(-0.1, 1.1, n), np.zeros(n, bool)
    alive = np.ones(n, bool)
    for step in range(60):
        gone = alive & ((x < 0) | (x > 1))
        labels[gone] = step % 2
        alive &= ~gone
        x = np.where(alive, slope * np.minimum(x, 1 - x), 0.5)
    return labels


@pytest.mark.parametrize("slope", [2.1, 2.5, 3.0, 4.0])
@pytest.mark.parametrize("n", [4001, 2**17])
def test_label_changes_on_a_line(slope, n):
    estimate = box_dimension(open_tent(n, slope))
    dimension = math.log(2) / math.log(slope)
    # Below a pixel nothing is seen: the line reads 0.018 low where it has fewest changes.
    assert estimate.value == pytest.approx(dimension, abs=0.02 if n < 10_000 else 0.006)
    assert covers(estimate, dimension) and estimate.ci_high <= 1
    assert (estimate.ci_high - estimate.ci_low) / 2 <= (0.14 if n < 10_000 else 0.05)


def cantor_set(n):
    points = np.zeros(1)
    for _ in range(14):
        points = np.concatenate([points / 3, (points + 2) / 3])
    mask = np.zeros(n, bool)
    mask[np.floor((0.05 + 0.9 * points) * n).astype(int)] = True
    return mask


@pytest.mark.parametrize("n", [1024, 6561, 65536])
def test_a_cantor_set_on_a_line(n):
    estimate = box_dimension(cantor_set(n), mask=True)
    # Steps of a third make N(s) swing; over the five octaves and more of these windows it averages.
    assert estimate.value == pytest.approx(math.log(2) / math.log(3), abs=0.005)
    assert covers(estimate, math.log(2) / math.log(3))


def test_points_and_intervals_on_a_line():
    points = np.zeros(100_000, bool)
    points[np.random.default_rng(0).choice(100_000, 100, replace=False)] = True
    # A hundred random points: in the largest boxes, of 45 px, 2 % of them have company.
    assert box_dimension(points, mask=True).value == pytest.approx(0, abs=0.02)
    assert box_dimension(points, mask=True).ci_low == 0
    interval = box_dimension(np.pad(np.ones(1000), (300, 20)), mask=True)
    assert interval.value == pytest.approx(1, abs=1e-9) and interval.ci_high == 1


def menger_sponge(depth):
    generator = np.ones((3, 3, 3), bool)
    for axis in range(3):
        generator[tuple(slice(None) if a == axis else 1 for a in range(3))] = False
    sponge = np.ones((1, 1, 1), bool)
    for _ in range(depth):
        sponge = np.kron(sponge, generator)
    return sponge


def test_surfaces_and_a_sponge_in_a_volume():
    z, y, x = np.ogrid[-1:1:128j, -1:1:128j, -1:1:128j]
    plane = (0.3 * x + 0.9 * y + 0.4 * z > 0.03)[16:112, 16:112, 16:112]
    for labels in (x**2 + y**2 + z**2 < 0.7, plane):
        estimate = box_dimension(labels, n_resamples=200)
        # What lies beyond the border is unseen, as in pictures.
        assert estimate.value == pytest.approx(2, abs=0.01) and covers(estimate, 2)
    assert box_dimension(np.ones((40, 40, 40)), mask=True).value == pytest.approx(3, abs=1e-9)
    sponge, dimension = menger_sponge(4), math.log(20) / math.log(3)
    estimate = box_dimension(sponge, mask=True)
    # 81 px are one and a half periods of its steps.
    assert estimate.value == pytest.approx(dimension, abs=0.04) and covers(estimate, dimension)
    padded = box_dimension(np.pad(sponge, ((3, 9), (0, 7), (20, 20))), mask=True)
    assert padded.value == estimate.value


@pytest.mark.slow
def test_a_sponge_of_two_hundred_pixels():
    estimate = box_dimension(menger_sponge(5), mask=True)
    assert estimate.value == pytest.approx(math.log(20) / math.log(3), abs=0.025)
    assert covers(estimate, math.log(20) / math.log(3))


@pytest.mark.parametrize("angle", [0.2, 0.5, math.pi / 4])
def test_dense_masks_that_stand_at_an_angle(angle):
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    along, across = (
        x * math.cos(angle) + y * math.sin(angle),
        y * math.cos(angle) - x * math.sin(angle),
    )
    square = (abs(along) < 0.6) & (abs(across) < 0.5)
    # Boxes hanging over the sides would make it 1.9.
    assert box_dimension(square, mask=True).value == pytest.approx(2, abs=1e-3)
    carpet = sets.sierpinski_carpet(512, size=0.6, angle=angle)
    estimate = box_dimension(carpet, mask=True)
    # Upright it reads 0.01 high; with the boxes over the sides it would read 0.07 low.
    assert estimate.value == pytest.approx(sets.DIMENSIONS["sierpinski_carpet"], abs=0.03)
    assert covers(estimate, sets.DIMENSIONS["sierpinski_carpet"])


def test_thin_masks_keep_all_their_boxes():
    assert boxes._filled_hull(sets.sierpinski_gasket(512)) is None
    ring = boundary_cells(sets.disc(256))
    assert boxes._filled_hull(ring) is None
    assert box_dimension(ring, mask=True).value == pytest.approx(1, abs=0.01)
    hull = boxes._filled_hull(sets.disc(256))
    assert hull is not None and hull.sum() == pytest.approx(sets.disc(256).sum(), rel=0.03)


def test_hulls_of_volumes():
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, 48)] * 3, indexing="ij")
    octahedron = abs(x) + abs(y) + abs(z) < 0.9
    hull = boxes._filled_hull(octahedron)
    assert hull is not None and hull[octahedron].all()
    assert hull.sum() == pytest.approx(octahedron.sum(), rel=0.1)
    assert box_dimension(octahedron, mask=True).value == pytest.approx(3, abs=0.01)


def test_oblong_pictures_are_measured():
    estimate = box_dimension(np.pad(KOCH, ((0, 0), (100, 300))))
    # The same set in a wider picture: other tiles, hence another interval, but the same value.
    assert estimate.value == pytest.approx(box_dimension(KOCH).value, abs=0.01)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("shape", [(64, 64), (200, 300), (512, 512)])
def test_the_smooth_null_reads_one(shape, mask):
    null = smooth_null(shape, mask=mask)
    assert list(null) == ["circle", "line"]
    for estimate in null.values():
        assert isinstance(estimate, Estimate)
        # The smallest picture is 64 px, whose border and outline are felt.
        assert estimate.value == pytest.approx(1, abs=0.02) and covers(estimate, 1)


def test_the_smooth_null_takes_the_window_of_the_estimate():
    for estimate in smooth_null((256, 256), window=(3, 20)).values():
        assert estimate.window == (3.0, 19.0)


def test_the_fields_are_those_of_every_estimate():
    names = [field.name for field in dataclasses.fields(Estimate)]
    assert list(box_dimension(KOCH).to_dict()) == names
