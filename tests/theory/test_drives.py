"""Minibatches as a drive: exponents of products, thresholds, and repellers that change in time."""

import math
from typing import final

import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from dynfrac import (
    AbstractMap,
    Axis,
    boundary_dimension,
    evaluate,
    iterate,
    lyapunov_spectrum,
    training_map,
)
from dynfrac.boundaries.bounds import entropy_ceiling, entropy_floor, escape_ceiling
from dynfrac.systems.published import published_map

LN = math.log


def regression(curvatures, **options):
    """One weight and one example a step: the example i has the loss h_i (w - c_i)^2 / 2."""
    x = np.sqrt(np.asarray(curvatures) / 2)[:, None]
    targets = x * np.linspace(-0.5, 1.0, len(x))[:, None]
    network = ({"w": np.full((1, 1), 3.0)}, lambda params, inputs: inputs @ params["w"])
    options = {"batch": 1, "order": "sequential", **options}
    return training_map(network, (x, targets), **options)


def test_exponents_of_a_fixed_order_are_those_of_an_epoch():
    curvatures, lr = np.array([0.4, 1.5, 3.0]), 0.3
    spectrum = lyapunov_spectrum(regression(curvatures), {"lr": lr}, n_steps=3000, n_warmup=300)
    expected = np.mean(np.log(np.abs(1 - lr * curvatures)))
    assert spectrum.exponents[0] == pytest.approx(expected, abs=1e-10)


def is_stable(map_, lr):
    """Tell whether two starts come closer, which the place of the minimum does not enter."""
    one, other = (
        iterate(map_, {"lr": lr, "weight_offset": offset}, n_steps=400, keep_states=True).states
        for offset in (0.0, 1e-3)
    )
    return bool(abs(one[-1, 0] - other[-1, 0]) < 1e-3)


@pytest.mark.parametrize(
    ("curvatures", "lr", "descent", "driven"),
    [
        ([0.5, 3.5], 0.9, True, False),
        ([1.0, 3.0], 1.01, False, True),
    ],
)
def test_neither_threshold_implies_the_other(curvatures, lr, descent, driven):
    full = regression(curvatures, batch=None)
    assert (abs(1 - lr * np.mean(curvatures)) < 1) == descent
    assert (np.mean(np.log(np.abs(1 - lr * np.array(curvatures)))) < 0) == driven
    assert is_stable(full, lr) == descent
    assert is_stable(regression(curvatures), lr) == driven


@pytest.mark.parametrize("lr", [0.05, 0.3])
def test_below_the_first_sign_change_batches_contract_faster(lr):
    curvatures = np.array([0.4, 1.5, 3.0])
    driven, full = (
        lyapunov_spectrum(map_, {"lr": lr}, n_steps=900, n_warmup=30).exponents[0]
        for map_ in (regression(curvatures), regression(curvatures, batch=None))
    )
    assert full == pytest.approx(LN(1 - lr * curvatures.mean()), abs=1e-10)
    assert driven < full - 1e-4


def test_runs_with_one_sequence_meet_at_the_rate_of_the_exponent():
    curvatures, lr, n = np.array([0.4, 1.5, 3.0, 2.2]), 0.35, 60
    map_ = regression(curvatures, order="drawn", n_steps=n)
    one, other = (
        iterate(map_, {"lr": lr, "weight_offset": c}, n_steps=n, keep_states=True).states[:, 0]
        for c in (0.0, 5.0)
    )
    rows = np.asarray(map_.batches.indices)[: n - 1, 0]
    sums = np.concatenate([[0.0], np.cumsum(np.log(np.abs(1 - lr * curvatures[rows])))])
    gap = np.abs(one - other)
    seen = gap > 1e-9
    assert seen.sum() > 15
    np.testing.assert_allclose(np.log(gap[seen] / gap[0]), sums[seen], atol=1e-5)


