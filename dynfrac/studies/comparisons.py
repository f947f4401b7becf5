"""Two architectures, or one at several strengths of its shortcuts, compared over paired seeds.

Is the trainability boundary of one network rougher than that of another? Within one network the
dimension depends on the window by as much as 0.5, and between seeds it spreads by 0.1 to 0.3. So
windows are chosen by a rule, partners share seed, data and batches, and the answer is the mean of
the differences between partners with its interval, and how many pairs would have seen what was
asked for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np

from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.windows import RayWindow, make_window_rule
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.rules import AbstractRule
from dynfrac.studies.arms import Arm, Maker, Protocol, make_arm, make_map_of
from dynfrac.studies.comparison_summaries import Comparison, summarise
from dynfrac.studies.readings import Reading, take_reading
from dynfrac.studies.window_dimensions import too_fine
from dynfrac.sweeps.fingerprints import fingerprint
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.models import MeanFieldMLP
from dynfrac.systems.training import TrainingMap

SEEDS = 8

_BOTH_RATES = (Axis("lr_in", 1e-3, 1e6), Axis("lr_out", 1e-3, 1e6))
_OFFSET_AND_RATE = (Axis("weight_offset", 1e-4, 1.0), Axis("lr", 1e-3, 1e3))


def compare(
    a: str | Maker | Arm,
    b: str | Maker | Arm,
    axes: Sequence[Axis] | None = None,
    *,
    n_steps: int,
    seeds: int | Sequence[int] = SEEDS,
    budget: int,
    window: str | RayWindow = "rays:1",
    method: str = "auto",
    seed: int = 0,
    hparams: Mapping[str, float] | None = None,
    rule: str | AbstractRule | None = None,
    dtype: str | None = None,
    lanes: int | None = None,
    margin: float | None = None,
    scales: tuple[float, float] | None = None,
    journal: str | Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare the boundary dimensions of two architectures over paired seeds.

    Parameters
    ----------
    a, b : str, Arm or callable
        Names of architectures, or functions ``make(seed)`` that return a map. Partners get the same
        seed of the initial weights; data and the order of minibatches are the same for all.
    axes : sequence of Axis, optional
        The box of hyperparameters in which the window rule searches, the same for all; by default
        `default_search` of the first map.
    n_steps : int
        Length of the runs.
    seeds : int or sequence of int, default 8
        How many, from 0 on, or which.
    budget : int
        Most runs for each arm and seed, at least 500, those that find the window included.
    window : str or RayWindow
        Rule that chooses the window of each arm and seed.
    method : {"auto", "pairs", "box-cascade", "transects"}
        As of `dynfrac.boundary_dimension`. D(scale) and the undecided share come from pairs only.
    seed : int, default 0
        Of the points and the bootstrap; partners start from the same stream of random numbers.
    hparams, rule, dtype, lanes
        As in `dynfrac.evaluate`, for both.
    margin : float, optional
        Difference below which the two would be called equal. "No difference" is a claim of its own
        and needs one, fixed beforehand.
    scales : tuple of two floats, optional
        Smallest and largest distance, in units of the window. Pairs are then drawn at the distances
        between them, an octave apart from the largest down, and at no others, and all dimensions
        are fitted over all of these. By default every fit chooses its own depth, which follows the
        dimension it finds, so that arms of other dimensions are read at other scales.
    journal : path, optional
        A folder, made if there is none, with a file for each arm and seed. A comparison that was
        cut off goes on from it, and more seeds can be added to it, with the same numbers.
    on_progress : callable, optional
        Called with the runs accounted for and their greatest possible number.

    Returns
    -------
    Comparison
        `difference` is not-a-number, with the reason in its flags, if fewer than two pairs are
        complete; the power statement is there all the same.

    Raises
    ------
    ValueError
        If seeds repeat, the budget is below 500, or an arm, axis, rule or window does not fit; if
        the range of scales has fewer than three distances, reaches beyond a quarter of the window
        or below the precision of the hyperparameters; if the journal is of another comparison,
        another kind of device, or other versions of jax.

    Notes
    -----
    The interval is that of the seeds: what the estimator adds to each difference is part of their
    spread. It says nothing of other windows, numbers of steps, rules or scales. Seeds without a
    value are counted and reported; if they are many in one arm, the difference is that of the
    others, and biased.

    Examples
    --------
    >>> found = compare("resnet8", "plain8", n_steps=60, seeds=3, budget=500)  # doctest: +SKIP
    >>> found.difference.ci_low, found.power.sentence  # doctest: +SKIP
    """
    arms = (make_arm(a), make_arm(b))
    if arms[0].name == arms[1].name:
        arms = tuple(
            dataclasses.replace(arm, name=f"{arm.name} ({side})")
            for arm, side in zip(arms, ("first", "second"), strict=True)
        )
    options = _Options(
        n_steps, budget, window, method, seed, hparams, rule, dtype, lanes, margin, scales, journal
    )
    return _compare(arms, None, axes, seeds, options, on_progress)


