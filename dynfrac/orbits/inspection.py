"""What can be learned of a map without running it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal, jaxprs_in_params

from dynfrac.orbits.kernels import Readings
from dynfrac.orbits.rules import AbstractRule
from dynfrac.orbits.stretching import LYAPUNOV
from dynfrac.systems.abstract import AbstractMap, unknown_name
from dynfrac.systems.numerics import cast_floats, choose_dtype, hparam_dtype, precision


def state_size(map_: AbstractMap) -> int:
    """Return the number of entries of a map's state, counters included."""
    with precision():
        leaves = jax.tree.leaves(_example(map_)[1])
    return sum(math.prod(leaf.shape) for leaf in leaves)


def largest_array(map_: AbstractMap) -> int:
    """Return the entries of the largest array that a step of one run makes, read off its trace.

    Of a network these are activations, which are many times its weights. Arrays that do not depend
    on the run, such as the data, do not count.
    """
    real = choose_dtype(map_)  # some maps cannot be traced in another type than theirs
    with precision():
        map_ = cast_floats(map_, real)
        hparams, state = _example(map_, real)
        closed = jax.make_jaxpr(map_.step)(state, hparams, 0)
    return max([state_size(map_), *_dependent_sizes(closed.jaxpr)])


def _dependent_sizes(jaxpr: Any) -> Iterator[int]:
    """Yield the entries of all that is computed from the arguments of a trace, inner ones too."""
    known = set(jaxpr.invars)
    for eqn in jaxpr.eqns:
        if not any(v in known for v in eqn.invars if not isinstance(v, Literal)):
            continue
        known.update(eqn.outvars)
        yield from (math.prod(v.aval.shape) for v in eqn.outvars if hasattr(v.aval, "shape"))
        for inner in jaxprs_in_params(eqn.params):
            yield from _dependent_sizes(inner)


def is_autonomous(map_: AbstractMap, real: np.dtype | str = "float64") -> bool:
    """Whether `step` ignores the time `t`, read off its trace.

    Parameters
    ----------
    map_ : AbstractMap
    real : dtype
        That of the map's arrays.

    Returns
    -------
    bool
        False also when the trace passes `t` on to an inner function that may or may not use it.
    """
    with precision():
        hparams, state = _example(map_, real)
        closed = jax.make_jaxpr(map_.step)(state, hparams, 0)
    time = closed.jaxpr.invars[-1]
    used = any(time is v for eqn in closed.jaxpr.eqns for v in eqn.invars)
    return not used and all(time is not v for v in closed.jaxpr.outvars)


def host_driven(map_: AbstractMap) -> bool:
    """Whether the present device is to step the map from the host, one call a step."""
    return getattr(map_, "drive", "scan") == "host" and jax.default_backend() == "cpu"


def metric_names(map_: AbstractMap) -> tuple[str, ...]:
    """Return the names of a map's metrics, what may be recorded or watched besides the loss."""
    if not hasattr(map_, "metrics"):
        return ()
    real = choose_dtype(map_)

    def metrics(map_: Any, state: Any, hparams: Any) -> Any:
        return cast_floats(map_, real).metrics(state, hparams)

    with precision():
        hparams, state = _example(map_, real)
        return tuple(jax.eval_shape(metrics, map_, state, hparams))


def choose_readings(
    map_: AbstractMap,
    rule: AbstractRule,
    record: Sequence[str],
    every: int,
    *,
    fixed_length: bool = True,
) -> Readings:
    """Return what is read off each run, after checking that the map has it.

    Any map has the metric ``"lyapunov"``, which a tangent is carried along for.

    Raises
    ------
    ValueError
        If the rule watches or `record` names a metric that the map does not have, or final
        readings are wanted of runs whose lengths differ.
    """
    watch = rule.watch
    names = {*metric_names(map_), LYAPUNOV} if record or watch != "loss" else ()
    for name in (*record, *({watch} - {"loss"})):
        if name not in names:
            raise unknown_name(f"metric of {type(map_).__name__}:", name, names)
    finals = tuple(record) if watch == "loss" else (*record, "loss")
    if finals and not fixed_length:
        why = f"the rule {rule.name}" if watch != "loss" else f"recording {', '.join(finals)}"
        raise ValueError(f"{why} needs runs of one length; drop it, or the axis n_steps")
    return Readings(watch, finals, every)


def _example(map_: AbstractMap, real: np.dtype | str = "float64") -> tuple[dict[str, Any], Any]:
    """Default hyperparameters and the abstract initial state."""
    kind = hparam_dtype(np.dtype(jnp.dtype(real)))
    hparams = {name: np.asarray(value, kind) for name, value in map_.defaults.items()}
    return hparams, jax.eval_shape(lambda h: cast_floats(map_.init(h), real), hparams)
