"""The pressure of a saddle, whose root is the box dimension of the boundary.

With S_n the log-stretch of a run after n steps, the pressure

    P(a) = lim (1/n) ln E[exp(a S_n), undecided at n]

joins three numbers: P(0) = -kappa is the escape rate, P'(0) = l the exponent, and P(1) the
topological entropy, since exp(S_n) is the length to which a piece of the window has grown. Its root
alpha is the codimension of the boundary (Bowen 1979, Ruelle 1982), of which kappa / l is the first
order. The measure is no longer the natural one, so D0 = N - alpha has no gap to the box dimension.
"""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate, interval_95
from dynfrac.boundaries.growth_rates import (
    N_GROUPS,
    Growth,
    draw_groups,
    effective_numbers,
    group_sums,
    growth_rate,
    resampled_logs,
)
from dynfrac.boundaries.lifetimes import Lifetimes, undecided_until
from dynfrac.boundaries.saddles import SaddleRates

METHOD = "pressure"
GRID = np.linspace(0.0, 1.0, 11)

_HEAVY = 0.1
"""Where fewer than this share of the undecided runs carry the sum, few runs decide."""
_TOO_HEAVY = 0.02
_CLOSE = 1e-7
_TURNS = 20


@final
@dataclasses.dataclass(frozen=True, eq=False)
class _Sums:
    """Weighted runs at one exponent a.

    Attributes
    ----------
    weights, stretched : (G, S) float arrays
        Sums of exp(a S_n) and of S_n exp(a S_n) over groups of runs, divided by exp(`logs`).
    logs : (S,) float array
        a times the largest S_n, so that sums of any size can be held.
    effective : (S,) float array
        Effective numbers of runs.
    counts : (S,) int array
        Numbers of runs.
    """

    weights: np.ndarray
    stretched: np.ndarray
    logs: np.ndarray
    effective: np.ndarray
    counts: np.ndarray


def pressure_dimension(rates: SaddleRates, *, seed: int = 0) -> Estimate:
    """Box dimension of the boundary from the root of the pressure.

    Parameters
    ----------
    rates : SaddleRates
    seed : int, default 0
        Of the bootstrap over runs.

    Returns
    -------
    Estimate
        D0 = N - alpha; `curve` is P(a) at a = 0, 0.1, ..., 1 in nats per step, with its standard
        error, and `window` holds the steps that the root was read from. Not-a-number if there are
        too few survivors, or no root between 0 and 1.

    Notes
    -----
    For saddles with one unstable direction. Weights exp(alpha S_n) are uneven: where alpha is
    large few runs carry the sum, which is flagged, and the error grows up to 0.1. Like the rates it
    sees the piece of the saddle that decays most slowly first, so that it is a cross-check, too.

    Runs that fly out before they pass the limit of the rule stretch beyond all bounds. They are
    left out: the weights at step n are those of runs that are undecided some steps later
    (`SaddleRates.flight`), which decay at the same rate.

    References
    ----------
    R. Bowen, "Hausdorff dimension of quasi-circles", Publ. Math. IHES 50, 11 (1979);
    D. Ruelle, "Repellers for real analytic maps", Ergod. Th. Dynam. Sys. 2, 99 (1982).
    """
    lifetimes, n_axes = rates.lifetimes, rates.n_axes
    n_runs = len(lifetimes)
    for needed in (rates.exponent, rates.codimension):
        if not needed.has_value:
            return Estimate.missing(METHOD, n_runs, needed.flags)
    draws = draw_groups(min(n_runs, N_GROUPS), seed)
    curve = _pressure_curve(rates, draws)
    flags = rates.codimension.flags
    alpha, growth, sums = _root(rates, curve, rates.flight)
    if not 0 < alpha <= 1:
        reason = (
            "the pressure has no root between 0 and 1: neighbours of undecided runs separate more "
            "slowly than these decide, or the weights are too uneven; pass more runs"
        )
        return Estimate.missing(METHOD, n_runs, (reason, *flags), curve)
    slope = _slope(growth, sums)
    logs = resampled_logs(sums.weights[:, : growth.last + 1], draws)
    sampling = float((logs @ growth.form[: growth.last + 1]).std())
    stderr = math.hypot(sampling, growth.drift) / slope
    if rates.flight:  # how long a flight is, is a choice
        stderr = math.hypot(stderr, _change(alpha, _root(rates, curve, rates.flight + 2)[0]))
    value = n_axes - alpha
    low, high = interval_95(value, stderr, lowest=n_axes - 1.0, highest=float(n_axes))
    window = (float(growth.first), float(growth.last))
    flags += _weights_in_doubt(growth, sums)
    return Estimate(value, stderr, low, high, METHOD, n_runs, window, curve, flags)


