"""What an orbit diagram holds, and how it is read: periods, stretches, cascades."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dynfrac.analysis.verdicts import NEUTRAL, REST
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.labelled_arrays import axis_coordinate, make_dataset
from dynfrac.orbits.outcomes import Status

if TYPE_CHECKING:
    import xarray

RETURN = 1e-3
"""An orbit has come back if it is this much nearer its end than it has been on the way."""

CREEP = 1.5
"""An orbit creeps if its first step, taken on and on, leads at most this much farther than it got:
it does not turn."""

LONGEST = 42
"""The longest period that is looked for: 128 steps hold it three times."""


@final
@dataclasses.dataclass(frozen=True)
class Stretch:
    """A run of neighbouring values at which the same happens.

    Attributes
    ----------
    kind : str
        ``"period"``, ``"chaotic"``, ``"escaped"``, or ``"unsettled"`` for neither.
    period : int
        Of the cycle; 1 for a state that stays; 0 unless `kind` is ``"period"``.
    low, high : float
        First and last value of the hyperparameter.
    n : int
        How many values.
    """

    kind: str
    period: int
    low: float
    high: float
    n: int


@final
@dataclasses.dataclass(frozen=True)
class Change:
    """A place where a new thing begins, as far as the values of the hyperparameter tell.

    Attributes
    ----------
    kind : str
        ``"period"`` or ``"chaotic"``.
    period : int
        The new period; 0 for chaos.
    low, high : float
        Values between which it begins: the last one before, and the first one of it.
    """

    kind: str
    period: int
    low: float
    high: float


@final
@dataclasses.dataclass(frozen=True, eq=False)
class OrbitDiagram:
    """What a map does in the long run over a hyperparameter.

    Attributes
    ----------
    axis : Axis
        With its number n of points.
    values : (n,) float array
        The points of the axis.
    observable : str
        What was observed: ``"loss"`` is what the map itself observes.
    observed : (n, n_keep) float array
        Its last values. Rows of runs that did not stay bounded are not-a-number.
    exponents : (n,) float array
        The largest exponent in nats per step; not-a-number where the run did not stay bounded,
        minus infinity on a superstable orbit.
    stderr : (n,) float array
        Its standard error, as `dynfrac.analysis.verdicts.average` has it.
    periods : (n,) int array
        Steps after which the orbit comes back, 1 if it stays where it is; 0 where none was found.
    status : (n,) uint8 array
        `BOUNDED`, `ESCAPED` (finite, but what the map observes passed 1e8 times its first value, or
        1e8 if that is larger) or `NOT_FINITE`.
    n_steps, n_transient : int
        Steps averaged, and steps before them.
    flags : tuple of str
        What to know before quoting numbers.
    conditions : dict
        Map, fixed hyperparameters, dtype, lanes, seed, device and versions.
    """

    axis: Axis
    values: np.ndarray = dataclasses.field(repr=False)
    observable: str
    observed: np.ndarray = dataclasses.field(repr=False)
    exponents: np.ndarray = dataclasses.field(repr=False)
    stderr: np.ndarray = dataclasses.field(repr=False)
    periods: np.ndarray = dataclasses.field(repr=False)
    status: np.ndarray = dataclasses.field(repr=False)
    n_steps: int
    n_transient: int
    flags: tuple[str, ...]
    conditions: dict[str, Any] = dataclasses.field(repr=False)

    @property
    def bounded(self) -> np.ndarray:
        """(n,) bool array: where the run stayed bounded."""
        return self.status == Status.BOUNDED

    @property
    def chaotic(self) -> np.ndarray:
        """(n,) bool array: the exponent is above three standard errors, and above 0.01."""
        return self.bounded & (self.exponents > np.maximum(3 * self.stderr, NEUTRAL))

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """Runs of neighbouring values at which the same happens, in the order of the axis."""
        kinds = [
            ("escaped", 0)
            if not bounded
            else ("chaotic", 0)
            if chaotic
            else ("period", int(period))
            if period
            else ("unsettled", 0)
            for bounded, chaotic, period in zip(
                self.bounded, self.chaotic, self.periods, strict=True
            )
        ]
        starts = [i for i in range(len(kinds)) if i == 0 or kinds[i] != kinds[i - 1]]
        return tuple(
            Stretch(*kinds[i], float(self.values[i]), float(self.values[stop - 1]), stop - i)
            for i, stop in zip(starts, [*starts[1:], len(kinds)], strict=True)
        )

    @property
    def cascade(self) -> tuple[Change, ...]:
        """Where each doubling of the period is first seen, and where chaos is.

        The periods are those of the first settled stretch times 2, 4, 8, ... in this order, each
        between the last value before at which any period was found, and its own first one. Chaos
        begins between the last value before any exponent is above 0.01, or any period is none of
        these (a window within chaos), and the first one that is `chaotic`; where there is none
        before, `low` is not-a-number.
        """
        changes: list[Change] = []
        chaotic = np.flatnonzero(self.chaotic)
        end = int(chaotic[0]) if chaotic.size else len(self.values)
        settled = np.flatnonzero(self.periods[:end] * self.bounded[:end])
        beyond = self.exponents > NEUTRAL
        if settled.size:
            first = int(self.periods[settled[0]])
            doublings = first * 2 ** np.arange(LONGEST.bit_length())
            beyond |= ~np.isin(self.periods, np.append(doublings, 0))
            period = 2 * first
            previous = settled[0]
            for i in settled:
                if self.periods[i] == period:
                    before, here = (float(self.values[j]) for j in (previous, i))
                    changes.append(Change("period", period, before, here))
                    period *= 2
                previous = i
        if chaotic.size:
            doubtful = np.flatnonzero(self.bounded & beyond)[0]
            calm = np.flatnonzero(self.bounded[:doubtful])
            low = self.values[calm[-1]] if calm.size else math.nan
            changes.append(Change("chaotic", 0, float(low), float(self.values[end])))
        return tuple(changes)

    def to_dict(self) -> dict[str, Any]:
        """Return every field, with the stretches and the cascade, and status by name."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            **fields,
            "axis": dataclasses.asdict(self.axis),
            "status": [Status(code).name.lower() for code in self.status],
            "stretches": [dataclasses.asdict(stretch) for stretch in self.stretches],
            "cascade": [dataclasses.asdict(change) for change in self.cascade],
        }

    def to_xarray(self) -> xarray.Dataset:
        """Return the diagram with the hyperparameter as its coordinate.

        Returns
        -------
        xarray.Dataset
            `observed` has a second dimension, `kept`: the values before the end, the last one last.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        along, nats = (self.axis.name,), {"units": "nats per step"}
        status = {"long_name": "what became of the run", "flag_values": [int(s) for s in Status]}
        status["flag_meanings"] = " ".join(s.name.lower() for s in Status)
        return make_dataset(
            {
                "observed": ((*along, "kept"), self.observed, {"long_name": self.observable}),
                "exponents": (along, self.exponents, {"long_name": "largest exponent", **nats}),
                "stderr": (along, self.stderr, {"long_name": "its standard error", **nats}),
                "periods": (along, self.periods, {"long_name": "period", "units": "steps"}),
                "status": (along, self.status, status),
            },
            {self.axis.name: axis_coordinate(self.axis, self.values)},
            {
                **self.conditions,
                "n_steps": self.n_steps,
                "n_transient": self.n_transient,
                "flags": list(self.flags),
            },
        )


def find_period(returns: np.ndarray, rest: float = REST) -> int:
    """Return the period of an orbit from how near it comes back to where it was.

    Parameters
    ----------
    returns : (m,) float array
        Distance after 1, ..., m steps.
    rest : float
        Distance below which the orbit is where it was.

    Returns
    -------
    int
        The first p with distances after p, 2 p and 3 p steps that are below a thousandth of the
        largest one, for 3 p <= m and p <= 42; 1 for an orbit that rests, or creeps along a line;
        else 0.

    Examples
    --------
    >>> find_period(np.array([1.0, 1e-6] * 8))
    2
    """
    m = len(returns)
    if m < 3 or not np.all(np.isfinite(returns)):
        return 0
    farthest = returns.max()
    if farthest < rest or m * returns[0] < CREEP * returns[-1]:
        return 1
    near = returns < RETURN * farthest
    for period in range(1, min(LONGEST, m // 3) + 1):
        if np.all(near[period - 1 : 3 * period : period]):
            return period
    return 0
