"""What every estimator of a boundary is given: how many runs it may spend, and a seed."""

from __future__ import annotations

import numbers
from typing import Any

LEAST_BUDGET = 500
"""Runs or labels without which no estimator begins."""


def check_budget(budget: Any) -> int:
    """Return a budget as an int.

    Raises
    ------
    ValueError
        If it is not a whole number of at least 500.

    Examples
    --------
    >>> check_budget(2e4)
    20000
    """
    if isinstance(budget, bool) or not isinstance(budget, numbers.Real):
        raise ValueError(f"budget={budget!r} is no number; pass a whole one of at least 500")
    number = float(budget)
    if not number >= LEAST_BUDGET:
        raise ValueError(f"budget={budget} is too small; pass a whole number of at least 500")
    if not number.is_integer():
        raise ValueError(f"budget={budget} is not whole; pass a whole number of at least 500")
    return int(number)


def check_seed(seed: Any) -> int:
    """Return a seed as an int.

    Raises
    ------
    ValueError
        If it is not a whole number of at least 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"seed={seed!r} is no seed; pass a whole number of at least 0")
    return int(seed)
