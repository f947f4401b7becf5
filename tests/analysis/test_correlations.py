"""Correlation sums against counting by hand; dimensions against sets that are known."""

import math

import numpy as np
import pytest

from dynfrac.analysis import correlations, point_sets
from dynfrac.analysis.correlations import (
    correlation_dimension,
    correlation_sum,
    surrogate_dimensions,
)
from dynfrac.analysis.pair_counts import count_pairs
from dynfrac.analysis.point_clouds import (
    as_points,
    delay_embedding,
    in_fewest_coordinates,
    theiler_window,
)


def circle(n):
    angle = 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def henon(n, seed=0):
    x, y = np.random.default_rng(seed).uniform(-0.1, 0.1, 2)
    orbit = np.empty((n + 100, 2))
    for t in range(n + 100):
        x, y = 1 - 1.4 * x * x + y, 0.3 * x
        orbit[t] = x, y
    return orbit[100:]


def by_hand(points, radii, theiler):
    i, j = np.triu_indices(len(points), 1)
    distances = np.linalg.norm(points[i] - points[j], axis=1)[j - i > theiler]
    return [(distances < radius).mean() for radius in radii]


@pytest.mark.parametrize("theiler", [0, 1, 7, 40])
@pytest.mark.parametrize("empty_coordinates", [0, 9, 80])
def test_every_way_of_counting_is_counting_all_pairs(theiler, empty_coordinates):
    # 3, 12 and 83 coordinates: with trees, in chunks, and turned into as many as there are points.
    rng = np.random.default_rng(0)
    n = 60
    points = rng.random((n, 3))
    radii = np.geomspace(0.05, 1.0, 6)
    expected = by_hand(points, radii, theiler)
    wide = np.hstack([points, np.zeros((n, empty_coordinates))])
    wide = wide @ np.linalg.qr(rng.normal(size=(wide.shape[1],) * 2))[0]
    curve = correlation_sum(wide, radii, theiler=theiler)
    np.testing.assert_allclose(curve.y, expected, rtol=1e-12)
    assert np.isnan(curve.stderr).all()
    blocks = count_pairs(in_fewest_coordinates(wide), radii, theiler=theiler, n_blocks=7)
    np.testing.assert_allclose(blocks.fraction, expected, rtol=1e-12)
    shares = correlation_sum(wide, radii, theiler=theiler, q=2 + 1e-12)
    if theiler == 0:
        np.testing.assert_allclose(shares.y, expected, rtol=1e-9)


@pytest.mark.parametrize("coordinates", [1, 11])
def test_many_points_in_chunks_are_all_counted(coordinates):
    # More than one chunk of 2048 rows.
    points = np.zeros((5000, coordinates))
    points[:, 0] = np.arange(5000.0)
    curve = correlation_sum(points, [1.5, 2.5])
    np.testing.assert_allclose(curve.y * 5000 * 4999 / 2, [4999, 4999 + 4998])


def test_the_comparison_is_strict_on_lattices():
    # 0.1, 0.2 and 0.3 have no exact binary form, so that differences miss them by rounding.
    tenths = np.arange(11) / 10
    counts = correlation_sum(tenths, [0.1, 0.2, 0.3, 0.35]).y * 55
    np.testing.assert_allclose(counts, [0, 10, 19, 27])


def test_circle_of_a_hundred_points():
    n = 100
    np.testing.assert_allclose(
        correlation_sum(circle(n), [0.07, 0.13]).y, [2 / (n - 1), 4 / (n - 1)]
    )
    expected = np.sqrt([4 * n / (n * (n - 1) ** 2), 16 * n / (n * (n - 1) ** 2)])
    np.testing.assert_allclose(correlation_sum(circle(n), [0.07, 0.13], q=3).y, expected)
    near = correlation_sum(circle(n), [0.1]).y
    assert correlation_sum(circle(n), [0.1], theiler=50).y < near


