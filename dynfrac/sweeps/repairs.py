"""Making a damaged store sound: what is broken goes, and its tiles are pending again."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from dynfrac.sweeps.arrays import CHECKSUM, array_metadata, create_array
from dynfrac.sweeps.filling import tile_key
from dynfrac.sweeps.locks import write_lock
from dynfrac.sweeps.parts import Damage, Parts, layout, open_parts
from dynfrac.sweeps.specifications import checked_specification
from dynfrac.sweeps.tiles import cut
from dynfrac.sweeps.verification import TileProgress, Verification, verify_store


def repair_store(
    found: Verification, *, on_progress: TileProgress | None = None
) -> tuple[Damage, ...]:
    """Rebuild broken metadata and axes, and make damaged tiles pending; nothing is computed.

    Killed at any moment it leaves a store that can be repaired: tiles are pending, never wrong.

    Parameters
    ----------
    found : Verification
        Of the store, with or without a sample.
    on_progress : callable, optional
        As in `verify_store`, which looks at the tiles again if an array had to be rebuilt.

    Returns
    -------
    tuple of Damage
        All that is gone: that of `found`, and what broken metadata had hidden.

    Raises
    ------
    ValueError
        If the metadata of the whole store are damaged, without which nothing is known.
    OSError
        If a file cannot be removed or written, or a sweep is writing to the store.

    Notes
    -----
    Axes are rebuilt from the specification. On another kind of processor than the first the last
    digit of a point may be another one.
    """
    if found.attributes is None:
        raise ValueError(
            f"{found.path} cannot be repaired: {found.damage[0].array} cannot be trusted "
            f"({found.damage[0].reason}); sweep again under another name"
        )
    with write_lock(found.path, alone=True):
        return _repair(found, found.attributes, on_progress)


def _repair(
    found: Verification, attributes: dict[str, Any], on_progress: TileProgress | None
) -> tuple[Damage, ...]:
    for file in found.leftovers:
        _remove(file)
    specification = checked_specification(found.path, attributes)
    parts = open_parts(found.path, attributes, specification)
    _clear(parts, found.damage)
    broken = {damage.array for damage in found.damage if damage.cell is None}
    if not broken:
        return found.damage
    _rebuild(parts, specification, broken)
    hidden = verify_store(found.path, on_progress=on_progress)
    _clear(open_parts(found.path, attributes, specification), hidden.damage)
    return (*found.damage, *hidden.damage)


def _clear(parts: Parts, damage: Iterable[Damage]) -> None:
    """Make the damaged tiles pending."""
    wrong = {part.cell for part in damage}
    for cells in cut(parts.store.shape, parts.store.tile):
        if tile_key(cells) in wrong:
            parts.store.clear(cells)


def _rebuild(parts: Parts, specification: dict[str, Any], broken: Collection[str]) -> None:
    """Write what follows from the specification: metadata of fields, and axes altogether."""
    path, attributes = parts.store.path, parts.store.attributes
    points, tile = layout(path, specification)
    for name, metadata in array_metadata(attributes, points, tile).items():
        if name not in broken:
            continue
        if parts.plain:  # chunks of an earlier version's fields could not be read otherwise
            codecs = [codec for codec in metadata["codecs"] if codec["name"] != CHECKSUM]
            metadata = {**metadata, "codecs": codecs}
        folder = path / name
        _remove(folder if name in points or not folder.is_dir() else folder / "zarr.json")
        create_array(folder, metadata, points.get(name))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
