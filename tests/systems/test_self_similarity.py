"""Generalized dimensions of self-similar measures against closed forms."""

import math

import numpy as np
import pytest

from dynfrac.systems.self_similarity import self_similar_dimension


@pytest.mark.parametrize("q", [-3.0, 0.0, 0.5, 1.0, 2.0, 7.0])
def test_equal_pieces_have_one_dimension(q):
    assert self_similar_dimension([0.2] * 3, q=q) == pytest.approx(
        math.log(3) / math.log(5), abs=1e-12
    )


@pytest.mark.parametrize("q", [-2.0, 0.0, 0.5, 2.0, 5.0])
def test_pieces_of_one_size_and_any_weights_have_the_renyi_entropy_over_the_log_size(q):
    weights = np.array([0.7, 0.2, 0.1])
    renyi = math.log((weights**q).sum()) / (1 - q)
    expected = renyi / math.log(4)
    assert self_similar_dimension([0.25] * 3, weights, q) == pytest.approx(expected, abs=1e-12)


def test_sizes_for_which_moran_can_be_solved_by_hand():
    # x + x^2 = 1 with x = 2^-D: the golden mean.
    golden = math.log((1 + math.sqrt(5)) / 2) / math.log(2)
    assert self_similar_dimension([0.5, 0.25]) == pytest.approx(golden, abs=1e-13)
    assert self_similar_dimension([0.3, 0.7]) == pytest.approx(1, abs=1e-13)


def test_weights_that_fit_the_sizes_make_every_dimension_the_same():
    ratios = np.array([0.5, 0.2, 0.1])
    dimension = self_similar_dimension(ratios)
    for q in (-1.0, 1.0, 2.0):
        assert self_similar_dimension(ratios, ratios**dimension, q) == pytest.approx(
            dimension, abs=1e-12
        )


def test_dimensions_fall_with_q_and_have_no_jump_at_one():
    args = [0.25, 0.35], [0.4, 0.6]
    q = np.linspace(-4, 6, 41)
    dimensions = [self_similar_dimension(*args, value) for value in q]
    assert np.all(np.diff(dimensions) < 0)
    around = [self_similar_dimension(*args, 1 + shift) for shift in (-1e-5, 0, 1e-5)]
    assert around[0] - around[2] == pytest.approx(0, abs=1e-6)
    assert around[1] == pytest.approx((around[0] + around[2]) / 2, abs=1e-9)


@pytest.mark.parametrize(
    ("ratios", "weights", "words"),
    [
        ([0.5], None, "two or more"),
        ([0.5, 1.0], None, "between 0 and 1"),
        ([0.5, -0.1], None, "between 0 and 1"),
        ([0.5, 0.1], [0.5, 0.4], "sum 1"),
        ([0.5, 0.1], [1.5, -0.5], "positive"),
        ([0.5, 0.1], [1.0], "2 positive ones"),
    ],
)
def test_what_is_no_measure_is_refused(ratios, weights, words):
    with pytest.raises(ValueError, match=words):
        self_similar_dimension(ratios, weights)


def test_orders_next_to_one_are_continuous():
    ratios, weights = [0.25, 0.35], [0.4, 0.6]
    information = self_similar_dimension(ratios, weights, 1)
    for step in (1e-12, 1e-9, 1e-6, 1e-4):
        for q in (1 - step, 1 + step):
            # The slope of D_q in q is -0.0047 here; the rest is the root's.
            difference = self_similar_dimension(ratios, weights, q) - information
            assert difference == pytest.approx(-0.00466 * (q - 1), abs=2e-8)
