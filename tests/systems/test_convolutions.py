"""Convolutions as matrix products against those of flax, and the networks built of either."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from dynfrac.orbits.evaluator import evaluate
from dynfrac.systems import convolutions, resnets
from dynfrac.systems.catalogue import make_architecture
from dynfrac.systems.convolutions import Convolution, convolve
from dynfrac.systems.losses import cross_entropy
from dynfrac.systems.numerics import cast_floats, precision
from dynfrac.systems.resnets import ResNet
from dynfrac.systems.training import TrainingMap

# The same sums in another order.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def assert_close(ours, theirs, dtype):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype == dtype
        scale = float(np.abs(b).max())
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[dtype] * max(1.0, scale))


def images_last(x):
    return jnp.transpose(x, (3, 1, 2, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("side", "stride", "shape", "bias"),
    [
        (3, 1, (7, 7), False),
        (3, 1, (2, 1), True),
        (3, 2, (6, 9), True),
        (1, 1, (5, 5), True),
        (1, 2, (7, 4), False),
    ],
)
def test_values_and_gradients_are_those_of_flax(dtype, bias, shape, side, stride):
    with precision():
        rng = np.random.default_rng(8)
        x = jnp.asarray(rng.standard_normal((3, *shape, 4)), dtype)
        theirs = nn.Conv(
            6, (side, side), strides=stride, padding=side // 2, use_bias=bias, dtype=dtype
        )
        ours = Convolution(6, side, stride, bias)
        variables = theirs.init(jax.random.PRNGKey(0), x)
        assert jax.tree.map(jnp.shape, variables) == jax.tree.map(
            jnp.shape, ours.init(jax.random.PRNGKey(0), images_last(x))
        )
        variables = jax.tree.map(
            lambda w: jnp.asarray(rng.standard_normal(w.shape), dtype), variables
        )

        def flax(variables, x):
            return jnp.asarray(theirs.apply(variables, x))

        def products(variables, x):
            return jnp.transpose(jnp.asarray(ours.apply(variables, images_last(x))), (3, 1, 2, 0))

        expected, back = jax.vjp(flax, variables, x)
        value, pull = jax.vjp(products, variables, x)
        assert_close(value, expected, dtype)
        cotangent = jnp.asarray(rng.standard_normal(expected.shape), dtype)
        assert_close(pull(cotangent), back(cotangent), dtype)
        tangents = jax.tree.map(jnp.cos, (variables, x))
        pushed = [jax.jvp(f, (variables, x), tangents)[1] for f in (products, flax)]
        assert_close(*pushed, dtype)


def test_a_single_one_in_the_kernel_shifts_the_picture():
    x = jnp.arange(12.0).reshape(1, 3, 4, 1)
    kernel = jnp.zeros((3, 3, 1, 1)).at[0, 2].set(1)
    shifted = np.zeros((3, 4))
    shifted[1:, :-1] = x[0, :-1, 1:, 0]
    np.testing.assert_array_equal(convolve(x, kernel)[0, ..., 0], shifted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("batch_norm", "shortcut"), [(True, "projection"), (False, "padding")])
def test_networks_of_products_and_of_convolutions_agree(dtype, batch_norm, shortcut):
    with precision():
        other = ResNet.create(8, width=0.25, batch_norm=batch_norm, shortcut=shortcut)
        model = other.replace(looped=True)
        key = jax.random.PRNGKey(2)
        drawn = [jax.jit(lambda key, m=m: m.init(key))(key) for m in (model, other)]
        jax.tree.map(np.testing.assert_array_equal, *drawn)
        params, stats = cast_floats(drawn[0], dtype).values()
        images = jnp.asarray(np.random.default_rng(3).random((8, 7, 7, 1)), dtype)
        labels, one = jnp.arange(8), {"skip": jnp.ones((), dtype)}

        @quickly
        def outcome(model, params, stats):
            def loss(params):
                logits, after = model.apply(params, stats, images, one)
                return cross_entropy(logits, labels), (logits, after)

            gradient, (logits, after) = jax.grad(loss, has_aux=True)(params)
            return gradient, logits, after, model.predict(params, stats, images, one)

        made, expected = (jax.tree.leaves(outcome(m, params, stats)) for m in (model, other))
        # Errors of seven layers and of the divisions by a deviation add up.
        for a, b in zip(made, expected, strict=True):
            scale = max(1.0, float(np.abs(b).max()))
            np.testing.assert_allclose(a, b, rtol=0, atol=10 * TOLERANCE[dtype] * scale)


def primitives(model, images):
    variables = jax.eval_shape(model.init, jax.random.PRNGKey(0))
    trace = jax.make_jaxpr(model.apply)(*variables.values(), images, {"skip": 1.0})
    return str(trace)


@pytest.mark.parametrize("looped", [True, False])
def test_matrix_products_are_for_loops_only(looped):
    model = ResNet.create(8, width=0.25, looped=looped)
    assert model.drive == ("scan" if looped else "host")
    text = primitives(model, jnp.zeros((4, 7, 7, 1)))
    assert ("conv_general_dilated" in text) is not looped


@pytest.mark.parametrize(
    ("network", "settings", "looped"),
    [
        ("resnet8", {"width": 0.25, "image_size": 14, "n_data": 32}, True),
        ("plain8", {"width": 0.25, "image_size": 14, "n_data": 32}, True),
        ("resnet8", {"width": 0.25, "image_size": 14, "n_data": 128}, False),
        # The images of a step count, not those of the data.
        ("resnet8", {"width": 0.25, "image_size": 14, "n_data": 128, "batch": 32}, True),
        ("resnet20", {"n_data": 32}, False),
        ("resnet20", {"n_data": 32, "looped": True}, True),
        ("resnet8", {"width": 0.25, "image_size": 7, "n_data": 16, "looped": False}, False),
    ],
)
def test_the_faster_form_is_chosen_by_the_size_of_a_step(network, settings, looped):
    map_ = make_architecture(network, **settings)
    assert isinstance(map_, TrainingMap) and isinstance(map_.model, ResNet)
    assert map_.model.looped is looped
    assert map_.drive == ("scan" if looped else "host")


def test_entries_are_those_of_the_patches(monkeypatch):
    # A patch of every output: side x side x channels entries of the input.
    counted = []

    def counting(x, kernel, stride=1):
        made = convolve(x, kernel, stride)
        counted.append(made[0].size * kernel[..., 0].size)
        return made

    monkeypatch.setattr(convolutions, "convolve", counting)
    for depth, width, side, channels in ((8, 0.25, 9, 1), (20, 0.5, 14, 3)):
        model = ResNet.create(depth, width=width, in_channels=channels, looped=True)
        shape = (2, side, side, channels)
        variables = jax.eval_shape(model.init, jax.random.PRNGKey(0))
        counted.clear()
        jax.eval_shape(model.apply, *variables.values(), jnp.zeros(shape), {"skip": 1.0})
        open_model = model.replace(looped=None)
        for limit, looped in ((sum(counted), True), (sum(counted) - 1, False)):
            monkeypatch.setattr(resnets, "_MOST_ENTRIES", limit)
            assert open_model.for_batches(shape).looped is looped


def test_other_devices_keep_their_convolution(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    text = primitives(ResNet.create(8, width=0.25, looped=True), jnp.zeros((4, 7, 7, 1)))
    assert "conv_general_dilated" in text


def test_from_the_host_bits_do_not_depend_on_lanes_and_in_a_loop_outcomes_agree():
    settings = {"width": 0.25, "image_size": 5, "n_data": 4, "batch_norm": False}
    map_ = make_architecture("resnet8", looped=False, **settings)
    rates = {"lr": np.array([0.01, 0.02, 1e30])}
    one, two = (evaluate(map_, rates, n_steps=5, lanes=lanes) for lanes in (1, 2))
    np.testing.assert_array_equal(one.final_loss, two.final_loss)
    assert isinstance(map_, TrainingMap)
    looped = map_.replace(model=map_.model.replace(looped=True))
    inside = evaluate(looped, rates, n_steps=5, lanes=2)
    assert list(inside.status) == list(one.status)
    # Rounding of five steps at small rates.
    np.testing.assert_allclose(inside.final_loss[:2], one.final_loss[:2], rtol=1e-4)
