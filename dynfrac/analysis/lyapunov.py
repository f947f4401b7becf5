"""Lyapunov exponents of any map, matrix-free: tangent vectors, thin QR, averages with errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate, interval_95
from dynfrac.analysis.spectra import LyapunovSpectrum
from dynfrac.analysis.spectrum_summaries import summarise
from dynfrac.analysis.stopping import Tolerance
from dynfrac.orbits.checkpoints import Checkpoint
from dynfrac.orbits.iteration import Problem, Progress, check_count, prepare
from dynfrac.orbits.lanes import perturbed_lanes
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.tangent_runs import Plan, run_tangents
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import precision

FULL_DIMENSION = 64
"""Up to this dimension all exponents are computed unless fewer are asked for."""


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
    n_starts: int = 1,
    atol: float = 0.0,
    rtol: float = 0.0,
    slaved: bool = False,
    seed: int = 0,
    dtype: str | None = None,
    resume: Checkpoint | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    on_progress: Progress | None = None,
) -> LyapunovSpectrum:
    """Lyapunov exponents along one orbit of a map.

    Parameters
    ----------
    map_ : AbstractMap
        A map, or a training as a map.
    hparams : mapping of str to float, optional
        Values for some or all of the map's hyperparameters; the rest take their defaults.
    n_steps : int
        Steps to average over, after transient and warm-up; at least 1. Fewer than 400 give a
        finite-time exponent, and say so in a flag. With a tolerance it is the most that are spent.
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
    n_starts : int, default 1
        Run as many orbits from starts near the map's own (every coordinate times 1 + 0.01 g, with
        standard normal g; `dynfrac.orbits.lanes.perturbed_lanes`), and compare. 8 or more tell
        whether the errors are right. The exponents are then means over the starts.
    atol, rtol : float, default 0
        Stop as soon as every standard error is below atol + rtol abs(exponent) and correlations
        have died out; 0 for both does not stop. See `dynfrac.analysis.stopping.Tolerance`.
    slaved : bool, default False
        Count fields that the map calls slaved (running statistics of BatchNorm) as coordinates.
    seed : int, default 0
        Of the initial frame and of the starts. Exponents do not depend on it, finite-time values
        do.
    dtype : {"float64", "float32"}, optional
        By default the map's `preferred_dtype`, or float64 if it has none.
    resume : Checkpoint, optional
        Go on from here; the result has the bits of a run that was never interrupted.
    on_checkpoint : callable, optional
        Called with a `dynfrac.orbits.checkpoints.Checkpoint` every few thousand steps or less. It
        costs nothing; keep the last one, or write it to a file.
    on_progress : callable, optional
        Called with (steps done, steps in all), transient and warm-up included.

    Returns
    -------
    LyapunovSpectrum

    Raises
    ------
    ValueError
        If an argument is out of range, a hyperparameter is unknown, the map's `step` does not keep
        its state's structure and types, or `resume` belongs to another run.

    Notes
    -----
    Each step pushes an orthonormal frame through the linearised map by forward-mode
    differentiation and re-orthonormalises it; exponent j is the mean of ln abs(R_jj)
    (`benettin1980` in docs/references.bib). No Jacobian is formed; the cost is one linearisation
    and k tangent evaluations a step. The norm is the Euclidean one of the whole phase space,
    optimizer buffers included: finite-time values depend on it, limits do not.

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
    if n_warmup is None:
        check_count("n_steps", n_steps, least=1)
        n_warmup = default_warmup(n_steps)
    plan = Plan(n_transient, n_warmup, n_steps)
    check_count("n_starts", n_starts, least=1)
    check_count("seed", seed, least=0)
    tolerance = Tolerance(atol, rtol) if atol or rtol else None
    with precision():
        problem = prepare(map_, hparams, dtype, differentiate=True, slaved=slaved)
        runs = run_tangents(
            perturbed_lanes(problem, n_starts, seed),
            _count_exponents(n_exponents, problem),
            plan,
            seed=seed,
            rule=None if tolerance is None else tolerance.next_check,
            label=str(tolerance),
            resume=resume,
            on_checkpoint=on_checkpoint,
            on_progress=on_progress,
        )
        total = None if slaved else _exponent_sum(problem)
    conditions = {
        **problem.conditions(),
        "seed": seed,
        "n_transient": n_transient,
        "n_warmup": n_warmup,
        "n_steps": n_steps,
        "n_starts": n_starts,
        "atol": atol,
        "rtol": rtol,
        "slaved": slaved,
    }
    return summarise(
        runs,
        dimension=problem.space.dimension,
        first=plan.first,
        conditions=conditions,
        tolerance=tolerance,
        total=total,
    )


def max_lyapunov(
    map_: AbstractMap,
    hparams: Mapping[str, Any] | None = None,
    *,
    n_steps: int,
    **options: Any,
) -> Estimate:
    """Largest Lyapunov exponent along one orbit of a map, from a single tangent.

    Parameters
    ----------
    map_, hparams, n_steps
        As in `lyapunov_spectrum`.
    **options
        Any other argument of `lyapunov_spectrum` but `n_exponents`.

    Returns
    -------
    Estimate
        In nats per step. `stderr` takes autocorrelation into account and the interval is 1.96 of
        them to either side; `curve` is the running mean against the number of averaged steps,
        `window` the first step averaged and the last, `n_runs` their number, over all starts.
        Not-a-number, with a flag, if the orbit did not stay finite.

    Raises
    ------
    ValueError
        As `lyapunov_spectrum`.

    Notes
    -----
    The method is that of `lyapunov_spectrum` for k = 1: one tangent, normalised at every step
    (`benettin1980` in docs/references.bib).

    Examples
    --------
    >>> from dynfrac.systems.descents import CubicDescent
    >>> estimate = max_lyapunov(CubicDescent(), {"lr": 0.9}, n_steps=1000)
    >>> round(float(estimate), 6), estimate.flags[-1]
    (-0.223144, 'the orbit is no chaotic one; verdict: fixed point')
    """
    spectrum = lyapunov_spectrum(map_, hparams, n_steps=n_steps, n_exponents=1, **options)
    history = spectrum.history
    running = history.exponents[:, 0]
    curve = Curve(history.steps, running, np.full(len(running), math.nan))
    lost = spectrum.kaplan_yorke.flags
    # What is said of a dimension is not said of one exponent.
    flags = tuple(flag for flag in spectrum.flags if flag not in lost)
    n = spectrum.n_steps * (1 if spectrum.starts is None else len(spectrum.starts.verdicts))
    if spectrum.status == Status.NOT_FINITE:
        return Estimate.missing("max_lyapunov", n, flags, curve)
    value, error = float(spectrum.exponents[0]), float(spectrum.stderr[0])
    low, high = interval_95(value, error)
    first, stop = spectrum.step_range
    if spectrum.verdict != "chaotic":
        flags = (*flags, f"the orbit is no chaotic one; verdict: {spectrum.verdict}")
    return Estimate(
        value=value,
        stderr=error,
        ci_low=low,
        ci_high=high,
        method="max_lyapunov",
        n_runs=n,
        window=(float(first), float(stop - 1)),
        curve=curve,
        flags=flags,
    )


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


def _exponent_sum(problem: Problem) -> float | None:
    """Return the sum of all exponents, if the map knows it."""
    known = getattr(problem.map_, "exponent_sum", None)
    total = None if known is None else known(problem.values)
    return None if total is None else float(total)
