"""Sweeps on disk as results: their arrays, counts and conditions."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dynfrac.analysis.html_tables import html_block, html_columns, html_entries
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.columns import N_STEPS
from dynfrac.orbits.labelled_arrays import axis_coordinate, make_dataset
from dynfrac.orbits.outcomes import Status, one_sided
from dynfrac.sweeps.arrays import was_run
from dynfrac.sweeps.specifications import AXIS_KEYS, stored_specification
from dynfrac.sweeps.stores import Store, all_fields, open_store
from dynfrac.systems.numerics import hparam_dtype

if TYPE_CHECKING:
    import xarray


@final
@dataclasses.dataclass(frozen=True)
class Sweep:
    """A sweep on disk, finished or not.

    Arrays are read from disk at each access. They have one dimension per axis, the last axis first:
    of a sweep over x and y, rows are y and the first row is its low end.

    Attributes
    ----------
    path : Path
    axes : tuple of Axis
        x first.
    spec : dict
        The specification: map, axes, fixed hyperparameters, steps, rule, metrics, dtype, lanes,
        tile and kind of device.
    shape : tuple of int
        Of the arrays: ``(ny, nx)``.
    computed, reused : int
        Cells run by this call, and cells that had been run before.
    seconds : float
        Wall time of this call.
    compile_seconds : float
        The part of it that was spent compiling.
    flags : tuple of str
        Reservations, in sentences.
    """

    path: Path
    axes: tuple[Axis, ...]
    spec: dict[str, Any] = dataclasses.field(repr=False)
    shape: tuple[int, ...]
    computed: int
    reused: int
    seconds: float
    compile_seconds: float
    flags: tuple[str, ...]
    _store: Store = dataclasses.field(repr=False, compare=False)

    @property
    def status(self) -> np.ndarray:
        """Uint8 array: codes of `Status`, 0 where nothing has been computed yet."""
        return self._store.read("status")

    @property
    def measure(self) -> np.ndarray:
        """Float64 array: the rule's signed measure, NaN in pending cells."""
        return self._read_finished("measure")

    @property
    def t_escape(self) -> np.ndarray:
        """int32 array: first loss over the limit or not finite, -1 without one or if pending."""
        return self._read_finished("t_escape")

    @property
    def final_loss(self) -> np.ndarray:
        """Float64 array: the last recorded loss, NaN in pending cells."""
        return self._read_finished("final_loss")

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of all fields: status, measure, t_escape, final_loss and recorded metrics."""
        return self._store.fields

    def field(self, name: str) -> np.ndarray:
        """Return a field by name, blank in pending cells.

        Raises
        ------
        ValueError
            If the sweep did not record it.
        """
        if name == "status":
            return self.status
        if name not in self.fields:
            listed = ", ".join(sorted(self.fields))
            option = "--adaptive" if name == "stride" else f"--record {name}"
            raise ValueError(
                f"{self.path} has no field {name!r}, only {listed}; sweep again with {option} "
                "into another folder"
            )
        return self._read_finished(name)

    @property
    def labels(self) -> np.ndarray:
        """Bool array: True where the run converged. Pending cells are False: see `pending`."""
        return self.status == Status.CONVERGED

    @property
    def was_run(self) -> np.ndarray:
        """Bool array: False in pending cells, and where the nearest run's outcome was filled in."""
        stride = self._store.read("stride") if "stride" in self.fields else None
        return was_run(self.status, stride)

    @property
    def points(self) -> tuple[np.ndarray, ...]:
        """The points of each axis, x first."""
        return tuple(self._store.read(axis.name) for axis in self.axes)

    @property
    def counts(self) -> dict[str, int]:
        """Cells of each status by its name in lower case, pending ones included."""
        found = np.bincount(self.status.ravel(), minlength=len(Status))
        return {status.name.lower(): int(found[status]) for status in Status}

    @property
    def pending(self) -> int:
        """Cells that have not been computed."""
        return self.counts["pending"]

    @property
    def run_steps_per_second(self) -> float:
        """Cells of this call x steps asked for, over wall time without compilation; else NaN."""
        seconds = self.seconds - self.compile_seconds
        if not self.computed or seconds <= 0:
            return float("nan")
        steps = float(self.spec["n_steps"])
        for axis, points in zip(self.axes, self.points, strict=True):
            if axis.name == N_STEPS and N_STEPS not in self.spec["hparams"]:
                steps = float(points.mean())
        return self.computed * steps / seconds

    def to_xarray(self) -> xarray.Dataset:
        """Return all fields with labelled coordinates, read into memory.

        Returns
        -------
        xarray.Dataset
            Dimensions are named as the hyperparameters, the last axis first, and fields are blank
            in pending cells, as in `field`. Attributes are the specification and the versions:
            text and numbers, so that `to_netcdf` can write them.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        dimensions = [axis.name for axis in reversed(self.axes)]
        about = {name: words for name, (*_, words) in all_fields(self._store.attributes).items()}
        coordinates = {
            axis.name: axis_coordinate(axis, points)
            for axis, points in zip(self.axes, self.points, strict=True)
        }
        conditions = {key: value for key, value in self.spec.items() if key != "axes"}
        versions = self._store.attributes.get("versions", {})
        return make_dataset(
            {name: (dimensions, self.field(name), about[name]) for name in self.fields},
            coordinates,
            {**conditions, "versions": versions, "flags": list(self.flags)},
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows: axes, outcomes and conditions; pictures are `plots`'."""
        counts, spec = self.counts, self.spec
        n_cells = sum(counts.values())
        axes = [(a.name, f"{a.low:g}", f"{a.high:g}", a.n, a.scale) for a in self.axes]
        outcomes = [
            (name.replace("_", " "), count, f"{count / n_cells:.1%}")
            for name, count in counts.items()
            if count
        ]
        conditions = {
            "steps": spec["n_steps"],
            "rule": spec["rule"],
            "type": spec["dtype"],
            "device": spec["device"],
            "fields": ", ".join(self.fields),
        }
        return html_block(
            "Sweep",
            str(self.path),
            html_columns(("axis", "from", "to", "points", "scale"), axes),
            html_columns(("outcome", "cells", "share"), outcomes),
            html_entries(conditions),
            flags=self.flags,
        )

    def _read_finished(self, name: str) -> np.ndarray:
        """Read a field with what is left of unfinished tiles blanked."""
        values = self._store.read(name)
        kind, fill, _ = all_fields(self._store.attributes)[name]
        values[self.status == Status.PENDING] = np.asarray(fill, kind)
        return values


