"""Ctrl-C that is not lost.

Python raises `KeyboardInterrupt` wherever the main thread happens to be. Inside jax that may be a
callback of the garbage collector, whose exceptions are printed and dropped, and the run would go on
as if nothing had been asked. So the wish is also noted, and looked at whenever progress is made.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_DEAF = "_xla_gc_callback"
"""The function of jax that the garbage collector calls."""

_wished = threading.Event()


@contextlib.contextmanager
def interrupts_noted() -> Iterator[None]:
    """Note Ctrl-C for as long as the block lasts, besides raising `KeyboardInterrupt` at once.

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


def raise_if_interrupted() -> None:
    """Raise the `KeyboardInterrupt` that was dropped, if one was.

    Raises
    ------
    KeyboardInterrupt
        Once for each Ctrl-C.
    """
    if _wished.is_set():
        _wished.clear()
        raise KeyboardInterrupt


def _note(signum: int, frame: FrameType | None) -> None:
    _wished.set()
    # Raised in there it would be printed with a traceback and dropped.
    if frame is None or frame.f_code.co_name != _DEAF:
        raise KeyboardInterrupt
