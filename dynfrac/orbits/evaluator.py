"""The evaluator: one batched engine that runs many orbits of a map and says what became of them.

Everything in dynfrac that needs the outcome of a run calls `evaluate`: sweeps, pairs of points,
single clicks. It keeps one promise: **the same point gives the same answer**, to the last bit,
whatever else is computed beside it.

How it works
------------
* Runs are packed into batches of a fixed number of *lanes* and advanced by one compiled program.
  The shape never changes, because another shape can round differently; a part-filled batch is
  padded by repeating its last run.
* Time passes in chunks of 25 steps, or of `every` if that is more. After each chunk, runs that are
  *sealed* leave, and the rest are repacked, so a sweep in which most runs diverge at once costs
  little.
* Sealed means that all later losses are known exactly. For an autonomous map: the state at the end
  of the chunk equals the state at its start, bit for bit, so the losses of this chunk repeat for
  ever; this covers runs that became not-a-number as well as those that settled. For a driven map:
  the map itself says that every later loss is not-a-number. Nothing is ever extrapolated.
* The losses of sealed runs are then added up in the same order, by the same arithmetic, as if the
  map had been stepped.
* Besides the loss, or a metric that the rule watches in its place, metrics can be read at the end
  of a run. A sealed run that repeats has them from the same place of its cycle.
* The metric ``"lyapunov"`` is that of a tangent carried along by a second program
  (`dynfrac.orbits.stretching`). Tangents go on turning where states repeat, so that only runs that
  are no longer finite leave early.

On a CPU several threads advance batches side by side: XLA leaves cores idle on small matrices.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, final

import jax
import numpy as np

from dynfrac.orbits.columns import N_STEPS, check_lengths, check_steps, columns_of
from dynfrac.orbits.inspection import (
    choose_readings,
    host_driven,
    is_autonomous,
    largest_array,
    metric_names,
    state_size,
)
from dynfrac.orbits.kernels import (
    Readings,
    advance_groups,
    advance_on_host,
    fold,
    fold_rest,
    initial_states,
)
from dynfrac.orbits.outcomes import Outcomes
from dynfrac.orbits.rules import AbstractRule, Record, close_record, make_rule, start_record
from dynfrac.orbits.stretching import (
    LYAPUNOV,
    Stretched,
    advance_stretched,
    begin_stretched,
    plain_map,
    stretch_if_asked,
)
from dynfrac.systems.abstract import AbstractMap, check_ranges, resolve_hparams
from dynfrac.systems.numerics import cast_floats, choose_dtype, hparam_dtype, precision

_POOL_RUNS = 4096
_POOL_BYTES = 2**28
_CALL_ENTRIES = 2**17
"""Entries of the largest arrays of all batches in a call: ten milliseconds of work or so."""


def evaluate(
    map_: AbstractMap,
    hparams: Mapping[str, Any] | None = None,
    *,
    n_steps: int,
    every: int = 1,
    rule: str | AbstractRule | None = None,
    record: Sequence[str] = (),
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
        not given takes the map's default. ``n_steps`` among them gives each run a length of its
        own, at most the argument `n_steps`.
    n_steps : int
        Number of steps, at least 1 and a multiple of `every`. The loss of step t is taken before
        the update, so that with `every` 1 the recorded ones belong to the states 0 .. n_steps - 1.
    every : int, default 1
        Steps per recorded loss: of so many steps only the last one's loss is recorded. The steps of
        an epoch give one loss an epoch.
    rule : str or AbstractRule, optional
        Outcome rule; the map's own, else the published one, when absent. It says what it watches.
    record : sequence of str
        Metrics of the map, such as ``"test_loss"`` and ``"accuracy"``, to be read where the last
        loss is; or ``"lyapunov"``, the largest finite-time exponent in nats per step, over all
        steps of the run or those before it stopped being finite. It costs a few times the run and
        changes no other outcome. `dynfrac.orbits.stretching.Stretched` sets its warm-up and seed.
    lanes : int, optional
        Runs per batch. Results are comparable bit for bit only at equal `lanes`, `dtype` and kind
        of device; the default (`default_lanes`) depends on nothing else.
    dtype : {"float64", "float32", "bfloat16"}, optional
        Type of the state; the map's preferred one, else float64, when absent. Hyperparameters have
        it too, but are never shorter than float32. Losses are judged in float64 in any case.
        bfloat16 is for training maps.
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
        For an unknown hyperparameter, metric, rule or dtype, arrays of different lengths, or a
        number out of its range.
    """
    evaluator = Evaluator(
        map_,
        n_steps=n_steps,
        every=every,
        rule=rule,
        record=record,
        lanes=lanes,
        dtype=dtype,
        own_lengths=N_STEPS in (hparams or {}) and N_STEPS not in map_.defaults,
    )
    return evaluator(hparams, on_progress=on_progress)


