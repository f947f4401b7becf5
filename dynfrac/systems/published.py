"""The random network and data of the published trainability fractals.

Sohl-Dickstein's six conditions (`sohldickstein2024` in docs/references.bib) train a small
mean-field network on Gaussian noise. Everything random comes from one chain of keys, reproduced
here so that sweeps agree with the published code cell by cell. They are jax's *partitionable*
threefry keys, the default since jax 0.5: agreement is with the published code under a current jax.
"""

from __future__ import annotations

import jax
import numpy as np
from jax.typing import ArrayLike

from dynfrac.systems.batches import Dataset
from dynfrac.systems.losses import draw_label_noise, mean_squared_error
from dynfrac.systems.models import MeanFieldMLP
from dynfrac.systems.numerics import precision
from dynfrac.systems.optimizers import make_optimizer
from dynfrac.systems.recipes import DRAWN, choose_batches, schedule_settings
from dynfrac.systems.training import TrainingMap


def published_map(
    *,
    width: int = 16,
    depth: int = 2,
    nonlinearity: str = "tanh",
    n_data: int | None = None,
    batch: int | None = None,
    largest_batch: int | None = None,
    n_steps: int = 500,
    n_epochs: int | None = None,
    optimizer: str = "sgd",
    lr: float = 1.0,
    label_noise: bool = False,
    seed: int | None = 0,
) -> TrainingMap:
    """Return the training map of the published network on its random data.

    Parameters
    ----------
    width : int, default 16
        Size of the input and of the hidden layers.
    depth : int, default 2
        Number of layers; the last has one output.
    nonlinearity : {"tanh", "relu", "identity"}
    n_data : int, optional
        Number of data points. Absent: the number of parameters (272 at width 16 and depth 2), or
        `width` for the identity.
    batch : int, optional
        Minibatch size; absent means all the data at every step. Examples are drawn with
        replacement.
    largest_batch : int, optional
        In place of `batch`: the hyperparameter ``batch_size`` says how many of so many examples
        count.
    n_steps : int, default 500
        Length of the minibatch stream, which is part of the recipe; unused without `batch`.
    n_epochs : int, optional
        The length in epochs, in place of `n_steps`.
    optimizer : str, default "sgd"
    lr : float, default 1.0
        Default learning rate.
    label_noise : bool, default False
        Whether the share of wrong targets is a hyperparameter, ``label_noise``.
    seed : int or None, default 0
        Of weights and data; the published value is 0. The minibatch stream keeps its own. None:
        ``seed`` is a hyperparameter, of the weights alone; the data are those of seed 0.

    Returns
    -------
    TrainingMap
        In float64, with mean squared error as loss.

    Raises
    ------
    ValueError
        If a size is not positive or a name is unknown.
    """
    if depth < 1 or width < 1:
        raise ValueError(f"width={width} and depth={depth} must both be at least 1")
    if n_data is not None and n_data < 1:
        raise ValueError(f"n_data={n_data} must be at least 1")
    model = MeanFieldMLP.create((width,) * depth + (1,), nonlinearity)
    n_parameters = width * width * (depth - 1) + width
    n = n_data or (width if nonlinearity == "identity" else n_parameters)
    if batch is not None and largest_batch is not None:
        raise ValueError("batch and largest_batch exclude each other; give one of them")
    with precision():
        key, _ = jax.random.split(jax.random.PRNGKey(seed or 0))
        variables = None if seed is None else model.init(_weight_key(seed))
        key, sub = jax.random.split(key)
        inputs = jax.random.normal(sub, (n, width), "float64")
        key, sub = jax.random.split(key)
        targets = jax.random.normal(sub, (n, 1), "float64")
        variables, data = jax.tree.map(np.asarray, (variables, Dataset(inputs, targets)))
    size = largest_batch if batch is None else batch
    rule = make_optimizer(optimizer)
    adjustable = largest_batch is not None
    batches = choose_batches(n, size, DRAWN, n_steps, n_epochs, adjustable=adjustable)
    return TrainingMap(
        model,
        rule,
        mean_squared_error,
        data,
        batches,
        variables,
        settings={"lr": float(lr), **schedule_settings(rule, n_steps)},
        noise=draw_label_noise(data) if label_noise else None,
        key_of=_weight_key,
    )


def _weight_key(seed: ArrayLike) -> jax.Array:
    """Return the key of the weights: the published code splits one off for them first."""
    return jax.random.split(jax.random.PRNGKey(seed))[1]
