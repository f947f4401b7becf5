"""Whether a store is what its sweep wrote: every array, every axis and every chunk.

What a kill leaves behind is no damage: tiles without a marker are pending, and files that a writer
did not get to rename are never read. Damage is what the disk, a copy or a person did.
"""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, final

import numpy as np

from dynfrac.orbits.outcomes import Status
from dynfrac.sweeps.arrays import DamagedStore, all_fields, damaged
from dynfrac.sweeps.filling import tile_key
from dynfrac.sweeps.parts import GROUP, Damage, open_parts
from dynfrac.sweeps.specifications import checked_specification
from dynfrac.sweeps.stores import Store, read_attributes
from dynfrac.sweeps.tiles import Tile, cut

TileProgress = Callable[[int, int], None]
"""Called with the tiles looked at and all tiles."""


@final
@dataclasses.dataclass(frozen=True)
class Verification:
    """What was found in a store.

    Attributes
    ----------
    path : Path
    attributes : dict or None
        Of the group; None if they cannot be trusted, and then nothing can be repaired.
    shape : tuple of int
        Cells along each dimension of the grid.
    tiles : int
        Tiles that were looked at: all, or none if the array of outcomes cannot be opened.
    pending : int
        Tiles that have not been computed, which is no damage.
    damage : tuple of Damage
    leftovers : tuple of Path
        Files of killed writers: harmless, and removed by a repair.
    sampled : int
        Finished tiles that were computed again and compared.
    flags : tuple of str
        Reservations, in sentences.
    """

    path: Path
    attributes: dict[str, Any] | None
    shape: tuple[int, ...]
    tiles: int
    pending: int
    damage: tuple[Damage, ...]
    leftovers: tuple[Path, ...] = ()
    sampled: int = 0
    flags: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged; pending tiles are no damage."""
        return not self.damage

    @property
    def damaged(self) -> int:
        """Number of damaged tiles."""
        return len({found.cell for found in self.damage if found.cell is not None})

    @property
    def done(self) -> int:
        """Number of tiles that are finished and whole."""
        return self.tiles - self.pending - self.damaged


def verify_store(
    path: str | os.PathLike[str], *, on_progress: TileProgress | None = None
) -> Verification:
    """Look at everything in the store of a sweep; it is only read.

    Parameters
    ----------
    path : path
        The folder that `sweep` wrote. A sweep may be writing to it.
    on_progress : callable, optional
        Called with the tiles looked at and all tiles, from (0, total) on.

    Returns
    -------
    Verification

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If what is there is not a sweep, or one of a format that is not known.
    PermissionError
        If a chunk may not be read, which is no damage.

    Notes
    -----
    One chunk is in memory at a time. Whether finished values are *right* is another question, which
    `dynfrac.sweeps.recomputation.check_sample` asks.

    Examples
    --------
    >>> import tempfile
    >>> from dynfrac.orbits.axes import Axis
    >>> from dynfrac.sweeps.runs import sweep
    >>> from dynfrac.systems.complex_maps import Quadratic
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = sweep(Quadratic(), [Axis("c_re", -2, 0.5, 9)], n_steps=9, out=folder + "/m.zarr")
    ...     found = verify_store(made.path)
    >>> found.sound, found.tiles, found.done
    (True, 1, 1)
    """
    target = Path(path)
    try:
        if not (target / GROUP).exists() and (target / "status" / "zarr.json").exists():
            raise damaged(target, GROUP, "it is missing")
        attributes = read_attributes(target)
        specification = checked_specification(target, attributes)
    except DamagedStore as error:
        return Verification(target, None, (), 0, 0, (Damage(GROUP, None, error.reason),))
    parts = open_parts(target, attributes, specification)
    store, damage = parts.store, list(parts.damage)
    tiles = pending = 0
    leftovers = list(_temporary_files(store))
    flags = []
    if parts.plain:
        flags.append(
            f"{', '.join(sorted(parts.plain))}: no checksums, as an earlier version began this "
            "sweep, so that some damage shows only when tiles are computed again"
        )
    if "status" in store.fields:
        tiles = sum(1 for _ in cut(store.shape, store.tile))
        report = on_progress or (lambda done, total: None)
        report(0, tiles)
        for i, cells in enumerate(cut(store.shape, store.tile)):
            finished, found = _check_tile(store, cells, parts.plain)
            damage += found
            if not finished and not found:
                pending += 1
                if not store.chunk("status", cells).exists():
                    chunks = (store.chunk(name, cells) for name in store.fields)
                    leftovers += [chunk for chunk in chunks if chunk.exists()]
            report(i + 1, tiles)
    return Verification(
        target,
        attributes,
        store.shape,
        tiles,
        pending,
        tuple(damage),
        tuple(leftovers),
        flags=tuple(flags),
    )


def _check_tile(store: Store, cells: Tile, plain: Collection[str]) -> tuple[bool, list[Damage]]:
    """Return whether a tile is finished, and what is wrong with its chunks."""
    # Before the fields: a sweep that runs at the same time writes it after them.
    marked = finished = store.chunk("status", cells).exists()
    first = tile_key(cells)
    damage = []
    for name in store.fields:
        chunk = store.chunk(name, cells)
        reason = None
        if chunk.is_file():
            try:
                values = store.read_tile(name, cells)
                if name == "status" and marked:
                    finished = "stride" not in store.fields or bool(values.all())
                    reason = _wrong_codes(values, finished)
            except DamagedStore as error:
                # The reader does not tell a file it may not open from one it cannot decode.
                if not os.access(chunk, os.R_OK):
                    text = os.strerror(errno.EACCES)
                    raise PermissionError(errno.EACCES, text, str(chunk)) from error
                reason = error.reason
        elif chunk.exists():
            reason = "a folder is in the place of its chunk"
        elif marked and name not in plain:
            reason = "its chunk is missing although the tile is finished"
        if reason:
            damage.append(Damage(name, first, reason))
    return finished, damage


def _wrong_codes(status: np.ndarray, finished: bool) -> str | None:
    """Say what a tile's outcomes must not be, if they are; only a finished one has to be whole."""
    if finished and not status.all():
        pending = int((status == Status.PENDING).sum())
        return f"{pending} of its {status.size} runs are pending in a tile that is finished"
    if status.max() > max(Status):
        return f"{status.max()} is not the code of an outcome, which are 1 to {int(max(Status))}"
    return None


def _temporary_files(store: Store) -> Iterator[Path]:
    """Yield what a killed writer has not renamed: chunks in the arrays, drafts beside the store."""
    for name in (*all_fields(store.attributes), *store.dimensions):
        for folder, _, files in os.walk(store.path / name):
            yield from (Path(folder, file) for file in files if file.endswith(".__lock"))
    for file in store.path.absolute().parent.iterdir():
        if file.name.startswith(f".{store.path.name}.") and file.suffix == ".tmp":
            yield file
