"""Edges: points on a boundary by bisection, and orbits that stay on it.

In the space of hyperparameters bisection finds boundary points to as many digits as numbers have
(`boundary_point`). In the space of states one can go further and follow the boundary in time
(`track_edge`): two states on either side of it, closer than can be told, are stepped until they are
apart, brought together again by bisection, and so on. They shadow an orbit on the boundary, which
ends up on the edge state: the saddle, or chaotic saddle, whose stable set the boundary is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from dynfrac.analysis.estimates import Curve, Estimate, interval_95
from dynfrac.boundaries.bisections import bisect_segments
from dynfrac.boundaries.oracles import Oracle
from dynfrac.orbits.criteria import AbstractRule
from dynfrac.orbits.evaluator import Evaluator
from dynfrac.orbits.phase import phase_space
from dynfrac.systems.abstract import AbstractMap, Hparams, resolve_hparams
from dynfrac.systems.numerics import cast_floats, choose_dtype, hparam_dtype, precision

METHOD = "edge tracking"
FINEST = 2.0**-52
"""Width of a segment of the unit cube whose middle is one of its ends."""
REACHES = (0.5, 2.0, 8.0)
"""How far a lost edge is looked for along the line through two states, in units of their gap."""
N_PLACES = 17
MIN_CYCLES = 4
"""Bisections without which the exponent has no error."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Crossings:
    """Segments that were narrowed down to the boundary.

    Attributes
    ----------
    inside, outside : (N, d) float arrays
        Ends with the first label and with another, in the unit cube; not-a-number for segments
        whose ends had the same label.
    n_labels : int
    flags : tuple of str
    """

    inside: np.ndarray
    outside: np.ndarray
    n_labels: int
    flags: tuple[str, ...] = ()

    @property
    def points(self) -> np.ndarray:
        """(N, d) array: the middles."""
        return (self.inside + self.outside) / 2


