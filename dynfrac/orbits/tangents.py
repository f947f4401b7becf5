"""Tangent dynamics, matrix-free: orthonormal frames carried along orbits.

One step pushes k tangent vectors through the linearised map, orthonormalises them and keeps the
logarithms of the stretching factors. The Jacobian is never formed, so k is usually much smaller
than the dimension. Two drivers share the parts of that step: a compiled loop over all lanes, and
the host, which calls them one at a time (`dynfrac.orbits.iteration.Problem` says when).
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.frames import orthonormalise
from dynfrac.orbits.iteration import keep_finite
from dynfrac.orbits.lanes import Lanes, over_lanes, stack_lanes, take_lane
from dynfrac.orbits.phase import PhaseSpace
from dynfrac.systems.abstract import AbstractMap, State
from dynfrac.systems.numerics import precision

SEGMENT = 8192
"""Largest number of steps per compiled call."""

BUFFER = 2**22
"""Largest number of increments per compiled call, 32 MiB of them."""


def longest_stretch(n_lanes: int, n_vectors: int) -> int:
    """Return the largest number of steps of one call of `propagate`."""
    return max(1, min(SEGMENT, BUFFER // (n_lanes * n_vectors)))


def propagate(
    lanes: Lanes, states: Any, frames: jax.Array, alive: np.ndarray, t: int, stop: int
) -> tuple[Any, jax.Array, np.ndarray, np.ndarray]:
    """Carry states and their tangent frames from time t to time `stop`, where they stay finite.

    Parameters
    ----------
    lanes : Lanes
    states : pytree
        The states at time t, lanes first.
    frames : (L, k, d) array
        Orthonormal rows.
    alive : (L,) bool array
        Lanes that are to move; the others are left as they are.
    t, stop : int
        At most `longest_stretch` apart.

    Returns
    -------
    states : pytree
        At time `reached`.
    frames : (L, k, d) array
        The frames there.
    increments : (stop - t, L, k) float64 array
        ln abs(R_jj) of each step, in nats; not-a-number for steps that a lane did not take. Minus
        infinity stands for a direction that was annihilated.
    reached : (L,) int array
        `stop`, or less where the next state or tangent would not have been finite.
    """
    if lanes.driver == "host":
        return _propagate_on_host(lanes, states, frames, alive, t, stop)
    n_lanes, k, _ = frames.shape
    states, frames, increments, counts = _propagate_compiled(
        lanes.map_,
        lanes.hparams,
        lanes.space,
        states,
        frames,
        alive,
        t,
        stop,
        n_rows=longest_stretch(n_lanes, k),
    )
    # Cut on the device: the buffer is longer than most stretches.
    kept = np.asarray(increments[: stop - t], np.float64)
    counts = np.asarray(counts)
    if np.any(counts < stop - t):
        taken = np.arange(stop - t)[:, None] < counts
        kept = np.where(taken[..., None], kept, np.nan)
    return states, frames, kept, t + counts


def _propagate_on_host(
    lanes: Lanes, states: Any, frames: jax.Array, alive: np.ndarray, t: int, stop: int
) -> tuple[Any, jax.Array, np.ndarray, np.ndarray]:
    """Run `propagate` as calls of compiled steps, one lane after the other."""
    increments = np.full((stop - t, *frames.shape[:2]), np.nan)
    reached = np.full(lanes.count, t)
    after = []
    for lane in range(lanes.count):
        state, frame, hparams = take_lane((states, frames, lanes.hparams), lane)
        arguments = (lanes.map_, hparams, lanes.space)
        while alive[lane] and reached[lane] < stop:
            now = int(reached[lane])
            moved, finite, push = linearise(*arguments, state, now)
            turned, increment, defined = _stacked(_push_each(push, frame))
            if not (finite and defined):
                break
            state, frame = moved, turned
            increments[now - t, lane] = increment
            reached[lane] += 1
        after.append((state, frame))
    states, frames = stack_lanes(after)
    return states, frames, increments, reached


@functools.partial(jax.jit, static_argnames=("space",))
def linearise(
    map_: AbstractMap, hparams: Any, space: PhaseSpace, state: State, t: Any
) -> tuple[State, jax.Array, Any]:
    """Take one step of one orbit.

    Returns
    -------
    state : pytree
        The state at t + 1.
    finite : bool array
        Whether all its coordinates are finite.
    push : callable
        The tangent map of the step: takes a (d,) tangent to the next one.
    """
    vector, rest = space.split(state)

    def move(coordinates: jax.Array) -> tuple[jax.Array, list[Any]]:
        after = map_.step(space.join(coordinates, rest), hparams, jnp.asarray(t, jnp.int32))
        return space.split(after)

    moved, push, rest = jax.linearize(move, vector, has_aux=True)
    return space.join(moved, rest), jnp.all(jnp.isfinite(moved)), push


@jax.jit
def _push(push: Any, tangent: jax.Array) -> jax.Array:
    """Apply a tangent map that `linearise` returned."""
    return push(tangent)


def _push_each(push: Any, frame: jax.Array) -> list[jax.Array]:
    """Apply a tangent map to the rows of a frame, one call for each.

    On a CPU a batch of four tangents of a convolutional network took 1.4 times as long. Calls of
    their own cost one compilation, whatever their number; and two at a time they take a fifth less
    on two cores, because no convolution keeps both busy throughout.
    """

    def call(row: jax.Array) -> jax.Array:
        with precision():  # which is a setting of the thread
            return jax.block_until_ready(_push(push, row))

    with ThreadPoolExecutor(min(len(frame), os.cpu_count() or 1)) as threads:
        return list(threads.map(call, frame))


@jax.jit
def _stacked(tangents: list[jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Orthonormalise tangents that were pushed one by one."""
    return orthonormalise(jnp.stack(tangents))


@functools.partial(jax.jit, static_argnames=("space", "n_rows"))
def _propagate_compiled(
    map_: AbstractMap,
    hparams: Any,
    space: PhaseSpace,
    states: Any,
    frames: jax.Array,
    alive: jax.Array,
    t: Any,
    stop: Any,
    *,
    n_rows: int,
) -> tuple[Any, jax.Array, jax.Array, jax.Array]:
    """Run `propagate` as one loop; its length is a run-time value, the buffer's is fixed."""
    n_lanes = len(frames)

    def proceed(carry: Any) -> jax.Array:
        *_, alive, n = carry
        return (t + n < stop) & jnp.any(alive)

    def body(carry: Any) -> Any:
        states, frames, increments, counts, alive, n = carry

        # The time is the same in all lanes: as an argument it would select a minibatch for each.
        def step(state: Any, h: Any, frame: jax.Array, alive: jax.Array) -> Any:
            after, finite, push = linearise(map_, h, space, state, t + n)
            turned, row, defined = orthonormalise(jax.vmap(push)(frame))
            alive = alive & finite & defined
            state, frame = keep_finite(alive, (after, turned), (state, frame))
            return state, frame, row, alive

        states, frames, rows, alive = over_lanes(step, n_lanes)(states, hparams, frames, alive)
        return states, frames, increments.at[n].set(rows), counts + alive, alive, n + 1

    buffer = jnp.zeros((n_rows, *frames.shape[:2]), frames.dtype)
    start = (states, frames, buffer, jnp.zeros(n_lanes, int), jnp.asarray(alive), jnp.int32(0))
    states, frames, increments, counts, _, _ = jax.lax.while_loop(proceed, body, start)
    return states, frames, increments, counts