@pytest.mark.parametrize("q", [2, 2.5, 3, 4.5])
def test_two_points_and_large_radii(q):
    np.testing.assert_array_equal(
        correlation_sum([[0.0, 0.0], [0.5, 0.5]], [0.1, 1.0], q=q).y, [0, 1]
    )
    points = np.random.default_rng(0).normal(size=(200, 3))
    assert correlation_sum(points, [100.0], q=q).y == pytest.approx(1)


def test_resampled_counts_are_those_of_the_points_without_a_pair_of_copies():
    points = np.random.default_rng(0).random((64, 2))
    counts = count_pairs(points, np.array([0.3]), n_blocks=4)
    draws = np.random.default_rng(5).multinomial(4, [0.25] * 4, size=6)
    for drawn, fraction in zip(draws, counts.resample(6, seed=5), strict=True):
        copies = np.repeat(np.arange(4), drawn)
        close = total = 0
        for i, a in enumerate(copies):
            for j, b in enumerate(copies[i:], i):
                if i == j or a != b:
                    block, other = (points[16 * k : 16 * k + 16] for k in (a, b))
                    near = np.linalg.norm(block[:, None] - other, axis=2) < 0.3
                    chosen = np.triu(np.ones((16, 16), bool), 1) if i == j else np.ones((16, 16))
                    close += (near & (chosen > 0)).sum()
                    total += (chosen > 0).sum()
        assert fraction == pytest.approx(close / total)


# Biases of the edge and of 4000 points, and 4 standard errors, stay below 0.06 (0.12 for a square).
KNOWN = {
    "segment": (point_sets.segment, 1.0, 0.06),
    "circle": (point_sets.circle, 1.0, 0.06),
    "square": (point_sets.square, 2.0, 0.12),
    "gasket": (point_sets.sierpinski_gasket, math.log(3) / math.log(2), 0.06),
    "cantor": (point_sets.cantor_set, math.log(2) / math.log(3), 0.06),
    "baker": (point_sets.generalized_baker, 1.5635806, 0.06),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_sets(name):
    sample, dimension, tolerance = KNOWN[name]
    estimate = correlation_dimension(sample(4000, seed=2), theiler=0)
    assert abs(estimate.value - dimension) < tolerance
    assert estimate.ci_low <= dimension <= estimate.ci_high
    assert estimate.stderr < tolerance and estimate.flags == ()
    assert estimate.n_runs == 4000 and (np.diff(estimate.curve.y) >= 0).all()


def test_the_henon_attractor_lies_below_its_surrogate():
    orbit = henon(5000)
    estimate = correlation_dimension(orbit)
    assert 1.1 < estimate.value < 1.3 and estimate.flags == ()
    null = surrogate_dimensions(orbit, estimate)
    assert null["phase-randomised"].value == pytest.approx(2, abs=0.1)
    assert null["phase-randomised"].ci_low > estimate.ci_high


def test_scale_place_and_direction_do_not_matter():
    points = point_sets.sierpinski_gasket(2000, seed=0)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    first = correlation_dimension(points, theiler=0)
    second = correlation_dimension(1e-3 * points @ turn + 7, theiler=0)
    assert second.value == pytest.approx(first.value, abs=1e-6)
    assert second.window[1] == pytest.approx(1e-3 * first.window[1])


def test_fixed_radii_and_window_are_kept():
    radii = np.geomspace(1e-3, 1.0, 31)
    estimate = correlation_dimension(henon(3000), radii=radii, window=(0.01, 0.11))
    np.testing.assert_array_equal(estimate.curve.x, radii)
    assert estimate.window == pytest.approx((0.01, 0.1))


def test_the_seed_decides_the_interval_and_not_the_value():
    orbit = henon(2000)
    first, again, other = (correlation_dimension(orbit, seed=seed) for seed in (0, 0, 1))
    assert first.to_dict() == again.to_dict()
    assert first.value == other.value and first.stderr != other.stderr


def has(flags, *words):
    return any(all(word in flag for word in words) for flag in flags)


def test_an_orbit_that_converged_has_dimension_0():
    for points in (
        np.ones((100, 2)),
        np.arange(500) % 3,
        np.exp(-np.arange(2000) / 10)[:, None] * [1, 1],
    ):
        estimate = correlation_dimension(points)
        assert (estimate.value, estimate.ci_low, estimate.ci_high) == (0, 0, 0)
        assert has(estimate.flags, "converged or periodic")


def test_a_few_duplicates_are_a_flag():
    orbit = henon(3000)
    estimate = correlation_dimension(np.concatenate([orbit, orbit[:5]]))
    assert estimate.value == pytest.approx(1.2, abs=0.1)
    assert has(estimate.flags, "5 pairs of points are the same")


def test_a_curve_that_never_returns_is_flagged():
    straight = np.arange(3000)[:, None] * [1.0, 2.0, 3.0]
    assert has(correlation_dimension(straight).flags, "does not return")
    # Even if pairs that follow each other are left in.
    assert has(correlation_dimension(straight, theiler=1).flags, "does not return")
    assert correlation_dimension(straight, theiler=0).value == pytest.approx(1, abs=0.02)
    descent = np.exp(-np.arange(2000) / 500)[:, None] * [1.0, 0.5]
    assert has(correlation_dimension(descent).flags, "does not return")


def test_noise_with_a_memory_is_flagged():
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(5000, 2)), axis=0)
    assert has(correlation_dimension(walk).flags, "not told apart from noise")
    assert has(correlation_dimension(rng.random((3000, 2))).flags, "not told apart from noise")


