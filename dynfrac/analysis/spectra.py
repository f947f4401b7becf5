"""Lyapunov spectra as records: exponents, errors, history, verdict."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dynfrac.analysis.html_tables import (
    html_block,
    html_columns,
    html_entries,
    write_interval,
    write_value,
)
from dynfrac.analysis.kaplan_yorke import KaplanYorke
from dynfrac.orbits.labelled_arrays import make_dataset
from dynfrac.orbits.outcomes import Status
from dynfrac.systems.abstract import State

if TYPE_CHECKING:
    import xarray


@final
@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """Running means, from which one sees whether the exponents have settled.

    Attributes
    ----------
    steps : (m,) int array
        Averaged steps so far.
    exponents : (m, k) float array
        Means of the increments up to there, in nats per step.
    observations : (m,) float array
        What the map observes there: the loss of a training run.
    """

    steps: np.ndarray
    exponents: np.ndarray
    observations: np.ndarray


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Starts:
    """The same spectrum from several initial states, each with its own error.

    Attributes
    ----------
    exponents, stderr : (R, k) float arrays
        Of each start; NaN where an orbit did not stay finite.
    verdicts : tuple of R str
    between_sd : (k,) float array
        Standard deviation between the starts; NaN for fewer than two.
    between_stderr : (k,) float array
        Standard error of the mean that follows from it, between_sd / sqrt(R).
    ratio : (k,) float array
        `between_sd` over the root mean square of `stderr`: near 1 if the starts see one attractor
        and the errors are right.
    """

    exponents: np.ndarray
    stderr: np.ndarray
    verdicts: tuple[str, ...]
    between_sd: np.ndarray
    between_stderr: np.ndarray
    ratio: np.ndarray


@final
@dataclasses.dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """The leading Lyapunov exponents of one orbit.

    Attributes
    ----------
    exponents : (k,) float array
        In nats per step, descending. NaN if the orbit did not stay finite.
    stderr : (k,) float array
        Their standard errors, autocorrelation included; what they mean for orbits that settle is
        said in `dynfrac.analysis.verdicts.average`.
    naive_stderr : (k,) float array
        The same as if successive steps were independent.
    history : History
    starts : Starts or None
        The single starts, if there were several. Then `exponents` are means over those that stayed
        finite and `stderr` is the error of that mean.
    status : Status
        `BOUNDED`, `ESCAPED` (finite, but what the map observes passed 1e8 times its first value,
        or 1e8 if that is larger) or `NOT_FINITE`.
    verdict : str
        "fixed point", "periodic", "chaotic", "neutral", "escaped", "not finite" or "not settled".
    period : int
        Period in steps, if the verdict is "periodic" and it was found; 1 for a fixed point; else 0.
    n_steps : int
        Steps averaged, for each start; fewer than asked for if a tolerance was met or the orbit did
        not stay finite. Along a cycle, the first few that make no whole period are left out.
    step_range : tuple of int
        First step averaged and the one after the last, counted from the start of the orbit.
    t_escape : int
        Index of the first state that is not finite, or has no finite tangent; else -1.
    dimension : int
        Dimension d of the phase space; the spectrum is complete if k = d.
    kaplan_yorke : KaplanYorke
    flags : tuple of str
        What to know before quoting the numbers.
    conditions : dict
        Map, hyperparameters, dtype, seed, transient, warm-up, driver, device, versions.
    final_state : pytree
        The last finite state.
    """

    exponents: np.ndarray
    stderr: np.ndarray
    naive_stderr: np.ndarray = dataclasses.field(repr=False)
    history: History = dataclasses.field(repr=False)
    starts: Starts | None = dataclasses.field(repr=False)
    status: Status
    verdict: str
    period: int
    n_steps: int
    step_range: tuple[int, int]
    t_escape: int
    dimension: int
    kaplan_yorke: KaplanYorke
    flags: tuple[str, ...]
    conditions: dict[str, Any] = dataclasses.field(repr=False)
    final_state: State = dataclasses.field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return every field but the state, and the status by name."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["final_state"]
        return {**fields, "status": self.status.name.lower()}

    def to_xarray(self) -> xarray.Dataset:
        """Return exponents with their errors, and the running means over steps.

        Returns
        -------
        xarray.Dataset
            Dimensions `exponent` (counted from 1) and `step` (averaged so far).

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        nats, each, over = {"units": "nats per step"}, ("exponent",), ("step", "exponent")
        history, number = self.history, np.arange(1, len(self.exponents) + 1)
        return make_dataset(
            {
                "exponents": (each, self.exponents, {"long_name": "Lyapunov exponents", **nats}),
                "stderr": (each, self.stderr, {"long_name": "standard error", **nats}),
                "running_means": (over, history.exponents, {"long_name": "means so far", **nats}),
                "observations": (("step",), history.observations, {"long_name": "observed"}),
            },
            {
                "exponent": (each, number, {"long_name": "number of the exponent"}),
                "step": (("step",), history.steps, {"long_name": "steps averaged"}),
            },
            {
                **self.conditions,
                "verdict": self.verdict,
                "n_steps": self.n_steps,
                "flags": list(self.flags),
            },
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows: exponents, verdict and dimension."""
        rows = [
            (j + 1, write_value(value, error))
            for j, (value, error) in enumerate(zip(self.exponents, self.stderr, strict=True))
        ]
        dimension = self.kaplan_yorke
        told = self.verdict + (f", period {self.period}" if self.period > 1 else "")
        first, stop = self.step_range
        entries = {
            "verdict": told,
            "Kaplan-Yorke dimension": write_value(dimension.value, dimension.stderr),
            "its interval": write_interval(dimension.low, dimension.high)
            if dimension.low < dimension.high
            else "",
            "steps averaged": f"{self.n_steps}, from {first} to {stop - 1}",
            "starts": None if self.starts is None else len(self.starts.verdicts),
            "type": self.conditions.get("dtype"),
        }
        return html_block(
            "Lyapunov spectrum",
            f"{self.conditions.get('map', '')}: {len(rows)} of {self.dimension} exponents",
            html_columns(("", "exponent ± standard error, nats per step"), rows),
            html_entries(entries),
            flags=self.flags,
        )
