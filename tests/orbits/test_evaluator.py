"""The evaluator gives the bits of the plain loop, whatever is computed beside a point."""

from types import SimpleNamespace
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from dynfrac.orbits import batch_sizes, engines, kernels
from dynfrac.orbits.batch_sizes import call_groups, default_lanes
from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.inspection import is_autonomous, largest_array, state_size
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.rules import PublishedRule, close_record, start_record, update_record
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.systems.interval_maps import Logistic
from dynfrac.systems.losses import mean_squared_error
from dynfrac.systems.published import published_map

FIELDS = ("status", "measure", "t_escape", "final_loss")


def grid(n, low=1e-3, high=1e6):
    """Both learning rates over the published window, (n * n,) each."""
    points = np.geomspace(low, high, n)
    x, y = np.meshgrid(points, points)
    return {"lr_in": x.ravel(), "lr_out": y.ravel()}


def assert_same_bits(a, b):
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=field)


def take(hparams, index):
    return {name: values[index] for name, values in hparams.items()}


def plain_loop(map_, hparams, n_steps, lanes):
    """Step every run to the end, without early exit, in batches of `lanes`; fold step by step."""
    step = jax.jit(jax.vmap(map_.step, in_axes=(0, 0, None)))
    observe = jax.jit(jax.vmap(map_.observe))
    rule, n = PublishedRule(), jnp.asarray(n_steps)
    parts = []
    for start in range(0, len(hparams["lr_in"]), lanes):
        batch = take(hparams, slice(start, start + lanes))
        full = {name: jnp.full(lanes, value) for name, value in map_.defaults.items()} | batch
        states = jax.vmap(map_.init)(full)
        record = start_record(rule, lanes)
        for t in range(n_steps):
            record = update_record(rule, record, observe(states, full), jnp.asarray(t), n)
            states = step(states, full, t)
        parts.append(close_record(rule, record, n))
    return [np.concatenate(field) for field in zip(*parts, strict=True)]


@pytest.fixture(scope="module")
def tanh():
    return published_map(width=8)


@pytest.mark.parametrize("batch", [None, 8])
def test_early_exit_and_repacking_equal_the_plain_loop(batch):
    map_ = published_map(width=8, batch=batch, n_steps=120)
    hparams = grid(16)
    got = evaluate(map_, hparams, n_steps=120, lanes=16)
    status, measure, t_escape, final = plain_loop(map_, hparams, 120, 16)
    # All outcomes but pending occur, so every way out of the loop is compared.
    assert set(got.status) == {1, 2, 3, 4}
    np.testing.assert_array_equal(got.status, status)
    np.testing.assert_array_equal(got.t_escape, t_escape)
    # One compiled step against the same step inside a compiled loop: fused differently, so
    # bounded chaotic runs drift apart. Runs that settle or blow up agree to rounding.
    settled = np.isin(got.status, (Status.CONVERGED, Status.NOT_FINITE))
    close = np.isclose(got.measure, measure, rtol=1e-9)
    assert close[settled].mean() > 0.97
    assert np.isnan(final[got.status == Status.NOT_FINITE]).mean() > 0.9


def test_nothing_changes_when_no_run_may_leave_early(tanh, monkeypatch):
    hparams = grid(12)
    early = evaluate(tanh, hparams, n_steps=130)
    monkeypatch.setattr(engines, "is_autonomous", lambda *_: False)
    monkeypatch.setattr(type(tanh), "is_doomed", lambda self, state: jnp.asarray(False))
    jax.clear_caches()  # the compiled chunk holds the old method
    full = evaluate(tanh, hparams, n_steps=130)
    jax.clear_caches()
    assert (early.status == Status.NOT_FINITE).mean() > 0.2
    assert_same_bits(early, full)


