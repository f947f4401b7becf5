"""The one place where a network, data and an optimizer become a map."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from dynfrac.systems.abstract import unknown_name
from dynfrac.systems.adaptation import Misfit, adapt_network, check_fit
from dynfrac.systems.batches import (
    ORDERS,
    AbstractBatches,
    Dataset,
    FullBatch,
    epoch_stream,
    minibatch_stream,
)
from dynfrac.systems.datasets import SOURCES, TrainingData, flatten, load_data
from dynfrac.systems.factories import check_arguments
from dynfrac.systems.importing import import_callable, is_import_path
from dynfrac.systems.losses import LOSSES, Loss, cross_entropy, draw_label_noise, mean_squared_error
from dynfrac.systems.models import AbstractModel
from dynfrac.systems.numerics import precision
from dynfrac.systems.optimizers import Optimizer, make_optimizer
from dynfrac.systems.training import TrainingMap

N_EXAMPLES = 256
"""Examples of a named source, for training and for testing, unless told how many."""

# A window of text is 32 examples in one.
_USUAL = {"text": 64}

SCHEDULE_STEPS = "schedule_steps"
"""The hyperparameter of the schedules that fall until the end of the run."""

DRAWN = "drawn"
"""The order of minibatches that are drawn with replacement, as in the published code."""


def training_map(
    network: Any,
    data: str | TrainingData | Dataset | tuple[Any, Any] = "mini",
    *,
    optimizer: str | Optimizer = "sgd",
    loss: str | Loss | None = None,
    batch: int | None = None,
    largest_batch: int | None = None,
    order: str = "reshuffled",
    n_steps: int = 500,
    n_epochs: int | None = None,
    n_data: int | None = None,
    n_test: int | None = None,
    image_size: int | None = None,
    flat: bool | None = None,
    groups: Mapping[str, Any] | str | None = None,
    label_noise: bool = False,
    lr: float | None = None,
    seed: int | None = 0,
    settings: Mapping[str, float] | None = None,
) -> TrainingMap:
    """Return the training of a network as a map.

    Parameters
    ----------
    network : flax module, pair of parameters and function, or AbstractModel
        A linen module; an nnx module, or a class of them that takes ``rngs``; a pair ``(params,
        apply)`` with ``apply(params, inputs) -> outputs``, or ``(init, apply)`` with ``init(key) ->
        params``. Arguments of the call named ``train`` or ``deterministic`` are set for training
        and evaluation; those with a float default become hyperparameters.
    data : str, TrainingData, Dataset or (inputs, targets)
        Name of a source (`dynfrac list data`), path of an ``.npz`` file, or the data themselves.
        Integer targets are classes, float targets are regressed on. Arrays are taken as they are:
        nothing is scaled, as images of a file are.
    optimizer : str or Optimizer
        Parts joined by ``+``, such as ``"clip+adam+warmup"``, or ``package.module:factory``.
    loss : str or callable, optional
        ``"cross-entropy"`` (the default for classes), ``"mse"`` (the default otherwise),
        ``package.module:function``, or a function of outputs and targets that is a mean over the
        examples.
    batch : int, optional
        Examples a step; absent means all the data at every step: gradient descent.
    largest_batch : int, optional
        In place of `batch`: so many examples are drawn for each step, and the hyperparameter
        ``batch_size`` says how many of them count.
    order : {"reshuffled", "fixed", "sequential", "drawn"}
        Of the minibatches: epochs in a new order each, in the same random order, in the order of
        the data, or draws with replacement. It is fixed by a seed of its own, the same for all.
    n_steps : int, default 500
        Length of the run that is planned: of the minibatch stream, which a longer run repeats, and
        the default of ``schedule_steps``.
    n_epochs : int, optional
        The length in epochs, in place of `n_steps`.
    n_data, n_test : int, optional
        Examples to train and to test on, the first of the source. Absent: 256 each of a named
        source (64 windows of ``text``), all of a file.
    image_size : int, optional
        Side of the images of the sources ``mini`` and ``mnist``.
    flat : bool, optional
        Whether inputs are rows of numbers. Absent: images as they are, and rows if the network
        does not take them.
    groups : mapping, optional
        Layer groups with learning rates of their own, ``lr_NAME``: name -> path of the parameters,
        or several, such as ``{"in": "Dense_0"}``; or as text, ``"in:Dense_0,out:Dense_2"``.
    label_noise : bool, default False
        Whether the share of wrong targets is a hyperparameter, ``label_noise``. It is asked for
        because choosing the targets changes how the loss is compiled, and with it the last bits.
    lr : float, optional
        Default learning rate; the optimizer's, else 0.1.
    seed : int or None, default 0
        Of the initial weights and of dropout. None: ``seed`` is a hyperparameter.
    settings : mapping, optional
        Other defaults of hyperparameters.

    Returns
    -------
    TrainingMap

    Raises
    ------
    ValueError
        In one sentence, for whatever does not fit, before anything is trained.

    Examples
    --------
    >>> from flax import linen as nn
    >>> map_ = training_map(nn.Dense(10), optimizer="momentum", n_data=32, flat=True)
    >>> map_.defaults["momentum"]
    0.9
    """
    given = {name: value for name, value in locals().items() if name in TRAINING_ARGUMENTS}
    check_arguments("training_map", training_map, given)
    if batch is not None and largest_batch is not None:
        raise ValueError("batch and largest_batch exclude each other; give one of them")
    if n_steps < 1:
        raise ValueError(f"n_steps={n_steps} must be at least 1")
    rule = make_optimizer(optimizer) if isinstance(optimizer, str) else optimizer
    width = largest_batch if batch is None else batch
    source = _source(data, n_data, n_test, image_size)
    measure = choose_loss(loss, source.n_classes)
    with precision():
        model, source = _fit(network, source, flat, measure, _read_groups(groups))
        batches = choose_batches(
            source.train.size,
            width,
            order,
            n_steps,
            n_epochs,
            adjustable=largest_batch is not None,
        )
        inputs = source.train.inputs
        model = _for_batches(model, (width or source.train.size, *np.shape(inputs)[1:]))
        variables = _draw(model, seed)
        if largest_batch is not None and jax.tree.leaves(jax.eval_shape(model.init, _KEY)["stats"]):
            raise ValueError(
                "largest_batch needs a network without BatchNorm, whose statistics would be those "
                "of the whole batch; give batch"
            )
    rate = lr if lr is not None else rule.rate
    length = n_steps if n_epochs is None else n_epochs * batches.epoch_steps
    chosen = {
        **({} if rate is None else {"lr": float(rate)}),
        **schedule_settings(rule, length),
        **(settings or {}),
    }
    made = TrainingMap(
        model,
        rule,
        measure,
        source.train,
        batches,
        variables,
        seed=seed or 0,
        settings={name: float(value) for name, value in chosen.items()},
        test=source.test,
        noise=draw_label_noise(source.train) if label_noise else None,
    )
    made.defaults  # noqa: B018 - refuses settings that are no hyperparameters
    return made


TRAINING_ARGUMENTS = {
    name: parameter.default
    for name, parameter in inspect.signature(training_map).parameters.items()
    if name not in ("network", "settings")
}
"""Arguments of `training_map` that a user's own network is given with."""

