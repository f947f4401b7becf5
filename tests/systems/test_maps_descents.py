"""The exactly solvable training map: every phase of gradient descent on (w^2 - 1)^2 / 4."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.orbits.evaluator import evaluate
from dynfrac.systems.descents import CubicDescent

MAP = CubicDescent()


def descend(w, lr, n_steps):
    """Return w after n plain NumPy steps, for any shape."""
    for _ in range(n_steps):
        w = w * (1 + lr - lr * w * w)
    return w


def critical_point(lr):
    """Return where the map is stationary, between the maximum of the loss and a minimum."""
    return np.sqrt((1 + lr) / (3 * lr))


@pytest.mark.parametrize("lr", [0.3, 0.5, 0.9])
def test_small_learning_rates_converge_at_the_known_rate(lr):
    slope = jax.grad(lambda w: MAP.step(w, {"lr": lr}, 0))(1.0)
    assert slope == pytest.approx(1 - 2 * lr, abs=1e-15)
    w = descend(np.array([0.1, 0.7, -0.4, 1.2]), lr, 400)
    np.testing.assert_allclose(np.abs(w), 1, atol=1e-12)


def test_the_cascade_has_its_superstable_cycles_where_they_are_known():
    # Seven digits of the learning rates at which the critical point has period 1, 2, 4, ...
    known = [0.5, 1.1213203, 1.2629897, 1.2938433, 1.3004747, 1.3018960, 1.3022005, 1.3022657]
    for k, lr in enumerate(known):
        # The return of the critical point changes sign between the rounded neighbours.
        below, above = (
            descend(critical_point(x), x, 2**k) - critical_point(x) for x in (lr - 1e-7, lr + 1e-7)
        )
        assert below * above < 0, lr
        if k:
            # Not a cycle of half the period: that one has long lost its stability.
            assert abs(descend(critical_point(lr), lr, 2 ** (k - 1)) - critical_point(lr)) > 1e-6
    ratios = np.diff(known)[:-1] / np.diff(known)[1:]
    np.testing.assert_allclose(ratios[:4], [4.386, 4.592, 4.6527, 4.6656], atol=2e-3)
    assert known[1] == pytest.approx(3 / math.sqrt(2) - 1, abs=1e-7)


def test_cycles_double_at_learning_rate_one_and_accumulate():
    starts = np.linspace(0.2, 1.1, 50)
    for lr, period in ((0.99, 1), (1.01, 2), (1.22, 2), (1.27, 4), (1.295, 8)):
        w = descend(starts, lr, 20_000)
        np.testing.assert_allclose(descend(w, lr, period), w, atol=1e-8)
        assert np.all(np.abs(descend(w, lr, max(period // 2, 1)) - w) > 1e-3) or period == 1


def test_both_wells_merge_at_the_known_learning_rate():
    merge = 3 * math.sqrt(3) / 2 - 1
    for shift, crosses in ((-2e-3, False), (2e-3, True)):
        lr, w = merge + shift, np.linspace(0.3, 1.1, 200)
        changed = np.zeros(200, bool)
        w = descend(w, lr, 1000)
        sign = np.sign(w)
        for _ in range(3000):
            w = descend(w, lr, 1)
            changed |= np.sign(w) != sign
        assert changed.all() == crosses == changed.any()


def test_almost_every_start_diverges_beyond_learning_rate_two():
    starts = np.linspace(-0.9, 0.95, 301)
    below = evaluate(MAP, {"lr": 1.999, "w0": starts}, n_steps=3000)
    beyond = evaluate(MAP, {"lr": 2.01, "w0": starts}, n_steps=3000)
    assert below.labels.all()
    assert beyond.labels.mean() < 0.01


def test_at_learning_rate_two_it_is_a_chebyshev_polynomial():
    # With w = sqrt(2) cos(angle) a step multiplies the angle by three.
    angle = np.linspace(0.1, 3.0, 40)
    after = MAP.step(jnp.asarray(math.sqrt(2) * np.cos(angle)), {"lr": 2.0}, 0)
    np.testing.assert_allclose(after, -math.sqrt(2) * np.cos(3 * angle), atol=1e-14)
    # The exponent is ln 3: mean log slope over random starts of the invariant density.
    w = math.sqrt(2) * np.cos(np.pi * np.random.default_rng(3).random(200_000))
    slopes = np.log(np.abs(3 - 6 * w * w))
    assert slopes.mean() == pytest.approx(math.log(3), abs=4 * slopes.std() / math.sqrt(200_000))


def test_reach_is_one_at_the_edge_of_divergence():
    for lr in (0.5, 1.5, 2.5):
        edge = math.sqrt((2 + lr) / lr)
        for w in (edge, -edge):
            assert MAP.metrics(w, {"lr": lr})["reach"] == pytest.approx(1, abs=1e-15)
        assert MAP.step(edge, {"lr": lr}, 0) == pytest.approx(-edge, abs=1e-14)
