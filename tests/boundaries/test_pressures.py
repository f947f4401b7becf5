"""The pressure of undecided runs, and its root."""

import dataclasses
import math

import numpy as np
import pytest

from dynfrac.boundaries.growth_rates import draw_groups
from dynfrac.boundaries.lifetimes import measure_lifetimes
from dynfrac.boundaries.pressures import (
    _pressure_curve,
    pressure_dimension,
    topological_entropy,
)
from dynfrac.boundaries.saddles import kantz_grassberger, read_rates, saddle_rates
from dynfrac.orbits.axes import Axis
from dynfrac.systems.catalogue import make_map

SCALES = np.array([0.45, 0.40])


def two_scales(n, scales=SCALES, n_steps=40, seed=0, n_axes=1):
    """Histories of the open two-scale tent, from symbols: an exact sample of lives."""
    rng = np.random.default_rng(seed)
    symbols = rng.choice(3, size=(n, n_steps), p=[*scales, 1 - scales.sum()])
    gone = symbols == 2
    ends = np.where(gone.any(axis=1), gone.argmax(axis=1) + 1, n_steps)
    pushed = -np.log(np.append(scales, 1.0))[symbols]
    logs = np.cumsum(np.pad(pushed, ((0, 0), (1, 0)))[:, :n_steps], axis=1)
    escapes = np.where(ends < n_steps, ends, -1)
    return measure_lifetimes(logs, rng.random(logs.shape), escapes, n_axes=n_axes)


def test_root_of_the_two_scale_tent():
    rates = read_rates(two_scales(40_000))
    estimate = pressure_dimension(rates)
    assert abs(estimate.value - 0.8097556) < 4 * estimate.stderr < 0.02
    assert not estimate.flags


def test_curve_is_the_pressure():
    curve = pressure_dimension(read_rates(two_scales(40_000))).curve
    exact = [math.log(np.sum(SCALES ** (1 - a))) for a in curve.x]
    assert np.all(abs(curve.y - exact) < 4 * curve.stderr)
    assert np.all(np.diff(curve.y) > 0) and np.all(np.diff(curve.y, 2) > -1e-3)  # convex


def test_where_all_stretch_alike_it_is_kantz_and_grassbergers_number():
    rates = read_rates(two_scales(20_000, np.array([1 / 3, 1 / 3])))
    estimate, first_order = pressure_dimension(rates), kantz_grassberger(rates)
    assert estimate.value == pytest.approx(first_order.value, abs=1e-6)
    assert estimate.stderr == pytest.approx(first_order.stderr, rel=0.05)


def test_it_closes_the_gap_that_the_first_order_leaves():
    # Scales so different that D1 and D0 differ by 0.05.
    scales = np.array([0.6, 0.05])
    rates = read_rates(two_scales(40_000, scales))
    exponent = -np.sum(scales / scales.sum() * np.log(scales))
    first_order = 1 + math.log(scales.sum()) / exponent
    estimate, below = pressure_dimension(rates), kantz_grassberger(rates)
    assert abs(below.value - first_order) < 4 * below.stderr
    root = 0.488  # of 0.6^D + 0.05^D = 1
    assert np.sum(scales**root) == pytest.approx(1, abs=2e-2)
    assert estimate.value - below.value > 0.03


def test_the_window_adds_its_axes():
    one, two = (pressure_dimension(read_rates(two_scales(5000, n_axes=n))) for n in (1, 2))
    assert two.value == pytest.approx(one.value + 1, abs=1e-12)
    assert 1 <= two.ci_low < two.ci_high <= 2


def test_the_entropy_is_that_of_the_branches():
    entropy = topological_entropy(read_rates(two_scales(40_000)))
    assert abs(entropy.value - math.log(2)) < 4 * entropy.stderr < 0.05


@pytest.mark.slow
def test_intervals_cover():
    found = [
        pressure_dimension(read_rates(two_scales(3000, seed=s), seed=s)) for s in range(200, 264)
    ]
    # 95 % of 64 are 61, and 54 is four standard deviations of that below.
    assert sum(e.ci_low <= 0.8097556 <= e.ci_high for e in found) >= 54


def test_a_map_in_its_own_units():
    rates = saddle_rates(
        make_map("gd-cubic"),
        [Axis("w0", -1.3416407864998738, 1.3416407864998738)],
        n_runs=8000,
        n_steps=32,
        hparams={"lr": 2.5},
        rule="parity:1@reach",
        seed=4,
    )
    estimate = pressure_dimension(rates)
    assert abs(estimate.value - 0.7380471) < 4 * estimate.stderr < 0.1


def test_runs_that_fly_out_are_not_counted():
    # The same map with a far limit: the last steps before it stretch beyond all bounds.
    line = [Axis("w0", -1.3416407864998738, 1.3416407864998738)]
    rates = saddle_rates(
        make_map("gd-cubic"), line, n_runs=8000, n_steps=40, hparams={"lr": 2.5}, seed=4
    )
    estimate = pressure_dimension(rates)
    assert rates.flight > 0
    assert abs(estimate.value - 0.7380471) < 4 * estimate.stderr < 0.15


def test_uneven_weights_are_flagged_and_very_uneven_ones_give_no_value():
    for scale, words in ((0.1, "heavy weights"), (0.005, "few runs carry")):
        entropy = topological_entropy(read_rates(two_scales(20_000, np.array([0.5, scale]))))
        assert any(words in flag for flag in entropy.flags)
        assert math.isnan(entropy.value) == (words == "few runs carry")


def test_no_root_and_no_rates_give_no_value():
    slow = two_scales(20_000, np.array([0.3, 0.3]))
    slow.logs[:] *= 0.2
    estimate = pressure_dimension(read_rates(slow))
    assert math.isnan(estimate.value) and "no root" in estimate.flags[0]
    few = pressure_dimension(read_rates(two_scales(250, np.array([0.1, 0.1]))))
    assert math.isnan(few.value) and "few survivors" in few.flags[0]


def test_stretches_beyond_all_numbers_move_the_pressure_by_what_they_grow():
    # A factor e^100 more in every step adds 100 a to P(a): over 700 nats after a few steps.
    rates = read_rates(two_scales(20_000))
    lifetimes = rates.lifetimes
    logs = lifetimes.logs + 100.0 * np.arange(lifetimes.logs.shape[1])
    far = dataclasses.replace(rates, lifetimes=dataclasses.replace(lifetimes, logs=logs))
    curves = [_pressure_curve(which, draw_groups(1000, 0)) for which in (rates, far)]
    np.testing.assert_allclose(curves[1].y, curves[0].y + 100 * curves[0].x, rtol=1e-9)
    np.testing.assert_allclose(curves[1].stderr, curves[0].stderr, rtol=1e-6)
    growth = topological_entropy(far).value - topological_entropy(rates).value
    assert growth == pytest.approx(100, rel=1e-9)