TRAINING_MEANINGS: Mapping[str, str] = {
    "data": "what is trained on: a name, or FILE.npz (also --data)",
    "optimizer": "parts joined by +, or package.module:factory (also --optimizer)",
    "loss": "cross-entropy, mse, or package.module:function (also --loss)",
    "batch": "examples a step; absent: all of them, gradient descent (also --batch)",
    "largest_batch": "in place of batch: makes batch_size a hyperparameter up to this number",
    "order": "of the minibatches: reshuffled, fixed, sequential or drawn (with replacement)",
    "n_steps": "length of minibatch stream and schedule; the command's --steps unless given",
    "n_epochs": "the length in epochs; the command's --epochs unless given",
    "n_data": "examples to train on, the first of the data; 256 of a named source",
    "n_test": "examples to test on; 256 of a named source",
    "image_size": "side of the digits in pixels, for the data mini and mnist",
    "flat": "whether inputs are rows; absent: images, or rows if the network takes only those",
    "groups": "layer groups with learning rates lr_NAME, as in in:Dense_0,out:Dense_2",
    "label_noise": "whether the share of wrong targets is a hyperparameter",
    "lr": "default learning rate",
    "seed": "of the initial weights and of dropout; none: a hyperparameter",
}
"""What the arguments of a training mean, one line each."""

_KEY = jax.eval_shape(lambda: jax.random.PRNGKey(0))


def schedule_settings(optimizer: Optimizer, n_steps: int) -> dict[str, float]:
    """Return the defaults that make a schedule as long as the run."""
    names = dict(optimizer.parameters)
    return {SCHEDULE_STEPS: float(n_steps)} if SCHEDULE_STEPS in names else {}


def choose_loss(loss: str | Loss | None, n_classes: int | None) -> Loss:
    """Return a loss by name or import path, or the usual one for the targets."""
    if loss is None:
        return mean_squared_error if n_classes is None else cross_entropy
    if not isinstance(loss, str):
        return loss
    if is_import_path(loss):
        return import_callable(loss)
    if loss not in LOSSES:
        raise unknown_name("loss", loss, LOSSES)
    return LOSSES[loss]


