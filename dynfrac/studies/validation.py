"""Validation: every estimator against systems whose answer is known."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import jax

from dynfrac.studies.measurements import MEASUREMENTS
from dynfrac.studies.reference_table import Case, Known, known_values
from dynfrac.systems.abstract import unknown_name
from dynfrac.systems.provenance import git_state, versions

SIGMAS = 4.0
"""A value may be this many standard errors from the reference if that exceeds the tolerance..."""
WIDEST = 2.0
"""...but its standard error must not exceed this many tolerances, so that none passes by size."""

ROUNDING = 1e-11
"""Standard errors below this say how numbers round, and a deviation is not measured in them."""


@final
@dataclasses.dataclass(frozen=True)
class Row:
    """One known value and what was measured.

    Attributes
    ----------
    case : str
        The system in words.
    known : Known
    estimate : float
        Not-a-number if there is none.
    stderr : float
        0 where the number is exact up to rounding, such as a count or an identity.
    note : str
        Why there is no estimate; empty if there is one.
    """

    case: str
    known: Known
    estimate: float
    stderr: float
    note: str = ""

    @property
    def deviation(self) -> float:
        """Estimate minus reference."""
        return self.estimate - self.known.reference

    @property
    def sigmas(self) -> float:
        """Deviation in standard errors; not-a-number where these are nothing but rounding."""
        return self.deviation / self.stderr if self.stderr > ROUNDING else math.nan

    @property
    def passed(self) -> bool:
        """Whether the estimate is right, and its error small enough to say so."""
        tolerance = self.known.tolerance
        near = abs(self.deviation) <= max(tolerance, SIGMAS * self.stderr)
        return near and self.stderr <= WIDEST * tolerance

    def to_dict(self) -> dict[str, Any]:
        """Return what a program wants to know of the row."""
        return {
            "id": self.known.id,
            "system": self.case,
            "quantity": self.known.quantity,
            "reference": self.known.reference,
            "estimate": self.estimate,
            "stderr": self.stderr,
            "tolerance": self.known.tolerance,
            "sigmas": self.sigmas,
            "known": self.known.known,
            "source": self.known.source,
            "passed": self.passed,
            "note": self.note,
        }


@final
@dataclasses.dataclass(frozen=True)
class Validation:
    """The table of known values with what was measured.

    Attributes
    ----------
    rows : tuple of Row
    seconds : mapping of str to float
        Time that each case took.
    conditions : dict
        Seed, device and versions.
    """

    rows: tuple[Row, ...]
    seconds: Mapping[str, float]
    conditions: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every row is inside its tolerance."""
        return all(row.passed for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the rows and whether all of them passed."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "passed": self.passed,
            "seconds": dict(self.seconds),
            "conditions": self.conditions,
        }


def choose_cases(*, quick: bool = False, only: Sequence[str] = ()) -> tuple[Case, ...]:
    """Select from the table of known values.

    Parameters
    ----------
    quick : bool
        Only the cases that take a few seconds at most.
    only : sequence of str
        Names of cases; all of them if empty. A case that is named need not be quick.

    Raises
    ------
    ValueError
        If there is no case of a name.
    """
    cases = {case.name: case for case in known_values()}
    for name in only:
        if name not in cases:
            raise unknown_name("case", name, cases)
    if only:
        return tuple(case for case in cases.values() if case.name in only)
    return tuple(case for case in cases.values() if case.quick or not quick)


def validate(
    *,
    quick: bool = False,
    only: Sequence[str] = (),
    seed: int = 0,
    on_progress: Callable[[Case], None] | None = None,
) -> Validation:
    """Measure every known value, and say which are met.

    Parameters
    ----------
    quick : bool
        Only the cases that take a few seconds at most: less than a minute in all.
    only : sequence of str
        Names of cases to run; all of them if empty.
    seed : int, default 0
        Of initial tangents, bootstraps and random samples.
    on_progress : callable, optional
        Called with each case when it is done.

    Returns
    -------
    Validation
        A row passes if the estimate is within its tolerance of the reference, or within four
        standard errors if that is more, and the standard error is at most twice the tolerance.

    Raises
    ------
    ValueError
        If there is no case of a name in `only`.

    Notes
    -----
    A measurement that fails does not stop the others: its rows have no estimate, and the reason in
    `note`.

    Examples
    --------
    >>> table = validate(only=["kaplan-yorke-formula"])
    >>> table.passed
    True
    """
    rows: list[Row] = []
    seconds = {}
    for case in choose_cases(quick=quick, only=only):
        start = time.perf_counter()
        rows += _run(case, seed)
        seconds[case.name] = time.perf_counter() - start
        if on_progress is not None:
            on_progress(case)
    conditions = {
        "seed": seed,
        "device": jax.devices()[0].device_kind,
        "versions": versions(("dynfrac", "jax", "jaxlib", "numpy", "scipy")),
        "git": git_state(),
    }
    return Validation(tuple(rows), seconds, conditions)


def _run(case: Case, seed: int) -> list[Row]:
    quantities = tuple(row.quantity for row in case.rows)
    try:
        readings = MEASUREMENTS[case.measure](quantities, seed, **case.given)
    except Exception as error:  # whatever it is, the other rows are still of interest
        reason = f"{type(error).__name__}: {error}"
        return [Row(case.title, known, math.nan, math.nan, reason) for known in case.rows]
    return [Row(case.title, known, *readings[known.quantity]) for known in case.rows]
