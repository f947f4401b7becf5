"""The ends of many orbits: what a map does in the long run at each of many hyperparameters.

Every run is stepped with one tangent (`dynfrac.orbits.stretching`), in lanes. Kept are the last
values of an observable, the increments of the exponent, and how near the orbit comes back to its
last state, from which its period is read.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.batch_sizes import default_lanes
from dynfrac.orbits.inspection import host_driven, is_autonomous, metric_names
from dynfrac.orbits.kernels import read
from dynfrac.orbits.phase import phase_space
from dynfrac.orbits.stretching import Stretched, begin_stretched, step_stretched
from dynfrac.systems.abstract import AbstractMap, unknown_name
from dynfrac.systems.numerics import cast_floats, precision

CHUNK = 256
"""Steps per compiled call."""

RETURNS = 128
"""Steps over which an orbit is watched for coming back, at most."""

_BYTES = 2**27
"""Of increments that are held at once, about."""


@final
@dataclasses.dataclass(frozen=True)
class Observable:
    """A real number that is read off a state. Hashable, so that compiled functions are kept.

    Attributes
    ----------
    name : str
        ``"loss"`` (what the map observes), a metric of the map, or ``"x0"``, ``"x1"``, ... for a
        coordinate of its phase space; of a function, what it is called.
    function : callable, optional
        ``function(state, hparams) -> real scalar``, traceable by jax.
    """

    name: str = "loss"
    function: Callable[[Any, Any], Any] | None = None

    def __call__(self, map_: AbstractMap, state: Any, hparams: Any) -> jax.Array:
        """Return the number in float64."""
        if self.function is not None:
            return jnp.asarray(self.function(state, hparams)).astype(jnp.float64)
        if self.name == "loss":
            return jnp.asarray(map_.observe(state, hparams)).astype(jnp.float64)
        if (index := _coordinate(self.name)) is not None:
            return phase_space(map_, state).split(state)[0][index].astype(jnp.float64)
        return read(map_, (self.name,), state, hparams)[0]


def _coordinate(name: str) -> int | None:
    match = re.fullmatch(r"x([0-9]+)", name)
    return int(match[1]) if match else None


def choose_observable(
    map_: AbstractMap, observable: str | Callable[[Any, Any], Any] | None, dimension: int
) -> Observable:
    """Return an observable from its name or function, after checking that the map has it.

    Raises
    ------
    ValueError
        If there is no such metric or coordinate.
    """
    if observable is None:
        return Observable()
    if callable(observable):
        return Observable(getattr(observable, "__name__", "observable"), observable)
    metrics = metric_names(map_)
    index = None if observable in metrics else _coordinate(observable)
    if index is not None and index >= dimension:
        raise ValueError(
            f"observable={observable!r} is no coordinate of {type(map_).__name__}, whose phase "
            f"space has {dimension}; give x0 to x{dimension - 1}"
        )
    if index is None and observable not in (*metrics, "loss"):
        known = ("loss", *metrics, "x0" if dimension == 1 else f"x0 to x{dimension - 1}")
        raise unknown_name("observable", observable, known)
    return Observable(observable)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Tails:
    """What is kept of n runs.

    Attributes
    ----------
    observed : (n, n_keep) float array
        The observable at the last states before the end.
    increments : (n, n_steps) float array
        Of the tangent, in nats; not-a-number from the first step on that is not finite.
    returns : (n, m) float array
        Largest distance of a coordinate from the end of the orbit after 1, ..., m more steps,
        relative to 1 plus the largest coordinate. m is 0 for a map that depends on the step.
    at_start, at_end : (n,) float array
        What the map observes at the start and at the end.
    alive : (n,) bool array
        Whether all coordinates stayed finite.
    states : pytree of (n, ...) arrays
        The states of the map at the end.
    """

    observed: np.ndarray
    increments: np.ndarray
    returns: np.ndarray
    at_start: np.ndarray
    at_end: np.ndarray
    alive: np.ndarray
    states: Any


@final
class TailRunner:
    """Runs many orbits of one map; made once, so that everything is compiled once.

    Parameters
    ----------
    map_ : AbstractMap
    observable : Observable
    n_runs : int
        How many there will be: a batch need not have more lanes.
    n_steps, n_transient, n_keep : int
        Averaged steps, steps before them, and values of the observable that are kept.
    seed : int
        Of the first tangent, the same for every run.
    real : dtype
    """

    def __init__(
        self,
        map_: AbstractMap,
        observable: Observable,
        n_runs: int,
        *,
        n_steps: int,
        n_transient: int,
        n_keep: int,
        seed: int,
        real: np.dtype,
    ) -> None:
        self.observable = observable
        self.n_steps = n_steps
        self.n_transient = n_transient
        self.n_keep = n_keep
        self.real = real
        self.on_host = host_driven(map_)
        with precision():
            self.map_ = jax.device_put(cast_floats(Stretched(map_, seed=seed), real))
            self.lanes = min(default_lanes(map_), 2 ** max(0, n_runs - 1).bit_length())
        self.n_returns = min(RETURNS, n_steps) if is_autonomous(map_, real) else 0
        # Runs that are best given to one call: their increments fit into memory.
        self.group = max(1, _BYTES // (8 * n_steps * self.lanes)) * self.lanes

    def __call__(
        self,
        columns: dict[str, np.ndarray],
        states: Any = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Tails:
        """Run orbits at the given hyperparameters.

        Parameters
        ----------
        columns : dict of str to (n,) array
            All the map's hyperparameters.
        states : pytree of (n, ...) arrays, optional
            States of the map to start from in place of its own initial ones.
        on_progress : callable, optional
            Called with run-steps done since the last call; they add up to
            n * (n_transient + n_steps).
        """
        n = len(next(iter(columns.values())))
        rows = [np.minimum(np.arange(i, i + self.lanes), n - 1) for i in range(0, n, self.lanes)]
        hparams = [{name: column[r] for name, column in columns.items()} for r in rows]
        starts = [jax.tree.map(lambda v, r=r: v[r], states) for r in rows]
        end = self.n_transient + self.n_steps
        increments, observed = [], []
        with precision(), ThreadPoolExecutor(2) as pool:
            batches = _each(pool, self._begin, hparams, starts)
            first = _each(pool, self._read_losses, batches, hparams)
            for t, count in (*_pieces(0, self.n_transient), *_pieces(self.n_transient, end)):
                advance = partial(self._advance, t=t, count=count)
                moved = _each(pool, advance, batches, hparams)
                batches, stretches, values = (list(part) for part in zip(*moved, strict=True))
                if t >= self.n_transient:
                    increments.append(np.concatenate(stretches, axis=1)[:count, :n])
                    kept = max(0, end - self.n_keep - t)
                    observed.append(np.concatenate(values, axis=1)[kept:count, :n])
                if on_progress is not None:
                    on_progress(count * n)
            last = _each(pool, self._read_losses, batches, hparams)
            returns = _each(pool, partial(self._returns, t=end), batches, hparams)
        joined = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n], *batches)
        return Tails(
            observed=np.concatenate(observed).T,
            increments=np.concatenate(increments).T,
            returns=np.concatenate(returns)[:n],
            at_start=np.concatenate(first)[:n],
            at_end=np.concatenate(last)[:n],
            alive=joined.alive,
            states=joined.inner,
        )

    def _begin(self, hparams: Any, states: Any) -> Any:
        fresh = begin_stretched(self.map_, hparams, self.real)
        return fresh if states is None else fresh.replace(inner=states)

    def _read_losses(self, batch: Any, hparams: Any) -> Any:
        return _read_all(self.map_.inner, batch.inner, hparams, Observable())

    def _advance(self, batch: Any, hparams: Any, t: int, count: int) -> Any:
        keep_from = self.n_transient + self.n_steps - self.n_keep
        function = _advance_on_host if self.on_host else _advance
        return function(self.map_, batch, hparams, t, count, keep_from, self.observable)

    def _returns(self, batch: Any, hparams: Any, t: int) -> Any:
        function = _returns_on_host if self.on_host else _returns
        if not self.n_returns:
            return np.zeros((self.lanes, 0))
        return function(self.map_.inner, batch.inner, hparams, t, self.n_returns)


def _each(pool: ThreadPoolExecutor, function: Callable[..., Any], *batches: Any) -> list[Any]:
    """Apply a function to every batch, side by side, and return NumPy arrays."""

    def work(*batch: Any) -> Any:
        with precision():  # the setting is the thread's own
            return jax.tree.map(np.asarray, function(*batch))

    return list(pool.map(work, *batches))


def _pieces(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield start and length of the pieces of at most `CHUNK` steps."""
    for t in range(start, stop, CHUNK):
        yield t, min(CHUNK, stop - t)


