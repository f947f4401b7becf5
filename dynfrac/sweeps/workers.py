"""Workers that compute tiles elsewhere, and how they are kept supplied.

Anything with `submit` in the manner of `concurrent.futures` will do: processes of this machine
(`dynfrac.sweeps.processes`) or a cluster (`dynfrac.sweeps.clusters`).
"""

from __future__ import annotations

import abc
import functools
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any, final

import jax

_AHEAD = 2
"""Tiles that each worker has in hand or waiting: it must not wait for this process."""

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


def drive(
    executor: Executor,
    n: int,
    payload: bytes,
    left: Iterator[Task],
    unfinished: dict[Any, Any],
) -> Generator[tuple[Any, Any, str]]:
    """Keep an executor supplied with tasks, and yield what comes back.

    Parameters
    ----------
    executor : Executor
    n : int
        Its workers.
    payload : bytes
        The job, as `pickled` gives it.
    left : iterator of (key, argument)
    unfinished : dict
        Holds what was submitted and has not come back, for another executor to go on with if this
        one is lost.

    Yields
    ------
    key, result, device : tuple
        As `Workers.run`.
    """
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


def pickled(job: Any) -> bytes:
    """Return what a job is sent to workers as.

    Raises
    ------
    ValueError
        If it cannot be sent.
    """
    try:
        return pickle.dumps(job)
    except Exception as error:  # whatever an attribute's own pickling raises
        raise ValueError(
            f"the sweep cannot be sent to workers ({type(error).__name__}: {error}); define the "
            "map in a module that can be imported, or compute it with workers=1"
        ) from error


@functools.lru_cache(maxsize=2)
def _job_of(payload: bytes) -> Any:
    """Return the job of a payload; it keeps what it has compiled from task to task."""
    return pickle.loads(payload)


def _do(payload: bytes, argument: Any) -> tuple[Any, str]:
    """Do a job, in a worker."""
    return _job_of(payload)(argument), jax.devices()[0].device_kind
