"""Losses and what goes with them: accuracy, means over a part of a batch, label noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.batches import Dataset, permutation
from dynfrac.systems.nodes import Node

Loss = Callable[[jax.Array, jax.Array], jax.Array]


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
    outputs : (N, ..., C) float array
        Logits.
    targets : (N, ...) int array
        Class indices in [0, C - 1].

    Returns
    -------
    scalar array
    """
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, targets))


def guessing_loss(loss: Loss, targets: ArrayLike) -> float:
    """Return the least loss of a model that does not look at its inputs.

    Parameters
    ----------
    loss : callable
    targets : array
        Classes, any shape, or (N, C) numbers.

    Returns
    -------
    float
        For cross-entropy the entropy of the classes' frequencies, in nats; for the mean squared
        error the variance of the targets; not-a-number for other losses.

    Examples
    --------
    >>> round(guessing_loss(cross_entropy, [0, 1, 1, 0]), 4)
    0.6931
    """
    values = np.asarray(targets)
    if loss is cross_entropy:
        shares = np.unique(values, return_counts=True)[1] / values.size
        return float(-np.sum(shares * np.log(shares)))
    if loss is mean_squared_error:
        return float(values.var(axis=0).mean())
    return float("nan")


LOSSES: dict[str, Loss] = {"cross-entropy": cross_entropy, "mse": mean_squared_error}


def accuracy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Share of the examples whose largest output is that of their class.

    Parameters
    ----------
    outputs : (N, ..., C) float array
    targets : (N, ...) int array

    Returns
    -------
    scalar array
        In [0, 1], exactly 1 if all are; not-a-number if an output is not finite, because then no
        output is the largest.
    """
    hits = jnp.argmax(outputs, -1) == targets
    right, wrong = (jnp.sum(part, dtype=outputs.dtype) for part in (hits, ~hits))
    # Not a division by the number of examples: XLA would multiply by its reciprocal, and 49 times
    # 1/49 is not 1.
    share = right / (right + wrong)
    return jnp.where(jnp.all(jnp.isfinite(outputs)), share, jnp.nan)


def weighted_mean(loss: Loss, outputs: jax.Array, targets: jax.Array, count: ArrayLike) -> Any:
    """Return the loss of the first `count` examples only.

    Parameters
    ----------
    loss : callable
        A mean over examples.
    outputs, targets : arrays
        Of B examples along the first axis.
    count : scalar
        From 1 to B, rounded to a whole number; may be traced.

    Returns
    -------
    scalar array
    """
    each = jax.vmap(lambda output, target: loss(output[None], target[None]))(outputs, targets)
    kept = jnp.clip(jnp.round(jnp.asarray(count)), 1, len(each))
    inside = jnp.arange(len(each)) < kept
    return jnp.sum(jnp.where(inside, each, 0)) / kept.astype(each.dtype)


def first_rows(examples: Any, count: ArrayLike) -> Any:
    """Put the first example in the place of all after the first `count`.

    Leaving examples out of a mean is not enough: the derivative of what is left out may still be
    infinite, and zero times infinity is not a number.

    Parameters
    ----------
    examples : pytree of (B, ...) arrays
    count : scalar
        From 1 to B, rounded to a whole number; may be traced.
    """
    places = jnp.arange(len(jax.tree.leaves(examples)[0]))
    rows = jnp.where(places < jnp.round(jnp.asarray(count)), places, 0)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[rows], examples)


@final
class LabelNoise(Node):
    """Which examples lose their target first, and what they get instead.

    Attributes
    ----------
    rank : (N,) int32 array
        A permutation: at noise p the examples of rank below p N are wrong, so that more noise adds
        wrong targets and takes none back.
    targets : (N, ...) array
        The targets of other examples, in random order.
    size : int
        N.
    """

    rank: Any
    targets: Any
    size: int = struct.field(pytree_node=False)

    def applied(self, data: Dataset, share: ArrayLike) -> Dataset:
        """Return the examples with a share of wrong targets.

        Parameters
        ----------
        data : Dataset
            All examples, or those of a batch, selected together with this noise.
        share : scalar
            From 0 to 1; may be traced.
        """
        targets = jnp.asarray(data.targets)
        wrong = jnp.asarray(self.rank) < jnp.round(jnp.asarray(share) * self.size)
        wrong = wrong.reshape(-1, *(1,) * (targets.ndim - 1))
        return data.replace(targets=jnp.where(wrong, jnp.asarray(self.targets), targets))


def draw_label_noise(data: Dataset, *, seed: int = 0) -> LabelNoise:
    """Draw the order in which examples lose their targets, and the targets that they get.

    Parameters
    ----------
    data : Dataset
    seed : int, default 0

    Returns
    -------
    LabelNoise

    Notes
    -----
    A wrong target is that of another example, by a random permutation, so that the classes keep
    their shares; one in C of them is the right one by chance. It is the same at all points of a
    sweep.
    """
    rank = permutation(data.size, seed, 0).astype(np.int32)
    source = permutation(data.size, seed, 1)
    return LabelNoise(rank, np.asarray(data.targets)[source], data.size)
