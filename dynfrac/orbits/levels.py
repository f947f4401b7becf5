"""The outcome rules about last values: whether a loss or an accuracy reached a level.

In the formulas L_t is the t-th recorded value of what a rule watches, t = 0 .. n - 1.
"""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.orbits.criteria import CEILING, TAIL
from dynfrac.orbits.records import AbstractRule, Ends
from dynfrac.orbits.wording import (
    EXPONENT,
    refuse_unless,
    watch_a_loss,
    watched_words,
    write_name,
    write_number,
)


@final
class ThresholdRule(AbstractRule):
    """Converged if the last loss is at most `limit`.

    The measure of a converged run is -(1 + the number of recorded losses that are above `limit` or
    not finite). That of all others is 1 + sum(c_t), where the closeness c_t is 1 for a loss that is
    at most `limit`, limit / L_t for one above and 0 for one that is not finite. A run is over the
    limit of divergence where a loss exceeds 1e6 times the first one, as in the published rule.

    It can watch the largest Lyapunov exponent too, ``threshold:0@lyapunov``: converged are the runs
    along which a small change has died out. No exponent is over a limit, and a run has none any
    more once it is not finite.
    """

    limit: float = struct.field(pytree_node=False)
    watch: str = struct.field(pytree_node=False, default="loss")

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        of_exponents = self.watch == EXPONENT
        refuse_unless(self.limit > 0 or (of_exponents and self.limit == 0), self, "a LIMIT > 0")
        if not of_exponents:
            watch_a_loss(self)

    @property
    def name(self) -> str:
        """``"threshold:LIMIT"``."""
        return write_name("threshold", self.limit, self.watch)

    @property
    def description(self) -> str:
        """The last loss against the limit."""
        return f"the last {watched_words(self)[0]} is at most {write_number(self.limit)}"

    @property
    def ends(self) -> Ends:
        """Closeness on one side, time on the other."""
        return Ends("came close", "stayed far", "fast", "slowly")

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether loss / first is above 1e6; never for exponents."""
        return (loss / first > CEILING) & (self.watch != EXPONENT)

    def start(self, n: int) -> Any:
        """Return the running numbers of a level."""
        return _start_level(n)

    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Count the loss or add its closeness."""
        finite = jnp.isfinite(loss)
        close = jnp.where(finite & (loss > self.limit), self.limit / loss, 1.0)
        return _update_level(sums, finite & (loss <= self.limit), jnp.where(finite, close, 0.0))

    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Converged at the last recorded loss."""
        return _judge_level(sums)


@final
class TailMeanRule(AbstractRule):
    """Converged if the mean of the last 20 losses is at most `limit`.

    What `ThresholdRule` says of the last loss, of an average: the last step of a run that jumps
    about does not decide by itself. Unlike in the published rule the level is absolute, so that
    runs with different first losses are judged alike, and a network that guesses can be told from
    one that has learnt.

    A loss above 1e6, or one that is not finite, counts as 1e6. The measure is that of
    `ThresholdRule`. A run is over the limit of divergence where a loss exceeds 1e6 times the first
    one, as in the published rule.
    """

    limit: float = struct.field(pytree_node=False)
    watch: str = struct.field(pytree_node=False, default="loss")

    def __post_init__(self) -> None:
        """Refuse what makes no sense, and limits that a loss that is not finite would meet."""
        refuse_unless(0 < self.limit < CEILING, self, "a LIMIT > 0 and below 1e6")
        watch_a_loss(self)

    @property
    def name(self) -> str:
        """``"tail-mean:LIMIT"``."""
        return write_name("tail-mean", self.limit, self.watch)

    @property
    def description(self) -> str:
        """The tail against the limit."""
        many = watched_words(self)[1]
        return f"the mean of the last {TAIL} {many} is at most {write_number(self.limit)}"

    @property
    def ends(self) -> Ends:
        """Closeness on one side, time on the other."""
        return Ends("came close", "stayed far", "fast", "slowly")

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether loss / first is above 1e6."""
        return loss / first > CEILING

    def start(self, n: int) -> Any:
        """Return the running numbers of a level, and the sum of the tail."""
        return {**_start_level(n), "tail": jnp.zeros(n)}

    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Count the loss or add its closeness, and add it to the tail."""
        value = jnp.where(jnp.isfinite(loss), jnp.minimum(loss, CEILING), CEILING)
        tail = sums["tail"] + jnp.where(jnp.asarray(n_steps) - t <= TAIL, value, 0.0)
        reached = tail <= self.limit * jnp.minimum(n_steps, TAIL)
        close = jnp.where(value > self.limit, self.limit / value, 1.0)
        close = jnp.where(jnp.isfinite(loss), close, 0.0)
        # Misses are losses above the limit; that the tail is reached is known at the end alone.
        level = _update_level(sums, value <= self.limit, close)
        return {**level, "reached": reached, "tail": tail}

    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Compare the mean of the tail with the limit."""
        return _judge_level(sums)


@final
class AccuracyRule(AbstractRule):
    """Converged if the last accuracy is above `p`.

    Watches the accuracy on the test data unless another is named. The measure of a converged run is
    -(1 + the number of recorded accuracies that are not above `p`). That of all others is
    1 + sum(c_t), where the closeness c_t is A_t / p clipped to [0, 1], and 0 where the accuracy is
    not finite: a network whose outputs are not numbers. No accuracy is ever over a limit.
    """

    p: float = struct.field(pytree_node=False)
    watch: str = struct.field(pytree_node=False, default="accuracy")

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        refuse_unless(0 < self.p < 1, self, "a P between 0 and 1, such as accuracy:0.9")
        if "accuracy" not in self.watch:
            raise ValueError(
                f"rule {self.name} judges accuracies and {self.watch} is none; watch accuracy or "
                f"train_accuracy, or use a rule for losses such as threshold:LIMIT@{self.watch}"
            )

    @property
    def name(self) -> str:
        """``"accuracy:P"``."""
        return write_name("accuracy", self.p, self.watch, usual="accuracy")

    @property
    def description(self) -> str:
        """The last accuracy against `p`."""
        return f"the last {watched_words(self)[0]} is above {write_number(self.p)}"

    @property
    def ends(self) -> Ends:
        """Closeness on one side, time on the other."""
        return Ends("came close", "stayed far", "fast", "slowly")

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Never."""
        return jnp.zeros(loss.shape, bool)

    def start(self, n: int) -> Any:
        """Return the running numbers of a level."""
        return _start_level(n)

    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Count the accuracy or add its closeness."""
        finite = jnp.isfinite(loss)
        close = jnp.where(finite, jnp.clip(loss / self.p, 0.0, 1.0), 0.0)
        return _update_level(sums, finite & (loss > self.p), close)

    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Converged at the last recorded accuracy."""
        return _judge_level(sums)


def _start_level(n: int) -> dict[str, jax.Array]:
    """Return what the rules about the last value keep: misses, closeness, whether it is reached."""
    return {"misses": jnp.zeros(n), "closeness": jnp.zeros(n), "reached": jnp.zeros(n, bool)}


def _update_level(
    sums: dict[str, jax.Array], reached: jax.Array, close: jax.Array
) -> dict[str, jax.Array]:
    return {
        "misses": sums["misses"] + jnp.where(reached, 0.0, 1.0),
        "closeness": sums["closeness"] + close,
        "reached": reached,
    }


def _judge_level(sums: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
    # The 1 keeps both classes away from zero: the sign of the measure is the class.
    return sums["reached"], jnp.where(sums["reached"], -(1 + sums["misses"]), 1 + sums["closeness"])
