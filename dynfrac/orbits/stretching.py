"""The largest finite-time Lyapunov exponent of many runs at once: a map that carries a tangent.

`Stretched(map_)` steps a map together with one tangent vector, which is pushed through the
linearised step and brought back to length one; the logarithms of its lengths add up to the
exponent. It is a map like any other, so that it runs in lanes, and it has one metric more than the
map inside: ``"lyapunov"``.

The evaluator steps the map itself by the program that it uses without a tangent, and the tangent by
a second one, along the same states (`advance_stretched`). Compiled into one program the two would
share their arithmetic, which rounds differently from the map's alone, and recording an exponent
would change which runs converge.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import ArrayLike

from dynfrac.orbits.kernels import Readings, doomed, equal_bits, initial_states
from dynfrac.orbits.phase import phase_space
from dynfrac.orbits.wording import EXPONENT
from dynfrac.systems.abstract import AbstractMap, Hparams
from dynfrac.systems.nodes import Node
from dynfrac.systems.numerics import DTYPES

LYAPUNOV = EXPONENT
"""Name under which the exponent is recorded and watched."""


@final
class StretchedState(Node):
    """A state with the tangent that it carries.

    Attributes
    ----------
    inner : pytree
        State of the map inside.
    tangent : (dimension,) float array
        Of length one, in the coordinates of the map's phase space.
    increment : float scalar
        ln of what the last step stretched the tangent by, in nats; minus infinity where it was
        annihilated, not-a-number where there was no finite step.
    total : float scalar
        Sum of the increments after the warm-up.
    age : int scalar
        Finite steps taken.
    alive : bool scalar
        Whether all coordinates and tangents were finite until now.
    """

    inner: Any
    tangent: jax.Array
    increment: jax.Array
    total: jax.Array
    age: jax.Array
    alive: jax.Array


@final
class Stretched(AbstractMap):
    """A map with one tangent vector, and the metric ``"lyapunov"``.

    Parameters
    ----------
    inner : AbstractMap
        The map. Hyperparameters, observation, metrics, rule, types and ranges are its own.
    n_warmup : int, default 0
        Steps that turn the tangent before averaging. Until they are over there is no exponent.
    seed : int, default 0
        Of the first tangent, the same for every run: a Gaussian direction, the first vector of
        `dynfrac.lyapunov_spectrum` at this seed.

    Notes
    -----
    The metric is the mean of ln abs(Df v) over the finite steps after the warm-up, in nats per
    step, with the Euclidean norm of the whole phase space (Benettin et al., Meccanica 15, 1980). A
    run that stops being finite keeps the mean up to there. It is not-a-number for a run without any
    such step, and minus infinity once a step has annihilated the tangent.

    Without a warm-up the mean contains the turning of the tangent: about ln(sqrt d) / n too low
    for n steps in d dimensions with one direction that grows. For the steps of a training run that
    is part of what a *finite-time* exponent is; for an attractor, warm up.
    """

    inner: AbstractMap
    n_warmup: int = struct.field(pytree_node=False, default=0)
    seed: int = struct.field(pytree_node=False, default=0)

    @property
    def defaults(self) -> dict[str, float]:
        """Those of the map inside."""
        return self.inner.defaults

    @property
    def rule(self) -> Any:
        """The outcome rule of the map inside, if it names one."""
        return getattr(self.inner, "rule", None)

    @property
    def preferred_dtype(self) -> str:
        """That of the map inside."""
        return getattr(self.inner, "preferred_dtype", "float64")

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Those of the map inside that are fine enough for tangents."""
        return tuple(name for name in getattr(self.inner, "dtypes", DTYPES) if name in DTYPES)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Those of the map inside."""
        return getattr(self.inner, "ranges", {})

    @property
    def drive(self) -> str:
        """That of the map inside."""
        return getattr(self.inner, "drive", "scan")

    @property
    def slaved(self) -> tuple[str, ...]:
        """The tangent and its lengths, which no state reads."""
        return ("tangent", "increment", "total")

    def init(self, hparams: Hparams) -> StretchedState:
        """Return the map's first state with the first tangent."""
        return self.begin(self.inner.init(hparams))

    def begin(self, state: Any) -> StretchedState:
        """Return a state of the map inside with the first tangent.

        Parameters
        ----------
        state : pytree
            In the type of the run.
        """
        space = phase_space(self.inner, state)
        # Drawn in float64 and cast, so that both precisions start from one direction.
        gaussian = np.random.default_rng(self.seed).standard_normal(space.dimension)
        real = np.result_type(*space.dtypes).type(0).real.dtype
        return StretchedState(
            inner=state,
            tangent=jnp.asarray(gaussian / np.linalg.norm(gaussian), real),
            increment=jnp.asarray(jnp.nan, real),
            total=jnp.zeros((), jnp.float64),
            age=jnp.int32(0),
            alive=jnp.asarray(True),
        )

    def step(self, state: StretchedState, hparams: Hparams, t: ArrayLike) -> StretchedState:
        """Take one step, and push the tangent through its linearisation."""
        space = phase_space(self.inner, state.inner)
        vector, rest = space.split(state.inner)

        def advance(coordinates: jax.Array) -> tuple[jax.Array, list[Any]]:
            return space.split(self.inner.step(space.join(coordinates, rest), hparams, t))

        moved, pushed, rest = jax.jvp(advance, (vector,), (state.tangent,), has_aux=True)
        # The largest entry first: the squares of a diverging run's tangent would overflow.
        largest = jnp.max(jnp.abs(pushed))
        annihilated = largest == 0
        scaled = pushed / jnp.where(annihilated, 1, largest)
        length = jnp.where(annihilated, 1, jnp.sqrt(jnp.sum(scaled * scaled)))
        increment = jnp.log(largest) + jnp.log(length)
        alive = state.alive & jnp.all(jnp.isfinite(moved)) & (increment < jnp.inf)
        counted = alive & (state.age >= self.n_warmup)
        return StretchedState(
            inner=space.join(moved, rest),
            # A direction that is gone is replaced by the last one; the sum is lost in any case.
            tangent=jnp.where(alive & ~annihilated, scaled / length, state.tangent),
            increment=jnp.where(alive, increment, jnp.nan).astype(state.increment.dtype),
            total=jnp.where(counted, state.total + increment, state.total).astype(
                state.total.dtype
            ),
            age=state.age + alive,
            alive=alive,
        )

    def observe(self, state: StretchedState, hparams: Hparams) -> Any:
        """Return what the map inside observes."""
        return self.inner.observe(state.inner, hparams)

    def exponent(self, state: StretchedState) -> jax.Array:
        """Return the mean increment of the finite steps after the warm-up, in nats per step."""
        n = state.age - self.n_warmup
        return jnp.where(n > 0, state.total / jnp.maximum(n, 1), jnp.nan)

    def metrics(self, state: StretchedState, hparams: Hparams) -> dict[str, Any]:
        """Return the metrics of the map inside, and ``"lyapunov"``, that of the steps so far."""
        inner = getattr(self.inner, "metrics", None)
        values = {} if inner is None else inner(state.inner, hparams)
        return {**values, LYAPUNOV: self.exponent(state)}

    def is_doomed(self, state: StretchedState) -> Any:
        """Whether the map inside says that every later observation is not-a-number."""
        hook = getattr(self.inner, "is_doomed", None)
        return jnp.asarray(False) if hook is None else hook(state.inner)


