"""The standard error of a correlated mean, against processes whose error is known."""

import math

import numpy as np
import pytest

from dynfrac.analysis.autocorrelation import autocovariance, mean_error


def autoregressive(phi, n, seed):
    """Return an AR(1) series of unit innovations, started in its stationary state."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(n)
    x = np.empty(n)
    x[0] = noise[0] / math.sqrt(1 - phi**2)
    for t in range(1, n):
        x[t] = phi * x[t - 1] + noise[t]
    return x


def test_autocovariance_is_the_sum_of_products():
    x = np.random.default_rng(3).standard_normal(50)
    centred = x - x.mean()
    expected = [np.sum(centred[: 50 - k] * centred[k:]) / (50 - k) for k in range(50)]
    np.testing.assert_allclose(autocovariance(x, 49), expected, atol=1e-14)


def test_stderr_is_the_stated_formula():
    x = autoregressive(0.5, 300, 11)
    n, lags = 300, math.ceil(math.sqrt(300))
    c = autocovariance(x, lags)
    expected = math.sqrt((c[0] + 2 * sum((1 - k / n) * c[k] for k in range(1, lags + 1))) / n)
    error = mean_error(x)
    products = [(1 - k / n) * c[k] for k in range(1, lags + 1)]
    falling = c[0] + 2 * sum((1 - (k + 1) / (lags + 1)) * p for k, p in enumerate(products))
    assert error.stderr == pytest.approx(max(expected, math.sqrt(falling / n)), rel=1e-12)
    assert error.naive_stderr == pytest.approx(x.std() / math.sqrt(n), rel=1e-12)
    assert error.mean == x.mean()


def test_short_series_have_an_error():
    # Of 400 values the plain sum is negative for one in ten of these, and intervals cover 82 %.
    chaotic = np.empty((500, 400))
    x = np.random.default_rng(2).uniform(0.1, 0.9, 500)
    for t in range(-200, 400):
        x = 3.9 * x * (1 - x)
        if t >= 0:
            chaotic[:, t] = np.log(np.abs(3.9 * (1 - 2 * x)))
    errors = [mean_error(row) for row in chaotic]
    assert min(e.stderr / e.naive_stderr for e in errors) > 0.1
    truth = chaotic.mean()
    covered = np.mean([abs(e.mean - truth) < 1.96 * e.stderr for e in errors])
    assert covered > 0.91  # 95 % less four standard errors of the share
    assert mean_error([0.0, 1.0]).stderr > 0


@pytest.mark.parametrize("phi", [-0.6, 0.0, 0.6])
def test_stderr_of_an_autoregressive_mean(phi):
    # The mean of AR(1) has standard error 1 / ((1 - phi) sqrt n) for large n. One estimate
    # scatters by sqrt(K / n) = n^-1/4, here 10 %; 20 series bring that to 2 %.
    n = 10_000
    errors = [mean_error(autoregressive(phi, n, seed)) for seed in range(20)]
    truth = 1 / ((1 - phi) * math.sqrt(n))
    assert np.mean([e.stderr for e in errors]) == pytest.approx(truth, rel=0.08)
    naive = 1 / math.sqrt((1 - phi**2) * n)
    assert np.mean([e.naive_stderr for e in errors]) == pytest.approx(naive, rel=0.02)


def test_drift_bounds_the_error_of_a_coboundary():
    g = np.random.default_rng(5).uniform(-1, 1, 1001)
    error = mean_error(3.0 + np.diff(g))
    assert abs(error.mean - 3.0) <= error.drift
    # The cumulative sum is g up to a straight line that is lower than its range.
    assert error.drift == pytest.approx(np.ptp(g) / 1000, rel=0.5)
    assert error.drift < 0.2 * error.naive_stderr


def test_tail_tells_living_correlations_from_dead_ones():
    assert mean_error(autoregressive(0.5, 10_000, 1)).tail < 0.05
    assert mean_error(np.linspace(0, 1, 10_000)).tail > 0.5


def test_constants_and_single_values():
    error = mean_error(np.full(100, 2.0))
    assert (error.mean, error.stderr, error.drift, error.tail) == (2.0, 0.0, 0.0, 0.0)
    assert math.isnan(mean_error([1.0]).stderr)


@pytest.mark.parametrize("series", [[], [[1.0, 2.0]], [1.0, math.nan]])
def test_bad_series_are_refused(series):
    with pytest.raises(ValueError, match="series has"):
        mean_error(series)


def test_lags_out_of_range_are_refused():
    with pytest.raises(ValueError, match="n_lags=3 is out of range"):
        autocovariance([1.0, 2.0, 3.0], 3)
