"""Oracles: labels at any points of a window, counted against a budget.

Estimators of this room see the window as the unit cube. An oracle turns a position in it into
values of hyperparameters, asks a map or a function for the labels there, and keeps count. The
budget is a hard cap: asking for more is an error of the estimator, not of its user.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np

from dynfrac.orbits.axes import Axis, check_axes
from dynfrac.orbits.criteria import AbstractRule
from dynfrac.orbits.evaluator import Evaluator
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import hparam_dtype

Labels = Callable[[np.ndarray], Any]

MAX_AXES = 3
RESOLUTION = 2.0**10
"""Neighbouring points differ by at least so many units in the last place of each hyperparameter."""


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
    n_steps, hparams, rule, dtype, lanes
        Of a map, as in `dynfrac.evaluate`; a callable takes none of them.

    Attributes
    ----------
    n_axes : int
    budget, used : int
        Labels that may be asked for in all, and that were.

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
        hparams: Mapping[str, float] | None = None,
        rule: str | AbstractRule | None = None,
        dtype: str | None = None,
        lanes: int | None = None,
    ) -> None:
        self._axes = tuple(axes)
        _check_window(self._axes)
        self.n_axes = len(self._axes)
        self.budget = budget
        self.used = 0
        self._real = np.dtype(np.float64)
        given = {"n_steps": n_steps, "hparams": hparams, "rule": rule, "dtype": dtype}
        if isinstance(target, AbstractMap):
            if n_steps is None:
                raise ValueError("n_steps=None does not say how long a run is; pass a number")
            check_axes(self._axes, list(target.defaults))
            for axis in self._axes:
                if axis.name in (hparams or {}):
                    raise ValueError(f"{axis.name} is an axis and is set as well; drop one of them")
            evaluator = Evaluator(target, n_steps=n_steps, rule=rule, dtype=dtype, lanes=lanes)
            self._real = np.dtype(hparam_dtype(evaluator.real))
            self._labels: Labels = _map_labels(evaluator, self._axes, dict(hparams or {}))
        else:
            for name, value in given.items():
                if value is not None:
                    raise ValueError(f"{name}={value!r} means nothing to a function; leave it out")
            self._labels = target

    @property
    def left(self) -> int:
        """Labels that may still be asked for."""
        return self.budget - self.used

    @property
    def finest(self) -> float:
        """Smallest distance in the unit cube at which points are still well apart as numbers."""
        ulp = RESOLUTION * float(np.finfo(self._real).eps)
        return max(ulp * _steepness(axis) for axis in self._axes)

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """Return labels at positions in the unit cube.

        Parameters
        ----------
        positions : (N, d) float array
            In [0, 1].

        Returns
        -------
        (N,) int array

        Raises
        ------
        ValueError
            If a function does not return N whole numbers.
        RuntimeError
            If this is more than what is left of the budget.
        """
        n = len(positions)
        if n > self.left:
            raise RuntimeError(f"{n} labels are asked for, and {self.left} are left of the budget")
        columns = [
            axis.values(column) for axis, column in zip(self._axes, positions.T, strict=True)
        ]
        labels = np.asarray(self._labels(np.stack(columns, axis=1)))
        if labels.shape != (n,) or labels.dtype.kind not in "biu":
            raise ValueError(
                f"labels(points) returned {labels.dtype}{list(labels.shape)} for {n} points; "
                f"return {n} integers"
            )
        self.used += n
        return labels.astype(np.int64)


def _check_window(axes: Sequence[Axis]) -> None:
    if not 1 <= len(axes) <= MAX_AXES:
        raise ValueError(f"axes has {len(axes)} axes; pass one to {MAX_AXES}")
    for axis in axes:
        if axis.is_whole:
            raise ValueError(
                f"axis {axis.name} has whole numbers only, so that no boundary crosses it; "
                "choose an axis of real numbers"
            )


def _map_labels(evaluator: Evaluator, axes: Sequence[Axis], hparams: dict[str, float]) -> Labels:
    """Return a function that evaluates a map at points and gives 1 to the runs that converged."""

    def labels(points: np.ndarray) -> np.ndarray:
        columns = {axis.name: column for axis, column in zip(axes, points.T, strict=True)}
        return evaluator({**hparams, **columns}).labels

    return labels


def _steepness(axis: Axis) -> float:
    """Return the relative precision of positions for a relative precision 1 of the values."""
    if axis.scale == "log10":
        # Values are computed from their logarithms, whose own last place grows with the exponent.
        decades = abs(math.log10(axis.low)), abs(math.log10(axis.high))
        return max(1.0, *decades) / (math.log10(axis.high) - math.log10(axis.low))
    return max(abs(axis.low), abs(axis.high)) / (axis.high - axis.low)
