"""The slowest and the fastest rate at which neighbours separate on a saddle, from undecided runs.

What bounds need (`dynfrac.boundaries.bounds`) are infima and suprema over the saddle. A sample
gives a minimum that reads too high and a maximum that reads too low, by an amount that it does not
tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.boundaries.lifetimes import FEWEST
from dynfrac.boundaries.saddles import SaddleRates

SAMPLED_MINIMUM = (
    "the slowest rate is a sampled minimum, which reads too high: the bound can be too low"
)
SAMPLED_MAXIMUM = (
    "the fastest rate is a sampled maximum, which reads too low: a ceiling made of it can be too "
    "low, a floor too high"
)

_GUARD = 4
"""Steps that a run has yet to stay undecided: it is then within exp(-4 l) of the saddle."""
_LONGEST = 24
_HITS = 10
"""Stretches that are expected in the piece with the extreme rate."""


def slowest_stretch(rates: SaddleRates) -> Estimate:
    """Slowest rate at which neighbours separate on the saddle, l_u, from undecided runs.

    Parameters
    ----------
    rates : SaddleRates

    Returns
    -------
    Estimate
        The largest l_u(n) over the numbers of steps n for which there are enough runs, in nats per
        step; `curve` is l_u(n), the minimum over all stretches of n steps of the mean log-stretch.
        Without error bars, and flagged as a sampled minimum.

    Notes
    -----
    l_u(n) approaches the uniform rate from below. Only stretches count whose run stays undecided
    for four steps more, and so is next to the saddle.
    """
    return _extreme(rates, "slowest stretch", np.min, max, SAMPLED_MINIMUM)


def fastest_stretch(rates: SaddleRates) -> Estimate:
    """Fastest rate at which neighbours separate on the saddle, s, from undecided runs.

    Parameters
    ----------
    rates : SaddleRates

    Returns
    -------
    Estimate
        The smallest s(n) over the numbers of steps n for which there are enough runs, in nats per
        step; `curve` is s(n), the maximum over all stretches of n steps of the mean log-stretch.
        Without error bars, and flagged as a sampled maximum.
    """
    return _extreme(rates, "fastest stretch", np.max, min, SAMPLED_MAXIMUM)


def _extreme(
    rates: SaddleRates,
    method: str,
    over_runs: Callable[[np.ndarray], float],
    over_steps: Callable[[list[float]], float],
    doubt: str,
) -> Estimate:
    lifetimes = rates.lifetimes
    n_runs = len(lifetimes)
    if not rates.exponent.has_value:
        return Estimate.missing(method, n_runs, rates.exponent.flags)
    numbers, values = [], []
    # The last steps of a flight are not those of the saddle.
    guard = _GUARD + rates.flight
    for n in range(1, _LONGEST + 1):
        stretches = []
        for start in range(rates.settled, lifetimes.horizon - n - guard):
            alive = lifetimes.ends > start + n + guard
            if not alive.any():
                break
            with np.errstate(invalid="ignore"):
                pushed = lifetimes.logs[alive, start + n] - lifetimes.logs[alive, start]
            stretches.append(pushed[np.isfinite(pushed)])
        n_stretches = sum(map(len, stretches))
        if n_stretches < FEWEST:
            break
        total = float(over_runs(np.concatenate(stretches)))
        # The piece that stretches by this much is exp(-total) across: the sample has to hit it.
        if numbers and n_stretches * math.exp(-total) < _HITS:
            break
        numbers.append(n)
        values.append(total / n)
    if not numbers:
        reason = "no run stays undecided for five steps more; pass more runs"
        return Estimate.missing(method, n_runs, (reason,))
    curve = Curve(np.array(numbers), np.array(values), np.full(len(values), math.nan))
    value = float(over_steps(values))
    window = (float(numbers[0]), float(numbers[-1]))
    nan = math.nan
    return Estimate(value, nan, nan, nan, method, n_runs, window, curve, (doubt,))
