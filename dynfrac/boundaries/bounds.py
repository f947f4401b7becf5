"""Bounds on the dimension of a boundary from entropies and rates of its saddle.

A saddle of topological entropy h has about exp(h n) pieces that are told apart in n steps, and a
piece is at most exp(-l_u n) and at least exp(-s n) across, where l_u is the slowest and s the
fastest rate at which neighbours separate anywhere on it. Counting pieces bounds the dimension from
both sides; the volume exp(-kappa n) of what is undecided bounds it from above once more.

The statements are about uniform rates, which are infima and suprema over the saddle. Those of a
sample of runs are not quite that, and estimates made of them are flagged accordingly: they belong
beside a measured dimension, as a warning if it violates them, and prove nothing.
"""

from __future__ import annotations

import dataclasses
import math
from typing import final

from dynfrac.analysis.estimates import Curve, Estimate, interval_95
from dynfrac.boundaries.pressures import topological_entropy
from dynfrac.boundaries.saddles import SaddleRates
from dynfrac.boundaries.stretch_extremes import fastest_stretch, slowest_stretch

TRANSVERSALITY = (
    "holds if the window is in general position to the stable directions of the saddle, which is "
    "not checked"
)
_AT_MOST = "void: neighbours separate at {:.3g} nats per step at most, not at all"
_SOMEWHERE = (
    "void: neighbours separate at {:.3g} nats per step somewhere on the saddle, and at no positive "
    "rate everywhere; take the rate over more steps"
)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds on the dimension of the boundary, all from one sample of runs.

    Attributes
    ----------
    floor : Estimate
        N - 1 + h / s.
    escape_ceiling : Estimate
        N - kappa / s.
    entropy_ceiling : Estimate
        N - 1 + h / l_u.
    """

    floor: Estimate
    escape_ceiling: Estimate
    entropy_ceiling: Estimate


def entropy_ceiling(
    entropy: float | Estimate, slowest: float | Estimate, *, n_axes: int = 1
) -> Estimate:
    """Bound the dimension of a boundary from above by entropy and slowest stretching.

    Parameters
    ----------
    entropy : float or Estimate
        Topological entropy h of the saddle, in nats per step.
    slowest : float or Estimate
        l_u, the slowest rate of separation along the one unstable direction: the minimum over the
        saddle of ln norm(DF^n) / n, for any n.
    n_axes : int, default 1
        Number N of axes of the window.

    Returns
    -------
    Estimate
        N - 1 + min(1, h / l_u). Not-a-number if l_u is not positive; flagged as void if it says no
        more than N.

    Notes
    -----
    Fathi's argument in its expanding form: for a repeller, N = 1, boxdim <= h / l_u. Since l_u(n)
    grows towards its limit from below, every n gives a valid bound and larger ones give better; at
    n = 1 it is often void, because the metric is not adapted.

    References
    ----------
    A. Fathi, "Expansiveness, hyperbolicity and Hausdorff dimension", Commun. Math. Phys. 126, 249
    (1989).

    Examples
    --------
    >>> import math
    >>> round(entropy_ceiling(math.log(2), math.log(1 / 0.45)).value, 5)
    0.86805
    """
    h, l_u = _as_estimate(entropy, "entropy"), _as_estimate(slowest, "slowest")
    flags = (TRANSVERSALITY,) if n_axes > 1 else ()
    return _bound("entropy ceiling", h, l_u, n_axes - 1, 1, n_axes, _SOMEWHERE, flags)


def two_rate_ceiling(
    entropy: float | Estimate, expanding: float | Estimate, contracting: float | Estimate
) -> Estimate:
    """Bound the dimension of a hyperbolic set of an invertible map by entropy and two rates.

    Parameters
    ----------
    entropy : float or Estimate
        Topological entropy h, in nats per step.
    expanding, contracting : float or Estimate
        l_u and l_s, the slowest rates of expansion and of contraction on the set, both positive.

    Returns
    -------
    Estimate
        h (1 / l_u + 1 / l_s). Not-a-number if a rate is not positive.

    Notes
    -----
    Of the set itself and not of a boundary. Maps of training are seldom invertible.

    References
    ----------
    A. Fathi, "Expansiveness, hyperbolicity and Hausdorff dimension", Commun. Math. Phys. 126, 249
    (1989).

    Examples
    --------
    >>> import math
    >>> cat = math.log((3 + math.sqrt(5)) / 2)
    >>> round(two_rate_ceiling(cat, cat, cat).value, 12)
    2.0
    """
    h = _as_estimate(entropy, "entropy")
    parts = [_as_estimate(expanding, "expanding"), _as_estimate(contracting, "contracting")]
    n_runs, flags = _runs(h, *parts), _flags_of(h, *parts)
    if not all(part.has_value for part in (h, *parts)):
        return Estimate.missing("two-rate ceiling", n_runs, flags)
    for part in parts:
        if part.value <= 0:
            reason = f"void: a rate of {part.value:.3g} nats per step is not positive"
            return Estimate.missing("two-rate ceiling", n_runs, (reason, *flags))
    flags += _errors_in_doubt(h, *parts)
    inverse = sum(1 / part.value for part in parts)
    value = h.value * inverse
    errors = [_error(part) * h.value / part.value**2 for part in parts]
    stderr = math.hypot(_error(h) * inverse, *errors)
    low, high = interval_95(value, stderr, lowest=0.0)
    nan = math.nan
    return Estimate(
        value, stderr, low, high, "two-rate ceiling", n_runs, (nan, nan), Curve.empty(), flags
    )


def escape_ceiling(
    escape_rate: float | Estimate, fastest: float | Estimate, *, n_axes: int = 1
) -> Estimate:
    """Bound the dimension of a boundary from above by escape rate and fastest stretching.

    Parameters
    ----------
    escape_rate : float or Estimate
        kappa, in nats per step.
    fastest : float or Estimate
        s, the fastest rate of separation: the maximum over the undecided orbits of
        ln norm(DF^n) / n, for any n.
    n_axes : int, default 1
        Number N of axes of the window.

    Returns
    -------
    Estimate
        N - kappa / s. Not-a-number if s is not positive.

    Notes
    -----
    For a locally maximal hyperbolic set of a diffeomorphism this is a theorem of Shafikov and Wolf
    on the set of starts that are attracted to it. The elementary form needs a uniform bound s on
    the growth of the derivative with respect to the position in the window, and nothing else: what
    is within exp(-s n) of a place that never decides is undecided at n, and the volume of that is
    of order exp(-kappa n). So it holds for windows of hyperparameters and any number of unstable
    directions.

    References
    ----------
    R. Shafikov, C. Wolf, "Stable sets, hyperbolicity and dimension", arXiv:math/0306282.
    """
    kappa, s = _as_estimate(escape_rate, "escape_rate"), _as_estimate(fastest, "fastest")
    return _bound("escape ceiling", kappa, s, n_axes, -1, n_axes, _AT_MOST)


def entropy_floor(
    entropy: float | Estimate, fastest: float | Estimate, *, n_axes: int = 1
) -> Estimate:
    """Bound the dimension of a boundary from below by entropy and fastest stretching.

    Parameters
    ----------
    entropy : float or Estimate
        Topological entropy h of the saddle, in nats per step.
    fastest : float or Estimate
        s, or the logarithm of a Lipschitz constant.
    n_axes : int, default 1
        Number N of axes of the window.

    Returns
    -------
    Estimate
        N - 1 + h / s. Not-a-number if s is not positive.

    Notes
    -----
    h <= HD ln^+ L for a continuous map of Lipschitz constant L on a compact set; for a repeller,
    N = 1, the floor is h / ln L. The information dimension of the natural measure may lie below it.

    References
    ----------
    X. Dai, Z. Zhou, X. Geng, "Some relations between Hausdorff dimensions and entropies", Science
    in China A 41, 1068 (1998).
    """
    h, s = _as_estimate(entropy, "entropy"), _as_estimate(fastest, "fastest")
    flags = (TRANSVERSALITY,) if n_axes > 1 else ()
    return _bound("entropy floor", h, s, n_axes - 1, 1, n_axes, _AT_MOST, flags)


def boundary_bounds(
    rates: SaddleRates, *, entropy: float | Estimate | None = None, seed: int = 0
) -> Bounds:
    """Bound the dimension of a boundary by what undecided runs show.

    Parameters
    ----------
    rates : SaddleRates
    entropy : float or Estimate, optional
        Topological entropy of the saddle, if it is known; else it is measured
        (`dynfrac.boundaries.pressures.topological_entropy`).
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    Bounds
    """
    h = topological_entropy(rates, seed=seed) if entropy is None else entropy
    fastest, slowest = fastest_stretch(rates), slowest_stretch(rates)
    n_axes = rates.n_axes
    return Bounds(
        entropy_floor(h, fastest, n_axes=n_axes),
        escape_ceiling(rates.escape_rate, fastest, n_axes=n_axes),
        entropy_ceiling(h, slowest, n_axes=n_axes),
    )


def _as_estimate(value: float | Estimate, name: str) -> Estimate:
    if isinstance(value, Estimate):
        return value
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name}={value} is not a rate; pass a finite number of nats per step")
    nan = math.nan
    return Estimate(number, 0.0, number, number, "given", 0, (nan, nan), Curve.empty())


def _runs(*estimates: Estimate) -> int:
    return max(estimate.n_runs for estimate in estimates)


def _flags_of(*estimates: Estimate) -> tuple[str, ...]:
    return tuple(dict.fromkeys(flag for estimate in estimates for flag in estimate.flags))


def _error(estimate: Estimate) -> float:
    """Return the standard error; 0 for a sampled extreme, which has none."""
    return estimate.stderr if math.isfinite(estimate.stderr) else 0.0


def _errors_in_doubt(*estimates: Estimate) -> tuple[str, ...]:
    """Say that the interval leaves something out, if it does."""
    without = [estimate.method for estimate in estimates if not math.isfinite(estimate.stderr)]
    if not without:
        return ()
    return (f"the interval is too short: the error of {' and '.join(without)} is not known",)


def _bound(
    method: str,
    above: Estimate,
    below: Estimate,
    start: float,
    sign: int,
    n_axes: int,
    void: str,
    flags: tuple[str, ...] = (),
) -> Estimate:
    """Return start + sign above / below within [n_axes - 1, n_axes], with the errors there are.

    If neighbours do not separate there is none, and `void` says so with their rate put in.
    """
    if below.has_value and below.value <= 0:
        reason = void.format(below.value)
        return Estimate.missing(method, _runs(above, below), (reason, *flags))
    flags += _flags_of(above, below)
    if not (above.has_value and below.has_value):
        return Estimate.missing(method, _runs(above, below), flags)
    flags += _errors_in_doubt(above, below)
    ratio = above.value / below.value
    errors = _error(above) / below.value, ratio * _error(below) / below.value
    stderr = math.hypot(*errors)
    lowest, highest = n_axes - 1.0, float(n_axes)
    value = start + sign * ratio
    if value >= highest and method.endswith("ceiling"):
        flags += (f"void: no less than the {n_axes} dimensions of the window",)
    beyond = value > highest if method.endswith("floor") else value < lowest
    if beyond:
        flags += (
            f"{value:.3g} contradicts a boundary in {n_axes} dimensions: the two rates do not "
            "belong to the same saddle, or are not known well enough",
        )
    low, high = interval_95(value, stderr, lowest=lowest, highest=highest)
    value = min(max(value, lowest), highest)
    nan, runs = math.nan, _runs(above, below)
    return Estimate(value, stderr, low, high, method, runs, (nan, nan), Curve.empty(), flags)
