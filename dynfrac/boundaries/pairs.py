"""Stratified pairs: how often two points a distance eps apart have different labels.

The fraction f(eps) of disagreeing pairs falls like eps^alpha, and the boundary between the labels
has box dimension N - alpha in a window of N axes. Pairs that are drawn uniformly over the window
mostly see nothing, so a coarse pilot grid says where to look: most pairs are drawn in cells that
the boundary crosses, some in the cells around them, and some everywhere else. Weighted by the
volumes of these three strata the fraction is unbiased whatever the pilot has missed.

One centre serves all distances that are still being measured, which costs one label for the centre
and one for each distance. A distance is done when enough of its pairs disagreed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import final

import numpy as np

from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pair_plans import SMALLEST_ROUND, first_plan, given_plan, next_plan
from dynfrac.boundaries.pilots import pilot_zones
from dynfrac.boundaries.streams import PAIRS, make_stream

LARGEST = 2.0**-4
"""Largest distance, in units of the window."""
LARGE_BUDGET = 16_000
"""From here on the distances start an octave lower, farther from the shape of the window."""
SHARES = (0.55, 0.2, 0.25)
"""Of the centres: in cells that the boundary crosses, around them, elsewhere."""
PILOT_NODES = 256
"""Of the pilot grid at small budgets, if a quarter of them buys as many."""
MIN_OCTAVES = 8
"""Fewest octaves that the window must have room for."""
FEWEST_GIVEN = 3
"""Fewest distances that a range that is given must have."""
LARGEST_GIVEN = 0.25
"""Largest distance of a range that is given."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Round:
    """Centres that were drawn together.

    Attributes
    ----------
    strata : (n,) int array
        Where each centre was drawn: 0 crossed, 1 around, 2 elsewhere.
    columns : (k,) int array
        Distances at which the centres were asked.
    hits : (k, n) bool array
        Whether the two labels differed.
    """

    strata: np.ndarray
    columns: np.ndarray
    hits: np.ndarray

    def counts(self, weights: np.ndarray, n_scales: int) -> tuple[np.ndarray, np.ndarray]:
        """Return disagreeing pairs and all pairs of these centres, by stratum and distance.

        Parameters
        ----------
        weights : (B, n) array
            How often each centre counts, in B resamples.
        n_scales : int
            Number S of distances that there are.

        Returns
        -------
        hits, pairs : (B, 3, S) float arrays
        """
        hits, pairs = np.zeros((2, len(weights), 3, n_scales))
        for stratum in range(3):
            inside = self.strata == stratum
            chosen = weights[:, inside]
            hits[:, stratum, self.columns] = chosen @ self.hits[:, inside].T
            pairs[:, stratum, self.columns] = chosen.sum(axis=1)[:, None]
        return hits, pairs


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of points with the same and with different labels, at distances an octave apart.

    Attributes
    ----------
    scales : (S,) float array
        Distances in units of the window, descending.
    volumes : (3,) float array
        Of the strata, as fractions of the window.
    rounds : tuple of Round
    n_labels : int
        Labels asked for, pilot included.
    n_axes : int
    """

    scales: np.ndarray
    volumes: np.ndarray
    rounds: tuple[Round, ...]
    n_labels: int
    n_axes: int

    def counts(self, weights: list[np.ndarray] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return disagreeing pairs and all pairs, by stratum and distance.

        Parameters
        ----------
        weights : list of (B, n) arrays, optional
            How often each centre of each round counts, in B resamples; once by default.

        Returns
        -------
        hits, pairs : (B, 3, S) float arrays
            With B = 1 if there are no weights.
        """
        if weights is None:
            weights = [np.ones((1, len(part.strata))) for part in self.rounds]
        hits, pairs = np.zeros((2, len(weights[0]) if weights else 1, 3, len(self.scales)))
        for part, weight in zip(self.rounds, weights, strict=True):
            found = part.counts(weight, len(self.scales))
            hits += found[0]
            pairs += found[1]
        return hits, pairs

    def fractions(self, weights: list[np.ndarray] | None = None) -> np.ndarray:
        """Return f at every distance, (B, S), for the weights of `counts`.

        Not-a-number where a stratum that is not empty was never asked.
        """
        return self.fractions_of(*self.counts(weights))

    def fractions_of(self, hits: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Return f at every distance, (B, S), for what `counts` returned."""
        with np.errstate(invalid="ignore"):
            shares = hits / pairs
        present = self.volumes > 0
        return np.einsum("s,bsk->bk", self.volumes[present], shares[:, present])


def distances_between(window: tuple[float, float]) -> np.ndarray:
    """Return the distances of a range that is given, from its largest down by octaves.

    Parameters
    ----------
    window : tuple of two floats
        Smallest and largest distance, in units of the window.

    Raises
    ------
    ValueError
        If they are no range, larger than a quarter of the window, or less than two octaves apart.

    Examples
    --------
    >>> distances_between((0.004, 0.06)).tolist()
    [0.06, 0.03, 0.015, 0.0075]
    """
    low, high = window
    told = f"scales={low:g}:{high:g}"
    if not (0 < low < high < math.inf):
        raise ValueError(f"{told} is no range of distances; pass 0 < low < high")
    if high > LARGEST_GIVEN:
        raise ValueError(
            f"{told} reaches beyond {LARGEST_GIVEN:g} of the window, where its shape is seen and "
            "not the boundary; pass a smaller high"
        )
    octaves = math.floor(math.log2(high / low) + 1e-9)  # as 2^-8 may be written in decimals
    if octaves + 1 < FEWEST_GIVEN:
        raise ValueError(
            f"{told} has room for {octaves + 1} distances an octave apart, and a slope needs "
            f"{FEWEST_GIVEN}; pass a wider range"
        )
    return high * 2.0 ** -np.arange(octaves + 1)


def draw_pairs(
    oracle: Oracle,
    *,
    seed: int,
    window: tuple[float, float] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Pairs:
    """Spend a budget of labels on pairs of points.

    Parameters
    ----------
    oracle : Oracle
        With a budget of at least 500.
    seed : int
        Of all positions.
    window : tuple of two floats, optional
        Ask all distances between these two and no others (`distances_between`), whatever is found.
    on_progress : callable, optional
        Called with the number of labels used so far.

    Returns
    -------
    Pairs

    Raises
    ------
    ValueError
        If there is not enough room between the distances and the precision of the hyperparameters,
        or the window of distances is none.

    Notes
    -----
    How deep to go follows from what was found so far (`dynfrac.boundaries.pair_plans`). A pair
    whose second point falls outside the window is turned around.

    References
    ----------
    S. W. McDonald, C. Grebogi, E. Ott, J. A. Yorke, "Fractal basin boundaries", Physica D 17, 125
    (1985).
    """
    rng = make_stream(seed, PAIRS)
    scales = _distances(oracle.finest) if window is None else distances_between(window)
    if scales[-1] < oracle.finest:
        raise ValueError(
            f"distances of {scales[-1]:.2g} of the window are beyond the precision of its "
            f"hyperparameters, {oracle.finest:.2g}; pass larger ones, or compute in float64"
        )
    first = 1 if window is None and oracle.budget >= LARGE_BUDGET else 0
    zones = pilot_zones(oracle, least=PILOT_NODES, reach=float(scales[first]))
    cells = [np.argwhere(zones == stratum) for stratum in range(3)]
    volumes = np.array([len(where) / zones.size for where in cells])
    rounds: list[Round] = []
    if window is None:
        plan = first_plan(len(scales), first, oracle.left)
    else:
        plan = given_plan(len(scales), oracle.left)
    while plan.n_centres:
        n = min(plan.n_centres, oracle.left // (len(plan.columns) + 1))
        if n < min(plan.n_centres, SMALLEST_ROUND):
            break
        part = _draw_round(oracle, rng, cells, len(zones), scales, plan.columns, n)
        rounds.append(part)
        if on_progress is not None:
            on_progress(oracle.used)
        pairs = Pairs(scales, volumes, tuple(rounds), oracle.used, oracle.n_axes)
        plan = next_plan(plan, part.hits, pairs.fractions()[0], scales, oracle.left)
    return Pairs(scales, volumes, tuple(rounds), oracle.used, oracle.n_axes)


def _distances(finest: float) -> np.ndarray:
    """Return all distances that labels can be asked for, from the largest down."""
    octaves = math.floor(math.log2(LARGEST / finest))
    if octaves < MIN_OCTAVES:
        raise ValueError(
            f"only {max(octaves, 0)} octaves lie between {LARGEST:g} of the window and the "
            "precision of its hyperparameters; widen the window, or compute in float64"
        )
    return LARGEST * 2.0 ** -np.arange(octaves + 1)


def _draw_round(
    oracle: Oracle,
    rng: np.random.Generator,
    cells: list[np.ndarray],
    side: int,
    scales: np.ndarray,
    columns: np.ndarray,
    n: int,
) -> Round:
    """Draw centres and ask for their labels and those of their partners."""
    d = oracle.n_axes
    shares = np.where([len(where) > 0 for where in cells], SHARES, 0.0)
    counts = np.floor(n * shares / shares.sum()).astype(int)
    counts[np.argmax(counts)] += n - counts.sum()
    strata = np.repeat(np.arange(3), counts)
    chosen = [
        where[rng.integers(len(where), size=count)]
        for where, count in zip(cells, counts, strict=True)
        if count
    ]
    centres = (np.concatenate(chosen) + rng.random((n, d))) / side
    direction = rng.standard_normal((n, d))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points = [centres]
    for scale in scales[columns]:
        partner = centres + scale * direction
        outside = np.any((partner < 0) | (partner > 1), axis=1)
        partner[outside] = (centres - scale * direction)[outside]
        points.append(np.clip(partner, 0.0, 1.0))  # in a corner both can be outside
    labels = oracle(np.concatenate(points)).reshape(len(points), n)
    return Round(strata, columns, labels[1:] != labels[0])
