"""What is read off a run, and when: sparse losses, metrics, lengths of a run's own."""

import functools
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, struct

from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.rules import close_record, make_rule, start_record, update_record
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.batches import Dataset
from dynfrac.systems.datasets import TrainingData
from dynfrac.systems.interval_maps import Logistic
from dynfrac.systems.numerics import cast_floats, precision
from dynfrac.systems.recipes import training_map

FIELDS = ("status", "measure", "t_escape", "final_loss")
METRICS = ("test_loss", "accuracy", "train_accuracy")
N_STEPS = 60
# Two rates at which training goes down, one at which it does not move, one that blows up at once.
RATES = np.array([0.1, 0.4, 0.0, 1e200])


def fields(outcomes):
    return [getattr(outcomes, field) for field in FIELDS]


def assert_same_bits(a, b):
    for field, left, right in zip(FIELDS, fields(a), fields(b), strict=True):
        np.testing.assert_array_equal(left, right, err_msg=field)


@final
class Count(AbstractMap):
    """Counts from 1, stops counting after step `rest`, and is not-a-number after step `end`.

    Every value is a whole number and its own step: whoever reads another step finds another number.
    """

    drive: str = struct.field(pytree_node=False, default="scan")
    driven: bool = struct.field(pytree_node=False, default=False)

    @property
    def defaults(self):
        return {"rest": NEVER, "end": NEVER}

    def init(self, hparams):
        return jnp.ones_like(hparams["rest"])

    def step(self, state, hparams, t):
        now = t if self.driven else state - 1
        after = jnp.where(now >= hparams["rest"], state, state + 1)
        return jnp.where(now >= hparams["end"], jnp.nan, after)

    def observe(self, state, hparams):
        return state

    def metrics(self, state, hparams):
        return {"square": state**2, "negative": -state}

    def is_doomed(self, state):
        return jnp.isnan(state)


NEVER = 1000.0
# One that goes on, two that come to rest and two that are lost, in the first chunk and much later.
POINTS = {
    "rest": np.array([NEVER, 7.0, 80.0, NEVER, NEVER]),
    "end": np.array([NEVER, NEVER, NEVER, 11.0, 90.0]),
}


def counts(n_steps):
    """Return the losses of `Count` at every step, (n_steps, 5), in closed form."""
    t = np.arange(n_steps)[:, None]
    return np.where(t <= POINTS["end"], 1 + np.minimum(t, POINTS["rest"]), np.nan)


def judged(rule, curves):
    """Return what a rule makes of curves (n_records, n), added one by one."""
    with precision():
        rule, n = make_rule(rule), len(curves)
        record = start_record(rule, curves.shape[1])
        for t, values in enumerate(curves):
            record = update_record(rule, record, jnp.asarray(values), jnp.asarray(t), n)
        return [np.asarray(field) for field in close_record(rule, record, n)]


def assert_judged(got, expected, rtol=1e-14):
    """Compare outcomes with those of curves; compiled sums are rounded in another way."""
    status, measure, t_escape, last = expected
    np.testing.assert_array_equal(got.status, status)
    np.testing.assert_allclose(got.measure, measure, rtol=rtol)
    np.testing.assert_array_equal(got.t_escape, t_escape)
    return last


# A map that repeats itself and one that may not, in a compiled loop and stepped from the host.
both_kinds = pytest.mark.parametrize("map_", [Count("scan", False), Count("host", True)])


