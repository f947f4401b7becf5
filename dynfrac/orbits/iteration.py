"""Plain iteration of one orbit, and the border that every single-orbit computation crosses.

Loops run in compiled chunks driven from the host, so that progress can be shown and an interrupt
takes effect within one chunk. Their lengths are run-time values: one compilation serves all.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.inspection import host_driven
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.phase import PhaseSpace, phase_space
from dynfrac.systems.abstract import AbstractMap, State, check_ranges, resolve_hparams
from dynfrac.systems.numerics import cast_floats, choose_dtype, hparam_dtype, precision
from dynfrac.systems.provenance import git_state, versions

CHUNK = 1024
"""Steps per compiled call of `iterate`."""

Progress = Callable[[int, int], None]


@final
@dataclasses.dataclass(frozen=True)
class Problem:
    """One orbit about to be run: everything cast to one precision and checked.

    Attributes
    ----------
    map_ : AbstractMap
        With its array fields cast.
    values : dict of str to float
        Hyperparameters as they were given, complete.
    hparams : dict of str to scalar array
        The same in the precision of the run.
    state : pytree of arrays
        The state at t = 0.
    space : PhaseSpace
    driver : str
        ``"scan"``: loops are compiled. ``"host"``: the host calls one compiled step at a time,
        which is what a map with the static attribute ``drive = "host"`` asks for on a CPU, where
        XLA runs convolutions inside loops some thirty times slower than outside.
    """

    map_: AbstractMap
    values: dict[str, float]
    hparams: dict[str, jax.Array]
    state: State
    space: PhaseSpace
    driver: str

    def conditions(self) -> dict[str, Any]:
        """Return what a result has to say about how it was computed, ready for JSON."""
        return {
            "map": type(self.map_).__name__,
            "hparams": self.values,
            "dimension": self.space.dimension,
            "dtype": str(np.result_type(*self.space.dtypes)),
            "driver": self.driver,
            "device": jax.devices()[0].device_kind,
            "versions": versions(("dynfrac", "jax", "jaxlib", "numpy")),
            "git": git_state(),
        }


def prepare(
    map_: AbstractMap,
    hparams: Mapping[str, Any] | None,
    dtype: str | None = None,
    *,
    differentiate: bool = False,
    slaved: bool = False,
) -> Problem:
    """Cast a map, its hyperparameters and its initial state, and check that they fit together.

    Call it inside `dynfrac.systems.numerics.precision`.

    Parameters
    ----------
    map_ : AbstractMap
    hparams : mapping of str to float, optional
        Values for some or all of the names in `map_.defaults`.
    dtype : {"float64", "float32", "bfloat16"}, optional
        By default the map's `preferred_dtype`, or float64 if it has none.
    differentiate : bool, default False
        Whether tangents are to be taken, for which bfloat16 is too coarse: its three digits cannot
        hold a frame orthonormal.
    slaved : bool, default False
        Whether fields that the map calls slaved are coordinates, too.

    Returns
    -------
    Problem

    Raises
    ------
    ValueError
        If a hyperparameter is unknown or not one real number, the type is not supported, or `step`
        does not return a state like the one it was given.
    """
    real = choose_dtype(map_, dtype)
    if differentiate and real.itemsize < 4:
        raise ValueError(f"dtype={dtype!r} is too coarse for tangents; choose float64 or float32")
    resolved = resolve_hparams(map_, hparams)
    check_ranges(map_, resolved)
    for name, value in resolved.items():
        if np.ndim(value) != 0:
            raise ValueError(
                f"hyperparameter {name} has shape {np.shape(value)}; pass one number per run"
            )
    # On the device once, not again at every call of a compiled step.
    map_ = jax.tree.map(jnp.asarray, cast_floats(map_, real))
    values = {name: float(value) for name, value in resolved.items()}
    kind = hparam_dtype(real)
    numbers = {name: jnp.asarray(value, kind) for name, value in values.items()}
    state = jax.tree.map(jnp.asarray, cast_floats(map_.init(numbers), real))
    space = phase_space(map_, state, slaved=slaved)
    _check_step(map_, numbers, state)
    driver = "host" if host_driven(map_) else "scan"
    return Problem(map_, values, numbers, state, space, driver)


def _check_step(map_: AbstractMap, hparams: Mapping[str, Any], state: State) -> None:
    """Raise unless `step` keeps the structure, shapes and types of the state."""
    after = jax.eval_shape(map_.step, state, hparams, jnp.int32(0))
    if jax.tree.structure(after) != jax.tree.structure(state):
        raise ValueError(
            f"{type(map_).__name__}.step returns a state of another structure than init; "
            "return the same pytree"
        )
    for (path, old), new in zip(
        jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(after), strict=True
    ):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            where = jax.tree_util.keystr(path) or "state"
            raise ValueError(
                f"{type(map_).__name__}.step turns {where} from {old.dtype}{list(old.shape)} into "
                f"{new.dtype}{list(new.shape)}; keep shapes and types (jnp.asarray(x, old.dtype))"
            )


@final
@dataclasses.dataclass(frozen=True)
class Orbit:
    """One orbit x_0, ..., x_T.

    Attributes
    ----------
    observations : (n_steps,) float array
        What the map observes at x_0, ..., x_{T-1}: the loss before each update.
    states : (n_steps, dimension) float array or None
        Phase-space coordinates of x_0, ..., x_{T-1}, if they were asked for.
    final_state : pytree
        x_T, with T = n_steps.
    status : Status
        `BOUNDED` if every observation is finite, else `NOT_FINITE`. An outcome rule is needed to
        say more; see `dynfrac.evaluate`.
    t_escape : int
        0-based index of the first observation that is not finite, else -1.
    conditions : dict
        Map, hyperparameters, dtype, device and versions.
    """

    observations: np.ndarray
    states: np.ndarray | None
    final_state: State
    status: Status
    t_escape: int
    conditions: dict[str, Any]


def iterate(
    map_: AbstractMap,
    hparams: Mapping[str, Any] | None = None,
    *,
    n_steps: int,
    keep_states: bool = False,
    dtype: str | None = None,
    on_progress: Progress | None = None,
) -> Orbit:
    """Run one orbit and record what the map observes.

    Parameters
    ----------
    map_ : AbstractMap
        A map, or a training as a map.
    hparams : mapping of str to float, optional
        Values for some or all of the map's hyperparameters; the rest take their defaults.
    n_steps : int
        Number T of steps, at least 1.
    keep_states : bool, default False
        Record the phase-space coordinates of every iterate too: n_steps x dimension numbers.
    dtype : {"float64", "float32", "bfloat16"}, optional
        By default the map's `preferred_dtype`, or float64 if it has none.
    on_progress : callable, optional
        Called with (steps done, steps in all) after every chunk.

    Returns
    -------
    Orbit

    Raises
    ------
    ValueError
        If an argument is out of range or a hyperparameter is unknown.

    Examples
    --------
    >>> from dynfrac.systems.interval_maps import Logistic
    >>> iterate(Logistic(), {"r": 4.0, "x0": 0.75}, n_steps=3).observations
    array([0.75, 0.75, 0.75])
    """
    check_count("n_steps", n_steps, least=1)
    with precision():
        problem = prepare(map_, hparams, dtype)
        state = problem.state
        observed = []
        visited = []
        for t in range(0, n_steps, CHUNK):
            n = min(CHUNK, n_steps - t)
            state, values, vectors = _record(problem, state, t, n, keep_states)
            observed.append(values)
            visited.append(vectors)
            if on_progress is not None:
                on_progress(t + n, n_steps)
        observations = np.concatenate(observed)
        bad = np.flatnonzero(~np.isfinite(observations))
        return Orbit(
            observations=observations,
            states=np.concatenate(visited) if keep_states else None,
            final_state=state,
            status=Status.NOT_FINITE if bad.size else Status.BOUNDED,
            t_escape=int(bad[0]) if bad.size else -1,
            conditions={**problem.conditions(), "n_steps": n_steps},
        )


def check_count(name: str, value: int, *, least: int) -> None:
    """Raise `ValueError` unless `value` is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}={value!r} is out of range; pass an integer of at least {least}")


