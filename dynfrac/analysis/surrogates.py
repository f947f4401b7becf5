"""Surrogates: what an orbit would look like if there were nothing in it but its spectrum.

Noise with a memory, and a smooth curve that never returns, have correlation sums that look like
those of a low-dimensional attractor. A surrogate of the same length, spectrum and covariances goes
through the same estimator; only what differs from it is a finding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dynfrac.analysis.point_clouds import as_points


def phase_randomised(points: ArrayLike, *, seed: int = 0) -> np.ndarray:
    """Gaussian noise with the spectrum and the cross-correlations of an orbit.

    Parameters
    ----------
    points : (n, d) or (n,) array
        One row per step.
    seed : int

    Returns
    -------
    (n, d) float64 array
        With the means, the covariances and, apart from its ends, the autocovariances of `points`.

    Notes
    -----
    Every Fourier component of all coordinates is turned by one random phase. The transform takes
    the series for periodic, so that a jump between its last and its first value becomes noise.

    References
    ----------
    `theiler1992`, and `prichard1994` for several coordinates, in docs/references.bib

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(100, 2))
    >>> bool(np.allclose(np.cov(phase_randomised(points).T), np.cov(points.T)))
    True
    """
    rows = as_points(points)
    n = len(rows)
    spectrum = np.fft.rfft(rows, axis=0)
    turns = np.exp(2j * np.pi * np.random.default_rng(seed).random(len(spectrum)))
    # The mean, and the fastest component of an even length, are real and stay so.
    turns[0] = 1
    if n % 2 == 0:
        turns[-1] = 1
    return np.fft.irfft(spectrum * turns[:, None], n, axis=0)


def random_walk(points: ArrayLike, *, seed: int = 0) -> np.ndarray:
    """Walk with the steps of an orbit, in random order and with random signs.

    Parameters
    ----------
    points : (n, d) or (n,) array
        One row per step.
    seed : int

    Returns
    -------
    (n, d) float64 array
        Starting where `points` does.

    Notes
    -----
    A random walk in two or more dimensions is a curve of dimension 2. A finite one that is taken
    for an orbit reads less.

    Examples
    --------
    >>> random_walk([0.0, 1.0, 2.0]).shape
    (3, 1)
    """
    rows = as_points(points)
    rng = np.random.default_rng(seed)
    steps = rng.permutation(np.diff(rows, axis=0))
    steps *= rng.choice([-1.0, 1.0], size=(len(steps), 1))
    return np.concatenate([rows[:1], rows[0] + np.cumsum(steps, axis=0)])
