"""Statistics of paired seeds: a mean with its interval, tests, and how many pairs would tell.

The numbers that go in are differences between partners, which share their initial weights and
their data. What is common to both, and much of what differs between seeds is, has cancelled. Each
number carries the error of an estimator as well; that is part of their spread, and therefore of
the interval.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import final

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

EFFECT = 0.1
"""The difference of dimensions that the power statement is about."""
LEVEL, POWER = 0.05, 0.8
USUAL_SPREADS = (0.1, 0.15, 0.3)
"""Standard deviations between seeds that small networks have shown: low, middle, high."""
FEWEST_PAIRS = 2
N_RESAMPLES = 4000

_EXACT = 14
"""Most pairs whose 2^n sign changes are all tried."""
_LARGEST_RATIO = 50.0
"""Two pairs see a difference of 11.5 times the spread."""
_PRECISION = 1e-6
_SHARES = (np.arange(2000) + 0.5) / 2000
"""Quantiles that stand for a distribution."""
_ALIKE = 1000
"""Pairs from which on Student's distribution is the normal one, to one pair in a thousand."""


@final
@dataclasses.dataclass(frozen=True)
class PairedStatistics:
    """What n differences say about their mean.

    Attributes
    ----------
    n_pairs : int
        Pairs of which both partners have a value.
    mean, stderr : float
        Not-a-number with fewer than two pairs.
    spread : float
        Standard deviation between pairs.
    ci_low, ci_high : float
        95 % interval by Student's t.
    bootstrap_low, bootstrap_high : float
        The same by resampling pairs, a check: with a handful of pairs it is too narrow.
    sign_p : float
        Two-sided sign test: whether the sign alone is not by chance.
    permutation_p : float
        Two-sided test of the mean under changes of sign. Its least value is 2^(1 - n), or 1/4000
        where not all changes of sign are tried.
    """

    n_pairs: int
    mean: float
    stderr: float
    spread: float
    ci_low: float
    ci_high: float
    bootstrap_low: float
    bootstrap_high: float
    sign_p: float
    permutation_p: float


@final
@dataclasses.dataclass(frozen=True)
class PowerStatement:
    """How many pairs would see a difference of `EFFECT`.

    Attributes
    ----------
    pairs : int
        For 80 % power at the two-sided 5 % level.
    pairs_low, pairs_high : int
        The same at the ends of the 95 % interval of the spread.
    spread : float
        Standard deviation of the differences behind `pairs`.
    detectable : float
        Difference that the pairs at hand would see with that power; not-a-number with fewer than
        two.
    measured : bool
        Whether the spread was measured. If not, it is what networks have shown elsewhere.
    sentence : str
    """

    pairs: int
    pairs_low: int
    pairs_high: int
    spread: float
    detectable: float
    measured: bool
    sentence: str


@final
@dataclasses.dataclass(frozen=True)
class Equivalence:
    """Whether a difference is small enough to call it none.

    Attributes
    ----------
    margin : float
    ci_low, ci_high : float
        90 % interval of the mean, that of two one-sided tests at 5 %.
    equivalent : bool
        Whether it lies within the margin on both sides.
    """

    margin: float
    ci_low: float
    ci_high: float
    equivalent: bool


def describe_differences(differences: ArrayLike, *, seed: int = 0) -> PairedStatistics:
    """Describe differences between partners.

    Parameters
    ----------
    differences : (n,) float array
        Not-a-number where a partner has no value; those are not counted.
    seed : int
        Of the bootstrap, and of the changes of sign where there are too many to try all.

    Examples
    --------
    >>> found = describe_differences([0.1, 0.3, 0.2, float("nan")])
    >>> found.n_pairs, round(found.mean, 3), round(found.ci_low, 3), found.permutation_p
    (3, 0.2, -0.048, 0.25)
    """
    given = np.asarray(differences, float)
    values = given[np.isfinite(given)]
    n, nan = len(values), math.nan
    if n < FEWEST_PAIRS:
        return PairedStatistics(n, *[nan] * 9)
    rng = np.random.default_rng([seed, 2])
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    stderr = spread / math.sqrt(n)
    half = float(stats.t.ppf(1 - LEVEL / 2, n - 1)) * stderr
    drawn = values[rng.integers(n, size=(N_RESAMPLES, n))].mean(axis=1)
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2]).tolist()
    decided = int(np.sum(values != 0))
    positive = int(np.sum(values > 0))
    sign_p = float(stats.binomtest(positive, decided).pvalue) if decided else 1.0
    return PairedStatistics(
        n,
        mean,
        stderr,
        spread,
        mean - half,
        mean + half,
        low,
        high,
        sign_p,
        _permutation_p(values, rng),
    )


