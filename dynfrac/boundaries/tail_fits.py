"""The rate of an exponential tail: Hill's estimator, averaged over thresholds.

If P[M > s] falls like exp(-alpha s), the mean excess of the values over a threshold s is 1 / alpha
whatever s is. Where values lie near a lattice, as those of a set with few scales do, it swings with
s instead, for ever, and one threshold taken from the data reads any phase of it. Its mean over
thresholds evenly spaced in s hardly swings.
"""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np
from scipy.signal import find_peaks

from dynfrac.analysis.estimates import Curve

QUANTILES = (0.80, 0.85, 0.90, 0.95, 0.98)
"""Thresholds of the curve."""
LOW, HIGH = 0.80, 0.95
"""Quantiles between which thresholds are averaged."""

_N_THRESHOLDS = 64
_PERIODS = np.geomspace(0.25, 4.0, 200)
_FINER = np.linspace(0.985, 1.015, 13)
_FEWEST = 1.5
_LATTICE = 0.5
_CHANCE = 15.0
"""n r^2 of a modulation r that chance alone exceeds in less than one of ten thousand samples."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class TailFit:
    """The rate of a tail, and what there is to say about it.

    Attributes
    ----------
    rate, stderr : float
        alpha, and its error from sampling alone.
    lower, upper, gap_stderr : float
        Rates at the lower and the upper half of the thresholds (whole periods of an oscillation,
        so that they may overlap), and the error of their difference.
    period, modulation : float
        Of the strongest oscillation of the tail around an exponential: its period in s, and its
        size from 0 to 1, which is that of values on a lattice. Both 0 if chance can make it.
    thresholds : tuple of two floats
        The lowest and the highest threshold.
    curve : Curve
        The rate at single thresholds against their quantile.
    """

    rate: float
    stderr: float
    lower: float
    upper: float
    gap_stderr: float
    period: float
    modulation: float
    thresholds: tuple[float, float]
    curve: Curve

    @property
    def drift(self) -> float:
        """Half of what the two halves differ by beyond their errors."""
        return math.sqrt(max(0.0, (self.lower - self.upper) ** 2 - self.gap_stderr**2)) / 2

    @property
    def ripple(self) -> float:
        """Half of what the rate was corrected by for what averaging leaves of an oscillation."""
        return self.rate * _left_over(self.rate, self.period, self.modulation) / 2


def fit_tail(values: np.ndarray) -> TailFit:
    """Fit the rate of an exponential tail.

    Parameters
    ----------
    values : (n,) float array
        At least some hundred, not all the same in their upper fifth.

    Returns
    -------
    TailFit

    Notes
    -----
    The maximum-likelihood rate over one threshold is one over the mean excess (Hill, Annals of
    Statistics 3, 1975, in logarithms). Errors are those of the infinitesimal jackknife, which sees
    that thresholds share values.
    """
    values = np.sort(np.asarray(values, float))
    low, high = np.quantile(values, (LOW, HIGH))
    tail = values[values > low]
    period, modulation = _oscillation(tail - low, (high - low) / _FEWEST)
    part = 0.5
    if period:
        # Whole periods only, also in the two parts; a tenth too long does no harm.
        periods = max(1, math.floor((high - low) / period + 0.1))
        high = low + periods * period
        part = math.ceil(periods / 2) / periods
    # Midpoints: values of a lattice may lie on the lowest threshold, and rounding moves them.
    thresholds = low + (high - low) * (np.arange(_N_THRESHOLDS) + 0.5) / _N_THRESHOLDS
    excess, influence = _mean_excesses(tail, thresholds)
    size = round(part * _N_THRESHOLDS)
    rate, stderr, _ = _rate(excess, influence)
    rate *= 1 + _left_over(rate, period, modulation)
    lower, _, pull_lower = _rate(excess[:size], influence[:size])
    upper, _, pull_upper = _rate(excess[-size:], influence[-size:])
    single = _mean_excesses(tail, np.quantile(values, QUANTILES))
    rates = [_rate(e[None], i[None])[:2] for e, i in zip(*single, strict=True)]
    return TailFit(
        rate=rate,
        stderr=stderr,
        lower=lower,
        upper=upper,
        gap_stderr=float(np.linalg.norm(pull_lower - pull_upper)),
        period=period,
        modulation=modulation,
        thresholds=(float(low), float(high)),
        curve=Curve(np.array(QUANTILES), *np.array(rates).T),
    )


def _mean_excesses(tail: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean excess over every threshold (S,), and what each value adds to it (S, n)."""
    over = tail - thresholds[:, None]
    above = over > 0
    counts = np.maximum(above.sum(axis=1), 1)
    excess = np.where(above, over, 0).sum(axis=1) / counts
    return excess, np.where(above, over - excess[:, None], 0) / counts[:, None]


def _rate(excess: np.ndarray, influence: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Return one over the mean of excesses, its error, and what each value adds to it."""
    mean = float(excess.mean())
    if mean <= 0:
        return math.nan, math.nan, np.full(influence.shape[1], math.nan)
    pull = -influence.mean(axis=0) / mean**2
    stderr = float(np.linalg.norm(pull))
    # One over a noisy mean is too large on average, by the square of its relative error.
    return (1 - (stderr * mean) ** 2) / mean, stderr, pull


def _left_over(rate: float, period: float, modulation: float) -> float:
    """Return the part by which averages over whole periods read a rate too low.

    On a lattice of spacing L mean excesses average to (L / 2) coth(alpha L / 2), which is
    1 + (alpha L)^2 / 12 over alpha; of a smaller oscillation the square of its size is left.
    """
    return modulation**2 * (rate * period) ** 2 / 12


def _oscillation(excess: np.ndarray, longest: float) -> tuple[float, float]:
    """Return period and size of the strongest oscillation around an exponential, or zeros.

    Only peaks count, and of periods over `longest` only those of a lattice: a bend of the tail
    looks like half an oscillation.
    """
    sizes = _sizes(excess, _PERIODS)
    peaks, found = find_peaks(sizes, prominence=math.sqrt(_CHANCE / len(excess)))
    usable = (_PERIODS[peaks] <= longest) | (sizes[peaks] > _LATTICE)
    if not usable.any():
        return 0.0, 0.0
    peaks, heights = peaks[usable], found["prominences"][usable]
    # A lattice shows at parts of its spacing, too.
    coarse = _PERIODS[peaks[heights > 0.9 * heights.max()].max()]
    finer = coarse * _FINER
    sizes = _sizes(excess, finer)
    return float(finer[np.argmax(sizes)]), float(min(sizes.max(), 1.0))


def _sizes(excess: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """Return how far the tail oscillates with each period, beyond what an exponential has of it."""
    rate, frequencies = 1 / excess.mean(), 2 * math.pi / periods
    seen = np.array([np.exp(1j * w * excess).mean() for w in frequencies])
    return np.abs(seen - rate / (rate - 1j * frequencies))
