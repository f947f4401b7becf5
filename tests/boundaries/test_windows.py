"""Window rules: the same window for everybody, found without looking."""

import math

import numpy as np
import pytest

from dynfrac.boundaries.windows import RayWindow, make_window_rule
from dynfrac.orbits.axes import Axis
from dynfrac.systems.catalogue import make_map
from dynfrac.systems.descents import QuadraticDescent

RATES = [Axis("lr_in", 1e-3, 1e3), Axis("lr_out", 1e-3, 1e3)]


def below(points):
    return points.prod(axis=1) < 1.0


def width_in_decades(axis):
    return math.log10(axis.high / axis.low)


def test_the_window_of_descent_on_a_quadratic_is_where_theory_says():
    # 1 - 3 lr is below -1 in size for lr > 2/3, and no other eigenvalue is larger.
    search = [Axis("lr", 1e-3, 1e3)]
    window = RayWindow(width=0.5)(QuadraticDescent(), search, n_steps=400, lanes=1)
    (axis,) = window.axes
    # After 400 steps the mean of the last 20 losses tells 2/3 to about 1/400 of it.
    assert math.sqrt(axis.low * axis.high) == pytest.approx(2 / 3, rel=2e-3)
    assert width_in_decades(axis) == pytest.approx(0.5)
    assert window.points[0, 0] == pytest.approx(math.sqrt(axis.low * axis.high), rel=1e-9)
    assert window.rule == "rays:0.5" and window.flags == () and window


def test_the_diagonal_decides_and_the_other_rays_are_told():
    window = RayWindow(width=1)(below, RATES)
    np.testing.assert_allclose(window.points.prod(axis=1), 1.0, rtol=1e-6)
    assert len(window.points) == 5
    # The diagonal of the search box meets lr_in lr_out = 1 at (1, 1); the rays at 15 degrees from
    # it at decades (3 - 3 x) from the corner with tan(60 degrees) = sqrt(3) between them.
    np.testing.assert_allclose(window.points[0], 1.0, rtol=1e-5)
    np.testing.assert_allclose(
        np.sort(np.log10(window.points[1:3] * 1e3).max(axis=1)), 6 * 3**0.5 / (1 + 3**0.5)
    )
    for axis in window.axes:
        assert axis.low == pytest.approx(10**-0.5, rel=1e-5)
        assert width_in_decades(axis) == pytest.approx(1)


def test_linear_axes_have_a_fraction_of_the_search_range():
    search = [Axis("lr", 1e-3, 1e3), Axis("w0", -4.0, 4.0)]

    def labels(points):
        return np.log10(points[:, 0]) + points[:, 1] < 0.7  # met by the diagonal of the box at 0.3

    rate, start = RayWindow(width=0.25)(labels, search).axes
    assert width_in_decades(rate) == pytest.approx(0.25)
    assert start.high - start.low == pytest.approx(2.0)
    assert (start.high + start.low) / 2 == pytest.approx(0.4, abs=1e-5)


@pytest.mark.parametrize(("n_axes", "n_rays"), [(1, 1), (2, 5), (3, 7)])
def test_runs_are_counted_and_never_more_than_announced(n_axes, n_rays):
    search = [Axis(name, 0.0, 1.0) for name in "xyz"[:n_axes]]
    seen = []

    def labels(points):
        seen.append(points)
        return (points**2).sum(axis=1) < 0.5

    window = RayWindow(width=0.1)(labels, search)
    assert window.n_runs == sum(map(len, seen)) <= RayWindow().most_runs(n_axes)
    assert len(window.points) == n_rays
    np.testing.assert_allclose((window.points**2).sum(axis=1), 0.5, atol=1e-6)
    # All rays of a step are asked together, so that a batch of lanes is filled.
    assert max(map(len, seen)) == n_rays
    assert len({tuple(p) for p in window.points.round(6).tolist()}) == n_rays


def test_of_several_crossings_the_first_counts():
    def rings(points):
        return np.floor(4 * np.linalg.norm(points, axis=1)).astype(int) % 2 == 0

    search = [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)]
    window = RayWindow(width=0.1)(rings, search)
    np.testing.assert_allclose(np.linalg.norm(window.points, axis=1), 0.25, atol=1e-6)


def test_rays_can_start_elsewhere_and_go_where_there_is_room():
    search = [Axis("x", -2.0, 2.0), Axis("y", -2.0, 2.0)]
    window = RayWindow(0.1, reference=(0.5, -0.5))(
        lambda points: (abs(points) < 1).all(axis=1), search
    )
    # Down along x and up along y, at equal angles around that diagonal.
    assert np.all(window.points[:, 0] < 0.5) and np.all(window.points[:, 1] > -0.5)
    assert window.points[0] == pytest.approx([-1, 1])


