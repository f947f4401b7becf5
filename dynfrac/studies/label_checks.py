"""How many labels next to a boundary are decided by rounding, and how many by the number of steps.

A few points of the pairs behind a dimension are asked again, once with the last bit of every
hyperparameter changed and once after twice as many steps. Points are those of pairs that disagree,
because labels change there if anywhere.
"""

from __future__ import annotations

import dataclasses
from typing import final

import numpy as np

from dynfrac.analysis.estimates import Estimate
from dynfrac.boundaries.diagnostics import NOISY, points_near, share_estimate, ulp_flips
from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pairs import Pairs
from dynfrac.boundaries.streams import CHECKED_LABELS, make_stream

POINTS = 150
"""Runs of a reading that check labels, half of them for each question."""
SHARE = 0.075
"""Most of a budget that they may be."""

_NOTHING = "no point next to a boundary is known"


@final
@dataclasses.dataclass(frozen=True, eq=False)
class LabelChecks:
    """Shares of the labels next to a boundary that change.

    Attributes
    ----------
    rounding : Estimate
        With the last bit of every hyperparameter.
    steps : Estimate
        With twice as many steps. A boundary that only moves changes labels as well, so this is the
        most that the number of steps can matter for.
    n_runs : int
        Runs spent.
    """

    rounding: Estimate
    steps: Estimate
    n_runs: int

    @property
    def flags(self) -> tuple[str, ...]:
        """What is doubtful about the boundary."""
        known = (part for part in (self.rounding, self.steps) if part.has_value)
        return tuple(flag for part in known for flag in part.flags)


def checked_runs(budget: int) -> int:
    """Return how many runs of a budget go into the checks."""
    return min(POINTS, int(SHARE * budget))


def nothing_checked(reason: str) -> LabelChecks:
    """Return checks that were not made, and why."""
    missing = Estimate.missing("labels asked again", 0, (reason,))
    return LabelChecks(missing, missing, 0)


def check_labels(
    pairs: Pairs,
    oracle: Oracle,
    estimate: Estimate,
    *,
    nudged: Oracle,
    doubled: Oracle | str,
    seed: int,
) -> LabelChecks:
    """Ask some points of disagreeing pairs again.

    Parameters
    ----------
    pairs : Pairs
    oracle : Oracle
        The one that was asked for them, which has kept what it was asked.
    estimate : Estimate
        Their dimension.
    nudged : Oracle
        With `nudge`; as many of the closest points are asked as its budget has.
    doubled : Oracle or str
        With twice the steps; points of pairs at any distance are asked. A string says why runs of
        twice the length would be something else.
    seed : int
        Of the choice.

    Returns
    -------
    LabelChecks
        Flagged above 1 %.
    """
    near = points_near(pairs, oracle.asked, oracle, oracle.used)
    if not len(near.labels):
        return nothing_checked(_NOTHING)
    closest = near._replace(
        **{name: values[: nudged.budget] for name, values in near._asdict().items()}
    )
    rounding = ulp_flips(closest, nudged, estimate)
    if isinstance(doubled, str):
        steps = Estimate.missing("twice the steps", 0, (doubled,))
        return LabelChecks(rounding, steps, nudged.used)
    rng = make_stream(seed, CHECKED_LABELS)
    chosen = rng.permutation(len(near.labels))[: doubled.budget]
    labels = doubled(near.positions[chosen])
    n_changed = int(np.sum(labels != near.labels[chosen]))
    steps = share_estimate(n_changed, len(labels), "twice the steps")
    return LabelChecks(rounding, _doubt(steps), nudged.used + doubled.used)


def _doubt(steps: Estimate) -> Estimate:
    if steps.value <= NOISY:
        return steps
    flag = (
        f"{steps.value:.1%} of the labels next to the boundary change when runs have twice as many "
        "steps: the boundary is that of this number of steps"
    )
    return dataclasses.replace(steps, flags=(flag,))
