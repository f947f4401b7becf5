"""Slopes of scaling curves: the one place where the package fits `ln y` against `ln x`.

A dimension or an exponent is the slope of a measured curve over a range of scales. Three questions
come with it, and each has its function here: what is the slope over a given window (`fit_window`),
which window would the data choose (`fit_ensemble`), and how far does the answer depend on that
choice (`window_sensitivity`). Least squares is linear in `ln y`, so a slope is a dot product with
`slope_weights`, and a thousand resampled curves are fitted by one matrix product.

The textbook error of a least-squares line is not offered. Values at different scales describe the
same set, so their deviations are nested and correlated; on Koch curves the textbook 95 % interval
contained the truth less than two times in three. Resample what was counted instead.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import final

import numpy as np
from numpy.typing import ArrayLike

MIN_POINTS = 4
"""A line through fewer scales is not fitted."""

_RESIDUAL_FLOOR = 1e-3
"""Deviations of `ln y` below this are not told apart when windows compete: a fit to counts that
is good to a part in a thousand is as good as a perfect one."""

_ROUNDING = 1e-9
"""Relative slack at the ends of a window, so that scales computed as powers fall inside it."""

_WIDE_SPREAD = 0.1
"""Full width at half maximum of the slopes beyond which one number does not describe a curve."""

_FWHM = 2.354820
"""Full width at half maximum of a normal density in standard deviations."""

_NEWTON_STEPS = 60
_STEEPEST = 64.0
"""Slopes of counts are looked for between this and minus this."""
_TINY = 1e-300

Window = tuple[float, float]


@final
@dataclasses.dataclass(frozen=True)
class Fit:
    """A power law `y = exp(intercept) x^slope` over a window of scales.

    Attributes
    ----------
    slope, intercept : float
        Of `ln y` against `ln x`; not-a-number if fewer than four scales could be used.
    residual : float
        Root mean square deviation of `ln y` from the line.
    window : tuple of two floats
        Smallest and largest `x` fitted.
    n_points : int
        Number of scales fitted.
    spread : float
        Full width at half maximum of the slopes that were in the running; zero if there was one.
    """

    slope: float
    intercept: float
    residual: float
    window: Window
    n_points: int
    spread: float = 0.0

    @property
    def octaves(self) -> float:
        """Width of the window in factors of two."""
        return math.log2(self.window[1] / self.window[0])

    @property
    def deviation(self) -> float:
        """Spread of the slopes as the standard deviation of a normal density of this width."""
        return self.spread / _FWHM


def local_slopes(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Slope of `ln y` against `ln x` between neighbouring scales.

    Parameters
    ----------
    x : (S,) float array
        Ascending and positive.
    y : (S,) float array

    Returns
    -------
    centres : (S - 1,) float array
        Geometric means of neighbouring scales.
    slopes : (S - 1,) float array
        Not-a-number where `y` is not positive.

    Examples
    --------
    >>> local_slopes([1.0, 2.0, 4.0], [8.0, 4.0, 1.0])[1]
    array([-1., -2.])
    """
    scales = np.asarray(x, dtype=np.float64)
    log_y = _log(y)
    return np.sqrt(scales[1:] * scales[:-1]), np.diff(log_y) / np.diff(np.log(scales))


