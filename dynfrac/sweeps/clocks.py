"""Wall time with and without compilation."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, final

import jax.monitoring

_COMPILATION = "/jax/core/compile/"


@final
class Stopwatch:
    """Seconds since it was made, and how many of them this thread spent compiling.

    Compilation in other threads is not counted: it does not stop this one.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._start = time.perf_counter()
        self._compilations: list[tuple[float, float]] = []

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.perf_counter() - self._start

    @property
    def compile_seconds(self) -> float:
        """Wall time of tracing, lowering and compiling so far."""
        total, end = 0.0, self._start
        # Reports overlap: tracing a function reports those that it calls as well.
        for start, stop in sorted(self._compilations):
            total += max(0.0, stop - max(start, end))
            end = max(end, stop)
        return total

    def note(self, event: str, duration_secs: float, **_: Any) -> None:
        """Receive jax's report that something has just taken so many seconds."""
        if event.startswith(_COMPILATION) and threading.get_ident() == self._thread:
            now = time.perf_counter()
            self._compilations.append((now - duration_secs, now))


@contextlib.contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Start a stopwatch that hears of compilations as long as the block lasts."""
    watch = Stopwatch()
    jax.monitoring.register_event_duration_secs_listener(watch.note)
    try:
        yield watch
    finally:
        jax.monitoring.unregister_event_duration_listener(watch.note)
