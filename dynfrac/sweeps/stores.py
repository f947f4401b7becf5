"""The store of a sweep: a Zarr v3 group on disk that survives being killed at any moment.

* One array per field (`FIELDS`), one chunk per tile, unsharded, and one float64 array of points
  per axis, named like its hyperparameter. `dimension_names` are set, so that xarray labels the
  coordinates. Rows are the y axis, the first row its low end.
* The chunk of `status` is written last. Its fill value 0 means pending, so it doubles as the marker
  of a finished tile: whatever else of a tile is on disk does not count without it.
* Every chunk ends in its checksum, and a finished tile has one of every field, so that whatever is
  lost or changed on the way shows (`dynfrac.sweeps.verification`).
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
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import tensorstore as ts

from dynfrac.sweeps.arrays import (
    FIELDS,
    all_fields,
    array_metadata,
    create_array,
    damage_reported,
    damaged,
    open_array,
    reason_of,
)
from dynfrac.sweeps.tiles import Tile

CELL_BYTES = sum(np.dtype(kind).itemsize for kind, _, _ in FIELDS.values())

LOG = "log"


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
        with damage_reported(self.path, name):
            return np.asarray(self._arrays[name].read().result())

    def read_tile(self, name: str, tile: Tile) -> np.ndarray:
        """Read one field of one tile; fill values where it has no chunk.

        Raises
        ------
        DamagedStore
            If the chunk cannot be decoded.
        """
        with damage_reported(self.path, name):
            return np.asarray(self._arrays[name][tile].read().result())

    def chunk(self, name: str, tile: Tile) -> Path:
        """Return the file that holds one field of one tile, if there is any."""
        key = (str(cells.start // edge) for cells, edge in zip(tile, self.tile, strict=True))
        return self.path.joinpath(name, "c", *key)

    def clear(self, tile: Tile) -> None:
        """Make a tile pending again and remove its chunks; returns when they are gone.

        The marker goes first: a tile that is killed in between is pending, never wrong.
        """
        for name in reversed(self.fields):
            chunk = self.chunk(name, tile)
            if chunk.is_dir():
                shutil.rmtree(chunk)
            else:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    chunk.unlink()

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
        try:
            self._put([(tile, values)])
        except ValueError:
            # A chunk that reaches over the edge of the grid is read before it is written over,
            # which fails where an unfinished tile has a broken one.
            self.clear(tile)
            self.write_all([(tile, values)])

    def write_all(self, blocks: Collection[tuple[Tile, Mapping[str, np.ndarray]]]) -> None:
        """Write all fields of several tiles, which takes hardly longer than of one.

        Parameters
        ----------
        blocks : collection of (tile, values)
            Each as in `write`.

        Raises
        ------
        OSError
            As `write`.
        """
        try:
            self._put(blocks)
        except ValueError as error:  # what the writer makes of a full or broken disk
            raise OSError(
                f"{self.path} cannot be written to ({reason_of(self.path, error)}); finished tiles "
                "are kept, so make room and sweep again to resume"
            ) from error

    def _put(self, blocks: Collection[tuple[Tile, Mapping[str, np.ndarray]]]) -> None:
        *others, marker = self.fields
        for names in (others, [marker]):
            # All under way together: the disk is asked to make sure of each of them.
            writes = [
                self._arrays[n][tile].write(block[n]) for tile, block in blocks for n in names
            ]
            for write in writes:
                write.result()

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to the log, one line of JSON."""
        line = json.dumps(record, sort_keys=True) + "\n"
        with (self.path / LOG / "sessions.jsonl").open("a", encoding="utf-8") as file:
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
        if name in all_fields(attributes) or name == LOG:
            raise ValueError(f"axis {name!r} has the name of an array of the store; rename it")
    # Built beside its place and moved there in one step.
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        draft.mkdir()
        for name, metadata in array_metadata(attributes, points, tile).items():
            create_array(draft / name, metadata, points.get(name))
        (draft / LOG).mkdir()
        _write_group(draft / LOG, {})
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
    attributes = read_attributes(target)
    fields = tuple(all_fields(attributes))
    arrays = {name: open_array(target, name) for name in fields}
    reference = arrays["status"]
    names = tuple(str(name) for name in reference.domain.labels)
    for name in fields:
        if arrays[name].shape != reference.shape:
            raise damaged(target, name, f"its shape is {arrays[name].shape}")
    for i, name in enumerate(names):
        arrays[name] = open_array(target, name)
        if arrays[name].shape != reference.shape[i : i + 1]:
            raise damaged(target, name, f"its shape is {arrays[name].shape}")
    chunk = [edge or 0 for edge in reference.chunk_layout.write_chunk.shape or ()]
    return Store(target, attributes, names, tuple(reference.shape), tuple(chunk), fields, arrays)


def read_attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of a store's group, among them its specification.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    DamagedStore
        If they cannot be read.
    ValueError
        If what is there is not the store of a sweep.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "there is no such sweep", str(path))
    metadata = path / "zarr.json"
    if not metadata.is_file():
        raise ValueError(
            f"{path} exists and is not a sweep (it holds no zarr.json); choose another name"
        )
    with damage_reported(path, "zarr.json"):
        group = json.loads(metadata.read_text(encoding="utf-8"))
        if not isinstance(group, dict):
            raise ValueError("not a JSON object")
    attributes = group.get("attributes")
    if not isinstance(attributes, dict) or not isinstance(attributes.get("specification"), dict):
        raise ValueError(f"{path} is a Zarr store and not a sweep; choose another name")
    return attributes


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


def _write_group(path: Path, attributes: Mapping[str, Any]) -> None:
    group = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
    text = json.dumps(group, indent=2, allow_nan=False)
    (path / "zarr.json").write_text(text + "\n", encoding="utf-8")