def plain_map(map_: AbstractMap) -> AbstractMap:
    """Return the map without a tangent."""
    return map_.inner if isinstance(map_, Stretched) else map_


def stretch_if_asked(
    map_: AbstractMap, names: Collection[str], metrics: Collection[str]
) -> AbstractMap:
    """Return a map with a tangent if its exponent is wanted, else without.

    Parameters
    ----------
    map_ : AbstractMap
        A `Stretched` one keeps its warm-up and seed.
    names : collection of str
        What is to be recorded or watched.
    metrics : collection of str
        Those of the map. One that is itself called ``"lyapunov"`` is used.
    """
    if LYAPUNOV not in names:
        return plain_map(map_)
    return map_ if LYAPUNOV in metrics else Stretched(map_)


def begin_stretched(map_: Stretched, hparams: Any, real: np.dtype) -> StretchedState:
    """Return the first states (lanes, ...) of a batch; the sums are in float64 in any case."""
    return _begin(map_, initial_states(map_.inner, hparams, real))


@jax.jit
def _begin(map_: Stretched, states: Any) -> StretchedState:
    return jax.vmap(map_.begin)(states)


def advance_stretched(
    map_: Stretched,
    states: StretchedState,
    hparams: Any,
    t: int,
    count: int,
    last: int,
    readings: Readings,
    *,
    plain: Callable[..., Any],
    on_host: bool,
) -> Any:
    """Take `count` steps of the map by itself, then the same steps with the tangents.

    Parameters
    ----------
    map_, states, hparams, t, count, last, readings
        As for `dynfrac.orbits.kernels.advance`.
    plain : callable
        That function, or the one that does the same from the host.
    on_host : bool
        Whether the tangents are stepped from the host, too.

    Returns
    -------
    states, losses, finals, repeats, doomed
        As from `plain`. Exponents are read after the step at which losses are read before it: the
        last one covers all the steps of a run. A rule that watches them reads not-a-number once
        the run has stopped being finite, and the lowest number in place of minus infinity. A run is
        doomed only once that was known before this chunk, so that its exponent no longer moves.

    Notes
    -----
    The second program repeats the steps of the first one, and rounds them differently. Its states
    are thrown away after each chunk, so that the tangents belong to the states of the run up to
    what rounding grows to in 25 steps.
    """
    without = dataclasses.replace(
        readings,
        watch="loss" if readings.watch == LYAPUNOV else readings.watch,
        finals=tuple(name for name in readings.finals if name != LYAPUNOV),
    )
    inner, losses, finals, _, _ = plain(map_.inner, states.inner, hparams, t, count, last, without)
    follow = _follow_on_host if on_host else _follow
    after, exponents, final = follow(map_, states, hparams, t, count, last, readings)
    after = after.replace(inner=inner)
    if readings.watch == LYAPUNOV:
        losses = exponents
    if LYAPUNOV in readings.finals:
        finals = np.insert(np.asarray(finals), readings.finals.index(LYAPUNOV), final, axis=1)
    return after, losses, finals, *_seal(map_, states, after)


