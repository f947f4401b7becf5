"""The stopping rule: where it asks, when it stops, what it says at the cap."""

import math

import numpy as np
import pytest

from dynfrac.analysis.lyapunov import lyapunov_spectrum, max_lyapunov
from dynfrac.analysis.stopping import Tolerance
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.descents import CubicDescent
from dynfrac.systems.interval_maps import Logistic, SkewTent


def noise(n, sd=1.0, seed=0):
    return 0.5 + sd * np.random.default_rng(seed).standard_normal((n, 1))


def test_the_ratio_is_the_error_in_units_of_the_tolerance():
    ratio, tail = Tolerance(atol=0.01, rtol=0.02).excess([noise(10_000)])
    # Independent values: 1 / sqrt(1e4) over 0.01 + 0.02 x 0.5.
    assert ratio == pytest.approx(0.01 / 0.02, rel=0.2)
    assert tail < 0.05
    halved, _ = Tolerance(atol=0.01, rtol=0.02).excess([noise(10_000, seed=s) for s in range(4)])
    assert halved == pytest.approx(ratio / 2, rel=0.2)


def test_the_next_check_is_where_the_error_should_be_half_the_tolerance():
    rows = [noise(1000)]
    ratio, _ = Tolerance(atol=0.01).excess(rows)
    assert ratio > 2
    assert Tolerance(atol=0.01).next_check(rows) == math.ceil(4 * ratio**2 * 1000)
    assert Tolerance(atol=0.1).next_check(rows) == 0


def test_correlations_at_the_longest_lags_forbid_to_stop():
    # A slow wave: its error formula says little until several periods are seen.
    rows = [0.5 + 0.01 * np.sin(np.arange(500) / 70)[:, None]]
    ratio, tail = Tolerance(atol=0.1).excess(rows)
    assert ratio < 1 and tail > 0.05
    assert Tolerance(atol=0.1).next_check(rows) == 1000


def test_an_annihilated_direction_is_not_waited_for():
    rows = np.concatenate([noise(1000, 1e-3), np.full((1000, 1), -math.inf)], axis=1)
    assert Tolerance(atol=0.1).next_check([rows]) == 0


def test_runs_stop_at_their_tolerance():
    cap = 1_000_000
    spectrum = lyapunov_spectrum(SkewTent(), n_steps=cap, atol=2e-3)
    assert 400 < spectrum.n_steps < cap / 4
    assert spectrum.stderr[0] < 2e-3
    assert not any("converged" in flag for flag in spectrum.flags)
    again = lyapunov_spectrum(SkewTent(), n_steps=cap, atol=2e-3)
    assert again.n_steps == spectrum.n_steps
    np.testing.assert_array_equal(again.exponents, spectrum.exponents)
    # The steps that were taken are the first ones of a run without a tolerance.
    plain = lyapunov_spectrum(SkewTent(), n_steps=spectrum.n_steps, n_warmup=100_000)
    np.testing.assert_allclose(plain.exponents, spectrum.exponents, rtol=1e-12)


def test_a_settled_run_stops_at_the_first_check():
    spectrum = lyapunov_spectrum(CubicDescent(), {"lr": 0.9}, n_steps=10**6, atol=1e-6)
    assert spectrum.n_steps == 400 and spectrum.verdict == "fixed point"


def test_several_starts_share_the_work():
    one = lyapunov_spectrum(SkewTent(), n_steps=10**6, n_warmup=100, atol=3e-3)
    many = lyapunov_spectrum(SkewTent(), n_steps=10**6, n_warmup=100, n_starts=16, atol=3e-3)
    assert many.n_steps < one.n_steps / 4
    assert many.stderr[0] < 3e-3


@pytest.mark.parametrize("n_steps", [100, 5000])
def test_the_cap_is_said(n_steps):
    spectrum = lyapunov_spectrum(Henon(), n_steps=n_steps, rtol=1e-5)
    assert spectrum.n_steps == n_steps
    assert any("not converged to the tolerance" in flag for flag in spectrum.flags)
    assert spectrum.conditions["rtol"] == 1e-5


def test_a_run_that_blows_up_has_no_say_about_tolerances():
    spectrum = lyapunov_spectrum(Logistic(), {"r": 5.0}, n_steps=1000, atol=0.1)
    assert spectrum.verdict == "not finite"
    assert not any("tolerance" in flag for flag in spectrum.flags)


def test_the_largest_exponent_alone_stops_too():
    estimate = max_lyapunov(Henon(), n_steps=10**6, atol=5e-3)
    assert estimate.stderr < 5e-3 and estimate.n_runs < 10**5
    assert estimate.ci_low < 0.41922 < estimate.ci_high


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"atol": -1.0}, "atol=-1.0 is out of range"),
        ({"rtol": math.nan}, "rtol=nan is out of range"),
        ({}, "stop no run"),
    ],
)
def test_impossible_tolerances_are_refused(keywords, message):
    with pytest.raises(ValueError, match=message):
        Tolerance(**keywords)
