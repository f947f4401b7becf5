"""The dimension of a boundary with all that it takes to judge it: one budget, several opinions.

The headline comes from stratified pairs. Beside it stand a second method, the dimension at every
scale, the shares of runs that were not decided, what doubling the number of steps does, and how
many labels hang on the last bit. All of them share one budget, which is a hard cap.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.boundaries.diagnostics import (
    ULP_POINTS,
    Doubling,
    double_steps,
    points_near,
    share_estimate,
    ulp_flips,
    undecided_share,
)
from dynfrac.boundaries.dimensions import LEAST_BUDGET, METHODS, PAIRS, ROUTES, STRETCH_TAIL
from dynfrac.boundaries.journals import Answers, Journal, answer_in_slices
from dynfrac.boundaries.oracles import Labels, Oracle, run_pace
from dynfrac.boundaries.pair_fits import dimension_estimate, scale_dimensions
from dynfrac.boundaries.pairs import Pairs, draw_pairs
from dynfrac.boundaries.stretch_tails import StretchTail, draw_directions, tail_dimension
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.rules import AbstractRule
from dynfrac.orbits.sensitivities import Stretches, check_sensitive, stretch_runs
from dynfrac.sweeps.fingerprints import fingerprint
from dynfrac.systems.abstract import AbstractMap, resolve_hparams, unknown_name
from dynfrac.systems.provenance import versions

_SHARES = {STRETCH_TAIL: 0.15, "doubling": 0.06, "last bit": 0.04}
"""Of a budget that is large enough for all parts; the pairs have what is left."""
_FOR_ALL, _FOR_TWO = 8000, 2000
"""Budgets from which on there are all parts, or pairs and the last bit."""
_OPINION = 0.45
"""Share of a method that was asked for; its referee has as much."""
_UNDECIDED = 0.05
"""Share of runs from which on it is a doubt."""
_STRETCHES = ("status", "t_escape", "largest", "final", "grown_at")
_AGREE = 2.0
"""Combined standard errors within which two methods agree."""
_BINDING = ("jax", "jaxlib", "numpy")
"""Packages whose other versions may round, or draw, differently."""


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
    estimates: dict[str, Estimate]
    agreement: str
    local: Curve
    undecided: Estimate | None
    still_stretching: Estimate | None
    doubling: Doubling | None
    ulp_flips: Estimate | None
    flags: tuple[str, ...]
    axes: tuple[Axis, ...]
    conditions: dict[str, Any]
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
    """
    if isinstance(budget, bool) or budget != int(budget) or budget < LEAST_BUDGET:
        raise ValueError(f"budget={budget} is too small; pass a whole number of at least 500")
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if method == STRETCH_TAIL and not isinstance(target, AbstractMap):
        raise ValueError(f"method={method!r} needs a map, whose runs it follows; use 'pairs'")
    if method == STRETCH_TAIL and every != 1:
        raise ValueError(f"method={method!r} needs the loss of every step; leave out every")
    study = _Study(
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
        int(budget),
        seed,
        on_progress or (lambda used: None),
    )
    study.check(method)
    with contextlib.ExitStack() as stack:
        if journal is not None:
            study.journal = stack.enter_context(Journal(journal, study.identity(identity, method)))
        return study.report(method)


