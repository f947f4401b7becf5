"""What a reading keeps in its journal besides labels: what it depends on, and its window."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dynfrac.boundaries.journals import Journal
from dynfrac.boundaries.windows import RayWindow, Window
from dynfrac.orbits.axes import Axis
from dynfrac.studies.arms import Arm, Protocol
from dynfrac.sweeps.fingerprints import fingerprint
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.provenance import versions

FORMAT = 2
"""Of a reading: which questions it asks, and in which order."""
BINDING = ("jax", "jaxlib")
"""Packages whose other versions may round differently, and so decide other labels."""


def identify(
    arm: Arm, map_: AbstractMap, seed: int, protocol: Protocol, rule: str, dtype: str
) -> dict[str, Any]:
    """Return all that the outcomes of a reading depend on.

    Parameters
    ----------
    arm : Arm
    map_ : AbstractMap
        Of the arm and the seed.
    seed : int
    protocol : Protocol
    rule, dtype : str
        Their names, as the map has them.

    Returns
    -------
    dict
        JSON-ready.
    """
    return {
        "reading": FORMAT,
        "arm": arm.name,
        "seed": seed,
        "map": fingerprint(map_),
        "search": [[a.name, a.low, a.high, a.scale] for a in protocol.search],
        "n_steps": protocol.n_steps,
        "budget": protocol.budget,
        "window": protocol.window.name,
        "method": protocol.method,
        "scales": protocol.scales,
        "points": protocol.seed,
        "hparams": {**protocol.hparams, **arm.hparams},
        "rule": rule,
        "dtype": dtype,
        "lanes": protocol.lanes,
        "device": jax.devices()[0].device_kind,
        "versions": versions(BINDING),
    }


@contextlib.contextmanager
def open_journal(
    folder: Path | None, name: str, identity: Mapping[str, Any]
) -> Iterator[Journal | None]:
    """Open the journal of a reading in a folder, which is made if there is none.

    Raises
    ------
    ValueError
        If the file is that of another reading, another device, or other versions of jax.
    """
    if folder is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    with Journal(folder / f"{re.sub(r'[^-=.0-9A-Za-z]+', '_', name)}.journal", identity) as journal:
        yield journal


def find_window(
    protocol: Protocol, map_: AbstractMap, given: Mapping[str, Any], journal: Journal | None
) -> Window:
    """Apply the window rule, or read from the journal what it found.

    The first ray decides where it meets a boundary, and the others need not be run.

    Parameters
    ----------
    protocol : Protocol
    map_ : AbstractMap
    given : mapping
        Of `Protocol.conditions`.
    journal : Journal or None
    """
    question = np.zeros((1, 1))
    kept = journal.recall("window", question) if journal is not None else None
    if kept is not None:
        return _read_window(kept, protocol)
    whole = protocol.window

    def search(rule: RayWindow, budget: int) -> Window:
        return rule(map_, protocol.search, seed=protocol.seed, budget=budget, **given)

    window = search(dataclasses.replace(whole, n_rays=1), protocol.budget)
    if not window and whole.n_rays > 1 and len(protocol.search) > 1:
        first = window.n_runs
        window = search(whole, protocol.budget - first)
        window = dataclasses.replace(window, n_runs=first + window.n_runs)
    window = dataclasses.replace(window, rule=whole.name)
    if journal is not None:
        journal.append("window", question, _window_answers(window, len(protocol.search)))
    return window


def _window_answers(window: Window, n_axes: int) -> dict[str, np.ndarray]:
    ends = [(axis.low, axis.high) for axis in window.axes] or [(math.nan, math.nan)] * n_axes
    return {
        "ends": np.array([ends]),
        "n_runs": np.array([window.n_runs]),
        "points": window.points[None],
        "flags": np.array(["\n".join(window.flags)]),
    }


def _read_window(kept: Mapping[str, np.ndarray], protocol: Protocol) -> Window:
    ends, flags = kept["ends"][0], str(kept["flags"][0])
    axes = tuple(
        Axis(axis.name, low, high, axis.n, axis.scale)
        for axis, (low, high) in zip(protocol.search, ends.tolist(), strict=True)
        if not math.isnan(low)
    )
    sentences = tuple(flags.split("\n")) if flags else ()
    return Window(axes, int(kept["n_runs"][0]), kept["points"][0], protocol.window.name, sentences)
