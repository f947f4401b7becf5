"""Labels at points of a window: the same as those of `evaluate`, counted and capped."""

import numpy as np
import pytest

from dynfrac.boundaries.oracles import Oracle
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import evaluate
from dynfrac.systems.descents import QuadraticDescent
from dynfrac.systems.interval_maps import Logistic

RATE = Axis("lr", 1e-3, 10.0)
START = Axis("w0", -2.0, 2.0)


def nothing(points):
    return np.zeros(len(points), int)


def test_a_map_is_asked_at_values_of_its_axes():
    oracle = Oracle(QuadraticDescent(), [RATE, START], budget=100, n_steps=50)
    positions = np.random.default_rng(1).random((40, 2))
    labels = oracle(positions)
    # Position 0.5 of a logarithmic axis is its geometric middle.
    rates, starts = 10 ** (-3 + 4 * positions[:, 0]), -2 + 4 * positions[:, 1]
    expected = evaluate(QuadraticDescent(), {"lr": rates, "w0": starts}, n_steps=50).labels
    np.testing.assert_array_equal(labels, expected)
    assert 0 < labels.mean() < 1
    assert (oracle.used, oracle.left) == (40, 60)


def test_a_label_does_not_depend_on_what_is_asked_with_it():
    oracle = Oracle(Logistic(), [Axis("r", 3.9, 4.1)], budget=200, n_steps=60)
    positions = np.linspace(0, 1, 64)[:, None]
    together = oracle(positions)
    np.testing.assert_array_equal(together[40:], oracle(positions[40:]))


def test_a_function_sees_axis_values_and_may_use_any_integers():
    seen = []

    def labels(points):
        seen.append(points)
        return np.full(len(points), 7, np.uint8)

    oracle = Oracle(labels, [Axis("a", 1.0, 100.0, scale="log10"), START], budget=10)
    assert oracle(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist() == [7, 7]
    np.testing.assert_allclose(seen[0], [[10.0, 0.0], [100.0, -2.0]], atol=1e-12)


def test_the_budget_is_a_hard_cap():
    oracle = Oracle(nothing, [START], budget=10)
    oracle(np.zeros((10, 1)))
    with pytest.raises(RuntimeError, match="1 labels are asked for, and 0 are left"):
        oracle(np.zeros((1, 1)))


@pytest.mark.parametrize(
    "returned", [lambda n: np.zeros(n - 1, int), lambda n: np.zeros(n), lambda n: 0]
)
def test_a_function_that_returns_no_labels_is_refused(returned):
    oracle = Oracle(lambda points: returned(len(points)), [START], budget=10)
    with pytest.raises(ValueError, match="return 5 integers"):
        oracle(np.zeros((5, 1)))
    assert oracle.used == 0


@pytest.mark.parametrize(
    ("axes", "options", "reason"),
    [
        ([], {}, "0 axes"),
        ([RATE] * 4, {}, "4 axes"),
        ([Axis("seed", 0, 9)], {}, "whole numbers"),
        ([RATE], {"n_steps": 5}, "n_steps=5 means nothing to a function"),
        ([RATE], {"rule": "published"}, "rule='published' means nothing"),
    ],
)
def test_what_does_not_fit_a_function_is_refused(axes, options, reason):
    with pytest.raises(ValueError, match=reason):
        Oracle(nothing, axes, budget=10, **options)


@pytest.mark.parametrize(
    ("axes", "options", "reason"),
    [
        ([RATE], {}, "n_steps=None"),
        ([Axis("rate", 0.0, 1.0)], {"n_steps": 5}, "unknown hyperparameter 'rate'"),
        ([RATE, RATE], {"n_steps": 5}, "two axes"),
        ([RATE], {"n_steps": 5, "hparams": {"lr": 1.0}}, "lr is an axis and is set as well"),
    ],
)
def test_what_does_not_fit_a_map_is_refused(axes, options, reason):
    with pytest.raises(ValueError, match=reason):
        Oracle(QuadraticDescent(), axes, budget=10, **options)


@pytest.mark.parametrize(
    "axis",
    [START, RATE, Axis("lr", 1.0, 1.0001, scale="linear"), Axis("lr", 1e6, 1.001e6)],
    ids=str,
)
def test_points_at_the_finest_distance_are_hundreds_of_roundings_apart(axis):
    finest = Oracle(nothing, [axis], budget=10).finest
    low, high = axis.values(np.array([0.7, 0.7 + finest]))
    steps = (high - low) / np.spacing(max(abs(low), abs(high)))
    assert 200 < steps < 2**24


def test_float32_runs_out_of_distances_sooner():
    fine = Oracle(QuadraticDescent(), [RATE], budget=10, n_steps=5).finest
    coarse = Oracle(QuadraticDescent(), [RATE], budget=10, n_steps=5, dtype="float32").finest
    assert coarse / fine == pytest.approx(2.0**29)
    assert fine < 2.0**-35
