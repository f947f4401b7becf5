"""Uncertainty exponents: pairs counted one by one, boundaries of known dimension, refusals."""

import functools
import math

import numpy as np
import pytest

from dynfrac.analysis import sets
from dynfrac.analysis.nulls import smooth_uncertainty
from dynfrac.analysis.uncertainty import (
    boundary_dimension_of,
    local_uncertainty_exponents,
    uncertainty_exponent,
    uncertainty_fraction,
)


def covers(estimate, value):
    return estimate.ci_low <= value <= estimate.ci_high


@functools.cache
def circle_map(n):
    """Basins of the Grebogi-Ott-Yorke map on its window; alpha = 0.193 +- 0.003."""
    theta, x = np.meshgrid(np.linspace(0, 2 * np.pi, n), np.linspace(-0.5, 0.5, n))
    for _ in range(300):
        turn = 1.32 * np.sin(2 * theta) - 0.9 * np.sin(4 * theta) - x * np.sin(theta)
        theta, x = (theta + turn) % (2 * np.pi), -0.3 * np.cos(theta)
    return np.cos(theta) > 0


@functools.cache
def newton(n, width=1.0):
    """Basins of Newton's method for z^3 = 1; alpha = 0.556 +- 0.006."""
    steps = np.linspace(-width, width, n)
    z = steps[None, :] + 1j * steps[:, None] + 1e-9
    for _ in range(60):
        z = z - (z**3 - 1) / (3 * z**2)
    roots = np.exp(2j * np.pi * np.arange(3) / 3)
    return np.argmin(abs(z[..., None] - roots), axis=-1)


def open_tent(n, slope, ends=(-0.1, 1.1)):
    """Parity of the step at which a point between the ends leaves the tent map."""
    x, labels = np.linspace(*ends, n), np.zeros(n, bool)
    alive = np.ones(n, bool)
    for step in range(60):
        gone = alive & ((x < 0) | (x > 1))
        labels[gone] = step % 2
        alive &= ~gone
        x = np.where(alive, slope * np.minimum(x, 1 - x), 0.5)
    return labels


@pytest.mark.parametrize("shape", [(70,), (40, 33), (17, 20, 24)])
@pytest.mark.parametrize("n_labels", [2, 5, 16])
def test_pairs_equal_those_of_a_loop(shape, n_labels):
    labels = np.random.default_rng(3).integers(n_labels, size=shape)
    curve = uncertainty_fraction(labels * 1000 - 7)
    largest = int(curve.x[-1])
    assert largest <= min(shape) / 8
    for distance, fraction in zip(curve.x.astype(int), curve.y, strict=True):
        differ = total = 0
        for axis in range(len(shape)):
            # The midpoint of every pair is in the same place at every distance.
            starts = [
                np.arange(n - largest) + largest // 2 - (distance // 2 if a == axis else 0)
                for a, n in enumerate(shape)
            ]
            first = labels[np.ix_(*starts)]
            starts[axis] = starts[axis] + distance
            differ += (first != labels[np.ix_(*starts)]).sum()
            total += first.size
        assert fraction == pytest.approx(differ / total, rel=1e-12)


def test_labels_have_no_names():
    labels = sets.koch_snowflake(128)
    plain = uncertainty_exponent(labels)
    for renamed in (~labels, np.where(labels, 7, -3), np.where(labels, -0.5, 2.0)):
        assert uncertainty_exponent(renamed).to_dict() == plain.to_dict()
    assert uncertainty_exponent(np.where(labels, 7.0, 3.0), threshold=5).value == plain.value
    assert uncertainty_exponent(labels.T).value == pytest.approx(plain.value, abs=0.01)


@pytest.mark.parametrize("n", [64, 256])
@pytest.mark.parametrize("labels", [sets.disc, sets.half_plane])
def test_smooth_boundaries_have_exponent_one(labels, n):
    estimate = uncertainty_exponent(labels(n))
    assert estimate.value == pytest.approx(1, abs=0.01) and covers(estimate, 1)
    assert estimate.ci_high == 1
    dimension = boundary_dimension_of(estimate, 2)
    assert dimension.value == 2 - estimate.value and dimension.ci_low == 1
    assert dimension.stderr == estimate.stderr and dimension.flags == estimate.flags


def test_a_straight_boundary_along_an_axis():
    labels = np.zeros((128, 128), bool)
    labels[50:] = True
    estimate = uncertainty_exponent(labels)
    assert estimate.value == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("n", [256, 512])
