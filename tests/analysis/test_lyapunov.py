"""Lyapunov spectra against closed forms, published values and identities."""

import dataclasses
import json
import math
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from dynfrac.analysis import lyapunov
from dynfrac.analysis.lyapunov import lyapunov_spectrum, max_lyapunov
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.tangents import SEGMENT
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.catalogue import make_map
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.systems.descents import CubicDescent, QuadraticDescent, RippleDescent
from dynfrac.systems.interval_maps import Logistic, SkewTent
from dynfrac.systems.plain_values import jsonable

TRACES = []

HENON, LOZI, STANDARD = 0.41921, 0.47023, 1.61992
"""Largest exponents, from one tangent written out by hand: means over 2000 orbits of 400,000 steps
after 1000, with standard errors of 1.3e-5, 0.9e-5 and 3.5e-5 (K = 10 for the last)."""


@final
class Torus(AbstractMap):
    """A linear map taken modulo 1, such as Arnold's cat."""

    matrix: jax.Array
    drive: str = struct.field(pytree_node=False, default="scan")

    @property
    def defaults(self):
        return {"scale": 1.0}

    def init(self, hparams):
        return jnp.linspace(0.1, 0.2, len(self.matrix))

    def step(self, state, hparams, t):
        TRACES.append(t)
        return (hparams["scale"] * self.matrix @ state) % 1.0

    def observe(self, state, hparams):
        return jnp.sum(state)


@final
class Driven(AbstractMap):
    """A linear map whose slope is a function of the time."""

    drive: str = struct.field(pytree_node=False, default="scan")

    @property
    def defaults(self):
        return {"x0": 1.0}

    def init(self, hparams):
        return hparams["x0"]

    def step(self, state, hparams, t):
        return state * jnp.exp(jnp.sin(1.0 * t))

    def observe(self, state, hparams):
        return state


@final
class Boastful(AbstractMap):
    """A linear map that is wrong about its determinant."""

    matrix: jax.Array

    @property
    def defaults(self):
        return {"x0": 1.0}

    def init(self, hparams):
        return hparams["x0"] * jnp.ones(len(self.matrix))

    def step(self, state, hparams, t):
        return self.matrix @ state

    def observe(self, state, hparams):
        return jnp.sum(state)

    def exponent_sum(self, hparams):
        return 1.0


def cat(**fields):
    return Torus(jnp.array([[2.0, 1.0], [1.0, 1.0]]), **fields)


def heavy_ball_moduli(h, lr, b):
    """Return ln abs of the roots of r^2 - (1 + b - lr h) r + b for every h, descending."""
    roots = np.concatenate([np.roots([1, -(1 + b - lr * x), b]) for x in h])
    return np.sort(np.log(np.abs(roots)))[::-1]


# Fixed points and cycles


def test_a_diagonal_map_has_its_logarithms():
    spectrum = lyapunov_spectrum(Torus(jnp.diag(jnp.array([0.8, 1.1]))), n_steps=2000)
    # The frame aligns like (0.8 / 1.1)^t: to 1e-15 within 110 of the 200 warm-up steps.
    np.testing.assert_allclose(spectrum.exponents, np.log([1.1, 0.8]), atol=1e-12)


@pytest.mark.parametrize("r", [1.5, 2.5, 2.9])
def test_logistic_fixed_point(r):
    spectrum = lyapunov_spectrum(Logistic(), {"r": r}, n_steps=4000)
    assert spectrum.exponents[0] == pytest.approx(math.log(abs(2 - r)), abs=1e-9)
    assert (spectrum.verdict, spectrum.period) == ("fixed point", 1)
    assert spectrum.stderr[0] < 1e-9
    assert float(spectrum.kaplan_yorke) == 0


