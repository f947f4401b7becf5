"""Training maps of networks that classify the embedded digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dynfrac.systems.abstract import unknown_name
from dynfrac.systems.batches import AbstractBatches, Dataset, FullBatch, minibatch_stream
from dynfrac.systems.digits import COUNTS, LARGEST, load_digits
from dynfrac.systems.losses import cross_entropy, mean_squared_error
from dynfrac.systems.models import AbstractModel, MeanFieldMLP
from dynfrac.systems.numerics import precision
from dynfrac.systems.optimizers import make_optimizer
from dynfrac.systems.resnets import SMALLEST_IMAGE, ResNet
from dynfrac.systems.training import TrainingMap

N_CLASSES = 10
TASKS = ("digit", "parity")
RESNET_DATA = 32


def mlp_classifier(
    *,
    width: int = 16,
    depth: int = 2,
    nonlinearity: str = "tanh",
    task: str = "digit",
    image_size: int = 8,
    n_data: int = 256,
    batch: int | None = None,
    n_steps: int = 500,
    optimizer: str = "sgd",
    lr: float = 1.0,
    seed: int = 0,
) -> TrainingMap:
    """Return the training map of a mean-field perceptron on pooled digits.

    Parameters
    ----------
    width : int, default 16
        Size of the hidden layers.
    depth : int, default 2
        Number of layers.
    nonlinearity : {"tanh", "relu", "identity"}
    task : {"digit", "parity"}
        Tell the ten digits apart by cross-entropy over ten outputs, or odd from even ones by the
        mean squared error of one output with targets +1 and -1.
    image_size : int, default 8
        Side of the images in pixels, 1 to 64.
    n_data : int, default 256
        The first `n_data` of the embedded training images, at most 4096.
    batch : int, optional
        Minibatch size; absent means all the data at every step: gradient descent.
    n_steps : int, default 500
        Length of the minibatch stream, which is part of the recipe; unused without `batch`.
    optimizer : str, default "sgd"
    lr : float, default 1.0
        Default learning rate. In the mean-field parametrisation useful ones grow with the width.
    seed : int, default 0
        Of the weights; the order of minibatches is the same for all seeds.

    Returns
    -------
    TrainingMap

    Raises
    ------
    ValueError
        If a size is out of range or a name is unknown.
    """
    if depth < 1 or width < 1:
        raise ValueError(f"width={width} and depth={depth} must both be at least 1")
    if task not in TASKS:
        raise unknown_name("task", task, TASKS)
    parity = task == "parity"
    images, labels = _digits(n_data, image_size)
    images = images.reshape(n_data, -1)
    targets = np.where(labels % 2, 1.0, -1.0)[:, None] if parity else labels
    widths = (images.shape[1], *(width,) * (depth - 1), 1 if parity else N_CLASSES)
    model = MeanFieldMLP.create(widths, nonlinearity)
    loss = mean_squared_error if parity else cross_entropy
    return _training(model, loss, Dataset(images, targets), batch, n_steps, optimizer, lr, seed)


def resnet_classifier(
    depth: int,
    skip: float,
    *,
    width: float = 1.0,
    image_size: int = 28,
    batch_norm: bool = True,
    n_data: int | None = None,
    batch: int | None = None,
    n_steps: int = 500,
    optimizer: str = "sgd",
    lr: float = 0.1,
    seed: int = 0,
) -> TrainingMap:
    """Return the training map of a residual network, or of its plain twin, on digits.

    Parameters
    ----------
    depth : int
        Number of layers with weights, 6n + 2: 8, 14, 20, 26, 32, ...
    skip : float
        Default of the hyperparameter `skip`: 1 for the residual network, 0 for the plain one.
    width : float, default 1.0
        Factor on the 16, 32 and 64 channels of the three stages.
    image_size : int, default 28
        Side of the images in pixels, 5 to 64.
    batch_norm : bool, default True
        Whether BatchNorm follows every convolution.
    n_data : int, optional
        The first `n_data` of the embedded training images, at most 4096. Absent: `batch` of them,
        or 32 without a batch.
    batch : int, optional
        Images a step. Absent, or given without `n_data`: all the data at every step, which is
        gradient descent.
    n_steps : int, default 500
        Length of the minibatch stream, which is part of the recipe; unused without `batch`.
    optimizer : str, default "sgd"
    lr : float, default 0.1
        Default learning rate.
    seed : int, default 0
        Of the weights; the order of minibatches is the same for all seeds.

    Returns
    -------
    TrainingMap
        With cross-entropy over the ten digits as loss.

    Raises
    ------
    ValueError
        If the depth is not of the form 6n + 2, a size is out of range or a name is unknown.
    """
    model = ResNet.create(depth, width=width, batch_norm=batch_norm, n_classes=N_CLASSES)
    if image_size < SMALLEST_IMAGE:
        raise ValueError(
            f"image_size={image_size} is too small for three stages of 3 x 3 convolutions; pass at "
            f"least {SMALLEST_IMAGE}"
        )
    if n_data is None:
        n_data, batch = batch or RESNET_DATA, None
    images, labels = _digits(n_data, image_size)
    data = Dataset(images[..., None], labels)
    return _training(model, cross_entropy, data, batch, n_steps, optimizer, lr, seed, skip=skip)


def _digits(n_data: int, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first images (n_data, side, side) and labels, or name the argument at fault."""
    largest = COUNTS["train"]
    if not 1 <= n_data <= largest:
        raise ValueError(
            f"n_data={n_data} is not between 1 and the {largest} embedded training images"
        )
    if not 1 <= image_size <= LARGEST:
        raise ValueError(f"image_size={image_size} is not between 1 and {LARGEST} pixels")
    return load_digits(n_data, size=image_size)


def _training(
    model: AbstractModel,
    loss: Callable[[jax.Array, jax.Array], jax.Array],
    data: Dataset,
    batch: int | None,
    n_steps: int,
    optimizer: str,
    lr: float,
    seed: int,
    **settings: float,
) -> TrainingMap:
    """Draw the weights once, so that every run of the map starts from the same bits."""
    rule = make_optimizer(optimizer)
    batches: AbstractBatches = (
        FullBatch() if batch is None else minibatch_stream(data.size, batch, n_steps)
    )
    with precision():
        variables = jax.tree.map(np.asarray, _initial_variables(model, seed))
    defaults = (("lr", lr), *settings.items())
    return TrainingMap(model, rule, loss, data, batches, variables, settings=defaults)


@jax.jit
def _initial_variables(model: AbstractModel, seed: Any) -> Any:
    """Draw weights and statistics; compiled once for all seeds of a model."""
    return model.init(jax.random.PRNGKey(seed))