def test_what_points_cannot_show_has_no_value_or_a_flag():
    rng = np.random.default_rng(0)
    ball = correlation_dimension(rng.normal(size=(1000, 10)), theiler=0)
    assert math.isnan(ball.value) and has(ball.flags, "1000 points cannot show", "above 6.0")
    assert len(ball.curve)
    assert has(correlation_dimension(henon(150)).flags, "are few for a dimension")
    few = correlation_dimension(henon(19))
    assert math.isnan(few.value) and has(few.flags, "there are 19 points")
    none = correlation_dimension(henon(30))
    assert math.isnan(none.value) and has(none.flags, "radii can be fitted")


def test_a_level_curve_is_no_dimension_in_silence():
    # A closed curve that is passed again and again at points close to the first ones.
    t = np.arange(3000) / 15
    knot = np.stack([np.cos(t), np.sin(t), np.cos(1.55 * t), np.sin(1.55 * t)], axis=1)
    estimate = correlation_dimension(knot)
    assert estimate.value >= 0 and has(estimate.flags, "no single scaling region")


BAD = [
    ({"points": [[0.0, np.nan], [1.0, 1.0]]}, "not finite in 1 of 2 rows"),
    ({"points": [[0.0, 1e300], [1.0, 1.0]]}, "as large as 1e.300.*overflow"),
    ({"points": [[0.0], [np.inf]]}, "not finite"),
    ({"points": [["a"], ["b"]]}, "real numbers"),
    ({"points": np.zeros((2, 2), complex)}, "real numbers"),
    ({"points": [1.0]}, "at least two rows"),
    ({"points": np.zeros((3, 0))}, "one row of coordinates"),
    ({"points": np.zeros((3, 2, 2))}, "one row of coordinates"),
    ({"radii": [0.2, 0.1]}, "ascending"),
    ({"radii": [0.1, 0.1]}, "ascending"),
    ({"radii": [-0.1, 0.1]}, "positive"),
    ({"radii": [0.1, np.inf]}, "finite"),
    ({"radii": []}, "at least one radius"),
    ({"theiler": -1}, "theiler=-1"),
    ({"theiler": 99}, "theiler=99"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_misuse_is_one_sentence(arguments, message):
    both = {"points": np.random.default_rng(0).random((100, 2)), "radii": [0.1, 0.2]} | arguments
    points = both.pop("points")
    for function in (correlation_sum, correlation_dimension):
        with pytest.raises(ValueError, match=message) as caught:
            function(points, **both)
        assert "\n" not in str(caught.value)


def test_misuse_of_one_of_them():
    points = np.random.default_rng(0).random((100, 2))
    for q in (1, 0.5, math.nan, math.inf):
        with pytest.raises(ValueError, match="q="):
            correlation_sum(points, [0.1], q=q)
    for window in ((0.2, 0.1), (0, 1), (0.1, math.nan)):
        with pytest.raises(ValueError, match="window="):
            correlation_dimension(points, window=window)
    with pytest.raises(ValueError, match="n_resamples=1"):
        correlation_dimension(points, n_resamples=1)


def test_memory_of_an_orbit():
    assert theiler_window(henon(2000)) == 1
    assert theiler_window(np.random.default_rng(0).random((500, 3))) == 1
    # The cosine falls below 1/e after 1.19 rad, here 12 steps; the sampled one after 13 at most.
    assert 36 <= theiler_window(np.sin(np.arange(1000) / 10)) <= 39
    assert theiler_window(np.arange(1000.0)) == 100
    assert theiler_window(np.ones(50)) == 1


def test_embedding():
    rows = np.arange(12.0).reshape(6, 2)
    np.testing.assert_array_equal(
        delay_embedding(rows, 2, 3), np.concatenate([rows[:3], rows[3:]], axis=1)
    )
    np.testing.assert_array_equal(delay_embedding(rows, 1), rows)
    for n_delays, lag in ((0, 1), (2, 0), (6, 1), (2, 5)):
        with pytest.raises(ValueError, match="n_delays="):
            delay_embedding(rows, n_delays, lag)
    assert as_points([True, False]).dtype == np.float64


def test_fewer_coordinates_keep_distances():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 500))
    less = in_fewest_coordinates(points)
    assert less.shape == (20, 20)
    for i, j in ((0, 1), (3, 17)):
        expected = np.linalg.norm(points[i] - points[j])
        assert np.linalg.norm(less[i] - less[j]) == pytest.approx(expected, rel=1e-12)


