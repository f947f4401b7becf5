"""Fits of scaling curves, against power laws that are known."""

import numpy as np
import pytest

from dynfrac.analysis.scaling import (
    fit_counts,
    fit_ensemble,
    fit_window,
    local_slopes,
    scaling_flags,
    slope_weights,
    window_sensitivity,
)

X = 2.0 ** np.arange(0, 8.25, 0.25)
LAW = 7 * X**-1.3
# Slope -1.3 from 4 to 64, flat below and steep above.
BENT = np.where(X < 4, LAW[X == 4], LAW) * np.where(X > 64, (X / 64) ** -2, 1.0)


def test_a_power_law_is_fitted_exactly():
    fit = fit_window(X, LAW, (1, 256))
    np.testing.assert_allclose([fit.slope, np.exp(fit.intercept)], [-1.3, 7], rtol=1e-12)
    assert fit.residual < 1e-12 and fit.n_points == len(X) and fit.octaves == pytest.approx(8)


def test_only_the_window_is_fitted():
    fit = fit_window(X, BENT, (4, 64))
    assert fit.slope == pytest.approx(-1.3, abs=1e-12)
    assert fit.window == (4.0, 64.0) and fit.n_points == 17
    assert fit_window(X, BENT, (2, 64)).slope > -1.25


def test_ends_that_were_computed_fall_inside():
    assert fit_window(X, LAW, (4 * (1 + 1e-12), 64 * (1 - 1e-12))).n_points == 17


def test_scales_without_a_logarithm_are_left_out():
    holed = LAW.copy()
    holed[[3, 9]] = 0, np.nan
    fit = fit_window(X, holed, (1, 256))
    assert fit.slope == pytest.approx(-1.3, abs=1e-12) and fit.n_points == len(X) - 2


@pytest.mark.parametrize("window", [(4, 6.5), (300, 400)])
def test_fewer_than_four_scales_give_no_slope(window):
    fit = fit_window(X, LAW, window)
    assert np.isnan(fit.slope) and fit.n_points < 4
    assert np.isnan(slope_weights(X, window)).all()


def test_weights_are_inverse_variances():
    log_y = np.log(LAW) + np.random.default_rng(5).normal(0, 0.1, len(X))
    weights = np.linspace(1, 4, len(X))
    # numpy's weights multiply the residuals, so they are the roots of ours.
    expected = np.polyfit(np.log(X), log_y, 1, w=np.sqrt(weights))[0]
    assert fit_window(X, np.exp(log_y), (1, 256), weights=weights).slope == pytest.approx(expected)
    assert slope_weights(X, (1, 256), weights=weights) @ log_y == pytest.approx(expected)
    without = fit_window(X, np.exp(log_y), (1, 256), weights=(X < 8).astype(float))
    assert without.n_points == (X < 8).sum()
    assert np.isnan(slope_weights(X, (1, 256), weights=(X < 1.5).astype(float))).all()


def test_the_linear_form_is_the_fit_and_vanishes_outside_the_window():
    noisy = LAW * np.exp(np.random.default_rng(6).normal(0, 0.1, len(X)))
    form = slope_weights(X, (4, 64))
    assert form @ np.log(noisy) == pytest.approx(fit_window(X, noisy, (4, 64)).slope, abs=1e-12)
    assert not form[(X < 4) | (X > 64)].any()


def test_the_correction_removes_what_dies_out_like_one_over_x():
    starved = LAW * np.exp(-0.8 / X)
    assert abs(fit_window(X, starved, (1, 256)).slope + 1.3) > 0.05
    corrected = slope_weights(X, (1, 256), correction=True) @ np.log(starved)
    assert corrected == pytest.approx(-1.3, abs=1e-10)
    outlined = starved * np.exp(X / 300)
    assert abs(slope_weights(X, (1, 256), correction=True) @ np.log(outlined) + 1.3) > 0.02
    corrected = slope_weights(X, (1, 256), correction=True, extent_correction=True) @ np.log(
        outlined
    )
    assert corrected == pytest.approx(-1.3, abs=1e-10)


def test_local_slopes_show_where_the_curve_bends():
    centres, slopes = local_slopes(X, BENT)
    inside = (centres > 4) & (centres < 64)
    np.testing.assert_allclose(slopes[inside], -1.3, atol=1e-12)
    np.testing.assert_allclose(slopes[centres < 4], 0, atol=1e-12)
    np.testing.assert_allclose(slopes[centres > 64], -3.3, atol=1e-12)
    assert np.isnan(local_slopes([1, 2, 4], [1, 0, 1])[1]).all()


def test_the_ensemble_finds_the_straight_part():
    noise = np.random.default_rng(7).normal(0, 0.001, len(X))
    curved = LAW * np.exp(-((1.2 / X) ** 2) - (X / 150) ** 2 + noise)
    assert abs(fit_window(X, curved, (1, 256)).slope + 1.3) > 0.1
    fit = fit_ensemble(X, curved)
    # In the middle the two bends change the local slope by about 0.01.
    assert fit.slope == pytest.approx(-1.3, abs=0.02)
    assert 2 <= fit.window[0] <= 8 and 16 <= fit.window[1] <= 64
    assert 0 < fit.spread < 0.2


def test_the_ensemble_of_a_perfect_law_has_no_spread():
    fit = fit_ensemble(X, LAW)
    assert fit.slope == pytest.approx(-1.3, abs=1e-9) and fit.spread < 1e-9


