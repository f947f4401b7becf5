"""Outcome rules: what "converged" means, as an object with a name that travels with every result.

A rule reads the losses of a run one after the other and keeps a few running numbers (`start`,
`update`), so that the length of a run costs no memory; at the end it says whether the run converged
and which signed measure a picture should colour (`judge`). All arithmetic is elementwise over
runs and in the order of the steps: the answer for one run cannot depend on the others.
"""

from __future__ import annotations

import abc
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.orbits.outcomes import Status
from dynfrac.systems.abstract import unknown_name


class AbstractRule(struct.PyTreeNode, abc.ABC):
    """Decides from the losses of a run whether it converged."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name under which `make_rule` finds it, parameters included."""

    @abc.abstractmethod
    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether a finite loss is over the limit, given the run's first loss."""

    @abc.abstractmethod
    def start(self, n: int) -> Any:
        """Return the running numbers of `n` runs before their first loss."""

    @abc.abstractmethod
    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Add the loss of step `t` (0-based) of `n_steps`; `first` is the loss of step 0."""

    @abc.abstractmethod
    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Return (converged, measure) after the last step."""


@final
class PublishedRule(AbstractRule):
    """Converged if the last losses lie below the first one on average.

    A loss that is not finite counts as `ceiling`. Losses are divided by the first one and clipped
    at `ceiling`; call them v_t. The run converged iff the mean of the last `tail` of them is below
    1. The measure is -sum(v_t) for converged runs and +sum(1 / v_t) for all others. A run is over
    the limit where v_t would exceed `ceiling`.

    References
    ----------
    `sohldickstein2024` in docs/references.bib.
    """

    tail: int = struct.field(pytree_node=False, default=20)
    ceiling: float = struct.field(pytree_node=False, default=1e6)

    @property
    def name(self) -> str:
        """``"published"``."""
        return "published"

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether loss / first is above `ceiling`."""
        return loss / first > self.ceiling

    def start(self, n: int) -> Any:
        """Return the sums of v, of 1 / v and of the tail."""
        return {"v": jnp.zeros(n), "inverse": jnp.zeros(n), "tail": jnp.zeros(n)}

    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Add one normalised, clipped loss."""
        loss = jnp.where(jnp.isfinite(loss), loss, self.ceiling)
        first = jnp.where(jnp.isfinite(first), first, self.ceiling)
        v = loss / first
        v = jnp.where(v > self.ceiling, self.ceiling, v)
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
class BoundedRule(AbstractRule):
    """Converged means bounded: no loss was over `limit` or not finite.

    The measure counts the steps a run survived: minus all of them if it stayed bounded, plus the
    index of the escape, counted from 1, if it did not. This is the escape-time picture of complex
    dynamics and the rule of `liu2024` (limit 1e8) in docs/references.bib.
    """

    limit: float = struct.field(pytree_node=False, default=1e8)

    @property
    def name(self) -> str:
        """``"bounded:LIMIT"``."""
        return f"bounded:{self.limit:g}"

    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether the loss itself is above `limit`."""
        return loss > self.limit

    def start(self, n: int) -> Any:
        """Return the steps survived so far, and whether the run is still bounded."""
        return {"steps": jnp.zeros(n), "inside": jnp.ones(n, bool)}

    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Count the step if the run was bounded until now."""
        steps = sums["steps"] + jnp.where(sums["inside"], 1.0, 0.0)
        stays = jnp.isfinite(loss) & (loss <= self.limit)
        return {"steps": steps, "inside": sums["inside"] & stays}

    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Bounded at every step."""
        return sums["inside"], jnp.where(sums["inside"], -sums["steps"], sums["steps"])


class Record(NamedTuple):
    """What is remembered of each run besides the rule's own numbers."""

    sums: Any
    first: jax.Array
    last: jax.Array
    t_escape: jax.Array
    finite: jax.Array


def start_record(rule: AbstractRule, n: int) -> Record:
    """Return the record of `n` runs of which no loss has been seen."""
    return Record(
        rule.start(n), jnp.zeros(n), jnp.zeros(n), jnp.full(n, -1, jnp.int32), jnp.ones(n, bool)
    )


def update_record(
    rule: AbstractRule, record: Record, loss: jax.Array, t: ArrayLike, n_steps: ArrayLike
) -> Record:
    """Add the losses (n,) of step `t` to the record of `n` runs."""
    loss = loss.astype(jnp.float64)
    first = jnp.where(t == 0, loss, record.first)
    finite = jnp.isfinite(loss)
    out = rule.exceeds(loss, first) | ~finite
    return Record(
        sums=rule.update(record.sums, loss, first, t, n_steps),
        first=first,
        last=loss,
        t_escape=jnp.where((record.t_escape < 0) & out, t, record.t_escape).astype(jnp.int32),
        finite=record.finite & finite,
    )


def close_record(
    rule: AbstractRule, record: Record, n_steps: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return (status, measure, t_escape, final_loss), each (n,), once all losses are in."""
    converged, measure = rule.judge(record.sums, n_steps)
    status = jnp.where(
        record.t_escape < 0,
        Status.BOUNDED,
        jnp.where(record.finite, Status.ESCAPED, Status.NOT_FINITE),
    )
    status = jnp.where(converged, Status.CONVERGED, status).astype(jnp.uint8)
    return status, measure, record.t_escape, record.last


_RULES = {"published": PublishedRule, "bounded": BoundedRule}

RULES = tuple(_RULES)


def make_rule(rule: str | AbstractRule | None) -> AbstractRule:
    """Return an outcome rule from its name.

    Parameters
    ----------
    rule : str or AbstractRule, optional
        ``"published"`` (also for None), ``"bounded"`` or ``"bounded:LIMIT"`` with a positive
        number. A rule object is returned as it is.

    Raises
    ------
    ValueError
        If the name is unknown or its limit is not a positive number.
    """
    if isinstance(rule, AbstractRule):
        return rule
    name, _, argument = (rule or "published").partition(":")
    if name not in _RULES:
        raise unknown_name("rule", name, _RULES)
    if not argument:
        return _RULES[name]()
    try:
        limit = float(argument)
    except ValueError:
        limit = float("nan")
    if name != "bounded" or not limit > 0:
        raise ValueError(f"rule={rule!r} is not understood; write 'bounded:LIMIT' with a LIMIT > 0")
    return BoundedRule(limit)
