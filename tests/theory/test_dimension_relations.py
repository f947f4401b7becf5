"""Dimension relations on systems where both sides are known: equality, or strict inequality.

Rates and entropies come from formulas, from pre-images of a point of the repeller and from its
periodic points, so that nothing here is sampled.
"""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq

from dynfrac.boundaries.bounds import (
    entropy_ceiling,
    entropy_floor,
    escape_ceiling,
    two_rate_ceiling,
)
from dynfrac.boundaries.pressures import pressure_dimension
from dynfrac.boundaries.saddles import saddle_rates
from dynfrac.orbits.axes import Axis
from dynfrac.systems.catalogue import make_map
from dynfrac.systems.self_similarity import self_similar_dimension

LN = math.log
GOLDEN = LN((3 + math.sqrt(5)) / 2)


def logistic(r):
    """Inverse branches and slope of r x (1 - x), and the end points of the repeller."""

    def inverse(y):
        root = np.sqrt(0.25 - y / r)
        return [0.5 - root, 0.5 + root]

    return inverse, lambda x: r * (1 - 2 * x), np.array([0.0, 1.0])


def cubic(lr):
    """The same of gradient descent on the double well; all three roots by the cosine formula."""
    edge = math.sqrt((2 + lr) / lr)

    def inverse(y):
        # lr x^3 - (1 + lr) x + y = 0
        p, q = -(1 + lr) / lr, y / lr
        size = 2 * math.sqrt(-p / 3)
        angle = np.arccos(np.clip(3 * q / (p * size), -1, 1)) / 3
        return [size * np.cos(angle - 2 * math.pi * k / 3) for k in range(3)]

    return inverse, lambda x: 1 + lr - 3 * lr * x**2, np.array([-edge, edge])


def preimage_stretches(system, depth):
    """Return ln abs(Df^n) at all pre-images after n steps of points of the repeller, by n."""
    inverse, slope, points = system
    logs, levels = np.zeros(len(points)), []
    for _ in range(depth):
        branches = inverse(points)
        points = np.concatenate(branches)
        logs = np.tile(logs, len(branches)) + np.log(np.abs(slope(points)))
        levels.append(logs)
    return levels


def tree_pressure(levels, t):
    """P(-t ln abs f'), from the sums over two levels of pre-images."""
    shallow, deep = (np.logaddexp.reduce(-t * logs) for logs in levels[-2:])
    return float(deep - shallow)


def orbit_traces(system, step, n_branches, longest):
    """Return the derivatives of f^n at all points of period n, by n."""
    inverse, slope, _ = system
    stretches = []
    for period in range(1, longest + 1):
        x = periodic_points(inverse, n_branches, period)
        product = np.ones(len(x))
        for _ in range(period):
            product *= slope(x)
            x = step(x)
        stretches.append(product)
    return stretches


def orbit_pressure(stretches, t):
    """P(-t ln abs f') from periodic points: the leading zero of the dynamical determinant."""
    traces = [float(np.sum(abs(s) ** -t / (1 - 1 / s))) for s in stretches]
    coefficients = [1.0]
    for k in range(1, len(traces) + 1):
        coefficients.append(-sum(traces[j] * coefficients[k - 1 - j] for j in range(k)) / k)
    roots = np.roots(coefficients[::-1])
    real = roots[(abs(roots.imag) < 1e-9) & (roots.real > 0)].real
    return -LN(real.min())


def periodic_points(inverse, n_branches, period):
    """Return the fixed points of all compositions of inverse branches of a length."""
    words = np.array(list(itertools.product(range(n_branches), repeat=period))).T
    x = np.full(words.shape[1], 0.1)
    for _ in range(math.ceil(100 / period)):  # each step shrinks distances by half or more
        for branches in words:
            x = np.choose(branches, inverse(x))
    return x


REPELLERS = {
    "logistic 4.1": (logistic(4.1), lambda x: 4.1 * x * (1 - x), 16, LN(2)),
    "logistic 5": (logistic(5.0), lambda x: 5.0 * x * (1 - x), 16, LN(2)),
    "cubic 2.1": (cubic(2.1), lambda x: x * (3.1 - 2.1 * x**2), 11, LN(3)),
    "cubic 2.5": (cubic(2.5), lambda x: x * (3.5 - 2.5 * x**2), 11, LN(3)),
    "cubic 4": (cubic(4.0), lambda x: x * (5 - 4 * x**2), 11, LN(3)),
}
# D0, kappa, l, D1: what `dynfrac validate` compares with.
KNOWN = {
    "logistic 4.1": (0.8330592, 0.1354747, 0.8091577, 0.8325731),
    "logistic 5": (0.5516186, 0.5527651, 1.2237718, 0.5483103),
    "cubic 2.1": (0.8797786, 0.1468965, 1.2197516, 0.8795685),
    "cubic 2.5": (0.7380471, 0.3784760, 1.4362639, 0.7364857),
    "cubic 4": (0.5582886, 0.8456883, 1.8938321, 0.5534513),
}