def keep_finite(finite: jax.Array, after: Any, before: Any) -> Any:
    """Return `after` if it is finite, else `before`: a selection, so no NaN leaks through."""
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, before)


def _record(
    problem: Problem, state: State, t: int, n: int, keep_states: bool
) -> tuple[State, np.ndarray, np.ndarray]:
    """Return the state n <= CHUNK steps on, and what was observed on the way."""
    arguments = (problem.map_, problem.hparams, problem.space)
    if problem.driver == "scan":
        state, values, vectors = _record_compiled(*arguments, state, t, n, keep_states=keep_states)
        return state, np.asarray(values)[:n], np.asarray(vectors)[:n]
    values = []
    vectors = []
    for i in range(n):
        state, value, vector = _record_step(*arguments, state, t + i, keep_states=keep_states)
        values.append(np.asarray(value))
        vectors.append(np.asarray(vector))
    return state, np.stack(values), np.stack(vectors)


@functools.partial(jax.jit, static_argnames=("space", "keep_states"))
def _record_step(
    map_: AbstractMap, hparams: Any, space: PhaseSpace, state: State, t: Any, *, keep_states: bool
) -> tuple[State, jax.Array, jax.Array]:
    """Return the next state, and the observation and coordinates of the present one."""
    vector = space.split(state)[0]
    after = map_.step(state, hparams, jnp.asarray(t, jnp.int32))
    return after, map_.observe(state, hparams), vector if keep_states else vector[:0]


@functools.partial(jax.jit, static_argnames=("space", "keep_states"))
def _record_compiled(
    map_: AbstractMap,
    hparams: Any,
    space: PhaseSpace,
    state: State,
    t: Any,
    n: Any,
    *,
    keep_states: bool,
) -> tuple[State, jax.Array, jax.Array]:
    """Run n steps into buffers of `CHUNK` rows, so that any n <= CHUNK is one compilation."""
    step = functools.partial(_record_step, map_, hparams, space, keep_states=keep_states)
    _, value, vector = jax.eval_shape(step, state, t)

    def body(i: Any, carry: Any) -> Any:
        state, values, vectors = carry
        after, value, vector = step(state, t + i)
        return after, values.at[i].set(value), vectors.at[i].set(vector)

    buffers = (
        jnp.zeros((CHUNK, *value.shape), value.dtype),
        jnp.zeros((CHUNK, *vector.shape), vector.dtype),
    )
    return jax.lax.fori_loop(0, n, body, (state, *buffers))
