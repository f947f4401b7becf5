"""Frames, lanes, and runs that are left and taken up again."""

import dataclasses
import math
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.orbits import frames
from dynfrac.orbits.checkpoints import Checkpoint, specification_of
from dynfrac.orbits.frames import orthonormalise, random_frame
from dynfrac.orbits.iteration import prepare
from dynfrac.orbits.lanes import Lanes, lanes_over, perturbed_lanes
from dynfrac.orbits.tangent_runs import Plan, run_tangents
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.systems.descents import CubicDescent, QuadraticDescent
from dynfrac.systems.interval_maps import Logistic
from dynfrac.systems.numerics import precision

# Frames


@pytest.mark.parametrize(("k", "d"), [(1, 1), (1, 7), (2, 2), (4, 9), (8, 8), (9, 40)])
def test_frames_are_those_of_a_qr_factorisation(k, d):
    tangents = (
        np.random.default_rng(k * d).standard_normal((k, d)) * np.logspace(0, -12, k)[:, None]
    )
    frame, increments, defined = orthonormalise(jnp.asarray(tangents))
    columns, triangle = np.linalg.qr(tangents.T)
    np.testing.assert_allclose(increments, np.log(np.abs(np.diagonal(triangle))), atol=1e-12)
    # Up to signs, which nothing depends on.
    np.testing.assert_allclose(np.abs(np.sum(columns.T * frame, axis=1)), 1, atol=1e-12)
    np.testing.assert_allclose(frame @ frame.T, np.eye(k), atol=1e-14)
    assert defined


