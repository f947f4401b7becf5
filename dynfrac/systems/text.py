"""A character stream: a short essay on iteration that ships with the package, cut into windows."""

from __future__ import annotations

import functools
from importlib import resources

import numpy as np
from numpy.typing import ArrayLike

from dynfrac.systems.batches import Dataset

CONTEXT = 32
"""Characters in a window; a model sees up to this many and names the one after each."""
STRIDE = 8
"""Characters from the beginning of one window to that of the next: every one is seen four times."""
TEST_PART = 10
"""One part in this many, the end of the essay, is for testing."""


def text_windows() -> tuple[Dataset, Dataset]:
    """Cut the essay into windows for predicting the next character.

    Returns
    -------
    train, test : Dataset
        `inputs` (N, 32) and `targets` (N, 32) int32, tokens from 0 to ``len(vocabulary()) - 1``.
        ``targets[i, j]`` is the character after ``inputs[i, j]``. The test windows are cut from the
        last tenth of the essay, no character of which is in a training window.
    """
    tokens = np.searchsorted(list(vocabulary()), list(_read())).astype(np.int32)
    border = len(tokens) - len(tokens) // TEST_PART
    return _cut(tokens[:border]), _cut(tokens[border:])


@functools.cache
def vocabulary() -> str:
    """Return the distinct characters of the essay in the order of their codes; token i is [i]."""
    return "".join(sorted(set(_read())))


def decode(tokens: ArrayLike) -> str:
    """Return the characters of a sequence of tokens.

    Parameters
    ----------
    tokens : (T,) int array_like
        Each from 0 to ``len(vocabulary()) - 1``.

    Returns
    -------
    str
        Of length T.

    Raises
    ------
    ValueError
        If a token is not in the vocabulary.

    Examples
    --------
    >>> train, _ = text_windows()
    >>> decode(train.inputs[0]), decode(train.targets[0])
    ('Take a number between nought and', 'ake a number between nought and ')
    """
    known = np.asarray(list(vocabulary()))
    wanted = np.asarray(tokens)
    if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(known)):
        raise ValueError(
            f"tokens={wanted.min()} to {wanted.max()} go beyond the vocabulary; pass tokens from 0 "
            f"to {len(known) - 1}"
        )
    return "".join(known[wanted])


@functools.cache
def _read() -> str:
    """Read the essay, one paragraph a line: where the file breaks its lines carries no meaning."""
    file = resources.files("dynfrac.systems") / "data" / "stream.txt"
    paragraphs = file.read_text(encoding="ascii").split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _cut(tokens: np.ndarray) -> Dataset:
    """Return all the windows that have a next character for their last one."""
    windows = np.lib.stride_tricks.sliding_window_view(tokens, CONTEXT + 1)[::STRIDE]
    return Dataset(windows[:, :-1].copy(), windows[:, 1:].copy())
