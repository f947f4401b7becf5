"""The parts of a dimension report, measured one after the other.

All of them ask oracles of the same target in the same window, keep their answers in one journal,
and add up to one budget.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.boundaries.diagnostics import (
    Doubling,
    double_steps,
    points_near,
    share_estimate,
    ulp_flips,
    undecided_share,
)
from dynfrac.boundaries.dimensions import PAIRS, ROUTES, STRETCH_TAIL
from dynfrac.boundaries.journals import Journal
from dynfrac.boundaries.oracles import Labels, Oracle
from dynfrac.boundaries.pair_fits import dimension_estimate, resample, scale_dimensions
from dynfrac.boundaries.pairs import Pairs, draw_pairs
from dynfrac.boundaries.stretch_tails import stretch_tail
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.sensitivities import check_sensitive
from dynfrac.studies.agreements import AGREE
from dynfrac.studies.dimension_budgets import DOUBLING, LAST_BIT, divide_budget, why_not_doubled
from dynfrac.sweeps.fingerprints import fingerprint
from dynfrac.systems.abstract import AbstractMap, resolve_hparams
from dynfrac.systems.provenance import versions

_UNDECIDED = 0.05
"""Share of runs from which on it is a doubt."""
_BINDING = ("jax", "jaxlib", "numpy")
"""Packages whose other versions may round, or draw, differently."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Findings:
    """What the parts found; fields are those of a report."""

    estimates: dict[str, Estimate]
    local: Curve
    undecided: Estimate | None
    still_stretching: Estimate | None
    doubling: Doubling | None
    ulp_flips: Estimate | None


