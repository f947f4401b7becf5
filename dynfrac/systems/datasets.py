"""Training data by name or from a file, ready to be made part of a map."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import final

import numpy as np

from dynfrac.systems.abstract import unknown_name
from dynfrac.systems.archives import read_examples
from dynfrac.systems.batches import Dataset
from dynfrac.systems.digits import COUNTS, LARGEST, NATIVE, check_range
from dynfrac.systems.mnist import FILES, load_mnist
from dynfrac.systems.synthetic import N_ARMS, PROBLEMS
from dynfrac.systems.text import text_windows, vocabulary

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "mini": "the embedded MNIST digits: 4096 images for training, 1024 for testing",
        "mnist": "all of MNIST: 60000 and 10000 images, from DYNFRAC_DATA, the cache or a download",
        "text": "the next character of an embedded essay, in windows of 32 characters",
        "gaussian": "regression of noise on noise: 256 examples of 16 inputs and one target",
        "spirals": "three interleaved spirals in the plane: 384 points",
        "teacher": "regression of a random tanh network: 256 examples of 16 inputs and one target",
    }
)
"""Name -> what it is, for listings. A path to an `.npz` file is a source too."""

SIZES: Mapping[str, int] = MappingProxyType({"gaussian": 256, "spirals": 384, "teacher": 256})
"""How many examples are drawn, for training and again for testing, unless told otherwise."""
LARGEST_DRAW = 1_000_000
"""The most examples that are drawn."""

_N_DIGITS = 10


@final
@dataclass(frozen=True)
class TrainingData:
    """Training and test examples with what a model must know about them.

    Attributes
    ----------
    name : str
        The source; for a file, its name without the folder.
    train : Dataset
    test : Dataset or None
        None if the source has no test examples.
    n_classes : int or None
        Number of classes of the integer targets; None for regression, where targets are floats.
    """

    name: str
    train: Dataset
    test: Dataset | None
    n_classes: int | None


def load_data(
    source: str | os.PathLike[str] = "mini",
    *,
    n_data: int | None = None,
    n_test: int | None = None,
    image_size: int | None = None,
    flat: bool = False,
    seed: int = 0,
) -> TrainingData:
    """Load training and test examples.

    Parameters
    ----------
    source : str or path, default "mini"
        A name in `SOURCES`, or the path of an `.npz` file: anything with a path separator or with
        that suffix. See `read_examples` for the arrays that it must hold.
    n_data, n_test : int, optional
        Take the first so many training and test examples; all of them if not given. The synthetic
        sources draw as many as asked, up to a million, instead of the number in `SIZES`.
    image_size : int, optional
        Side of the images of ``mini`` and ``mnist`` in pixels, 1 to 64; 28 if not given.
    flat : bool, default False
        Whether the inputs of each example are one row.
    seed : int, default 0
        Of the synthetic sources, at least 0; the others are what they are.

    Returns
    -------
    TrainingData
        Of NumPy arrays. *mini, mnist*: `inputs` (N, side, side, 1) float64 in 0 to 1, `targets`
        (N,) int32. *text*: (N, 32) int32 tokens, and the 32 characters that follow each of them.
        *gaussian, teacher*: (N, 16) float64 and (N, 1) float64. *spirals*: (N, 2) float64 and (N,)
        int32. A file: as `read_examples` says.

    Raises
    ------
    ValueError
        If the source is unknown, an argument does not apply to it or asks for more than there is,
        or a file cannot be used.
    FileNotFoundError
        If there is no such file.
    OSError
        If MNIST is wanted and cannot be had; see `load_mnist`.

    Examples
    --------
    >>> data = load_data("mini", n_data=100, image_size=8, flat=True)
    >>> data.train.inputs.shape, data.test.inputs.shape, data.n_classes
    ((100, 64), (1024, 64), 10)
    """
    if not isinstance(source, str | os.PathLike):
        raise ValueError(f"source={source!r} is no source of data; pass a name or a path")
    if seed < 0:
        raise ValueError(f"seed={seed} must not be negative")
    named = not _is_path(source)
    if named and source not in SOURCES:
        raise unknown_name("data source", str(source), SOURCES)
    images = source in ("mini", "mnist")
    if image_size is not None and not images:
        raise ValueError(
            f"image_size={image_size} applies to mini and mnist only; leave it out for {source}"
        )
    if images:
        data = _load_images(str(source), n_data, n_test, image_size)
    elif source in PROBLEMS:
        data = _draw(str(source), n_data, n_test, seed)
    else:
        if named:
            found = ("text", *text_windows(), len(vocabulary()))
        else:
            found = (Path(source).name, *read_examples(Path(source)))
        data = _take_first(TrainingData(*found), n_data, n_test)
    return flatten(data) if flat else data


def _is_path(source: str | os.PathLike[str]) -> bool:
    text = os.fspath(source)
    separators = {"/", os.sep, os.altsep or os.sep}
    return (
        not isinstance(source, str)
        or text.lower().endswith(".npz")
        or any(separator in text for separator in separators)
    )


def _load_images(
    name: str, n_data: int | None, n_test: int | None, image_size: int | None
) -> TrainingData:
    """Load digits, having named the argument at fault if there is one."""
    size = NATIVE if image_size is None else image_size
    check_range("image_size", size, LARGEST, "image loader")
    mini = name == "mini"
    sets = []
    for split, argument, n in (("train", "n_data", n_data), ("test", "n_test", n_test)):
        largest = COUNTS[split] if mini else FILES[split][0].shape[0]
        if n is not None:
            check_range(argument, n, largest, f"{split} split of {name}")
        images, labels = load_mnist(n, split=split, source="mini" if mini else None, size=size)
        sets.append(Dataset(images[..., None], labels))
    return TrainingData(name, sets[0], sets[1], _N_DIGITS)


def _draw(name: str, n_data: int | None, n_test: int | None, seed: int) -> TrainingData:
    """Draw a synthetic problem."""
    sets = []
    for argument, n in (("n_data", n_data), ("n_test", n_test)):
        wanted = SIZES[name] if n is None else n
        n = check_range(argument, wanted, LARGEST_DRAW, f"generator of {name}")
        sets.append(PROBLEMS[name](n, seed=seed, test=argument == "n_test"))
    return TrainingData(name, sets[0], sets[1], N_ARMS if name == "spirals" else None)


def _take_first(data: TrainingData, n_data: int | None, n_test: int | None) -> TrainingData:
    """Keep the first examples of both sets."""
    if data.test is None and n_test is not None:
        raise ValueError(
            f"n_test={n_test} is asked of {data.name}, which holds no test examples; leave n_test "
            "out or add a test set"
        )
    train = _first(data.train, "n_data", n_data, f"training examples of {data.name}")
    test = data.test
    if test is not None:
        test = _first(test, "n_test", n_test, f"test examples of {data.name}")
    return TrainingData(data.name, train, test, data.n_classes)


def _first(data: Dataset, argument: str, n: int | None, holder: str) -> Dataset:
    if n is None:
        return data
    n = check_range(argument, n, data.size, holder)
    return Dataset(data.inputs[:n], data.targets[:n])


def flatten(data: TrainingData) -> TrainingData:
    """Return the data with one row of inputs for each example."""

    def rows(examples: Dataset) -> Dataset:
        return Dataset(np.reshape(examples.inputs, (examples.size, -1)), examples.targets)

    test = None if data.test is None else rows(data.test)
    return TrainingData(data.name, rows(data.train), test, data.n_classes)
