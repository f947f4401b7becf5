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
        Steps unless asked otherwise; unused with `n_epochs`.
    rule : str
        Outcome rule.
    n_epochs : int or None
        Epochs unless asked otherwise; one loss is recorded an epoch.
    record : tuple of str
        Metrics that are recorded.
    dtype : str or None
        None: the map's preferred type.
    """

    description: str
    architecture: str
    arguments: Mapping[str, Any]
    axes: tuple[Axis, ...]
    n_steps: int = 500
    rule: str = "published"
    n_epochs: int | None = None
    record: tuple[str, ...] = ()
    dtype: str | None = None


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
    n_steps, every : int
        Steps of a run, and steps per recorded loss.
    rule : str
    record : tuple of str
        Metrics that are recorded.
    dtype : str or None
    identity : dict
        JSON-ready: the architecture and its arguments, all that is needed to build `map_` again.
    """

    name: str
    description: str
    map_: AbstractMap
    axes: tuple[Axis, ...]
    n_steps: int
    every: int
    rule: str
    record: tuple[str, ...]
    dtype: str | None
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
        "kyhdc-resnet20": Recipe(
            "ResNet-20 with projections: offset of all weights x learning rate, a loss an epoch",
            "resnet20",
            {
                "shortcut": "projection",
                "head_bias": False,
                "n_data": 160,
                "n_test": 160,
                "batch": 32,
                "seed": 1,
            },
            (Axis("weight_offset", 1e-4, 1.0), Axis("lr", 1e-4, 1.0)),
            rule="curve-mean",
            n_epochs=100,
            record=("test_loss", "accuracy", "train_accuracy"),
            dtype="float32",
        ),
        "kyhdc-shallow300": Recipe(
            "300 rectifiers: offset of the initial weights x learning rate, a loss an epoch",
            "shallow300",
            {"n_data": 1000, "batch": 100},
            (Axis("weight_offset", 1e-4, 1.0), Axis("lr", 1e-2, 100.0)),
            rule="curve-mean",
            n_epochs=30,
            record=("test_loss", "accuracy", "train_accuracy"),
            dtype="float32",
        ),
    }
)


def make_preset(
    name: str,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    **arguments: Any,
) -> Preset:
    """Build a preset by name.

    Parameters
    ----------
    name : str
        A key of `PRESETS`.
    steps : int, optional
        Number of steps in place of the preset's own; the minibatch stream is as long.
    epochs : int, optional
        Number of epochs, with one recorded loss in each.
    **arguments
        Of the architecture, in place of the preset's own: other data, another optimizer, another
        `seed` (None makes it a hyperparameter).

    Returns
    -------
    Preset

    Raises
    ------
    ValueError
        If the name or an argument is unknown, `steps` or `epochs` is not positive, or both are
        given.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    recipe = PRESETS[name]
    if steps is not None and epochs is not None:
        raise ValueError("steps and epochs exclude each other; give one of them")
    if steps is None and epochs is None:
        epochs = recipe.n_epochs
    for word, value in (("steps", steps), ("epochs", epochs)):
        if value is not None and value < 1:
            raise ValueError(f"{word}={value} must be at least 1")
    n_steps = recipe.n_steps if steps is None else steps
    given = {**recipe.arguments, **arguments}
    if {"batch", "largest_batch", "optimizer"} & set(given):
        given = {**({"n_steps": n_steps} if epochs is None else {"n_epochs": epochs}), **given}
    map_ = make_architecture(recipe.architecture, **given)
    every = 1
    if epochs is not None:
        every = map_.batches.epoch_steps  # type: ignore[attr-defined] # all presets are trainings
        n_steps = epochs * every
    return Preset(
        name=name,
        description=recipe.description,
        map_=map_,
        axes=recipe.axes,
        n_steps=n_steps,
        every=every,
        rule=recipe.rule,
        record=recipe.record,
        dtype=recipe.dtype,
        identity={"architecture": recipe.architecture, "arguments": given},
    )
