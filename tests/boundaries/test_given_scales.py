"""Pairs over a range of distances that is given: none of it is left out, however deep it goes."""

import numpy as np

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
