"""Kaplan-Yorke (Lyapunov) dimension, from all exponents or from the leading ones."""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np
from numpy.typing import ArrayLike

Z95 = 1.959963984540054


@final
@dataclasses.dataclass(frozen=True)
class KaplanYorke:
    """A Kaplan-Yorke dimension, or the interval that is known of it.

    Attributes
    ----------
    value : float
        NaN if the exponents given only bound it.
    low, high : float
        Bounds. Where `value` is a number and standard errors were given, its 95 % interval;
        without standard errors both equal `value`.
    flags : tuple of str
        What to know before quoting it.
    """

    value: float
    low: float
    high: float
    flags: tuple[str, ...] = ()

    def __float__(self) -> float:
        """Return `value`."""
        return self.value


def kaplan_yorke_dimension(
    exponents: ArrayLike, d_total: int | None = None, stderr: ArrayLike | None = None
) -> KaplanYorke:
    """Dimension at which the sum of the leading exponents, interpolated linearly, turns negative.

    Parameters
    ----------
    exponents : (k,) float array
        In descending order or not, in one unit. Minus infinity is allowed.
    d_total : int, optional
        Dimension d of the phase space, at least k. By default k: the spectrum is complete.
    stderr : (k,) float array, optional
        Standard errors of the exponents, not negative; NaN where unknown.

    Returns
    -------
    KaplanYorke
        With S_j the sum of the j largest exponents and j* the last j with S_j >= 0, the value is
        j* + S_{j*} / abs(l_{j*+1}); 0 if every exponent is negative; d if no partial sum of the
        full spectrum is negative. If only k < d exponents are known and none of their partial sums
        is negative, the value is NaN, `low` is k, and `high` is d, or min(d, k + S_k / abs(l_k))
        if l_k < 0, because no later exponent exceeds l_k.

    Raises
    ------
    ValueError
        If there are no exponents, more than `d_total`, or errors of another length.

    Notes
    -----
    The value never decreases when an exponent grows, so its interval is found by moving all
    exponents by 1.96 standard errors at once, down and up. That covers every correlation of their
    errors and is wider than needed when errors cancel, as they do for maps of constant Jacobian.

    The number says something about an attractor. For an orbit that has settled on a fixed point or
    cycle it is 0; for a transient it is a property of that stretch of the orbit alone.

    References
    ----------
    Kaplan and Yorke 1979; Frederickson, Kaplan, Yorke and Yorke, J. Differ. Equ. 49, 1983.

    Examples
    --------
    >>> kaplan_yorke_dimension([0.5, -1.0]).value
    1.5
    >>> kaplan_yorke_dimension([0.5, 0.1], d_total=7).low
    2.0
    """
    values = np.asarray(exponents, np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"exponents has shape {values.shape}; pass one row of numbers")
    k = len(values)
    d = k if d_total is None else int(d_total)
    if d < k:
        raise ValueError(f"d_total={d_total} is less than the {k} exponents given; pass the full d")
    errors = np.zeros(k) if stderr is None else np.asarray(stderr, np.float64)
    if errors.shape != values.shape or np.any(errors < 0):
        raise ValueError(f"stderr={stderr!r} does not fit; pass {k} numbers that are not negative")
    if np.any(np.isnan(values)) or np.any(values == np.inf):
        reason = "an exponent is not a number, so the Kaplan-Yorke dimension is unknown"
        return KaplanYorke(math.nan, math.nan, math.nan, (reason,))

    low, high = _bounds(values, d)
    value = low if low == high else math.nan
    flags = []
    if math.isnan(value):
        flags.append(
            f"{k} of {d} exponents are known and their sums never turn negative: the "
            f"Kaplan-Yorke dimension is only bounded"
        )
    elif np.all(values < 0):
        flags.append("all exponents are negative: the Kaplan-Yorke dimension is trivially 0")
    if np.any(np.isnan(errors)):
        flags.append("some standard errors are unknown and were taken as 0 in the interval")
        errors = np.nan_to_num(errors)
    low_end, _ = _bounds(values - Z95 * errors, d)
    _, high_end = _bounds(values + Z95 * errors, d)
    if math.floor(low_end) != math.floor(high_end) and not math.isnan(value) and 0 < value < d:
        flags.append("within the errors the dimension may lie between other integers")
    return KaplanYorke(value, low_end, high_end, tuple(flags))


def _bounds(exponents: np.ndarray, d: int) -> tuple[float, float]:
    """Lower and upper bound of the dimension; equal if it is determined."""
    k = len(exponents)
    descending = np.sort(exponents)[::-1]
    sums = np.cumsum(descending)
    negative = np.flatnonzero(sums < 0)
    if negative.size:
        j = int(negative[0])
        dimension = j + (float(sums[j - 1] / -descending[j]) if j else 0.0)
        return dimension, dimension
    if k == d:
        return float(d), float(d)
    last = float(descending[-1])
    return float(k), min(float(d), k + float(sums[-1]) / -last) if last < 0 else float(d)
