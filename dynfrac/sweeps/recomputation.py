"""Computing the tiles of a store again from nothing but what the store says of itself."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.columns import N_STEPS
from dynfrac.orbits.iteration import Progress
from dynfrac.orbits.rules import make_rule
from dynfrac.sweeps.arrays import was_run
from dynfrac.sweeps.filling import TileJob, tile_columns, tile_key
from dynfrac.sweeps.parts import Damage
from dynfrac.sweeps.refinement import Refinement
from dynfrac.sweeps.results import Sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.sweeps.specifications import (
    AXIS_KEYS,
    mismatches,
    specify,
    stored_specification,
)
from dynfrac.sweeps.stores import Store, open_store
from dynfrac.sweeps.tiles import Tile, cut, tile_shape
from dynfrac.sweeps.verification import Verification
from dynfrac.systems.catalogue import make_architecture, make_map

_MAKERS = {"map": make_map, "architecture": make_architecture}

_OF_A_JOB = ("map_", "n_steps", "every", "rule", "record", "dtype", "lanes")


def check_sample(
    found: Verification, n: int, *, seed: int = 0, on_progress: Progress | None = None
) -> Verification:
    """Compute some of the finished tiles again and compare every field, bit by bit.

    Parameters
    ----------
    found : Verification
        Of the store. Tiles that are known to be damaged are not drawn.
    n : int
        How many tiles, at least 1; all if there are no more.
    seed : int, default 0
        Of the draw.
    on_progress : callable, optional
        Called with the run-steps settled and those to settle, from (0, total) on.

    Returns
    -------
    Verification
        `found` with the tiles that differ among the damage.

    Raises
    ------
    ValueError
        If the map cannot be made again as it was, or there is damage to more than tiles.

    Notes
    -----
    What the store names is imported and called, so sample only stores whose origin you trust.
    """
    if n < 1:
        raise ValueError(f"sample={n} must be at least 1 tile")
    if any(damage.cell is None for damage in found.damage):
        raise ValueError(f"{found.path} has damage to more than tiles; repair it, then sample")
    store = open_store(found.path)
    arguments = remake(store)
    known = {damage.cell for damage in found.damage}
    finished = [
        i
        for i, cells in enumerate(cut(store.shape, store.tile))
        if tile_key(cells) not in known
        and store.chunk("status", cells).exists()
        and _was_run(store, cells).any()
    ]
    draw = np.random.default_rng(seed).choice(finished, min(n, len(finished)), replace=False)
    chosen = {*draw.tolist()}
    tiles = [cells for i, cells in enumerate(cut(store.shape, store.tile)) if i in chosen]
    wrong = _compare(store, arguments, tiles, on_progress)
    flags = found.flags
    if 1 < len(chosen) == len({damage.cell for damage in wrong}):
        flags += (
            "every tile that was computed again differs, so that the program or the machine may "
            "have changed and not the store",
        )
    return dataclasses.replace(
        found, damage=(*found.damage, *wrong), sampled=len(chosen), flags=flags
    )


def sweep_again(path: str | os.PathLike[str], *, on_progress: Progress | None = None) -> Sweep:
    """Compute all pending tiles of a store, as the call that began it would.

    Raises
    ------
    ValueError
        If the map cannot be made again as it was.

    Notes
    -----
    What the store names is imported and called, so do this only to stores whose origin you trust.
    """
    return sweep(**remake(open_store(path)), out=path, on_progress=on_progress)


def remake(store: Store) -> dict[str, Any]:
    """Return the arguments of `sweep` that a store was made with, but for `out`.

    Raises
    ------
    ValueError
        If the store does not name its map by a name or an import path, if that makes another map
        today, or if results of this machine and these versions would not fit to those stored.
    """
    spec = stored_specification(store)
    identity = spec["map"]
    kinds = [kind for kind in _MAKERS if kind in identity]
    if len(kinds) != 1 or not isinstance(identity.get("arguments"), dict):
        raise ValueError(f"{store.path} does not say how its map is made")
    map_ = _MAKERS[kinds[0]](identity[kinds[0]], **identity["arguments"])
    axes = tuple(Axis(**spec["axes"][key]) for key in AXIS_KEYS if key in spec["axes"])
    arguments = {
        "map_": map_,
        "axes": axes,
        "n_steps": spec["n_steps"],
        "hparams": {name: float(value) for name, value in spec["hparams"].items()},
        "rule": make_rule(spec["rule"]),
        "every": spec["every"],
        "record": tuple(spec["record"]),
        "dtype": spec["dtype"],
        "lanes": spec["lanes"],
        "tile": _tile_runs(store),
        "identity": identity,
    }
    if "adaptive" in spec:
        arguments["adaptive"] = Refinement(**spec["adaptive"])
    found = mismatches(store, specify(**arguments))
    if found:
        raise ValueError(f"{store.path} cannot be computed again here: {found}")
    return arguments


def _tile_runs(store: Store) -> int | None:
    """Return the number of runs that the tiles of a store were cut for."""
    # Only its logarithm matters to the cut.
    for doublings in range(63):
        if tile_shape(store.shape, 2**doublings) == store.tile:
            return 2**doublings
    return None


def _compare(
    store: Store,
    arguments: Mapping[str, Any],
    tiles: Sequence[Tile],
    on_progress: Progress | None,
) -> list[Damage]:
    axes, map_ = arguments["axes"], arguments["map_"]
    job = TileJob(
        own_lengths=N_STEPS not in map_.defaults and any(axis.name == N_STEPS for axis in axes),
        fixed=arguments["hparams"],
        **{name: arguments[name] for name in _OF_A_JOB},
    )
    points = [store.read(name) for name in store.dimensions]
    where = [_was_run(store, cells) for cells in tiles]
    total, settled = int(sum(cells.sum() for cells in where)) * job.n_steps, 0

    def report(steps: int) -> None:
        nonlocal settled
        settled += steps
        if on_progress is not None:
            on_progress(settled, total)

    report(0)
    damage = []
    for cells, run in zip(tiles, where, strict=True):
        columns = tile_columns(store, points, cells)
        values = job({name: column[run.ravel()] for name, column in columns.items()}, report)
        for name in (name for name in store.fields if name in values):
            stored = store.read_tile(name, cells)[run]
            right = values[name].astype(stored.dtype)
            n_wrong = int((_bits(stored) != _bits(right)).any(-1).sum())
            if n_wrong:
                reason = f"{n_wrong} of its {stored.size} values are not those computed again"
                damage.append(Damage(name, tile_key(cells), reason))
    return damage


def _was_run(store: Store, cells: Tile) -> np.ndarray:
    """Return which cells of a tile were run."""
    stride = store.read_tile("stride", cells) if "stride" in store.fields else None
    return was_run(store.read_tile("status", cells), stride)


def _bits(values: np.ndarray) -> np.ndarray:
    """Return a row of bytes for every value: NaN is not equal to itself, and -0 is to 0."""
    return np.ascontiguousarray(values).reshape(-1, 1).view(np.uint8)
