"""The evaluator: one batched engine that runs many orbits of a map and says what became of them.

Everything in dynfrac that needs the outcome of a run calls `evaluate`: sweeps, pairs of points,
single clicks. It keeps one promise: **the same point gives the same answer**, to the last bit,
whatever else is computed beside it.

How it works
------------
* Runs are packed into batches of a fixed number of *lanes* and advanced by one compiled program.
  The shape never changes, because another shape can round differently; a part-filled batch is
  padded by repeating its last run.
* Time passes in chunks of `CHUNK` steps. After each chunk, runs that are *sealed* leave, and the
  rest are repacked, so a sweep in which most runs diverge at once costs little.
* Sealed means that all later losses are known exactly. For an autonomous map: the state at the end
  of the chunk equals the state at its start, bit for bit, so the losses of this chunk repeat for
  ever; this covers runs that became not-a-number as well as those that settled. For a driven map:
  the map itself says that every later loss is not-a-number. Nothing is ever extrapolated.
* The losses of sealed runs are then added up in the same order, by the same arithmetic, as if the
  map had been stepped.

On a CPU several threads advance batches side by side: XLA leaves cores idle on small matrices.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.outcomes import Outcomes
from dynfrac.orbits.rules import (
    AbstractRule,
    Record,
    close_record,
    make_rule,
    start_record,
    update_record,
)
from dynfrac.systems.abstract import AbstractMap, resolve_hparams
from dynfrac.systems.numerics import cast_floats, choose_dtype, precision

CHUNK = 25
"""Steps between two looks at which runs are sealed."""

_POOL_RUNS = 4096
_POOL_BYTES = 2**28


def evaluate(
    map_: AbstractMap,
    hparams: Mapping[str, Any] | None = None,
    *,
    n_steps: int,
    rule: str | AbstractRule | None = None,
    lanes: int | None = None,
    dtype: str | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Outcomes:
    """Run a map at many hyperparameters and return what became of each run.

    Parameters
    ----------
    map_ : AbstractMap
    hparams : mapping of str to scalar or (N,) array
        Hyperparameters; arrays must share their length N, scalars apply to every run, and what is
        not given takes the map's default.
    n_steps : int
        Number of recorded losses, at least 1. The loss of step t is taken before the update, so
        they belong to the states 0 .. n_steps - 1.
    rule : str or AbstractRule, optional
        Outcome rule; the map's own, else the published one, when absent.
    lanes : int, optional
        Runs per batch. Results are comparable bit for bit only at equal `lanes`, `dtype` and kind
        of device; the default (`default_lanes`) depends on nothing else.
    dtype : {"float64", "float32"}, optional
        Type of state and hyperparameters; the map's preferred one, else float64, when absent.
        Losses are judged in float64 either way.
    on_progress : callable, optional
        Called with the number of run-steps settled since the last call; they add up to
        N * n_steps.

    Returns
    -------
    Outcomes
        Arrays of length N (1 if every hyperparameter is a scalar).

    Raises
    ------
    ValueError
        For an unknown hyperparameter, rule or dtype, arrays of different lengths, `n_steps` < 1 or
        `lanes` < 1.
    """
    if n_steps < 1:
        raise ValueError(f"n_steps={n_steps} must be at least 1")
    real = choose_dtype(map_, dtype)
    rule = make_rule(rule if rule is not None else getattr(map_, "rule", None))
    columns = _columns(resolve_hparams(map_, hparams), real)
    n_runs = len(next(iter(columns.values())))
    with precision():
        map_ = jax.device_put(cast_floats(map_, real))
        lanes = lanes if lanes is not None else default_lanes(map_)
        if lanes < 1:
            raise ValueError(f"lanes={lanes} must be at least 1")
        engine = _Engine(map_, rule, lanes, n_steps, on_progress or (lambda steps: None))
        starts = range(0, n_runs, engine.size)
        parts = [
            engine.run({k: v[i : i + engine.size] for k, v in columns.items()}) for i in starts
        ]
    status, measure, t_escape, final_loss = (
        np.concatenate(field) for field in zip(*parts, strict=True)
    )
    conditions = {
        "rule": rule.name,
        "n_steps": n_steps,
        "dtype": str(real),
        "lanes": lanes,
        "device": jax.devices()[0].device_kind,
    }
    return Outcomes(status, measure, t_escape, final_loss, conditions)


def default_lanes(map_: AbstractMap) -> int:
    """Return the number of runs per batch, a function of the map's size and the kind of device.

    Notes
    -----
    On a CPU the activations of a batch should stay in the cache of one core: on the published
    network (272 weights) and two cores, 16 and 32 lanes were the fastest of 16 to 128, and 128 a
    quarter slower. Maps that are stepped from the host take one lane. On an accelerator batches
    are as large as 4096 runs; that has not been tuned on one.
    """
    if _host_driven(map_):
        return 1
    budget = 2**13 if jax.default_backend() == "cpu" else 2**22
    fit = max(1, budget // max(1, state_size(map_)))
    return int(min(2**12, 2 ** int(np.log2(fit))))


def pool_runs(map_: AbstractMap, lanes: int) -> int:
    """Return how many runs are in flight together: whole batches, at most 256 MiB of states."""
    fit = min(_POOL_RUNS, _POOL_BYTES // (8 * max(1, state_size(map_))))
    return max(1, fit // lanes) * lanes


@final
class _Engine:
    """Advances pools of runs; holds what does not change from one pool to the next."""

    def __init__(
        self,
        map_: AbstractMap,
        rule: AbstractRule,
        lanes: int,
        n_steps: int,
        on_progress: Callable[[int], None],
    ) -> None:
        self.map_ = map_
        self.rule = rule
        self.lanes = lanes
        self.size = pool_runs(map_, lanes)
        self.n_steps = n_steps
        self.on_progress = on_progress
        host = _host_driven(map_)
        self.advance: Callable[..., Any] = _advance_on_host if host else _advance
        # Two threads a core: while one prepares its next batch in Python, the other computes.
        on_cpu = jax.default_backend() == "cpu"
        self.threads = _cores() * (1 if host else 2) if on_cpu else 1
        self.autonomous = is_autonomous(map_)

    def run(self, columns: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        """Return the four outcome arrays of one pool of at most `size` runs."""
        n_runs = len(next(iter(columns.values())))
        live = np.arange(n_runs)
        hparams = jax.tree.map(lambda v: v[_pad(live, self.lanes)], columns)
        # Records keep their place and their number for good: other shapes would mean compiling.
        record, closed = self._start(), self._start()
        with ThreadPoolExecutor(self.threads) as pool:
            states = self._batched(pool, partial(_init, self.map_), hparams)
            for t in range(0, self.n_steps, CHUNK):
                count = min(CHUNK, self.n_steps - t)
                advance = partial(self._advance_batch, t=t, count=count)
                states, losses, repeats, doomed = self._batched(pool, advance, (states, hparams))
                repeats &= self.autonomous and count == CHUNK
                # A doomed run's later losses are all not-a-number, whatever this chunk held.
                later = np.where((doomed & ~repeats)[:, None], np.nan, losses)
                left = self.n_steps - t - count
                sealed = (repeats | doomed)[: len(live)] if left else np.ones(len(live), bool)
                record = _fold(
                    self.rule, record, self._placed(losses, live), t, count, self.n_steps
                )
                self.on_progress(len(live) * count + int(sealed.sum()) * left)
                if not sealed.any():
                    continue
                later = self._placed(later, live)
                final = _fold_rest(self.rule, record, later, t + count, self.n_steps)
                _copy_rows(final, closed, live[sealed])
                keep = np.flatnonzero(~sealed)
                live = live[keep]
                if not len(live):
                    break
                rows = _pad(keep, self.lanes)
                states, hparams = jax.tree.map(lambda v, rows=rows: v[rows], (states, hparams))
        outcome = close_record(self.rule, closed, self.n_steps)
        return tuple(np.asarray(field)[:n_runs] for field in outcome)

    def _start(self) -> Record:
        return jax.tree.map(np.array, start_record(self.rule, self.size))

    def _placed(self, losses: np.ndarray, live: np.ndarray) -> np.ndarray:
        """Put the losses (lanes.., CHUNK) of the runs `live` in their places, (CHUNK, size)."""
        placed = np.zeros((CHUNK, self.size))
        placed[:, live] = losses[: len(live)].T
        return placed

    def _advance_batch(self, batch: Any, t: int, count: int) -> Any:
        return self.advance(self.map_, *batch, t, count)

    def _batched(self, pool: ThreadPoolExecutor, function: Callable, tree: Any) -> Any:
        """Apply `function` to each batch of lanes and join the results as NumPy arrays."""

        def work(start: int) -> Any:
            with precision():  # the setting is the thread's own
                batch = jax.tree.map(lambda v: v[start : start + self.lanes], tree)
                return jax.tree.map(np.asarray, function(batch))

        size = len(jax.tree.leaves(tree)[0])
        parts = list(pool.map(work, range(0, size, self.lanes)))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def state_size(map_: AbstractMap) -> int:
    """Return the number of entries of a map's state, counters included."""
    with precision():
        leaves = jax.tree.leaves(_example(map_)[1])
    return sum(math.prod(leaf.shape) for leaf in leaves)


