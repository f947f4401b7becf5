"""Options of the form NAME=VALUE, which may be repeated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def parse_pairs(option: str, entries: Iterable[str]) -> dict[str, Any]:
    """Split NAME=VALUE entries and read numbers as numbers.

    Parameters
    ----------
    option : str
        The option they were given to, for the error.
    entries : iterable of str

    Returns
    -------
    dict of str to bool, int, float, str or None

    Raises
    ------
    ValueError
        If an entry is of another form or a name is given twice.

    Examples
    --------
    >>> parse_pairs("--arg", ["width=8", "nonlinearity=relu", "lr=1e-3"])
    {'width': 8, 'nonlinearity': 'relu', 'lr': 0.001}
    """
    pairs: dict[str, Any] = {}
    for entry in entries:
        name, equals, text = (part.strip() for part in entry.partition("="))
        if not (name and equals and text):
            raise ValueError(f"{option} {entry!r} is not understood; write {option} NAME=VALUE")
        if name in pairs:
            raise ValueError(f"{option} {name} is given twice; give it one value")
        pairs[name] = _value(text)
    return pairs


def parse_numbers(option: str, entries: Iterable[str]) -> dict[str, float]:
    """Split NAME=VALUE entries whose values are numbers.

    Raises
    ------
    ValueError
        As `parse_pairs`, and for a value that is not a number.
    """
    pairs = parse_pairs(option, entries)
    for name, value in pairs.items():
        if value is None or isinstance(value, str | bool):
            raise ValueError(f"{option} {name}={value} is not a number; give one")
    return {name: float(value) for name, value in pairs.items()}


def _value(text: str) -> Any:
    """Read true, false, none, an integer or a number; anything else stays text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() == "none":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
