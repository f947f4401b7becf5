"""Stratified pairs: counting, weighting, planning, and what their fits say."""

import dataclasses
import math
import tracemalloc

import numpy as np
import pytest

from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pair_fits import dimension_estimate, resample, scale_dimensions
from dynfrac.boundaries.pairs import LARGEST, Pairs, Round, draw_pairs
from dynfrac.orbits.axes import Axis

SQUARE = [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)]
BENT = [0.09 / 2 ** (0.2 * k) if k < 5 else 0.09 / 2 ** (1 + 0.8 * (k - 5)) for k in range(10)]


def disc(points):
    return ((points - 0.5) ** 2).sum(axis=1) < 0.1


def stripes(points):
    # A Cantor set of dimension 0.9 across the stripes: 0.463 = 2^(-1/0.9).
    u, label = points[:, 0].copy(), np.zeros(len(points), int)
    for t in range(60):
        inside = (u >= 0) & (u <= 1)
        label[inside] = t
        u = np.where(inside, np.minimum(u, 1 - u) / 0.463, -1.0)
    return label % 2


def made(f, n):
    """Return pairs in one stratum whose fractions are f at n centres."""
    hits = np.arange(n) < np.round(np.asarray(f) * n)[:, None]
    # Shuffled, so that distances do not share their hits.
    hits = np.random.default_rng(0).permuted(hits, axis=1)
    part = Round(np.zeros(n, int), np.arange(len(f)), hits)
    scales = LARGEST * 2.0 ** -np.arange(len(f))
    return Pairs(scales, np.array([1.0, 0.0, 0.0]), (part,), n * (len(f) + 1), 2)


def test_strata_are_weighted_by_their_volumes():
    first = Round(
        np.array([0, 0, 1, 1, 1, 1]),
        np.array([0, 1]),
        np.array([[1, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]], bool),
    )
    second = Round(np.array([0, 0]), np.array([1]), np.array([[1, 1]], bool))
    pairs = Pairs(np.array([0.1, 0.05, 0.025]), np.array([0.2, 0.8, 0.0]), (first, second), 99, 2)
    f = pairs.fractions()[0]
    # Stratum 0: 1 of 2, then 3 of 4; stratum 1: 1 of 4, then 0 of 4.
    np.testing.assert_allclose(f[:2], [0.2 * 0.5 + 0.8 * 0.25, 0.2 * 0.75])
    assert math.isnan(f[2])


def test_a_weight_counts_a_centre_as_often_as_it_says():
    part = Round(np.zeros(4, int), np.array([0]), np.array([[True, False, False, True]]))
    pairs = Pairs(np.array([0.1]), np.array([1.0, 0.0, 0.0]), (part,), 8, 2)
    assert pairs.fractions([np.array([[3.0, 0.0, 1.0, 0.0]])])[0, 0] == pytest.approx(0.75)


def test_fractions_are_unbiased_although_the_pilot_misses_a_strip():
    # Thinner than a cell of the pilot, and between its nodes: every cell looks empty.
    def strip(points):
        return abs(points[:, 0] - 0.5078125) < 0.003

    pairs = draw_pairs(Oracle(strip, SQUARE, budget=60_000), seed=2)
    assert pairs.volumes[0] == 0
    thin = np.flatnonzero((pairs.scales < 0.006) & (pairs.counts()[0][0].sum(axis=0) > 10))
    assert len(thin) >= 2
    error = resample(pairs, seed=0)[:, thin].std(axis=0)
    # A chord of length eps crosses each of the two edges with probability 2 eps / pi.
    expected = 2 * 2 * pairs.scales[thin] / math.pi
    assert np.all(abs(pairs.fractions()[0][thin] - expected) < 4 * error)


def test_the_crossing_rate_of_a_straight_line_is_that_of_buffon():
    pairs = draw_pairs(Oracle(lambda p: p[:, 0] > 0.4321, SQUARE, budget=40_000), seed=1)
    known = np.flatnonzero(pairs.counts()[0][0].sum(axis=0) > 20)
    assert len(known) >= 4
    error = resample(pairs, seed=0)[:, known].std(axis=0)
    expected = 2 * pairs.scales[known] / math.pi
    assert np.all(abs(pairs.fractions()[0][known] - expected) < 4 * error)


