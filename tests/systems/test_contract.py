"""The contract that every map of the catalogue keeps, checked map by map.

Toy maps are found by themselves. An architecture or optimizer is added to the package by adding it
to `CASES`; the first test fails until that is done.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from dynfrac.orbits.phase import phase_space
from dynfrac.systems.abstract import AbstractMap, resolve_hparams
from dynfrac.systems.batches import MinibatchStream
from dynfrac.systems.catalogue import (
    list_architectures,
    list_maps,
    make_architecture,
    make_map,
)
from dynfrac.systems.interval_maps import MarkusLyapunov
from dynfrac.systems.numerics import cast_floats
from dynfrac.systems.optimizers import OPTIMIZERS
from dynfrac.systems.recipes import training_map
from dynfrac.systems.training import TrainingMap


class LinenNet(linen.Module):
    """BatchNorm, dropout and a hyperparameter of the call."""

    @linen.compact
    def __call__(self, x, train: bool, beta=1.0):
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(3)(x))
        x = linen.Dropout(0.25, deterministic=not train)(jnp.tanh(beta * x))
        return linen.Dense(2, name="head")(x)


class NnxNet(nnx.Module):
    """The same in the other style."""

    def __init__(self, *, rngs):
        self.first = nnx.Linear(4, 3, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.dropout = nnx.Dropout(0.25, rngs=rngs)
        self.head = nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, x, beta=1.0):
        return self.head(self.dropout(jnp.tanh(beta * self.norm(self.first(x)))))


def plain_init(key):
    return {"w": jax.random.normal(key, (4, 2))}


def plain_call(params, x, beta=1.0):
    return jnp.sin(beta * x @ params["w"])


def own(*network, **arguments):
    rng = np.random.default_rng(3)
    data = rng.standard_normal((8, 4)), np.arange(8) % 2
    return training_map(network if len(network) == 2 else network[0], data, **arguments)


SMALL_MLP = {"width": 4, "n_data": 8}
SMALL_IMAGES = {"width": 0.25, "image_size": 7, "n_data": 4, "n_test": 1}

# Case -> (what makes it, what it is made of, arguments, hyperparameters that are not the defaults).
CASES = {
    **{f"map-{entry.name}": (make_map, [entry.name], {}, {}) for entry in list_maps()},
    "heavy-ball": (
        make_map,
        ["gd-quadratic"],
        {"heavy_ball": True, "eigenvalues": (1.0, 2.0, 5.0)},
        {},
    ),
    "mlp-relu": (make_architecture, ["mlp"], {**SMALL_MLP, "nonlinearity": "relu", "depth": 3}, {}),
    "mlp-identity": (make_architecture, ["mlp"], {**SMALL_MLP, "nonlinearity": "identity"}, {}),
    "mlp-minibatch": (make_architecture, ["mlp"], {**SMALL_MLP, "batch": 3, "n_steps": 5}, {}),
    "mlp-adjustable": (
        make_architecture,
        ["mlp"],
        {**SMALL_MLP, "largest_batch": 5, "n_steps": 5},
        {"batch_size": 3.0},
    ),
    "mlp-seed": (make_architecture, ["mlp"], {**SMALL_MLP, "seed": None}, {}),
    "mnist-mlp": (make_architecture, ["mnist-mlp"], {"n_data": 16, "n_test": 2, "width": 4}, {}),
    "shallow300": (make_architecture, ["shallow300"], {"n_data": 4, "n_test": 1, "width": 2}, {}),
    "deep-linear": (make_architecture, ["deep-linear"], {"n_data": 4, "width": 3}, {}),
    "cnn": (make_architecture, ["cnn"], {"n_data": 4, "channels": 1, "image_size": 5}, {}),
    "transformer": (
        make_architecture,
        ["transformer"],
        {"n_data": 2, "n_test": 1, "width": 4, "n_heads": 2, "n_blocks": 1},
        {},
    ),
    "resnet8": (make_architecture, ["resnet8"], SMALL_IMAGES, {}),
    "plain8": (make_architecture, ["plain8"], SMALL_IMAGES, {}),
    "resnet8-bare": (
        make_architecture,
        ["resnet8"],
        {**SMALL_IMAGES, "batch_norm": False, "shortcut": "projection"},
        {},
    ),
    "linen": (own, [LinenNet()], {"groups": {"in": "Dense_0", "out": "head"}}, {}),
    "nnx": (own, [NnxNet], {"batch": 4, "label_noise": True}, {"label_noise": 0.3}),
    "nnx-seed": (own, [NnxNet], {"seed": None}, {}),
    "plain": (own, [plain_init, plain_call], {"seed": None, "largest_batch": 6}, {}),
}

# Numbers at which every part of an optimizer acts within three steps.
ACTIVE = {
    "lr": 0.3,
    "clip_norm": 0.01,
    "clip_value": 0.01,
    "warmup_steps": 5.0,
    "schedule_steps": 6.0,
    "schedule_end": 0.1,
    "half_life": 3.0,
    "step_every": 1.0,
    "step_factor": 0.5,
    "weight_decay": 0.1,
}
for optimizer in (*OPTIMIZERS, "clip+adam+warmup+cosine", "optax:adamw"):
    CASES[optimizer] = (make_architecture, ["mlp"], {**SMALL_MLP, "optimizer": optimizer}, ACTIVE)
# The sign of a mean changes only where the last gradient does not decide it alone.
CASES["lion"] = (*CASES["lion"][:3], {**ACTIVE, "b2": 0.5})

every_case = pytest.mark.parametrize("case", CASES)
both_types = pytest.mark.parametrize("dtype", ["float64", "float32"])


def make(case):
    maker, parts, arguments, _ = CASES[case]
    return maker(*parts, **arguments)


made, made_again = functools.cache(make), functools.cache(lambda case: make(case))


def prepared(case, map_, dtype):
    """Return the map, the case's hyperparameters and the first state, all of one type."""
    map_ = jax.tree.map(jnp.asarray, cast_floats(map_, dtype))
    values = {name: CASES[case][3].get(name, value) for name, value in map_.defaults.items()}
    hparams = {name: jnp.asarray(value, dtype) for name, value in values.items()}
    if isinstance(map_, TrainingMap):
        map_ = map_.replace(settings={})  # so that twins share what is compiled
    return map_, hparams, start(map_, hparams)


