"""Window rules: where to look at a boundary, decided by a rule and not by an eye.

The dimension of a trainability boundary depends on the window, within one network by as much as
0.5. Two networks can be compared only in windows that were chosen in the same way, before anything
was seen. A window rule is an object with a name that takes a target and the box in which to search
to a window. The name travels with every result.

The one rule so far is `RayWindow`. From a reference point that converges, by default the low corner
of the search box, a fixed fan of rays goes out through the box. Along each ray the first change of
the label is found by steps and then by bisection. The window is centred on the boundary point of
the ray that is nearest to the diagonal of the box among those that met one, and its width is fixed:
so many decades on logarithmic axes, that fraction of the search range on linear ones.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import final

import numpy as np

from dynfrac.boundaries.bisections import bisect_segments
from dynfrac.boundaries.oracles import Labels, Oracle
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.criteria import AbstractRule
from dynfrac.systems.abstract import AbstractMap

FORM = "rays:WIDTH[:RAYS][@REFERENCE]"
_ROUNDING = 1e-9


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """A window that a rule found, or the reason why it found none.

    Attributes
    ----------
    axes : tuple of Axis
        The search axes with the ranges of the window; empty if there is none.
    n_runs : int
        Runs or labels used.
    points : (P, d) float array
        Boundary points in values of the axes, one for each ray that met one; the rays nearest to
        the diagonal come first, and the window belongs to the first of them.
    rule : str
        Name of the rule.
    flags : tuple of str
        Why there is no window, or what is unusual about it.
    """

    axes: tuple[Axis, ...]
    n_runs: int
    points: np.ndarray
    rule: str
    flags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is a window."""
        return bool(self.axes)


