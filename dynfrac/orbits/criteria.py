"""The outcome rules about whole curves: their mean, or that of their tail, against their start.

In the formulas L_t is the t-th recorded value of what a rule watches, t = 0 .. n - 1.
"""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.orbits.records import AbstractRule, Ends
from dynfrac.orbits.wording import refuse_unless, watch_a_loss, watched_words, write_name

CEILING = 1e6
"""A normalised loss above this is cut to it; a loss that is not finite counts as much."""

TAIL = 20
"""How many of the last losses the published rule averages."""


@final
class PublishedRule(AbstractRule):
    """Converged if the last losses lie below the first one on average.

    A loss that is not finite counts as 1e6. Losses are divided by the first one and clipped at 1e6;
    call them v_t. The run converged iff the mean of the last `tail` of them is below 1. The measure
    is -sum(v_t) for converged runs and +sum(1 / v_t) for all others. A run is over the limit where
    v_t would exceed 1e6.

    References
    ----------
    `sohldickstein2024` in docs/references.bib.
    """

    tail: int = struct.field(pytree_node=False, default=TAIL)
    watch: str = struct.field(pytree_node=False, default="loss")

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        refuse_unless(self.tail >= 1, self, "a TAIL of at least 1")
        watch_a_loss(self)

    @property
    def name(self) -> str:
        """``"published"``, with the tail if it is not 20."""
        return write_name("published", None if self.tail == TAIL else self.tail, self.watch)

    @property
    def description(self) -> str:
        """The tail against the first."""
        one, many = watched_words(self)
        return f"the mean of the last {self.tail} {many} is below the first {one}"

    @property
    def ends(self) -> Ends:
        """Both halves count time."""
        return Ends("diverged late", "early", "fast", "slowly")

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether loss / first is above 1e6."""
        return loss / first > CEILING

    def start(self, n: int) -> Any:
        """Return the sums of v, of 1 / v and of the tail."""
        return {"v": jnp.zeros(n), "inverse": jnp.zeros(n), "tail": jnp.zeros(n)}

    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Add one normalised, clipped loss."""
        v = _clipped(_finite_or_ceiling(loss) / _finite_or_ceiling(first))
        return {
            "v": sums["v"] + v,
            "inverse": sums["inverse"] + 1 / v,
            "tail": sums["tail"] + jnp.where(jnp.asarray(n_steps) - t <= self.tail, v, 0.0),
        }

    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Compare the mean of the tail with 1."""
        converged = sums["tail"] / jnp.minimum(n_steps, self.tail) < 1
        return converged, jnp.where(converged, -sums["v"], sums["inverse"])


@final
class CurveMeanRule(AbstractRule):
    """Converged if the mean of all losses lies below the first one.

    A loss that is not finite counts as 1e6. Losses are divided by the first one + 1e-6 and clipped
    at 1e6; the run converged iff the mean of all of them is below 1. The measure is that mean - 1.
    A run is over the limit where a normalised loss would exceed 1e6.

    Notes
    -----
    The 1e-6 favours convergence a little: a run whose loss never moves converges, with a measure of
    about -1e-6 / L_0. It is not added to a first loss that is not finite, so that a run of which no
    loss is finite has measure 0 and does not converge.

    In the repository of the source, where losses that are not finite are replaced by a product with
    zero, they stay not-a-number and so does the measure; here they count as the 1e6 that is meant.

    References
    ----------
    `kyhdc` in docs/references.bib, with one recorded loss for each epoch.
    """

    watch: str = struct.field(pytree_node=False, default="loss")

    def __post_init__(self) -> None:
        """Refuse to average accuracies."""
        watch_a_loss(self)

    @property
    def name(self) -> str:
        """``"curve-mean"``."""
        return write_name("curve-mean", None, self.watch)

    @property
    def description(self) -> str:
        """The whole curve against the first."""
        one, many = watched_words(self)
        return f"the mean of all {many} is below the first {one}"

    @property
    def ends(self) -> Ends:
        """How far the curve lies above or below its first value, on average."""
        return Ends("diverged early", "late", "slowly", "fast")

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether the normalised loss is above 1e6."""
        return loss / self._unit(first) > CEILING

    def start(self, n: int) -> Any:
        """Return the sum of the normalised losses."""
        return jnp.zeros(n)

    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Add one normalised, clipped loss."""
        return sums + _clipped(_finite_or_ceiling(loss) / self._unit(first))

    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Compare the mean with 1."""
        # Subtracted before the division, so that rounding cannot change the sign.
        return sums < n_steps, (sums - n_steps) / n_steps

    def _unit(self, first: jax.Array) -> jax.Array:
        return jnp.where(jnp.isfinite(first), first + 1e-6, CEILING)


def _finite_or_ceiling(loss: jax.Array) -> jax.Array:
    return jnp.where(jnp.isfinite(loss), loss, CEILING)


def _clipped(v: jax.Array) -> jax.Array:
    return jnp.where(v > CEILING, CEILING, v)
