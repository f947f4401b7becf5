"""How far a small change of the hyperparameters carries a run: a map that carries that derivative.

`Sensitive(map_)` steps a map together with v_t, the derivative of its state with respect to the
position in a window of hyperparameters along one direction u. If h(s) are the hyperparameters at
the place s of the direction,

    v_0 = d init / ds,        v_{t+1} = (dF / dx) v_t + (dF / dh) dh/ds,

one forward-mode product each. ln norm(v_t) is how far ahead of itself a run is that started next
to it; the largest value that it takes before the outcome is decided says how close a change of the
hyperparameters has to be to share that outcome (`dynfrac.boundaries.stretch_tails`).

A tangent of a state alone, which is what Lyapunov exponents take, is another thing: see
`dynfrac.orbits.stretching`.
"""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.orbits.kernels import read
from dynfrac.orbits.phase import phase_space
from dynfrac.orbits.rules import AbstractRule
from dynfrac.systems.abstract import AbstractMap, Hparams
from dynfrac.systems.nodes import Node
from dynfrac.systems.numerics import DTYPES

LARGEST, FINAL, GROWN = "largest_stretch", "final_stretch", "grown_at"
"""Names of the three metrics that a `Sensitive` map adds."""


@final
class SensitiveState(Node):
    """A state with its derivative along a direction of hyperparameters.

    Attributes
    ----------
    inner : pytree
        State of the map inside.
    tangent : (dimension,) float array
        v_t / exp(`scale`), in the coordinates of the map's phase space.
    scale : float scalar
        At least 0; `largest`, unless the derivative has become far smaller since.
    largest : float scalar
        The largest ln norm(v_t) so far, at least 0.
    mark : float scalar
        `largest` when it had last grown by 1 or more, a factor e of the derivative.
    grown_at : int scalar
        The state, counted from 0, at which that was.
    age : int scalar
        Steps taken until the state and its derivative came to rest.
    first : float scalar
        The first value that the rule watches.
    finite : bool scalar
        Whether all states and derivatives were finite until now; `tangent` is the last that was.
    decided : bool scalar
        Whether an earlier value that the rule watches was over its limit or not finite. Nothing
        moves any more.
    """

    inner: Any
    tangent: jax.Array
    scale: jax.Array
    largest: jax.Array
    mark: jax.Array
    grown_at: jax.Array
    age: jax.Array
    first: jax.Array
    finite: jax.Array
    decided: jax.Array