@pytest.mark.parametrize(("r", "period"), [(3.2, 2), (3.5, 4), (3.55, 8)])
def test_logistic_cycles_and_their_periods(r, period):
    spectrum = lyapunov_spectrum(Logistic(), {"r": r}, n_steps=4000, n_transient=1000)
    assert (spectrum.verdict, spectrum.period) == ("periodic", period)
    orbit = [0.3]
    for _ in range(20_000):
        orbit.append(r * orbit[-1] * (1 - orbit[-1]))
    slopes = [r * (1 - 2 * x) for x in orbit[-period:]]
    # The mean is over whole periods, so it is exact.
    assert spectrum.exponents[0] == pytest.approx(np.mean(np.log(np.abs(slopes))), abs=1e-9)
    if period == 2:
        closed_form = 0.5 * math.log(abs(4 + 2 * r - r * r))
        assert spectrum.exponents[0] == pytest.approx(closed_form, abs=1e-9)


def test_an_unstable_fixed_point_is_not_chaos():
    spectrum = lyapunov_spectrum(Logistic(), {"r": 4.0, "x0": 0.0}, n_steps=1000)
    assert spectrum.exponents[0] == pytest.approx(math.log(4), abs=1e-12)
    assert spectrum.verdict == "fixed point"
    assert any("unstable" in flag for flag in spectrum.flags)


@pytest.mark.parametrize("lr", [0.3, 0.9])
def test_cubic_descent_converges_at_its_rate(lr):
    spectrum = lyapunov_spectrum(CubicDescent(), {"lr": lr}, n_steps=4000)
    assert spectrum.exponents[0] == pytest.approx(math.log(abs(1 - 2 * lr)), abs=1e-9)
    assert spectrum.verdict == "fixed point"


def test_a_superstable_point_has_minus_infinity_and_no_error():
    spectrum = lyapunov_spectrum(CubicDescent(), {"lr": 0.5}, n_steps=1000)
    assert spectrum.exponents[0] == -math.inf
    assert math.isnan(spectrum.stderr[0])
    assert spectrum.status == Status.BOUNDED
    assert any("superstable" in flag for flag in spectrum.flags)


# Gradient descent on a quadratic


@pytest.mark.parametrize("lr", [0.05, 0.25])
def test_plain_descent_on_a_quadratic(lr):
    h = np.array([1.0, 3.0, 6.0])
    spectrum = lyapunov_spectrum(QuadraticDescent(tuple(h)), {"lr": lr}, n_steps=4000)
    expected = np.sort(np.log(np.abs(1 - lr * h)))[::-1]
    np.testing.assert_allclose(spectrum.exponents, expected, atol=1e-9)
    assert float(spectrum.kaplan_yorke) == 0


def test_heavy_ball_with_real_roots():
    h, lr, b = (1.0, 3.0), 0.02, 0.3
    map_ = QuadraticDescent(h, heavy_ball=True)
    spectrum = lyapunov_spectrum(map_, {"lr": lr, "momentum": b}, n_steps=8000)
    # The gap between the two slow roots, 0.06, aligns them to 1e-20 in 800 warm-up steps.
    np.testing.assert_allclose(spectrum.exponents, heavy_ball_moduli(h, lr, b), atol=1e-9)
    assert np.all(spectrum.stderr < 1e-9)


def test_heavy_ball_with_complex_roots():
    n, lr, b = 1000, 0.1, 0.5
    map_ = QuadraticDescent((2.0,), heavy_ball=True)
    spectrum = lyapunov_spectrum(map_, {"lr": lr, "momentum": b}, n_steps=n)
    assert spectrum.exponents.sum() == pytest.approx(math.log(b), abs=1e-9)
    # A rotating pair of directions oscillates: single exponents are known to O(1/n) only.
    np.testing.assert_allclose(spectrum.exponents, 0.5 * math.log(b), atol=5 / n)
    assert np.all(np.abs(spectrum.exponents - 0.5 * math.log(b)) <= spectrum.stderr)
    # The orbit spirals into the minimum: its increments repeat, and it is no cycle. After 1100
    # steps it is at e^-380, small and not yet underflowed.
    assert np.any(spectrum.final_state["weights"] != 0)
    assert (spectrum.verdict, spectrum.period) == ("fixed point", 1)


