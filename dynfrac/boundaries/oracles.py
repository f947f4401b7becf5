"""Oracles: labels at any points of a window, counted against a budget.

Estimators of this room see the window as the unit cube. An oracle turns a position in it into
values of hyperparameters, asks a map or a function for the labels there, and keeps count. The
budget is a hard cap: asking for more is an error of the estimator, not of its user.

Long requests are answered in slices of a few seconds. After each, the answers are in the journal,
if there is one, and whoever asked hears of the progress, which is where Ctrl-C takes effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, final

import jax
import numpy as np

from dynfrac.boundaries.journals import Answers, Journal, Pace, answer_in_slices
from dynfrac.orbits.axes import WHOLE, Axis, check_axes
from dynfrac.orbits.batch_sizes import pool_runs
from dynfrac.orbits.evaluator import Evaluator
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.rules import AbstractRule
from dynfrac.systems.abstract import AbstractMap, resolve_hparams
from dynfrac.systems.numerics import hparam_dtype

Labels = Callable[[np.ndarray], Any]

MAX_AXES = 3
RESOLUTION = 2.0**10
"""Neighbouring points differ by at least so many units in the last place of each hyperparameter."""

_FIRST_RUNS = 64
"""Runs of the first slice, whose speed is not known; fewer where few go side by side."""
_FIRST_LABELS, _MOST_LABELS = 256, 2**20
_POOLS = 16


class Asked(NamedTuple):
    """A request and its answers.

    Attributes
    ----------
    positions : (N, d) float array
    answers : (N,) int array
        Codes of `Status` if a map was asked, else labels.
    losses : (N,) float array or None
        Last losses, if they are kept as well.
    """

    positions: np.ndarray
    answers: np.ndarray
    losses: np.ndarray | None = None


@final
class Oracle:
    """Labels of a map, or of any function, in a window.

    Parameters
    ----------
    target : AbstractMap or callable
        A callable takes a float64 array (N, d) of axis values and returns N integers.
    axes : sequence of Axis
        One to three.
    budget : int
        Most labels that may be asked for.
    n_steps, every, hparams, rule, dtype, lanes
        Of a map, as in `dynfrac.evaluate`; a callable takes none of them.
    journal : Journal, optional
        Answers what it has, and is handed the rest.
    keep : bool, default False
        Whether all that is asked is kept in `asked`.
    losses : bool, default False
        Whether the last loss of every run of a map is kept with it, and in the journal.
    nudge : bool, default False
        Whether every hyperparameter, fixed ones and those of the axes alike, is multiplied by 1 +
        2^-52 (2^-23 in float32) before the target sees it. Those that count are left alone, and so
        are those at the upper end of their range.
    on_progress : callable, optional
        Called with the number of labels used so far, every few seconds.

    Attributes
    ----------
    n_axes : int
    budget, used : int
        Labels that may be asked for in all, and that were.
    asked : list of Asked
        Requests in their order, if they are kept.
    is_map : bool
        Whether the target is a map and not a function.
    conditions : dict
        Of a map: `rule`, `n_steps`, `every`, `dtype`, `lanes`, `device`, as of `Outcomes`.

    Raises
    ------
    ValueError
        If the axes do not fit the target, or a callable is given what only a map can use.
    """

    def __init__(
        self,
        target: AbstractMap | Labels,
        axes: Sequence[Axis],
        *,
        budget: int,
        n_steps: int | None = None,
        every: int = 1,
        hparams: Mapping[str, float] | None = None,
        rule: str | AbstractRule | None = None,
        dtype: str | None = None,
        lanes: int | None = None,
        journal: Journal | None = None,
        keep: bool = False,
        losses: bool = False,
        nudge: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self._axes = tuple(axes)
        check_window(self._axes)
        self.n_axes = len(self._axes)
        self.budget = budget
        self.used = 0
        self.asked: list[Asked] = []
        self.conditions: dict[str, Any] = {}
        self._keep = keep
        self._journal = journal
        self._on_progress = on_progress
        self._real = np.dtype(np.float64)
        self._kind = "nudged labels" if nudge else "labels"
        given = {"n_steps": n_steps, "hparams": hparams, "rule": rule, "dtype": dtype}
        self.is_map = isinstance(target, AbstractMap)
        if isinstance(target, AbstractMap):
            if n_steps is None:
                raise ValueError("n_steps=None does not say how long a run is; pass a number")
            check_map_window(target, self._axes, hparams)
            evaluator = Evaluator(
                target, n_steps=n_steps, every=every, rule=rule, dtype=dtype, lanes=lanes
            )
            self._real = np.dtype(hparam_dtype(evaluator.real))
            self.conditions = {
                "rule": evaluator.rule.name,
                "n_steps": n_steps,
                "every": every,
                "dtype": str(evaluator.real),
                "lanes": evaluator.lanes,
                "device": jax.devices()[0].device_kind,
            }
            self._kind += f" after {n_steps} steps" + (" with losses" if losses else "")
            self._answers = _map_answers(
                evaluator,
                self._axes,
                dict(hparams or {}),
                self._real if nudge else None,
                losses=losses,
            )
            self._pace = run_pace(target, evaluator.lanes)
        else:
            if every != 1:
                given["every"] = every
            if losses:
                given["losses"] = losses
            for name, value in given.items():
                if value is not None:
                    raise ValueError(f"{name}={value!r} means nothing to a function; leave it out")
            self._answers = _function_answers(target, nudge=nudge)
            self._pace = Pace(_FIRST_LABELS, _MOST_LABELS)

    @property
    def left(self) -> int:
        """Labels that may still be asked for."""
        return self.budget - self.used

    @property
    def finest(self) -> float:
        """Smallest distance in the unit cube at which points are still well apart as numbers."""
        return RESOLUTION * max(_rounding(axis, self._real) for axis in self._axes)

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """Return labels at positions in the unit cube.

        Parameters
        ----------
        positions : (N, d) float array
            In [0, 1].

        Returns
        -------
        (N,) int array
            Of a map 1 where the run converged by its rule, else 0.

        Raises
        ------
        ValueError
            If a function does not return N whole numbers, or a journal has answers to something
            else.
        RuntimeError
            If this is more than what is left of the budget.
        """
        n = len(positions)
        if n > self.left:
            raise RuntimeError(f"{n} labels are asked for, and {self.left} are left of the budget")
        columns = [
            axis.values(column) for axis, column in zip(self._axes, positions.T, strict=True)
        ]
        points = np.stack(columns, axis=1)
        parts, losses = [], []
        for part in answer_in_slices(
            self._kind, points, self._answers, pace=self._pace, journal=self._journal
        ):
            parts.append(part["answers"])
            if "losses" in part:
                losses.append(part["losses"])
            self.used += len(parts[-1])
            if self._on_progress is not None:
                self._on_progress(self.used)
        answers = np.concatenate(parts).astype(np.int64) if parts else np.empty(0, np.int64)
        if self._keep:
            kept = np.concatenate(losses) if losses else None
            self.asked.append(Asked(np.array(positions), answers, kept))
        return self.labels_of(answers)

    def labels_of(self, answers: np.ndarray) -> np.ndarray:
        """Return the labels that answers mean."""
        return (answers == Status.CONVERGED).astype(np.int64) if self.is_map else answers


def run_pace(map_: AbstractMap, lanes: int) -> Pace:
    """Return the pace of runs of a map: a few batches first, at most a few pools at once."""
    first = lanes if lanes > _FIRST_RUNS else min(_FIRST_RUNS, 4 * lanes)
    return Pace(first, _POOLS * pool_runs(map_, lanes))


def check_window(axes: Sequence[Axis]) -> None:
    """Refuse axes that are no window.

    Raises
    ------
    ValueError
        If there are none or more than three, or one has whole numbers only.
    """
    if not 1 <= len(axes) <= MAX_AXES:
        raise ValueError(f"axes has {len(axes)} axes; pass one to {MAX_AXES}")
    for axis in axes:
        if axis.is_whole:
            raise ValueError(
                f"axis {axis.name} has whole numbers only, so that no boundary crosses it; "
                "choose an axis of real numbers"
            )


def check_map_window(
    map_: AbstractMap, axes: Sequence[Axis], hparams: Mapping[str, float] | None
) -> None:
    """Refuse axes that are no window of a map's hyperparameters.

    Raises
    ------
    ValueError
        As `check_window`, for unknown names, and for axes that are set as well.
    """
    check_window(axes)
    check_axes(axes, list(map_.defaults))
    for axis in axes:
        if axis.name in (hparams or {}):
            raise ValueError(f"{axis.name} is an axis and is set as well; drop one of them")


def _map_answers(
    evaluator: Evaluator,
    axes: Sequence[Axis],
    hparams: dict[str, float],
    nudged: np.dtype | None,
    *,
    losses: bool,
) -> Callable[[np.ndarray], Answers]:
    """Return a function that evaluates a map at points and gives the outcome of every run."""

    def answer(points: np.ndarray) -> Answers:
        columns = {axis.name: column for axis, column in zip(axes, points.T, strict=True)}
        values: dict[str, Any] = {**hparams, **columns}
        if nudged is not None:
            values = _nudged(evaluator.map_, values, nudged)
        outcomes = evaluator(values)
        answers = {"answers": outcomes.status}
        return {**answers, "losses": outcomes.final_loss} if losses else answers

    return answer


def _function_answers(labels: Labels, *, nudge: bool) -> Callable[[np.ndarray], Answers]:
    """Return a function that asks another one for labels and checks that they are labels."""

    def answer(points: np.ndarray) -> Answers:
        if nudge:
            points = points * (1 + np.finfo(points.dtype).eps)
        found = np.asarray(labels(points))
        if found.shape != (len(points),) or found.dtype.kind not in "biu":
            raise ValueError(
                f"labels(points) returned {found.dtype}{list(found.shape)} for {len(points)} "
                f"points; return {len(points)} integers"
            )
        return {"answers": found}

    return answer


def _nudged(map_: AbstractMap, values: Mapping[str, Any], real: np.dtype) -> dict[str, Any]:
    """Multiply all hyperparameters by the next number after 1, in the type they are used in."""
    limits = getattr(map_, "ranges", {})
    moved: dict[str, Any] = {}
    for name, value in resolve_hparams(map_, values).items():
        if name in WHOLE:
            moved[name] = value
            continue
        before = np.asarray(value, real)
        after = before * (1 + np.finfo(real).eps)
        high = limits.get(name, (-math.inf, math.inf))[1]
        moved[name] = np.where(after <= high, after, before)
    return moved


def _rounding(axis: Axis, real: np.dtype) -> float:
    """Return the distance in the unit cube that rounding the values of an axis amounts to."""
    of_values, of_places = float(np.finfo(real).eps), float(np.finfo(np.float64).eps)
    if axis.scale == "log10":
        low, high = math.log10(axis.low), math.log10(axis.high)
        # Values are computed in float64 from logarithms, whose last place grows with their size.
        of_logarithms = of_places * max(1.0, abs(low), abs(high))
        return max(of_values / math.log(10), of_logarithms) / (high - low)
    return of_values * max(abs(axis.low), abs(axis.high)) / (axis.high - axis.low)
