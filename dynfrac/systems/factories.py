"""Factories that make maps: found by import path, called with checked arguments.

Everything a user can get wrong here, from a misspelt module to a factory that returns something
else, ends in a `ValueError` of one sentence.
"""

from __future__ import annotations

import importlib
import inspect
import math
import numbers
import operator
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from flax import linen, nnx

from dynfrac.systems.abstract import AbstractMap, unknown_name
from dynfrac.systems.numerics import precision

Factory = Callable[..., Any]

_KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "text",
}


def factory_arguments(factory: Factory) -> dict[str, Any]:
    """Return the names of a factory's keyword arguments with their defaults.

    Parameters
    ----------
    factory : callable

    Returns
    -------
    dict
        `inspect.Parameter.empty` stands for "no default".
    """
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(factory).parameters.values()
    return {p.name: p.default for p in parameters if p.kind in named}


def call_factory(name: str, factory: Factory, arguments: Mapping[str, Any]) -> AbstractMap:
    """Call one of the package's own factories after checking names and kinds of its arguments.

    Parameters
    ----------
    name : str
        What the user asked for; errors name it.
    factory : callable
        Its annotations say which kinds of values it takes.
    arguments : mapping of str to object

    Returns
    -------
    AbstractMap

    Raises
    ------
    ValueError
        If an argument is unknown (the message lists those that exist) or of the wrong kind, or the
        factory refuses its value.
    """
    parameters = inspect.signature(factory, eval_str=True).parameters
    for argument in arguments:
        if argument not in parameters:
            raise unknown_name(f"argument of {name}:", argument, parameters)
    values = {
        key: _checked(name, key, value, parameters[key].annotation)
        for key, value in arguments.items()
    }
    return factory(**values)


def is_import_path(name: str) -> bool:
    """Whether a name means ``package.module:factory`` and not an entry of the catalogue."""
    return ":" in name


def make_imported(path: str, arguments: Mapping[str, Any]) -> AbstractMap:
    """Import a user's factory and return the map it makes.

    Parameters
    ----------
    path : str
        ``package.module:factory``. The module must be importable as Python is running; the factory
        is any callable: a function, or the class of a map.
    arguments : mapping of str to object
        Passed on by name.

    Returns
    -------
    AbstractMap

    Raises
    ------
    ValueError
        If the module or the attribute does not exist, the module or the factory raises, an
        argument is unknown or missing, or the result is not an `AbstractMap`.

    Notes
    -----
    The factory runs in the package's numerical setting (`dynfrac.systems.numerics`), so that jax
    arrays it makes are float64.
    """
    factory = _import(path)
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # some built-in callables do not say what they take
        parameters = ()
    else:
        _check_names(path, parameters, arguments)
    with precision():
        try:
            made = factory(**arguments)
        except Exception as error:
            raise ValueError(f"{path} raised {_sentence(error)}") from error
    if isinstance(made, AbstractMap):
        return made
    if isinstance(made, linen.Module | nnx.Module):
        raise ValueError(
            f"{path} returned a flax module, which by itself has no data, loss or optimizer; "
            "return a TrainingMap whose model is an AbstractModel that wraps it"
        )
    raise ValueError(
        f"{path} returned {_article(type(made).__name__)}, not a map; return an object of a class "
        "derived from dynfrac.AbstractMap"
    )


def _import(path: str) -> Factory:
    """Return the callable that an import path names."""
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
        raise ValueError(f"{path}: importing {module_name} raised {_sentence(error)}") from error
    if not hasattr(module, attribute):
        public = [name for name, value in vars(module).items() if _is_offered(module, name, value)]
        raise unknown_name(f"factory in {module_name}:", attribute, public)
    factory = getattr(module, attribute)
    if not callable(factory):
        raise ValueError(
            f"{path} is {_article(type(factory).__name__)}, which cannot be called; name a "
            "function or class that makes the map"
        )
    return factory


def _is_offered(module: types.ModuleType, name: str, value: Any) -> bool:
    """Whether a module defines a public callable itself, and does not merely import it."""
    local = getattr(value, "__module__", None) == module.__name__
    return callable(value) and local and not name.startswith("_")


def _check_names(
    path: str, parameters: typing.Iterable[inspect.Parameter], arguments: Mapping[str, Any]
) -> None:
    """Raise unless the factory can be called with arguments of these names, and no others."""
    parameters = tuple(parameters)
    kinds = {p.kind for p in parameters}
    named = {
        p.name: p.default is p.empty
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    for argument in arguments:
        if argument not in named and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise unknown_name(f"argument of {path}:", argument, named)
    missing = [name for name, required in named.items() if required and name not in arguments]
    if missing:
        raise ValueError(f"{path} needs the argument {', '.join(missing)}; give it a value")


def _checked(name: str, argument: str, value: Any, annotation: Any) -> Any:
    """Return a value as the kind that an annotation asks for, or raise."""
    allowed = typing.get_args(annotation) or (annotation,)
    if value is None and type(None) in allowed:
        return None
    kinds = [kind for kind in allowed if kind is not type(None)]
    if any(kind not in _KINDS for kind in kinds):
        return value  # the factory's own affair
    for kind in kinds:
        converted = _convert(value, kind)
        if converted is not None:
            return converted
    wanted = " or ".join(_KINDS[kind] for kind in kinds)
    raise ValueError(f"{argument}={value!r} is not an argument of {name}; pass {wanted}")


def _convert(value: Any, kind: type) -> Any:
    """Return `value` as a bool, str, int or float if it is one without loss, else None."""
    if kind in (bool, str):
        return value if isinstance(value, kind) else None
    if isinstance(value, bool):
        return None
    if kind is int and isinstance(value, numbers.Integral):
        number = operator.index(value)
        return number if abs(number) < 2**63 else None
    if kind is float and isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    return None


def _sentence(error: Exception) -> str:
    """Put an exception into words on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
