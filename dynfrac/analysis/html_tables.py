"""Records as notebooks show them: small tables in HTML, in whatever colours the notebook has.

All text is escaped here and nowhere else. No colours and no files from elsewhere: the same block
reads well on a dark page.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_CELL = 'style="text-align: left; vertical-align: top; padding: 0.1em 1.2em 0.1em 0"'
_TABLE = 'style="border-collapse: collapse; margin: 0.3em 0"'

MOST_ROWS = 12
"""Longer tables are cut, and say so."""


def html_block(title: str, subtitle: str, *tables: str, flags: Iterable[str] = ()) -> str:
    """Return one block: a heading, tables that are HTML already, and the flags as a list.

    Parameters
    ----------
    title, subtitle : str
        What it is, and of what.
    *tables : str
        From `html_entries` and `html_columns`.
    flags : iterable of str
        Reservations, in sentences.
    """
    heading = f"<div><strong>{html.escape(title)}</strong> {html.escape(subtitle)}</div>"
    listed = "".join(f"<li>{html.escape(flag)}</li>" for flag in flags)
    notes = f'<ul style="margin: 0.3em 0">{listed}</ul>' if listed else ""
    return f'<div class="dynfrac">{heading}{"".join(tables)}{notes}</div>'


def html_entries(entries: Mapping[str, Any]) -> str:
    """Return a table of names and values, without those that are None or empty."""
    shown = {name: value for name, value in entries.items() if value not in (None, "")}
    rows = "".join(
        f'<tr><th scope="row" {_CELL}>{html.escape(name)}</th>'
        f"<td {_CELL}>{html.escape(str(value))}</td></tr>"
        for name, value in shown.items()
    )
    return f"<table {_TABLE}><tbody>{rows}</tbody></table>"


def html_columns(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table with a header, cut after `MOST_ROWS` rows."""
    head = "".join(f'<th scope="col" {_CELL}>{html.escape(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td {_CELL}>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows[:MOST_ROWS]
    )
    if len(rows) > MOST_ROWS:
        left = f"and {len(rows) - MOST_ROWS} more"
        body += f'<tr><td colspan="{len(header)}" {_CELL}>{left}</td></tr>'
    return f"<table {_TABLE}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def write_value(value: float, stderr: float = math.nan) -> str:
    """Write a number with its error, to the digits that the error leaves it.

    Examples
    --------
    >>> write_value(1.53551, 0.1304), write_value(0.5, math.nan), write_value(math.nan)
    ('1.54 ± 0.13', '0.5', 'no value')
    """
    if not math.isfinite(value):
        return "no value" if math.isnan(value) else f"{value:g}"
    if not (math.isfinite(stderr) and stderr > 0):
        return f"{value:.6g}"
    digits = _digits(stderr)
    return f"{value:.{digits}f} ± {stderr:.{digits}f}"


def write_interval(low: float, high: float) -> str:
    """Write the ends of an interval, to the digits that its width leaves them; "" without ends.

    Examples
    --------
    >>> write_interval(1.27984, 1.79112)
    '1.28 to 1.79'
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if low == high:
        return f"{low:.6g} to {high:.6g}"
    digits = _digits((high - low) / 4)  # about a standard error
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _digits(stderr: float) -> int:
    """Return the decimals at which an error has two digits that count; 12 at most."""
    return min(12, max(0, 1 - math.floor(math.log10(stderr))))