def test_fractal_boundaries_are_read_right(n):
    # Pairs see what boxes do not: there is no bias of a pixel. What is left is scatter.
    for name in ("koch_snowflake", "rabbit_julia"):
        estimate = uncertainty_exponent(getattr(sets, name)(n, angle=0.2))
        alpha = 2 - sets.DIMENSIONS[name]
        assert estimate.value == pytest.approx(alpha, abs=0.02) and covers(estimate, alpha)
        assert estimate.stderr < 0.03


def test_newton_basins():
    estimate = uncertainty_exponent(newton(300))
    assert estimate.value == pytest.approx(0.556, abs=0.02) and covers(estimate, 0.556)
    # What another program reads over distances of 5 to 30 px, where the outline is seen.
    assert 0.55 <= uncertainty_exponent(newton(300), window=(5, 30)).value <= 0.65


def test_the_circle_map():
    estimate = uncertainty_exponent(circle_map(251))
    assert estimate.value == pytest.approx(0.193, abs=0.03) and covers(estimate, 0.193)
    assert any("where f saturates" in flag for flag in estimate.flags)
    # What another program reads over distances of 3 to 15 px.
    assert 0.2 <= uncertainty_exponent(circle_map(251), window=(3, 15)).value <= 0.3


@pytest.mark.parametrize("slope", [2.5, 3.0, 4.0])
def test_label_changes_on_a_line(slope):
    alpha = 1 - math.log(2) / math.log(slope)
    estimate = uncertainty_exponent(open_tent(2**17, slope))
    assert estimate.value == pytest.approx(alpha, abs=0.01) and covers(estimate, alpha)
    small = uncertainty_exponent(open_tent(4001, slope))
    assert covers(small, alpha)


def test_a_surface_in_a_volume():
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, 64)] * 3, indexing="ij")
    estimate = uncertainty_exponent(x**2 + y**2 + z**2 < 0.7)
    assert estimate.value == pytest.approx(1, abs=0.01) and covers(estimate, 1)
    assert boundary_dimension_of(estimate, 3).value == 3 - estimate.value


@pytest.mark.parametrize("share", [0.5, 0.01])
def test_noise_and_riddled_labels_are_flagged(share):
    noise = np.random.default_rng(4).random((256, 256)) < share
    estimate = uncertainty_exponent(noise)
    assert estimate.value == pytest.approx(0, abs=0.02) and covers(estimate, 0)
    assert any("hardly falls" in flag for flag in estimate.flags)


def test_labels_that_are_not_resolved_close_by_are_flagged():
    # A disc whose points are mislabelled one time in a hundred: smooth from far, noise nearby.
    noisy = sets.disc(512) ^ (np.random.default_rng(5).random((512, 512)) < 0.01)
    estimate = uncertainty_exponent(noisy, window=(8, 64))
    assert any("flattens at the smallest distances" in flag for flag in estimate.flags)
    assert not any("flattens" in flag for flag in uncertainty_exponent(sets.disc(512)).flags)


def test_the_same_seed_gives_the_same_interval():
    labels = sets.rabbit_julia(256)
    first, again = (uncertainty_exponent(labels, seed=3) for _ in range(2))
    other = uncertainty_exponent(labels, seed=4)
    assert first.to_dict() == again.to_dict()
    # Weights are bootstrap variances, so that the seed is felt by the value as well.
    assert other.value == pytest.approx(first.value, abs=0.002) and other.stderr != first.stderr


def test_the_fraction_is_the_curve_of_the_exponent():
    labels = sets.rabbit_julia(128)
    curve, estimate = uncertainty_fraction(labels, seed=2), uncertainty_exponent(labels, seed=2)
    assert curve.to_dict() == estimate.curve.to_dict() and estimate.n_runs == 128**2


@pytest.mark.parametrize("shape", [(64, 64), (40, 40, 40)])
def test_the_smooth_null_has_exponent_one(shape):
    null = smooth_uncertainty(shape)
    assert len(null) == 2
    for estimate in null.values():
        assert estimate.value == pytest.approx(1, abs=0.02) and covers(estimate, 1)
    assert smooth_uncertainty((5000,)) == {}


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.ones((64, 64), bool), "every point has the same label"),
        (sets.disc(31), "31 px on their shorter side"),
        (np.arange(200) % 2, "200 px long"),
        (np.arange(4000) > 99, "1 pairs of neighbours disagree"),
    ],
)
def test_no_value_comes_with_the_reason(labels, reason):
    estimate = uncertainty_exponent(labels)
    assert math.isnan(estimate.value) and math.isnan(estimate.ci_low)
    (flag,) = estimate.flags
    assert reason in flag and estimate.n_runs == labels.size
    assert math.isnan(boundary_dimension_of(estimate, labels.ndim).value)


