"""Callables found by import path, and exceptions put into one sentence.

Everything a user can get wrong in ``package.module:factory`` ends in a `ValueError` of one
sentence, whether the factory makes a map, a model, an optimizer or data.
"""

from __future__ import annotations

import difflib
import importlib
import types
from collections.abc import Callable
from typing import Any

import jax

from dynfrac.systems.abstract import unknown_name

LOOKED_AT_A_VALUE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""How jax says that Python looked at a value that is not there yet."""


def is_import_path(name: str) -> bool:
    """Whether a name means ``package.module:factory`` and not an entry of a catalogue."""
    return ":" in name


def import_callable(path: str, makes: str = "map") -> Callable[..., Any]:
    """Return the callable that an import path names.

    Parameters
    ----------
    path : str
        ``package.module:factory``. The module must be importable as Python is running; the factory
        is any callable: a function, or a class.
    makes : str, default "map"
        What the callable is wanted for; errors name it.

    Raises
    ------
    ValueError
        If the path is malformed, the module or the attribute does not exist, importing raises, or
        the attribute cannot be called.
    """
    module_name, _, attribute = path.partition(":")
    names = (*module_name.split("."), attribute)
    if not all(part.isidentifier() for part in names):
        raise ValueError(f"{path!r} is not an import path; write package.module:factory")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        # The module that is missing may be the one asked for (or its package), or one it imports.
        missing = getattr(error, "name", None) or "\0"
        if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{missing}."):
            raise ValueError(
                f"{path}: there is no module {missing!r}; install it, or add its folder to "
                "PYTHONPATH"
            ) from error
        raise ValueError(f"{path}: importing {module_name} raised {in_words(error)}") from error
    if not hasattr(module, attribute):
        raise _no_such_factory(module, attribute)
    factory = getattr(module, attribute)
    if not callable(factory):
        raise ValueError(
            f"{path} is {with_article(type(factory).__name__)}, which cannot be called; name a "
            f"function or class that makes the {makes}"
        )
    return factory


def in_words(error: Exception) -> str:
    """Put an exception into words on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def with_article(noun: str) -> str:
    """Return a noun with its indefinite article."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _no_such_factory(module: types.ModuleType, attribute: str) -> ValueError:
    """Build the error: it lists what the module defines, or suggests what a package gathers."""
    gathered = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
    own = [
        n for n in gathered if getattr(getattr(module, n), "__module__", None) == module.__name__
    ]
    if own:
        return unknown_name(f"factory in {module.__name__}:", attribute, own)
    close = difflib.get_close_matches(attribute, gathered, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else "name one that it has"
    return ValueError(f"there is no factory {attribute!r} in {module.__name__}; {hint}")