def by_preimages(name):
    system, _, depth, _ = REPELLERS[name]
    levels = preimage_stretches(system, depth)
    return lambda t: tree_pressure(levels, t)


def by_periodic_orbits(name):
    system, step, _, entropy = REPELLERS[name]
    n_branches = round(math.exp(entropy))
    stretches = orbit_traces(system, step, n_branches, {2: 11, 3: 8}[n_branches])
    return lambda t: orbit_pressure(stretches, t)


@pytest.mark.parametrize("name", REPELLERS)
@pytest.mark.parametrize("method", [by_preimages, by_periodic_orbits])
def test_known_rates_of_repellers_by_two_methods(name, method):
    pressure = method(name)
    kappa = -pressure(1.0)
    exponent = (pressure(1 - 1e-4) - pressure(1 + 1e-4)) / 2e-4
    box = brentq(pressure, 0.3, 1.0, xtol=1e-10)
    # The pre-images converge like the gap of the transfer operator to the power of their depth,
    # the determinant of period 11 (8 with three branches) faster; the sixth digit is safe in both.
    np.testing.assert_allclose([box, kappa, exponent, 1 - kappa / exponent], KNOWN[name], atol=2e-6)


@pytest.mark.parametrize("name", REPELLERS)
def test_the_pressure_at_zero_is_the_entropy_of_the_branches(name):
    assert by_preimages(name)(0.0) == pytest.approx(REPELLERS[name][3], abs=1e-12)


# Equality


def test_cat_map_fills_the_torus():
    cat = make_map("cat")
    up, down = cat.exponents(cat.defaults)
    assert two_rate_ceiling(GOLDEN, up, -down).value == pytest.approx(2.0, abs=1e-12)


def test_straight_horseshoe():
    horseshoe = make_map("horseshoe")
    up, down = horseshoe.exponents(horseshoe.defaults)
    ceiling = two_rate_ceiling(LN(2), up, -down)
    assert ceiling.value == pytest.approx(horseshoe.dimension(horseshoe.defaults), abs=1e-12)
    assert ceiling.value == pytest.approx(1.2618595, abs=1e-7)
    # What never leaves in the future is a boundary in the plane of starts.
    assert entropy_ceiling(LN(2), up, n_axes=2).value == pytest.approx(1.6309298, abs=1e-7)


@pytest.mark.parametrize(
    ("name", "dimension"), [("solenoid", 1.5), ("skinny-baker", 1 + LN(2) / LN(3))]
)
def test_attractors_of_one_contraction(name, dimension):
    made = make_map(name)
    up, down = made.exponents(made.defaults)[:2]
    ceiling = two_rate_ceiling(LN(2), LN(2), -down)
    assert up == pytest.approx(LN(2), abs=1e-8)  # the split is not quite 1/2
    assert ceiling.value == pytest.approx(dimension, abs=1e-12)
    assert made.dimension(made.defaults) == pytest.approx(dimension, abs=1e-8)


@pytest.mark.parametrize("slope", [2.5, 3.0, 7.0])
def test_tent_repeller_has_equality_everywhere(slope):
    tent = make_map("tent")
    hparams = {"slope": slope}
    kappa, rate = tent.escape_rate(hparams), LN(slope)
    dimension = tent.dimension(hparams)
    for bound in (
        entropy_floor(LN(2), rate),
        entropy_ceiling(LN(2), rate),
        escape_ceiling(kappa, rate),
    ):
        assert bound.value == pytest.approx(dimension, abs=1e-12)
    assert 1 - kappa / rate == pytest.approx(dimension, abs=1e-12)


# Strict inequality


def test_two_scale_tent_is_strict_everywhere():
    tent = make_map("two-scale-tent")
    hparams = {"left": 0.45, "right": 0.40}
    kappa, (exponent,) = tent.escape_rate(hparams), tent.exponents(hparams)
    floor = entropy_floor(LN(2), -LN(0.40)).value
    rates = floor, 1 - kappa / exponent, self_similar_dimension([0.45, 0.40])
    ceilings = escape_ceiling(kappa, -LN(0.40)).value, entropy_ceiling(LN(2), -LN(0.45)).value
    chain = [*rates, *ceilings]
    np.testing.assert_allclose(chain, [0.75647, 0.8096823, 0.8097556, 0.82263, 0.86805], atol=5e-6)
    assert np.all(np.diff(chain) > 5e-5)


