"""One reading: an arm with one seed, from its window to its dimension.

Every reading follows the same protocol: the window by the rule, the dimension in it, the share of
runs that were not decided, the labels that hang on rounding or on the number of steps, and what the
smooth null reads in the same window.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

import jax
import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.analysis.scaling import fit_counts
from dynfrac.boundaries.oracles import Asked, Oracle
from dynfrac.boundaries.pair_fits import METHOD, scale_dimensions
from dynfrac.boundaries.pairs import FEWEST_GIVEN
from dynfrac.boundaries.windows import Window
from dynfrac.orbits.evaluator import Evaluator
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.rules import make_rule
from dynfrac.studies.arms import Arm, Protocol, make_map_of
from dynfrac.studies.dimension_budgets import why_not_doubled
from dynfrac.studies.label_checks import LabelChecks, check_labels, checked_runs, nothing_checked
from dynfrac.studies.reading_journals import find_window, identify, open_journal
from dynfrac.studies.window_dimensions import RepeatedNull, measure_window, read_null
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import choose_dtype

FEWEST_LEFT = 200
"""Runs that finding the window must leave, or there is no reading."""

_TIMED = 4


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """What was seen of one arm with one seed.

    Attributes
    ----------
    arm : str
    seed : int
    window : Window
        Empty if the rule found none.
    estimate : Estimate
        Dimension of the boundary; `n_runs` includes those that found the window.
    scales : Curve
        D(scale), empty without pairs.
    null : Estimate
        What the smooth null reads in the same window with many runs, not-a-number without one.
    repeated : RepeatedNull
        What it reads with as many runs as the boundary had, several times.
    checks : LabelChecks
        Labels that change with the last bit and with twice the steps.
    n_undecided, n_pilot : int
        Runs of the pilot grid of the pairs that were neither converged nor gone, and all of them.
    converged_loss : float
        Median last loss of the runs of the pilot grid that converged; not-a-number without any.
    rule, dtype : str
    n_parameters : int
        Trainable numbers of the network; 0 if that is not known.
    """

    arm: str
    seed: int
    window: Window
    estimate: Estimate
    scales: Curve
    null: Estimate
    repeated: RepeatedNull
    checks: LabelChecks
    n_undecided: int
    n_pilot: int
    converged_loss: float
    rule: str
    dtype: str
    n_parameters: int

    def to_dict(self) -> dict[str, Any]:
        """Return what a program wants to know of the reading."""
        return {
            "arm": self.arm,
            "seed": self.seed,
            **self.estimate.to_dict(),
            "scales": self.scales.to_dict(),
            "axes": [{"name": a.name, "low": a.low, "high": a.high} for a in self.window.axes],
            "window_runs": self.window.n_runs,
            "null": self.null.to_dict(),
            "null_at_budget": self.repeated.to_dict(),
            "rounding": self.checks.rounding.to_dict(),
            "twice_the_steps": self.checks.steps.to_dict(),
            "undecided": self.n_undecided / self.n_pilot if self.n_pilot else None,
            "converged_loss": self.converged_loss,
        }


def take_reading(
    arm: Arm,
    seed: int,
    protocol: Protocol,
    *,
    folder: Path | None = None,
    label: str = "",
    on_progress: Callable[[int], None] | None = None,
) -> Reading:
    """Find the window of an arm and a seed, and measure in it.

    Parameters
    ----------
    arm : Arm
    seed : int
        Of the initial weights.
    protocol : Protocol
    folder : Path, optional
        Where outcomes are kept. What is there is not computed again, whatever was cut off.
    label : str
        Begins the name of the file.
    on_progress : callable, optional
        Called with the runs used so far, of at most `protocol.budget`.

    Returns
    -------
    Reading

    Raises
    ------
    ValueError
        Whatever making the map, the window or the oracle raises; or if the folder holds another
        comparison.
    """
    map_ = make_map_of(arm, seed)
    given = protocol.conditions(arm)
    rule = make_rule(protocol.rule if protocol.rule is not None else getattr(map_, "rule", None))
    dtype = str(choose_dtype(map_, protocol.dtype))
    identity = identify(arm, map_, seed, protocol, rule.name, dtype)
    report = on_progress or (lambda used: None)
    with open_journal(folder, f"{label}{arm.name}", identity) as journal:
        window = find_window(protocol, map_, given, journal)
        report(window.n_runs)
        scales, pilot = Curve.empty(), None
        point_seed = _point_seed(protocol.seed, seed)
        kept_back = checked_runs(protocol.budget)
        budget = protocol.budget - window.n_runs - kept_back
        nothing = "" if window else "there is no window"
        if window and budget < FEWEST_LEFT:
            nothing = f"finding the window left {max(budget, 0)} runs: raise the budget"
        if nothing:
            reasons = (*window.flags, nothing) if window else window.flags
            estimate = Estimate.missing(protocol.method, window.n_runs, reasons)
            null = Estimate.missing(protocol.method, 0, (nothing,))
            repeated, checks = RepeatedNull((), 0), nothing_checked(nothing)
        else:

            def oracle_of(budget: int, before: int, steps: int = 1, **options: Any) -> Oracle:
                return Oracle(
                    map_,
                    window.axes,
                    budget=budget,
                    journal=journal,
                    on_progress=lambda used: report(before + used),
                    **{**given, "n_steps": steps * protocol.n_steps},
                    **options,
                )

            oracle = oracle_of(budget, window.n_runs, keep=True, losses=True)
            estimate, pairs = measure_window(oracle, protocol, point_seed)
            n_runs = window.n_runs + oracle.used
            if pairs is None:
                checks = nothing_checked("there are no pairs")
            else:
                pilot = oracle.asked[0]
                if estimate.has_value:
                    scales = scale_dimensions(pairs, seed=point_seed)
                half = kept_back // 2
                checks = check_labels(
                    pairs,
                    oracle,
                    estimate,
                    nudged=oracle_of(half, n_runs, nudge=True),
                    doubled=why_not_doubled(map_, protocol.n_steps)
                    or oracle_of(half, n_runs + half, steps=2),
                    seed=point_seed,
                )
            estimate = dataclasses.replace(
                estimate,
                n_runs=n_runs + checks.n_runs,
                flags=(*window.flags, *estimate.flags, *checks.flags),
            )
            null, repeated = read_null(
                window,
                given,
                map_,
                protocol,
                budget=budget,
                rule=rule,
                dtype=dtype,
                seed=point_seed,
                journal=journal,
            )
    statuses = np.empty(0, int) if pilot is None else pilot.answers
    return Reading(
        arm=arm.name,
        seed=seed,
        window=window,
        estimate=estimate,
        scales=scales,
        null=null,
        repeated=repeated,
        checks=checks,
        n_undecided=int(np.sum(statuses == Status.BOUNDED)),
        n_pilot=len(statuses),
        converged_loss=_converged_loss(pilot),
        rule=rule.name,
        dtype=dtype,
        n_parameters=_count_parameters(map_),
    )


def seconds_per_run(arm: Arm, seed: int, protocol: Protocol) -> float:
    """Measure how long a run takes, on a few runs that converge, after compiling.

    Parameters
    ----------
    arm : Arm
    seed : int
    protocol : Protocol

    Notes
    -----
    Runs that diverge early are over sooner, so this is an upper estimate. The runs are not counted
    against the budget.
    """
    map_, given = make_map_of(arm, seed), protocol.conditions(arm)
    hparams = given.pop("hparams")
    evaluator = Evaluator(map_, **given)
    n = _TIMED * evaluator.lanes
    places = np.linspace(0.0, 0.25, n)
    columns = {axis.name: axis.values(places) for axis in protocol.search}
    evaluator({**hparams, **{name: column[:1] for name, column in columns.items()}})
    start = time.perf_counter()
    evaluator({**hparams, **columns})
    return (time.perf_counter() - start) / n


def dimension_within(estimate: Estimate, n_axes: int, window: tuple[float, float]) -> float:
    """Return the dimension that the pairs of an estimate have between two distances.

    Parameters
    ----------
    estimate : Estimate
        By pairs.
    n_axes : int
    window : tuple of two floats
        Smallest and largest distance.

    Returns
    -------
    float
        Not-a-number for other estimates, and with fewer than three distances.
    """
    x, y, stderr = estimate.curve.x, estimate.curve.y, estimate.curve.stderr
    inside = (x >= window[0] * (1 - 1e-9)) & (x <= window[1] * (1 + 1e-9))
    used = inside & (y > 0) & (stderr > 0)
    if estimate.method != METHOD or not estimate.has_value or used.sum() < FEWEST_GIVEN:
        return math.nan
    # The error of a rate from n counts is rate / sqrt(n).
    slope, _ = fit_counts(x[used], y[used], y[used] / stderr[used] ** 2)
    return n_axes - float(slope)


def _converged_loss(pilot: Asked | None) -> float:
    """Return the median last loss of the runs that converged."""
    if pilot is None or pilot.losses is None:
        return math.nan
    losses = pilot.losses[pilot.answers == Status.CONVERGED]
    return float(np.median(losses)) if len(losses) else math.nan


def _point_seed(seed: int, weights: int) -> int:
    """Return the seed of the points, the same for partners and another for every pair."""
    return int(np.random.SeedSequence([seed, weights]).generate_state(1)[0])


def _count_parameters(map_: AbstractMap) -> int:
    variables = getattr(map_, "variables", None)
    if not isinstance(variables, Mapping) or "params" not in variables:
        return 0
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(variables["params"]))
