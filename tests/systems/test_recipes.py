"""Network, data and optimizer made one map: what each argument does, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.iteration import iterate
from dynfrac.orbits.kernels import initial_states
from dynfrac.systems.adaptation import Misfit
from dynfrac.systems.batches import Dataset, FullBatch
from dynfrac.systems.catalogue import make_architecture
from dynfrac.systems.datasets import TrainingData
from dynfrac.systems.interval_maps import Logistic
from dynfrac.systems.losses import cross_entropy, mean_squared_error
from dynfrac.systems.models import MeanFieldMLP
from dynfrac.systems.numerics import cast_floats, hparam_dtype, precision
from dynfrac.systems.optimizers import make_optimizer
from dynfrac.systems.recipes import choose_batches, training_map

RNG = np.random.default_rng(4)
X = RNG.standard_normal((12, 4))
LABELS = np.arange(12) % 3
CLASSES = (X, LABELS)
NUMBERS = (X, X[:, :2] * 2.0)


class Net(linen.Module):
    n_outputs: int = 3

    @linen.compact
    def __call__(self, x):
        return linen.Dense(self.n_outputs)(jnp.tanh(linen.Dense(5)(x)))


class NnxNet(nnx.Module):
    def __init__(self, *, rngs):
        self.first = nnx.Linear(4, 5, rngs=rngs)
        self.last = nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(jnp.tanh(self.first(x)))


class Dropped(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        return linen.Dense(3)(linen.Dropout(0.5, deterministic=not train)(linen.Dense(5)(x)))


def plain_init(key):
    return jax.random.normal(key, (4, 3))


def plain_call(params, x):
    return x @ params


def full(map_, **given):
    return {name: jnp.asarray(value) for name, value in (map_.defaults | given).items()}


def final(map_, n_steps=6, dtype="float64", **hparams):
    """Return the weights at the end of an orbit, as one vector."""
    state = iterate(map_, hparams, n_steps=n_steps, dtype=dtype).final_state
    return np.concatenate([np.ravel(np.asarray(w)) for w in jax.tree.leaves(state.params)])


def test_losses_follow_the_targets_unless_named():
    assert training_map(Net(), CLASSES).loss is cross_entropy
    assert training_map(Net(2), NUMBERS).loss is mean_squared_error
    assert training_map(Net(2), NUMBERS, loss="mse").loss is mean_squared_error
    imported = training_map(Net(), CLASSES, loss="dynfrac.systems.losses:cross_entropy")
    assert imported.loss is cross_entropy
    assert training_map(Net(2), NUMBERS, loss=absolute).loss is absolute
    with pytest.raises(ValueError, match="unknown loss 'msee'; did you mean 'mse'"):
        training_map(Net(2), NUMBERS, loss="msee")


def absolute(outputs, targets):
    return jnp.mean(jnp.abs(outputs - targets))


def test_labels_become_as_many_classes_as_there_are():
    source = TrainingData("own", Dataset(*CLASSES), None, 10)
    with pytest.raises(Misfit, match=r"labels of 10 classes .* let it return \(2, 10\)"):
        training_map(Net(3), source)
    # More outputs than classes are allowed: some classes may be missing in a part of the data.
    assert training_map(Net(7), CLASSES).defaults["lr"] == 0.1


@pytest.mark.parametrize("network", [Net(), NnxNet, (plain_init, plain_call)])
def test_a_network_is_recognised_and_drawn_once(network):
    one, two = training_map(network, CLASSES), training_map(network, CLASSES)
    leaves = zip(jax.tree.leaves(one.variables), jax.tree.leaves(two.variables), strict=True)
    assert all(np.array_equal(a, b) for a, b in leaves)
    other = training_map(network, CLASSES, seed=1)
    leaves = zip(
        jax.tree.leaves(one.variables["params"]),
        jax.tree.leaves(other.variables["params"]),
        strict=True,
    )
    assert any(not np.array_equal(a, b) for a, b in leaves)


def test_a_model_of_the_package_needs_no_adapter():
    model = MeanFieldMLP.create((4, 3, 2))
    map_ = training_map(model, NUMBERS)
    assert map_.model is model
    with pytest.raises(Misfit, match=r"MeanFieldMLP returns outputs of shape \(2, 2\)"):
        training_map(model, CLASSES)
    with pytest.raises(ValueError, match="a model has its own"):
        training_map(model, NUMBERS, groups={"in": "0"})


def test_images_are_given_as_they_are_or_as_rows():
    images = RNG.standard_normal((6, 2, 2, 1))
    seen = []

    def convolutional(params, x):
        seen.append(x.shape)
        return x[:, 0, 0, :] @ params

    def rows_only(params, x):
        seen.append(x.shape)
        return x @ params

    labels = np.arange(6) % 3
    assert training_map((np.ones((1, 3)), convolutional), (images, labels)).data.inputs.ndim == 4
    assert training_map((np.ones((4, 3)), rows_only), (images, labels)).data.inputs.ndim == 2
    as_rows = training_map((np.ones((4, 3)), rows_only), (images, labels), flat=True)
    assert as_rows.data.inputs.shape == (6, 4)
    with pytest.raises(ValueError, match=r"rows_only fails on inputs of shape \(2, 2, 2, 1\)"):
        training_map((np.ones((4, 3)), rows_only), (images, labels), flat=False)
    # Neither fits: the complaint is about the one that got further.
    with pytest.raises(Misfit, match=r"outputs of shape \(2, 2\)"):
        training_map((np.ones((4, 2)), rows_only), (images, labels))


def test_groups_have_learning_rates_of_their_own():
    map_ = training_map(Net(), CLASSES, groups="in:Dense_0,out:Dense_1/kernel")
    assert {"lr_in", "lr_out", "input_offset_per_step"} <= set(map_.defaults)
    start, hparams = map_.variables["params"], full(map_, lr=0.0, lr_out=0.3)
    after = jax.jit(lambda h: map_.step(map_.init(h), h, 0))(hparams).params
    moved = jax.tree.map(lambda a, b: bool(np.any(a != np.asarray(b))), start, after)
    assert moved == {
        "Dense_0": {"kernel": False, "bias": False},
        "Dense_1": {"kernel": True, "bias": False},
    }
    both = training_map(Net(), CLASSES, groups={"a": ("Dense_0/bias", "Dense_1/bias")})
    assert "lr_a" in both.defaults and "input_offset_per_step" not in both.defaults


def test_groups_scale_updates_that_contain_the_rate():
    groups = {"a": "Dense_0"}
    direct = training_map(Net(), CLASSES, groups=groups, optimizer="sgd")
    imported = training_map(Net(), CLASSES, groups=groups, optimizer="optax:sgd")
    for rates in ({"lr": 0.2}, {"lr": 0.2, "lr_a": 0.05}, {"lr": 0.2, "lr_a": 0.0}):
        # The rate is multiplied and divided again in one of them.
        np.testing.assert_allclose(final(imported, **rates), final(direct, **rates), rtol=1e-12)


@pytest.mark.parametrize(("optimizer", "rate"), [("optax:adam", 0.1), ("optax:lion", 0.1)])
def test_rates_and_settings_become_defaults(optimizer, rate):
    assert training_map(Net(), CLASSES, optimizer=optimizer).defaults["lr"] == rate
    map_ = training_map(
        Net(), CLASSES, optimizer=optimizer, lr=0.7, settings={"b1": 0.5, "init_scale": 2.0}
    )
    assert (map_.defaults["lr"], map_.defaults["b1"], map_.defaults["init_scale"]) == (0.7, 0.5, 2)


def test_the_optimizer_is_stepped_on_minibatches_of_the_order():
    map_ = training_map(Net(2), NUMBERS, optimizer="adam", batch=5, order="sequential", lr=0.03)
    rule = optax.adam(0.03)
    params = jax.tree.map(lambda w: jnp.asarray(w, "float64"), map_.variables["params"])
    state = rule.init(params)

    def loss(params, x, y):
        return jnp.mean((Net(2).apply({"params": params}, x) - y) ** 2)

    @jax.jit
    def step(params, state, rows):
        gradient = jax.grad(loss)(params, jnp.asarray(X)[rows], jnp.asarray(NUMBERS[1])[rows])
        updates, state = rule.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    for t in range(6):
        # The incomplete third batch is dropped.
        params, state = step(params, state, np.arange(5) + 5 * (t % 2))
    expected = np.concatenate([np.ravel(w) for w in jax.tree.leaves(params)])
    np.testing.assert_allclose(final(map_), expected, rtol=1e-11)


def test_batches_are_chosen_by_their_order_and_length():
    assert isinstance(choose_batches(12, None, "fixed", 500), FullBatch)
    assert len(choose_batches(12, 5, "reshuffled", 7).indices) == 8  # whole epochs
    assert len(choose_batches(12, 5, "reshuffled", 7, n_epochs=3).indices) == 6
    assert len(choose_batches(12, 5, "fixed", 500).indices) == 2
    assert len(choose_batches(12, 5, "drawn", 7).indices) == 7
    assert len(choose_batches(12, 5, "drawn", 7, n_epochs=2).indices) == 6
    adjustable = choose_batches(12, 5, "sequential", 7, adjustable=True)
    assert adjustable.adjustable and not choose_batches(12, 5, "sequential", 7).adjustable


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_batch_size_is_a_stream_that_is_cut(size):
    map_ = training_map(Net(), CLASSES, largest_batch=5, order="fixed", n_steps=6)
    assert map_.defaults["batch_size"] == 5
    cut = map_.batches.replace(indices=map_.batches.indices[:, :size], adjustable=False)
    # The same sums in another order.
    expected = final(map_.replace(batches=cut), lr=0.5)
    np.testing.assert_allclose(final(map_, lr=0.5, batch_size=size), expected, rtol=1e-12)
    if size < 5:
        assert not np.allclose(final(map_, lr=0.5), expected, rtol=1e-6)


def test_examples_outside_the_batch_size_may_overflow():
    inputs = X.copy()
    inputs[4] *= 1e200
    network = (np.ones((4, 2)), lambda params, x: (x @ params) ** 2)
    map_ = training_map(network, (inputs, NUMBERS[1]), largest_batch=6, order="sequential")
    cut = map_.batches.replace(indices=map_.batches.indices[:, :3], adjustable=False)
    expected = final(map_.replace(batches=cut), n_steps=1, lr=1e-3)
    assert np.isfinite(expected).all()
    got = final(map_, n_steps=1, lr=1e-3, batch_size=3)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


NETWORKS = {
    "linen": Net(),
    "nnx": NnxNet,
    "plain": (plain_init, plain_call),
    "dropout": Dropped(),
    "mean-field": MeanFieldMLP.create((4, 5, 3)),
}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, "float64") for name in NETWORKS),
        *((name, "float32") for name in ("linen", "plain", "mean-field")),
        ("nnx", "bfloat16"),
    ],
)
def test_a_seed_among_the_hyperparameters_is_the_seed_of_the_map(name, dtype):
    free = training_map(NETWORKS[name], CLASSES, seed=None)
    fixed = training_map(NETWORKS[name], CLASSES, seed=3)
    assert free.variables is None and free.defaults["seed"] == 0.0
    assert "seed" not in fixed.defaults

    def first(map_, **given):
        with precision():
            map_ = jax.device_put(cast_floats(map_, dtype))
            # Of any size, so that a draw in another type or fused with them would show.
            given |= {"init_scale": np.full(3, 1.3), "weight_offset": np.full(3, 0.07)}
            values = {k: np.full(3, v) for k, v in map_.defaults.items()} | given
            hparams = cast_floats(values, hparam_dtype(dtype))
            return initial_states(map_, hparams, np.dtype(jnp.dtype(dtype)))

    drawn = first(free, seed=np.array([0.0, 3.0, 1.0]))
    expected = first(fixed)
    for ours, theirs in zip(jax.tree.leaves(drawn), jax.tree.leaves(expected), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_array_equal(ours[1], theirs[1])
    assert all(np.any(w[0] != w[2]) for w in jax.tree.leaves(drawn.params) if w.ndim == 3)


def test_a_seed_among_the_hyperparameters_is_that_of_the_masks_too():
    seeds = {"lr": 0.4, "seed": np.array([0.0, 3.0, 3.0])}
    free = evaluate(training_map(Dropped(), CLASSES, seed=None), seeds, n_steps=4, lanes=3)
    fixed = evaluate(training_map(Dropped(), CLASSES, seed=3), {"lr": 0.4}, n_steps=4, lanes=3)
    assert free.measure[1] == free.measure[2] == fixed.measure[0] != free.measure[0]


@pytest.mark.parametrize("name", ["mlp", "mnist-mlp"])
def test_a_seed_among_the_hyperparameters_draws_what_built_in_networks_draw(name):
    arguments = {"n_data": 6, "width": 4}
    free = make_architecture(name, seed=None, **arguments)
    fixed = make_architecture(name, seed=3, **arguments)
    drawn = jax.jit(free.init)(full(free, seed=3.0)).params
    for ours, theirs in zip(drawn, fixed.variables["params"], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_masks_are_the_same_in_every_run_and_differ_from_step_to_step():
    map_ = training_map(Dropped(), CLASSES, seed=2)
    outcomes = evaluate(map_, {"lr": np.full(5, 0.5)}, n_steps=9, lanes=2)
    assert len(set(outcomes.measure)) == 1
    hparams = full(map_, lr=0.5)

    @jax.jit
    def moved(map_, t):
        return map_.step(map_.init(hparams), hparams, t).params["Dense_1"]["kernel"]

    first = moved(map_, 0)
    np.testing.assert_array_equal(moved(map_, 0), first)
    assert not np.array_equal(moved(map_, 1), first)
    assert not np.array_equal(moved(map_.replace(seed=5), 0), first)


def test_a_network_with_dropout_is_observed_without_it():
    map_ = training_map(Dropped(), CLASSES)
    hparams = full(map_)
    state = map_.init(hparams)
    outputs = Dropped().apply({"params": state.params}, X, train=False)
    expected = cross_entropy(outputs, LABELS)
    np.testing.assert_allclose(map_.observe(state, hparams), expected, rtol=1e-12)


def test_metrics_are_taken_on_test_data_and_noise_is_not():
    test = Dataset(X[:4] + 1, LABELS[:4])
    data = TrainingData("own", Dataset(*CLASSES), test, 3)
    map_ = training_map(Net(), data, label_noise=True)
    hparams = full(map_)
    state = map_.init(hparams)
    values = {name: float(v) for name, v in map_.metrics(state, hparams).items()}
    outputs = {
        name: Net().apply({"params": state.params}, x)
        for name, x in (("train", X), ("test", X[:4] + 1))
    }
    assert values["test_loss"] == pytest.approx(float(cross_entropy(outputs["test"], LABELS[:4])))
    assert values["accuracy"] == np.mean(np.argmax(outputs["test"], 1) == LABELS[:4])
    assert values["train_accuracy"] == np.mean(np.argmax(outputs["train"], 1) == LABELS)
    noisy = full(map_, label_noise=1.0)
    changed = {name: float(v) for name, v in map_.metrics(state, noisy).items()}
    assert changed["test_loss"] == values["test_loss"]
    assert changed["accuracy"] == values["accuracy"]
    wrong = np.argmax(outputs["train"], 1) == map_.noise.targets
    assert changed["train_accuracy"] == np.mean(wrong)
    expected = cross_entropy(outputs["train"], map_.noise.targets)
    np.testing.assert_allclose(map_.observe(state, noisy), expected, rtol=1e-12)


def test_metrics_exist_as_far_as_data_do():
    def names(*arguments):
        map_ = training_map(*arguments)
        hparams = full(map_)
        return set(jax.eval_shape(map_.metrics, map_.init(hparams), hparams))

    test = Dataset(*NUMBERS)
    assert names(Net(2), NUMBERS) == set()
    assert names(Net(2), TrainingData("own", test, test, None)) == {"test_loss"}
    assert names(Net(), CLASSES) == {"accuracy", "train_accuracy"}
    assert names(Net(), TrainingData("own", Dataset(*CLASSES), Dataset(*CLASSES), 3)) == {
        *("accuracy", "train_accuracy", "test_loss")
    }


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("mlp", {"width": 4, "n_data": 8}),
        ("cnn", {"channels": 1, "image_size": 5, "n_data": 4, "n_test": 2}),
    ],
)
def test_bfloat16_trains_with_hyperparameters_that_are_not_rounded_to_it(name, arguments):
    map_ = make_architecture(name, **arguments)
    rates = {"lr": np.array([0.0, 0.2999, 0.3017])}
    assert jnp.bfloat16(0.2999) == jnp.bfloat16(0.3017)
    coarse = evaluate(map_, rates, n_steps=20, dtype="bfloat16")
    assert coarse.conditions["dtype"] == "bfloat16"
    assert coarse.final_loss[1] < coarse.final_loss[0]
    assert coarse.measure[1] != coarse.measure[2]


def test_toy_maps_are_not_computed_in_bfloat16():
    with pytest.raises(ValueError, match="dtype='bfloat16' is not supported by Logistic; choose"):
        evaluate(Logistic(), {"r": 3.0}, n_steps=3, dtype="bfloat16")


def raising(params, x):
    raise RuntimeError("out of\nideas")


def branching(params, x, strength=0.5):
    return x @ params * strength if strength > 0 else x @ params


def evaluation_differs(params, x, train):
    return x @ params if train else (x @ params)[0]


def vector_loss(outputs, targets):
    return jnp.sum(outputs, 1)


class Appending(linen.Module):
    @linen.compact
    def __call__(self, x):
        self.sow("history", "x", x)
        return linen.Dense(3)(x)


class Normed(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        return linen.Dense(3)(linen.BatchNorm(use_running_average=not train)(x))


class Mute(linen.Module):
    width: int = 3


START = np.ones((4, 3))
WRONG = {
    "nothing": (3, CLASSES, {}, "an int is not a network; give a flax module"),
    "a class": (Net, CLASSES, {}, r"Net is a class and not yet a network; make one of it, as in"),
    "no call": (Mute(), CLASSES, {}, "Mute cannot be called; give it a method __call__"),
    "raises": ((START, raising), CLASSES, {}, "raising fails .* RuntimeError: out of ideas"),
    "raises in init": ((lambda key: 1 / 0, plain_call), CLASSES, {}, "ZeroDivisionError"),
    "raises in nnx": (functools.partial(nnx.Linear, 4), CLASSES, {}, "TypeError: .*out_features"),
    "branches": (
        (START, branching),
        CLASSES,
        {},
        "branching looks at the value of strength, a hyp",
    ),
    "clash": ((START, lambda p, x, lr=0.1: x @ p), CLASSES, {}, "hyperparameter 'lr', .* taken"),
    "argument": ((START, lambda p, x, mask: x @ p), CLASSES, {}, "needs the argument 'mask'"),
    "no parameters": (({}, lambda p, x: x[:, :3]), CLASSES, {}, "so there is nothing to train"),
    "integers": (
        ({"w": START, "n": 3}, lambda p, x: x @ p["w"]),
        CLASSES,
        {},
        "n of type int64 among its parameters",
    ),
    "few outputs": (Net(2), CLASSES, {}, r"do not fit labels of 3 classes .* return \(2, 3\)"),
    "other outputs": (Net(3), NUMBERS, {}, r"outputs of shape \(2, 3\) .* return \(2, 2\)"),
    "two outputs": ((START, lambda p, x: (x @ p, x)), CLASSES, {}, "returns a tuple where one"),
    "whole outputs": ((START, lambda p, x: jnp.round(x @ p).astype(int)), CLASSES, {}, "gradient"),
    "modes": ((START, evaluation_differs), CLASSES, {}, "in evaluation mode, which do not fit"),
    "appends": (Appending(), CLASSES, {}, "changes the number or shapes of its statistics"),
    "loss fails": (Net(), CLASSES, {"loss": "mse"}, "the loss mean_squared_error fails"),
    "loss on floats": (Net(2), NUMBERS, {"loss": "cross-entropy"}, "the loss cross_entropy fails"),
    "loss is many": (Net(), CLASSES, {"loss": vector_loss}, "vector_loss does not return one"),
    "lengths": (Net(), (X, LABELS[:9]), {}, r"shape \(12, 4\) and targets of shape \(9,\)"),
    "negative": (Net(), (X, LABELS - 1), {}, "those from -1 to 1 are not among 0 to 1"),
    "words": (Net(), (X, np.array(["a"] * 12)), {}, "targets are of type <U1; convert them"),
    "truths": (Net(), (X > 0, LABELS), {}, "inputs are of type bool; convert them"),
    "sizes": (Net(), CLASSES, {"n_data": 3}, "cut the arrays instead"),
    "source": (Net(), "minni", {}, "did you mean 'mini'"),
    "batch": (Net(), CLASSES, {"batch": 13}, "batch=13 must be between 1 and the 12 examples"),
    "no batch": (Net(), CLASSES, {"batch": 0}, "batch=0 must be between 1 and the 12"),
    "largest": (Net(), CLASSES, {"largest_batch": 13}, "batch=13 must be between"),
    "two batches": (Net(), CLASSES, {"batch": 2, "largest_batch": 3}, "exclude each other"),
    "norm": (Normed(), CLASSES, {"largest_batch": 3}, "needs a network without BatchNorm"),
    "order": (Net(), CLASSES, {"batch": 3, "order": "random"}, "unknown order 'random'"),
    "group": (Net(), CLASSES, {"groups": "in:Dense_3"}, "layer group in: 'Dense_3'; did you mean"),
    "group text": (Net(), CLASSES, {"groups": "in=Dense_0"}, "write NAME:PATH,NAME:PATH"),
    "hidden group": (Net(), CLASSES, {"groups": "hidden:Dense_0"}, "'hidden' is what has none"),
    "group name": (Net(), CLASSES, {"groups": {"my in": "Dense_0"}}, "other names are words"),
    "twice": (
        Net(),
        CLASSES,
        {"groups": "a:Dense_0,b:Dense_0/bias"},
        "Dense_0/bias is in the layer groups a and b",
    ),
    "seed": ((START, plain_call), CLASSES, {"seed": None}, "comes with its weights"),
    "optimizer": (Net(), CLASSES, {"optimizer": "adan"}, "did you mean 'adam'"),
    "setting": (Net(), CLASSES, {"settings": {"b1": 0.5}}, "unknown hyperparameter 'b1'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_one_sentence(name):
    network, data, arguments, words = WRONG[name]
    with pytest.raises(ValueError, match=words) as caught:
        training_map(network, data, **arguments)
    assert "\n" not in str(caught.value)


def test_an_optimizer_has_the_hyperparameters_that_it_declares():
    map_ = training_map(Net(), CLASSES, optimizer=make_optimizer("clip+momentum"))
    assert (map_.defaults["clip_norm"], map_.defaults["momentum"]) == (1.0, 0.9)
    with pytest.raises(ValueError, match="unknown hyperparameter 'b1'; .*known: .*momentum"):
        evaluate(map_, {"b1": 0.9}, n_steps=2)


FACTORIES = """
from flax import nnx
from flax import linen


