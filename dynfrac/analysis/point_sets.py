"""Points of sets and measures of known dimension: for tests, and to try an estimator on.

Every sampler takes the number of points and a seed and returns independent points (n, d) of the
natural measure, unless it says otherwise; `known_dimension` knows what an estimator should read. In
the arithmetic of float64 the sets of this module go down to the last bit.

For pictures of known sets see `dynfrac.analysis.sets`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dynfrac.systems.self_similarity import self_similar_dimension

_ROOT3 = math.sqrt(3.0)
_APOLLONIAN = 1.305688


def segment(n: int, *, seed: int = 0) -> np.ndarray:
    """Draw points of a tilted segment of length 1 in the plane.

    Parameters
    ----------
    n : int
        Number of points, at least 1.
    seed : int

    Returns
    -------
    (n, 2) float array
    """
    along = _generator(n, seed).random(n)
    return along[:, None] * [math.cos(0.3), math.sin(0.3)]


def circle(n: int, *, seed: int = 0) -> np.ndarray:
    """Draw points of the unit circle, (n, 2); parameters as of `segment`."""
    angle = 2 * math.pi * _generator(n, seed).random(n)
    return np.column_stack([np.cos(angle), np.sin(angle)])


def square(n: int, *, seed: int = 0) -> np.ndarray:
    """Draw points of the unit square, (n, 2); parameters as of `segment`."""
    return _generator(n, seed).random((n, 2))


def cube(n: int, *, seed: int = 0) -> np.ndarray:
    """Draw points of the unit cube, (n, 3); parameters as of `segment`."""
    return _generator(n, seed).random((n, 3))


def cantor_set(n: int, *, seed: int = 0, ratio: float = 1 / 3, weight: float = 0.5) -> np.ndarray:
    """Draw points of a Cantor set of two equal pieces on the line.

    Parameters
    ----------
    n : int
    seed : int
    ratio : float
        Length of the pieces, in (0, 1/2).
    weight : float
        Share of the left piece, in (0, 1). Other than 1/2 the measure is a multifractal.

    Returns
    -------
    (n, 1) float array
        In [0, 1].
    """
    rng = _generator(n, seed)
    points = _self_similar(n, rng, [ratio, ratio], [0, 1 - ratio], [weight, 1 - weight])
    return np.real(points)[:, None]


def sierpinski_gasket(n: int, *, seed: int = 0) -> np.ndarray:
    """Draw points of an equilateral Sierpinski gasket of side 1, (n, 2); see `segment`."""
    corners = np.array([0, 1, 0.5 + 0.5j * _ROOT3])
    points = _self_similar(n, _generator(n, seed), [0.5] * 3, corners / 2, [1 / 3] * 3)
    return _plane(points)


def koch_curve(n: int, *, seed: int = 0) -> np.ndarray:
    """Draw points of the Koch curve over [0, 1], (n, 2); parameters as of `segment`."""
    turn = (1 + 1j * _ROOT3) / 6
    factors = [1 / 3, turn, turn.conjugate(), 1 / 3]
    shifts = [0, 1 / 3, 1 / 3 + turn, 2 / 3]
    points = _self_similar(n, _generator(n, seed), factors, shifts, [0.25] * 4)
    return _plane(points)


def generalized_baker(
    n: int, *, seed: int = 0, split: float = 0.4, left: float = 0.25, right: float = 0.35
) -> np.ndarray:
    """Draw points of the natural measure of the map ``generalized-baker``.

    Parameters
    ----------
    n : int
    seed : int
    split, left, right : float
        The map's hyperparameters: the share of the left strip and both contractions.

    Returns
    -------
    (n, 2) float array
    """
    rng = _generator(n, seed)
    x = rng.random(n)
    y = _self_similar(n, rng, [left, right], [0, 1 - right], [split, 1 - split])
    return np.column_stack([x, np.real(y)])


def skinny_baker(n: int, *, seed: int = 0, contraction: float = 1 / 3) -> np.ndarray:
    """Draw points of the natural measure of the map ``skinny-baker`` that halves.

    Parameters
    ----------
    n : int
    seed : int
    contraction : float
        The map's, in (0, 1/2).

    Returns
    -------
    (n, 2) float array
    """
    return generalized_baker(n, seed=seed, split=0.5, left=contraction, right=contraction)


def horseshoe(
    n: int, *, seed: int = 0, expansion: float = 3.0, contraction: float = 1 / 3
) -> np.ndarray:
    """Draw points of the set that never leaves the square under the map ``horseshoe``.

    Parameters
    ----------
    n : int
    seed : int
    expansion, contraction : float
        The map's hyperparameters, above 2 and in (0, 1/2).

    Returns
    -------
    (n, 2) float array
        A Cantor set times another, all pieces of one size equally likely.
    """
    rng = _generator(n, seed)
    columns = [
        np.real(_self_similar(n, rng, [ratio, ratio], [0, 1 - ratio], [0.5, 0.5]))
        for ratio in (1 / expansion, contraction)
    ]
    return np.column_stack(columns)


def solenoid(n: int, *, seed: int = 0, contraction: float = 0.25) -> np.ndarray:
    """Draw points of the natural measure of the map ``solenoid`` that doubles its angle.

    Parameters
    ----------
    n : int
    seed : int
    contraction : float
        The map's, in (0, 1/2).

    Returns
    -------
    (n, 3) float array
        The angle in turns, and the place in the disc.
    """
    rng = _generator(n, seed)
    angle = rng.random(n)
    # A history of the angle: each of both halves is as likely to be where it came from.
    past, place = angle, np.zeros(n, complex)
    for power in range(_generations(contraction)):
        past = (past + rng.integers(0, 2, n)) / 2
        place += 0.5 * contraction**power * np.exp(2j * math.pi * past)
    return np.column_stack([angle, _plane(place)])


def brownian_graph(n: int, *, seed: int = 0, hurst: float = 0.5) -> np.ndarray:
    """Draw the graph of fractional Brownian motion at n equal steps of time.

    Parameters
    ----------
    n : int
        At least 2.
    seed : int
    hurst : float
        The exponent H, in (0, 1): the motion over a time s has the standard deviation s^H.

    Returns
    -------
    (n, 2) float array
        Times from 0 to 1, and the motion, exact in distribution. A graph of n points is complete
        only down to lengths of about n^(-1 / (2 - H)).

    Notes
    -----
    Circulant embedding (Davies and Harte, Biometrika 74, 1987).
    """
    rng = _generator(n, seed)
    if n < 2 or not 0 < hurst < 1:
        raise ValueError(f"n={n}, hurst={hurst} draw no graph; pass n >= 2 and 0 < hurst < 1")
    steps = n - 1
    lag = np.arange(steps + 1.0)
    powers = [np.abs(lag + shift) ** (2 * hurst) for shift in (1, 0, -1)]
    covariance = 0.5 * (powers[0] - 2 * powers[1] + powers[2])
    spectrum = np.fft.fft(np.concatenate([covariance, covariance[-2:0:-1]])).real
    noise = rng.standard_normal((2, spectrum.size))
    # Rounding may take a vanishing entry below 0.
    amplitude = np.sqrt(np.maximum(spectrum, 0) / spectrum.size)
    increments = np.fft.fft(amplitude * (noise[0] + 1j * noise[1])).real[:steps]
    motion = np.concatenate([[0.0], np.cumsum(increments)]) / steps**hurst
    return np.column_stack([np.linspace(0, 1, n), motion])


def weierstrass_graph(n: int, *, seed: int = 0, hurst: float = 0.5) -> np.ndarray:
    """Draw points of the graph of a Weierstrass function with random phases.

    Parameters
    ----------
    n : int
    seed : int
    hurst : float
        The Hoelder exponent H, in (0, 1).

    Returns
    -------
    (n, 2) float array
        Places even in [0, 1], and w = sum_k 2^(-H k) cos(2 pi (2^k x + phase_k)). Terms finer than
        the points can show are left out: those of k > 2 log2(n) + 4.
    """
    rng = _generator(n, seed)
    if not 0 < hurst < 1:
        raise ValueError(f"hurst={hurst} is impossible; pass a number between 0 and 1")
    x, w = rng.random(n), np.zeros(n)
    for k, phase in enumerate(rng.random(math.ceil(2 * math.log2(n)) + 5)):
        w += 2.0 ** (-hurst * k) * np.cos(2 * math.pi * (2.0**k * x + phase))
    return np.column_stack([x, w])


def apollonian_gasket(n: int, *, seed: int = 0, smallest: float | None = None) -> np.ndarray:
    """Draw points of the circles of an Apollonian gasket in the unit disc.

    Parameters
    ----------
    n : int
    seed : int
    smallest : float, optional
        Radius of the smallest circles drawn. Default: (n + 1)^(-1/1.3057), at which there is
        one circle for every two or three points.

    Returns
    -------
    (n, 2) float array
        Spread evenly over the length of all circles. The gasket itself is the limit of no smallest
        circle; what is shorter than that is arcs, of dimension 1.
    """
    rng = _generator(n, seed)
    least = (n + 1) ** (-1 / _APOLLONIAN) if smallest is None else float(smallest)
    if not 0 < least < 1:
        raise ValueError(f"smallest={smallest} draws no circle; pass a radius between 0 and 1")
    centers, radii = _apollonian_circles(least)
    chosen = rng.choice(len(radii), n, p=radii / radii.sum())
    points = centers[chosen] + radii[chosen] * np.exp(2j * math.pi * rng.random(n))
    return _plane(points)


def known_dimension(sampler: str, q: float = 0.0, **arguments: float) -> float:
    """Return the generalized dimension D_q of what a sampler of this module draws.

    Parameters
    ----------
    sampler : str
        Its name.
    q : float
        0 is the box, 1 the information and 2 the correlation dimension.
    **arguments
        As given to the sampler.

    Returns
    -------
    float
        Exact, but for the Apollonian gasket's: the six digits of McMullen (1998). Not-a-number
        where it is not known: of the gasket and the Weierstrass graph only D_0 is, of the Brownian
        graph those of q between 0 and 2.

    Raises
    ------
    ValueError
        If there is no such sampler.

    Examples
    --------
    >>> round(known_dimension("generalized_baker", 1), 7)
    1.5682248
    """
    if sampler not in SPECTRA:
        raise ValueError(f"there is no sampler {sampler!r}; known: {', '.join(sorted(SPECTRA))}")
    parameters = inspect.signature(globals()[sampler]).parameters.values()
    given = {p.name: p.default for p in parameters if p.default is not p.empty} | arguments
    del given["seed"]
    return SPECTRA[sampler](q, **given)


def _cantor_spectrum(q: float, ratio: float, weight: float) -> float:
    return self_similar_dimension([ratio, ratio], [weight, 1 - weight], q)


def _baker_spectrum(q: float, split: float, left: float, right: float) -> float:
    return 1 + self_similar_dimension([left, right], [split, 1 - split], q)


def _halves(size: float) -> float:
    """Return the dimension of two pieces of one size."""
    return math.log(2) / -math.log(size)


SPECTRA: Mapping[str, Callable[..., float]] = {
    "segment": lambda q: 1.0,
    "circle": lambda q: 1.0,
    "square": lambda q: 2.0,
    "cube": lambda q: 3.0,
    "cantor_set": _cantor_spectrum,
    "sierpinski_gasket": lambda q: math.log(3) / math.log(2),
    "koch_curve": lambda q: math.log(4) / math.log(3),
    "generalized_baker": _baker_spectrum,
    "skinny_baker": lambda q, contraction: 1 + _halves(contraction),
    "horseshoe": lambda q, expansion, contraction: _halves(1 / expansion) + _halves(contraction),
    "solenoid": lambda q, contraction: 1 + _halves(contraction),
    "brownian_graph": lambda q, hurst: 2 - hurst if 0 <= q <= 2 else math.nan,
    "weierstrass_graph": lambda q, hurst: 2 - hurst if q == 0 else math.nan,
    "apollonian_gasket": lambda q, smallest: _APOLLONIAN if q == 0 else math.nan,
}
"""Every sampler, with its dimension D_q as a function of q and the sampler's arguments."""