def boundary_point(
    oracle: Oracle, inside: ArrayLike, outside: ArrayLike, *, width: float | None = None
) -> Crossings:
    """Bisect segments until nothing is left of them but a point of the boundary.

    Parameters
    ----------
    oracle : Oracle
    inside, outside : (d,) or (N, d) float arrays
        Ends of one or more segments, in the unit cube. All are bisected together.
    width : float, optional
        Distance of the ends to reach; `oracle.finest` when absent. 0 goes on to the last bit.

    Returns
    -------
    Crossings
        Of the precision that the budget pays for: two labels for each segment, and one for each
        halving of it.

    Raises
    ------
    ValueError
        If `width` is negative, the ends do not fit the window, or the budget does not pay for the
        labels of the ends.
    """
    first, second = np.atleast_2d(np.array(inside, float)), np.atleast_2d(np.array(outside, float))
    if first.shape != second.shape or first.shape[1] != oracle.n_axes:
        raise ValueError(
            f"ends of shapes {first.shape} and {second.shape} are no segments of a window of "
            f"{oracle.n_axes} axes; pass two arrays (N, {oracle.n_axes})"
        )
    for name, end in (("inside", first), ("outside", second)):
        if not np.all((end >= 0) & (end <= 1)):
            raise ValueError(f"{name} is not in the unit cube; pass positions from 0 to 1")
    width = oracle.finest if width is None else width
    if not width >= 0:
        raise ValueError(f"width={width} is no distance; pass 0 or more")
    if oracle.left < 2 * len(first):
        raise ValueError(
            f"{oracle.left} labels are left of the budget for {2 * len(first)} ends; raise it"
        )
    used = oracle.used
    labels = oracle(np.concatenate([first, second])).reshape(2, -1)
    meets = labels[0] != labels[1]
    flags = []
    if not meets.all():
        flags.append(
            f"{(~meets).sum()} of {len(meets)} segments have the same label at both ends: they "
            "give no point"
        )
    length = float(np.linalg.norm(second - first, axis=1)[meets].max(initial=0.0))
    wanted = math.ceil(math.log2(max(length / max(width, FINEST), 1.0)))
    halvings = min(wanted, oracle.left // max(int(meets.sum()), 1))
    if halvings < wanted:
        flags.append(
            f"the budget ended after {halvings} of {wanted} halvings: the points are known to "
            f"{length / 2**halvings:.2g} of the window"
        )
    ends = np.full((2, *first.shape), math.nan)
    if meets.any():
        ends[:, meets] = bisect_segments(
            oracle, first[meets], second[meets], labels[0, meets], halvings=halvings
        )
    return Crossings(ends[0], ends[1], oracle.used - used, tuple(flags))


@final
@dataclasses.dataclass(frozen=True, eq=False)
class EdgeOrbit:
    """An orbit along the boundary between two outcomes, in the space of states.

    Attributes
    ----------
    states : (n + 1, P) float array
        Middles of the two states that enclose the edge, as coordinates of the phase space, one
        for each step.
    gaps : (n + 1,) float array
        Distance of the two states, which bounds the error of each middle along the segment between
        them.
    exponent : Estimate
        Rate at which the two states separate, in nats per step: the largest exponent of the edge,
        which for an edge with one unstable direction is the one across the boundary. `curve` is
        the rate of each cycle against its number. Not-a-number with fewer than four cycles.
    n_labels : int
        Outcomes that were asked for.
    n_cycles : int
        Times that the states were brought together.
    flags : tuple of str
        If the edge was lost, after how many steps and why.
    """

    states: np.ndarray
    gaps: np.ndarray
    exponent: Estimate
    n_labels: int
    n_cycles: int
    flags: tuple[str, ...] = ()


def track_edge(
    map_: AbstractMap,
    inside: Any,
    outside: Any,
    hparams: Mapping[str, float] | None = None,
    *,
    n_steps: int,
    horizon: int,
    rule: str | AbstractRule | None = None,
    closest: float = 1e-10,
    farthest: float = 1e-6,
    budget: int = 100_000,
    dtype: str | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> EdgeOrbit:
    """Follow the boundary between two outcomes in the space of states.

    Parameters
    ----------
    map_ : AbstractMap
    inside, outside : pytrees of arrays
        Two states with different outcomes, such as `map_.init` returns.
    hparams : mapping of str to float, optional
    n_steps : int
        Steps to follow the edge for.
    horizon : int
        Steps after which the outcome of a state is judged, more than it takes to leave the edge
        from a distance of `closest`: ln(1 / closest) over the exponent of the edge.
    rule : str or AbstractRule, optional
        As in `dynfrac.evaluate`. A rule that looks at last values, such as ``threshold:0.1``, or at
        escape, such as ``bounded:100``, judges a state; one that compares with the first loss
        judges a way.
    closest, farthest : float
        Distances in the space of states: bisection ends at the first, stepping at the second.
    budget : int
        Most outcomes to ask for. A cycle takes log2(farthest / closest) + 3 of them.
    dtype : str, optional
        As in `dynfrac.evaluate`.
    on_progress : callable, optional
        Called with the number of steps followed so far.

    Returns
    -------
    EdgeOrbit
        Shorter than `n_steps`, with a flag, if the edge was lost.

    Raises
    ------
    ValueError
        If a number is out of its range or the states are not those of the map.

    Notes
    -----
    The first bisection finds one crossing of the segment between the two states, where there may be
    many. With more than one unstable direction along the edge the two states drift apart along it
    as well, and their segment may be crossed elsewhere than they came from: the orbit is on the
    boundary all the same, but is no orbit of the map at the scale of `farthest`.

    References
    ----------
    P. M. Battelino, C. Grebogi, E. Ott, J. A. Yorke, E. D. Yorke, Physica D 32, 296 (1988).
    J. D. Skufca, J. A. Yorke, B. Eckhardt, Phys. Rev. Lett. 96, 174101 (2006).
    """
    _check_numbers(n_steps, horizon, closest, farthest, budget)
    with precision():
        tracker = _Tracker(map_, hparams, inside, horizon, rule, dtype, budget)
        pair = tracker.cast(inside), tracker.cast(outside)
        return _follow(tracker, pair, n_steps, closest, farthest, on_progress)


def _check_numbers(
    n_steps: int, horizon: int, closest: float, farthest: float, budget: int
) -> None:
    for name, value in (("n_steps", n_steps), ("horizon", horizon), ("budget", budget)):
        if isinstance(value, bool) or value != int(value) or value < 1:
            raise ValueError(f"{name}={value} is no count; pass a whole number of at least 1")
    if not 0 < closest < farthest < math.inf:
        raise ValueError(
            f"closest={closest:g} and farthest={farthest:g} leave nothing to separate by; pass "
            "0 < closest < farthest"
        )


@final
class _Between(AbstractMap):
    """A map that starts on the line through two states, at the place `between`, 0 or 1 for each."""

    map_: AbstractMap
    inside: Any
    outside: Any
    start: Any

    def __getattr__(self, name: str) -> Any:
        """Return an optional attribute of the inner map, if it has it."""
        if name.startswith("__") or name in ("map_", "inside", "outside", "start"):
            raise AttributeError(name)
        return getattr(self.map_, name)

    @property
    def defaults(self) -> dict[str, float]:
        """Those of the inner map, and the place."""
        return {**self.map_.defaults, "between": 0.0}

    def init(self, hparams: Hparams) -> Any:
        """Return the state at the place."""
        return _mix(self.inside, self.outside, hparams["between"])

    def step(self, state: Any, hparams: Hparams, t: Any) -> Any:
        """Take a step of the inner map, at its own time."""
        own = {name: hparams[name] for name in self.map_.defaults}
        return self.map_.step(state, own, self.start + t)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return what the inner map observes."""
        return self.map_.observe(state, {name: hparams[name] for name in self.map_.defaults})


def _mix(inside: Any, outside: Any, place: Any) -> Any:
    """Return the state at a place between two; what is no number of the phase space is inside's."""

    def mix(a: Any, b: Any) -> Any:
        inexact = jnp.issubdtype(jnp.result_type(a), jnp.inexact)
        return ((1 - place) * a + place * b).astype(a.dtype) if inexact else a

    return jax.tree.map(mix, inside, outside)


_Judge = Callable[[np.ndarray], np.ndarray]


@final
class _Tracker:
    """Labels, steps and distances of states of one map; counts the labels."""

    def __init__(
        self,
        map_: AbstractMap,
        hparams: Mapping[str, float] | None,
        state: Any,
        horizon: int,
        rule: str | AbstractRule | None,
        dtype: str | None,
        budget: int,
    ) -> None:
        real = choose_dtype(map_, dtype)
        self.map_ = cast_floats(map_, real)
        self.real = real
        self.given = {k: float(v) for k, v in resolve_hparams(map_, hparams).items()}
        self.hparams = {k: jnp.asarray(v, hparam_dtype(real)) for k, v in self.given.items()}
        self.horizon = horizon
        self.rule = rule
        self.left = budget
        self.expected = jax.eval_shape(self.map_.init, self.hparams)
        self.space = phase_space(self.map_, self.cast(state))

    def cast(self, state: Any) -> Any:
        """Return a state in the precision of the run."""
        shapes = jax.tree.map(jnp.shape, state), jax.tree.map(jnp.shape, self.expected)
        if shapes[0] != shapes[1]:
            raise ValueError("inside or outside is no state of the map; pass what its init returns")
        return jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), state, self.expected)

    def vector(self, state: Any) -> np.ndarray:
        """Return the coordinates of a state."""
        return np.asarray(self.space.split(state)[0], float)

    def judge(self, pair: tuple[Any, Any], time: int) -> _Judge:
        """Return the function that labels places between two states, counted."""
        between = _Between(self.map_, *pair, jnp.asarray(time))
        # Places are asked for one by one; in more lanes, all but one would repeat it.
        evaluator = Evaluator(
            between, n_steps=self.horizon, rule=self.rule, dtype=str(self.real), lanes=1
        )

        def labels(places: np.ndarray) -> np.ndarray:
            self.left -= len(places)
            return evaluator({**self.given, "between": places}).labels

        return labels

    def enclose(
        self, pair: tuple[Any, Any], judge: _Judge
    ) -> tuple[tuple[float, float], bool, bool] | None:
        """Return two places with different outcomes, that of the first, and if they are new.

        Rounding can take a state across an edge that is nearer than it can tell. If both have the
        same outcome, others on the line through them are tried, nearest first.
        """
        labels = judge(np.array([0.0, 1.0]))
        if labels[0] != labels[1]:
            return (0.0, 1.0), bool(labels[0]), False
        for reach in REACHES:
            places = np.linspace(0.5 - reach, 0.5 + reach, N_PLACES)
            if self.left < N_PLACES:
                return None
            labels = judge(places)
            changes = np.flatnonzero(labels[1:] != labels[:-1])
            if len(changes):
                first = changes[np.argmin(abs(changes - N_PLACES / 2))]
                return (float(places[first]), float(places[first + 1])), bool(labels[first]), True
        return None

    def bisect(
        self,
        pair: tuple[Any, Any],
        places: tuple[float, float],
        label: bool,
        gap: float,
        judge: _Judge,
    ) -> tuple[Any, Any]:
        """Return two states at most `gap` apart, the first of which has the label."""
        length = float(np.linalg.norm(self.vector(pair[0]) - self.vector(pair[1])))
        low, high = places
        for _ in range(math.ceil(math.log2(max(length * (high - low) / gap, 1.0)))):
            middle = (low + high) / 2
            if self.left < 1 or middle in (low, high):
                break
            same = judge(np.array([middle]))[0] == label
            low, high = (middle, high) if same else (low, middle)
        return _mix(*pair, low), _mix(*pair, high)

    def step(self, pair: tuple[Any, Any], time: int) -> tuple[Any, Any]:
        """Return both states one step on."""
        return _step_both(self.map_, pair, self.hparams, jnp.asarray(time))


