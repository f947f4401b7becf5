"""Options that say what is run, shared by all commands that run a map or a training."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import click

from dynfrac.cli.output import progress_reporter
from dynfrac.cli.pairs import parse_pairs
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.catalogue import make_architecture, make_map
from dynfrac.systems.factories import factory_arguments
from dynfrac.systems.importing import import_callable
from dynfrac.systems.mnist import load_mnist

ON_DEMAND = ("seed", "batch_size", "label_noise")
"""What is a hyperparameter of a training only if it is asked for."""

_SHORTHANDS = ("data", "optimizer", "loss", "batch")
"""Arguments of a training that have an option of their own."""


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--arch --map --arg --data --optimizer --loss --batch``.

    They arrive as `arch`, `map_name`, `arguments`, `data`, `optimizer`, `loss`, `batch`.
    """
    options = (
        click.option("--arch", metavar="NAME", help="A network to train, or package.module:name."),
        click.option("--map", "map_name", metavar="NAME", help="A map, or package.module:name."),
        click.option(
            "--arg",
            "arguments",
            metavar="NAME=VALUE",
            multiple=True,
            help="An argument of the network or map, such as width=32; repeatable.",
        ),
        click.option(
            "--data", metavar="NAME", help="What is trained on: a name, or a file FILE.npz."
        ),
        click.option(
            "--optimizer",
            metavar="NAME",
            help="Parts joined by +, as in clip+adam+warmup, or package.module:name.",
        ),
        click.option("--loss", metavar="NAME", help="cross-entropy, mse, or package.module:name."),
        click.option("--batch", type=click.IntRange(min=1), help="Examples a step."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def training_arguments(arguments: tuple[str, ...], shorthands: Mapping[str, Any]) -> dict[str, Any]:
    """Join the values of ``--arg`` and of the options that stand for one of them.

    Raises
    ------
    ValueError
        If something is given in both ways.
    """
    given = parse_pairs("--arg", arguments)
    for name in _SHORTHANDS:
        if shorthands.get(name) is None:
            continue
        if name in given:
            raise ValueError(f"--{name} and --arg {name} are both given; drop one of them")
        given[name] = shorthands[name]
    fetch_data(given)
    return given


def fetch_data(arguments: Mapping[str, Any]) -> None:
    """Download data that a training with these arguments asks for and is not there yet."""
    if arguments.get("data") == "mnist":
        for split in ("train", "test"):
            _fetch_mnist(split)


def make_source(
    arch: str | None,
    map_name: str | None,
    arguments: dict[str, Any],
    *,
    wanted: Mapping[str, float] = {},
    steps: int | None = None,
    epochs: int | None = None,
) -> tuple[AbstractMap, dict[str, Any]]:
    """Make the map that the options name.

    Parameters
    ----------
    arch, map_name : str or None
        Exactly one of them.
    arguments : dict
        From `training_arguments`.
    wanted : mapping of str to float
        Hyperparameters that are axes or are set, with the largest value of each: of a training,
        `ON_DEMAND` are hyperparameters only on demand.
    steps, epochs : int, optional
        Length of the run. That of a minibatch stream is part of its recipe.

    Returns
    -------
    map_ : AbstractMap
    identity : dict
        What it was made from.

    Raises
    ------
    click.UsageError
        If an option needs another one.
    ValueError
        Whatever making the map raises.
    """
    if (arch is None) == (map_name is None):
        raise click.UsageError("give one of --map NAME and --arch NAME")
    if map_name is not None:
        for name in _SHORTHANDS:
            if name in arguments and ":" not in map_name:
                raise click.UsageError(f"--{name} needs --arch: a map has no {name}")
        return make_map(map_name, **arguments), {"map": map_name, "arguments": arguments}
    assert arch is not None
    needed = set(wanted) & set(ON_DEMAND)
    if ":" in arch:
        # What a user's own factory takes, and the hyperparameters of its map, are its affair.
        own = factory_arguments(import_callable(arch))
        if not {"batch", "largest_batch", "optimizer"} & set(own):
            arguments = with_stream_length(arguments, steps, epochs)
        if needed and needed <= set(make_architecture(arch, **arguments).defaults):
            needed = set()
    if needed:
        arguments = {**arguments, **on_demand(arguments, wanted)}
    if ":" not in arch or needed:
        arguments = with_stream_length(arguments, steps, epochs)
    made = make_architecture(arch, **arguments)
    check_demand(made, wanted)
    return made, {"architecture": arch, "arguments": arguments}


def check_demand(map_: AbstractMap, wanted: Mapping[str, float]) -> None:
    """Say why a map has no seed or batch size to vary, if one of them is wanted."""
    remedies = {
        "seed": "leave out --seed",
        "batch_size": "leave out --batch (--arg largest_batch=N says how many are drawn)",
        "label_noise": "leave out --arg label_noise",
    }
    for name in {*wanted} & {*remedies} - {*map_.defaults}:
        raise click.UsageError(f"{name} is to vary, so {remedies[name]}")


def _fetch_mnist(split: str) -> None:
    """Download what is missing of MNIST, with a progress bar, before a map asks for it."""
    with contextlib.ExitStack() as stack:
        # No bar is drawn unless something is downloaded.
        load_mnist(1, split=split, on_progress=progress_reporter(stack, f"MNIST {split}"))


def on_demand(arguments: Collection[str], wanted: Mapping[str, float]) -> dict[str, Any]:
    """Return the arguments that make hyperparameters of what is wanted of `ON_DEMAND`."""
    extra: dict[str, Any] = {}
    if "seed" in wanted and "seed" not in arguments:
        extra["seed"] = None
    if "label_noise" in wanted and "label_noise" not in arguments:
        extra["label_noise"] = True
    if "batch_size" in wanted and not {"batch", "largest_batch"} & set(arguments):
        extra["largest_batch"] = math.ceil(wanted["batch_size"])
    return extra


def with_stream_length(
    arguments: dict[str, Any], steps: int | None, epochs: int | None
) -> dict[str, Any]:
    """Make minibatch stream and schedule, if there are any, as long as the run."""
    if not {"batch", "largest_batch", "optimizer"} & set(arguments):
        return arguments
    if epochs is not None:
        return {"n_epochs": epochs, **arguments}
    return {"n_steps": steps, **arguments} if steps is not None else arguments
