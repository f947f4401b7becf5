"""The slope of a correlation sum, and how well it is known.

Two things make it uncertain: which points were drawn, which blocks of points tell, and that radii
are finite, so that the slope still changes with them.
"""

from __future__ import annotations

import math

import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate, interval_95
from dynfrac.analysis.pair_counts import PairCounts
from dynfrac.analysis.scaling import (
    Fit,
    Window,
    fit_ensemble,
    fit_window,
    scaling_flags,
    slope_weights,
    window_sensitivity,
)

METHOD = "correlation sum"
MIN_PAIRS = 50
"""Radii with fewer close pairs are not fitted."""
MIN_PAIRS_GIVEN = 10
"""The same in a window that was fixed beforehand."""
MAX_FRACTION = 0.1
"""Radii that hold a larger share of all pairs see the outline of the set."""
MIN_OCTAVES = 2.0
"""Shortest window that the data may choose, in factors of two, if there is room for it."""
MIN_SHARE = 0.5
"""Shortest window that the data may choose, as a share of all that can be fitted in octaves."""

_FWHM = 2.354820
"""Full width at half maximum of a normal density in standard deviations."""
_LARGE_DRIFT = 0.2
"""Change of the slope with the radii beyond which one number does not describe a curve."""
_LATTICE_NOISE = 0.02
"""Deviations of ln C from the power law that are not noise of counting, in the weighted fit."""


def fit_counts(
    counts: PairCounts, n_coordinates: int, window: Window | None, n_resamples: int, seed: int
) -> Estimate:
    """Fit the slope of ln C and find out how well it is known.

    Parameters
    ----------
    counts : PairCounts
        At ascending radii.
    n_coordinates : int
        No dimension can be above it.
    window : tuple of two floats or None
        Radii to fit; None to let the data choose them.
    n_resamples : int
        Bootstrap resamples of the blocks.
    seed : int

    Returns
    -------
    Estimate
        As `dynfrac.analysis.correlations.correlation_dimension` describes it, without the doubts
        that are not about the curve. Not-a-number if fewer than four radii can be fitted.
    """
    resampled = counts.resample(n_resamples, seed)
    curve = Curve(counts.radii, counts.fraction, resampled.std(axis=0))
    chosen = counts.total >= MIN_PAIRS
    candidates = chosen & (curve.y <= MAX_FRACTION)
    x, y = curve.x[candidates], curve.y[candidates]
    room = math.log2(x[-1] / x[0]) if len(x) else 0.0
    ensemble = fit_ensemble(x, y, min_octaves=min(max(MIN_OCTAVES, MIN_SHARE * room), room))
    if window is None:
        fit = fit_window(x, y, ensemble.window if ensemble.n_points else (0.0, math.inf))
    else:
        chosen = counts.total >= MIN_PAIRS_GIVEN
        fit = fit_window(curve.x[chosen], curve.y[chosen], window)
    n = counts.n_points
    if not math.isfinite(fit.slope):
        reason = (
            f"only {fit.n_points} radii can be fitted, at which between {MIN_PAIRS} and "
            f"{MAX_FRACTION:.0%} of all pairs are close; at least 4 are needed"
        )
        return Estimate.missing(METHOD, n, [reason], curve)
    value = max(fit.slope, 0.0)  # C(r) never falls, but what is level is level up to rounding
    drift = _scaling_error(counts, candidates, fit, ensemble)
    stderr = math.hypot(_sampling_error(counts, resampled, fit), drift)
    # No set in d coordinates has a dimension above d, even if its slope is.
    low, high = interval_95(value, stderr, lowest=0.0, highest=n_coordinates)
    flags = scaling_flags(fit, ensemble if ensemble.n_points else None)
    if drift > _LARGE_DRIFT and not any("single scaling region" in flag for flag in flags):
        flags += (f"no single scaling region: other radii change the slope by {drift:.2f}",)
    return Estimate(
        value=value,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        method=METHOD,
        n_runs=n,
        window=fit.window,
        curve=curve,
        flags=flags,
    )


def _sampling_error(counts: PairCounts, resampled: np.ndarray, fit: Fit) -> float:
    """Return the standard error of the slope that the choice of the points causes."""
    form = slope_weights(counts.radii, fit.window)
    used = form != 0
    form, resampled = form[used], resampled[:, used]
    # A resample can miss the few blocks that hold all pairs closer than the smallest radius.
    resampled = resampled[(resampled > 0).all(axis=1)]
    variance = float((np.log(resampled) @ form).var())
    # N(r) is a sum of pairs each of which counts at all larger radii too.
    n_close = counts.total[used]
    covariance = 1 / np.maximum.outer(n_close, n_close)
    pair_noise = float(form @ covariance @ form)
    return math.sqrt(max(variance - 2 * pair_noise, variance / 3))


def _scaling_error(counts: PairCounts, candidates: np.ndarray, fit: Fit, ensemble: Fit) -> float:
    """Return how far the slope may be from the one at small radii.

    The three numbers see the same drift of the slope through the scales, so they are not added.
    """
    x, y, n_close = counts.radii, counts.fraction, counts.total
    # In 1/r the correction that `slope_weights` knows is a term in r.
    noise = np.sqrt(1 / np.maximum(n_close, 1)) + _LATTICE_NOISE
    form = -slope_weights(
        1 / x[::-1],
        (0.0, math.inf),
        weights=np.where(candidates, noise**-2, 0)[::-1],
        correction=True,
    )[::-1]
    corrected = form[candidates] @ np.log(y[candidates])
    drifts = (
        window_sensitivity(x, y, fit.window),
        ensemble.spread / _FWHM,
        abs(float(corrected) - fit.slope),
    )
    return max((drift for drift in drifts if math.isfinite(drift)), default=math.nan)
