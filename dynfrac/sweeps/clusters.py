"""Workers of a cluster, by dask.distributed or any other executor."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Executor
from typing import Any, final

from dynfrac.sweeps.workers import Task, Workers, drive, pickled


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
            yield from drive(self.executor, self.n, pickled(job), iter(tasks), {})
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
