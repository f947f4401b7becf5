"""Runs that carry a derivative: how much a change of hyperparameters grows before it is decided.

`stretch_runs` gives the largest stretching of each of many runs, `stretch_histories` that of every
step. Both drive a `Sensitive` map, the first by the evaluator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.batch_sizes import default_lanes
from dynfrac.orbits.columns import check_steps, columns_of
from dynfrac.orbits.evaluator import Evaluator
from dynfrac.orbits.inspection import host_driven, metric_names
from dynfrac.orbits.kernels import fold, initial_states, read
from dynfrac.orbits.rules import AbstractRule, close_record, make_rule, start_record
from dynfrac.orbits.sensitive_maps import FINAL, GROWN, LARGEST, SensitiveState, direction_name
from dynfrac.orbits.sensitive_maps import Sensitive as Sensitive
from dynfrac.orbits.stretching import LYAPUNOV, plain_map
from dynfrac.systems.abstract import AbstractMap, check_ranges, resolve_hparams, unknown_name
from dynfrac.systems.numerics import cast_floats, choose_dtype, hparam_dtype, precision


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Stretches:
    """What became of N runs, and how much they stretched before it was decided.

    Attributes
    ----------
    status : (N,) uint8 array
        Codes of `Status`. A run that left the limit is judged there, whatever it would have done
        later.
    t_escape : (N,) int32 array
        0-based index of the first value over the limit or not finite, else -1.
    largest : (N,) float array
        max(0, max ln norm(v_t)) over the states up to the deciding one, or all that were recorded.
    final : (N,) float array
        ln norm(v_t) of the last of these states whose derivative is finite, at most `largest`.
    grown_at : (N,) int32 array
        Index of the last of these states by which the largest had grown by another factor e; 0 if
        it never did.
    conditions : dict
        As of `Outcomes`.
    """

    status: np.ndarray
    t_escape: np.ndarray
    largest: np.ndarray
    final: np.ndarray
    grown_at: np.ndarray
    conditions: dict[str, Any]

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.status)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Histories:
    """Losses and derivatives of N runs at every step.

    Attributes
    ----------
    losses : (N, n_steps) float array
        What the rule watches. Not-a-number after the deciding value.
    logs : (N, n_steps) float array
        ln norm(v_t) of the state whose loss stands beside it: minus infinity where v_t is zero,
        not-a-number where it is not finite and after the deciding value.
    t_escape : (N,) int array
        Index of the deciding value, else -1.
    status : (N,) uint8 array
    """

    losses: np.ndarray
    logs: np.ndarray
    t_escape: np.ndarray
    status: np.ndarray

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.status)


def window_directions(
    axes: Sequence[Axis], positions: np.ndarray, units: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return hyperparameters at places of a window, and their derivatives along directions.

    Parameters
    ----------
    axes : sequence of Axis
        The d axes of the window, which is the unit cube.
    positions : (N, d) float array
        In [0, 1].
    units : (N, d) float array
        Unit vectors of the cube.

    Returns
    -------
    hparams, directions : dicts of str to (N,) array
        What `stretch_runs` takes: the values, and d value / d position times the unit vector's
        component.
    """
    hparams, directions = {}, {}
    for axis, place, unit in zip(axes, positions.T, units.T, strict=True):
        values = axis.values(place)
        slope = axis.high - axis.low
        if axis.scale == "log10":
            slope = values * np.log(axis.high / axis.low)
        hparams[axis.name], directions[axis.name] = values, slope * unit
    return hparams, directions