@final
class DimensionStudy:
    """The parts of a report, which share one budget and one journal.

    Parameters
    ----------
    target, axes, every, budget, seed, on_progress
        As of `report_dimension`.
    options : mapping
        Its `n_steps`, `hparams`, `rule`, `dtype` and `lanes`.

    Attributes
    ----------
    journal : Journal or None
        To be set before anything is measured.
    runs : dict of str to int
        Runs or labels spent so far, by part.
    flags : list of str
        Doubts so far.

    Raises
    ------
    ValueError
        If axes or options do not fit the target.
    """

    def __init__(
        self,
        target: AbstractMap | Labels,
        axes: tuple[Axis, ...],
        options: Mapping[str, Any],
        every: int,
        budget: int,
        seed: int,
        on_progress: Callable[[int], None],
    ) -> None:
        self.target = target
        self.axes = axes
        self.options = dict(options)
        self.every = every
        self.budget = budget
        self.seed = seed
        self.on_progress = on_progress
        self.journal: Journal | None = None
        self.runs: dict[str, int] = {}
        self.flags: list[str] = []
        # What is wrong with axes or options must be said before a journal is made.
        self._probe = self._oracle(0)
        self._no_second = ""

    def check(self, method: str) -> None:
        """Find out whether runs can carry a derivative, before any of them is spent."""
        if method not in ("auto", STRETCH_TAIL) or not isinstance(self.target, AbstractMap):
            return
        if self.every != 1:
            self._no_second = f"{STRETCH_TAIL} needs the loss of every step"
            return
        rule, dtype = self.options["rule"], self.options["dtype"]
        names = [axis.name for axis in self.axes]
        try:
            check_sensitive(self.target, names, rule=rule, dtype=dtype)
        except ValueError as error:
            if method == STRETCH_TAIL:
                raise
            self._no_second = f"{STRETCH_TAIL} does not apply ({error})"

    def identity(self, given: Mapping[str, Any] | None, method: str) -> dict[str, Any]:
        """Return all that the answers depend on, in the order in which a reader would ask."""
        target = self.target
        own: dict[str, Any] = {}
        if isinstance(target, AbstractMap):
            own["hparams"] = _numbers(self.options["hparams"] or {})
            rule = self.options["rule"]
            own["fingerprint"] = fingerprint((target, rule if not isinstance(rule, str) else None))
            name: Any = type(target).__qualname__
        else:
            kind = target if hasattr(target, "__qualname__") else type(target)
            name = f"{kind.__module__}:{getattr(kind, '__qualname__', '')}"
        return {
            "target": given if given is not None else name,
            "axes": [dataclasses.asdict(axis) for axis in self.axes],
            **self._probe.conditions,
            **own,
            "method": method,
            "budget": self.budget,
            "seed": self.seed,
            "versions": versions(_BINDING),
        }

    def conditions(self) -> dict[str, Any]:
        """Return the conditions of the runs, with the hyperparameters that no axis moves."""
        if not isinstance(self.target, AbstractMap):
            return {}
        values = resolve_hparams(self.target, self.options["hparams"])
        fixed = {n: v for n, v in values.items() if n not in {axis.name for axis in self.axes}}
        return {**self._probe.conditions, "hparams": _numbers(fixed)}

    def measure(self, method: str) -> Findings:
        """Measure everything that the budget is for."""
        is_map = self._probe.is_map
        division = divide_budget(
            self.budget,
            method,
            is_map=is_map,
            no_second=self._no_second,
            not_doubled=why_not_doubled(self.target, self.options["n_steps"]) if is_map else "",
        )
        self.flags.extend(division.flags)
        shares, second = division.runs, division.second
        estimates: dict[str, Estimate] = {}
        local, undecided, flips, doubling, stretching = Curve.empty(), None, None, None, None
        if PAIRS in shares:
            oracle = self._oracle(shares[PAIRS], keep=True)
            pairs = draw_pairs(oracle, seed=self.seed)
            self.runs[PAIRS] = oracle.used
            drawn = {"seed": self.seed, "resampled": resample(pairs, seed=self.seed)}
            estimate = estimates[PAIRS] = dimension_estimate(pairs, **drawn)
            local = scale_dimensions(pairs, **drawn)
            if oracle.is_map:
                undecided = undecided_share(oracle.asked[0])
                self._doubt_undecided(undecided)
            self._doubt_isolated(pairs, oracle)
            if LAST_BIT in shares:
                flips = self._ask_last_bit(pairs, oracle, estimate, shares[LAST_BIT])
            if DOUBLING in shares:
                doubling = self._ask_doubled(pairs, oracle, estimate, shares[DOUBLING])
        if second == STRETCH_TAIL and method == "auto" and not estimates[PAIRS].has_value:
            self.flags.append(f"{STRETCH_TAIL} was not tried where pairs give no value")
        elif second == STRETCH_TAIL:
            stretching = self._ask_stretch_tail(estimates, shares[STRETCH_TAIL])
        elif second is not None:
            oracle = self._oracle(shares[second])
            estimates[second] = ROUTES[second](oracle, seed=self.seed)
            self.runs[second] = oracle.used
        return Findings(estimates, local, undecided, stretching, doubling, flips)

    def _oracle(self, budget: int, *, twice: bool = False, **options: Any) -> Oracle:
        """Return an oracle for one part of the report."""
        given = dict(self.options)
        if twice:
            given["n_steps"] *= 2
        return Oracle(
            self.target,
            self.axes,
            budget=budget,
            every=self.every,
            journal=self.journal,
            on_progress=self._count(),
            **given,
            **options,
        )

    def _count(self) -> Callable[[int], None]:
        """Return what a part calls with the number of its own runs."""
        before = sum(self.runs.values())
        return lambda used: self.on_progress(before + used)

    def _doubt_undecided(self, undecided: Estimate) -> None:
        if undecided.value > _UNDECIDED:
            self.flags.append(
                f"{undecided.value:.0%} of the runs were undecided after "
                f"{self.options['n_steps']} steps: neither converged nor escaped"
            )

    def _doubt_isolated(self, pairs: Pairs, oracle: Oracle) -> None:
        labels = oracle.labels_of(np.concatenate([request.answers for request in oracle.asked]))
        kinds, counts = np.unique(labels, return_counts=True)
        if len(kinds) > 1 and not any(part.hits.any() for part in pairs.rounds):
            odd = len(labels) - counts.max()
            self.flags.append(
                f"{odd} of {len(labels)} points {'has' if odd == 1 else 'have'} another label "
                "and no pair of neighbours disagrees: what stands there is an isolated point, or "
                "too small to be measured"
            )

    def _ask_last_bit(
        self, pairs: Pairs, oracle: Oracle, estimate: Estimate, budget: int
    ) -> Estimate | None:
        near = points_near(pairs, oracle.asked, oracle, budget)
        if not len(near.labels):
            self.flags.append("no point next to a boundary is known, so that no last bit was tried")
            return None
        nudged = self._oracle(budget, nudge=True)
        flips = ulp_flips(near, nudged, estimate)
        self.runs[LAST_BIT] = nudged.used
        self.flags.extend(flips.flags)
        return flips

    def _ask_doubled(
        self, pairs: Pairs, oracle: Oracle, estimate: Estimate, budget: int
    ) -> Doubling | None:
        if not estimate.has_value:
            self.flags.append("without a dimension, doubling the steps was not tried")
            return None
        doubled = self._oracle(budget, twice=True)
        n_steps = self.options["n_steps"]
        found = double_steps(
            pairs, oracle.asked, doubled, estimate, n_steps=n_steps, seed=self.seed
        )
        self.runs[DOUBLING] = doubled.used
        change = found.change
        if not change.has_value:
            self.flags.extend(f"doubling the steps: {flag}" for flag in change.flags)
        elif abs(change.value) > AGREE * change.stderr:
            self.flags.append(
                f"the dimension changes by {change.value:+.3f} +- {change.stderr:.3f} when runs "
                f"have {2 * n_steps} steps and not {n_steps}"
            )
        return found

    def _ask_stretch_tail(self, estimates: dict[str, Estimate], budget: int) -> Estimate | None:
        assert isinstance(self.target, AbstractMap)
        tail = stretch_tail(
            self.target,
            self.axes,
            budget=budget,
            seed=self.seed,
            journal=self.journal,
            on_progress=self._count(),
            **self.options,
        )
        estimates[STRETCH_TAIL] = tail.estimate
        self.runs[STRETCH_TAIL] = tail.estimate.n_runs
        if not tail.n_settled:
            return None
        n_late = tail.still_stretching * tail.n_settled
        return share_estimate(n_late, tail.n_settled, "runs that settled")


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyperparameters as JSON knows them; None stands for those that follow another one."""
    plain = {name: np.asarray(value).tolist() for name, value in values.items()}
    return {name: value if math.isfinite(value) else None for name, value in plain.items()}
