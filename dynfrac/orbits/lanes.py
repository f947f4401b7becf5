"""Several orbits of one map, run side by side: from perturbed starts or other hyperparameters.

A lane is one orbit. A compiled loop carries all lanes at once; where a map is stepped by the host
they take turns. Lanes never mix: one that stops being finite is frozen and disturbs no other.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.iteration import Problem, keep_finite, prepare
from dynfrac.orbits.phase import PhaseSpace
from dynfrac.systems.abstract import AbstractMap, check_ranges, resolve_hparams
from dynfrac.systems.numerics import cast_floats, choose_dtype, hparam_dtype

SPREAD = 0.01
"""Relative standard deviation of the perturbations that make several starts of one."""


@final
@dataclasses.dataclass(frozen=True)
class Lanes:
    """Orbits about to be run side by side.

    Attributes
    ----------
    map_ : AbstractMap
        With its array fields cast.
    hparams : dict of str to (L,) array
        In the precision of the run.
    states : pytree of arrays
        The states at t = 0, the lanes along the first axis of every leaf.
    space : PhaseSpace
        Of one lane.
    driver : {"scan", "host"}
        As in `dynfrac.orbits.iteration.Problem`.
    """

    map_: AbstractMap
    hparams: dict[str, jax.Array]
    states: Any
    space: PhaseSpace
    driver: str

    @property
    def count(self) -> int:
        """Number of lanes L."""
        return len(jax.tree.leaves(self.states)[0])

    @property
    def dtype(self) -> np.dtype:
        """Real type of the coordinates."""
        return np.result_type(*self.space.dtypes).type(0).real.dtype

    def hparams_of(self, lane: int) -> dict[str, jax.Array]:
        """Return the hyperparameters of one lane."""
        return {name: column[lane] for name, column in self.hparams.items()}


def perturbed_lanes(problem: Problem, n_starts: int, seed: int) -> Lanes:
    """Return lanes that start near the initial state of a problem.

    Parameters
    ----------
    problem : Problem
    n_starts : int
        Number of lanes, at least 1. Lane 0 starts at the initial state itself.
    seed : int
        Of the perturbations. Those of lane i do not depend on `n_starts`.

    Returns
    -------
    Lanes
        In lane i > 0 every coordinate is multiplied by 1 + 0.01 g with a standard normal g of its
        own, so that zeros stay zero and signs stay (buffers of an optimizer remain what they may
        be). Leaves that are no coordinates are the same in all lanes.

    Raises
    ------
    ValueError
        If several lanes are asked for and the initial state is zero.
    """
    vector, rest = problem.space.split(problem.state)
    if n_starts > 1 and not np.any(np.asarray(vector)):
        raise ValueError(
            f"n_starts={n_starts} perturbs the initial state by factors, and it is zero "
            "everywhere; set hyperparameters that start the map elsewhere"
        )
    factors = [np.ones(len(vector))]
    for lane in range(1, n_starts):
        gaussian = np.random.default_rng([seed, lane]).standard_normal(len(vector))
        factors.append(1 + SPREAD * gaussian)
    states = [problem.space.join(vector * jnp.asarray(f, vector.dtype), rest) for f in factors]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    hparams = {
        name: jnp.broadcast_to(value, (n_starts,)) for name, value in problem.hparams.items()
    }
    return Lanes(problem.map_, hparams, stacked, problem.space, problem.driver)


def lanes_over(
    map_: AbstractMap,
    hparams: Mapping[str, Any],
    dtype: str | None = None,
    *,
    slaved: bool = False,
) -> tuple[Problem, Lanes]:
    """Return lanes with hyperparameters of their own, each from the initial state that they give.

    Parameters
    ----------
    map_ : AbstractMap
    hparams : mapping of str to scalar or (L,) array
        Arrays share their length L; scalars apply to every lane; the rest take their defaults.
    dtype, slaved
        As in `dynfrac.orbits.iteration.prepare`.

    Returns
    -------
    problem : Problem
        That of lane 0.
    lanes : Lanes

    Raises
    ------
    ValueError
        If arrays differ in length or are not one-dimensional, and what `prepare` raises.
    """
    resolved = resolve_hparams(map_, hparams)
    check_ranges(map_, resolved)
    columns = {name: np.asarray(value, float) for name, value in resolved.items()}
    lengths = {column.shape for column in columns.values() if column.ndim}
    if len(lengths) > 1 or any(len(shape) != 1 or not shape[0] for shape in lengths):
        shapes = ", ".join(f"{n} {c.shape}" for n, c in columns.items() if c.ndim)
        raise ValueError(f"hyperparameters have shapes {shapes}; pass numbers and rows of a length")
    (n_lanes,) = next(iter(lengths), (1,))
    columns = {name: np.broadcast_to(column, (n_lanes,)) for name, column in columns.items()}
    first = {name: float(column[0]) for name, column in columns.items()}
    problem = prepare(map_, first, dtype, differentiate=True, slaved=slaved)
    real = choose_dtype(map_, dtype)
    numbers = {n: jnp.asarray(column, hparam_dtype(real)) for n, column in columns.items()}
    states = _initial_states(problem.map_, numbers, real=str(real), n_lanes=n_lanes)
    return problem, Lanes(problem.map_, numbers, states, problem.space, problem.driver)


@functools.partial(jax.jit, static_argnames=("real", "n_lanes"))
def _initial_states(
    map_: AbstractMap, hparams: dict[str, jax.Array], *, real: str, n_lanes: int
) -> Any:
    return over_lanes(lambda h: cast_floats(map_.init(h), real), n_lanes)(hparams)


@jax.jit
def take_lane(trees: Any, lane: Any) -> Any:
    """Return one lane of a pytree whose leaves have the lanes first."""
    return jax.tree.map(lambda leaf: leaf[lane], trees)


@jax.jit
def stack_lanes(trees: list[Any]) -> Any:
    """Return a pytree whose leaves have the lanes first."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def over_lanes(function: Callable[..., Any], n_lanes: int) -> Callable[..., Any]:
    """Return a function of one lane as one of all lanes, all arguments and results stacked.

    For a single lane the arithmetic is that of the function itself: a batch of one turns matrix
    products into batched ones, which are slower and round differently.
    """
    if n_lanes > 1:
        return jax.vmap(function, axis_size=n_lanes)

    def alone(*arguments: Any) -> Any:
        results = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], results)

    return alone


