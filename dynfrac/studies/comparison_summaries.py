"""What paired readings say: the difference between two arms, and each arm by itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, final

import jax
import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.analysis.html_tables import (
    html_block,
    html_columns,
    html_entries,
    write_interval,
    write_value,
)
from dynfrac.boundaries.pairs import FEWEST_GIVEN
from dynfrac.orbits.axes import Axis
from dynfrac.studies.arm_summaries import (
    ArmSummary,
    by_octave,
    doubts_of_arm,
    mean_curve,
    mean_of_seeds,
    summarise_arm,
)
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
from dynfrac.systems.losses import guessing_loss
from dynfrac.systems.provenance import git_state, versions
from dynfrac.systems.training import TrainingMap

METHOD = "paired seeds"
PACKAGES = ("dynfrac", "jax", "jaxlib", "flax", "optax", "numpy", "scipy")

_FEW_PAIRS = 5
_GUESSING = 0.8
"""Share of the loss of guessing above which converged runs have learnt next to nothing."""
_SHARED = "paired seeds, same scales"


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
    shared: Estimate = dataclasses.field(repr=False)
    statistics: PairedStatistics = dataclasses.field(repr=False)
    power: PowerStatement = dataclasses.field(repr=False)
    equivalence: Equivalence | None
    trend: Estimate | None
    arms: tuple[ArmSummary, ...] = dataclasses.field(repr=False)
    readings: tuple[tuple[Reading, ...], ...] = dataclasses.field(repr=False)
    conditions: dict[str, Any] = dataclasses.field(repr=False)

    def __float__(self) -> float:
        """Return the difference."""
        return self.difference.value

    @property
    def flags(self) -> tuple[str, ...]:
        """Doubts about the difference."""
        return self.difference.flags

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the arms, their difference, and what it would take."""
        arms = [
            (
                arm.name,
                write_value(arm.dimension.value, arm.dimension.stderr),
                write_value(arm.null_at_budget.value, arm.null_at_budget.stderr),
                write_value(arm.excess.value, arm.excess.stderr),
                f"{arm.n_seeds - arm.n_missing} of {arm.n_seeds}",
            )
            for arm in self.arms
        ]
        entries = {
            "difference": write_value(self.difference.value, self.difference.stderr),
            "95 % interval": write_interval(self.difference.ci_low, self.difference.ci_high),
            "pairs": self.statistics.n_pairs,
            "power": self.power.sentence,
            "window": self.conditions.get("window"),
            "steps": self.conditions.get("n_steps"),
            "runs for each arm and seed": self.conditions.get("budget"),
        }
        return html_block(
            "Comparison",
            f"{self.arms[0].name} against {self.arms[-1].name}",
            html_columns(
                ("arm", "D ± standard error", "smooth null", "excess", "seeds with a value"), arms
            ),
            html_entries(entries),
            flags=self.flags,
        )

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
        summarise_arm([row[k] for row in rows], math.nan if levels is None else levels[k])
        for k in range(len(arms))
    )
    n_axes = len(protocol.search)
    flags = (*_doubts(rows, summaries, found, n_axes), *_differences(twins, summaries))
    too_few = f"{_counted(found.n_pairs, 'pair is', 'pairs are')} complete"
    return Comparison(
        difference=mean_of_seeds(
            found, METHOD, n_runs, too_few, window, _by_scale(complete), flags
        ),
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
    return mean_of_seeds(found, _SHARED, n_runs, too_few, window)


def _counted(n: int, one: str, many: str) -> str:
    """Return how few there are, as a sentence begins."""
    return f"only {n} {one}" if n == 1 else f"{n or 'no'} {one if not n else many}"


def _by_scale(rows: Sequence[tuple[Reading, ...]]) -> Curve:
    """Return the mean difference of D(scale) between partners."""
    partners = [(by_octave(row[0].scales), by_octave(row[-1].scales)) for row in rows]
    return mean_curve(
        [{o: first[o] - last[o] for o in first if o in last} for first, last in partners]
    )


def _trend(levels: Sequence[float], values: np.ndarray, seed: int, n_runs: int) -> Estimate:
    found = describe_differences(slopes(levels, values), seed=seed)
    too_few = f"{_counted(found.n_pairs, 'seed has', 'seeds have')} a value at every level"
    return mean_of_seeds(found, "slope per unit, paired seeds", n_runs, too_few)


def _doubts(
    rows: Sequence[tuple[Reading, ...]],
    arms: Sequence[ArmSummary],
    found: PairedStatistics,
    n_axes: int,
) -> tuple[str, ...]:
    """Say what is doubtful about a comparison."""
    flags = [flag for arm in arms for flag in doubts_of_arm(arm, n_axes)]
    doubtful = sum(bool(reading.estimate.flags) for row in rows for reading in row)
    if doubtful:
        flags.append(f"{doubtful} of {len(rows) * len(arms)} readings are flagged: see each")
    if FEWEST_PAIRS <= found.n_pairs < _FEW_PAIRS:
        flags.append(
            f"the interval rests on {found.n_pairs} pairs, between which the spread is hardly known"
        )
    return tuple(flags)


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
    return (*flags, *_unlearnt(twins, arms))


def _unlearnt(twins: Sequence[AbstractMap], arms: Sequence[ArmSummary]) -> list[str]:
    """Say of which arms the runs that count as converged have learnt next to nothing."""
    flags = []
    for map_, arm in zip(twins, arms, strict=False):
        if not isinstance(map_, TrainingMap):
            continue
        guess = guessing_loss(map_.loss, map_.data.targets)
        if arm.converged_loss > _GUESSING * guess:
            flags.append(
                f"runs of {arm.name} that count as converged end at a loss of "
                f"{arm.converged_loss:.2f}, and guessing has {guess:.2f}: the boundary is not one "
                f"of learning; a rule such as tail-mean:{guess / 2:.1g} asks for more"
            )
    return flags


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
