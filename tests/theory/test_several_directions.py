"""Boundaries whose saddle has several unstable directions: Sweet and Ott, rough and filamentary."""

import math

import numpy as np
import pytest

from dynfrac import Axis, boundary_dimension, kaplan_yorke_dimension, make_map
from dynfrac.boundaries.bounds import escape_ceiling

LN = math.log


def sweet_ott(kappa, unstable, n_stable=0):
    """Return the dimension of the stable set, in the form of Kaplan and Yorke's sum.

    The entropy is spent on the unstable directions, the weakest first.
    """
    entropy = sum(unstable) - kappa
    assert entropy >= 0
    spent = kaplan_yorke_dimension([entropy, *(-rate for rate in unstable)]).value - 1
    return n_stable + spent


def codimension(kappa, unstable):
    """Return the same counted from above: the escape is spent on the strongest rates first."""
    total, left = 0.0, kappa
    for rate in sorted(unstable, reverse=True):
        if left <= rate:
            return total + left / rate
        total, left = total + 1, left - rate
    return total


def test_the_two_ways_of_counting_agree():
    rng = np.random.default_rng(4)
    for _ in range(200):
        unstable = list(rng.uniform(0.1, 2.0, size=rng.integers(1, 5)))
        kappa = rng.uniform(0.0, 1.0) * sum(unstable)
        counted = len(unstable) - codimension(kappa, unstable)
        assert sweet_ott(kappa, unstable) == pytest.approx(counted, abs=1e-12)


def test_one_direction_is_kantz_and_grassberger():
    tent = make_map("two-scale-tent")
    kappa, (rate,) = tent.escape_rate(tent.defaults), tent.exponents(tent.defaults)
    value = sweet_ott(kappa, [rate])
    assert value == pytest.approx(tent.dimension(tent.defaults, 1), abs=1e-12)
    assert value < tent.dimension(tent.defaults, 0) - 5e-5


def test_stable_set_unstable_set_and_saddle_of_the_horseshoe():
    horseshoe = make_map("horseshoe")
    for hparams in (
        {"expansion": 3.0, "contraction": 1 / 3},
        {"expansion": 5.0, "contraction": 0.4},
    ):
        up, down = horseshoe.exponents(hparams)
        kappa = horseshoe.escape_rate(hparams)
        stable = sweet_ott(kappa, [up], n_stable=1)
        unstable = 1 + (up - kappa) / -down
        assert stable == pytest.approx(1 + LN(2) / up, abs=1e-12)
        saddle = horseshoe.dimension(hparams, 1)
        assert stable + unstable - 2 == pytest.approx(saddle, abs=1e-12)
        # The boundary is thicker than the saddle it belongs to.
        assert stable > saddle + 0.1


@pytest.mark.parametrize("slopes", [(2.2, 3.0), (2.5, 6.0), (3.5, 4.0)])
def test_products_of_tents_are_exceptional(slopes):
    tent = make_map("tent")
    parts = [{"slope": slope} for slope in slopes]
    kappa = sum(tent.escape_rate(hparams) for hparams in parts)
    rates = [tent.exponents(hparams)[0] for hparams in parts]
    dimension = sum(tent.dimension(hparams) for hparams in parts)
    value = sweet_ott(kappa, rates)
    assert dimension < value - 1e-3
    ceiling = escape_ceiling(kappa, max(rates), n_axes=2).value
    if kappa <= max(rates):
        assert value == pytest.approx(ceiling, abs=1e-12)
    else:
        assert value < ceiling - 1e-3
    # Two equal factors are conformal, and everything is equal.
    twice = sweet_ott(2 * tent.escape_rate(parts[0]), [rates[0]] * 2)
    assert twice == pytest.approx(2 * tent.dimension(parts[0]), abs=1e-12)


# A repelling graph over an expanding circle: y' = a y - cos(2 pi x), x' = 2 x


def above_the_graph(a):
    """Return labels: the side of its invariant graph on which a start leaves."""

    def labels(points):
        x, y = points.T.copy()
        height, factor = np.zeros(len(x)), 1.0
        for _ in range(50):
            factor /= a
            height += factor * np.cos(2 * np.pi * x)
            x = 2 * x % 1.0
        return (y > height).astype(int)

    return labels


def graph_window(a):
    # A third of the circle, away from the fixed point at 0, and all of the graph's heights.
    reach = 1 / (a - 1)
    return [Axis("x", 0.21, 0.54), Axis("y", -reach, reach)]


def rates_of_the_graph(a):
    # Starts at a distance y from the graph leave after ln(1 / y) / ln a steps.
    return LN(a), [LN(2), LN(a)]


def test_the_invariant_graph_is_invariant():
    a = 1.5
    x, y = np.random.default_rng(0).uniform(size=(2, 500)) * [[1.0], [2.0]]
    labels = above_the_graph(a)
    image = np.stack([2 * x % 1.0, a * y - np.cos(2 * np.pi * x)], axis=1)
    np.testing.assert_array_equal(labels(np.stack([x, y], axis=1)), labels(image))


@pytest.mark.parametrize("a", [1.25, 1.4])
def test_a_rough_boundary_has_the_dimension_of_weierstrass_graph(a):
    kappa, rates = rates_of_the_graph(a)
    dimension = 2 - LN(a) / LN(2)
    assert sweet_ott(kappa, rates) == pytest.approx(dimension, abs=1e-12)
    assert escape_ceiling(kappa, max(rates), n_axes=2).value == pytest.approx(dimension, abs=1e-12)
    found = boundary_dimension(above_the_graph(a), graph_window(a), budget=20_000, seed=5)
    assert found.stderr < 0.03
    assert abs(found.value - dimension) < 4 * found.stderr


def test_a_boundary_that_leaves_faster_than_its_base_is_smooth():
    a = 2.8
    kappa, rates = rates_of_the_graph(a)
    assert kappa == max(rates)
    assert sweet_ott(kappa, rates) == pytest.approx(1.0, abs=1e-12)
    found = boundary_dimension(above_the_graph(a), graph_window(a), budget=80_000, seed=5)
    assert found.stderr < 0.05
    assert abs(found.value - 1.0) < 3 * found.stderr


def test_lines_up_a_rough_boundary_cross_it_once():
    a = 1.25
    heights = np.linspace(-4.0, 4.0, 3001)
    for x in (0.23, 0.31, 0.47):
        labels = above_the_graph(a)(np.stack([np.full_like(heights, x), heights], axis=1))
        assert np.count_nonzero(np.diff(labels)) == 1
    # A level line crosses it again and again, more often the closer one looks.
    counts = []
    for n in (2**8, 2**12, 2**16):
        places = np.linspace(0.21, 0.54, n)
        labels = above_the_graph(a)(np.stack([places, np.full(n, -0.5)], axis=1))
        counts.append(np.count_nonzero(np.diff(labels)))
    assert counts[0] * 2 < counts[1] and counts[1] * 2 < counts[2]
