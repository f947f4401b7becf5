"""What the readings of one arm say together, and what is doubtful about them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import final

import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.boundaries.diagnostics import NOISY, share_estimate
from dynfrac.studies.paired_statistics import (
    FEWEST_PAIRS,
    PairedStatistics,
    describe_differences,
)
from dynfrac.studies.readings import Reading

_UNDECIDED = 0.1
_NULL_OFF = 0.05


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ArmSummary:
    """All seeds of one arm.

    Attributes
    ----------
    name : str
    level : float
        The hyperparameter that is swept between the arms; not-a-number if none is.
    dimension : Estimate
        Mean over the seeds that have a value.
    null : Estimate
        The same of the smooth null in the same windows, with many runs: the bias that is left then.
    null_at_budget : Estimate
        The same with as many runs as each reading had, mean over windows of the mean over
        repetitions.
    null_spread : float
        Standard deviation of the null at that budget between repetitions in one window.
    null_values, null_repetitions : int
        Repetitions of the null at that budget that have a value, and all of them.
    excess, asymptotic_excess : Estimate
        Of the dimension over the null at the same budget, and over the one with many runs.
    undecided : Estimate
        Share of the windows in which runs had neither converged nor gone when they ended.
    rounding, steps : Estimate
        Shares of the labels next to the boundaries that change with the last bit of the
        hyperparameters, and with twice as many steps.
    converged_loss : float
        Median over seeds of the median last loss of runs that converged.
    n_seeds, n_missing : int
        Seeds, and those without a value.
    scales : Curve
        Mean of D(scale) over seeds, with the standard error of that mean.
    n_parameters : int
        Of the network; 0 if that is not known.
    """

    name: str
    level: float
    dimension: Estimate
    null: Estimate
    null_at_budget: Estimate
    null_spread: float
    null_values: int
    null_repetitions: int
    excess: Estimate
    asymptotic_excess: Estimate
    undecided: Estimate
    rounding: Estimate
    steps: Estimate
    converged_loss: float
    n_seeds: int
    n_missing: int
    scales: Curve
    n_parameters: int


def _mean_estimate(values: Sequence[float], method: str, n_runs: int) -> Estimate:
    """Return the mean over seeds; one seed alone has a value without an error."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Estimate.missing(method, n_runs, ("no seed has a value",))
    if len(finite) == 1:
        nan = math.nan
        return Estimate(
            finite[0], nan, nan, nan, method, n_runs, (nan, nan), Curve.empty(), ("one seed only",)
        )
    return mean_of_seeds(describe_differences(finite), method, n_runs, "")


def summarise_arm(readings: Sequence[Reading], level: float) -> ArmSummary:
    """Summarise the readings of one arm.

    Parameters
    ----------
    readings : sequence of Reading
        One for each seed.
    level : float
        What is swept between the arms; not-a-number if nothing is.
    """
    values = [reading.estimate.value for reading in readings]
    nulls = [reading.null.value for reading in readings]
    repeated = [reading.repeated for reading in readings]
    means = [null.mean for null in repeated]
    n_runs = sum(reading.estimate.n_runs for reading in readings)
    n_repeated = sum(null.n_runs * len(null.values) for null in repeated)
    undecided = [
        share_estimate(reading.n_undecided, reading.n_pilot, "runs of the pilot grids")
        for reading in readings
        if reading.n_pilot
    ]
    return ArmSummary(
        name=readings[0].arm,
        level=level,
        dimension=_mean_estimate(values, "mean over seeds", n_runs),
        null=_mean_estimate(
            nulls, "smooth null, mean over windows", sum(r.null.n_runs for r in readings)
        ),
        null_at_budget=_mean_estimate(means, "smooth null at the same budget", n_repeated),
        null_spread=_root_mean_square([null.spread for null in repeated]),
        null_values=sum(null.n_values for null in repeated),
        null_repetitions=sum(len(null.values) for null in repeated),
        excess=_excess(values, means, "excess over the null at the same budget", n_runs),
        asymptotic_excess=_excess(values, nulls, "excess over the null with many runs", n_runs),
        undecided=_pooled(undecided, "runs of the pilot grids"),
        rounding=_pooled([r.checks.rounding for r in readings], "last bit, all seeds"),
        steps=_pooled([r.checks.steps for r in readings], "twice the steps, all seeds"),
        converged_loss=_median([reading.converged_loss for reading in readings]),
        n_seeds=len(values),
        n_missing=sum(not math.isfinite(value) for value in values),
        scales=mean_curve([by_octave(reading.scales) for reading in readings]),
        n_parameters=readings[0].n_parameters,
    )


def _excess(values: Sequence[float], nulls: Sequence[float], method: str, n_runs: int) -> Estimate:
    return _mean_estimate([v - n for v, n in zip(values, nulls, strict=True)], method, n_runs)


