"""The catalogue: names of maps and architectures, and what stands behind them.

A name is either in the tables below, of the form ``resnet20`` or ``plain20`` (any 6n + 2), or the
import path ``package.module:factory`` of a user's own.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from dynfrac.systems.abstract import AbstractMap, unknown_name
from dynfrac.systems.classifiers import mlp_classifier, resnet_classifier
from dynfrac.systems.factories import (
    Factory,
    call_factory,
    factory_arguments,
    is_import_path,
    make_imported,
)
from dynfrac.systems.published import published_map
from dynfrac.systems.resnets import nearest_depth
from dynfrac.systems.toys import (
    CubicDescent,
    Henon,
    Logistic,
    Quadratic,
    QuadraticDescent,
    RippleDescent,
)


def _quadratic_descent(
    *, eigenvalues: Any = (1.0, 3.0), heavy_ball: bool = False
) -> QuadraticDescent:
    """Make a `QuadraticDescent` from eigenvalues that may also be text, as in ``"1,3,10"``."""
    listed = eigenvalues.split(",") if isinstance(eigenvalues, str) else np.atleast_1d(eigenvalues)
    try:
        values = tuple(map(float, listed))
    except (TypeError, ValueError):
        values = ()
    if not values:
        raise ValueError(
            f"eigenvalues={eigenvalues!r} are not numbers; give one or more, as in 1,3,10"
        )
    return QuadraticDescent(values, heavy_ball=heavy_ball)


_MAPS: dict[str, tuple[Factory, str]] = {
    "logistic": (Logistic, "x' = r x (1 - x)"),
    "henon": (Henon, "x' = 1 - a x^2 + y, y' = b x"),
    "quadratic": (Quadratic, "z' = z^2 + c in the complex plane"),
    "gd-quadratic": (_quadratic_descent, "gradient descent or heavy ball on a quadratic"),
    "gd-cubic": (CubicDescent, "gradient descent on the double well (w^2 - 1)^2 / 4"),
    "gd-ripple": (RippleDescent, "gradient descent on x^2 (1 + eps cos(2 pi x / lam))"),
}

_ARCHITECTURES: dict[str, tuple[Factory, str]] = {
    "mlp": (published_map, "the published mean-field network on its random data"),
    "mnist-mlp": (mlp_classifier, "a mean-field network on digits pooled to 8 x 8"),
}

# Family -> (default of `skip`, description).
_FAMILIES: dict[str, tuple[float, str]] = {
    "resnet": (1.0, "a residual network of 6n + 2 layers on digits: resnet8, resnet20, ..."),
    "plain": (0.0, "its twin without shortcuts, of the same parameters: plain8, plain20, ..."),
}
_FORM = "{6n+2}"

HYPERPARAMETERS: Mapping[str, str] = {
    "lr": "learning rate of every layer",
    "lr_in": "learning rate of the first layer; nan means lr",
    "lr_out": "learning rate of the last layer; nan means lr",
    "weight_offset": "added once to every parameter, at initialisation",
    "input_offset_per_step": "added to the first layer at every step, before the loss is taken",
    "init_scale": "factor on every initial parameter",
    "momentum": "decay of the buffer of heavy ball and Nesterov momentum",
    "b1": "decay of Adam's mean of gradients",
    "b2": "decay of Adam's mean of squared gradients",
    "skip": "factor on the shortcuts: 1 is the residual network, 0 its plain twin",
}
"""What the hyperparameters of the architectures mean. Those of a toy map are the letters of its
formula, and in its class."""


@final
@dataclasses.dataclass(frozen=True)
class Entry:
    """What a listing says about one name.

    Attributes
    ----------
    name : str
        With ``{6n+2}`` where a family's depth goes.
    description : str
        One line.
    hparams : dict of str to float
        Hyperparameters with the values used when none is given.
    arguments : dict of str to object
        Arguments of the factory with their defaults.
    """

    name: str
    description: str
    hparams: Mapping[str, float]
    arguments: Mapping[str, Any]


def make_map(name: str, **arguments: Any) -> AbstractMap:
    """Return a toy map by name, or a user's own by import path.

    Parameters
    ----------
    name : str
        A name of `list_maps`, or ``package.module:factory``.
    **arguments
        Of the factory.

    Raises
    ------
    ValueError
        If the name or an argument is unknown, or the factory refuses a value.

    Examples
    --------
    >>> make_map("gd-quadratic", eigenvalues=(1.0, 4.0), heavy_ball=True).defaults
    {'lr': 0.1, 'w0': 1.0, 'momentum': 0.5}
    """
    if is_import_path(name):
        return make_imported(name, arguments)
    if name in _ARCHITECTURES or _family(name):
        raise ValueError(f"{name!r} is an architecture, not a map; ask for it as one (--arch)")
    if name not in _MAPS:
        raise unknown_name("map", name, _MAPS)
    return call_factory(name, _MAPS[name][0], arguments)


def make_architecture(name: str, **arguments: Any) -> AbstractMap:
    """Return the training map of a network by name, or a user's own by import path.

    Parameters
    ----------
    name : str
        A name of `list_architectures`, a residual or plain network of 6n + 2 layers such as
        ``"resnet20"`` or ``"plain8"``, or ``package.module:factory``.
    **arguments
        Of the factory: sizes, data, optimizer, default learning rate, seed.

    Returns
    -------
    AbstractMap
        A `TrainingMap` for every built-in name.

    Raises
    ------
    ValueError
        If the name or an argument is unknown, or the factory refuses a value.

    Examples
    --------
    >>> map_ = make_architecture("mnist-mlp", n_data=64, optimizer="momentum")
    >>> map_.defaults["momentum"]
    0.9
    """
    if is_import_path(name):
        return make_imported(name, arguments)
    if name in _MAPS:
        raise ValueError(f"{name!r} is a map, not an architecture; ask for it as one (--map)")
    family = _family(name)
    if family:
        return call_factory(name, _family_factory(name, *family), arguments)
    if name not in _ARCHITECTURES:
        raise unknown_name("architecture", name, _architecture_names())
    return call_factory(name, _ARCHITECTURES[name][0], arguments)


@functools.cache
def list_maps() -> tuple[Entry, ...]:
    """Describe the toy maps."""
    return tuple(
        Entry(name, text, make_map(name).defaults, factory_arguments(factory))
        for name, (factory, text) in _MAPS.items()
    )


@functools.cache
def list_architectures() -> tuple[Entry, ...]:
    """Describe the architectures; the families of networks have one entry each."""
    entries = [
        Entry(name, text, make_architecture(name, n_data=1).defaults, factory_arguments(factory))
        for name, (factory, text) in _ARCHITECTURES.items()
    ]
    smallest = {"width": 1 / 16, "image_size": 5, "n_data": 1}
    for family, (skip, text) in _FAMILIES.items():
        defaults = make_architecture(f"{family}8", **smallest).defaults
        arguments = factory_arguments(functools.partial(resnet_classifier, 8, skip))
        entries.append(Entry(family + _FORM, text, defaults, arguments))
    return tuple(entries)


def _architecture_names() -> list[str]:
    return [*_ARCHITECTURES, *(family + _FORM for family in _FAMILIES)]


def _family(name: str) -> tuple[str, int] | None:
    """Split ``resnet20`` into family and depth; None if the name is of no such form."""
    match = re.fullmatch(rf"({'|'.join(_FAMILIES)})([0-9]{{1,9}})", name)
    return (match[1], int(match[2])) if match else None


def _family_factory(name: str, family: str, depth: int) -> Factory:
    """Return the factory of one member of a family, if there is such a member."""
    nearest = nearest_depth(depth)
    if nearest != depth:
        raise ValueError(
            f"architecture {name!r} does not exist, because depths are 6n + 2; the nearest is "
            f"{family}{nearest}"
        )
    return functools.partial(resnet_classifier, depth, _FAMILIES[family][0])