def test_meeting_almost_surely_asks_for_less_than_meeting_in_the_mean_square():
    curvatures = np.array([0.5, 3.5])
    for lr in np.arange(0.05, 1.5, 0.04):
        factors = np.abs(1 - lr * curvatures)
        assert np.mean(np.log(factors)) < 0.5 * LN(np.mean(factors**2)) - 1e-4
    between = np.abs(1 - 0.7 * curvatures)
    assert np.mean(np.log(between)) < 0 < LN(np.mean(between**2))


def test_minibatches_do_not_change_the_volume_of_heavy_ball():
    map_ = published_map(width=2, optimizer="momentum", batch=2, n_steps=40)
    spectrum = lyapunov_spectrum(map_, {"lr": 0.3, "momentum": 0.6}, n_steps=30, n_warmup=0)
    assert spectrum.exponents.sum() == pytest.approx(6 * LN(0.6), abs=1e-9)


# An open map that is driven


@final
class DrivenTent(AbstractMap):
    """A tent whose slope is that of the step, from a list that repeats itself."""

    slopes: tuple = struct.field(pytree_node=False, default=(2.5, 4.0))
    rule = "parity:0.5"

    @property
    def defaults(self):
        return {"x0": 0.3}

    def init(self, hparams):
        return hparams["x0"]

    def step(self, state, hparams, t):
        slopes = jnp.asarray(self.slopes)
        return slopes[t % len(self.slopes)] * jnp.minimum(state, 1 - state)

    def observe(self, state, hparams):
        return jnp.abs(state - 0.5)


def driven_labels(slopes):
    """Return the parity of the step at which the tent of these slopes lets a start go."""

    def labels(points):
        x, left = points[:, 0].copy(), np.full(len(points), -1)
        for t in range(80):
            left[(left < 0) & (abs(x - 0.5) > 0.5)] = t
            x = slopes[t % len(slopes)] * np.minimum(x, 1 - x)
            x[left >= 0] = 0.5
        return left % 2

    return labels


def rates(slopes):
    return float(np.mean(np.log(slopes)) - LN(2)), float(np.mean(np.log(slopes)))


@pytest.mark.parametrize("slopes", [(2.5, 4.0), (2.2, 2.2, 6.0)])
def test_a_driven_tent_has_equality_in_means(slopes):
    kappa, exponent = rates(slopes)
    dimension = LN(2) / exponent
    for bound in (
        escape_ceiling(kappa, exponent),
        entropy_ceiling(LN(2), exponent),
        entropy_floor(LN(2), exponent),
    ):
        assert bound.value == pytest.approx(dimension, abs=1e-12)
    # The mean dimension of the tents is another number, and larger.
    assert np.mean(LN(2) / np.log(slopes)) > dimension + 1e-3
    axis = [Axis("x0", 0.0, 1.0)]
    found = boundary_dimension(driven_labels(slopes), axis, budget=100_000, seed=1)
    assert found.stderr < 0.025
    assert abs(found.value - dimension) < 4 * found.stderr


def test_the_order_of_a_drive_moves_the_boundary_and_keeps_its_dimension():
    forth, back = (2.5, 4.0), (4.0, 2.5)
    places = np.linspace(0.001, 0.999, 2000)[:, None]
    assert np.any(driven_labels(forth)(places) != driven_labels(back)(places))
    assert rates(forth) == pytest.approx(rates(back), abs=1e-15)
    found = [
        boundary_dimension(driven_labels(s), [Axis("x0", 0.0, 1.0)], budget=100_000, seed=2)
        for s in (forth, back)
    ]
    gap = math.hypot(found[0].stderr, found[1].stderr)
    assert abs(found[0].value - found[1].value) < 4 * gap


def test_the_labels_are_those_of_the_map():
    places = np.linspace(0.001, 0.999, 300)
    status = evaluate(DrivenTent(), {"x0": places}, n_steps=60).t_escape
    np.testing.assert_array_equal(status % 2, driven_labels((2.5, 4.0))(places[:, None]))
