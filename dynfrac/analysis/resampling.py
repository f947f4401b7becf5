"""The bootstrap over tiles: pictures put together from random parts of the one that was measured.

Pixels next to each other belong to the same piece of a set, so it is pieces that are resampled. A
picture is cut into 64 tiles, whatever its number of axes; each resample draws as many of them, with
replacement.
"""

from __future__ import annotations

import numpy as np

TILES_PER_AXIS = {1: 64, 2: 8, 3: 4}
"""Into how many parts each axis is cut, by the number of axes."""


def draw_tiles(n_tiles: int, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw how often each tile is in each resample.

    Parameters
    ----------
    n_tiles : int
    n_resamples : int
        At least 2, for there to be a spread.
    rng : numpy.random.Generator

    Returns
    -------
    (n_resamples, n_tiles) int array
        Rows add up to `n_tiles`. Sums over the tiles of a resample are `draws @ counts`.

    Raises
    ------
    ValueError
        If there are fewer than 2 resamples.

    Examples
    --------
    >>> draw_tiles(64, 1000, np.random.default_rng(0)).sum(axis=1).tolist() == [64] * 1000
    True
    """
    check_resamples(n_resamples)
    return rng.multinomial(n_tiles, np.full(n_tiles, 1 / n_tiles), size=n_resamples)


def check_resamples(n_resamples: int) -> None:
    """Refuse fewer than 2 resamples, before anything is counted."""
    if n_resamples < 2:
        raise ValueError(f"n_resamples={n_resamples} gives no spread; pass at least 2")
