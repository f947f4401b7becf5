"""Points on boundaries by bisection, and orbits that stay on them."""

import math
from typing import final

import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.boundaries.edges import boundary_point, track_edge
from dynfrac.boundaries.oracles import Oracle
from dynfrac.orbits.axes import Axis
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.catalogue import make_map
from dynfrac.systems.descents import QuadraticDescent

SQUARE = [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)]


@final
class Pitchfork(AbstractMap):
    """u' = 1.5 u - 0.5 u^3: two attractors, 1 and -1, and 0 between them, of slope 1.5."""

    rule = "threshold:0.1"

    @property
    def defaults(self):
        return {"u0": 0.1}

    def init(self, hparams):
        return jnp.asarray(hparams["u0"])

    def step(self, state, hparams, t):
        return 1.5 * state - 0.5 * state**3

    def observe(self, state, hparams):
        return abs(state - 1)


@final
class Clocked(AbstractMap):
    """u' = 3 (u - c(t)) + c(t + 1) with an edge that moves in time, c(t) = 0.1 (-1)^t."""

    rule = "bounded:50"

    @property
    def defaults(self):
        return {"u0": 0.0}

    def init(self, hparams):
        return jnp.asarray(hparams["u0"])

    def step(self, state, hparams, t):
        sign = 1 - 2 * jnp.mod(t, 2)
        return 3 * (state - 0.1 * sign) - 0.1 * sign

    def observe(self, state, hparams):
        return jnp.maximum(state, 0.0)


def test_points_of_a_circle_are_found_to_the_precision_of_the_window():
    oracle = Oracle(lambda p: np.linalg.norm(p - 0.3, axis=1) < 0.25, SQUARE, budget=1000)
    angles = np.linspace(0.1, 6, 7)
    outside = 0.3 + 0.29 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    crossings = boundary_point(oracle, np.full((7, 2), 0.3), outside)
    np.testing.assert_allclose(
        np.linalg.norm(crossings.points - 0.3, axis=1), 0.25, atol=2 * oracle.finest
    )
    gaps = np.linalg.norm(crossings.outside - crossings.inside, axis=1)
    assert np.all(gaps <= oracle.finest) and np.all(gaps > oracle.finest / 4)
    assert crossings.n_labels == oracle.used == 14 + 7 * math.ceil(math.log2(0.29 / oracle.finest))
    assert crossings.flags == ()


def test_bisection_can_go_on_to_the_last_bit():
    oracle = Oracle(lambda p: p[:, 0] < 1 / 3, SQUARE, budget=100)
    crossings = boundary_point(oracle, [0.0, 0.5], [1.0, 0.5], width=0.0)
    inside, outside = crossings.inside[0, 0], crossings.outside[0, 0]
    assert inside < 1 / 3 <= outside and outside - inside <= 2.0**-52


def test_a_map_has_its_boundary_where_theory_says():
    # The largest eigenvalue is 3: 1 - 3 lr is -1 at lr = 2/3.
    oracle = Oracle(QuadraticDescent(), [Axis("lr", 0.01, 10.0)], budget=100, n_steps=1000, lanes=1)
    crossings = boundary_point(oracle, [0.0], [1.0], width=1e-4)
    # 1e-4 of three decades are 7e-4 of a rate, and 1000 steps tell a growth of 1e-3 a step.
    assert 10 ** (-2 + 3 * crossings.points[0, 0]) == pytest.approx(2 / 3, rel=2e-3)


def test_segments_without_a_boundary_are_told_and_the_others_bisected():
    oracle = Oracle(lambda p: p[:, 0] < 0.4, SQUARE, budget=200)
    crossings = boundary_point(oracle, [[0.1, 0.1], [0.6, 0.2]], [[0.9, 0.1], [0.8, 0.2]])
    assert crossings.points[0, 0] == pytest.approx(0.4)
    assert np.isnan(crossings.points[1]).all()
    assert "1 of 2 segments have the same label" in crossings.flags[0]


def test_a_short_budget_gives_fewer_digits():
    oracle = Oracle(lambda p: p[:, 0] < 0.4, SQUARE, budget=12)
    crossings = boundary_point(oracle, [0.0, 0.5], [1.0, 0.5])
    assert oracle.used == 12 and "after 10 of" in crossings.flags[0]
    assert abs(crossings.points[0, 0] - 0.4) < 2.0**-10


@pytest.mark.parametrize(
    ("inside", "outside", "width", "words"),
    [
        ([0.1], [0.2], None, "no segments of a window of 2 axes"),
        ([0.1, 0.1], [1.2, 0.1], None, "outside is not in the unit cube"),
        ([0.1, 0.1], [0.2, 0.1], -1.0, "width=-1.0"),
        ([[0.1, 0.1]] * 9, [[0.2, 0.1]] * 9, None, "10 labels are left"),
    ],
)
def test_ends_that_are_none_are_refused(inside, outside, width, words):
    oracle = Oracle(lambda p: p[:, 0] < 0.4, SQUARE, budget=10)
    with pytest.raises(ValueError, match=words):
        boundary_point(oracle, inside, outside, width=width)


