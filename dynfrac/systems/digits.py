"""Handwritten digits that ship with the package: real images, no download.

The embedded subset of MNIST is the first 4096 training and the first 1024 test images in their
original order, so that image i is image i of the full set. The data have their own licence
(CC BY-SA 3.0), which lies beside them as `LICENSE-DATA`.
"""

from __future__ import annotations

import functools
import operator
from importlib import resources

import numpy as np

SOURCE = "mini"
"""How results name this data set."""
COUNTS = {"train": 4096, "test": 1024}
"""How many images each split holds."""
NATIVE = 28
"""Side of the stored images in pixels."""
LARGEST = 64
"""Largest side that `load_digits` pads to."""


def load_digits(
    n: int | None = None, *, split: str = "train", size: int = NATIVE, flat: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Load the first `n` digits of the embedded MNIST subset.

    Parameters
    ----------
    n : int, optional
        How many, from 1 to 4096 (train) or 1024 (test); all of them if not given.
    split : {"train", "test"}
    size : int
        Side of the images in pixels, from 1 to 64. Below 28 every pixel is the mean of the area
        that it covers in the original (for 14 and 7 the usual average pooling; for 8 the areas
        cut through original pixels, which then count by the part covered). Above 28 the original
        is framed with zeros.
    flat : bool
        Whether each image is one row.

    Returns
    -------
    images : (n, size, size) or, if `flat`, (n, size * size) float64 array
        From 0 (background) to 1 (ink).
    labels : (n,) int32 array
        The digits, 0 to 9.

    Raises
    ------
    ValueError
        If the split does not exist, `n` is more than it holds, or the size is out of range.

    Notes
    -----
    The areas are weighted with integers and divided once, in numbers that float64 holds exactly,
    so the images are the same bits on every machine.

    Examples
    --------
    >>> images, labels = load_digits(3, size=8)
    >>> images.shape, labels.tolist()
    ((3, 8, 8), [5, 0, 4])
    """
    if split not in COUNTS:
        raise ValueError(f"split={split!r} does not exist; choose one of {', '.join(COUNTS)}")
    if n is None:
        n = COUNTS[split]
    n = check_range("n", n, COUNTS[split], f"{split} split of the embedded digits")
    size = check_range("size", size, LARGEST, "image loader")
    stored, labels = _read(split)
    images = resize(stored[:n], size)
    return (images.reshape(n, -1) if flat else images), labels[:n].astype(np.int32)


def check_range(name: str, value: int, largest: int, holder: str) -> int:
    """Return `value` as an int from 1 to `largest`, or raise.

    Parameters
    ----------
    name : str
        What the argument is called.
    value : int
        What was given for it.
    largest : int
    holder : str
        What has no more than `largest`, such as ``"test split of MNIST"``.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If `value` is out of range or not a whole number.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if not 1 <= number <= largest:
        raise ValueError(
            f"{name}={value!r} is not available from the {holder}; pass a whole number from 1 to "
            f"{largest}"
        )
    return number


@functools.cache
def _read(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the uint8 images and labels of a split; kept in memory, so never written to."""
    archive = resources.files("dynfrac.systems") / "data" / "mnist_mini.npz"
    with archive.open("rb") as file, np.load(file) as arrays:
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


def resize(stored: np.ndarray, size: int) -> np.ndarray:
    """Bring 28 x 28 images to a side of `size` pixels and to the range 0 to 1.

    Parameters
    ----------
    stored : (n, 28, 28) uint8 array
    size : int
        Below 28 every pixel is the mean of the area that it covers, above 28 the image is framed
        with zeros; see `load_digits`.

    Returns
    -------
    (n, size, size) float64 array
    """
    if size >= NATIVE:
        before = (size - NATIVE) // 2
        frame = (before, size - NATIVE - before)
        return np.pad(stored, ((0, 0), frame, frame)) / 255.0
    # In units of 1/size of an original pixel, original pixel i covers [i size, (i + 1) size) and
    # new pixel j covers [28 j, 28 (j + 1)): their overlaps are whole numbers that sum to 28.
    old = np.arange(NATIVE) * size
    new = np.arange(size)[:, None] * NATIVE
    overlap = np.minimum(old + size, new + NATIVE) - np.maximum(old, new)
    weights = np.maximum(overlap, 0).astype(np.float64)
    return (weights @ stored.astype(np.float64) @ weights.T) / (NATIVE**2 * 255.0)