@pytest.mark.parametrize("batch", [None, 8])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_point_alone_in_a_full_batch_and_in_a_shuffled_batch_gives_the_same_bits(batch, dtype):
    map_ = published_map(width=8, batch=batch, n_steps=60)
    hparams = grid(13)
    whole = evaluate(map_, hparams, n_steps=60, dtype=dtype)
    order = np.random.default_rng(1).permutation(169)[:150]
    shuffled = evaluate(map_, take(hparams, order), n_steps=60, dtype=dtype)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(shuffled, field), getattr(whole, field)[order])
    for i in (0, 57, 84, 168):
        alone = evaluate(map_, take(hparams, i), n_steps=60, dtype=dtype)
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(alone, field)[0], getattr(whole, field)[i])


def test_pools_do_not_show(tanh, monkeypatch):
    hparams = grid(9)
    whole = evaluate(tanh, hparams, n_steps=40)
    monkeypatch.setattr(batch_sizes, "_POOL_RUNS", 2 * default_lanes(tanh))
    assert_same_bits(evaluate(tanh, hparams, n_steps=40), whole)


def test_how_many_batches_share_a_call_does_not_show(monkeypatch):
    map_ = published_map(width=4)
    hparams = grid(9)
    alone, many = (1, 2**17)
    for entries in (alone, many):
        monkeypatch.setattr(batch_sizes, "_CALL_ENTRIES", entries)
        assert (call_groups(map_, 4) > 8) == (entries == many)
        got = evaluate(map_, hparams, n_steps=80, lanes=4)
        if entries == alone:
            expected = got
    assert_same_bits(got, expected)


def test_batches_are_sized_by_activations_and_not_by_weights():
    # 72 examples of 8 inputs, 8 hidden units: the data are larger than what a run makes of them.
    assert largest_array(published_map(width=8)) == 72 * 8
    assert largest_array(published_map(width=8, n_data=500)) == 500 * 8
    assert largest_array(Quadratic()) == state_size(Quadratic()) == 2
    assert default_lanes(published_map(width=16)) == 4
    assert default_lanes(Quadratic()) == 4096


@pytest.mark.parametrize(
    ("memory", "lanes"),
    # 61,440 entries a run, 8 bytes each: about a thirty-second of the memory.
    [({"bytes_limit": 8 * 2**30}, 512), ({"bytes_limit": 11 * 2**30}, 512), (None, 1024)]
    + [({"bytes_limit": 104 * 2**30}, 4096)],
)
def test_batches_are_sized_by_the_memory_of_an_accelerator(monkeypatch, memory, lanes):
    map_ = published_map(width=16, n_data=3840)
    assert largest_array(map_) == 61_440
    device = SimpleNamespace(memory_stats=lambda: memory)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert default_lanes(map_) == lanes
    assert default_lanes(Quadratic()) == 4096


def test_the_same_point_under_jax_s_own_32_bit_default(tanh):
    hparams = grid(5)
    here = evaluate(tanh, hparams, n_steps=40)
    with jax.enable_x64(False):
        there = evaluate(tanh, hparams, n_steps=40)
    assert there.measure.dtype == np.float64
    assert_same_bits(here, there)


def test_progress_adds_up_to_all_run_steps(tanh):
    seen = []
    evaluate(tanh, grid(11), n_steps=77, on_progress=seen.append)
    assert sum(seen) == 121 * 77
    assert min(seen) > 0


@final
class Driven(AbstractMap):
    """The logistic map, with a complex state."""

    drive: str = struct.field(pytree_node=False, default="host")

    @property
    def defaults(self):
        return {"r": 3.7}

    def init(self, hparams):
        return 0.3 + 0j * hparams["r"]

    def step(self, state, hparams, t):
        return hparams["r"] * state * (1 - state)

    def observe(self, state, hparams):
        return state.real


@pytest.mark.parametrize("lanes", [1, 3, 4])
def test_stepping_from_the_host_takes_every_lane_of_a_batch(lanes):
    r = {"r": np.linspace(2.5, 3.9, 7)}
    host = evaluate(Driven(), r, n_steps=60, lanes=lanes, rule="bounded")
    scan = evaluate(Driven("scan"), r, n_steps=60, lanes=lanes, rule="bounded")
    assert len(set(host.final_loss)) == 7
    # Chaos amplifies the last bit from 3.57 on; the four orbits below settle.
    np.testing.assert_allclose(host.final_loss[:4], scan.final_loss[:4], rtol=1e-9)


