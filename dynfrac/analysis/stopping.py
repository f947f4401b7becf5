"""When an average is good enough to stop: a tolerance for the errors of exponents."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import final

import numpy as np

from dynfrac.analysis.verdicts import CORRELATED, average


@final
@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How well exponents are to be known.

    Attributes
    ----------
    atol : float
        In nats per step, not negative.
    rtol : float
        Relative to the absolute exponent, not negative; one of the two is positive.

    Notes
    -----
    The rule is that of LyapunovExponents.jl: every standard error, autocorrelation included, is
    below atol + rtol abs(exponent), and correlations have died out within the lags that the error
    adds up. It is asked after 400 steps; a run whose errors exceed the tolerance by a factor r is
    asked again after 4 r^2 times its present length. Where it is asked, and so where a run
    stops, follows from the increments alone.
    """

    atol: float = 0.0
    rtol: float = 0.0

    def __post_init__(self) -> None:
        """Refuse tolerances that no run or every run meets."""
        for name in ("atol", "rtol"):
            value = getattr(self, name)
            if not (isinstance(value, numbers.Real) and 0 <= float(value) < math.inf):
                raise ValueError(f"{name}={value!r} is out of range; pass a number of at least 0")
        if not self.atol and not self.rtol:
            raise ValueError("atol=0 and rtol=0 stop no run; make one of them positive")

    def excess(self, increments: Sequence[np.ndarray]) -> tuple[float, float]:
        """Measure how far the means of increments are from the tolerance.

        Parameters
        ----------
        increments : sequence of (n, k) float arrays
            Of several orbits; those that stopped early are shorter and left out.

        Returns
        -------
        ratio : float
            Largest standard error of the mean over the orbits, in units of its tolerance.
            Exponents of minus infinity have none and do not count.
        tail : float
            Mean over the orbits of `Averages.tail`.
        """
        length = max(map(len, increments))
        averages = [average(rows) for rows in increments if len(rows) == length]
        values = np.mean([a.exponents for a in averages], axis=0)
        squares = np.sum([a.stderr**2 for a in averages], axis=0)
        known = np.isfinite(values)
        errors = np.sqrt(squares[known]) / len(averages)
        ratios = errors / (self.atol + self.rtol * np.abs(values[known]))
        return float(np.max(ratios, initial=0.0)), float(np.mean([a.tail for a in averages]))

    def next_check(self, increments: Sequence[np.ndarray]) -> int:
        """Return 0 if the tolerance is met, else the number of steps at which to ask again."""
        ratio, tail = self.excess(increments)
        if ratio < 1 and tail < CORRELATED:
            return 0
        # Where only correlations are in the way, twice the length shows whether they die out.
        factor = max(2.0, 4 * ratio**2)
        return math.ceil(factor * max(map(len, increments))) if factor < 1e12 else 2**62