def advance(
    lanes: Lanes, states: Any, alive: np.ndarray, t: int, stop: int
) -> tuple[Any, np.ndarray]:
    """Step states from time t to time `stop`, or to their last finite values.

    Parameters
    ----------
    lanes : Lanes
    states : pytree
        The states at time t, lanes first.
    alive : (L,) bool array
        Lanes that are to move; the others are left as they are.
    t, stop : int

    Returns
    -------
    states : pytree
        At time `reached`.
    reached : (L,) int array
        `stop`, or the time of the last state whose coordinates are all finite.
    """
    arguments = (lanes.map_, lanes.hparams, lanes.space)
    if lanes.driver == "scan":
        states, reached = _advance_compiled(*arguments, states, alive, t, stop)
        return states, np.asarray(reached)
    after = []
    reached = np.full(lanes.count, t)
    for lane in range(lanes.count):
        state, hparams = take_lane((states, lanes.hparams), lane)
        while alive[lane] and reached[lane] < stop:
            moved, finite = _finite_step(
                lanes.map_, hparams, lanes.space, state, int(reached[lane])
            )
            if not finite:
                break
            state = moved
            reached[lane] += 1
        after.append(state)
    return stack_lanes(after), reached


@functools.partial(jax.jit, static_argnames=("space",))
def _finite_step(
    map_: AbstractMap, hparams: Any, space: PhaseSpace, state: Any, t: Any
) -> tuple[Any, jax.Array]:
    """Return the next state and whether all its coordinates are finite."""
    after = map_.step(state, hparams, jnp.asarray(t, jnp.int32))
    return after, jnp.all(jnp.isfinite(space.split(after)[0]))


@functools.partial(jax.jit, static_argnames=("space",))
def _advance_compiled(
    map_: AbstractMap,
    hparams: Any,
    space: PhaseSpace,
    states: Any,
    alive: jax.Array,
    t: Any,
    stop: Any,
) -> tuple[Any, jax.Array]:
    n_lanes = len(jax.tree.leaves(states)[0])

    def proceed(carry: Any) -> jax.Array:
        *_, alive, n = carry
        return (t + n < stop) & jnp.any(alive)

    def body(carry: Any) -> Any:
        states, reached, alive, n = carry

        def step(state: Any, h: Any, alive: jax.Array) -> Any:
            after, finite = _finite_step(map_, h, space, state, t + n)
            return keep_finite(alive & finite, after, state), alive & finite

        states, alive = over_lanes(step, n_lanes)(states, hparams, alive)
        return states, reached + alive, alive, n + 1

    start = (states, jnp.full(n_lanes, t), jnp.asarray(alive), jnp.int32(0))
    states, reached, _, _ = jax.lax.while_loop(proceed, body, start)
    return states, reached