def test_heavy_ball_sums_to_ln_b_for_any_number_of_weights():
    h = tuple(np.linspace(0.5, 9.0, 5))
    map_ = QuadraticDescent(h, heavy_ball=True)
    spectrum = lyapunov_spectrum(map_, {"lr": 0.2, "momentum": 0.7}, n_steps=500)
    assert spectrum.exponents.sum() == pytest.approx(5 * math.log(0.7), abs=1e-9)


def test_descent_beyond_the_threshold_escapes():
    spectrum = lyapunov_spectrum(QuadraticDescent((1.0, 3.0)), {"lr": 0.7}, n_steps=1000)
    assert (spectrum.status, spectrum.verdict) == (Status.ESCAPED, "escaped")
    assert spectrum.exponents[0] == pytest.approx(math.log(1.1), abs=1e-9)


def test_slow_growth_is_not_taken_for_chaos():
    hparams = {"lr": 2.001 / 3}
    spectrum = lyapunov_spectrum(QuadraticDescent((1.0, 3.0)), hparams, n_steps=500)
    assert spectrum.exponents[0] > 0 and spectrum.verdict == "not settled"


# Chaos


def test_henon_has_its_published_exponents():
    spectrum = lyapunov_spectrum(Henon(), n_steps=100_000)
    for value, stderr, reference in zip(
        spectrum.exponents, spectrum.stderr, (0.41922, -1.62319), strict=True
    ):
        assert abs(value - reference) <= max(2e-3, 4 * stderr)
        assert stderr <= 4e-3
    assert spectrum.exponents.sum() == pytest.approx(math.log(0.3), abs=1e-9)
    # Correlations are negative: independent errors would be nearly twice as large.
    assert spectrum.stderr[0] == pytest.approx(1.2e-3, rel=0.3)
    assert spectrum.naive_stderr[0] == pytest.approx(2.1e-3, rel=0.1)
    assert spectrum.verdict == "chaotic" and not spectrum.flags
    assert spectrum.kaplan_yorke.low < 1.25827 < spectrum.kaplan_yorke.high


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "hparams", "reference"),
    [
        ("skew-tent", {"peak": 0.3}, -0.3 * math.log(0.3) - 0.7 * math.log(0.7)),
        ("henon", {}, HENON),
        ("lozi", {}, LOZI),
        ("standard", {"k": 10.0}, STANDARD),
    ],
)
def test_intervals_cover_as_often_as_they_say(name, hparams, reference):
    spectrum = lyapunov_spectrum(
        make_map(name), hparams, n_steps=100_000, n_transient=1000, n_starts=100, seed=1
    )
    starts = spectrum.starts
    miss = np.abs(starts.exponents[:, 0] - reference) / starts.stderr[:, 0]
    # 95 expected; fewer than 90 or more than 99 come by chance once in 40 times, and the seed is
    # fixed.
    assert 90 <= np.sum(miss < 1.959964) <= 99
    assert abs(spectrum.exponents[0] - reference) < 4 * spectrum.stderr[0]
    # A hundred runs know their own spread to 7 %.
    assert 0.8 < starts.ratio[0] < 1.25
    assert not any("disagree" in flag for flag in spectrum.flags)


def test_several_starts_know_their_scatter():
    spectrum = lyapunov_spectrum(Henon(), n_steps=20_000, n_transient=100, n_starts=12)
    starts = spectrum.starts
    assert starts.exponents.shape == starts.stderr.shape == (12, 2)
    np.testing.assert_allclose(spectrum.exponents, starts.exponents.mean(axis=0))
    between = starts.exponents.std(axis=0, ddof=1)
    np.testing.assert_allclose(starts.between_sd, between)
    np.testing.assert_allclose(starts.between_stderr, between / math.sqrt(12))
    rms = np.sqrt(np.mean(starts.stderr**2, axis=0))
    np.testing.assert_allclose(starts.ratio, between / rms)
    np.testing.assert_allclose(spectrum.stderr, rms / math.sqrt(12))
    # Twelve runs know their own spread to 21 %.
    assert 0.5 < starts.ratio[0] < 1.7
    assert set(starts.verdicts) == {"chaotic"} and not spectrum.flags
    # The first start is the map's own.
    own = lyapunov_spectrum(Henon(), n_steps=20_000, n_transient=100)
    assert own.starts is None
    assert starts.exponents[0, 0] == pytest.approx(own.exponents[0], abs=4 * own.stderr[0])


