"""The phase space: what is a coordinate, and that splitting a state can be undone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.orbits.phase import phase_space
from dynfrac.systems.descents import QuadraticDescent
from dynfrac.systems.interval_maps import Logistic


class Training(NamedTuple):
    """A state with everything that can be in one."""

    weights: dict
    statistics: object
    count: object


class Described:
    """Stands in for a map: only `slaved` is read."""

    slaved = ("statistics",)


STATE = Training(
    weights={"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.float64(7.0)},
    statistics=(jnp.ones(4), jnp.zeros(4)),
    count=jnp.int32(3),
)


def test_coordinates_are_the_inexact_leaves_that_are_not_slaved():
    space = phase_space(Described(), STATE)
    vector, rest = space.split(STATE)
    assert space.dimension == 7
    np.testing.assert_array_equal(np.sort(vector), np.arange(1.0, 8.0) - (np.arange(7) < 6) * 1.0)
    assert [np.shape(leaf) for leaf in rest] == [(4,), (4,), ()]


def test_without_slaved_fields_statistics_count():
    assert phase_space(Logistic(), STATE).dimension == 15
    on_request = phase_space(Described(), STATE, slaved=True)
    assert on_request.dimension == 15
    assert [np.shape(leaf) for leaf in on_request.split(STATE)[1]] == [()]


def test_join_undoes_split():
    space = phase_space(Described(), STATE)
    back = space.join(*space.split(STATE))
    assert jax.tree.structure(back) == jax.tree.structure(STATE)
    for old, new in zip(jax.tree.leaves(STATE), jax.tree.leaves(back), strict=True):
        assert old.dtype == new.dtype
        np.testing.assert_array_equal(old, new)


def test_a_complex_leaf_gives_two_real_coordinates():
    state = {"z": jnp.array([1 + 2j, 3 - 4j]), "x": jnp.array([5.0])}
    space = phase_space(Logistic(), state)
    vector, rest = space.split(state)
    assert space.dimension == 5 and vector.dtype == np.float64
    assert set(np.asarray(vector).tolist()) == {1.0, 2.0, 3.0, -4.0, 5.0}
    np.testing.assert_array_equal(space.join(vector, rest)["z"], state["z"])


def test_a_scalar_state_is_one_coordinate():
    space = phase_space(Logistic(), jnp.asarray(0.5))
    assert space.dimension == 1
    assert space.join(jnp.array([0.25]), []).shape == ()


def test_equal_states_give_equal_hashable_spaces():
    one, other = (phase_space(QuadraticDescent(), {"weights": jnp.full(2, x)}) for x in (0.0, 1.0))
    assert one == other and hash(one) == hash(other)


def test_a_state_without_coordinates_is_refused():
    with pytest.raises(ValueError, match="no floating-point coordinate"):
        phase_space(Logistic(), {"count": jnp.int32(0)})


def test_a_slaved_field_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="unknown slaved field.*'statistics'.*known: weights"):
        phase_space(Described(), {"weights": jnp.ones(2)})


def test_an_empty_slaved_field_is_there():
    assert phase_space(Described(), {"weights": jnp.ones(2), "statistics": None}).dimension == 2
    assert phase_space(Described(), {"weights": jnp.ones(2), "statistics": {}}).dimension == 2
