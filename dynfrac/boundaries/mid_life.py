"""Mid-life: how fast neighbours separate while a run is on the saddle, and when it flies out."""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np

from dynfrac.analysis.estimates import Curve
from dynfrac.boundaries.growth_rates import group_sums
from dynfrac.boundaries.lifetimes import FEWEST, Lifetimes, undecided_until

_LATER = (0, 1, 2, 3, 4, 6, 8)
"""Steps after the first that are not mid-life either: derivatives may still be turning."""
_GUARDS = (2, 3, 4, 6, 8)
"""Steps before the decision that are not mid-life: the smallest after which nothing changes."""
_FLYING = 0.4
"""Runs fly out while they stretch by this share more than in mid-life."""
_LONGEST_FLIGHT = 6
_ROUNDING = 1e-12


@final
@dataclasses.dataclass(frozen=True, eq=False)
class MidLife:
    """The exponent of undecided runs.

    Attributes
    ----------
    exponent : float
        In nats per step; not-a-number if no run is far enough from its end.
    drift : float
        Its change when more steps before the end are left out.
    first : int
        Step from which on nothing changes.
    resampled : (B,) float array
        The exponents of the resamples.
    curve : Curve
        Mean log-stretch against the step.
    """

    exponent: float
    drift: float
    first: int
    resampled: np.ndarray
    curve: Curve


def read_mid_life(lifetimes: Lifetimes, first: int, draws: np.ndarray) -> MidLife:
    """Read the exponent of undecided runs in mid-life.

    Parameters
    ----------
    lifetimes : Lifetimes
    first : int
        Step from which on the decay is exponential.
    draws : (B, G) int array
        How often each group of runs is in each resample.

    Returns
    -------
    MidLife

    Notes
    -----
    All runs count that are undecided for some steps more, at every step from the first on: near
    the start the density is not that of the saddle, and near the end it is not that of orbits that
    stay. The fewest steps are left out at either end beyond which the mean does not change by more
    than 2.5 times its error at the start, 1.5 times at the end.
    """
    starts = [_read(lifetimes, first + later, _GUARDS[0], draws) for later in _LATER]
    start = _settled(starts, 2.5)
    if start is None:
        empty = np.full(len(draws), math.nan)
        return MidLife(math.nan, math.nan, first, empty, Curve.empty())
    begin = first + _LATER[start]
    ends = [_read(lifetimes, begin, guard, draws) for guard in _GUARDS]
    chosen = _settled(ends, 1.5)
    assert chosen is not None  # the first of them is that of the start
    best = ends[chosen]
    assert best is not None
    following = ends[chosen + 1] if chosen + 1 < len(ends) else None
    drift = 0.0 if following is None else abs(following.value - best.value)
    total = best.passed.sum(axis=0)
    seen = total > 0
    means = best.stretched.sum(axis=0)[seen] / total[seen]
    deviations = best.stretched[:, seen] - best.passed[:, seen] * means
    steps = begin + np.flatnonzero(seen)
    curve = Curve(steps, means, np.sqrt((deviations**2).sum(axis=0)) / total[seen])
    return MidLife(best.value, drift, begin, best.resampled, curve)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class _Reading:
    """Sums of log-stretches and of runs by group and step, and the exponents of resamples."""

    stretched: np.ndarray
    passed: np.ndarray
    resampled: np.ndarray

    @property
    def value(self) -> float:
        return float(self.stretched.sum() / self.passed.sum())


def _read(lifetimes: Lifetimes, first: int, guard: int, draws: np.ndarray) -> _Reading | None:
    """Read the exponent of runs from a step on that are undecided for `guard` steps more."""
    alive = undecided_until(lifetimes, guard)[:, first + 1 :]
    if alive.sum() < FEWEST:
        return None
    steps = np.arange(first, first + alive.shape[1])
    with np.errstate(invalid="ignore"):  # minus infinity at both ends, where all is zero
        increments = lifetimes.logs[:, steps + 1] - lifetimes.logs[:, steps]
    alive = alive & np.isfinite(increments)
    stretched = group_sums(np.where(alive, increments, 0.0))
    passed = group_sums(alive.astype(float))
    total = draws @ passed.sum(axis=1)
    if not np.all(total > 0):
        return None
    return _Reading(stretched, passed, (draws @ stretched.sum(axis=1)) / total)


def _settled(readings: list[_Reading | None], sigmas: float) -> int | None:
    """Return the first reading that the next two differ from by no more than so many errors.

    If there is none, the one that they differ from least: the last one is the noisiest.
    """
    known = [reading for reading in readings if reading is not None]
    if not known:
        return None
    changes = []
    for i, here in enumerate(known[:-1]):
        off = [
            abs(other.value - here.value)
            / max(float((other.resampled - here.resampled).std()), _ROUNDING)
            for other in known[i + 1 : i + 3]
        ]
        changes.append(max(off))
        if changes[-1] <= sigmas:
            return i
    return int(np.argmin(changes)) if changes else 0


def flight_steps(lifetimes: Lifetimes, exponent: float) -> int:
    """Return for how many steps before the decision runs fly out.

    Parameters
    ----------
    lifetimes : Lifetimes
    exponent : float
        Mean log-stretch in mid-life.

    Returns
    -------
    int
        Steps in which the mean log-stretch is more than 40 % above that of mid-life. The step
        that ends a run is not among them.
    """
    steps = 0
    closed = lifetimes.ends < lifetimes.horizon
    for back in range(2, _LONGEST_FLIGHT + 2):
        rows = np.flatnonzero(closed & (lifetimes.ends >= back + 2))
        if len(rows) < FEWEST:
            break
        last = lifetimes.ends[rows] - back
        with np.errstate(invalid="ignore"):
            pushed = lifetimes.logs[rows, last + 1] - lifetimes.logs[rows, last]
        if not np.mean(pushed) - exponent > _FLYING * exponent:
            break
        steps = back - 1
    return steps
