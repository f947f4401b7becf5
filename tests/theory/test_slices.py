"""Slices: codimension, the transfer from starts to hyperparameters, and where it fails."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac import Axis, boundary_dimension, make_map
from dynfrac.boundaries.pressures import pressure_dimension
from dynfrac.boundaries.saddles import saddle_rates

LN = math.log
CUBIC = {2.1: 0.8797786, 2.5: 0.7380471, 4.0: 0.5582886}
"""Box dimension of the repeller of the double well at three learning rates."""


def pulled_back(height):
    """Return labels: the tent of two scales, over a function of the place."""
    tent = make_map("two-scale-tent").defaults
    left, right = tent["left"], tent["right"]

    def labels(points):
        u, steps = height(points), np.full(len(points), -1)
        for t in range(200):
            steps[(steps < 0) & (abs(u - 0.5) > 0.5)] = t
            u = np.where(steps < 0, np.minimum(u / left, (1 - u) / right), 0.5)
        return steps % 2

    return labels


def square(n):
    return [Axis(f"h{i}", 0.0, 1.0) for i in range(n)]


@pytest.mark.parametrize(
    ("n_axes", "height"),
    [
        (1, lambda p: 0.02 + 0.9 * p[:, 0] + 0.06 * p[:, 0] ** 2),
        (2, lambda p: 0.02 + 0.5 * p[:, 0] + 0.4 * np.sin(p[:, 1])),
        (3, lambda p: 0.02 + 0.3 * p[:, 0] + 0.3 * np.sin(p[:, 1]) + 0.3 * p[:, 2] * p[:, 0]),
    ],
)
def test_the_codimension_does_not_depend_on_the_number_of_axes(n_axes, height):
    alpha = 1 - make_map("two-scale-tent").dimension(make_map("two-scale-tent").defaults)
    found = boundary_dimension(pulled_back(height), square(n_axes), budget=20_000, seed=3)
    assert found.stderr < 0.03
    assert abs(found.value - (n_axes - alpha)) < 4 * found.stderr


def test_an_axis_that_does_nothing_adds_one():
    curve, line = pulled_back(lambda p: p[:, 0]), square(1)
    places = np.random.default_rng(0).uniform(size=(3000, 2))
    flat = pulled_back(lambda p: p[:, 0])(places)
    np.testing.assert_array_equal(flat, curve(places[:, :1]))
    one = boundary_dimension(curve, line, budget=20_000, seed=4)
    two = boundary_dimension(curve, square(2), budget=20_000, seed=4)
    gap = math.hypot(one.stderr, two.stderr)
    assert abs(two.value - one.value - 1) < 4 * gap


# From starts to hyperparameters


def sensitivity_ratios(rate, start, n_steps):
    """Return (dx_n / d rate) over (dx_n / d start) of the double well, for n = 1 .. n_steps."""
    cubic = make_map("gd-cubic")

    def orbit(rate, start):
        def advance(x, t):
            after = cubic.step(x, {"lr": rate}, t)
            return after, after

        return jax.lax.scan(advance, start, jnp.arange(n_steps))[1]

    by_rate, by_start = jax.jit(jax.jacfwd(orbit, (0, 1)))(float(rate), float(start))
    return np.asarray(by_rate / by_start)


def repeller_point(rate, branches):
    """Return the point of the repeller whose orbit visits these branches, and then the edge."""
    edge = math.sqrt((2 + rate) / rate)
    x = edge
    for branch in reversed(branches):
        roots = np.sort(np.roots([-rate, 0.0, 1 + rate, -x]).real)
        x = roots[branch]
    return x


@pytest.mark.parametrize("branches", [(1, 0, 2, 1, 1, 2, 0, 1, 2, 2), (2, 2, 1, 0, 1, 2, 1, 0, 1)])
def test_derivatives_by_rate_and_by_start_become_proportional(branches):
    rate = 2.5
    ratios = sensitivity_ratios(rate, repeller_point(rate, branches), len(branches) + 6)
    settled = ratios[-1]
    assert abs(settled) > 0.01
    # Each step adds a term divided by one more slope, all of which are 2 and more here.
    late = abs(ratios[4:-1] - settled)
    assert np.all(late < abs(ratios - settled)[0] * 2.0 ** -np.arange(2, len(late) + 2))
    # The ratio is minus the speed at which the point of the repeller moves with the rate.
    step = 1e-6
    ends = [repeller_point(rate + sign * step, branches) for sign in (1, -1)]
    assert settled == pytest.approx(-(ends[0] - ends[1]) / (2 * step), rel=1e-5)


def test_the_edge_moves_at_the_speed_of_its_formula():
    rate = 2.5
    edge = math.sqrt((2 + rate) / rate)
    # An odd map: the edge is a cycle of two, and its mirror image moves along.
    assert sensitivity_ratios(rate, edge, 12)[-1] == pytest.approx(1 / (rate**2 * edge), rel=1e-9)


def test_without_transversality_a_window_of_rates_sees_nothing():
    ratios = sensitivity_ratios(2.5, 0.0, 12)
    np.testing.assert_array_equal(ratios, 0.0)
    # The saddle point between the wells is fixed at every rate: no start from it ever leaves.
    found = boundary_dimension(
        make_map("gd-cubic"),
        [Axis("lr", 2.2, 2.8, scale="linear")],
        budget=600,
        n_steps=60,
        hparams={"w0": 0.0},
        rule="parity:1@reach",
    )
    assert math.isnan(found.value)


def test_starts_at_one_rate_have_the_dimension_of_the_repeller():
    rates = saddle_rates(
        make_map("gd-cubic"),
        [Axis("w0", -1.3, 1.3)],
        n_runs=20_000,
        n_steps=40,
        hparams={"lr": 2.5},
        rule="parity:1@reach",
        seed=6,
    )
    found = pressure_dimension(rates)
    assert found.stderr < 0.02
    assert abs(found.value - CUBIC[2.5]) < 4 * found.stderr


@pytest.mark.parametrize("w0", [0.3, 1.2, 1.3])
def test_a_window_of_rates_inherits_the_dimension_of_the_starts(w0):
    found = boundary_dimension(
        make_map("gd-cubic"),
        [Axis("lr", 2.4, 2.6, scale="linear")],
        budget=40_000,
        n_steps=60,
        hparams={"w0": w0},
        rule="parity:1@reach",
        seed=6,
    )
    assert found.stderr < 0.025
    # Over the window the dimension of the repeller itself changes by 0.03 either way.
    assert abs(found.value - CUBIC[2.5]) < 3 * found.stderr + 0.03
    assert CUBIC[4.0] + 0.05 < found.value < CUBIC[2.1] - 0.01


def test_the_largest_local_dimension_governs_small_scales():
    # Two Cantor sets side by side: their counts add up, and the larger exponent wins.
    dimensions = [LN(2) / LN(slope) for slope in (2.2, 8.0)]
    slopes = []
    for fine in (4.0, 8.0, 16.0, 32.0):
        counts = [sum(math.exp(d * s) for d in dimensions) for s in (fine, fine + 1)]
        slopes.append(LN(counts[1] / counts[0]))
    assert np.all(np.diff(slopes) > 0)
    assert max(dimensions) - 1e-6 < slopes[-1] < max(dimensions)
    assert slopes[0] < max(dimensions) - 0.02
