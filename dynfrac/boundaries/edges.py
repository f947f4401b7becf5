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

import numpy as np
from numpy.typing import ArrayLike

from dynfrac.analysis.estimates import Curve, Estimate, interval_95
from dynfrac.boundaries.bisections import bisect_segments
from dynfrac.boundaries.edge_states import PairTracker
from dynfrac.boundaries.oracles import Oracle
from dynfrac.orbits.criteria import AbstractRule
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import precision

METHOD = "edge tracking"
FINEST = 2.0**-52
"""Width of a segment of the unit cube whose middle is one of its ends."""
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
        A map, or a training as a map.
    inside, outside : pytrees of arrays
        Two states with different outcomes, such as `map_.init` returns.
    hparams : mapping of str to float, optional
        Values for some or all of the map's hyperparameters; the rest take their defaults.
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
        tracker = PairTracker(map_, hparams, inside, horizon, rule, dtype, budget)
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


def _follow(
    tracker: PairTracker,
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
    tracker: PairTracker, pair: tuple[Any, Any], time: int, n_steps: int, farthest: float
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
