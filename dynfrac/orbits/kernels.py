"""What the evaluator compiles: a chunk of steps for a batch of runs, and the sums over its losses.

Every function is elementwise over runs, so that no run can feel which others share its batch.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.rules import AbstractRule, Record, update_record
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import cast_floats

CHUNK = 25
"""Steps between two looks at which runs are sealed, or `every` if that is more."""


@final
@dataclasses.dataclass(frozen=True)
class Readings:
    """What is read off a run, and when; a static argument of the compiled functions.

    Attributes
    ----------
    watch : str
        What the rule reads: ``"loss"`` or a metric of the map.
    finals : tuple of str
        What is read once, at the last recorded loss.
    every : int
        Steps per recorded loss: it is that of the last of them, before that step's update.
    """

    watch: str = "loss"
    finals: tuple[str, ...] = ()
    every: int = 1

    @property
    def rows(self) -> int:
        """Recorded losses in one chunk."""
        return max(1, CHUNK // self.every)

    @property
    def chunk(self) -> int:
        """Steps in one chunk, a multiple of `every`."""
        return self.rows * self.every


def read(map_: AbstractMap, names: tuple[str, ...], state: Any, hparams: Any) -> jax.Array:
    """Return the loss of a state and metrics by name, (len(names),) in float64."""
    values = {"loss": map_.observe(state, hparams)} if "loss" in names else {}
    if set(names) - {"loss"}:
        values |= map_.metrics(state, hparams)  # type: ignore[attr-defined] # an optional method
    return jnp.stack([values[name].astype(jnp.float64) for name in names])


@partial(jax.jit, static_argnames="real")
def initial_states(map_: AbstractMap, hparams: Any, real: np.dtype) -> Any:
    """Return the first states (lanes, ...) of a batch, in the type of the run."""
    return jax.vmap(lambda point: cast_floats(map_.init(point), real))(hparams)


@partial(jax.jit, static_argnames="readings")
def advance(
    map_: AbstractMap, states: Any, hparams: Any, t: int, count: int, last: int, readings: Readings
) -> Any:
    """Take `count` steps in every lane, at most a chunk.

    Parameters
    ----------
    map_ : AbstractMap
    states, hparams : pytrees of (lanes, ...) arrays
    t : int
        Time of the states, a multiple of a chunk.
    count : int
    last : int
        Index of the step at which the final readings are taken.
    readings : Readings

    Returns
    -------
    states : pytree
        `count` steps on.
    losses : (lanes, rows) float64 array
        Not-a-number in columns that are not used.
    finals : (lanes, len(readings.finals)) float64 array
    repeats, doomed : (lanes,) bool arrays
        Whether the new state equals the old one in every bit, and whether the map knows that every
        later loss is not-a-number.
    """
    lanes = len(jax.tree.leaves(states)[0])
    every = readings.every

    def read_all(names: tuple[str, ...], states: Any) -> jax.Array:
        each = jax.vmap(lambda state, point: read(map_, names, state, point), out_axes=1)
        return each(states, hparams)

    def watched(states: Any) -> jax.Array:
        return read_all((readings.watch,), states)[0]

    def body(i: jax.Array, carry: Any) -> Any:
        states, losses, finals = carry
        if every == 1:
            losses = losses.at[i].set(watched(states))
        else:
            losses = jax.lax.cond(
                (i + 1) % every == 0,
                lambda: losses.at[i // every].set(watched(states)),
                lambda: losses,
            )
        if readings.finals:
            finals = jax.lax.cond(
                i == last,
                lambda: read_all(readings.finals, states),
                lambda: finals,
            )
        states = jax.vmap(map_.step, in_axes=(0, 0, None))(states, hparams, t + i)
        return states, losses, finals

    losses = jnp.full((readings.rows, lanes), jnp.nan)
    finals = jnp.full((len(readings.finals), lanes), jnp.nan)
    after, losses, finals = jax.lax.fori_loop(0, count, body, (states, losses, finals))
    return after, losses.T, finals.T, equal_bits(states, after), doomed(map_, after)


@partial(jax.jit, static_argnames=("lanes", "readings"))
def advance_groups(
    map_: AbstractMap,
    states: Any,
    hparams: Any,
    t: int,
    count: int,
    last: int,
    n_groups: int,
    *,
    lanes: int,
    readings: Readings,
) -> Any:
    """Do the same for several batches of `lanes` runs, one after the other, in one call.

    A batch that fits into the cache of a core is over in a millisecond, and a call costs a third of
    that. One program advances every batch, whichever place it has, so that a run's bits do not
    depend on how many batches share a call.

    Parameters
    ----------
    map_, t, count, last, readings
        As for `advance`.
    states, hparams : pytrees of (rows, ...) arrays
        `rows` is a multiple of `lanes`.
    n_groups : int
        Batches that are advanced; what comes back for those after them is zero.
    lanes : int

    Returns
    -------
    states, losses, finals, repeats, doomed
        As from `advance`, with `rows` for lanes.
    """
    states, hparams = jax.tree.map(lambda v: v.reshape(-1, lanes, *v.shape[1:]), (states, hparams))

    def one(group: Any) -> Any:
        batch = jax.tree.map(lambda v: v[group], (states, hparams))
        return advance(map_, *batch, t, count, last, readings)

    def body(group: jax.Array, results: Any) -> Any:
        return jax.tree.map(lambda all_, new: all_.at[group].set(new), results, one(group))

    length = len(jax.tree.leaves(states)[0])
    nothing = jax.tree.map(
        lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype), jax.eval_shape(one, 0)
    )
    results = jax.lax.fori_loop(0, n_groups, body, nothing)
    return jax.tree.map(lambda v: v.reshape(length * lanes, *v.shape[2:]), results)


def advance_on_host(
    map_: AbstractMap, states: Any, hparams: Any, t: int, count: int, last: int, readings: Readings
) -> Any:
    """Do the same one lane after the other, one compiled step at a time."""
    lanes = len(jax.tree.leaves(states)[0])
    losses = np.full((lanes, readings.rows), np.nan)
    finals = np.full((lanes, len(readings.finals)), np.nan)
    ends = []
    for lane in range(lanes):
        state, point = jax.tree.map(lambda v, lane=lane: v[lane], (states, hparams))
        for i in range(count):
            if readings.finals and i == last:
                finals[lane] = _read_once(map_, state, point, readings.finals)
            if readings.every == 1:
                state, loss = _read_and_step(map_, state, point, t + i, readings.watch)
                losses[lane, i] = loss
                continue
            if (i + 1) % readings.every == 0:
                row = i // readings.every
                losses[lane, row] = _read_once(map_, state, point, (readings.watch,))[0]
            state = _step(map_, state, point, t + i)
        ends.append(state)
    after = jax.tree.map(lambda *leaves: jnp.stack(leaves), *ends)
    return after, losses, finals, equal_bits(states, after), doomed(map_, after)


@partial(jax.jit, static_argnames="watch")
def _read_and_step(map_: AbstractMap, state: Any, hparams: Any, t: int, watch: str) -> Any:
    """One program for both, because they can share the forward pass."""
    loss = read(map_, (watch,), state, hparams)[0]
    return map_.step(state, hparams, t), loss


@jax.jit
def _step(map_: AbstractMap, state: Any, hparams: Any, t: int) -> Any:
    return map_.step(state, hparams, t)


@partial(jax.jit, static_argnames="names")
def _read_once(map_: AbstractMap, state: Any, hparams: Any, names: tuple[str, ...]) -> jax.Array:
    return read(map_, names, state, hparams)


@jax.jit
def fold(
    rule: AbstractRule, record: Record, losses: jax.Array, t: int, count: int, n_steps: Any
) -> Record:
    """Add `count` losses from the rows of `losses` (rows, n), the first of number `t`."""

    def body(i: jax.Array, record: Record) -> Record:
        return update_record(rule, record, losses[i], t + i, n_steps)

    return jax.lax.fori_loop(0, count, body, record)


@jax.jit
def fold_rest(
    rule: AbstractRule, record: Record, losses: jax.Array, t: int, stop: int, n_steps: Any
) -> Record:
    """Add the losses of number `t` up to `stop`, which repeat the rows of `losses`."""

    def body(i: jax.Array, record: Record) -> Record:
        return update_record(rule, record, losses[(i - t) % len(losses)], i, n_steps)

    return jax.lax.fori_loop(t, stop, body, record)


def equal_bits(before: Any, after: Any) -> jax.Array:
    """(lanes,) whether every leaf is the same; not-a-number equals itself, 0.0 is not -0.0."""

    def same(a: jax.Array, b: jax.Array) -> jax.Array:
        a, b = jnp.asarray(a), jnp.asarray(b)
        if jnp.issubdtype(a.dtype, jnp.complexfloating):
            return same(a.real, b.real) & same(a.imag, b.imag)
        if not jnp.issubdtype(a.dtype, jnp.floating):
            equal = a == b
        else:
            equal = ((a == b) & (jnp.signbit(a) == jnp.signbit(b))) | (jnp.isnan(a) & jnp.isnan(b))
        return jnp.all(equal.reshape(len(a), -1), axis=1)

    leaves = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return jnp.all(jnp.stack([same(a, b) for a, b in leaves]), axis=0)


def doomed(map_: AbstractMap, states: Any) -> jax.Array:
    """(lanes,) whether the map knows that every later loss is not-a-number."""
    hook = getattr(map_, "is_doomed", None)
    if hook is None:
        return jnp.zeros(len(jax.tree.leaves(states)[0]), bool)
    return jax.vmap(hook)(states)
