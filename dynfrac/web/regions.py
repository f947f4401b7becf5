"""Regions: the dimension of the boundary in a rectangle, without a sweep."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, final

from dynfrac.boundaries.budgets import LEAST_BUDGET
from dynfrac.orbits.axes import Axis
from dynfrac.studies.dimension_reports import DimensionReport, report_dimension
from dynfrac.web.commands import dimension_command
from dynfrac.web.problems import Problem, sentence_of
from dynfrac.web.scenes import Scene

MOST_BUDGET = 200_000
MOST_WAITING = 8
_KEPT = 64


class Cancelled(Exception):
    """Nobody wants the number any more."""


@final
class Region:
    """A rectangle whose boundary is measured.

    Attributes
    ----------
    id : str
    state : str
        ``"waiting"``, ``"running"``, ``"done"``, ``"failed"`` or ``"cancelled"``.
    done : int
        Runs so far, of `budget`.
    """

    def __init__(self, id_: str, scene: Scene, axes: tuple[Axis, Axis], budget: int) -> None:
        self.id = id_
        self.scene = scene
        self.axes = axes
        self.budget = budget
        self.state = "waiting"
        self.done = 0
        self.message: str | None = None
        self.report: DimensionReport | None = None
        self.cancelled = False

    def describe(self) -> dict[str, Any]:
        """Return what the page is told."""
        estimate = None
        if self.report is not None:
            headline = self.report.headline
            fields = ("value", "stderr", "ci_low", "ci_high", "n_runs", "window", "method")
            estimate = {name: getattr(headline, name) for name in fields}
            estimate["flags"] = [*headline.flags, *self.report.flags]
            estimate["agreement"] = self.report.agreement
        return {
            "state": self.state,
            "done": self.done,
            "total": self.budget,
            "message": self.message,
            "estimate": estimate,
            "command": dimension_command(self.scene, self.axes, self.budget),
        }

    def measure(self) -> None:
        """Spend the budget."""
        self.state = "running"
        job = self.scene.plan.job
        try:
            self.report = report_dimension(
                self.scene.map_,
                self.axes,
                budget=self.budget,
                n_steps=job.n_steps,
                every=job.every,
                hparams=self.scene.settings.get("hparams") or None,
                rule=job.rule,
                dtype=job.dtype,
                lanes=job.lanes,
                on_progress=self._count,
            )
        except Cancelled:
            self.state = "cancelled"
        except Exception as error:  # whatever a user's map raises is told
            self.state, self.message = "failed", sentence_of(error)
        else:
            self.state = "done"

    def _count(self, used: int) -> None:
        self.done = used
        if self.cancelled:
            raise Cancelled


@final
class RegionDesk:
    """Measures regions, one after the other, in a thread of its own."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._regions: dict[str, Region] = {}
        self._waiting: deque[Region] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="regions", daemon=True)
        self._thread.start()

    def put(self, scene: Scene, body: Mapping[str, Any]) -> Region:
        """Take a rectangle and a budget from the body of a request.

        Raises
        ------
        Problem
            If they are not understood, or too many wait.
        """
        axes = tuple(
            _read_span(body, key, axis) for key, axis in zip("xy", scene.axes, strict=True)
        )
        budget: Any = body.get("budget")
        if type(budget) is not int or not LEAST_BUDGET <= budget <= MOST_BUDGET:
            raise Problem(
                400,
                f"budget={str(budget)[:40]} is no number of runs; give {LEAST_BUDGET} to "
                f"{MOST_BUDGET}",
            )
        with self._changed:
            if self._closed or len(self._waiting) >= MOST_WAITING:
                raise Problem(429, f"{MOST_WAITING} rectangles wait already; try again later")
            region = Region(f"r{next(self._numbers)}", scene, (axes[0], axes[1]), budget)
            self._regions[region.id] = region
            for old in list(self._regions.values()):
                if len(self._regions) > _KEPT and old.state in ("done", "failed", "cancelled"):
                    del self._regions[old.id]
            self._waiting.append(region)
            self._changed.notify()
        return region

    def find(self, id_: str) -> Region:
        """Return a region.

        Raises
        ------
        Problem
            If there is none of that name, or not any more.
        """
        with self._changed:
            if id_ not in self._regions:
                raise Problem(404, f"there is no rectangle {id_[:20]!r}; draw it again")
            return self._regions[id_]

    def cancel(self, region: Region) -> None:
        """Give a region up, at the next breath of its computation."""
        region.cancelled = True
        with self._changed:
            if region in self._waiting:
                self._waiting.remove(region)
                region.state = "cancelled"

    def close(self) -> None:
        """Give everything up and wait until the thread has ended."""
        with self._changed:
            self._closed = True
            for region in self._regions.values():
                region.cancelled = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                region = self._waiting.popleft()
            region.measure()


def _read_span(body: Mapping[str, Any], key: str, axis: Axis) -> Axis:
    """Read one side of a rectangle."""
    ends: Any = body.get(key)
    pair = isinstance(ends, list) and len(ends) == 2
    if not pair or not all(type(end) in (int, float) for end in ends):
        raise Problem(400, f"{key} is no pair of numbers; give [low, high] of {axis.name}")
    try:
        low, high = (float(end) for end in ends)
    except OverflowError:
        raise Problem(
            400, f"{key} is beyond all numbers; give [low, high] of {axis.name}"
        ) from None
    if not axis.low <= low < high <= axis.high:
        raise Problem(
            400,
            f"{axis.name} from {low:g} to {high:g} is no part of the window; give two increasing "
            f"values from {axis.low:g} to {axis.high:g}",
        )
    return dataclasses.replace(axis, low=low, high=high)