# Optimising the machine code of small convolutions takes ten times as long as everything else.
quickly = {"compiler_options": {"xla_backend_optimization_level": 0}}


@functools.partial(jax.jit, **quickly)
def start(map_, hparams):
    return cast_floats(map_.init(hparams), jax.tree.leaves(hparams)[0].dtype)


@functools.partial(jax.jit, **quickly)
def step(map_, state, hparams, t):
    return map_.step(state, hparams, t), map_.observe(state, hparams)


@functools.partial(jax.jit, static_argnums=0, **quickly)
def push(space, map_, hparams, rest, vector, direction):
    """Return the coordinates one step on, and the tangent of the step along a direction."""

    def advance(x):
        return space.split(map_.step(space.join(x, rest), hparams, 3))[0]

    return jax.jvp(advance, (vector,), (direction,))


@functools.cache
def settled(case, dtype):
    """Return `prepared` with the state after three steps, where no coordinate is special."""
    map_, hparams, state = prepared(case, made(case), dtype)
    for t in range(3):
        state, _ = step(map_, state, hparams, t)
    return map_, hparams, state


def assert_same_bits(a, b):
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(left, right)


def test_every_name_and_optimizer_has_a_case():
    names = {parts[0] for maker, parts, _, _ in CASES.values() if maker is not own}
    listed = {entry.name for entry in (*list_maps(), *list_architectures())}
    assert {name.replace("8", "{6n+2}") for name in names} == listed
    used = {arguments.get("optimizer", "sgd") for _, _, arguments, _ in CASES.values()}
    assert used > set(OPTIMIZERS)


