"""Optimizers as optax transformations whose numbers are hyperparameters of the map.

A transformation turns the gradient into a *direction*; the training map multiplies it by the
learning rate of each layer group and subtracts it. Learning rates therefore stay outside, where
they can differ between layers and be axes of a sweep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import optax
from flax import struct

from dynfrac.systems.abstract import Hparams, unknown_name


@final
class Optimizer(struct.PyTreeNode):
    """A named direction rule with its hyperparameters.

    Attributes
    ----------
    name : str
    transform : callable
        ``transform(hparams) -> optax.GradientTransformation`` without the learning rate. A
        function of a module, not a lambda: it is part of the key of the compilation cache.
    parameters : tuple of (str, float)
        Hyperparameters it reads, with their defaults.
    """

    name: str = struct.field(pytree_node=False)
    transform: Callable[[Hparams], optax.GradientTransformation] = struct.field(pytree_node=False)
    parameters: tuple[tuple[str, float], ...] = struct.field(pytree_node=False, default=())


def _sgd(hparams: Hparams) -> optax.GradientTransformation:
    return optax.identity()


def _momentum(hparams: Hparams) -> optax.GradientTransformation:
    return optax.trace(decay=hparams["momentum"])


def _nesterov(hparams: Hparams) -> optax.GradientTransformation:
    return optax.trace(decay=hparams["momentum"], nesterov=True)


def _adam(hparams: Hparams) -> optax.GradientTransformation:
    # A weight whose gradient is always zero keeps v = 0, where the square root has no derivative
    # and one such weight makes every tangent not-a-number. The shift is lost in rounding as soon
    # as v is not zero, and small against `eps` where it is.
    return optax.scale_by_adam(b1=hparams["b1"], b2=hparams["b2"], eps_root=1e-36)


_OPTIMIZERS = {
    "sgd": Optimizer("sgd", _sgd),
    "momentum": Optimizer("momentum", _momentum, (("momentum", 0.9),)),
    "nesterov": Optimizer("nesterov", _nesterov, (("momentum", 0.9),)),
    "adam": Optimizer("adam", _adam, (("b1", 0.9), ("b2", 0.999))),
}

OPTIMIZERS = tuple(_OPTIMIZERS)


def make_optimizer(name: str) -> Optimizer:
    """Return a built-in optimizer: ``"sgd"``, ``"momentum"`` (heavy ball), ``"nesterov"``, ``"adam"``.

    Parameters
    ----------
    name : str

    Raises
    ------
    ValueError
        If the name is unknown; the message lists those that exist.

    Notes
    -----
    Heavy ball keeps a buffer b' = g + momentum * b and moves by -lr * b'. Adam's step counter is
    an integer leaf, so it is clock and not part of the phase space; its bias correction makes the
    map non-autonomous.
    """  # noqa: E501
    if name not in _OPTIMIZERS:
        raise unknown_name("optimizer", name, _OPTIMIZERS)
    return _OPTIMIZERS[name]
