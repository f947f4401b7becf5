"""Streams of random numbers, one for each use of a seed.

Methods that are run with one seed on one window must not look at the same points, or their errors
go together and that they agree says less than it seems to. So each has a stream of its own, and so
has each bootstrap, which would otherwise resample by the numbers that placed what it resamples.
"""

from __future__ import annotations

import numpy as np

PAIRS = 0
"""Positions of pairs; the stream of the bare seed."""
PAIRS_BOOTSTRAP = 1
DOUBLING = 2
"""Which pairs are asked again after twice the steps, and their bootstrap."""
STRETCH_TAIL = 3
CASCADE = 4
TRANSECTS = 5
TRANSECTS_BOOTSTRAP = 6
SADDLE = 7
SADDLE_BOOTSTRAP = 8
CHECKED_LABELS = 9
"""Which labels of a comparison are asked again after twice the steps."""


def make_stream(seed: int, use: int) -> np.random.Generator:
    """Return the stream of a seed for one use.

    Parameters
    ----------
    seed : int
        At least 0.
    use : int
        One of the constants of this module.

    Examples
    --------
    >>> make_stream(5, PAIRS).random() == make_stream(5, CASCADE).random()
    False
    """
    return np.random.default_rng([seed, use])
