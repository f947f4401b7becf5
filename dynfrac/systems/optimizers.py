"""Optimizers as optax transformations whose numbers are hyperparameters of the map.

A text such as ``"clip+adam+warmup+cosine"`` names a chain that turns the gradient into a
*direction*; the training map multiplies it by the learning rate of each layer group and subtracts
it. Learning rates stay outside, where they can differ between layers and be axes of a sweep.

An import path such as ``"optax:adamw"`` names a factory of any optax transformation. Its keyword
arguments with a float default are the hyperparameters; if one is the learning rate, what the
factory makes contains it and its update is *added*.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from dynfrac.systems.abstract import Hparams, unknown_name
from dynfrac.systems.chains import MEANINGS, PARTS, Chain, keep_types
from dynfrac.systems.importing import (
    LOOKED_AT_A_VALUE,
    import_callable,
    in_words,
    is_import_path,
    with_article,
)
from dynfrac.systems.nodes import Node
from dynfrac.systems.numerics import precision

__all__ = ["MEANINGS", "OPTIMIZERS", "Optimizer", "make_optimizer"]

OPTIMIZERS: Mapping[str, str] = {name: part.description for name, part in PARTS.items()}
"""The parts of a chain with one line each; every one is an optimizer by itself, too."""

_RATES = ("lr", "learning_rate")


@final
class Optimizer(Node):
    """A named update rule with its hyperparameters.

    Attributes
    ----------
    name : str
    transform : callable
        ``transform(hparams) -> optax.GradientTransformation``. It is part of the key of the
        compilation cache: something that is hashable and compares by value, such as a function of
        a module, not a lambda.
    parameters : tuple of (str, float)
        Hyperparameters it reads, with their defaults.
    includes_rate : bool, default False
        False: the transformation gives a direction, which the training map multiplies by the
        learning rates and subtracts. True: it reads ``hparams["lr"]``, too, and gives the update
        that is to be added (`optax.apply_updates`).
    rate : float, optional
        Learning rate to use when none is asked for, if the optimizer has a preference.
    """

    name: str = struct.field(pytree_node=False)
    transform: Callable[[Hparams], optax.GradientTransformation] = struct.field(pytree_node=False)
    parameters: tuple[tuple[str, float], ...] = struct.field(pytree_node=False, default=())
    includes_rate: bool = struct.field(pytree_node=False, default=False)
    rate: float | None = struct.field(pytree_node=False, default=None)


def make_optimizer(text: str) -> Optimizer:
    """Return the optimizer that a text names: a chain of parts, or an import path.

    Parameters
    ----------
    text : str
        Parts of `OPTIMIZERS` joined by ``+``, such as ``"adam"`` or ``"clip+adam+warmup+cosine"``;
        the gradient passes them from left to right, as in `optax.chain`. Or
        ``package.module:factory``, see the notes.

    Returns
    -------
    Optimizer
        Two calls with the same text return equal optimizers, which share compiled functions.

    Raises
    ------
    ValueError
        If a part is unknown (the message suggests the nearest), given twice, or a second rule; if
        a factory cannot be imported, raises, or makes something that cannot be part of a map.

    Notes
    -----
    *Chains.* There is at most one rule (``sgd``, ``momentum``, ``adam``, ...); without one the
    gradient itself is the direction. Modifiers and schedules act where they stand: ``decay+adam``
    is L2 regularisation and ``adam+decay`` decoupled weight decay (as in ``adamw``); a schedule
    before the rule scales the gradient, which adam all but undoes, and does not scale a decay that
    comes after it. Several schedules multiply, each counting from the start of the run. A
    hyperparameter that several parts read (`weight_decay`, `schedule_steps`) is one number, with
    the default of the rule if the rule is one of them. What each means is in `MEANINGS`.

    Directions equal those of the optax transformations with the same numbers bit for bit. Unlike
    those, they have finite tangents where a gradient is exactly zero. Step counters are integer
    leaves, so they are clock and not part of the phase space; bias corrections and schedules make
    the map non-autonomous.

    *Import paths.* The factory's keyword arguments with a float default are the hyperparameters;
    those with another default keep it. An argument `lr` or `learning_rate`, with or without a
    default, is the map's hyperparameter `lr` (0.1 unless the factory or the map says otherwise),
    and the transformation then has to descend by itself, as every optimizer of optax does. The
    factory is called with traced values: it may compute with them but not branch on them. A
    factory that can be called without arguments may also return an `Optimizer`. All this is tried
    out at once, on a few weights. Tangents are as the author of the transformation left them;
    those of ``optax:adam`` are not-a-number where a gradient is always zero, unless `eps_root` > 0.

    Examples
    --------
    >>> make_optimizer("momentum+decay").parameters
    (('momentum', 0.9), ('weight_decay', 0.0001))
    >>> [name for name, default in make_optimizer("optax:lion").parameters]
    ['b1', 'b2', 'weight_decay']
    """
    if not isinstance(text, str):
        raise ValueError(f"optimizer={text!r} is not a text; name parts such as 'clip+adam'")
    if is_import_path(text):
        return _imported(text)
    names = tuple(name.strip() for name in text.split("+"))
    for name in names:
        if name not in PARTS:
            raise unknown_name("optimizer", name, PARTS)
        if names.count(name) > 1:
            raise ValueError(f"optimizer={text!r} has the part {name!r} twice; leave one out")
    rules = [name for name in names if PARTS[name].kind == "rule"]
    if len(rules) > 1:
        raise ValueError(
            f"optimizer={text!r} has {len(rules)} rules ({', '.join(rules)}); leave one of them, "
            "the other parts may stay"
        )
    parameters = dict(pair for name in names for pair in PARTS[name].parameters)
    for rule in rules:
        parameters |= dict(PARTS[rule].parameters)
    return Optimizer("+".join(names), Chain(names), tuple(parameters.items()))


@final
@dataclasses.dataclass(frozen=True)
class _Factory:
    """A user's factory with the names of the arguments that are hyperparameters."""

    path: str
    make: Callable[..., Any]
    names: tuple[str, ...]
    rate: str | None

    def __call__(self, hparams: Hparams) -> optax.GradientTransformation:
        arguments = {name: hparams[name] for name in self.names}
        if self.rate is not None:
            arguments[self.rate] = hparams["lr"]
        try:
            made = self.make(**arguments)
        except LOOKED_AT_A_VALUE:
            raise
        except Exception as error:
            raise _Refused(f"{self.path} raised {in_words(error)}") from error
        if not all(callable(getattr(made, method, None)) for method in ("init", "update")):
            raise _Refused(
                f"{self.path} returned {with_article(type(made).__name__)}; return an "
                "optax.GradientTransformation"
            )
        return keep_types(made)


