"""Training as a map: one optimizer step takes weights, buffers and statistics to the next ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams, unknown_name
from dynfrac.systems.batches import AbstractBatches, Dataset, FullBatch
from dynfrac.systems.models import AbstractModel
from dynfrac.systems.optimizers import Optimizer


@final
class TrainingState(struct.PyTreeNode):
    """Everything the next training step needs.

    Attributes
    ----------
    params : pytree of float arrays
        Weights.
    opt_state : pytree
        Optimizer buffers; integer leaves are step counters.
    stats : pytree of float arrays
        Running statistics of BatchNorm layers. Training reads the statistics of the batch, never
        these, so they are slaved to the weights.
    """

    params: Any
    opt_state: Any
    stats: Any


@final
class TrainingMap(AbstractMap):
    """The training of a network, one step at a time.

    Attributes
    ----------
    model : AbstractModel
    optimizer : Optimizer
        From `make_optimizer`.
    loss : callable
        ``loss(outputs, targets) -> scalar``, a function of a module (it is part of the key of the
        compilation cache).
    data : Dataset
    batches : AbstractBatches
        `FullBatch`, or a fixed `MinibatchStream`.
    variables : dict, optional
        ``{"params": ..., "stats": ...}`` before scaling and offset. Drawn from `seed` when absent.
    seed : int, default 0
        Key of the initial weights; used only when `variables` is absent.
    settings : tuple of (str, float)
        Values that replace the defaults of this map's hyperparameters.

    Notes
    -----
    Hyperparameters, besides those of the optimizer and of the model's forward pass:

    ``lr``
        Learning rate of every layer (default 0.1).
    ``lr_in``, ``lr_out``
        Learning rates of the first and the last layer; not-a-number, their default, means `lr`.
    ``weight_offset``
        Added once to every parameter, at initialisation (default 0).
    ``input_offset_per_step``
        Added to the first layer's weights at *every* step before the gradient is taken; the loss
        is recorded at the shifted weights (default 0).
    ``init_scale``
        Factor on every initial parameter (default 1).

    The recorded loss (`observe`) is always that of all the data, whatever the batches are.
    """

    model: AbstractModel
    optimizer: Optimizer
    loss: Callable[[jax.Array, jax.Array], jax.Array] = struct.field(pytree_node=False)
    data: Dataset
    batches: AbstractBatches = struct.field(default_factory=FullBatch)
    variables: Any = None
    seed: int = struct.field(pytree_node=False, default=0)
    settings: tuple[tuple[str, float], ...] = struct.field(pytree_node=False, default=())

    # Not a field: the statistics never feed back, for any model.
    slaved = ("stats",)

    @property
    def defaults(self) -> dict[str, float]:
        """Every hyperparameter with its default; see the class notes."""
        values = {
            "lr": 0.1,
            "lr_in": float("nan"),
            "lr_out": float("nan"),
            "weight_offset": 0.0,
            "input_offset_per_step": 0.0,
            "init_scale": 1.0,
            **dict(self.optimizer.parameters),
            **self.model.defaults,
        }
        for name, value in self.settings:
            if name not in values:
                raise unknown_name("hyperparameter", name, values)
            values[name] = value
        return values

    @property
    def drive(self) -> str:
        """How a CPU should step this map: ``"scan"`` or ``"host"``, as the model says."""
        return self.model.drive

    @property
    def preferred_dtype(self) -> str:
        """Type to compute in unless asked otherwise, as the model says."""
        return self.model.preferred_dtype

    def init(self, hparams: Hparams) -> TrainingState:
        """Return scaled and shifted initial weights, fresh buffers and statistics."""
        variables = self.variables
        if variables is None:
            variables = self.model.init(jax.random.PRNGKey(self.seed))
        scale, offset = hparams["init_scale"], hparams["weight_offset"]
        params = jax.tree.map(lambda w: jnp.asarray(w) * scale + offset, variables["params"])
        stats = jax.tree.map(jnp.asarray, variables["stats"])
        return TrainingState(params, self.optimizer.transform(hparams).init(params), stats)

    def step(self, state: TrainingState, hparams: Hparams, t: ArrayLike) -> TrainingState:
        """Take one optimizer step on the examples of step `t`."""
        params = self._shift(state.params, hparams)
        batch = self.batches.select(self.data, t)
        gradient, stats = jax.grad(self._objective, has_aux=True)(
            params, state.stats, batch, hparams
        )
        transform = self.optimizer.transform(hparams)
        direction, opt_state = transform.update(gradient, state.opt_state, params)
        rates = self._rates(params, hparams)
        params = jax.tree.map(lambda w, r, d: w - r * d, params, rates, direction)
        return TrainingState(params, opt_state, stats)

    def observe(self, state: TrainingState, hparams: Hparams) -> jax.Array:
        """Return the loss over all the data at the (shifted) weights, before any update."""
        params = self._shift(state.params, hparams)
        return self._objective(params, state.stats, self.data, hparams)[0]

    def is_doomed(self, state: TrainingState) -> jax.Array:
        """Whether a weight is not-a-number and the model is known to pass that on for ever.

        Updates are added to the weights, and anything added to a not-a-number is one.
        """
        if not self.model.propagates_nan:
            return jnp.asarray(False)
        return jnp.any(jnp.stack([jnp.any(jnp.isnan(w)) for w in jax.tree.leaves(state.params)]))

    def stability_threshold(self, hparams: Hparams) -> float | None:
        """Largest stable sharpness: 2/lr for gradient descent, (2 + 2 m)/lr for heavy ball.

        Returns
        -------
        float or None
            None where no closed form applies: minibatches, other optimizers, or layers with
            different learning rates.
        """
        lr = float(hparams["lr"])
        groups = (float(hparams["lr_in"]), float(hparams["lr_out"]))
        if not isinstance(self.batches, FullBatch) or any(g == g and g != lr for g in groups):
            return None
        if self.optimizer.name == "sgd":
            return 2 / lr
        if self.optimizer.name == "momentum":
            return (2 + 2 * float(hparams["momentum"])) / lr
        return None

    def _objective(
        self, params: Any, stats: Any, batch: Dataset, hparams: Hparams
    ) -> tuple[jax.Array, Any]:
        outputs, stats = self.model.apply(params, stats, batch.inputs, hparams)
        return self.loss(outputs, jnp.asarray(batch.targets)), stats

    def _shift(self, params: Any, hparams: Hparams) -> Any:
        offset = hparams["input_offset_per_step"]
        groups = self.model.layer_groups(params)
        return jax.tree.map(lambda w, g: w + offset if g == "in" else w, params, groups)

    def _rates(self, params: Any, hparams: Hparams) -> Any:
        """Learning rate of every leaf of the parameters."""
        rates = {"hidden": hparams["lr"]}
        for group in ("in", "out"):
            own = hparams[f"lr_{group}"]
            rates[group] = jnp.where(jnp.isnan(own), hparams["lr"], own)
        return jax.tree.map(lambda g: rates[g], self.model.layer_groups(params))
