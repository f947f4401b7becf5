"""What kind of orbit a series of tangent increments came from, and how far to trust its means."""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np

from dynfrac.analysis.autocorrelation import MeanError, autocovariance, mean_error

FINITE_TIME = 400
"""Fewer averaged steps than this give a finite-time exponent."""

CONSTANT = 1e-3
"""Coefficient of variation below which increments count as constant."""

CANCELLING = 0.2
"""A cumulative sum whose range is below this times sd sqrt(n) does not diffuse: that of n
independent values has a range near 1.25 sd sqrt(n), and one below 0.5 less than once in 1e4."""

CORRELATED = 0.05
"""Mean autocorrelation at the longest lags above which a standard error misses correlations."""

NEUTRAL = 0.01
"""Exponents below this count as stable, as far as looking for a fixed point or cycle goes."""

REST = 1e-9
"""A stable orbit whose steps are smaller than this, relative to its coordinates, is at rest."""

GROWTH = 1e8
"""An observation this many times the first one, or this large if the first is below 1, means
that the orbit has escaped."""


@final
@dataclasses.dataclass(frozen=True)
class Averages:
    """Means of the increments of k exponents, with their errors.

    Attributes
    ----------
    exponents, stderr, naive_stderr : (k,) float arrays
        In nats per step.
    settled : bool
        The increments of the leading exponent are constant, as at a fixed point.
    cancelling : bool
        They vary and their cumulative sum does not diffuse, as along a cycle.
    period : int
        Period of the leading exponent's increments if they cancel and repeat, else 0.
    tail : float
        Largest `MeanError.tail` of the exponents whose increments fluctuate, 0 if none do.
    flags : tuple of str
    """

    exponents: np.ndarray
    stderr: np.ndarray
    naive_stderr: np.ndarray
    settled: bool
    cancelling: bool
    period: int
    tail: float
    flags: tuple[str, ...]


def average(increments: np.ndarray) -> Averages:
    """Average tangent increments over time.

    Parameters
    ----------
    increments : (n, k) float array
        ln abs(R_jj) of each step; n >= 1. Minus infinity is allowed and makes the mean so.

    Returns
    -------
    Averages

    Notes
    -----
    Which error applies depends on the increments of each exponent. Fluctuating ones have the
    correlated standard error of `mean_error`. Constant ones (coefficient of variation below 1e-3
    once the first tenth is dropped) have the spread over the last tenth, or the distance of the
    mean from the mean there if that is larger. Cancelling ones (a cycle, a rotating pair of
    directions, or a coboundary such as the fully chaotic logistic map) have the range of their
    cumulative sum over n: their mean converges like 1/n, which no formula for independent errors
    sees.
    """
    n, k = increments.shape
    exponents, stderr, naive = np.full((3, k), math.nan)
    exponents[:] = increments.mean(axis=0)
    constant, cancels = np.zeros((2, k), bool)
    flags = []
    tails = []
    for j in range(k):
        series = increments[:, j]
        if n == 1 or not np.all(np.isfinite(series)):
            continue
        error = mean_error(series)
        naive[j] = error.naive_stderr
        stderr[j] = error.stderr
        if _is_constant(series):
            constant[j] = True
            last = series[-max(1, n // 10) :]
            stderr[j] = max(float(np.ptp(last)), abs(float(last.mean()) - error.mean))
        elif _is_cancelling(error, n):
            cancels[j] = True
            stderr[j] = error.drift
        else:
            tails.append(error.tail)
            if n >= FINITE_TIME and _drifts(series, error):
                flags.append(f"exponent {j + 1} differs between the halves of the run: it drifts")
    if not np.all(np.isfinite(exponents)):
        flags.append(
            "a direction was annihilated (a superstable orbit): its exponent is minus infinity"
        )
    if np.any(cancels):
        which = ", ".join(str(j + 1) for j in np.flatnonzero(cancels))
        flags.append(
            f"increments of exponent {which} cancel instead of fluctuating: the error falls like "
            "1/n; what is given as its standard error is a bound, the range of their sum over n"
        )
    tail = max(tails, default=0.0)
    if n >= FINITE_TIME and tail > CORRELATED:
        flags.append(
            "increments are still correlated after sqrt(n) steps: standard errors are too small"
        )
    return Averages(
        exponents=exponents,
        stderr=stderr,
        naive_stderr=naive,
        settled=bool(constant[0]),
        cancelling=bool(cancels[0]),
        period=_period(increments[:, 0]) if cancels[0] else 0,
        tail=tail,
        flags=tuple(flags),
    )


def verdict(averages: Averages, n: int, *, growing: bool, motion: float) -> str:
    """Name the kind of orbit.

    Parameters
    ----------
    averages : Averages
    n : int
        Number of averaged steps.
    growing : bool
        What the map observes was still growing at the end.
    motion : float
        Relative size of the last step, 0 if it left the state exactly where it was.

    Returns
    -------
    str
        "fixed point", "periodic", "chaotic", "neutral" or "not settled".
    """
    leading = averages.exponents[0]
    if leading == -math.inf or motion == 0:
        return "fixed point" if motion < REST else "periodic"
    if n < FINITE_TIME or growing:
        return "not settled"
    threshold = 3 * averages.stderr[0]
    # Tangents that turn while the orbit spirals in have increments that repeat, as on a cycle.
    if leading < -threshold and (averages.settled or (averages.cancelling and motion < REST)):
        return "fixed point"
    if leading < -threshold and averages.period:
        return "periodic"
    if leading > max(threshold, NEUTRAL):
        return "chaotic"
    return "neutral" if abs(leading) <= max(threshold, NEUTRAL) else "not settled"


def is_growing(observations: np.ndarray) -> bool:
    """Whether the last tenth of a record of an orbit lies above all of its first half.

    Parameters
    ----------
    observations : (m,) float array

    Returns
    -------
    bool
        False for fewer than 20 records, which cannot tell.
    """
    m = len(observations)
    if m < 20:
        return False
    return bool(np.min(observations[-(m // 10) :]) > np.max(observations[: m // 2]))


def has_escaped(observations: np.ndarray) -> bool:
    """Whether a record of an orbit passed `GROWTH` times its first value, or times 1 if larger."""
    sizes = np.abs(observations)
    return bool(np.any(sizes > GROWTH * max(1.0, float(sizes[0]))))


def _is_constant(series: np.ndarray) -> bool:
    kept = series[len(series) // 10 :]
    # The absolute term is the rounding of a logarithm near 0, where the ratio means nothing.
    return bool(np.std(kept) <= max(CONSTANT * abs(float(np.mean(kept))), 1e-12))


def _is_cancelling(error: MeanError, n: int) -> bool:
    spread = error.naive_stderr * math.sqrt(n)
    return n >= 16 and error.drift * n < CANCELLING * spread * math.sqrt(n)


def _drifts(series: np.ndarray, error: MeanError) -> bool:
    half = len(series) // 2
    # The difference of the halves has twice the standard error of the whole.
    return abs(float(series[:half].mean() - series[half:].mean())) > 8 * error.stderr


def _period(series: np.ndarray) -> int:
    """Return the first lag at which a series repeats itself, 0 if there is none.

    That is the first lag, after the autocovariance has gone negative, where it exceeds 0.8 c_0.
    """
    series = series[len(series) // 10 :]
    covariance = autocovariance(series, len(series) // 2)
    negative = np.flatnonzero(covariance < 0)
    if not negative.size:
        return 0
    again = np.flatnonzero(covariance[negative[0] :] > 0.8 * covariance[0])
    return int(negative[0] + again[0]) if again.size else 0
