"""Workers that compute tiles: processes of this machine, or a cluster.

Anything with `submit` in the manner of `concurrent.futures` will do. Processes are spawned, never
forked, because a fork of a process that has used jax can hang for ever.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any, final

import jax

_AHEAD = 2
"""Tiles that each worker has in hand or waiting: it must not wait for this process."""
_MOST_LOSSES = 3
"""Times in a row that workers may be lost without a tile having been finished."""

Task = tuple[Any, Any]
"""A key, and what is passed to the job."""


class Workers(abc.ABC):
    """Something that has jobs done elsewhere."""

    @abc.abstractmethod
    def run(
        self, job: Callable[[Any], Any], tasks: Iterable[Task]
    ) -> Generator[tuple[Any, Any, str]]:
        """Do a job on every task.

        Parameters
        ----------
        job : callable
            Picklable.
        tasks : iterable of (key, argument)
            Drawn from only as fast as workers need them.

        Yields
        ------
        key, result, device : tuple
            In the order in which they are done, with the kind of device that did it.

        Raises
        ------
        ValueError
            If the job cannot be pickled.
        ChildProcessError, ConnectionError
            If workers are lost again and again, or what leads to them is.
        """


@final
class ProcessWorkers(Workers):
    """Processes of this machine, with equal shares of its processors.

    Parameters
    ----------
    n : int
        Number of processes, at least 1.
    """

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"workers={n} must be at least 1")
        self.n = n

    def run(
        self, job: Callable[[Any], Any], tasks: Iterable[Task]
    ) -> Generator[tuple[Any, Any, str]]:
        """Do a job on every task; a process that is killed is replaced, and its task done again."""
        payload = _pickled(job)
        left = iter(tasks)
        unfinished: dict[Any, Any] = {}
        losses = 0
        while True:
            pool = self._pool()
            try:
                for key, result, device in _drive(pool, self.n, payload, left, unfinished):
                    losses = 0
                    yield key, result, device
                return
            except BrokenProcessPool:
                losses += 1
                if losses >= _MOST_LOSSES:
                    raise ChildProcessError(
                        f"workers ended without a word {losses} times in a row (killed, out of "
                        'memory, or started by a script without `if __name__ == "__main__":`); '
                        "finished tiles are kept: mend that, or sweep again with fewer workers"
                    ) from None
            finally:
                _end(pool)

    def _pool(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        arguments = context.Value("i", 0), self.n
        return ProcessPoolExecutor(
            self.n, mp_context=context, initializer=_begin, initargs=arguments
        )


@final
class ExecutorWorkers(Workers):
    """Workers behind an executor that someone else has made, and closes.

    Parameters
    ----------
    executor : Executor
        With `submit(function, *arguments)` that returns a `concurrent.futures.Future`, such as
        `distributed.Client(...).get_executor()`. Whether a lost worker's task is done again is
        the executor's concern.
    n : int, default 16
        Workers that there may be; twice as many tasks are under way.
    """

    def __init__(self, executor: Executor, n: int = 16) -> None:
        self.executor = executor
        self.n = n

    def run(
        self, job: Callable[[Any], Any], tasks: Iterable[Task]
    ) -> Generator[tuple[Any, Any, str]]:
        """Do a job on every task."""
        try:
            yield from _drive(self.executor, self.n, _pickled(job), iter(tasks), {})
        except Exception as error:
            # What a cluster says of itself, and not what the job said.
            of_cluster = type(error).__module__.partition(".")[0] == "distributed"
            if not of_cluster and not isinstance(error, CancelledError):
                raise
            raise ConnectionError(
                f"the cluster gave up ({type(error).__name__}); finished tiles are kept: start it "
                "again, and the same command goes on"
            ) from error


@contextlib.contextmanager
def connect(address: str) -> Iterator[ExecutorWorkers]:
    """Connect to a dask.distributed cluster for as long as the context lasts.

    Parameters
    ----------
    address : str
        Of its scheduler, such as ``tcp://127.0.0.1:8786``.

    Raises
    ------
    ValueError
        If dask.distributed is not installed, nothing answers there, or it has no workers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            f"scheduler={address} needs dask.distributed; install it: pip install dynfrac[dask]"
        ) from None
    try:
        client = Client(address, set_as_default=False, timeout=10)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"scheduler={address} does not answer ({type(error).__name__}); start one with "
            "`dask scheduler` and workers with `dask worker ADDRESS`"
        ) from None
    with client, _quiet("distributed.client"):
        n_workers = len(client.scheduler_info(n_workers=-1)["workers"])
        if not n_workers:
            raise ValueError(
                f"scheduler={address} has no workers; start some: dask worker {address}"
            )
        # Not pure: equal tasks of two sweeps must not share a result.
        yield ExecutorWorkers(client.get_executor(pure=False, retries=3), n_workers)


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a logger's tracebacks away: what they are about ends in a sentence of ours."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _drive(
    executor: Executor,
    n: int,
    payload: bytes,
    left: Iterator[Task],
    unfinished: dict[Any, Any],
) -> Generator[tuple[Any, Any, str]]:
    """Keep an executor supplied. `unfinished` holds what was submitted and has not come back."""
    futures: dict[Future, Any] = {}

    def submit(key: Any, argument: Any) -> None:
        unfinished[key] = argument
        futures[executor.submit(_do, payload, argument)] = key

    for key, argument in list(unfinished.items()):  # what an earlier executor was lost with
        submit(key, argument)
    try:
        while True:
            while len(futures) < _AHEAD * n and (task := next(left, None)) is not None:
                # Keys are tiles, made of slices, which Python before 3.12 does not hash.
                submit(_Key(task[0]), task[1])
            if not futures:
                return
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                result, device = future.result()
                key = futures.pop(future)
                del unfinished[key]
                yield key.value, result, device
    finally:
        for future in futures:
            future.cancel()


@final
class _Key:
    """A key by identity."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _pickled(job: Any) -> bytes:
    try:
        return pickle.dumps(job)
    except Exception as error:  # whatever an attribute's own pickling raises
        raise ValueError(
            f"the sweep cannot be sent to workers ({type(error).__name__}: {error}); define the "
            "map in a module that can be imported, or compute it with workers=1"
        ) from error


def _end(pool: ProcessPoolExecutor) -> None:
    """End a pool's processes at once, whatever they are at."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def _begin(counter: Any, n: int) -> None:
    """Prepare a worker: an equal share of the processors, and no Ctrl-C of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with counter.get_lock():
        place = counter.value
        counter.value += 1
    if hasattr(os, "sched_setaffinity"):
        # Before jax makes its threads, whose number follows the processors that it may use.
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[place % min(n, len(cores)) :: n] or cores)


def _end_with_parent() -> None:
    """End when the process that sends tasks is gone: killed, it cannot say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


@functools.lru_cache(maxsize=2)
def _job_of(payload: bytes) -> Any:
    """Return the job of a payload; it keeps what it has compiled from task to task."""
    return pickle.loads(payload)


def _do(payload: bytes, argument: Any) -> tuple[Any, str]:
    """Do a job, in a worker."""
    return _job_of(payload)(argument), jax.devices()[0].device_kind
