"""Fathi's bound in the metric of the full shift: counted words, equality and strict inequality."""

import math

import numpy as np
import pytest

from dynfrac import make_map
from dynfrac.boundaries.bounds import two_rate_ceiling

LN = math.log
CENTRE = 12


def distance(x, y, k):
    """Return k^-n for words centred at CENTRE, n the least distance of a difference from it."""
    differences = np.flatnonzero(x != y)
    return k ** -float(np.min(abs(differences - CENTRE))) if len(differences) else 0.0


def test_the_metric_of_the_shift_is_adapted():
    rng, k = np.random.default_rng(0), 1.7
    for _ in range(300):
        x = rng.integers(0, 3, size=2 * CENTRE + 1)
        y = np.where(rng.random(len(x)) < 0.1, rng.integers(0, 3, size=len(x)), x)
        inner = np.flatnonzero(x != y)
        if not len(inner) or not 1 <= np.min(abs(inner - CENTRE)) < CENTRE:
            continue
        forth, back = (distance(np.roll(x, s), np.roll(y, s), k) for s in (-1, 1))
        assert max(forth, back) == pytest.approx(k * distance(x, y, k), rel=1e-12)
        # Lipschitz with the same constant.
        assert min(forth, back) >= distance(x, y, k) / k * (1 - 1e-12)


def counted_dimension(n_symbols, ahead, behind, n):
    """Return the slope of ln(number of words) against ln(1 / eps) over a factor of e^n."""
    lengths = [(s / LN(ahead), s / LN(behind)) for s in (10.0, 10.0 + n)]
    counts = [sum(map(math.floor, pair)) * LN(n_symbols) for pair in lengths]
    return (counts[1] - counts[0]) / n


@pytest.mark.parametrize(("n_symbols", "k"), [(2, 3.0), (3, 2.0), (5, 9.0)])
def test_words_of_the_full_shift_count_to_fathis_bound(n_symbols, k):
    bound = 2 * LN(n_symbols) / LN(k)
    assert two_rate_ceiling(LN(n_symbols), LN(k), LN(k)).value == pytest.approx(bound, abs=1e-12)
    # Word lengths are whole numbers, which is two symbols at most in all.
    assert counted_dimension(n_symbols, k, k, 3000.0) == pytest.approx(bound, abs=2e-3)


@pytest.mark.parametrize(("ahead", "behind"), [(3.0, 5.0), (2.5, 2.0)])
def test_unequal_rates_make_the_bound_with_one_of_them_strict(ahead, behind):
    entropy = LN(2)
    two = two_rate_ceiling(entropy, LN(ahead), LN(behind)).value
    assert counted_dimension(2, ahead, behind, 3000.0) == pytest.approx(two, abs=2e-3)
    assert two < 2 * entropy / LN(min(ahead, behind)) - 1e-2


def test_the_horseshoe_is_a_shift_with_two_rates():
    horseshoe = make_map("horseshoe")
    hparams = {"expansion": 4.0, "contraction": 0.3}
    up, down = horseshoe.exponents(hparams)
    dimension = horseshoe.dimension(hparams)
    assert two_rate_ceiling(LN(2), up, -down).value == pytest.approx(dimension, abs=1e-12)
    assert counted_dimension(2, 4.0, 1 / 0.3, 3000.0) == pytest.approx(dimension, abs=2e-3)


def test_a_power_of_the_metric_divides_both_sides():
    power = 0.4
    plain, other = (counted_dimension(2, k, k, 4000.0) for k in (3.0, 3.0**power))
    assert other == pytest.approx(plain / power, abs=5e-3)
    bounds = [two_rate_ceiling(LN(2), LN(3) * p, LN(3) * p).value for p in (1.0, power)]
    assert bounds[1] == pytest.approx(bounds[0] / power, rel=1e-12)