def slope_weights(
    x: ArrayLike,
    window: Window,
    *,
    weights: ArrayLike | None = None,
    correction: bool = False,
    extent_correction: bool = False,
) -> np.ndarray:
    """Least-squares slope as a linear form: the slope of `y` is `slope_weights(x, window) @ ln y`.

    Parameters
    ----------
    x : (S,) float array
        Ascending and positive.
    window : tuple of two floats
        Smallest and largest scale to use.
    weights : (S,) float array, optional
        Inverse variances of `ln y`, zero for scales to leave out; equal by default.
    correction : bool
        Fit `ln y = a + slope ln x + b / x` instead of a line. The last term is the leading
        correction of data with a finite resolution (a box cannot see what is thinner than a
        pixel); it dies out at large scales.
    extent_correction : bool
        Fit a term `c x` as well: the leading correction of data with a finite extent, which dies
        out at small scales.

    Returns
    -------
    (S,) float array
        Zero for scales that are not used; all not-a-number if fewer than four are.

    Examples
    --------
    >>> form = slope_weights([1.0, 2.0, 4.0, 8.0], (1, 8))
    >>> round(float(form @ np.log([1.0, 4.0, 16.0, 64.0])), 12)
    2.0
    """
    scales = np.asarray(x, dtype=np.float64)
    used = _inside(scales, window)
    root = np.ones(len(scales)) if weights is None else np.sqrt(np.asarray(weights, np.float64))
    used &= root > 0
    if used.sum() < MIN_POINTS:
        return np.full(len(scales), math.nan)
    columns = [np.ones(len(scales)), np.log(scales)]
    columns += [1 / scales] if correction else []
    columns += [scales / scales[-1]] if extent_correction else []
    design = np.stack(columns, axis=1)[used] * root[used, None]
    form = np.zeros(len(scales))
    form[used] = np.linalg.pinv(design)[1] * root[used]
    return form


def fit_window(
    x: ArrayLike, y: ArrayLike, window: Window, *, weights: ArrayLike | None = None
) -> Fit:
    """Fit a power law over a window that was fixed beforehand.

    Parameters
    ----------
    x : (S,) float array
        Ascending and positive.
    y : (S,) float array
        Scales at which it is not positive are left out.
    window : tuple of two floats
        Smallest and largest scale to use.
    weights : (S,) float array, optional
        Inverse variances of `ln y`, zero for scales to leave out; equal by default.

    Returns
    -------
    Fit
        `slope` is not-a-number if fewer than four scales can be used.

    Examples
    --------
    >>> fit = fit_window([1, 2, 4, 8, 16, 32], [9, 16, 8, 4, 2, 1], (2, 32))
    >>> round(fit.slope, 12), fit.n_points, fit.octaves
    (-1.0, 5, 4.0)
    """
    scales = np.asarray(x, dtype=np.float64)
    log_y = _log(y)
    share = np.ones(len(scales)) if weights is None else np.asarray(weights, dtype=np.float64)
    share = np.where(_inside(scales, window) & np.isfinite(log_y), share, 0.0)
    used = share > 0
    n_points = int(used.sum())
    if n_points < MIN_POINTS:
        return Fit(math.nan, math.nan, math.nan, (math.nan, math.nan), n_points)
    scales, log_y, share = scales[used], log_y[used], share[used]
    ends = (float(scales[0]), float(scales[-1]))
    slope = float(slope_weights(scales, ends, weights=share) @ log_y)
    remainder = log_y - slope * np.log(scales)
    intercept = float(np.average(remainder, weights=share))
    residual = math.sqrt(np.average((remainder - intercept) ** 2, weights=share))
    return Fit(slope, intercept, residual, ends, n_points)


