"""Networks as pure functions of parameters, statistics, inputs and hyperparameters.

A model knows its parameters' initial values, its forward pass in training mode, which layers are
the first and the last (so that they can have learning rates of their own), and nothing about
losses, optimizers or data.
"""

from __future__ import annotations

import abc
import math
from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import Hparams, unknown_name
from dynfrac.systems.nodes import Node

_NONLINEARITIES = ("tanh", "relu", "identity")


class AbstractModel(Node, abc.ABC):
    """A network that a `TrainingMap` trains.

    A model may have a method ``for_batches(shape)``, which `training_map` calls with the shape of
    the inputs of a step, for the form of the model that is the fastest there.
    """

    @property
    @abc.abstractmethod
    def defaults(self) -> dict[str, float]:
        """Hyperparameters of the forward pass, such as ``skip``, with their defaults."""

    @property
    @abc.abstractmethod
    def nan_propagation(self) -> str:
        """How not-a-number among the parameters makes every later loss one.

        ``"any"``: as soon as one parameter is; ``"all"``: once all of them are; ``"unknown"``. An
        evaluator may stop a run when it happens. Say ``"unknown"`` when in doubt: the only price
        is time.
        """

    @property
    @abc.abstractmethod
    def drive(self) -> str:
        """``"scan"``, or ``"host"`` for models whose operations are slow inside a compiled loop.

        Convolutions on a CPU are the case in point: inside a loop body XLA runs them about thirty
        times slower, so such a model is stepped from the host there.
        """

    @property
    @abc.abstractmethod
    def preferred_dtype(self) -> str:
        """``"float64"``, or ``"float32"`` for models that are costly in float64."""

    @property
    @abc.abstractmethod
    def stochastic(self) -> bool:
        """Whether `apply` draws random numbers from its key (dropout)."""

    @property
    @abc.abstractmethod
    def slaved_stats(self) -> bool:
        """Whether `apply` never reads the statistics that it updates, as with BatchNorm."""

    @property
    @abc.abstractmethod
    def groups(self) -> tuple[str, ...]:
        """Names of the layer groups that have learning rates of their own, ``lr_NAME``."""

    @abc.abstractmethod
    def init(self, key: jax.Array) -> dict[str, Any]:
        """Draw ``{"params": ..., "stats": ...}``; `stats` are the running statistics, often {}."""

    @abc.abstractmethod
    def apply(
        self,
        params: Any,
        stats: Any,
        inputs: ArrayLike,
        hparams: Hparams,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Any]:
        """Return the outputs in training mode, first axis the examples, and the new statistics."""

    @abc.abstractmethod
    def predict(self, params: Any, stats: Any, inputs: ArrayLike, hparams: Hparams) -> jax.Array:
        """Return the outputs in evaluation mode: running statistics, no dropout."""

    @abc.abstractmethod
    def layer_groups(self, params: Any) -> Any:
        """Return a pytree like `params` whose leaves name the group, ``"hidden"`` without one."""


@final
class MeanFieldMLP(AbstractModel):
    r"""A bias-free multilayer perceptron in the mean-field parametrisation.

    Each layer computes :math:`z = x W / \sqrt{\text{fan-in}}`, hidden layers pass :math:`\phi(z)`
    on, and the output is divided once more by :math:`\sqrt{\text{fan-in}}` of the last layer. All
    weights start as independent standard normal numbers.

    Attributes
    ----------
    widths : tuple of int
        Sizes of the input, the hidden layers and the output; ``(16, 16, 1)`` is the published net.
    nonlinearity : {"tanh", "relu", "identity"}
        :math:`\tanh(\sqrt2 z)`, :math:`\sqrt2 \max(z, 0)` or :math:`z`.

    References
    ----------
    `sohldickstein2024` in docs/references.bib: the network of its six conditions.
    """

    widths: tuple[int, ...] = struct.field(pytree_node=False)
    nonlinearity: str = struct.field(pytree_node=False, default="tanh")

    @classmethod
    def create(cls, widths: tuple[int, ...], nonlinearity: str = "tanh") -> MeanFieldMLP:
        """Build the network after checking its arguments.

        Raises
        ------
        ValueError
            If a width is not a positive integer, fewer than two are given, or the non-linearity
            is unknown.
        """
        if nonlinearity not in _NONLINEARITIES:
            raise unknown_name("nonlinearity", nonlinearity, _NONLINEARITIES)
        if len(widths) < 2 or any(int(w) != w or w < 1 for w in widths):
            raise ValueError(f"widths={widths!r} must be two or more positive integers")
        return cls(tuple(int(w) for w in widths), nonlinearity)

    @property
    def defaults(self) -> dict[str, float]:
        """None: the forward pass has no hyperparameters."""
        return {}

    @property
    def nan_propagation(self) -> str:
        """``"any"``: each output is a sum over all inputs of its layer, and 0 times NaN is NaN."""
        return "any"

    @property
    def drive(self) -> str:
        """``"scan"``."""
        return "scan"

    @property
    def preferred_dtype(self) -> str:
        """``"float64"``."""
        return "float64"

    @property
    def stochastic(self) -> bool:
        """False."""
        return False

    @property
    def slaved_stats(self) -> bool:
        """True: there are none."""
        return True

    @property
    def groups(self) -> tuple[str, ...]:
        """The first layer, ``"in"``, and the last, ``"out"``."""
        return ("in", "out")

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Draw the weights in float64, one key a layer.

        Returns
        -------
        dict
            ``params``: a tuple of (fan-in, fan-out) arrays; ``stats``: empty.
        """
        keys = jax.random.split(key, len(self.widths) - 1)
        shapes = zip(self.widths[:-1], self.widths[1:], strict=True)
        weights = tuple(
            jax.random.normal(k, s, jnp.float64) for k, s in zip(keys, shapes, strict=True)
        )
        return {"params": weights, "stats": {}}

    def apply(
        self,
        params: Any,
        stats: Any,
        inputs: ArrayLike,
        hparams: Hparams,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Any]:
        """Return outputs (N, widths[-1]) for inputs (N, widths[0])."""
        x = jnp.asarray(inputs)
        *hidden, last = params
        for weights in hidden:
            x = self._activate(x @ weights / math.sqrt(weights.shape[0]))
        fan_in = math.sqrt(last.shape[0])
        return x @ last / fan_in / fan_in, stats

    def predict(self, params: Any, stats: Any, inputs: ArrayLike, hparams: Hparams) -> jax.Array:
        """Return the same outputs as `apply`: there is nothing that differs between the modes."""
        return self.apply(params, stats, inputs, hparams)[0]

    def layer_groups(self, params: Any) -> Any:
        """First layer ``"in"``, last layer ``"out"``, the others ``"hidden"``."""
        groups = ["hidden"] * len(params)
        groups[0], groups[-1] = "in", "out"
        return tuple(groups)

    def _activate(self, z: jax.Array) -> jax.Array:
        if self.nonlinearity == "tanh":
            return jnp.tanh(z * math.sqrt(2))
        if self.nonlinearity == "relu":
            return jax.nn.relu(z) * math.sqrt(2)
        return z