@final
class Evaluator:
    """`evaluate` made ready once for many calls: the map is looked at and placed only once.

    Parameters
    ----------
    map_, n_steps, every, rule, record, lanes, dtype
        As in `evaluate`.
    own_lengths : bool, default False
        Whether the calls give each run a length of its own, ``n_steps``.

    Raises
    ------
    ValueError
        As `evaluate`.
    """

    def __init__(
        self,
        map_: AbstractMap,
        *,
        n_steps: int,
        every: int = 1,
        rule: str | AbstractRule | None = None,
        record: Sequence[str] = (),
        lanes: int | None = None,
        dtype: str | None = None,
        own_lengths: bool = False,
    ) -> None:
        self.map_ = map_
        self.n_steps = check_steps(n_steps, every)
        self.every = every
        self.rule = make_rule(rule if rule is not None else getattr(map_, "rule", None))
        self.record = tuple(record)
        self.own_lengths = own_lengths
        self.readings = choose_readings(
            map_, self.rule, record, every, fixed_length=not own_lengths
        )
        names = (*record, self.rule.watch)
        if LYAPUNOV in names:
            map_ = stretch_if_asked(map_, names, metric_names(map_))
            _check_watched_exponent(map_, self.rule)
        else:
            map_ = plain_map(map_)
        self.real = choose_dtype(map_, dtype)
        with precision():
            placed = jax.device_put(cast_floats(map_, self.real))
            self.lanes = lanes if lanes is not None else default_lanes(map_)
            if self.lanes < 1:
                raise ValueError(f"lanes={self.lanes} must be at least 1")
            self._engine = _Engine(placed, self.rule, self.readings, self.lanes, n_steps, self.real)

    def __call__(
        self,
        hparams: Mapping[str, Any] | None = None,
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> Outcomes:
        """Return the outcomes at many hyperparameters; arguments as in `evaluate`."""
        given = dict(hparams or {})
        lengths = given.pop(N_STEPS, None) if self.own_lengths else None
        columns = columns_of(resolve_hparams(self.map_, given), hparam_dtype(self.real), lengths)
        check_ranges(self.map_, columns)
        counts = None
        if lengths is not None:
            counts = check_lengths(columns.pop(N_STEPS), self.n_steps, self.every)
        size = self._engine.size
        n_runs = len(next(iter(columns.values())))
        with precision():
            pools = [slice(i, i + size) for i in range(0, n_runs, size)]
            parts = [
                self._engine.run(
                    {name: column[pool] for name, column in columns.items()},
                    None if counts is None else counts[pool],
                    on_progress or (lambda steps: None),
                )
                for pool in pools
            ]
        outcome, finals = zip(*parts, strict=True)
        status, measure, t_escape, last = (np.concatenate(f) for f in zip(*outcome, strict=True))
        read = dict(zip(self.readings.finals, np.concatenate(finals).T, strict=True))
        final_loss = last if self.readings.watch == "loss" else read["loss"]
        metrics = {name: read[name] for name in self.record}
        return Outcomes(status, measure, t_escape, final_loss, self._conditions(), metrics)

    def _conditions(self) -> dict[str, Any]:
        return {
            "rule": self.rule.name,
            "n_steps": self.n_steps,
            "every": self.every,
            "dtype": str(self.real),
            "lanes": self.lanes,
            "device": jax.devices()[0].device_kind,
        }


def _check_watched_exponent(map_: AbstractMap, rule: AbstractRule) -> None:
    """Refuse a rule that would read exponents before there are any."""
    if isinstance(map_, Stretched) and map_.n_warmup and rule.watch == LYAPUNOV:
        raise ValueError(
            f"the rule {rule.name} reads exponents from the first step on, and n_warmup="
            f"{map_.n_warmup} leaves none there; pass n_warmup=0"
        )


def default_lanes(map_: AbstractMap) -> int:
    """Return the number of runs per batch, a function of the map's size and the kind of device.

    Notes
    -----
    On a CPU the largest array of a batch should take about 128 KiB, so that all of them stay in the
    cache of one core: the published network is fastest with 4 lanes at width 16 (a quarter faster
    than with 16, two fifths faster than with 32) and with 16 to 32 at width 8. Maps that are
    stepped from the host take one lane. On an accelerator batches are as large as 4096 runs; that
    has not been tuned on one.
    """
    map_ = plain_map(map_)  # recording an exponent must not change how runs are rounded
    if host_driven(map_):
        return 1
    budget = 2**14 if jax.default_backend() == "cpu" else 2**26
    fit = max(1.0, budget / largest_array(map_))
    return int(min(2**12, 2 ** round(np.log2(fit))))


def call_groups(map_: AbstractMap, lanes: int) -> int:
    """Return how many batches of a map's runs are advanced in one call.

    So many that a call outweighs what it costs to make it, and at most a pool. It changes no bit.
    """
    most = max(1, _CALL_ENTRIES // (lanes * largest_array(map_)))
    return min(most, pool_runs(map_, lanes) // lanes)


def pool_runs(map_: AbstractMap, lanes: int) -> int:
    """Return how many runs are in flight together: whole batches, at most 256 MiB of states."""
    fit = min(_POOL_RUNS, _POOL_BYTES // (8 * max(1, state_size(plain_map(map_)))))
    return max(1, fit // lanes) * lanes


@final
class _Engine:
    """Advances pools of runs; holds what does not change from one pool to the next."""

    def __init__(
        self,
        map_: AbstractMap,
        rule: AbstractRule,
        readings: Readings,
        lanes: int,
        n_steps: int,
        real: np.dtype,
    ) -> None:
        self.map_ = map_
        self.rule = rule
        self.readings = readings
        self.lanes = lanes
        self.size = pool_runs(map_, lanes)
        self.n_steps = n_steps
        self.real = real
        host = host_driven(map_)
        self.groups = 1 if host else call_groups(map_, lanes)
        self.advance: Callable[..., Any] = advance_on_host if host else self._advance_groups
        self.begin: Callable[..., Any] = initial_states
        stretched = isinstance(map_, Stretched)
        if stretched:
            self.advance = partial(advance_stretched, plain=self.advance, on_host=host)
            self.begin = begin_stretched
            self.groups = 1
        self._call_rows = self.groups * lanes
        # What does not become not-a-number with a doomed run: the exponent of its finite steps.
        self.outlasts = np.array([stretched and name == LYAPUNOV for name in readings.finals], bool)
        # Two threads a core: while one prepares its next batch in Python, the other computes.
        on_cpu = jax.default_backend() == "cpu"
        self.threads = _cores() * (1 if host else 2) if on_cpu else 1
        self.autonomous = is_autonomous(plain_map(map_), real)

    def run(
        self,
        columns: dict[str, np.ndarray],
        counts: np.ndarray | None,
        on_progress: Callable[[int], None],
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Run one pool of at most `size` runs.

        Parameters
        ----------
        columns : dict of str to (n,) array
            Hyperparameters.
        counts : (n,) int array or None
            How many losses each run records, if not all the same number.
        on_progress : callable
            Called with run-steps settled.

        Returns
        -------
        outcome : tuple of (n,) arrays
            As from `close_record`.
        finals : (n, k) array
            The final readings.
        """
        n_runs = len(next(iter(columns.values())))
        every, chunk = self.readings.every, self.readings.chunk
        n_records = self._padded_counts(counts)
        live = np.arange(n_runs)
        hparams = jax.tree.map(lambda v: v[_pad(live, self.lanes)], columns)
        # Records keep their place and their number for good: other shapes would mean compiling.
        record, closed = self._start(), self._start()
        finals = np.full((n_runs, len(self.readings.finals)), np.nan)
        with ThreadPoolExecutor(self.threads) as pool:
            begin = partial(self.begin, self.map_, real=self.real)
            states = self._batched(pool, begin, hparams)
            for t in range(0, self.n_steps, chunk):
                count = min(chunk, self.n_steps - t)
                done = (t + count) // every
                step = partial(self._advance_batch, t=t, count=count)
                states, losses, read, repeats, doomed = self._batched(
                    pool, step, (states, hparams), self.groups
                )
                repeats &= self.autonomous and count == chunk
                left = self.n_steps - t - count
                # A doomed run's later values are all not-a-number, whatever this chunk held.
                spoilt = (doomed & ~repeats)[:, None]
                later = np.where(spoilt, np.nan, losses)
                read = np.where(spoilt & ~self.outlasts, np.nan, read) if left else read
                sealed = (repeats | doomed)[: len(live)] if left else np.ones(len(live), bool)
                if counts is not None:
                    sealed |= counts[live] <= done
                record = fold(
                    self.rule,
                    record,
                    self._placed(losses, live),
                    t // every,
                    count // every,
                    n_records,
                )
                on_progress(len(live) * count + int(sealed.sum()) * left)
                if not sealed.any():
                    continue
                later = self._placed(later, live)
                stop = self.n_steps // every
                final = fold_rest(self.rule, record, later, done, stop, n_records)
                _copy_rows(final, closed, live[sealed])
                finals[live[sealed]] = read[: len(live)][sealed]
                keep = np.flatnonzero(~sealed)
                live = live[keep]
                if not len(live):
                    break
                rows = _pad(keep, self.lanes)
                states, hparams = jax.tree.map(lambda v, rows=rows: v[rows], (states, hparams))
        outcome = close_record(self.rule, closed, n_records)
        return tuple(np.asarray(field)[:n_runs] for field in outcome), finals

    def _padded_counts(self, counts: np.ndarray | None) -> int | np.ndarray:
        """Return the number of recorded losses, one for all or (size,)."""
        if counts is None:
            return self.n_steps // self.readings.every
        padding = np.full(self.size - len(counts), counts[-1])
        return np.concatenate([counts, padding]).astype(np.int32)

    def _start(self) -> Record:
        return jax.tree.map(np.array, start_record(self.rule, self.size))

    def _placed(self, losses: np.ndarray, live: np.ndarray) -> np.ndarray:
        """Put the losses (lanes.., rows) of the runs `live` in their places, (rows, size)."""
        placed = np.zeros((self.readings.rows, self.size))
        placed[:, live] = losses[: len(live)].T
        return placed

    def _advance_batch(self, batch: Any, t: int, count: int) -> Any:
        last = (self.n_steps - 1) % self.readings.chunk
        return self.advance(self.map_, *batch, t, count, last, self.readings)

    def _advance_groups(
        self,
        map_: AbstractMap,
        states: Any,
        hparams: Any,
        t: int,
        count: int,
        last: int,
        readings: Readings,
    ) -> Any:
        """Advance up to `groups` batches in one call, whose shape is always the same."""
        rows = len(jax.tree.leaves(states)[0])
        full = jax.tree.map(
            lambda v: (
                np.concatenate([v, np.zeros((self._call_rows - rows, *v.shape[1:]), v.dtype)])
                if rows < self._call_rows
                else v
            ),
            (states, hparams),
        )
        n_groups = rows // self.lanes
        got = advance_groups(
            map_, *full, t, count, last, n_groups, lanes=self.lanes, readings=readings
        )
        return jax.tree.map(lambda v: np.asarray(v)[:rows], got)

    def _batched(
        self, pool: ThreadPoolExecutor, function: Callable, tree: Any, groups: int = 1
    ) -> Any:
        """Apply `function` to at most `groups` batches of lanes at a time, and join the results.

        The threads get equal shares if there are too few batches for all of them.
        """
        size = len(jax.tree.leaves(tree)[0])
        share = math.ceil(size / self.lanes / self.threads)
        rows = min(groups, share) * self.lanes

        def work(start: int) -> Any:
            with precision():  # the setting is the thread's own
                batch = jax.tree.map(lambda v: v[start : start + rows], tree)
                return jax.tree.map(np.asarray, function(batch))

        parts = list(pool.map(work, range(0, size, rows)))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _pad(index: np.ndarray, lanes: int) -> np.ndarray:
    """Repeat the last entry until the length is a multiple of `lanes`."""
    return np.concatenate([index, np.full(-len(index) % lanes, index[-1])])


def _copy_rows(source: Record, target: Record, rows: np.ndarray) -> None:
    """Copy the given rows of one record to another, which holds NumPy arrays."""
    for values, into in zip(jax.tree.leaves(source), jax.tree.leaves(target), strict=True):
        into[rows] = np.asarray(values)[rows]


def _cores() -> int:
    """Return the processors that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
