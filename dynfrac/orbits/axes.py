"""`Axis`: a named hyperparameter, the range it runs over, and the points on it.

Low, high and the points are values, never exponents. End points are included.
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


def natural_scale(name: str) -> str:
    """Scale on which a hyperparameter is usually varied.

    Returns
    -------
    str
        ``"log10"`` for learning rates, offsets and `init_scale`, else ``"linear"``.
    """
    is_rate = name == "lr" or name.startswith("lr_")
    return "log10" if is_rate or "offset" in name or name == "init_scale" else "linear"


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of a sweep or of a window.

    Attributes
    ----------
    name : str
        The hyperparameter.
    low, high : float
        End points as values of the hyperparameter, finite, `low` < `high`.
    n : int, optional
        Number of points, at least 2; None leaves it to the sweep's resolution.
    scale : {"linear", "log10"}, optional
        None takes the hyperparameter's own (`natural_scale`).

    Raises
    ------
    ValueError
        If the range is empty, not finite, or not positive on a log scale, or `n` < 2.

    Examples
    --------
    >>> Axis("lr", 0.01, 1.0, 3).points()
    array([0.01, 0.1 , 1.  ])
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
            If neither the axis nor the call says how many, or `n` < 2.
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
        return points

    def values(self, fractions: np.ndarray) -> np.ndarray:
        """Map positions in [0, 1] along the axis to values of the hyperparameter.

        Parameters
        ----------
        fractions : float array
            0 is `low`, 1 is `high`; uniform in log10 on a logarithmic axis.
        """
        f = np.asarray(fractions, float)
        if self.scale == "linear":
            return self.low * (1 - f) + self.high * f
        return 10.0 ** (math.log10(self.low) * (1 - f) + math.log10(self.high) * f)


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
