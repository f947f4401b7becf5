"""Files that a command writes: the options that name them, the check beforehand, the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from dynfrac.cli.output import check_output
from dynfrac.systems.plain_values import jsonable

FIGURES = (".png", ".pdf", ".svg")
"""What figures are written as."""


def result_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--plot --out --json --quiet``.

    They arrive as `plot`, `out`, `as_json`, `quiet`.
    """
    options = (
        click.option(
            "--plot", type=click.Path(path_type=Path), help="Write the figure here, .png .pdf .svg."
        ),
        click.option("--out", type=click.Path(path_type=Path), help="Write the JSON record here."),
        click.option(
            "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."
        ),
        click.option("--quiet", "-q", is_flag=True, help="Show no progress bar."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def check_targets(
    targets: Mapping[str, Path | None],
    *,
    kinds: Mapping[str, tuple[str, ...]] | None = None,
    sources: Iterable[Path] = (),
) -> None:
    """Make sure that all files can be written, before the work that produces them begins.

    Parameters
    ----------
    targets : mapping of str to path or None
        Option -> file; None is not asked for.
    kinds : mapping of str to tuple of str, optional
        Option -> endings that its file may have; figures for ``--plot`` in any case.
    sources : iterable of path
        What the command reads.

    Raises
    ------
    ValueError
        If a file cannot be written, has an ending that nothing is written as, or would overwrite
        another one or what is read.
    """
    kinds = {"--plot": FIGURES, **(kinds or {})}
    taken = {source.resolve(): f"what is read from {source}" for source in sources}
    for option, path in targets.items():
        if path is None:
            continue
        check_output(path, option)
        endings = kinds.get(option)
        if endings and path.suffix.lower() not in endings:
            raise ValueError(f"{option} {path}: end the name in {', '.join(endings)}")
        holder = taken.setdefault(path.resolve(), option)
        if holder != option:
            raise ValueError(f"{option} {path} would overwrite {holder}; choose another name")


def write_record(record: Any, path: Path | None) -> None:
    """Write a result as JSON if there is a file to write it to."""
    if path is not None:
        path.write_text(json.dumps(jsonable(record), indent=2) + "\n", encoding="utf-8")
