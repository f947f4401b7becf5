"""What rounding and the number of steps decide, on boundaries of which it is known."""

from typing import final

import jax.numpy as jnp
import pytest

from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pair_fits import dimension_estimate
from dynfrac.boundaries.pairs import draw_pairs
from dynfrac.orbits.axes import Axis
from dynfrac.studies.label_checks import POINTS, check_labels, checked_runs
from dynfrac.systems.abstract import AbstractMap

SQUARE = (Axis("x", 1.0, 2.0), Axis("y", 1.0, 2.0))


@final
class Front(AbstractMap):
    """A front through the window that moves to the right, or stands."""

    speed: float = 0.0
    noisy: float = 0.0

    rule = "bounded:2"

    @property
    def defaults(self):
        return {"x": 1.0, "y": 1.0}

    def init(self, hparams):
        # The last bit of y, which a nudge changes in the lower half of the window.
        bits = hparams["y"] * 2.0**52 % 2 * self.noisy
        return jnp.stack([hparams["x"] * 1.0, 1.5 + 0.2 * jnp.sin(hparams["y"]) + bits])

    def step(self, state, hparams, t):
        return jnp.stack([state[0] + self.speed, state[1]])

    def observe(self, state, hparams):
        return jnp.where(state[0] > state[1], 3.0, 0.0)


def checks(map_, doubled=None, axes=SQUARE):
    given = {"n_steps": 10, "budget": 75}
    oracle = Oracle(map_, axes, **{**given, "budget": 3000}, keep=True)
    pairs = draw_pairs(oracle, seed=1)
    return check_labels(
        pairs,
        oracle,
        dimension_estimate(pairs, seed=1),
        nudged=Oracle(map_, axes, nudge=True, **given),
        doubled=doubled or Oracle(map_, axes, **{**given, "n_steps": 20}),
        seed=1,
    )


def test_a_sound_boundary_that_stands_changes_no_label():
    found = checks(Front())
    assert found.rounding.value == 0 and found.steps.value == 0 and not found.flags
    assert found.rounding.n_runs == found.steps.n_runs == 75 and found.n_runs == 150


def test_a_boundary_that_moves_with_time_is_told_by_twice_the_steps():
    found = checks(Front(speed=0.003))
    assert found.rounding.value == 0 and found.steps.value > 0.2
    assert len(found.flags) == 1 and "twice as many steps" in found.flags[0]


def test_a_boundary_of_rounding_is_told_by_the_last_bit():
    found = checks(Front(noisy=1.0))
    assert found.rounding.value > 0.1 and found.steps.value == 0
    assert "arithmetic noise" in found.flags[0]


def test_a_schedule_is_not_doubled():
    found = checks(Front(), doubled="the learning rate follows a schedule")
    assert not found.steps.has_value and found.steps.flags == (
        "the learning rate follows a schedule",
    )
    assert found.n_runs == 75 and not found.flags


def test_without_a_boundary_nothing_is_asked():
    found = checks(Front(), axes=(Axis("x", 1.0, 1.5), SQUARE[1]))
    assert found.n_runs == 0 and "no point next to a boundary" in found.rounding.flags[0]


@pytest.mark.parametrize(("budget", "runs"), [(500, 37), (2000, POINTS), (50_000, POINTS)])
def test_checks_take_a_small_share_of_a_budget(budget, runs):
    assert checked_runs(budget) == runs <= 0.075 * budget
