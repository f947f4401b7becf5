"""How to spend a budget of labels on pairs: which distances to ask, and at how many centres.

If K octaves of distance have m disagreeing pairs each, the error of the slope is proportional to
m^-1/2 K^-3/2, and the labels that m costs grow like 2^(alpha K). The best depth is therefore about
K = 3 / (alpha ln 2): four octaves for a smooth boundary, twenty for one that almost fills the
plane. A small budget is better spent on five distances several octaves apart than on all octaves,
a large one reaches deeper. Since alpha is what is asked for, the plan is made again after every
round of centres.
"""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np

from dynfrac.analysis.scaling import fit_counts

MAX_FRACTION = 0.1
"""Where more pairs than this disagree, f bends towards what unrelated points read."""
MIN_SCALES = 4
"""Fewest distances that make a slope."""
SMALLEST_ROUND = 16
"""Centres of the smallest round, unless fewer end the plan."""
ENOUGH = 200
"""Disagreeing pairs at every distance from which on a budget buys more distances instead."""
EVERY_OCTAVE = 60
"""As many at every octave are preferred to more at some of them: they show how D changes."""

_SCOUTS = (0, 1, 2, 4, 8)
_FIRST_SHARE = 0.05
_KNOWN = 15
"""Disagreeing pairs in all that give a first idea of the exponent."""
_MEASURED = 30
"""Disagreeing pairs that make a rate by themselves."""
_FEW = 60
"""Disagreeing pairs in all below which a fit is hardly one."""
_FEWEST = 5
_FEWEST_GIVEN = 3
_WORTH_ASKING = 10
"""Disagreeing pairs at every distance of a given range, below which its deep end is given up."""
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
    first : int
        The largest distance that is ever asked.
    given : bool
        Whether the distances are given, so that all of them are measured and none is chosen.
    """

    columns: np.ndarray
    n_centres: int
    hits: np.ndarray
    centres: np.ndarray
    first: int
    given: bool = False


def first_plan(n_scales: int, first: int, left: int) -> Plan:
    """Return the plan of who knows nothing: a twentieth of the budget, near distances and far ones.

    Parameters
    ----------
    n_scales : int
        Number S of distances that there are.
    first : int
        The largest distance to ask.
    left : int
        Labels that may be asked for.
    """
    columns = first + np.array(_SCOUTS)
    columns = columns[columns < n_scales]
    n = int(_FIRST_SHARE * left) // (len(columns) + 1)
    nothing = np.zeros(n_scales)
    return Plan(columns, max(n, SMALLEST_ROUND), nothing, nothing, first)


def given_plan(n_scales: int, left: int) -> Plan:
    """Return the first plan of who measures S given distances and no others.

    Parameters
    ----------
    n_scales : int
        Number S of distances.
    left : int
        Labels that may be asked for.
    """
    n = int(_FIRST_SHARE * left) // (n_scales + 1)
    nothing = np.zeros(n_scales)
    columns = np.arange(n_scales)
    return Plan(columns, max(n, SMALLEST_ROUND), nothing, nothing, 0, given=True)


def next_plan(
    plan: Plan, hits: np.ndarray, fractions: np.ndarray, scales: np.ndarray, left: int
) -> Plan:
    """Return the plan for the next round.

    Parameters
    ----------
    plan : Plan
        That of the last round.
    hits : (k, n) bool array
        What came of it, for the distances of its `columns`.
    fractions, scales : (S,) float arrays
        All that is known of f by now, and its distances, an octave apart, descending.
    left : int
        Labels that may still be asked for.

    Returns
    -------
    Plan
        With the same distances and twice the centres while too little is known. Else half of what
        is missing to give as many hits to every distance as the budget can buy, so that the plan
        after it can correct this one.
    """
    found, asked = plan.hits.copy(), plan.centres.copy()
    found[plan.columns] += hits.sum(axis=1)
    asked[plan.columns] += hits.shape[1]
    state = found, asked, plan.first, plan.given
    if found.sum() < _KNOWN or (found > 0).sum() < 2:
        return Plan(plan.columns, 2 * plan.n_centres, *state)
    rates, alpha = _rates(found, asked, scales)
    if plan.given:
        columns, target = _affordable_given(rates, found, left)
    else:
        start = _first_useful(rates, asked, found, fractions, plan.first)
        columns, target = _choose_columns(rates, alpha, found, start, left)
    missing = np.maximum(target - found[columns], 0) / rates[columns]
    short = missing >= 1
    if not short.any():
        return Plan(columns, 0, *state)
    half = math.ceil(missing.max() / 2) + SMALLEST_ROUND // 2
    soonest_done = math.ceil(missing[short].min()) + SMALLEST_ROUND
    return Plan(columns[short], min(half, soonest_done), *state)


def _rates(found: np.ndarray, asked: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, float]:
    """Return hits per centre at every distance, measured or fitted, and their exponent."""
    where = np.flatnonzero(asked)
    seen = found[where] / asked[where]
    slope, _ = fit_counts(scales[where], seen, asked[where])
    alpha = min(max(float(slope), _FLATTEST), _STEEPEST)
    shape = (scales / scales[0]) ** alpha
    rates = found.sum() / (asked @ shape) * shape
    measured = found >= _MEASURED
    rates[measured] = found[measured] / asked[measured]
    return np.clip(rates, 1e-12, 1.0), alpha


def _first_useful(
    rates: np.ndarray, asked: np.ndarray, found: np.ndarray, fractions: np.ndarray, first: int
) -> int:
    """Return the largest distance at which f is small enough to be fitted."""
    known = np.flatnonzero((found > 0) & np.isfinite(fractions))
    # What a hit per centre is worth in f depends little on the distance.
    worth = fractions[known].sum() / rates[known].sum()
    small = np.flatnonzero(worth * rates <= MAX_FRACTION)
    # An exponent that is known badly does not say where f is small beyond what was asked.
    last = min(len(rates) - _FEWEST, int(np.flatnonzero(asked)[-1]))
    return int(min(max(first, small[0]), last)) if len(small) else last


def _choose_columns(
    rates: np.ndarray, alpha: float, found: np.ndarray, start: int, left: int
) -> tuple[np.ndarray, float]:
    """Return the distances to measure, and how many hits at each of them can be bought."""
    room = len(rates) - start
    depth = min(max(round(3 / (alpha * math.log(2))), _FEWEST), room - 1)
    while True:
        columns = start + np.arange(depth + 1)
        target = _affordable(rates[columns], found[columns], left)
        if target <= ENOUGH or depth + 1 >= room:
            break
        depth += 1
    if target >= EVERY_OCTAVE:
        return columns, target
    options: list[tuple[bool, float, int, int, float]] = []
    for stride in range(1, max(1, depth // (_FEWEST - 1)) + 1):
        for n in range(MIN_SCALES, depth // stride + 2):
            some = start + stride * np.arange(n)
            hits = _affordable(rates[some], found[some], left)
            error = (hits * n * (n * n - 1)) ** -0.5 / stride if hits > 0 else math.inf
            # Four distances hardly show whether they lie on a line, nor do distances with few hits.
            doubt = (1.2 if n < _FEWEST else 1.0) * (1 + _MEASURED / max(hits, 1.0))
            few = n * hits < _FEW
            # If all are few, the most hits; they are where the largest distances are.
            options.append((few, -n * hits if few else error * doubt, stride, n, hits))
    _, _, stride, n, hits = min(options)
    return start + stride * np.arange(n), hits


def _affordable_given(rates: np.ndarray, found: np.ndarray, left: int) -> tuple[np.ndarray, float]:
    """Return the distances of a given range that can be measured, the largest first.

    A range that is too deep for the budget is measured down to where it can be, not nowhere.
    """
    for depth in range(len(rates), 0, -1):
        target = _affordable(rates[:depth], found[:depth], left)
        if target >= _WORTH_ASKING or depth <= _FEWEST_GIVEN:
            break
    return np.arange(depth), target


def _affordable(rates: np.ndarray, found: np.ndarray, left: int) -> float:
    """Return how many hits at every distance the labels that are left can buy.

    A centre costs a label, and another for each distance at which it is asked.
    """
    low, high = 0.0, float(left + found.max())
    for _ in range(50):
        middle = (low + high) / 2
        missing = np.maximum(middle - found, 0) / rates
        low, high = (middle, high) if missing.sum() + missing.max() <= left else (low, middle)
    return low
