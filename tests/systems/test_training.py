"""The training map: its step against hand-written loops, its state, its hyperparameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.systems.batches import FullBatch, minibatch_stream
from dynfrac.systems.catalogue import make_architecture
from dynfrac.systems.losses import cross_entropy, mean_squared_error
from dynfrac.systems.models import MeanFieldMLP
from dynfrac.systems.optimizers import make_optimizer
from dynfrac.systems.published import published_map


def full_hparams(map_, **given):
    return {name: jnp.asarray(value) for name, value in (map_.defaults | given).items()}


def orbit(map_, n_steps, **given):
    """States 0 .. n_steps, one uncompiled step at a time."""
    hparams = full_hparams(map_, **given)
    states = [map_.init(hparams)]
    for t in range(n_steps):
        states.append(map_.step(states[-1], hparams, t))
    return states


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("sgd", optax.sgd(0.3)),
        ("momentum", optax.sgd(0.3, momentum=0.9)),
        ("nesterov", optax.sgd(0.3, momentum=0.9, nesterov=True)),
        ("adam", optax.adam(0.3)),
    ],
)
def test_steps_are_those_of_optax(name, reference):
    map_ = published_map(width=4, optimizer=name)
    x, y = map_.data.inputs, map_.data.targets

    def loss(params):
        return jnp.mean((map_.model.apply(params, {}, x, {})[0] - y) ** 2)

    params = map_.variables["params"]
    opt_state = reference.init(params)
    for state in orbit(map_, 5, lr=0.3)[1:]:
        updates, opt_state = reference.update(jax.grad(loss)(params), opt_state, params)
        params = optax.apply_updates(params, updates)
        # The learning rate multiplies outside here and inside there: the last bit may differ.
        for ours, theirs in zip(state.params, params, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_unknown_optimizers_are_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'momentum'"):
        make_optimizer("momentun")


def test_layers_have_their_own_learning_rates_and_follow_lr_otherwise():
    map_ = published_map(width=4)
    start = map_.variables["params"]

    def moved(**given):
        after = orbit(map_, 1, **given)[1].params
        return [np.asarray(b - a) for a, b in zip(start, after, strict=True)]

    both, first, last = moved(lr=0.2), moved(lr=0.0, lr_in=0.2), moved(lr=0.0, lr_out=0.2)
    np.testing.assert_array_equal(first[0], both[0])
    np.testing.assert_array_equal(last[1], both[1])
    assert not first[1].any()
    assert not last[0].any()
    deep = published_map(width=4, depth=3)
    after = orbit(deep, 1, lr=0.0, lr_in=0.2, lr_out=0.2)[1].params
    np.testing.assert_array_equal(after[1], deep.variables["params"][1])


def test_scale_and_offset_act_once_on_every_parameter():
    map_ = published_map(width=4)
    scaled = map_.init(full_hparams(map_, init_scale=3.0, weight_offset=0.5)).params
    for ours, drawn in zip(scaled, map_.variables["params"], strict=True):
        np.testing.assert_allclose(ours, 3.0 * drawn + 0.5, rtol=1e-15)


def test_the_offset_per_step_shifts_the_first_layer_before_every_gradient():
    map_ = published_map(width=4)
    w0, w1 = map_.variables["params"]
    hparams = full_hparams(map_, lr=0.1, input_offset_per_step=0.7)
    state = map_.init(hparams)
    np.testing.assert_array_equal(state.params[0], w0)
    shifted = [jnp.asarray(w0) + 0.7, jnp.asarray(w1)]

    def loss(params):
        return jnp.mean((map_.model.apply(params, {}, map_.data.inputs, {})[0]
                         - map_.data.targets) ** 2)  # fmt: skip

    np.testing.assert_allclose(map_.observe(state, hparams), loss(shifted), rtol=1e-14)
    after = map_.step(state, hparams, 0).params
    for ours, w, g in zip(after, shifted, jax.grad(loss)(shifted), strict=True):
        np.testing.assert_allclose(ours, w - 0.1 * g, rtol=1e-13)


def test_a_minibatch_step_uses_the_rows_of_its_stream_and_records_the_full_loss():
    whole, batched = published_map(width=4), published_map(width=4, batch=3, n_steps=7)
    rows = np.asarray(batched.batches.indices)
    assert rows.shape == (7, 3)
    for t in (0, 6, 7, 20):
        picked = batched.batches.select(batched.data, t)
        np.testing.assert_array_equal(picked.inputs, whole.data.inputs[rows[t % 7]])
        np.testing.assert_array_equal(picked.targets, whole.data.targets[rows[t % 7]])
    hparams = full_hparams(whole)
    state = whole.init(hparams)
    assert whole.observe(state, hparams) == batched.observe(state, hparams)


@pytest.mark.parametrize(("batch", "steps"), [(0, 5), (21, 5), (3, 0)])
def test_streams_that_cannot_be_drawn_are_refused(batch, steps):
    with pytest.raises(ValueError, match=r"batch=|n_steps="):
        minibatch_stream(20, batch, steps)


def test_a_not_a_number_in_any_weight_dooms_the_run():
    for nonlinearity in ("tanh", "relu", "identity"):
        map_ = published_map(width=3, nonlinearity=nonlinearity)
        hparams = full_hparams(map_)
        healthy = map_.init(hparams)
        assert not map_.is_doomed(healthy)
        leaves, structure = jax.tree.flatten(healthy)
        for i, leaf in enumerate(leaves):
            for position in np.ndindex(leaf.shape):
                sick = structure.unflatten(
                    [*leaves[:i], leaf.at[position].set(jnp.nan), *leaves[i + 1 :]]
                )
                assert map_.is_doomed(sick)
                for t in range(3):
                    assert jnp.isnan(map_.observe(sick, hparams))
                    sick = map_.step(sick, hparams, t)


def test_stability_threshold_is_given_only_where_it_is_known():
    def threshold(map_, **given):
        return map_.stability_threshold(map_.defaults | given)

    assert threshold(published_map(width=3), lr=0.5) == 4.0
    assert threshold(published_map(width=3, optimizer="momentum"), lr=0.5, momentum=0.5) == 6.0
    assert threshold(published_map(width=3), lr=0.5, lr_in=0.5) == 4.0
    assert threshold(published_map(width=3), lr=0.5, lr_in=0.4) is None
    assert threshold(published_map(width=3, optimizer="adam")) is None
    assert threshold(published_map(width=3, batch=2), lr=0.5) is None


def test_settings_replace_defaults_and_must_be_known():
    assert published_map(lr=0.25).defaults["lr"] == 0.25
    map_ = published_map().replace(settings={"lrr": 1.0})
    with pytest.raises(ValueError, match="did you mean 'lr'"):
        _ = map_.defaults


def test_heavy_ball_contracts_volume_at_the_same_rate_everywhere():
    map_ = published_map(width=3, optimizer="momentum")
    spectrum = lyapunov_spectrum(
        map_, {"lr": 0.5, "momentum": 0.8}, n_steps=40, n_warmup=0, n_exponents=24
    )
    assert spectrum.dimension == 24
    # The determinant is exact at every step; 40 steps of 24 logarithms round to about 1e-12.
    np.testing.assert_allclose(spectrum.exponents.sum(), 12 * np.log(0.8), rtol=1e-11)


def test_losses_are_their_formulas():
    outputs = jnp.asarray([[2.0, 0.0], [1.0, 3.0]])
    np.testing.assert_allclose(mean_squared_error(outputs, jnp.ones((2, 2))), (1 + 1 + 0 + 4) / 4)
    expected = np.mean([np.log(1 + np.exp(-2.0)), np.log(1 + np.exp(-2.0))])
    np.testing.assert_allclose(cross_entropy(outputs, jnp.asarray([0, 1])), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"nonlinearity": "tahn"}, "did you mean 'tanh'"),
        ({"width": 0}, "width=0"),
        ({"depth": 0}, "depth=0"),
        ({"n_data": 0}, "n_data=0"),
        ({"batch": 1000}, "batch=1000"),
        ({"optimizer": "sdg"}, "did you mean 'sgd'"),
    ],
)
def test_networks_that_cannot_be_built_are_refused_in_one_sentence(arguments, words):
    with pytest.raises(ValueError, match=words):
        published_map(**arguments)


def test_published_random_numbers_do_not_depend_on_the_settings_of_the_caller():
    here = published_map(batch=4, n_steps=9)
    with jax.enable_x64(False), jax.threefry_partitionable(False):
        there = published_map(batch=4, n_steps=9)
    for a, b in zip(
        *(map(np.asarray, jax.tree.leaves(map_)) for map_ in (here, there)), strict=True
    ):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert isinstance(published_map().batches, FullBatch)
    assert isinstance(here.model, MeanFieldMLP)


def test_running_statistics_are_slaved():
    map_ = make_architecture("resnet8", width=0.25, image_size=7, n_data=4)
    hparams = full_hparams(map_)
    state = map_.init(hparams)
    kick = jax.tree.map(jnp.ones_like, state.stats)
    still = jax.tree.map(jnp.zeros_like, state)

    @jax.jit
    def push(state, tangent):
        return jax.jvp(lambda x: map_.step(x, hparams, 0), (state,), (tangent,))[1]

    pushed = push(state, still.replace(stats=kick))
    # Block-triangular Jacobian: nothing reaches the weights, and each entry shrinks by m = 0.99.
    assert not any(np.any(leaf) for leaf in jax.tree.leaves((pushed.params, pushed.opt_state)))
    for leaf in jax.tree.leaves(pushed.stats):
        np.testing.assert_allclose(leaf, 0.99, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_adam_has_tangents_where_a_gradient_is_always_zero(dtype):
    # Corner pixels of the digits are black in all images, so their weights never move.
    map_ = make_architecture("mnist-mlp", n_data=8, width=3, optimizer="adam")
    assert not map_.data.inputs[:, 0].any()
    spectrum = lyapunov_spectrum(map_, {"lr": 0.1}, n_steps=20, n_exponents=3, dtype=dtype)
    assert np.all(np.isfinite(spectrum.exponents))