@partial(jax.jit, static_argnames="observable")
def _read_all(map_: AbstractMap, states: Any, hparams: Any, observable: Observable) -> jax.Array:
    return jax.vmap(partial(observable, map_))(states, hparams)


@partial(jax.jit, static_argnames="observable")
def _read_once(map_: AbstractMap, state: Any, hparams: Any, observable: Observable) -> jax.Array:
    return observable(map_, state, hparams)


@partial(jax.jit, static_argnames="observable")
def _advance(
    map_: Stretched,
    states: Any,
    hparams: Any,
    t: int,
    count: int,
    keep_from: int,
    observable: Observable,
) -> Any:
    """Return states after `count` steps, increments and what was observed, (CHUNK, lanes) each.

    Nothing is observed before step `keep_from`, because it may cost as much as a step.
    """

    def body(i: jax.Array, carry: Any) -> Any:
        states, increments, observed = carry
        observed = jax.lax.cond(
            t + i >= keep_from,
            lambda: observed.at[i].set(_read_all(map_.inner, states.inner, hparams, observable)),
            lambda: observed,
        )
        states = jax.vmap(map_.step, in_axes=(0, 0, None))(states, hparams, t + i)
        return states, increments.at[i].set(states.increment), observed

    blank = jnp.full((CHUNK, len(states.age)), jnp.nan)
    return jax.lax.fori_loop(0, count, body, (states, blank, blank))


