"""The chaotic saddle on a boundary: how fast runs leave it, and how fast it tears them apart.

The boundary between outcomes is made of runs that never decide. They land on an invariant set
between the phases, a chaotic saddle if the boundary is fractal. Of runs from everywhere in a window
the share exp(-kappa n) is still undecided after n steps, and neighbours among them have separated
by exp(l n). Kantz and Grassberger's relation makes a dimension of these two rates: the information
dimension D1 = N - kappa / l of the saddle's natural measure, which is at most the box dimension.

These are cross-checks of estimators that look at the boundary itself, never the headline: they see
the piece of the saddle that decays most slowly, whether it is the fractal one or not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np

from dynfrac.analysis.estimates import Curve, Estimate, interval_95
from dynfrac.boundaries.growth_rates import (
    Growth,
    draw_groups,
    effective_numbers,
    group_sums,
    growth_rate,
    resampled_logs,
)
from dynfrac.boundaries.lifetimes import (
    CONTRACTION_STEPS,
    Lifetimes,
    measure_lifetimes,
    undecided_until,
)
from dynfrac.boundaries.mid_life import flight_steps, read_mid_life
from dynfrac.boundaries.oracles import check_map_window
from dynfrac.boundaries.saddle_doubts import MANY_OPEN, decay_doubts
from dynfrac.boundaries.streams import SADDLE, make_stream
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.criteria import AbstractRule
from dynfrac.orbits.sensitivities import stretch_histories, window_directions
from dynfrac.systems.abstract import AbstractMap

MIN_RUNS = 200
DECAY, STRETCH, RELATION = "undecided share", "mid-life log-stretch", "Kantz-Grassberger"
"""Names of the three estimators."""

_BATCH = 2**14


@final
@dataclasses.dataclass(frozen=True, eq=False)
class SaddleRates:
    """Rates of the saddle on a boundary.

    Attributes
    ----------
    escape_rate : Estimate
        kappa in nats per step; `curve` is the undecided share against the step, `window` the steps
        fitted.
    exponent : Estimate
        l, the mean log-stretch of undecided runs in mid-life, in nats per step; `curve` is that
        mean against the step.
    codimension : Estimate
        kappa / l, with the error of the two together.
    lifetimes : Lifetimes
        What all was read from.
    growth : Growth
        The steps that the escape rate was read from.
    settled : int
        Step from which on the mean log-stretch is that of mid-life.
    flight : int
        Steps before the decision in which runs fly out, rather than move on the saddle.
    conditions : dict
        `n_runs`, `n_steps`, `seed` and the names of the axes.
    """

    escape_rate: Estimate
    exponent: Estimate
    codimension: Estimate
    lifetimes: Lifetimes
    growth: Growth
    settled: int
    flight: int
    conditions: dict[str, Any]

    @property
    def n_axes(self) -> int:
        """Number of axes of the window."""
        return self.lifetimes.n_axes


def saddle_rates(
    map_: AbstractMap,
    axes: Sequence[Axis],
    *,
    n_runs: int,
    n_steps: int,
    hparams: Mapping[str, float] | None = None,
    rule: str | AbstractRule | None = None,
    dtype: str | None = None,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> SaddleRates:
    """Measure the saddle on the boundary between the outcomes in a window.

    Parameters
    ----------
    map_ : AbstractMap
    axes : sequence of Axis
        One to three, of hyperparameters or starts.
    n_runs : int
        At least 200; ten thousand give two digits.
    n_steps : int
        At least 20. Long enough for all but a few runs to decide, and 14 more, which it takes to
        see that a run contracts. A number of steps that is large costs memory and gains nothing.
    hparams, rule, dtype
        As in `dynfrac.evaluate`. The rule says when a run has escaped.
    seed : int, default 0
        Of places, directions and the bootstrap.
    on_progress : callable, optional
        Called with the number of runs done.

    Returns
    -------
    SaddleRates

    Raises
    ------
    ValueError
        If there are too few runs or steps, or the axes do not fit the map.

    Notes
    -----
    Undecided is who has neither passed the limit of the rule nor begun a net-contraction stretch
    (`dynfrac.boundaries.lifetimes`). The derivative along a random direction of the window tells
    the stretch, so that one run does for every number of axes.

    References
    ----------
    H. Kantz, P. Grassberger, "Repellers, semi-attractors, and long-lived chaotic transients",
    Physica D 17, 75 (1985).
    """
    if isinstance(n_runs, bool) or n_runs != int(n_runs) or n_runs < MIN_RUNS:
        raise ValueError(f"n_runs={n_runs} is too few; pass a whole number of at least {MIN_RUNS}")
    if n_steps < CONTRACTION_STEPS + 6:
        raise ValueError(
            f"n_steps={n_steps} is too short to tell contraction; pass {CONTRACTION_STEPS + 6} or "
            "more"
        )
    check_map_window(map_, axes, hparams)
    rng = make_stream(seed, SADDLE)
    positions = rng.random((int(n_runs), len(axes)))
    units = rng.standard_normal(positions.shape)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    parts = []
    for start in range(0, int(n_runs), _BATCH):
        rows = slice(start, start + _BATCH)
        values, directions = window_directions(axes, positions[rows], units[rows])
        history = stretch_histories(
            map_,
            {**(hparams or {}), **values},
            directions,
            n_steps=n_steps,
            rule=rule,
            dtype=dtype,
        )
        parts.append((history.logs, history.losses, history.t_escape))
        if on_progress is not None:
            on_progress(min(start + _BATCH, int(n_runs)))
    logs, losses, escapes = (np.concatenate(column) for column in zip(*parts, strict=True))
    lifetimes = measure_lifetimes(logs, losses, escapes, n_axes=len(axes))
    names = [axis.name for axis in axes]
    conditions = {"n_runs": int(n_runs), "n_steps": n_steps, "seed": seed, "axes": names}
    return dataclasses.replace(read_rates(lifetimes, seed=seed), conditions=conditions)


def read_rates(lifetimes: Lifetimes, *, seed: int = 0) -> SaddleRates:
    """Read escape rate, exponent and codimension off the lives of runs.

    Parameters
    ----------
    lifetimes : Lifetimes
    seed : int, default 0
        Of the bootstrap over runs.

    Returns
    -------
    SaddleRates
        Its errors hold the bootstrap and the doubt about the first step of the exponential decay.
    """
    n_runs = len(lifetimes)
    counts = lifetimes.undecided()
    shares = counts / n_runs
    share_curve = Curve(np.arange(len(counts)), shares, np.sqrt(shares * (1 - shares) / n_runs))
    alive = undecided_until(lifetimes, 0)
    sums = group_sums(alive.astype(float))
    growth = growth_rate(sums, effective_numbers(alive.astype(float)))
    draws = draw_groups(len(sums), seed)
    flags = decay_doubts(lifetimes, growth)
    if not math.isfinite(growth.rate):
        return SaddleRates(
            Estimate.missing(DECAY, n_runs, flags, share_curve),
            Estimate.missing(STRETCH, n_runs, flags),
            Estimate.missing(RELATION, n_runs, flags, share_curve),
            lifetimes,
            growth,
            growth.first,
            0,
            {},
        )
    kappas = -(resampled_logs(sums[:, : growth.last + 1], draws) @ growth.form[: growth.last + 1])
    kappa = -growth.rate
    kappa_error = math.hypot(kappas.std(), growth.drift)
    window = (float(growth.first), float(growth.last))
    escape = _estimate(kappa, kappa_error, DECAY, n_runs, window, share_curve, flags)
    middle = read_mid_life(lifetimes, growth.first, draws)
    if not math.isfinite(middle.exponent):
        reason = "no undecided run is far enough from its end to be in mid-life; pass more runs"
        return SaddleRates(
            escape,
            Estimate.missing(STRETCH, n_runs, (reason, *flags), middle.curve),
            Estimate.missing(RELATION, n_runs, (reason, *flags), share_curve),
            lifetimes,
            growth,
            growth.first,
            0,
            {},
        )
    value, drift = middle.exponent, middle.drift
    inside = (float(middle.curve.x[0]), float(middle.curve.x[-1]))
    error = math.hypot(middle.resampled.std(), drift)
    exponent = _estimate(value, error, STRETCH, n_runs, inside, middle.curve, flags)
    ratio = kappa / value
    doubt = math.hypot(growth.drift, ratio * drift) / abs(value)
    spread = math.hypot(float((kappas / middle.resampled).std()), doubt)
    codimension = _estimate(ratio, spread, RELATION, n_runs, window, share_curve, flags)
    if lifetimes.open_share > MANY_OPEN:
        # The longest lives are not those of runs near the boundary.
        codimension = Estimate.missing(RELATION, n_runs, flags, share_curve)
    flight = flight_steps(lifetimes, value)
    return SaddleRates(escape, exponent, codimension, lifetimes, growth, middle.first, flight, {})


def kantz_grassberger(rates: SaddleRates) -> Estimate:
    """Information dimension of the boundary by the relation of Kantz and Grassberger.

    Parameters
    ----------
    rates : SaddleRates

    Returns
    -------
    Estimate
        D1 = N - kappa / l; `curve` is the undecided share against the step. Not-a-number if kappa
        is not below l, or more than a tenth of the runs are undecided to the last step.

    Notes
    -----
    For a saddle with one unstable direction. D1 <= D0; on rippled bowls it read 0.02 less than
    pairs to as much as they. It misleads where a piece of the saddle that is not fractal decays
    most slowly: there kappa = l, whatever the dimension of the boundary is. A cross-check, not a
    measurement of the boundary.
    """
    ratio = rates.codimension
    if not ratio.has_value:
        return ratio
    flags = ratio.flags
    if ratio.value > 1 + 2 * ratio.stderr:
        reason = (
            f"kappa = {float(rates.escape_rate):.3g} is not below l = {float(rates.exponent):.3g}: "
            "the relation does not hold for one unstable direction"
        )
        return Estimate.missing(RELATION, ratio.n_runs, (reason, *flags), ratio.curve)
    if ratio.value > 1 - 2 * ratio.stderr:
        flags += (
            "kappa is not below l within their errors: what decays most slowly is not fractal",
        )
    value = rates.n_axes - ratio.value
    low, high = interval_95(
        value, ratio.stderr, lowest=rates.n_axes - 1.0, highest=float(rates.n_axes)
    )
    return dataclasses.replace(ratio, value=value, ci_low=low, ci_high=high, flags=flags)


def _estimate(
    value: float,
    stderr: float,
    method: str,
    n_runs: int,
    window: tuple[float, float],
    curve: Curve,
    flags: tuple[str, ...],
) -> Estimate:
    low, high = interval_95(value, stderr)
    return Estimate(value, stderr, low, high, method, n_runs, window, curve, flags)
