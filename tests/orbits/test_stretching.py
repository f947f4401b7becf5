"""The exponent that is recorded of every run: what it is, and that it changes nothing else."""

import functools
import math
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.inspection import metric_names
from dynfrac.orbits.iteration import iterate
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.stretching import Stretched
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.batches import Dataset
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.datasets import TrainingData
from dynfrac.systems.descents import CubicDescent, QuadraticDescent, RippleDescent
from dynfrac.systems.interval_maps import Logistic
from dynfrac.systems.published import published_map
from dynfrac.systems.recipes import training_map
from dynfrac.systems.training import TrainingMap

FIELDS = ("status", "measure", "t_escape", "final_loss")
RECORD = ("lyapunov",)


def exponents(map_, hparams, n_steps, **options):
    return evaluate(map_, hparams, n_steps=n_steps, record=RECORD, **options).metrics["lyapunov"]


class Net(linen.Module):
    @linen.compact
    def __call__(self, x, train=False):
        # A bias before BatchNorm has a gradient of rounding, which adam blows up to size 1.
        x = linen.Dense(4, use_bias=False)(x)
        x = linen.BatchNorm(use_running_average=not train)(x)
        return linen.Dense(3)(linen.tanh(x))


@functools.cache
def trained(drive="scan", **options):
    """Return the training of a small network with BatchNorm, with test data."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 5))
    y = np.argmax(x[:, :3], 1)
    train, test = Dataset(x[:20], y[:20]), Dataset(x[20:], y[20:])
    map_ = training_map(Net(), TrainingData("own", train, test, 3), seed=5, **options)
    traits = map_.model.traits.replace(drive=drive)
    return map_.replace(model=map_.model.replace(traits=traits))


RATES = np.array([0.01, 0.1, 1.0, 30.0, 1e30])
CASES = {
    "logistic": (Logistic(), {"r": np.linspace(1.0, 4.5, 30)}, {}),
    "cubic": (CubicDescent(), {"lr": np.linspace(0.3, 2.3, 30)}, {}),
    "ripple": (RippleDescent(), {"lr": np.linspace(0.05, 1.5, 30)}, {"every": 4}),
    "henon": (Henon(), {"a": np.linspace(0.2, 1.6, 9)}, {"dtype": "float32"}),
    "mean field": (published_map(n_data=8), {"lr": np.geomspace(0.1, 1e4, 20)}, {"lanes": 8}),
    "adam on minibatches": (
        trained(optimizer="adam", batch=5, n_steps=60),
        {"lr": RATES},
        {"rule": "published@test_loss"},
    ),
    "from the host": (trained(drive="host"), {"lr": RATES}, {"every": 3}),
    "mean field in float32": (published_map(n_data=4), {"lr": RATES}, {"dtype": "float32"}),
}


@pytest.mark.parametrize("name", CASES)
def test_recording_the_exponent_changes_no_bit_of_anything_else(name):
    map_, points, options = CASES[name]
    others = metric_names(map_)[:2]
    plain = evaluate(map_, points, n_steps=60, record=others, **options)
    got = evaluate(map_, points, n_steps=60, record=(*others, "lyapunov"), **options)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(got, field), getattr(plain, field), err_msg=field)
    for metric in others:
        np.testing.assert_array_equal(got.metrics[metric], plain.metrics[metric], err_msg=metric)
    assert got.conditions == plain.conditions
    assert set(got.metrics) == {*others, "lyapunov"}
    assert np.isfinite(got.metrics["lyapunov"][got.status < Status.ESCAPED]).all()


@pytest.mark.parametrize(
    ("map_", "hparams"),
    [
        (Logistic(), {"r": 2.7}),
        (Logistic(), {"r": 3.5}),
        (Logistic(), {"r": 3.9}),
        (Henon(), {"a": 1.2}),
        (QuadraticDescent((1.0, 3.0, 2.0), heavy_ball=True), {"lr": 0.4}),
        # Neither adam's count nor the statistics of BatchNorm are coordinates.
        (trained(optimizer="adam", batch=5, n_steps=60), {"lr": 0.01}),
        (trained(drive="host"), {"lr": 0.3}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AbstractMap) else str(value),
)
def test_it_is_the_first_exponent_of_the_spectrum_over_the_same_steps(map_, hparams):
    points = {name: np.array([value]) for name, value in hparams.items()}
    spectrum = lyapunov_spectrum(map_, hparams, n_steps=60, n_warmup=0, n_exponents=1)
    assert exponents(map_, points, 60)[0] == pytest.approx(spectrum.exponents[0], abs=1e-9)
    if isinstance(map_, TrainingMap):
        return  # the same code, and many seconds to compile
    warm = lyapunov_spectrum(map_, hparams, n_steps=40, n_warmup=20, n_exponents=1, seed=3)
    turned = Stretched(map_, n_warmup=20, seed=3)
    assert exponents(turned, points, 60)[0] == pytest.approx(warm.exponents[0], abs=1e-9)


def test_closed_forms():
    # One eigenvalue: every tangent shrinks by 1 - lr h at every step, from the first on.
    rates = np.array([0.1, 0.4, 1.7])
    got = exponents(QuadraticDescent((1.0, 1.0)), {"lr": rates}, 200)
    np.testing.assert_allclose(got, np.log(np.abs(1 - rates)), rtol=1e-12)
    # The tangent of a fixed point; that of a superstable one is gone for good.
    got = exponents(CubicDescent(), {"lr": np.array([0.9, 0.5]), "w0": 1.0}, 200)
    np.testing.assert_allclose(got, [math.log(0.8), -math.inf], rtol=1e-12)
    # A 2-cycle: r = 3.2 rests bit for bit long before, and the mean still is that of all steps.
    orbit = iterate(Logistic(), {"r": 3.2}, n_steps=1001).observations
    slopes = np.log(np.abs(3.2 * (1 - 2 * orbit)))
    got = exponents(Logistic(), {"r": np.array([3.2])}, 1001)[0]
    assert got == pytest.approx(slopes.mean(), rel=1e-12)
    # On the cycle itself, of which the last steps are: half the log of its multiplier.
    assert slopes[-2:].mean() == pytest.approx(0.5 * math.log(4 + 6.4 - 3.2**2), rel=1e-9)


def test_a_run_that_escapes_keeps_the_mean_of_its_finite_steps():
    # By hand: the tangent at x is r (1 - 2 x), as long as the next state is a number.
    x, logs = 0.3, []
    for _ in range(50):
        slope, x = 5.0 * (1 - 2 * x), 5.0 * x * (1 - x)
        if not math.isfinite(x):
            break
        logs.append(math.log(abs(slope)))
    assert 5 < len(logs) < 20
    for n_steps in (30, 400):  # within one chunk of steps, and after many
        got = exponents(Logistic(), {"r": np.array([5.0, 2.0])}, n_steps)[0]
        assert got == pytest.approx(np.mean(logs), rel=1e-12)
    # Not a single finite step: no exponent.
    assert np.isnan(exponents(Logistic(), {"r": np.array([1e308]), "x0": 1e308}, 30)[0])


@final
class Returning(AbstractMap):
    """Triples, is infinite after step 4, and doubles from 1 on ever after."""

    @property
    def defaults(self):
        return {"x0": 1.0}

    def init(self, hparams):
        return hparams["x0"]

    def step(self, state, hparams, t):
        grown = jnp.where(t < 4, 3 * state, jnp.where(t == 4, jnp.inf, 2 * state))
        return jnp.where(jnp.isinf(state), 1.0, grown)

    def observe(self, state, hparams):
        return state


def test_a_run_that_comes_back_from_infinity_keeps_what_it_had():
    got = exponents(Returning(), {"x0": np.array([1.0])}, 40)
    assert got[0] == pytest.approx(math.log(3), rel=1e-12)


@jax.custom_jvp
def halve(x):
    """Halve, but for a linearisation that is off by one part in a thousand, the value included."""
    return 0.5 * x


@halve.defjvp
def halve_jvp(primals, tangents):
    return 0.5005 * primals[0], 0.5005 * tangents[0]


@final
class Halving(AbstractMap):
    """Whose linearised step does not return quite what the step does, as rounding would have it."""

    @property
    def defaults(self):
        return {"x0": 1.0}

    def init(self, hparams):
        return hparams["x0"]

    def step(self, state, hparams, t):
        return halve(state)

    def observe(self, state, hparams):
        return state


def test_outcomes_are_those_of_the_step_and_not_of_its_linearisation():
    points = {"x0": np.array([1.0, 3.0])}
    got = evaluate(Halving(), points, n_steps=101, record=RECORD)
    np.testing.assert_array_equal(got.final_loss, points["x0"] * 0.5**100)
    np.testing.assert_allclose(got.metrics["lyapunov"], math.log(0.5005), rtol=1e-12)


@final
class Doomed(AbstractMap):
    """Doubles until step `end`, and is not-a-number for ever after; depends on the step."""

    @property
    def defaults(self):
        return {"end": 1000.0}

    def init(self, hparams):
        return jnp.ones_like(hparams["end"])

    def step(self, state, hparams, t):
        return jnp.where(t >= hparams["end"], jnp.nan, (2.0 + t % 2) * state)

    def observe(self, state, hparams):
        return 1 / state

    def metrics(self, state, hparams):
        return {"inverse": 1 / state}

    def is_doomed(self, state):
        return jnp.isnan(state)


@pytest.mark.parametrize("n_steps", [30, 60, 200])
def test_a_doomed_run_leaves_with_its_exponent_and_nothing_else(n_steps):
    seen = []
    ends = np.array([5.0, 10.0, 27.0, 1000.0])
    got = evaluate(
        Doomed(),
        {"end": ends},
        n_steps=n_steps,
        rule="bounded",
        record=("inverse", "lyapunov"),
        on_progress=seen.append,
    )
    counts = np.minimum(ends, n_steps).astype(int)
    means = [np.log(2.0 + np.arange(n) % 2).mean() for n in counts]
    np.testing.assert_allclose(got.metrics["lyapunov"], means, rtol=1e-12)
    assert np.isnan(got.metrics["inverse"]).tolist() == [True, True, True, False]
    assert sum(seen) == 4 * n_steps


def test_a_point_has_the_same_exponent_whatever_is_computed_beside_it():
    map_, points, _ = CASES["mean field"]
    whole = exponents(map_, points, 60, lanes=8)
    alone = [exponents(map_, {"lr": points["lr"][i : i + 1]}, 60, lanes=8)[0] for i in (3, 11, 19)]
    np.testing.assert_array_equal(whole[[3, 11, 19]], alone)


def test_float32_is_near_float64():
    r = np.array([2.7, 3.3, 3.53])
    short, long = (exponents(Logistic(), {"r": r}, 300, dtype=d) for d in ("float32", "float64"))
    # Periodic orbits: nothing amplifies the rounding of 6e-8, and sums are in float64.
    np.testing.assert_allclose(short, long, atol=3e-5)
    assert np.any(short != long)


def test_a_threshold_watches_the_sign_of_the_exponent():
    rates = np.array([0.5, 0.9, 1.2, 1.5, 1.9, 2.5])
    got = evaluate(CubicDescent(), {"lr": rates}, n_steps=400, rule="threshold:0@lyapunov")
    # Superstable, fixed point and 2-cycle; two chaotic; one that is gone.
    assert got.status.tolist() == [1, 1, 1, 2, 2, 4]
    np.testing.assert_array_equal(np.signbit(got.measure), got.labels)
    plain = evaluate(CubicDescent(), {"lr": rates}, n_steps=400)
    np.testing.assert_array_equal(got.final_loss, plain.final_loss)
    # The run is lost where its state is, after its loss has passed 1e8.
    assert got.t_escape[-1] > plain.t_escape[-1] > 0


@final
class Named(AbstractMap):
    """Has a metric of its own under the name of the exponent."""

    @property
    def defaults(self):
        return {"a": 0.5}

    def init(self, hparams):
        return jnp.ones_like(hparams["a"])

    def step(self, state, hparams, t):
        return hparams["a"] * state

    def observe(self, state, hparams):
        return state

    def metrics(self, state, hparams):
        return {"lyapunov": 7 * jnp.ones_like(state)}


def test_a_map_with_a_metric_of_this_name_keeps_it():
    assert exponents(Named(), {"a": np.array([0.5])}, 10)[0] == 7


def test_a_stretched_map_is_a_map():
    map_ = Stretched(Henon(), seed=2)
    state = iterate(map_, {"a": 1.2}, n_steps=100).final_state
    plain = iterate(Henon(), {"a": 1.2}, n_steps=100)
    np.testing.assert_allclose(state.inner, plain.final_state, rtol=1e-6)
    assert float(jnp.linalg.norm(state.tangent)) == pytest.approx(1, abs=1e-12)
    assert int(state.age) == 100 and bool(state.alive)
    # Without its exponent it is run as the map inside.
    points = {"a": np.linspace(0.5, 1.5, 5)}
    outcomes = [evaluate(m, points, n_steps=80) for m in (map_, Henon())]
    for field in FIELDS:
        np.testing.assert_array_equal(*(getattr(o, field) for o in outcomes))


def test_the_step_is_compiled_once_for_any_number_of_points():
    traces = []

    @final
    class Counted(AbstractMap):
        @property
        def defaults(self):
            return {"r": 3.0}

        def init(self, hparams):
            return 0.3 * jnp.ones_like(hparams["r"])

        def step(self, state, hparams, t):
            traces.append(isinstance(state, jax.core.Tracer))
            return hparams["r"] * state * (1 - state)

        def observe(self, state, hparams):
            return state

    map_ = Counted()
    exponents(map_, {"r": np.linspace(1, 4, 8)}, 60, lanes=4)
    before = len(traces)
    exponents(map_, {"r": np.linspace(1, 4, 30)}, 500, lanes=4)
    # Looking at the map traces it; compiling it again would, too.
    assert before and len(traces) - before <= 2


@pytest.mark.parametrize(
    ("map_", "options", "words"),
    [
        (Logistic(), {"record": ("lyapunow",)}, "unknown metric of Logistic: 'lyapunow'; did you"),
        (Logistic(), {"rule": "published@lyapunov"}, "use threshold:0@lyapunov"),
        (Logistic(), {"rule": "bounded:1@lyapunov"}, "judges losses and lyapunov is none"),
        (Logistic(), {"rule": "threshold:-1@lyapunov"}, "LIMIT > 0"),
        (
            Stretched(Logistic(), n_warmup=5),
            {"rule": "threshold:0@lyapunov"},
            "pass n_warmup=0",
        ),
        (trained(), {"record": RECORD, "dtype": "bfloat16"}, "dtype='bfloat16' is not supported"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_one_sentence(map_, options, words):
    with pytest.raises(ValueError, match=words) as caught:
        evaluate(map_, n_steps=10, **options)
    assert "\n" not in str(caught.value)
    assert evaluate(Logistic(), {"r": [2.0]}, n_steps=1, record=RECORD).metrics["lyapunov"].shape
