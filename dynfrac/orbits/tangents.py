"""Tangent dynamics, matrix-free: an orthonormal frame carried along an orbit.

One step pushes k tangent vectors through the linearised map, orthonormalises them and keeps the
logarithms of the stretching factors. The Jacobian is never formed, so k is usually much smaller
than the dimension. Two drivers share the parts of that step: a compiled loop, and the host, which
calls them one at a time (`dynfrac.orbits.iteration.Problem` says when).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.iteration import CHUNK, Problem, Progress, advance, keep_finite
from dynfrac.orbits.phase import PhaseSpace
from dynfrac.systems.abstract import AbstractMap, State

SEGMENT = 8192
"""Largest number of steps per call of `propagate`."""

N_RECORDS = 200
"""Recorded points of a run, if there are as many steps."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class TangentRun:
    """What a run of an orbit with its tangents leaves behind.

    Attributes
    ----------
    increments : (n, k) float array
        ln abs(R_jj) of every averaged step, in nats; n is less than asked for if the run stopped.
    steps : (m,) int array
        Numbers of averaged steps after which the map was observed.
    observations : (m,) float array
        What it observed.
    stopped_at : int
        Index of the first state that is not finite or has no finite tangent, else -1.
    motion : float
        Largest change of a coordinate in one more step, relative to 1 plus the largest coordinate;
        0 if the state stays exactly where it is, not-a-number if there is no finite next state.
    state : pytree
        The last finite state.
    """

    increments: np.ndarray
    steps: np.ndarray
    observations: np.ndarray
    stopped_at: int
    motion: float
    state: State


