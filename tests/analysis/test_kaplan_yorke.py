"""Kaplan-Yorke dimension: conventions of the field, intervals, errors."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from dynfrac.analysis.kaplan_yorke import kaplan_yorke_dimension


@pytest.mark.parametrize(
    ("exponents", "expected"),
    [
        ([1, -1, -1], 2),
        ([1, 1, -0.5], 3),
        ([1, 1, 1], 3),
        ([-0.5, -1], 0),
        ([0.2, 0.1], 2),
        ([-0.1, -1], 0),
        ([0.5, -1.0], 1.5),
        ([0, -1], 1),
        ([math.log(2), math.log(0.2)], 1 + math.log(2) / math.log(5)),
        ([0.906, 0.0, -14.572], 2.062174),
        ([0.5, -math.inf], 1),
    ],
)
def test_complete_spectra(exponents, expected):
    dimension = kaplan_yorke_dimension(exponents)
    assert float(dimension) == pytest.approx(expected, abs=1e-6)
    assert dimension.low == dimension.value == dimension.high


def test_order_does_not_matter():
    assert float(kaplan_yorke_dimension([-1.0, 0.5])) == 1.5


def test_a_partial_spectrum_whose_sum_turned_negative_is_exact():
    assert float(kaplan_yorke_dimension([0.5, -1.0], d_total=100)) == 1.5
    assert float(kaplan_yorke_dimension([-0.1], d_total=100)) == 0


def test_a_partial_spectrum_otherwise_gives_an_interval():
    growing = kaplan_yorke_dimension([0.5, 0.1], d_total=7)
    assert math.isnan(growing.value) and (growing.low, growing.high) == (2, 7)
    assert "only bounded" in growing.flags[0]
    # No later exponent exceeds -0.1, and S_3 = 0.5: five more at most.
    falling = kaplan_yorke_dimension([0.5, 0.1, -0.1], d_total=100)
    assert math.isnan(falling.value) and falling.low == 3
    assert falling.high == pytest.approx(8)
    assert kaplan_yorke_dimension([0.5, 0.1, -0.1], d_total=5).high == 5


@given(
    st.lists(st.floats(-3, 3, allow_subnormal=False), min_size=2, max_size=8),
    st.integers(1, 7),
)
def test_the_interval_of_a_partial_spectrum_contains_the_full_dimension(exponents, k):
    full = np.sort(exponents)[::-1]
    k = min(k, len(full))
    partial = kaplan_yorke_dimension(full[:k], d_total=len(full))
    value = float(kaplan_yorke_dimension(full))
    assert partial.low - 1e-9 <= value <= partial.high + 1e-9


@given(
    st.lists(st.floats(-3, 3, allow_subnormal=False), min_size=1, max_size=6),
    st.integers(0, 5),
    st.floats(0, 1),
)
def test_the_dimension_never_falls_when_an_exponent_grows(exponents, i, growth):
    more = list(exponents)
    more[i % len(more)] += growth
    before, after = (float(kaplan_yorke_dimension(x)) for x in (exponents, more))
    assert after >= before - 1e-9


def test_errors_give_an_interval_of_two_sigma():
    dimension = kaplan_yorke_dimension([0.42, -1.62], stderr=[0.001, 0.001])
    # dD/dl_1 = 1 / 1.62 and dD/dl_2 = 0.42 / 1.62^2, times 1.96 standard errors each.
    half = 1.96 * 0.001 * (1 / 1.62 + 0.42 / 1.62**2)
    assert dimension.high - dimension.value == pytest.approx(half, rel=0.01)
    assert dimension.value - dimension.low == pytest.approx(half, rel=0.01)
    assert not dimension.flags


def test_errors_that_reach_the_next_integer_are_flagged():
    dimension = kaplan_yorke_dimension([0.5, 0.001, -1.0], stderr=[0.01, 0.3, 0.01])
    assert dimension.low < 2 < dimension.high
    assert any("other integers" in flag for flag in dimension.flags)


def noise(n, seed, k=2):
    return np.random.default_rng(seed).standard_normal((n, k))


def test_increments_whose_errors_cancel_have_a_narrower_interval():
    # Two exponents of a constant sum, as of a map with constant Jacobian.
    first = 0.42 + 0.3 * noise(10_000, 1)[:, 0]
    rows = np.stack([first, -1.2 - first], axis=1)
    means = rows.mean(axis=0)
    dimension = kaplan_yorke_dimension(means, increments=[rows])
    # D = 1 + l / (1.2 + l), so dD/dl = 1.2 / (1.2 + l)^2.
    error = 0.3 / 100 * 1.2 / 1.62**2
    assert dimension.stderr == pytest.approx(error, rel=0.1)
    assert dimension.high - dimension.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    apart = kaplan_yorke_dimension(means, stderr=[0.003, 0.003])
    assert apart.high - apart.low > 1.5 * (dimension.high - dimension.low)


def test_blocks_see_the_correlations_of_increments():
    steps = noise(40_000, 2, 1)[:, 0]
    # Sums of 20 successive values: errors are 20 / sqrt(20) times those of independent ones.
    slow = np.convolve(steps, np.ones(20) / math.sqrt(20), mode="valid")
    rows = np.stack([0.4 + 0.1 * slow, np.full(len(slow), -1.0)], axis=1)
    dimension = kaplan_yorke_dimension(rows.mean(axis=0), increments=[rows])
    naive = 0.1 / math.sqrt(len(slow))
    assert dimension.stderr == pytest.approx(naive * math.sqrt(20), rel=0.2)


def test_the_interval_from_increments_covers_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        rows = [0.42, -1.62] + 0.3 * noise(900, 100 + seed)
        dimension = kaplan_yorke_dimension(rows.mean(axis=0), increments=[rows])
        hits += dimension.low < 1 + 0.42 / 1.62 < dimension.high
    # 190 expected, plus or minus 3; thirty blocks know their scatter to 13 %, which costs a few.
    assert 180 <= hits <= 198


def test_several_orbits_share_one_interval():
    rows = [[0.42, -1.62] + 0.3 * noise(2500, seed) for seed in range(4)]
    means = np.concatenate(rows).mean(axis=0)
    one = kaplan_yorke_dimension(rows[0].mean(axis=0), increments=rows[:1])
    four = kaplan_yorke_dimension(means, increments=rows)
    assert four.stderr == pytest.approx(one.stderr / 2, rel=0.25)


def test_resamples_between_other_integers_are_flagged():
    # S_3 is zero within the errors, and a fourth exponent is known.
    rows = [0.5, 0.5, -1.0, -2.0] + 0.3 * noise(1000, 3, 4)
    dimension = kaplan_yorke_dimension(rows.mean(axis=0), increments=[rows])
    assert dimension.low < 3 < dimension.high
    assert any("other integers" in flag for flag in dimension.flags)
    far = kaplan_yorke_dimension([0.5, 0.2, -1.0, -2.0], increments=[rows])
    assert not far.flags


def test_few_increments_fall_back_to_standard_errors():
    rows = [0.42, -1.62] + 0.01 * noise(100, 5)
    given = kaplan_yorke_dimension([0.42, -1.62], stderr=[0.001, 0.001], increments=[rows])
    assert given == kaplan_yorke_dimension([0.42, -1.62], stderr=[0.001, 0.001])


def test_a_known_total_raises_the_lower_bound():
    bound = kaplan_yorke_dimension([0.5, 0.1], d_total=10, total=-5.0)
    assert bound.low == pytest.approx(2 + 0.6 * 8 / 5.6) and bound.high == 10
    assert kaplan_yorke_dimension([0.5, 0.1], d_total=10, total=-math.inf).low == 2
    # A sum that is not negative leaves no room for a crossing.
    assert float(kaplan_yorke_dimension([0.5, 0.1], d_total=10, total=0.3)) == 10
    # Determined without it.
    assert float(kaplan_yorke_dimension([0.5, -1.0], d_total=10, total=-5.0)) == 1.5


@given(st.lists(st.floats(-3, 3, allow_subnormal=False), min_size=2, max_size=8), st.integers(1, 7))
def test_the_interval_with_a_known_total_contains_the_full_dimension(exponents, k):
    full = np.sort(exponents)[::-1]
    k = min(k, len(full))
    partial = kaplan_yorke_dimension(full[:k], d_total=len(full), total=float(full.sum()))
    value = float(kaplan_yorke_dimension(full))
    assert partial.low - 1e-6 <= value <= partial.high + 1e-6
    plain = kaplan_yorke_dimension(full[:k], d_total=len(full))
    assert partial.low >= plain.low


def test_a_settled_orbit_is_flagged():
    assert "trivially 0" in kaplan_yorke_dimension([-0.1, -1.0]).flags[0]


def test_no_exponents_no_dimension():
    dimension = kaplan_yorke_dimension([math.nan, math.nan])
    assert math.isnan(dimension.value) and math.isnan(dimension.low)
    assert "not a number" in dimension.flags[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "exponents has shape"),
        (([0.1, -1.0], 1), "d_total=1 is less than"),
        (([0.1, -1.0], 2, [0.1]), "stderr="),
        (([0.1, -1.0], 2, [0.1, -0.1]), "stderr="),
    ],
)
def test_misuse_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        kaplan_yorke_dimension(*arguments)
    with pytest.raises(ValueError, match=r"increments has shape \(10, 3\)"):
        kaplan_yorke_dimension([0.1, -1.0], increments=[np.zeros((10, 3))])