def test_the_shortest_window_is_kept():
    # Straight pieces of one octave: without a lower limit they win, with one they cannot.
    swinging = LAW * np.exp(0.1 * np.abs(np.log2(X) % 2 - 1))
    fit = fit_ensemble(X, swinging, min_octaves=4)
    assert fit.octaves >= 4 and fit.slope == pytest.approx(-1.3, abs=0.02)
    assert abs(fit_ensemble(X, swinging).slope + 1.3) > 0.05
    assert np.isnan(fit_ensemble(X, LAW, min_octaves=9).slope)
    assert fit_ensemble(X[:4], LAW[:4]).n_points == 0
    with pytest.raises(ValueError, match="min_points=3"):
        fit_ensemble(X, LAW, min_points=3)


def test_sensitivity_is_the_effect_of_an_octave():
    assert window_sensitivity(X, LAW, (4, 64)) < 1e-12
    bend = abs(fit_window(X, BENT, (4, 64)).slope - fit_window(X, BENT, (2, 64)).slope)
    assert window_sensitivity(X, BENT, (2, 64)) == pytest.approx(bend)
    assert np.isnan(window_sensitivity(X, LAW, (4, 7)))


def test_flags_say_what_is_doubtful():
    assert scaling_flags(fit_window(X, LAW, (4, 64)), fit_ensemble(X, LAW)) == ()
    assert scaling_flags(fit_window(X, LAW, (4, 16))) == ()
    assert scaling_flags(fit_window(X, LAW, (4, 14))) == ("fit covers less than two octaves",)
    (flag,) = scaling_flags(fit_window(X, BENT, (1, 256)), fit_ensemble(X, BENT))
    assert flag.startswith("no single scaling region")


# Cases of other test suites, whose curves are given as logarithms.


def test_a_line_and_a_noisy_line():
    x = np.exp(np.linspace(0, 3, 31))
    line = x**2.5 * np.e
    fit = fit_ensemble(x, line)
    assert fit.slope == pytest.approx(2.5, abs=1e-12) and fit.spread < 1e-9
    assert window_sensitivity(x, line, (x[0], x[-1])) < 1e-12
    noisy = line * np.exp(np.random.default_rng(1).normal(0, 0.01, len(x)))
    assert fit_ensemble(x, noisy).slope == pytest.approx(2.5, abs=1e-2)


def test_a_ramp_between_two_plateaus():
    y = np.exp([0, 0, 0, 1, 2, 3, 4, 5, 5, 5])
    fit = fit_ensemble(np.exp(np.arange(10.0)), y)
    # Places 2 to 7 counted from zero, where the plateaus end.
    # The most likely slope is found on a grid of a thousand.
    assert fit.slope == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(np.log(fit.window), [2, 7], atol=1e-9)
    assert fit.n_points == 6


def test_a_bent_sigmoid():
    t = np.linspace(-3, 3, 61)
    y = np.exp(np.where(abs(t) < 1.5, 2 * t, np.sign(t) * (3 + 0.3 * (abs(t) - 1.5))))
    fit = fit_ensemble(np.exp(t), y)
    assert fit.slope == pytest.approx(2, abs=0.05)
    assert abs(np.log(fit.window)).max() <= 1.6 and fit.n_points >= 20


def test_counts_that_follow_a_power_law_give_it_back():
    x = 2.0 ** -np.arange(6)
    slope, level = fit_counts(x, 3.0 * x**0.7, [1, 5, 2, 9, 4, 3])
    assert slope == pytest.approx(0.7, abs=1e-12)
    assert level == pytest.approx(np.log(3.0), abs=1e-12)


def test_few_counts_are_fitted_without_bias():
    x = 2.0 ** -np.arange(6)
    exposures = np.full(6, 20.0)  # 1.25 at the smallest scale
    counts = np.random.default_rng(0).poisson(exposures * x**0.8, (20_000, 6))
    slopes, _ = fit_counts(x, counts / exposures, exposures)
    # 20,000 fits know their mean to a thousandth; the rest is the bias of maximum likelihood.
    assert abs(slopes.mean() - 0.8) < 0.02


def test_a_scale_that_counted_nothing_says_so():
    x = [1.0, 2.0, 4.0, 8.0]
    with_zero, _ = fit_counts(x, [0.0, 2.0, 4.0, 8.0], np.ones(4))
    without, _ = fit_counts(x[1:], [2.0, 4.0, 8.0], np.ones(3))
    assert without == pytest.approx(1.0)
    assert with_zero > 1.05


def test_one_scale_that_counted_is_no_slope():
    slopes, levels = fit_counts([1.0, 2.0, 4.0], [[0, 5, 0], [0, 0, 0], [1, 5, 0]], np.ones(3))
    np.testing.assert_array_equal(np.isnan(slopes), [True, True, False])
    np.testing.assert_array_equal(np.isnan(levels), [True, True, False])


@pytest.mark.parametrize("octaves", [4, 12, 20, 40])
@pytest.mark.parametrize("slope", [0.02, 0.3, 0.5, 0.9, 1.2, -0.7])
def test_wide_ranges_of_scales_are_fitted_as_well(slope, octaves):
    # As many counts at every scale, which is what plans of pairs aim at: exposures differ widely.
    x = 2.0 ** -np.arange(octaves + 1)
    found, level = fit_counts(x, 0.1 * x**slope, 60 / x**slope)
    assert found == pytest.approx(slope, abs=1e-9)
    assert level == pytest.approx(np.log(0.1), abs=1e-7)


def test_the_steepest_counts_are_the_end_of_the_range():
    # All counts at the two largest scales of many: steep, and finite.
    rates = np.zeros(20)
    rates[:2] = 100.0, 1.0
    slope, _ = fit_counts(2.0 ** -np.arange(20), rates, np.ones(20))
    assert 6 < slope < 8
