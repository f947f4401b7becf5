"""The arguments of many runs at once, checked: hyperparameters as columns, and lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

N_STEPS = "n_steps"
"""Name under which each run can have a length of its own, beside the hyperparameters."""


def columns_of(
    hparams: dict[str, Any], real: np.dtype, lengths: Any = None
) -> dict[str, np.ndarray]:
    """Return hyperparameters as float columns of one length, with ``n_steps`` if it is given.

    Parameters
    ----------
    hparams : dict of str to scalar or (N,) array
        All those of a map.
    real : dtype
        Of the columns.
    lengths : scalar or (N,) array, optional
        Steps of each run.

    Returns
    -------
    dict of str to (N,) array

    Raises
    ------
    ValueError
        If there is no hyperparameter, or the shapes do not fit.
    """
    if not hparams:
        raise ValueError("the map takes no hyperparameters, so all its runs are one; iterate it")
    columns = {name: np.asarray(value).astype(real) for name, value in hparams.items()}
    if lengths is not None:
        columns[N_STEPS] = np.asarray(lengths, float)
    sizes = {name: len(column) for name, column in columns.items() if column.ndim == 1}
    for name, column in columns.items():
        if column.ndim > 1:
            raise ValueError(f"hyperparameter {name} has shape {column.shape}; pass (N,) or scalar")
    if len(set(sizes.values())) > 1 or 0 in sizes.values():
        raise ValueError(f"hyperparameters have lengths {sizes}; give arrays of one length >= 1")
    n = next(iter(sizes.values()), 1)
    return {name: np.broadcast_to(column, (n,)) for name, column in columns.items()}


def check_steps(n_steps: int, every: int) -> int:
    """Return `n_steps` if it is a positive multiple of a positive `every`, or raise."""
    if n_steps < 1:
        raise ValueError(f"n_steps={n_steps} must be at least 1")
    if every < 1:
        raise ValueError(f"every={every} must be at least 1")
    if n_steps % every:
        raise ValueError(
            f"n_steps={n_steps} is not a multiple of every={every}; the nearest that is below is "
            f"{n_steps // every * every}"
        )
    return n_steps


def check_lengths(lengths: np.ndarray, n_steps: int, every: int) -> np.ndarray:
    """Return how many losses each run records.

    Parameters
    ----------
    lengths : (N,) float array
        Steps of each run.
    n_steps, every : int
        The most steps, and steps per recorded loss. What is left of a length that is no multiple of
        `every` is not recorded.

    Raises
    ------
    ValueError
        If a length is no whole number from `every` to `n_steps`.
    """
    bad = ~((lengths >= every) & (lengths <= n_steps) & (lengths == np.round(lengths)))
    if bad.any():
        raise ValueError(
            f"n_steps={lengths[bad][0]:g} of a single run is not a whole number from {every} to "
            f"{n_steps}; change it, or the number of steps of all runs"
        )
    return lengths.astype(np.int64) // every