def _advance_on_host(
    map_: Stretched,
    states: Any,
    hparams: Any,
    t: int,
    count: int,
    keep_from: int,
    observable: Observable,
) -> Any:
    """Do the same one lane after the other, one compiled step at a time."""
    increments, observed = np.full((2, CHUNK, len(states.age)), np.nan)
    ends = []
    for lane in range(len(states.age)):
        state, point = jax.tree.map(lambda v, lane=lane: v[lane], (states, hparams))
        for i in range(count):
            if t + i >= keep_from:
                observed[i, lane] = _read_once(map_.inner, state.inner, point, observable)
            state = step_stretched(map_, state, point, t + i)
            increments[i, lane] = state.increment
        ends.append(state)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *ends), increments, observed


@partial(jax.jit, static_argnames="n")
def _returns(map_: AbstractMap, states: Any, hparams: Any, t: int, n: int) -> jax.Array:
    """Return how far the orbits are from `states` after 1 to n steps, (lanes, n)."""

    def run(state: Any, point: Any) -> jax.Array:
        def body(i: jax.Array, carry: Any) -> Any:
            now, distances = carry
            now = map_.step(now, point, t + i)
            return now, distances.at[i].set(_distance(map_, state, now))

        return jax.lax.fori_loop(0, n, body, (state, jnp.zeros(n)))[1]

    return jax.vmap(run)(states, hparams)


def _returns_on_host(map_: AbstractMap, states: Any, hparams: Any, t: int, n: int) -> np.ndarray:
    """Do the same one lane after the other, one compiled step at a time."""
    lanes = len(jax.tree.leaves(states)[0])
    distances = np.zeros((lanes, n))
    for lane in range(lanes):
        state, point = jax.tree.map(lambda v, lane=lane: v[lane], (states, hparams))
        now = state
        for i in range(n):
            now, distances[lane, i] = _step_away(map_, state, now, point, t + i)
    return distances


@jax.jit
def _step_away(map_: AbstractMap, start: Any, state: Any, hparams: Any, t: int) -> Any:
    after = map_.step(state, hparams, t)
    return after, _distance(map_, start, after)


def _distance(map_: AbstractMap, start: Any, state: Any) -> jax.Array:
    """Return the largest change of a coordinate, relative to 1 plus the largest coordinate."""
    space = phase_space(map_, start)
    here, there = (space.split(x)[0].astype(jnp.float64) for x in (start, state))
    return jnp.max(jnp.abs(there - here)) / (1 + jnp.max(jnp.abs(here)))
