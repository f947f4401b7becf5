"""Derivatives of runs along directions of hyperparameters: right, and in the engine's hands."""

import functools
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.phase import phase_space
from dynfrac.orbits.sensitivities import (
    Sensitive,
    direction_name,
    stretch_histories,
    stretch_runs,
    window_directions,
)
from dynfrac.orbits.stretching import Stretched
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.batches import Dataset
from dynfrac.systems.catalogue import make_map
from dynfrac.systems.datasets import TrainingData
from dynfrac.systems.numerics import cast_floats, precision
from dynfrac.systems.published import published_map
from dynfrac.systems.recipes import training_map

RATES = [Axis("lr_in", 0.1, 10.0), Axis("lr_out", 0.1, 10.0)]


@functools.cache
def net(optimizer="sgd", **options):
    return published_map(width=3, n_data=5, optimizer=optimizer, **options)


class Normed(linen.Module):
    @linen.compact
    def __call__(self, x, train=False):
        x = linen.Dense(3, use_bias=False)(x)
        return linen.Dense(2)(linen.BatchNorm(use_running_average=not train)(x))


@functools.cache
def normed(drive):
    """Return the training of a small network with BatchNorm, on minibatches or from the host."""
    rng = np.random.default_rng(0)
    data = Dataset(rng.standard_normal((12, 4)), rng.integers(0, 2, 12))
    options = {"batch": 4, "n_steps": 40} if drive == "scan" else {}
    map_ = training_map(Normed(), TrainingData("own", data, None, 2), seed=1, **options)
    traits = map_.model.traits.replace(drive=drive)
    return map_.replace(model=map_.model.replace(traits=traits))


def final_state(map_, hparams, n_steps):
    """Return the coordinates after `n_steps`, without any engine."""
    hparams = {**map_.defaults, **hparams}
    map_ = cast_floats(map_, np.float64)

    def step(state, t):
        return cast_floats(map_.step(state, hparams, t), np.float64), None

    first = cast_floats(map_.init(hparams), np.float64)
    state, _ = jax.lax.scan(step, first, np.arange(n_steps))
    return phase_space(map_, state).split(state)[0]


CASES = {
    "sgd": (net(), RATES, (0.3, 0.6)),
    "momentum": (net("momentum"), [*RATES, Axis("momentum", 0.1, 0.9)], (0.2, 0.1, 0.5)),
    "adam": (
        net("adam"),
        [Axis("lr", 1e-3, 1.0), Axis("weight_offset", 0.1, 1.0, scale="linear")],
        (0.5, 0.5),
    ),
    "minibatches": (normed("scan"), [Axis("lr", 0.01, 1.0)], (0.5,)),
    "from the host": (normed("host"), [Axis("lr", 0.01, 1.0)], (0.5,)),
    "offset at every step": (
        net(),
        [Axis("input_offset_per_step", 1e-3, 0.1), RATES[0]],
        (0.5, 0.3),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_derivative_of_the_state_along_the_direction(name):
    map_, axes, place = CASES[name]
    place, n_steps = np.array(place), 12
    unit = np.random.default_rng(1).standard_normal(len(axes))
    unit /= np.linalg.norm(unit)
    hparams, directions = window_directions(axes, place[None], unit[None])
    runs = stretch_runs(map_, hparams, directions, n_steps=n_steps + 1, dtype="float64")
    assert runs.status[0] in (Status.CONVERGED, Status.BOUNDED)

    @jax.jit
    def along(s):
        values = {}
        for axis, x, u in zip(axes, place, unit, strict=True):
            low, high = (
                (axis.low, axis.high) if axis.scale == "linear" else np.log10([axis.low, axis.high])
            )
            value = low + (high - low) * (x + s * u)
            values[axis.name] = value if axis.scale == "linear" else 10.0**value
        return final_state(map_, values, n_steps)

    with precision():
        derivative = jax.jacrev(along)(0.0)  # reverse mode through all steps: another arithmetic
        eps = 1e-4
        steps = [(along(eps * k) - along(-eps * k)) / (2 * eps * k) for k in (1, 2)]
    # Central differences with their first error taken out: wrong by about eps^4 and 1e-16 / eps.
    difference = (4 * steps[0] - steps[1]) / 3
    expected = np.log(np.linalg.norm(derivative))
    assert runs.final[0] == pytest.approx(expected, abs=1e-9)
    assert runs.final[0] == pytest.approx(np.log(np.linalg.norm(difference)), abs=1e-6)
    assert runs.largest[0] >= max(0.0, runs.final[0])
