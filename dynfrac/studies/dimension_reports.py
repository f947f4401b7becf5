"""The dimension of a boundary with all that it takes to judge it: one budget, several opinions.

The headline comes from stratified pairs. Beside it stand a second method, the dimension at every
scale, the shares of runs that were not decided, what doubling the number of steps does, and how
many labels hang on the last bit. All of them share one budget, which is a hard cap.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.analysis.html_tables import (
    html_block,
    html_columns,
    html_entries,
    write_interval,
    write_value,
)
from dynfrac.boundaries.budgets import check_budget, check_seed
from dynfrac.boundaries.diagnostics import Doubling
from dynfrac.boundaries.dimensions import METHODS, PAIRS, STRETCH_TAIL
from dynfrac.boundaries.journals import Journal
from dynfrac.boundaries.oracles import Labels
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.rules import AbstractRule
from dynfrac.studies.agreements import weigh_methods
from dynfrac.studies.dimension_studies import DimensionStudy
from dynfrac.systems.abstract import AbstractMap, unknown_name


@final
@dataclasses.dataclass(frozen=True, eq=False)
class DimensionReport:
    """A boundary dimension and what it hangs on.

    Attributes
    ----------
    headline : Estimate
    referee : str or None
        The other method, a key of `estimates`, if there was one.
    estimates : dict of str to Estimate
        By method; the headline is one of them.
    agreement : str
        A sentence on whether the methods agree, within two combined standard errors.
    local : Curve
        D(scale) over all the scales that were measured, in units of the window.
    undecided : Estimate or None
        Share of the window's runs that stayed bounded and did not converge; None for a function.
    still_stretching : Estimate or None
        Share of the runs that settled whose derivative still grew in the last quarter.
    doubling : Doubling or None
        What doubling the number of steps does.
    ulp_flips : Estimate or None
        Share of the labels next to the boundary that change with the last bit.
    flags : tuple of str
        Doubts beyond those of the headline, and what the budget left no room for.
    axes : tuple of Axis
        The window.
    conditions : dict
        Of the runs; empty for a function.
    runs : dict of str to int
        Runs or labels spent on each part; they add up to at most `budget`.
    budget, seed : int
    n_kept : int
        Answers that came from a journal.
    """

    headline: Estimate
    referee: str | None
    estimates: dict[str, Estimate] = dataclasses.field(repr=False)
    agreement: str
    local: Curve = dataclasses.field(repr=False)
    undecided: Estimate | None = dataclasses.field(repr=False)
    still_stretching: Estimate | None = dataclasses.field(repr=False)
    doubling: Doubling | None = dataclasses.field(repr=False)
    ulp_flips: Estimate | None = dataclasses.field(repr=False)
    flags: tuple[str, ...]
    axes: tuple[Axis, ...]
    conditions: dict[str, Any] = dataclasses.field(repr=False)
    runs: dict[str, int]
    budget: int
    seed: int
    n_kept: int

    def __float__(self) -> float:
        """Return the value of the headline."""
        return self.headline.value

    @property
    def has_value(self) -> bool:
        """Whether the headline is a number."""
        return self.headline.has_value

    def _repr_html_(self) -> str:
        """Return what a notebook shows: every method, what the number hangs on, the doubts."""

        def share(reading: Estimate | None) -> str | None:
            if reading is None or not reading.has_value:
                return None
            return f"{reading.value:.2%}, at 95 % {reading.ci_low:.2%} to {reading.ci_high:.2%}"

        def scales(name: str, reading: Estimate) -> str:
            # The window of stretch-tail is one of thresholds, not of distances.
            if name == STRETCH_TAIL or not reading.has_value:
                return ""
            return " to ".join(f"{end:.2g}" for end in reading.window)

        methods = [
            (
                name,
                write_value(reading.value, reading.stderr),
                write_interval(reading.ci_low, reading.ci_high),
                scales(name, reading),
                reading.n_runs,
            )
            for name, reading in self.estimates.items()
        ]
        entries = {
            "methods": self.agreement.replace("+-", "\N{PLUS-MINUS SIGN}"),
            "runs undecided": share(self.undecided),
            "settled runs still stretching": share(self.still_stretching),
            "labels that change with twice the steps": share(
                None if self.doubling is None else self.doubling.changed
            ),
            "labels that hang on the last bit": share(self.ulp_flips),
            "runs": f"{sum(self.runs.values())}, budget {self.budget}",
            "steps": self.conditions.get("n_steps"),
            "rule": self.conditions.get("rule"),
            "type": self.conditions.get("dtype"),
        }
        window = ", ".join(f"{a.name} {a.low:g} to {a.high:g} ({a.scale})" for a in self.axes)
        return html_block(
            "Dimension of a boundary",
            window,
            html_columns(
                ("method", "D ± standard error", "95 % interval", "scales", "runs"), methods
            ),
            html_entries(entries),
            flags=(*self.headline.flags, *self.flags),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the headline's fields at the top, and the rest beside them, as JSON knows it.

        Without `n_kept`: a resumed run says the same as one that was left alone.
        """

        def plain(reading: Estimate | None) -> dict[str, Any] | None:
            return None if reading is None else reading.to_dict()

        doubling = None
        if self.doubling is not None:
            doubling = {
                "n_steps": [self.doubling.n_steps, 2 * self.doubling.n_steps],
                "changed": plain(self.doubling.changed),
                "change": plain(self.doubling.change),
            }
        headline = self.headline.to_dict()
        return {
            **headline,
            "flags": [*headline["flags"], *self.flags],
            "estimates": {name: plain(reading) for name, reading in self.estimates.items()},
            "referee": self.referee,
            "agreement": self.agreement,
            "local": self.local.to_dict(),
            "undecided": plain(self.undecided),
            "still_stretching": plain(self.still_stretching),
            "doubling": doubling,
            "ulp_flips": plain(self.ulp_flips),
            "axes": [dataclasses.asdict(axis) for axis in self.axes],
            "conditions": dict(self.conditions),
            "runs": dict(self.runs),
            "budget": self.budget,
            "seed": self.seed,
        }


