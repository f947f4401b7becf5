"""Fingerprints tell maps apart that differ in anything, and are the same in every process."""

import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.orbits.rules import PublishedRule
from dynfrac.sweeps.fingerprints import fingerprint
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.descents import QuadraticDescent
from dynfrac.systems.interval_maps import Logistic
from dynfrac.systems.published import published_map

CODE = """
from dynfrac.sweeps.fingerprints import fingerprint
from dynfrac.systems.published import published_map
print(fingerprint(published_map(batch=16, optimizer="momentum")))
"""


def test_the_same_in_another_process():
    there = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    map_ = published_map(batch=16, optimizer="momentum")
    assert there.stdout.strip() == fingerprint(map_)


def test_every_part_of_a_training_map_counts():
    base = {"width": 4, "n_data": 5}
    variants = [
        {},
        {"width": 5},
        {"n_data": 6},
        {"seed": 1},
        {"nonlinearity": "relu"},
        {"optimizer": "adam"},
        {"batch": 2},
        {"batch": 2, "n_steps": 7},
        {"lr": 2.0},
        {"depth": 3},
    ]
    prints = [fingerprint(published_map(**{**base, **variant})) for variant in variants]
    assert len(set(prints)) == len(variants)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Henon(), Logistic()),
        (QuadraticDescent((1.0, 2.0)), QuadraticDescent((1.0, 2.5))),
        (PublishedRule(), PublishedRule(tail=10)),
        (np.float64(1), np.float32(1)),
        (np.zeros(4), np.zeros((2, 2))),
        (jnp.asarray([0.0]), jnp.asarray([-0.0])),
        (1, 1.0),
        (1, True),
        (("a", "b"), ("ab",)),
        ({"a": 1}, {"a": 2}),
        (np.sin, np.cos),
        (functools.partial(max, 1), functools.partial(max, 2)),
        (jax.random.key(0), jax.random.key(1)),
    ],
)
def test_different_things_differ(one, other):
    assert fingerprint(one) != fingerprint(other)


def test_where_an_array_lives_does_not_matter():
    values = np.arange(6.0).reshape(2, 3)
    assert fingerprint(values) == fingerprint(jnp.asarray(values))
    assert fingerprint(values) == fingerprint(np.asfortranarray(values))
    assert fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})


@jax.tree_util.register_pytree_node_class
class Holder:
    """A tree that is no dataclass, as modules of some libraries are."""

    def __init__(self, weights):
        self.weights = weights

    def tree_flatten(self):
        return (self.weights,), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)


def test_what_a_registered_tree_holds_counts():
    first, same, other = (Holder(np.full(3, value)) for value in (1.0, 1.0, 2.0))
    assert fingerprint(first) == fingerprint(same) != fingerprint(other)
