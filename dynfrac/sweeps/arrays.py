"""The arrays of a store: what each holds, its Zarr metadata, and one sentence for what is broken.

Every chunk ends in its checksum, and a finished tile has one of every field, so that whatever is
lost or changed shows (`dynfrac.sweeps.verification`).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import tensorstore as ts

from dynfrac.orbits.outcomes import Status

_MEANINGS = " ".join(status.name.lower() for status in Status)

FIELDS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "measure": (
        "float64",
        "NaN",
        {"long_name": "signed measure of the outcome rule, negative for converged runs"},
    ),
    "t_escape": (
        "int32",
        -1,
        {"long_name": "first recorded loss over the limit or not finite, else -1"},
    ),
    "final_loss": ("float64", "NaN", {"long_name": "last recorded loss"}),
    "status": (
        "uint8",
        0,
        {
            "long_name": "outcome of the run",
            "flag_values": [int(status) for status in Status],
            "flag_meanings": _MEANINGS,
        },
    ),
}
"""Name -> (data type, fill value, attributes), in the order of writing: `status` last."""


STRIDE: tuple[str, Any, dict[str, Any]] = (
    "uint16",
    0,
    {
        "long_name": "1 where the cell was run; else it has the outcome of the nearest run, and "
        "this is how far apart the runs about it are"
    },
)
"""The field of adaptive sweeps that tells runs from what was filled in."""

RUN = 1
"""The stride of a cell that was run."""


def was_run(status: np.ndarray, stride: np.ndarray | None) -> np.ndarray:
    """Return which cells were run, of fields of the same cells; `stride` None of a dense sweep.

    A kill between the writes of a tile can leave a stride without its outcome.
    """
    settled = status != Status.PENDING
    return settled if stride is None else settled & (stride == RUN)


CHECKSUM = "crc32c"
"""Codec that stores of earlier versions do not have."""


@final
class DamagedStore(ValueError):
    """Part of a store cannot be read.

    Attributes
    ----------
    reason : str
        What is wrong with it, without the remedy.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def all_fields(attributes: Mapping[str, Any]) -> dict[str, tuple[str, Any, dict[str, Any]]]:
    """Return the fields of a store: `FIELDS` and what else was asked for, `status` last.

    Parameters
    ----------
    attributes : mapping
        Of the group, with its specification.
    """
    specification = attributes["specification"]
    recorded = specification.get("record", ())
    metrics = {
        name: ("float64", "NaN", {"long_name": f"{name.replace('_', ' ')} at the last loss"})
        for name in recorded
    }
    before = {name: field for name, field in FIELDS.items() if name != "status"}
    stride = {"stride": STRIDE} if "adaptive" in specification else {}
    return {**before, **metrics, **stride, "status": FIELDS["status"]}


def array_metadata(
    attributes: Mapping[str, Any], points: Mapping[str, np.ndarray], tile: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """Return the Zarr metadata of every array of a store by name, the fields first.

    Parameters
    ----------
    attributes, points, tile
        As in `create_store`.
    """
    shape = [len(values) for values in points.values()]
    arrays = {
        name: _metadata(shape, tile, kind, fill, list(points), about)
        for name, (kind, fill, about) in all_fields(attributes).items()
    }
    for name, values in points.items():
        size = [len(values)]
        arrays[name] = _metadata(size, size, "float64", "NaN", [name], {})
    return arrays


def _metadata(
    shape: Sequence[int],
    chunk: Sequence[int],
    kind: str,
    fill: Any,
    dimensions: Sequence[str],
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "shape": list(shape),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": {"name": "default"},
        "data_type": kind,
        "fill_value": fill,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "zstd", "configuration": {"level": 3}},
            {"name": CHECKSUM},
        ],
        "dimension_names": list(dimensions),
        "attributes": dict(attributes),
    }


def create_array(path: Path, metadata: Mapping[str, Any], values: np.ndarray | None = None) -> None:
    """Create an array, and write `values` to it if there are any."""
    spec = {**_spec(path), "metadata": dict(metadata)}
    array = ts.open(spec, create=True).result()
    if values is not None:
        array.write(np.asarray(values, np.float64)).result()


def open_array(store: Path, name: str) -> ts.TensorStore:
    """Open one array of a store.

    Raises
    ------
    DamagedStore
        If its metadata is absent or cannot be understood.
    """
    with damage_reported(store, name):
        return ts.open(_spec(store / name), open=True).result()


def _spec(path: Path) -> dict[str, Any]:
    return {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{path.absolute()}/"},
        # Else a chunk of nothing but fill values is left out, and looks like one that was lost.
        "store_data_equal_to_fill_value": True,
    }


@contextlib.contextmanager
def damage_reported(store: Path, name: str) -> Iterator[None]:
    """Turn what the reader of a damaged array says into one sentence."""
    try:
        yield
    except ValueError as error:
        raise damaged(store, name, reason_of(store, error)) from error


def reason_of(store: Path, error: Exception) -> str:
    """Return the core of a message of tensorstore's, on one line.

    It puts a code in front and its settings in brackets behind, and all paths are absolute.
    """
    text = re.sub(r"^[A-Z_]+: (Error opening \S+ driver: )?", "", str(error)).partition(" [")[0]
    return " ".join(text.replace(f"{store.absolute()}{os.sep}", "").split()).rstrip(" .:")


def damaged(store: Path, name: str, reason: str) -> DamagedStore:
    """Return the error that says which part of a store is damaged, and the remedy."""
    remedy = (
        "sweep again under another name"
        if name == "zarr.json"
        else f"dynfrac verify {store} --repair puts it right"
    )
    return DamagedStore(f"{store} is damaged: {name} cannot be read ({reason}); {remedy}", reason)
