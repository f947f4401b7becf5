"""Basin entropies: closed forms, published readings, counts in a loop, verdicts."""

import functools
import math

import numpy as np
import pytest

from dynfrac.analysis import sets
from dynfrac.analysis.basin_entropies import basin_entropy
from dynfrac.analysis.smooth_entropies import smooth_entropy_in_balls, smooth_entropy_in_squares


@functools.cache
def circle_map(n):
    theta, x = np.meshgrid(np.linspace(0, 2 * np.pi, n), np.linspace(-0.5, 0.5, n))
    for _ in range(300):
        turn = 1.32 * np.sin(2 * theta) - 0.9 * np.sin(4 * theta) - x * np.sin(theta)
        theta, x = (theta + turn) % (2 * np.pi), -0.3 * np.cos(theta)
    return np.cos(theta) > 0


@functools.cache
def henon_basin(n):
    x, y = np.meshgrid(np.linspace(-2, 2, n), np.linspace(-2, 2, n))
    bounded = np.ones((n, n), bool)
    for _ in range(100):
        x, y = 1 - 1.4 * x**2 + y, 0.3 * x
        bounded &= abs(x) < 100
        x, y = np.where(bounded, x, 0), np.where(bounded, y, 0)
    return bounded


@functools.cache
def newton(n):
    steps = np.linspace(-1, 1, n)
    z = steps[None, :] + 1j * steps[:, None] + 1e-9
    for _ in range(60):
        z = z - (z**3 - 1) / (3 * z**2)
    return np.argmin(abs(z[..., None] - np.exp(2j * np.pi * np.arange(3) / 3)), axis=-1)


def test_smooth_boundaries_in_balls():
    values = [smooth_entropy_in_balls(n) for n in (1, 2, 3, 4, 5)]
    expected = [0.5, 0.439509, 0.396092, 0.363194, 0.337226]
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_smooth_boundaries_in_squares():
    values = [smooth_entropy_in_squares(angle) for angle in (0.0, math.pi / 2, math.pi / 4, None)]
    np.testing.assert_allclose(values, [0.5, 0.5, 0.3645, 0.4002], atol=1e-4)
    turned = [smooth_entropy_in_squares(angle) for angle in (0.3, -0.3, math.pi / 2 - 0.3)]
    np.testing.assert_allclose(turned, turned[0], rtol=1e-12)


def test_the_square_integral_against_random_squares():
    rng = np.random.default_rng(6)
    angle = 0.5
    normal = np.array([math.sin(angle), math.cos(angle)])
    points = np.stack(np.meshgrid(*[(np.arange(64) + 0.5) / 64 - 0.5] * 2), axis=-1) @ normal
    offsets = rng.uniform(-1, 1, 4000) * normal.sum() / 2
    shares = np.array([(points > offset).mean() for offset in offsets])
    shares = np.stack([shares, 1 - shares])
    entropies = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=0)
    # 4000 entropies of standard deviation 0.25.
    assert entropies.mean() == pytest.approx(smooth_entropy_in_squares(angle), abs=0.012)


def test_one_box_at_a_time():
    labels = np.random.default_rng(7).integers(3, size=(66, 67))
    labels[:24] = 1
    result = basin_entropy(labels, size=4)
    boxes = labels[:64, :64].reshape(16, 4, 16, 4).swapaxes(1, 2).reshape(256, 16)
    counts = [np.unique(box, return_counts=True)[1] / 16 for box in boxes]
    entropies = np.array([-(shares * np.log(shares)).sum() for shares in counts])
    assert result.sb.value == pytest.approx(entropies.mean(), rel=1e-12)
    assert result.sbb.value == pytest.approx(entropies[entropies > 0].mean(), rel=1e-12)
    assert result.n_labels == 3 and result.size == 4
    # The 48 boxes of a smaller picture are too few for an error.
    assert not basin_entropy(labels[:32, :24], size=4).sb.has_value


