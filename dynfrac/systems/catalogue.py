"""The catalogue: names of maps and architectures, and what stands behind them.

A name is either in a table, of the form ``resnet20`` or ``plain20`` (any 6n + 2), or the import
path ``package.module:factory`` of a user's own map or network.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import Any, final

import jax
import numpy as np

from dynfrac.systems.abstract import AbstractMap, unknown_name
from dynfrac.systems.adaptation import is_network, takes_rngs
from dynfrac.systems.architectures import (
    ARCHITECTURES,
    FAMILIES,
    FORM,
    Architecture,
    architecture_names,
    find_architecture,
)
from dynfrac.systems.bakers import (
    Baker,
    GeneralizedBaker,
    Horseshoe,
    KaplanYorkeMap,
    SkinnyBaker,
    Solenoid,
)
from dynfrac.systems.basins import CantorCurve, GrebogiOttYorke, Pendulum
from dynfrac.systems.chaotic_maps import (
    Cat,
    CoupledLogistic,
    Diagonal,
    Henon,
    Ikeda,
    Lozi,
    StandardMap,
    Towel,
)
from dynfrac.systems.complex_maps import Magnet, Newton, Quadratic
from dynfrac.systems.datasets import load_data
from dynfrac.systems.descents import CubicDescent, QuadraticDescent, RippleDescent
from dynfrac.systems.factories import (
    Factory,
    call_imported,
    check_arguments,
    factory_arguments,
    takes_any_argument,
)
from dynfrac.systems.importing import import_callable, is_import_path, with_article
from dynfrac.systems.interval_maps import (
    Beta,
    Gauss,
    Logistic,
    MarkusLyapunov,
    SkewTent,
    Tent,
    TwoScaleTent,
)
from dynfrac.systems.optimizers import MEANINGS
from dynfrac.systems.published import published_map
from dynfrac.systems.quadratic_nulls import group_descent
from dynfrac.systems.recipes import TRAINING_ARGUMENTS, choose_sizes, training_map
from dynfrac.systems.training import TrainingMap


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
    "markus-lyapunov": (MarkusLyapunov, "logistic map whose r is a or b, as a word spells it"),
    "tent": (Tent, "x' = slope min(x, 1 - x); a repeller beyond slope 2"),
    "skew-tent": (SkewTent, "a tent with its peak anywhere"),
    "beta": (Beta, "x' = b x mod 1"),
    "gauss": (Gauss, "x' = 1 / x mod 1"),
    "two-scale-tent": (TwoScaleTent, "open tent, a repeller of two scales"),
    "henon": (Henon, "x' = 1 - a x^2 + y, y' = b x"),
    "lozi": (Lozi, "x' = 1 - a abs(x) + y, y' = b x"),
    "ikeda": (Ikeda, "z' = a + b z exp(i (kappa - alpha / (1 + abs(z)^2)))"),
    "standard": (StandardMap, "p' = p + k sin(theta), theta' = theta + p', mod 2 pi"),
    "cat": (Cat, "x' = 2 x + y, y' = x + y, mod 1"),
    "linear": (Diagonal, "x' = a x, y' = b y"),
    "coupled-logistic": (CoupledLogistic, "two logistic maps; converged once they are one"),
    "towel": (Towel, "Roessler's folded towel, three dimensions"),
    "baker": (Baker, "folded baker's map, cut at split"),
    "generalized-baker": (GeneralizedBaker, "baker's map of two contractions, a multifractal"),
    "skinny-baker": (SkinnyBaker, "baker's map onto a line times a Cantor set"),
    "kaplan-yorke": (KaplanYorkeMap, "x' = 2 x mod 1, y' = contraction y + cos(4 pi x)"),
    "solenoid": (Solenoid, "an angle that doubles and a disc that shrinks"),
    "horseshoe": (Horseshoe, "open map of the square, a Cantor set times another"),
    "quadratic": (Quadratic, "z' = z^2 + c in the complex plane"),
    "newton": (Newton, "Newton's method for z^degree = 1"),
    "magnet": (Magnet, "z' = ((z^2 + q - 1) / (2 z + q - 2))^2, a magnet of type I"),
    "grebogi-ott-yorke": (GrebogiOttYorke, "an angle with two attractors, basins of border 1.8"),
    "pendulum": (Pendulum, "friction and a periodic push, seen once in each period"),
    "cantor-curve": (CantorCurve, "a Cantor set times a curve, a border of known dimension"),
    "gd-quadratic": (_quadratic_descent, "gradient descent or heavy ball on a quadratic"),
    "gd-cubic": (CubicDescent, "gradient descent on the double well (w^2 - 1)^2 / 4"),
    "gd-two-rates": (group_descent, "gradient descent on a quadratic, two rates, a smooth border"),
    "gd-ripple": (RippleDescent, "gradient descent on x^2 (1 + eps cos(2 pi x / lam))"),
}

# The one architecture that is made as a whole: its data are part of what was published.
_PUBLISHED = "mlp"
_PUBLISHED_TEXT = "the published mean-field network on its random data"

HYPERPARAMETERS: Mapping[str, str] = {
    "lr": "learning rate of every layer",
    "lr_in": "learning rate of the first layer; nan means lr",
    "lr_out": "learning rate of the last layer; nan means lr",
    "weight_offset": "added once to every parameter, at initialisation",
    "input_offset_per_step": "added to the first layer at every step, before the loss is taken",
    "init_scale": "factor on every initial parameter",
    "seed": "of the initial weights; where it is an axis, or the argument seed is none",
    "label_noise": "share of the training examples that have another's target; where it is an axis",
    "batch_size": "examples of each minibatch that count; with the argument largest_batch",
    **MEANINGS,
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

    Returns
    -------
    AbstractMap

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
        made = call_imported(name, import_callable(name, "map"), arguments)
        if isinstance(made, AbstractMap):
            return made
        remedy = "return an object of a class derived from dynfrac.AbstractMap"
        if is_network(made):
            remedy = "a network is asked for with --arch, or made a map by dynfrac.training_map"
        kind = with_article(type(made).__name__)
        raise ValueError(f"{name} returned {kind}, not a map; {remedy}")
    if name == _PUBLISHED or find_architecture(name):
        raise ValueError(f"{name!r} is an architecture, not a map; ask for it as one (--arch)")
    if name not in _MAPS:
        raise unknown_name("map", name, _MAPS)
    factory = _MAPS[name][0]
    return factory(**check_arguments(name, factory, arguments))


def make_architecture(name: str, **arguments: Any) -> AbstractMap:
    """Return the training map of a network by name, or of a user's own by import path.

    Parameters
    ----------
    name : str
        A name of `list_architectures`, a residual or plain network of 6n + 2 layers such as
        ``"resnet20"`` or ``"plain8"``, or ``package.module:factory``. The factory returns a map,
        or a network as `training_map` takes it; a class of nnx modules that takes ``rngs`` is a
        factory, too.
    **arguments
        Of the factory, and of `training_map`: data, optimizer, batch, loss, default learning rate,
        seed. Of residual and plain networks `batch` without `n_data` is the number of examples,
        and all of them are used at every step.

    Returns
    -------
    AbstractMap
        A `TrainingMap` for every built-in name.

    Raises
    ------
    ValueError
        If the name or an argument is unknown, the factory refuses a value, or the network does not
        fit the data.

    Examples
    --------
    >>> map_ = make_architecture("mnist-mlp", n_data=64, optimizer="momentum")
    >>> map_.defaults["momentum"]
    0.9
    """
    if is_import_path(name):
        return _make_own(name, arguments)
    if name in _MAPS:
        raise ValueError(f"{name!r} is a map, not an architecture; ask for it as one (--map)")
    if name == _PUBLISHED:
        return published_map(**check_arguments(name, published_map, arguments))
    architecture = find_architecture(name)
    if architecture is None:
        raise unknown_name("architecture", name, [_PUBLISHED, *architecture_names()])
    return _make_built_in(name, architecture, arguments)


def _make_built_in(
    name: str, architecture: Architecture, arguments: Mapping[str, Any]
) -> AbstractMap:
    """Load the data, build the network for them, and make a map of both."""
    given = {key: value for key, value in arguments.items() if key in TRAINING_ARGUMENTS}
    own = {key: value for key, value in arguments.items() if key not in given}
    own = check_arguments(name, architecture.build, own, TRAINING_ARGUMENTS)
    given = check_arguments(name, training_map, given)
    if architecture.few and given.get("n_data") is None and given.get("largest_batch") is None:
        batch = given.pop("batch", None)
        given["n_data"] = architecture.few if batch is None else batch
    given = {**architecture.training, **given}
    source = given.pop("data", TRAINING_ARGUMENTS["data"])
    sizes = {key: given.pop(key, None) for key in ("n_data", "n_test", "image_size")}
    if isinstance(source, str):
        if source not in ("mini", "mnist") and "image_size" not in arguments:
            sizes["image_size"] = None
        numbers = choose_sizes(source, sizes["n_data"], sizes["n_test"])
        sizes |= zip(("n_data", "n_test"), numbers, strict=True)
        source = load_data(source, **sizes, flat=bool(given.get("flat")))
    built = architecture.build(source, **own)
    network, source = built if isinstance(built, tuple) else (built, source)
    groups = given.pop("groups", None) or architecture.groups
    return training_map(network, source, groups=groups, settings=architecture.settings, **given)


def _make_own(path: str, arguments: Mapping[str, Any]) -> AbstractMap:
    """Make a map of what a user's factory returns, a map or a network."""
    factory = import_callable(path, "map or network")
    named = factory_arguments(factory)
    own = {
        key: value
        for key, value in arguments.items()
        if key in named or key not in TRAINING_ARGUMENTS
    }
    training = {key: value for key, value in arguments.items() if key not in own}
    if takes_rngs(factory):
        network: Any = functools.partial(factory, **own) if own else factory
        unknown = [key for key in own if key not in named and not takes_any_argument(factory)]
        if unknown:
            raise unknown_name(
                f"argument of {path}:", unknown[0], {*named, *TRAINING_ARGUMENTS} - {"rngs"}
            )
    else:
        network = call_imported(path, factory, own, TRAINING_ARGUMENTS)
    if isinstance(network, AbstractMap):
        if training:
            raise ValueError(
                f"{path} returns a map, which takes no {next(iter(training))}; leave it out"
            )
        return network
    if not is_network(network):
        raise ValueError(
            f"{path} returned {with_article(type(network).__name__)}, neither a map nor a network; "
            "return a flax module, a pair (params, apply), or an object of a class derived from "
            "dynfrac.AbstractMap"
        )
    return training_map(network, **check_arguments(path, training_map, training))


