"""Statistics of paired seeds against scipy, closed forms and simulated truth."""

import math

import numpy as np
import pytest
from scipy import stats

from dynfrac.studies.paired_statistics import (
    describe_differences,
    equivalence,
    power_statement,
    slopes,
)


def test_the_interval_is_student_s():
    values = np.random.default_rng(4).normal(0.1, 0.2, 9)
    found = describe_differences([*values, math.nan])
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(reference))
    assert found.n_pairs == 9 and found.mean == pytest.approx(values.mean())
    # A percentile bootstrap of 9 values is narrower than Student's interval, by about a fifth.
    width = (found.bootstrap_high - found.bootstrap_low) / (found.ci_high - found.ci_low)
    assert 0.65 < width < 0.95


def test_intervals_cover_in_the_long_run():
    rng = np.random.default_rng(8)
    found = [describe_differences(rng.normal(0.3, 0.2, 4)) for _ in range(400)]
    covered = np.mean([one.ci_low <= 0.3 <= one.ci_high for one in found])
    assert abs(covered - 0.95) < 0.033  # three standard errors of a share of 400


def test_sign_and_permutation_tests_count_what_is_possible():
    found = describe_differences([0.1, 0.2, 0.3, 0.4])
    assert found.permutation_p == 2 / 2**4  # all of one sign, either way round
    assert found.sign_p == 2 / 2**4
    mixed = describe_differences([0.1, -0.1])
    assert mixed.permutation_p == 1 and mixed.sign_p == 1
    many = describe_differences(np.full(20, 0.1) + 0.01 * np.arange(20))
    assert many.permutation_p < 0.01


def test_fewer_than_two_pairs_say_nothing():
    for values in ([], [0.3], [math.nan, 0.3, math.nan]):
        found = describe_differences(values)
        assert found.n_pairs == np.isfinite(values).sum()
        assert math.isnan(found.mean) and math.isnan(found.ci_low)


def test_the_power_statement_is_the_formula_and_does_what_it_says():
    values = np.array([-1.0, 1.0, -1.0, 1.0, 0.0])
    values *= 0.15 / values.std(ddof=1)
    power = power_statement(describe_differences(values))
    assert power.measured and power.pairs == 20
    assert power.pairs_low < power.pairs < power.pairs_high
    assert "20 paired seeds would see" in power.sentence
    rng = np.random.default_rng(1)
    trials = rng.normal(0.1, 0.15, (4000, power.pairs))
    seen = np.mean(stats.ttest_1samp(trials, 0, axis=1).pvalue < 0.05)
    assert abs(seen - 0.8) < 0.03


@pytest.mark.parametrize("n", [2, 3, 4, 8])
def test_the_pairs_at_hand_see_what_is_called_detectable(n):
    values = np.arange(n) - (n - 1) / 2
    values *= 0.15 / values.std(ddof=1)
    power = power_statement(describe_differences(values))
    trials = np.random.default_rng(n).normal(power.detectable, 0.15, (20_000, n))
    seen = np.mean(stats.ttest_1samp(trials, 0, axis=1).pvalue < 0.05)
    assert abs(seen - 0.8) < 0.01  # three standard errors of a share of 20,000


@pytest.mark.parametrize("spread", [0.02, 0.05, 0.3, 2.0])
def test_the_number_of_pairs_is_the_least_that_has_the_power(spread):
    n = power_statement(describe_differences([-spread / 2**0.5, spread / 2**0.5])).pairs

    def power(n):
        limit, shift = stats.t.ppf(0.975, n - 1), 0.1 / spread * n**0.5
        return stats.nct.sf(limit, n - 1, shift)

    # Up to the other tail, which is nothing, and from 1000 pairs on to one in a thousand.
    assert power(n) > 0.8 - 2e-4 and (n == 2 or power(n - 1) < 0.8 + 2e-4)


def test_without_a_spread_the_power_statement_is_that_of_networks_elsewhere():
    for values in ([], [0.1], [0.1, 0.1]):
        power = power_statement(describe_differences(values))
        assert not power.measured
        assert (power.pairs_low, power.pairs, power.pairs_high) == (10, 20, 73)
        assert "no spread could be measured" in power.sentence


def test_equivalence_needs_the_whole_interval_within_the_margin():
    found = describe_differences([0.02, -0.01, 0.03, 0.0, 0.01])
    reference = stats.ttest_1samp([0.02, -0.01, 0.03, 0.0, 0.01], 0).confidence_interval(0.9)
    wide, narrow = equivalence(found, 0.05), equivalence(found, 0.02)
    assert (wide.ci_low, wide.ci_high) == pytest.approx(tuple(reference))
    assert wide.equivalent and not narrow.equivalent
    assert not equivalence(describe_differences([0.0]), 1.0).equivalent
    for margin in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="is no margin"):
            equivalence(found, margin)


def test_slopes_need_every_level():
    levels = [1.0, 0.5, 0.0]
    rows = [[3.0, 2.0, 1.0], [1.0, 5.0, 1.0], [3.0, math.nan, 1.0]]
    np.testing.assert_allclose(slopes(levels, rows), [2.0, 0.0, math.nan], atol=1e-12)
