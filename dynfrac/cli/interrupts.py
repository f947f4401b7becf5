"""Ctrl-C that is neither lost nor dangerous.

Python raises `KeyboardInterrupt` wherever the main thread happens to be. Inside jax that may be a
callback of the garbage collector, whose exceptions are printed and dropped, or compiled code that
aborts the process when Python raises in it. So while a command reports progress, Ctrl-C is only
noted, and raised at the next report; pressed once more, it is raised at once.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_wished = threading.Event()
_reporting = threading.Event()


@contextlib.contextmanager
def interrupts_noted() -> Iterator[None]:
    """Take over Ctrl-C for as long as the block lasts.

    Does nothing outside the main thread, where signals cannot be received, and where Ctrl-C has
    been given another meaning.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.getsignal(signal.SIGINT)
    if previous is not signal.default_int_handler:
        yield
        return
    _wished.clear()
    signal.signal(signal.SIGINT, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        _wished.clear()


@contextlib.contextmanager
def safe_points() -> Iterator[None]:
    """Say that `raise_if_interrupted` is called again and again until the block ends.

    Raises
    ------
    KeyboardInterrupt
        At the end, if Ctrl-C was pressed after the last call.
    """
    outermost = not _reporting.is_set()
    _reporting.set()
    try:
        yield
    finally:
        if outermost:
            _reporting.clear()
    raise_if_interrupted()


def raise_if_interrupted() -> None:
    """Raise the `KeyboardInterrupt` that was noted, if one was.

    Raises
    ------
    KeyboardInterrupt
        Once for each Ctrl-C.
    """
    if _wished.is_set():
        _wished.clear()
        raise KeyboardInterrupt


def _note(signum: int, frame: FrameType | None) -> None:
    if _reporting.is_set() and not _wished.is_set():
        _wished.set()
        return
    _wished.clear()
    raise KeyboardInterrupt
