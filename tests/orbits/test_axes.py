"""Axes: their points, their text form and what they refuse."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynfrac.orbits.axes import Axis, check_axes, natural_scale


def test_points_include_the_end_points_exactly():
    for axis in (Axis("lr", 1e-3, 1e6, 48), Axis("skip", 0.1, 0.7, 7), Axis("lr", 0.3, 0.7, 2)):
        points = axis.points()
        assert (points[0], points[-1], len(points)) == (axis.low, axis.high, axis.n)
        assert np.all(np.diff(points) > 0)


def test_logarithmic_points_are_those_of_the_published_grid():
    # Bit for bit, but for the last point, which is the end of the axis exactly.
    for n in (32, 48, 128, 256):
        points = Axis("lr_in", 1e-3, 1e6).points(n)
        np.testing.assert_array_equal(points[1:-1], np.asarray(jnp.logspace(-3, 6, n))[1:-1])


def test_grids_of_two_to_the_k_plus_one_points_nest():
    axis = Axis("x", -1.0, 3.0)
    np.testing.assert_array_equal(axis.points(17)[::2], axis.points(9))


@pytest.mark.parametrize(
    ("name", "scale"),
    [("lr", "log10"), ("lr_out", "log10"), ("weight_offset", "log10"), ("init_scale", "log10"),
     ("input_offset_per_step", "log10"), ("weight_decay", "log10"), ("clip_norm", "log10"),
     ("clip_value", "log10"), ("skip", "linear"), ("momentum", "linear"), ("b1", "linear"),
     ("label_noise", "linear"), ("clip", "linear"), ("anything", "linear")],
)  # fmt: skip
def test_scale_follows_the_hyperparameter(name, scale):
    assert natural_scale(name) == Axis(name, 0.1, 1.0).scale == scale


@pytest.mark.parametrize("name", ["seed", "n_steps", "batch_size"])
def test_what_counts_has_whole_points_on_a_linear_scale(name):
    assert natural_scale(name) == Axis(name, 1, 9).scale == "linear"
    assert Axis(name, 1, 8, 8).points().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert Axis(name, 1, 10, 5).points().tolist() == [1, 3, 6, 8, 10]
    assert Axis(name, 1, 100, 3, "log10").points().tolist() == [1, 10, 100]
    assert Axis("skip", 1, 10, 5).points().tolist() == [1, 3.25, 5.5, 7.75, 10]


@given(st.integers(0, 50), st.integers(1, 80), st.integers(2, 100))
def test_as_many_whole_points_as_there_are(low, length, resolution):
    axis = Axis("seed", low, low + length)
    n = axis.default_n(resolution)
    assert n == min(resolution, length + 1)
    points = axis.points(n)
    assert len(set(points)) == n and (points == points.astype(int)).all()
    assert (points[0], points[-1]) == (low, low + length)
    with pytest.raises(
        ValueError, match=f"would repeat whole numbers; give at most n={length + 1}"
    ):
        axis.points(length + 2)


@given(st.integers(1, 50), st.integers(1, 10_000), st.integers(2, 60))
def test_whole_points_on_a_logarithmic_scale_differ(low, length, resolution):
    axis = Axis("n_steps", low, low + length, None, "log10")
    n = axis.default_n(resolution)
    points = axis.points(n)
    assert 2 <= n <= resolution and (np.diff(points) >= 1).all()
    assert (points[0], points[-1]) == (low, low + length)


def test_axes_of_other_hyperparameters_have_any_number_of_points():
    assert Axis("lr", 1, 2).default_n(256) == 256
    assert Axis("b1", 0, 1).default_n(7) == 7


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("seed=0:15", Axis("seed", 0.0, 15.0)),
        ("lr=1e-3:10", Axis("lr", 1e-3, 10.0)),
        ("lr=1e-3:10:65", Axis("lr", 1e-3, 10.0, 65)),
        ("lr=-1:10:linear", Axis("lr", -1.0, 10.0, None, "linear")),
        ("skip=0.1:1:5:log10", Axis("skip", 0.1, 1.0, 5, "log10")),
    ],
)
def test_text_form(text, axis):
    assert Axis.parse(text) == axis


@pytest.mark.parametrize("text", ["lr", "lr=1", "=1:2", "lr=1:2:3:4", "lr=a:b", "lr=1:2:x", "lr="])
def test_text_that_is_no_axis_shows_the_form(text):
    with pytest.raises(ValueError, match="NAME=LOW:HIGH"):
        Axis.parse(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lr", 1.0, 1.0), "is empty"),
        (("lr", 2.0, 1.0), "is empty"),
        (("lr", 0.0, 1.0), "logarithmic scale"),
        (("lr", -1.0, 1.0), "logarithmic scale"),
        (("skip", 0.0, np.inf), "not finite"),
        (("skip", np.nan, 1.0), "not finite"),
        (("skip", 0.0, 1.0, 1), "at least 2"),
        (("skip", 0.0, 1.0, 5, "log2"), "linear or log10"),
        (("seed", 0.5, 3.0), "whole end points"),
        (("seed", 0.0, 3.5), "whole end points"),
        (("seed", -1.0, 3.0), "give at least 0"),
        (("n_steps", 0.0, 3.0), "give at least 1"),
        (
            ("seed", 0.0, 15.0, 17),
            "seed=0:15 with n=17 would repeat whole numbers; give at most n=16",
        ),
        (("batch_size", 1.0, 16.0, 9, "log10"), "give at most n=5"),
    ],
)
def test_what_cannot_be_an_axis_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Axis(*arguments)


@pytest.mark.parametrize("high", [5.0, 7.3, 0.7, 19.0])
def test_values_of_a_logarithmic_axis_stay_within_its_ends(high):
    values = Axis("lr", 0.05, high).values(np.linspace(0, 1, 50))
    assert values[0] == 0.05 and values[-1] == high and np.all(np.diff(values) > 0)


def test_axes_must_name_different_known_hyperparameters():
    x, y = Axis("lr_in", 0.1, 1.0), Axis("lr_out", 0.1, 1.0)
    check_axes([x, y], ["lr_in", "lr_out"])
    with pytest.raises(ValueError, match="on two axes"):
        check_axes([x, x], ["lr_in", "lr_out"])
    with pytest.raises(ValueError, match="did you mean 'lr_in'"):
        check_axes([Axis("lr_inn", 0.1, 1.0)], ["lr_in", "lr_out"])


@pytest.mark.parametrize("scale", ["linear", "log10"])
def test_positions_are_the_inverse_of_values(scale):
    axis = Axis("lr", 0.02, 30, 5, scale)
    for fraction in (0.0, 0.3, 1.0):
        assert axis.position(float(axis.values(np.array(fraction)))) == pytest.approx(fraction)
    assert axis.position(0.01) < 0 and axis.position(31) > 1
    assert np.isnan(Axis("lr", 0.02, 30, 5).position(-1.0))
