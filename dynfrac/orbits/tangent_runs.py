"""Runs of orbits with their tangents: transient, warm-up, recorded steps, and when to stop.

The loop carries a `Checkpoint` from stretch to stretch and nothing else, so a run can be left and
taken up again after any of them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.checkpoints import Checkpoint, restored_leaves, specification_of
from dynfrac.orbits.frames import random_frame
from dynfrac.orbits.iteration import CHUNK, Progress, check_count
from dynfrac.orbits.lanes import Lanes, advance, over_lanes
from dynfrac.orbits.tangents import longest_stretch, propagate
from dynfrac.systems.abstract import AbstractMap, State

N_RECORDS = 200
"""Recorded points of a run, if there are as many steps."""

FIRST_CHECK = 400
"""Averaged steps before a stopping rule is asked for the first time."""

StoppingRule = Callable[[list[np.ndarray]], int]
"""Takes the (n, k) increments of each orbit; says after how many steps to ask again, 0 to stop."""


@final
@dataclasses.dataclass(frozen=True)
class Plan:
    """The stretches of a run.

    Attributes
    ----------
    n_transient : int
        Steps of the orbit alone.
    n_warmup : int
        Steps that align the frame.
    n_steps : int
        Steps to record, at most.
    """

    n_transient: int
    n_warmup: int
    n_steps: int

    def __post_init__(self) -> None:
        """Refuse lengths that are no lengths."""
        check_count("n_transient", self.n_transient, least=0)
        check_count("n_warmup", self.n_warmup, least=0)
        check_count("n_steps", self.n_steps, least=1)

    @property
    def first(self) -> int:
        """First step that is recorded."""
        return self.n_transient + self.n_warmup

    @property
    def end(self) -> int:
        """One past the last step."""
        return self.first + self.n_steps


@final
@dataclasses.dataclass(frozen=True, eq=False)
class TangentRun:
    """What a run of one orbit with its tangents leaves behind.

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
    frame : (k, d) array
        The frame there.
    """

    increments: np.ndarray
    steps: np.ndarray
    observations: np.ndarray
    stopped_at: int
    motion: float
    state: State
    frame: jax.Array


def run_tangents(
    lanes: Lanes,
    n_vectors: int,
    plan: Plan,
    *,
    seed: int,
    rule: StoppingRule | None = None,
    label: str = "",
    resume: Checkpoint | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    on_progress: Progress | None = None,
) -> list[TangentRun]:
    """Run orbits alone, then with their frames, then with the stretching recorded.

    Parameters
    ----------
    lanes : Lanes
    n_vectors : int
        Number k of tangents, at most the dimension.
    plan : Plan
    seed : int
        Of the initial frame, the same in all lanes.
    rule : callable, optional
        Asked after 400 recorded steps, and then whenever it wants to be.
    label : str
        Says which rule it is; part of the specification.
    resume : Checkpoint, optional
        Where to go on from.
    on_checkpoint : callable, optional
        Called with a `Checkpoint` after every stretch of at most `SEGMENT` steps. It shares its
        arrays with the run and costs nothing.
    on_progress : callable, optional
        Called with (steps done, steps in all) after each of these stretches.

    Returns
    -------
    list of TangentRun
        One for each lane.

    Raises
    ------
    ValueError
        If `resume` belongs to another run.
    """
    space = lanes.space
    frame = random_frame(seed, n_vectors, space.dimension, lanes.dtype)
    frames = jnp.broadcast_to(frame, (lanes.count, *frame.shape))
    specification = ""
    if resume is not None or on_checkpoint is not None:
        lengths = dataclasses.asdict(plan)
        specification = specification_of(lanes, frames, **lengths, seed=seed, rule=label)
    if resume is None:
        leaves = tuple(jax.tree.leaves(lanes.states))
        check = plan.n_steps + 1 if rule is None else min(FIRST_CHECK, plan.n_steps)
        now = Checkpoint(specification, 0, check, leaves, frames, np.full(lanes.count, -1))
    elif resume.specification == specification:
        leaves = restored_leaves(resume, lanes)
        now = dataclasses.replace(resume, leaves=leaves, frames=jnp.asarray(resume.frames))
    else:
        raise ValueError(
            "the checkpoint belongs to another run: its map, hyperparameters, lengths, seed, "
            "device or version of jax differ; start again without it"
        )
    stride = min(longest_stretch(lanes.count, n_vectors), max(1, plan.n_steps // N_RECORDS))
    while not _is_over(plan, now):
        now = _stretch(lanes, plan, stride, now)
        if rule is not None and now.t - plan.first == now.next_check:
            check = min(rule(increments_of(plan, now)), plan.n_steps)
            now = dataclasses.replace(now, next_check=check)
        if on_checkpoint is not None:
            on_checkpoint(now)
        if on_progress is not None and np.any(now.stopped_at < 0):
            on_progress(plan.end if _is_over(plan, now) else now.t, plan.end)
    return _taken_apart(lanes, plan, now)


def increments_of(plan: Plan, now: Checkpoint) -> list[np.ndarray]:
    """Return the (n, k) increments of each orbit up to a checkpoint, as far as it was finite."""
    shape = (0, len(now.stopped_at), np.shape(now.frames)[1])
    rows = np.concatenate([np.empty(shape), *now.increments])
    # Each orbit's numbers side by side in memory: they are summed many times over.
    rows = np.ascontiguousarray(np.moveaxis(rows, 1, 0))
    return [rows[lane, :n] for lane, n in enumerate(_averaged(plan, now))]


def _averaged(plan: Plan, now: Checkpoint) -> np.ndarray:
    """Return how many increments of each orbit count."""
    reached = np.where(now.stopped_at < 0, now.t, now.stopped_at - 1)
    return np.maximum(0, reached - plan.first)


def _is_over(plan: Plan, now: Checkpoint) -> bool:
    enough = 0 <= now.next_check <= now.t - plan.first
    return now.t >= plan.end or enough or not np.any(now.stopped_at < 0)


def _next_stop(plan: Plan, stride: int, now: Checkpoint) -> int:
    """Return where the next stretch ends; it depends on nothing but where the run stands."""
    if now.t < plan.n_transient:
        return min(now.t + CHUNK, plan.n_transient)
    if now.t < plan.first:
        return min(now.t + stride, plan.first)
    averaged = now.t - plan.first
    stop = min((averaged // stride + 1) * stride, plan.n_steps)
    if averaged < now.next_check < stop:
        stop = now.next_check
    return plan.first + stop


def _stretch(lanes: Lanes, plan: Plan, stride: int, now: Checkpoint) -> Checkpoint:
    """Return the checkpoint one stretch later."""
    stop = _next_stop(plan, stride, now)
    alive = now.stopped_at < 0
    states = jax.tree.unflatten(jax.tree.structure(lanes.states), now.leaves)
    frames = now.frames
    new: dict[str, Any] = {}
    if now.t < plan.n_transient:
        states, reached = advance(lanes, states, alive, now.t, stop)
    else:
        states, frames, increments, reached = propagate(lanes, states, frames, alive, now.t, stop)
        if stop > plan.first:
            observed = np.asarray(_observe(lanes.map_, lanes.hparams, states), np.float64)
            new = {
                "increments": (*now.increments, increments),
                "steps": (*now.steps, stop - plan.first),
                "observations": (*now.observations, observed),
            }
    return dataclasses.replace(
        now,
        t=stop,
        leaves=tuple(jax.tree.leaves(states)),
        frames=frames,
        stopped_at=np.where(alive & (reached < stop), reached + 1, now.stopped_at),
        **new,
    )


def _taken_apart(lanes: Lanes, plan: Plan, now: Checkpoint) -> list[TangentRun]:
    """Return the runs of the single orbits."""
    states = jax.tree.unflatten(jax.tree.structure(lanes.states), now.leaves)
    alive = now.stopped_at < 0
    motion = np.full(lanes.count, math.nan)
    if np.any(alive):
        # One more step, with its tangents, because that is compiled already.
        after, _, increments, reached = propagate(
            lanes, states, now.frames, alive, now.t, now.t + 1
        )
        here, there = (
            np.asarray(_coordinates(lanes, tree), np.float64) for tree in (states, after)
        )
        size = np.max(np.abs(there - here), axis=1) / (1 + np.max(np.abs(here), axis=1))
        motion = np.where(alive & (reached > now.t), size, math.nan)
    steps = np.asarray(now.steps, int)
    observations = np.reshape(now.observations, (len(steps), lanes.count))
    runs = []
    for lane, increments in enumerate(increments_of(plan, now)):
        seen = steps <= len(increments)
        runs.append(
            TangentRun(
                increments=increments,
                steps=steps[seen],
                observations=observations[seen, lane],
                stopped_at=int(now.stopped_at[lane]),
                motion=float(motion[lane]),
                state=jax.tree.map(lambda leaf, lane=lane: leaf[lane], states),
                frame=now.frames[lane],
            )
        )
    return runs


@jax.jit
def _observe(map_: AbstractMap, hparams: Any, states: Any) -> Any:
    n_lanes = len(jax.tree.leaves(states)[0])
    return over_lanes(lambda state, h: map_.observe(state, h), n_lanes)(states, hparams)


def _coordinates(lanes: Lanes, states: Any) -> np.ndarray:
    """Return the coordinates of all lanes, one row each."""
    rows = [jax.tree.map(lambda leaf, i=i: leaf[i], states) for i in range(lanes.count)]
    return np.stack([np.asarray(lanes.space.split(row)[0]) for row in rows])
