"""Training data and the order in which it is used.

The order is part of the map. A full batch makes training an autonomous map; a fixed sequence of
minibatches makes it a *driven* one, the same sequence for every point of a sweep, so that two
points differ only in their hyperparameters.
"""

from __future__ import annotations

import abc
import math
from typing import Any, TypeVar, final

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import unknown_name
from dynfrac.systems.nodes import Node
from dynfrac.systems.numerics import precision

Examples = TypeVar("Examples")

ORDERS = ("reshuffled", "fixed", "sequential")
"""How `epoch_stream` can pass through the data."""


class Dataset(Node):
    """Inputs and targets of a training problem, the examples along the first axis of both.

    Attributes
    ----------
    inputs : (N, ...) array
        Float, or integer for tokens.
    targets : (N, ...) array
        Float for regression, integer class indices for classification.
    """

    inputs: Any
    targets: Any

    @property
    def size(self) -> int:
        """Number of examples N."""
        return self.inputs.shape[0]


class AbstractBatches(Node, abc.ABC):
    """Which examples the gradient of step t is taken over."""

    @property
    @abc.abstractmethod
    def epoch_steps(self) -> int:
        """Number of steps that make one epoch, about one pass through the data."""

    @abc.abstractmethod
    def select(self, data: Examples, t: ArrayLike) -> Examples:
        """Return the examples of step `t`, the same number at every step.

        Parameters
        ----------
        data : Dataset or other pytree of arrays
            Examples along the first axis of every leaf.
        t : int
        """


@final
class FullBatch(AbstractBatches):
    """All examples at every step: gradient descent proper, an autonomous map."""

    @property
    def epoch_steps(self) -> int:
        """1: every step sees all the data."""
        return 1

    def select(self, data: Examples, t: ArrayLike) -> Examples:
        """Return `data` itself."""
        return data


@final
class MinibatchStream(AbstractBatches):
    """A fixed sequence of minibatches, repeated from its start when a run outlasts it.

    Attributes
    ----------
    indices : (T, B) int array
        Row t holds the examples of step t (modulo T).
    epoch_steps : int
        Number of steps that make one epoch; absent, all T. It only names a stretch of steps, for
        schedules and labels, and selects nothing.
    adjustable : bool, default False
        Whether a training map makes the number of examples a step a hyperparameter,
        `batch_size`: it then lets only the first `batch_size` of the B examples count. `select`
        returns all B in either case.
    """

    indices: Any
    # 0 until __post_init__ has counted. There must be a default: without one a dataclass leaves no
    # class attribute behind, and the abstract property of the base class would show through.
    epoch_steps: int = struct.field(pytree_node=False, default=0)
    adjustable: bool = struct.field(pytree_node=False, default=False)

    def __post_init__(self) -> None:
        """Take the whole sequence for one epoch unless told otherwise."""
        if self.epoch_steps == 0:
            object.__setattr__(self, "epoch_steps", len(self.indices))

    def select(self, data: Examples, t: ArrayLike) -> Examples:
        """Return the B examples of step `t`."""
        rows = jnp.asarray(self.indices)[t % self.indices.shape[0]]
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[rows], data)


def minibatch_stream(
    n_data: int, batch: int, n_steps: int, *, seed: int = 42, adjustable: bool = False
) -> MinibatchStream:
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
    adjustable : bool, default False
        Whether the batch size is a hyperparameter, at most `batch`; see `MinibatchStream`.

    Returns
    -------
    MinibatchStream
        Its epoch is the smallest number of steps that draw `n_data` examples or more; some
        examples come twice in it and others not at all.

    Raises
    ------
    ValueError
        If `batch` is not between 1 and `n_data`, or `n_steps` is not positive.

    References
    ----------
    `sohldickstein2024` in docs/references.bib: the sampling of its minibatch condition.
    """
    _check_batch(n_data, batch)
    if n_steps < 1:
        raise ValueError(f"n_steps={n_steps} must be positive")
    with precision():
        keys = jax.random.split(jax.random.PRNGKey(seed), n_steps)
        draw = jax.vmap(lambda key: jax.random.randint(key, (batch,), 0, n_data))
        return MinibatchStream(np.asarray(draw(keys)), math.ceil(n_data / batch), adjustable)


def epoch_stream(
    n_data: int,
    batch: int,
    n_epochs: int,
    *,
    order: str = "reshuffled",
    seed: int = 42,
    adjustable: bool = False,
) -> MinibatchStream:
    """Pass through the data once an epoch, in minibatches without replacement.

    Parameters
    ----------
    n_data : int
        Number of examples to draw from.
    batch : int
        Examples a step, at least 1 and at most `n_data`. When it does not divide `n_data`, the
        incomplete last batch of every epoch is dropped: all steps have one shape.
    n_epochs : int
        Length of the stream in epochs. A longer one begins with the same minibatches.
    order : {"reshuffled", "fixed", "sequential"}
        A new permutation in every epoch; one permutation, the same in every epoch; or the order
        in which the examples are stored. The last two repeat themselves, so that only one epoch is
        kept and training is a map driven with the period of an epoch.
    seed : int, default 42
        Of the permutations, at least 0; that of epoch e depends on `seed` and e alone.
    adjustable : bool, default False
        Whether the batch size is a hyperparameter, at most `batch`; see `MinibatchStream`.

    Returns
    -------
    MinibatchStream
        Of ``n_data // batch`` steps an epoch, with indices of the smallest unsigned type that
        holds them.

    Raises
    ------
    ValueError
        If `batch` is not between 1 and `n_data`, `n_epochs` is not positive, `seed` is negative
        or the order is unknown.

    Notes
    -----
    A permutation sorts the raw 64-bit words of NumPy's PCG64, whose sequence is guaranteed never
    to change (shuffles and distributions are not), so the order of the data is the same for every
    release and every machine.

    Examples
    --------
    >>> epoch_stream(7, 3, 10, order="sequential").indices
    array([[0, 1, 2],
           [3, 4, 5]], dtype=uint8)
    """
    _check_batch(n_data, batch)
    if n_epochs < 1:
        raise ValueError(f"n_epochs={n_epochs} must be positive")
    if seed < 0:
        raise ValueError(f"seed={seed} must not be negative")
    if order not in ORDERS:
        raise unknown_name("order of the examples", order, ORDERS)
    steps = n_data // batch
    if order == "sequential":
        passes = [np.arange(n_data)]
    else:
        stored = n_epochs if order == "reshuffled" else 1
        passes = [permutation(n_data, seed, epoch) for epoch in range(stored)]
    kept = np.stack(passes)[:, : steps * batch].astype(np.min_scalar_type(n_data - 1))
    return MinibatchStream(kept.reshape(-1, batch), steps, adjustable)


def permutation(n: int, *seeds: int) -> np.ndarray:
    """Return the permutation of 0 .. n - 1 that belongs to some numbers, on every machine."""
    words = np.random.PCG64(list(seeds)).random_raw(n)
    return np.argsort(words, kind="stable")


def _check_batch(n_data: int, batch: int) -> None:
    if not 1 <= batch <= n_data:
        raise ValueError(f"batch={batch} must be between 1 and the {n_data} examples of the data")
