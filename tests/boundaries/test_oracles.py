"""Labels at points of a window: the same as those of `evaluate`, counted and capped."""

from types import MappingProxyType
from typing import final

import numpy as np
import pytest

from dynfrac.boundaries import oracles
from dynfrac.boundaries.journals import Journal
from dynfrac.boundaries.oracles import Oracle
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.systems.abstract import AbstractMap
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
    assert 2.0**26 < coarse / fine <= 2.0**29
    assert fine < 2.0**-35


@pytest.mark.parametrize(("low", "high"), [(10.0, 100.0), (1e-3, 1e-2), (0.1, 1e3)])
def test_single_precision_leaves_octaves_wherever_a_logarithmic_window_lies(low, high):
    axis = Axis("lr", low, high)
    oracle = Oracle(QuadraticDescent(), [axis], budget=10, n_steps=10, dtype="float32")
    assert np.log2(2.0**-4 / oracle.finest) > 8
    places = 0.7 + oracle.finest * np.array([0.0, 1.0])
    first, second = axis.values(places).astype(np.float32)
    ulps = (second - first) / np.spacing(first)
    assert 300 < ulps < 4000


# Slices, what is kept, and the last bit


def test_long_requests_are_answered_in_slices_and_progress_is_told():
    sizes, told = [], []

    def labels(points):
        sizes.append(len(points))
        return (points[:, 0] > 0).astype(int)

    oracle = Oracle(labels, [START], budget=3000, on_progress=told.append)
    positions = np.random.default_rng(2).random((3000, 1))
    np.testing.assert_array_equal(oracle(positions), positions[:, 0] > 0.5)
    assert len(sizes) > 1 and sum(sizes) == 3000
    assert told == list(np.cumsum(sizes))
    assert oracle(positions[:0]).shape == (0,)


def test_slices_of_a_map_change_no_label():
    positions = np.linspace(0, 1, 500)[:, None]
    options = {"budget": 1000, "n_steps": 60, "lanes": 8}
    oracle = Oracle(Logistic(), [Axis("r", 3.9, 4.1)], **options)
    assert oracle._pace.size == 32
    whole = Oracle(Logistic(), [Axis("r", 3.9, 4.1)], **options)
    whole._pace.size = 500
    np.testing.assert_array_equal(oracle(positions), whole(positions))


def test_what_is_asked_is_kept_on_request_with_the_outcomes():
    oracle = Oracle(QuadraticDescent(), [RATE], budget=9, n_steps=50, keep=True)
    positions = np.array([[0.2], [0.9]])
    labels = oracle(positions)
    ((asked, answers, losses),) = oracle.asked
    np.testing.assert_array_equal(asked, positions)
    assert answers[0] == Status.CONVERGED and answers[1] in (Status.ESCAPED, Status.NOT_FINITE)
    assert oracle.labels_of(answers).tolist() == labels.tolist() == [1, 0]
    assert losses is None
    assert Oracle(nothing, [START], budget=9).asked == []


@final
class Still(AbstractMap):
    """A map that does nothing, with hyperparameters of all kinds."""

    ranges = MappingProxyType({"share": (0.0, 1.0)})

    @property
    def defaults(self):
        return {"lr": 0.1, "share": 1.0, "decay": 0.3, "zero": 0.0, "seed": 3.0}

    def init(self, hparams):
        return hparams["lr"]

    def step(self, state, hparams, t):
        return state

    def observe(self, state, hparams):
        return state


def test_a_nudge_moves_every_hyperparameter_by_one_rounding():
    given = {"lr": np.array([0.25, 0.5]), "decay": 0.7}
    moved = oracles._nudged(Still(), given, np.dtype(np.float64))
    eps = 2.0**-52
    assert moved["lr"].tolist() == [0.25 * (1 + eps), 0.5 * (1 + eps)]
    assert moved["decay"] == 0.7 * (1 + eps) != 0.7
    # The first may not be exceeded, and there is nothing between a seed and the next.
    assert (moved["share"], moved["zero"], moved["seed"]) == (1.0, 0.0, 3.0)
    short = oracles._nudged(Still(), {"lr": 0.3}, np.dtype(np.float32))
    assert short["lr"] == np.float32(0.3) * np.float32(1 + 2.0**-23) != np.float32(0.3)


def test_a_nudged_map_is_run_at_the_moved_values(monkeypatch):
    monkeypatch.setattr(oracles, "_nudged", lambda map_, values, real: {"lr": 10.0 + values["lr"]})
    positions = np.array([[0.1], [0.2]])
    plain, nudged = (
        Oracle(QuadraticDescent(), [RATE], budget=9, n_steps=50, nudge=nudge)(positions)
        for nudge in (False, True)
    )
    assert plain.tolist() == [1, 1] and nudged.tolist() == [0, 0]


def test_a_function_is_nudged_as_well():
    seen = []

    def labels(points):
        seen.append(points)
        return np.zeros(len(points), int)

    Oracle(labels, [START], budget=9, nudge=True)(np.array([[0.75]]))
    assert seen[0][0, 0] == 1 + 2.0**-52


def test_losses_may_be_recorded_every_so_many_steps():
    oracle = Oracle(QuadraticDescent(), [RATE], budget=9, n_steps=50, every=10)
    expected = evaluate(QuadraticDescent(), {"lr": [0.1]}, n_steps=50, every=10)
    assert oracle.conditions == expected.conditions
    with pytest.raises(ValueError, match="every=10 means nothing to a function"):
        Oracle(nothing, [START], budget=9, every=10)


def test_last_losses_are_kept_on_request_and_come_back_from_a_journal(tmp_path):
    positions = np.random.default_rng(2).random((30, 2))
    axes, given = [RATE, START], {"budget": 100, "n_steps": 20, "keep": True, "losses": True}
    rates, starts = (axis.values(u) for axis, u in zip(axes, positions.T, strict=True))
    expected = evaluate(QuadraticDescent(), {"lr": rates, "w0": starts}, n_steps=20)
    for n_kept in (0, 30):
        with Journal(tmp_path / "kept", {}) as journal:
            oracle = Oracle(QuadraticDescent(), axes, journal=journal, **given)
            np.testing.assert_array_equal(oracle(positions), expected.labels)
            np.testing.assert_array_equal(oracle.asked[0].losses, expected.final_loss)
            assert journal.n_kept == n_kept
    with (
        Journal(tmp_path / "kept", {}) as journal,
        pytest.raises(ValueError, match="answers other questions"),
    ):
        Oracle(QuadraticDescent(), axes, journal=journal, **{**given, "losses": False})(positions)
    with pytest.raises(ValueError, match="losses=True means nothing to a function"):
        Oracle(nothing, [START], budget=10, losses=True)