def describe_own(path: str, **arguments: Any) -> Entry:
    """Describe a user's own map or network.

    Parameters
    ----------
    path : str
        ``package.module:factory``.
    **arguments
        As of `make_architecture`.

    Raises
    ------
    ValueError
        If it cannot be made.
    """
    factory = import_callable(path, "map or network")
    made = make_architecture(path, **arguments)
    told = " ".join((inspect.getdoc(factory) or "").split("\n\n")[0].split())
    # A dataclass without a docstring, such as a linen module, is given its signature as one.
    text = "" if told.startswith(f"{getattr(factory, '__name__', '')}(") else told.rstrip(".")
    if isinstance(made, TrainingMap) and made.variables is not None:
        sizes = [np.size(leaf) for leaf in jax.tree.leaves(made.variables["params"])]
        shape = " x ".join(map(str, np.shape(made.data.inputs)))
        size = f"{sum(sizes)} parameters, trained on inputs of {shape}"
        text = f"{text}; {size}" if text else size
    hidden = {"rngs", "parent", "name"} if isinstance(factory, type) else {"rngs"}
    named = {k: v for k, v in factory_arguments(factory).items() if k not in hidden}
    return Entry(path, text or with_article(type(made).__name__), made.defaults, named)


@functools.cache
def list_maps() -> tuple[Entry, ...]:
    """Describe the toy maps."""
    return tuple(
        Entry(name, text, make_map(name).defaults, factory_arguments(factory))
        for name, (factory, text) in _MAPS.items()
    )


