"""How the parts of a dimension report share its budget, which is a hard cap.

The pairs come first. A budget that would leave the other parts too few runs to say anything is not
spread over them: it drops them, and says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, final

from dynfrac.boundaries.budgets import LEAST_BUDGET
from dynfrac.boundaries.diagnostics import ULP_POINTS
from dynfrac.boundaries.dimensions import PAIRS, STRETCH_TAIL

DOUBLING, LAST_BIT = "doubling", "last bit"
"""Parts that are no methods."""

_SHARES = {STRETCH_TAIL: 0.15, DOUBLING: 0.06, LAST_BIT: 0.04}
"""Of a budget that is large enough for all parts; the pairs have what is left."""
_FOR_ALL, _FOR_TWO = 8000, 2000
"""Budgets from which on there are all parts, or pairs and the last bit."""
_OPINION = 0.45
"""Share of a method that was asked for; its referee has as much."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Division:
    """What each part may spend.

    Attributes
    ----------
    second : str or None
        The method beside the pairs, if there is one.
    runs : dict of str to int
        Runs or labels by part: a method, `DOUBLING` or `LAST_BIT`. They add up to the budget.
    flags : tuple of str
        What is left out, and why.
    """

    second: str | None
    runs: dict[str, int]
    flags: tuple[str, ...]


def divide_budget(
    budget: int, method: str, *, is_map: bool, no_second: str = "", not_doubled: str = ""
) -> Division:
    """Return what each part of a report may spend.

    Parameters
    ----------
    budget : int
        At least 500.
    method : str
        One of `dynfrac.boundaries.dimensions.METHODS`.
    is_map : bool
        Whether there are runs, which can be stretched and doubled.
    no_second : str
        Why runs of this map cannot carry a derivative, if they cannot.
    not_doubled : str
        Why runs of twice the length would be something else, if they would (`why_not_doubled`).
    """
    flags: list[str] = []
    second = STRETCH_TAIL if method == "auto" else None if method == PAIRS else method
    if method == "auto" and (not is_map or no_second):
        second = None
        if no_second:
            flags.append(f"no second method: {no_second}")
    left_out: list[str] = []
    runs: dict[str, int] = {}
    if method in ("auto", PAIRS):
        if second and budget >= _FOR_ALL:
            runs[second] = int(_SHARES[STRETCH_TAIL] * budget)
        elif second:
            left_out.append("a second method")
            second = None
    elif budget < 2 * LEAST_BUDGET:
        flags.append(f"a budget of {budget} has no room for the pairs that would referee this")
        return Division(second, {str(second): budget}, tuple(flags))
    else:
        runs[str(second)] = max(LEAST_BUDGET, int(_OPINION * budget))
    if budget >= _FOR_TWO:
        runs[LAST_BIT] = min(int(_SHARES[LAST_BIT] * budget), ULP_POINTS)
    else:
        left_out.append("the last bit")
    if is_map and budget >= _FOR_ALL:
        if not_doubled:
            flags.append(f"doubling the steps was not tried: {not_doubled}")
        else:
            runs[DOUBLING] = int(_SHARES[DOUBLING] * budget)
    elif is_map:
        left_out.append("doubling the steps")
    if left_out:
        flags.append(f"a budget of {budget} has no room for {_listed(left_out)}: not measured")
    return Division(second, {**runs, PAIRS: budget - sum(runs.values())}, tuple(flags))


def why_not_doubled(target: Any, n_steps: int) -> str:
    """Return why a map that is run for twice as long is not the training of twice the length.

    Parameters
    ----------
    target : AbstractMap
    n_steps : int
        Before doubling.

    Returns
    -------
    str
        Empty if it is.
    """
    if "schedule_steps" in target.defaults:
        return "the learning rate follows a schedule, which ends with the run"
    # A stream that is shorter than the run repeats itself by intention.
    rows = len(getattr(getattr(target, "batches", None), "indices", ()))
    if n_steps <= rows < 2 * n_steps:
        return f"there are minibatches for {rows} steps, and then the same again"
    return ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
