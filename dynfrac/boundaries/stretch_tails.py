"""Stretch-tail: the dimension of a boundary from how much single runs stretch before they end.

Two runs at h and h + eps u, with u a direction in the window of hyperparameters, are about
eps exp(S_t) apart, S_t = ln norm(d state / d position along u). Their outcomes can differ only if
that becomes macroscopic before the outcome is decided, that is, if M = max S_t reaches
ln(1 / eps) up to a constant. If the outcomes then differ with a probability that does not depend on
eps, the fraction of pairs at distance eps that disagree is

    f(eps) ~ P[M > ln(1 / eps)] ~ eps^alpha:   M has an exponential tail of the rate alpha,

and the boundary has the dimension N - alpha, as for pairs (`dynfrac.boundaries.pairs`). One run
with one derivative tells how close to the boundary it was, so that no scale need be chosen.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import final

import numpy as np

from dynfrac.analysis.estimates import Estimate, interval_95
from dynfrac.boundaries.budgets import check_budget, check_seed
from dynfrac.boundaries.journals import Answers, Journal, answer_in_slices
from dynfrac.boundaries.oracles import Oracle, run_pace
from dynfrac.boundaries.streams import STRETCH_TAIL, make_stream
from dynfrac.boundaries.tail_fits import LOW, TailFit, fit_tail
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.rules import AbstractRule
from dynfrac.orbits.sensitivities import Stretches, stretch_runs, window_directions
from dynfrac.systems.abstract import AbstractMap

METHOD = "stretch tail"
MIN_EXCEEDANCES = 60
"""Runs over the quantile 0.9 without which there is no value."""
LACUNAR = 0.15
"""Size of an oscillation of the tail from which on a set counts as lacunar."""

_KEPT = ("status", "t_escape", "largest", "final", "grown_at")
_UNSEEN = 0.6
_BODY = 0.015
"""Allowance for what is left at these thresholds of the body of the distribution, of alpha."""
_LATE = 0.01
_FLAT = 0.05
_LAST_QUARTER = 0.75
_MANY_UNDECIDED, _MANY_STRETCHING = 0.02, 0.05


@final
@dataclasses.dataclass(frozen=True, eq=False)
class StretchTail:
    """The dimension of a boundary from stretched runs, and what became of the runs.

    Attributes
    ----------
    estimate : Estimate
        Of the dimension N - alpha. `curve` is alpha over single thresholds against their quantile.
    still_stretching : float
        Share of the runs that settled (converged, or any where none escape) whose derivative still
        gained a factor e in the last quarter of the steps; 0 if there are none.
    n_settled : int
        Number of runs that this is a share of.
    undecided : float
        Share of all runs that neither escaped nor converged; where none escape, that of all that
        are still stretching.
    runs : Stretches
        The runs.
    """

    estimate: Estimate
    still_stretching: float
    n_settled: int
    undecided: float
    runs: Stretches


def stretch_tail(
    map_: AbstractMap,
    axes: Sequence[Axis],
    *,
    budget: int,
    seed: int = 0,
    n_steps: int,
    hparams: Mapping[str, float] | None = None,
    rule: str | AbstractRule | None = None,
    dtype: str | None = None,
    lanes: int | None = None,
    journal: Journal | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> StretchTail:
    """Box dimension of the boundary between outcomes, from derivatives of single runs.

    Parameters
    ----------
    map_ : AbstractMap
    axes : sequence of Axis
        One to three. Distances are in units of the window, in decades on logarithmic axes.
    budget : int
        Number of runs, at least 500. A run with its derivative costs one and a half to three
        plain ones.
    seed : int, default 0
        Of the points and directions, both uniform.
    n_steps, hparams, rule, dtype, lanes
        As in `dynfrac.evaluate`. float32 is enough for most maps, because no differences are taken.
    journal : Journal, optional
        Answers what it has, and is handed the rest.
    on_progress : callable, optional
        Called with the number of runs done so far, every few seconds.

    Returns
    -------
    StretchTail

    Raises
    ------
    ValueError
        If the budget is below 500, the axes do not fit the map, or as `stretch_runs`.

    Notes
    -----
    Which runs count: those that escape, at the first value over the rule's limit or not finite,
    because they are decided at a definite step; a run that converges may be stretched for ever by a
    bounded chaos that changes no outcome. Where no run escapes, as between two attractors, all of
    them count, and those that never settle spoil the tail: there is no value if they are many.

    What it needs: that neighbours which separate end apart with a probability that does not depend
    on how close they were. It misleads where the stretching that decides is not the largest one,
    and where the derivative goes on growing along runs whose fate is sealed.

    Where runs escape by a common factor a step, the limit of the rule may be any number that a run
    which passes it does not return from: a higher one adds the same to all stretches, and nothing
    to alpha. Networks escape faster and faster, by another factor each run, and their alpha moves.

    Thresholds are quantiles of the runs that escape. Where most of them escape within a few steps,
    as in a wide window of rates, the thresholds lie among these and not in the tail: on networks of
    rectifiers that reads the dimension too low by 0.2 to 0.3.

    Examples
    --------
    >>> from dynfrac.systems.catalogue import make_map
    >>> axes = [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)]
    >>> tail = stretch_tail(make_map("cantor-curve"), axes, budget=4000, n_steps=150)
    >>> round(float(tail.estimate), 1)
    1.8
    """
    if not isinstance(map_, AbstractMap):
        raise ValueError(f"map_={map_!r} has no derivative; pass a map, or use pairs for labels")
    budget, seed = check_budget(budget), check_seed(seed)
    settings = {"n_steps": n_steps, "rule": rule, "dtype": dtype, "lanes": lanes}
    # Refuses what does not fit.
    conditions = Oracle(map_, axes, budget=budget, hparams=hparams, **settings).conditions
    names = [axis.name for axis in axes]

    def answer(questions: np.ndarray) -> Answers:
        values, slopes = (
            dict(zip(names, part.T, strict=True)) for part in np.split(questions, 2, axis=1)
        )
        runs = stretch_runs(map_, {**(hparams or {}), **values}, slopes, **settings)
        return {name: getattr(runs, name) for name in _KEPT}

    columns = [part for half in draw_directions(axes, int(budget), seed) for part in half.values()]
    parts: list[Answers] = []
    done = 0
    for part in answer_in_slices(
        f"stretches over {n_steps} steps",
        np.stack(columns, axis=1),
        answer,
        pace=run_pace(map_, conditions["lanes"]),
        journal=journal,
    ):
        parts.append(part)
        done += len(part["status"])
        if on_progress is not None:
            on_progress(done)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in _KEPT}
    return tail_dimension(Stretches(**joined, conditions=conditions), len(axes))


def draw_directions(
    axes: Sequence[Axis], n_runs: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draw places of a window and directions at them, both uniform.

    Parameters
    ----------
    axes : sequence of Axis
    n_runs, seed : int

    Returns
    -------
    hparams, directions : dicts of str to (n_runs,) array
        What `stretch_runs` takes.
    """
    rng = make_stream(seed, STRETCH_TAIL)
    shape = n_runs, len(axes)
    positions, units = rng.random(shape), rng.standard_normal(shape)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    return window_directions(axes, positions, units)


