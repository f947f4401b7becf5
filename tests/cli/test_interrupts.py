"""Ctrl-C ends a command even where Python drops the exception."""

import gc
import os
import signal

import pytest

from dynfrac.cli.interrupts import interrupts_noted, raise_if_interrupted

pytestmark = pytest.mark.usefixtures("ctrl_c")


@pytest.fixture
def dropping():
    """Press Ctrl-C inside a callback of the garbage collector, as may happen inside jax."""

    def _xla_gc_callback(phase, info):
        gc.callbacks.remove(_xla_gc_callback)
        os.kill(os.getpid(), signal.SIGINT)
        # The handler runs between two instructions of this function.
        for _ in range(10):
            pass

    gc.callbacks.append(_xla_gc_callback)
    yield
    if _xla_gc_callback in gc.callbacks:
        gc.callbacks.remove(_xla_gc_callback)


def test_an_interrupt_that_is_dropped_is_raised_at_the_next_progress(dropping, capsys):
    with interrupts_noted():
        gc.collect()
        with pytest.raises(KeyboardInterrupt):
            raise_if_interrupted()
        raise_if_interrupted()  # once only
    assert capsys.readouterr().err == ""


def test_an_ordinary_interrupt_is_raised_at_once_and_not_again():
    with pytest.raises(KeyboardInterrupt), interrupts_noted():
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(10):
            pass
        pytest.fail("the signal was not noticed")
    raise_if_interrupted()


def test_the_handler_of_before_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    with interrupts_noted():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_another_meaning_of_ctrl_c_is_left_alone(monkeypatch):
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with interrupts_noted():
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(10):
                pass
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [1]
