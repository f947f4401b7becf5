"""The engine of the evaluator: advances pools of runs, batch by batch, until all are settled."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, final

import jax
import numpy as np

from dynfrac.orbits.batch_sizes import call_groups, pool_runs
from dynfrac.orbits.inspection import host_driven, is_autonomous
from dynfrac.orbits.kernels import (
    Readings,
    advance_groups,
    advance_on_host,
    fold,
    fold_rest,
    initial_states,
)
from dynfrac.orbits.rules import AbstractRule, Record, close_record, start_record
from dynfrac.orbits.stretching import (
    LYAPUNOV,
    Stretched,
    advance_stretched,
    begin_stretched,
    plain_map,
)
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import precision


@final
class Engine:
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
        self.advance: Callable[..., Any] = advance_on_host if host else self._advance_groups
        self.begin: Callable[..., Any] = initial_states
        stretched = isinstance(map_, Stretched)
        self.groups = 1 if host or stretched else call_groups(map_, lanes)
        if stretched:
            self.advance = partial(advance_stretched, plain=self.advance, on_host=host)
            self.begin = begin_stretched
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