def power_statement(found: PairedStatistics, *, effect: float = EFFECT) -> PowerStatement:
    """Say how many pairs would see a difference.

    Parameters
    ----------
    found : PairedStatistics
    effect : float
        The difference.

    Notes
    -----
    The power is that of Student's t test, by the noncentral t distribution; with a dozen pairs or
    more n is about ((1.96 + 0.84) sd / effect)^2 + 2. The spread itself is known to 1 / sqrt(2 (n -
    1)), which is a factor of two to four either way with a handful of pairs: the range of `pairs`
    is the statement, not its middle.
    """
    n = found.n_pairs
    goal = f"a difference of {effect:g} with {POWER:.0%} power at the two-sided {LEVEL:.0%} level"
    if n < FEWEST_PAIRS or not found.spread > 0:
        least, usual, most = (_pairs(spread, effect) for spread in USUAL_SPREADS)
        low, middle, high = USUAL_SPREADS
        sentence = (
            f"no spread could be measured; if paired differences spread by {middle:g}, {usual} "
            f"pairs would see {goal} ({least} at a spread of {low:g}, {most} at {high:g})"
        )
        return PowerStatement(usual, least, most, middle, math.nan, False, sentence)
    tails = stats.chi2.ppf([1 - LEVEL / 2, LEVEL / 2], n - 1)
    low, high = (found.spread * math.sqrt((n - 1) / tail) for tail in tails)
    pairs, least, most = (_pairs(spread, effect) for spread in (found.spread, low, high))
    detectable = _detectable(n) * found.spread
    sentence = (
        f"{pairs} paired seeds would see {goal}, judging by a spread of {found.spread:.3f} between "
        f"{n} pairs; as the spread is known to {low:.3f} ... {high:.3f} only, by {least} to {most}"
    )
    return PowerStatement(pairs, least, most, found.spread, detectable, True, sentence)


def equivalence(found: PairedStatistics, margin: float) -> Equivalence:
    """Test whether a difference is within a margin, by two one-sided t tests at 5 %.

    Parameters
    ----------
    found : PairedStatistics
    margin : float
        Positive; fixed before anything is measured.

    Raises
    ------
    ValueError
        If the margin is not positive.
    """
    if not 0 < margin < math.inf:
        raise ValueError(f"margin={margin} is no margin; pass a positive number")
    if found.n_pairs < FEWEST_PAIRS:
        return Equivalence(margin, math.nan, math.nan, False)
    half = float(stats.t.ppf(1 - LEVEL, found.n_pairs - 1)) * found.stderr
    low, high = found.mean - half, found.mean + half
    return Equivalence(margin, low, high, -margin < low and high < margin)


def slopes(levels: ArrayLike, values: ArrayLike) -> np.ndarray:
    """Return the slope of values against levels, row by row.

    Parameters
    ----------
    levels : (k,) float array
    values : (n, k) float array
        Not-a-number where there is none.

    Returns
    -------
    (n,) float array
        Not-a-number for rows in which a value is missing: a slope over fewer levels would be that
        of another question.
    """
    x = np.asarray(levels, float)
    x = x - x.mean()
    return np.asarray(values, float) @ x / (x @ x)


def _power(n: int, ratio: float) -> float:
    """Return the power of a two-sided t test of n differences, `ratio` being mean over spread.

    The noncentral t distribution, as a mean over what the spread is measured to be: scipy's own is
    not-a-number for few differences far from zero.
    """
    limit, shift = stats.t.ppf(1 - LEVEL / 2, n - 1), ratio * math.sqrt(n)
    measured = np.sqrt(stats.chi2.ppf(_SHARES, n - 1) / (n - 1))
    tails = stats.norm.cdf(shift - limit * measured) + stats.norm.cdf(-shift - limit * measured)
    return float(tails.mean())


def _detectable(n: int) -> float:
    """Return the mean over the spread that n pairs would see."""
    low, high = 0.0, _LARGEST_RATIO
    while high - low > _PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if _power(n, middle) < POWER else (low, middle)
    return high


def _pairs(spread: float, effect: float) -> int:
    # What a spread that is known would take, which is never more than one that is not.
    n = max(FEWEST_PAIRS, math.ceil((_quantiles() * spread / effect) ** 2))
    while n < _ALIKE and _power(n, effect / spread) < POWER:
        n += 1
    return n


def _quantiles() -> float:
    return float(stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER))


def _permutation_p(values: np.ndarray, rng: np.random.Generator) -> float:
    """Share of all changes of sign whose mean is at least as far from zero."""
    n = len(values)
    if n <= _EXACT:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
    else:
        # The observed signs are one of those that are possible.
        signs = np.vstack([np.ones(n), rng.choice((-1.0, 1.0), size=(N_RESAMPLES - 1, n))])
    means = np.abs(signs @ values)
    return float(np.mean(means >= abs(values.sum()) * (1 - 1e-12)))