def report_dimension(
    target: AbstractMap | Labels,
    axes: Sequence[Axis],
    *,
    budget: int,
    seed: int = 0,
    n_steps: int | None = None,
    every: int = 1,
    hparams: Mapping[str, float] | None = None,
    rule: str | AbstractRule | None = None,
    dtype: str | None = None,
    lanes: int | None = None,
    method: str = "auto",
    journal: str | os.PathLike[str] | None = None,
    identity: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> DimensionReport:
    """Measure the dimension of a boundary, and how far it can be trusted.

    Parameters
    ----------
    target : AbstractMap or callable
        As in `dynfrac.boundary_dimension`.
    axes : sequence of Axis
        One to three.
    budget : int
        Most runs or labels in all, at least 500. From 8000 on a map has all parts: three quarters
        for the pairs, the rest for the second method, for doubling the steps (a run of twice the
        length counts once) and for the last bit. Below, parts are left out, and `flags` says so.
    seed : int, default 0
        Of all points and of the bootstrap.
    n_steps, every, hparams, rule, dtype, lanes
        Of a map, as in `dynfrac.evaluate`; `n_steps` is required.
    method : {"auto", "pairs", "box-cascade", "transects", "stretch-tail"}
        Any method but the pairs is refereed by the pairs, and gives way to them where the two
        disagree. "auto" is the pairs, with stretch-tail as a second opinion on maps; "pairs" does
        without it.
    journal : path, optional
        A file that keeps every answer as soon as it is there, and answers what it has: the same
        call goes on after a kill, and gives the numbers of a run that was left alone.
    identity : mapping, optional
        What the map was made from, to name differences between the journal and this call by.
    on_progress : callable, optional
        Called with the number of runs or labels used so far, every few seconds.

    Returns
    -------
    DimensionReport

    Raises
    ------
    ValueError
        If the budget is below 500, the method unknown or not for this target, axes and target do
        not fit, or the journal is of another question or in use.

    Notes
    -----
    The dimension is that of the labels after `n_steps` steps in this window over the scales
    fitted; it depends on all three.

    The pairs are those of the uncertainty exponent (`grebogi1983`, `mcdonald1985` in
    docs/references.bib), as `dynfrac.boundary_dimension` draws them.
    """
    budget, seed = check_budget(budget), check_seed(seed)
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if method == STRETCH_TAIL and not isinstance(target, AbstractMap):
        raise ValueError(f"method={method!r} needs a map, whose runs it follows; use 'pairs'")
    if method == STRETCH_TAIL and every != 1:
        raise ValueError(
            f"method={method!r} needs the loss of every step, and every={every}; leave out "
            "every, or epochs, and give the steps"
        )
    study = DimensionStudy(
        target,
        tuple(axes),
        {
            "n_steps": n_steps,
            "hparams": hparams,
            "rule": rule,
            "dtype": dtype,
            "lanes": lanes,
        },
        every,
        budget,
        seed,
        on_progress or (lambda used: None),
    )
    study.check(method)
    with contextlib.ExitStack() as stack:
        if journal is not None:
            study.journal = stack.enter_context(Journal(journal, study.identity(identity, method)))
        found = study.measure(method)
    agreement, first = weigh_methods(found.estimates, PAIRS if method == "auto" else method)
    return DimensionReport(
        headline=found.estimates[first],
        referee=next((name for name in found.estimates if name != first), None),
        estimates=found.estimates,
        agreement=agreement,
        local=found.local,
        undecided=found.undecided,
        still_stretching=found.still_stretching,
        doubling=found.doubling,
        ulp_flips=found.ulp_flips,
        flags=tuple(study.flags),
        axes=study.axes,
        conditions=study.conditions(),
        runs=study.runs,
        budget=study.budget,
        seed=seed,
        n_kept=0 if study.journal is None else study.journal.n_kept,
    )
