"""Whether two methods agree on a dimension, in a sentence, and which of them to report."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dynfrac.analysis.estimates import Estimate
from dynfrac.boundaries.dimensions import PAIRS

AGREE = 2.0
"""Combined standard errors within which two readings agree."""


def weigh_methods(estimates: Mapping[str, Estimate], first: str) -> tuple[str, str]:
    """Say whether the methods agree, and return the one to report.

    Parameters
    ----------
    estimates : mapping of str to Estimate
        One or two, by method.
    first : str
        The method that was asked for.

    Returns
    -------
    sentence, method : str
        The pairs if the two disagree; the one that has a value if there is only one.
    """
    known = {name: reading for name, reading in estimates.items() if reading.has_value}
    if len(known) < 2:
        if not known and len(estimates) == 1:
            return f"{next(iter(estimates))} gave no value, and no other method was tried", first
        if not known:
            return "no method gave a value", first
        (name,) = known
        if len(estimates) == 1:
            return f"no method but {name} was tried", name
        return f"only {name} gave a value, so that there is nothing to compare it with", name
    (a, left), (b, right) = known.items()
    said = f"{_reading(a, left)} and {_reading(b, right)}"
    apart = abs(left.value - right.value)
    combined = math.hypot(left.stderr, right.stderr)
    if apart <= AGREE * combined:
        return f"the methods agree: {said}", first
    far = f"{apart / combined:.1f} combined standard errors" if combined > 0 else "without an error"
    return f"the methods disagree: {said} are {far} apart; the pairs are reported", PAIRS


def _reading(name: str, estimate: Estimate) -> str:
    return f"{estimate.value:.3f} +- {estimate.stderr:.3f} by {name}"