def test_starts_in_different_wells_disagree():
    # A Lozi orbit in the sea of the standard map at k = 1.5, and one on an island: near the border.
    hparams = {"k": 2.0, "theta0": 2.07, "p0": 0.0}
    spectrum = lyapunov_spectrum(make_map("standard"), hparams, n_steps=20_000, n_starts=12)
    assert any("runs disagree" in flag for flag in spectrum.flags)
    np.testing.assert_array_equal(
        spectrum.stderr, np.fmax(spectrum.stderr, spectrum.starts.between_stderr)
    )


def test_starts_that_blow_up_are_left_out():
    # The edge of the basin of the logistic map is x = 1.
    spectrum = lyapunov_spectrum(Logistic(), {"r": 3.9, "x0": 1.0001}, n_steps=500, n_starts=12)
    verdicts = spectrum.starts.verdicts
    lost = verdicts.count("not finite")
    assert 0 < lost < 12 and verdicts[0] == "not finite"
    assert any(f"{lost} of 12 starts did not stay finite" in flag for flag in spectrum.flags)
    kept = spectrum.starts.exponents[[v != "not finite" for v in verdicts]]
    np.testing.assert_allclose(spectrum.exponents, kept.mean(axis=0))
    assert spectrum.status == Status.BOUNDED and spectrum.t_escape == -1


def test_all_starts_lost_is_no_value():
    spectrum = lyapunov_spectrum(Logistic(), {"r": 5.0}, n_steps=100, n_starts=3)
    assert spectrum.status == Status.NOT_FINITE and np.all(np.isnan(spectrum.exponents))
    assert spectrum.starts.verdicts == ("not finite",) * 3
    assert any("3 of 3 starts" in flag for flag in spectrum.flags)


def test_the_largest_exponent_is_an_estimate():
    estimate = max_lyapunov(Henon(), n_steps=20_000, n_transient=100)
    spectrum = lyapunov_spectrum(Henon(), n_steps=20_000, n_transient=100, n_exponents=1)
    assert (estimate.value, estimate.stderr) == (spectrum.exponents[0], spectrum.stderr[0])
    assert estimate.ci_high - estimate.value == pytest.approx(1.96 * estimate.stderr, rel=1e-4)
    np.testing.assert_array_equal(estimate.curve.x, spectrum.history.steps)
    np.testing.assert_array_equal(estimate.curve.y, spectrum.history.exponents[:, 0])
    assert estimate.window == (2100.0, 22_099.0) and estimate.n_runs == 20_000
    # One of two exponents says little about a dimension, which is not what was asked for.
    assert not estimate.flags
    three = max_lyapunov(Henon(), n_steps=2000, n_starts=3)
    assert three.n_runs == 6000


def test_the_largest_exponent_says_what_it_is_not():
    settled = max_lyapunov(CubicDescent(), {"lr": 0.9}, n_steps=1000)
    assert float(settled) == pytest.approx(math.log(0.8), abs=1e-9)
    assert settled.flags == ("the orbit is no chaotic one; verdict: fixed point",)
    lost = max_lyapunov(Logistic(), {"r": 5.0}, n_steps=100, n_warmup=2)
    assert not lost.has_value and "stopped being finite" in lost.flags[0]
    assert len(lost.curve) > 0


