"""What the signature of a network's call declares: switches of the mode, hyperparameters, a key.

dynfrac calls other people's networks. It finds out how from the names of their arguments and from
nothing else:

* a switch such as ``train`` or ``deterministic`` is set for training or for evaluation;
* a keyword argument whose default is a float is a hyperparameter of the forward pass;
* ``key`` (plain functions only) is the random key of the step.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, final

SWITCHES = {
    "train": True,
    "training": True,
    "is_training": True,
    "on_train": True,
    "deterministic": False,
    "inference": False,
    "use_running_average": False,
}
"""Known switches, with their value in training."""

_KEYS = ("key", "rng")


@final
@dataclasses.dataclass(frozen=True)
class CallSignature:
    """How a network wants to be called.

    Attributes
    ----------
    switches : tuple of (str, bool)
        Arguments that choose the mode, with their value in training.
    hparams : tuple of (str, float)
        Hyperparameters of the forward pass with their defaults.
    key : str or None
        The argument that takes a random key.
    """

    switches: tuple[tuple[str, bool], ...]
    hparams: tuple[tuple[str, float], ...]
    key: str | None

    def keywords(self, hparams: Mapping[str, Any], *, training: bool) -> dict[str, Any]:
        """Return the keyword arguments of a call, the key left out."""
        switches = {name: value == training for name, value in self.switches}
        return {**switches, **{name: hparams[name] for name, _ in self.hparams}}


def parameters_of(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...] | None:
    """Return the parameters of a callable, or None if it does not say what they are.

    A class whose metaclass hides them (every nnx module) is asked through its ``__init__``, also
    where `functools.partial` has fixed some of them by name.
    """
    try:
        parameters = tuple(inspect.signature(function).parameters.values())
    except ValueError:  # some built-in callables
        return None
    made = function.func if isinstance(function, functools.partial) else function
    if isinstance(made, type) and {p.kind for p in parameters} <= {*_VARIADIC}:
        return tuple(inspect.signature(made.__init__).parameters.values())[1:]
    return parameters


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def read_signature(function: Callable[..., Any], n_positional: int) -> CallSignature:
    """Read how a function wants to be called after its first `n_positional` arguments.

    Parameters
    ----------
    function : callable
        A bound ``__call__`` of a module, or a plain function.
    n_positional : int
        Arguments that are passed by position: 1 (inputs), or 2 (parameters, inputs).

    Raises
    ------
    ValueError
        If it takes fewer positional arguments, or another argument has no default.

    Examples
    --------
    >>> def apply(params, x, train, beta=1.0): ...
    >>> read_signature(apply, 2)
    CallSignature(switches=(('train', True),), hparams=(('beta', 1.0),), key=None)
    """
    parameters = parameters_of(function)
    if parameters is None:
        return CallSignature((), (), None)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    variadic = any(p.kind == p.VAR_POSITIONAL for p in parameters)
    if len(positional) < n_positional and not variadic:
        wanted = "(inputs)" if n_positional == 1 else "(params, inputs)"
        raise ValueError(
            f"the network's call takes too few arguments ({len(positional)}); let it begin with "
            f"{wanted}"
        )
    if n_positional == 2 and len(positional) > 2 and positional[1].name in (*_KEYS, "state"):
        raise ValueError(
            f"the network's call takes {positional[1].name!r} before its inputs; wrap it in a "
            "function that begins with (params, inputs)"
        )
    first = {p.name for p in positional[:n_positional]}
    switches, hparams, key = [], [], None
    for p in parameters:
        if p.name in first or p.kind in _VARIADIC:
            continue
        if p.name in SWITCHES:
            switches.append((p.name, SWITCHES[p.name]))
        elif p.name in _KEYS and n_positional == 2:
            key = p.name
        elif isinstance(p.default, float):
            hparams.append((p.name, p.default))
        elif p.default is p.empty:
            known = ", ".join(SWITCHES)
            raise ValueError(
                f"the network's call needs the argument {p.name!r}, which dynfrac does not know; "
                f"give it a default (a float makes it a hyperparameter), or use one of {known}"
            )
    return CallSignature(tuple(switches), tuple(hparams), key)
