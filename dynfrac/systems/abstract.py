"""The one abstraction of dynfrac: a map that is iterated, `x_{t+1} = step(x_t, hparams, t)`.

A map takes hyperparameters to an initial state (`init`), a state to the next one (`step`) and a
state to the real number that is watched (`observe`: the loss of a network, a norm of a toy map).
Everything else in the package is written against these three functions and `defaults`.

A user's own map is about ten lines::

    @final
    class Tent(AbstractMap):
        @property
        def defaults(self):
            return {"slope": 1.9, "x0": 0.3}

        def init(self, hparams):
            return hparams["x0"]

        def step(self, state, hparams, t):
            return hparams["slope"] * jnp.minimum(state, 1 - state)

        def observe(self, state, hparams):
            return jnp.abs(state)
"""

from __future__ import annotations

import abc
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from dynfrac.systems.nodes import Node

State = Any
Hparams = Mapping[str, Any]


class AbstractMap(Node, abc.ABC):
    """A discrete-time dynamical system with named hyperparameters.

    Subclasses are frozen pytrees: array fields (data, initial weights) are leaves, everything that
    selects code (kinds, widths) is a static field, `struct.field(pytree_node=False)`. All three
    methods must be traceable by jax.

    Notes
    -----
    The inexact (floating-point) leaves of the state are the phase space; integer leaves such as an
    optimizer's step counter are clock, not state, and are left out of every tangent space.

    Ten attributes are optional, and read with `getattr`:

    `rule`
        Name of the outcome rule used when none is asked for, such as ``"bounded:2"``
        (`dynfrac.orbits.rules`); the published rule without it.
    `preferred_dtype`
        ``"float32"`` for maps that are costly in float64, which is the default.
    `dtypes`
        Types it can be computed in, if not only float64 and float32.
    `ranges`
        Least and largest value of hyperparameters by name, checked before a run.
    `drive`
        ``"host"`` if a CPU should step the map from the host instead of in a compiled loop.
    `slaved`
        Names of state fields that no other field ever reads (BatchNorm's running statistics).
        Each would add an exponent of its own without saying anything about the dynamics.
    `is_doomed(state) -> bool`
        True only if *every* later observation is not-a-number. Lets the evaluator of a driven map
        stop early without approximating anything.
    `metrics(state, hparams) -> dict of str to real scalar`
        What may be recorded at the end of a run, or watched by a rule, besides the observation.
        Not-a-number once the run is doomed.
    `stability_threshold(hparams) -> float or None`
        Curvature of the observed loss above which a minimum repels, such as 2 / lr.
    `exponent_sum(hparams) -> float or None`
        Sum of all Lyapunov exponents where it is known beforehand: the mean of ln abs(det J).
    """

    @property
    @abc.abstractmethod
    def defaults(self) -> dict[str, float]:
        """Every hyperparameter this map takes, with the value used when none is given."""

    @abc.abstractmethod
    def init(self, hparams: Hparams) -> State:
        """Return the state at t = 0, a pytree of arrays.

        Parameters
        ----------
        hparams : dict of str to real scalar
            All the names in `defaults`.
        """

    @abc.abstractmethod
    def step(self, state: State, hparams: Hparams, t: ArrayLike) -> State:
        """Return the state at t + 1, of the same structure, shapes and dtypes as `state`.

        Parameters
        ----------
        state : pytree of arrays
        hparams : dict of str to real scalar
        t : int
            The step, counted from 0. It selects the minibatch; an autonomous map ignores it.
        """

    @abc.abstractmethod
    def observe(self, state: State, hparams: Hparams) -> Any:
        """Return the real scalar that outcome rules judge: the loss, or a norm for toy maps."""


def unknown_name(kind: str, name: str, names: Iterable[str]) -> ValueError:
    """Build the error for a name that does not exist: it suggests the nearest and lists them all.

    Parameters
    ----------
    kind : str
        What the name was meant to be, such as ``"hyperparameter"``.
    name : str
        What was given.
    names : iterable of str
        What exists.

    Returns
    -------
    ValueError
        To be raised by the caller.
    """
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    listed = ", ".join(known) if known else "none"
    return ValueError(f"unknown {kind} {name!r}; {hint}known: {listed}")


def resolve_hparams(map_: AbstractMap, hparams: Mapping[str, Any] | None) -> dict[str, Any]:
    """Complete hyperparameters with a map's defaults and refuse names that it does not take.

    Parameters
    ----------
    map_ : AbstractMap
    hparams : mapping of str to scalar or array, optional
        Values for some or all of the names in `map_.defaults`; real numbers.

    Returns
    -------
    dict
        One entry for each name in `map_.defaults`, in that order.

    Raises
    ------
    ValueError
        If a name is unknown or a value is not a real number.
    """
    defaults = map_.defaults
    given = dict(hparams or {})
    for name, value in given.items():
        if name not in defaults:
            raise unknown_name("hyperparameter", name, defaults)
        # Traced values have a dtype too; only the kind is looked at, never the value.
        kind = np.dtype(getattr(value, "dtype", None) or np.asarray(value).dtype).kind
        if kind not in "fiub" and not _is_extended_float(value):
            raise ValueError(f"hyperparameter {name}={value!r} is not a real number; pass a float")
    return {name: given.get(name, default) for name, default in defaults.items()}


def check_ranges(map_: AbstractMap, values: Mapping[str, Any]) -> None:
    """Refuse hyperparameters that are outside the ranges which a map declares.

    Parameters
    ----------
    map_ : AbstractMap
        Its optional attribute `ranges` maps names to least and largest values.
    values : mapping of str to number or array
        Known numbers, not traced ones.

    Raises
    ------
    ValueError
        With the hyperparameter, the first value at fault and the range.
    """
    for name, (low, high) in getattr(map_, "ranges", {}).items():
        numbers = np.ravel(np.asarray(values.get(name, low), float))
        outside = numbers[~((numbers >= low) & (numbers <= high))]
        if outside.size:
            raise ValueError(f"{name}={outside[0]:g} is not between {low:g} and {high:g}")


def _is_extended_float(value: Any) -> bool:
    """Whether `value` has one of the short float types that NumPy reports as void (bfloat16)."""
    return "float" in str(getattr(value, "dtype", ""))