def test_a_window_with_too_few_distances_has_a_curve_but_no_value():
    estimate = uncertainty_exponent(sets.disc(128), window=(4, 6.5))
    assert math.isnan(estimate.value) and len(estimate.curve) > 10
    assert estimate.flags == ("only 3 distances can be fitted; at least 4 are needed",)


def test_misuse_is_a_sentence():
    labels = sets.disc(128)
    for window in [(0, 16), (16, 4), (4, 17), (math.nan, 8)]:
        with pytest.raises(ValueError, match="pass 1 <= low < high <= 16 px"):
            uncertainty_exponent(labels, window=window)
    for function in (uncertainty_exponent, uncertainty_fraction):
        with pytest.raises(ValueError, match="n_resamples=1"):
            function(labels, n_resamples=1)
    with pytest.raises(ValueError, match="at least 8 px"):
        uncertainty_fraction(labels[:5])
    with pytest.raises(ValueError, match="n_axes=4"):
        boundary_dimension_of(uncertainty_exponent(labels), 4)


@pytest.mark.slow
@pytest.mark.parametrize("n", [256, 512, 1024])
@pytest.mark.parametrize("name", ["half_plane", "disc", "koch_snowflake", "rabbit_julia"])
def test_intervals_cover_copies(name, n):
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(20):
        place = {"center": tuple(rng.uniform(0.46, 0.54, 2))}
        if name == "disc":
            place["radius"] = rng.uniform(0.25, 0.45)
        else:
            place["angle"] = rng.uniform(0, 2 * np.pi)
        if name == "koch_snowflake":
            place["size"] = rng.uniform(0.6, 0.9)
        if name == "rabbit_julia":
            place |= {"size": rng.uniform(0.22, 0.3), "n_steps": 150}
        estimate = uncertainty_exponent(getattr(sets, name)(n, **place), n_resamples=200)
        held += covers(estimate, 2 - sets.DIMENSIONS[name])
    # Fewer than 18 of 20 have a chance below 8 % if each is held with 95 %.
    assert held >= 18


@pytest.mark.slow
@pytest.mark.parametrize("n", [2**12, 2**14, 2**17])
@pytest.mark.parametrize("slope", [2.2, 2.5, 3.0, 4.0])
def test_intervals_cover_lines(slope, n):
    rng = np.random.default_rng(9)
    held = 0
    for _ in range(20):
        ends = (rng.uniform(-0.15, -0.02), rng.uniform(1.02, 1.15))
        estimate = uncertainty_exponent(open_tent(n, slope, ends), n_resamples=200)
        held += covers(estimate, 1 - math.log(2) / math.log(slope))
    assert held >= 18


def test_local_exponents_follow_the_scale():
    # Stripes 8 px wide: straight lines from near, and from far a picture that cannot be told.
    stripes = np.broadcast_to((np.arange(1024) // 8) % 2, (1024, 1024))
    local = local_uncertainty_exponents(stripes, octaves=1)
    # No two points 16 px apart differ, so that no slope ends or begins there.
    np.testing.assert_allclose(local.x, np.array([1, 2, 4]) * math.sqrt(2))
    np.testing.assert_allclose(local.y, 1, atol=1e-12)
    tilted = np.add.outer(np.arange(512), 2 * np.arange(512)) > 800
    smooth = local_uncertainty_exponents(tilted)
    assert len(smooth) == 5
    np.testing.assert_allclose(smooth.y, 1, atol=0.02)
    assert np.all(smooth.stderr < 0.1)


def test_local_exponents_have_errors_that_hold_the_truth():
    rng = np.random.default_rng(3)
    noise = rng.random((512, 512)) < 0.3
    local = local_uncertainty_exponents(noise)
    assert np.all(abs(local.y) < 4 * local.stderr + 1e-3)


@pytest.mark.parametrize("octaves", [0.5, 0, math.nan])
def test_local_exponents_over_nothing_are_refused(octaves):
    with pytest.raises(ValueError, match="octaves="):
        local_uncertainty_exponents(np.eye(64, dtype=int), octaves=octaves)


def test_a_picture_of_one_label_has_no_local_exponents():
    assert len(local_uncertainty_exponents(np.zeros((64, 64), int))) == 0
