"""Kaplan-Yorke (Lyapunov) dimension, from all exponents or from the leading ones."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from dynfrac.analysis.estimates import Z95

N_RESAMPLES = 1000
"""Bootstrap resamples behind the interval."""

MOST_BLOCKS = 1000
"""More than these, of several long orbits, cost time and add nothing."""

LEAST_BLOCKS = 16
"""Fewer blocks than this say too little about their scatter."""


@final
@dataclasses.dataclass(frozen=True)
class KaplanYorke:
    """A Kaplan-Yorke dimension, or the interval that is known of it.

    Attributes
    ----------
    value : float
        NaN if the exponents given only bound it.
    low, high : float
        Bounds. Where `value` is a number and errors were given, its 95 % interval; without errors
        both equal `value`.
    stderr : float
        Standard error of `value`; NaN where it is not known.
    flags : tuple of str
        What to know before quoting it.
    """

    value: float
    low: float
    high: float
    stderr: float = math.nan
    flags: tuple[str, ...] = ()

    def __float__(self) -> float:
        """Return `value`."""
        return self.value


def kaplan_yorke_dimension(
    exponents: ArrayLike,
    d_total: int | None = None,
    stderr: ArrayLike | None = None,
    *,
    increments: Sequence[np.ndarray] | None = None,
    total: float | None = None,
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
    increments : sequence of (n, k) float arrays, optional
        The growth rates step by step whose means the exponents are, one array for each orbit. Used
        in place of `stderr` if there are enough of them.
    total : float, optional
        Sum of all d exponents, where it is known beforehand. Only used if k < d.

    Returns
    -------
    KaplanYorke
        With S_j the sum of the j largest exponents and j* the last j with S_j >= 0, the value is
        j* + S_{j*} / abs(l_{j*+1}); 0 if every exponent is negative; d if no partial sum of the
        full spectrum is negative. If only k < d exponents are known and none of their partial sums
        is negative, the value is NaN, `low` is k, and `high` is d, or min(d, k + S_k / abs(l_k))
        if l_k < 0, because no later exponent exceeds l_k. A negative `total` raises `low` to
        k + S_k (d - k) / (S_k - total), because S_j is concave; if it is not negative, the value
        is d.

    Raises
    ------
    ValueError
        If there are no exponents, more than `d_total`, or errors or increments of another length.

    Notes
    -----
    *From increments*: they are cut into blocks of sqrt(n) steps or more, within which they may be
    correlated with each other and over time, and 1000 times as many blocks are drawn anew as there
    are. The standard error is the scatter of the dimension over these resamples, the interval
    covers 95 % of them. A flag says if they fall between different integers.

    *From standard errors*: the value never decreases when an exponent grows, so its interval is
    found by moving all exponents by 1.96 standard errors at once, down and up. That covers every
    correlation of their errors and is wider than needed when errors cancel, as they do for maps of
    constant Jacobian.

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
    for rows in increments or ():
        if np.ndim(rows) != 2 or np.shape(rows)[1] != k:
            raise ValueError(f"increments has shape {np.shape(rows)}; pass arrays (n, {k})")
    if np.any(np.isnan(values)) or np.any(values == np.inf):
        reason = "an exponent is not a number, so the Kaplan-Yorke dimension is unknown"
        return KaplanYorke(math.nan, math.nan, math.nan, flags=(reason,))

    low, high = _bounds(values, d, total)
    value = low if low == high else math.nan
    flags = []
    if math.isnan(value):
        flags.append(
            f"{k} of {d} exponents are known and their sums never turn negative: the "
            f"Kaplan-Yorke dimension is only bounded"
        )
    elif np.all(values < 0):
        flags.append("all exponents are negative: the Kaplan-Yorke dimension is trivially 0")
    samples = _resampled(increments or (), values)
    if len(samples):
        ends = np.array([_bounds(sample, d, total) for sample in samples])
        # Resamples scatter around the value; where it sits on an edge, they may all lie beside it.
        low_end = min(low, float(np.quantile(ends[:, 0], 0.025)))
        high_end = max(high, float(np.quantile(ends[:, 1], 0.975)))
        spread = math.nan if math.isnan(value) else float(np.std(ends[:, 0]))
    else:
        if np.any(np.isnan(errors)):
            flags.append("some standard errors are unknown and were taken as 0 in the interval")
            errors = np.nan_to_num(errors)
        low_end, _ = _bounds(values - Z95 * errors, d, total)
        _, high_end = _bounds(values + Z95 * errors, d, total)
        # Half of the interval, which allows for every correlation: at least the standard error.
        spread = math.nan if stderr is None else (high_end - low_end) / (2 * Z95)
    if math.floor(low_end) != math.floor(high_end) and not math.isnan(value) and 0 < value < d:
        flags.append("within the errors the dimension may lie between other integers")
    return KaplanYorke(
        value, low_end, high_end, math.nan if math.isnan(value) else spread, tuple(flags)
    )


def _resampled(increments: Sequence[np.ndarray], values: np.ndarray) -> np.ndarray:
    """Return (N_RESAMPLES, k) exponents from resampled blocks, or none if there are too few."""
    blocks = []
    n_rows = sum(map(len, increments))
    for rows in increments:
        length = max(math.isqrt(len(rows)), n_rows // MOST_BLOCKS)
        count = len(rows) // length if length else 0
        if count > 0:
            blocks.append(rows[: count * length].reshape(count, length, -1).mean(axis=1))
    means = np.concatenate(blocks) if blocks else np.empty((0, len(values)))
    n = len(means)
    if n < LEAST_BLOCKS or not np.all(np.isfinite(means)):
        return np.empty((0, len(values)))
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
    # Around the exponents themselves: the blocks leave out a few steps at the end.
    return values + (counts @ means / n - means.mean(axis=0))


def _bounds(exponents: np.ndarray, d: int, total: float | None = None) -> tuple[float, float]:
    """Lower and upper bound of the dimension; equal if it is determined."""
    k = len(exponents)
    descending = np.sort(exponents)[::-1]
    sums = np.cumsum(descending)
    negative = np.flatnonzero(sums < 0)
    if negative.size:
        j = int(negative[0])
        dimension = j + (float(sums[j - 1] / -descending[j]) if j else 0.0)
        return dimension, dimension
    if k == d or (total is not None and total >= 0):
        return float(d), float(d)
    last, partial = float(descending[-1]), float(sums[-1])
    high = min(float(d), k + partial / -last) if last < 0 else float(d)
    low = k if total is None else k + partial * (d - k) / (partial - total) if partial else k
    return min(float(low), high), high
