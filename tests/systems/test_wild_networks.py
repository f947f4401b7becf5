"""Networks as they occur in the wild: what is taken as it is, and what is refused in words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from dynfrac.orbits.evaluator import Evaluator, evaluate
from dynfrac.orbits.phase import phase_space
from dynfrac.systems.catalogue import make_architecture
from dynfrac.systems.losses import mean_squared_error, weighted_mean
from dynfrac.systems.numerics import precision
from dynfrac.systems.recipes import training_map

SMALL = {"n_data": 6, "n_test": 3, "image_size": 4}


def run(map_, n_steps=3, **hparams):
    return evaluate(map_, {"lr": np.array([0.1, 0.2]), **hparams}, n_steps=n_steps)


def dimension(map_):
    with precision():
        hparams = {name: jnp.float64(value) for name, value in map_.defaults.items()}
        return phase_space(map_, map_.init(hparams)).dimension


class Recurrent(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(nn.RNN(nn.GRUCell(3))(x[..., 0])[:, -1])


def test_recurrent_networks_run_in_float32_and_say_so():
    map_ = training_map(Recurrent(), **SMALL)
    assert (map_.preferred_dtype, map_.dtypes) == ("float32", ("float32",))
    outcomes = run(map_)
    assert outcomes.conditions["dtype"] == "float32" and np.isfinite(outcomes.final_loss).all()
    with pytest.raises(ValueError, match="choose one of float32$"):
        evaluate(map_, {"lr": 0.1}, n_steps=1, dtype="float64")


@jax.tree_util.register_pytree_node_class
class CallableTree:
    """A module that is a tree of its own parameters, and callable."""

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, x):
        return x @ self.weights

    def tree_flatten(self):
        return (self.weights,), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)


def test_a_tree_of_parameters_may_be_callable():
    network = CallableTree(np.zeros((16, 10)))
    map_ = training_map((network, lambda module, x: module(x)), **SMALL)
    assert isinstance(map_.variables["params"], CallableTree)
    assert run(map_).final_loss[0] < np.log(10)


class Constant(nn.Module):
    counts: bool = False

    @nn.compact
    def __call__(self, x, train):
        x = x.reshape(len(x), -1)
        table = self.variable("tables", "t", jnp.ones, (1, 16))
        if self.counts and train:
            table.value = table.value + 1
        return nn.Dense(10)(x * table.value)


def test_constants_are_no_part_of_the_phase_space_and_memories_are():
    assert dimension(training_map(Constant(), **SMALL)) == 17 * 10
    assert dimension(training_map(Constant(counts=True), **SMALL)) == 17 * 10 + 16


class KeepsRngs(nnx.Module):
    def __init__(self, rngs):
        self.layer = nnx.Linear(16, 10, rngs=rngs)
        self.rngs = rngs

    def __call__(self, x):
        return self.layer(x)


def test_random_state_that_is_never_used_makes_no_driven_map():
    map_ = training_map(KeepsRngs, **SMALL)
    assert not map_.model.stochastic
    assert map_.stability_threshold(map_.defaults) == 2 / 0.1
    assert Evaluator(map_, n_steps=1)._engine.autonomous


class Dropping(nnx.Module):
    def __init__(self, rngs):
        self.layer = nnx.Linear(16, 10, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(self.layer(x))


def test_a_seed_is_that_of_weights_and_dropout_however_it_is_given():
    varying = run(training_map(Dropping, seed=None, **SMALL), seed=3.0)
    fixed = run(training_map(Dropping, seed=3, **SMALL))
    np.testing.assert_array_equal(varying.final_loss, fixed.final_loss)
    assert (run(training_map(Dropping, seed=4, **SMALL)).final_loss != fixed.final_loss).all()


def test_examples_that_do_not_count_cannot_spoil_the_gradient():
    inputs, targets = np.array([[1.0], [1e200]]), np.zeros((2, 1))
    function = ({"w": np.ones((1, 1))}, lambda params, x: jnp.exp(x * params["w"]))
    one, both = (
        training_map(function, (inputs, targets), largest_batch=2, order="sequential"),
        training_map(function, (inputs[:1], targets[:1])),
    )
    hparams = {"lr": 1e-3}
    with precision():
        state = one.init(one.defaults)
        after = one.step(state, {**one.defaults, **hparams, "batch_size": 1.0}, 0)
        expected = both.step(state, {**both.defaults, **hparams}, 0)
        np.testing.assert_allclose(after.params["w"], expected.params["w"], rtol=1e-14)
    # The trap: a mean over the first example only, but with the other one in its derivative.
    gradient = jax.grad(
        lambda w: weighted_mean(mean_squared_error, jnp.exp(inputs * w), targets, 1)
    )
    assert np.isnan(gradient(1.0))


@pytest.mark.parametrize(
    ("hparams", "words"),
    [
        ({"label_noise": 1.5}, "label_noise=1.5 is not between 0 and 1"),
        ({"batch_size": np.array([2.0, 5.0])}, "batch_size=5 is not between 1 and 4"),
        ({"batch_size": np.array([0.0, 2.0])}, "batch_size=0 is not between 1 and 4"),
        ({"label_noise": float("nan")}, "label_noise=nan is not between"),
    ],
)
def test_numbers_out_of_their_range_are_refused(hparams, words):
    map_ = make_architecture("mnist-mlp", largest_batch=4, label_noise=True, **SMALL)
    with pytest.raises(ValueError, match=words):
        run(map_, **hparams)


class Fixed(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.BatchNorm(use_running_average=False)(x.reshape(len(x), -1))
        return nn.Dense(10)(x)


class Branches(nn.Module):
    @nn.compact
    def __call__(self, x):
        y = nn.Dense(10)(x.reshape(len(x), -1))
        return y if y.sum() > 0 else -y


KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Fixed(), "give the call an argument train and pass use_running_average=not train"),
        (Branches(), "looks at a value that is not known when the call is compiled"),
        (({"w": np.zeros((16, 10)), "k": KEY}, lambda p, x: x @ p["w"]), "leave only arrays"),
        (({"w": np.zeros((16, 10)), "act": "relu"}, lambda p, x: x @ p["w"]), r"a str \(act\)"),
        (({"w": np.zeros((16, 10))}, lambda p, rng, x: x @ p["w"]), "takes 'rng' before its inp"),
        (
            (
                {"w": np.zeros((16, 10))},
                lambda p, x, key: x @ p["w"] + jax.random.normal(key, (10,))[None],
            ),
            "in evaluation mode, where its key is None",
        ),
    ],
)
def test_what_cannot_be_a_map_is_refused_with_a_remedy(network, words):
    with pytest.raises(ValueError, match=words) as caught:
        training_map(network, flat=True, **SMALL)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": 1.5}, "seed=1.5 is not an argument of training_map; pass a whole number"),
        ({"batch": 2.5}, "batch=2.5"),
        ({"optimizer": 5}, "optimizer=5 is not an argument of training_map; pass text"),
        ({"n_steps": 0}, "n_steps=0 must be at least 1"),
        ({"data": (np.zeros((3, 2)),)}, r"no pair \(inputs, targets\)"),
        ({"data": (np.zeros((0, 2)), np.zeros(0, int))}, "hold no example"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        training_map(nn.Dense(10), **arguments)


def test_a_loss_that_does_not_fit_a_built_in_network_is_refused():
    with pytest.raises(ValueError, match="the loss mean_squared_error"):
        make_architecture("mnist-mlp", loss="mse", n_data=10, n_test=10)


def test_another_default_compiles_nothing():
    network = nn.Dense(10)
    structures = {
        jax.tree.structure(training_map(network, lr=lr, flat=True, **SMALL)) for lr in (0.1, 0.2)
    }
    assert len(structures) == 1
