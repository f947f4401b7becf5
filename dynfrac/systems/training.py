"""Training as a map: one optimizer step takes weights, buffers and statistics to the next ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, final

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams, unknown_name
from dynfrac.systems.batches import AbstractBatches, Dataset, FullBatch, MinibatchStream
from dynfrac.systems.chains import PARTS
from dynfrac.systems.losses import LabelNoise, accuracy, first_rows, weighted_mean
from dynfrac.systems.models import AbstractModel
from dynfrac.systems.nodes import Node
from dynfrac.systems.numerics import DTYPES, cast_floats, is_inexact
from dynfrac.systems.optimizers import Optimizer


@final
class TrainingState(Node):
    """Everything the next training step needs.

    Attributes
    ----------
    params : pytree of float arrays
        Weights.
    opt_state : pytree
        Optimizer buffers; integer leaves are step counters.
    stats : pytree of float arrays
        Running statistics. Those of BatchNorm are slaved to the weights: training reads the
        statistics of the batch, never these.
    """

    params: Any
    opt_state: Any
    stats: Any


@final
class TrainingMap(AbstractMap):
    """The training of a network, one step at a time.

    `dynfrac.training_map` makes one from a network as people write it.

    Attributes
    ----------
    model : AbstractModel
    optimizer : Optimizer
        From `make_optimizer`.
    loss : callable
        ``loss(outputs, targets) -> scalar``, a mean over the examples and a function of a module
        (it is part of the key of the compilation cache).
    data : Dataset
        What the network is trained on.
    batches : AbstractBatches
        `FullBatch`, or a fixed `MinibatchStream`.
    variables : dict, optional
        ``{"params": ..., "stats": ...}`` before scaling and offset. Absent: drawn from the
        hyperparameter ``seed``.
    seed : int, default 0
        Default of the hyperparameter ``seed``, or key of the dropout masks if there is none.
    settings : dict of str to float
        Values that replace the defaults of this map's hyperparameters.
    test : Dataset, optional
        What test loss and accuracy are taken on.
    noise : LabelNoise, optional
        What wrong targets are taken from; brings the hyperparameter ``label_noise``.
    key_of : callable, default `jax.random.PRNGKey`
        ``key_of(seed)`` is the key of the initial weights.

    Notes
    -----
    Hyperparameters, besides those of the optimizer and of the model's forward pass:

    ``lr``
        Learning rate of every layer (default 0.1).
    ``lr_NAME``
        Learning rate of a layer group of the model, such as ``lr_in`` and ``lr_out``; not-a-number,
        the default, means `lr`.
    ``weight_offset``
        Added once to every parameter, at initialisation (default 0).
    ``input_offset_per_step``
        Added to the first layer's weights (group ``in``) at *every* step before the gradient is
        taken; the loss is recorded at the shifted weights (default 0).
    ``init_scale``
        Factor on every initial parameter (default 1).
    ``seed``
        Of the initial weights and of dropout; only where `variables` is absent.
    ``label_noise``
        Share of the training examples whose target is another example's (default 0).
    ``batch_size``
        How many examples of each minibatch count; only with an adjustable stream (default all).

    The recorded loss (`observe`) is always that of all the training data, whatever the batches are,
    in training mode: BatchNorm uses the statistics of these data. A model with dropout is observed
    in evaluation mode instead, without dropout and with running statistics. Test loss and accuracy
    (`metrics`) are taken in evaluation mode.

    In bfloat16 the state is bfloat16 and the hyperparameters are float32; a step computes its
    update in the wider type and rounds it to the state's.
    """

    model: AbstractModel
    optimizer: Optimizer
    loss: Callable[[jax.Array, jax.Array], jax.Array] = struct.field(pytree_node=False)
    data: Dataset
    batches: AbstractBatches = struct.field(default_factory=FullBatch)
    variables: Any = None
    seed: Any = 0
    settings: Any = struct.field(default_factory=dict)
    test: Dataset | None = None
    noise: LabelNoise | None = None
    key_of: Callable[[Any], jax.Array] = struct.field(
        pytree_node=False, default_factory=lambda: jax.random.PRNGKey
    )

    @property
    def defaults(self) -> dict[str, float]:
        """Every hyperparameter with its default; see the class notes."""
        groups, largest = self.model.groups, self._largest_batch
        values = {
            "lr": 0.1,
            **{f"lr_{group}": float("nan") for group in groups},
            "weight_offset": 0.0,
            **({"input_offset_per_step": 0.0} if "in" in groups else {}),
            "init_scale": 1.0,
            **({"seed": float(self.seed)} if self.variables is None else {}),
            **({"label_noise": 0.0} if self.noise is not None else {}),
            **({} if largest is None else {"batch_size": float(largest)}),
        }
        for owner, names in (
            ("optimizer", dict(self.optimizer.parameters)),
            ("network", self.model.defaults),
        ):
            for name, value in names.items():
                if name in values:
                    raise ValueError(
                        f"the {owner} has a hyperparameter {name!r}, which is taken; rename it"
                    )
                values[name] = value
        for name, value in self.settings.items():
            if name not in values:
                raise unknown_name("hyperparameter", name, values)
            values[name] = float(value)
        return values

    @property
    def slaved(self) -> tuple[str, ...]:
        """The statistics, if they never feed back."""
        return ("stats",) if self.model.slaved_stats else ()

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Types it can be computed in: all, or those that the model says."""
        return getattr(self.model, "dtypes", (*DTYPES, "bfloat16"))

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
            variables = self.model.init(self._seed_key(hparams))
            # Cast and fenced off, so that they have the bits of weights that were drawn beforehand.
            real = jnp.result_type(self.data.inputs)
            if jnp.issubdtype(real, jnp.floating):
                variables = cast_floats(variables, real)
            variables = jax.lax.optimization_barrier(variables)
        scale, offset = hparams["init_scale"], hparams["weight_offset"]
        params = jax.tree.map(lambda w: jnp.asarray(w) * scale + offset, variables["params"])
        stats = jax.tree.map(jnp.asarray, variables["stats"])
        # In the type of the weights: a counter or buffer made in a wider one would not be kept.
        return TrainingState(params, self.optimizer.transform(hparams).init(params), stats)

    def step(self, state: TrainingState, hparams: Hparams, t: ArrayLike) -> TrainingState:
        """Take one optimizer step on the examples of step `t`."""
        params = self._shift(state.params, hparams)
        batch, noise = self.batches.select((self.data, self.noise), t)
        batch = _with_noise(batch, noise, hparams)
        if self._largest_batch is not None:
            batch = first_rows(batch, hparams["batch_size"])
        key = jax.random.fold_in(self._seed_key(hparams), t) if self.model.stochastic else None
        gradient, stats = jax.grad(self._objective, has_aux=True)(
            params, state.stats, batch, hparams, key, weighted=self._largest_batch is not None
        )
        transform = self.optimizer.transform(hparams)
        update, opt_state = transform.update(gradient, state.opt_state, params)
        params = self._move(params, update, hparams)
        return _like(state, TrainingState(params, opt_state, stats))

    def observe(self, state: TrainingState, hparams: Hparams) -> jax.Array:
        """Return the loss over all the data at the (shifted) weights, before any update."""
        params = self._shift(state.params, hparams)
        data = _with_noise(self.data, self.noise, hparams)
        if self.model.stochastic:
            return self._predicted_loss(params, state.stats, data, hparams)
        return self._objective(params, state.stats, data, hparams, None)[0]

    def metrics(self, state: TrainingState, hparams: Hparams) -> dict[str, jax.Array]:
        """Return what may be recorded besides the loss, at the (shifted) weights.

        Returns
        -------
        dict
            ``test_loss`` if there are test data; for classes also ``accuracy``, the share of the
            test data (or without them of the training data) that is classified rightly, and
            ``train_accuracy``. Not-a-number where outputs are not finite.
        """
        params = self._shift(state.params, hparams)
        classes = jnp.issubdtype(jnp.result_type(self.data.targets), jnp.integer)
        values: dict[str, jax.Array] = {}
        if self.test is not None:
            outputs = self._predict(params, state.stats, self.test, hparams)
            targets = jnp.asarray(self.test.targets)
            values["test_loss"] = self.loss(outputs, targets)
            if classes:
                values["accuracy"] = accuracy(outputs, targets)
        if classes:
            data = _with_noise(self.data, self.noise, hparams)
            outputs = self._predict(params, state.stats, data, hparams)
            values["train_accuracy"] = accuracy(outputs, jnp.asarray(data.targets))
            values.setdefault("accuracy", values["train_accuracy"])
        return values

    def is_doomed(self, state: TrainingState) -> jax.Array:
        """Whether weights are not-a-number and the model is known to pass that on for ever.

        Updates are added to the weights, and anything added to a not-a-number is one.
        """
        reach = self.model.nan_propagation
        if reach == "unknown":
            return jnp.asarray(False)
        within = jnp.any if reach == "any" else jnp.all
        spoilt = jnp.stack([within(jnp.isnan(w)) for w in jax.tree.leaves(state.params)])
        return within(spoilt)

    def stability_threshold(self, hparams: Hparams) -> float | None:
        """Largest stable sharpness: 2/lr for gradient descent, (2 + 2 m)/lr for heavy ball.

        Returns
        -------
        float or None
            None where no closed form applies: minibatches, dropout, other optimizers, or layers
            with different learning rates.
        """
        lr = float(hparams["lr"])
        rates = (float(hparams[f"lr_{group}"]) for group in self.model.groups)
        full = isinstance(self.batches, FullBatch) and not self.model.stochastic
        if not full or any(rate == rate and rate != lr for rate in rates):
            return None
        if self.optimizer.name == "sgd":
            return 2 / lr
        if self.optimizer.name == "momentum":
            return (2 + 2 * float(hparams["momentum"])) / lr
        return None

    def exponent_sum(self, hparams: Hparams) -> float | None:
        """Sum of all Lyapunov exponents: P ln(momentum) for heavy ball with P weights, on any loss.

        The step shears twice and scales the buffer, so its determinant is momentum^P whatever the
        gradient is; learning rates of layers, minibatches and schedules change nothing. None where
        the determinant is no constant.
        """
        parts = self.optimizer.name.split("+")
        # Before the rule a part changes what is added to the buffer; after it, what is moved.
        after = parts[parts.index("momentum") + 1 :] if "momentum" in parts else parts
        if any(part not in PARTS or PARTS[part].kind != "schedule" for part in after):
            return None
        if "momentum" not in parts or not self.model.slaved_stats:
            return None
        weights = jax.tree.leaves(jax.eval_shape(self.init, hparams).params)
        count = sum(
            w.size * (2 if jnp.issubdtype(w.dtype, jnp.complexfloating) else 1)
            for w in weights
            if is_inexact(w)
        )
        momentum = abs(float(hparams["momentum"]))
        return count * math.log(momentum) if momentum else -math.inf

    @property
    def _largest_batch(self) -> int | None:
        """Examples of a minibatch of which only the first `batch_size` count, else None."""
        if isinstance(self.batches, MinibatchStream) and self.batches.adjustable:
            return self.batches.indices.shape[1]
        return None

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and largest value of the hyperparameters that have them."""
        largest = self._largest_batch
        return {
            **({} if self.noise is None else {"label_noise": (0.0, 1.0)}),
            **({} if largest is None else {"batch_size": (1.0, float(largest))}),
        }

    def _seed_key(self, hparams: Hparams) -> jax.Array:
        """Return the key of weights and dropout."""
        seed = self.seed if self.variables is not None else hparams["seed"]
        return self.key_of(jnp.asarray(seed, jnp.int32))

    def _objective(
        self,
        params: Any,
        stats: Any,
        batch: Dataset,
        hparams: Hparams,
        key: jax.Array | None,
        weighted: bool = False,
    ) -> tuple[jax.Array, Any]:
        """Return the loss in training mode, and the new statistics."""
        inner = _forward_hparams(hparams, params)
        outputs, stats = self.model.apply(params, stats, batch.inputs, inner, key)
        outputs, targets = _at_least_float32(outputs), jnp.asarray(batch.targets)
        if weighted:
            return weighted_mean(self.loss, outputs, targets, hparams["batch_size"]), stats
        return self.loss(outputs, targets), stats

    def _predict(self, params: Any, stats: Any, data: Dataset, hparams: Hparams) -> jax.Array:
        inner = _forward_hparams(hparams, params)
        return _at_least_float32(self.model.predict(params, stats, data.inputs, inner))

    def _predicted_loss(
        self, params: Any, stats: Any, data: Dataset, hparams: Hparams
    ) -> jax.Array:
        return self.loss(self._predict(params, stats, data, hparams), jnp.asarray(data.targets))

    def _shift(self, params: Any, hparams: Hparams) -> Any:
        if "in" not in self.model.groups:
            return params
        offset = hparams["input_offset_per_step"]
        groups = self.model.layer_groups(params)
        return jax.tree.map(
            lambda w, g: (w + offset).astype(w.dtype) if g == "in" else w, params, groups
        )

    def _move(self, params: Any, update: Any, hparams: Hparams) -> Any:
        """Apply an update, or a direction times the learning rate of each layer group."""
        groups = self.model.layer_groups(params)
        if self.optimizer.includes_rate:
            factors = {g: self._factor(g, hparams) for g in self.model.groups}
            update = jax.tree.map(lambda u, g: u * factors.get(g, 1.0), update, groups)
            return optax.apply_updates(params, update)
        rates = {g: self._rate(g, hparams) for g in self.model.groups}
        return jax.tree.map(
            lambda w, d, g: w - rates.get(g, hparams["lr"]) * d, params, update, groups
        )

    def _rate(self, group: str, hparams: Hparams) -> jax.Array:
        own = hparams[f"lr_{group}"]
        return jnp.where(jnp.isnan(own), hparams["lr"], own)

    def _factor(self, group: str, hparams: Hparams) -> jax.Array:
        """Return what an update that contains `lr` is multiplied by; at lr = 0 nothing moves."""
        own, lr = hparams[f"lr_{group}"], hparams["lr"]
        follows = jnp.isnan(own) | (lr == 0)
        return jnp.where(follows, 1.0, own / jnp.where(follows, 1.0, lr))


def _with_noise(data: Dataset, noise: LabelNoise | None, hparams: Hparams) -> Dataset:
    return data if noise is None else noise.applied(data, hparams["label_noise"])


def _forward_hparams(hparams: Hparams, params: Any) -> Hparams:
    """Bring hyperparameters to the type of the weights: no layer mixes two float types."""
    real = jnp.result_type(*(w for w in jax.tree.leaves(params) if jnp.isrealobj(w)))
    return hparams if real != jnp.bfloat16 else cast_floats(dict(hparams), real)


def _at_least_float32(outputs: jax.Array) -> jax.Array:
    """Losses of bfloat16 networks are computed in float32, as usual in mixed precision."""
    return outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32))


def _like(old: TrainingState, new: TrainingState) -> TrainingState:
    """Round the floats of a state to their types before; other differences are left to be found."""
    if jax.tree.structure(old) != jax.tree.structure(new):
        return new

    def rounded(before: Any, after: Any) -> Any:
        if is_inexact(before) and is_inexact(after):
            return jnp.asarray(after).astype(jnp.result_type(before))
        return after

    return jax.tree.map(rounded, old, new)
