"""How long runs stay undecided, and how far their neighbours have separated by then.

A run is undecided as long as it has neither passed the limit of its rule nor begun to contract for
good. The second cannot be seen in the state, since a chaotic run crosses contracting regions, too:
what ends a run here is a *net-contraction stretch*, at least 14 steps after which the derivative is
smaller than at its last maximum by a factor e^3 or more. The run counts as decided from that
maximum on, so that the last 14 steps of a history tell nothing about runs that are still there.
"""

from __future__ import annotations

import dataclasses
from typing import final

import numpy as np
from numpy.typing import ArrayLike

CONTRACTION_STEPS = 14
"""Fewest steps of a net-contraction stretch."""
CONTRACTION = 3.0
"""Nats that such a stretch loses at least."""
FEWEST = 50
"""Runs below which a step is not used."""
MAX_PERIOD = 4
"""Longest cycle that survivors are looked for on."""

FEW_LIVES = 30
"""Fewer longer lives than this are not asked whether they cycle."""

_SAME = 0.05
"""Losses whose ranks among all losses differ by no more than this are a return to a place."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Lifetimes:
    """Log-stretches of N runs and the number of steps that each of them was undecided.

    Attributes
    ----------
    logs : (N, T) float array
        S_t, the logarithm of the derivative of the state with respect to the position in the
        window, in nats.
    ends : (N,) int array
        Run i is undecided at step t if t < ends[i].
    horizon : int
        Number of steps at which it is known of every run whether it was undecided.
    n_axes : int
        Of the window in which the runs began.
    open_share : float
        Of runs that were undecided to the last step.
    cycling : (5,) float array
        Share of the longest lives that stay next to a cycle of period 1 to 4 in mid-life, and of
        no shorter one; entry 0 is 0.
    """

    logs: np.ndarray
    ends: np.ndarray
    horizon: int
    n_axes: int
    open_share: float
    cycling: np.ndarray

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.ends)

    def undecided(self) -> np.ndarray:
        """Return how many runs are undecided at each step up to the horizon, (horizon,) ints."""
        return np.sum(self.ends[:, None] > np.arange(self.horizon), axis=0)


def measure_lifetimes(
    logs: ArrayLike, losses: ArrayLike, t_escape: ArrayLike, *, n_axes: int = 1
) -> Lifetimes:
    """Find out until when runs were undecided.

    Parameters
    ----------
    logs : (N, T) float array
        Log-stretches, as of `dynfrac.orbits.sensitivities.stretch_histories`: minus infinity where
        the derivative is zero, not-a-number where it is not finite.
    losses : (N, T) float array
        What the rule watches.
    t_escape : (N,) int array
        First step over the limit of the rule, -1 for runs that stay below it.
    n_axes : int, default 1
        Of the window.

    Returns
    -------
    Lifetimes

    Raises
    ------
    ValueError
        If shapes do not fit, or the histories are too short to tell a contraction.
    """
    logs, losses = np.asarray(logs, np.float64), np.asarray(losses, np.float64)
    escaped = np.asarray(t_escape)
    if logs.ndim != 2 or losses.shape != logs.shape or escaped.shape != logs.shape[:1]:
        raise ValueError(
            f"logs{list(logs.shape)}, losses{list(losses.shape)} and t_escape{list(escaped.shape)} "
            "do not fit; pass (N, T), (N, T) and (N,)"
        )
    n_steps = logs.shape[1]
    if n_steps <= CONTRACTION_STEPS + 2:
        raise ValueError(
            f"{n_steps} steps are too few to tell contraction; pass more than "
            f"{CONTRACTION_STEPS + 2}"
        )
    ends = np.where(escaped < 0, n_steps, escaped)
    lost = np.isnan(logs) | (logs == np.inf)
    ends = np.minimum(ends, np.where(lost.any(axis=1), lost.argmax(axis=1), n_steps))
    ends = np.minimum(ends, _contraction_starts(logs, ends))
    is_open = ends == n_steps
    horizon = n_steps - CONTRACTION_STEPS
    return Lifetimes(
        logs, ends, horizon, n_axes, float(is_open.mean()), _cycling(losses, ends, horizon)
    )


def undecided_until(lifetimes: Lifetimes, grace: int) -> np.ndarray:
    """Return who is undecided at each step and `grace` steps later.

    Parameters
    ----------
    lifetimes : Lifetimes
    grace : int
        At least 0.

    Returns
    -------
    (N, S) bool array
        For the steps up to the horizon at which 50 runs or more are, and one more.
    """
    at = lifetimes.ends[:, None] > np.arange(lifetimes.horizon - grace) + grace
    enough = np.flatnonzero(at.sum(axis=0) < FEWEST)
    return at[:, : int(enough[0]) + 1] if len(enough) else at


def _contraction_starts(logs: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the step at which each run begins its first net-contraction stretch, else T."""
    n_steps = logs.shape[1]
    steps = np.arange(n_steps)
    seen = np.where(steps < ends[:, None], logs, np.inf)  # what comes later is no contraction
    peak = np.maximum.accumulate(seen, axis=1)
    rising = np.ones(seen.shape, bool)
    rising[:, 1:] = seen[:, 1:] > peak[:, :-1]
    since = np.maximum.accumulate(np.where(rising, steps, 0), axis=1)
    # A derivative that is zero from the start has no maximum, and does not contract.
    with np.errstate(invalid="ignore"):
        fallen = (steps - since >= CONTRACTION_STEPS) & (seen - peak < -CONTRACTION)
    first = fallen.argmax(axis=1)
    starts = since[np.arange(len(logs)), first]
    return np.where(fallen.any(axis=1), starts, n_steps)


def _cycling(losses: np.ndarray, ends: np.ndarray, horizon: int) -> np.ndarray:
    """Return which share of the longest lives stays next to a cycle of each period."""
    shares = np.zeros(MAX_PERIOD + 1)
    lives = np.minimum(ends, horizon)
    long = np.flatnonzero(lives >= 2 * MAX_PERIOD)
    if len(long) < FEW_LIVES:
        return shares
    # The longest ones, but not so few that chance decides.
    long = long[np.argsort(lives[long], kind="stable")][-max(100, len(long) // 10) :]
    middle = lives[long] // 2
    # As ranks among all losses before the decision: losses of runs that fly out are large.
    pool = np.sort(losses[np.arange(losses.shape[1]) < ends[:, None]])
    for period in range(1, MAX_PERIOD + 1):
        looks = range(max(period, 2))
        # A life whose first half is too short to go round twice shows nothing of this period.
        room = middle >= looks[-1] + period
        rows, centre = long[room], middle[room]
        apart = [np.full(len(rows), 0.0)]
        for back in looks:
            here, there = (
                np.searchsorted(pool, losses[rows, centre - back - shift]) / len(pool)
                for shift in (0, period)
            )
            apart.append(abs(here - there))
        shares[period] = np.sum(np.max(apart, axis=0) <= _SAME) / len(long)
    # Who returns after one step does after two.
    shares[2:] -= np.maximum.accumulate(shares[1:-1])
    return np.maximum(shares, 0.0)
