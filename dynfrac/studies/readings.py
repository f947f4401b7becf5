"""One reading: an arm with one seed, from its window to its dimension.

Every reading follows the same protocol: the window by the rule, the dimension in it, the share of
runs that were not decided, and what the smooth null reads in the same window.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

import jax
import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.analysis.scaling import fit_counts
from dynfrac.boundaries.dimensions import PAIRS, ROUTES
from dynfrac.boundaries.journals import Journal
from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pair_fits import METHOD, dimension_estimate, scale_dimensions
from dynfrac.boundaries.pairs import LARGEST, MIN_OCTAVES, draw_pairs
from dynfrac.boundaries.windows import RayWindow, Window
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import Evaluator
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.rules import AbstractRule, make_rule
from dynfrac.studies.arms import Arm, Protocol, make_map_of
from dynfrac.sweeps.fingerprints import fingerprint
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import choose_dtype
from dynfrac.systems.quadratic_nulls import quadratic_null

NULL_RUNS = 20_000
"""Runs of the null in each window, unless they would be more steps than `NULL_STEPS`."""
NULL_STEPS = 20_000_000

_FEWEST_SCALES = 3
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
        What the smooth null reads in the same window, not-a-number without one.
    n_undecided, n_pilot : int
        Runs of the pilot grid of the pairs that were neither converged nor gone, and all of them.
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
    n_undecided: int
    n_pilot: int
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
            "undecided": self.n_undecided / self.n_pilot if self.n_pilot else None,
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
    identity = _identity(arm, map_, seed, protocol, rule.name, dtype)
    report = on_progress or (lambda used: None)
    with _journal(folder, f"{label}{arm.name}", identity) as journal:
        window = _find_window(protocol, map_, given, journal)
        report(window.n_runs)
        scales, answers = Curve.empty(), np.empty(0, int)
        left = protocol.budget - window.n_runs
        point_seed = _point_seed(protocol.seed, seed)
        if not window:
            estimate = Estimate.missing(protocol.method, window.n_runs, window.flags)
            null = Estimate.missing(protocol.method, 0, ("there is no window",))
        else:
            oracle = Oracle(
                map_,
                window.axes,
                budget=left,
                journal=journal,
                keep=True,
                on_progress=lambda used: report(window.n_runs + used),
                **given,
            )
            estimate, scales = _measure(oracle, protocol.method, point_seed)
            estimate = dataclasses.replace(
                estimate,
                n_runs=window.n_runs + oracle.used,
                flags=(*window.flags, *estimate.flags),
            )
            if protocol.method in ("auto", PAIRS) and oracle.asked:
                answers = oracle.asked[0].answers
            null = _read_null(window, given, map_, protocol, rule, dtype, point_seed, journal)
    return Reading(
        arm.name,
        seed,
        window,
        estimate,
        scales,
        null,
        int(np.sum(answers == Status.BOUNDED)),
        len(answers),
        rule.name,
        dtype,
        _count_parameters(map_),
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
    if estimate.method != METHOD or not estimate.has_value or used.sum() < _FEWEST_SCALES:
        return math.nan
    # The error of a rate from n counts is rate / sqrt(n).
    slope, _ = fit_counts(x[used], y[used], y[used] / stderr[used] ** 2)
    return n_axes - float(slope)


def _measure(oracle: Oracle, method: str, seed: int) -> tuple[Estimate, Curve]:
    """Return the dimension and, from the same pairs, D(scale)."""
    octaves = math.floor(math.log2(LARGEST / oracle.finest))
    if octaves < MIN_OCTAVES:
        # A seed whose window is too fine for its type must not end the comparison of all others.
        reason = (
            f"only {max(octaves, 0)} octaves lie between {LARGEST:g} of the window and the "
            "precision of its hyperparameters"
        )
        return Estimate.missing(method, 0, (reason,)), Curve.empty()
    if method not in ("auto", PAIRS):
        return ROUTES[method](oracle, seed=seed), Curve.empty()
    pairs = draw_pairs(oracle, seed=seed)
    estimate = dimension_estimate(pairs, seed=seed)
    return estimate, scale_dimensions(pairs, seed=seed) if estimate.has_value else Curve.empty()


def _read_null(
    window: Window,
    given: Mapping[str, Any],
    map_: AbstractMap,
    protocol: Protocol,
    rule: AbstractRule,
    dtype: str,
    seed: int,
    journal: Journal | None,
) -> Estimate:
    """Measure the quadratic whose boundary passes through the middle of the window."""
    middle = {axis.name: float(axis.values(np.array(0.5))) for axis in window.axes}
    try:
        null = quadratic_null(middle, given["hparams"], accepts=map_.defaults)
        oracle = Oracle(
            null,
            window.axes,
            budget=max(protocol.budget, min(NULL_RUNS, NULL_STEPS // protocol.n_steps)),
            journal=journal,
            # Of its own lanes: runs are so small that those of a network would take for ever.
            **{**given, "rule": rule, "dtype": dtype, "lanes": None},
        )
    except ValueError as error:
        # A rule can watch what only the user's own map has, or the type be one that is no map's.
        return Estimate.missing(protocol.method, 0, (f"no null: {error}",))
    return _measure(oracle, protocol.method, seed)[0]


def _find_window(
    protocol: Protocol, map_: AbstractMap, given: Mapping[str, Any], journal: Journal | None
) -> Window:
    """Apply the window rule, or read from the journal what it found.

    The first ray decides where it meets a boundary, and the others need not be run.
    """
    question = np.zeros((1, 1))
    kept = journal.recall("window", question) if journal is not None else None
    if kept is not None:
        return _read_window(kept, protocol)
    whole = protocol.window

    def search(rule: RayWindow, budget: int) -> Window:
        return rule(map_, protocol.search, seed=protocol.seed, budget=budget, **given)

    window = search(dataclasses.replace(whole, n_rays=1), protocol.budget)
    if not window and whole.n_rays > 1 and len(protocol.search) > 1:
        first = window.n_runs
        window = search(whole, protocol.budget - first)
        window = dataclasses.replace(window, n_runs=first + window.n_runs)
    window = dataclasses.replace(window, rule=whole.name)
    if journal is not None:
        journal.append("window", question, _window_answers(window, len(protocol.search)))
    return window


def _window_answers(window: Window, n_axes: int) -> dict[str, np.ndarray]:
    ends = [(axis.low, axis.high) for axis in window.axes] or [(math.nan, math.nan)] * n_axes
    return {
        "ends": np.array([ends]),
        "n_runs": np.array([window.n_runs]),
        "points": window.points[None],
        "flags": np.array(["\n".join(window.flags)]),
    }


def _read_window(kept: Mapping[str, np.ndarray], protocol: Protocol) -> Window:
    ends, flags = kept["ends"][0], str(kept["flags"][0])
    axes = tuple(
        Axis(axis.name, low, high, axis.n, axis.scale)
        for axis, (low, high) in zip(protocol.search, ends.tolist(), strict=True)
        if not math.isnan(low)
    )
    sentences = tuple(flags.split("\n")) if flags else ()
    return Window(axes, int(kept["n_runs"][0]), kept["points"][0], protocol.window.name, sentences)


@contextlib.contextmanager
def _journal(
    folder: Path | None, name: str, identity: Mapping[str, Any]
) -> Iterator[Journal | None]:
    if folder is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    with Journal(folder / f"{re.sub(r'[^-=.0-9A-Za-z]+', '_', name)}.journal", identity) as journal:
        yield journal


def _identity(
    arm: Arm, map_: AbstractMap, seed: int, protocol: Protocol, rule: str, dtype: str
) -> dict[str, Any]:
    """Return all that outcomes depend on."""
    return {
        "arm": arm.name,
        "seed": seed,
        "map": fingerprint(map_),
        "search": [[a.name, a.low, a.high, a.scale] for a in protocol.search],
        "n_steps": protocol.n_steps,
        "budget": protocol.budget,
        "window": protocol.window.name,
        "method": protocol.method,
        "points": protocol.seed,
        "hparams": {**protocol.hparams, **arm.hparams},
        "rule": rule,
        "dtype": dtype,
        "lanes": protocol.lanes,
    }


def _point_seed(seed: int, weights: int) -> int:
    """Return the seed of the points, the same for partners and another for every pair."""
    return int(np.random.SeedSequence([seed, weights]).generate_state(1)[0])


def _count_parameters(map_: AbstractMap) -> int:
    variables = getattr(map_, "variables", None)
    if not isinstance(variables, Mapping) or "params" not in variables:
        return 0
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(variables["params"]))
