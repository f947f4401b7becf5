"""The outcome rules about leaving: whether a run ever passed a limit, and at which step."""

from __future__ import annotations

import math
from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.orbits.records import AbstractRule, Ends
from dynfrac.orbits.wording import (
    refuse_unless,
    watch_a_loss,
    watched_words,
    write_name,
    write_number,
)


@final
class BoundedRule(AbstractRule):
    """Converged means bounded: no loss was over `limit` or not finite.

    The measure counts the losses recorded before the run left: minus all of them if it stayed
    bounded, plus the number of the first loss that is out, counted from 1, if it did not. This is
    the escape-time picture of complex dynamics and the rule of `liu2024` (limit 1e8) in
    docs/references.bib.
    """

    limit: float = struct.field(pytree_node=False, default=1e8)
    watch: str = struct.field(pytree_node=False, default="loss")

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        refuse_unless(self.limit > 0, self, "a LIMIT > 0")
        watch_a_loss(self)

    @property
    def name(self) -> str:
        """``"bounded:LIMIT"``."""
        return write_name("bounded", self.limit, self.watch)

    @property
    def description(self) -> str:
        """The limit."""
        return f"no {watched_words(self)[0]} is above {write_number(self.limit)}"

    @property
    def ends(self) -> Ends:
        """Only the runs that left differ by time."""
        return Ends("escaped late", "early", "", "")

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether the loss itself is above `limit`."""
        return loss > self.limit

    def start(self, n: int) -> Any:
        """Return the losses survived so far, and whether the run is still bounded."""
        return _start_stay(n)

    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Count the loss if the run was bounded until now."""
        return _update_stay(sums, loss, self.limit)

    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Bounded at every recorded loss."""
        return sums["inside"], jnp.where(sums["inside"], -sums["steps"], sums["steps"])


@final
class ParityRule(AbstractRule):
    """Converged means left at an even step: the first loss over `limit` or not finite has even t.

    The labels of open maps, from which almost every run leaves. The set that never leaves is where
    even and odd steps meet at all scales, so that it is the boundary of this labelling; the mere
    question who stays would have no second answer.

    The measure counts the losses up to and with the first that is out: negative if its t is even,
    positive if it is odd. A run that never left has as many as it recorded, positive, and is the
    only one that counts as bounded; if there are many of them, the runs are too short.
    """

    limit: float = struct.field(pytree_node=False)
    watch: str = struct.field(pytree_node=False, default="loss")

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        refuse_unless(0 < self.limit < math.inf, self, "a finite LIMIT > 0")
        watch_a_loss(self)

    @property
    def name(self) -> str:
        """``"parity:LIMIT"``."""
        return write_name("parity", self.limit, self.watch)

    @property
    def description(self) -> str:
        """The limit, and which steps."""
        limit = write_number(self.limit)
        return f"the first {watched_words(self)[0]} above {limit} is that of an even step"

    @property
    def ends(self) -> Ends:
        """Both halves count time."""
        return Ends("left late, odd", "early", "early", "late, even")

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether the loss itself is above `limit`."""
        return loss > self.limit

    def start(self, n: int) -> Any:
        """Return the losses survived so far, and whether the run is still inside."""
        return _start_stay(n)

    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Count the loss if the run was inside until now."""
        return _update_stay(sums, loss, self.limit)

    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Left, at a loss whose number counted from 1 is odd."""
        even = ~sums["inside"] & (sums["steps"] % 2 == 1)
        return even, jnp.where(even, -sums["steps"], sums["steps"])


def _start_stay(n: int) -> dict[str, jax.Array]:
    """Return what the rules about leaving keep: losses until the first that is out, and if none."""
    return {"steps": jnp.zeros(n), "inside": jnp.ones(n, bool)}


def _update_stay(sums: dict[str, jax.Array], loss: jax.Array, limit: float) -> dict[str, jax.Array]:
    stays = jnp.isfinite(loss) & (loss <= limit)
    return {
        "steps": sums["steps"] + jnp.where(sums["inside"], 1.0, 0.0),
        "inside": sums["inside"] & stays,
    }
