"""Factories: functions that make maps and networks, and their arguments, checked before the call.

Everything a user can get wrong here ends in a `ValueError` of one sentence.
"""

from __future__ import annotations

import inspect
import math
import numbers
import operator
import typing
from collections.abc import Callable, Mapping
from typing import Any

from dynfrac.systems.abstract import unknown_name
from dynfrac.systems.importing import in_words
from dynfrac.systems.numerics import precision
from dynfrac.systems.signatures import parameters_of

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
        `inspect.Parameter.empty` stands for "no default". Empty if the factory does not say.
    """
    return {name: p.default for name, p in _named(factory).items()}


def takes_any_argument(factory: Factory) -> bool:
    """Whether a factory has ``**arguments``."""
    return any(p.kind is p.VAR_KEYWORD for p in parameters_of(factory) or ())


def check_arguments(
    name: str,
    factory: Factory,
    arguments: Mapping[str, Any],
    others: typing.Iterable[str] = (),
) -> dict[str, Any]:
    """Return arguments of one of the package's own factories in the kinds it wants.

    Parameters
    ----------
    name : str
        What the user asked for; errors name it.
    factory : callable
        Its annotations say which kinds of values it takes.
    arguments : mapping of str to object
    others : iterable of str
        Names that are known besides the factory's own, for the error.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If an argument is unknown (the message lists those that exist) or of the wrong kind.
    """
    parameters = inspect.signature(factory, eval_str=True).parameters
    known = {key for key, p in parameters.items() if p.kind is not p.POSITIONAL_ONLY}
    for argument in arguments:
        if argument not in known:
            raise unknown_name(f"argument of {name}:", argument, {*known, *others})
    return {
        key: _checked(name, key, value, parameters[key].annotation)
        for key, value in arguments.items()
    }


def call_imported(
    path: str,
    factory: Factory,
    arguments: Mapping[str, Any],
    others: typing.Iterable[str] = (),
) -> Any:
    """Call a user's factory in the package's numerical setting.

    Parameters
    ----------
    path : str
        Its import path; errors name it.
    factory : callable
    arguments : mapping of str to object
        Passed on by name.
    others : iterable of str
        Names that are known besides the factory's own, for the error.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If an argument is unknown or missing, or the factory raises.

    Notes
    -----
    The setting is that of `dynfrac.systems.numerics`, so that jax arrays it makes are float64.
    """
    if parameters_of(factory) is not None:
        named = _named(factory)
        for argument in arguments:
            if argument not in named and not takes_any_argument(factory):
                raise unknown_name(f"argument of {path}:", argument, {*named, *others})
        missing = [n for n, p in named.items() if p.default is p.empty and n not in arguments]
        if missing:
            raise ValueError(f"{path} needs the argument {', '.join(missing)}; give it a value")
    with precision():
        try:
            return factory(**arguments)
        except Exception as error:
            raise ValueError(f"{path} raised {in_words(error)}") from error


def _named(factory: Factory) -> dict[str, inspect.Parameter]:
    """Return the arguments that may be given by name."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p for p in parameters_of(factory) or () if p.kind in kinds}


def _checked(name: str, argument: str, value: Any, annotation: Any) -> Any:
    """Return a value as the kind that an annotation asks for, or raise."""
    allowed = typing.get_args(annotation) or (annotation,)
    kinds = [kind for kind in allowed if kind in _KINDS]
    others = [typing.get_origin(kind) or kind for kind in allowed if kind not in _KINDS]
    if not kinds or any(isinstance(o, type) and isinstance(value, o) for o in others):
        return value
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