class Net(nnx.Module):
    def __init__(self, width: int = 4, *, rngs):
        self.layer = nnx.Linear(64, width, rngs=rngs)
        self.head = nnx.Linear(width, 10, rngs=rngs)

    def __call__(self, x):
        return self.head(self.layer(x))


def raises():
    raise RuntimeError("no weights")


def needs(width):
    return linen.Dense(width)


def number():
    return 3
"""


@pytest.fixture
def factories(tmp_path, monkeypatch):
    (tmp_path / "recipe_factories.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "recipe_factories"


def test_arguments_of_a_factory_and_of_the_training_go_where_they_belong(factories):
    arguments = {"image_size": 8, "n_data": 6, "n_test": 2, "optimizer": "momentum"}
    map_ = make_architecture(f"{factories}:Net", width=7, **arguments)
    assert map_.variables["params"]["layer"]["kernel"].shape == (64, 7)
    assert "momentum" in map_.defaults and map_.data.size == 6
    free = make_architecture(f"{factories}:Net", width=7, seed=None, **arguments)
    assert free.variables is None and free.defaults["seed"] == 0


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("Net", {"widht": 3}, "unknown argument of .*: 'widht'; did you mean 'width'"),
        ("Net", {"width": 0.5}, "TypeError|fails|shape"),
        ("raises", {}, "raises raised RuntimeError: no weights"),
        ("needs", {}, "needs the argument width"),
        ("number", {}, "returned an int, neither a map nor a network"),
        ("missing", {}, "missing"),
    ],
)
def test_factories_that_fail_are_one_sentence(factories, name, arguments, words):
    with pytest.raises(ValueError, match=words) as caught:
        make_architecture(f"{factories}:{name}", n_data=4, image_size=8, **arguments)
    assert "\n" not in str(caught.value)
