"""The store of a sweep: a Zarr v3 group on disk that survives being killed at any moment.

* One array per field (`FIELDS`), one chunk per tile, unsharded, and one float64 array of points
  per axis, named like its hyperparameter. `dimension_names` are set, so that xarray labels the
  coordinates. Rows are the y axis, the first row its low end.
* The chunk of `status` is written last. Its fill value 0 means pending, so it doubles as the marker
  of a finished tile: whatever else of a tile is on disk does not count without it.
* A store appears under its name complete with metadata, or not at all.
* Attributes and arrays depend on the specification alone. Clock, host and versions of each session
  go to a log below ``log/``, a group of its own, so that readers of Zarr do not stumble over it.

Not sharded, because a shard is read, changed and written back as a whole, which two writers cannot
do at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import tensorstore as ts

from dynfrac.orbits.outcomes import Status
from dynfrac.sweeps.tiles import Tile

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

CELL_BYTES = sum(np.dtype(kind).itemsize for kind, _, _ in FIELDS.values())

_LOG = "log"


@final
@dataclasses.dataclass(frozen=True)
class Store:
    """An open store.

    Attributes
    ----------
    path : Path
    attributes : dict
        Of the group.
    dimensions : tuple of str
        Names of the axes in the order of the arrays' dimensions, slowest first.
    shape, tile : tuple of int
        Cells along each dimension, of the grid and of a tile.
    fields : tuple of str
        Names of the arrays over the grid in the order of writing, `status` last.
    """

    path: Path
    attributes: dict[str, Any]
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    tile: tuple[int, ...]
    fields: tuple[str, ...]
    _arrays: Mapping[str, ts.TensorStore] = dataclasses.field(repr=False, compare=False)

    def read(self, name: str) -> np.ndarray:
        """Read one field, or the points of one axis, into memory.

        Raises
        ------
        ValueError
            If a chunk cannot be decoded.
        """
        with _damage_reported(self.path, name):
            return np.asarray(self._arrays[name].read().result())

    def write(self, tile: Tile, values: Mapping[str, np.ndarray]) -> None:
        """Write all fields of one tile; returns when they are on disk.

        Parameters
        ----------
        tile : tuple of slice
            One of the tiles that `cut` yields for this store's shape and tile.
        values : mapping of str to array
            An array of the tile's shape for every name in `fields`.

        Raises
        ------
        OSError
            If the disk is full or does not take it for another reason.
        """
        *others, marker = self.fields
        try:
            writes = [self._arrays[name][tile].write(values[name]) for name in others]
            for write in writes:
                write.result()
            self._arrays[marker][tile].write(values[marker]).result()
        except ValueError as error:  # what the writer makes of a full or broken disk
            raise OSError(
                f"{self.path} cannot be written to ({_reason(self.path, error)}); finished tiles "
                "are kept, so make room and sweep again to resume"
            ) from error

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to the log, one line of JSON."""
        line = json.dumps(record, sort_keys=True) + "\n"
        with (self.path / _LOG / "sessions.jsonl").open("a", encoding="utf-8") as file:
            file.write(line)


