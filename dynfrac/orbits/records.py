"""The contract of an outcome rule, and the record that is kept of every run while it reads.

A rule reads the values that a run recorded one after the other and keeps a few running numbers
(`start`, `update`), so that the length of a run costs no memory; at the end it says whether the run
converged and which signed measure a picture should colour (`judge`). All arithmetic is elementwise
over runs and in the order of the values: the answer for one run cannot depend on the others.

Runs may record different numbers of values. Then `n_steps` is an array, and what is recorded after
a run's own last value changes nothing.
"""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from dynfrac.orbits.outcomes import Status
from dynfrac.systems.nodes import Node


class Ends(NamedTuple):
    """What the four ends of a measure mean, in a word or two; empty where there is nothing to say.

    Attributes
    ----------
    highest : str
        The largest measure of all.
    above_zero, below_zero : str
        The ends next to zero: of the runs that did not converge, and of those that did.
    lowest : str
        The most negative measure.
    """

    highest: str
    above_zero: str
    below_zero: str
    lowest: str


class AbstractRule(Node, abc.ABC):
    """Decides from the values that a run recorded whether it converged."""

    @property
    @abc.abstractmethod
    def watch(self) -> str:
        """What the rule reads: ``"loss"``, or the name of one of the map's metrics."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name under which `make_rule` finds it, parameters and a watched metric included."""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """What converged means, as a sentence without a full stop."""

    @property
    @abc.abstractmethod
    def ends(self) -> Ends:
        """What the ends of the measure mean."""

    @abc.abstractmethod
    def exceeds(self, loss: jax.Array, first: jax.Array) -> jax.Array:
        """Whether a finite loss is over the limit, given the run's first loss."""

    @abc.abstractmethod
    def start(self, n: int) -> Any:
        """Return the running numbers of `n` runs before their first loss, arrays (n, ...)."""

    @abc.abstractmethod
    def update(
        self, sums: Any, loss: jax.Array, first: jax.Array, t: ArrayLike, n_steps: ArrayLike
    ) -> Any:
        """Add the recorded losses (n,) of number `t`, counted from 0.

        Parameters
        ----------
        sums : pytree
            The running numbers.
        loss, first : (n,) array
            The values watched, and the first of each run; any of them may not be finite.
        t : int
        n_steps : int or (n,) int array
            How many values a run records in all. Where `t` is not below it, what is returned is
            not used.
        """

    @abc.abstractmethod
    def judge(self, sums: Any, n_steps: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Return (converged, measure), each (n,), after the last recorded loss.

        The measure is negative where the run converged and not negative elsewhere.
        """


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
    """Add the recorded losses (n,) of number `t` to the record of `n` runs.

    Parameters
    ----------
    rule : AbstractRule
    record : Record
    loss : (n,) array
        Of any type; judged in float64.
    t : int
        Number of the recorded loss, from 0. All of them must be added, in this order.
    n_steps : int or (n,) int array
        How many losses a run records in all. Of an array, runs for which `t` is not below it keep
        their record.
    """
    loss = loss.astype(jnp.float64)
    first = jnp.where(t == 0, loss, record.first)
    finite = jnp.isfinite(loss)
    out = rule.exceeds(loss, first) | ~finite
    longer = Record(
        sums=rule.update(record.sums, loss, first, t, n_steps),
        first=first,
        last=loss,
        t_escape=jnp.where((record.t_escape < 0) & out, t, record.t_escape).astype(jnp.int32),
        finite=record.finite & finite,
    )
    if jnp.ndim(n_steps) == 0:
        return longer
    counts = jnp.less(t, n_steps)

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(counts.reshape(counts.shape + (1,) * (new.ndim - 1)), new, old)

    return jax.tree.map(choose, longer, record)


def close_record(
    rule: AbstractRule, record: Record, n_steps: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return (status, measure, t_escape, last), each (n,), once all losses are in.

    Parameters
    ----------
    rule : AbstractRule
    record : Record
    n_steps : int or (n,) int array
        As in `update_record`.
    """
    converged, measure = rule.judge(record.sums, n_steps)
    status = jnp.where(
        record.t_escape < 0,
        Status.BOUNDED,
        jnp.where(record.finite, Status.ESCAPED, Status.NOT_FINITE),
    )
    status = jnp.where(converged, Status.CONVERGED, status).astype(jnp.uint8)
    return status, measure, record.t_escape, record.last
