"""The phase space of a map: the floating-point part of its state, as one flat vector.

A state is a pytree. Its real and complex leaves are coordinates; its integer leaves (step counters,
keys) are clock; fields that a map calls `slaved` are carried along without being coordinates.
Tangent dynamics and Hessians act on the vector, maps on the pytree, and `PhaseSpace` translates.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.systems.abstract import AbstractMap, State, unknown_name
from dynfrac.systems.numerics import is_inexact


@final
@dataclasses.dataclass(frozen=True)
class PhaseSpace:
    """How a state splits into a vector of coordinates and the rest.

    Hashable and without arrays, so that it can be a static argument of compiled functions.

    Attributes
    ----------
    treedef : PyTreeDef
        Structure of the state.
    is_coordinate : tuple of bool
        For each leaf of the state, whether it belongs to the phase space.
    shapes : tuple of tuple of int
        Shapes of the coordinate leaves.
    dtypes : tuple of numpy dtype
        Their types; a complex leaf gives two real coordinates per entry, real parts first.
    """

    treedef: Any
    is_coordinate: tuple[bool, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype, ...]

    @property
    def dimension(self) -> int:
        """Number of real coordinates."""
        return sum(
            math.prod(shape) * (2 if dtype.kind == "c" else 1)
            for shape, dtype in zip(self.shapes, self.dtypes, strict=True)
        )

    def split(self, state: State) -> tuple[jax.Array, list[Any]]:
        """Return the coordinates of a state as one vector, and its other leaves.

        Parameters
        ----------
        state : pytree
            Of the structure this phase space was made for.

        Returns
        -------
        vector : (dimension,) real array
        rest : list of arrays
            Clock and slaved leaves, in the order of the state.
        """
        leaves = self.treedef.flatten_up_to(state)
        parts = []
        rest = []
        for leaf, chosen in zip(leaves, self.is_coordinate, strict=True):
            if not chosen:
                rest.append(leaf)
            elif jnp.iscomplexobj(leaf):
                parts += [jnp.ravel(jnp.real(leaf)), jnp.ravel(jnp.imag(leaf))]
            else:
                parts.append(jnp.ravel(leaf))
        return jnp.concatenate(parts), rest

    def join(self, vector: jax.Array, rest: list[Any]) -> State:
        """Return the state that `split` took apart.

        Parameters
        ----------
        vector : (dimension,) real array
        rest : list of arrays

        Returns
        -------
        pytree
        """
        others = iter(rest)
        coordinates = iter(zip(self.shapes, self.dtypes, strict=True))
        leaves = []
        start = 0

        def take(shape: tuple[int, ...]) -> jax.Array:
            nonlocal start
            stop = start + math.prod(shape)
            part = vector[start:stop].reshape(shape)
            start = stop
            return part

        for chosen in self.is_coordinate:
            if not chosen:
                leaves.append(next(others))
                continue
            shape, dtype = next(coordinates)
            leaf = jax.lax.complex(take(shape), take(shape)) if dtype.kind == "c" else take(shape)
            leaves.append(leaf.astype(dtype))
        return jax.tree.unflatten(self.treedef, leaves)


def phase_space(map_: AbstractMap, state: State, *, slaved: bool = False) -> PhaseSpace:
    """Return the phase space of a map, from one of its states.

    Parameters
    ----------
    map_ : AbstractMap
        Its optional attribute `slaved` names fields at the top of the state (dictionary keys,
        attributes or positions) that no other field reads; they are not coordinates.
    state : pytree of arrays
        Any state of the map; only structure, shapes and types are read.
    slaved : bool, default False
        Whether slaved fields are to be coordinates all the same.

    Returns
    -------
    PhaseSpace

    Raises
    ------
    ValueError
        If the state has no floating-point coordinate, or `slaved` names a field it lacks.

    Notes
    -----
    A BatchNorm running statistic is the typical slaved field: training never reads it, so it adds
    one exponent ln(momentum) per entry and says nothing about the run.
    """
    left_out = frozenset(getattr(map_, "slaved", ()))
    # One level down, None (a field without leaves) still counts as a field.
    top, _ = jax.tree_util.tree_flatten_with_path(state, is_leaf=lambda node: node is not state)
    fields = {_name(path[0]) for path, _ in top if path}
    for name in sorted(left_out - fields):
        raise unknown_name(f"slaved field of {type(map_).__name__}'s state", name, fields)
    if slaved:
        left_out = frozenset()

    paths_and_leaves, treedef = jax.tree_util.tree_flatten_with_path(state)
    is_coordinate = []
    shapes = []
    dtypes = []
    for path, leaf in paths_and_leaves:
        chosen = is_inexact(leaf) and not (path and _name(path[0]) in left_out)
        is_coordinate.append(chosen)
        if chosen:
            shapes.append(tuple(np.shape(leaf)))
            dtypes.append(np.dtype(jnp.result_type(leaf)))
    space = PhaseSpace(treedef, tuple(is_coordinate), tuple(shapes), tuple(dtypes))
    if space.dimension == 0:
        raise ValueError(
            f"the state of {type(map_).__name__} has no floating-point coordinate to iterate; "
            "return at least one floating-point array from init"
        )
    return space


def _name(key: Any) -> str:
    """Return what one step of a pytree path stands for: a field, a dictionary key, a position."""
    for attribute in ("name", "key", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)
