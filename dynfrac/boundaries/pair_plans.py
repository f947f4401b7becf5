"""How to spend a budget of labels on pairs: which distances to ask, and at how many centres.

If K octaves of distance have m disagreeing pairs each, the error of the slope is proportional to
m^-1/2 K^-3/2, and the labels that m costs grow like 2^(alpha K). The best depth is therefore
K = 3 / (alpha ln 2): four octaves for a smooth boundary, twenty for one that almost fills the
plane. Since alpha is what is asked for, the plan is made again after every round of centres.
"""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np

MIN_SCALES = 6
"""Fewest octaves that are planned."""
SMALLEST_ROUND = 32
"""Centres of the smallest round, unless fewer end the plan."""
ENOUGH = 800
"""Disagreeing pairs at every distance from which on a budget buys more distances instead."""
FEW = 30
"""Fewer than these buy fewer distances."""

_KNOWN = 8
"""Disagreeing pairs that make a rate."""
_FIRST_SHARE = 0.05
_STEEPEST, _FLATTEST = 1.5, 0.02


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What to ask next, and what was found so far.

    Attributes
    ----------
    columns : (k,) int array
        Distances to ask.
    n_centres : int
        Centres to ask them at; 0 if nothing is left to be done.
    hits, centres : (S,) float arrays
        Disagreeing pairs and centres so far, by distance.
    """

    columns: np.ndarray
    n_centres: int
    hits: np.ndarray
    centres: np.ndarray


def first_plan(n_scales: int, left: int) -> Plan:
    """Return the plan of who knows nothing: a twentieth of the budget for the largest distances.

    Parameters
    ----------
    n_scales : int
        Number S of distances that there are.
    left : int
        Labels that may be asked for.
    """
    n = int(_FIRST_SHARE * left) // (MIN_SCALES + 1)
    nothing = np.zeros(n_scales)
    return Plan(np.arange(MIN_SCALES), max(n, SMALLEST_ROUND), nothing, nothing)


def next_plan(plan: Plan, hits: np.ndarray, left: int) -> Plan:
    """Return the plan for the next round.

    Parameters
    ----------
    plan : Plan
        That of the last round.
    hits : (k, n) bool array
        What came of it, for the distances of its `columns`.
    left : int
        Labels that may still be asked for.

    Returns
    -------
    Plan
        With the same distances and twice the centres while fewer than three distances have rates.
        Else half of what is missing to give as many hits to every distance as the budget can buy,
        so that the plan after it can correct this one.
    """
    found, asked = plan.hits.copy(), plan.centres.copy()
    found[plan.columns] += hits.sum(axis=1)
    asked[plan.columns] += hits.shape[1]
    known = np.flatnonzero(found >= _KNOWN)
    if len(known) < 3:
        return Plan(plan.columns, 2 * plan.n_centres, found, asked)
    rates, alpha = _rates(found, asked, known)
    depth = _depth(rates, alpha, found, left)
    target = _affordable(rates[:depth], found, left)
    missing = np.maximum(target - found[:depth], 0) / rates[:depth]
    columns = np.flatnonzero(missing >= 1)
    if not len(columns):
        return Plan(columns, 0, found, asked)
    half = math.ceil(missing.max() / 2) + SMALLEST_ROUND // 2
    soonest_done = math.ceil(missing[columns].min()) + SMALLEST_ROUND
    return Plan(columns, min(half, soonest_done), found, asked)


def _rates(found: np.ndarray, asked: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, float]:
    """Return hits per centre at every distance, measured or extrapolated, and their exponent."""
    seen = found[known] / asked[known]
    slope = np.polyfit(known, np.log(seen), 1, w=np.sqrt(found[known]))[0]
    alpha = min(max(-slope / math.log(2), _FLATTEST), _STEEPEST)
    rates = seen[-1] * 2.0 ** (-alpha * (np.arange(len(found)) - known[-1]))
    rates[known] = seen
    return np.minimum(rates, 1.0), alpha


def _depth(rates: np.ndarray, alpha: float, found: np.ndarray, left: int) -> int:
    """Return the number of octaves to measure."""
    n_scales = len(rates)
    depth = min(max(round(3 / (alpha * math.log(2))), MIN_SCALES), n_scales)
    while depth > MIN_SCALES and _affordable(rates[:depth], found, left) < FEW:
        depth -= 1
    while depth < n_scales and _affordable(rates[:depth], found, left) > ENOUGH:
        depth += 1
    return depth


def _affordable(rates: np.ndarray, found: np.ndarray, left: int) -> float:
    """Return how many hits at every distance the labels that are left can buy.

    A centre costs a label, and another for each distance at which it is asked.
    """
    have = found[: len(rates)]
    low, high = 0.0, float(left + have.max())
    for _ in range(50):
        middle = (low + high) / 2
        missing = np.maximum(middle - have, 0) / rates
        low, high = (middle, high) if missing.sum() + missing.max() <= left else (low, middle)
    return low