@final
class _Study:
    """The parts of a report, which share one budget and one journal."""

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
        self.probe = self.oracle(0)
        self.no_second = ""

    def oracle(self, budget: int, *, twice: bool = False, **options: Any) -> Oracle:
        """Return an oracle for one part of the report."""
        before = sum(self.runs.values())
        given = dict(self.options)
        if twice:
            given["n_steps"] *= 2
        return Oracle(
            self.target,
            self.axes,
            budget=budget,
            every=self.every,
            journal=self.journal,
            on_progress=lambda used: self.on_progress(before + used),
            **given,
            **options,
        )

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
            **self.probe.conditions,
            **own,
            "method": method,
            "budget": self.budget,
            "seed": self.seed,
            "versions": versions(_BINDING),
        }

    def report(self, method: str) -> DimensionReport:
        """Measure everything that the budget is for."""
        second, shares = self._plan(method)
        pairs: Pairs | None = None
        estimates: dict[str, Estimate] = {}
        local, undecided, flips, doubling, stretching = Curve.empty(), None, None, None, None
        if PAIRS in shares:
            oracle = self.oracle(shares[PAIRS], keep=True)
            pairs = draw_pairs(oracle, seed=self.seed)
            self.runs[PAIRS] = oracle.used
            headline = estimates[PAIRS] = dimension_estimate(pairs, seed=self.seed)
            local = scale_dimensions(pairs, seed=self.seed)
            if oracle.is_map:
                undecided = undecided_share(oracle.asked[0])
                self._doubt_undecided(undecided)
            self._doubt_isolated(pairs, oracle)
            if "last bit" in shares:
                flips = self._ask_last_bit(pairs, oracle, headline, shares["last bit"])
            if "doubling" in shares:
                doubling = self._ask_doubled(pairs, oracle, headline, shares["doubling"])
        if second == STRETCH_TAIL and method == "auto" and not estimates[PAIRS].has_value:
            self.flags.append(f"{STRETCH_TAIL} was not tried where pairs give no value")
        elif second == STRETCH_TAIL:
            stretching = self._ask_stretch_tail(estimates, shares[STRETCH_TAIL])
        elif second is not None:
            oracle = self.oracle(shares[second])
            estimates[second] = ROUTES[second](oracle, seed=self.seed)
            self.runs[second] = oracle.used
        first = PAIRS if method == "auto" else method
        agreement, first = _compare(estimates, first)
        referee = next((name for name in estimates if name != first), None)
        return DimensionReport(
            headline=estimates[first],
            referee=referee,
            estimates=estimates,
            agreement=agreement,
            local=local,
            undecided=undecided,
            still_stretching=stretching,
            doubling=doubling,
            ulp_flips=flips,
            flags=tuple(self.flags),
            axes=self.axes,
            conditions=self._conditions(),
            runs=self.runs,
            budget=self.budget,
            seed=self.seed,
            n_kept=0 if self.journal is None else self.journal.n_kept,
        )

    def _conditions(self) -> dict[str, Any]:
        if not isinstance(self.target, AbstractMap):
            return {}
        values = resolve_hparams(self.target, self.options["hparams"])
        fixed = {n: v for n, v in values.items() if n not in {axis.name for axis in self.axes}}
        return {**self.probe.conditions, "hparams": _numbers(fixed)}

    def check(self, method: str) -> None:
        """Find out whether runs can carry a derivative, before any of them is spent."""
        if method not in ("auto", STRETCH_TAIL) or not isinstance(self.target, AbstractMap):
            return
        if self.every != 1:
            self.no_second = f"{STRETCH_TAIL} needs the loss of every step"
            return
        rule, dtype = self.options["rule"], self.options["dtype"]
        names = [axis.name for axis in self.axes]
        try:
            check_sensitive(self.target, names, rule=rule, dtype=dtype)
        except ValueError as error:
            if method == STRETCH_TAIL:
                raise
            self.no_second = f"{STRETCH_TAIL} does not apply ({error})"

    def _plan(self, method: str) -> tuple[str | None, dict[str, int]]:
        """Return the second method, and the budget of every part."""
        budget, is_map = self.budget, self.probe.is_map
        second = STRETCH_TAIL if method == "auto" else None if method == PAIRS else method
        if method == "auto" and (not is_map or self.no_second):
            second = None
            if self.no_second:
                self.flags.append(f"no second method: {self.no_second}")
        left_out: list[str] = []
        shares: dict[str, int] = {}
        if method in ("auto", PAIRS):
            if second and budget >= _FOR_ALL:
                shares[second] = int(_SHARES[STRETCH_TAIL] * budget)
            elif second:
                left_out.append("a second method")
                second = None
        elif budget < 2 * LEAST_BUDGET:
            self.flags.append(
                f"a budget of {budget} has no room for the pairs that would referee this"
            )
            return second, {str(second): budget}
        else:
            shares[str(second)] = max(LEAST_BUDGET, int(_OPINION * budget))
        if budget >= _FOR_TWO:
            shares["last bit"] = min(int(_SHARES["last bit"] * budget), ULP_POINTS)
        else:
            left_out.append("the last bit")
        if is_map and budget >= _FOR_ALL:
            shares["doubling"] = int(_SHARES["doubling"] * budget)
            reason = _why_not_doubled(self.target, self.options["n_steps"])
            if reason:
                del shares["doubling"]
                self.flags.append(f"doubling the steps was not tried: {reason}")
        elif is_map:
            left_out.append("doubling the steps")
        if left_out:
            self.flags.append(
                f"a budget of {budget} has no room for {_listed(left_out)}: not measured"
            )
        return second, {**shares, PAIRS: budget - sum(shares.values())}

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
        nudged = self.oracle(budget, nudge=True)
        flips = ulp_flips(near, nudged, estimate)
        self.runs["last bit"] = nudged.used
        self.flags.extend(flips.flags)
        return flips

    def _ask_doubled(
        self, pairs: Pairs, oracle: Oracle, estimate: Estimate, budget: int
    ) -> Doubling | None:
        if not estimate.has_value:
            self.flags.append("without a dimension, doubling the steps was not tried")
            return None
        doubled = self.oracle(budget, twice=True)
        n_steps = self.options["n_steps"]
        found = double_steps(
            pairs, oracle.asked, doubled, estimate, n_steps=n_steps, seed=self.seed
        )
        self.runs["doubling"] = doubled.used
        change = found.change
        if not change.has_value:
            self.flags.extend(f"doubling the steps: {flag}" for flag in change.flags)
        elif abs(change.value) > _AGREE * change.stderr:
            self.flags.append(
                f"the dimension changes by {change.value:+.3f} +- {change.stderr:.3f} when runs "
                f"have {2 * n_steps} steps and not {n_steps}"
            )
        return found

    def _ask_stretch_tail(self, estimates: dict[str, Estimate], budget: int) -> Estimate | None:
        tail = self._stretch_tail(budget)
        estimates[STRETCH_TAIL] = tail.estimate
        self.runs[STRETCH_TAIL] = tail.estimate.n_runs
        if not tail.n_settled:
            return None
        n_late = tail.still_stretching * tail.n_settled
        return share_estimate(n_late, tail.n_settled, "runs that settled")

    def _stretch_tail(self, budget: int) -> StretchTail:
        """Do what `stretch_tail` does, a few runs at a time, so that they can be kept."""
        target = self.target
        assert isinstance(target, AbstractMap)
        before = sum(self.runs.values())
        names = [axis.name for axis in self.axes]
        options = dict(self.options)
        fixed = options.pop("hparams") or {}

        def answer(questions: np.ndarray) -> Answers:
            values, slopes = (
                dict(zip(names, part.T, strict=True)) for part in np.split(questions, 2, axis=1)
            )
            runs = stretch_runs(target, {**fixed, **values}, slopes, **options)
            return {name: getattr(runs, name) for name in _STRETCHES}

        columns = [
            part for half in draw_directions(self.axes, budget, self.seed) for part in half.values()
        ]
        parts: list[Answers] = []
        for part in answer_in_slices(
            f"stretches over {options['n_steps']} steps",
            np.stack(columns, axis=1),
            answer,
            pace=run_pace(target, self.probe.conditions["lanes"]),
            journal=self.journal,
        ):
            parts.append(part)
            self.on_progress(before + sum(len(done["status"]) for done in parts))
        joined = {name: np.concatenate([part[name] for part in parts]) for name in _STRETCHES}
        return tail_dimension(Stretches(**joined, conditions=self.probe.conditions), len(names))


