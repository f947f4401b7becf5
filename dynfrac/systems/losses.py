"""Losses: real scalars from the outputs of a network and its targets."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax


def mean_squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean of the squared differences over all examples and components.

    Parameters
    ----------
    outputs, targets : (N, C) float arrays

    Returns
    -------
    scalar array
    """
    return jnp.mean((outputs - targets) ** 2)


def cross_entropy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean cross-entropy of a softmax over logits, in nats.

    Parameters
    ----------
    outputs : (N, C) float array
        Logits.
    targets : (N,) int array
        Class indices in [0, C - 1].

    Returns
    -------
    scalar array
    """
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, targets))
