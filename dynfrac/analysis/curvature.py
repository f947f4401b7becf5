"""Curvature of the observed loss: its sharpness, the largest Hessian eigenvalue."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.linalg

from dynfrac.orbits.iteration import prepare
from dynfrac.orbits.phase import PhaseSpace, phase_space
from dynfrac.systems.abstract import AbstractMap, State
from dynfrac.systems.numerics import cast_floats, choose_dtype, precision

DENSE_DIMENSION = 16
"""Up to this dimension the whole Hessian is formed: ARPACK needs more dimensions than vectors."""


@final
@dataclasses.dataclass(frozen=True)
class Sharpness:
    """The largest Hessian eigenvalue.

    Attributes
    ----------
    value : float
        In units of the loss per squared weight. NaN, with a flag, if it was not found.
    n_products : int
        Hessian-vector products spent.
    flags : tuple of str
        Why the value is missing or coarse.
    """

    value: float
    n_products: int
    flags: tuple[str, ...] = ()

    def __float__(self) -> float:
        """Return `value`."""
        return self.value


def sharpness(
    map_: AbstractMap,
    state: State,
    hparams: Mapping[str, Any] | None = None,
    *,
    rtol: float = 1e-3,
    max_products: int = 300,
    dtype: str | None = None,
    seed: int = 0,
) -> Sharpness:
    """Largest eigenvalue of the Hessian of `map_.observe` over the phase space.

    Parameters
    ----------
    map_ : AbstractMap
        Its observation must be the loss, and twice differentiable.
    state : pytree
        Where, such as `LyapunovSpectrum.final_state`.
    hparams : mapping of str to float, optional
    rtol : float, default 1e-3
        Relative accuracy asked of the eigenvalue.
    max_products : int, default 300
        About the largest number of Hessian-vector products; each costs some four losses.
    dtype : {"float64", "float32"}, optional
        By default the map's `preferred_dtype`, or float64 if it has none.
    seed : int, default 0
        Of the starting vector.

    Returns
    -------
    Sharpness

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Lanczos (ARPACK) on products formed forward over reverse; the Hessian itself is never stored.
    Gradient descent leaves a minimum whose sharpness exceeds 2 / lr, heavy ball (2 + 2 b) / lr;
    training runs tend to rise to that value and hover there (Cohen et al., arXiv:2103.00065).
    Optimizer buffers belong to the phase space and do not enter the loss: they add zero
    eigenvalues, which matter only if no curvature is positive.
    """
    if not 0 < rtol < 1:
        raise ValueError(f"rtol={rtol} is out of range; pass a number between 0 and 1")
    with precision():
        problem = prepare(map_, hparams, dtype, differentiate=True)
        state = jax.tree.map(jnp.asarray, cast_floats(state, choose_dtype(map_, dtype)))
        space = phase_space(problem.map_, state)
        point, rest = space.split(state)
        if not np.all(np.isfinite(point)):
            return Sharpness(math.nan, 0, ("the state is not finite, so it has no curvature",))
        n_products = 0

        def product(vector: np.ndarray) -> np.ndarray:
            nonlocal n_products
            n_products += 1
            tangent = jnp.asarray(vector.ravel(), point.dtype)
            return np.asarray(
                _hessian_product(problem.map_, problem.hparams, space, rest, point, tangent)
            )

        d = space.dimension
        if d <= DENSE_DIMENSION:
            hessian = np.stack([product(row) for row in np.eye(d)])
            if not np.all(np.isfinite(hessian)):
                return Sharpness(math.nan, n_products, ("the Hessian is not finite there",))
            return Sharpness(float(np.linalg.eigvalsh(hessian)[-1]), n_products)

        # Without a dtype SciPy probes the operator with integers, which jax refuses to push.
        linalg: Any = scipy.sparse.linalg  # it has no types of its own
        operator = linalg.LinearOperator((d, d), product, dtype=point.dtype)
        start = np.random.default_rng(seed).standard_normal(d).astype(point.dtype)
        image = product(start)
        if not np.all(np.isfinite(image)):
            return Sharpness(math.nan, n_products, ("the Hessian is not finite there",))
        if not np.any(image):  # a network of dead rectifiers; ARPACK refuses it
            return Sharpness(0.0, n_products)
        n_basis = min(d, 20)
        try:
            values = linalg.eigsh(
                operator,
                k=1,
                which="LA",
                v0=start,
                tol=rtol,
                ncv=n_basis,
                maxiter=max(1, max_products // n_basis),
                return_eigenvectors=False,
            )
        except linalg.ArpackNoConvergence:
            reason = f"the eigenvalue did not settle to {rtol:g} in {n_products} products"
            return Sharpness(math.nan, n_products, (reason,))
        return Sharpness(float(values[0]), n_products)


@functools.partial(jax.jit, static_argnames=("space",))
def _hessian_product(
    map_: AbstractMap,
    hparams: Any,
    space: PhaseSpace,
    rest: list[Any],
    point: jax.Array,
    tangent: jax.Array,
) -> jax.Array:
    """Return the Hessian of the observation at `point`, times `tangent`."""

    def loss(vector: jax.Array) -> jax.Array:
        return map_.observe(space.join(vector, rest), hparams)

    return jax.jvp(jax.grad(loss), (point,), (tangent,))[1]
