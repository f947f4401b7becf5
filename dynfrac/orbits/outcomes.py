"""What became of a run: the `Status` codes and the record of many runs.

`Status` is the only outcome code of the package: orbits, sweep stores and pictures share it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np


class Status(IntEnum):
    """Outcome of one run, stored as uint8.

    The two-class label of a run is `status == Status.CONVERGED`; whether a run converged is the
    decision of the outcome rule, and the other three codes say in which way it did not.
    """

    PENDING = 0
    """Never run; the fill value of a sweep's unwritten tiles."""
    CONVERGED = 1
    """Converged, by the named rule."""
    BOUNDED = 2
    """Every loss stayed below the rule's limit, and the run did not converge by the rule."""
    ESCAPED = 3
    """Every loss was finite and at least one passed the limit, first at `t_escape`."""
    NOT_FINITE = 4
    """A loss overflowed or became not-a-number; `t_escape` is the first loss over the limit."""

    @property
    def words(self) -> str:
        """The name as it is read: ``"not finite"``."""
        return self.name.lower().replace("_", " ")


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """Outcomes of N runs, as NumPy arrays, with the conditions they were computed under.

    Attributes
    ----------
    status : (N,) uint8 array
        Codes of `Status`.
    measure : (N,) float array
        The signed number that the published pictures colour: negative for converged runs, not
        negative for all others. Its formula belongs to the rule.
    t_escape : (N,) int32 array
        0-based index of the first recorded loss that is over the limit or not finite, else -1.
    final_loss : (N,) float array
        The last recorded loss, that of step `n_steps - 1`, taken before that step's update. It is
        the training loss also where the rule watches a metric.
    conditions : dict
        `rule`, `n_steps`, `every`, `dtype`, `lanes` (runs per batch), `device`.
    metrics : dict of str to (N,) float array
        Metrics that were asked for, read where the last loss is.
    """

    status: np.ndarray
    measure: np.ndarray
    t_escape: np.ndarray
    final_loss: np.ndarray
    conditions: dict[str, Any]
    metrics: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def labels(self) -> np.ndarray:
        """(N,) bool array: the default two-class label, True where the run converged."""
        return self.status == Status.CONVERGED

    def __len__(self) -> int:
        return len(self.status)


def one_sided(counts: Mapping[str, int]) -> str | None:
    """Say that a window shows one outcome only, so that there is no boundary to look for.

    Parameters
    ----------
    counts : mapping of str to int
        Runs of each status by its name in lower case, pending ones included.

    Returns
    -------
    str, optional
        A sentence; None if there are both outcomes, or no outcome yet.
    """
    done = sum(counts.values()) - counts["pending"]
    if not done or 0 < counts["converged"] < done:
        return None
    runs = f"all {done} runs" if counts["converged"] else f"none of the {done} runs"
    if counts["pending"]:
        return f"{runs} so far converged: no boundary has been met yet"
    return f"{runs} converged: there is no boundary in this window"
