"""What kind of orbit a series of tangent increments came from, and how far to trust its means."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, final

import numpy as np

from dynfrac.analysis.autocorrelation import MeanError, mean_error

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

CONTRACTED = 40.0
"""A contraction by exp(-40) has brought to rest whatever comes to rest."""

REPEATS = 1e-5
"""Increments that come back to within this share of their range repeat: those of a torus do not in
under a million steps."""

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
        Period of the leading exponent's increments if they cancel and repeat, else 0. With one,
        means are over whole periods: the first n modulo `period` increments are left out.
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
    mean from the mean there if that is larger. So have the means over whole periods of increments
    that repeat, as along a cycle. Others that cancel (a rotating pair of directions, or a
    coboundary such as the fully chaotic logistic map) have the range of their cumulative sum over
    n: their mean converges like 1/n, which no formula for independent errors sees.
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
            stderr[j] = _remaining_spread(series)
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
    period = _period(increments[:, 0]) if cancels[0] else 0
    bounded = cancels
    if period:
        cycles = increments[n % period :].reshape(-1, period, k).mean(axis=1)
        exponents[:] = cycles.mean(axis=0)
        spreads = np.array([_remaining_spread(column) for column in cycles.T])
        bounded = cancels & ~(spreads < stderr)
        stderr = np.where(cancels & ~bounded, spreads, stderr)
    if np.any(bounded):
        which = ", ".join(str(j + 1) for j in np.flatnonzero(bounded))
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
        period=period,
        tail=tail,
        flags=tuple(flags),
    )


def verdict(averages: Averages, n: int, *, growing: bool, motion: float, rest: float = REST) -> str:
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
    rest : float
        Size of a step, in the same terms, below which the orbit is at rest.

    Returns
    -------
    str
        "fixed point", "periodic", "chaotic", "neutral" or "not settled".
    """
    leading = averages.exponents[0]
    if leading == -math.inf or motion == 0:
        return "fixed point" if motion < rest else "periodic"
    if n < FINITE_TIME or growing:
        return "not settled"
    threshold = 3 * averages.stderr[0]
    # A cycle of constant slope, or a driven map, contracts as evenly as a fixed point.
    arrives = averages.settled and n * leading > -CONTRACTED
    # Tangents that turn while the orbit spirals in have increments that repeat, as on a cycle.
    still = (averages.settled or averages.cancelling) and motion < rest
    if leading < -threshold and (arrives or still):
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


def rest_of(dtype: Any) -> float:
    """Return the relative size of a step below which an orbit in a precision is at rest.

    Rounding keeps one in float32 moving by more than one in float64.
    """
    return max(REST, 32 * float(np.finfo(dtype).eps))


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


def _remaining_spread(series: np.ndarray) -> float:
    """Return how far a series that settles still moves, or is from where its mean has it."""
    last = series[-max(1, len(series) // 10) :]
    return max(float(np.ptp(last)), abs(float(last.mean()) - float(series.mean())))


def _period(series: np.ndarray) -> int:
    """Return the period with which the second half of a series repeats itself, 0 if there is none.

    It is the first lag at which each of the values of a period stays what it is, three times or
    more in a row. Autocovariances would not do: just beyond a doubling they are nearly as large at
    half the period.
    """
    half = len(series) // 2
    series = series[len(series) - half :]
    close = REPEATS * float(np.ptp(series))
    lags = np.arange(1, half // 3 + 1)
    # Nearly all lags are ruled out by a few values, and the rest looked at as a whole.
    for back in range(1, min(32, half // 3) + 1):
        lags = lags[np.abs(series[-back] - series[half - back - lags]) <= close]
    for lag in lags:
        phases = series[half % lag :].reshape(-1, lag)
        if np.max(np.ptp(phases, axis=0)) <= close:
            return int(lag)
    return 0
