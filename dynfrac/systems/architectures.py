"""The table of built-in networks: what builds each of them, for which data, with which defaults.

A network is built for its data (sizes of inputs, number of classes) and then becomes a map like a
user's own: every argument of `training_map` is theirs, too.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np

from dynfrac.systems.abstract import unknown_name
from dynfrac.systems.batches import Dataset
from dynfrac.systems.datasets import TrainingData
from dynfrac.systems.models import MeanFieldMLP
from dynfrac.systems.networks import ConvNet, LinearNetwork, Perceptron, Transformer
from dynfrac.systems.resnets import SMALLEST_IMAGE, ResNet, nearest_depth

TASKS = ("digit", "parity")


@final
@dataclasses.dataclass(frozen=True)
class Architecture:
    """One entry of the table.

    Attributes
    ----------
    build : callable
        ``build(data, **arguments)`` returns a network, or a network and other data.
    description : str
        One line.
    training : mapping
        Defaults of arguments of `training_map` where they are not that function's.
    groups : mapping or None
        Layer groups with learning rates of their own, for networks that are adapted.
    settings : mapping
        Defaults of hyperparameters.
    few : int or None
        How many examples are trained on, all at once, where `n_data` is not given; `batch` alone
        then says how many. None: the rule of `training_map`.
    """

    build: Callable[..., Any]
    description: str
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    groups: Mapping[str, str] | None = None
    settings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    few: int | None = None


def mean_field_network(
    data: TrainingData,
    /,
    *,
    width: int = 16,
    depth: int = 2,
    nonlinearity: str = "tanh",
    task: str = "digit",
) -> Any:
    """Build a mean-field perceptron on flattened inputs.

    Parameters
    ----------
    data : TrainingData
    width : int, default 16
        Size of the hidden layers.
    depth : int, default 2
        Number of layers.
    nonlinearity : {"tanh", "relu", "identity"}
    task : {"digit", "parity"}
        Tell the classes apart by cross-entropy, or odd from even ones by the mean squared error of
        one output with targets +1 and -1.
    """
    _check_sizes(width=width, depth=depth)
    if task not in TASKS:
        raise unknown_name("task", task, TASKS)
    if task == "parity":
        if data.n_classes is None:
            raise ValueError(f"task='parity' needs classes, and {data.name} has none; drop it")
        test = None if data.test is None else _as_parity(data.test)
        data = TrainingData(data.name, _as_parity(data.train), test, None)
    widths = (_n_inputs(data), *(width,) * (depth - 1), _n_outputs(data))
    return MeanFieldMLP.create(widths, nonlinearity), data


def residual_network(
    depth: int,
    data: TrainingData,
    /,
    *,
    width: float = 1.0,
    batch_norm: bool = True,
    shortcut: str = "padding",
    head_bias: bool = True,
    looped: bool | None = None,
) -> Any:
    """Build a residual network, or its plain twin, for images; arguments as in `ResNet`."""
    shape = _image_shape(data)
    if min(shape[1:3]) < SMALLEST_IMAGE:
        raise ValueError(
            f"image_size={min(shape[1:3])} is too small for three stages of 3 x 3 convolutions; "
            f"pass at least {SMALLEST_IMAGE}"
        )
    return ResNet.create(
        depth,
        width=width,
        batch_norm=batch_norm,
        n_classes=_n_outputs(data),
        shortcut=shortcut,
        head_bias=head_bias,
        in_channels=shape[3],
        looped=looped,
    )


def shallow_network(data: TrainingData, /, *, width: int = 300) -> Any:
    """Build a perceptron with one hidden layer of rectifiers and without biases."""
    _check_sizes(width=width)
    return Perceptron((width,), _n_outputs(data))


def linear_network(data: TrainingData, /, *, width: int = 16, depth: int = 3) -> Any:
    """Build a product of `depth` matrices."""
    _check_sizes(width=width, depth=depth)
    return LinearNetwork(depth, width, _n_outputs(data))


def convolutional_network(data: TrainingData, /, *, channels: int = 8) -> Any:
    """Build two convolutions with `channels` and twice as many channels, and a dense head."""
    _check_sizes(channels=channels)
    _image_shape(data)
    return ConvNet((channels, 2 * channels), _n_outputs(data))


def transformer_network(
    data: TrainingData, /, *, width: int = 32, n_heads: int = 4, n_blocks: int = 2
) -> Any:
    """Build a causal transformer for tokens."""
    _check_sizes(width=width, n_heads=n_heads, n_blocks=n_blocks)
    if width % n_heads:
        raise ValueError(f"width={width} is not a multiple of n_heads={n_heads}; change one")
    if np.asarray(data.train.inputs).dtype.kind != "i":
        raise ValueError(f"a transformer takes tokens, and {data.name} has none; use data=text")
    return Transformer(_n_outputs(data), width, n_heads, n_blocks)


ARCHITECTURES: Mapping[str, Architecture] = {
    "mnist-mlp": Architecture(
        mean_field_network,
        "a mean-field network on digits pooled to 8 x 8",
        {"lr": 1.0, "image_size": 8, "flat": True},
    ),
    "shallow300": Architecture(
        shallow_network,
        "one hidden layer of 300 rectifiers on digits, without biases",
        {"flat": True},
        {"in": "first", "out": "head"},
    ),
    "deep-linear": Architecture(
        linear_network,
        "a product of three matrices, on the data of a random teacher",
        {"data": "teacher"},
        {"in": "first", "out": "head"},
    ),
    "cnn": Architecture(
        convolutional_network,
        "two convolutions and a dense head on digits pooled to 14 x 14",
        {"image_size": 14},
        {"in": "first", "out": "head"},
    ),
    "transformer": Architecture(
        transformer_network,
        "two blocks of causal attention that predict the characters of an embedded essay",
        {"data": "text"},
        {"in": "embedding", "out": "head"},
    ),
}

# Family -> (default of `skip`, description).
FAMILIES: Mapping[str, tuple[float, str]] = {
    "resnet": (1.0, "a residual network of 6n + 2 layers on digits: resnet8, resnet20, ..."),
    "plain": (0.0, "its twin without shortcuts, of the same parameters: plain8, plain20, ..."),
}
FORM = "{6n+2}"
"""What a listing writes after a family's name."""


