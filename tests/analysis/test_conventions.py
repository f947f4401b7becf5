"""What the phase space of a training run is, held against dense Jacobians and determinants.

The reference forms the whole Jacobian of the step in float64 and runs the same recursion on it, in
NumPy, from the same frame. It flattens the state by itself: weights and buffers in the order of
their pytree, counters left out, statistics last and only on request.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from dynfrac.analysis.lyapunov import lyapunov_spectrum, max_lyapunov
from dynfrac.orbits.iteration import iterate, prepare
from dynfrac.systems.abstract import resolve_hparams
from dynfrac.systems.iterates import Iterate, epoch_map
from dynfrac.systems.numerics import cast_floats, precision
from dynfrac.systems.recipes import training_map

RATES = {"sgd": 0.3, "momentum": 0.1, "adam": 0.02}
DECAY = 0.8


class Net(nn.Module):
    """Forty weights: (4 + 1) x 5 + 5 x 3, or 4 x 5 + 10 of BatchNorm + 5 x 2."""

    norm: bool = False

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(5, use_bias=not self.norm)(x)
        if self.norm:
            x = nn.BatchNorm(use_running_average=not train, momentum=DECAY)(x)
        return nn.Dense(2 if self.norm else 3, use_bias=False)(nn.tanh(x))


@functools.cache
def problem(optimizer="sgd", norm=False, **options):
    rng = np.random.default_rng(5)
    inputs = rng.standard_normal((16, 4))
    targets = np.sin(inputs @ rng.standard_normal((4, 2 if norm else 3)))
    map_ = training_map(Net(norm), (inputs, targets), optimizer=optimizer, **options)
    return cast_floats(map_, "float64")


def flat(state, slaved):
    """Return the coordinates of a state, and the function that puts new ones into it."""
    leaves, treedef = jax.tree.flatten(state)
    n_stats = len(jax.tree.leaves(state.stats))
    kept = [
        i
        for i, leaf in enumerate(leaves)
        if jnp.issubdtype(leaf.dtype, jnp.floating) and (slaved or i < len(leaves) - n_stats)
    ]
    shapes = [leaves[i].shape for i in kept]
    cuts = np.cumsum([math.prod(shape) for shape in shapes])[:-1]

    def put(vector):
        new = list(leaves)
        for i, part, shape in zip(kept, jnp.split(vector, cuts), shapes, strict=True):
            new[i] = part.reshape(shape)
        return jax.tree.unflatten(treedef, new)

    return jnp.concatenate([leaves[i].ravel() for i in kept]), put


def dense_recursion(map_, hparams, n_steps, k, slaved=False, first=0):
    """Return the (n, k) increments of dense QR, and (n,) logarithms of abs(det J)."""
    hparams = {
        name: jnp.asarray(value, float) for name, value in resolve_hparams(map_, hparams).items()
    }

    @jax.jit
    def step_and_jacobian(state, t):
        vector, put = flat(state, slaved)
        move = lambda v: flat(map_.step(put(v), hparams, t), slaved)[0]  # noqa: E731
        return map_.step(state, hparams, t), jax.jacfwd(move)(vector)

    state = jax.tree.map(jnp.asarray, cast_floats(map_.init(hparams), "float64"))
    d = len(flat(state, slaved)[0])
    gaussian = np.random.default_rng(0).standard_normal((d, d))[:k]
    frame = np.linalg.qr(gaussian.T)[0]
    increments, determinants = [], []
    for t in range(first, first + n_steps):
        state, jacobian = step_and_jacobian(state, t)
        frame, triangle = np.linalg.qr(np.asarray(jacobian) @ frame)
        increments.append(np.log(np.abs(np.diagonal(triangle))))
        determinants.append(np.linalg.slogdet(np.asarray(jacobian))[1])
    return np.array(increments), np.array(determinants)


def ours(map_, hparams, n_steps, k, **options):
    return lyapunov_spectrum(
        map_, hparams, n_steps=n_steps, n_exponents=k, n_warmup=0, dtype="float64", **options
    )


@pytest.mark.parametrize(
    ("optimizer", "copies", "norm", "n_steps"),
    [
        ("sgd", 1, True, 200),
        ("momentum", 2, False, 200),
        ("adam", 3, True, 30),
        pytest.param("sgd", 1, False, 200, marks=pytest.mark.slow),
        pytest.param("momentum", 2, True, 200, marks=pytest.mark.slow),
        pytest.param("adam", 3, False, 200, marks=pytest.mark.slow),
        pytest.param("adam", 3, True, 200, marks=pytest.mark.slow),
    ],
)
def test_spectra_are_those_of_dense_jacobians(optimizer, copies, norm, n_steps):
    map_ = problem(optimizer, norm)
    d = 40 * copies
    hparams = {"lr": RATES[optimizer]}
    spectrum = ours(map_, hparams, n_steps, d)
    # Buffers are state; the counter of adam and the statistics of BatchNorm are not.
    assert spectrum.dimension == d
    increments, determinants = dense_recursion(map_, hparams, n_steps, d)
    expected = np.sort(increments.mean(axis=0))[::-1]
    np.testing.assert_allclose(spectrum.exponents, expected, atol=1e-8)
    assert spectrum.exponents.sum() == pytest.approx(determinants.mean(), abs=1e-9 * d)
    if optimizer == "momentum":
        assert spectrum.exponents.sum() == pytest.approx(40 * math.log(0.9), abs=1e-9)
        assert not any("determinant" in flag for flag in spectrum.flags)


@pytest.mark.parametrize(
    ("optimizer", "copies"),
    [("sgd", 1), ("nesterov", 2), ("adamw", 3), ("rmsprop", 2), ("adagrad", 2), ("lion", 2)],
)
def test_coordinates_are_weights_and_buffers(optimizer, copies):
    for norm in (False, True):
        with precision():
            found = prepare(problem(optimizer + "+cosine", norm), None)
        assert found.space.dimension == 40 * copies


def test_lion_leaves_weights_as_far_apart_as_they_are():
    hparams = {"lr": 0.1, "b2": 0.5, "weight_decay": 0.2}
    spectrum = lyapunov_spectrum(
        problem("lion"), hparams, n_steps=100, n_warmup=80, n_exponents=80, dtype="float64"
    )
    expected = [math.log(1 - 0.1 * 0.2)] * 40 + [math.log(0.5)] * 40
    assert spectrum.exponents.sum() == pytest.approx(sum(expected), abs=1e-9)
    # The mean follows the weights at a ratio that changes with the Hessian: norms move back and
    # forth by less than a factor of 2, which the average over 100 steps sees as 0.007.
    np.testing.assert_allclose(spectrum.exponents, expected, atol=7e-3)


def test_statistics_on_request_add_their_decay_and_nothing_else():
    map_ = problem("sgd", True)
    with_statistics = ours(map_, {"lr": 0.3}, 50, 50, slaved=True)
    assert with_statistics.dimension == 50
    increments, _ = dense_recursion(map_, {"lr": 0.3}, 50, 50, slaved=True)
    expected = np.sort(increments.mean(axis=0))[::-1]
    np.testing.assert_allclose(with_statistics.exponents, expected, atol=1e-8)
    without = ours(map_, {"lr": 0.3}, 50, 40)
    total = without.exponents.sum() + 10 * math.log(DECAY)
    assert with_statistics.exponents.sum() == pytest.approx(total, abs=1e-9)
    # Weights that rest have exponents 0, and then the statistics have theirs to themselves once
    # the frame has aligned: 0.8^150 is 3e-15.
    still = lyapunov_spectrum(map_, {"lr": 0.0}, n_steps=20, n_warmup=150, slaved=True)
    np.testing.assert_allclose(still.exponents, [0.0] * 40 + [math.log(DECAY)] * 10, atol=1e-9)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("clip+momentum+cosine", {}),
        ("decay+momentum", {"batch": 4, "n_steps": 50}),
    ],
)
def test_heavy_ball_contracts_by_its_momentum_on_any_loss(optimizer, options):
    map_ = problem(optimizer, **options)
    spectrum = ours(map_, {"lr": 0.2, "momentum": 0.7}, 40, 80)
    assert spectrum.exponents.sum() == pytest.approx(40 * math.log(0.7), abs=1e-9)
    assert map_.exponent_sum({**map_.defaults, "momentum": 0.7}) == pytest.approx(
        40 * math.log(0.7)
    )


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "momentum+decay"])
def test_other_optimizers_do_not_claim_a_constant_determinant(optimizer):
    map_ = problem(optimizer)
    assert map_.exponent_sum(map_.defaults) is None


def test_the_known_sum_sharpens_a_partial_dimension():
    # Far beyond the edge of stability, where 3 of 80 exponents sum to about 3.
    map_ = problem("momentum")
    partial = ours(map_, {"lr": 3.0}, 50, 3)
    s, total = partial.exponents.sum(), 40 * math.log(0.9)
    bound = 3 + s * 77 / (s - total)
    assert bound > 30
    # Its errors lower the bound, which would be 3 without the sum.
    assert 20 < partial.kaplan_yorke.low <= bound
    assert ours(map_, {"lr": 3.0}, 50, 3, slaved=True).kaplan_yorke.low <= 3


class Line(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1, use_bias=False)(x)


@functools.cache
def line(**options):
    """Return least squares in three weights with minibatches of 4 of 16."""
    rng = np.random.default_rng(2)
    inputs = rng.standard_normal((16, 3))
    map_ = training_map(Line(), (inputs, inputs @ [[1.0], [2.0], [-1.0]] + 1), batch=4, **options)
    return cast_floats(map_, "float64")


def test_an_epoch_is_a_map_of_its_own():
    lr = 0.05
    map_ = line(order="fixed", n_epochs=1)
    # Mean squared error of a line: each step multiplies differences by 1 - 2 lr X'X / 4.
    product = np.eye(3)
    for rows in np.asarray(map_.batches.indices):
        batch = np.asarray(map_.data.inputs)[rows]
        product = (np.eye(3) - lr * 2 / 4 * batch.T @ batch) @ product
    per_epoch = np.sort(np.log(np.abs(np.linalg.eigvals(product))))[::-1]

    epochs = lyapunov_spectrum(epoch_map(map_), {"lr": lr}, n_steps=400)
    np.testing.assert_allclose(epochs.exponents, per_epoch, atol=1e-9)
    steps = lyapunov_spectrum(map_, {"lr": lr}, n_steps=1600, n_warmup=400)
    # 1600 steps are 400 whole epochs, each of which adds the same.
    np.testing.assert_allclose(4 * steps.exponents, per_epoch, atol=1e-9)
    # The same orbit, which goes around the minimum of all data and comes back once an epoch.
    assert (epochs.verdict, epochs.period) == ("fixed point", 1)
    assert (steps.verdict, steps.period) == ("periodic", 4)


def test_an_iterate_has_the_increments_of_its_steps():
    # Three steps are no epoch, so every iterate begins at another minibatch.
    map_ = problem("momentum", batch=4, n_steps=60)
    step = ours(map_, {"lr": 0.1}, 60, 5)
    third = ours(Iterate(map_, 3), {"lr": 0.1}, 20, 5)
    # From the same frame: a factorisation of a product is the product of the factorisations.
    np.testing.assert_allclose(third.exponents, 3 * step.exponents, atol=1e-9)
    assert third.history.observations[-1] == pytest.approx(step.history.observations[-1], rel=1e-9)


def test_exponents_are_those_of_two_runs_under_the_same_batches():
    lr, n = 0.002, 800
    map_ = line(order="reshuffled", n_epochs=250)
    exponent = max_lyapunov(map_, {"lr": lr}, n_steps=n, n_warmup=0)
    one, other = (
        iterate(map_, {"lr": lr, "weight_offset": offset}, n_steps=n, keep_states=True)
        for offset in (0.0, 1.0)
    )
    gap = np.linalg.norm(one.states - other.states, axis=1)
    rate = math.log(gap[-1] / gap[0]) / (n - 1)
    # Another direction at the start: the rates differ by the logarithm of an angle over n.
    assert float(exponent) == pytest.approx(rate, abs=2 / n)
    assert rate < -0.003
