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