@both_kinds
@pytest.mark.parametrize(
    ("n_steps", "every"), [(120, 1), (113, 1), (120, 4), (125, 25), (120, 30), (120, 60)]
)
def test_of_every_so_many_steps_the_last_is_read(map_, n_steps, every):
    names = ("negative", "square")
    settings = {"n_steps": n_steps, "every": every, "rule": "curve-mean", "lanes": 2}
    got = evaluate(map_, POINTS, record=names, **settings)
    last = assert_judged(got, judged("curve-mean", counts(n_steps)[every - 1 :: every]))
    np.testing.assert_array_equal(got.final_loss, last)
    # The states of steps 12 and 91 are the first that are lost.
    assert got.t_escape.tolist() == [-1, -1, -1, 12 // every, 91 // every]
    assert (got.conditions["n_steps"], got.conditions["every"]) == (n_steps, every)
    # Metrics are those of the last recorded loss, also where the run was sealed long before.
    assert tuple(got.metrics) == names
    np.testing.assert_array_equal(got.metrics["negative"], -last)
    np.testing.assert_array_equal(got.metrics["square"], last**2)
    assert np.isnan(last).tolist() == [False, False, False, True, True]


@both_kinds
@pytest.mark.parametrize("every", [1, 40])
def test_a_rule_reads_the_metric_that_it_watches(map_, every):
    rule = "bounded:5000@square"
    got = evaluate(map_, POINTS, n_steps=120, every=every, rule=rule, record=("negative",), lanes=2)
    curves = counts(120)[every - 1 :: every]
    assert_judged(got, judged(rule, curves**2))
    # The loss is recorded in any case, and is not what was watched.
    np.testing.assert_array_equal(got.final_loss, curves[-1])
    np.testing.assert_array_equal(got.metrics["negative"], -curves[-1])
    assert got.conditions["rule"] == rule
    assert {Status.CONVERGED, Status.ESCAPED, Status.NOT_FINITE} == set(got.status)


@both_kinds
@pytest.mark.parametrize(
    ("every", "rule"), [(1, "published"), (5, "curve-mean"), (5, "bounded:50")]
)
def test_runs_of_several_lengths_are_those_of_separate_calls(map_, every, rule):
    lengths = np.array([5, 10, 25, 50, 95, 120])
    runs = {name: np.tile(values, len(lengths)) for name, values in POINTS.items()}
    settings = {"every": every, "rule": rule, "lanes": 2}
    got = evaluate(map_, {**runs, "n_steps": np.repeat(lengths, 5)}, n_steps=120, **settings)
    alone = [fields(evaluate(map_, POINTS, n_steps=int(n), **settings)) for n in lengths]
    for field, ours, parts in zip(FIELDS, fields(got), zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(ours, np.concatenate(parts), err_msg=field)


def test_one_length_for_all_runs_can_be_a_hyperparameter_too():
    got = evaluate(Logistic(), {"r": np.array([2.5, 3.9]), "n_steps": 31}, n_steps=70)
    assert_same_bits(got, evaluate(Logistic(), {"r": np.array([2.5, 3.9])}, n_steps=31))


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(linen.Dense(4)(x))


def trained(drive="scan"):
    """Return the training of a small network on minibatches, with test data."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 5))
    y = np.argmax(x[:, :3], 1)
    train, test = Dataset(x[:20], y[:20]), Dataset(x[20:], y[20:])
    map_ = training_map(Net(), TrainingData("own", train, test, 3), batch=5, seed=5)
    traits = map_.model.traits.replace(drive=drive)
    return map_.replace(model=map_.model.replace(traits=traits))


@functools.cache
def trained_curves():
    """Return every reading of a plain loop over `N_STEPS` steps, each (n_steps, lanes)."""
    with precision():
        map_ = jax.tree.map(jnp.asarray, cast_floats(trained(), "float64"))
        hparams = {k: jnp.full(len(RATES), v) for k, v in map_.defaults.items()}
        hparams["lr"] = jnp.asarray(RATES)
        step = jax.jit(jax.vmap(map_.step, in_axes=(0, 0, None)))

        @jax.jit
        @jax.vmap
        def read(state, hparams):
            return {"loss": map_.observe(state, hparams), **map_.metrics(state, hparams)}

        states = cast_floats(jax.vmap(map_.init)(hparams), "float64")
        curves = []
        for t in range(N_STEPS):
            curves.append(jax.tree.map(np.asarray, read(states, hparams)))
            states = step(states, hparams, t)
    return {name: np.stack([values[name] for values in curves]) for name in curves[0]}


@pytest.mark.parametrize(
    ("drive", "every", "rule"),
    [
        ("scan", 1, "published@test_loss"),
        ("scan", 4, "accuracy:0.25"),
        ("host", 1, "accuracy:0.25"),
        ("host", 4, "curve-mean@test_loss"),
    ],
)
def test_trainings_are_judged_by_what_the_rule_watches(drive, every, rule):
    curves = trained_curves()
    assert set(curves) == {"loss", *METRICS}
    got = evaluate(
        trained(drive), {"lr": RATES}, n_steps=N_STEPS, every=every, rule=rule, record=METRICS
    )
    # The loop by hand is another program: the first rates settle, so that rounding stays rounding.
    assert_judged(got, judged(rule, curves[make_rule(rule).watch][every - 1 :: every]), rtol=1e-9)
    np.testing.assert_allclose(got.final_loss, curves["loss"][-1], rtol=1e-9)
    for name in METRICS:
        np.testing.assert_allclose(got.metrics[name], curves[name][-1], rtol=1e-9, err_msg=name)
    assert np.isnan(got.metrics["accuracy"]).tolist() == [False, False, False, True]
    assert {Status.CONVERGED, Status.NOT_FINITE} <= set(got.status)


@pytest.mark.parametrize(
    ("hparams", "options", "words"),
    [
        ({}, {"record": ("squares",)}, "unknown metric of Count: 'squares'; did you mean 'square'"),
        ({}, {"record": ("loss",)}, "unknown metric of Count: 'loss'"),
        ({}, {"rule": "published@tets"}, "unknown metric of Count: 'tets'"),
        ({}, {"every": 3}, "n_steps=10 is not a multiple of every=3; the nearest .* is 9"),
        ({}, {"every": 0}, "every=0 must be at least 1"),
        ({}, {"every": 20}, "not a multiple of every=20"),
        ({"n_steps": np.array([5, 11])}, {}, "n_steps=11 of a single run"),
        ({"n_steps": np.array([5, 2.5])}, {}, "n_steps=2.5 of a single run"),
        ({"n_steps": np.array([5, 1])}, {"every": 2}, "from 2 to 10"),
        ({"n_steps": np.array([5, np.nan])}, {}, "n_steps=nan of a single run"),
        (
            {"n_steps": np.array([5, 6])},
            {"record": ("square",)},
            "recording square needs runs of one",
        ),
        ({"n_steps": np.ones(3), "end": np.ones(2)}, {}, "one length"),
    ],
)
def test_readings_that_cannot_be_taken_are_refused_in_one_sentence(hparams, options, words):
    with pytest.raises(ValueError, match=words) as caught:
        evaluate(Count(), hparams, **{"n_steps": 10, **options})
    assert "\n" not in str(caught.value)


def test_a_map_without_metrics_of_its_own_says_so():
    with pytest.raises(ValueError, match="unknown metric of Logistic: 'accuracy'; known: lyapunov"):
        evaluate(Logistic(), {"r": 3.0}, n_steps=5, rule="accuracy:0.9")


@pytest.mark.parametrize("every", [1, 4, 60])
def test_progress_adds_up_to_all_run_steps(every):
    seen = []
    evaluate(Count(), POINTS, n_steps=120, every=every, lanes=2, on_progress=seen.append)
    assert sum(seen) == 5 * 120
