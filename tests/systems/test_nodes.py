"""Pytrees of different classes are different, whatever their fields."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from flax import struct

from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.catalogue import make_map
from dynfrac.systems.nodes import Node


def shift(amount):
    class Shift(AbstractMap):
        gain: jax.Array = struct.field(default_factory=lambda: jnp.ones(()))

        @property
        def defaults(self):
            return {"a": 0.0}

        def init(self, hparams):
            return jnp.zeros(())

        def step(self, state, hparams, t):
            return state + amount

        def observe(self, state, hparams):
            return state

    return Shift()


def test_no_map_runs_the_program_of_another():
    maps = [shift(float(i)) for i in range(100)]
    step = jax.jit(lambda map_: map_.step(jnp.zeros(()), {"a": 0.0}, 0))
    assert [float(step(map_)) for map_ in maps] == [float(i) for i in range(100)]
    assert len({jax.tree.structure(map_) for map_ in maps}) == len(maps)


def test_maps_of_the_catalogue_differ():
    names = ("henon", "lozi", "logistic", "tent", "cat", "standard", "newton")
    structures = [jax.tree.structure(make_map(name)) for name in names]
    assert all(a != b for i, a in enumerate(structures) for b in structures[:i])


def test_a_node_is_a_frozen_dataclass_and_a_tree():
    class Pair(Node):
        x: float
        kind: str = struct.field(pytree_node=False, default="a")

    pair = Pair(1.0)
    assert jax.tree.leaves(pair) == [1.0]
    assert jax.tree.map(lambda x: 2 * x, pair) == Pair(2.0) == pair.replace(x=2.0)
    assert jax.tree.structure(pair) == jax.tree.structure(Pair(3.0))
    assert jax.tree.structure(pair) != jax.tree.structure(Pair(1.0, "b"))
    assert jax.tree_util.keystr(jax.tree_util.tree_flatten_with_path(pair)[0][0][0]) == ".x"
    with pytest.raises(dataclasses.FrozenInstanceError):
        pair.x = 2.0  # pyright: ignore[reportAttributeAccessIssue]
