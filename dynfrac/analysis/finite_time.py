"""Finite-time Lyapunov exponents: how the growth over a window is distributed.

The exponent of an orbit is one number; over a window of n steps tangents grow by more or less than
it says. Windows come from along one orbit, from several starts, or from many hyperparameters.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.analysis.lyapunov import default_warmup
from dynfrac.orbits.iteration import Problem, Progress, check_count, prepare
from dynfrac.orbits.lanes import Lanes, lanes_over, perturbed_lanes
from dynfrac.orbits.tangent_runs import Plan, TangentRun, run_tangents
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import precision

LANES = 256
"""Orbits that are run side by side; more follow in further batches of the same shape."""

LEVELS = (0.025, 0.25, 0.5, 0.75, 0.975)
"""Quantiles that are reported."""

FEW = 8
"""Fewer windows than this have no distribution to speak of."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class FiniteTimeExponents:
    """The distribution of exponents over windows of one length.

    Attributes
    ----------
    window : int
        Steps of a window.
    values : (n, k) float array
        Mean growth of the k leading tangents over each window, in nats per step; orbit after
        orbit, in order of time. Not-a-number for windows that an orbit did not finish.
    orbits : (n,) int array
        Which orbit a window is from: the number of the start, or the place of its hyperparameters.
    first_steps : (n,) int array
        The first step of each window, counted from the start of the orbit.
    mean, sd : (k,) float arrays
        Over the windows that were finished.
    stderr : (k,) float array
        sd / sqrt(n): the error of `mean`, as far as windows are independent of each other.
    levels : (q,) float array
    quantiles : (q, k) float array
        Of the values, at `levels`.
    lengths : (m,) int array
        Window lengths by factors of two, `window` among them, that leave 8 windows or more.
    sds : (m, k) float array
        Standard deviations over windows of these lengths. They fall like 1/sqrt(length) where
        increments are independent and like 1/length where they cancel, and they tend to a constant
        if orbits have exponents of their own.
    flags : tuple of str
    conditions : dict
        As of a `LyapunovSpectrum`.
    """

    window: int
    values: np.ndarray
    orbits: np.ndarray
    first_steps: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    stderr: np.ndarray
    levels: np.ndarray
    quantiles: np.ndarray
    lengths: np.ndarray
    sds: np.ndarray
    flags: tuple[str, ...]
    conditions: dict[str, Any]

    @property
    def has_value(self) -> bool:
        """Whether any window was finished."""
        return bool(np.any(~np.isnan(self.values)))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def finite_time_lyapunov(
    map_: AbstractMap,
    hparams: Mapping[str, Any] | None = None,
    *,
    window: int,
    n_steps: int | None = None,
    n_exponents: int = 1,
    n_transient: int = 0,
    n_warmup: int | None = None,
    n_starts: int = 1,
    slaved: bool = False,
    seed: int = 0,
    dtype: str | None = None,
    on_progress: Progress | None = None,
) -> FiniteTimeExponents:
    """Exponents over windows of a given length, and their distribution.

    Parameters
    ----------
    map_ : AbstractMap
        A map, or a training as a map.
    hparams : mapping of str to float or (N,) array, optional
        Values for some or all of the map's hyperparameters. With arrays, which share their length,
        every entry gives an orbit.
    window : int
        Steps of a window, at least 1.
    n_steps : int, optional
        Steps along each orbit after transient and warm-up, at least `window`; what is left of the
        last window is not used. By default 100 windows of a single orbit, one of each of many.
    n_exponents : int, default 1
        Number k of tangents.
    n_transient : int, default 0
        Steps of the orbit alone before the tangents start.
    n_warmup : int, optional
        As in `lyapunov_spectrum`. Pass 0 for the growth of a training run from its beginning.
    n_starts : int, default 1
        Orbits from as many perturbed starts, as in `lyapunov_spectrum`; only without arrays.
    slaved, seed, dtype, on_progress
        As in `lyapunov_spectrum`.

    Returns
    -------
    FiniteTimeExponents

    Raises
    ------
    ValueError
        If an argument is out of range, or both starts and arrays are given.

    Notes
    -----
    The growth of a step is that of `lyapunov_spectrum`, the logarithm of the diagonal of R
    (`benettin1980` in docs/references.bib); a value is its mean over the steps of a window.

    Orbits run side by side in batches of one shape, so everything is compiled once; an orbit that
    stops being finite disturbs no other. Values depend on the norm (the Euclidean one of the whole
    phase space) and, for the first window, on the frame.

    Examples
    --------
    >>> from dynfrac.systems.interval_maps import Logistic
    >>> growth = finite_time_lyapunov(Logistic(), {"r": [2.5, 2.8]}, window=1000)
    >>> growth.values.round(4).ravel()
    array([-0.6931, -0.2231])
    """
    check_count("window", window, least=1)
    check_count("n_starts", n_starts, least=1)
    check_count("n_exponents", n_exponents, least=1)
    check_count("seed", seed, least=0)
    many = any(np.ndim(value) for value in (hparams or {}).values())
    if many and n_starts > 1:
        raise ValueError(f"n_starts={n_starts} and rows of hyperparameters exclude each other")
    if n_steps is None:
        n_steps = window if many or n_starts > 1 else 100 * window
    check_count("n_steps", n_steps, least=window)
    n_warmup = default_warmup(n_steps) if n_warmup is None else n_warmup
    plan = Plan(n_transient, n_warmup, n_steps // window * window)
    with precision():
        problem: Problem
        if many:
            problem, lanes = lanes_over(map_, hparams or {}, dtype, slaved=slaved)
        else:
            problem = prepare(map_, hparams, dtype, differentiate=True, slaved=slaved)
            lanes = perturbed_lanes(problem, n_starts, seed)
        d = problem.space.dimension
        if n_exponents > d:
            raise ValueError(f"n_exponents={n_exponents} is more than the {d} dimensions there are")
        lengths = _lengths(window, plan.n_steps, lanes.count)
        means: dict[int, list[np.ndarray]] = {length: [] for length in lengths}
        for batch in _batches(lanes):
            done = sum(map(len, means[window]))
            for run in run_tangents(
                batch, n_exponents, plan, seed=seed, on_progress=_share(on_progress, done, lanes)
            )[: lanes.count - done]:
                for length, rows in means.items():
                    rows.append(_window_means(run, length, plan.n_steps))
    values = np.concatenate(means[window])
    conditions = {
        **problem.conditions(),
        "seed": seed,
        "n_transient": n_transient,
        "n_warmup": n_warmup,
        "n_steps": plan.n_steps,
        "n_starts": n_starts,
        "slaved": slaved,
    }
    if many:
        conditions["hparams"] = {
            n: np.asarray(column).tolist() for n, column in lanes.hparams.items()
        }
    return _describe(values, means, window, plan, lanes.count, conditions)


def _lengths(window: int, n_steps: int, n_orbits: int) -> tuple[int, ...]:
    """Return the window lengths at which the scatter is reported."""
    powers = [window * 2**j for j in range(40)]
    shorter = [window // 2**j for j in range(1, 40) if window % 2**j == 0]
    enough = [n for n in shorter + powers if n <= n_steps and n_steps // n * n_orbits >= FEW]
    return tuple(sorted({window, *enough}))


def _batches(lanes: Lanes) -> list[Lanes]:
    """Cut lanes into batches of one shape, the last filled up with its last lane."""
    size = min(LANES, lanes.count)
    batches = []
    for start in range(0, lanes.count, size):
        rows = np.minimum(np.arange(start, start + size), lanes.count - 1)
        states, hparams = jax.tree.map(
            lambda leaf, rows=rows: jnp.asarray(leaf)[rows], (lanes.states, lanes.hparams)
        )
        batches.append(dataclasses.replace(lanes, states=states, hparams=hparams))
    return batches


def _share(on_progress: Progress | None, done: int, lanes: Lanes) -> Progress | None:
    """Return the progress of one batch as that of all."""
    if on_progress is None:
        return None
    size = min(LANES, lanes.count)
    n_batches, before = math.ceil(lanes.count / size), done // size
    return lambda step, end: on_progress(before * end + step, n_batches * end)


def _window_means(run: TangentRun, length: int, n_steps: int) -> np.ndarray:
    """Return (n, k) means over windows, not-a-number for those that were not finished."""
    count, k = n_steps // length, run.increments.shape[1]
    means = np.full((count, k), math.nan)
    finished = min(count, len(run.increments) // length)
    rows = run.increments[: finished * length]
    means[:finished] = rows.reshape(finished, length, k).mean(axis=1)
    return means


def _describe(
    values: np.ndarray,
    means: dict[int, list[np.ndarray]],
    window: int,
    plan: Plan,
    n_orbits: int,
    conditions: dict[str, Any],
) -> FiniteTimeExponents:
    """Return the record of all windows."""
    per_orbit = plan.n_steps // window
    kept = values[~np.isnan(values[:, 0])]
    n, k = kept.shape
    flags = []
    if n < len(values):
        flags.append(
            f"{len(values) - n} of {len(values)} windows were not finished: their orbits stopped "
            "being finite"
        )
    if n < FEW:
        flags.append(f"{n} windows are too few for a distribution; run longer or from more starts")
    if not np.all(np.isfinite(kept)):
        flags.append("a direction was annihilated in some windows: their value is minus infinity")
    sds = np.array([_sd(np.concatenate(rows)) for rows in means.values()]).reshape(-1, k)
    lengths = np.array(list(means))
    flags += _narrowing(lengths, sds[:, 0], window)
    sd = _sd(kept)
    with np.errstate(invalid="ignore"):  # a difference of two infinities has no value
        quantiles = np.quantile(kept, LEVELS, axis=0) if n else np.full((len(LEVELS), k), math.nan)
        mean = kept.mean(axis=0) if n else np.full(k, math.nan)
    return FiniteTimeExponents(
        window=window,
        values=values,
        orbits=np.repeat(np.arange(n_orbits), per_orbit),
        first_steps=plan.first + window * np.tile(np.arange(per_orbit), n_orbits),
        mean=mean,
        sd=sd,
        stderr=sd / math.sqrt(max(n, 1)),
        levels=np.array(LEVELS),
        quantiles=quantiles,
        lengths=lengths,
        sds=sds,
        flags=tuple(flags),
        conditions=conditions,
    )


def _sd(rows: np.ndarray) -> np.ndarray:
    """Return the standard deviation over the finished windows; NaN for fewer than two."""
    rows = rows[~np.isnan(rows[:, 0])]
    if len(rows) < 2 or not np.all(np.isfinite(rows)):
        return np.full(rows.shape[1], math.nan)
    return rows.std(axis=0, ddof=1)


def _narrowing(lengths: np.ndarray, sds: np.ndarray, window: int) -> list[str]:
    """Say so if windows four times as long scatter by much more or less than half as much."""
    here, there = (np.flatnonzero(lengths == n) for n in (window, 4 * window))
    if not (here.size and there.size) or not sds[here[0]] > 1e-12:
        return []
    factor = float(sds[here[0]] / max(sds[there[0]], 1e-300))
    if 1.4 <= factor <= 2.9:
        return []
    reason = "orbits have exponents of their own" if factor < 1.4 else "increments cancel"
    return [
        f"windows of {4 * window} steps scatter {factor:.2g} times less than those of {window}, "
        f"not 2 times: {reason}"
    ]