def choose_batches(
    n_data: int,
    batch: int | None,
    order: str,
    n_steps: int,
    n_epochs: int | None = None,
    *,
    adjustable: bool = False,
) -> AbstractBatches:
    """Return the batches of `training_map`: a stream that is long enough, or all the data."""
    orders = (*ORDERS, DRAWN)
    if order not in orders:
        raise unknown_name("order", order, orders)
    if batch is None:
        return FullBatch()
    if order == DRAWN:
        if n_epochs is not None:
            n_steps = n_epochs * -(-n_data // max(1, batch))
        return minibatch_stream(n_data, batch, n_steps, adjustable=adjustable)
    if n_epochs is None:
        n_epochs = -(-n_steps // max(1, n_data // max(1, batch)))
    return epoch_stream(n_data, batch, n_epochs, order=order, adjustable=adjustable)


def choose_sizes(
    source: str, n_data: int | None, n_test: int | None
) -> tuple[int | None, int | None]:
    """Return how many examples are taken of a source: of a named one `N_EXAMPLES` unless told."""
    usual = _USUAL.get(source, N_EXAMPLES) if source in SOURCES else None
    return usual if n_data is None else n_data, usual if n_test is None else n_test


def _source(
    data: Any, n_data: int | None, n_test: int | None, image_size: int | None
) -> TrainingData:
    """Load or wrap the data."""
    if isinstance(data, str):
        n_data, n_test = choose_sizes(data, n_data, n_test)
        return load_data(data, n_data=n_data, n_test=n_test, image_size=image_size)
    if any(number is not None for number in (n_data, n_test, image_size)):
        raise ValueError(
            "n_data, n_test and image_size choose from a named source; cut the arrays instead"
        )
    if isinstance(data, TrainingData):
        return data
    pair = isinstance(data, tuple | list) and len(data) == 2
    if not pair and not isinstance(data, Dataset):
        raise ValueError("data are no pair (inputs, targets); give two arrays, or a name")
    train = data if isinstance(data, Dataset) else Dataset(*map(np.asarray, data))
    if not train.size:
        raise ValueError("data hold no example; give at least one")
    classes = np.issubdtype(np.asarray(train.targets).dtype, np.integer)
    return TrainingData("own", train, None, int(np.max(train.targets)) + 1 if classes else None)


def _for_batches(model: AbstractModel, shape: tuple[int, ...]) -> AbstractModel:
    """Let a model that wants to know choose its form by the inputs of a step."""
    choose = getattr(model, "for_batches", None)
    return model if choose is None else choose(shape)


def _fit(
    network: Any,
    source: TrainingData,
    flat: bool | None,
    loss: Loss,
    groups: Mapping[str, Any] | None,
) -> tuple[AbstractModel, TrainingData]:
    """Adapt the network to the data, as they are or as rows."""

    def adapt(source: TrainingData) -> AbstractModel:
        if isinstance(network, AbstractModel):
            if groups:
                raise ValueError("groups are for networks that are adapted; a model has its own")
            check_fit(network, type(network).__name__, source.train, source.n_classes, loss)
            return network
        return adapt_network(
            network, source.train, n_classes=source.n_classes, loss=loss, groups=groups
        )

    rows = flatten(source)
    if flat is not None or np.ndim(source.train.inputs) <= 2:
        source = rows if flat else source
        return adapt(source), source
    try:
        return adapt(source), source
    except ValueError as refusal:
        try:
            return adapt(rows), rows
        except Misfit as other:
            # Rows went through, which says more about the network than images that did not.
            raise (refusal if isinstance(refusal, Misfit) else other) from None
        except ValueError:
            raise refusal from None


def _read_groups(groups: Mapping[str, Any] | str | None) -> Mapping[str, Any] | None:
    """Read layer groups from their text form."""
    if not isinstance(groups, str):
        return groups
    pairs = [entry.partition(":") for entry in groups.split(",")]
    if not all(name and colon and path for name, colon, path in pairs):
        raise ValueError(f"groups={groups!r} is not understood; write NAME:PATH,NAME:PATH")
    read: dict[str, tuple[str, ...]] = {}
    for name, _, path in pairs:
        read[name] = (*read.get(name, ()), path)
    return read


def _draw(model: AbstractModel, seed: int | None) -> Any:
    """Draw the weights once, so that every run of the map starts from the same bits."""
    if seed is not None:
        return jax.tree.map(np.asarray, draw_variables(model, seed))
    if getattr(model, "given", None) is not None:
        raise ValueError(
            "seed cannot be a hyperparameter of a network that comes with its weights; give a "
            "class that takes rngs, or a function init(key)"
        )
    return None


@jax.jit
def draw_variables(model: AbstractModel, seed: Any) -> Any:
    """Draw weights and statistics; compiled once for all seeds of a model."""
    return model.init(jax.random.PRNGKey(seed))