def test_half_split_boxes_read_ln_two():
    stripes = np.broadcast_to(np.arange(64) // 2 % 2, (64, 64))
    result = basin_entropy(stripes, size=4)
    for estimate in (result.sb, result.sbb):
        assert estimate.value == pytest.approx(math.log(2), rel=1e-12)
        assert estimate.stderr == pytest.approx(0, abs=1e-12)


def test_the_circle_map_reads_as_published():
    result = basin_entropy(circle_map(300), size=6)
    assert 0.40 <= result.sb.value <= 0.42 and 0.60 <= result.sbb.value <= 0.61
    assert result.sb.value == pytest.approx(0.4031, abs=5e-4)
    assert result.sbb.value == pytest.approx(0.6027, abs=5e-4)
    assert result.verdict == "fractal"


@pytest.mark.parametrize("radius", [5, 10, None])
def test_verdicts_on_basins(radius):
    assert basin_entropy(circle_map(300), radius=radius).verdict == "fractal"
    assert basin_entropy(newton(300), radius=radius).verdict == "fractal"
    assert basin_entropy(henon_basin(300), radius=radius).verdict == "smooth"


@pytest.mark.parametrize("n", [64, 128, 256, 512])
@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 4])
def test_straight_boundaries_are_smooth(n, angle):
    result = basin_entropy(sets.half_plane(n, angle=angle))
    assert result.verdict == "smooth"
    # The allowance for the lattice and two standard errors.
    margin = 0.224 / result.radius**1.006 + 2 * result.balls.stderr
    assert result.balls.value == pytest.approx(result.smooth, abs=margin)
    assert result.smooth == smooth_entropy_in_balls(2)


def test_discs_and_balls_are_smooth():
    assert basin_entropy(sets.disc(256)).verdict == "smooth"
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, 96)] * 3, indexing="ij")
    result = basin_entropy(x**2 + y**2 + z**2 < 0.7)
    assert result.verdict == "smooth" and result.smooth == smooth_entropy_in_balls(3)


def test_a_koch_curve_reads_below_the_smooth_value():
    result = basin_entropy(sets.koch_snowflake(512))
    assert result.verdict == "fractal" and result.balls.ci_high < result.smooth


def test_on_a_line():
    x = np.linspace(0, 1, 6000)
    scattered = basin_entropy(np.searchsorted(np.sort(np.random.default_rng(8).random(90)), x) % 2)
    # Ninety changes, so far apart that a ball of 20 px mostly sees one.
    assert scattered.balls.value == pytest.approx(0.5, abs=0.04)
    assert scattered.smooth == pytest.approx(0.5)


def test_more_than_ln_two_is_a_proof_with_three_labels_only():
    noise = np.random.default_rng(9).integers(3, size=(64, 64))
    result = basin_entropy(noise)
    assert result.sbb.value > math.log(2) and result.verdict == "fractal"
    assert "exceeds ln 2" in result.flags[0]
    two = basin_entropy(noise > 0)
    assert two.sbb.value < math.log(2) and two.verdict == "fractal" and two.flags == ()


def test_one_label_has_no_entropy():
    result = basin_entropy(np.ones((64, 64), bool))
    assert result.verdict == "open" and result.n_labels == 1
    assert "same label" in result.flags[0] and math.isnan(result.sb.value)


def test_the_same_seed_gives_the_same_result():
    labels = sets.rabbit_julia(256)
    first, again, other = (basin_entropy(labels, seed=seed).to_dict() for seed in (1, 1, 2))
    assert first == again and first["balls"] != other["balls"]
    assert first["sb"]["value"] == other["sb"]["value"]
    assert set(first) == {
        *("sb", "sbb", "balls", "smooth", "verdict", "size", "radius", "n_labels", "flags")
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1}, "size=1"),
        ({"size": 17}, "size=17"),
        ({"radius": 1}, "radius=1"),
        ({"radius": 20}, "radius=20"),
        ({"n_balls": 10}, "n_balls=10"),
        ({"n_resamples": 1}, "n_resamples=1"),
    ],
)
def test_misuse_is_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        basin_entropy(sets.disc(64), **options)
