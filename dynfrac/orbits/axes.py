"""`Axis`: a named hyperparameter, the range it runs over, and the points on it.

Low, high and the points are values, never exponents. End points are included. Hyperparameters that
count something have whole points.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.systems.abstract import unknown_name
from dynfrac.systems.numerics import precision

SCALES = ("linear", "log10")

WHOLE = {"seed": 0, "n_steps": 1, "batch_size": 1}
"""Hyperparameters that count or choose, and their least values: there is nothing between a seed and
the next one, nor between two numbers of steps or of examples."""

_UNEVEN = 0.5
"""Part of a step by which rounding may shift a point of an axis against its neighbour."""

_LOGARITHMIC = ("lr", "init_scale", "weight_decay", "clip_norm", "clip_value")


def natural_scale(name: str) -> str:
    """Scale on which a hyperparameter is usually varied.

    Returns
    -------
    str
        ``"log10"`` for learning rates, offsets, `init_scale`, `weight_decay` and the limits of
        gradient clipping, whose size is what is not known; else ``"linear"``.
    """
    by_size = name in _LOGARITHMIC or name.startswith("lr_") or "offset" in name
    return "log10" if by_size else "linear"


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of a sweep or of a window.

    Attributes
    ----------
    name : str
        The hyperparameter.
    low, high : float
        End points as values of the hyperparameter, finite, `low` < `high`; whole numbers for those
        in `WHOLE`.
    n : int, optional
        Number of points, at least 2; None leaves it to the sweep's resolution. Points of an axis of
        whole numbers are rounded and must differ.
    scale : {"linear", "log10"}, optional
        None takes the hyperparameter's own (`natural_scale`).

    Raises
    ------
    ValueError
        If the range is empty, not finite, or not positive on a log scale, if `n` < 2, or if an axis
        of whole numbers has other end points or more points than there are whole numbers.

    Examples
    --------
    >>> Axis("lr", 0.01, 1.0, 3).points()
    array([0.01, 0.1 , 1.  ])
    >>> Axis("seed", 0, 9, 4).points()
    array([0., 3., 6., 9.])
    """

    name: str
    low: float
    high: float
    n: int | None = None
    scale: str | None = None

    def __post_init__(self) -> None:
        """Normalise the scale and refuse what cannot be an axis."""
        if self.scale is None:
            object.__setattr__(self, "scale", natural_scale(self.name))
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        where = f"axis {self.name}={self.low:g}:{self.high:g}"
        if self.scale not in SCALES:
            raise ValueError(f"{where} has scale {self.scale!r}; choose linear or log10")
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError(f"{where} has an end point that is not finite; give two finite values")
        if not self.low < self.high:
            raise ValueError(f"{where} is empty; its first value must be below its second")
        if self.scale == "log10" and self.low <= 0:
            raise ValueError(
                f"{where} starts at or below zero on a logarithmic scale; "
                "give positive values or add ':linear'"
            )
        if self.n is not None and self.n < 2:
            raise ValueError(f"{where} has n={self.n} points; give at least 2")
        if self.is_whole:
            if not (self.low.is_integer() and self.high.is_integer()):
                raise ValueError(f"{where} counts in whole numbers; give whole end points")
            if self.low < WHOLE[self.name]:
                raise ValueError(f"{where} starts too low; give at least {WHOLE[self.name]}")
            if self.n is not None:
                self.points()

    @property
    def is_whole(self) -> bool:
        """Whether the points are whole numbers."""
        return self.name in WHOLE

    @classmethod
    def parse(cls, text: str) -> Axis:
        """Read the command line's form ``name=low:high[:n][:log10|:linear]``.

        Raises
        ------
        ValueError
            If the text is not of that form; the message shows it.

        Examples
        --------
        >>> Axis.parse("lr_in=1e-3:1e6")
        Axis(name='lr_in', low=0.001, high=1000000.0, n=None, scale='log10')
        """
        name, _, rest = text.partition("=")
        parts = rest.split(":")
        scale = parts.pop() if parts[-1] in SCALES else None
        try:
            low, high, *count = parts
            n = int(*count) if count else None
            if not name.strip():
                raise ValueError
            bounds = float(low), float(high)
        except (ValueError, TypeError):
            raise ValueError(
                f"axis {text!r} is not understood; write NAME=LOW:HIGH[:N][:log10|:linear], "
                "for example lr=1e-3:10"
            ) from None
        return cls(name.strip(), *bounds, n, scale)

    def points(self, n: int | None = None) -> np.ndarray:
        """Return the points of the axis.

        Parameters
        ----------
        n : int, optional
            Number of points; the axis's own when absent.

        Returns
        -------
        (n,) float64 array
            Increasing; the first is `low` and the last `high`.

        Raises
        ------
        ValueError
            If neither the axis nor the call says how many, if `n` < 2, or if two points of an axis
            of whole numbers would be the same.
        """
        count = self.n if n is None else n
        if count is None or count < 2:
            raise ValueError(f"axis {self.name} has n={count} points; give at least 2")
        points = np.linspace(self.low, self.high, count)
        if self.scale == "log10":
            with _on_the_cpu():
                # jax's own grid, not a formula of ours: it is the published one to the last bit,
                # and one unit in the last place is enough to flip a run on the border.
                ends = math.log10(self.low), math.log10(self.high)
                points = np.array(jnp.logspace(*ends, count, dtype=jnp.float64))
        points[0], points[-1] = self.low, self.high
        if self.is_whole:
            points = np.rint(points)
            if not np.all(np.diff(points) > 0):
                raise ValueError(
                    f"axis {self.name}={self.low:.0f}:{self.high:.0f} with n={count} would repeat "
                    f"whole numbers; give at most n={self.default_n(count)}"
                )
        return points

    def default_n(self, resolution: int) -> int:
        """Return how many points the axis should have where `resolution` are wanted.

        Parameters
        ----------
        resolution : int
            At least 2.

        Returns
        -------
        int
            `resolution`, or as many whole numbers as there are; on a logarithmic axis as many as
            keep a distance of 1 at its low end.
        """
        if not self.is_whole:
            return resolution
        distances = self.high - self.low
        if self.scale == "log10":
            distances = math.log(self.high / self.low) / math.log1p(1 / self.low)
        # Rounding must not lose the distance that there is if the ends are neighbours.
        return min(resolution, math.floor(distances + 1e-9) + 1)

    def values(self, fractions: np.ndarray) -> np.ndarray:
        """Map positions in [0, 1] along the axis to values of the hyperparameter.

        Parameters
        ----------
        fractions : float array
            0 is `low`, 1 is `high`; uniform in log10 on a logarithmic axis. Values are not rounded
            on an axis of whole numbers: they are places between its points.
        """
        f = np.asarray(fractions, float)
        if self.scale == "linear":
            return self.low * (1 - f) + self.high * f
        values = 10.0 ** (math.log10(self.low) * (1 - f) + math.log10(self.high) * f)
        # The powers round, and an end that is also the end of what is allowed must not be passed.
        return np.where(f == 0, self.low, np.where(f == 1, self.high, values))

    def position(self, value: float) -> float:
        """Return where a value lies along the axis, the inverse of `values`.

        Parameters
        ----------
        value : float

        Returns
        -------
        float
            0 at `low`, 1 at `high`, beyond them outside; not-a-number where a logarithmic axis has
            no place.

        Examples
        --------
        >>> Axis("lr", 0.01, 1.0).position(0.1)
        0.5
        """
        if self.scale == "linear":
            return (value - self.low) / (self.high - self.low)
        if value <= 0:
            return math.nan
        low, high = math.log10(self.low), math.log10(self.high)
        return (math.log10(value) - low) / (high - low)

    def resolved_in(self, kind: np.dtype) -> bool:
        """Tell whether all neighbouring points are about as far apart in a type as they should be.

        Parameters
        ----------
        kind : dtype
            Of the hyperparameters of a run.

        Examples
        --------
        >>> axis = Axis("lr", 1.0, 1.0 + 1e-6, 65)
        >>> axis.resolved_in(np.dtype("float64")), axis.resolved_in(np.dtype("float32"))
        (True, False)
        """
        points = self.points().astype(kind).astype(float)
        steps = np.diff(points)
        if self.scale == "log10":
            steps /= points[:-1]
        return bool(np.all(np.abs(steps - steps.mean()) < _UNEVEN * steps.mean()))


@contextlib.contextmanager
def _on_the_cpu() -> Iterator[None]:
    """Compute in float64 on the CPU: an accelerator's powers of ten have other last digits."""
    with precision(), jax.default_device(jax.devices("cpu")[0]):
        yield


def check_axes(axes: Sequence[Axis], names: Sequence[str]) -> None:
    """Refuse axes that repeat a hyperparameter or name one that is not among `names`.

    Raises
    ------
    ValueError
        With the hyperparameter and, for an unknown one, the nearest known.
    """
    for i, axis in enumerate(axes):
        if axis.name not in names:
            raise unknown_name("hyperparameter", axis.name, names)
        if axis.name in [other.name for other in axes[:i]]:
            raise ValueError(
                f"{axis.name!r} is on two axes; each axis needs its own hyperparameter"
            )