def test_a_resumed_spectrum_is_the_same_record():
    seen = []
    options = {"n_steps": 3000, "n_starts": 2, "atol": 1e-5}
    whole = lyapunov_spectrum(Henon(), **options, on_checkpoint=seen.append)
    resumed = lyapunov_spectrum(Henon(), **options, resume=seen[len(seen) // 3])
    one, other = (json.dumps(jsonable(spectrum)) for spectrum in (whole, resumed))
    assert one == other
    with pytest.raises(ValueError, match="belongs to another run"):
        lyapunov_spectrum(Henon(), **{**options, "atol": 1e-4}, resume=seen[-1])


def test_a_determinant_that_does_not_fit_is_noticed():
    assert not any("determinant" in f for f in lyapunov_spectrum(Henon(), n_steps=500).flags)
    spectrum = lyapunov_spectrum(Boastful(jnp.eye(2)), n_steps=500)
    assert any("own determinant to 1" in flag for flag in spectrum.flags)


def test_fully_chaotic_logistic_map_is_ln_2_and_its_error_falls_like_1_over_n():
    spectrum = lyapunov_spectrum(Logistic(), n_steps=100_000)
    assert spectrum.exponents[0] == pytest.approx(math.log(2), abs=2e-3)
    assert spectrum.verdict == "chaotic"
    assert any("the error falls like 1/n" in flag for flag in spectrum.flags)
    assert abs(spectrum.exponents[0] - math.log(2)) < spectrum.stderr[0] < 1e-3


def test_cat_map():
    spectrum = lyapunov_spectrum(cat(), n_steps=1000)
    expected = math.log((3 + math.sqrt(5)) / 2)
    np.testing.assert_allclose(spectrum.exponents, [expected, -expected], atol=1e-10)
    # The sum is zero up to rounding, whose sign decides between 2 and a hair less.
    assert float(spectrum.kaplan_yorke) == pytest.approx(2, abs=1e-9)


def test_skew_tent():
    a = 0.3
    spectrum = lyapunov_spectrum(SkewTent(), n_steps=50_000)
    expected = -a * math.log(a) - (1 - a) * math.log(1 - a)
    assert abs(spectrum.exponents[0] - expected) < 4 * spectrum.stderr[0]
    # Its increments are independent: both errors are sd / sqrt(n).
    sd = math.sqrt(a * (1 - a)) * abs(math.log(a / (1 - a)))
    assert spectrum.naive_stderr[0] == pytest.approx(sd / math.sqrt(50_000), rel=0.05)
    assert spectrum.stderr[0] == pytest.approx(spectrum.naive_stderr[0], rel=0.25)


def test_the_complex_quadratic_map_is_conformal():
    spectrum = lyapunov_spectrum(Quadratic(), {"c_re": -0.5, "z_re": 0.1}, n_steps=4000)
    fixed = (1 - math.sqrt(3)) / 2
    np.testing.assert_allclose(spectrum.exponents, math.log(abs(2 * fixed)), atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lr", "reference"), [(1.4, 0.3428), (1.5, 0.4912), (1.9, 0.8781), (2.0, math.log(3))]
)
def test_chaotic_cubic_descent(lr, reference):
    spectrum = lyapunov_spectrum(CubicDescent(), {"lr": lr}, n_steps=1_000_000)
    assert abs(spectrum.exponents[0] - reference) <= max(1e-3, 4 * spectrum.stderr[0])
    assert spectrum.stderr[0] <= 2e-3


# Fewer exponents, larger states, other drivers


@pytest.mark.parametrize("map_", [Henon(), QuadraticDescent((1.0, 3.0, 7.0))])
def test_the_leading_exponents_alone_are_those_of_the_full_spectrum(map_):
    full = lyapunov_spectrum(map_, n_steps=1000)
    for k in range(1, full.dimension):
        part = lyapunov_spectrum(map_, n_steps=1000, n_exponents=k)
        # Column j of a thin QR depends on the columns before it only.
        np.testing.assert_allclose(
            part.history.exponents, full.history.exponents[:, :k], rtol=1e-12
        )
        assert part.dimension == full.dimension


def test_a_large_state_gives_four_exponents():
    h = tuple(np.linspace(0.1, 9.0, 100))
    spectrum = lyapunov_spectrum(QuadraticDescent(h), n_steps=500)
    assert spectrum.exponents.shape == (4,) and spectrum.dimension == 100
    assert float(spectrum.kaplan_yorke) == 0
    growing = lyapunov_spectrum(Torus(1.1 * jnp.eye(100)), n_steps=500)
    assert (growing.kaplan_yorke.low, growing.kaplan_yorke.high) == (4, 100)
    assert math.isnan(growing.kaplan_yorke.value)


def test_both_drivers_agree():
    matrix = jnp.asarray(np.random.default_rng(8).standard_normal((6, 6)))
    scan, host = (
        lyapunov_spectrum(Torus(matrix, drive), n_steps=50, n_exponents=3, n_transient=20)
        for drive in ("scan", "host")
    )
    assert (scan.conditions["driver"], host.conditions["driver"]) == ("scan", "host")
    # The derivative does not depend on the state, so rounding is all that can differ.
    np.testing.assert_allclose(scan.exponents, host.exponents, rtol=1e-10)
    np.testing.assert_array_equal(scan.history.steps, host.history.steps)
    np.testing.assert_allclose(scan.history.exponents, host.history.exponents, rtol=1e-9)


@pytest.mark.parametrize("drive", ["scan", "host"])
def test_a_driven_map_is_averaged_over_its_own_times(drive):
    spectrum = lyapunov_spectrum(Driven(drive), n_steps=450, n_transient=3, n_warmup=4)
    # Segments of two steps: 3 + 4 steps come first.
    increments = np.sin(np.arange(7, 457))
    assert spectrum.exponents[0] == pytest.approx(increments.mean(), abs=1e-13)
    steps = spectrum.history.steps
    np.testing.assert_allclose(
        spectrum.history.exponents[:, 0], np.cumsum(increments)[steps - 1] / steps, atol=1e-13
    )
    observed = np.exp(np.cumsum(np.sin(np.arange(457))))[6 + steps]
    np.testing.assert_allclose(spectrum.history.observations, observed, rtol=1e-12)


def test_other_hyperparameters_and_lengths_compile_nothing():
    lyapunov_spectrum(cat(), n_steps=500, n_transient=10)
    before = len(TRACES)
    lyapunov_spectrum(cat(), {"scale": 1.5}, n_steps=3000, n_transient=50, seed=3)
    lyapunov_spectrum(Torus(jnp.array([[1.0, 1.0], [1.0, 2.0]])), n_steps=700)
    # One trace each checks the step's types; the compiled loops are not traced again.
    assert len(TRACES) == before + 2


def test_the_seed_turns_the_frame_and_not_the_exponents():
    one, other = (lyapunov_spectrum(Henon(), n_steps=200, n_warmup=0, seed=s) for s in (0, 1))
    assert one.exponents[0] != other.exponents[0]
    assert one.exponents[0] == pytest.approx(other.exponents[0], abs=5 / 200)
    again = lyapunov_spectrum(Henon(), n_steps=200, n_warmup=0, seed=0)
    np.testing.assert_array_equal(one.exponents, again.exponents)


def test_float32_keeps_close():
    spectrum = lyapunov_spectrum(QuadraticDescent((1.0, 3.0)), n_steps=1000, dtype="float32")
    # Single increments carry the rounding of float32, 6e-8, and it does not average out.
    np.testing.assert_allclose(spectrum.exponents, np.log([0.9, 0.7]), atol=1e-6)
    assert spectrum.conditions["dtype"] == "float32"
    assert spectrum.final_state["weights"].dtype == np.float32


# Blow-up and finite time


@pytest.mark.parametrize("drive", ["scan", "host"])
def test_blow_up_keeps_what_came_before(drive, monkeypatch):
    prepare = lyapunov.prepare
    monkeypatch.setattr(
        lyapunov, "prepare", lambda *a, **k: dataclasses.replace(prepare(*a, **k), driver=drive)
    )
    spectrum = lyapunov_spectrum(Logistic(), {"r": 5.0}, n_steps=100, n_warmup=2)
    x, t = 0.3, 0
    slopes = []
    while np.isfinite(x):
        slopes.append(5 * (1 - 2 * x))
        x, t = 5 * x * (1 - x), t + 1
    assert (spectrum.status, spectrum.verdict) == (Status.NOT_FINITE, "not finite")
    assert spectrum.t_escape == t
    assert spectrum.step_range == (2, t - 1) and spectrum.n_steps == t - 3
    assert np.all(np.isnan(spectrum.exponents)) and math.isnan(spectrum.kaplan_yorke.value)
    assert f"at step {t}" in spectrum.flags[0]
    running = np.cumsum(np.log(np.abs(slopes[2:-1])))
    np.testing.assert_allclose(
        spectrum.history.exponents[:, 0] * spectrum.history.steps,
        running[spectrum.history.steps - 1],
        rtol=1e-12,
    )


@pytest.mark.parametrize("stretch", ["n_transient", "n_warmup"])
def test_blow_up_before_averaging_leaves_nothing(stretch):
    spectrum = lyapunov_spectrum(Logistic(), {"r": 5.0}, n_steps=10, **{stretch: 50})
    assert spectrum.status == Status.NOT_FINITE and spectrum.n_steps == 0
    assert 0 < spectrum.t_escape < 50
    assert len(spectrum.history.steps) == 0


@pytest.mark.parametrize("drive", ["scan", "host"])
def test_a_map_without_a_finite_derivative_stops(drive):
    spectrum = lyapunov_spectrum(Root(drive), n_steps=10, n_warmup=0)
    assert spectrum.status == Status.NOT_FINITE and spectrum.t_escape == 1


@final
class Root(AbstractMap):
    """The square root at 0: finite, with an infinite slope."""

    drive: str = struct.field(pytree_node=False, default="scan")

    @property
    def defaults(self):
        return {"x0": 0.0}

    def init(self, hparams):
        return hparams["x0"]

    def step(self, state, hparams, t):
        return jnp.sqrt(state)

    def observe(self, state, hparams):
        return state


def test_few_steps_are_a_finite_time_exponent_of_a_stated_range():
    spectrum = lyapunov_spectrum(Henon(), n_steps=100, n_transient=7, n_warmup=5)
    assert spectrum.step_range == (12, 112)
    assert spectrum.verdict == "not settled"
    assert any("finite-time exponents: averages over steps 12 to 111" in f for f in spectrum.flags)
    assert not any("finite-time" in f for f in lyapunov_spectrum(Henon(), n_steps=400).flags)


def test_a_single_step_has_no_error():
    spectrum = lyapunov_spectrum(Henon(), n_steps=1)
    assert np.all(np.isfinite(spectrum.exponents)) and np.all(np.isnan(spectrum.stderr))
    assert any("standard errors are unknown" in flag for flag in spectrum.flags)


@pytest.mark.parametrize(("n_steps", "warmup"), [(100, 25), (600, 100), (3000, 300)])
def test_default_warmup(n_steps, warmup):
    assert lyapunov_spectrum(Henon(), n_steps=n_steps).conditions["n_warmup"] == warmup


def test_a_drifting_run_is_flagged():
    # The first half leaves the saddle at 0, where tangents grow; the second falls into a well.
    spectrum = lyapunov_spectrum(CubicDescent(), {"lr": 0.002, "w0": 1e-3}, n_steps=5000)
    assert any("drifts" in flag for flag in spectrum.flags)
    assert spectrum.verdict != "fixed point"


def test_history_ends_at_the_exponents():
    n_steps = 3 * SEGMENT + 11
    spectrum = lyapunov_spectrum(Henon(), n_steps=n_steps)
    assert spectrum.history.steps[-1] == n_steps
    np.testing.assert_allclose(spectrum.history.exponents[-1], spectrum.exponents, rtol=1e-9)
    assert len(spectrum.history.observations) == len(spectrum.history.steps) >= 200


def test_progress_counts_transient_and_warmup():
    seen = []
    lyapunov_spectrum(
        Henon(), n_steps=10, n_transient=5, n_warmup=3, on_progress=lambda *n: seen.append(n)
    )
    assert seen[0] == (5, 18) and seen[-1] == (18, 18)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_the_record_for_machines_is_complete():
    spectrum = lyapunov_spectrum(RippleDescent(), n_steps=500)
    record = spectrum.to_dict()
    names = {field.name for field in dataclasses.fields(spectrum)}
    assert set(record) == names - {"final_state"}
    assert record["status"] == "bounded"
    conditions = record["conditions"]
    assert conditions["hparams"]["eps"] == 0.2 and conditions["seed"] == 0
    assert conditions["versions"]["jax"] == jax.__version__


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n_steps": 0}, "n_steps=0 is out of range"),
        ({"n_steps": 10, "n_transient": -1}, "n_transient=-1 is out of range"),
        ({"n_steps": 10, "n_warmup": -1}, "n_warmup=-1 is out of range"),
        ({"n_steps": 10, "n_exponents": 0}, "n_exponents=0 is out of range"),
        ({"n_steps": 10, "n_exponents": 3}, "n_exponents=3 is more than the 2 dimensions"),
        ({"n_steps": 10, "seed": -1}, "seed=-1 is out of range"),
        ({"n_steps": 10, "dtype": "bfloat16"}, "dtype='bfloat16' is not supported"),
    ],
)
def test_misuse_is_one_sentence(keywords, message):
    with pytest.raises(ValueError, match=message) as caught:
        lyapunov_spectrum(Henon(), **keywords)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n_steps", [4000, 4001])
