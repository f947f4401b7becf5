"""Bounds from rates that are given and from rates that are sampled."""

import dataclasses
import math

import pytest

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.boundaries.bounds import (
    boundary_bounds,
    entropy_ceiling,
    entropy_floor,
    escape_ceiling,
    two_rate_ceiling,
)
from dynfrac.boundaries.saddles import saddle_rates
from dynfrac.boundaries.stretch_extremes import fastest_stretch, slowest_stretch
from dynfrac.orbits.axes import Axis
from dynfrac.systems.catalogue import make_map

LN = math.log


def rate(value, stderr, *flags):
    ends = value - 2 * stderr, value + 2 * stderr
    return Estimate(value, stderr, *ends, "made", 99, (1.0, 2.0), Curve.empty(), flags)


def test_errors_of_both_rates_are_carried_over():
    ceiling = escape_ceiling(rate(0.4, 0.03), rate(1.0, 0.1), n_axes=2)
    assert ceiling.value == pytest.approx(1.6)
    assert ceiling.stderr == pytest.approx(math.hypot(0.03, 0.04))
    assert ceiling.n_runs == 99
    floor = entropy_floor(rate(0.5, 0.05), 1.0)
    assert floor.stderr == pytest.approx(0.05)
    two = two_rate_ceiling(rate(0.5, 0.05), rate(1.0, 0.2), 2.0)
    assert two.value == pytest.approx(0.75)
    assert two.stderr == pytest.approx(math.hypot(0.075, 0.1))


def test_flags_are_inherited_and_transversality_is_one():
    ceiling = entropy_ceiling(rate(0.5, 0.0, "one"), rate(1.0, 0.0, "two"), n_axes=2)
    assert {"one", "two"} < set(ceiling.flags)
    assert any("general position" in flag for flag in ceiling.flags)
    assert not entropy_ceiling(0.5, 1.0).flags  # a repeller needs no hypothesis


def test_an_interval_without_the_error_of_a_rate_is_called_too_short():
    extreme = dataclasses.replace(rate(1.0, 0.1), stderr=math.nan, method="fastest stretch")
    for bound in (
        escape_ceiling(rate(0.4, 0.03), extreme),
        entropy_floor(rate(0.4, 0.03), extreme),
        entropy_ceiling(rate(0.4, 0.03), extreme),
        two_rate_ceiling(rate(0.4, 0.03), 2.0, extreme),
    ):
        assert "too short: the error of fastest stretch is not known" in bound.flags[-1]
        assert math.isfinite(bound.stderr)
    assert not escape_ceiling(rate(0.4, 0.03), rate(1.0, 0.1)).flags


def test_void_bounds_say_so():
    assert any("void" in flag for flag in entropy_ceiling(1.1, 1.0).flags)
    assert entropy_ceiling(1.1, 1.0, n_axes=2).value == 2.0
    for bound in (
        entropy_ceiling(0.5, -0.1),
        two_rate_ceiling(0.5, 1.0, 0.0),
        escape_ceiling(0.5, 0.0),
        entropy_floor(0.5, -1.0),
    ):
        assert math.isnan(bound.value) and "void" in bound.flags[0]


def test_a_rate_that_is_missing_leaves_no_bound():
    missing = Estimate.missing("made", 5, ["few survivors"])
    for bound in (escape_ceiling(missing, 1.0), two_rate_ceiling(0.5, missing, 1.0)):
        assert math.isnan(bound.value) and bound.flags == ("few survivors",)
    with pytest.raises(ValueError, match="entropy=nan is not a rate"):
        entropy_floor(math.nan, 1.0)


@pytest.fixture(scope="module")
def logistic():
    return saddle_rates(
        make_map("logistic"),
        [Axis("x0", 0.0, 1.0)],
        n_runs=20_000,
        n_steps=60,
        hparams={"r": 4.1},
        rule="parity:1",
    )


def test_sampled_extremes_of_the_logistic_repeller(logistic):
    fastest, slowest = fastest_stretch(logistic), slowest_stretch(logistic)
    # At an end point, a fixed point of slope 4.1, which is the fastest place for every n.
    assert fastest.value == pytest.approx(LN(4.1), abs=0.01)
    assert fastest.value <= LN(4.1)
    assert any("sampled maximum" in flag for flag in fastest.flags)
    assert any("sampled minimum" in flag for flag in slowest.flags)
    # One step: -0.446 at the edge of the gap. Survivors are next to the saddle, not on it.
    assert slowest.curve.y[0] == pytest.approx(LN(0.640), abs=0.1)
    at = dict(zip(slowest.curve.x, slowest.curve.y, strict=True))
    for n, exact in ((2, 0.275), (4, 0.482), (8, 0.608)):
        assert at[n] == pytest.approx(exact, abs=0.06)


def test_bounds_hold_the_dimension_between_them(logistic):
    bounds = boundary_bounds(logistic)
    assert bounds.floor.value == pytest.approx(LN(2) / LN(4.1), abs=0.02)
    assert bounds.escape_ceiling.value == pytest.approx(1 - 0.1354747 / LN(4.1), abs=0.01)
    assert bounds.floor.value < 0.8330592 < bounds.escape_ceiling.value
    given = boundary_bounds(logistic, entropy=LN(2))
    assert given.floor.value == pytest.approx(LN(2) / fastest_stretch(logistic).value, abs=1e-12)


def test_bounds_coincide_where_all_stretch_alike():
    rates = saddle_rates(
        make_map("tent"), [Axis("x0", 0.0, 1.0)], n_runs=20_000, n_steps=30, hparams={"slope": 3.0}
    )
    bounds = boundary_bounds(rates, entropy=LN(2))
    exact = LN(2) / LN(3)
    assert bounds.floor.value == pytest.approx(exact, abs=1e-9)
    assert bounds.entropy_ceiling.value == pytest.approx(exact, abs=1e-9)
    ceiling = bounds.escape_ceiling
    assert abs(ceiling.value - exact) < 4 * ceiling.stderr < 0.04


def test_rates_that_contradict_a_boundary_are_flagged():
    # Entropy above the fastest rate, and more thinning than stretching: neither can be.
    for bound in (entropy_floor(2.0, 1.0), escape_ceiling(2.0, 1.0, n_axes=2)):
        assert any("contradicts" in flag for flag in bound.flags)
    for bound in (entropy_floor(0.5, 1.0), escape_ceiling(0.5, 1.0, n_axes=2)):
        assert not any("contradicts" in flag for flag in bound.flags)
