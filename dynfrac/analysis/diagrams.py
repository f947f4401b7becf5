"""Orbit diagrams: what a map does in the long run over a hyperparameter, with its exponent.

The picture in which period doubling is seen: at every value of a hyperparameter the last values of
an observable, and the largest Lyapunov exponent with its error.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np

from dynfrac.analysis.cascades import OrbitDiagram, find_period
from dynfrac.analysis.verdicts import FINITE_TIME, GROWTH, average, rest_of
from dynfrac.orbits.axes import Axis, check_axes
from dynfrac.orbits.columns import columns_of
from dynfrac.orbits.iteration import Progress, check_count, prepare
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.tails import TailRunner, Tails, choose_observable
from dynfrac.systems.abstract import AbstractMap, check_ranges, resolve_hparams
from dynfrac.systems.numerics import choose_dtype, hparam_dtype, precision

N_VALUES = 512
"""Values of the hyperparameter if the axis does not say how many."""

N_KEEP = 256
"""Values of the observable that are kept at each, at most, unless more are asked for."""

FOLLOW = ("up", "down")


def orbit_diagram(
    map_: AbstractMap,
    axis: Axis,
    hparams: Mapping[str, Any] | None = None,
    *,
    observable: str | Callable[[Any, Any], Any] | None = None,
    n_steps: int,
    n_transient: int | None = None,
    n_keep: int | None = None,
    follow: str | None = None,
    seed: int = 0,
    dtype: str | None = None,
    on_progress: Progress | None = None,
) -> OrbitDiagram:
    """Orbits of a map over a hyperparameter in the long run, with the largest exponent.

    Parameters
    ----------
    map_ : AbstractMap
        A map, or a training as a map.
    axis : Axis
        The hyperparameter and its values; 512 of them if the axis does not say how many.
    hparams : mapping of str to float, optional
        The others; the rest take their defaults.
    observable : str or callable, optional
        What is drawn: what the map observes (``"loss"``, the default), a metric of the map, a
        coordinate of its phase space (``"x0"``, ``"x1"``, ...), or a function
        ``f(state, hparams) -> real scalar`` that jax can trace.
    n_steps : int
        Steps over which the exponent is averaged, at least 1.
    n_transient : int, optional
        Steps before them, in which the orbit settles and the tangent turns; `n_steps` when absent.
    n_keep : int, optional
        Values of the observable that are kept, the last ones before the end; at most `n_steps`, and
        when absent at most 256.
    follow : {"up", "down"}, optional
        Start every run where its neighbour ended, going up or down the axis, instead of at the
        map's own initial state: the attractor is followed, and where the two directions differ
        there is hysteresis. Runs then come one after the other, which is slower.
    seed : int, default 0
        Of the tangent, the same for every run.
    dtype : {"float64", "float32"}, optional
        By default the map's `preferred_dtype`, or float64 if it has none.
    on_progress : callable, optional
        Called with (run-steps done, run-steps in all).

    Returns
    -------
    OrbitDiagram

    Raises
    ------
    ValueError
        If there is not one axis, the map lacks its hyperparameter or the observable, or a number
        is out of range.

    Notes
    -----
    An orbit has period p if after p, 2 p and 3 p steps it is a thousand times nearer to where it
    ended than it was at its farthest, or if it rests; p is at most 42. Below a doubling the orbit
    settles slowly, from side to side, and counts as unsettled where its multiplier is within some
    10 / n of -1 after n steps. The period is that of the state, not of the observable.

    The exponent's error is the standard error with autocorrelation where increments fluctuate, and
    a bound on the periodic remainder along a cycle.

    Examples
    --------
    >>> from dynfrac.systems.interval_maps import Logistic
    >>> diagram = orbit_diagram(Logistic(), Axis("r", 2.9, 3.5, 4), n_steps=1000)
    >>> diagram.periods
    array([1, 2, 2, 4])
    """
    axis = _check_axis(map_, axis, hparams)
    n_transient, n_keep = _check_counts(n_steps, n_transient, n_keep)
    if follow is not None and follow not in FOLLOW:
        raise ValueError(f"follow={follow!r} is not understood; choose up or down, or leave it out")
    real = choose_dtype(map_, dtype)
    values = axis.points()
    check_ranges(map_, {axis.name: values})
    with precision():
        problem = prepare(
            map_, {**(hparams or {}), axis.name: values[0]}, dtype, differentiate=True
        )
    runner = TailRunner(
        map_,
        choose_observable(map_, observable, problem.space.dimension),
        1 if follow else len(values),
        n_steps=n_steps,
        n_transient=n_transient,
        n_keep=n_keep,
        seed=seed,
        real=real,
    )
    columns = columns_of(
        resolve_hparams(map_, {**(hparams or {}), axis.name: values}), hparam_dtype(real)
    )
    report = _Reporter(on_progress, len(values) * (n_transient + n_steps))
    parts = _follow(runner, columns, follow, report) if follow else _spread(runner, columns, report)
    rows = _Rows(*map(np.concatenate, zip(*parts, strict=True)))
    if follow == "down":
        rows = _Rows(*(row[::-1] for row in rows))
    conditions = {
        **problem.conditions(),
        "hparams": {k: v for k, v in problem.values.items() if k != axis.name},
        "lanes": runner.lanes,
        "seed": seed,
        "follow": follow,
    }
    return OrbitDiagram(
        axis=axis,
        values=values,
        observable=runner.observable.name,
        observed=rows.observed,
        exponents=rows.exponents,
        stderr=rows.stderr,
        periods=rows.periods,
        status=rows.status,
        n_steps=n_steps,
        n_transient=n_transient,
        flags=_flags(rows.status, rows.doubts, n_steps),
        conditions=conditions,
    )


def _check_axis(map_: AbstractMap, axis: Axis, hparams: Mapping[str, Any] | None) -> Axis:
    """Return the axis with its number of points, or say why it cannot be one."""
    if not isinstance(axis, Axis):
        given = len(axis) if isinstance(axis, Sequence) and not isinstance(axis, str) else 0
        if given > 1:
            raise ValueError(
                f"{given} axes were given and an orbit diagram has one; sweep over two instead"
            )
        raise ValueError(f"axis={axis!r} is no axis; pass one, such as Axis('lr', 0.8, 2.0)")
    check_axes([axis], list(map_.defaults))
    if axis.name in (hparams or {}):
        raise ValueError(f"{axis.name} is fixed and the axis too; drop one of them")
    return axis if axis.n is not None else dataclasses.replace(axis, n=axis.default_n(N_VALUES))


def _check_counts(n_steps: int, n_transient: int | None, n_keep: int | None) -> tuple[int, int]:
    """Return transient and kept values, defaults filled in."""
    check_count("n_steps", n_steps, least=1)
    n_transient = n_steps if n_transient is None else n_transient
    check_count("n_transient", n_transient, least=0)
    n_keep = min(n_steps, N_KEEP) if n_keep is None else n_keep
    check_count("n_keep", n_keep, least=1)
    if n_keep > n_steps:
        raise ValueError(f"n_keep={n_keep} values are more than n_steps={n_steps} steps; keep less")
    return n_transient, n_keep


@final
class _Reporter:
    """Adds up what is done."""

    def __init__(self, on_progress: Progress | None, total: int) -> None:
        self.on_progress = on_progress
        self.total = total
        self.done = 0

    def __call__(self, steps: int) -> None:
        self.done += steps
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)


def _spread(
    runner: TailRunner, columns: dict[str, np.ndarray], report: Callable[[int], None]
) -> list[_Rows]:
    """Run all values from the map's own initial states, in groups that fit into memory."""
    n = len(next(iter(columns.values())))
    groups = [slice(i, i + runner.group) for i in range(0, n, runner.group)]
    return [
        _reduce(
            runner({name: column[group] for name, column in columns.items()}, None, report),
            rest_of(runner.real),
        )
        for group in groups
    ]


