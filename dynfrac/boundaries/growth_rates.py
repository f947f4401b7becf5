"""Exponential growth rates of sums over runs that die out, and which steps they are read from.

The sums Z_n = sum_i W_i(n) over the runs that are left at step n are nested: who is there at n + 1
was there at n. Their logarithms are correlated, but the increments ln Z_{n+1} - ln Z_n are not, so
the best slope is the mean of the increments weighted by their inverse variances, and no line
through the sums. All is computed from the sums over groups of runs, which the bootstrap resamples.
"""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np
from scipy.stats import chi2

from dynfrac.boundaries.lifetimes import FEWEST
from dynfrac.boundaries.streams import SADDLE_BOOTSTRAP, make_stream

N_GROUPS = 1000
"""Runs are resampled in so many groups, each by itself if there are no more."""
N_RESAMPLES = 400
MIN_INCREMENTS = 3
PENALTY = 4.0
"""Misfit that leaving out another increment has to save: two standard errors, squared.

Akaike's criterion, whose weights the starts have otherwise, asks for 2. An increment that agrees
with the others exceeds that by chance one time in six, and 4 one time in twenty-two.
"""

_UNLIKELY = 0.05


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Growth:
    """A rate, and the steps that it was read from.

    Attributes
    ----------
    rate : float
        Per step; not-a-number if fewer than three increments are left.
    form : (S,) float array
        The rate is `form @ ln Z`.
    first : int
        The first step used, that of the likeliest start.
    last : int
        The last.
    drift : float
        Standard deviation of the rates of different starts.
    steady : bool
        Whether the increments agree with one rate: a chi-squared test at 5 %.
    """

    rate: float
    form: np.ndarray
    first: int
    last: int
    drift: float
    steady: bool


def group_sums(values: np.ndarray) -> np.ndarray:
    """Return the sums of rows over groups of neighbouring runs, (G, S), of (N, S) values."""
    n = len(values)
    starts = np.linspace(0, n, min(n, N_GROUPS), endpoint=False).astype(int)
    return np.add.reduceat(values, starts, axis=0)


def draw_groups(n_groups: int, seed: int) -> np.ndarray:
    """Return how often each group is in each resample, (400, G)."""
    rng = make_stream(seed, SADDLE_BOOTSTRAP)
    return rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=N_RESAMPLES)


def effective_numbers(weights: np.ndarray) -> np.ndarray:
    """Return (sum W)^2 / sum W^2 at each step, (S,), of (N, S) weights."""
    with np.errstate(invalid="ignore"):
        numbers = weights.sum(axis=0) ** 2 / (weights**2).sum(axis=0)
    return np.nan_to_num(numbers)


def growth_rate(
    sums: np.ndarray, effective: np.ndarray, first: int = 0, logs: np.ndarray | None = None
) -> Growth:
    """Read the growth rate of sums over runs.

    Parameters
    ----------
    sums : (G, S) float array
        Of the weights, by group and step.
    effective : (S,) float array
        Effective numbers of runs; steps from the first one with fewer than 50 on are not used.
    first : int, default 0
        Earliest step to use. Later ones are tried as well, and the rate is the mean over starts,
        each of which counts exp(-c / 2), where c is the misfit of its increments, chi-squared, and
        `PENALTY` for every increment that it leaves out.
    logs : (S,) float array, optional
        Logarithms of factors that the sums are still to be multiplied by.

    Returns
    -------
    Growth
    """
    n_steps = sums.shape[1]
    few = np.flatnonzero(effective < FEWEST)
    last = int(few[0]) - 1 if len(few) else n_steps - 1
    nothing = Growth(math.nan, np.full(n_steps, math.nan), 0, last, math.nan, False)
    if last < MIN_INCREMENTS:
        return nothing
    total = sums[:, : last + 1].sum(axis=0)
    shares = sums[:, : last + 1] / total
    increments = np.diff(np.log(total) if logs is None else np.log(total) + logs[: last + 1])
    variances = np.sum(np.diff(shares, axis=1) ** 2, axis=0)
    # Of steps at which nobody went: as if one had.
    variances = np.maximum(variances, effective[1 : last + 1] ** -2.0)
    # From its neighbours, lest an increment that happens to be small weigh more for it.
    padded = np.log(np.pad(variances, 1, mode="reflect"))
    variances = np.exp((padded[:-2] + padded[2:]) / 2)
    latest = last - MIN_INCREMENTS
    starts = np.arange(min(first, latest), latest + 1)
    rates, misfits, forms = np.empty(len(starts)), np.empty(len(starts)), []
    for i, start in enumerate(starts):
        r, w = increments[start:], 1 / variances[start:]
        rates[i] = r @ w / w.sum()
        misfits[i] = w @ (r - rates[i]) ** 2
        form = np.zeros(n_steps)
        form[start:last] -= w / w.sum()
        form[start + 1 : last + 1] += w / w.sum()
        forms.append(form)
    # Akaike's weights, at twice the price that he asks for a parameter.
    criteria = misfits + PENALTY * starts
    belief = np.exp(-(criteria - criteria.min()) / 2)
    belief /= belief.sum()
    best = int(np.argmax(belief))
    rate = float(belief @ rates)
    spread = math.sqrt(belief @ (rates - rate) ** 2)
    steady = bool(chi2.sf(misfits[best], last - starts[best] - 1) > _UNLIKELY)
    return Growth(rate, belief @ np.array(forms), int(starts[best]), last, spread, steady)


def resampled_logs(sums: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return ln Z of the resamples, (B, S); minus infinity where nobody is left."""
    with np.errstate(divide="ignore"):
        return np.log(draws @ sums)