def fit_counts(
    x: ArrayLike, rates: ArrayLike, exposures: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Fit power laws to rates that are known from counts, few or none of them at some scales.

    Parameters
    ----------
    x : (S,) float array
        Scales, positive.
    rates : (..., S) float array
        Counts over `exposures`, at least 0.
    exposures : (S,) float array
        What one unit of rate would have counted, such as the number of trials.

    Returns
    -------
    slopes, intercepts : (...) float arrays
        Of `ln rate` against `ln x`; not-a-number where fewer than two scales counted anything.

    Notes
    -----
    Maximum likelihood of Poisson counts with a logarithmic link (McCullagh and Nelder, Generalized
    Linear Models, 1989, chapter 6), by Newton's method. A least-squares line through logarithms
    has no use for a scale that counted nothing, and dropping it biases the slope; here it counts.

    Examples
    --------
    >>> slope, _ = fit_counts([1.0, 2.0, 4.0], [0.0, 2.0, 8.0], [1.0, 1.0, 1.0])
    >>> round(float(slope), 2)
    2.49
    """
    log_x = np.log(np.asarray(x, dtype=np.float64))
    weights = np.asarray(exposures, dtype=np.float64)
    counts = np.asarray(rates, dtype=np.float64) * weights
    total = counts.sum(axis=-1)
    known = ((counts > 0).sum(axis=-1) >= 2) & np.isfinite(total)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (counts @ log_x / total)[..., None]
    u = log_x - np.where(known[..., None], centre, 0.0)
    # The best level at a given slope is known, which leaves one equation for the slope: the model's
    # mean of u is that of the counts, 0. It grows with the slope, from the lowest u to the highest.
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    slopes, low, high = (np.full(total.shape, end) for end in (0.0, -_STEEPEST, _STEEPEST))
    for _ in range(_NEWTON_STEPS):
        powers = log_weights + slopes[..., None] * u
        mass = np.exp(powers - powers.max(axis=-1, keepdims=True))
        mass /= mass.sum(axis=-1, keepdims=True)
        mean = np.sum(mass * u, axis=-1)
        variance = np.sum(mass * (u - mean[..., None]) ** 2, axis=-1)
        low, high = np.where(mean < 0, slopes, low), np.where(mean < 0, high, slopes)
        newton = slopes - mean / np.maximum(variance, _TINY)
        # Far from the root all mass sits on one scale, and Newton's steps go anywhere.
        slopes = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
    powers = log_weights + slopes[..., None] * u
    top = powers.max(axis=-1)
    log_mass = top + np.log(np.exp(powers - top[..., None]).sum(axis=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        levels = np.log(total) - log_mass - slopes * centre[..., 0]
    return np.where(known, slopes, math.nan), np.where(known, levels, math.nan)


def fit_ensemble(
    x: ArrayLike, y: ArrayLike, *, min_points: int = 5, min_octaves: float = 0.0
) -> Fit:
    """Let the data choose the window: an ensemble of all fits, weighted by length and quality.

    Parameters
    ----------
    x : (S,) float array
        Ascending and positive; a dozen geometric scales or more.
    y : (S,) float array
        Scales at which it is not positive are left out.
    min_points : int
        Fewest neighbouring scales in one fit, at least 4.
    min_octaves : float
        Shortest window in factors of two. On sets with lacunarity, whose counts swing around the
        power law, short windows inside one swing win unless this is more than a swing.

    Returns
    -------
    Fit
        `slope` is the most likely one and `spread` the full width at half maximum of the slopes;
        `window` has the most likely ends, and the slope fitted over it is close to `slope` but
        not the same. Not-a-number if no window is long enough.

    Raises
    ------
    ValueError
        If `min_points` is below 4.

    Notes
    -----
    Every run of neighbouring scales is fitted and weighted by its length over the square of its
    residual; the slope is the mode of the weighted kernel density of all slopes, and each end of
    the window the mode of the density of that end.

    References
    ----------
    V. Deshmukh, R. Meikle, E. Bradley, J. D. Meiss, J. Garland, "Using scaling-region
    distributions to select embedding parameters and estimate dimensions", Chaos 31, 123102 (2021).
    """
    scales = np.asarray(x, dtype=np.float64)
    log_y = _log(y)
    usable = np.isfinite(log_y)
    scales, log_x, log_y = scales[usable], np.log(scales[usable]), log_y[usable]
    if min_points < MIN_POINTS:
        raise ValueError(f"min_points={min_points} is too few to judge a line; pass at least 4")
    shortest = min_octaves * math.log(2) - _ROUNDING
    runs = [
        (i, j)
        for i, j in itertools.combinations(range(len(scales)), 2)
        if j - i + 1 >= min_points and log_x[j] - log_x[i] >= shortest
    ]
    if not runs:
        return Fit(math.nan, math.nan, math.nan, (math.nan, math.nan), 0)
    fits = [fit_window(scales, np.exp(log_y), (scales[i], scales[j])) for i, j in runs]
    slopes = np.array([fit.slope for fit in fits])
    lengths = np.array([log_x[j] - log_x[i] for i, j in runs])
    residuals = np.array([fit.residual for fit in fits])
    votes = lengths / (residuals**2 + _RESIDUAL_FLOOR**2)

    slope, spread = _mode_and_width(slopes, votes)
    low, _ = _mode_and_width(log_x[[i for i, _ in runs]], votes)
    high, _ = _mode_and_width(log_x[[j for _, j in runs]], votes)
    first = int(np.argmin(abs(log_x - low)))
    last = max(int(np.argmin(abs(log_x - high))), min(first + 1, len(scales) - 1))
    remainder = (log_y - slope * log_x)[first : last + 1]
    return Fit(
        slope,
        float(remainder.mean()),
        float(remainder.std()),
        (float(scales[first]), float(scales[last])),
        last - first + 1,
        spread,
    )


def window_sensitivity(x: ArrayLike, y: ArrayLike, window: Window) -> float:
    """Largest change of the slope when one octave is left out at either end of the window.

    Parameters
    ----------
    x, y : (S,) float arrays
        As in `fit_window`.
    window : tuple of two floats
        The window whose slope is to be judged.

    Returns
    -------
    float
        Not-a-number if neither of the two shorter windows can be fitted.
    """
    slope = fit_window(x, y, window).slope
    shorter = ((2 * window[0], window[1]), (window[0], window[1] / 2))
    changes = [abs(fit_window(x, y, part).slope - slope) for part in shorter]
    return max((change for change in changes if math.isfinite(change)), default=math.nan)


def scaling_flags(fit: Fit, ensemble: Fit | None = None) -> tuple[str, ...]:
    """Say what is doubtful about a fit.

    Parameters
    ----------
    fit : Fit
        The fit whose slope is reported.
    ensemble : Fit, optional
        The result of `fit_ensemble` on the same curve.

    Returns
    -------
    tuple of str
        Plain sentences; empty if nothing is.
    """
    flags = []
    if fit.octaves < 2 - _ROUNDING:
        flags.append("fit covers less than two octaves")
    if ensemble is not None and ensemble.spread > _WIDE_SPREAD:
        flags.append(
            f"no single scaling region: slopes over different windows spread by "
            f"{ensemble.spread:.2f}"
        )
    elif ensemble is not None and abs(fit.slope - ensemble.slope) > max(ensemble.spread, 0.02):
        low, high = ensemble.window
        flags.append(
            f"no single scaling region: the slope is {fit.slope:.3f} over the window fitted but "
            f"{ensemble.slope:.3f} where the curve is straightest, from {low:.3g} to {high:.3g}"
        )
    return tuple(flags)


def _inside(scales: np.ndarray, window: Window) -> np.ndarray:
    low, high = window
    return (scales >= low * (1 - _ROUNDING)) & (scales <= high * (1 + _ROUNDING))


def _log(values: ArrayLike) -> np.ndarray:
    """Natural logarithm, not-a-number where there is none."""
    values = np.asarray(values, dtype=np.float64)
    return np.log(np.where(values > 0, values, math.nan))


def _mode_and_width(values: np.ndarray, votes: np.ndarray) -> tuple[float, float]:
    """Mode and full width at half maximum of a weighted Gaussian kernel density."""
    votes = votes / votes.sum()
    mean = float(votes @ values)
    scatter = math.sqrt(votes @ (values - mean) ** 2)
    if scatter < 1e-12:
        return mean, 0.0
    # Scott's rule, with the number of equal votes that would be as informative.
    bandwidth = scatter * (1 / (votes @ votes)) ** -0.2
    grid = np.linspace(values.min() - bandwidth, values.max() + bandwidth, 1001)
    density = np.exp(-0.5 * ((grid[:, None] - values) / bandwidth) ** 2) @ votes
    peak = int(np.argmax(density))
    half = density >= density[peak] / 2
    below, above = np.flatnonzero(~half[:peak]), np.flatnonzero(~half[peak:])
    low = grid[below[-1] + 1] if len(below) else grid[0]
    high = grid[peak + above[0] - 1] if len(above) else grid[-1]
    return float(grid[peak]), float(high - low)
