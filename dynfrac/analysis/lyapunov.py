"""Lyapunov exponents of any map, matrix-free: tangent vectors, thin QR, averages with errors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from dynfrac.analysis.kaplan_yorke import KaplanYorke, kaplan_yorke_dimension
from dynfrac.analysis.verdicts import (
    FINITE_TIME,
    Averages,
    average,
    has_escaped,
    is_growing,
    verdict,
)
from dynfrac.orbits.iteration import Problem, Progress, check_count, prepare
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.tangents import TangentRun, run_tangents
from dynfrac.systems.abstract import AbstractMap, State
from dynfrac.systems.numerics import precision

FULL_DIMENSION = 64
"""Up to this dimension all exponents are computed unless fewer are asked for."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """Running means, from which one sees whether the exponents have settled.

    Attributes
    ----------
    steps : (m,) int array
        Averaged steps so far.
    exponents : (m, k) float array
        Means of the increments up to there, in nats per step.
    observations : (m,) float array
        What the map observes there: the loss of a training run.
    """

    steps: np.ndarray
    exponents: np.ndarray
    observations: np.ndarray


@final
@dataclasses.dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """The leading Lyapunov exponents of one orbit.

    Attributes
    ----------
    exponents : (k,) float array
        In nats per step, descending. NaN if the orbit did not stay finite.
    stderr : (k,) float array
        Their standard errors, autocorrelation included; what they mean for orbits that settle is
        said in `dynfrac.analysis.verdicts.average`.
    naive_stderr : (k,) float array
        The same as if successive steps were independent.
    history : History
    status : Status
        `BOUNDED`, `ESCAPED` (finite, but what the map observes passed 1e8 times its first value,
        or 1e8 if that is larger) or `NOT_FINITE`.
    verdict : str
        "fixed point", "periodic", "chaotic", "neutral", "escaped", "not finite" or "not settled".
    period : int
        Period in steps, if the verdict is "periodic" and it was found; 1 for a fixed point; else 0.
    n_steps : int
        Steps averaged; fewer than asked for only if the orbit did not stay finite.
    step_range : tuple of int
        First step averaged and the one after the last, counted from the start of the orbit.
    t_escape : int
        Index of the first state that is not finite, or has no finite tangent; else -1.
    dimension : int
        Dimension d of the phase space; the spectrum is complete if k = d.
    kaplan_yorke : KaplanYorke
    flags : tuple of str
        What to know before quoting the numbers.
    conditions : dict
        Map, hyperparameters, dtype, seed, transient, warm-up, driver, device, versions.
    final_state : pytree
        The last finite state.
    """

    exponents: np.ndarray
    stderr: np.ndarray
    naive_stderr: np.ndarray
    history: History
    status: Status
    verdict: str
    period: int
    n_steps: int
    step_range: tuple[int, int]
    t_escape: int
    dimension: int
    kaplan_yorke: KaplanYorke
    flags: tuple[str, ...]
    conditions: dict[str, Any]
    final_state: State = dataclasses.field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return every field but the state, and the status by name."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["final_state"]
        return {**fields, "status": self.status.name.lower()}


def default_warmup(n_steps: int) -> int:
    """Return the steps that align the frame before `n_steps` are averaged."""
    return min(max(100, n_steps // 10), n_steps // 4)


def lyapunov_spectrum(
    map_: AbstractMap,
    hparams: Mapping[str, Any] | None = None,
    *,
    n_steps: int,
    n_exponents: int | None = None,
    n_transient: int = 0,
    n_warmup: int | None = None,
    seed: int = 0,
    dtype: str | None = None,
    on_progress: Progress | None = None,
) -> LyapunovSpectrum:
    """Lyapunov exponents along one orbit of a map.

    Parameters
    ----------
    map_ : AbstractMap
    hparams : mapping of str to float, optional
        Values for some or all of the map's hyperparameters; the rest take their defaults.
    n_steps : int
        Steps to average over, after transient and warm-up; at least 1. Fewer than 400 give a
        finite-time exponent, and say so in a flag.
    n_exponents : int, optional
        Number k of leading exponents, at most the dimension d. By default all of them if d <= 64,
        else 4.
    n_transient : int, default 0
        Steps of the orbit alone before the tangents start. The warm-up, too, lets the orbit
        settle, which is enough for most maps; and for training its beginning is part of the run.
    n_warmup : int, optional
        Steps that align the tangent frame before averaging. By default
        min(max(100, n_steps / 10), n_steps / 4). It takes about ln(1 / tol) / (l_k - l_{k+1})
        steps to align to `tol`.
    seed : int, default 0
        Of the initial frame. Exponents do not depend on it, finite-time values do.
    dtype : {"float64", "float32"}, optional
        By default the map's `preferred_dtype`, or float64 if it has none.
    on_progress : callable, optional
        Called with (steps done, steps in all), transient and warm-up included.

    Returns
    -------
    LyapunovSpectrum

    Raises
    ------
    ValueError
        If an argument is out of range, a hyperparameter is unknown, or the map's `step` does not
        keep its state's structure and types.

    Notes
    -----
    Each step pushes an orthonormal frame through the linearised map by forward-mode
    differentiation and re-orthonormalises it; exponent j is the mean of ln abs(R_jj) (Benettin et
    al., Meccanica 15, 1980). No Jacobian is formed; the cost is one linearisation and k tangent
    evaluations a step. The norm is the Euclidean one of the whole phase space, optimizer buffers
    included: finite-time values depend on it, limits do not.

    A finite-time exponent of a training run describes that stretch of the run, not an attractor.
    Where the map has a kink (ReLU) the derivative is the one-sided choice of the autodiff.

    Examples
    --------
    >>> from dynfrac.systems.interval_maps import Logistic
    >>> spectrum = lyapunov_spectrum(Logistic(), {"r": 2.5}, n_steps=1000)
    >>> round(float(spectrum.exponents[0]), 9)
    -0.693147181
    >>> spectrum.verdict
    'fixed point'
    """
    check_count("n_steps", n_steps, least=1)
    check_count("n_transient", n_transient, least=0)
    if n_warmup is None:
        n_warmup = default_warmup(n_steps)
    check_count("n_warmup", n_warmup, least=0)
    check_count("seed", seed, least=0)
    with precision():
        problem = prepare(map_, hparams, dtype, differentiate=True)
        k = _count_exponents(n_exponents, problem)
        run = run_tangents(
            problem,
            k,
            n_transient=n_transient,
            n_warmup=n_warmup,
            n_steps=n_steps,
            seed=seed,
            on_progress=on_progress,
        )
    conditions = {
        **problem.conditions(),
        "seed": seed,
        "n_transient": n_transient,
        "n_warmup": n_warmup,
        "n_steps": n_steps,
    }
    return _summarise(run, problem.space.dimension, n_transient + n_warmup, conditions)


def _count_exponents(n_exponents: int | None, problem: Problem) -> int:
    d = problem.space.dimension
    if n_exponents is None:
        return d if d <= FULL_DIMENSION else 4
    check_count("n_exponents", n_exponents, least=1)
    if n_exponents > d:
        raise ValueError(
            f"n_exponents={n_exponents} is more than the {d} dimensions of the phase space; "
            f"pass at most {d}"
        )
    return n_exponents


def _summarise(run: TangentRun, d: int, first: int, conditions: dict[str, Any]) -> LyapunovSpectrum:
    """Turn the increments from step `first` on into exponents, errors, verdict and flags."""
    # Neutral or rotating directions can come out of a finite average in another order.
    n = len(run.increments)
    if n:
        run = dataclasses.replace(run, increments=_descending(run.increments))
    step_range = (first, first + n)
    running = np.cumsum(run.increments, axis=0)[run.steps - 1] / run.steps[:, None]
    status, kind, period = Status.NOT_FINITE, "not finite", 0
    flags = []
    if run.stopped_at >= 0:
        exponents, stderr, naive = np.full((3, run.increments.shape[1]), math.nan)
        flags.append(
            f"the orbit or its tangents stopped being finite at step {run.stopped_at}: there are "
            f"no exponents; the history covers the {n} averaged steps before it"
        )
    else:
        averages = average(run.increments)
        exponents, stderr, naive = averages.exponents, averages.stderr, averages.naive_stderr
        flags += averages.flags
        status, kind = _judge(run, averages)
        if status == Status.ESCAPED:
            flags.append("the orbit escaped: its exponents describe the way out, no attractor")
        if kind == "periodic":
            period = averages.period
        elif kind == "fixed point":
            period = 1
            if exponents[0] > 0:
                flags.append("the orbit rests on an unstable fixed point")
        if n < FINITE_TIME:
            flags.append(
                f"finite-time exponents: averages over steps {first} to {first + n - 1} of this "
                f"run, fewer than {FINITE_TIME}; neither they nor the Kaplan-Yorke dimension "
                "belong to an attractor"
            )
    known = np.isfinite(exponents)
    dimension = kaplan_yorke_dimension(exponents, d, np.where(known, stderr, 0.0))
    if status != Status.NOT_FINITE:
        flags += dimension.flags
    return LyapunovSpectrum(
        exponents=exponents,
        stderr=stderr,
        naive_stderr=naive,
        history=History(run.steps, running, run.observations),
        status=status,
        verdict=kind,
        period=period,
        n_steps=n,
        step_range=step_range,
        t_escape=run.stopped_at,
        dimension=d,
        kaplan_yorke=dimension,
        flags=tuple(flags),
        conditions=conditions,
        final_state=run.state,
    )


def _descending(increments: np.ndarray) -> np.ndarray:
    """Return the columns in the order of their means, largest first."""
    return increments[:, np.argsort(-increments.mean(axis=0), kind="stable")]


def _judge(run: TangentRun, averages: Averages) -> tuple[Status, str]:
    """Return status and verdict of an orbit whose coordinates stayed finite."""
    if not np.all(np.isfinite(run.observations)) or has_escaped(run.observations):
        return Status.ESCAPED, "escaped"
    growing = is_growing(run.observations)
    n = len(run.increments)
    return Status.BOUNDED, verdict(averages, n, growing=growing, motion=run.motion)
