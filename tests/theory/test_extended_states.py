"""Optimizers and BatchNorm as extended states: volumes, thresholds, symmetries."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from dynfrac import evaluate, iterate, lyapunov_spectrum, training_map
from dynfrac.systems.published import published_map

LN = math.log
X = np.random.default_rng(3).normal(size=(12, 3))
Y = X @ np.array([[1.0], [-2.0], [0.5]]) + 0.3 * X[:, :1] ** 2


def resolved(map_, **given):
    return {name: jnp.asarray(value) for name, value in (map_.defaults | given).items()}


def jacobian(map_, hparams, state):
    """Return Df in the inexact leaves of the state, in the order of the tree."""
    leaves, tree = jax.tree.flatten(state)
    moving = [jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) for leaf in leaves]
    flat, unravel = ravel_pytree([leaf for leaf, m in zip(leaves, moving, strict=True) if m])

    def step(vector):
        parts = iter(unravel(vector))
        full = [next(parts) if m else leaf for leaf, m in zip(leaves, moving, strict=True)]
        after = jax.tree.leaves(map_.step(tree.unflatten(full), hparams, 0))
        return ravel_pytree([leaf for leaf, m in zip(after, moving, strict=True) if m])[0]

    return np.asarray(jax.jit(jax.jacfwd(step))(flat))


@pytest.mark.parametrize(
    ("optimizer", "given", "per_weight"),
    [
        ("momentum", {"momentum": 0.8}, LN(0.8)),
        ("decay+momentum", {"momentum": 0.8, "weight_decay": 0.3}, LN(0.8)),
        ("momentum+decay", {"momentum": 0.8, "weight_decay": 0.3}, LN(0.8) + LN(1 - 0.1 * 0.3)),
        ("adam", {"b1": 0.8, "b2": 0.95}, LN(0.8 * 0.95)),
        ("adamw", {"b1": 0.8, "b2": 0.95, "weight_decay": 0.3}, LN(0.76) + LN(1 - 0.1 * 0.3)),
    ],
)
def test_buffers_that_the_weights_follow_contract_volume_at_a_constant_rate(
    optimizer, given, per_weight
):
    map_ = published_map(width=2, optimizer=optimizer)
    spectrum = lyapunov_spectrum(map_, {"lr": 0.1, **given}, n_steps=30, n_warmup=0)
    assert spectrum.dimension == (18 if "adam" in optimizer else 12)
    assert spectrum.exponents.sum() == pytest.approx(6 * per_weight, abs=1e-9)


def test_nesterov_and_rmsprop_do_not():
    for optimizer, constant in (("nesterov", LN(0.8)), ("rmsprop", LN(0.9))):
        map_ = published_map(width=2, optimizer=optimizer)
        given = {"lr": 0.1, "momentum": 0.8} if optimizer == "nesterov" else {"lr": 0.1}
        spectrum = lyapunov_spectrum(map_, given, n_steps=30, n_warmup=0)
        assert abs(spectrum.exponents.sum() - 6 * constant) > 1e-3


@pytest.mark.parametrize("lr", [0.05, 0.2])
def test_nesterov_has_the_determinant_of_descent_times_that_of_the_buffer(lr):
    momentum = 0.7
    nesterov = published_map(width=2, optimizer="nesterov")
    hparams = resolved(nesterov, lr=lr, momentum=momentum)
    state = nesterov.step(nesterov.init(hparams), hparams, 0)
    _, found = np.linalg.slogdet(jacobian(nesterov, hparams, state))
    plain = published_map(width=2)
    bare = plain.init(resolved(plain)).replace(params=state.params)
    _, descent = np.linalg.slogdet(jacobian(plain, resolved(plain, lr=lr), bare))
    assert found == pytest.approx(6 * LN(momentum) + descent, abs=1e-9)


def one_weight(optimizer):
    """A loss w^2 of one weight: its Hessian is 2."""
    network = ({"w": np.ones((1, 1))}, lambda params, inputs: inputs @ params["w"])
    data = np.ones((1, 1)), np.zeros((1, 1))
    return training_map(network, data, optimizer=optimizer)


@pytest.mark.parametrize(
    ("optimizer", "given", "threshold"),
    [
        ("sgd", {}, 2.0),
        ("momentum", {"momentum": 0.9}, 3.8),
        ("nesterov", {"momentum": 0.9}, 3.8 / 2.8),
        ("adam", {"b1": 0.9, "eps": 1.0}, 38.0),
    ],
)
def test_the_largest_stable_sharpness(optimizer, given, threshold):
    map_ = one_weight(optimizer)
    for factor, stable in ((0.99, True), (1.01, False)):
        # From so small a weight gradients stay small beside eps, which is then adam's denominator.
        hparams = {"lr": factor * threshold / 2, "init_scale": 1e-40, **given}
        losses = iterate(map_, hparams, n_steps=2000).observations
        assert (losses[-100:].max() < losses[:200].max()) == stable


def test_lion_has_neutral_weights_and_buffers_that_fade():
    map_ = published_map(width=2, optimizer="lion")
    hparams = resolved(map_, lr=0.1, b2=0.6, weight_decay=0.2)
    state = map_.step(map_.init(hparams), hparams, 0)
    matrix = jacobian(map_, hparams, state)
    # The first leaves are the weights, and the sign has no derivative.
    np.testing.assert_allclose(matrix[:6], np.eye(6, 12) * (1 - 0.1 * 0.2), atol=1e-14)
    np.testing.assert_allclose(matrix[6:, 6:], 0.6 * np.eye(6), atol=1e-14)
    assert np.abs(matrix[6:, :6]).max() > 1e-3


# Scale invariance


def direction_only(optimizer="sgd"):
    """Regression by the direction of the weights: what a BatchNorm behind them makes of a layer."""

    def apply(params, inputs):
        return inputs @ (params["w"] / jnp.linalg.norm(params["w"]))[:, None]

    return training_map(({"w": np.array([1.0, 0.5, -0.2])}, apply), (X, Y), optimizer=optimizer)


def test_gradients_are_orthogonal_to_weights_and_norms_grow_by_them():
    map_ = direction_only()
    states = iterate(map_, {"lr": 0.4}, n_steps=60, keep_states=True).states
    squares = np.sum(states**2, axis=1)
    steps = np.sum(np.diff(states, axis=0) ** 2, axis=1)
    np.testing.assert_allclose(np.diff(squares), steps, rtol=1e-8, atol=1e-13)
    hparams = resolved(map_, lr=0.4)
    start = map_.init(hparams)
    w = np.asarray(start.params["w"])
    moved = np.asarray(map_.step(start, hparams, 0).params["w"]) - w
    # H w = -g, so that J w = w - lr H w = w - (w' - w).
    np.testing.assert_allclose(jacobian(map_, hparams, start) @ w, w - moved, atol=1e-12)
    assert np.linalg.norm(moved) > 0.1


def test_a_stationary_point_of_a_scale_invariant_loss_has_one_neutral_direction():
    spectrum = lyapunov_spectrum(direction_only(), {"lr": 0.05}, n_steps=1000, n_transient=2000)
    assert spectrum.exponents[0] == pytest.approx(0.0, abs=1e-9)
    assert spectrum.exponents[1] < -1e-3


def test_scaling_weights_and_the_square_root_of_the_rate_changes_nothing():
    map_ = direction_only()
    rates = np.geomspace(0.01, 1e3, 25)
    plain = evaluate(map_, {"lr": rates}, n_steps=200)
    scaled = evaluate(map_, {"lr": 4.0 * rates, "init_scale": 2.0}, n_steps=200)
    # A factor of two changes no mantissa.
    np.testing.assert_array_equal(plain.final_loss, scaled.final_loss)
    other = evaluate(map_, {"lr": 2.0 * rates, "init_scale": 2.0}, n_steps=200)
    assert np.any(plain.final_loss != other.final_loss)


def test_a_scale_invariant_loss_cannot_throw_its_weights_out_exponentially():
    map_ = direction_only()
    for lr, n in ((3.0, 40), (1e3, 400)):
        states = iterate(map_, {"lr": lr}, n_steps=n, keep_states=True).states
        fourth = np.sum(states**2, axis=1) ** 2
        steps = np.linalg.norm(np.diff(states, axis=0), axis=1)
        # lr times the gradient on the unit sphere: that at w is that at w / |w| over |w|.
        pull = (steps * np.linalg.norm(states[:-1], axis=1)) ** 2
        assert np.all(np.diff(fourth) > 2 * pull * (1 - 1e-6))
        most = 2 * pull.max() + pull.max() ** 2 / fourth[0]
        assert np.all(fourth[2:] < fourth[0] + most * np.arange(2, n))
    # Plain descent at the same rate is beyond any float within as many steps.
    assert not np.isfinite(iterate(one_weight("sgd"), {"lr": lr}, n_steps=n).observations[-1])
