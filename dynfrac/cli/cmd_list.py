"""`dynfrac list`: what there is to name on the command line."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from dynfrac.cli.output import print_json
from dynfrac.cli.sources import training_arguments
from dynfrac.orbits.rules import RULE_FORMS
from dynfrac.orbits.wording import write_number
from dynfrac.systems.abstract import unknown_name
from dynfrac.systems.catalogue import (
    HYPERPARAMETERS,
    Entry,
    describe_own,
    list_architectures,
    list_maps,
)
from dynfrac.systems.datasets import SOURCES
from dynfrac.systems.importing import is_import_path
from dynfrac.systems.optimizers import OPTIMIZERS, make_optimizer
from dynfrac.systems.recipes import TRAINING_MEANINGS

WIDTH = 100
LEFT = 28
"""Columns that a name may take beside its description."""

Row = dict[str, Any]


def _entries(entries: Iterable[Entry]) -> list[Row]:
    return [
        {
            "name": entry.name,
            "description": entry.description,
            "hparams": dict(entry.hparams),
            "arguments": dict(entry.arguments),
        }
        for entry in entries
    ]


def _presets() -> list[Row]:
    from dynfrac.studies.presets import PRESETS

    return [{"name": name, "description": p.description} for name, p in PRESETS.items()]


def _hyperparameters() -> list[Row]:
    """Say for each which architectures and optimizers take it."""
    holders = {entry.name: set(entry.hparams) for entry in list_architectures()}
    holders |= {name: {n for n, _ in make_optimizer(name).parameters} for name in OPTIMIZERS}
    return [
        {
            "name": name,
            "description": text,
            "taken_by": [holder for holder, names in holders.items() if name in names],
        }
        for name, text in HYPERPARAMETERS.items()
    ]


def _rules() -> list[Row]:
    lines = {form: (inspect.getdoc(rule) or form).split("\n")[0] for form, rule in _FORMS}
    return [
        {"name": form, "description": text.rstrip(".").replace("`", "")}
        for form, text in lines.items()
    ]


_FORMS = tuple(RULE_FORMS.items())


def _optimizers() -> list[Row]:
    return [
        {"name": n, "description": text, "hparams": dict(make_optimizer(n).parameters)}
        for n, text in OPTIMIZERS.items()
    ]


def _described(texts: Mapping[str, str]) -> list[Row]:
    return [{"name": name, "description": text} for name, text in texts.items()]


# Kind -> (how one of them is named on the command line, what lists them).
KINDS: Mapping[str, tuple[str, Callable[[], list[Row]]]] = {
    "maps": ("--map NAME", lambda: _entries(list_maps())),
    "architectures": ("--arch NAME", lambda: _entries(list_architectures())),
    "training": (
        "--arg NAME=VALUE, of every architecture but mlp, and of a network of your own",
        lambda: _described(TRAINING_MEANINGS),
    ),
    "data": ("--data NAME, or FILE.npz", lambda: _described(SOURCES)),
    "optimizers": ("--optimizer NAME, or several joined by +", _optimizers),
    "rules": ("--rule NAME, with @METRIC for what it watches in place of the loss", _rules),
    "presets": ("--preset NAME", _presets),
    "hyperparameters": (
        "--set NAME=VALUE, or an axis; those of a map stand with it",
        _hyperparameters,
    ),
}


@click.command()
@click.argument("kind", required=False)
@click.option(
    "--arg",
    "arguments",
    metavar="NAME=VALUE",
    multiple=True,
    help="An argument of a network of your own, or of its training; repeatable.",
)
@click.option("--data", metavar="NAME", help="What it is trained on: a name, or a file FILE.npz.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(kind: str | None, arguments: tuple[str, ...], data: str | None, as_json: bool) -> None:
    """List maps, architectures, training, data, optimizers, rules, presets and hyperparameters.

    KIND is one of these words and lists only that, or the import path package.module:factory of a
    map or a network of your own. Under a map or an architecture, --set shows its hyperparameters
    and --arg the arguments of its factory, with their defaults; a dash is one that is not given.
    Wherever a map, an architecture or an optimizer is named, an import path names one of your own.

    \b
    Example:
      dynfrac list architectures
      dynfrac list my_nets:Net --data mine.npz
    """
    given = training_arguments(arguments, {"data": data})
    if given and (kind is None or not is_import_path(kind)):
        raise click.UsageError("--arg and --data need package.module:factory")
    if kind is not None and is_import_path(kind):
        own = _entries([describe_own(kind, **given)])
        if as_json:
            print_json(own[0])
        else:
            click.echo(_format_rows("your own", own))
        return
    if kind is not None and kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    listing = {name: KINDS[name][1]() for name in ([kind] if kind else KINDS)}
    if as_json:
        print_json(listing)
        return
    click.echo("\n\n".join(_format(name, rows) for name, rows in listing.items()))


def _format(kind: str, rows: list[Row]) -> str:
    """Lay out one kind: a heading, then names on the left and what they mean on the right."""
    return _format_rows(f"{kind} ({KINDS[kind][0]})", rows)


def _format_rows(heading: str, rows: list[Row]) -> str:
    """Lay out rows below a heading."""
    left = min(max(len(row["name"]) for row in rows) + 4, LEFT)
    lines = [heading]
    for row in rows:
        first, *rest = [piece for text in _texts(row) for piece in _wrap(text, WIDTH - left)]
        name = f"  {row['name']}"
        lines += [name.ljust(left) + first] if len(name) < left else [name, " " * left + first]
        lines += [" " * left + piece for piece in rest]
    return "\n".join(lines)


def _texts(row: Row) -> list[str]:
    """Return what there is to say about one name, a line each unless it is too long for one."""
    texts = [row["description"]] if "description" in row else []
    everywhere = {entry.name for entry in list_architectures()} if "taken_by" in row else set()
    if row.get("taken_by") and not everywhere <= set(row["taken_by"]):
        texts[0] += f" (only {', '.join(row['taken_by'])})"
    for key, option in (("hparams", "--set"), ("arguments", "--arg")):
        if row.get(key):
            pairs = (f"{name}={_value(value)}" for name, value in row[key].items())
            texts.append(f"{option} {' '.join(pairs)}")
    return texts or ["no hyperparameters of its own"]


def _wrap(text: str, width: int) -> list[str]:
    indent = " " * len("--set ") if text.startswith("--") else ""
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _value(value: Any) -> str:
    """Write a default as it would be typed; a dash for "not given"."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(_value, value))
    return write_number(value) if isinstance(value, float) else str(value)
