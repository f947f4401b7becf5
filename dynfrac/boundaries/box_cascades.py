"""Multilevel box cascade: how many children of a mixed box are mixed, octave after octave.

Box counting needs every box of a grid, 4^k of them k octaves down. The cascade follows a sample:
a root grid is labelled as a whole, some of its mixed boxes are kept, their children are labelled,
some of the mixed children are kept, and so on. If each mixed box has 2^D mixed children on average,
the boundary has dimension D, and each octave gives a D of its own.

Replicates are separate populations below one root grid. The product of a population's ratios is an
unbiased estimate of how the number of mixed boxes grows, and its logarithm is not. So the products
are averaged before the logarithm is taken: at each octave, replicates count by the number of boxes
that they stand for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple, final

import numpy as np
from scipy.special import stdtrit

from dynfrac.analysis.estimates import Z95, Curve, Estimate
from dynfrac.boundaries.box_populations import (
    children,
    refining_cost,
    root_boxes,
    thin_out,
)
from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.streams import CASCADE, make_stream

METHOD = "box cascade"
N_REPLICATES = 8
MOST_LEVELS = 16
MIN_LEVELS = 4
"""Fewest octaves that make a dimension."""
SMALLEST = 8
"""Boxes of the smallest population."""
BIAS = {
    1: {64: 0.005, 32: 0.005, 16: 0.01, 8: 0.04, 4: 0.1},
    2: {8: 0.01, 6: 0.015, 4: 0.02, 2: 0.05},
    3: {4: 0.02, 2: 0.05},
}
"""By how much the dimension reads low at most, by the number of axes and by the cells of a box's
lattice along an axis: boxes that a coarse lattice sees as uniform are lost with all descendants.
Measured on known sets (docs/windows.md). The first lattice that is affordable is taken."""
LARGEST_BIAS = 0.02
"""Beyond this the bias is flagged."""

_ROOT_SHARE = 0.12
_USUAL_LEVELS = 10
_FLAT = 0.05
_BENT = 0.15


class Plan(NamedTuple):
    """How a budget is spent: `m`, boxes along an axis of the root grid, levels, population."""

    m: int
    n_boxes: int
    n_levels: int
    n_kept: int


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Cascade:
    """What a cascade counted.

    Attributes
    ----------
    sides : (L + 1,) float array
        Of the boxes of each level in units of the window, descending.
    n_root : int
        Mixed boxes of the root grid.
    ratios : (R, L) float array
        Mixed children per box of each replicate at each level.
    m : int
        Cells of a box's lattice along an axis.
    n_axes, n_labels : int
    """

    sides: np.ndarray
    n_root: int
    ratios: np.ndarray
    m: int
    n_axes: int
    n_labels: int


def draw_cascade(
    oracle: Oracle, *, seed: int, on_progress: Callable[[int], None] | None = None
) -> Cascade:
    """Spend a budget of labels on a cascade.

    Parameters
    ----------
    oracle : Oracle
        With a budget of a few thousand labels at least.
    seed : int
        Of the place of the root grid and of who is kept.
    on_progress : callable, optional
        Called with the number of labels used so far.

    Returns
    -------
    Cascade
        Without levels if the root grid met no boundary, or if the budget pays for none.

    Notes
    -----
    The finest lattice is taken with which the budget pays for ten octaves of `SMALLEST` boxes in
    each of eight replicates; then up to 16 octaves, as the precision of the hyperparameters allows;
    what is left makes populations larger.
    """
    rng = make_stream(seed, CASCADE)
    plan = plan_cascade(oracle)
    if plan is None:
        return Cascade(np.empty(1), 0, np.empty((N_REPLICATES, 0)), 0, oracle.n_axes, oracle.used)
    m, n_boxes, n_levels, n_kept = plan
    report = on_progress or (lambda used: None)
    corner = rng.random(oracle.n_axes) / (n_boxes + 1)
    grid = root_boxes(oracle, m, n_boxes, corner)
    roots = grid.take(grid.mixed)
    report(oracle.used)
    boxes = roots.take(
        np.tile(np.arange(len(roots)), N_REPLICATES),
        np.repeat(np.arange(N_REPLICATES), len(roots)),
    )
    sides, ratios = [grid.side], []
    for _ in range(n_levels if len(roots) else 0):
        boxes = thin_out(boxes, n_kept, N_REPLICATES, rng)
        parents = np.bincount(boxes.owners, minlength=N_REPLICATES)
        family = children(oracle, boxes)
        boxes = family.take(family.mixed)
        ratios.append(np.bincount(boxes.owners, minlength=N_REPLICATES) / parents)
        sides.append(boxes.side)
        report(oracle.used)
    counted = np.array(ratios).reshape(-1, N_REPLICATES).T
    return Cascade(np.array(sides), len(roots), counted, m, oracle.n_axes, oracle.used)


def plan_cascade(oracle: Oracle) -> Plan | None:
    """Return how to spend what is left of a budget; None if it does not pay for `MIN_LEVELS`."""
    d = oracle.n_axes
    for m in BIAS[d]:
        n_boxes = 4
        while (2 * m * n_boxes + 1) ** d <= _ROOT_SHARE * oracle.left and n_boxes < 16:
            n_boxes *= 2
        left = oracle.left - (m * n_boxes + 1) ** d
        affordable = int(left // (N_REPLICATES * refining_cost(m, d)))
        # The nodes of the last children must still be well apart as numbers.
        finest = math.floor(math.log2(1 / ((n_boxes + 1) * m * oracle.finest)))
        n_levels = min(MOST_LEVELS, finest, affordable // SMALLEST)
        wanted = MIN_LEVELS if m == min(BIAS[d]) else min(_USUAL_LEVELS, finest)
        if n_levels >= max(wanted, MIN_LEVELS):
            return Plan(m, n_boxes, n_levels, affordable // n_levels)
    return None


def box_cascade(
    oracle: Oracle, *, seed: int = 0, on_progress: Callable[[int], None] | None = None
) -> Estimate:
    """Box dimension of a boundary by a cascade of boxes.

    Parameters
    ----------
    oracle : Oracle
        Labels in a window of one to three axes; what is left of its budget is spent.
    seed : int, default 0
    on_progress : callable, optional
        Called with the number of labels used so far.

    Returns
    -------
    Estimate
        `curve` is the number of mixed boxes against their side in units of the window. The error
        is that between replicates, together with the bias that the lattice is known to have
        (`BIAS`); the interval allows for the few replicates (Student's t). Not-a-number if no
        boundary was met or the budget is too small for four octaves.

    Notes
    -----
    Reads low: a box whose lattice has one label only is lost with all its descendants, however much
    of the boundary is in it. With eight cells a side the bias was below 0.01 on every set of the
    plane that was tried; it grows fast where lattices are coarser. Use it to see the dimension over
    many octaves (`cascade_dimensions`); for one number, pairs cost less.

    There is no value below some 4,500 labels in the plane and 26,000 in space.
    """
    cascade = draw_cascade(oracle, seed=seed, on_progress=on_progress)
    return cascade_estimate(cascade, oracle.budget)


def cascade_estimate(cascade: Cascade, budget: int) -> Estimate:
    """Make an estimate of a cascade; `budget` is that of its labels, for the words of a flag."""
    n_levels = cascade.ratios.shape[1]
    if not n_levels:
        reason = (
            f"a budget of {budget} labels is too small for {MIN_LEVELS} octaves of boxes at this "
            "precision: raise it"
            if not cascade.m
            else "no boundary was met: all labels that were asked for are the same"
        )
        return Estimate.missing(METHOD, cascade.n_labels, (reason,))
    slopes, dropped = _slopes(cascade.ratios)
    value = float(slopes.mean())
    sampling = _jackknife(dropped.mean(axis=1))
    bias = BIAS[cascade.n_axes][cascade.m]
    reach = math.hypot(_student() * sampling, Z95 * bias)
    top = float(cascade.n_axes)
    return Estimate(
        value=value,
        stderr=math.hypot(sampling, bias),
        ci_low=min(max(value - reach, 0.0), top),
        ci_high=min(max(value + reach, 0.0), top),
        method=METHOD,
        n_runs=cascade.n_labels,
        window=(float(cascade.sides[-1]), float(cascade.sides[0])),
        curve=_counts(cascade),
        flags=_doubts(cascade, slopes, dropped),
    )


def cascade_dimensions(cascade: Cascade) -> Curve:
    """Dimension as a function of scale, one value for each octave.

    Parameters
    ----------
    cascade : Cascade
        From `draw_cascade`.

    Returns
    -------
    Curve
        `x` the geometric mean of the two sides of an octave, in units of the window, ascending;
        `stderr` by leaving out one replicate after the other, without the bias of the lattice.
    """
    slopes, dropped = _slopes(cascade.ratios)
    middles = np.sqrt(cascade.sides[1:] * cascade.sides[:-1])
    stderr = np.array([_jackknife(column) for column in dropped.T])
    return Curve(middles[::-1], slopes[::-1], stderr[::-1])


def _slopes(ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the slope of every octave, (L,), and without each of the replicates, (R, L).

    Slopes add up to the logarithm of the replicates' mean product of ratios.
    """
    products = np.cumprod(ratios / ratios.mean(), axis=1)  # near 1: no overflow
    sums = products.sum(axis=0)
    others = len(ratios) - 1
    paths = np.vstack([sums / len(ratios), (sums - products) / others])
    logs = np.log2(np.hstack([np.ones((len(paths), 1)), paths]))
    slopes = np.diff(logs, axis=1) + math.log2(ratios.mean())
    return slopes[0], slopes[1:]


def _jackknife(dropped: np.ndarray) -> float:
    """Return the standard error from the values without each of the replicates."""
    return math.sqrt((len(dropped) - 1) * np.mean((dropped - dropped.mean()) ** 2))


def _student() -> float:
    """Return half the width of a 95 % interval in standard errors between replicates."""
    return float(stdtrit(N_REPLICATES - 1, 0.975))


def _counts(cascade: Cascade) -> Curve:
    """Return the number of mixed boxes against their side."""
    slopes, dropped = _slopes(cascade.ratios)
    logs = np.concatenate([[0.0], np.cumsum(slopes)])
    errors = [0.0] + [_jackknife(column) for column in np.cumsum(dropped, axis=1).T]
    counts = cascade.n_root * 2.0**logs
    stderr = counts * math.log(2) * np.array(errors)
    return Curve(cascade.sides[::-1], counts[::-1], stderr[::-1])


def _doubts(cascade: Cascade, slopes: np.ndarray, dropped: np.ndarray) -> tuple[str, ...]:
    """Say what is doubtful about a cascade."""
    flags = []
    bias = BIAS[cascade.n_axes][cascade.m]
    if bias > LARGEST_BIAS:
        flags.append(
            f"the budget pays for lattices of {cascade.m} cells a side only: the dimension may "
            f"read {bias:g} low"
        )
    if cascade.n_axes - slopes.mean() < _FLAT:
        flags.append(
            "nearly all children of a mixed box are mixed: labels are riddled, chaotic or "
            "arithmetic noise at these scales, and the dimension says no more"
        )
    half = len(slopes) // 2
    difference = abs(slopes[:half].mean() - slopes[half:].mean())
    error = _jackknife(dropped[:, :half].mean(axis=1) - dropped[:, half:].mean(axis=1))
    if difference > max(_BENT, 3 * error):
        flags.append(
            f"no single scaling region: the dimension is {slopes[half:].mean():.2f} at the smaller "
            f"half of the scales and {slopes[:half].mean():.2f} at the larger"
        )
    return tuple(flags)
