"""The queue of tiles: the latest view first, and no work for nobody."""

import threading

import pytest

from dynfrac.web import queues
from dynfrac.web.levels import Levels
from dynfrac.web.problems import Problem
from dynfrac.web.queues import MOST_ORDERS, Order, TileQueue
from tests.web.servers import quadratic_scene

SCENE = quadratic_scene()
LEVELS = Levels(SCENE)


class Slow:
    """A pyramid whose tiles wait for a word, and which notes what it is asked for."""

    def __init__(self):
        self.scene = SCENE
        self.levels = LEVELS
        self.computed = []
        self.begun = threading.Event()
        self.go = threading.Event()

    def read(self, key, field):
        return key if key in self.computed else None

    def compute(self, key, on_progress):
        self.begun.set()
        assert self.go.wait(10)
        on_progress(60)
        if key == (5, 0, 0):
            raise ValueError("the map does not work")
        self.computed.append(key)


class Ear:
    """Hears what is told, and waits for it."""

    def __init__(self, n=1):
        self.heard = []
        self.left = threading.Semaphore(0)
        self.n = n

    def __call__(self, what):
        if what is not None:
            self.heard.append(what)
            self.left.release()

    def wait(self):
        for _ in range(self.n):
            assert self.left.acquire(timeout=10)
        return self.heard


@pytest.fixture
def queue():
    made = TileQueue()
    yield made
    made.close()


def test_the_view_asked_for_last_is_served_first(queue):
    pyramid = Slow()
    ears = [Ear(2), Ear(2), Ear(2)]
    queue.put(Order(pyramid, [(0, 0, 0), (1, 0, 0)], ears[0]))
    assert pyramid.begun.wait(10)
    queue.put(Order(pyramid, [(2, 0, 0), (2, 1, 0)], ears[1]))
    queue.put(Order(pyramid, [(3, 0, 0), (3, 1, 0)], ears[2]))
    pyramid.go.set()
    for ear in ears:
        ear.wait()
    order = [(0, 0, 0), (3, 0, 0), (3, 1, 0), (2, 0, 0), (2, 1, 0), (1, 0, 0)]
    assert pyramid.computed == order


def test_what_is_withdrawn_is_not_computed(queue, monkeypatch):
    monkeypatch.setattr(queues, "GRACE", 0.0)
    pyramid, ear, other = Slow(), Ear(), Ear()
    first = Order(pyramid, [(0, 0, 0), (1, 0, 0)], ear)
    queue.put(first)
    assert pyramid.begun.wait(10)
    queue.put(Order(pyramid, [(2, 0, 0)], other))
    queue.withdraw(first)
    pyramid.go.set()
    other.wait()
    assert pyramid.computed == [(2, 0, 0)] and ear.heard == []


def test_a_tile_under_way_is_kept_for_the_next_view_that_wants_it(queue, monkeypatch):
    monkeypatch.setattr(queues, "GRACE", 0.0)
    pyramid, ear, other = Slow(), Ear(), Ear(2)
    first = Order(pyramid, [(0, 0, 0), (1, 0, 0)], ear)
    queue.put(first)
    assert pyramid.begun.wait(10)
    queue.withdraw(first)
    queue.put(Order(pyramid, [(2, 0, 0), (0, 0, 0)], other))
    pyramid.go.set()
    assert other.wait() == [(2, 0, 0), (0, 0, 0)]
    assert pyramid.computed == [(0, 0, 0), (2, 0, 0)]


def test_a_view_that_is_moved_has_a_moment_to_come_back(queue):
    pyramid, ear, other = Slow(), Ear(), Ear()
    first = Order(pyramid, [(0, 0, 0)], ear)
    queue.put(first)
    assert pyramid.begun.wait(10)
    queue.withdraw(first)
    pyramid.go.set()
    queue.put(Order(pyramid, [(2, 0, 0)], other))
    other.wait()
    assert pyramid.computed == [(0, 0, 0), (2, 0, 0)]


def test_a_tile_that_two_views_want_is_computed_once(queue):
    pyramid, ears = Slow(), [Ear(), Ear()]
    pyramid.go.set()
    for ear in ears:
        queue.put(Order(pyramid, [(0, 0, 0)], ear))
    assert [ear.wait() for ear in ears] == [[(0, 0, 0)], [(0, 0, 0)]]
    assert pyramid.computed == [(0, 0, 0)]


def test_a_failure_is_told_and_ends_its_view_only(queue):
    pyramid, ear, other = Slow(), Ear(), Ear()
    pyramid.go.set()
    queue.put(Order(pyramid, [(5, 0, 0), (1, 0, 0)], ear))
    assert ear.wait() == ["the map does not work"]
    queue.put(Order(pyramid, [(2, 0, 0)], other))
    assert other.wait() == [(2, 0, 0)]
    assert pyramid.computed == [(2, 0, 0)]


def test_too_many_views_are_refused(queue):
    pyramid = Slow()
    queue.put(Order(pyramid, [(0, 0, 0)], Ear()))
    assert pyramid.begun.wait(10)
    for _ in range(MOST_ORDERS):
        queue.put(Order(pyramid, [(1, 0, 0)], Ear()))
    with pytest.raises(Problem, match="views are waiting"):
        queue.put(Order(pyramid, [(1, 0, 0)], Ear()))
    pyramid.go.set()


def test_progress_and_time_left(queue):
    pyramid, ear = Slow(), Ear(2)
    order = Order(pyramid, [(0, 0, 0), (1, 0, 0)], ear)
    assert order.total == 17 * 17 + 33 * 33 and order.seconds_left is None
    pyramid.go.set()
    queue.put(order)
    ear.wait()
    assert order.settled == order.total
    assert order.seconds_left == 0


def test_closing_gives_up_what_is_under_way():
    queue, pyramid = TileQueue(), Slow()
    queue.put(Order(pyramid, [(0, 0, 0), (1, 0, 0)], Ear()))
    assert pyramid.begun.wait(10)
    threading.Timer(0.1, pyramid.go.set).start()
    queue.close()
    assert pyramid.computed == []
    with pytest.raises(Problem, match="shutting down"):
        queue.put(Order(pyramid, [(0, 0, 0)], Ear()))
