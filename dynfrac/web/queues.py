"""The queue of tiles: one thread computes, and the view that was asked for last is served first.

Only names of tiles pass through the queue, so that its memory is bounded whatever the tiles hold.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import final

from dynfrac.web.levels import TileKey
from dynfrac.web.problems import Problem, sentence_of
from dynfrac.web.pyramids import Pyramid

MOST_ORDERS = 64

GRACE = 0.5
"""Seconds for which a tile under way waits for another view that wants it."""


class Withdrawn(Exception):
    """Nobody waits for the tile any more."""


@final
class Order:
    """Tiles that one view waits for.

    Parameters
    ----------
    pyramid : Pyramid
    tiles : iterable of TileKey
        In the order in which they are wanted.
    tell : callable
        Called from the thread of the queue with what has happened: a tile that is there, a sentence
        if the computation failed, or None with news of progress. It must return at once.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        tiles: Iterable[TileKey],
        tell: Callable[[TileKey | str | None], None],
    ) -> None:
        self.pyramid = pyramid
        self.tiles = deque(tiles)
        self.tell = tell
        self.withdrawn_at = math.inf
        self.total = sum(self._runs(key) for key in self.tiles)
        self.settled = 0.0
        self.began: float | None = None

    @property
    def withdrawn(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.withdrawn_at < math.inf

    @property
    def seconds_left(self) -> float | None:
        """A guess from the speed so far; None before there is one."""
        if self.began is None or self.settled < 1:
            return None
        spent = time.monotonic() - self.began
        return spent * (self.total - self.settled) / self.settled

    def _runs(self, key: TileKey) -> int:
        _, (x, y) = self.pyramid.levels.place(key)
        return (x.stop - x.start) * (y.stop - y.start)

    def serve(self, key: TileKey, given_up: Callable[[], bool]) -> None:
        """Compute a tile unless it is there, and tell.

        Raises
        ------
        Withdrawn
            As soon as `given_up` says so.
        """
        if self.began is None:
            self.began = time.monotonic()
        before, n_steps = self.settled, self.pyramid.scene.plan.job.n_steps

        def report(steps: int) -> None:
            if given_up():
                raise Withdrawn
            self.settled += steps / n_steps
            self.tell(None)

        if self.pyramid.read(key, "status") is None:
            self.pyramid.compute(key, report)
        self.settled = before + self._runs(key)
        self.tell(key)


@final
class TileQueue:
    """Serves orders, the latest first, in a thread of its own."""

    def __init__(self) -> None:
        self._orders: list[Order] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="tiles", daemon=True)
        self._thread.start()

    def put(self, order: Order) -> None:
        """Add an order.

        Raises
        ------
        Problem
            If there are too many.
        """
        with self._changed:
            if self._closed:
                raise Problem(503, "the explorer is shutting down")
            if len(self._orders) >= MOST_ORDERS:
                raise Problem(429, f"{MOST_ORDERS} views are waiting already; try again later")
            self._orders.append(order)
            self._changed.notify()

    def withdraw(self, order: Order) -> None:
        """Give an order up, and the tile under way unless another order wants it."""
        order.withdrawn_at = time.monotonic()
        with self._changed:
            if order in self._orders:
                self._orders.remove(order)

    def close(self) -> None:
        """Give everything up and wait until the thread has ended."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _given_up(self, order: Order, key: TileKey) -> bool:
        """Whether the tile that is computed for an order is wanted by nobody."""
        if self._closed:
            return True
        # A view that is moved a little comes back for the same tile after a moment.
        if time.monotonic() < order.withdrawn_at + GRACE:
            return False
        with self._changed:
            return not any(
                other.pyramid is order.pyramid and key in other.tiles for other in self._orders
            )

    def _next(self) -> tuple[Order, TileKey] | None:
        """Wait for something to do; None when closed."""
        with self._changed:
            while True:
                if self._closed:
                    return None
                if self._orders:
                    latest = self._orders[-1]
                    key = latest.tiles.popleft()
                    if not latest.tiles:
                        self._orders.pop()
                    return latest, key
                self._changed.wait()

    def _work(self) -> None:
        while (found := self._next()) is not None:
            order, key = found
            try:
                order.serve(key, partial(self._given_up, order, key))
            except Withdrawn:
                continue
            except Exception as error:  # whatever a user's map raises is told, and ends the view
                self.withdraw(order)
                order.tell(sentence_of(error))
