"""Training data and the order in which it is used.

The order is part of the map. A full batch makes training an autonomous map; a fixed sequence of
minibatches makes it a *driven* one, the same sequence for every point of a sweep, so that two
points differ only in their hyperparameters.
"""

from __future__ import annotations

import abc
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.numerics import precision


class Dataset(struct.PyTreeNode):
    """Inputs and targets of a training problem, the examples along the first axis of both.

    Attributes
    ----------
    inputs : (N, ...) float array
    targets : (N, ...) array
        Float for regression, integer class indices for classification.
    """

    inputs: Any
    targets: Any

    @property
    def size(self) -> int:
        """Number of examples N."""
        return self.inputs.shape[0]


class AbstractBatches(struct.PyTreeNode, abc.ABC):
    """Which examples the gradient of step t is taken over."""

    @abc.abstractmethod
    def select(self, data: Dataset, t: ArrayLike) -> Dataset:
        """Return the examples of step `t`, the same number at every step."""


@final
class FullBatch(AbstractBatches):
    """All examples at every step: gradient descent proper, an autonomous map."""

    def select(self, data: Dataset, t: ArrayLike) -> Dataset:
        """Return `data` itself."""
        return data


@final
class MinibatchStream(AbstractBatches):
    """A fixed sequence of minibatches, repeated from its start when a run outlasts it.

    Attributes
    ----------
    indices : (T, B) int array
        Row t holds the examples of step t (modulo T).
    """

    indices: Any

    def select(self, data: Dataset, t: ArrayLike) -> Dataset:
        """Return the B examples of step `t`."""
        rows = jnp.asarray(self.indices)[t % self.indices.shape[0]]
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[rows], data)


def minibatch_stream(n_data: int, batch: int, n_steps: int, *, seed: int = 42) -> MinibatchStream:
    """Draw a stream of minibatches with replacement, one key a step.

    Parameters
    ----------
    n_data : int
        Number of examples to draw from.
    batch : int
        Examples a step, at least 1 and at most `n_data`.
    n_steps : int
        Length of the stream. A longer one begins with the same minibatches.
    seed : int, default 42
        The published value.

    Returns
    -------
    MinibatchStream

    Raises
    ------
    ValueError
        If `batch` is not between 1 and `n_data`, or `n_steps` is not positive.

    References
    ----------
    `sohldickstein2024` in docs/references.bib: the sampling of its minibatch condition.
    """
    if not 1 <= batch <= n_data:
        raise ValueError(f"batch={batch} must be between 1 and the {n_data} examples of the data")
    if n_steps < 1:
        raise ValueError(f"n_steps={n_steps} must be positive")
    with precision():
        keys = jax.random.split(jax.random.PRNGKey(seed), n_steps)
        draw = jax.vmap(lambda key: jax.random.randint(key, (batch,), 0, n_data))
        return MinibatchStream(np.asarray(draw(keys)))
