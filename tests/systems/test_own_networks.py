"""Networks in files of their own: the bits of a loop written by hand, and every command."""

import functools
import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from dynfrac.cli.main import main
from dynfrac.orbits import kernels
from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.sweeps.results import open_sweep
from dynfrac.systems.catalogue import make_architecture
from dynfrac.systems.numerics import cast_floats, precision

FILES = {
    "own_nnx:Net": """
from flax import linen, nnx


class Net(nnx.Module):
    def __init__(self, n_in: int = 784, n_out: int = 10, *, rngs):
        self.first = nnx.Linear(n_in, 5, rngs=rngs)
        self.last = nnx.Linear(5, n_out, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.tanh(self.first(x)))
""",
    "own_linen:Net": """
from flax import linen as nn


class Net(nn.Module):
    n_out: int = 10

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.n_out)(nn.tanh(nn.Dense(5)(x.reshape(len(x), -1))))
""",
    "own_plain:network": """
import jax
import jax.numpy as jnp


def network(n_in: int = 784, n_out: int = 10):
    def init(key):
        a, b = (jax.random.normal(k, (784, 5)) for k in jax.random.split(key))
        return {"a": a[:n_in] / n_in**0.5, "b": b[:n_out].T / 5**0.5}

    return init, lambda params, x: jnp.tanh(x @ params["a"]) @ params["b"]
""",
}
SHAPES = {
    "own_nnx:Net": {"n_in": 16, "n_out": 1},
    "own_linen:Net": {"n_out": 1},
    "own_plain:network": {"n_in": 16, "n_out": 1},
}
N_STEPS = 30
# Two rates at which it settles, one at which it does not, and one at which it blows up.
RATES = np.array([0.02, 0.3, 3.0, 1e4])

