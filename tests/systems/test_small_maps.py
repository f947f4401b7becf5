"""Toy maps against what is known of them without the package."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.systems.descents import CubicDescent, QuadraticDescent, RippleDescent
from dynfrac.systems.interval_maps import Logistic

TOYS = [
    Logistic(),
    Henon(),
    Quadratic(),
    QuadraticDescent(),
    QuadraticDescent((1.0, 2.0, 5.0), heavy_ball=True),
    CubicDescent(),
    RippleDescent(),
]
NAMES = [f"{type(map_).__name__}-{i}" for i, map_ in enumerate(TOYS)]


def run(map_, hparams, n_steps):
    """Return the states x_0, ..., x_n of a plain Python loop."""
    hparams = {**map_.defaults, **hparams}
    states = [map_.init(hparams)]
    for t in range(n_steps):
        states.append(map_.step(states[-1], hparams, t))
    return states


@pytest.mark.parametrize("map_", TOYS, ids=NAMES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_step_keeps_structure_shapes_and_types(map_, dtype):
    hparams = {name: jnp.asarray(value, dtype) for name, value in map_.defaults.items()}
    cast = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), map_)
    before = jax.eval_shape(cast.init, hparams)
    after = jax.eval_shape(cast.step, before, hparams, 0)
    assert jax.tree.structure(before) == jax.tree.structure(after)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
        assert old.dtype == dtype
    observed = jax.eval_shape(cast.observe, after, hparams)
    assert (observed.shape, observed.dtype) == ((), dtype)


@pytest.mark.parametrize("map_", TOYS, ids=NAMES)
def test_the_tangent_map_matches_differences(map_):
    hparams = map_.defaults
    # A few steps in, where no coordinate is special.
    state = jax.tree.map(jnp.asarray, run(map_, {}, 3)[-1])
    rng = np.random.default_rng(7)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)), state)
    size = 1e-6

    def moved(amount):
        shifted = jax.tree.map(lambda x, v: x + amount * v, state, direction)
        return map_.step(shifted, hparams, 3)

    ahead, behind = moved(size), moved(-size)
    _, tangent = jax.jvp(lambda x: map_.step(x, hparams, 3), (state,), (direction,))
    for a, b, expected in zip(*map(jax.tree.leaves, (ahead, behind, tangent)), strict=True):
        # Central differences: error h^2 f'''/6, largest for the ripple with (2 pi / 0.1)^3.
        np.testing.assert_allclose((a - b) / (2 * size), expected, rtol=1e-5, atol=1e-6)


def test_logistic_settles_on_the_known_cycle():
    r = 3.2
    cycle = [(r + 1 + sign * np.sqrt((r - 3) * (r + 1))) / (2 * r) for sign in (-1, 1)]
    last = run(Logistic(), {"r": r}, 400)[-2:]
    # Each round contracts by 0.16; what is left is rounding.
    np.testing.assert_allclose(sorted(map(float, last)), cycle, atol=1e-12)


@pytest.mark.parametrize("sign", [-1, 1])
def test_henon_fixed_points_stay(sign):
    a, b = 1.4, 0.3
    x = -(1 - b) / (2 * a) + sign * np.sqrt(((1 - b) / (2 * a)) ** 2 + 1 / a)
    state = jnp.array([x, b * x])
    np.testing.assert_allclose(Henon().step(state, Henon().defaults, 0), state, atol=1e-15)


def test_quadratic_is_complex_squaring():
    hparams = {"c_re": -0.12, "c_im": 0.74, "z_re": 0.3, "z_im": -0.2}
    z = 0.3 - 0.2j
    for state in run(Quadratic(), hparams, 5):
        np.testing.assert_allclose(state, [z.real, z.imag], atol=1e-15)
        np.testing.assert_allclose(Quadratic().observe(state, hparams), abs(z), atol=1e-15)
        z = z * z + (-0.12 + 0.74j)


def test_plain_descent_multiplies_each_weight():
    h = np.array([1.0, 3.0, 7.0])
    states = run(QuadraticDescent(tuple(h)), {"lr": 0.2, "w0": 2.0}, 6)
    np.testing.assert_allclose(states[-1]["weights"], 2 * (1 - 0.2 * h) ** 6, rtol=1e-13)
    loss = QuadraticDescent(tuple(h)).observe(states[0], {})
    np.testing.assert_allclose(loss, 0.5 * 4 * h.sum(), rtol=1e-15)


def test_heavy_ball_obeys_its_second_order_recursion():
    h, lr, b = np.array([1.0, 3.0]), 0.3, 0.6
    states = run(QuadraticDescent(tuple(h), heavy_ball=True), {"lr": lr, "momentum": b}, 8)
    w = np.array([state["weights"] for state in states])
    np.testing.assert_allclose(w[2:], (1 + b - lr * h) * w[1:-1] - b * w[:-2], atol=1e-14)
    np.testing.assert_allclose(w[1], w[0] * (1 - lr * h), atol=1e-15)  # the buffer starts empty


@pytest.mark.parametrize("heavy_ball", [False, True])
def test_descent_escapes_exactly_beyond_the_stability_threshold(heavy_ball):
    map_ = QuadraticDescent((4.0,), heavy_ball=heavy_ball)
    sizes = []
    for factor in (0.99, 1.01):
        # The learning rate at which the curvature 4 is `factor` times the threshold.
        momentum = {"momentum": 0.5} if heavy_ball else {}
        lr = factor * (3.0 if heavy_ball else 2.0) / 4.0
        hparams = {"lr": lr, **momentum}
        assert float(map_.stability_threshold(hparams)) == pytest.approx(4.0 / factor)
        sizes.append(abs(float(run(map_, hparams, 2000)[-1]["weights"][0])))
    assert sizes[0] < 1e-3 < 1e3 < sizes[1]


def test_momentum_is_a_hyperparameter_of_the_heavy_ball_only():
    assert "momentum" not in QuadraticDescent().defaults
    assert "momentum" in QuadraticDescent(heavy_ball=True).defaults


def test_cubic_descent_has_its_escape_edge_on_the_cycle_w_to_minus_w():
    lr = 1.7
    edge = float(np.sqrt((2 + lr) / lr))
    after = CubicDescent().step(edge, {"lr": lr}, 0)
    assert after == pytest.approx(-edge, abs=1e-14)
    inside, outside = (
        abs(float(run(CubicDescent(), {"lr": lr, "w0": factor * edge}, 8)[-1]))
        for factor in (0.999, 1.05)
    )
    assert inside < edge and not outside < 1e6


@pytest.mark.parametrize("map_", [CubicDescent(), RippleDescent()])
def test_descent_subtracts_the_learning_rate_times_the_slope_of_its_loss(map_):
    hparams = map_.defaults
    w = jnp.asarray(0.37)
    slope = jax.grad(map_.observe)(w, hparams)
    expected = w - hparams["lr"] * slope
    np.testing.assert_allclose(map_.step(w, hparams, 0), expected, rtol=1e-14)
    assert float(map_.stability_threshold({"lr": 0.25})) == 8.0


def test_ripple_has_the_published_label_changes():
    # Liu, arXiv:2406.13971: label changes between 2^n + 1 equally spaced learning rates in
    # [0, 1.5], 1000 steps, diverged iff the loss ever passes 1e8. Beyond n = 6 they depend on
    # the last bit of the arithmetic.
    published = {0: 1, 1: 1, 2: 1, 3: 1, 4: 3, 5: 5, 6: 7}
    map_ = RippleDescent()

    def diverges(lr):
        hparams = {**map_.defaults, "lr": lr}

        def step(carry, t):
            x, over = carry
            over = over | ~(map_.observe(x, hparams) <= 1e8)
            return (map_.step(x, hparams, t), over), None

        return jax.lax.scan(step, (jnp.asarray(1.0), jnp.asarray(False)), jnp.arange(1000))[0][1]

    labels = np.asarray(jax.vmap(diverges)(jnp.linspace(0, 1.5, 65)))
    counts = {n: int(np.sum(np.diff(labels[:: 64 >> n]) != 0)) for n in published}
    assert counts == published
