"""What the increments of one or several orbits say: exponents, errors, verdict, doubts."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import Any

import numpy as np
import scipy.stats

from dynfrac.analysis.kaplan_yorke import kaplan_yorke_dimension
from dynfrac.analysis.spectra import History, LyapunovSpectrum, Starts
from dynfrac.analysis.stopping import Tolerance
from dynfrac.analysis.verdicts import (
    FINITE_TIME,
    Averages,
    average,
    has_escaped,
    is_growing,
    rest_of,
    verdict,
)
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.tangent_runs import TangentRun

DISAGREEMENT = 1.5
"""Ratio of the scatter between starts to their standard errors above which they disagree."""


def summarise(
    runs: list[TangentRun],
    *,
    dimension: int,
    first: int,
    conditions: dict[str, Any],
    tolerance: Tolerance | None = None,
    total: float | None = None,
) -> LyapunovSpectrum:
    """Turn increments into exponents, errors, verdict and flags.

    Parameters
    ----------
    runs : list of TangentRun
        One for each start, all of the same map and length.
    dimension : int
        Of the phase space.
    first : int
        The step of the orbit that was recorded first.
    conditions : dict
        What the record has to say about how it was computed.
    tolerance : Tolerance, optional
        What was to be met.
    total : float, optional
        Sum of all exponents, if the map knows it.

    Returns
    -------
    LyapunovSpectrum
    """
    lasting = [run for run in runs if run.stopped_at < 0]
    told = lasting or runs[:1]
    # Neutral or rotating directions can come out of a finite average in another order.
    rows = [run.increments for run in told if len(run.increments)]
    k = runs[0].increments.shape[1]
    mean = np.mean([r.mean(axis=0) for r in rows], axis=0) if rows else np.zeros(k)
    order = np.argsort(-mean, kind="stable")
    told, lasting = ([_in_order(run, order) for run in group] for group in (told, lasting))
    n = len(told[0].increments)
    flags: list[str] = []
    averages = [average(run.increments) for run in told] if lasting else []
    real = np.finfo(conditions["dtype"])
    rest = rest_of(real.dtype)
    judged = [_judge(run, a, rest) for run, a in zip(lasting, averages, strict=True)]
    if not averages:
        exponents, stderr, naive = np.full((3, k), math.nan)
        status, kind, period = Status.NOT_FINITE, "not finite", 0
        flags.append(
            f"the orbit or its tangents stopped being finite at step {told[0].stopped_at}: there "
            f"are no exponents; the history covers the {n} averaged steps before it"
        )
    else:
        exponents = np.mean([a.exponents for a in averages], axis=0)
        stderr, naive = (
            np.sqrt(np.sum([getattr(a, name) ** 2 for a in averages], axis=0)) / len(averages)
            for name in ("stderr", "naive_stderr")
        )
        (status, kind), period = judged[0], 0
        flags += dict.fromkeys(flag for a in averages for flag in a.flags)
        flags += _rounding(lasting, math.log(64 * float(real.eps)))
        if status == Status.ESCAPED:
            flags.append("the orbit escaped: its exponents describe the way out, no attractor")
        if kind == "periodic":
            period = averages[0].period
        elif kind == "fixed point":
            period = 1
            if exponents[0] > 0:
                flags.append("the orbit rests on an unstable fixed point")
        elif exponents[0] < 0 and averages[0].settled and lasting[0].motion >= rest:
            flags.append(
                "tangents shrink evenly and the orbit moves on: a cycle of constant slope, or a "
                "map that is driven"
            )
        if n < FINITE_TIME:
            flags.append(
                f"finite-time exponents: averages over steps {first} to {first + n - 1} of this "
                f"run, fewer than {FINITE_TIME}; neither they nor the Kaplan-Yorke dimension "
                "belong to an attractor"
            )
        flags += _shortfall(told, tolerance)
    starts = None
    if len(runs) > 1:
        finite = np.array([run.stopped_at < 0 for run in runs])
        starts = _compare(finite, averages, [kind for _, kind in judged], k)
        doubts = _doubts(starts)
        flags += doubts
        if any(doubt.startswith("runs disagree") for doubt in doubts):
            stderr = np.fmax(stderr, starts.between_stderr)
    complete = k == dimension
    if complete and total is not None and averages and np.all(np.isfinite(exponents)):
        flags += _sum_rule(float(exponents.sum()), total, conditions["dtype"])
    known = np.isfinite(exponents)
    kaplan_yorke = kaplan_yorke_dimension(
        exponents,
        dimension,
        np.where(known, stderr, 0.0),
        increments=[run.increments for run in told],
        total=None if complete else total,
    )
    if averages:
        flags += kaplan_yorke.flags
    steps = told[0].steps
    running = np.mean([_running_means(run) for run in told], axis=0)
    return LyapunovSpectrum(
        exponents=exponents,
        stderr=stderr,
        naive_stderr=naive,
        history=History(steps, running, np.mean([r.observations for r in told], axis=0)),
        starts=starts,
        status=status,
        verdict=kind,
        period=period,
        n_steps=n,
        step_range=(first, first + n),
        t_escape=-1 if averages else told[0].stopped_at,
        dimension=dimension,
        kaplan_yorke=kaplan_yorke,
        flags=tuple(flags),
        conditions=conditions,
        final_state=told[0].state,
    )


def _in_order(run: TangentRun, order: np.ndarray) -> TangentRun:
    return dataclasses.replace(run, increments=run.increments[:, order])


def _running_means(run: TangentRun) -> np.ndarray:
    """Return (m, k) means of the increments up to each recorded step."""
    return np.cumsum(run.increments, axis=0)[run.steps - 1] / run.steps[:, None]


def _rounding(runs: list[TangentRun], floor: float) -> list[str]:
    """Say which exponents are made of increments below `floor`, the ln of a rounding error."""
    increments = np.concatenate([run.increments for run in runs])
    # Now and then a smooth map contracts that much, too; a superstable cycle does once a period.
    below = np.mean((increments < floor) & np.isfinite(increments), axis=0) > 0.01
    if not np.any(below):
        return []
    which = ", ".join(str(j + 1) for j in np.flatnonzero(below))
    return [
        f"exponent {which} is as large as rounding makes it: its direction shrinks to nothing "
        "within the precision (a superstable orbit, or a map that forgets a direction), and the "
        "true value may be minus infinity"
    ]


def _judge(run: TangentRun, averages: Averages, rest: float) -> tuple[Status, str]:
    """Return status and verdict of an orbit whose coordinates stayed finite."""
    if not np.all(np.isfinite(run.observations)) or has_escaped(run.observations):
        return Status.ESCAPED, "escaped"
    growing = is_growing(run.observations)
    n = len(run.increments)
    return Status.BOUNDED, verdict(averages, n, growing=growing, motion=run.motion, rest=rest)


def _shortfall(runs: list[TangentRun], tolerance: Tolerance | None) -> list[str]:
    """Say how far a run that used up its steps is from the tolerance."""
    if tolerance is None:
        return []
    increments = [run.increments for run in runs]
    n = len(increments[0])
    ratio, tail = tolerance.excess(increments)
    if n < FINITE_TIME:
        return [f"not converged to the tolerance: {n} steps are too few to tell"]
    if not tolerance.next_check(increments):
        return []
    reason = (
        f"the largest standard error is {ratio:.2g} times what was asked for"
        if ratio >= 1
        else f"increments are still correlated ({tail:.0%}) at the longest lags"
    )
    return [f"not converged to the tolerance after {n} steps: {reason}"]


def _compare(finite: np.ndarray, averages: list[Averages], kinds: list[str], k: int) -> Starts:
    """Return the single starts and how much those that stayed finite scatter."""
    exponents, stderr = np.full((2, len(finite), k), math.nan)
    verdicts = np.full(len(finite), "not finite", object)
    if averages:
        exponents[finite] = [a.exponents for a in averages]
        stderr[finite] = [a.stderr for a in averages]
        verdicts[finite] = kinds
    n = len(averages)
    between = np.full(k, math.nan)
    if n > 1 and np.all(np.isfinite(exponents[finite])):
        between = exponents[finite].std(axis=0, ddof=1)
    within = np.sqrt(np.mean(stderr[finite] ** 2, axis=0)) if n else between
    # Where both vanish the starts have settled in the same place.
    ratio = np.where(between == 0, 0.0, between / np.where(within > 0, within, 1e-300))
    return Starts(
        exponents=exponents,
        stderr=stderr,
        verdicts=tuple(map(str, verdicts)),
        between_sd=between,
        between_stderr=between / math.sqrt(max(n, 1)),
        ratio=ratio,
    )


def _doubts(starts: Starts) -> list[str]:
    """Say what several starts put in doubt."""
    counts = collections.Counter(starts.verdicts)
    n_lost = counts.pop("not finite", 0)
    n_left = len(starts.verdicts) - n_lost
    flags = []
    if n_lost:
        flags.append(f"{n_lost} of {n_lost + n_left} starts did not stay finite and are left out")
    if len(counts) > 1:
        listed = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
        flags.append(f"runs disagree: the starts end differently ({listed})")
    if n_left < 2:
        return flags
    # Few starts scatter by chance: beyond the factor, it has to be rarer than 1 in 100.
    chance = math.sqrt(scipy.stats.chi2.ppf(0.99, n_left - 1) / (n_left - 1))
    far = starts.ratio > max(DISAGREEMENT, chance)
    # Rounding makes exponents that are constant differ in their last digits.
    far &= starts.between_sd > 1e-9
    if np.any(far):
        which = ", ".join(str(j + 1) for j in np.flatnonzero(far))
        flags.append(
            "runs disagree: several attractors or slow drift; the scatter of exponent "
            f"{which} between {n_left} starts is {np.max(starts.ratio[far]):.2g} times their "
            "standard error"
        )
    return flags


def _sum_rule(found: float, total: float, dtype: str) -> list[str]:
    """Compare the sum of a complete spectrum with what the map says it is."""
    residual = abs(found - total)
    if residual <= (1e-8 if dtype == "float64" else 1e-3) * max(1.0, abs(total)):
        return []
    return [
        f"the exponents sum to {found:.9g} and the map's own determinant to {total:.9g}: "
        "tangents have lost their precision"
    ]
