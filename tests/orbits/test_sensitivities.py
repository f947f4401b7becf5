"""Derivatives of runs along directions of hyperparameters: right, and in the engine's hands."""

import functools
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.phase import phase_space
from dynfrac.orbits.rules import make_rule
from dynfrac.orbits.sensitivities import (
    Sensitive,
    direction_name,
    stretch_histories,
    stretch_runs,
    window_directions,
)
from dynfrac.orbits.stretching import Stretched
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.batches import Dataset
from dynfrac.systems.catalogue import make_map
from dynfrac.systems.datasets import TrainingData
from dynfrac.systems.numerics import cast_floats, precision
from dynfrac.systems.published import published_map
from dynfrac.systems.recipes import training_map

RATES = [Axis("lr_in", 0.1, 10.0), Axis("lr_out", 0.1, 10.0)]


@functools.cache
def net(optimizer="sgd", **options):
    return published_map(width=3, n_data=5, optimizer=optimizer, **options)


class Normed(linen.Module):
    @linen.compact
    def __call__(self, x, train=False):
        x = linen.Dense(3, use_bias=False)(x)
        return linen.Dense(2)(linen.BatchNorm(use_running_average=not train)(x))


@functools.cache
def normed(drive):
    """Return the training of a small network with BatchNorm, on minibatches or from the host."""
    rng = np.random.default_rng(0)
    data = Dataset(rng.standard_normal((12, 4)), rng.integers(0, 2, 12))
    options = {"batch": 4, "n_steps": 40} if drive == "scan" else {}
    map_ = training_map(Normed(), TrainingData("own", data, None, 2), seed=1, **options)
    traits = map_.model.traits.replace(drive=drive)
    return map_.replace(model=map_.model.replace(traits=traits))


def final_state(map_, hparams, n_steps):
    """Return the coordinates after `n_steps`, without any engine."""
    hparams = {**map_.defaults, **hparams}
    map_ = cast_floats(map_, np.float64)

    def step(state, t):
        return cast_floats(map_.step(state, hparams, t), np.float64), None

    first = cast_floats(map_.init(hparams), np.float64)
    state, _ = jax.lax.scan(step, first, np.arange(n_steps))
    return phase_space(map_, state).split(state)[0]


CASES = {
    "sgd": (net(), [*RATES, Axis("input_offset_per_step", 1e-3, 0.1)], (0.3, 0.6, 0.5)),
    "momentum": (net("momentum"), [*RATES, Axis("momentum", 0.1, 0.9)], (0.2, 0.1, 0.5)),
    "adam": (
        net("adam"),
        [Axis("lr", 1e-3, 1.0), Axis("weight_offset", 0.1, 1.0, scale="linear")],
        (0.5, 0.5),
    ),
    "minibatches": (normed("scan"), [Axis("lr", 0.01, 1.0)], (0.5,)),
    "from the host": (normed("host"), [Axis("lr", 0.01, 1.0)], (0.5,)),
}


def derivatives_along(map_, axes, place, unit, n_steps, dense):
    """Return the derivative of the last state along a line of the window, without tangents."""

    @jax.jit
    def along(s):
        values = {}
        for axis, x, u in zip(axes, place, unit, strict=True):
            log = axis.scale == "log10"
            low, high = np.log10([axis.low, axis.high]) if log else (axis.low, axis.high)
            value = low + (high - low) * (x + s * u)
            values[axis.name] = 10.0**value if log else value
        return final_state(map_, values, n_steps)

    with precision():
        # Reverse mode through all steps, which is another arithmetic.
        found = [jax.jacrev(along)(0.0)] if dense else []
        eps = 1e-4
        slopes = [(along(eps * k) - along(-eps * k)) / (2 * eps * k) for k in (1, 2)]
    # Central differences with their first error taken out: wrong by about eps^4 and 1e-16 / eps.
    return [(4 * slopes[0] - slopes[1]) / 3, *found]


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_derivative_of_the_state_along_the_direction(name):
    map_, axes, place = CASES[name]
    place, n_steps = np.array(place), 12
    unit = np.random.default_rng(1).standard_normal(len(axes))
    unit /= np.linalg.norm(unit)
    hparams, directions = window_directions(axes, place[None], unit[None])
    # The last loss is that of the state after n_steps, before one more step.
    runs = stretch_runs(map_, hparams, directions, n_steps=n_steps + 1, dtype="float64")
    assert runs.status[0] in (Status.CONVERGED, Status.BOUNDED)
    dense = name in ("sgd", "momentum", "adam")  # tiny ones, which compile in seconds
    found = derivatives_along(map_, axes, place, unit, n_steps, dense)
    for derivative, error in zip(found, (1e-6, 1e-9), strict=False):
        assert runs.final[0] == pytest.approx(np.log(np.linalg.norm(derivative)), abs=error)
    assert runs.largest[0] >= max(0.0, runs.final[0])


