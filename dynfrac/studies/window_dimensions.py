"""The dimension of a boundary in one window, of an arm and of a smooth boundary in its place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np

from dynfrac.analysis.estimates import Estimate
from dynfrac.boundaries.dimensions import PAIRS, ROUTES
from dynfrac.boundaries.journals import Journal
from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pair_fits import dimension_estimate
from dynfrac.boundaries.pairs import LARGEST, MIN_OCTAVES, Pairs, distances_between, draw_pairs
from dynfrac.boundaries.windows import Window
from dynfrac.orbits.rules import AbstractRule
from dynfrac.studies.arms import Protocol
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.quadratic_nulls import quadratic_null

NULL_RUNS = 20_000
"""Runs of the null in each window, unless they would be more steps than `NULL_STEPS`."""
NULL_STEPS = 20_000_000
REPETITIONS = 8
"""Times that the null is read with the runs that the reading had."""


@final
@dataclasses.dataclass(frozen=True)
class RepeatedNull:
    """What the smooth null reads with as many runs as the boundary had, several times.

    Attributes
    ----------
    values : tuple of float
        One for each repetition, not-a-number where there was no value.
    n_runs : int
        Most runs of each repetition; 0 if there was none.
    """

    values: tuple[float, ...]
    n_runs: int

    @property
    def n_values(self) -> int:
        """Repetitions that have a value."""
        return sum(math.isfinite(value) for value in self.values)

    @property
    def mean(self) -> float:
        """Mean of the values; not-a-number without any."""
        return float(np.nanmean(self.values)) if self.n_values else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation between repetitions; not-a-number with fewer than two values."""
        return float(np.nanstd(self.values, ddof=1)) if self.n_values > 1 else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return the values and what they amount to."""
        return {
            "values": list(self.values),
            "n_runs": self.n_runs,
            "mean": self.mean,
            "spread": self.spread,
            "n_values": self.n_values,
            "n_repetitions": len(self.values),
        }


def measure_window(oracle: Oracle, protocol: Protocol, seed: int) -> tuple[Estimate, Pairs | None]:
    """Spend what an oracle may be asked on the dimension of its boundary.

    Parameters
    ----------
    oracle : Oracle
    protocol : Protocol
        Method and range of scales.
    seed : int

    Returns
    -------
    estimate : Estimate
    pairs : Pairs or None
        Those behind it; None for other methods, and in windows too fine for their type.
    """
    problem = too_fine(oracle.finest, protocol)
    if problem:
        # A seed whose window is too fine for its type must not end the comparison of all others.
        return Estimate.missing(protocol.method, 0, (problem,)), None
    if protocol.method not in ("auto", PAIRS):
        return ROUTES[protocol.method](oracle, seed=seed), None
    pairs = draw_pairs(oracle, seed=seed, window=protocol.scales)
    return dimension_estimate(pairs, seed=seed, window=protocol.scales), pairs


def too_fine(finest: float, protocol: Protocol) -> str:
    """Say why distances are beyond the precision of hyperparameters, if they are.

    Parameters
    ----------
    finest : float
        Smallest distance that counts, `Oracle.finest`.
    protocol : Protocol
    """
    if protocol.scales is not None:
        smallest = float(distances_between(protocol.scales)[-1])
        if smallest >= finest:
            return ""
        return (
            f"distances of {smallest:.2g} of the window are beyond the precision of its "
            f"hyperparameters, {finest:.2g}"
        )
    octaves = math.floor(math.log2(LARGEST / finest))
    if octaves >= MIN_OCTAVES:
        return ""
    return (
        f"only {max(octaves, 0)} octaves lie between {LARGEST:g} of the window and the "
        "precision of its hyperparameters"
    )


def read_null(
    window: Window,
    given: Mapping[str, Any],
    map_: AbstractMap,
    protocol: Protocol,
    *,
    budget: int,
    rule: AbstractRule,
    dtype: str,
    seed: int,
    journal: Journal | None,
) -> tuple[Estimate, RepeatedNull]:
    """Measure the quadratic whose boundary passes through the middle of a window.

    Parameters
    ----------
    window : Window
    given : mapping
        Of `Protocol.conditions`.
    map_ : AbstractMap
        Whose place the quadratic takes.
    protocol : Protocol
    budget : int
        Runs that the boundary of the map had.
    rule : AbstractRule
    dtype : str
    seed : int
    journal : Journal or None

    Returns
    -------
    null : Estimate
        With many runs: what is left of the bias then.
    repeated : RepeatedNull
        With `budget` runs each: what the estimator adds at that budget, and how much it scatters.
    """
    middle = {axis.name: float(axis.values(np.array(0.5))) for axis in window.axes}
    many = max(protocol.budget, min(NULL_RUNS, NULL_STEPS // protocol.n_steps))
    try:
        null = quadratic_null(middle, given["hparams"], accepts=map_.defaults)
        oracles = (
            Oracle(
                null,
                window.axes,
                budget=n_runs,
                journal=journal,
                # Of its own lanes: runs are so small that those of a network would take for ever.
                **{**given, "rule": rule, "dtype": dtype, "lanes": None},
            )
            for n_runs in (many, *[budget] * REPETITIONS)
        )
        first = next(oracles)
    except ValueError as error:
        # A rule can watch what only the user's own map has, or the type be one that is no map's.
        missing = Estimate.missing(protocol.method, 0, (f"no null: {error}",))
        return missing, RepeatedNull((), 0)
    whole = measure_window(first, protocol, seed)[0]
    values = tuple(
        measure_window(oracle, protocol, own)[0].value
        for oracle, own in zip(oracles, _spawn(seed), strict=True)
    )
    return whole, RepeatedNull(values, budget)


def _spawn(seed: int) -> Iterator[int]:
    """Return seeds that follow from one, and are none of those that other readings have."""
    for sequence in np.random.SeedSequence(seed).spawn(REPETITIONS):
        yield int(sequence.generate_state(1)[0])