def tail_dimension(runs: Stretches, n_axes: int) -> StretchTail:
    """Fit the dimension of a boundary to runs whose points and directions are uniform.

    Parameters
    ----------
    runs : Stretches
    n_axes : int
        Number N of axes of the window.
    """
    escaped = runs.t_escape >= 0
    converged = runs.status == Status.CONVERGED
    stretching = runs.grown_at >= _LAST_QUARTER * runs.conditions["n_steps"]
    open_ = bool(escaped.any())
    settled = converged & ~escaped if open_ else np.ones(len(runs), bool)
    late = float(stretching[settled].mean()) if settled.any() else 0.0
    undecided = float((~escaped & ~converged).mean()) if open_ else late
    used = escaped if open_ else settled
    estimate = _estimate(runs, n_axes, used, late, undecided)
    return StretchTail(estimate, late, int(settled.sum()), undecided, runs)


def _estimate(
    runs: Stretches, n_axes: int, used: np.ndarray, late: float, undecided: float
) -> Estimate:
    """Fit the tail of the runs `used`, or say why there is no value."""
    values = runs.largest[used]
    open_ = bool((runs.t_escape >= 0).any())
    converged = runs.status == Status.CONVERGED
    missing: list[str] = []
    over = int((values > np.quantile(values, 0.9)).sum())
    if converged.all() or not converged.any():
        missing.append("no boundary was met: all runs have the same label")
    elif over < MIN_EXCEEDANCES:
        missing.append(
            f"only {over} runs{' that escape' if open_ else ''} are over the quantile 0.9 of their "
            f"stretches; at least {MIN_EXCEEDANCES} are needed: raise the budget"
        )
    elif not open_ and late > _MANY_STRETCHING:
        missing.append(
            f"no run escapes, and {late:.0%} of them have not settled after "
            f"{runs.conditions['n_steps']} steps, so that their stretches are not those that decide"
        )
    if missing:
        return Estimate.missing(METHOD, len(runs), missing)
    fit = fit_tail(values)
    flags = _doubts(runs, used, fit, late, undecided)
    if fit.rate > 1 + 2 * fit.stderr:
        reason = (
            f"stretches fall off at the rate {fit.rate:.2f}, which would be a dimension below that "
            "of any boundary between two outcomes: the thresholds are not yet in the tail, as "
            "happens next to a smooth boundary; narrow the window, or use pairs"
        )
        return Estimate.missing(METHOD, len(runs), (reason, *flags), fit.curve)
    # Samples of a lacunar set scatter by a sixth more than each of them can tell.
    scatter = _UNSEEN * fit.stderr if fit.modulation > LACUNAR else 0.0
    stderr = math.hypot(fit.stderr, fit.drift, fit.ripple, scatter, _BODY * fit.rate)
    value = n_axes - fit.rate
    # What separates open sets of N axes has a dimension of at least N - 1.
    low, high = interval_95(value, stderr, lowest=n_axes - 1.0, highest=float(n_axes))
    return Estimate(
        value=value,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        method=METHOD,
        n_runs=len(runs),
        window=(LOW, float((values <= fit.thresholds[1]).mean())),
        curve=fit.curve,
        flags=flags,
    )


