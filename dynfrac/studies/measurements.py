"""Measurements of the validation table: from the description of a case to numbers with errors.

Each function computes one thing, a spectrum, a picture, a set of points, and reads the quantities
that are asked for off it. Arguments beyond the first two are what the table has under `given`.
Everything goes through the functions that users call, with their defaults unless the table says
otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from dynfrac.analysis import julia_sets, point_sets, sets
from dynfrac.analysis.basin_entropies import basin_entropy
from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.correlations import correlation_dimension
from dynfrac.analysis.estimates import Z95, Estimate
from dynfrac.analysis.generalized import generalized_dimension
from dynfrac.analysis.kaplan_yorke import KaplanYorke, kaplan_yorke_dimension
from dynfrac.analysis.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from dynfrac.analysis.scaling import fit_window
from dynfrac.analysis.takens import takens_dimension
from dynfrac.analysis.uncertainty import uncertainty_exponent
from dynfrac.boundaries.pressures import pressure_dimension
from dynfrac.boundaries.saddles import kantz_grassberger, saddle_rates
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.iteration import iterate
from dynfrac.orbits.outcomes import Outcomes
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.catalogue import make_architecture, make_map

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Measured(NamedTuple):
    """One number, its standard error, and why there is none.

    Attributes
    ----------
    value : float
    stderr : float
        0 for counts and identities, which are exact up to rounding.
    note : str
    """

    value: float
    stderr: float = 0.0
    note: str = ""


Quantities = Mapping[str, Measured]


def spectrum(
    quantities: Collection[str],
    seed: int,
    *,
    steps: int,
    map: str = "",
    arch: str = "",
    arguments: Mapping[str, Any] = _NOTHING,
    hparams: Mapping[str, float] = _NOTHING,
    transient: int = 0,
    exponents: int | None = None,
) -> Quantities:
    """Read exponents, their sum and the Kaplan-Yorke dimension off a spectrum.

    The sum has no standard error: it is measured where it is the same at every step.
    """
    made = _make(map, arch, arguments)
    result = lyapunov_spectrum(
        made, hparams, n_steps=steps, n_transient=transient, n_exponents=exponents, seed=seed
    )
    readings = {
        f"exponent {j + 1}": Measured(float(value), float(error), _reason(result))
        for j, (value, error) in enumerate(zip(result.exponents, result.stderr, strict=True))
    }
    readings["sum of the exponents"] = Measured(float(result.exponents.sum()))
    readings["Kaplan-Yorke dimension"] = _read_kaplan_yorke(result.kaplan_yorke)
    return readings


def _reason(result: LyapunovSpectrum) -> str:
    return "" if np.all(np.isfinite(result.exponents)) else "; ".join(result.flags)


def _read_kaplan_yorke(dimension: KaplanYorke) -> Measured:
    """Read the standard error off the 95 % interval, as for a normal distribution."""
    error = (dimension.high - dimension.low) / (2 * Z95)
    return Measured(dimension.value, error, "; ".join(dimension.flags))


def kaplan_yorke(
    quantities: Collection[str],
    seed: int,
    *,
    spectra: Mapping[str, Sequence[float]],
) -> Quantities:
    """Apply the Kaplan-Yorke formula to spectra that are given."""
    return {
        quantity: Measured(kaplan_yorke_dimension(spectra[quantity]).value)
        for quantity in quantities
    }


def points(
    quantities: Collection[str],
    seed: int,
    *,
    sampler: str,
    n: int,
    arguments: Mapping[str, Any] = _NOTHING,
) -> Quantities:
    """Read dimensions off independent points of a known set."""
    sample = getattr(point_sets, sampler)(n, seed=seed, **arguments)
    return _read_points(quantities, seed, sample, ordered=False)


def orbit(
    quantities: Collection[str],
    seed: int,
    *,
    map: str,
    steps: int,
    transient: int = 1000,
    arguments: Mapping[str, Any] = _NOTHING,
    hparams: Mapping[str, float] = _NOTHING,
) -> Quantities:
    """Read dimensions off the orbit of a map."""
    run = iterate(make_map(map, **arguments), hparams, n_steps=transient + steps, keep_states=True)
    assert run.states is not None
    return _read_points(quantities, seed, run.states[transient:], ordered=True)


def _read_points(
    quantities: Collection[str], seed: int, sample: np.ndarray, *, ordered: bool
) -> Quantities:
    window = None if ordered else 0
    estimators: dict[str, Callable[[], Estimate]] = {
        "D0": lambda: generalized_dimension(sample, 0.0, seed=seed),
        "D1": lambda: generalized_dimension(sample, 1.0, seed=seed),
        "D2": lambda: generalized_dimension(sample, 2.0, seed=seed),
        "D2 (correlation sum)": lambda: correlation_dimension(sample, theiler=window, seed=seed),
        "D2 (Takens)": lambda: takens_dimension(sample, theiler=window or 0, seed=seed),
    }
    return {quantity: _read(estimators[quantity]()) for quantity in quantities}


def picture(
    quantities: Collection[str],
    seed: int,
    *,
    drawing: str,
    n: int,
    arguments: Mapping[str, Any] = _NOTHING,
    mask: bool = False,
    box: int = 10,
) -> Quantities:
    """Read dimensions and entropies off a drawing of a known set."""
    draw = getattr(sets, drawing, None) or getattr(julia_sets, drawing)
    labels = draw(n, **arguments)
    return _read_labels(quantities, seed, labels, mask=mask, box=box)


def grid(
    quantities: Collection[str],
    seed: int,
    *,
    map: str,
    axes: Sequence[str],
    steps: int,
    rule: str | None = None,
    arguments: Mapping[str, Any] = _NOTHING,
    hparams: Mapping[str, float] = _NOTHING,
    box: int = 10,
) -> Quantities:
    """Read dimensions and entropies off the outcomes of a map on a grid of hyperparameters."""
    lattice = [Axis.parse(text) for text in axes]
    outcomes = _evaluate(make_map(map, **arguments), lattice, hparams, steps, rule)
    shape = tuple(len(axis.points()) for axis in reversed(lattice))
    return _read_labels(quantities, seed, outcomes.labels.reshape(shape), mask=False, box=box)


def _evaluate(
    map_: AbstractMap,
    axes: Sequence[Axis],
    hparams: Mapping[str, float],
    steps: int,
    rule: str | None,
) -> Outcomes:
    """Evaluate a map on the lattice of its axes; the last axis varies slowest, as in a sweep."""
    values = np.meshgrid(*[axis.points() for axis in reversed(axes)], indexing="ij")
    columns = {axis.name: value.ravel() for axis, value in zip(reversed(axes), values, strict=True)}
    return evaluate(map_, {**hparams, **columns}, n_steps=steps, rule=rule)


def _read_labels(
    quantities: Collection[str], seed: int, labels: np.ndarray, *, mask: bool, box: int
) -> Quantities:
    estimators: dict[str, Callable[[], Estimate]] = {
        "box dimension": lambda: box_dimension(labels, mask=mask, seed=seed),
        "uncertainty exponent": lambda: uncertainty_exponent(labels, seed=seed),
        "basin entropy": lambda: basin_entropy(labels, size=box, seed=seed).sb,
        "boundary basin entropy": lambda: basin_entropy(labels, size=box, seed=seed).sbb,
    }
    return {quantity: _read(estimators[quantity]()) for quantity in quantities}


def changes(
    quantities: Collection[str],
    seed: int,
    *,
    map: str,
    axis: str,
    doublings: int,
    fitted: Sequence[int],
    steps: int,
    rule: str | None = None,
    hparams: Mapping[str, float] = _NOTHING,
) -> Quantities:
    """Count label changes on 2^n + 1 points of an axis, for all n up to `doublings` at once."""
    whole = Axis.parse(f"{axis}:{2**doublings + 1}:linear")
    labels = _evaluate(make_map(map), [whole], hparams, steps, rule).labels
    strides = 2 ** np.arange(doublings, -1, -1)
    counts = [int(np.sum(labels[s::s] != labels[:-s:s])) for s in strides]
    readings = {f"changes at n = {n}": Measured(count) for n, count in enumerate(counts)}
    first, last = fitted
    scales = 2.0 ** np.arange(doublings + 1)
    fit = fit_window(scales, counts, (2.0**first, 2.0**last))
    readings["slope"] = Measured(fit.slope)
    return readings


def edge(
    quantities: Collection[str],
    seed: int,
    *,
    map: str,
    axis: str,
    steps: int,
    rule: str | None = None,
    arguments: Mapping[str, Any] = _NOTHING,
    hparams: Mapping[str, float] = _NOTHING,
) -> Quantities:
    """Locate the one border between outcomes on an axis, by dividing an interval again and again.

    The interval shrinks by 63 at a time until rounding ends it. More than one border in the first
    64 points is a failure of the measurement.
    """
    made = make_map(map, **arguments)
    name, (low, high) = _parse_range(axis)
    while True:
        values = np.linspace(low, high, 64)
        labels = evaluate(made, {**hparams, name: values}, n_steps=steps, rule=rule).labels
        borders = np.flatnonzero(labels[1:] != labels[:-1])
        if len(borders) != 1:
            raise ValueError(f"{len(borders)} borders between {low} and {high}, not one")
        low, high = values[borders[0]], values[borders[0] + 1]
        if high - low <= 1e-12 * abs(high):
            return {"edge": Measured(float(low + high) / 2)}


def saddle(
    quantities: Collection[str],
    seed: int,
    *,
    map: str,
    axes: Sequence[str],
    runs: int,
    steps: int,
    rule: str | None = None,
    hparams: Mapping[str, float] = _NOTHING,
) -> Quantities:
    """Read rates of the saddle on a boundary, and the dimensions that follow from them."""
    window = [Axis.parse(text) for text in axes]
    rates = saddle_rates(
        make_map(map), window, n_runs=runs, n_steps=steps, hparams=hparams, rule=rule, seed=seed
    )
    estimators: dict[str, Callable[[], Estimate]] = {
        "escape rate": lambda: rates.escape_rate,
        "exponent of the survivors": lambda: rates.exponent,
        "D1 (Kantz-Grassberger)": lambda: kantz_grassberger(rates),
        "D0 (pressure)": lambda: pressure_dimension(rates, seed=seed),
    }
    return {quantity: _read(estimators[quantity]()) for quantity in quantities}


def _parse_range(text: str) -> tuple[str, tuple[float, float]]:
    axis = Axis.parse(text)
    return axis.name, (axis.low, axis.high)


def _make(map_name: str, arch: str, arguments: Mapping[str, Any]) -> AbstractMap:
    return make_map(map_name, **arguments) if map_name else make_architecture(arch, **arguments)


def _read(estimate: Estimate) -> Measured:
    note = "" if estimate.has_value else "; ".join(estimate.flags)
    # What was not resampled has no error, and no row may pass for the lack of one.
    error = estimate.stderr if math.isfinite(estimate.stderr) else math.inf
    return Measured(estimate.value, error, note)


MEASUREMENTS: Mapping[str, Callable[..., Quantities]] = {
    "spectrum": spectrum,
    "kaplan-yorke": kaplan_yorke,
    "points": points,
    "orbit": orbit,
    "picture": picture,
    "grid": grid,
    "changes": changes,
    "edge": edge,
    "saddle": saddle,
}
"""Names that the table of known values uses."""
