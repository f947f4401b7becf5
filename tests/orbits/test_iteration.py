"""Plain iteration against a Python loop, in both drivers, and what it refuses."""

import dataclasses
from typing import final

import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from dynfrac.orbits import iteration
from dynfrac.orbits.iteration import iterate, prepare
from dynfrac.orbits.lanes import advance, perturbed_lanes
from dynfrac.orbits.outcomes import Status
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.systems.descents import CubicDescent
from dynfrac.systems.interval_maps import Logistic
from dynfrac.systems.numerics import precision

TRACES = []


@final
class Tent(AbstractMap):
    """A user's own map, with a clock; it notes each time it is traced."""

    @property
    def defaults(self):
        return {"slope": 1.9, "x0": 0.3}

    def init(self, hparams):
        return {"x": hparams["x0"], "count": 0}

    def step(self, state, hparams, t):
        TRACES.append(t)
        x = state["x"]
        return {"x": hparams["slope"] * jnp.minimum(x, 1 - x), "count": state["count"] + 1}

    def observe(self, state, hparams):
        return jnp.abs(state["x"])


@final
class HostTent(AbstractMap):
    """The same map, asking to be driven by the host."""

    drive = "host"

    @property
    def defaults(self):
        return Tent().defaults

    def init(self, hparams):
        return Tent().init(hparams)

    def step(self, state, hparams, t):
        return Tent().step(state, hparams, t)

    def observe(self, state, hparams):
        return Tent().observe(state, hparams)


@final
class Driven(AbstractMap):
    """A map that adds the time."""

    drive: str = struct.field(pytree_node=False, default="scan")

    @property
    def defaults(self):
        return {"x0": 1.0}

    def init(self, hparams):
        return hparams["x0"]

    def step(self, state, hparams, t):
        return 0.5 * state + t

    def observe(self, state, hparams):
        return state


def tent_orbit(n, slope=1.9, x=0.3):
    """Return x_0, ..., x_n in plain Python."""
    xs = [x]
    for _ in range(n):
        xs.append(slope * min(xs[-1], 1 - xs[-1]))
    return np.array(xs)


@pytest.mark.parametrize("map_", [Tent(), HostTent()])
@pytest.mark.parametrize("n_steps", [1, 5, 2500])
def test_iterate_is_the_plain_loop(map_, n_steps):
    orbit = iterate(map_, n_steps=n_steps, keep_states=True)
    expected = tent_orbit(n_steps)
    # One multiplication a step, rounded the same way everywhere: the same bits.
    np.testing.assert_array_equal(orbit.observations, expected[:-1])
    np.testing.assert_array_equal(orbit.states, expected[:-1, None])
    assert float(orbit.final_state["x"]) == expected[-1]
    assert int(orbit.final_state["count"]) == n_steps
    assert (orbit.status, orbit.t_escape) == (Status.BOUNDED, -1)


@pytest.mark.parametrize("drive", ["scan", "host"])
def test_time_counts_from_0_and_through_all_chunks(drive):
    n_steps = iteration.CHUNK + 3
    x = [1.0]
    for t in range(n_steps):
        x.append(0.5 * x[-1] + t)
    orbit = iterate(Driven(drive), n_steps=n_steps)
    np.testing.assert_array_equal(orbit.observations, x[:-1])
    with precision():
        problem = prepare(Driven(drive), None)
        lanes = perturbed_lanes(problem, 1, 0)
        states, reached = advance(lanes, lanes.states, np.array([True]), 0, 7)
        states, reached = advance(lanes, states, np.array([True]), int(reached[0]), 20)
    assert (float(states[0]), reached[0]) == (x[20], 20)


def test_states_are_kept_only_when_asked_for():
    assert iterate(Henon(), n_steps=3).states is None
    assert iterate(Henon(), n_steps=3, keep_states=True).states.shape == (3, 2)


def test_the_step_of_blow_up_is_the_first_observation_that_is_not_finite():
    # |z| roughly squares: 0, 1, 2, 5, 26, 677, 4.6e5, 2.1e11, ...
    orbit = iterate(Quadratic(), {"c_re": 1.0}, n_steps=40)
    z, t = 0.0, 0
    while np.isfinite(z):
        z, t = z * z + 1, t + 1
    assert orbit.status == Status.NOT_FINITE
    assert orbit.t_escape == t
    np.testing.assert_array_equal(orbit.observations[:5], [0, 1, 2, 5, 26])


def test_lengths_and_hyperparameters_share_one_compilation():
    iterate(Tent(), n_steps=10)
    before = len(TRACES)
    iterate(Tent(), {"slope": 1.5, "x0": 0.1}, n_steps=3000)
    # One trace checks the step's types; the compiled loop is not traced again.
    assert len(TRACES) == before + 1


@pytest.mark.parametrize("map_", [CubicDescent(), HostTent()])
def test_float32_is_float32_throughout(map_):
    orbit = iterate(map_, n_steps=5, keep_states=True, dtype="float32")
    assert orbit.observations.dtype == orbit.states.dtype == np.float32
    assert orbit.conditions["dtype"] == "float32"


def test_progress_counts_every_step():
    seen = []
    iterate(Logistic(), n_steps=2 * iteration.CHUNK + 7, on_progress=lambda *n: seen.append(n))
    total = 2 * iteration.CHUNK + 7
    assert seen == [(iteration.CHUNK, total), (2 * iteration.CHUNK, total), (total, total)]


@pytest.mark.parametrize("drive", ["scan", "host"])
def test_advance_stops_at_the_last_finite_state(drive):
    with precision():
        problem = prepare(Logistic(), {"r": 5.0}, "float64")
        problem = dataclasses.replace(problem, driver=drive)
        lanes = perturbed_lanes(problem, 1, 0)
        alive = np.array([True])
        (state,), (reached,) = advance(lanes, lanes.states, alive, 0, 100)
        (after,), (once_more,) = advance(lanes, state[None], alive, int(reached), int(reached) + 1)
    assert np.isfinite(state) and 5 < reached < 20
    assert (float(after), once_more) == (float(state), reached)
    x, t = 0.3, 0
    while np.isfinite(5 * x * (1 - x)):
        x, t = 5 * x * (1 - x), t + 1
    assert reached == t


@final
class Growing(AbstractMap):
    """A map whose step changes the shape of its state."""

    @property
    def defaults(self):
        return {}

    def init(self, hparams):
        return jnp.ones(2)

    def step(self, state, hparams, t):
        return jnp.concatenate([state, state])

    def observe(self, state, hparams):
        return jnp.sum(state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Logistic(), {}, {"n_steps": 0}), "n_steps=0 is out of range"),
        ((Logistic(), {}, {"n_steps": 2.5}), "n_steps=2.5 is out of range"),
        ((Logistic(), {"rr": 1.0}, {"n_steps": 1}), "unknown hyperparameter 'rr'"),
        ((Logistic(), {"r": [3.0, 4.0]}, {"n_steps": 1}), "r has shape"),
        ((Logistic(), {}, {"n_steps": 1, "dtype": "float16"}), "dtype='float16'"),
        ((Growing(), {}, {"n_steps": 1}), r"Growing.step turns state from float64\[2\] into"),
    ],
)
def test_misuse_is_one_sentence(arguments, message):
    map_, hparams, keywords = arguments
    with pytest.raises(ValueError, match=message) as caught:
        iterate(map_, hparams, **keywords)
    assert "\n" not in str(caught.value)
