"""What paired readings say: the difference between two arms, and each arm by itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, final

import jax
import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.boundaries.diagnostics import NOISY, share_estimate
from dynfrac.boundaries.pairs import FEWEST_GIVEN
from dynfrac.orbits.axes import Axis
from dynfrac.studies.arms import Arm, Protocol
from dynfrac.studies.label_checks import checked_runs
from dynfrac.studies.paired_statistics import (
    FEWEST_PAIRS,
    Equivalence,
    PairedStatistics,
    PowerStatement,
    describe_differences,
    equivalence,
    power_statement,
    slopes,
)
from dynfrac.studies.readings import Reading, dimension_within
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.provenance import git_state, versions
from dynfrac.systems.training import TrainingMap

METHOD = "paired seeds"
PACKAGES = ("dynfrac", "jax", "jaxlib", "flax", "optax", "numpy", "scipy")

_FEW_PAIRS = 5
_UNDECIDED = 0.1
_NULL_OFF = 0.05
_SHARED = "paired seeds, same scales"


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


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    difference : Estimate
        Mean over complete pairs of the dimension of the first arm minus that of the last, with the
        95 % interval by Student's t. `curve` is the mean difference at each scale, `window` the
        scales that all fits of complete pairs share.
    shared : Estimate
        The same with all dimensions fitted over that one range of scales. Without a value where
        the range was given, because `difference` is that already.
    statistics : PairedStatistics
        Behind `difference`: spread, bootstrap, sign and permutation test.
    power : PowerStatement
    equivalence : Equivalence or None
        Against the margin, if one was given.
    trend : Estimate or None
        Mean slope of the dimension against the swept hyperparameter, per unit.
    arms : tuple of ArmSummary
    readings : tuple of tuple
        What was measured: one row for each seed, in the order of the arms.
    conditions : dict
    """

    difference: Estimate
    shared: Estimate
    statistics: PairedStatistics
    power: PowerStatement
    equivalence: Equivalence | None
    trend: Estimate | None
    arms: tuple[ArmSummary, ...]
    readings: tuple[tuple[Reading, ...], ...]
    conditions: dict[str, Any]

    def __float__(self) -> float:
        """Return the difference."""
        return self.difference.value

    @property
    def flags(self) -> tuple[str, ...]:
        """Doubts about the difference."""
        return self.difference.flags

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the difference at top level, and everything else beside them."""
        return {
            **self.difference.to_dict(),
            "shared": self.shared,
            "statistics": self.statistics,
            "power": self.power,
            "equivalence": self.equivalence,
            "trend": self.trend,
            "arms": self.arms,
            "per_seed": [
                {"seed": row[0].seed, "readings": [reading.to_dict() for reading in row]}
                for row in self.readings
            ],
            "conditions": self.conditions,
        }


def summarise(
    rows: Sequence[tuple[Reading, ...]],
    arms: Sequence[Arm],
    protocol: Protocol,
    *,
    level: Axis | None = None,
    margin: float | None = None,
    twins: Sequence[AbstractMap] = (),
) -> Comparison:
    """Turn readings into a comparison.

    Parameters
    ----------
    rows : sequence of tuple
        What was measured: one row for each seed, in the order of the arms.
    arms : sequence of Arm
    protocol : Protocol
    level : Axis, optional
        What is swept between the arms.
    margin : float, optional
    twins : sequence of AbstractMap
        A map of each arm, to tell whether they are trained on the same.
    """
    values = np.array([[reading.estimate.value for reading in row] for row in rows])
    found = describe_differences(values[:, 0] - values[:, -1], seed=protocol.seed)
    complete = [row for row in rows if _is_complete(row)]
    window = protocol.scales or _shared_window(complete)
    n_runs = sum(reading.estimate.n_runs for row in rows for reading in row)
    levels = [arm.hparams[level.name] for arm in arms] if level is not None else None
    summaries = tuple(
        _summarise_arm([row[k] for row in rows], math.nan if levels is None else levels[k])
        for k in range(len(arms))
    )
    n_axes = len(protocol.search)
    flags = (*_doubts(rows, summaries, found, n_axes), *_differences(twins, summaries))
    too_few = f"{_counted(found.n_pairs, 'pair is', 'pairs are')} complete"
    return Comparison(
        difference=_estimate(found, METHOD, n_runs, too_few, window, _by_scale(complete), flags),
        shared=_shared(complete, window, n_axes, n_runs, protocol),
        statistics=found,
        power=power_statement(found),
        equivalence=None if margin is None else equivalence(found, margin),
        trend=None if levels is None else _trend(levels, values, protocol.seed, n_runs),
        arms=summaries,
        readings=tuple(rows),
        conditions=_conditions(rows, arms, protocol),
    )


def _is_complete(row: tuple[Reading, ...]) -> bool:
    return row[0].estimate.has_value and row[-1].estimate.has_value


def _shared_window(rows: Sequence[tuple[Reading, ...]]) -> tuple[float, float]:
    """Return the scales that the fits of both partners of all complete pairs cover."""
    windows = [row[k].estimate.window for row in rows for k in (0, -1)]
    if not windows:
        return math.nan, math.nan
    low, high = max(w[0] for w in windows), min(w[1] for w in windows)
    return (low, high) if low < high else (math.nan, math.nan)


def _shared(
    complete: Sequence[tuple[Reading, ...]],
    window: tuple[float, float],
    n_axes: int,
    n_runs: int,
    protocol: Protocol,
) -> Estimate:
    """Return the mean difference of dimensions that are fitted over the same scales."""
    if protocol.scales is not None:
        return Estimate.missing(_SHARED, n_runs, ("all fits have the range of scales given",))
    differences = [
        dimension_within(row[0].estimate, n_axes, window)
        - dimension_within(row[-1].estimate, n_axes, window)
        for row in complete
    ]
    found = describe_differences(differences, seed=protocol.seed)
    too_few = f"{_counted(len(complete), 'pair is', 'pairs are')} complete"
    if len(complete) >= FEWEST_PAIRS:
        too_few = (
            f"the fits of all complete pairs share fewer than {FEWEST_GIVEN} distances"
            if not found.n_pairs
            else f"{_counted(found.n_pairs, 'pair has', 'pairs have')} {FEWEST_GIVEN} distances "
            "that all fits share"
        )
    return _estimate(found, _SHARED, n_runs, too_few, window)


def _counted(n: int, one: str, many: str) -> str:
    """Return how few there are, as a sentence begins."""
    return f"only {n} {one}" if n == 1 else f"{n or 'no'} {one if not n else many}"


def _estimate(
    found: PairedStatistics,
    method: str,
    n_runs: int,
    too_few: str,
    window: tuple[float, float] = (math.nan, math.nan),
    curve: Curve | None = None,
    flags: tuple[str, ...] = (),
) -> Estimate:
    """Return a mean over seeds as an estimate; `too_few` says what there is if it is none."""
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
    return _estimate(describe_differences(finite), method, n_runs, "")


def _summarise_arm(readings: Sequence[Reading], level: float) -> ArmSummary:
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
        scales=_mean_curve([_by_octave(reading.scales) for reading in readings]),
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


def _by_octave(curve: Curve) -> dict[int, float]:
    """Return the means of a curve by the octave of its scales, which differ between readings."""
    found: dict[int, list[float]] = {}
    for x, y in zip(curve.x.tolist(), curve.y.tolist(), strict=True):
        if math.isfinite(y):
            found.setdefault(round(math.log2(x)), []).append(y)
    return {octave: float(np.mean(values)) for octave, values in found.items()}


def _mean_curve(readings: Sequence[dict[int, float]]) -> Curve:
    """Average over readings at every octave that two or more of them have."""
    octaves = sorted({octave for reading in readings for octave in reading})
    values = [[reading[o] for reading in readings if o in reading] for o in octaves]
    kept = [(o, v) for o, v in zip(octaves, values, strict=True) if len(v) >= FEWEST_PAIRS]
    return Curve(
        np.array([2.0**octave for octave, _ in kept]),
        np.array([np.mean(v) for _, v in kept]),
        np.array([np.std(v, ddof=1) / math.sqrt(len(v)) for _, v in kept]),
    )


def _by_scale(rows: Sequence[tuple[Reading, ...]]) -> Curve:
    """Return the mean difference of D(scale) between partners."""
    partners = [(_by_octave(row[0].scales), _by_octave(row[-1].scales)) for row in rows]
    return _mean_curve(
        [{o: first[o] - last[o] for o in first if o in last} for first, last in partners]
    )


def _trend(levels: Sequence[float], values: np.ndarray, seed: int, n_runs: int) -> Estimate:
    found = describe_differences(slopes(levels, values), seed=seed)
    too_few = f"{_counted(found.n_pairs, 'seed has', 'seeds have')} a value at every level"
    return _estimate(found, "slope per unit, paired seeds", n_runs, too_few)


def _doubts(
    rows: Sequence[tuple[Reading, ...]],
    arms: Sequence[ArmSummary],
    found: PairedStatistics,
    n_axes: int,
) -> tuple[str, ...]:
    """Say what is doubtful about a comparison."""
    flags = []
    for arm in arms:
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
        if arm.null.has_value and off > max(0.05, 3 * arm.null.stderr):
            flags.append(
                f"the smooth null reads {arm.null.value:.2f} in the windows of {arm.name}: so much "
                "is the estimator's own"
            )
        flags.extend(_doubts_of_arm(arm, n_axes))
    doubtful = sum(bool(reading.estimate.flags) for row in rows for reading in row)
    if doubtful:
        flags.append(f"{doubtful} of {len(rows) * len(arms)} readings are flagged: see each")
    if FEWEST_PAIRS <= found.n_pairs < _FEW_PAIRS:
        flags.append(
            f"the interval rests on {found.n_pairs} pairs, between which the spread is hardly known"
        )
    return tuple(flags)


def _doubts_of_arm(arm: ArmSummary, n_axes: int) -> list[str]:
    """Say what a boundary of an arm owes to the budget, to rounding, and to the number of steps."""
    flags = []
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


def _differences(twins: Sequence[AbstractMap], arms: Sequence[ArmSummary]) -> tuple[str, ...]:
    """Say in what arms differ that should be the same."""
    flags = []
    counts = {arm.name: arm.n_parameters for arm in arms if arm.n_parameters}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        flags.append(f"the arms have different numbers of parameters: {told}")
    trainings = [map_ for map_ in twins if isinstance(map_, TrainingMap)]
    streams = [jax.tree.flatten((map_.data, map_.batches)) for map_ in trainings]
    if any(not _same(streams[0], other) for other in streams[1:]):
        flags.append("the arms are not trained on the same data in the same order")
    return tuple(flags)


def _same(one: Any, other: Any) -> bool:
    return one[1] == other[1] and all(
        np.array_equal(a, b) for a, b in zip(one[0], other[0], strict=True)
    )


def _conditions(
    rows: Sequence[tuple[Reading, ...]], arms: Sequence[Arm], protocol: Protocol
) -> dict[str, Any]:
    return {
        "seeds": [row[0].seed for row in rows],
        "search": [[a.name, a.low, a.high, a.scale] for a in protocol.search],
        "window": protocol.window.name,
        "n_steps": protocol.n_steps,
        "budget": protocol.budget,
        "method": protocol.method,
        "scales": protocol.scales,
        "checked": checked_runs(protocol.budget) / protocol.budget,
        "point_seed": protocol.seed,
        "rules": sorted({reading.rule for row in rows for reading in row}),
        "dtypes": sorted({reading.dtype for row in rows for reading in row}),
        "hparams": [{**protocol.hparams, **arm.hparams} for arm in arms],
        "device": jax.devices()[0].device_kind,
        "versions": versions(PACKAGES),
        "git": git_state(),
    }
