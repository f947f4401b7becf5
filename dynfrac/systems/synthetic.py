"""Problems drawn from a seed: noise to be memorised, spirals to be told apart, a net to be copied.

Everything is drawn in float64 on the host by NumPy's PCG64, not by jax: data come once, before any
compilation, and the same numbers then go to every accelerator, whose own logarithms and square
roots may round differently.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from dynfrac.systems.batches import Dataset

N_INPUTS = 16
"""Number of inputs of the regression problems, and width of the teacher."""
N_ARMS = 3
"""Number of spirals, which are the classes."""
SPIRAL_NOISE = 0.03
"""Standard deviation of a point from its spiral, whose outer end is at radius 1."""


class _Part(enum.IntEnum):
    """What a stream of random numbers is for; each has its own, so that none depends on sizes."""

    INPUTS = 0
    OUTPUTS = 1
    TEST_INPUTS = 2
    TEST_OUTPUTS = 3
    TEACHER = 4


def _generator(seed: int, part: _Part) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, part]))


def gaussian(n: int, *, seed: int, test: bool = False) -> Dataset:
    """Draw Gaussian noise as inputs and, independently of it, as targets.

    There is nothing to learn but the examples themselves, so the loss of the test set does not
    fall: this is the data of the published trainability fractals, drawn by another generator.

    Parameters
    ----------
    n : int
        Number of examples, positive. A larger set begins with the same ones.
    seed : int
        At least 0.
    test : bool, default False
        Whether to draw the test set, which is independent of the training set.

    Returns
    -------
    Dataset
        `inputs` (n, 16) and `targets` (n, 1), standard normal float64.
    """
    ours, theirs = _parts(test)
    inputs = _generator(seed, ours).standard_normal((n, N_INPUTS))
    return Dataset(inputs, _generator(seed, theirs).standard_normal((n, 1)))


def teacher(n: int, *, seed: int, test: bool = False) -> Dataset:
    """Draw Gaussian inputs and let a random tanh network of two layers name the targets.

    Parameters
    ----------
    n, seed, test
        As for `gaussian`. The teacher depends on `seed` alone: both sets have the same one.

    Returns
    -------
    Dataset
        `inputs` (n, 16) standard normal and `targets` (n, 1), float64. A target is
        w . tanh(W x / 4) / 4 with standard normal W (16, 16) and w (16,), so it can be learnt
        exactly by a tanh network of 16 hidden units or more.
    """
    inputs = gaussian(n, seed=seed, test=test).inputs
    weights = _generator(seed, _Part.TEACHER).standard_normal((N_INPUTS + 1, N_INPUTS))
    hidden = np.tanh(_combine(inputs, weights[:-1].T) / np.sqrt(N_INPUTS))
    return Dataset(inputs, _combine(hidden, weights[-1:].T) / np.sqrt(N_INPUTS))


def spirals(n: int, *, seed: int, test: bool = False) -> Dataset:
    """Draw points near three interleaved spirals of one turn each, which are the classes.

    Parameters
    ----------
    n, seed, test
        As for `gaussian`.

    Returns
    -------
    Dataset
        `inputs` (n, 2) float64 and `targets` (n,) int32. Example i is of class i mod 3. With u
        uniform on [0, 1] it lies at radius 0.1 + 0.9 u and angle 2 pi (i / 3 + u), give or take a
        normal deviation of 0.03 in each coordinate.
    """
    ours, theirs = _parts(test)
    labels = np.arange(n, dtype=np.int32) % N_ARMS
    along = _generator(seed, ours).random(n)
    angle = 2 * np.pi * (labels / N_ARMS + along)
    arm = (0.1 + 0.9 * along)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    noise = _generator(seed, theirs).standard_normal((n, 2))
    return Dataset(arm + SPIRAL_NOISE * noise, labels)


PROBLEMS: Mapping[str, Callable[..., Dataset]] = MappingProxyType(
    {"gaussian": gaussian, "spirals": spirals, "teacher": teacher}
)
"""Name -> ``draw(n, *, seed, test=False) -> Dataset``."""


def _parts(test: bool) -> tuple[_Part, _Part]:
    if test:
        return _Part.TEST_INPUTS, _Part.TEST_OUTPUTS
    return _Part.INPUTS, _Part.OUTPUTS


def _combine(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``rows @ weights``, summed from left to right.

    A library's matrix product adds in an order that depends on the machine and on the number of
    rows; then a larger set would not begin with the same bits.
    """
    total = np.zeros((len(rows), weights.shape[1]))
    for column, weight in zip(rows.T, weights, strict=True):
        total += column[:, None] * weight
    return total