class _Refused(ValueError):
    """A complete sentence about an optimizer that was imported."""


def _imported(path: str) -> Optimizer:
    """Return what a factory makes, after trying it out."""
    if "+" in path:
        raise ValueError(
            f"optimizer={path!r} has an import path among its parts; chain the parts inside the "
            "factory with optax.chain"
        )
    make = import_callable(path, "optimizer")
    try:
        hash(make)
        signature = inspect.signature(make)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a plain function ({in_words(error)}); wrap it in one with named "
            "arguments"
        ) from error
    optimizer = _own_optimizer(path, make, signature) or _described(path, make, signature)
    slope = _tried(path, optimizer)
    if slope > 0 and optimizer.includes_rate:
        raise ValueError(
            f"{path} takes the learning rate but its update goes uphill; end the chain with "
            "optax.scale_by_learning_rate(lr), which turns the sign"
        )
    if slope < 0 and not optimizer.includes_rate:
        raise ValueError(
            f"{path} has no argument lr but its update goes downhill by itself, as if a learning "
            "rate were fixed inside; give the factory an argument lr, or leave the sign to the map"
        )
    return optimizer


def _own_optimizer(
    path: str, make: Callable[..., Any], signature: inspect.Signature
) -> Optimizer | None:
    """Return the `Optimizer` that a factory makes without arguments, if it makes one."""
    try:
        signature.bind()
    except TypeError:
        return None
    with precision():
        try:
            made = make()
        except Exception as error:
            raise ValueError(f"{path} raised {in_words(error)}") from error
    return made if isinstance(made, Optimizer) else None


