"""Every frame along an orbit, and how each was stretched into the next: for small systems."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.frames import orthonormalise
from dynfrac.orbits.iteration import Progress, keep_finite
from dynfrac.orbits.lanes import Lanes, take_lane
from dynfrac.orbits.phase import PhaseSpace
from dynfrac.orbits.tangents import linearise
from dynfrac.systems.abstract import AbstractMap, State

ROWS = 1024
"""Steps per compiled call."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class FrameHistory:
    """A stretch of an orbit with its frames, from time t to time t + n.

    Attributes
    ----------
    points : (n, d) float array
        Coordinates at times t, ..., t + n - 1.
    frames : (n, k, d) float array
        Orthonormal rows at these times.
    triangles : (n, k, k) float array
        Upper triangular: with frames as columns, J Q_t = Q_{t+1} R_t.
    state : pytree
        The state at time t + n.
    frame : (k, d) array
        The frame there.
    """

    points: np.ndarray
    frames: np.ndarray
    triangles: np.ndarray
    state: State
    frame: jax.Array


def record_frames(
    lanes: Lanes,
    state: State,
    frame: jax.Array,
    t: int,
    n_steps: int,
    on_progress: Progress | None = None,
) -> FrameHistory:
    """Carry one orbit and its frame on, and keep everything.

    Parameters
    ----------
    lanes : Lanes
        Of which lane 0 gives map and hyperparameters.
    state : pytree
        The state at time t.
    frame : (k, d) array
        Orthonormal rows.
    t, n_steps : int
    on_progress : callable, optional
        Called with (steps done, steps in all).

    Returns
    -------
    FrameHistory
        Of fewer steps if the next state or tangent would not have been finite.
    """
    arguments = (lanes.map_, take_lane(lanes.hparams, 0), lanes.space)
    k, d = frame.shape
    kept = [tuple(np.empty((0, *shape)) for shape in ((d,), (k, d), (k, k)))]
    done = 0
    while done < n_steps:
        wanted = min(ROWS, n_steps - done)
        state, frame, buffers, count = _record(*arguments, state, frame, t + done, wanted)
        kept.append(tuple(np.asarray(buffer)[: int(count)] for buffer in buffers))
        done += int(count)
        if on_progress is not None:
            on_progress(done, n_steps)
        if count < wanted:
            break
    points, frames, triangles = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return FrameHistory(points, frames, triangles, state, frame)


@functools.partial(jax.jit, static_argnames=("space",))
def _record(
    map_: AbstractMap,
    hparams: Any,
    space: PhaseSpace,
    state: State,
    frame: jax.Array,
    t: Any,
    n_steps: Any,
) -> tuple[State, jax.Array, tuple[jax.Array, ...], jax.Array]:
    """Run at most `ROWS` steps into buffers of that length."""
    k, d = frame.shape

    def proceed(carry: Any) -> jax.Array:
        *_, n, finite = carry
        return (n < n_steps) & finite

    def body(carry: Any) -> Any:
        state, frame, (points, frames, triangles), n, _ = carry
        after, finite, push = linearise(map_, hparams, space, state, t + n)
        pushed = jax.vmap(push)(frame)
        turned, _, defined = orthonormalise(pushed)
        finite = finite & defined
        rows = (space.split(state)[0], frame, jnp.triu(turned @ pushed.T))
        buffers = tuple(
            buffer.at[n].set(row)
            for buffer, row in zip((points, frames, triangles), rows, strict=True)
        )
        state, frame = keep_finite(finite, (after, turned), (state, frame))
        return state, frame, buffers, n + finite, finite

    buffers = tuple(jnp.zeros((ROWS, *shape), frame.dtype) for shape in ((d,), (k, d), (k, k)))
    start = (state, frame, buffers, jnp.int32(0), jnp.asarray(True))
    state, frame, buffers, count, _ = jax.lax.while_loop(proceed, body, start)
    return state, frame, buffers, count
