"""Presets: conditions that have a name, so that two people sweep exactly the same thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from dynfrac.orbits.axes import Axis
from dynfrac.systems.abstract import AbstractMap, unknown_name
from dynfrac.systems.catalogue import make_architecture

_BOTH_RATES = (Axis("lr_in", 1e-3, 1e6), Axis("lr_out", 1e-3, 1e6))
_OFFSET_AND_RATE = (Axis("input_offset_per_step", 1e-3, 1e6), Axis("lr", 1e-3, 1e6))


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a preset is made from; `make_preset` builds it.

    Attributes
    ----------
    description : str
        One line for listings.
    architecture : str
        Name of the architecture in the catalogue.
    arguments : mapping
        Arguments of its factory.
    axes : tuple of Axis
        x first, then y.
    n_steps : int
        Recorded losses unless asked otherwise.
    rule : str
        Outcome rule.
    """

    description: str
    architecture: str
    arguments: Mapping[str, Any]
    axes: tuple[Axis, ...]
    n_steps: int = 500
    rule: str = "published"


@dataclasses.dataclass(frozen=True)
class Preset:
    """A map with the window, number of steps and rule under which it is swept.

    Attributes
    ----------
    name : str
        The key in `PRESETS`.
    description : str
        One line for listings.
    map_ : AbstractMap
    axes : tuple of Axis
        x first, then y.
    n_steps : int
    rule : str
    identity : dict
        JSON-ready: the architecture and its arguments, all that is needed to build `map_` again.
    """

    name: str
    description: str
    map_: AbstractMap
    axes: tuple[Axis, ...]
    n_steps: int
    rule: str
    identity: dict[str, Any]


def _published(description: str, axes: tuple[Axis, ...] = _BOTH_RATES, **arguments: Any) -> Recipe:
    return Recipe(description, "mlp", {"width": 16, **arguments}, axes)


PRESETS: Mapping[str, Recipe] = MappingProxyType(
    {
        "published-tanh": _published("published condition: tanh, full batch"),
        "published-relu": _published("published condition: ReLU, full batch", nonlinearity="relu"),
        "published-identity": _published(
            "published condition: deep linear network, 16 data points", nonlinearity="identity"
        ),
        "published-minibatch": _published("published condition: tanh, minibatches of 16", batch=16),
        "published-single": _published("published condition: tanh, one data point", n_data=1),
        "published-offset": _published(
            "published condition: tanh, offset of the first layer at every step x learning rate",
            _OFFSET_AND_RATE,
        ),
        "mnist-mlp": Recipe(
            "two-layer tanh network tells odd from even MNIST digits, 256 images pooled to 8 x 8",
            "mnist-mlp",
            {"task": "parity", "width": 8},
            (Axis("lr_in", 1.0, 1e4), Axis("lr_out", 2.0, 200.0)),
            n_steps=100,
        ),
    }
)


def make_preset(name: str, *, steps: int | None = None, seed: int | None = None) -> Preset:
    """Build a preset by name.

    Parameters
    ----------
    name : str
        A key of `PRESETS`.
    steps : int, optional
        Number of steps in place of the preset's own; the minibatch stream is as long.
    seed : int, optional
        Seed of weights and data in place of the published 0.

    Returns
    -------
    Preset

    Raises
    ------
    ValueError
        If the name is unknown or `steps` is not positive.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    recipe = PRESETS[name]
    n_steps = recipe.n_steps if steps is None else steps
    if n_steps < 1:
        raise ValueError(f"steps={n_steps} must be at least 1")
    arguments = dict(recipe.arguments)
    if seed is not None:
        arguments["seed"] = seed
    if "batch" in arguments:
        arguments["n_steps"] = n_steps
    return Preset(
        name=name,
        description=recipe.description,
        map_=make_architecture(recipe.architecture, **arguments),
        axes=recipe.axes,
        n_steps=n_steps,
        rule=recipe.rule,
        identity={"architecture": recipe.architecture, "arguments": arguments},
    )
