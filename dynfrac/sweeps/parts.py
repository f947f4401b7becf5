"""The parts of a store that can be opened, when not all of them can."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np

from dynfrac.orbits.axes import Axis
from dynfrac.sweeps.arrays import (
    CHECKSUM,
    DamagedStore,
    all_fields,
    array_metadata,
    open_array,
)
from dynfrac.sweeps.specifications import AXIS_KEYS
from dynfrac.sweeps.stores import Store

GROUP = "zarr.json"
"""What `Damage` calls the metadata of the whole store."""

_PRESCRIBED = (
    "shape",
    "chunk_grid",
    "chunk_key_encoding",
    "data_type",
    "fill_value",
    "dimension_names",
)
"""Metadata of an array that follow from the specification; codecs only need to work."""


@final
@dataclasses.dataclass(frozen=True)
class Damage:
    """One thing that is wrong with a store.

    Attributes
    ----------
    array : str
        The field or axis; ``"zarr.json"`` for the store's own metadata.
    cell : tuple of int or None
        The first cell of the tile, slowest dimension first; None if it is not about a tile.
    reason : str
    """

    array: str
    cell: tuple[int, ...] | None
    reason: str


@final
@dataclasses.dataclass(frozen=True)
class Parts:
    """What `open_parts` could open.

    Attributes
    ----------
    store : Store
        Its `fields` are those that can be opened.
    damage : tuple of Damage
        What is wrong with the others, and with the axes.
    plain : frozenset of str
        Fields without checksums. The versions that wrote them left out chunks that hold nothing
        but fill values.
    """

    store: Store
    damage: tuple[Damage, ...]
    plain: frozenset[str]


def layout(
    path: Path, specification: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    """Return the points of each axis, slowest first, and the edges of a tile.

    Raises
    ------
    ValueError
        If the specification does not say.
    """
    try:
        axes = [Axis(**specification["axes"][k]) for k in AXIS_KEYS if k in specification["axes"]]
        points = {axis.name: axis.points() for axis in reversed(axes)}
        tile = tuple(int(edge) for edge in specification["tile"])
        if len(tile) != len(points) or min(tile) < 1:
            raise ValueError
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a sweep of this program: its specification has no proper axes and "
            "tile; choose another name"
        ) from error
    return points, tile


def open_parts(path: Path, attributes: dict[str, Any], specification: Mapping[str, Any]) -> Parts:
    """Open every array that is there and as the specification says it should be.

    Parameters
    ----------
    path : Path
        Of the store.
    attributes : dict
        Of its group.
    specification : mapping
        That among them, checked.

    Raises
    ------
    ValueError
        If the specification does not say what the arrays are.
    """
    points, tile = layout(path, specification)
    arrays, damage, plain = {}, [], set()
    for name, prescribed in array_metadata(attributes, points, tile).items():
        try:
            array = open_array(path, name)
        except DamagedStore as error:
            damage.append(Damage(name, None, error.reason))
            continue
        found = array.spec().to_json()["metadata"]
        wrong = [key for key in _PRESCRIBED if found.get(key) != prescribed[key]]
        if wrong:
            listed = ", ".join(f"{k} is {found.get(k)} and not {prescribed[k]}" for k in wrong)
            damage.append(Damage(name, None, f"in its zarr.json {listed}"))
            continue
        arrays[name] = array
        if all(codec["name"] != CHECKSUM for codec in found["codecs"]):
            plain.add(name)
    shape = tuple(len(values) for values in points.values())
    fields = tuple(name for name in all_fields(attributes) if name in arrays)
    store = Store(path, attributes, tuple(points), shape, tile, fields, arrays)
    for name, values in points.items():
        reason = _wrong_points(store, name, values) if name in arrays else None
        if reason:
            damage.append(Damage(name, None, reason))
    return Parts(store, tuple(damage), frozenset(plain & {*fields}))


def _wrong_points(store: Store, name: str, points: np.ndarray) -> str | None:
    try:
        stored = store.read(name)
    except DamagedStore as error:
        return error.reason
    # Powers of ten differ in the last digits between processors and versions of NumPy.
    if np.allclose(stored, points, rtol=1e-12, atol=1e-12 * abs(points[-1] - points[0])):
        return None
    return "its points are not those of the specification"