COPIES = 40
CALIBRATED = {
    "square": (point_sets.square, 2.0, 0.05),
    "circle": (point_sets.circle, 1.0, 0.02),
    "gasket": (point_sets.sierpinski_gasket, math.log(3) / math.log(2), 0.05),
    "baker": (point_sets.generalized_baker, 1.5635806, 0.05),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALIBRATED)
def test_intervals_hold_the_dimension_of_independent_copies(name):
    sample, dimension, widest = CALIBRATED[name]
    estimates = [correlation_dimension(sample(5000, seed=s), theiler=0) for s in range(COPIES)]
    held = sum(e.ci_low <= dimension <= e.ci_high for e in estimates)
    assert held >= 0.9 * COPIES
    half_width = np.median([(e.ci_high - e.ci_low) / 2 for e in estimates])
    assert half_width < widest


@pytest.mark.slow
def test_intervals_hold_the_dimension_of_independent_orbits():
    # Published 1.220 +- 0.036; the mean of long orbits is 1.20.
    estimates = [correlation_dimension(henon(5000, seed=s)) for s in range(COPIES)]
    held = sum(e.ci_low <= 1.21 <= e.ci_high for e in estimates)
    assert held >= 0.9 * COPIES
    assert np.median([(e.ci_high - e.ci_low) / 2 for e in estimates]) < 0.08
    assert not any("noise" in flag or "return" in flag for e in estimates for flag in e.flags)


def test_a_large_constant_changes_nothing_and_a_thin_axis_is_flagged():
    points = henon(1500)
    expected = correlation_dimension(points)
    beside = np.column_stack([points, np.full(1500, 1e12)])
    assert correlation_dimension(beside).value == expected.value
    flags = correlation_dimension(points * [1, 1e6]).flags
    assert any("1 of 2 coordinates varies by less than the smallest scale" in f for f in flags)


def test_only_the_surrogate_that_judges_is_made(monkeypatch):
    made = []
    for name in ("phase_randomised", "random_walk"):
        original = getattr(correlations, name)

        def spy(points, *, seed, name=name, original=original):
            made.append(name)
            return original(points, seed=seed)

        monkeypatch.setattr(correlations, name, spy)
    points = henon(800)
    estimate = correlation_dimension(points)
    assert made == ["phase_randomised"]
    assert surrogate_dimensions(points, estimate).keys() == {"phase-randomised", "random walk"}
    assert made == ["phase_randomised", "phase_randomised", "random_walk"]