def topological_entropy(rates: SaddleRates, *, seed: int = 0) -> Estimate:
    """Topological entropy of the saddle: the rate at which pieces of the window grow, P(1).

    Parameters
    ----------
    rates : SaddleRates
    seed : int, default 0
        Of the bootstrap over runs.

    Returns
    -------
    Estimate
        In nats per step; `curve` is the mean of exp(S_n) over all runs, those that are decided
        counting zero, against the step. Not-a-number if few runs carry that mean.

    Notes
    -----
    The weights are the most uneven there are. The entropy of a map with a known number of branches
    is better taken as the logarithm of that.
    """
    lifetimes = rates.lifetimes
    n_runs = len(lifetimes)
    if not rates.exponent.has_value:
        return Estimate.missing("growth of length", n_runs, rates.exponent.flags)
    sums = _weigh(lifetimes, 1.0, rates.flight)
    growth = _growth(rates, sums)
    with np.errstate(over="ignore"):  # a length may be beyond all numbers where its rate is not
        total = sums.weights.sum(axis=0) * np.exp(sums.logs)
    curve = Curve(
        np.arange(len(total)),
        total / n_runs,
        total / n_runs / np.sqrt(np.maximum(1, sums.effective)),
    )
    if not math.isfinite(growth.rate) or _carried_by(growth, sums) < _TOO_HEAVY:
        reason = "few runs carry the length of the undecided pieces; pass more runs"
        return Estimate.missing("growth of length", n_runs, (reason,), curve)
    draws = draw_groups(len(sums.weights), seed)
    logs = resampled_logs(sums.weights[:, : growth.last + 1], draws)
    sampling = float((logs @ growth.form[: growth.last + 1]).std())
    stderr = math.hypot(sampling, growth.drift)
    low, high = interval_95(growth.rate, stderr, lowest=0.0)
    window = (float(growth.first), float(growth.last))
    flags = rates.codimension.flags + _weights_in_doubt(growth, sums)
    return Estimate(
        growth.rate, stderr, low, high, "growth of length", n_runs, window, curve, flags
    )


def _weigh(lifetimes: Lifetimes, a: float, grace: int) -> _Sums:
    alive = undecided_until(lifetimes, grace)
    stretch = np.where(alive, lifetimes.logs[:, : alive.shape[1]], 0.0)
    # A factor common to all runs of a step changes no effective number.
    top = np.where(alive, stretch, -np.inf).max(axis=0, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(invalid="ignore"):
        weights = np.where(alive, np.exp(a * (stretch - top)), 0.0)
        moved = np.where(weights > 0, weights * stretch, 0.0)
    return _Sums(
        group_sums(weights),
        group_sums(moved),
        a * top,
        effective_numbers(weights),
        alive.sum(axis=0),
    )


def _growth(rates: SaddleRates, sums: _Sums) -> Growth:
    return growth_rate(sums.weights, sums.effective, rates.growth.first, sums.logs)


def _slope(growth: Growth, sums: _Sums) -> float:
    """Return dP/da, from the weighted means of the log-stretch."""
    used = growth.form != 0
    means = sums.stretched[:, used].sum(axis=0) / sums.weights[:, used].sum(axis=0)
    return float(growth.form[used] @ means)


def _root(rates: SaddleRates, curve: Curve, grace: int) -> tuple[float, Growth, _Sums]:
    """Return the root of the pressure, and what it was read from."""
    with np.errstate(invalid="ignore"):
        brackets = np.flatnonzero((curve.y[:-1] < 0) & (curve.y[1:] >= 0))
    if not len(brackets):
        return math.nan, rates.growth, _weigh(rates.lifetimes, 0.0, grace)
    i = int(brackets[0])
    low, high = curve.y[i], curve.y[i + 1]
    alpha = float(curve.x[i] - low * (curve.x[i + 1] - curve.x[i]) / (high - low))
    sums = _weigh(rates.lifetimes, alpha, grace)
    # The steps are kept from here: every choice of steps has a root of its own.
    growth = _growth(rates, sums)
    used = growth.form != 0
    for _ in range(_TURNS):
        totals = np.log(sums.weights[:, used].sum(axis=0)) + sums.logs[used]
        pressure = float(growth.form[used] @ totals)
        step = pressure / _slope(growth, sums)
        if not abs(step) > _CLOSE or not 0 < alpha - step < 1:
            break
        alpha -= step
        sums = _weigh(rates.lifetimes, alpha, grace)
    return alpha - step, growth, sums


def _change(alpha: float, other: float) -> float:
    return abs(other - alpha) if math.isfinite(other) else 0.0


def _pressure_curve(rates: SaddleRates, draws: np.ndarray) -> Curve:
    values, errors = np.full(len(GRID), math.nan), np.full(len(GRID), math.nan)
    for i, a in enumerate(GRID):
        sums = _weigh(rates.lifetimes, float(a), rates.flight)
        growth = _growth(rates, sums)
        if math.isfinite(growth.rate):
            logs = resampled_logs(sums.weights[:, : growth.last + 1], draws)
            sampling = float((logs @ growth.form[: growth.last + 1]).std())
            values[i], errors[i] = growth.rate, math.hypot(sampling, growth.drift)
    return Curve(GRID, values, errors)


def _carried_by(growth: Growth, sums: _Sums) -> float:
    """Return which share of the undecided runs carries the sum, at the step with the fewest."""
    steps = slice(growth.first, growth.last + 1)
    return float(np.min(sums.effective[steps] / sums.counts[steps]))


def _weights_in_doubt(growth: Growth, sums: _Sums) -> tuple[str, ...]:
    share = _carried_by(growth, sums)
    if share >= _HEAVY:
        return ()
    return (
        f"heavy weights: the sum over the undecided runs is carried by {share:.1%} of them; "
        "pass more runs",
    )
