"""Basin entropy: how unpredictable the label is inside a small box or ball.

Cut the plane into boxes and ask how mixed the labels in each are, -sum p ln p with p their shares.
The mean over all boxes is the basin entropy; the mean over the boxes that hold more than one label,
the boundary basin entropy, says how rough the boundary is. A smooth boundary between two labels
has one value of it in balls, whatever its length: more than that is roughness. This is a screen
that tells at one glance whether there is anything to measure; it is no dimension.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from dynfrac.analysis.bit_rows import unpack_rows
from dynfrac.analysis.coverings import box_sizes, sliding_windows
from dynfrac.analysis.estimates import Z95, Curve, Estimate, interval_95
from dynfrac.analysis.labels import as_labels, boundary_cells, label_codes
from dynfrac.analysis.resampling import TILES_PER_AXIS, check_resamples, draw_tiles
from dynfrac.analysis.smooth_entropies import entropy_of, smooth_entropy_in_balls

METHOD = "basin entropy"
MIN_PLACES = 60
"""Fewest boxes or balls on the boundary."""

_ALLOWANCE = (0.224, -1.006)
"""Smooth boundaries on a lattice read up to 0.224 R^-1.006 off, R in pixels (Puy et al. 2021)."""
_BLIND = 0.05
"""Error of the entropy in balls with which mildly fractal boundaries look smooth."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class BasinEntropy:
    """Basin entropies of labels, what a smooth boundary reads, and the verdict.

    Attributes
    ----------
    sb : Estimate
        Mean entropy of all boxes, in nats.
    sbb : Estimate
        Mean entropy of the boxes with more than one label.
    balls : Estimate
        Mean entropy of balls that hold more than one label; not-a-number if there are too few.
    smooth : float
        What a smooth boundary between two labels reads in balls.
    verdict : {"fractal", "smooth", "open"}
        Whether `balls` lies outside of what a smooth boundary can read on this lattice, or inside,
        or whether this cannot be told. "smooth" means not told from smooth at this radius.
    size, radius : int
        Side of the boxes and radius of the balls, in pixels.
    n_labels : int
    flags : tuple of str
        Plain sentences about the verdict.
    """

    sb: Estimate
    sbb: Estimate
    balls: Estimate
    smooth: float
    verdict: str
    size: int
    radius: int
    n_labels: int
    flags: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON knows them."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: value.to_dict() if isinstance(value, Estimate) else value
            for name, value in fields.items()
        } | {"flags": list(self.flags)}