def test_the_floor_may_lie_above_the_information_dimension():
    lengths = [0.01, 0.0001]
    kappa = -LN(sum(lengths))
    exponent = -sum(r / sum(lengths) * LN(r) for r in lengths)
    floor = entropy_floor(LN(2), -LN(lengths[1])).value
    chain = [1 - kappa / exponent, floor, self_similar_dimension(lengths)]
    np.testing.assert_allclose(chain, [0.012, 0.075, 0.104], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "fastest", "chain"),
    [
        ("logistic 5", 5.0, [0.43068, 0.54831, 0.55162, 0.65655]),
        ("cubic 2.5", 10.0, [0.47712, 0.73649, 0.73805, 0.83563]),
    ],
)
def test_curved_repellers_are_strict(name, fastest, chain):
    box, kappa, exponent, _ = KNOWN[name]
    entropy = REPELLERS[name][3]
    levels = preimage_stretches(REPELLERS[name][0], 6)
    # The fastest stretch is that of an end point, a fixed point or a 2-cycle, for every n.
    for n, logs in enumerate(levels, start=1):
        assert logs.max() / n == pytest.approx(LN(fastest), abs=1e-9)
    found = [
        entropy_floor(entropy, LN(fastest)).value,
        1 - kappa / exponent,
        box,
        escape_ceiling(kappa, LN(fastest)).value,
    ]
    np.testing.assert_allclose(found, chain, atol=1e-5)
    assert np.all(np.diff(found) > 1e-3)


def slowest(name, n):
    """l_u(n); abs(Df^n) has no minimum inside a cylinder, and pre-images are its ends."""
    return float(preimage_stretches(REPELLERS[name][0], n)[-1].min()) / n


def test_fathi_is_strict_at_one_step_of_the_logistic_map_at_5():
    rate = slowest("logistic 5", 1)
    assert rate == pytest.approx(LN(5) / 2, abs=1e-12)
    assert entropy_ceiling(LN(2), rate).value == pytest.approx(0.86135, abs=5e-6)


def test_fathi_is_void_at_one_step_of_the_cubic_and_says_something_later():
    rate = slowest("cubic 2.5", 1)
    assert LN(3) / rate == pytest.approx(1.585, abs=1e-3)
    void = entropy_ceiling(LN(3), rate)
    assert void.value == 1.0 and any("void" in flag for flag in void.flags)
    later = entropy_ceiling(LN(3), slowest("cubic 2.5", 10))
    assert KNOWN["cubic 2.5"][0] < later.value < 1 and not later.flags


def test_slowest_rate_of_the_logistic_map_at_4_1_grows_from_a_void_bound():
    assert slowest("logistic 4.1", 1) == pytest.approx(LN(0.640), abs=1e-3)
    void = entropy_ceiling(LN(2), slowest("logistic 4.1", 1))
    assert math.isnan(void.value) and any("void" in flag for flag in void.flags)
    rates = [slowest("logistic 4.1", n) for n in (2, 4, 8, 12)]
    np.testing.assert_allclose(rates, [0.275, 0.482, 0.608, 0.652], atol=5e-4)
    # The limit is at most the rate of the fixed point inside.
    assert max(rates) < LN(2.1)


@pytest.mark.parametrize("name", REPELLERS)
def test_bounds_that_are_valid_at_every_number_of_steps_close_in(name):
    box, kappa, _, _ = KNOWN[name]
    entropy = REPELLERS[name][3]
    levels = preimage_stretches(REPELLERS[name][0], 9)
    low = [entropy_floor(entropy, logs.max() / n).value for n, logs in enumerate(levels, 1)]
    high = [escape_ceiling(kappa, logs.max() / n).value for n, logs in enumerate(levels, 1)]
    assert max(low) < box < min(high)
    fathi = [slowest(name, n) for n in (2, 4, 8)]
    assert fathi == sorted(fathi)
    assert all(not rate > 0 or entropy / rate > box for rate in fathi)


def test_lines_through_a_cantor_set_of_curves_have_one_dimension_less():
    curves, line = make_map("cantor-curve"), [Axis("x", 0.0, 1.0)]
    for y in (0.1, 0.7):
        rates = saddle_rates(curves, line, n_runs=4000, n_steps=60, hparams={"y": y}, seed=3)
        estimate = pressure_dimension(rates)
        assert estimate.stderr < 0.01
        # B4 has the dimension 1.8097556 in the plane.
        assert abs(estimate.value - 0.8097556) < 4 * estimate.stderr


def test_dimensions_of_the_generalized_baker_decrease_and_d1_is_kaplan_yorkes():
    baker = make_map("generalized-baker")
    up, down = baker.exponents(baker.defaults)
    orders = [baker.dimension(baker.defaults, q) for q in (0, 1, 2)]
    np.testing.assert_allclose(orders, [1.5728661, 1.5682248, 1.5635806], atol=5e-8)
    assert orders[1] == pytest.approx(1 - up / down, abs=1e-9)