def create_store(
    path: str | os.PathLike[str],
    attributes: Mapping[str, Any],
    points: Mapping[str, np.ndarray],
    tile: Sequence[int],
) -> Store:
    """Create a store in which every cell is pending.

    Parameters
    ----------
    path : path
        Must not exist; the folder that will hold it must.
    attributes : mapping
        Of the group; JSON-ready.
    points : mapping of str to (n,) float array
        The points of each axis, in the order of the arrays' dimensions, slowest first.
    tile : sequence of int
        Edges of a tile.

    Returns
    -------
    Store

    Raises
    ------
    ValueError
        If an axis has the name of a field.
    FileExistsError
        If there is something under that name already.
    """
    target = Path(path)
    for name in points:
        if name in all_fields(attributes) or name == _LOG:
            raise ValueError(f"axis {name!r} has the name of an array of the store; rename it")
    # Built beside its place and moved there in one step.
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        draft.mkdir()
        shape = [len(values) for values in points.values()]
        for name, (kind, fill, about) in all_fields(attributes).items():
            _create_array(draft / name, shape, tile, kind, fill, list(points), about)
        for name, values in points.items():
            size = [len(values)]
            axis = _create_array(draft / name, size, size, "float64", "NaN", [name], {})
            axis.write(np.asarray(values, np.float64)).result()
        (draft / _LOG).mkdir()
        _write_group(draft / _LOG, {})
        _write_group(draft, attributes)
        if target.exists():  # an empty folder would be replaced silently
            raise FileExistsError(errno.EEXIST, "file exists", str(target))
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return open_store(target)


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open an existing store.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If what is there is not the store of a sweep, or is damaged.
    """
    target = Path(path)
    if not target.exists():
        raise FileNotFoundError(errno.ENOENT, "there is no such sweep", str(target))
    metadata = target / "zarr.json"
    if not metadata.is_file():
        raise ValueError(
            f"{target} exists and is not a sweep (it holds no zarr.json); choose another name"
        )
    with _damage_reported(target, "zarr.json"):
        group = json.loads(metadata.read_text(encoding="utf-8"))
        if not isinstance(group, dict):
            raise ValueError("not a JSON object")
    attributes = group.get("attributes")
    if not isinstance(attributes, dict) or "specification" not in attributes:
        raise ValueError(f"{target} is a Zarr store and not a sweep; choose another name")
    fields = tuple(all_fields(attributes))
    arrays = {name: _open_array(target, name) for name in fields}
    reference = arrays["status"]
    names = tuple(str(name) for name in reference.domain.labels)
    for name in fields:
        if arrays[name].shape != reference.shape:
            raise _damaged(target, name, f"its shape is {arrays[name].shape}")
    for i, name in enumerate(names):
        arrays[name] = _open_array(target, name)
        if arrays[name].shape != reference.shape[i : i + 1]:
            raise _damaged(target, name, f"its shape is {arrays[name].shape}")
    chunk = [edge or 0 for edge in reference.chunk_layout.write_chunk.shape or ()]
    return Store(target, attributes, names, tuple(reference.shape), tuple(chunk), fields, arrays)


def all_fields(attributes: Mapping[str, Any]) -> dict[str, tuple[str, Any, dict[str, Any]]]:
    """Return the fields of a store: `FIELDS` and the metrics that were asked for, `status` last.

    Parameters
    ----------
    attributes : mapping
        Of the group, with its specification.
    """
    recorded = attributes["specification"].get("record", ())
    metrics = {
        name: ("float64", "NaN", {"long_name": f"{name.replace('_', ' ')} at the last loss"})
        for name in recorded
    }
    before = {name: field for name, field in FIELDS.items() if name != "status"}
    return {**before, **metrics, "status": FIELDS["status"]}


def check_space(path: Path, cells: int, shape: Sequence[int], n_metrics: int = 0) -> None:
    """Refuse a sweep that the disk cannot hold.

    Parameters
    ----------
    path : Path
        Where the store is or will be; only its folder needs to exist.
    cells : int
        Cells still to be written.
    shape : sequence of int
        Of the whole grid, for the message.
    n_metrics : int, default 0
        Metrics recorded of every cell.

    Raises
    ------
    ValueError
        If the uncompressed arrays do not fit into what is free.
    """
    free = shutil.disk_usage(path if path.exists() else path.parent).free
    need = cells * (CELL_BYTES + 8 * n_metrics)
    if need > free:
        grid = " x ".join(str(n) for n in reversed(shape))
        raise ValueError(
            f"resolution {grid} needs {_gigabytes(need)} on the disk of {path}, which has "
            f"{_gigabytes(free)} free; choose a lower resolution or another disk"
        )


def _gigabytes(size: int) -> str:
    """Put a number of bytes into words, in the unit that fits."""
    power = min(4, max(1, int(math.log(max(size, 1), 1000))))
    return f"{size / 1000**power:.3g} {('', 'kB', 'MB', 'GB', 'TB')[power]}"


def _create_array(
    path: Path,
    shape: Sequence[int],
    chunk: Sequence[int],
    kind: str,
    fill: Any,
    dimensions: Sequence[str],
    attributes: Mapping[str, Any],
) -> ts.TensorStore:
    metadata = {
        "shape": list(shape),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "data_type": kind,
        "fill_value": fill,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "zstd", "configuration": {"level": 3}},
        ],
        "dimension_names": list(dimensions),
        "attributes": dict(attributes),
    }
    return ts.open({**_spec(path), "metadata": metadata}, create=True).result()


def _open_array(store: Path, name: str) -> ts.TensorStore:
    with _damage_reported(store, name):
        return ts.open(_spec(store / name), open=True).result()


def _spec(path: Path) -> dict[str, Any]:
    return {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path.absolute()}/"}}


def _write_group(path: Path, attributes: Mapping[str, Any]) -> None:
    group = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
    text = json.dumps(group, indent=2, allow_nan=False)
    (path / "zarr.json").write_text(text + "\n", encoding="utf-8")


@contextlib.contextmanager
def _damage_reported(store: Path, name: str) -> Iterator[None]:
    """Turn what the reader of a damaged array says into one sentence."""
    try:
        yield
    except (ValueError, json.JSONDecodeError) as error:
        raise _damaged(store, name, _reason(store, error)) from error


def _reason(store: Path, error: Exception) -> str:
    """Return the core of a message of tensorstore's, on one line.

    It puts a code in front and its settings in brackets behind, and all paths are absolute.
    """
    text = re.sub(r"^[A-Z_]+: (Error opening \S+ driver: )?", "", str(error)).partition(" [")[0]
    return " ".join(text.replace(f"{store.absolute()}{os.sep}", "").split()).rstrip(" .:")


def _damaged(store: Path, name: str, reason: str) -> ValueError:
    return ValueError(
        f"{store} is damaged: {name} cannot be read ({reason}); sweep again under another name"
    )