@jax.jit
def _step_both(map_: AbstractMap, pair: tuple[Any, Any], hparams: Any, time: Any) -> Any:
    return tuple(map_.step(state, hparams, time) for state in pair)


def _follow(
    tracker: _Tracker,
    pair: tuple[Any, Any],
    n_steps: int,
    closest: float,
    farthest: float,
    on_progress: Callable[[int], None] | None,
) -> EdgeOrbit:
    """Bisect, step, and bisect again."""
    budget = tracker.left
    states, gaps, rates, flags = [], [], [], []
    time, n_cycles, n_found = 0, 0, 0
    while time < n_steps:
        if tracker.left < 2:
            flags.append(f"the budget of {budget} outcomes ended after {time} steps")
            break
        judge = tracker.judge(pair, time)
        # Where it begins the edge must be between the two states; later it may be next to them.
        found = tracker.enclose(pair, judge)
        if found is None or (found[-1] and not n_cycles):
            flags.append(
                f"the edge was lost after {time} steps: both states have the same outcome"
                if n_cycles
                else "both states have the same outcome: there is no edge between them"
            )
            break
        places, label, new = found
        n_found += new
        pair = tracker.bisect(pair, places, label, closest, judge)
        n_cycles += 1
        pair, way = _separate(tracker, pair, time, n_steps, farthest)
        # The state that ends this cycle begins the next, where it is bisected first.
        states += [middle for middle, _ in way[:-1]]
        gaps += [gap for _, gap in way[:-1]]
        time += len(way) - 1
        rates += _rate([gap for _, gap in way], farthest)
        if on_progress is not None:
            on_progress(time)
        if not math.isfinite(way[-1][1]):
            flags.append(f"the edge was lost after {time} steps: a state is not finite")
            break
        if time >= n_steps:
            states.append(way[-1][0])
            gaps.append(way[-1][1])
    if n_found:
        flags.append(
            f"{n_found} of {n_cycles} times both states had come to the same side, and the edge "
            "was taken up next to them: the orbit has jumps of the size of a gap there"
        )
    used = budget - tracker.left
    return EdgeOrbit(
        np.array(states).reshape(len(states), tracker.space.dimension),
        np.array(gaps),
        _exponent(rates, used),
        used,
        n_cycles,
        tuple(flags),
    )