def test_states_that_differ_in_the_sign_of_zero_are_not_the_same():
    plus, minus, nan = (jnp.full((1, 2), v) for v in (0.0, -0.0, jnp.nan))
    assert kernels.equal_bits(plus, plus)[0] and kernels.equal_bits(nan, nan)[0]
    assert not kernels.equal_bits(plus, minus)[0]
    assert kernels.equal_bits(nan + 0j, nan + 0j)[0]
    assert not kernels.equal_bits(jax.lax.complex(plus, plus), jax.lax.complex(plus, minus))[0]


TRACED = []


def counting_loss(outputs, targets):
    TRACED.append(outputs.shape)
    return mean_squared_error(outputs, targets)


def test_another_tile_length_and_seed_compile_nothing():
    def traces(seed, n, n_steps):
        TRACED.clear()
        map_ = published_map(width=4, seed=seed).replace(loss=counting_loss)
        evaluate(map_, grid(n), n_steps=n_steps)
        return len(TRACED)

    first = traces(0, 5, 30)
    # What is left is the look at whether the map ignores the time, which compiles nothing.
    inspection = traces(0, 5, 30)
    assert inspection < first
    assert traces(1, 9, 77) == inspection


def test_escape_time_of_the_quadratic_map_is_textbook():
    # 0, 1, 2, 5: the first value above 2 has index 3 (z = 2 is on the circle, not over it).
    got = evaluate(Quadratic(), {"c_re": np.array([1.0, -1.0, 0.0])}, n_steps=60, rule="bounded:2")
    assert got.t_escape.tolist() == [3, -1, -1]
    assert got.status.tolist() == [Status.NOT_FINITE, Status.CONVERGED, Status.CONVERGED]
    assert got.measure.tolist() == [4.0, -60.0, -60.0]


def test_a_periodic_orbit_is_replayed_in_step():
    # The superstable 2-cycle of the logistic map is reached exactly; 25 is odd, so the cycle is
    # out of step between chunks and only a period that divides the chunk may be replayed.
    r = 1 + np.sqrt(5)
    for n_steps in (99, 100, 101, 1000):
        got = evaluate(Logistic(), {"r": r, "x0": 0.5}, n_steps=n_steps, rule="bounded")
        x = 0.5
        for _ in range(n_steps - 1):
            x = r * x * (1 - x)
        np.testing.assert_allclose(got.final_loss, x, rtol=1e-12)


@final
class Countdown(AbstractMap):
    """A driven map: finite until t reaches `last`, then not a number."""

    period: int = struct.field(pytree_node=False, default=1)

    @property
    def defaults(self):
        return {"last": 30.0}

    def init(self, hparams):
        return jnp.zeros_like(hparams["last"])

    def step(self, state, hparams, t):
        return jnp.where(t >= hparams["last"], jnp.nan, state)

    def observe(self, state, hparams):
        return 1.0 + state


def test_a_driven_map_is_never_assumed_to_repeat():
    assert not is_autonomous(Countdown())
    assert is_autonomous(Logistic())
    got = evaluate(Countdown(), {"last": np.array([3.0, 60.0, 500.0])}, n_steps=100)
    assert got.t_escape.tolist() == [4, 61, -1]


@pytest.mark.parametrize(
    ("hparams", "options", "words"),
    [
        ({"lr_inn": 1.0}, {}, "did you mean 'lr_in'"),
        ({"lr": "big"}, {}, "not a real number"),
        ({"lr": np.ones(3), "lr_in": np.ones(4)}, {}, "one length"),
        ({"lr": np.ones((2, 2))}, {}, "shape"),
        ({"lr": np.ones(0)}, {}, "one length"),
        ({}, {"n_steps": 0}, "n_steps=0"),
        ({}, {"lanes": 0}, "lanes=0"),
        ({}, {"dtype": "float16"}, "float64, float32"),
        ({}, {"rule": "best"}, "unknown rule"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(tanh, hparams, options, words):
    with pytest.raises(ValueError, match=words) as caught:
        evaluate(tanh, hparams, **{"n_steps": 3, **options})
    assert "\n" not in str(caught.value)