def is_autonomous(map_: AbstractMap) -> bool:
    """Whether `step` ignores the time `t`, read off its trace.

    Returns
    -------
    bool
        False also when the trace passes `t` on to an inner function that may or may not use it.
    """
    with precision():
        hparams, state = _example(map_)
        closed = jax.make_jaxpr(map_.step)(state, hparams, 0)
    time = closed.jaxpr.invars[-1]
    used = any(time is v for eqn in closed.jaxpr.eqns for v in eqn.invars)
    return not used and all(time is not v for v in closed.jaxpr.outvars)


@jax.jit
def _init(map_: AbstractMap, hparams: Any) -> Any:
    real = jax.tree.leaves(hparams)[0].dtype
    return jax.vmap(lambda h: cast_floats(map_.init(h), real))(hparams)


@jax.jit
def _advance(map_: AbstractMap, states: Any, hparams: Any, t: int, count: int) -> Any:
    """Take up to CHUNK steps in every lane; losses are (lanes, CHUNK), unused columns NaN."""

    def body(i: jax.Array, carry: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
        states, losses = carry
        loss = jax.vmap(map_.observe)(states, hparams)
        states = jax.vmap(map_.step, in_axes=(0, 0, None))(states, hparams, t + i)
        return states, losses.at[i].set(loss.astype(losses.dtype))

    lanes = len(jax.tree.leaves(states)[0])
    losses = jnp.full((CHUNK, lanes), jnp.nan)
    after, losses = jax.lax.fori_loop(0, count, body, (states, losses))
    return after, losses.T, _equal_bits(states, after), _doomed(map_, after)


def _advance_on_host(map_: AbstractMap, states: Any, hparams: Any, t: int, count: int) -> Any:
    """Do the same one lane after the other, one compiled step at a time."""
    lanes = len(jax.tree.leaves(states)[0])
    losses, finals = np.full((lanes, CHUNK), np.nan), []
    for lane in range(lanes):
        state, point = jax.tree.map(lambda v, lane=lane: v[lane], (states, hparams))
        for i in range(count):
            state, losses[lane, i] = _step_once(map_, state, point, t + i)
        finals.append(state)
    after = jax.tree.map(lambda *leaves: jnp.stack(leaves), *finals)
    return after, losses, _equal_bits(states, after), _doomed(map_, after)


@jax.jit
def _step_once(map_: AbstractMap, state: Any, hparams: Any, t: int) -> Any:
    return map_.step(state, hparams, t), map_.observe(state, hparams)


@jax.jit
def _fold(
    rule: AbstractRule, record: Record, losses: jax.Array, t: int, count: int, n_steps: int
) -> Record:
    """Add `count` losses from the rows of `losses` (CHUNK, n), the first of step `t`."""

    def body(i: jax.Array, record: Record) -> Record:
        return update_record(rule, record, losses[i], t + i, n_steps)

    return jax.lax.fori_loop(0, count, body, record)


@jax.jit
def _fold_rest(
    rule: AbstractRule, record: Record, losses: jax.Array, t: int, n_steps: int
) -> Record:
    """Add the losses of all the steps from `t` on, which repeat the rows of `losses`."""

    def body(i: jax.Array, record: Record) -> Record:
        return update_record(rule, record, losses[(i - t) % CHUNK], i, n_steps)

    return jax.lax.fori_loop(t, n_steps, body, record)


def _equal_bits(before: Any, after: Any) -> jax.Array:
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


def _doomed(map_: AbstractMap, states: Any) -> jax.Array:
    """(lanes,) whether the map knows that every later loss is not-a-number."""
    hook = getattr(map_, "is_doomed", None)
    if hook is None:
        return jnp.zeros(len(jax.tree.leaves(states)[0]), bool)
    return jax.vmap(hook)(states)


def _columns(hparams: dict[str, Any], real: np.dtype) -> dict[str, np.ndarray]:
    """Hyperparameters as float columns of one length."""
    if not hparams:
        raise ValueError("the map takes no hyperparameters, so all its runs are one; iterate it")
    columns = {name: np.asarray(value, real) for name, value in hparams.items()}
    lengths = {name: len(column) for name, column in columns.items() if column.ndim == 1}
    for name, column in columns.items():
        if column.ndim > 1:
            raise ValueError(f"hyperparameter {name} has shape {column.shape}; pass (N,) or scalar")
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(f"hyperparameters have lengths {lengths}; give arrays of one length >= 1")
    n = next(iter(lengths.values()), 1)
    return {name: np.broadcast_to(column, (n,)) for name, column in columns.items()}


def _pad(index: np.ndarray, lanes: int) -> np.ndarray:
    """Repeat the last entry until the length is a multiple of `lanes`."""
    return np.concatenate([index, np.full(-len(index) % lanes, index[-1])])


def _copy_rows(source: Record, target: Record, rows: np.ndarray) -> None:
    """Copy the given rows of one record to another, which holds NumPy arrays."""
    for values, into in zip(jax.tree.leaves(source), jax.tree.leaves(target), strict=True):
        into[rows] = np.asarray(values)[rows]


def _example(map_: AbstractMap) -> tuple[dict[str, Any], Any]:
    """Default hyperparameters and the abstract initial state."""
    hparams = {name: np.float64(value) for name, value in map_.defaults.items()}
    return hparams, jax.eval_shape(map_.init, hparams)


def _cores() -> int:
    """Return the processors that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _host_driven(map_: AbstractMap) -> bool:
    return getattr(map_, "drive", "scan") == "host" and jax.default_backend() == "cpu"