def _compare(estimates: Mapping[str, Estimate], first: str) -> tuple[str, str]:
    """Say whether the methods agree, and return the one to report."""
    known = {name: reading for name, reading in estimates.items() if reading.has_value}
    if len(known) < 2:
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
    if apart <= _AGREE * combined:
        return f"the methods agree: {said}", first
    return (
        f"the methods disagree: {said} are {apart / combined:.1f} combined standard errors apart; "
        "the pairs are reported"
    ), PAIRS


def _why_not_doubled(target: Any, n_steps: int) -> str:
    """Return why a map that is run for twice as long is not the training of twice the length."""
    if "schedule_steps" in target.defaults:
        return "the learning rate follows a schedule, which ends with the run"
    # A stream that is shorter than the run repeats itself by intention.
    rows = len(getattr(getattr(target, "batches", None), "indices", ()))
    if n_steps <= rows < 2 * n_steps:
        return f"there are minibatches for {rows} steps, and then the same again"
    return ""


def _reading(name: str, estimate: Estimate) -> str:
    return f"{estimate.value:.3f} +- {estimate.stderr:.3f} by {name}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyperparameters as JSON knows them; None stands for those that follow another one."""
    plain = {name: np.asarray(value).tolist() for name, value in values.items()}
    return {name: value if math.isfinite(value) else None for name, value in plain.items()}
