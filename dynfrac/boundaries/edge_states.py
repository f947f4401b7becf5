"""Two states on either side of an edge: their outcomes, their distance and their next steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.criteria import AbstractRule
from dynfrac.orbits.evaluator import Evaluator
from dynfrac.orbits.phase import phase_space
from dynfrac.systems.abstract import AbstractMap, Hparams, resolve_hparams
from dynfrac.systems.numerics import cast_floats, choose_dtype, hparam_dtype

REACHES = (0.5, 2.0, 8.0)
"""How far a lost edge is looked for along the line through two states, in units of their gap."""
N_PLACES = 17


@final
class Between(AbstractMap):
    """A map that starts on the line through two states, at the place `between`, 0 or 1 for each."""

    map_: AbstractMap
    inside: Any
    outside: Any
    start: Any

    def __getattr__(self, name: str) -> Any:
        """Return an optional attribute of the inner map, if it has it."""
        if name.startswith("_") or name in ("map_", "inside", "outside", "start"):
            raise AttributeError(name)
        return getattr(self.map_, name)

    @property
    def defaults(self) -> dict[str, float]:
        """Those of the inner map, and the place."""
        return {**self.map_.defaults, "between": 0.0}

    def init(self, hparams: Hparams) -> Any:
        """Return the state at the place."""
        return mix_states(self.inside, self.outside, hparams["between"])

    def step(self, state: Any, hparams: Hparams, t: Any) -> Any:
        """Take a step of the inner map, at its own time."""
        own = {name: hparams[name] for name in self.map_.defaults}
        return self.map_.step(state, own, self.start + t)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return what the inner map observes."""
        return self.map_.observe(state, {name: hparams[name] for name in self.map_.defaults})


def mix_states(inside: Any, outside: Any, place: Any) -> Any:
    """Return the state at a place between two; what is no number of the phase space is inside's."""

    def mix(a: Any, b: Any) -> Any:
        inexact = jnp.issubdtype(jnp.result_type(a), jnp.inexact)
        return ((1 - place) * a + place * b).astype(a.dtype) if inexact else a

    return jax.tree.map(mix, inside, outside)


Judge = Callable[[np.ndarray], np.ndarray]


@final
class PairTracker:
    """Labels, steps and distances of states of one map; counts the labels."""

    def __init__(
        self,
        map_: AbstractMap,
        hparams: Mapping[str, float] | None,
        state: Any,
        horizon: int,
        rule: str | AbstractRule | None,
        dtype: str | None,
        budget: int,
    ) -> None:
        real = choose_dtype(map_, dtype)
        self.map_ = cast_floats(map_, real)
        self.real = real
        self.given = {k: float(v) for k, v in resolve_hparams(map_, hparams).items()}
        self.hparams = {k: jnp.asarray(v, hparam_dtype(real)) for k, v in self.given.items()}
        self.horizon = horizon
        self.rule = rule
        self.left = budget
        self.expected = jax.eval_shape(self.map_.init, self.hparams)
        self.space = phase_space(self.map_, self.cast(state))

    def cast(self, state: Any) -> Any:
        """Return a state in the precision of the run."""
        shapes = jax.tree.map(jnp.shape, state), jax.tree.map(jnp.shape, self.expected)
        if shapes[0] != shapes[1]:
            raise ValueError("inside or outside is no state of the map; pass what its init returns")
        return jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), state, self.expected)

    def vector(self, state: Any) -> np.ndarray:
        """Return the coordinates of a state."""
        return np.asarray(self.space.split(state)[0], float)

    def judge(self, pair: tuple[Any, Any], time: int) -> Judge:
        """Return the function that labels places between two states, counted."""
        between = Between(self.map_, *pair, jnp.asarray(time))
        # Places are asked for one by one; in more lanes, all but one would repeat it.
        evaluator = Evaluator(
            between, n_steps=self.horizon, rule=self.rule, dtype=str(self.real), lanes=1
        )

        def labels(places: np.ndarray) -> np.ndarray:
            self.left -= len(places)
            return evaluator({**self.given, "between": places}).labels

        return labels

    def enclose(
        self, pair: tuple[Any, Any], judge: Judge
    ) -> tuple[tuple[float, float], bool, bool] | None:
        """Return two places with different outcomes, that of the first, and if they are new.

        Rounding can take a state across an edge that is nearer than it can tell. If both have the
        same outcome, others on the line through them are tried, nearest first.
        """
        labels = judge(np.array([0.0, 1.0]))
        if labels[0] != labels[1]:
            return (0.0, 1.0), bool(labels[0]), False
        for reach in REACHES:
            places = np.linspace(0.5 - reach, 0.5 + reach, N_PLACES)
            if self.left < N_PLACES:
                return None
            labels = judge(places)
            changes = np.flatnonzero(labels[1:] != labels[:-1])
            if len(changes):
                first = changes[np.argmin(abs(changes + 1 - N_PLACES / 2))]
                return (float(places[first]), float(places[first + 1])), bool(labels[first]), True
        return None

    def bisect(
        self,
        pair: tuple[Any, Any],
        places: tuple[float, float],
        label: bool,
        gap: float,
        judge: Judge,
    ) -> tuple[Any, Any]:
        """Return two states at most `gap` apart, the first of which has the label."""
        length = float(np.linalg.norm(self.vector(pair[0]) - self.vector(pair[1])))
        low, high = places
        for _ in range(math.ceil(math.log2(max(length * (high - low) / gap, 1.0)))):
            middle = (low + high) / 2
            if self.left < 1 or middle in (low, high):
                break
            same = judge(np.array([middle]))[0] == label
            low, high = (middle, high) if same else (low, middle)
        return mix_states(*pair, low), mix_states(*pair, high)

    def step(self, pair: tuple[Any, Any], time: int) -> tuple[Any, Any]:
        """Return both states one step on."""
        return _step_both(self.map_, pair, self.hparams, jnp.asarray(time))


@jax.jit
def _step_both(map_: AbstractMap, pair: tuple[Any, Any], hparams: Any, time: Any) -> Any:
    return tuple(map_.step(state, hparams, time) for state in pair)