def test_closed_form_of_descent_on_a_parabola():
    # w_t = (1 - lr h)^t w0, so that dw_t / dlr = -h t (1 - lr h)^(t - 1) w0.
    rates, n_steps, h = np.array([0.1, 0.4, 0.55, 3.0]), 40, 3.0
    map_ = make_map("gd-quadratic", eigenvalues=(h,))
    got = stretch_histories(map_, {"lr": rates}, {"lr": np.ones(4)}, n_steps=n_steps)
    t = np.arange(n_steps)
    with np.errstate(divide="ignore"):
        expected = np.log(h * t) + (t - 1) * np.log(np.abs(1 - rates[:, None] * h))
    kept = np.isfinite(got.losses)
    np.testing.assert_allclose(got.logs[kept], expected[kept], rtol=1e-12, atol=1e-12)
    assert np.all(got.logs[:, 0] == -np.inf)
    # The last rate multiplies w by -8: the loss is over a million of the first after four steps.
    assert got.t_escape.tolist() == [-1, -1, -1, 4]
    assert kept.sum(axis=1).tolist() == [40, 40, 40, 5]
    assert np.isnan(got.logs[3, 5:]).all()
    runs = stretch_runs(map_, {"lr": rates}, {"lr": np.ones(4)}, n_steps=n_steps)
    ends = [39, 39, 39, 4]
    np.testing.assert_allclose(runs.final, expected[range(4), ends], rtol=1e-12)
    highest = [max(0, row[: end + 1].max()) for row, end in zip(expected, ends, strict=True)]
    np.testing.assert_allclose(runs.largest, highest, rtol=1e-12)


def test_the_last_growth_by_a_factor_is_dated():
    # Of a start the derivative is 1.1^t: over e at t = 11, from there at 22, 33.
    grow = stretch_runs(make_map("linear"), {"a": 1.1, "b": 0.5}, {"x0": [1.0]}, n_steps=40)
    assert grow.grown_at.tolist() == [33]
    shrink = stretch_runs(make_map("linear"), {"a": 0.9, "b": 0.5}, {"x0": [1.0]}, n_steps=40)
    assert shrink.grown_at.tolist() == [0]
    assert grow.grown_at.dtype == np.int32


def test_no_overflow_in_long_chaos():
    # The derivative of a start is the product of the slopes; its size here is about exp(2000).
    n_steps = 3001
    got = stretch_runs(make_map("logistic"), {"x0": [0.3]}, {"x0": [1.0]}, n_steps=n_steps)
    x, total = 0.3, 0.0
    for _ in range(n_steps - 1):
        total += np.log(abs(4 - 8 * x))
        x = 4 * x * (1 - x)
    # Rounding makes two orbits of it, of equal statistics: a sum of 3000 slopes varies by 50.
    assert got.final[0] == pytest.approx(total, abs=200)
    assert got.final[0] > 1900
    assert got.largest[0] >= got.final[0]


def places(n, axes=RATES, seed=0):
    rng = np.random.default_rng(seed)
    units = rng.standard_normal((n, len(axes)))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    return window_directions(axes, rng.random((n, len(axes))), units)


WIDE = [Axis("lr_in", 0.1, 1e3), Axis("lr_out", 0.1, 1e3)]


def test_decisions_are_those_of_the_evaluator_and_nothing_moves_after_them():
    hparams, directions = places(60, WIDE)
    got = stretch_runs(net(), hparams, directions, n_steps=60)
    plain = evaluate(net(), hparams, n_steps=60)
    np.testing.assert_array_equal(got.status == Status.CONVERGED, plain.labels)
    np.testing.assert_array_equal(got.t_escape, plain.t_escape)
    escaped = got.t_escape >= 0
    assert 10 < escaped.sum() < 50
    # Most of them overflow later; what they are judged by is where they passed the limit.
    assert np.isin(got.status[escaped], (Status.ESCAPED, Status.NOT_FINITE)).all()
    longer = stretch_runs(net(), hparams, directions, n_steps=120)
    soon = escaped & (got.t_escape < 30)
    for field in ("largest", "final", "t_escape"):
        np.testing.assert_array_equal(getattr(got, field)[soon], getattr(longer, field)[soon])
    histories = stretch_histories(net(), hparams, directions, n_steps=60)
    np.testing.assert_array_equal(histories.status, got.status)
    np.testing.assert_array_equal(histories.t_escape, got.t_escape)
    highest = np.maximum(0, np.nanmax(histories.logs, axis=1))
    np.testing.assert_allclose(highest, got.largest, rtol=1e-9)


def test_a_run_does_not_feel_which_others_share_its_batch():
    hparams, directions = places(12, WIDE)
    all_ = stretch_runs(net(), hparams, directions, n_steps=50, lanes=8)
    few = [{k: v[9:] for k, v in part.items()} for part in (hparams, directions)]
    some = stretch_runs(net(), *few, n_steps=50, lanes=8)
    np.testing.assert_array_equal(some.largest, all_.largest[9:])
    np.testing.assert_array_equal(some.final, all_.final[9:])


def test_float32_is_close():
    hparams, directions = places(20)
    short, full = (
        stretch_runs(net(), hparams, directions, n_steps=20, dtype=dtype).final
        for dtype in ("float32", "float64")
    )
    np.testing.assert_allclose(short, full, atol=1e-3)


