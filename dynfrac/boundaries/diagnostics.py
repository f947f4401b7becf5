"""What a boundary dimension hangs on besides its pairs: the length of the runs, and rounding.

A boundary is that of labels after T steps. Runs that are not decided by then, labels that change
when T is doubled, and labels that change with the last bit of a hyperparameter each tell how much
of it belongs to the map and how much to the way it was looked at. All three are read off the pairs
that the dimension came from, so that most of the labels they compare are there already.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from dynfrac.analysis.estimates import Z95, Curve, Estimate, interval_95
from dynfrac.analysis.scaling import slope_weights
from dynfrac.boundaries.oracles import RESOLUTION, Asked, Oracle
from dynfrac.boundaries.pairs import Pairs, Round
from dynfrac.boundaries.streams import DOUBLING, make_stream
from dynfrac.orbits.outcomes import Status

ULP_POINTS = 4096
"""Most points whose labels are asked again with the last bit changed."""
NOISY = 0.01
"""Share of changed labels from which on they are doubted."""

_EXPLAINED = 3.0
_MOSTLY = 0.2
_FLAT = 0.05
_RESAMPLES = 400
_FEWEST_CENTRES = 50
_FEWEST_SCALES = 4
_REPEATED = "repeated pairs"


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Doubling:
    """What doubling the number of steps does to labels and dimension.

    Attributes
    ----------
    n_steps : int
        Before; it is twice as many after.
    changed : Estimate
        Share of the window in which labels change.
    change : Estimate
        Dimension after minus dimension before, over the same scales and from the same pairs, whose
        common error is not in it.
    """

    n_steps: int
    changed: Estimate
    change: Estimate


class Near(NamedTuple):
    """Points next to a boundary.

    Attributes
    ----------
    positions : (N, d) float array
    labels : (N,) int array
    distances : (N,) float array
        To the point with another label, in units of the window.
    """

    positions: np.ndarray
    labels: np.ndarray
    distances: np.ndarray


def share_estimate(n_hits: float, n_runs: int, method: str) -> Estimate:
    """Return a share with its Wilson interval, which is right where the share is 0 as well.

    Parameters
    ----------
    n_hits : float
    n_runs : int
        At least 1.
    method : str

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", J. Am.
    Stat. Assoc. 22, 209 (1927).

    Examples
    --------
    >>> round(share_estimate(0, 100, "share").ci_high, 3)
    0.037
    """
    share, widening = n_hits / n_runs, Z95**2 / n_runs
    centre = (share + widening / 2) / (1 + widening)
    half = math.sqrt(share * (1 - share) / n_runs + widening / (4 * n_runs)) * Z95 / (1 + widening)
    return Estimate(
        value=share,
        stderr=half / Z95,
        ci_low=centre - half if n_hits else 0.0,  # as rounding may not have it
        ci_high=centre + half if n_hits < n_runs else 1.0,
        method=method,
        n_runs=n_runs,
        window=(math.nan, math.nan),
        curve=Curve.empty(),
    )


def undecided_share(pilot: Asked) -> Estimate:
    """Share of the runs of a pilot grid that stayed bounded and did not converge.

    Parameters
    ----------
    pilot : Asked
        Of a map.
    """
    n_undecided = int(np.sum(pilot.answers == Status.BOUNDED))
    return share_estimate(n_undecided, len(pilot.answers), "runs of the pilot grid")


def double_steps(
    pairs: Pairs,
    asked: Sequence[Asked],
    doubled: Oracle,
    estimate: Estimate,
    *,
    n_steps: int,
    seed: int,
) -> Doubling:
    """Ask a part of the pairs again after twice as many steps.

    Parameters
    ----------
    pairs : Pairs
    asked : sequence of Asked
        What their oracle was asked.
    doubled : Oracle
        Of the same map and window, with twice the steps. Its budget decides how many centres are
        asked again.
    estimate : Estimate
        The dimension from the pairs; its window is that of the change.
    n_steps : int
        Before doubling.
    seed : int
        Of the choice of centres and of the bootstrap.

    Returns
    -------
    Doubling
        Its change is not-a-number, with the reason, if there is no dimension or too few centres
        could be asked again.

    Notes
    -----
    The fraction of pairs that disagree is corrected by the difference that the repeated pairs
    show, f(2T) = f(T) + mean change, and both are fitted over the same scales with the same
    weights. If no pair changes, the error is what one changed pair would do.
    """
    rng = make_stream(seed, DOUBLING)
    before, after, moved, weights = [], [], [], []
    total = sum((len(part.columns) + 1) * len(part.strata) for part in pairs.rounds)
    share = min(1.0, doubled.left / max(total, 1))
    for part, points in zip(pairs.rounds, _requests(pairs, asked), strict=True):
        n, k = len(part.strata), len(part.columns)
        chosen, weight = _choose_centres(
            np.any(part.hits, axis=0), min(int(share * n), doubled.left // (k + 1)), rng
        )
        if not len(chosen):
            continue
        positions = points.positions.reshape(k + 1, n, -1)[:, chosen]
        labels = doubled(positions.reshape(-1, positions.shape[-1])).reshape(k + 1, len(chosen))
        earlier = doubled.labels_of(points.answers).reshape(k + 1, n)[0, chosen]
        strata = part.strata[chosen]
        before.append(Round(strata, part.columns, part.hits[:, chosen]))
        after.append(Round(strata, part.columns, labels[1:] != labels[0]))
        moved.append(Round(strata, np.array([0]), (labels[0] != earlier)[None]))
        weights.append(weight)
    n_centres = sum(len(part.strata) for part in before)
    if n_centres < _FEWEST_CENTRES:
        reason = (f"only {n_centres} centres of pairs could be asked again: raise the budget",)
        missing = Estimate.missing(_REPEATED, doubled.used, reason)
        return Doubling(n_steps, missing, missing)
    old, new, centres = (
        dataclasses.replace(pairs, rounds=tuple(rounds)) for rounds in (before, after, moved)
    )
    change = _change(pairs, old, new, weights, estimate, doubled.used, rng)
    return Doubling(n_steps, _changed_share(centres, weights), change)


def points_near(pairs: Pairs, asked: Sequence[Asked], oracle: Oracle, n_points: int) -> Near:
    """Return the points of the closest pairs that disagree.

    Parameters
    ----------
    pairs : Pairs
    asked : sequence of Asked
        What their oracle was asked.
    oracle : Oracle
        The oracle.
    n_points : int
        As many, if there are, from the smallest distances up; each point once.
    """
    found: list[Near] = []
    requests = _requests(pairs, asked)
    for column in range(len(pairs.scales) - 1, -1, -1):
        for part, points in zip(pairs.rounds, requests, strict=True):
            for row in np.flatnonzero(part.columns == column):
                n = len(part.strata)
                hits = np.flatnonzero(part.hits[row])
                both = np.concatenate([hits, (row + 1) * n + hits])
                labels = oracle.labels_of(points.answers[both])
                distances = np.full(len(both), pairs.scales[column])
                found.append(Near(points.positions[both], labels, distances))
        if sum(len(part.labels) for part in found) >= 2 * n_points:
            break  # a centre may be in pairs of many distances
    if not found:
        return Near(np.empty((0, pairs.n_axes)), np.empty(0, int), np.empty(0))
    near = Near(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))
    _, first = np.unique(near.positions, axis=0, return_index=True)
    kept = np.sort(first)[:n_points]
    return Near(near.positions[kept], near.labels[kept], near.distances[kept])


def ulp_flips(near: Near, nudged: Oracle, estimate: Estimate) -> Estimate:
    """Share of labels next to the boundary that change with the last bit of the hyperparameters.

    Parameters
    ----------
    near : Near
        At least one point.
    nudged : Oracle
        Of the same map and window, with `nudge`.
    estimate : Estimate
        The dimension.

    Returns
    -------
    Estimate
        With a flag above 1 %. `window` is the range of distances to the boundary.

    Notes
    -----
    A boundary of exponent alpha passes between two points one rounding u apart, given that it
    passes within delta of them, with a probability of about (u/delta)^alpha. So some labels change
    where alpha is small and delta near u, although the arithmetic is sound; the flag says so. It
    says noise where more than three times as many change, or where there is no exponent.
    """
    labels = nudged(near.positions)
    flips = share_estimate(
        int(np.sum(labels != near.labels)), len(labels), "last bit of every hyperparameter"
    )
    window = float(near.distances.min()), float(near.distances.max())
    flags: tuple[str, ...] = ()
    if flips.value > NOISY:
        expected = 0.0
        alpha = nudged.n_axes - estimate.value
        if estimate.has_value and alpha > max(_FLAT, 2 * estimate.stderr):
            expected = float(np.mean((nudged.finest / RESOLUTION / near.distances) ** alpha))
        flags = (_flip_words(flips.value, expected, window[0]),)
    return dataclasses.replace(flips, window=window, flags=flags)


def _flip_words(share: float, expected: float, nearest: float) -> str:
    which = (
        f"{share:.1%} of the labels next to the boundary change with the last bit of the "
        "hyperparameters"
    )
    if share <= _EXPLAINED * expected:
        return (
            f"{which}, about as many as a boundary of this dimension has at distances of "
            f"{nearest:.1g} of the window: single labels there are decided by rounding"
        )
    if share < _MOSTLY:
        return f"{which}: a part of the boundary is arithmetic noise at these scales"
    return f"{which}: labels are arithmetic noise at these scales, and the dimension is that of it"


def _requests(pairs: Pairs, asked: Sequence[Asked]) -> list[Asked]:
    """Return the request that each round of pairs came from: centres first, then partners."""
    requests = list(asked)[len(asked) - len(pairs.rounds) :]
    for part, points in zip(pairs.rounds, requests, strict=True):
        if len(points.positions) != (len(part.columns) + 1) * len(part.strata):
            raise ValueError("the requests are not those of the pairs; pass those of one oracle")
    return requests


def _choose_centres(
    disagree: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Choose centres, half of them in pairs that disagree, and what each of them stands for.

    Where labels change it is mostly there, and those centres are few.
    """
    groups = [np.flatnonzero(disagree), np.flatnonzero(~disagree)]
    if count < 2:
        return np.empty(0, int), np.empty(0)
    first = min(len(groups[0]), max(count // 2, count - len(groups[1])))
    counts = first, min(len(groups[1]), count - first)
    chosen = [rng.permutation(group)[:n] for group, n in zip(groups, counts, strict=True)]
    weights = [np.full(n, len(group) / max(n, 1)) for group, n in zip(groups, counts, strict=True)]
    return np.concatenate(chosen), np.concatenate(weights)


def _changed_share(centres: Pairs, weights: list[np.ndarray]) -> Estimate:
    """Return the share of the window in which labels change, from centres drawn by stratum."""
    n = sum(len(part.strata) for part in centres.rounds)
    share = float(centres.fractions([weight[None] for weight in weights])[0, 0])
    if math.isnan(share):
        reason = ("a part of the window was not asked again",)
        return Estimate.missing(_REPEATED, n, reason)
    hits, sums = (found[0, :, 0] for found in centres.counts([w[None] for w in weights]))
    squares = centres.counts([weight[None] ** 2 for weight in weights])[1][0, :, 0]
    asked = sums > 0
    effective = sums[asked] ** 2 / squares[asked]
    # With half a change more in each stratum, so that no error is zero.
    p = (hits[asked] / sums[asked] * effective + 0.5) / (effective + 1)
    variance = centres.volumes[asked] ** 2 * p * (1 - p) / effective
    stderr = math.sqrt(float(variance.sum()))
    low, high = interval_95(share, stderr, lowest=0.0, highest=1.0)
    nowhere = math.nan, math.nan
    return Estimate(share, stderr, low, high, _REPEATED, n, nowhere, Curve.empty())


def _change(
    pairs: Pairs,
    old: Pairs,
    new: Pairs,
    weights: list[np.ndarray],
    estimate: Estimate,
    n_runs: int,
    rng: np.random.Generator,
) -> Estimate:
    """Return the change of the dimension over the window of its estimate."""
    if not estimate.has_value:
        return Estimate.missing(_REPEATED, n_runs, ("there is no dimension to compare with",))
    order = np.argsort(pairs.scales)
    x, f = pairs.scales[order], pairs.fractions()[0][order]
    hits = pairs.counts()[0][0].sum(axis=0)[order]
    once = [weight[None] for weight in weights]
    shift = (new.fractions(once) - old.fractions(once))[0][order]
    low, high = estimate.window
    inside = (x >= low / 1.01) & (x <= high * 1.01) & (hits > 0)
    usable = inside & np.isfinite(f) & np.isfinite(shift) & (f + shift > 0)
    if usable.sum() < _FEWEST_SCALES:
        reason = f"only {usable.sum()} of the distances fitted could be asked again"
        return Estimate.missing(_REPEATED, n_runs, (f"{reason}: raise the budget",))
    x, f, hits, shift = x[usable], f[usable], hits[usable], shift[usable]
    window = float(x[0]), float(x[-1])
    slope = slope_weights(x, window, weights=hits)
    value = -float(slope @ np.log1p(shift / f)) + 0.0
    drawn_weights = [rng.poisson(1.0, (_RESAMPLES, len(w))) * w for w in weights]
    drawn = (new.fractions(drawn_weights) - old.fractions(drawn_weights))[:, order][:, usable]
    with np.errstate(invalid="ignore", divide="ignore"):
        slopes = np.log1p(drawn / f) @ slope
    slopes = slopes[np.isfinite(slopes)]
    # A pair stands for as many as there are for each that was asked again.
    found, repeated = (sum(part.hits.any(axis=0).sum() for part in p.rounds) for p in (pairs, old))
    single = np.abs(slope) * np.log1p(found / max(repeated, 1) / hits)
    stderr = max(float(slopes.std()) if len(slopes) else 0.0, float(single.max()))
    ends = interval_95(value, stderr)
    curve = Curve(x, f + shift, np.nanstd(drawn, axis=0))
    return Estimate(value, stderr, *ends, _REPEATED, n_runs, window, curve)