def basin_entropy(
    labels: ArrayLike,
    *,
    size: int = 5,
    radius: int | None = None,
    threshold: float | None = None,
    n_balls: int = 4000,
    n_resamples: int = 1000,
    seed: int = 0,
) -> BasinEntropy:
    """Basin entropy, boundary basin entropy and the test for a fractal boundary.

    Parameters
    ----------
    labels : (nx,), (ny, nx) or (nz, ny, nx) array
        Booleans or integers with at most 16 values are labels, floats of both signs a signed
        field; see `dynfrac.analysis.labels`. All axes have the same unit, a pixel.
    size : int
        Side of the boxes, in pixels, at least 2. The boxes do not overlap; what is left over at the
        high ends of the axes is not used.
    radius : int, optional
        Of the balls of the test, in pixels, at least 2. Default: a sixteenth of the shortest side,
        between 4 and 20.
    threshold : float, optional
        Separate the points above it from the others first.
    n_balls : int
        How many random balls on the boundary, at least 60.
    n_resamples : int
        Bootstrap resamples of 64 tiles, at least 2.
    seed : int
        Of the balls and the bootstrap.

    Returns
    -------
    BasinEntropy
        Its estimates are not-a-number, with the reason in `flags`, if there is only one label or
        fewer than 60 boxes or balls hold more than one.

    Raises
    ------
    ValueError
        If `labels` cannot be read as labels, or hold no box or ball, or an argument is out of
        range.

    Notes
    -----
    The boundary entropy of boxes depends on the direction of the boundary: a smooth one reads
    between 0.3645, at 45 degrees, and 0.5, along an axis (`smooth_entropy_in_squares`). Balls have
    no direction, so the verdict rests on them. It is "fractal" if their mean differs from
    the smooth value, up or down, by more than the 95 % error and the allowance for a lattice,
    0.224 R^-1.006 (a curve of dimension below 1.5 or so reads low, since many balls touch only a
    tip of it); "smooth" if it does not; "open" if it does not and the error exceeds 0.05. The
    radius is the scale at which roughness is looked for: a boundary can be smooth at one and rough
    at another, and stripes narrower than the balls are rough.
    A mean above ln 2 would prove a fractal boundary in boxes of any shape, but with two labels none
    can exceed it. Where three labels meet at a smooth corner the entropy is higher as well; if such
    places are common, read the verdict with care.

    References
    ----------
    A. Daza, A. Wagemakers, B. Georgeot, D. Guery-Odelin, M. A. F. Sanjuan, "Basin entropy: a new
    tool to analyze uncertainty in dynamical systems", Sci. Rep. 6, 31416 (2016);
    A. Puy, A. Daza, A. Wagemakers, M. A. F. Sanjuan, "A test for fractal boundaries based on the
    basin entropy", Commun. Nonlinear Sci. Numer. Simul. 95, 105588 (2021).

    Examples
    --------
    >>> y, x = np.mgrid[-1:1:300j, -1:1:300j]
    >>> result = basin_entropy(x**2 + y**2 < 0.4)
    >>> result.verdict, round(float(result.balls), 2), round(result.smooth, 2)
    ('smooth', 0.44, 0.44)
    """
    picture = as_labels(labels, threshold=threshold)
    reach = int(min(max(min(picture.shape) // 16, 4), 20)) if radius is None else radius
    _check(picture.shape, size, reach, n_balls, n_resamples)
    codes, n_labels = label_codes(picture)
    smooth = smooth_entropy_in_balls(codes.ndim)
    if n_labels == 1:
        reason = "there is no boundary: every point has the same label"
        none = Estimate.missing(METHOD, codes.size, [reason])
        return BasinEntropy(none, none, none, smooth, "open", size, reach, 1, (reason,))

    rng = np.random.default_rng(seed)
    average = functools.partial(_average, rng=rng, n_resamples=n_resamples, shape=codes.shape)
    boxes, mixed = _box_entropies(codes, n_labels, size)
    places = size * np.indices(boxes.shape).reshape(codes.ndim, -1)
    on_boundary = mixed.ravel()
    balls, middles = _ball_entropies(codes, n_labels, reach, n_balls, rng)
    sb = average("basin entropy", boxes.ravel(), places, size)
    sbb = average("boundary basin entropy", boxes[mixed], places[:, on_boundary], size)
    in_balls = average("boundary basin entropy in balls", balls, middles, reach)
    verdict, flags = _judge(in_balls, sbb, smooth, n_labels, reach)
    return BasinEntropy(sb, sbb, in_balls, smooth, verdict, size, reach, n_labels, flags)


def _box_entropies(codes: np.ndarray, n_labels: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the entropy of every box, and whether it holds more than one label."""
    whole = codes[tuple(slice(0, length // size * size) for length in codes.shape)]
    counts = []
    for code in range(n_labels):
        part = (whole == code).view(np.uint8)
        for axis in range(codes.ndim):
            starts = np.arange(0, whole.shape[axis], size)
            part = np.add.reduceat(part, starts, axis=axis, dtype=np.int32)
        counts.append(part)
    shares = np.stack(counts) / size**codes.ndim
    return entropy_of(shares), shares.max(axis=0) < 1


def _ball_entropies(
    codes: np.ndarray, n_labels: int, radius: int, n_balls: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the entropies (M,) of random balls with several labels, and where (N, M).

    A ball is placed at the middle of the boundary inside it, not at its centre: so all balls around
    a piece of the boundary, on both of its sides, are in one tile of the bootstrap.
    """
    offsets = np.indices((2 * radius + 1,) * codes.ndim).reshape(codes.ndim, -1) - radius
    offsets = offsets[:, (offsets**2).sum(axis=0) <= radius**2]
    strides = np.array([math.prod(codes.shape[axis + 1 :]) for axis in range(codes.ndim)])
    steps = strides @ offsets
    edge = np.zeros(codes.shape, bool)
    edge[(slice(None, -1),) * codes.ndim] = boundary_cells(codes)
    flat, flat_edge = codes.ravel(), edge.ravel()
    entropies, middles, found = [np.empty(0)], [np.empty((codes.ndim, 0))], 0
    for centres in _centres_near(edge, radius, rng, max(1, 2_000_000 // len(steps))):
        cells = (strides @ centres)[:, None] + steps
        seen = flat[cells]
        shares = np.stack([(seen == code).mean(axis=1) for code in range(n_labels)])
        several = shares.max(axis=0) < 1
        crossed = flat_edge[cells[several]]
        weight = np.maximum(crossed.sum(axis=1), 1)
        entropies.append(entropy_of(shares[:, several]))
        middles.append(centres[:, several] + (crossed @ offsets.T).T / weight)
        found += int(several.sum())
        if found >= n_balls:
            break
    return np.concatenate(entropies)[:n_balls], np.concatenate(middles, axis=1)[:, :n_balls]


def _centres_near(
    edge: np.ndarray, radius: int, rng: np.random.Generator, chunk: int
) -> Iterator[np.ndarray]:
    """Yield centres (N, chunk) of balls inside the labels, in random order, near the boundary."""
    box = 2 * radius + 2
    sizes = np.append(box_sizes(box), box) if box_sizes(box)[-1] < box else box_sizes(box)
    *_, (touched, start) = sliding_windows(edge, sizes)
    # Even windows lean to lower indices, as the cells of the boundary do: all of them are found.
    near = unpack_rows(touched, edge.shape, start)
    inner = tuple(slice(radius, length - radius) for length in edge.shape)
    near = np.ascontiguousarray(near[inner])
    if near.mean() > 0.05:
        # With replacement: of so many places hardly one comes twice.
        for _ in range(100_000):
            drawn = rng.integers(near.size, size=20 * chunk)
            drawn = drawn[near.ravel()[drawn]][:chunk]
            yield np.stack(np.unravel_index(drawn, near.shape)) + radius
    candidates = rng.permutation(np.flatnonzero(near))
    for first in range(0, len(candidates), chunk):
        places = np.unravel_index(candidates[first : first + chunk], near.shape)
        yield np.stack(places) + radius


def _average(
    method: str,
    values: np.ndarray,
    places: np.ndarray,
    scale: int,
    *,
    rng: np.random.Generator,
    n_resamples: int,
    shape: tuple[int, ...],
) -> Estimate:
    """Average values (M,) found at places (N, M), with a bootstrap over tiles."""
    n_runs = math.prod(shape)
    if len(values) < MIN_PLACES:
        reason = f"only {len(values)} places hold several labels; at least {MIN_PLACES} are needed"
        return Estimate.missing(method, n_runs, [reason])
    per_axis = TILES_PER_AXIS[len(shape)]
    n_tiles = per_axis ** len(shape)
    cells = [
        np.clip(place * per_axis / length, 0, per_axis - 1).astype(int)
        for place, length in zip(places, shape, strict=True)
    ]
    tiles = np.ravel_multi_index(tuple(cells), (per_axis,) * len(shape))
    counts = np.bincount(tiles, minlength=n_tiles)
    sums = np.bincount(tiles, weights=values, minlength=n_tiles)
    draws = draw_tiles(n_tiles, n_resamples, rng)
    weights = draws @ counts
    resampled = (draws @ sums)[weights > 0] / weights[weights > 0]
    value, stderr = float(values.mean()), float(resampled.std())
    ci_low, ci_high = interval_95(value, stderr, lowest=0.0)
    return Estimate(
        value=value,
        stderr=stderr,
        ci_low=ci_low,
        ci_high=ci_high,
        method=method,
        n_runs=n_runs,
        window=(float(scale), float(scale)),
        curve=Curve(np.array([scale]), np.array([value]), np.array([stderr])),
    )


def _judge(
    balls: Estimate, sbb: Estimate, smooth: float, n_labels: int, radius: int
) -> tuple[str, tuple[str, ...]]:
    """Compare with a smooth boundary."""
    if n_labels > 2 and sbb.value > math.log(2):
        return "fractal", ("the boundary basin entropy exceeds ln 2: the boundary is fractal",)
    if not balls.has_value:
        return "open", balls.flags
    allowance = _ALLOWANCE[0] * radius ** _ALLOWANCE[1]
    excess, error = balls.value - smooth, Z95 * balls.stderr
    if abs(excess) > error + allowance:
        return "fractal", ()
    if error > _BLIND:
        return "open", (
            f"the boundary is too short to tell: its entropy in balls is known to {error:.3f} only",
        )
    return "smooth", ()


def _check(shape: tuple[int, ...], size: int, radius: int, n_balls: int, n_resamples: int) -> None:
    side = min(shape)
    if not 2 <= size <= side // 4:
        raise ValueError(
            f"size={size} is not the side of a box inside labels of shape {shape}; pass 2 to "
            f"{side // 4}"
        )
    if not 2 <= radius <= side // 4:
        raise ValueError(
            f"radius={radius} is not that of a ball inside labels of shape {shape}; pass 2 to "
            f"{side // 4}"
        )
    if n_balls < MIN_PLACES:
        raise ValueError(f"n_balls={n_balls} is too few; pass at least {MIN_PLACES}")
    check_resamples(n_resamples)