def _doubts(
    runs: Stretches, used: np.ndarray, fit: TailFit, late: float, undecided: float
) -> tuple[str, ...]:
    """Say what is doubtful about a fit."""
    flags = []
    n_steps = runs.conditions["n_steps"]
    if fit.rate < max(_FLAT, 2 * fit.stderr):
        flags.append(
            "stretches hardly have a tail: neighbours separate almost everywhere, and the "
            "dimension says no more"
        )
    if abs(fit.lower - fit.upper) > 2 * fit.gap_stderr:
        flags.append(
            f"no plateau: alpha is {fit.lower:.3f} over the lower thresholds and {fit.upper:.3f} "
            "over the higher ones, more than two errors apart"
        )
    if fit.modulation > LACUNAR:
        flags.append(
            f"the set is lacunar: stretches gather at multiples of {fit.period:.2f}, single "
            "thresholds mislead, and their average may keep a bias"
        )
    over = used & (runs.largest > fit.thresholds[0])
    # Escape times that fall like 1 / t, next to a smooth boundary, leave as many for later.
    second = float((2 * runs.t_escape[over] >= n_steps).mean())
    if second > _LATE:
        flags.append(
            f"{second:.1%} of the most stretched runs escape in the second half of {n_steps} "
            "steps, so that the end of the runs may cut the tail off: repeat with more steps"
        )
    if late > _MANY_STRETCHING:
        flags.append(f"{late:.0%} of the runs that converged are still stretching at their end")
    if undecided > _MANY_UNDECIDED:
        flags.append(f"{undecided:.0%} of the runs neither escaped nor converged")
    return tuple(flags)
