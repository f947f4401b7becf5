"""The outcome rules themselves: five meanings of "converged", each with its measure.

Every rule reads what it watches: the training loss, or a metric such as the test loss. In the
formulas below L_t is the t-th recorded value, t = 0 .. n - 1.
"""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.orbits.records import AbstractRule, Ends

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
        _refuse_unless(self.tail >= 1, self, "a TAIL of at least 1")
        _watch_a_loss(self)

    @property
    def name(self) -> str:
        """``"published"``, with the tail if it is not 20."""
        return write_name("published", None if self.tail == TAIL else self.tail, self.watch)

    @property
    def description(self) -> str:
        """The tail against the first."""
        one, many = _words(self)
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
        _watch_a_loss(self)

    @property
    def name(self) -> str:
        """``"curve-mean"``."""
        return write_name("curve-mean", None, self.watch)

    @property
    def description(self) -> str:
        """The whole curve against the first."""
        one, many = _words(self)
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
        _refuse_unless(self.limit > 0, self, "a LIMIT > 0")
        _watch_a_loss(self)

    @property
    def name(self) -> str:
        """``"bounded:LIMIT"``."""
        return write_name("bounded", self.limit, self.watch)

    @property
    def description(self) -> str:
        """The limit."""
        return f"no {_words(self)[0]} is above {write_number(self.limit)}"

    @property
    def ends(self) -> Ends:
        """Only the runs that left differ by time."""
        return Ends("escaped late", "early", "", "")

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether the loss itself is above `limit`."""
        return loss > self.limit

    def start(self, n: int) -> Any:
        """Return the losses survived so far, and whether the run is still bounded."""
        return {"steps": jnp.zeros(n), "inside": jnp.ones(n, bool)}

    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Count the loss if the run was bounded until now."""
        steps = sums["steps"] + jnp.where(sums["inside"], 1.0, 0.0)
        stays = jnp.isfinite(loss) & (loss <= self.limit)
        return {"steps": steps, "inside": sums["inside"] & stays}

    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Bounded at every recorded loss."""
        return sums["inside"], jnp.where(sums["inside"], -sums["steps"], sums["steps"])


@final
class ThresholdRule(AbstractRule):
    """Converged if the last loss is at most `limit`.

    The measure of a converged run is -(1 + the number of recorded losses that are above `limit` or
    not finite). That of all others is 1 + sum(c_t), where the closeness c_t is 1 for a loss that is
    at most `limit`, limit / L_t for one above and 0 for one that is not finite. A run is over the
    limit of divergence where a loss exceeds 1e6 times the first one, as in the published rule.
    """

    limit: float = struct.field(pytree_node=False)
    watch: str = struct.field(pytree_node=False, default="loss")

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        _refuse_unless(self.limit > 0, self, "a LIMIT > 0")
        _watch_a_loss(self)

    @property
    def name(self) -> str:
        """``"threshold:LIMIT"``."""
        return write_name("threshold", self.limit, self.watch)

    @property
    def description(self) -> str:
        """The last loss against the limit."""
        return f"the last {_words(self)[0]} is at most {write_number(self.limit)}"

    @property
    def ends(self) -> Ends:
        """Closeness on one side, time on the other."""
        return Ends("came close", "stayed far", "fast", "slowly")

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether loss / first is above 1e6."""
        return loss / first > CEILING

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
        _refuse_unless(0 < self.p < 1, self, "a P between 0 and 1, such as accuracy:0.9")
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
        return f"the last {_words(self)[0]} is above {write_number(self.p)}"

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


def write_name(kind: str, number: float | None, watch: str, usual: str = "loss") -> str:
    """Write the name of a rule, ``KIND[:NUMBER][@WATCH]``.

    Parameters
    ----------
    kind : str
    number : float, optional
        Left out when None.
    watch : str
        Left out when it is the `usual` one.
    usual : str
    """
    argument = "" if number is None else f":{write_number(number)}"
    return kind + argument + ("" if watch == usual else f"@{watch}")


def write_number(number: float) -> str:
    """Write a number as short as it can be read back exactly."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _words(rule: AbstractRule) -> tuple[str, str]:
    """Return what a rule watches in words: one of them, and many."""
    one = rule.watch.replace("_", " ")
    return one, one + ("es" if one.endswith("s") else "s")


def _refuse_unless(possible: bool, rule: AbstractRule, need: str) -> None:
    if not possible:
        raise ValueError(f"rule {rule.name} is impossible; it needs {need}")


def _watch_a_loss(rule: AbstractRule) -> None:
    """Refuse an accuracy: it grows where a loss falls."""
    if "accuracy" in rule.watch:
        raise ValueError(
            f"rule {rule.name} judges losses and {rule.watch} is none; watch loss or test_loss, "
            f"or use accuracy:P@{rule.watch}"
        )


def _finite_or_ceiling(loss: jax.Array) -> jax.Array:
    return jnp.where(jnp.isfinite(loss), loss, CEILING)


def _clipped(v: jax.Array) -> jax.Array:
    return jnp.where(v > CEILING, CEILING, v)


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
