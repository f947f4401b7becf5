"""Iterates: several steps of a map taken as one, such as an epoch of training."""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams

_PASSED_ON = (
    "rule",
    "preferred_dtype",
    "dtypes",
    "ranges",
    "drive",
    "slaved",
    "is_doomed",
    "metrics",
    "stability_threshold",
)


@final
class Iterate(AbstractMap):
    """The n-th iterate of a map: `n_steps` of its steps in a row.

    Attributes
    ----------
    map_ : AbstractMap
    n_steps : int
        At least 1.

    Notes
    -----
    Time counts iterates, so step `t` takes the steps n t, ..., n t + n - 1 of the inner map. State,
    hyperparameters, observation and everything optional are those of the inner map.

    Its exponents are n times those of the inner map (per epoch instead of per step). For training
    on minibatches in an order that repeats every epoch, the inner map is driven with the period of
    an epoch and its n-th iterate is autonomous, so it can have fixed points and cycles.
    """

    map_: AbstractMap
    n_steps: int = struct.field(pytree_node=False)

    def __post_init__(self) -> None:
        """Refuse lengths that are none."""
        if isinstance(self.n_steps, bool) or not isinstance(self.n_steps, int) or self.n_steps < 1:
            raise ValueError(f"n_steps={self.n_steps!r} is no number of steps; pass 1 or more")

    def __getattr__(self, name: str) -> Any:
        """Return an optional attribute of the inner map, if it has it."""
        if name in _PASSED_ON:
            return getattr(self.map_, name)
        raise AttributeError(f"Iterate has no attribute {name!r}")

    @property
    def defaults(self) -> dict[str, float]:
        """Those of the inner map."""
        return self.map_.defaults

    def init(self, hparams: Hparams) -> Any:
        """Return the initial state of the inner map."""
        return self.map_.init(hparams)

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Take `n_steps` steps of the inner map."""
        first = self.n_steps * jnp.asarray(t)

        def once(i: Any, state: Any) -> Any:
            return self.map_.step(state, hparams, first + i)

        if getattr(self.map_, "drive", "scan") == "host":
            # Written out: what makes the host step a map is that it is slow inside a loop.
            for i in range(self.n_steps):
                state = once(i, state)
            return state
        return jax.lax.fori_loop(0, self.n_steps, once, state)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return what the inner map observes."""
        return self.map_.observe(state, hparams)

    def exponent_sum(self, hparams: Hparams) -> float | None:
        """Return the sum of all exponents, if the inner map knows its own."""
        known = getattr(self.map_, "exponent_sum", None)
        total = None if known is None else known(hparams)
        return None if total is None else self.n_steps * total


def epoch_map(map_: AbstractMap) -> Iterate:
    """Return the map that takes weights through one epoch.

    Parameters
    ----------
    map_ : TrainingMap or any map with ``batches.epoch_steps``

    Returns
    -------
    Iterate
        Of one step for full batches.

    Raises
    ------
    ValueError
        If the map has no epochs.
    """
    steps = getattr(getattr(map_, "batches", None), "epoch_steps", None)
    if steps is None:
        raise ValueError(
            f"{type(map_).__name__} has no epochs; use Iterate(map_, n) for n steps at a time"
        )
    return Iterate(map_, int(steps))
