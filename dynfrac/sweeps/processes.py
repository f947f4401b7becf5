"""Workers that are processes of this machine.

They are spawned, never forked, because a fork of a process that has used jax can hang for ever.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any, final

from dynfrac.sweeps.workers import Task, Workers, drive, pickled

_MOST_LOSSES = 3
"""Times in a row that workers may be lost without a tile having been finished."""


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
        payload = pickled(job)
        left = iter(tasks)
        unfinished: dict[Any, Any] = {}
        losses = 0
        while True:
            pool = self._pool()
            try:
                for key, result, device in drive(pool, self.n, payload, left, unfinished):
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
