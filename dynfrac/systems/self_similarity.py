"""Generalized dimensions of measures that are made of smaller copies of themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

_NEARLY_ONE = 1e-6
"""Orders this close to 1 are taken for 1: both t and q - 1 are lost in rounding errors."""


def self_similar_dimension(
    ratios: Sequence[float], weights: Sequence[float] | None = None, q: float = 0.0
) -> float:
    """Return D_q of a measure of copies that do not overlap, each a smaller one of the whole.

    Parameters
    ----------
    ratios : sequence of float
        Size of each copy, between 0 and 1.
    weights : sequence of float, optional
        Share of each copy; positive, of sum 1. Default: equal ones.
    q : float
        0 for the box dimension, 1 for the information and 2 for the correlation dimension.

    Returns
    -------
    float
        -t / (1 - q), where t solves sum_i p_i^q r_i^-t = 1; its limit at q = 1 is
        sum_i p_i ln p_i / sum_i p_i ln r_i. To 1e-13, but for 1e-8 next to q = 1.

    Raises
    ------
    ValueError
        If ratios or weights are impossible.

    Notes
    -----
    At q = 0 this is Moran's equation (1946), and the weights do not matter. Copies may be placed
    and turned in any way as long as there is space between them or they touch in few points only.

    References
    ----------
    `halsey1986` in docs/references.bib

    Examples
    --------
    >>> round(self_similar_dimension([1 / 3, 1 / 3]), 7)
    0.6309298
    """
    r = np.asarray(ratios, float)
    p = np.full(r.shape, 1 / r.size) if weights is None else np.asarray(weights, float)
    if r.size < 2 or not np.all((r > 0) & (r < 1)):
        raise ValueError(f"ratios={ratios!r} are impossible; pass two or more between 0 and 1")
    if p.shape != r.shape or not np.all(p > 0) or abs(p.sum() - 1) > 1e-9:
        raise ValueError(f"weights={weights!r} are impossible; pass {r.size} positive ones, sum 1")
    if abs(q - 1) < _NEARLY_ONE:
        return float(p @ np.log(p) / (p @ np.log(r)))

    def excess(t: float) -> float:
        # The logarithm of the sum, in which no power overflows.
        exponents = q * np.log(p) - t * np.log(r)
        largest = exponents.max()
        return float(largest + math.log(np.exp(exponents - largest).sum()))

    bound = 1.0
    while excess(-bound) > 0 or excess(bound) < 0:
        bound *= 2
    return float(brentq(excess, -bound, bound, xtol=1e-14, rtol=1e-14) / (q - 1))  # type: ignore[arg-type]
