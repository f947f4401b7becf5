"""What makes the decay of undecided runs doubtful: few of them, several rates, a single cycle."""

from __future__ import annotations

import math

import numpy as np

from dynfrac.boundaries.growth_rates import Growth
from dynfrac.boundaries.lifetimes import FEWEST, Lifetimes

_FAST = 0.3
"""An early decay faster by more than this share is a rate of its own."""
_OPEN, MANY_OPEN = 0.02, 0.1
"""Shares of runs without a decision that are worth a word, and that leave no dimension."""
_CLUSTERED = 0.5
"""Share of the longest lives on one cycle from which on the saddle is taken for that cycle."""


def decay_doubts(lifetimes: Lifetimes, growth: Growth) -> tuple[str, ...]:
    """Say what is doubtful about the decay of the undecided share, in plain sentences."""
    counts = lifetimes.undecided()
    flags = []
    if not math.isfinite(growth.rate):
        last = int(np.sum(counts >= FEWEST))
        flags.append(
            f"few survivors: {FEWEST} runs or more are undecided at {last} steps only, and "
            "four are needed; pass more runs, or a window closer to the boundary"
        )
        return tuple(flags)
    fitted = growth.last - growth.first
    if fitted < 5 and growth.last + 1 < lifetimes.horizon:
        flags.append(
            f"lifetimes of a few steps: the decay is read from {fitted} steps before the "
            "survivors run out"
        )
    if counts[growth.first] < 10 * FEWEST:
        flags.append(
            f"few survivors: only {int(counts[growth.first])} runs are left where the decay "
            "becomes exponential"
        )
    if not growth.steady:
        flags.append("the undecided share does not fall exponentially: no one rate fits the steps")
    flags += _bend(growth, counts)
    if lifetimes.open_share > _OPEN:
        flags.append(
            f"{lifetimes.open_share:.1%} of the runs are undecided to the last step: pass more "
            "steps; or there is a phase that neither converges nor escapes, or, on axes that move "
            "the end point of a run, derivatives come to rest without shrinking"
        )
    clustered = int(np.argmax(lifetimes.cycling))
    if lifetimes.cycling[clustered] > _CLUSTERED:
        flags.append(
            f"{lifetimes.cycling[clustered]:.0%} of the longest lives stay next to a cycle of "
            f"period {clustered}: what decays most slowly is not fractal"
        )
    return tuple(flags)


def _bend(growth: Growth, counts: np.ndarray) -> list[str]:
    """Say that the undecided share fell faster before it fell at the rate that was read."""
    start = int(np.argmax(counts < 0.95 * counts[0]))  # before, neighbours have not separated yet
    if growth.first - start < 2:
        return []
    early = math.log(counts[start] / counts[growth.first]) / (growth.first - start)
    # Deaths are counted, so that the relative error of an early rate is that of their number.
    error = early / math.sqrt(max(counts[start] - counts[growth.first], 1))
    late = -growth.rate
    if early - late <= max(_FAST * late, 4 * error):
        return []
    return [
        f"the undecided share falls at {early:.3g} per step at first and at {late:.3g} later: "
        "there is more than one saddle, and the slowest to decay is measured"
    ]