def stretch_runs(
    map_: AbstractMap,
    hparams: Mapping[str, Any],
    directions: Mapping[str, Any],
    *,
    n_steps: int,
    rule: str | AbstractRule | None = None,
    dtype: str | None = None,
    lanes: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Stretches:
    """Run a map at many hyperparameters, each run with one derivative, until it is decided.

    Parameters
    ----------
    map_ : AbstractMap
    hparams : mapping of str to scalar or (N,) array
        As for `dynfrac.evaluate`.
    directions : mapping of str to scalar or (N,) array
        dh/ds of one or more hyperparameters (`window_directions`), finite.
    n_steps, rule, dtype, lanes, on_progress
        As for `dynfrac.evaluate`. A type shorter than float32 is refused.

    Returns
    -------
    Stretches

    Raises
    ------
    ValueError
        As `dynfrac.evaluate`; for directions of unknown hyperparameters, none at all, or values
        that are not finite; for a rule that watches the Lyapunov exponent.

    Notes
    -----
    A run costs one and a half to three plain ones. Runs of a map that does not look at the step
    leave early once they are decided; those on minibatches go on standing still to the end.
    """
    map_, values = _with_directions(map_, hparams, directions, rule)
    evaluator = Evaluator(
        map_,
        n_steps=n_steps,
        record=(LARGEST, FINAL, GROWN),
        dtype=dtype,
        lanes=lanes,
        rule=map_.rule,
    )
    got = evaluator(values, on_progress=on_progress)
    return Stretches(
        status=got.status,
        t_escape=got.t_escape,
        largest=got.metrics[LARGEST],
        final=got.metrics[FINAL],
        grown_at=got.metrics[GROWN].astype(np.int32),
        conditions=got.conditions,
    )


def check_sensitive(
    map_: AbstractMap,
    names: Sequence[str],
    *,
    rule: str | AbstractRule | None = None,
    dtype: str | None = None,
) -> None:
    """Refuse beforehand what `stretch_runs` would refuse.

    Parameters
    ----------
    map_, rule, dtype
        As there.
    names : sequence of str
        Hyperparameters of the direction.

    Raises
    ------
    ValueError
        Also for a map that jax cannot differentiate forwards, which is traced to find that out.
    """
    sensitive, values = _with_directions(map_, {}, dict.fromkeys(names, 1.0), rule)
    real = choose_dtype(sensitive, dtype)
    columns = columns_of(resolve_hparams(sensitive, values), hparam_dtype(real))
    with precision():
        placed = cast_floats(sensitive, real)
        try:
            states = jax.eval_shape(partial(initial_states, real=real), placed, columns)
            jax.eval_shape(jax.vmap(placed.step, in_axes=(0, 0, None)), states, columns, 0)
        except (TypeError, NotImplementedError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0].rstrip(". ")
            raise ValueError(
                f"{type(map_).__name__} cannot carry a derivative ({reason}); a method that asks "
                "for labels alone, such as 'pairs', can measure it"
            ) from error


def stretch_histories(
    map_: AbstractMap,
    hparams: Mapping[str, Any],
    directions: Mapping[str, Any],
    *,
    n_steps: int,
    rule: str | AbstractRule | None = None,
    dtype: str | None = None,
) -> Histories:
    """Do the same as `stretch_runs`, and return all steps of all runs.

    Parameters
    ----------
    map_, hparams, directions, n_steps, rule, dtype
        As there.

    Returns
    -------
    Histories
        Of 16 N n_steps bytes.

    Raises
    ------
    ValueError
        As `stretch_runs`.
    """
    map_, values = _with_directions(map_, hparams, directions, rule)
    check_steps(n_steps, 1)
    real = choose_dtype(map_, dtype)
    columns = columns_of(resolve_hparams(map_, values), hparam_dtype(real))
    check_ranges(map_, columns)
    lanes = default_lanes(map_)
    n_runs = len(next(iter(columns.values())))
    parts = []
    with precision():
        placed = jax.device_put(cast_floats(map_, real))
        follow = _follow_on_host if host_driven(map_) else _follow
        for start in range(0, n_runs, lanes):
            rows = np.minimum(np.arange(start, start + lanes), n_runs - 1)
            batch = {name: column[rows] for name, column in columns.items()}
            readings = follow(placed, initial_states(placed, batch, real), batch, n_steps)
            parts.append(np.asarray(readings)[:, : n_runs - start])
        seen, logs = np.moveaxis(np.concatenate(parts, axis=1), 2, 0)
        record = fold(map_.rule, start_record(map_.rule, n_runs), seen, 0, n_steps, n_steps)
        status, _, t_escape, _ = map(np.asarray, close_record(map_.rule, record, n_steps))
    late = (t_escape[:, None] >= 0) & (np.arange(n_steps) > t_escape[:, None])
    losses, logs = (np.where(late, np.nan, part.T) for part in (seen, logs))
    return Histories(losses, logs, t_escape, status)


def _with_directions(
    map_: AbstractMap,
    hparams: Mapping[str, Any],
    directions: Mapping[str, Any],
    rule: str | AbstractRule | None,
) -> tuple[Sensitive, dict[str, Any]]:
    """Check the arguments; return the map with its derivative, and all its hyperparameters."""
    map_ = plain_map(map_)
    judge = make_rule(rule if rule is not None else getattr(map_, "rule", None))
    if judge.watch == LYAPUNOV and LYAPUNOV not in metric_names(map_):
        raise ValueError(
            f"the rule {judge.name} watches the Lyapunov exponent, which is no part of a run that "
            "carries a derivative; choose a rule for losses"
        )
    if not directions:
        raise ValueError("directions={} leads nowhere; give dh/ds of at least one hyperparameter")
    for name, values in directions.items():
        if name not in map_.defaults:
            raise unknown_name("hyperparameter", name, map_.defaults)
        if not np.all(np.isfinite(np.asarray(values, float))):
            raise ValueError(f"directions[{name!r}] has values that are not finite; mend them")
    components = {direction_name(name): values for name, values in directions.items()}
    return Sensitive(map_, judge, tuple(directions)), {**hparams, **components}


@partial(jax.jit, static_argnames="n_steps")
def _follow(map_: Sensitive, states: Any, hparams: Any, n_steps: int) -> jax.Array:
    """Return what `_look` sees of every state, (n_steps, lanes, 2)."""

    def body(states: Any, t: jax.Array) -> tuple[Any, jax.Array]:
        seen = jax.vmap(partial(_look, map_))(states, hparams)
        return jax.vmap(map_.step, in_axes=(0, 0, None))(states, hparams, t), seen

    return jax.lax.scan(body, states, jnp.arange(n_steps))[1]


def _follow_on_host(map_: Sensitive, states: Any, hparams: Any, n_steps: int) -> np.ndarray:
    """Do the same one lane after the other, one compiled step at a time."""
    columns = []
    for lane in range(len(states.decided)):
        state, point = jax.tree.map(lambda v, lane=lane: v[lane], (states, hparams))
        column = []
        for t in range(n_steps):
            seen, state = _look_and_step(map_, state, point, t)
            column.append(seen)
        columns.append(np.asarray(column))
    return np.stack(columns, axis=1)


@jax.jit
def _look_and_step(map_: Sensitive, state: Any, hparams: Any, t: int) -> Any:
    return _look(map_, state, hparams), map_.step(state, hparams, t)


def _look(map_: Sensitive, state: SensitiveState, hparams: Any) -> jax.Array:
    """Return what the rule watches, and ln norm(v_t)."""
    seen, log = read(map_, (map_.rule.watch, FINAL), state, hparams)
    return jnp.stack([seen, jnp.where(state.finite, log, jnp.nan)])