@pytest.mark.parametrize("budget", [500, 3000, 20_000])
def test_the_budget_is_kept_and_used(budget):
    oracle = Oracle(disc, SQUARE, budget=budget)
    pairs = draw_pairs(oracle, seed=0)
    assert pairs.n_labels == oracle.used <= budget
    assert oracle.used > 0.6 * budget


def test_the_same_seed_gives_the_same_pairs_and_another_one_others():
    drawn = [draw_pairs(Oracle(disc, SQUARE, budget=5000), seed=s).fractions() for s in (4, 4, 5)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_a_rough_boundary_is_followed_deeper_than_a_smooth_one():
    depths = []
    for labels in (disc, stripes):
        pairs = draw_pairs(Oracle(labels, SQUARE, budget=30_000), seed=0)
        depths.append(int(np.sum(pairs.counts()[0][0].sum(axis=0) >= 30)))
    assert depths[0] < 8 and depths[1] > 2 * depths[0]


def test_too_narrow_a_window_is_refused():
    narrow = [Axis("x", 1.0, 1.0 + 1e-11, scale="linear")]
    oracle = Oracle(lambda p: p[:, 0] > 1, narrow, budget=1000)
    with pytest.raises(ValueError, match="widen the window"):
        draw_pairs(oracle, seed=0)


# Fits


def test_a_power_law_is_read_as_it_is():
    estimate = dimension_estimate(made(0.08 * 2.0 ** (-0.5 * np.arange(8)), 40_000), seed=0)
    assert estimate.value == pytest.approx(1.5, abs=2e-3)
    assert estimate.window == pytest.approx((LARGEST / 128, LARGEST))
    assert estimate.flags == ()


def test_large_fractions_are_left_out():
    f = [0.4, 0.3, 0.2, *(0.08 * 2.0 ** (-0.5 * np.arange(6)))]
    estimate = dimension_estimate(made(f, 40_000), seed=0)
    assert estimate.window[1] == pytest.approx(LARGEST / 8)
    assert estimate.value == pytest.approx(1.5, abs=2e-3)


def test_the_error_is_that_of_independent_pairs_where_they_are_independent():
    f = 0.08 * 2.0 ** (-0.5 * np.arange(8))
    n = 20_000
    estimate = dimension_estimate(made(f, n), seed=0)
    x = np.log(2.0 ** np.arange(8))
    weights = n * f / (1 - f)
    centre = np.average(x, weights=weights)
    expected = 1 / math.sqrt(np.sum(weights * (x - centre) ** 2))
    # 400 resamples know a standard deviation to 4 %.
    assert 0.88 * expected < estimate.stderr < 1.4 * expected


def test_resamples_are_those_of_all_weights_at_once_in_a_fraction_of_their_memory():
    pairs = made(0.08 * 2.0 ** (-0.5 * np.arange(4)), 40_000)
    pairs = dataclasses.replace(pairs, rounds=(*pairs.rounds, *made(np.full(4, 0.1), 700).rounds))
    rng = np.random.default_rng([3, 1])
    weights = [rng.poisson(1.0, (400, len(part.strata))) for part in pairs.rounds]
    tracemalloc.start()
    resampled = resample(pairs, seed=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(resampled, pairs.fractions(weights))
    assert peak < 0.2 * sum(weight.nbytes for weight in weights)


def test_resamples_that_are_there_are_not_drawn_again():
    pairs = made(BENT, 20_000)
    drawn = {"seed": 0, "resampled": resample(pairs, seed=0)}
    for read in (dimension_estimate, scale_dimensions):
        assert read(pairs, **drawn).to_dict() == read(pairs, seed=0).to_dict()
    drawn["resampled"] = drawn["resampled"][:1].repeat(400, axis=0)
    assert dimension_estimate(pairs, **drawn).curve.stderr.max() < 1e-12
    assert scale_dimensions(pairs, **drawn).stderr.max() < 1e-12


def test_two_regions_of_scale_are_flagged():
    estimate = dimension_estimate(made(BENT, 40_000), seed=0)
    assert any("no single scaling region" in flag for flag in estimate.flags)


def test_scale_dimensions_follow_the_local_slope():
    curve = scale_dimensions(made(BENT, 40_000), seed=0)
    assert np.all(np.diff(curve.x) > 0)
    np.testing.assert_allclose(curve.y[:3], 1.2, atol=0.02)
    np.testing.assert_allclose(curve.y[-3:], 1.8, atol=0.02)
    assert np.all(curve.stderr > 0)


def test_a_bend_near_one_end_is_flagged_with_its_place():
    # Four octaves of slope 0.8 above fourteen of slope 0.1: the halves would look alike.
    steps = np.array([0.8] * 4 + [0.1] * 14)
    f = 0.09 * 2.0 ** -np.concatenate([[0], np.cumsum(steps)])
    estimate = dimension_estimate(made(f, 20_000), seed=0)
    (flag,) = (flag for flag in estimate.flags if "no single scaling region" in flag)
    assert "1.90 below" in flag
    assert f"above {LARGEST / 16:.2g} of the window" in flag


def test_distances_that_were_left_out_widen_the_windows_of_the_local_slopes():
    f = 0.09 * 2.0 ** (-0.5 * np.arange(13))
    pairs = made(f, 40_000)
    every_third = np.arange(0, 13, 3)
    part = pairs.rounds[0]
    sparse = dataclasses.replace(
        pairs, rounds=(Round(part.strata, every_third, part.hits[every_third]),)
    )
    curve = scale_dimensions(sparse, seed=0)
    np.testing.assert_allclose(curve.x, pairs.scales[every_third[:-1]][::-1] / 2**1.5)
    np.testing.assert_allclose(curve.y, 1.5, atol=0.03)


def test_few_pairs_make_a_fit_with_a_flag_and_fewer_none():
    f = 0.09 * 2.0 ** (-0.5 * np.arange(6))
    assert dimension_estimate(made(f, 1000), seed=0).flags == ()
    (flag,) = dimension_estimate(made(f, 170), seed=0).flags
    assert "disagreeing pairs" in flag
    missing = dimension_estimate(made(f, 60), seed=0)
    assert not missing.has_value and "raise the budget" in missing.flags[0]


def test_a_small_budget_skips_octaves_and_a_large_one_does_not():
    asked = []
    for budget in (3000, 60_000):
        pairs = draw_pairs(Oracle(stripes, SQUARE, budget=budget), seed=0)
        asked.append(np.isfinite(pairs.fractions()[0]))
    assert asked[0].sum() < 0.6 * (np.ptp(np.flatnonzero(asked[0])) + 1)
    # All octaves, but for the scouts of the first round.
    assert asked[1].sum() >= np.ptp(np.flatnonzero(asked[1])) - 3 >= 16


def test_three_thousand_labels_are_enough_for_a_rough_idea():
    estimates = [
        dimension_estimate(draw_pairs(Oracle(disc, SQUARE, budget=3000), seed=seed), seed=seed)
        for seed in range(12)
    ]
    known = [estimate for estimate in estimates if estimate.has_value]
    assert len(known) >= 10
    # Of 12 intervals of 95 %, fewer than 9 hold the value once in a thousand times.
    assert sum(e.ci_low <= 1 <= e.ci_high for e in known) >= len(known) - 3
    assert np.median([estimate.stderr for estimate in known]) < 0.3


@pytest.mark.parametrize("budget", [1000, 5000, 20_000])
def test_a_single_point_of_a_line_has_dimension_zero(budget):
    line = [Axis("x", 0.0, 1.0)]
    estimates = [
        dimension_estimate(draw_pairs(oracle, seed=seed), seed=seed)
        for seed in range(30)
        for oracle in [Oracle(lambda p: p[:, 0] > 0.4321, line, budget=budget)]
    ]
    values = np.array([estimate.value for estimate in estimates])
    assert np.isfinite(values).all()
    assert abs(values.mean()) < 3 * values.std() / 30**0.5 + 0.01
    # Of 30 intervals of 95 %, fewer than 25 hold the value once in three hundred times.
    assert sum(estimate.ci_low <= 0 <= estimate.ci_high for estimate in estimates) >= 25


def test_distances_where_nothing_disagreed_are_part_of_the_fit():
    # Ten draws of a steep f whose last distances have one hit on average: leaving out those that
    # came out with none would read f too flat.
    rng = np.random.default_rng(5)
    f = 0.08 * 2.0 ** (-1.0 * np.arange(9))
    values = []
    for _ in range(60):
        hits = rng.random((9, 1500)) < f[:, None]
        part = Round(np.zeros(1500, int), np.arange(9), hits)
        pairs = Pairs(LARGEST * 2.0 ** -np.arange(9), np.array([1.0, 0.0, 0.0]), (part,), 15_000, 2)
        values.append(dimension_estimate(pairs, seed=0).value)
    # Each has an error of about 0.08, their mean one of 0.01.
    assert abs(np.mean(values) - 1.0) < 0.04


def test_an_imprecise_exponent_is_not_called_noise():
    f = 0.09 * 2.0 ** (-0.3 * np.arange(5))
    estimate = dimension_estimate(made(f, 150), seed=0)
    assert estimate.stderr > 0.15
    assert not any("riddled" in flag for flag in estimate.flags)
    flat = dimension_estimate(made(0.09 * 2.0 ** (-0.01 * np.arange(8)), 20_000), seed=0)
    assert any("riddled" in flag for flag in flat.flags)


@pytest.mark.parametrize("labels", [disc, stripes])
def test_a_given_range_is_measured_whatever_the_boundary_is(labels):
    window = 2.0**-9, 2.0**-5
    pairs = draw_pairs(Oracle(labels, SQUARE, budget=12_000), seed=3, window=window)
    np.testing.assert_array_equal(pairs.scales, 2.0 ** -np.arange(5.0, 10.0))
    assert 11_000 < pairs.n_labels <= 12_000
    assert np.all(pairs.counts()[0][0].sum(axis=0) >= 30)
    estimate = dimension_estimate(pairs, seed=3, window=window)
    expected = {disc: 1.0, stripes: 1.9}[labels]
    assert estimate.window == window and abs(estimate.value - expected) < 4 * estimate.stderr
    assert 0 < estimate.stderr < 0.2


def test_a_given_range_cuts_out_of_a_curve_that_bends_what_it_asks_for():
    pairs = made(BENT, 200_000)
    drawn = {"seed": 0, "resampled": resample(pairs, seed=0, n_resamples=100)}

    def read(largest, smallest):
        window = pairs.scales[smallest], pairs.scales[largest]
        return dimension_estimate(pairs, window=window, **drawn)

    assert [round(read(*ends).value, 2) for ends in ((0, 4), (6, 9))] == [1.8, 1.2]
    # The bootstrap alone: ends of the range that differ are no error of a range that is given.
    assert read(0, -1).stderr < 0.3 * dimension_estimate(pairs, **drawn).stderr
    assert read(0, 2).value == pytest.approx(1.8, abs=0.02)


def test_a_given_range_above_the_bend_is_flagged():
    pairs = made([0.3, 0.22, 0.16], 20_000)
    window = pairs.scales[-1], pairs.scales[0]
    assert "30% of the pairs" in dimension_estimate(pairs, seed=0, window=window).flags[0]


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ((2.0**-5, 2.0**-4), "room for 2 distances"),
        ((0.1, 0.02), "is no range"),
        ((0.0, 0.1), "is no range"),
        ((0.01, 0.5), "reaches beyond 0.25"),
        ((1e-14, 0.06), "beyond the precision"),
    ],
)
def test_what_is_no_range_of_distances_is_refused(window, words):
    with pytest.raises(ValueError, match=words):
        draw_pairs(Oracle(disc, SQUARE, budget=600), seed=0, window=window)