def test_the_state_between_two_attractors_is_tracked():
    orbit = track_edge(Pitchfork(), jnp.asarray(0.7), jnp.asarray(-0.4), n_steps=100, horizon=150)
    assert orbit.flags == () and orbit.states.shape == (101, 1)
    assert np.abs(orbit.states).max() < 1e-5
    assert np.all(np.abs(orbit.states[:, 0]) <= orbit.gaps)
    assert orbit.exponent.value == pytest.approx(math.log(1.5), abs=1e-5)
    # Three labels and log2(1e4) halvings for a cycle of ln(1e4) / ln(1.5) steps.
    assert orbit.n_cycles == 5
    assert orbit.n_labels == pytest.approx(5 * (3 + math.log2(1e4)) + math.log2(1e6), abs=5)


def test_descent_on_two_wells_has_a_cycle_for_its_edge():
    orbit = track_edge(
        make_map("gd-cubic"), 1.0, 3.0, {"lr": 0.5}, n_steps=30, horizon=120, rule="bounded:1e8"
    )
    edge = math.sqrt(2.5 / 0.5)
    expected = edge * (-1.0) ** np.arange(31)
    np.testing.assert_allclose(orbit.states[:, 0], expected, atol=1e-6)
    # The derivative 1 + lr - 3 lr w^2 is -6 there.
    assert orbit.exponent.value == pytest.approx(math.log(6), abs=1e-5)


def test_the_edge_of_the_henon_basin_is_its_saddle():
    orbit = track_edge(
        make_map("henon"),
        np.zeros(2),
        np.array([3.0, 0.0]),
        n_steps=36,
        horizon=80,
        rule="bounded:100",
        closest=1e-11,
        farthest=1e-7,
    )
    x = -(0.7 + math.sqrt(0.49 + 5.6)) / 2.8
    np.testing.assert_allclose(orbit.states[-5:], [[x, 0.3 * x]] * 5, atol=1e-6)
    # Eigenvalue of the saddle: the root of s^2 + 2.8 x s - 0.3 = 0 that is above 1.
    slope = -1.4 * x + math.sqrt((1.4 * x) ** 2 + 0.3)
    assert orbit.exponent.value == pytest.approx(math.log(slope), abs=1e-3)


def test_time_goes_on_along_the_edge_of_a_driven_map():
    orbit = track_edge(Clocked(), -0.5, 0.5, n_steps=30, horizon=60)
    expected = 0.1 * (-1.0) ** np.arange(31)
    np.testing.assert_allclose(orbit.states[:, 0], expected, atol=1e-6)
    assert orbit.flags == ()


def test_a_fractal_edge_is_tracked_far_from_both_attractors():
    orbit = track_edge(
        make_map("grebogi-ott-yorke"),
        np.array([0.01, -0.3]),
        np.array([math.pi - 0.01, 0.3]),
        n_steps=40,
        horizon=300,
    )
    assert len(orbit.states) == 41
    # The chaotic saddle is none of the attractors theta = 0 and pi, around which theta contracts.
    assert np.abs(np.sin(orbit.states[:, 0])).min() > 0.02
    assert np.ptp(orbit.states[:, 0]) > 1
    assert np.all(orbit.gaps[:-1] <= 1e-6)


def test_states_with_the_same_outcome_have_no_edge_between_them():
    orbit = track_edge(Pitchfork(), 0.7, 0.4, n_steps=10, horizon=100)
    assert "there is no edge between them" in orbit.flags[0]
    assert orbit.states.shape == (0, 1) and not orbit.exponent.has_value


def test_a_budget_that_ends_is_said():
    orbit = track_edge(Pitchfork(), 0.7, -0.4, n_steps=200, horizon=100, budget=60)
    assert orbit.n_labels <= 60 and "budget of 60 outcomes ended" in orbit.flags[-1]
    assert 1 < len(orbit.states) < 200


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_steps": 0}, "n_steps=0"),
        ({"horizon": 2.5}, "horizon=2.5"),
        ({"budget": True}, "budget=True"),
        ({"closest": 1e-3}, "closest=0.001 and farthest=1e-06"),
        ({"inside": np.zeros(2)}, "is no state of the map"),
    ],
)
def test_numbers_out_of_range_are_refused(changed, words):
    arguments = {"inside": 0.7, "outside": -0.4, "n_steps": 5, "horizon": 50, **changed}
    with pytest.raises(ValueError, match=words):
        track_edge(Pitchfork(), **arguments)