def compare_levels(
    a: str | Maker | Arm,
    level: Axis,
    axes: Sequence[Axis] | None = None,
    *,
    n_steps: int,
    seeds: int | Sequence[int] = SEEDS,
    budget: int,
    window: str | RayWindow = "rays:1",
    method: str = "auto",
    seed: int = 0,
    hparams: Mapping[str, float] | None = None,
    rule: str | AbstractRule | None = None,
    dtype: str | None = None,
    lanes: int | None = None,
    margin: float | None = None,
    scales: tuple[float, float] | None = None,
    journal: str | Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare one architecture with itself at several values of a hyperparameter.

    Parameters
    ----------
    a : str, Arm or callable
        The architecture, as in `compare`.
    level : Axis
        The hyperparameter and its values, such as ``Axis("skip", 0, 1, 5)``: from the plain network
        to the residual one.
    axes, n_steps, seeds, budget, window, method, seed, hparams, rule, dtype, lanes, margin, scales
        As in `compare`.
    journal, on_progress
        As in `compare`.

    Returns
    -------
    Comparison
        With an arm for each value, the highest first; `difference` is that of the two ends, and
        `trend` the mean slope over seeds that have a value at every level.

    Raises
    ------
    ValueError
        As `compare`, or if the hyperparameter is one of the axes or has no number of values.
    """
    base = make_arm(a)
    values = level.points()[::-1].tolist()
    if level.name in [axis.name for axis in axes or ()]:
        raise ValueError(
            f"{level.name} is swept between the arms and an axis of the window as well; drop one"
        )
    arms = tuple(
        Arm(f"{base.name} {level.name}={value:g}", base.make, {**base.hparams, level.name: value})
        for value in values
    )
    options = _Options(
        n_steps, budget, window, method, seed, hparams, rule, dtype, lanes, margin, scales, journal
    )
    return _compare(arms, level, axes, seeds, options, on_progress)


def default_search(map_: AbstractMap) -> tuple[Axis, Axis]:
    """Return the box in which windows are looked for unless one is given.

    Parameters
    ----------
    map_ : AbstractMap

    Returns
    -------
    tuple of Axis
        For mean-field networks the learning rates of the first and the last layer, 1e-3 to 1e6, as
        in the published pictures; else the offset of all initial weights, 1e-4 to 1, and the
        learning rate, 1e-3 to 1e3. In a network with BatchNorm the learning rate of the first layer
        bounds nothing.

    Raises
    ------
    ValueError
        If the map does not have these hyperparameters.
    """
    mean_field = isinstance(map_, TrainingMap) and isinstance(map_.model, MeanFieldMLP)
    axes = _BOTH_RATES if mean_field else _OFFSET_AND_RATE
    missing = [axis.name for axis in axes if axis.name not in map_.defaults]
    if missing:
        raise ValueError(
            f"{type(map_).__name__} has no hyperparameter {missing[0]}; say in which axes to look"
        )
    return axes


@final
@dataclasses.dataclass(frozen=True)
class _Options:
    """What both kinds of comparisons are given."""

    n_steps: int
    budget: int
    window: str | RayWindow
    method: str
    seed: int
    hparams: Mapping[str, float] | None
    rule: str | AbstractRule | None
    dtype: str | None
    lanes: int | None
    margin: float | None
    scales: tuple[float, float] | None
    journal: str | Path | None


def _compare(
    arms: Sequence[Arm],
    level: Axis | None,
    axes: Sequence[Axis] | None,
    seeds: int | Sequence[int],
    options: _Options,
    on_progress: Callable[[int, int], None] | None,
) -> Comparison:
    """Take all readings, seed by seed, and summarise them."""
    chosen = choose_seeds(seeds)
    first = [make_map_of(arm, chosen[0]) for arm in arms]
    _refuse_idle_seeds(arms, first, chosen)
    search = tuple(axes) if axes is not None else default_search(first[0])
    if options.margin is not None and not 0 < options.margin < math.inf:
        raise ValueError(f"margin={options.margin} is no margin; pass a positive number")
    protocol = Protocol(
        search,
        options.n_steps,
        options.budget,
        make_window_rule(options.window),
        options.method,
        options.seed,
        dict(options.hparams or {}),
        options.rule,
        options.dtype,
        options.lanes,
        options.scales,
    )
    _refuse_too_fine(arms[0], first[0], protocol)
    total = len(chosen) * len(arms) * options.budget
    folder = None if options.journal is None else Path(options.journal)
    rows: list[tuple[Reading, ...]] = []
    for i, seed in enumerate(chosen):
        row = []
        for k, arm in enumerate(arms):
            begun = (i * len(arms) + k) * options.budget

            def report(used: int, begun: int = begun) -> None:
                if on_progress is not None:
                    on_progress(begun + used, total)

            label = f"seed-{seed}-{k}-"
            row.append(
                take_reading(arm, seed, protocol, folder=folder, label=label, on_progress=report)
            )
            report(options.budget)
        rows.append(tuple(row))
    return summarise(rows, arms, protocol, level=level, margin=options.margin, twins=first)


def _refuse_too_fine(arm: Arm, map_: AbstractMap, protocol: Protocol) -> None:
    """Refuse a range of scales that hyperparameters are too coarse for, before anything is run."""
    if protocol.scales is None:
        return
    centred = [_centred(axis, protocol.window.width) for axis in protocol.search]
    problem = too_fine(Oracle(map_, centred, budget=0, **protocol.conditions(arm)).finest, protocol)
    if problem:
        raise ValueError(f"scales: {problem}; pass larger ones, or compute in float64")


def _centred(axis: Axis, width: float) -> Axis:
    """Return a window of this width in the middle of an axis."""
    decades = math.log10(axis.high / axis.low) if axis.scale == "log10" else 1.0
    half = min(width / decades, 1.0) / 2
    low, high = axis.values(np.array([0.5 - half, 0.5 + half])).tolist()
    return Axis(axis.name, low, high, scale=axis.scale)


def _refuse_idle_seeds(
    arms: Sequence[Arm], first: Sequence[AbstractMap], seeds: Sequence[int]
) -> None:
    """Refuse arms whose map is the same for all seeds: their pairs would be one pair."""
    for arm, map_ in zip(arms, first, strict=True):
        if len(seeds) > 1 and fingerprint(make_map_of(arm, seeds[1])) == fingerprint(map_):
            raise ValueError(
                f"{arm.name} is the same for the seeds {seeds[0]} and {seeds[1]}; draw its initial "
                "weights from the seed"
            )


def choose_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Return the seeds that a number of them, or a list, means.

    Raises
    ------
    ValueError
        If there are none, or one is negative or there twice.
    """
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(int(s) for s in seeds)
    if not chosen or len(set(chosen)) != len(chosen) or min(chosen) < 0:
        raise ValueError(f"seeds={seeds} are no different seeds; pass how many, or whole numbers")
    return chosen
