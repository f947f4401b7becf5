"""Arms of a comparison, and the protocol under which all of them are looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, final

from dynfrac.boundaries.budgets import LEAST_BUDGET
from dynfrac.boundaries.dimensions import PAIRS, ROUTES
from dynfrac.boundaries.pairs import distances_between
from dynfrac.boundaries.windows import RayWindow
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.rules import AbstractRule
from dynfrac.systems.abstract import AbstractMap, unknown_name
from dynfrac.systems.catalogue import make_architecture

Maker = Callable[[int], AbstractMap]

METHODS = ("auto", *ROUTES)


@final
@dataclasses.dataclass(frozen=True)
class Arm:
    """An architecture under its name.

    Attributes
    ----------
    name : str
    make : callable
        ``make(seed)`` returns the map whose initial weights have that seed.
    hparams : mapping of str to float
        Hyperparameters of this arm alone.
    """

    name: str
    make: Maker
    hparams: Mapping[str, float] = dataclasses.field(default_factory=dict)


@final
@dataclasses.dataclass(frozen=True)
class Protocol:
    """What is done with every arm and seed.

    Attributes
    ----------
    search : tuple of Axis
        The box in which windows are looked for.
    n_steps, budget : int
        Steps of a run, and most runs for each arm and seed, those that find the window included.
    window : RayWindow
    method : str
        As of `dynfrac.boundary_dimension`.
    seed : int
        Of the points and the bootstrap, together with that of the weights.
    hparams : mapping of str to float
        Hyperparameters of all arms.
    rule, dtype, lanes
        As in `dynfrac.evaluate`.
    scales : tuple of two floats, optional
        Smallest and largest distance, in units of the window, over which every dimension is fitted.
        By default every fit chooses its own.
    """

    search: tuple[Axis, ...]
    n_steps: int
    budget: int
    window: RayWindow
    method: str = "auto"
    seed: int = 0
    hparams: Mapping[str, float] = dataclasses.field(default_factory=dict)
    rule: str | AbstractRule | None = None
    dtype: str | None = None
    lanes: int | None = None
    scales: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse a method that does not exist, a budget that is too small, and no range."""
        if self.method not in METHODS:
            raise unknown_name("method", self.method, METHODS)
        if self.budget < LEAST_BUDGET:
            raise ValueError(
                f"budget={self.budget} is too small; pass at least {LEAST_BUDGET} runs for each "
                "arm and seed"
            )
        if self.scales is not None:
            low, high = map(float, self.scales)
            object.__setattr__(self, "scales", (low, high))
            distances_between((low, high))
            if self.method not in ("auto", PAIRS):
                raise ValueError(
                    f"scales={low:g}:{high:g} is a range for pairs, and method={self.method!r} "
                    "chooses its own; leave out one of them"
                )

    def conditions(self, arm: Arm) -> dict[str, Any]:
        """Return the keywords with which maps of an arm are run."""
        return {
            "n_steps": self.n_steps,
            "hparams": {**self.hparams, **arm.hparams},
            "rule": self.rule,
            "dtype": self.dtype,
            "lanes": self.lanes,
        }


def make_arm(arm: str | Maker | Arm) -> Arm:
    """Return an arm from the name of an architecture, or from a function of the seed.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(arm, Arm):
        return arm
    if isinstance(arm, str):
        return Arm(arm, lambda seed: make_architecture(arm, seed=seed))
    if not callable(arm):
        raise ValueError(f"{arm!r} is no arm; pass a name, or a function from a seed to a map")
    return Arm(getattr(arm, "__name__", type(arm).__name__), arm)


def make_map_of(arm: Arm, seed: int) -> AbstractMap:
    """Return the map of an arm and a seed.

    Raises
    ------
    ValueError
        If the arm makes something else.
    """
    made = arm.make(seed)
    if not isinstance(made, AbstractMap):
        raise ValueError(
            f"{arm.name} made a {type(made).__name__} of a seed; return a map, which "
            "dynfrac.training_map makes of a network"
        )
    return made