def test_a_cycle_is_averaged_over_whole_periods(n_steps):
    spectrum = lyapunov_spectrum(Logistic(), {"r": 3.2}, n_steps=n_steps, n_transient=1000)
    assert spectrum.exponents[0] == pytest.approx(0.5 * math.log(0.16), abs=1e-12)
    assert spectrum.stderr[0] < 1e-12
    assert not any("1/n" in flag for flag in spectrum.flags)


def test_just_beyond_a_doubling_the_period_is_the_new_one():
    # Period 4 begins at 1 + sqrt(6) = 3.44949; two of its points are 0.01 from the other two.
    spectrum = lyapunov_spectrum(Logistic(), {"r": 3.4496}, n_steps=40_000)
    assert (spectrum.verdict, spectrum.period) == ("periodic", 4)
    assert 0 < spectrum.stderr[0] < 1e-4


@pytest.mark.parametrize("atol", [5e-3, 1e-3])
def test_a_tolerance_is_not_met_by_chance(atol):
    # After 400 steps of Henon the plain sum of autocovariances is negative.
    spectrum = lyapunov_spectrum(Henon(), n_steps=10**6, n_exponents=1, atol=atol)
    assert 400 < spectrum.n_steps < 10**6 and 0 < spectrum.stderr[0] < atol
    assert abs(spectrum.exponents[0] - 0.41922) < 4 * spectrum.stderr[0]


