"""Adapters: both modes of a network, its statistics and random streams, and what is known of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from dynfrac.orbits.evaluator import evaluate
from dynfrac.systems.numerics import cast_floats, hparam_dtype, precision
from dynfrac.systems.recipes import training_map

X = np.random.default_rng(0).standard_normal((12, 4))
LABELS = np.arange(12) % 3
DATA = (X, LABELS)


class LinenNet(linen.Module):
    """BatchNorm and dropout, switched by an argument of the call."""

    @linen.compact
    def __call__(self, x, train: bool, skip=1.0):
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(6)(x))
        x = linen.Dropout(0.5, deterministic=not train)(skip * jnp.tanh(x))
        return linen.Dense(3, name="head")(x)


class NnxNet(nnx.Module):
    """BatchNorm and dropout, switched by the mode of the module."""

    def __init__(self, *, rngs):
        self.first = nnx.Linear(4, 6, rngs=rngs)
        self.norm = nnx.BatchNorm(6, rngs=rngs)
        self.dropouts = nnx.List([nnx.Dropout(0.5, rngs=rngs) for _ in range(2)])
        self.head = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x, skip=1.0):
        x = self.dropouts[0](skip * jnp.tanh(self.norm(self.first(x))))
        return self.head(self.dropouts[1](x))


def plain_init(key):
    return {"w": jax.random.normal(key, (4, 3)), "head": {"b": jnp.zeros(3)}}


def plain_call(params, x, key, train, skip=1.0):
    x = skip * x @ params["w"] + params["head"]["b"][None]
    return x * jax.random.bernoulli(key, 0.5, x.shape) if train else x


NETWORKS = {"linen": LinenNet(), "nnx": NnxNet, "plain": (plain_init, plain_call)}
every_network = pytest.mark.parametrize("name", NETWORKS)


@functools.cache
def adapted(name, seed=0):
    return training_map(NETWORKS[name], DATA, seed=seed, groups={"out": "head"})


def drawn(map_):
    """Return parameters and statistics as they are in a float64 run."""
    return cast_floats((map_.variables["params"], map_.variables["stats"]), "float64")


@every_network
def test_what_is_found_out_of_a_network(name):
    map_ = adapted(name)
    assert map_.model.stochastic
    assert (map_.drive, map_.preferred_dtype, map_.slaved) == ("scan", "float64", ("stats",))
    assert map_.defaults["skip"] == 1.0
    assert np.isnan(map_.defaults["lr_out"]) and "lr_in" not in map_.defaults
    assert bool(jax.tree.leaves(map_.variables["stats"])) == (name != "plain")
    groups = map_.model.layer_groups(map_.variables["params"])
    assert set(jax.tree.leaves(groups["head"])) == {"out"}
    others = {key: tree for key, tree in groups.items() if key != "head"}
    assert set(jax.tree.leaves(others)) == {"hidden"}


@every_network
def test_masks_depend_on_the_key_and_stay_out_of_evaluation(name):
    model, (params, stats) = adapted(name).model, drawn(adapted(name))
    one, two = jax.random.split(jax.random.PRNGKey(3))
    first, _ = model.apply(params, stats, X, {"skip": 1.0}, one)
    np.testing.assert_array_equal(model.apply(params, stats, X, {"skip": 1.0}, one)[0], first)
    assert not np.array_equal(model.apply(params, stats, X, {"skip": 1.0}, two)[0], first)
    calm = model.predict(params, stats, X, {"skip": 1.0})
    np.testing.assert_array_equal(model.predict(params, stats, X, {"skip": 1.0}), calm)
    assert not np.array_equal(model.predict(params, stats, X, {"skip": 0.5}), calm)
    if name == "plain":
        np.testing.assert_allclose(calm, X @ params["w"], rtol=1e-14)


@pytest.mark.parametrize("name", ["linen", "nnx"])
def test_statistics_follow_the_batch_in_training_and_are_used_in_evaluation(name):
    model, (params, stats) = adapted(name).model, drawn(adapted(name))
    _, after = model.apply(params, stats, X, {"skip": 1.0}, jax.random.PRNGKey(0))
    kernel = params["Dense_0" if name == "linen" else "first"]["kernel"]
    before, norm = (
        tree["batch_stats"]["BatchNorm_0"] if name == "linen" else tree["norm"]
        for tree in (stats, after)
    )
    # Both libraries keep 99% of the old mean, which is zero; the bias is zero, too.
    np.testing.assert_allclose(norm["mean"], 0.01 * np.mean(X @ kernel, 0), rtol=1e-6)
    assert not np.any(before["mean"])
    calm = model.predict(params, stats, X, {"skip": 1.0})
    assert not np.allclose(model.predict(params, after, X, {"skip": 1.0}), calm)


def test_the_two_dropouts_of_a_module_have_masks_of_their_own():
    class Twice(nnx.Module):
        def __init__(self, *, rngs):
            self.scale = nnx.Param(jnp.ones(()))
            self.one, self.two = (nnx.Dropout(0.5, rngs=rngs) for _ in range(2))

        def __call__(self, x):
            return self.scale * (self.one(x) - self.two(x))

    map_ = training_map(Twice, (np.ones((2, 50)), np.ones((2, 50))))
    outputs, _ = map_.model.apply(*drawn(map_), np.ones((2, 50)), {}, jax.random.PRNGKey(0))
    # Equal masks would leave nothing; two independent ones differ in half the places.
    assert 30 < np.count_nonzero(outputs) < 70


def test_stacked_layers_have_a_mask_each():
    class Layer(nnx.Module):
        def __init__(self, *, rngs):
            self.scale = nnx.Param(jnp.ones(()))
            self.drop = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return self.drop(self.scale * x)

    class Stack(nnx.Module):
        def __init__(self, *, rngs):
            make = nnx.vmap(lambda rngs: Layer(rngs=rngs), in_axes=0, out_axes=0)
            self.layers = nnx.split_rngs(splits=3)(make)(rngs)

        def __call__(self, x):
            return nnx.vmap(lambda layer: layer(x), in_axes=0, out_axes=1)(self.layers)

    data = np.ones((4, 40)), np.ones((4, 3, 40))
    map_ = training_map(Stack, data)
    outputs, _ = map_.model.apply(*drawn(map_), data[0], {}, jax.random.PRNGKey(0))
    masks = np.asarray(outputs).transpose(1, 0, 2) != 0
    assert len({mask.tobytes() for mask in masks}) == 3


@pytest.mark.filterwarnings("ignore:Using 'Module.sow")
def test_a_module_that_comes_with_its_weights_is_left_as_it_is():
    module = NnxNet(rngs=nnx.Rngs(5))
    module.eval()
    module.sow(nnx.Intermediate, "left", jnp.zeros(2))
    before = nnx.to_pure_dict(nnx.state(module))
    map_ = training_map(module, DATA)
    np.testing.assert_array_equal(
        map_.variables["params"]["head"]["kernel"], module.head.kernel[...]
    )
    hparams = {name: jnp.asarray(value) for name, value in map_.defaults.items()}
    cast = cast_floats(map_, "float64")
    after = cast.step(cast.init(hparams), hparams, 0)
    assert jax.tree.structure(after.stats) == jax.tree.structure(map_.variables["stats"])
    assert module.norm.use_running_average and module.dropouts[0].deterministic
    left = nnx.to_pure_dict(nnx.state(module))
    assert jax.tree.structure(left) == jax.tree.structure(before)


class Sower(nnx.Module):
    def __init__(self, *, rngs):
        self.layer = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        self.sow(nnx.Intermediate, "hidden", x)
        return self.layer(x)


class LinenSower(linen.Module):
    @linen.compact
    def __call__(self, x):
        self.sow("intermediates", "hidden", x)
        return linen.Dense(3)(x)


@pytest.mark.filterwarnings("ignore:Using 'Module.sow")
@pytest.mark.parametrize("network", [Sower, LinenSower()])
def test_what_is_sown_is_no_part_of_the_state(network):
    map_ = training_map(network, DATA)
    assert not jax.tree.leaves(map_.variables["stats"])
    assert np.isfinite(evaluate(map_, {"lr": 0.1}, n_steps=3).final_loss)


class Counter(nnx.Module):
    """Scales by a running mean that it updates: the next call depends on it."""

    def __init__(self, *, rngs):
        self.layer = nnx.Linear(4, 3, rngs=rngs)
        self.level = nnx.Variable(jnp.ones(()))

    def __call__(self, x):
        self.level[...] = 0.9 * self.level[...] + 0.1 * jnp.mean(x**2)
        return self.layer(x) / self.level[...]


def test_statistics_that_feed_back_are_coordinates():
    map_ = training_map(Counter, DATA)
    assert not map_.model.slaved_stats
    assert map_.slaved == ()
    # Such a network may stay finite or recover: nothing is known without trying.
    assert map_.model.nan_propagation == "unknown"


def test_not_a_number_everywhere_is_passed_on_or_not():
    def forgiving(params, x):
        return jnp.nan_to_num(x @ params)

    start = np.ones((4, 3))
    assert training_map((start, lambda p, x: x @ p), DATA).model.nan_propagation == "all"
    assert training_map((start, forgiving), DATA).model.nan_propagation == "unknown"
    for name in ("linen", "nnx"):
        assert adapted(name).model.nan_propagation == "unknown"  # `skip` may be zero
    map_ = training_map((start, lambda p, x: x @ p), DATA)
    hparams = {name: jnp.asarray(value) for name, value in map_.defaults.items()}
    state = map_.init(hparams)
    one = state.replace(params=state.params.at[0, 0].set(jnp.nan))
    assert not map_.is_doomed(one)
    ruined = state.replace(params=jnp.full((4, 3), jnp.nan))
    assert map_.is_doomed(ruined)
    for t in range(2):
        assert np.isnan(map_.observe(ruined, hparams))
        assert all(np.isnan(value) for value in map_.metrics(ruined, hparams).values())
        ruined = map_.step(ruined, hparams, t)


def test_networks_with_convolutions_are_stepped_from_the_host_in_float32():
    class Conv(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(3)(linen.Conv(1, (2, 2))(x).reshape(len(x), -1))

    map_ = training_map(Conv(), (X.reshape(12, 2, 2, 1), LABELS))
    assert (map_.drive, map_.preferred_dtype) == ("host", "float32")
    assert map_.model.nan_propagation == "all"


@every_network
def test_seeds_draw_what_the_library_draws(name):
    map_ = adapted(name, seed=3)
    with precision():
        if name == "nnx":
            theirs = nnx.to_pure_dict(nnx.state(NnxNet(rngs=nnx.Rngs(3)), nnx.Param))
        elif name == "linen":
            keys = {"params": jax.random.key(3), "dropout": jax.random.key(9)}
            theirs = LinenNet().init(keys, X[:1], train=False)["params"]
        else:
            theirs = plain_init(jax.random.PRNGKey(3))
    ours = map_.variables["params"]
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@every_network
def test_every_type_trains(name, dtype):
    map_ = adapted(name)
    with precision():
        cast = jax.tree.map(jnp.asarray, cast_floats(map_, dtype))
        hparams = {k: jnp.asarray(v, hparam_dtype(dtype)) for k, v in map_.defaults.items()}
        state = cast_floats(cast.init(hparams), dtype)
        after = jax.eval_shape(cast.step, state, hparams, 0)
        assert jax.tree.structure(after) == jax.tree.structure(state)
        kinds = {leaf.dtype for leaf in jax.tree.leaves((state, after))}
        assert kinds == {jnp.dtype(dtype)}
    if name == "linen":
        losses = evaluate(map_, {"lr": np.array([0.0, 0.3])}, n_steps=20, dtype=dtype).final_loss
        assert losses[1] < losses[0]