def test_a_julia_set_is_found_from_inside():
    search = [Axis("z_re", -2.0, 2.0), Axis("z_im", -2.0, 2.0)]
    hparams = {"c_re": -1.0, "c_im": 0.0}
    rule = RayWindow(0.05, reference=(0.0, 0.0))
    window = rule(make_map("quadratic"), search, n_steps=100, hparams=hparams, lanes=4)
    first = window.points[0]
    assert first[0] == pytest.approx(first[1]) and 0.2 < first[0] < 1
    corner = RayWindow(0.05)(make_map("quadratic"), search, n_steps=100, hparams=hparams, lanes=4)
    assert not corner and corner.n_runs == 1
    assert corner.flags == ("the reference point does not converge: give another one",)


def test_where_the_diagonal_meets_nothing_another_ray_decides_and_it_is_said():
    window = RayWindow(0.2)(
        lambda points: points[:, 1] < 0.3 + points[:, 0],
        [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)],
    )
    assert window.axes and "met no boundary" in window.flags[0]
    assert len(window.points) == 2  # the two rays that are steeper than the diagonal


def test_a_window_is_shifted_back_into_the_search_box():
    search = [Axis("lr", 1e-2, 1.0), Axis("w0", 0.0, 1.0)]
    window = RayWindow(width=1.0)(lambda points: points[:, 0] < 0.5, search)
    rate, start = window.axes
    assert rate.high == pytest.approx(1.0) and rate.low == pytest.approx(0.1)
    assert (start.low, start.high) == (0.0, 1.0)
    # The second axis is as wide as its box, and nothing can be done about it.
    assert "shifted along lr:" in window.flags[0]


def test_no_boundary_and_too_small_a_budget_are_no_window():
    empty = RayWindow()(lambda points: np.ones(len(points), int), RATES)
    assert not empty and empty.points.shape == (0, 2) and "no ray met" in empty.flags[0]
    assert empty.n_runs == 1 + 5 * 24
    for budget in (0, 1, 10, 100):
        short = RayWindow()(below, RATES, budget=budget)
        assert not short and short.n_runs <= budget
        assert f"the budget of {budget} runs ended" in short.flags[0]


def test_a_rule_is_its_name():
    for rule in (
        RayWindow(),
        RayWindow(0.25, 9),
        RayWindow(2, 1, (0.1, -3.5e-7)),
        RayWindow(1, n_march=48, halvings=10),
    ):
        assert make_window_rule(rule.name) == rule
    assert RayWindow().name == "rays:1"
    assert make_window_rule(RayWindow(3)) == RayWindow(3)
    assert "decades" in RayWindow().description


@pytest.mark.parametrize(
    "text", ["rays", "rays:", "rays:x", "box:1", "rays:1:2:3", "rays:1@", "rays:1@a", "rays:1/2"]
)
def test_a_name_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"window=.* write rays:WIDTH"):
        make_window_rule(text)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 0}, "width=0"),
        ({"width": math.inf}, "width=inf"),
        ({"n_rays": 4}, "n_rays=4"),
        ({"n_march": 0}, "n_march=0"),
        ({"halvings": -1}, "halvings=-1"),
    ],
)
def test_numbers_out_of_range_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        RayWindow(**fields)


def test_what_does_not_fit_the_search_box_is_refused():
    with pytest.raises(ValueError, match=r"width=7 decades is more than .* lr_in=0.001:1000"):
        RayWindow(7)(below, RATES)
    with pytest.raises(ValueError, match="outside the search box"):
        RayWindow(reference=(1.0, 1e4))(below, RATES)
    with pytest.raises(ValueError, match="outside the search box"):
        RayWindow(reference=(1.0, -1.0))(below, RATES)
    with pytest.raises(ValueError, match="has 1 values for 2 axes"):
        RayWindow(reference=(1.0,))(below, RATES)


def test_a_box_one_window_wide_is_not_warned_of():
    search = [Axis("lr", 1e-3, 1e3), Axis("weight_offset", 0.01, 0.1)]
    window = RayWindow(width=1)(lambda points: points[:, 0] < 3.0, search)
    assert window and window.flags == ()
    assert (window.axes[1].low, window.axes[1].high) == pytest.approx((0.01, 0.1))