@final
class Sensitive(AbstractMap):
    """A map that carries the derivative of its state along a direction of hyperparameters.

    Parameters
    ----------
    inner : AbstractMap
        The map.
    rule : AbstractRule
        Says when a run is decided: at the first value over the limit or not finite. From that
        state on it stands still, and its tangent too.
    along : tuple of str
        The hyperparameters of the direction. For each of them there is one hyperparameter more,
        `direction_name`, which is the component dh/ds.

    Notes
    -----
    Besides the metrics of the map inside there are ``"largest_stretch"``, the larger of 0 and
    max ln norm(v_t) over the states up to the deciding one, ``"final_stretch"``, ln norm(v_t)
    of the last of them whose derivative is finite, and ``"grown_at"``, the last of them by which
    the largest had grown by another factor e. The norm is Euclidean, over the whole phase space.

    v_t is stored divided by exp(`scale`), so that neither a run that diverges nor one that
    stretches for a very long time overflows. When it has shrunk to the square root of the smallest
    number (by 40 nats in float32) the scale follows it down: else it would be lost, and with it
    what the hyperparameters go on adding.

    Step and derivative are one program, which rounds differently from the map's alone: a run next
    to a boundary may end on the other side of it than that of `dynfrac.evaluate`.
    """

    inner: AbstractMap
    rule: AbstractRule
    along: tuple[str, ...] = struct.field(pytree_node=False)

    @property
    def defaults(self) -> dict[str, float]:
        """Those of the map inside, and no direction."""
        return {**self.inner.defaults, **{direction_name(name): 0.0 for name in self.along}}

    @property
    def preferred_dtype(self) -> str:
        """That of the map inside."""
        return getattr(self.inner, "preferred_dtype", "float64")

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Those of the map inside that are fine enough for tangents."""
        return tuple(name for name in getattr(self.inner, "dtypes", DTYPES) if name in DTYPES)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Those of the map inside."""
        return getattr(self.inner, "ranges", {})

    @property
    def drive(self) -> str:
        """That of the map inside."""
        return getattr(self.inner, "drive", "scan")

    def init(self, hparams: Hparams) -> SensitiveState:
        """Return the map's first state with its derivative."""
        point, places, components = self._taken_apart(hparams)
        state = self.inner.init(point)
        space = phase_space(self.inner, state)

        def begin(places: dict[str, Any]) -> tuple[jax.Array, list[Any]]:
            return space.split(self.inner.init({**point, **places}))

        vector, tangent, rest = jax.jvp(begin, (places,), (components,), has_aux=True)
        length, finite = _length(tangent)
        largest = jnp.where(finite, jnp.log(jnp.maximum(length, 1)), 0).astype(tangent.dtype)
        return SensitiveState(
            inner=space.join(vector, rest),
            tangent=tangent / jnp.maximum(length, 1),
            scale=largest,
            largest=largest,
            mark=largest,
            grown_at=jnp.int32(0),
            age=jnp.int32(0),
            first=self._watched(state, point).astype(tangent.dtype),
            finite=finite & jnp.all(jnp.isfinite(vector)),
            decided=jnp.asarray(False),
        )

    def step(self, state: SensitiveState, hparams: Hparams, t: ArrayLike) -> SensitiveState:
        """Take one step with its derivative, or none if the run is decided."""
        point, places, components = self._taken_apart(hparams)
        watched = self._watched(state.inner, point)
        first = state.first.astype(watched.dtype)
        decided = state.decided | ~jnp.isfinite(watched) | self.rule.exceeds(watched, first)
        space = phase_space(self.inner, state.inner)
        vector, rest = space.split(state.inner)

        def advance(vector: jax.Array, places: dict[str, Any]) -> tuple[jax.Array, list[Any]]:
            return space.split(self.inner.step(space.join(vector, rest), {**point, **places}, t))

        shrink = jnp.exp(-state.scale)
        shrunk = {name: (shrink * value).astype(value.dtype) for name, value in components.items()}
        moved, tangent, rest = jax.jvp(
            advance, (vector, places), (state.tangent, shrunk), has_aux=True
        )
        length, finite = _length(tangent)
        finite &= state.finite & jnp.all(jnp.isfinite(moved))
        lowered = jnp.minimum(state.scale, _room(length))
        grown = state.scale + jnp.log(jnp.maximum(length, 1)) - lowered
        scale = jnp.where(finite, grown, state.scale).astype(state.scale.dtype)
        largest = jnp.maximum(state.largest, scale)
        another = largest >= state.mark + 1
        rescaled = tangent / jnp.maximum(length, 1) * jnp.exp(lowered).astype(tangent.dtype)
        turned = jnp.where(finite, rescaled, state.tangent)
        # A run that has come to rest stands still in every bit, so that it can be sealed.
        moves = jnp.any(moved != vector) | jnp.any(turned != state.tangent) | (scale != state.scale)
        after = SensitiveState(
            inner=space.join(moved, rest),
            tangent=turned,
            scale=scale,
            largest=largest,
            mark=jnp.where(another, largest, state.mark),
            grown_at=jnp.where(another, state.age + 1, state.grown_at),
            age=state.age + moves,
            first=state.first,
            finite=finite,
            decided=decided,
        )
        stood = state.replace(decided=decided)
        return jax.tree.map(lambda old, new: jnp.where(decided, old, new), stood, after)

    def observe(self, state: SensitiveState, hparams: Hparams) -> Any:
        """Return what the map inside observes."""
        return self.inner.observe(state.inner, self._taken_apart(hparams)[0])

    def metrics(self, state: SensitiveState, hparams: Hparams) -> dict[str, Any]:
        """Return the metrics of the map inside, and those of the derivative."""
        inner = getattr(self.inner, "metrics", None)
        values = {} if inner is None else inner(state.inner, self._taken_apart(hparams)[0])
        # The tangent is no longer than 1, but for rounding.
        final = state.scale + jnp.log(jnp.minimum(_length(state.tangent)[0], 1))
        return {
            **values,
            LARGEST: state.largest,
            FINAL: final,
            GROWN: state.grown_at.astype(state.largest.dtype),
        }

    def _taken_apart(
        self, hparams: Hparams
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return the map's hyperparameters, those of the direction among them, its components."""
        components = {name: hparams[direction_name(name)] for name in self.along}
        added = [direction_name(name) for name in self.along]
        point = {name: value for name, value in hparams.items() if name not in added}
        return point, {name: point[name] for name in self.along}, components

    def _watched(self, state: Any, point: Hparams) -> jax.Array:
        return read(self.inner, (self.rule.watch,), state, point)[0]


def direction_name(name: str) -> str:
    """Return the name of the hyperparameter that is a component of the direction."""
    return f"direction of {name}"


def _length(tangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the norm, of which no square overflows, and whether it is finite."""
    largest = jnp.max(jnp.abs(tangent))
    unit = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    length = largest * jnp.sqrt(jnp.sum((tangent / unit) ** 2))
    return length, jnp.isfinite(length)


def _room(length: jax.Array) -> jax.Array:
    """Return the nats by which a tangent may be scaled up; 0 unless it is very small."""
    limits = jnp.finfo(length.dtype)
    small = length < float(limits.tiny) ** 0.5
    return jnp.where(small, -jnp.log(jnp.maximum(length, limits.tiny)), 0).astype(length.dtype)