@pytest.mark.parametrize("n_unrolled", [0, 8])
def test_dependent_tangents_leave_an_orthonormal_frame(monkeypatch, n_unrolled):
    monkeypatch.setattr(frames, "UNROLLED", n_unrolled)
    tangents = jnp.asarray([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    frame, increments, defined = orthonormalise(tangents)
    np.testing.assert_allclose(increments, [0, -math.inf, math.log(2)])
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-15)
    assert defined
    assert not orthonormalise(tangents.at[0, 0].set(jnp.inf))[2]


def test_tiny_and_huge_tangents_neither_underflow_nor_overflow():
    _, increments, _ = orthonormalise(jnp.asarray([[1e-200, 1e-200], [-1e200, 1e200]]))
    np.testing.assert_allclose(
        increments,
        [math.log(math.sqrt(2)) - 200 * math.log(10)] * np.array([1, 0])
        + (math.log(math.sqrt(2)) + 200 * math.log(10)) * np.array([0, 1]),
        rtol=1e-14,
    )


def test_a_row_of_the_first_frame_does_not_depend_on_their_number():
    few, many = (random_frame(3, k, 50, np.dtype("float64")) for k in (2, 20))
    np.testing.assert_allclose(few, many[:2], atol=1e-15)


# Lanes


def lanes_of(map_, hparams=None, n_starts=1, **options):
    return perturbed_lanes(prepare(map_, hparams, differentiate=True, **options), n_starts, 0)


def test_starts_are_near_the_own_one_and_zeros_stay():
    with precision():
        lanes = lanes_of(QuadraticDescent((1.0, 2.0), heavy_ball=True), n_starts=200)
        few = lanes_of(QuadraticDescent((1.0, 2.0), heavy_ball=True), n_starts=3)
    weights = np.asarray(lanes.states["weights"])
    np.testing.assert_array_equal(weights[0], 1.0)
    assert 0.008 < weights[1:].std() < 0.012 and abs(weights.mean() - 1) < 0.003
    assert not np.any(lanes.states["buffer"])
    np.testing.assert_array_equal(few.states["weights"], weights[:3])


def test_a_start_at_zero_has_no_neighbours():
    with precision(), pytest.raises(ValueError, match="n_starts=2 .* zero everywhere"):
        lanes_of(Quadratic(), n_starts=2)


def test_lanes_over_hyperparameters_start_where_these_say():
    with precision():
        _, lanes = lanes_over(Logistic(), {"r": 3.0, "x0": [0.1, 0.2, 0.4]})
    np.testing.assert_array_equal(lanes.states, [0.1, 0.2, 0.4])
    np.testing.assert_array_equal(lanes.hparams["r"], 3.0)
    with pytest.raises(ValueError, match=r"r \(2,\), x0 \(3,\)"):
        lanes_over(Logistic(), {"r": [1.0, 2.0], "x0": [0.1, 0.2, 0.4]})


@pytest.mark.parametrize("driver", ["scan", "host"])
def test_a_lane_that_blows_up_disturbs_no_other(driver):
    plan = Plan(5, 10, 300)

    def run(r):
        with precision():
            _, lanes = lanes_over(Logistic(), {"r": r})
            return run_tangents(dataclasses.replace(lanes, driver=driver), 1, plan, seed=0)

    tame, wild = run([3.9, 3.8, 3.7]), run([3.9, 5.0, 3.7])
    assert wild[1].stopped_at == 12 and len(wild[1].increments) == 0
    assert math.isnan(wild[1].motion)
    for lane in (0, 2):
        # To the last bit: the batches have one shape.
        np.testing.assert_array_equal(tame[lane].increments, wild[lane].increments)
        np.testing.assert_array_equal(tame[lane].state, wild[lane].state)
        np.testing.assert_array_equal(tame[lane].observations, wild[lane].observations)
        assert len(wild[lane].increments) == 300 and wild[lane].stopped_at == -1


@final
class Gap(AbstractMap):
    """A contraction that is not finite at one step, whatever the state is."""

    @property
    def defaults(self):
        return {"gap": -1.0}

    def init(self, hparams):
        return 1.0 + 0 * hparams["gap"]

    def step(self, state, hparams, t):
        return state * jnp.where(t == hparams["gap"], jnp.inf, 0.9)

    def observe(self, state, hparams):
        return state


@pytest.mark.parametrize("gap", [3, 25])
def test_a_lane_that_stopped_does_not_move_again(gap):
    with precision():
        _, lanes = lanes_over(Gap(), {"gap": [-1.0, float(gap)]})
        one, other = run_tangents(lanes, 1, Plan(10, 5, 40), seed=0)
    assert (one.stopped_at, other.stopped_at) == (-1, gap + 1)
    assert len(other.increments) == max(0, gap - 15)
    assert float(other.state) == pytest.approx(0.9**gap)


def test_lanes_are_single_runs():
    plan = Plan(0, 20, 50)
    with precision():
        _, lanes = lanes_over(Henon(), {"a": [1.4, 1.3, 1.2]})
        together = run_tangents(lanes, 2, plan, seed=4)
        for a, run in zip((1.4, 1.3, 1.2), together, strict=True):
            (alone,) = run_tangents(lanes_of(Henon(), {"a": a}), 2, plan, seed=4)
            # Another shape may round differently, which chaos doubles every second step.
            np.testing.assert_allclose(run.increments[:20], alone.increments[:20], atol=1e-9)


# Checkpoints


def wholesome(checkpoint):
    """Send a checkpoint through named arrays, as a file would."""
    arrays = {name: np.array(array) for name, array in checkpoint.to_arrays().items()}
    return Checkpoint.from_arrays(arrays)


@pytest.mark.parametrize("driver", ["scan", "host"])
@pytest.mark.parametrize("n_starts", [1, 3])
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(driver, n_starts):
    plan = Plan(1500, 40, 600)

    def lanes():
        return dataclasses.replace(lanes_of(Henon(), n_starts=n_starts), driver=driver)

    with precision():
        seen = []
        whole = run_tangents(lanes(), 2, plan, seed=1, on_checkpoint=seen.append)
        assert [c.t for c in seen][:3] == [1024, 1500, 1503] and seen[-1].t == 2140
        for index in (0, 1, 7, len(seen) // 2, -2, -1):
            resumed = run_tangents(lanes(), 2, plan, seed=1, resume=wholesome(seen[index]))
            for a, b in zip(whole, resumed, strict=True):
                for x, y in zip(jax.tree.leaves(vars(a)), jax.tree.leaves(vars(b)), strict=True):
                    np.testing.assert_array_equal(x, y)


def test_a_stopping_rule_is_asked_at_the_same_steps_after_a_resumption():
    asked = []

    def rule(increments):
        asked.append(len(increments[0]))
        return 0 if asked[-1] >= 900 else asked[-1] + 137

    plan = Plan(0, 10, 5000)
    with precision():
        seen = []
        (whole,) = run_tangents(
            lanes_of(Henon()), 2, plan, seed=1, rule=rule, on_checkpoint=seen.append
        )
        assert asked == [400, 537, 674, 811, 948] and len(whole.increments) == 948
        for checkpoint in (seen[20], seen[-1]):
            asked.clear()
            (resumed,) = run_tangents(
                lanes_of(Henon()), 2, plan, seed=1, rule=rule, resume=wholesome(checkpoint)
            )
            np.testing.assert_array_equal(whole.increments, resumed.increments)
            assert asked == [n for n in (400, 537, 674, 811, 948) if n > checkpoint.t - 10]


def test_a_checkpoint_of_another_run_is_refused():
    plan = Plan(0, 0, 50)
    with precision():
        seen = []
        run_tangents(lanes_of(Henon()), 2, plan, seed=1, on_checkpoint=seen.append)
        others = [
            (lanes_of(Henon(), {"a": 1.39}), 2, plan, 1),
            (lanes_of(Henon(), n_starts=2), 2, plan, 1),
            (lanes_of(Henon()), 1, plan, 1),
            (lanes_of(Henon()), 2, Plan(0, 0, 51), 1),
            (lanes_of(Henon()), 2, plan, 2),
            (lanes_of(CubicDescent()), 1, plan, 1),
        ]
        for lanes, k, other, seed in others:
            with pytest.raises(ValueError, match="belongs to another run"):
                run_tangents(lanes, k, other, seed=seed, resume=seen[-1])


def test_the_specification_knows_the_code_of_a_map():
    from dynfrac.systems.published import published_map

    def specification(lanes: Lanes):
        frames = random_frame(0, 1, lanes.space.dimension, lanes.dtype)[None]
        return specification_of(lanes, frames)

    with precision():
        tanh = lanes_of(published_map(width=3))
        relu = dataclasses.replace(
            tanh, map_=tanh.map_.replace(model=tanh.map_.model.replace(nonlinearity="relu"))
        )
        assert specification(tanh) == specification(lanes_of(published_map(width=3)))
        # The same weights, data and names; another non-linearity.
        assert specification(tanh) != specification(relu)


def test_arrays_without_a_field_are_no_checkpoint():
    with pytest.raises(ValueError, match="no checkpoint"):
        Checkpoint.from_arrays({"t": np.array(3)})
