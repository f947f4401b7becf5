"""Ctrl-C ends a command at a place where it can, and is never lost."""

import gc
import os
import signal

import pytest

from dynfrac.cli.interrupts import interrupts_noted, raise_if_interrupted, safe_points
from dynfrac.cli.output import progress_bar

pytestmark = pytest.mark.usefixtures("ctrl_c")


def press():
    """Press Ctrl-C, and give the handler instructions to run between."""
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(10):
        pass


@pytest.fixture
def pressed_in_the_collector():
    """Press Ctrl-C inside a callback of the garbage collector, where exceptions are dropped."""

    def callback(phase, info):
        gc.callbacks.remove(callback)
        press()

    gc.callbacks.append(callback)
    yield
    if callback in gc.callbacks:
        gc.callbacks.remove(callback)


def test_it_is_raised_at_the_next_report(pressed_in_the_collector, capsys):
    with interrupts_noted(), safe_points():
        gc.collect()
        with pytest.raises(KeyboardInterrupt):
            raise_if_interrupted()
        raise_if_interrupted()  # once only
    assert capsys.readouterr().err == ""


def test_a_progress_bar_is_a_safe_point():
    with interrupts_noted(), progress_bar("work", 2) as advance:
        advance(1)
        press()
        with pytest.raises(KeyboardInterrupt):
            advance(1)


def test_it_is_raised_at_the_end_if_nothing_is_reported_any_more():
    with interrupts_noted():
        with pytest.raises(KeyboardInterrupt), safe_points():
            press()
        raise_if_interrupted()


def test_an_error_that_comes_first_is_the_one_that_is_told():
    with interrupts_noted(), pytest.raises(ValueError), safe_points():
        press()
        raise ValueError


def test_pressed_twice_it_does_not_wait():
    with interrupts_noted(), safe_points(), pytest.raises(KeyboardInterrupt):
        press()
        press()
        pytest.fail("the second signal was not noticed")


def test_without_reports_it_is_raised_at_once():
    with pytest.raises(KeyboardInterrupt), interrupts_noted():
        press()
        pytest.fail("the signal was not noticed")
    raise_if_interrupted()


def test_the_handler_of_before_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    with interrupts_noted():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_another_meaning_of_ctrl_c_is_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with interrupts_noted():
            press()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [1]