def name_architectures() -> dict[str, str]:
    """Return names that can be asked for and their descriptions; of families, a small member.

    Nothing is built, unlike for `list_architectures`.
    """
    found = {_PUBLISHED: _PUBLISHED_TEXT}
    found |= {name: architecture.description for name, architecture in ARCHITECTURES.items()}
    found |= {f"{family}8": description for family, (_, description) in FAMILIES.items()}
    return found


@functools.cache
def list_architectures() -> tuple[Entry, ...]:
    """Describe the architectures; the families of networks have one entry each."""
    published = published_map(width=1, n_data=1)
    entries = [
        Entry(_PUBLISHED, _PUBLISHED_TEXT, published.defaults, factory_arguments(published_map))
    ]
    for name, architecture in ARCHITECTURES.items():
        entries.append(_entry(name, name, architecture, n_data=2, n_test=1))
    smallest = {"width": 1 / 16, "image_size": 5, "n_data": 1, "n_test": 1}
    for family in FAMILIES:
        member = find_architecture(f"{family}8")
        assert member is not None
        entries.append(_entry(family + FORM, f"{family}8", member, **smallest))
    return tuple(entries)


def _entry(name: str, member: str, architecture: Architecture, **smallest: Any) -> Entry:
    """Describe an architecture by its smallest map, of which no weight is drawn."""
    made = make_architecture(member, **smallest, seed=None)
    hparams = {key: value for key, value in made.defaults.items() if key != "seed"}
    arguments = {**factory_arguments(architecture.build), **architecture.training}
    return Entry(name, architecture.description, hparams, arguments)
