"""Finite-time exponents: their distribution, its narrowing, and what has none."""

import math

import numpy as np
import pytest

from dynfrac.analysis.finite_time import LANES, finite_time_lyapunov
from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.descents import CubicDescent, QuadraticDescent
from dynfrac.systems.interval_maps import Logistic, SkewTent

PEAK = 0.3
MEAN = -PEAK * math.log(PEAK) - (1 - PEAK) * math.log(1 - PEAK)
SD = math.sqrt(PEAK * (1 - PEAK)) * abs(math.log(PEAK / (1 - PEAK)))
"""Of one increment of the skew tent; successive ones are independent."""


def test_independent_increments_narrow_like_the_root_of_the_length():
    growth = finite_time_lyapunov(SkewTent(), {"peak": PEAK}, window=20, n_steps=40_000)
    assert growth.values.shape == (2000, 1)
    assert growth.mean[0] == pytest.approx(MEAN, abs=4 * growth.stderr[0])
    # 2000 windows know their spread to 1.6 %.
    assert growth.sd[0] == pytest.approx(SD / math.sqrt(20), rel=0.06)
    assert growth.stderr[0] == pytest.approx(growth.sd[0] / math.sqrt(2000))
    np.testing.assert_array_equal(growth.lengths[:5], [5, 10, 20, 40, 80])
    narrow = growth.sds[:, 0] * np.sqrt(growth.lengths)
    np.testing.assert_allclose(narrow[:6], SD, rtol=0.12)
    # A sum of 20 binary steps is nearly Gaussian.
    reach = growth.quantiles[-1, 0] - growth.quantiles[0, 0]
    assert reach == pytest.approx(2 * 1.96 * growth.sd[0], rel=0.15)
    assert not growth.flags


def test_windows_are_stretches_of_the_spectrum():
    growth = finite_time_lyapunov(
        Henon(), window=50, n_steps=430, n_exponents=2, n_transient=7, n_warmup=30
    )
    assert growth.values.shape == (8, 2)
    np.testing.assert_array_equal(growth.first_steps, 37 + 50 * np.arange(8))
    whole = lyapunov_spectrum(Henon(), n_steps=400, n_transient=7, n_warmup=30)
    np.testing.assert_allclose(growth.values.mean(axis=0), whole.exponents, rtol=1e-12)
    np.testing.assert_allclose(growth.values.sum(axis=1), math.log(0.3), atol=1e-12)
    assert growth.conditions["n_steps"] == 400


def test_hyperparameters_give_an_orbit_each():
    rates = np.linspace(0.05, 0.6, LANES + 44)
    growth = finite_time_lyapunov(
        QuadraticDescent((1.0,)), {"lr": rates, "w0": 2.0}, window=30, n_warmup=0
    )
    np.testing.assert_allclose(growth.values[:, 0], np.log(1 - rates), atol=1e-12)
    np.testing.assert_array_equal(growth.orbits, np.arange(LANES + 44))
    assert growth.conditions["hparams"]["lr"] == pytest.approx(rates.tolist())


def test_orbits_of_their_own_do_not_narrow():
    growth = finite_time_lyapunov(
        QuadraticDescent((1.0,)), {"lr": np.linspace(0.1, 0.5, 20)}, window=30, n_steps=240
    )
    np.testing.assert_allclose(growth.sds[:, 0], growth.sds[0, 0], rtol=0.05)
    assert any("exponents of their own" in flag for flag in growth.flags)


def test_a_coboundary_narrows_like_the_length():
    growth = finite_time_lyapunov(Logistic(), window=50, n_steps=100_000)
    assert growth.mean[0] == pytest.approx(math.log(2), abs=1e-3)
    assert any("increments cancel" in flag for flag in growth.flags)


def test_orbits_that_blow_up_leave_their_neighbours_alone():
    r = [3.9, 5.0, 3.7, 3.8]
    growth = finite_time_lyapunov(Logistic(), {"r": r}, window=4, n_steps=40, n_warmup=0)
    alone = finite_time_lyapunov(
        Logistic(), {"r": [3.9, 3.95, 3.7, 3.8]}, window=4, n_steps=40, n_warmup=0
    )
    other = growth.orbits != 1
    np.testing.assert_array_equal(growth.values[other], alone.values[other])
    lost = growth.values[~other, 0]
    # Not finite at step 12: the first two windows of 4 steps were finished.
    assert np.all(np.isfinite(lost[:2])) and np.all(np.isnan(lost[3:]))
    assert any("of 40 windows were not finished" in flag for flag in growth.flags)
    assert np.isfinite(growth.mean[0])


def test_no_window_no_number():
    growth = finite_time_lyapunov(Logistic(), {"r": [5.0, 6.0]}, window=100)
    assert not growth.has_value and math.isnan(growth.mean[0])
    assert any("too few" in flag for flag in growth.flags)


def test_a_superstable_orbit_is_minus_infinity_and_says_so():
    growth = finite_time_lyapunov(CubicDescent(), {"lr": 0.5}, window=100, n_steps=1000)
    assert growth.mean[0] == -math.inf and math.isnan(growth.sd[0])
    assert any("annihilated" in flag for flag in growth.flags)


def test_progress_covers_all_batches():
    seen = []
    finite_time_lyapunov(
        QuadraticDescent((1.0,)),
        {"lr": np.linspace(0.1, 0.5, 2 * LANES + 1)},
        window=20,
        n_warmup=0,
        on_progress=lambda *n: seen.append(n),
    )
    assert seen[-1] == (60, 60) and seen[0][1] == 60
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"window": 0}, "window=0 is out of range"),
        ({"window": 50, "n_steps": 49}, "n_steps=49 is out of range"),
        ({"window": 5, "n_exponents": 3}, "n_exponents=3 is more than the 2 dimensions"),
        ({"window": 5, "n_starts": 0}, "n_starts=0 is out of range"),
        ({"window": 5, "hparams": {"a": [1.4, 1.3]}, "n_starts": 2}, "exclude each other"),
        ({"window": 5, "hparams": {"a": [1.4, 1.3], "b": [0.3]}}, r"a \(2,\), b \(1,\)"),
    ],
)
def test_misuse_is_one_sentence(keywords, message):
    with pytest.raises(ValueError, match=message) as caught:
        finite_time_lyapunov(Henon(), **keywords)
    assert "\n" not in str(caught.value)
