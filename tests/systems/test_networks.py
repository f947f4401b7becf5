"""The networks of the package against the same formulas in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.systems.networks import ConvNet, LinearNetwork, Perceptron, Transformer

KEY = jax.random.PRNGKey(0)
RNG = np.random.default_rng(2)


def drawn(network, inputs):
    """Return the parameters in float64, as arrays of NumPy."""
    params = jax.jit(network.init)(KEY, inputs)["params"]
    return jax.tree.map(lambda w: np.asarray(w, float), params)


def applied(network, params, inputs, **keywords):
    return np.asarray(jax.jit(network.apply)({"params": params}, inputs, **keywords))


def shapes(params):
    return jax.tree.map(np.shape, params, is_leaf=lambda node: isinstance(node, np.ndarray))


def test_a_perceptron_is_rectified_products_without_biases():
    images = RNG.standard_normal((3, 4, 4, 1))
    params = drawn(Perceptron((5, 6), 10), images)
    assert shapes(params) == {
        "first": {"kernel": (16, 5)},
        "hidden_1": {"kernel": (5, 6)},
        "head": {"kernel": (6, 10)},
    }
    x = images.reshape(3, 16)
    for name in ("first", "hidden_1"):
        x = np.maximum(x @ params[name]["kernel"], 0)
    got = applied(Perceptron((5, 6), 10), params, images)
    np.testing.assert_allclose(got, x @ params["head"]["kernel"], rtol=1e-13)


def test_hidden_weights_of_a_perceptron_have_the_spread_of_he():
    params = drawn(Perceptron((300,), 10), np.zeros((1, 784)))
    # 235 200 normal numbers (truncated, then rescaled): the spread is known to 0.15%.
    assert np.std(params["first"]["kernel"]) == pytest.approx(np.sqrt(2 / 784), rel=0.01)


@pytest.mark.parametrize(("depth", "names"), [(1, ["first"]), (3, ["first", "hidden_1", "head"])])
def test_a_linear_network_is_the_product_of_its_matrices(depth, names):
    inputs = RNG.standard_normal((4, 6))
    network = LinearNetwork(depth, 5, 2)
    params = drawn(network, inputs)
    assert set(params) == set(names)
    x = inputs
    for name in names:
        x = x @ params[name]["kernel"]
    np.testing.assert_allclose(applied(network, params, inputs), x, rtol=1e-13)


def convolved(x, kernel, bias):
    """Return a 3 x 3 convolution of stride 2, padded so that a side of n becomes ceil(n / 2)."""
    side = x.shape[1]
    out = -(-side // 2)
    total = max(2 * (out - 1) + 3 - side, 0)
    before = total // 2
    x = np.pad(x, ((0, 0), (before, total - before), (before, total - before), (0, 0)))
    pixels = np.zeros((len(x), out, out, kernel.shape[-1]))
    for i in range(out):
        for j in range(out):
            window = x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            pixels[:, i, j] = np.tensordot(window, kernel, ([1, 2, 3], [0, 1, 2])) + bias
    return pixels


@pytest.mark.parametrize("side", [4, 5])
def test_a_convolutional_network_is_two_convolutions_and_a_head(side):
    images = RNG.standard_normal((2, side, side, 1))
    network = ConvNet((2, 3), 10)
    params = drawn(network, images)
    params = jax.tree.map(lambda w: w + 0.1, params)  # biases start at zero
    x = images
    for name in ("first", "second"):
        x = np.maximum(convolved(x, params[name]["kernel"], params[name]["bias"]), 0)
    expected = x.reshape(2, -1) @ params["head"]["kernel"] + params["head"]["bias"]
    np.testing.assert_allclose(applied(network, params, images), expected, rtol=1e-12)


TOKENS = RNG.integers(0, 7, (2, 6))
TRANSFORMER = Transformer(vocabulary=7, width=8, n_heads=2, n_blocks=2)


def normalised(x, part):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return x * part["scale"] + part["bias"]


def attended(x, part):
    """Return causal attention with two heads, position by position."""
    q, k, v = (
        np.einsum("nld,dhe->nlhe", x, part[name]["kernel"]) + part[name]["bias"]
        for name in ("query", "key", "value")
    )
    mixed = np.zeros_like(q)
    for i in range(x.shape[1]):
        scores = np.einsum("nhe,njhe->nhj", q[:, i], k[:, : i + 1]) / np.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        mixed[:, i] = np.einsum("nhj,njhe->nhe", weights, v[:, : i + 1])
    return np.einsum("nlhe,hed->nld", mixed, part["out"]["kernel"]) + part["out"]["bias"]


def transformed(params, tokens, skip):
    x = params["embedding"]["embedding"][tokens] + params["positions"]
    for i in range(2):
        y = normalised(x, params[f"block{i}_norm1"])
        x = skip * x + attended(y, params[f"block{i}_attention"])
        y = normalised(x, params[f"block{i}_norm2"])
        y = y @ params[f"block{i}_dense1"]["kernel"] + params[f"block{i}_dense1"]["bias"]
        y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
        x = skip * x + y @ params[f"block{i}_dense2"]["kernel"] + params[f"block{i}_dense2"]["bias"]
    x = normalised(x, params["norm"])
    return x @ params["head"]["kernel"] + params["head"]["bias"]


@pytest.fixture(scope="module")
def transformer_params():
    params = drawn(TRANSFORMER, TOKENS)
    rng = np.random.default_rng(5)
    # Off the symmetric start: biases of zero and scales of one would hide what they belong to.
    return jax.tree.map(lambda w: w + 0.1 * rng.standard_normal(w.shape), params)


@pytest.mark.parametrize("skip", [1.0, 0.4])
def test_a_transformer_is_attention_and_perceptrons(transformer_params, skip):
    got = applied(TRANSFORMER, transformer_params, TOKENS, skip=skip)
    # LayerNorm takes its variance as E[x^2] - E[x]^2, which costs a few digits.
    expected = transformed(transformer_params, TOKENS, skip)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


def test_a_transformer_does_not_see_the_future(transformer_params):
    before = applied(TRANSFORMER, transformer_params, TOKENS)
    for position in (2, 5):
        changed = TOKENS.copy()
        changed[:, position] = (changed[:, position] + 1) % 7
        after = applied(TRANSFORMER, transformer_params, changed)
        np.testing.assert_array_equal(after[:, :position], before[:, :position])
        assert np.all(np.any(after[:, position:] != before[:, position:], axis=-1))


def test_outputs_follow_the_type_of_the_weights(transformer_params):
    for dtype in (jnp.bfloat16, jnp.float32, jnp.float64):
        params = jax.tree.map(lambda w, dtype=dtype: jnp.asarray(w, dtype), transformer_params)
        skip = jnp.asarray(1.0, dtype)
        outputs = jax.eval_shape(
            lambda p, s: TRANSFORMER.apply({"params": p}, TOKENS, skip=s), params, skip
        )
        assert outputs.dtype == dtype