def _separate(
    tracker: _Tracker, pair: tuple[Any, Any], time: int, n_steps: int, farthest: float
) -> tuple[tuple[Any, Any], list[tuple[np.ndarray, float]]]:
    """Step two states until they are apart; return them, and all middles with their gaps."""
    way = []
    while True:
        first, second = map(tracker.vector, pair)
        way.append(((first + second) / 2, float(np.linalg.norm(first - second))))
        gap = way[-1][1]
        if not gap <= farthest and len(way) > 1 or time >= n_steps:
            return pair, way
        pair = tracker.step(pair, time)
        time += 1


def _rate(gaps: list[float], farthest: float) -> list[tuple[float, int]]:
    """Return the growth of the gap and the steps it took, once its direction has settled."""
    # The first steps turn the segment into the direction that grows fastest.
    settled = math.sqrt(max(gaps[0], np.finfo(float).tiny) * farthest)
    first = next((i for i, gap in enumerate(gaps) if gap >= settled), len(gaps))
    if first >= len(gaps) - 1 or not gaps[-1] > farthest or not math.isfinite(gaps[-1]):
        return []
    return [(math.log(gaps[-1] / gaps[first]), len(gaps) - 1 - first)]


def _exponent(rates: list[tuple[float, int]], n_labels: int) -> Estimate:
    """Return the mean rate over cycles, weighted by their steps."""
    growth, steps = np.array(rates, float).reshape(-1, 2).T
    with np.errstate(invalid="ignore"):
        each = growth / steps
    curve = Curve(np.arange(len(each)) + 1.0, each, np.full(len(each), math.nan))
    if len(each) < MIN_CYCLES:
        reason = f"only {len(each)} cycles separated; at least {MIN_CYCLES} are needed"
        return Estimate.missing(METHOD, n_labels, (reason,), curve)
    value = float(growth.sum() / steps.sum())
    residuals = growth - value * steps
    stderr = float(np.sqrt((residuals**2).sum() * len(each) / (len(each) - 1)) / steps.sum())
    low, high = interval_95(value, stderr)
    return Estimate(value, stderr, low, high, METHOD, n_labels, (1.0, float(len(each))), curve)
