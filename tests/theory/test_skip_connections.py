"""Skip connections: what they do to Jacobians exactly, and what follows for linear blocks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac import evaluate, iterate, lyapunov_spectrum, make_architecture, training_map

LN = math.log
DEPTH = 4


def chain(skip, optimizer="sgd", width=1, start=0.0):
    """Linear blocks h' = (skip + W) h, regressed on their input; weights start at `start` I."""

    def apply(params, inputs):
        h = inputs
        for w in params["blocks"]:
            h = h @ w + skip * h
        return h

    blocks = [np.asarray(start) * np.eye(width) for _ in range(DEPTH)]
    inputs = np.sqrt(width) * np.eye(width)
    return training_map(({"blocks": blocks}, apply), (inputs, inputs), optimizer=optimizer)


def block_jacobian(skip, size, depth, seed=0):
    """Return the input-output Jacobian of blocks h + tanh-like F, and the norms of their F'."""
    keys = jax.random.split(jax.random.PRNGKey(seed), depth)
    weights = [size * jax.random.normal(key, (6, 6)) / math.sqrt(6) for key in keys]

    def network(h):
        for w in weights:
            h = skip * h + jnp.tanh(w @ h)
        return h

    matrix = np.asarray(jax.jacfwd(network)(0.1 * jnp.ones(6)))
    return matrix, [float(np.linalg.norm(w, 2)) for w in weights]


@pytest.mark.parametrize("skip", [1.0, 0.0])
def test_singular_values_lie_between_the_products_of_the_blocks(skip):
    matrix, norms = block_jacobian(skip, 0.15, 12)
    values = np.linalg.svd(matrix, compute_uv=False)
    assert max(norms) < 1
    assert values[0] < math.prod(skip + norm for norm in norms)
    assert values[-1] > math.prod(skip - norm for norm in norms) if skip else values[0] < 1e-4


def test_one_dead_block_stops_a_plain_network_and_not_a_residual_one():
    for skip, rank in ((0.0, 0), (1.0, 6)):
        matrix, _ = block_jacobian(skip, 0.0, 5)
        assert np.linalg.matrix_rank(matrix) == rank


def test_a_skip_adds_to_the_mean_square_of_the_output_and_a_sign_averages_the_rest():
    rng = np.random.default_rng(1)
    h, w = rng.normal(size=6), rng.normal(size=(6, 6))
    for skip in (0.0, 0.5, 1.0):
        both = [np.sum((skip * h + sign * (w @ h)) ** 2) for sign in (1, -1)]
        expected = skip**2 * np.sum(h**2) + np.sum((w @ h) ** 2)
        assert np.mean(both) == pytest.approx(expected, abs=1e-12)


# Linear blocks: a skip is a shift


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("width", [1, 2])
def test_a_skip_in_a_linear_block_is_a_shift_of_the_start(optimizer, width):
    hparams = {"lr": 0.02}
    residual = chain(1.0, optimizer, width, start=0.25)
    plain = chain(0.0, optimizer, width, start=1.25)
    losses = [iterate(map_, hparams, n_steps=60).observations for map_ in (residual, plain)]
    np.testing.assert_allclose(*losses, rtol=1e-7, atol=1e-20)
    assert losses[0][-1] < losses[0][0]


def test_weight_decay_breaks_the_shift():
    hparams = {"lr": 0.02, "weight_decay": 0.3}
    losses = [
        iterate(chain(skip, "momentum+decay", 1, start), hparams, n_steps=60).observations
        for skip, start in ((1.0, 0.25), (0.0, 1.25))
    ]
    assert abs(losses[0][-1] - losses[1][-1]) > 1e-3


def test_the_picture_of_a_linear_residual_chain_is_that_of_the_plain_one_moved():
    rates, offsets = (grid.ravel() for grid in np.meshgrid(np.geomspace(0.05, 1.5, 24),
                                                           np.linspace(-0.9, 0.9, 25)))  # fmt: skip
    both = [
        evaluate(map_, {"lr": rates, "weight_offset": offsets + shift}, n_steps=150,
                 rule="threshold:0.1")
        for map_, shift in ((chain(1.0), 0.0), (chain(0.0), 1.0))
    ]  # fmt: skip
    labels = [outcomes.status for outcomes in both]
    assert min(np.bincount(labels[0] == 1)) > 50
    # The shift is rounded, and where runs are chaotic the last bit decides.
    assert np.mean(labels[0] != labels[1]) < 0.05
    unmoved = evaluate(chain(0.0), {"lr": rates, "weight_offset": offsets}, n_steps=150,
                       rule="threshold:0.1")  # fmt: skip
    assert np.mean(labels[0] != unmoved.status) > 0.25


@pytest.mark.parametrize("lr", [0.05, 0.3])
def test_zero_weights_are_a_plateau_for_one_and_the_minimum_for_the_other(lr):
    plain, residual = (
        lyapunov_spectrum(chain(skip), {"lr": lr}, n_steps=400, n_warmup=50).exponents
        for skip in (0.0, 1.0)
    )
    np.testing.assert_allclose(plain, 0.0, atol=1e-12)
    # The Hessian of (prod (1 + w) - 1)^2 has the one eigenvalue 2 L that is not zero.
    expected = np.sort([0.0] * (DEPTH - 1) + [LN(abs(1 - 2 * DEPTH * lr))])[::-1]
    np.testing.assert_allclose(residual, expected, atol=1e-9)


@pytest.mark.parametrize("skip", [0.0, 1.0])
def test_the_threshold_at_the_minimum_does_not_know_of_the_skip(skip):
    start = 1.0 - skip
    for factor, largest in ((0.9, 0.0), (1.1, LN(1.2))):
        lr = factor * 2 / (2 * DEPTH)
        spectrum = lyapunov_spectrum(
            chain(skip, start=start), {"lr": lr}, n_steps=400, n_warmup=200, n_exponents=1
        ).exponents
        assert spectrum[0] == pytest.approx(largest, abs=1e-9)


def test_the_built_in_twins_differ_in_nothing_but_the_dial():
    residual, plain = (
        make_architecture(name, width=1 / 16, image_size=5, n_data=1)
        for name in ("resnet8", "plain8")
    )
    assert (residual.defaults["skip"], plain.defaults["skip"]) == (1.0, 0.0)
    for a, b in zip(
        jax.tree.leaves(residual.variables), jax.tree.leaves(plain.variables), strict=True
    ):
        np.testing.assert_array_equal(a, b)
