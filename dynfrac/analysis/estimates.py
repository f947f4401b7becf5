"""The record that every estimator returns: a number with its error, its scales and its curve.

No function of the package returns a bare dimension or exponent. What an estimator could not
establish is said in `flags`, in plain sentences; what it could not estimate at all is not-a-number.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, final

import numpy as np

from dynfrac.analysis.html_tables import html_block, html_entries, write_interval, write_value

Z95 = 1.959963984540054
"""Half-width of a 95 % normal interval in standard deviations."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """What was measured at each scale: all of it, not only what was fitted.

    Attributes
    ----------
    x : (S,) float array
        Scales, ascending, in the unit that the estimator names.
    y : (S,) float array
        The quantity counted or averaged at each scale.
    stderr : (S,) float array
        Standard error of `y`; not-a-number where there is none.
    """

    x: np.ndarray
    y: np.ndarray
    stderr: np.ndarray

    def __post_init__(self) -> None:
        """Store read-only float64 copies of equal length."""
        for field in dataclasses.fields(self):
            values = np.array(getattr(self, field.name), dtype=np.float64)
            if values.ndim != 1 or len(values) != len(self.x):
                raise ValueError(
                    f"Curve.{field.name} has shape {values.shape}; pass 1-D arrays of one length"
                )
            values.flags.writeable = False
            object.__setattr__(self, field.name, values)

    def __len__(self) -> int:
        """Return the number of scales."""
        return len(self.x)

    def to_dict(self) -> dict[str, list[float | None]]:
        """Return lists of numbers, with None for what is not finite."""
        return {
            field.name: [_finite_or_none(value) for value in getattr(self, field.name)]
            for field in dataclasses.fields(self)
        }

    @classmethod
    def empty(cls) -> Curve:
        """Return a curve without a single scale."""
        return cls(np.empty(0), np.empty(0), np.empty(0))


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """A number, how far it can be trusted, and what it rests on.

    Attributes
    ----------
    value : float
        Not-a-number, with a flag that says why, when there is none. `float(estimate)` is this.
    stderr : float
        Standard error, of everything that the method knows how to vary.
    ci_low, ci_high : float
        Ends of the 95 % interval.
    method : str
        Name of the estimator.
    n_runs : int
        Runs, labels, pixels or points that went in.
    window : tuple of two floats
        Smallest and largest scale fitted, in the unit of `curve.x`.
    curve : Curve
        What was measured at every scale.
    flags : tuple of str
        Plain sentences about doubts, such as "fit covers less than two octaves".
    """

    value: float
    stderr: float
    ci_low: float
    ci_high: float
    method: str
    n_runs: int
    window: tuple[float, float]
    curve: Curve = dataclasses.field(repr=False)
    flags: tuple[str, ...] = ()

    def __float__(self) -> float:
        """Return the value."""
        return self.value

    @property
    def has_value(self) -> bool:
        """Whether there is a number."""
        return math.isfinite(self.value)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the number, its interval and what it rests on."""
        low, high = self.window
        name = "value ± standard error" if math.isfinite(self.stderr) else "value"
        entries = {
            name: write_value(self.value, self.stderr),
            "95 % interval": write_interval(self.ci_low, self.ci_high),
            "runs or points": self.n_runs,
            "scales fitted": f"{low:.3g} to {high:.3g}" if math.isfinite(low) else "",
            "scales measured": len(self.curve) or "",
        }
        return html_block("Estimate", self.method, html_entries(entries), flags=self.flags)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON knows them: numbers that are not finite become None.

        Examples
        --------
        >>> Estimate.missing("box", 64, ["one label only"]).to_dict()["value"] is None
        True
        """
        return {
            "value": _finite_or_none(self.value),
            "stderr": _finite_or_none(self.stderr),
            "ci_low": _finite_or_none(self.ci_low),
            "ci_high": _finite_or_none(self.ci_high),
            "method": self.method,
            "n_runs": int(self.n_runs),
            "window": [_finite_or_none(end) for end in self.window],
            "curve": self.curve.to_dict(),
            "flags": list(self.flags),
        }

    @classmethod
    def missing(
        cls, method: str, n_runs: int, flags: Iterable[str], curve: Curve | None = None
    ) -> Estimate:
        """Return the estimate that says there is none.

        Parameters
        ----------
        method : str
            Name of the estimator.
        n_runs : int
            What went in all the same.
        flags : iterable of str
            Why there is no value; at least one sentence.
        curve : Curve, optional
            What was measured before it turned out not to be enough.

        Returns
        -------
        Estimate
            With not-a-number for value, errors and window.

        Raises
        ------
        ValueError
            If no reason is given.
        """
        reasons = tuple(flags)
        if not reasons:
            raise ValueError("flags=() gives no reason for a missing value; pass a sentence")
        nan = math.nan
        curve = Curve.empty() if curve is None else curve
        return cls(nan, nan, nan, nan, method, n_runs, (nan, nan), curve, reasons)


def interval_95(
    value: float, stderr: float, *, lowest: float = -math.inf, highest: float = math.inf
) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a normal error, within what is possible.

    Parameters
    ----------
    value, stderr : float
    lowest, highest : float
        No true value lies outside. An estimate may: then both ends are the bound next to it.

    Returns
    -------
    ci_low, ci_high : float

    Examples
    --------
    >>> interval_95(1.0, 0.0, highest=0.5)
    (0.5, 0.5)
    """
    low, high = (min(max(value + end * stderr, lowest), highest) for end in (-Z95, Z95))
    return low, high


def _finite_or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