@final
@dataclasses.dataclass(frozen=True)
class RayWindow:
    """A window of fixed width on the first boundary point that a fan of rays meets.

    Attributes
    ----------
    width : float
        Width of the window in decades on logarithmic axes; as a fraction of the search range, at
        most 1, on linear ones.
    n_rays : int
        Rays in a plane, an odd number: the diagonal, and as many on either side of it at equal
        angles. On one axis there is one ray; in three dimensions the rays tilt from the diagonal
        towards each of the three axes, 1 + 3 (n_rays - 1) / 2 of them.
    reference : tuple of float, optional
        Where the rays start, in values of the axes; the low end of every axis when absent. Along an
        axis on which it is above the middle of the range the rays go down, else up.
    n_march : int
        Equal steps from the reference to the border of the search box.
    halvings : int
        Of the step in which the label changed.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Notes
    -----
    Everything is measured in the unit cube of the search box, so that the search box is part of the
    rule: the same one must be given for everything that is to be compared.

    Where a ray crosses the boundary several times, the crossing nearest to the reference is meant.
    An island of the other outcome that is narrower than a step of the march can be stepped over.

    A window that would stick out of the search box is shifted back into it, and flagged.

    Examples
    --------
    >>> def converges(points):
    ...     return points.prod(axis=1) < 1.0
    >>> search = [Axis("lr_in", 1e-3, 1e3), Axis("lr_out", 1e-3, 1e3)]
    >>> window = RayWindow(width=1)(converges, search)
    >>> [f"{axis.low:.2f} to {axis.high:.2f}" for axis in window.axes]
    ['0.32 to 3.16', '0.32 to 3.16']
    """

    width: float = 1.0
    n_rays: int = 5
    reference: tuple[float, ...] | None = None
    n_march: int = 24
    halvings: int = 20

    def __post_init__(self) -> None:
        """Refuse what cannot be a rule."""
        object.__setattr__(self, "width", float(self.width))
        if not (math.isfinite(self.width) and self.width > 0):
            raise ValueError(f"width={self.width:g} is no width; pass a positive number")
        if self.n_rays < 1 or self.n_rays % 2 == 0:
            raise ValueError(f"n_rays={self.n_rays} has no middle; pass an odd number")
        if self.n_march < 1:
            raise ValueError(f"n_march={self.n_march} goes nowhere; pass at least 1")
        if self.halvings < 0:
            raise ValueError(f"halvings={self.halvings} is negative; pass at least 0")
        if self.reference is not None:
            object.__setattr__(self, "reference", tuple(map(float, self.reference)))

    @property
    def name(self) -> str:
        """How the rule is written, ``rays:WIDTH[:RAYS][@REFERENCE]``; what is default is left out.

        `n_march` and `halvings` appear, as ``/24/20``, only if they are not the usual ones.
        """
        usual = RayWindow()
        text = f"rays:{self.width!r}".removesuffix(".0")
        if self.n_rays != usual.n_rays:
            text += f":{self.n_rays}"
        if self.reference is not None:
            text += "@" + ",".join(f"{value!r}" for value in self.reference)
        if (self.n_march, self.halvings) != (usual.n_march, usual.halvings):
            text += f"/{self.n_march}/{self.halvings}"
        return text

    @property
    def description(self) -> str:
        """What the rule does, in a sentence."""
        start = "the low corner of the search box"
        if self.reference is not None:
            start = "the point (" + ", ".join(f"{value:g}" for value in self.reference) + ")"
        return (
            f"{self.width:g} decades on logarithmic axes and {self.width:.4g} of the search range "
            f"on linear ones, centred on the first boundary point along the ray nearest to the "
            f"diagonal, of {self.n_rays} rays from {start}"
        )

    def most_runs(self, n_axes: int) -> int:
        """Return how many runs the rule can need at most."""
        n_rays = len(_fan(n_axes, self.n_rays))
        return 1 + n_rays * (self.n_march + self.halvings)

    def __call__(
        self,
        target: AbstractMap | Labels,
        search: Sequence[Axis],
        *,
        n_steps: int | None = None,
        hparams: Mapping[str, float] | None = None,
        rule: str | AbstractRule | None = None,
        dtype: str | None = None,
        lanes: int | None = None,
        seed: int = 0,
        budget: int | None = None,
    ) -> Window:
        """Find the window of a target.

        Parameters
        ----------
        target : AbstractMap or callable
            As in `dynfrac.boundary_dimension`.
        search : sequence of Axis
            One to three, with the ranges in which to look.
        n_steps, hparams, rule, dtype, lanes
            Of a map, as in `dynfrac.evaluate`; a callable takes none of them.
        seed : int
            Not used: this rule draws nothing. Window rules are called alike.
        budget : int, optional
            Most runs; what the rule can need at most (`most_runs`) when absent.

        Returns
        -------
        Window
            Empty, with the reason in `flags`, if the reference point does not converge, if no ray
            met a boundary, or if the budget ended first. A callable's reference point may have any
            label: the boundary is where the label is another one.

        Raises
        ------
        ValueError
            If the axes do not fit the target, the reference is not in the search box, or the search
            box is too small for the window.
        """
        search = tuple(search)
        origin = self._origin(search)
        most = self.most_runs(len(search))
        oracle = Oracle(
            target,
            search,
            budget=most if budget is None else min(int(budget), most),
            n_steps=n_steps,
            hparams=hparams,
            rule=rule,
            dtype=dtype,
            lanes=lanes,
        )
        self._check_widths(search)
        must_converge = isinstance(target, AbstractMap)
        reason, met, points = self._search(oracle, origin, must_converge)
        values = _values(search, points)
        if reason:
            return Window((), oracle.used, values, self.name, (reason,))
        axes, shifted = self._frame(search, points[0])
        flags = []
        if met[0] > 0:
            flags.append(
                "the diagonal of the search box met no boundary: the window is on another ray"
            )
        if shifted:
            flags.append(
                "the boundary point is so near to the border of the search box that the window was "
                f"shifted along {', '.join(shifted)}: widen the search box"
            )
        return Window(axes, oracle.used, values, self.name, tuple(flags))

    def _origin(self, search: Sequence[Axis]) -> np.ndarray:
        """Return the reference point in the unit cube of the search box."""
        if self.reference is None:
            return np.zeros(len(search))
        if len(self.reference) != len(search):
            raise ValueError(
                f"reference={self.reference} has {len(self.reference)} values for {len(search)} "
                "axes; give one for each"
            )
        origin = np.array(
            [axis.position(value) for axis, value in zip(search, self.reference, strict=True)]
        )
        if not np.all((origin >= -_ROUNDING) & (origin <= 1 + _ROUNDING)):
            raise ValueError(f"reference={self.reference} is outside the search box; move it in")
        return np.clip(origin, 0.0, 1.0)

    def _check_widths(self, search: Sequence[Axis]) -> None:
        for axis in search:
            if self._share(axis) > 1 + _ROUNDING:
                unit = "decades" if axis.scale == "log10" else "of the search range"
                raise ValueError(
                    f"width={self.width:g} {unit} is more than the search range of axis "
                    f"{axis.name}={axis.low:g}:{axis.high:g}; widen the range or pass a smaller "
                    "width"
                )

    def _share(self, axis: Axis) -> float:
        """Return the width of the window as a fraction of the search range."""
        if axis.scale == "log10":
            return self.width / (math.log10(axis.high) - math.log10(axis.low))
        return self.width

    def _search(
        self, oracle: Oracle, origin: np.ndarray, must_converge: bool
    ) -> tuple[str, np.ndarray, np.ndarray]:
        """Return why there is no boundary, the rays that met it, and where, in the unit cube."""
        ended = (
            f"the budget of {oracle.budget} runs ended before a boundary was found; the rule can "
            f"need {self.most_runs(oracle.n_axes)}"
        )
        nothing = np.empty(0, int), np.empty((0, oracle.n_axes))
        if oracle.left < 1:
            return ended, *nothing
        label = oracle(origin[None])[0]
        if must_converge and label != 1:
            return "the reference point does not converge: give another one", *nothing
        steps = _steps(origin, _fan(oracle.n_axes, self.n_rays)) / self.n_march
        marching, reached = np.arange(len(steps)), np.zeros(len(steps), int)
        for i in range(1, self.n_march + 1):
            if oracle.left < len(marching):
                return ended, *nothing
            ahead = np.clip(origin + i * steps[marching], 0.0, 1.0)
            changed = oracle(ahead) != label
            reached[marching[changed]] = i
            marching = marching[~changed]
            if not len(marching):
                break
        met = np.flatnonzero(reached)
        if not len(met):
            return "no ray met a boundary: all labels along them are the same", *nothing
        if oracle.left < len(met) * self.halvings:
            return ended, *nothing
        inside, outside = (
            np.clip(origin + (reached[met] - back)[:, None] * steps[met], 0.0, 1.0)
            for back in (1, 0)
        )
        labels = np.full(len(met), label)
        inside, outside = bisect_segments(oracle, inside, outside, labels, halvings=self.halvings)
        return "", met, (inside + outside) / 2

    def _frame(
        self, search: Sequence[Axis], centre: np.ndarray
    ) -> tuple[tuple[Axis, ...], list[str]]:
        """Return the axes of the window around a point, and the names of those shifted."""
        axes, shifted = [], []
        for axis, middle in zip(search, centre, strict=True):
            share = min(self._share(axis), 1.0)
            low = min(max(middle - share / 2, 0.0), 1.0 - share)
            # A box that is one window wide holds that axis fixed, which is nothing to warn of.
            if share < 1 - _ROUNDING and abs(low - (middle - share / 2)) > _ROUNDING:
                shifted.append(axis.name)
            start, end = axis.values(np.array([low, low + share]))
            axes.append(Axis(axis.name, start, end, axis.n, axis.scale))
        return tuple(axes), shifted


