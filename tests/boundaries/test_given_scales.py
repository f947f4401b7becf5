"""Pairs over a range of distances that is given: all of it that the budget can measure."""

import numpy as np
import pytest

from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pair_fits import dimension_estimate
from dynfrac.boundaries.pairs import draw_pairs
from dynfrac.orbits.axes import Axis

SQUARE = [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)]
WINDOW = 2.0**-12, 2.0**-3


def disc(points):
    return ((points - 0.5) ** 2).sum(axis=1) < 0.1


def test_a_deep_range_is_measured_at_both_of_its_ends():
    # Left to itself a plan would begin where f is small, and on a smooth boundary end early.
    pairs = draw_pairs(Oracle(disc, SQUARE, budget=30_000), seed=5, window=WINDOW)
    hits, asked = (part[0].sum(axis=0) for part in pairs.counts())
    assert len(pairs.scales) == 10 and np.all(hits >= 10)
    assert asked[-1] > 20 * asked[0]  # most of the budget where little disagrees
    estimate = dimension_estimate(pairs, seed=5, window=WINDOW)
    assert estimate.window == WINDOW and abs(estimate.value - 1) < 0.1


@pytest.mark.parametrize(
    ("window", "budget"), [((2.0**-24, 2.0**-4), 20_000), ((2.0**-16, 2.0**-4), 3000)]
)
def test_a_range_too_deep_for_the_budget_is_measured_as_far_as_it_goes(window, budget):
    for seed in range(4):
        pairs = draw_pairs(Oracle(disc, SQUARE, budget=budget), seed=seed, window=window)
        estimate = dimension_estimate(pairs, seed=seed, window=window)
        hits = pairs.counts()[0][0].sum(axis=0)
        measured = pairs.scales[hits >= 3]
        assert abs(estimate.value - 1) < 4 * estimate.stderr and estimate.stderr < 0.3
        assert estimate.window == (measured[-1], window[1]) and measured[-1] > 4 * window[0]
        assert any("smallest distances of the range" in flag for flag in estimate.flags)
        assert not any("no single scaling region" in flag for flag in estimate.flags)


def test_a_bend_within_five_given_distances_is_seen():
    def labels(points):
        """Stripes of an eightieth of the window in a part of it."""
        x, y = points.T
        return (x < 0.15) & (np.floor(80 * y) % 2 == 0)

    window = 2.0**-9, 2.0**-5
    pairs = draw_pairs(Oracle(labels, SQUARE, budget=40_000), seed=1, window=window)
    assert len(pairs.scales) == 5
    flags = dimension_estimate(pairs, seed=1, window=window).flags
    assert any("no single scaling region" in flag for flag in flags)


def test_noise_at_the_largest_distance_is_not_called_a_bend():
    # f there is 0.079 and is measured to a fifth.
    window = 2.0**-9, 2.0**-4
    flagged = 0
    for seed in range(20):
        pairs = draw_pairs(Oracle(disc, SQUARE, budget=5000), seed=seed, window=window)
        flags = dimension_estimate(pairs, seed=seed, window=window).flags
        flagged += any("largest distance" in flag for flag in flags)
    assert flagged <= 1