def find_architecture(name: str) -> Architecture | None:
    """Return the entry of a name, a family's member included, or None.

    Raises
    ------
    ValueError
        If the name is a family with a depth that it does not have.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    match = re.fullmatch(rf"({'|'.join(FAMILIES)})([0-9]{{1,9}})", name)
    if match is None:
        return None
    family, depth = match[1], int(match[2])
    if nearest_depth(depth) != depth:
        raise ValueError(
            f"architecture {name!r} does not exist, because depths are 6n + 2; the nearest is "
            f"{family}{nearest_depth(depth)}"
        )
    skip, description = FAMILIES[family]
    build = functools.partial(residual_network, depth)
    return Architecture(build, description, settings={"skip": skip}, few=32)


def architecture_names() -> list[str]:
    """Return the names of the table and of the families."""
    return [*ARCHITECTURES, *(family + FORM for family in FAMILIES)]


def _check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")


def _image_shape(data: TrainingData) -> tuple[int, ...]:
    """Return the shape of the inputs, or raise if they are no images."""
    shape = np.shape(data.train.inputs)
    if len(shape) != 4:
        raise ValueError(
            f"this network takes images, and the inputs of {data.name} have shape {shape}; choose "
            "other data"
        )
    return shape


def _n_inputs(data: TrainingData) -> int:
    return int(np.prod(np.shape(data.train.inputs)[1:]))


def _n_outputs(data: TrainingData) -> int:
    if data.n_classes is not None:
        return data.n_classes
    shape = np.shape(data.train.targets)
    if len(shape) != 2:
        raise ValueError(
            f"this network returns rows of numbers, and the targets of {data.name} have shape "
            f"{shape}; reshape them to (N, outputs)"
        )
    return shape[1]


def _as_parity(data: Dataset) -> Dataset:
    """Replace classes by targets +1 (odd) and -1 (even)."""
    return data.replace(targets=np.where(data.targets % 2, 1.0, -1.0)[:, None])