every_file = pytest.mark.parametrize("path", FILES)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Write the files outside the package, where Python finds them."""
    folder = tmp_path_factory.mktemp("own")
    for path, source in FILES.items():
        assert len(source.strip().splitlines()) <= 15
        (folder / f"{path.partition(':')[0]}.py").write_text(source.lstrip())
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder


def their_network(path, inputs, shape):
    """Return initial parameters and a function of them, with flax alone."""
    module, _, name = path.partition(":")
    made = getattr(importlib.import_module(module), name)
    if module == "own_nnx":
        graph, params = nnx.split(made(**shape, rngs=nnx.Rngs(0)))
        return params, lambda params, x: nnx.merge(graph, params)(x)
    if module == "own_linen":
        net = made(**shape)
        params = net.init(jax.random.key(0), inputs[:1])["params"]
        return params, lambda params, x: net.apply({"params": params}, x)
    init, apply = made(**shape)
    return init(jax.random.PRNGKey(0)), apply


# Numbers of the optimizer are arrays, as the learning rate is: constants are rounded differently.
THEIRS = {
    "sgd": lambda h: optax.sgd(h["lr"]),
    "momentum": lambda h: optax.sgd(h["lr"], momentum=h["momentum"]),
    "adam": lambda h: optax.adam(h["lr"], b1=h["b1"], b2=h["b2"], eps=h["eps"]),
}


def by_hand(path, map_, rates, dtype, *, shape=None, batch=None, optimizer="sgd"):
    """Return losses (n_steps, lanes) and weights of a batch of runs: flax, optax and a loop."""
    with precision():
        inputs, targets = jnp.asarray(map_.data.inputs, dtype), jnp.asarray(map_.data.targets)
        classes = jnp.issubdtype(targets.dtype, jnp.integer)
        targets = targets if classes else targets.astype(dtype)
        params, apply = their_network(path, inputs, SHAPES[path] if shape is None else shape)
        params = jax.tree.map(lambda w: jnp.asarray(w, dtype), params)
        lanes = len(rates)
        numbers = {"momentum": 0.9, "b1": 0.9, "b2": 0.999, "eps": 1e-8}
        hparams = {name: jnp.full(lanes, value, dtype) for name, value in numbers.items()}
        hparams["lr"] = jnp.asarray(rates, dtype)

        def loss(params, x, y):
            outputs = apply(params, x)
            if classes:
                return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, y))
            return jnp.mean((outputs - y) ** 2)

        @jax.jit
        @functools.partial(jax.vmap, in_axes=(0, 0, 0, None))
        def step(params, state, hparams, t):
            x, y = inputs, targets
            if batch is not None:
                x, y = (jnp.stack(jnp.split(a, len(a) // batch))[t % (32 // batch)] for a in (x, y))
            value, gradient = loss(params, inputs, targets), jax.grad(loss)(params, x, y)
            updates, state = THEIRS[optimizer](hparams).update(gradient, state, params)
            return optax.apply_updates(params, updates), state, value

        params = jax.tree.map(lambda w: jnp.broadcast_to(w, (lanes, *w.shape)), params)
        state = jax.vmap(lambda p, h: THEIRS[optimizer](h).init(p))(params, hparams)
        losses = []
        for t in range(N_STEPS):
            params, state, value = step(params, state, hparams, t)
            losses.append(np.asarray(value, np.float64))
        return np.stack(losses), jax.tree.map(np.asarray, params)


def curves(map_, rates, dtype, lanes):
    """Return losses (n_steps, lanes) of `evaluate`, the last of runs of every length, and all."""
    lengths = np.repeat(np.arange(1, N_STEPS + 1), len(rates))
    runs = {"lr": np.tile(rates, N_STEPS), "n_steps": lengths}
    outcomes = evaluate(map_, runs, n_steps=N_STEPS, lanes=lanes, dtype=dtype)
    return outcomes.final_loss.reshape(N_STEPS, -1), outcomes


def weights(map_, rates, dtype):
    """Return the weights after all steps, from the programs that `evaluate` runs."""
    with precision():
        map_ = jax.device_put(cast_floats(map_, dtype))
        hparams = {name: np.full(len(rates), v, dtype) for name, v in map_.defaults.items()}
        hparams["lr"] = rates.astype(dtype)
        states = kernels.initial_states(map_, hparams, np.dtype(dtype))
        for t in range(0, N_STEPS, kernels.CHUNK):
            count = min(kernels.CHUNK, N_STEPS - t)
            states, *_ = kernels.advance(map_, states, hparams, t, count, 0, kernels.Readings())
        return jax.tree.map(np.asarray, states.params)


def judged(losses):
    """Return the published outcome of one curve, added up one loss after the other."""
    with np.errstate(all="ignore"):
        finite = np.isfinite(losses)
        v = np.where(finite, losses, 1e6) / losses[0]
        over = (v > 1e6) | ~finite
        v = np.where(v > 1e6, 1e6, v)
    converged = sum(v[-20:]) / 20 < 1
    status = (
        Status.CONVERGED
        if converged
        else Status.NOT_FINITE
        if not finite.all()
        else Status.ESCAPED
        if over.any()
        else Status.BOUNDED
    )
    measure = -functools.reduce(float.__add__, v.tolist(), 0.0)
    if not converged:
        measure = functools.reduce(float.__add__, (1 / v).tolist(), 0.0)
    return status, measure, int(np.argmax(over)) if over.any() else -1


def own_map(path, **arguments):
    sizes = {"n_data": 32, "n_test": 4, "order": "sequential"}
    return make_architecture(path, data="gaussian", **SHAPES[path], **sizes, **arguments)


def assert_same_bits(map_, rates, dtype, losses, params):
    """Compare curves, weights and outcomes with those of a loop by hand."""
    got, outcomes = curves(map_, rates, dtype, len(rates))
    np.testing.assert_array_equal(got, losses)
    ours = weights(map_, rates, dtype)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(params), strict=True):
        np.testing.assert_array_equal(a, b)
    for i, curve in enumerate(losses.T, len(outcomes) - len(rates)):
        found = outcomes.status[i], outcomes.measure[i], outcomes.t_escape[i]
        assert found == judged(curve)


@pytest.mark.parametrize(
    ("path", "optimizer", "dtype", "lanes", "batch"),
    [
        *((path, "sgd", "float64", 4, None) for path in FILES),
        ("own_plain:network", "sgd", "float64", 1, None),
        ("own_linen:Net", "adam", "float64", 1, None),
        ("own_linen:Net", "momentum", "float32", 4, None),
        ("own_nnx:Net", "sgd", "float64", 4, 8),
    ],
)
def test_bits_are_those_of_a_loop_by_hand(path, optimizer, dtype, lanes, batch):
    map_ = own_map(path, optimizer=optimizer, batch=batch)
    rates = RATES[:lanes] if lanes > 1 else RATES[1:2]
    losses, params = by_hand(path, map_, rates, dtype, batch=batch, optimizer=optimizer)
    assert_same_bits(map_, rates, dtype, losses, params)


def test_bits_on_digits_are_those_of_a_loop_by_hand():
    path = "own_nnx:Net"
    # Where every run may have labels of its own, the cross-entropy is compiled otherwise.
    map_ = make_architecture(path, n_data=32, n_test=4, flat=True)
    losses, params = by_hand(path, map_, RATES, "float64", shape={})
    assert_same_bits(map_, RATES, "float64", losses, params)


def test_several_adams_differ_from_a_loop_by_hand_in_rounding():
    # Of b * m + (1 - b) * g, XLA fuses one product with the sum, and which one depends on the code
    # around it: the moments differ in their last bit, from the second step on.
    map_ = own_map("own_linen:Net", optimizer="adam")
    rates = np.array([0.02, 0.05, 0.1, 0.2])
    losses, _ = by_hand("own_linen:Net", map_, rates, "float64", optimizer="adam")
    np.testing.assert_allclose(curves(map_, rates, "float64", 4)[0], losses, rtol=1e-12)


def test_a_sweep_has_the_bits_of_a_loop_by_hand(tmp_path, capsys):
    path = "own_plain:network"
    store = str(tmp_path / "own.zarr")
    status = main(
        [
            *("sweep", "--arch", path, "--arg", "n_in=16", "--arg", "n_out=1", "--out", store),
            *("--data", "gaussian", "--arg", "n_data=32", "--arg", "n_test=4"),
            *("--x", "lr=0.02:1e4:5", "--steps", str(N_STEPS)),
        ]
    )
    assert status == 0, capsys.readouterr().err
    swept = open_sweep(store)
    rates, lanes = np.asarray(swept.points[0]), swept.spec["lanes"]
    padded = np.concatenate([rates, np.full(lanes - len(rates), rates[-1])])
    losses, _ = by_hand(path, own_map(path), padded, "float64")
    expected = [judged(curve) for curve in losses.T[: len(rates)]]
    np.testing.assert_array_equal(swept.status, [e[0] for e in expected])
    np.testing.assert_array_equal(swept.measure, [e[1] for e in expected])
    np.testing.assert_array_equal(swept.final_loss, losses[-1, : len(rates)])
    assert {Status.CONVERGED, Status.ESCAPED} <= set(swept.status)


@every_file
def test_commands_take_an_import_path(path, capsys):
    sizes = ("--arg", "n_data=4", "--arg", "n_test=2")
    assert main(["lyapunov", "--arch", path, *sizes, "--steps", "4", "-k", "1", "--json"]) == 0
    assert np.isfinite(json.loads(capsys.readouterr().out)["exponents"]).all()
    assert main(["list", path, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["arguments"]["n_out"] == 10
    assert {"lr", "weight_offset", "init_scale"} <= set(listed["hparams"])