def open_sweep(path: str | os.PathLike[str]) -> Sweep:
    """Open a sweep that is on disk, finished or not.

    Parameters
    ----------
    path : path
        The folder that `sweep` wrote.

    Returns
    -------
    Sweep
        With `computed` 0 and `reused` the cells that are there.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If what is there is not a sweep or is damaged.
    """
    store = open_store(path)
    spec = stored_specification(store)
    axes = tuple(Axis(**spec["axes"][key]) for key in AXIS_KEYS if key in spec["axes"])
    found = Sweep(store.path, axes, spec, store.shape, 0, 0, 0.0, 0.0, (), store)
    counts = found.counts
    flags = [_resolution_flag(axis, spec["dtype"]) for axis in axes] + [one_sided(counts)]
    settled = n_run = sum(counts.values()) - counts["pending"]
    if "adaptive" in spec:
        n_run = int(found.was_run.sum())
        if n_run < settled:
            flags.append(_adaptive_flag(n_run / settled))
    return dataclasses.replace(
        found,
        reused=n_run,
        flags=tuple(flag for flag in flags if flag),
    )


def _resolution_flag(axis: Axis, dtype: str) -> str | None:
    """Say so if neighbouring points of an axis are one number in the type of the sweep."""
    kind = hparam_dtype(np.dtype(dtype))
    distinct = len(np.unique(axis.points().astype(kind)))
    if distinct == axis.n:
        return None
    return f"axis {axis.name} has {axis.n} points of which {kind} tells only {distinct} apart"


def _adaptive_flag(share: float) -> str:
    """Say what an adaptive picture does not know."""
    return (
        f"{share:.2%} of the cells were run, and the others were given the outcome of the nearest "
        "run (field stride): islands of the boundary that lie far from all else may be missing"
    )
