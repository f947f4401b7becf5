"""Ticks that leave out labels where there is no room for all, when they are drawn.

How large a picture will be is known to nobody before: a layout moves it, a notebook scales it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, final

import matplotlib
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import Formatter, Locator

_LETTER = 0.62
"""Width of a letter in units of the size of the type; of an exponent 0.7 of that."""
_LINE = 1.25
"""Height of a line, likewise."""
_BETWEEN = 0.4
"""Least space between two labels of an x axis, likewise."""


@final
class RoomyLocator(Locator):
    """Every tick, or every second, third, ... one, so that labels do not touch.

    Parameters
    ----------
    labels : mapping of float to str
        Places, ascending, and what stands there.
    which : {"x", "y"}
    """

    def __init__(self, labels: Mapping[float, str], which: str) -> None:
        self.places = np.array(list(labels), float)
        self.which = which
        letters = max(map(_letters, labels.values()), default=0.0)
        self.need = _LETTER * letters + _BETWEEN if which == "x" else _LINE

    def __call__(self) -> np.ndarray:
        """Return the places that have a label at the present size."""
        if self.axis is None:
            return self.places
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> np.ndarray:
        """Return the places that have a label between two ends of the view."""
        n = len(self.places)
        if n < 2 or self.axis is None:
            return self.places
        axis: Any = self.axis
        axes = axis.axes
        size = axes.bbox.width if self.which == "x" else axes.bbox.height
        length = size * 72 / axes.get_figure(root=True).dpi
        transform = axis.get_transform()
        low, high = transform.transform(np.array([vmin, vmax], float))
        at = length * (transform.transform(self.places) - low) / (high - low)
        settings: Any = matplotlib.rcParams
        type_size = FontProperties(size=settings[f"{self.which}tick.labelsize"])
        need = self.need * type_size.get_size_in_points()
        # Round numbers stay: those that are a whole number of strides from 1, or from 0.
        offset = np.log10(self.places) if self.places[0] > 0 else self.places
        origin = int(np.argmin(np.abs(offset)))
        for stride in range(1, n):
            kept = np.arange(n) % stride == origin % stride
            if np.count_nonzero(kept) < 2:
                break
            if np.min(np.abs(np.diff(at[kept]))) >= need:
                return self.places[kept]
        return self.places[[0, -1]] if abs(at[-1] - at[0]) >= need else self.places[[origin]]


@final
class LabelFormatter(Formatter):
    """What stands at a place; nothing elsewhere.

    Parameters
    ----------
    labels : mapping of float to str
    """

    def __init__(self, labels: Mapping[float, str]) -> None:
        self.labels = dict(labels)

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a place."""
        return self.labels.get(float(x), "")


def _letters(label: str) -> float:
    """Return how many letters wide a label is; an exponent in mathtext counts less."""
    bare = label.replace("$", "").replace("\\times", "x")
    raised = "".join(re.findall(r"\^\{(.*?)\}", bare))
    return len(re.sub(r"\^\{.*?\}", "", bare)) + 0.7 * len(raised)