def _plane(points: np.ndarray) -> np.ndarray:
    """Return complex points as points of the plane, (n, 2)."""
    return np.column_stack([np.real(points), np.imag(points)])


def _generator(n: int, seed: int) -> np.random.Generator:
    if n < 1:
        raise ValueError(f"n={n} draws no points; pass a positive number")
    return np.random.default_rng(seed)


def _generations(ratio: float) -> int:
    """Return after how many generations pieces are smaller than the last bit."""
    if not 0 < ratio < 1:
        raise ValueError(f"pieces of size {ratio} are none; pass a ratio between 0 and 1")
    return math.ceil(54 * math.log(2) / -math.log(ratio))


def _self_similar(
    n: int,
    rng: np.random.Generator,
    factors: Sequence[complex],
    shifts: Sequence[complex] | np.ndarray,
    weights: Sequence[float],
) -> np.ndarray:
    """Draw n complex points of the measure that is the weighted sum of its own images."""
    scale, shift = np.asarray(factors), np.asarray(shifts)
    points = np.zeros(n, complex)
    for _ in range(_generations(np.abs(scale).max())):
        piece = rng.choice(len(scale), n, p=weights)
        points = scale[piece] * points + shift[piece]
    return points


def _apollonian_circles(smallest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return centers (complex) and radii of all circles that are not smaller.

    The four circles of a quadruple touch each other; replacing one by the other circle that touches
    the rest is linear in the curvatures k and in k times the center (Descartes).
    """
    curvatures = np.array([[-1.0, 2.0, 2.0, 3.0]])
    moments = np.array([[0.0, 1.0, -1.0, 2.0j]])  # curvature times center
    found = [(moments[0], curvatures[0])]
    # The first quadruple may lose any of its circles, later ones any but the one that came last.
    last = np.array([-1])
    while len(last):
        kept_k, kept_m, kept_last = [], [], []
        for place in range(4):
            rows = np.flatnonzero(last != place)
            k, m = curvatures[rows].copy(), moments[rows].copy()
            k[:, place] = 2 * (k.sum(1) - k[:, place]) - k[:, place]
            m[:, place] = 2 * (m.sum(1) - m[:, place]) - m[:, place]
            large = np.flatnonzero(k[:, place] * smallest <= 1)
            k, m = k[large], m[large]
            found.append((m[:, place], k[:, place]))
            kept_k.append(k)
            kept_m.append(m)
            kept_last.append(np.full(len(large), place))
        curvatures, moments = np.concatenate(kept_k), np.concatenate(kept_m)
        last = np.concatenate(kept_last)
    m, k = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return m / k, np.abs(1 / k)