def _pooled(shares: Sequence[Estimate], method: str) -> Estimate:
    """Return the share of all runs of several shares."""
    known = [share for share in shares if share.has_value]
    if not known:
        return Estimate.missing(method, 0, ("no seed has a value",))
    n_hits = sum(round(share.value * share.n_runs) for share in known)
    return share_estimate(n_hits, sum(share.n_runs for share in known), method)


def _root_mean_square(values: Sequence[float]) -> float:
    finite = np.array([value for value in values if math.isfinite(value)])
    return float(np.sqrt(np.mean(finite**2))) if len(finite) else math.nan


def _median(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.median(finite)) if finite else math.nan


def by_octave(curve: Curve) -> dict[int, float]:
    """Return the means of a curve by the octave of its scales, which differ between readings."""
    found: dict[int, list[float]] = {}
    for x, y in zip(curve.x.tolist(), curve.y.tolist(), strict=True):
        if math.isfinite(y):
            found.setdefault(round(math.log2(x)), []).append(y)
    return {octave: float(np.mean(values)) for octave, values in found.items()}


def mean_curve(readings: Sequence[dict[int, float]]) -> Curve:
    """Average over readings at every octave that two or more of them have."""
    octaves = sorted({octave for reading in readings for octave in reading})
    values = [[reading[o] for reading in readings if o in reading] for o in octaves]
    kept = [(o, v) for o, v in zip(octaves, values, strict=True) if len(v) >= FEWEST_PAIRS]
    return Curve(
        np.array([2.0**octave for octave, _ in kept]),
        np.array([np.mean(v) for _, v in kept]),
        np.array([np.std(v, ddof=1) / math.sqrt(len(v)) for _, v in kept]),
    )


def doubts_of_arm(arm: ArmSummary, n_axes: int) -> list[str]:
    """Say what is doubtful about an arm: what it owes to budget, rounding and number of steps.

    Parameters
    ----------
    arm : ArmSummary
    n_axes : int
        Of the windows.
    """
    flags = []
    if arm.n_missing:
        flags.append(
            f"{arm.n_missing} of {arm.n_seeds} seeds of {arm.name} have no value; their pairs "
            "are left out, and what is left need not be like them"
        )
    if arm.undecided.has_value and arm.undecided.value > _UNDECIDED:
        flags.append(
            f"{arm.undecided.value:.0%} of the runs in the windows of {arm.name} were "
            "undecided when they ended: repeat with more steps"
        )
    off = abs(arm.null.value - (n_axes - 1))
    if arm.null.has_value and off > max(_NULL_OFF, 3 * arm.null.stderr):
        flags.append(
            f"the smooth null reads {arm.null.value:.2f} in the windows of {arm.name}: so much "
            "is the estimator's own"
        )
    told = f"{arm.null_values} of {arm.null_repetitions} repetitions"
    if arm.null_repetitions > 2 * arm.null_values:
        flags.append(
            f"with the runs of a reading the smooth null has a value in {told} only, in the "
            f"windows of {arm.name}: as smooth a boundary would mostly have none"
        )
    off = arm.null_at_budget.value - (n_axes - 1)
    if arm.null_values and abs(off) > _NULL_OFF:
        flags.append(
            f"with the runs of a reading the smooth null reads {arm.null_at_budget.value:.2f} in "
            f"the windows of {arm.name} ({told}): judge the excess and not the dimension"
        )
    if arm.rounding.has_value and arm.rounding.value > NOISY:
        flags.append(
            f"{arm.rounding.value:.1%} of the labels next to the boundaries of {arm.name} change "
            "with the last bit of the hyperparameters: each reading says whether its dimension "
            "explains that"
        )
    if arm.steps.has_value and arm.steps.value > NOISY:
        flags.append(
            f"{arm.steps.value:.1%} of the labels next to the boundaries of {arm.name} change when "
            "runs have twice as many steps: what was compared are boundaries after this many steps"
        )
    return flags


def mean_of_seeds(
    found: PairedStatistics,
    method: str,
    n_runs: int,
    too_few: str,
    window: tuple[float, float] = (math.nan, math.nan),
    curve: Curve | None = None,
    flags: tuple[str, ...] = (),
) -> Estimate:
    """Return a mean over seeds as an estimate.

    Parameters
    ----------
    found : PairedStatistics
    method : str
    n_runs : int
    too_few : str
        Says what there is if there are too few for a mean.
    window, curve, flags
        As of `Estimate`.
    """
    curve = Curve.empty() if curve is None else curve
    if found.n_pairs < FEWEST_PAIRS:
        reason = f"{too_few}, and an interval needs at least {FEWEST_PAIRS}"
        return Estimate.missing(method, n_runs, (reason, *flags), curve)
    return Estimate(
        found.mean,
        found.stderr,
        found.ci_low,
        found.ci_high,
        method,
        n_runs,
        window,
        curve,
        flags,
    )