def test_decided_and_settled_runs_leave_early():
    settled = []
    axes = [Axis("lr", 0.5, 1.5, scale="linear")]
    hparams, directions = places(30, axes)
    stretch_runs(
        make_map("gd-quadratic", eigenvalues=(1.0,)),
        hparams,
        directions,
        n_steps=5000,
        on_progress=settled.append,
    )
    # Weights and derivatives are zero once 2^-t is, after 1075 steps; there are 200 chunks.
    assert sum(settled) == 30 * 5000
    assert len(settled) < 60


def test_derivatives_of_values_on_logarithmic_axes():
    axes = [Axis("a", 0.01, 100.0, scale="log10"), Axis("b", -3.0, 5.0, scale="linear")]
    place, unit = np.array([[0.3, 0.6]]), np.array([[0.6, -0.8]])
    _, directions = window_directions(axes, place, unit)
    eps = 1e-6
    for axis, x, u in zip(axes, place.T, unit.T, strict=True):
        slope = (axis.values(x + eps * u) - axis.values(x - eps * u)) / (2 * eps)
        np.testing.assert_allclose(directions[axis.name], slope, rtol=1e-8)


@final
class Doubling(AbstractMap):
    """Two hundred steps of doubling modulo one, and then halving towards the place 2 h."""

    @property
    def defaults(self):
        return {"h": 0.2}

    def init(self, hparams):
        return jnp.asarray(hparams["h"])

    def step(self, state, hparams, t):
        return jnp.where(t < 200, 2 * state % 1, state / 2 + hparams["h"])

    def observe(self, state, hparams):
        return state


@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-4), ("float64", 1e-9)])
def test_a_derivative_that_has_shrunk_by_more_than_the_range_of_numbers_is_not_lost(dtype, error):
    # Up to 2^200, past the e^88 of float32, and down again to that of the place of rest.
    run = stretch_runs(Doubling(), {"h": [0.2]}, {"h": [1.0]}, n_steps=450, dtype=dtype)
    assert run.largest[0] == pytest.approx(200 * np.log(2), rel=error)
    assert run.final[0] == pytest.approx(np.log(2), rel=error)
    assert run.grown_at[0] == pytest.approx(200, abs=2)
    # Between the two it is 2^(200 - k) + 2 - 2^(1 - k) after k halvings.
    got = stretch_histories(Doubling(), {"h": [0.2]}, {"h": [1.0]}, n_steps=450, dtype=dtype)
    k = np.arange(250.0)
    expected = np.log(2.0 ** (200 - k) + 2 - 2 ** (1 - k))
    np.testing.assert_allclose(got.logs[0, 200:], expected, atol=100 * error)


class Spiral(AbstractMap):
    """A complex state with a clock, of which the derivative sees only the former."""

    @property
    def defaults(self):
        return {"angle": 0.1, "size": 0.9}

    def init(self, hparams):
        return {"z": jnp.asarray(1 + 0j), "clock": jnp.int32(0)}

    def step(self, state, hparams, t):
        factor = hparams["size"] * jnp.exp(1j * hparams["angle"])
        return {"z": state["z"] * factor, "clock": state["clock"] + 1}

    def observe(self, state, hparams):
        return jnp.abs(state["z"])


def test_complex_states_and_clocks():
    got = stretch_histories(Spiral(), {"angle": [0.1]}, {"angle": [2.0]}, n_steps=20)
    t = np.arange(20)
    with np.errstate(divide="ignore"):
        expected = np.log(2 * t) + t * np.log(0.9)
    np.testing.assert_allclose(got.logs[0], expected, rtol=1e-12)


def test_it_is_a_map_with_the_components_as_hyperparameters():
    map_ = Sensitive(net(), make_rule(None), ("lr",))
    assert direction_name("lr") in map_.defaults
    assert set(net().defaults) < set(map_.defaults)
    # A tangent of the state makes no difference.
    got = stretch_runs(Stretched(net()), {"lr": [1.0]}, {"lr": [1.0]}, n_steps=9)
    assert got.final == stretch_runs(net(), {"lr": [1.0]}, {"lr": [1.0]}, n_steps=9).final


@pytest.mark.parametrize(
    ("directions", "options", "words"),
    [
        ({}, {}, "leads nowhere"),
        ({"rl": [1.0]}, {}, "unknown hyperparameter 'rl'; did you mean 'lr'"),
        ({"lr": [np.inf]}, {}, "not finite"),
        ({"lr": [1.0]}, {"rule": "threshold:0@lyapunov"}, "watches the Lyapunov exponent"),
        ({"lr": [1.0]}, {"dtype": "bfloat16"}, "dtype='bfloat16' is not supported"),
        ({"lr": [1.0, 2.0]}, {"n_steps": 0}, "n_steps=0"),
    ],
)
def test_misuse_is_refused(directions, options, words):
    for run in (stretch_runs, stretch_histories):
        with pytest.raises(ValueError, match=words):
            run(net(), {"lr": 1.0}, directions, **{"n_steps": 5, **options})
