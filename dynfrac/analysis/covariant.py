"""Covariant Lyapunov vectors: the directions that grow at each exponent, forward and backward."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from dynfrac.analysis.lyapunov import FULL_DIMENSION
from dynfrac.analysis.verdicts import average
from dynfrac.orbits.frame_history import FrameHistory, record_frames
from dynfrac.orbits.frames import random_frame
from dynfrac.orbits.iteration import Progress, check_count, prepare
from dynfrac.orbits.lanes import advance, perturbed_lanes, take_lane
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import precision

UNSETTLED = 1e-6
"""Angle between vectors from two random beginnings above which they have not settled."""

TANGENT = 0.01
"""Angle below which growing and shrinking directions are as good as tangent."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class CovariantVectors:
    """Covariant Lyapunov vectors along an orbit.

    Attributes
    ----------
    points : (n, d) float array
        Coordinates of the orbit.
    vectors : (n, k, d) float array
        Row j at a point is the unit vector that grows at exponent j; its sign means nothing.
    growth : (n, k) float array
        ln of how much each vector is stretched by the step from its point, in nats.
    exponents, stderr : (k,) float arrays
        Means of `growth`, and their standard errors as in a `LyapunovSpectrum`.
    angles : (n, k, k) float array
        Between vectors i and j at each point, in radians, from 0 to pi / 2.
    splitting : (n,) float array
        Smallest angle between the span of the growing vectors and that of the shrinking ones; NaN
        if there are none of a kind among the k.
    step_range : tuple of int
        First step of the stretch and the one after the last, from the start of the orbit.
    flags : tuple of str
    conditions : dict
    """

    points: np.ndarray
    vectors: np.ndarray
    growth: np.ndarray
    exponents: np.ndarray
    stderr: np.ndarray
    angles: np.ndarray
    splitting: np.ndarray
    step_range: tuple[int, int]
    flags: tuple[str, ...]
    conditions: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def covariant_lyapunov_vectors(
    map_: AbstractMap,
    hparams: Mapping[str, Any] | None = None,
    *,
    n_steps: int,
    n_exponents: int | None = None,
    n_transient: int = 0,
    n_warmup: int | None = None,
    n_backward: int | None = None,
    slaved: bool = False,
    seed: int = 0,
    dtype: str | None = None,
    on_progress: Progress | None = None,
) -> CovariantVectors:
    """Covariant Lyapunov vectors along a stretch of an orbit.

    Parameters
    ----------
    map_ : AbstractMap
        Small: all frames of the stretch are kept, n_steps x k x d numbers.
    hparams : mapping of str to float, optional
        Values for some or all of the map's hyperparameters; the rest take their defaults.
    n_steps : int
        Points at which the vectors are wanted, at least 1.
    n_exponents : int, optional
        Number k of vectors. By default all d, for d <= 64.
    n_transient : int, default 0
        Steps of the orbit alone.
    n_warmup : int, optional
        Steps that align the frame before the stretch. By default max(100, n_steps / 10).
    n_backward : int, optional
        Steps after the stretch, from whose end the vectors are carried back. By default as
        `n_warmup`.
    slaved, seed, dtype, on_progress
        As in `lyapunov_spectrum`.

    Returns
    -------
    CovariantVectors

    Raises
    ------
    ValueError
        If an argument is out of range, or the phase space has more than 64 dimensions and
        `n_exponents` is not given.

    Notes
    -----
    Ginelli et al. (2007): frames are carried forward by QR; in their coordinates, covariant vectors
    are the columns of an upper triangular matrix, which the inverses of the triangular factors
    carry backward and which there forgets how it began. The vectors do not depend on the norm, as
    the frame's do, and a step takes each into a multiple of the next one.

    The backward pass is done twice from different beginnings; where the results differ, a flag says
    that the stretch behind was too short. Vectors of equal exponents are not determined one by one.

    References
    ----------
    `ginelli2007` in docs/references.bib

    Examples
    --------
    >>> from dynfrac.systems.chaotic_maps import Cat
    >>> cat = covariant_lyapunov_vectors(Cat(), n_steps=10)
    >>> bool(abs(cat.splitting - math.pi / 2).max() < 1e-9)
    True
    """
    check_count("n_steps", n_steps, least=1)
    n_warmup = max(100, n_steps // 10) if n_warmup is None else n_warmup
    n_backward = n_warmup if n_backward is None else n_backward
    for name, count in (
        ("n_transient", n_transient),
        ("n_warmup", n_warmup),
        ("n_backward", n_backward),
    ):
        check_count(name, count, least=0)
    check_count("seed", seed, least=0)
    with precision():
        problem = prepare(map_, hparams, dtype, differentiate=True, slaved=slaved)
        d = problem.space.dimension
        if n_exponents is None and d > FULL_DIMENSION:
            raise ValueError(
                f"the phase space has {d} dimensions; say how many n_exponents to take"
            )
        k = d if n_exponents is None else n_exponents
        check_count("n_exponents", k, least=1)
        if k > d:
            raise ValueError(f"n_exponents={k} is more than the {d} dimensions of the phase space")
        lanes = perturbed_lanes(problem, 1, seed)
        alive = np.array([True])
        states, reached = advance(lanes, lanes.states, alive, 0, n_transient)
        state, frame = take_lane(states, 0), random_frame(seed, k, d, lanes.dtype)
        warm = record_frames(lanes, state, frame, int(reached[0]), n_warmup)
        first = int(reached[0]) + len(warm.points)
        history = record_frames(
            lanes, warm.state, warm.frame, first, n_steps + n_backward, on_progress
        )
    conditions = {
        **problem.conditions(),
        "seed": seed,
        "n_transient": n_transient,
        "n_warmup": n_warmup,
        "n_backward": n_backward,
        "n_steps": n_steps,
    }
    n_found = first + len(history.points)
    if n_found < n_transient + n_warmup + n_steps + n_backward:
        reason = f"the orbit or its tangents stopped being finite at step {n_found + 1}"
    elif np.any(np.diagonal(history.triangles, axis1=1, axis2=2) == 0):
        reason = "a direction was annihilated (a superstable orbit): no step leads back"
    else:
        return _describe(history, n_steps, first, seed, conditions)
    nothing = np.empty((0, k))
    return CovariantVectors(
        points=np.empty((0, d)),
        vectors=np.empty((0, k, d)),
        growth=nothing,
        exponents=np.full(k, math.nan),
        stderr=np.full(k, math.nan),
        angles=np.empty((0, k, k)),
        splitting=np.empty(0),
        step_range=(first, first),
        flags=(f"{reason}: there are no vectors",),
        conditions=conditions,
    )


def _describe(
    history: FrameHistory, n: int, first: int, seed: int, conditions: dict[str, Any]
) -> CovariantVectors:
    """Carry vectors back through the stretch and measure them."""
    both, growths = _backward(history.triangles, n, seed)
    inner, other = np.split(both, 2, axis=2)
    growth, _ = np.split(growths, 2, axis=1)
    # In frames that are orthonormal, so lengths and angles are those of the phase space.
    apart = np.minimum(*(np.linalg.norm(inner - sign * other, axis=1) for sign in (1, -1)))
    vectors = np.einsum("nij,nid->njd", inner, history.frames[:n])
    averages = average(growth)
    exponents, stderr = averages.exponents, averages.stderr
    overlaps = np.abs(np.einsum("nid,njd->nij", vectors, vectors))
    margin = 3 * np.nan_to_num(stderr) + 1e-9
    splitting = _splitting(vectors, exponents > margin, exponents < -margin)
    flags = []
    if np.max(apart) > UNSETTLED:
        flags.append(
            f"vectors from two beginnings differ by up to {np.max(apart):.2g}: they have not "
            "settled; raise n_backward"
        )
    for j in np.flatnonzero(exponents[:-1] - exponents[1:] < margin[:-1] + margin[1:]):
        flags.append(
            f"exponents {j + 1} and {j + 2} are equal within their errors: what their vectors span "
            "is determined, they are not"
        )
    if np.any(splitting < TANGENT):
        flags.append(
            f"growing and shrinking directions come as close as {np.nanmin(splitting):.2g} rad: "
            "near tangencies, so the stretch is not uniformly hyperbolic"
        )
    return CovariantVectors(
        points=history.points[:n],
        vectors=vectors,
        growth=growth,
        exponents=exponents,
        stderr=stderr,
        angles=np.arccos(np.minimum(overlaps, 1)),
        splitting=splitting,
        step_range=(first, first + n),
        flags=tuple(flags),
        conditions=conditions,
    )


def _backward(triangles: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Carry upper triangular coefficients back from the end of a history, from two beginnings.

    Returns
    -------
    coefficients : (n, k, 2 k) float array
        Unit columns: the vectors of the first n points in the coordinates of their frames, k from
        each beginning.
    growth : (n, 2 k) float array
        ln of the stretching by the step from each point.
    """
    k = triangles.shape[1]
    beginnings = [np.random.default_rng(s).standard_normal((k, k)) for s in (seed, seed + 1)]
    columns = np.concatenate([np.triu(square) for square in beginnings], axis=1)
    columns /= np.linalg.norm(columns, axis=0)
    coefficients, growth = np.empty((n, k, 2 * k)), np.empty((n, 2 * k))
    for t in range(len(triangles) - 1, -1, -1):
        # Of a triangle, the general solver does the same and starts ten times as fast.
        columns = np.linalg.solve(triangles[t], columns)
        lengths = np.linalg.norm(columns, axis=0)
        columns = columns / lengths
        if t < n:
            coefficients[t], growth[t] = columns, -np.log(lengths)
    return coefficients, growth


def _splitting(vectors: np.ndarray, growing: np.ndarray, shrinking: np.ndarray) -> np.ndarray:
    """Return the smallest angle between two spans at each point."""
    if not (np.any(growing) and np.any(shrinking)):
        return np.full(len(vectors), math.nan)
    bases = (np.linalg.qr(np.swapaxes(vectors[:, rows], 1, 2))[0] for rows in (growing, shrinking))
    one, other = bases
    cosines = np.linalg.svd(np.swapaxes(one, 1, 2) @ other, compute_uv=False)
    return np.arccos(np.minimum(cosines[:, 0], 1))