def run_tangents(
    problem: Problem,
    n_vectors: int,
    *,
    n_transient: int,
    n_warmup: int,
    n_steps: int,
    seed: int,
    on_progress: Progress | None = None,
) -> TangentRun:
    """Run the orbit alone, then with its frame, then with its frame recorded.

    Parameters
    ----------
    problem : Problem
    n_vectors : int
        Number k of tangents, at most the dimension.
    n_transient, n_warmup, n_steps : int
        Lengths of the three stretches.
    seed : int
        Of the initial frame.
    on_progress : callable, optional
        Called with (steps done, steps in all).

    Returns
    -------
    TangentRun
    """
    first = n_transient + n_warmup
    end = first + n_steps
    stride = min(SEGMENT, max(1, n_steps // N_RECORDS))
    frame = random_frame(seed, n_vectors, problem)
    recorded = [np.empty((0, n_vectors))]
    steps: list[int] = []
    observations: list[float] = []
    state = problem.state
    t = 0
    stops = (
        *_stops(0, n_transient, CHUNK),
        *_stops(n_transient, first, stride),
        *_stops(first, end, stride),
    )
    for stop in stops:
        if stop <= n_transient:
            state, t = advance(problem, state, t, stop)
        else:
            state, frame, increments = propagate(problem, state, frame, t, stop)
            t += len(increments)
            if stop > first:
                recorded.append(increments)
        if t < stop:
            break
        if stop > first:
            steps.append(stop - first)
            observations.append(float(_observe(problem.map_, problem.hparams, state)))
        if on_progress is not None:
            on_progress(t, end)
    stopped = t < end
    return TangentRun(
        increments=np.concatenate(recorded),
        steps=np.asarray(steps, int),
        observations=np.asarray(observations, float),
        stopped_at=t + 1 if stopped else -1,
        motion=math.nan if stopped else _motion(problem, state, frame, t),
        state=state,
    )


def _stops(start: int, stop: int, stride: int) -> Iterator[int]:
    """Yield the ends of the pieces of at most `stride` steps from `start` to `stop`."""
    while start < stop:
        start = min(start + stride, stop)
        yield start


@jax.jit
def _observe(map_: AbstractMap, hparams: Any, state: State) -> Any:
    return map_.observe(state, hparams)


def _motion(problem: Problem, state: State, frame: jax.Array, t: int) -> float:
    """Return the relative size of one more step.

    Taken with its tangents, because that step is compiled already and the bare one may not be.
    """
    after, _, increments = propagate(problem, state, frame, t, t + 1)
    if not len(increments):
        return math.nan
    here, there = (np.asarray(problem.space.split(x)[0], np.float64) for x in (state, after))
    return float(np.max(np.abs(there - here)) / (1 + np.max(np.abs(here))))


def random_frame(seed: int, n_vectors: int, problem: Problem) -> jax.Array:
    """Return orthonormal tangent vectors, one per row.

    Parameters
    ----------
    seed : int
    n_vectors : int
        Number k of tangents, at most the dimension.
    problem : Problem
        Gives dimension and type.

    Returns
    -------
    (k, dimension) array

    Notes
    -----
    Drawn and orthonormalised in float64 and cast afterwards, so that both precisions start from
    the same frame. Row j does not depend on k.
    """
    space = problem.space
    gaussian = np.random.default_rng(seed).standard_normal((n_vectors, space.dimension))
    orthonormal, _ = np.linalg.qr(gaussian.T)
    return jnp.asarray(orthonormal.T, np.result_type(*space.dtypes).type(0).real.dtype)


def propagate(
    problem: Problem, state: State, frame: jax.Array, t: int, stop: int
) -> tuple[State, jax.Array, np.ndarray]:
    """Carry a state and its tangent frame from time t to time `stop`, if they stay finite.

    Parameters
    ----------
    problem : Problem
    state : pytree
        The state at time t.
    frame : (k, dimension) array
        Orthonormal rows.
    t, stop : int
        At most `SEGMENT` apart.

    Returns
    -------
    state : pytree
        The state at time t + n.
    frame : (k, dimension) array
        The frame there.
    increments : (n, k) float64 array
        ln abs(R_jj) of each step, in nats. n = stop - t, or less if the next state or tangent
        would not have been finite. Minus infinity stands for a direction that was annihilated.
    """
    arguments = (problem.map_, problem.hparams, problem.space)
    if problem.driver == "scan":
        state, frame, increments, n = _propagate_compiled(*arguments, state, frame, t, stop)
        return state, frame, np.asarray(increments)[: int(n)].astype(np.float64)
    rows = []
    for now in range(t, stop):
        after, finite, push = _linearise(*arguments, state, now)
        # One by one: a batch of tangents turns every convolution into a grouped one, which is
        # slow on a CPU. As calls of their own they cost one compilation, whatever their number.
        turned, increment, defined = _orthonormalise([_push(push, row) for row in frame])
        if not (finite and defined):
            break
        state, frame = after, turned
        rows.append(np.asarray(increment, np.float64))
    return state, frame, np.reshape(rows, (len(rows), len(frame)))


@functools.partial(jax.jit, static_argnames=("space",))
def _linearise(
    map_: AbstractMap, hparams: Any, space: PhaseSpace, state: State, t: Any
) -> tuple[State, jax.Array, Any]:
    """Take one step; return the state, whether it is finite, and the tangent map of the step."""
    vector, rest = space.split(state)

    def advance(coordinates: jax.Array) -> tuple[jax.Array, list[Any]]:
        after = map_.step(space.join(coordinates, rest), hparams, jnp.asarray(t, jnp.int32))
        return space.split(after)

    moved, push, rest = jax.linearize(advance, vector, has_aux=True)
    return space.join(moved, rest), jnp.all(jnp.isfinite(moved)), push


@jax.jit
def _push(push: Any, tangent: jax.Array) -> jax.Array:
    """Apply a tangent map that `_linearise` returned."""
    return push(tangent)


@jax.jit
def _orthonormalise(tangents: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return an orthonormal frame, the log stretching factors, and whether they are defined."""
    orthonormal, triangle = jnp.linalg.qr(jnp.stack(tangents, axis=1))
    # Library routines return either sign on R's diagonal, hence the absolute value.
    increments = jnp.log(jnp.abs(jnp.diagonal(triangle)))
    return orthonormal.T, increments, jnp.all(increments < jnp.inf)


@functools.partial(jax.jit, static_argnames=("space",))
def _propagate_compiled(
    map_: AbstractMap,
    hparams: Any,
    space: PhaseSpace,
    state: State,
    frame: jax.Array,
    t: Any,
    stop: Any,
) -> tuple[State, jax.Array, jax.Array, jax.Array]:
    """Run `propagate` as one loop; its length is a run-time value, the buffer's is fixed."""

    def proceed(carry: Any) -> jax.Array:
        *_, n, finite = carry
        return (t + n < stop) & finite

    def body(carry: Any) -> Any:
        state, frame, increments, n, _ = carry
        after, finite, push = _linearise(map_, hparams, space, state, t + n)
        turned, row, defined = _orthonormalise(jax.vmap(push)(frame))
        finite = finite & defined
        state, frame = keep_finite(finite, (after, turned), (state, frame))
        return state, frame, increments.at[n].set(row), n + finite, finite

    buffer = jnp.zeros((SEGMENT, len(frame)), frame.dtype)
    start = (state, frame, buffer, jnp.int32(0), jnp.asarray(True))
    state, frame, increments, n, _ = jax.lax.while_loop(proceed, body, start)
    return state, frame, increments, n
