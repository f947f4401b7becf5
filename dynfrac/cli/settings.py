"""Options from elsewhere than the command line: the settings file and the environment.

A settings file is TOML with one table for each command::

    [sweep]
    preset = "published-tanh"
    res = 256
    set = {momentum = 0.9}      # the same as --set momentum=0.9

Keys are the names of the long options; `-` and `_` are the same. In the environment the option
`--n-steps` of `sweep` is `DYNFRAC_SWEEP_N_STEPS`. Both follow the option's name as the user types
it, whatever the command calls it in Python.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click


def read_settings(path: Path, commands: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read a settings file.

    Parameters
    ----------
    path : Path
        A TOML file.
    commands : iterable of str
        The commands that exist.

    Returns
    -------
    dict of str to dict
        The table of each command that the file mentions, as written.

    Raises
    ------
    ValueError
        If the file is not TOML, names a command that does not exist, or sets an option outside a
        command's table.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"--config {path} is not a TOML file: {error}") from error
    for name, table in settings.items():
        if not isinstance(table, dict):
            raise ValueError(
                f"--config {path} sets {name!r} outside a table; put it below the name of its "
                "command, such as [sweep]"
            )
        if name not in commands:
            # Imported here because it brings jax with it, which only this mistake has to wait for.
            from dynfrac.systems.abstract import unknown_name

            raise unknown_name(f"command in --config {path}", name, commands)
    return settings


def settings_for(command: click.Command, name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a command's table from the names of its options to those of its parameters.

    Parameters
    ----------
    command : click.Command
    name : str
        What the command is called.
    table : mapping of str to value
        Keys are long option names. An option that may be repeated takes a list, or, if its values
        read `name=value`, a table.

    Returns
    -------
    dict
        As click's `default_map` wants it.

    Raises
    ------
    ValueError
        If an option does not exist, or takes one value and was given several.
    """
    options = {key: option for option in _settable(command) for key in _keys(option)}
    settings: dict[str, Any] = {}
    for key, value in table.items():
        option = options.get(_normalise(key))
        if option is None:
            from dynfrac.systems.abstract import unknown_name

            raise unknown_name(f"option in the settings of {name}", key, options)
        several = isinstance(value, list | dict)
        if several and not (option.multiple or option.nargs != 1):
            raise ValueError(f"{key} in the settings of {name} takes one value, not {value!r}")
        if isinstance(value, dict):
            value = [f"{entry}={setting}" for entry, setting in value.items()]
        elif option.multiple and not several:
            value = [value]
        settings[str(option.name)] = value
    return settings


def bind_environment(command: click.Command, prefix: str) -> None:
    """Give every option of a command that names no environment variable one of its own.

    click would derive it from the Python parameter, which is not always what the user types
    (`--set` cannot be a parameter called `set` without hiding the builtin).

    Parameters
    ----------
    command : click.Command
        Its options are given an `envvar`. Doing it again changes nothing.
    prefix : str
        What the variables begin with, such as ``"DYNFRAC_SWEEP"``.
    """
    for option in _settable(command):
        if option.envvar is None:
            option.envvar = f"{prefix}_{_keys(option)[0]}".upper()


def _settable(command: click.Command) -> list[click.Option]:
    """Options of a command that carry a value: not `--help`, not positional arguments."""
    return [
        param
        for param in command.params
        if isinstance(param, click.Option) and param.expose_value and _keys(param)
    ]


def _keys(option: click.Option) -> list[str]:
    """Names under which an option can be set, without dashes."""
    return [_normalise(opt[2:]) for opt in option.opts if opt.startswith("--")]


def _normalise(key: str) -> str:
    return key.replace("-", "_")