def make_window_rule(text: str | RayWindow) -> RayWindow:
    """Return a window rule from its name.

    Parameters
    ----------
    text : str or RayWindow
        ``rays:WIDTH[:RAYS][@REFERENCE]``, REFERENCE being a value for each axis with commas
        between them. A rule is returned as it is.

    Raises
    ------
    ValueError
        If the text is not of that form, or a number out of its range.

    Examples
    --------
    >>> make_window_rule("rays:0.5@0.001,0.001").reference
    (0.001, 0.001)
    """
    if isinstance(text, RayWindow):
        return text
    body, *extra = text.split("/")
    head, at, reference = body.partition("@")
    kind, _, numbers = head.partition(":")
    width, *rays = numbers.split(":")
    try:
        if kind != "rays" or len(rays) > 1 or len(extra) not in (0, 2):
            raise ValueError
        fields = {"n_rays": rays[:1], "n_march": extra[:1], "halvings": extra[1:]}
        given = {name: int(value[0]) for name, value in fields.items() if value}
        point = tuple(map(float, reference.split(","))) if at else None
        size = float(width)
    except ValueError:
        raise ValueError(
            f"window={text!r} is not understood; write {FORM}, for example rays:1"
        ) from None
    return RayWindow(size, reference=point, **given)


def _fan(n_axes: int, n_rays: int) -> np.ndarray:
    """Return unit vectors with positive components, (R, d): the diagonal first, then by angle."""
    diagonal = np.full(n_axes, 1 / math.sqrt(n_axes))
    fan = [diagonal]
    levels = (n_rays - 1) // 2 if n_axes > 1 else 0
    angle = math.acos(diagonal[0])
    for level in range(1, levels + 1):
        share = level / (levels + 1)
        for axis in np.eye(n_axes):
            # On the great circle from the diagonal to the axis, at equal angles.
            fan.append(
                (math.sin((1 - share) * angle) * diagonal + math.sin(share * angle) * axis)
                / math.sin(angle)
            )
    return np.array(fan)


def _steps(origin: np.ndarray, fan: np.ndarray) -> np.ndarray:
    """Return vectors from the origin to where each ray leaves the unit cube."""
    directions = fan * np.where(origin > 0.5, -1.0, 1.0)
    room = np.where(directions > 0, 1 - origin, origin)
    return directions * (room / np.abs(directions)).min(axis=1, keepdims=True)


def _values(axes: Sequence[Axis], positions: np.ndarray) -> np.ndarray:
    columns = [axis.values(column) for axis, column in zip(axes, positions.T, strict=True)]
    return np.stack(columns, axis=1)