@every_case
def test_methods_take_the_arguments_of_the_contract(case):
    map_ = made(case)
    assert isinstance(map_, AbstractMap)
    for method in ("init", "step", "observe"):
        expected = inspect.signature(getattr(AbstractMap, method)).parameters
        assert list(inspect.signature(getattr(type(map_), method)).parameters) == list(expected)


@every_case
@both_types
def test_a_step_keeps_structure_shapes_and_types(case, dtype):
    map_, hparams, state = prepared(case, made(case), dtype)
    for t in (0, np.int64(0), jnp.int32(0)):
        after = jax.eval_shape(map_.step, state, hparams, t)
        assert jax.tree.structure(after) == jax.tree.structure(state)
        for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
            assert (old.shape, old.dtype) == (new.shape, new.dtype)
            assert old.dtype == dtype or jnp.issubdtype(old.dtype, jnp.integer)
    observed = jax.eval_shape(map_.observe, state, hparams)
    assert (observed.shape, observed.dtype) == ((), dtype)


@every_case
@both_types
def test_repeated_steps_have_the_same_bits(case, dtype):
    _, _, state = settled(case, dtype)
    # Made again from its name, so that the draws are repeated too.
    map_, hparams, again = prepared(case, made_again(case), dtype)
    for t in range(3):
        again, loss = step(map_, again, hparams, t)
    assert_same_bits(state, again)
    assert np.isfinite(loss)


@every_case
def test_only_driven_maps_and_the_order_of_examples_depend_on_time(case):
    map_, hparams, state = settled(case, "float64")
    now, _ = step(map_, state, hparams, 3)
    later, _ = step(map_, state, hparams, 4)
    leaves = zip(jax.tree.leaves(now), jax.tree.leaves(later), strict=True)
    driven = isinstance(map_, MarkusLyapunov) or (
        isinstance(map_, TrainingMap)
        and (map_.model.stochastic or isinstance(map_.batches, MinibatchStream))
    )
    assert all(np.array_equal(a, b) for a, b in leaves) == (not driven)


@every_case
def test_the_tangent_map_matches_central_differences(case):
    map_, hparams, state = settled(case, "float64")
    space = phase_space(map_, state)
    vector, rest = space.split(state)
    direction = np.random.default_rng(7).standard_normal(space.dimension)
    if "optimizer" in CASES[case][2]:
        direction *= np.abs(vector)  # second moments of 1e-9 and less must stay positive
    direction = jnp.asarray(direction / np.linalg.norm(direction))

    # Truncation is size^2 f'''/6, at most 1e-7 for the ripple; rounding 1e-16/size. The direction
    # has length 1, so no rectifier switches within such a distance of these states.
    size = 1e-6
    ahead, _ = push(space, map_, hparams, rest, vector + size * direction, direction)
    behind, _ = push(space, map_, hparams, rest, vector - size * direction, direction)
    _, expected = push(space, map_, hparams, rest, vector, direction)
    error = np.linalg.norm((ahead - behind) / (2 * size) - expected)
    assert error < 1e-6 * np.linalg.norm(expected)


@every_case
def test_defaults_are_accepted_and_unknown_names_refused(case):
    map_ = made(case)
    resolved = resolve_hparams(map_, None)
    assert list(resolved) == list(map_.defaults)
    assert all(isinstance(value, float) for value in resolved.values())
    with pytest.raises(ValueError, match="unknown hyperparameter 'no_such_name'; .*known: "):
        resolve_hparams(map_, {"no_such_name": 1.0})


# Where a small change rounds to none.
MOVED = {"seed": 1.0, "label_noise": 0.9, "batch_size": 2.0, "b1": 0.1, "b2": 0.95}


@every_case
def test_every_hyperparameter_makes_a_difference(case):
    map_, hparams, state = prepared(case, made(case), "float64")

    def run(hparams):
        state, observed = start(map_, hparams), []
        for t in range(3):
            state, loss = step(map_, state, hparams, t)
            observed.append(float(loss))
        return observed

    reference = run(hparams)
    for name, value in hparams.items():
        moved = MOVED.get(name, 0.07 if np.isnan(value) else float(value) + 0.013)
        assert run({**hparams, name: jnp.asarray(moved, "float64")}) != reference, name
