"""Points of the phase space of small maps, as arrays of their coordinates."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array


def point(*coordinates: Any) -> Array:
    """Return the array (d,) of d real scalars, which may be traced."""
    return jnp.stack([jnp.asarray(coordinate) for coordinate in coordinates])


def wrap(x: Any, period: float = 1.0) -> Any:
    """Return `x` modulo `period`; the derivative is 1, that of the branch.

    Parameters
    ----------
    x : scalar or array
    period : float
        Of an `x` a rounding error below 0, the result is `period` itself.
    """
    return x - period * jnp.floor(x / period)
