"""What makes two sweeps the same: the specification, its hash, and how two are compared.

A specification is plain JSON. Two sweeps with equal specifications compute the same bytes on one
kind of device, and only then may one go on where the other stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.batch_sizes import default_lanes
from dynfrac.orbits.rules import AbstractRule
from dynfrac.sweeps.arrays import DamagedStore
from dynfrac.sweeps.fingerprints import fingerprint
from dynfrac.sweeps.refinement import Refinement
from dynfrac.sweeps.stores import Store
from dynfrac.sweeps.tiles import tile_runs, tile_shape
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.numerics import choose_dtype, precision
from dynfrac.systems.provenance import versions

FORMAT = 1
AXIS_KEYS = ("x", "y", "z")

PACKAGES = ("dynfrac", "jax", "jaxlib", "numpy", "tensorstore")
_BINDING = ("jax", "jaxlib")
"""Packages whose other versions may round differently, so that tiles would not fit together."""


def specify(
    map_: AbstractMap,
    axes: tuple[Axis, ...],
    hparams: Mapping[str, float],
    *,
    n_steps: int,
    every: int,
    rule: AbstractRule,
    record: Sequence[str],
    dtype: str | None,
    lanes: int | None,
    tile: int | None,
    adaptive: Refinement | None = None,
    identity: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the specification of a sweep, everything that its results depend on.

    Parameters
    ----------
    map_ : AbstractMap
    axes : tuple of Axis
        With their numbers of points, x first.
    hparams : mapping of str to float
        The hyperparameters that are not axes, defaults included.
    n_steps, every, rule, record, dtype, lanes, tile, identity
        As in `sweep`.
    adaptive : Refinement, optional
        Of an adaptive sweep.

    Returns
    -------
    dict
        JSON-ready, in the order in which a reader would want to hear of differences.

    Raises
    ------
    ValueError
        If the dtype is unknown or `lanes` < 1.
    TypeError
        If `identity` holds anything but plain values.
    """
    real = str(choose_dtype(map_, dtype))
    if lanes is None:
        with precision():
            lanes = default_lanes(map_)
    if lanes < 1:
        raise ValueError(f"lanes={lanes} must be at least 1")
    shape = [axis.n or 0 for axis in reversed(axes)]
    specification = {
        "format": FORMAT,
        "map": identity if identity is not None else {"class": type(map_).__qualname__},
        "axes": dict(zip(AXIS_KEYS, map(dataclasses.asdict, axes), strict=False)),
        "hparams": hparams,
        "n_steps": n_steps,
        "every": every,
        "rule": rule.name,
        "record": list(record),
        "dtype": real,
        "lanes": lanes,
        "device": jax.devices()[0].device_kind,
        "tile": tile_shape(shape, tile or tile_runs(map_, lanes, n_steps)),
        "fingerprint": fingerprint((map_, rule)),
    }
    if adaptive is not None:  # else no entry, as in stores that are older than adaptive sweeps
        specification["adaptive"] = dataclasses.asdict(adaptive)
    return {key: canonical(value) for key, value in specification.items()}


def attributes_of(specification: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a sweep's store: specification, its hash, versions."""
    return {
        "specification": canonical(specification),
        "specification_hash": specification_hash(specification),
        "versions": versions(PACKAGES),
    }


def stored_specification(store: Store) -> dict[str, Any]:
    """Return the specification of a store.

    Raises
    ------
    ValueError
        If it is not the one whose hash is stored beside it, or of a format that is not known.
    """
    return checked_specification(store.path, store.attributes)


def checked_specification(path: Path, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the specification among the attributes of a store that need not be open.

    Raises
    ------
    DamagedStore
        If it is not the one whose hash is stored beside it.
    ValueError
        If it is of a format that is not known.
    """
    specification = attributes["specification"]
    if specification_hash(specification) != attributes.get("specification_hash"):
        reason = "its specification does not have the hash beside it"
        raise DamagedStore(f"{path} is damaged: {reason}; sweep again under another name", reason)
    if specification.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {specification.get('format')}, and this dynfrac reads "
            f"format {FORMAT}; open it with the version that wrote it"
        )
    return specification


def refuse_another(store: Store, specification: Mapping[str, Any]) -> None:
    """Make sure that a store is of the sweep that is asked for.

    Raises
    ------
    ValueError
        Naming every field that differs, with both values.
    """
    found = mismatches(store, specification)
    if found:
        raise ValueError(
            f"{store.path} holds another sweep: {found}; ask for the same or choose another name"
        )


def mismatches(store: Store, specification: Mapping[str, Any]) -> str:
    """Say in what a store differs from what a sweep with `specification` would write here.

    Returns
    -------
    str
        Every field that differs with both values, or that of packages whose other versions may
        round differently; empty if tiles computed here fit to those stored.
    """
    found = differences(stored_specification(store), specification)
    begun = store.attributes.get("versions", {})
    found += [
        (f"version of {name}", begun.get(name), current)
        for name, current in versions(PACKAGES).items()
        if name in _BINDING and begun.get(name) != current
    ]
    # The fingerprint says little to a reader, and differs whenever anything else of the map does.
    named = [field for field in found if field[0] != "fingerprint"] or found
    return ", ".join(f"{name} is {old} there and {new} here" for name, old, new in named)


def canonical(obj: Any) -> Any:
    """Reduce settings to plain JSON in which equal things look equal.

    Parameters
    ----------
    obj : mapping, sequence, str, number, bool or None

    Returns
    -------
    dict, list, str, int, float, bool or None
        The keys of mappings are sorted; NumPy scalars become Python's; numbers that are not
        finite become strings, such as ``"nan"``, because JSON has no word for them.

    Raises
    ------
    TypeError
        If something has no plain form.
    """
    if obj is None or isinstance(obj, str | bool):
        return obj
    if isinstance(obj, np.bool_):
        return bool(obj)
    if isinstance(obj, numbers.Integral):
        return int(obj)
    if isinstance(obj, numbers.Real):
        return float(obj) if math.isfinite(obj) else str(float(obj))
    if isinstance(obj, Mapping):
        return {str(key): canonical(obj[key]) for key in sorted(obj, key=str)}
    if isinstance(obj, list | tuple):
        return [canonical(item) for item in obj]
    raise TypeError(f"{type(obj).__name__} cannot be part of a specification; pass plain values")


def specification_hash(specification: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a specification's canonical JSON, in hexadecimal."""
    text = json.dumps(canonical(specification), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """List the fields in which two specifications differ.

    Parameters
    ----------
    old, new : mapping
        Canonical.

    Returns
    -------
    list of (str, value, value)
        Dotted name of the field, its old and its new value (``"absent"`` if it has none), in the
        order of `new`.

    Examples
    --------
    >>> differences({"n_steps": 500, "map": {"width": 8}}, {"n_steps": 500, "map": {"width": 16}})
    [('map.width', 8, 16)]
    """
    before, after = dict(_fields(old)), dict(_fields(new))
    names = [*after, *(name for name in before if name not in after)]
    pairs = [(name, before.get(name, "absent"), after.get(name, "absent")) for name in names]
    return [(name, a, b) for name, a, b in pairs if a != b]


def _fields(obj: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested mappings to (dotted name, value)."""
    if isinstance(obj, Mapping):
        for key, value in obj.items():
            yield from _fields(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, obj