def test_what_rounding_makes_is_no_exponent():
    # The fixed point 1/2 has slope 0; the orbit stops an ulp beside it.
    spectrum = lyapunov_spectrum(Logistic(), {"r": 2.0}, n_steps=1000)
    assert spectrum.exponents[0] < -30
    assert any("rounding" in flag for flag in spectrum.flags)
    plain = lyapunov_spectrum(Logistic(), {"r": 3.9}, n_steps=1000)
    assert not any("rounding" in flag for flag in plain.flags)


@final
class _Contraction(AbstractMap):
    """x/2 + c modulo 1: for c = 0.7 a cycle along which every slope is 1/2."""

    @property
    def defaults(self):
        return {"c": 0.7}

    def init(self, hparams):
        return jnp.asarray(0.1) + 0 * hparams["c"]

    def step(self, state, hparams, t):
        return (0.5 * state + hparams["c"]) % 1

    def observe(self, state, hparams):
        return state


def test_a_cycle_of_constant_slope_is_no_fixed_point():
    around = lyapunov_spectrum(_Contraction(), n_steps=1000)
    assert around.verdict == "not settled"
    assert any("moves on" in flag for flag in around.flags)
    resting = lyapunov_spectrum(_Contraction(), {"c": 0.2}, n_steps=1000)
    assert resting.verdict == "fixed point"
    assert around.exponents[0] == resting.exponents[0] == pytest.approx(-math.log(2), abs=1e-15)