def _follow(
    runner: TailRunner,
    columns: dict[str, np.ndarray],
    direction: str,
    report: Callable[[int], None],
) -> list[_Rows]:
    """Run one value after the other, each from where the one before ended."""
    n = len(next(iter(columns.values())))
    states = None
    parts = []
    for i in range(n) if direction == "up" else reversed(range(n)):
        one = {name: column[i : i + 1] for name, column in columns.items()}
        tails = runner(one, states, report)
        parts.append(_reduce(tails, rest_of(runner.real)))
        states = tails.states if parts[-1].status[0] == Status.BOUNDED else None
    return parts


class _Rows(NamedTuple):
    """What an orbit diagram holds of some values, one row each, and doubts about the exponents."""

    observed: np.ndarray
    exponents: np.ndarray
    stderr: np.ndarray
    periods: np.ndarray
    status: np.ndarray
    doubts: np.ndarray


def _reduce(tails: Tails, rest: float) -> _Rows:
    """Make numbers of the ends of some runs."""
    n = len(tails.alive)
    status = np.full(n, Status.BOUNDED, np.uint8)
    limit = GROWTH * np.maximum(1.0, np.abs(tails.at_start))
    status[~(np.abs(tails.at_end) <= limit)] = Status.ESCAPED
    status[~tails.alive] = Status.NOT_FINITE
    exponents, stderr = np.full((2, n), math.nan)
    periods = np.zeros(n, int)
    doubts = np.empty(n, object)
    for i in range(n):
        doubts[i] = ()
        if status[i] == Status.BOUNDED:
            averages = average(tails.increments[i][:, None])
            exponents[i], stderr[i] = averages.exponents[0], averages.stderr[0]
            periods[i] = find_period(tails.returns[i], rest)
            doubts[i] = averages.flags
    bounded = (status == Status.BOUNDED)[:, None]
    observed = np.where(bounded, tails.observed, math.nan)
    return _Rows(observed, exponents, stderr, periods, status, doubts)


def _flags(status: np.ndarray, doubts: np.ndarray, n_steps: int) -> tuple[str, ...]:
    """Say what was left out, and at how many values each doubt stands."""
    n = len(status)
    flags = []
    if escaped := int(np.sum(status != Status.BOUNDED)):
        flags.append(f"{escaped} of {n} runs escaped or stopped being finite and are left out")
    if n_steps < FINITE_TIME:
        flags.append(
            f"finite-time exponents: averages over {n_steps} steps, fewer than {FINITE_TIME}"
        )
    counts = Counter(doubt for some in doubts for doubt in some)
    flags += [f"at {count} of {n} values: {doubt}" for doubt, count in counts.items()]
    return tuple(flags)
