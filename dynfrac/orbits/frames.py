"""Orthonormal tangent frames: how they start, and how a stretched one is made orthonormal again.

Frames are arrays (k, d), one tangent vector a row.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

UNROLLED = 8
"""Up to this many vectors are orthonormalised by reflections written out; more by LAPACK.

A library call costs microseconds whatever its size. Written out, the step of a two-dimensional
map is one fused loop: 1.5 times as fast for one orbit, 4 times for a hundred side by side.
"""


def random_frame(seed: int, n_vectors: int, dimension: int, dtype: np.dtype) -> jax.Array:
    """Return orthonormal tangent vectors of random directions.

    Parameters
    ----------
    seed : int
    n_vectors : int
        Number k of tangents, at most the dimension.
    dimension : int
    dtype : real dtype

    Returns
    -------
    (k, dimension) array

    Notes
    -----
    Drawn and orthonormalised in float64 and cast afterwards, so that both precisions start from
    the same frame. Row j does not depend on k.
    """
    gaussian = np.random.default_rng(seed).standard_normal((n_vectors, dimension))
    orthonormal, _ = np.linalg.qr(gaussian.T)
    return jnp.asarray(orthonormal.T, dtype)


def orthonormalise(tangents: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return an orthonormal frame of the same nested spans, and how far the rows were stretched.

    Parameters
    ----------
    tangents : (k, d) array
        With k <= d. Rows may be linearly dependent.

    Returns
    -------
    frame : (k, d) array
    increments : (k,) array
        ln abs(R_jj) of the thin QR factorisation of the transpose, in nats; minus infinity for a
        row that depends on the rows before it.
    defined : bool array
        Whether every increment is a number below infinity.
    """
    if len(tangents) <= UNROLLED:
        frame, diagonal = _reflected(tangents)
    else:
        columns, triangle = jnp.linalg.qr(tangents.T)
        # Library routines return either sign on R's diagonal, hence the absolute value.
        frame, diagonal = columns.T, jnp.abs(jnp.diagonal(triangle))
    increments = jnp.log(diagonal)
    return frame, increments, jnp.all(increments < jnp.inf)


def _reflected(tangents: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the frame and abs(diag R) by Householder reflections."""
    k, d = tangents.shape
    rest = tangents
    reflections = []
    diagonal = []
    for j in range(k):
        row = jnp.where(jnp.arange(d) >= j, rest[j], 0)
        # Scaled by the largest entry: squares of what is above 1e154 or below 1e-154 are not.
        largest = jnp.max(jnp.abs(row))
        row = row / jnp.where(largest > 0, largest, 1)
        norm = jnp.sqrt(jnp.sum(row * row))
        normal = row.at[j].add(jnp.where(row[j] < 0, -norm, norm))
        square = jnp.sum(normal * normal)
        factor = jnp.where(square > 0, 2 / jnp.where(square > 0, square, 1), 0)
        rest = _reflect(rest, normal, factor)
        reflections.append((normal, factor))
        diagonal.append(norm * largest)
    frame = jnp.eye(k, d, dtype=tangents.dtype)
    for normal, factor in reversed(reflections):
        frame = _reflect(frame, normal, factor)
    return frame, jnp.stack(diagonal)


def _reflect(rows: jax.Array, normal: jax.Array, factor: jax.Array) -> jax.Array:
    return rows - factor * jnp.outer(rows @ normal, normal)