def _described(path: str, make: Callable[..., Any], signature: inspect.Signature) -> Optimizer:
    """Read from a factory's arguments which of them are hyperparameters."""
    parameters = []
    rates = {}
    for name, argument in signature.parameters.items():
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            continue
        nameable = argument.kind is not argument.POSITIONAL_ONLY
        if nameable and name in _RATES:
            rates[name] = argument.default
        elif argument.default is argument.empty:
            raise ValueError(
                f"{path} needs the argument {name}; write a factory of your own that gives it a "
                "value"
            )
        elif nameable and isinstance(argument.default, float):
            parameters.append((name, float(argument.default)))
    if len(rates) > 1:
        raise ValueError(f"{path} has both arguments lr and learning_rate; leave one")
    rate, preferred = next(iter(rates.items()), (None, None))
    return Optimizer(
        path,
        _Factory(path, make, tuple(name for name, _ in parameters), rate),
        tuple(parameters),
        includes_rate=rate is not None,
        rate=float(preferred) if isinstance(preferred, int | float) else None,
    )


def _tried(path: str, optimizer: Optimizer) -> float:
    """Take steps with traced hyperparameters; return how far they go along the gradient."""

    def trial(hparams: Hparams) -> jax.Array:
        return _trial(path, optimizer, hparams)

    with precision():
        try:
            hash(optimizer.transform)
            jax.eval_shape(trial, _values(optimizer, jnp.float32))
            return float(jax.jit(trial)(_values(optimizer)))
        except _Refused as error:
            raise ValueError(str(error)) from error.__cause__
        except LOOKED_AT_A_VALUE as error:
            raise _looked_at(path, optimizer) from error
        except Exception as error:
            raise ValueError(
                f"{path} makes an optimizer that cannot take a step: it raised {in_words(error)}; "
                "init(params) and update(gradient, state, params) must work on any floating-point "
                "weights"
            ) from error


def _values(optimizer: Optimizer, dtype: Any = jnp.float64) -> dict[str, np.ndarray]:
    """Return the hyperparameters' defaults as arrays, as a map would pass them."""
    rate = 0.1 if optimizer.rate is None else optimizer.rate
    given = {"lr": rate, **dict(optimizer.parameters)}
    return {name: np.asarray(value, dtype) for name, value in given.items()}


def _trial(path: str, optimizer: Optimizer, hparams: Hparams) -> jax.Array:
    """Take three steps from small weights and return how far they go along the gradient."""
    dtype = hparams["lr"].dtype
    # Small weights, so that weight decay does not decide about the sign of the step.
    params = {"b": jnp.full((2,), 1e-3, dtype), "w": jnp.full((3, 2), 1e-3, dtype)}
    gradient = {"b": jnp.asarray([1, -2], dtype), "w": jnp.arange(1, 7, dtype=dtype).reshape(3, 2)}
    state = optimizer.transform(hparams).init(params)
    slope = jnp.zeros(())
    for _ in range(3):
        updates, after = optimizer.transform(hparams).update(gradient, state, params)
        if _types(after) != _types(state):
            raise _Refused(
                f"{path} makes an optimizer whose state changes structure, shapes or types in a "
                "step; return from update a state like that of init"
            )
        if _types(updates)[:2] != _types(params)[:2]:
            raise _Refused(
                f"{path} makes an optimizer whose updates are not shaped like the weights; return "
                "one of the same shape for each"
            )
        along = jax.tree.map(jnp.vdot, updates, gradient)
        slope += sum(jax.tree.leaves(along))
        state = after
    return slope


def _types(tree: Any) -> tuple[Any, list[tuple[int, ...]], list[Any]]:
    leaves = jax.tree.leaves(tree)
    return (
        jax.tree.structure(tree),
        [np.shape(leaf) for leaf in leaves],
        [jnp.result_type(leaf) for leaf in leaves],
    )


def _looked_at(path: str, optimizer: Optimizer) -> ValueError:
    """Build the error for a factory that branches on values: it says on which arguments."""
    values = _values(optimizer)
    culprits = []
    for name in values:
        try:
            jax.eval_shape(
                lambda value, name=name: _trial(path, optimizer, {**values, name: value}),
                values[name],
            )
        except LOOKED_AT_A_VALUE:
            culprits.append(name)
        except Exception:  # one fault at a time
            continue
    what = f"the value of {' and '.join(culprits)}" if culprits else "values of the state"
    return ValueError(
        f"{path} looks at {what}, which differs from run to run and is not known when the step is "
        "compiled; compute with jnp.where instead of if, or wrap the factory in one that fixes "
        "the value"
    )