@jax.jit
def _seal(map_: Stretched, before: StretchedState, after: StretchedState) -> Any:
    """Return which lanes repeat, tangents included, and which were doomed before."""
    return equal_bits(before, after), doomed(map_.inner, before.inner) & ~before.alive


@partial(jax.jit, static_argnames="readings")
def _follow(
    map_: Stretched,
    states: StretchedState,
    hparams: Any,
    t: int,
    count: int,
    last: int,
    readings: Readings,
) -> Any:
    """Return the states after `count` steps, the exponents at the recorded ones and at `last`."""
    every = readings.every

    def body(i: jax.Array, carry: Any) -> Any:
        states, exponents, final = carry
        states = jax.vmap(map_.step, in_axes=(0, 0, None))(states, hparams, t + i)
        now = jax.vmap(map_.exponent)(states)
        # Of the steps that share a row the last one stays, which is the one that is recorded.
        exponents = exponents.at[i // every].set(_as_watched(states, now))
        return states, exponents, jnp.where(i == last, now, final)

    lanes = len(states.age)
    start = states, jnp.full((readings.rows, lanes), jnp.nan), jnp.full(lanes, jnp.nan)
    after, exponents, final = jax.lax.fori_loop(0, count, body, start)
    return after, exponents.T, final


def _follow_on_host(
    map_: Stretched,
    states: StretchedState,
    hparams: Any,
    t: int,
    count: int,
    last: int,
    readings: Readings,
) -> Any:
    """Do the same one lane after the other, one compiled step at a time."""
    lanes = len(states.age)
    exponents, final = np.full((lanes, readings.rows), np.nan), np.full(lanes, np.nan)
    ends = []
    for lane in range(lanes):
        state, point = jax.tree.map(lambda v, lane=lane: v[lane], (states, hparams))
        for i in range(count):
            state = step_stretched(map_, state, point, t + i)
            now, watched = _read_exponent(map_, state)
            exponents[lane, i // readings.every] = watched
            if i == last:
                final[lane] = now
        ends.append(state)
    after = jax.tree.map(lambda *leaves: jnp.stack(leaves), *ends)
    return after, exponents, final


@jax.jit
def step_stretched(map_: Stretched, state: StretchedState, hparams: Any, t: int) -> StretchedState:
    """Take one step of one run, as a program of its own."""
    return map_.step(state, hparams, t)


@jax.jit
def _read_exponent(map_: Stretched, state: StretchedState) -> tuple[jax.Array, jax.Array]:
    now = map_.exponent(state)
    return now, _as_watched(state, now)


def _as_watched(state: StretchedState, now: jax.Array) -> jax.Array:
    """Return exponents in the terms of a rule, to which infinite means escaped."""
    return jnp.where(state.alive, jnp.maximum(now, jnp.finfo(now.dtype).min), jnp.nan)
