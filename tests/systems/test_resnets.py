"""Residual and plain networks against a forward pass written out, and against known counts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.systems.catalogue import make_architecture
from dynfrac.systems.losses import cross_entropy
from dynfrac.systems.numerics import cast_floats
from dynfrac.systems.resnets import ResNet

SMALL = {"width": 0.25, "image_size": 7, "n_data": 4}

# Machine code of small convolutions is slow to optimise, and these tests run it a few times.
quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def prepared(map_, dtype, **given):
    """Return the map, its hyperparameters and its first state, all of one type."""
    values = map_.defaults | given
    # Without its own defaults, so that twins share what is compiled.
    map_ = jax.tree.map(jnp.asarray, cast_floats(map_, dtype)).replace(settings={})
    hparams = {name: jnp.asarray(value, dtype) for name, value in values.items()}
    return map_, hparams, cast_floats(map_.init(hparams), dtype)


@quickly
def step(map_, state, hparams):
    return map_.step(state, hparams, 0)


@jax.jit
def observe(map_, state, hparams):
    return map_.observe(state, hparams)


@quickly
def logits_of(model, params, stats, images, skip):
    return model.apply(params, stats, images, {"skip": skip})[0]


def orbit(map_, dtype, n_steps, **given):
    map_, hparams, state = prepared(map_, dtype, **given)
    for _ in range(n_steps):
        state = step(map_, state, hparams)
    return state


def assert_same_bits(a, b):
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("depth", "published"),
    # Parameters of the CIFAR-10 networks with parameter-free shortcuts (0.27, 0.46 and 0.85
    # million in the paper), which read three colours where the digits have one.
    [(20, 269_722), (32, 464_154), (56, 853_018)],
)
def test_parameters_are_those_of_the_published_networks(depth, published):
    variables = jax.eval_shape(ResNet.create(depth).init, jax.random.PRNGKey(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert count == published - 2 * 9 * 16


def test_without_batch_norm_a_bias_stands_for_scale_and_bias():
    variables = jax.eval_shape(ResNet.create(20, batch_norm=False).init, jax.random.PRNGKey(0))
    assert variables["stats"] == {}
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert count == 269_434 - (7 * 16 + 6 * 32 + 6 * 64)


def convolve(x, kernel, stride):
    """A 3 x 3 convolution with a margin of one zero, pixel by pixel."""
    n, side = x.shape[0], x.shape[1]
    framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = range(0, side, stride)
    out = np.zeros((n, len(rows), len(rows), kernel.shape[-1]))
    for a, i in enumerate(rows):
        for b, j in enumerate(rows):
            window = framed[:, i : i + 3, j : j + 3, :]
            out[:, a, b] = np.einsum("nijc,ijcd->nd", window, kernel)
    return out


def forward(params, images, skip, n_blocks):
    """The network of the docstring, in NumPy."""

    def layer(x, name, stride=1):
        kernel = np.asarray(params[name]["kernel"])
        x = convolve(x, kernel, stride)
        if f"{name}_norm" not in params:
            return x + np.asarray(params[name]["bias"])
        norm = params[f"{name}_norm"]
        x = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
        return x * np.asarray(norm["scale"]) + np.asarray(norm["bias"])

    x = np.maximum(layer(images, "stem"), 0)
    for stage in (1, 2, 3):
        for block in range(1, n_blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            name = f"stage{stage}_block{block}"
            y = np.maximum(layer(x, f"{name}_conv1", stride), 0)
            y = layer(y, f"{name}_conv2")
            shortcut = np.zeros_like(y)
            shortcut[..., : x.shape[-1]] = x[:, ::stride, ::stride]
            x = np.maximum(y + skip * shortcut, 0)
    return x.mean((1, 2)) @ np.asarray(params["head"]["kernel"]) + np.asarray(
        params["head"]["bias"]
    )


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("skip", [0.0, 0.37, 1.0])
def test_the_forward_pass_is_the_one_of_the_docstring(batch_norm, skip):
    model = ResNet.create(14, width=0.125, batch_norm=batch_norm)
    variables = jax.jit(model.init)(jax.random.PRNGKey(3))
    rng = np.random.default_rng(11)
    # No parameter stays at a special value, the biases least of all.
    params = jax.tree.map(lambda w: w + 0.1 * rng.standard_normal(w.shape), variables["params"])
    images = rng.random((3, 7, 7, 1))
    logits = logits_of(model, params, variables["stats"], images, skip)
    # The same sums in another order.
    np.testing.assert_allclose(logits, forward(params, images, skip, 2), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_plain_network_is_the_residual_one_without_skip(batch_norm, dtype):
    residual = make_architecture("resnet8", batch_norm=batch_norm, **SMALL)
    plain = make_architecture("plain8", batch_norm=batch_norm, **SMALL)
    assert (residual.defaults["skip"], plain.defaults["skip"]) == (1.0, 0.0)
    ours = orbit(plain, dtype, 3)
    assert_same_bits(ours, orbit(residual, dtype, 3, skip=0.0))
    other = orbit(residual, dtype, 3)
    assert not np.array_equal(ours.params["head"]["kernel"], other.params["head"]["kernel"])


@pytest.mark.parametrize(
    ("optimizer", "reference"), [("sgd", optax.sgd(0.1)), ("momentum", optax.sgd(0.1, 0.9))]
)
def test_a_training_loop_written_with_optax_has_the_same_bits(optimizer, reference):
    map_ = make_architecture("resnet8", optimizer=optimizer, **SMALL)
    images, labels = jnp.asarray(map_.data.inputs, "float32"), jnp.asarray(map_.data.targets)
    variables = cast_floats(map_.variables, "float32")

    def objective(params, stats):
        logits, stats = map_.model.apply(params, stats, images, {"skip": jnp.float32(1)})
        return cross_entropy(logits, labels), stats

    @quickly
    def update(params, stats, opt_state):
        gradient, stats = jax.grad(objective, has_aux=True)(params, stats)
        updates, opt_state = reference.update(gradient, opt_state)
        return optax.apply_updates(params, updates), stats, opt_state

    params, stats = variables["params"], variables["stats"]
    opt_state = reference.init(params)
    for _ in range(4):
        params, stats, opt_state = update(params, stats, opt_state)
    state = orbit(map_, "float32", 4)
    assert_same_bits((params, stats), (state.params, state.stats))


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_not_a_number_in_any_weight_reaches_the_loss(batch_norm, dtype):
    # The smallest image: here a kernel has the fewest pixels to read.
    arguments = {"width": 0.125, "image_size": 5, "n_data": 2, "batch_norm": batch_norm}
    for name in ("resnet8", "plain8"):
        map_, hparams, state = prepared(make_architecture(name, **arguments), dtype)
        assert np.isfinite(observe(map_, state, hparams))
        leaves, structure = jax.tree.flatten(state.params)
        for i, leaf in enumerate(leaves):
            # All entries of a kernel's window, the first and last of its channels.
            window = leaf.shape[:-2] if leaf.ndim == 4 else ()
            for place in np.ndindex(window):
                for end in (0, -1):
                    position = (*place, *[end] * (leaf.ndim - len(window)))
                    sick = [*leaves[:i], leaf.at[position].set(jnp.nan), *leaves[i + 1 :]]
                    sick = state.replace(params=structure.unflatten(sick))
                    assert jnp.isnan(observe(map_, sick, hparams))
                    assert map_.is_doomed(sick)


def test_running_statistics_follow_the_batch_and_feed_nothing():
    map_, hparams, state = prepared(make_architecture("resnet8", **SMALL), "float64")
    other = state.replace(stats=jax.tree.map(lambda s: s + 3.0, state.stats))
    after, moved = step(map_, state, hparams), step(map_, other, hparams)
    assert_same_bits(after.params, moved.params)
    images = np.asarray(map_.data.inputs)
    mean = convolve(images, np.asarray(state.params["stem"]["kernel"]), 1).mean((0, 1, 2))
    # Of the batch before the update: 0.99 of the old mean (0) and 0.01 of its own.
    np.testing.assert_allclose(after.stats["stem_norm"]["mean"], 0.01 * mean, rtol=1e-11)
    np.testing.assert_allclose(moved.stats["stem_norm"]["mean"], 0.99 * 3 + 0.01 * mean, rtol=1e-11)


def test_layer_groups_are_the_first_convolution_and_the_head():
    map_ = make_architecture("resnet8", **SMALL)
    groups = map_.model.layer_groups(map_.variables["params"])
    assert groups["stem"] == {"kernel": "in"}
    assert groups["head"] == {"kernel": "out", "bias": "out"}
    rest = {name: group for name, group in groups.items() if name not in ("stem", "head")}
    assert set(jax.tree.leaves(rest)) == {"hidden"} and len(rest) == 6 + 7


def test_initial_weights_have_the_variance_of_he_and_come_from_the_seed_alone():
    first, again, other = (make_architecture("resnet8", seed=seed, n_data=1) for seed in (0, 0, 1))
    assert_same_bits(first.variables, again.variables)
    for layer, leaves in first.variables["params"].items():
        if "kernel" not in leaves:
            assert np.all(leaves["scale"] == 1) and np.all(leaves["bias"] == 0)
            continue
        kernel = leaves["kernel"]
        assert kernel.dtype == np.float64
        assert not np.array_equal(kernel, other.variables["params"][layer]["kernel"])
        gain = 1 if layer == "head" else 2
        scaled = kernel.astype(float) * np.sqrt(np.prod(kernel.shape[:-1]) / gain)
        # The mean of m squares of normal numbers has standard deviation sqrt(2 / m).
        assert abs(np.mean(scaled**2) - 1) < 4 * np.sqrt(2 / scaled.size)


@pytest.mark.parametrize(
    ("name", "batch_norm", "factor"),
    # Plain networks without BatchNorm learn slowly; with it the loss at least halves.
    [
        ("resnet8", True, 0.5),
        ("plain8", True, 0.5),
        ("resnet8", False, 1.0),
        ("plain8", False, 1.0),
    ],
)
def test_networks_train_at_the_default_learning_rate(name, batch_norm, factor):
    map_ = make_architecture(name, batch_norm=batch_norm, **SMALL)
    state = orbit(map_, "float32", 60)
    map_, hparams, start = prepared(map_, "float32")
    assert observe(map_, state, hparams) < factor * observe(map_, start, hparams)


def test_the_evaluator_steps_them_from_the_host_in_float32():
    map_ = make_architecture("resnet8", batch_norm=False, looped=False, **SMALL)
    outcomes = evaluate(map_, {"lr": np.array([0.1, 1e30])}, n_steps=5)
    assert (outcomes.conditions["dtype"], outcomes.conditions["lanes"]) == ("float32", 1)
    state = orbit(map_, "float32", 4)
    map_, hparams, _ = prepared(map_, "float32")
    # The last loss is that of the state before the fifth update; the same sums in another order.
    assert outcomes.final_loss[0] == pytest.approx(float(observe(map_, state, hparams)), rel=1e-4)
    assert list(outcomes.status) == [Status.CONVERGED, Status.NOT_FINITE]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"depth": 21}, "depth=21 is not of the form 6n .*nearest is 20"),
        ({"depth": 2}, "nearest is 8"),
        ({"depth": 8, "width": 0.01}, "width=0.01 leaves the first stage without channels"),
        ({"depth": 8, "n_classes": 0}, "n_classes=0 must be at least 1"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        ResNet.create(**arguments)


@pytest.mark.parametrize("shape", [(2, 4, 4, 1), (2, 49)])
def test_inputs_that_are_no_images_are_refused(shape):
    model = ResNet.create(8, width=0.125)
    variables = jax.jit(model.init)(jax.random.PRNGKey(0))
    with pytest.raises(ValueError, match="inputs of shape .* a side of at least 5 pixels"):
        model.apply(variables["params"], variables["stats"], np.zeros(shape), {"skip": 1.0})
