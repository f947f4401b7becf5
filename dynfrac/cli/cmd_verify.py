"""`dynfrac verify`: whether a sweep on disk is what was written, and its repair."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import final

import click

from dynfrac.cli.output import (
    echo_flags,
    print_json,
    print_table,
    progress_reporter,
)
from dynfrac.cli.sources import fetch_data
from dynfrac.sweeps.parts import Damage
from dynfrac.sweeps.recomputation import check_sample, sweep_again
from dynfrac.sweeps.repairs import repair_store
from dynfrac.sweeps.verification import Verification, verify_store

LISTED = 20
"""Damaged parts that are listed for people."""


@final
@dataclasses.dataclass(frozen=True)
class _Repair:
    """What a repair did: what it removed, how many cells it computed, and what is left to do."""

    damage: tuple[Damage, ...] = ()
    computed: int = 0
    note: str | None = None


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(min=1),
    help="Compute N finished tiles again, drawn at random, and compare every bit.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draw."
)
@click.option("--repair", is_flag=True, help="Remove what is damaged and compute it again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress bar.")
def command(
    store: Path, sample: int | None, seed: int, repair: bool, as_json: bool, quiet: bool
) -> int:
    """Check that a sweep on disk is whole: metadata, axes, and every field of every tile.

    Tiles that have not been computed, and files that a killed sweep left, are no damage; both are
    counted. Exit status 0 means that the sweep is sound, 1 that it is damaged.

    --sample finds values that are wrong in files that are whole. --repair makes damaged tiles
    pending, then goes on with the sweep as the command that began it would, other pending tiles
    included. Both import and call what the sweep names as its map, so use them only on sweeps
    whose origin you trust.

    \b
    Example:
      dynfrac verify run.zarr
      dynfrac verify run.zarr --sample 5
      dynfrac verify run.zarr --repair
    """
    found = _verify(store)
    if sample is not None and all(damage.cell is not None for damage in found.damage):
        _fetch(found)
        with contextlib.ExitStack() as stack:
            report = progress_reporter(stack, "sample")
            found = check_sample(found, sample, seed=seed, on_progress=report)
    elif sample is not None:
        reason = "no tile was computed again, because more than tiles is damaged"
        found = dataclasses.replace(found, flags=(*found.flags, reason))
    done = _Repair()
    if repair and found.attributes is not None and (found.damage or found.leftovers):
        done = _repair(found)
        found = dataclasses.replace(_verify(store), sampled=found.sampled, flags=found.flags)
    elif repair and found.attributes is None:
        done = _Repair(note="it cannot be repaired; sweep again under another name")
    if as_json:
        print_json(_record(found, done))
    else:
        _print(found, done, repair)
    return 0 if found.sound else 1


def _verify(store: Path) -> Verification:
    with contextlib.ExitStack() as stack:
        return verify_store(store, on_progress=progress_reporter(stack, "verify"))


def _repair(found: Verification) -> _Repair:
    with contextlib.ExitStack() as stack:
        damage = repair_store(found, on_progress=progress_reporter(stack, "verify"))
    if all(part.cell is None for part in damage):
        return _Repair(damage)
    try:
        _fetch(found)
        with contextlib.ExitStack() as stack:
            result = sweep_again(found.path, on_progress=progress_reporter(stack, "sweep"))
    except (ValueError, ImportError) as error:
        text = str(error).rstrip(".")
        return _Repair(
            damage,
            note=f"{text}; the command that swept it computes what is pending now",
        )
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"the damage is gone from {found.path}; the command that swept it computes what is "
            "pending now"
        ) from error
    return _Repair(damage, result.computed)


def _fetch(found: Verification) -> None:
    """Download data that the sweep's map needs, with a progress bar."""
    identity = found.attributes["specification"]["map"] if found.attributes else {}
    fetch_data(identity.get("arguments", {}))


def _record(found: Verification, done: _Repair) -> dict[str, object]:
    return {
        "store": found.path,
        "shape": found.shape,
        "sound": found.sound,
        "tiles": {
            "all": found.tiles,
            "done": found.done,
            "pending": found.pending,
            "damaged": found.damaged,
        },
        "damage": found.damage,
        "leftovers": found.leftovers,
        "sampled": found.sampled,
        "repaired": done.damage,
        "computed": done.computed,
        "note": done.note,
        "flags": found.flags,
    }


def _print(found: Verification, done: _Repair, repair: bool) -> None:
    """Print the outcome for people."""
    click.echo(
        f"{found.path}  {found.tiles} tiles: {found.done} finished, {found.pending} pending, "
        f"{found.damaged} damaged"
    )
    _list("repaired", done.damage)
    if done.computed:
        click.echo(f"computed {done.computed} runs")
    _list("damaged", found.damage)
    if found.sampled:
        click.echo(f"computed {found.sampled} finished tiles again and compared every bit")
    if found.leftovers:
        click.echo(f"{len(found.leftovers)} files of a killed sweep are there, and do no harm")
    echo_flags(found.flags)
    if done.note:
        click.echo(f"note: {done.note}")
    if found.sound:
        rest = "; the command that swept it computes what is pending" if found.pending else ""
        click.echo(f"the sweep is sound{rest if done.note is None else ''}")
    elif found.attributes is None and not repair:
        click.echo("beyond repair: sweep again under another name")
    elif not repair:
        click.echo(f"repair it: dynfrac verify {found.path} --repair")


def _list(word: str, damage: tuple[Damage, ...]) -> None:
    """Print what is damaged, or was."""
    rows = [
        (word, part.array, "" if part.cell is None else str(list(part.cell)), part.reason)
        for part in damage[:LISTED]
    ]
    if rows:
        print_table(("", "array", "first cell", "reason"), rows)
    if len(damage) > LISTED:
        click.echo(f"and {len(damage) - LISTED} more, which --json lists")
