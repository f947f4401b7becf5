"""What every command prints: JSON, tables, flags and progress; and the check of `--out`.

Results go to standard output, everything that is about the run (progress, errors) to standard
error, so that `dynfrac ... --json | jq` works.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from dynfrac.cli.interrupts import raise_if_interrupted, safe_points
from dynfrac.systems.plain_values import jsonable


def print_json(obj: Any) -> None:
    """Print one JSON object on standard output; not-a-number and infinity become null.

    Parameters
    ----------
    obj : mapping or dataclass
        Anything `jsonable` takes.
    """
    click.echo(json.dumps(jsonable(obj), indent=2, allow_nan=False, ensure_ascii=False))


def format_duration(seconds: float) -> str:
    """Put a time into the unit a reader would use.

    Examples
    --------
    >>> format_duration(75.2), format_duration(600), format_duration(9000)
    ('75 s', '10 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def format_table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lay out a small table, columns aligned, numbers to the right and text to the left.

    Parameters
    ----------
    headers : sequence of str
        One for each column; empty strings for none.
    rows : iterable of sequences
        As many cells as there are headers. Floats are shown with six significant digits and
        not-a-number as a dash; format them yourself for anything else.

    Returns
    -------
    str
        Lines without trailing blanks or a final newline.
    """
    body = [[_cell(value) for value in row] for row in rows]
    texts = [list(headers), *([text for text, _ in row] for row in body)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = [
        bool(column) and all(numeric for _, numeric in column)
        for column in (zip(*body, strict=True) if body else [()] * len(headers))
    ]
    lines = (
        "  ".join(
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in texts
    )
    return "\n".join(line for line in lines if line)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print the table of `format_table` on standard output."""
    click.echo(format_table(headers, rows))


def echo_flags(flags: Iterable[str]) -> None:
    """Print the warnings that a result carries, one line each, on standard output.

    They are part of the result and stay with it when it is redirected. Commands do not call this
    under `--json`, where the flags are a field.
    """
    for flag in flags:
        click.echo(f"note: {flag}")


def check_output(
    path: str | os.PathLike[str], option: str = "--out", *, folder: bool = False
) -> Path:
    """Make sure that a result can be written, before the work that produces it begins.

    Parameters
    ----------
    path : path
        Where the result will go. Nothing is created or changed.
    option : str
        The argument to name in the error.
    folder : bool
        Whether the result is a folder (a sweep, a report) and not a file.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    ValueError
        If the folder that is to hold it does not exist or cannot be written to, or if something
        of the other kind is in its place.
    """
    target = Path(path)
    if folder and target.exists() and not target.is_dir():
        raise ValueError(f"{option} {target} is a file, not a folder; choose another name")
    if not folder and target.is_dir():
        raise ValueError(f"{option} {target} is a folder; give the name of a file inside it")
    parent = target if folder and target.is_dir() else target.parent
    if not parent.is_dir():
        raise ValueError(f"{option} {target}: the folder {parent} does not exist; create it first")
    try:
        # Trying is the only reliable answer: permission bits say nothing about read-only mounts,
        # quotas or a superuser. The file has no name where the system allows it.
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise ValueError(
            f"{option} {target}: cannot write to the folder {parent} "
            f"({(error.strerror or str(error)).lower()}); choose another"
        ) from error
    if not folder and target.exists() and not os.access(target, os.W_OK):
        raise ValueError(f"{option} {target}: the file is write-protected; choose another name")
    return target


@contextlib.contextmanager
def progress_bar(description: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """Show progress, the time elapsed and the time left on standard error.

    Nothing is shown if standard error is not a terminal, under `--quiet`, or if the environment
    variable `DYNFRAC_PROGRESS` is 0.

    Parameters
    ----------
    description : str
        One or two words, such as ``"sweep"``.
    total : float or None
        How many units of work there are; None if that is not known.

    Yields
    ------
    callable
        `advance(n)` says that `n` more units are done. It raises `KeyboardInterrupt` if Ctrl-C was
        pressed since the last time.
    """
    if not progress_is_shown():
        with safe_points():
            yield lambda n: raise_if_interrupted()
        return
    from rich.console import Console  # a tenth of a second that quiet runs do without
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with safe_points(), Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total)

        def advance(n: float) -> None:
            raise_if_interrupted()
            progress.advance(task, n)

        yield advance


def progress_reporter(stack: contextlib.ExitStack, description: str) -> Callable[[int, int], None]:
    """Return a callback that opens a bar when it hears the total, and not before.

    Parameters
    ----------
    stack : ExitStack
        It closes the bar.
    description : str
        As in `progress_bar`.

    Returns
    -------
    callable
        `report(done, total)` takes all that is done so far, not what was added.
    """
    advance: Callable[[float], None] | None = None
    shown = 0

    def report(done: int, total: int) -> None:
        nonlocal advance, shown
        if advance is None:
            advance = stack.enter_context(progress_bar(description, total))
        advance(done - shown)
        shown = done

    return report


def progress_is_shown() -> bool:
    """Whether progress bars are wanted: a terminal, no `--quiet`, no `DYNFRAC_PROGRESS=0`."""
    if os.environ.get("DYNFRAC_PROGRESS") == "0" or not sys.stderr.isatty():
        return False
    context = click.get_current_context(silent=True)
    while context is not None:
        if context.params.get("quiet"):
            return False
        context = context.parent
    return True


def _cell(value: Any) -> tuple[str, bool]:
    """Text of a table cell, and whether it is a number."""
    if isinstance(value, bool | np.bool_):
        return ("yes" if value else "no"), False
    if isinstance(value, int | np.integer):
        return str(value), True
    if isinstance(value, float | np.floating):
        return (f"{value:.6g}" if math.isfinite(value) else "-"), True
    return str(value), False
