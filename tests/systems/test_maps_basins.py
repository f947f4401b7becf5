"""Maps whose basins are drawn: labels against plain loops, attractors against what is known."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dynfrac.analysis.julia_sets import newton_basins
from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.systems.catalogue import make_map


@pytest.mark.parametrize("degree", [2, 3, 5])
def test_newton_runs_end_at_the_roots_of_the_picture(degree):
    n, size = 60, 1 / 3
    centres = ((np.arange(n) + 0.5) / n - 0.5) / size
    x, y = np.meshgrid(centres, centres)
    outcomes = evaluate(
        make_map("newton", degree=degree),
        {"z_re": x.ravel(), "z_im": y.ravel()},
        n_steps=100,
        record=("root",),
    )
    picture = newton_basins(n, degree, size=size).ravel()
    decided = picture < degree
    # The two programs round differently, which decides a few points at the border.
    differ = outcomes.metrics["root"][decided] != picture[decided]
    assert decided.mean() > 0.99 and differ.mean() < 2e-3
    differ = outcomes.labels[decided] != (picture[decided] == 0)
    assert differ.mean() < 2e-3


def test_newton_has_no_step_from_zero_and_refuses_one_root():
    outcomes = evaluate(make_map("newton"), {"z_re": [0.0], "z_im": [0.0]}, n_steps=5)
    assert outcomes.status[0] == Status.NOT_FINITE
    with pytest.raises(ValueError, match="degree=1"):
        make_map("newton", degree=1)


def test_grebogi_ott_yorke_runs_end_where_a_plain_loop_does():
    n = 60
    theta, x = np.meshgrid(np.linspace(0, 2 * np.pi, n), np.linspace(-0.5, 0.5, n))
    outcomes = evaluate(
        make_map("grebogi-ott-yorke"), {"theta0": theta.ravel(), "x0": x.ravel()}, n_steps=301
    )
    for _ in range(300):
        theta, x = (
            theta + 1.32 * np.sin(2 * theta) - 0.9 * np.sin(4 * theta) - x * np.sin(theta),
            -0.3 * np.cos(theta),
        )
    at_zero = np.cos(theta).ravel() > 0
    # Every run is at one of both attractors by then; rounding decides a few at the border.
    np.testing.assert_allclose(np.abs(np.cos(theta)), 1, atol=1e-9)
    assert np.mean(outcomes.labels != at_zero) < 0.03
    # Equal basins: turning by pi with the sign of x changed swaps the attractors.
    assert outcomes.labels.mean() == pytest.approx(0.5, abs=0.02)


def test_grebogi_ott_yorke_has_the_known_attractors():
    map_ = make_map("grebogi-ott-yorke")
    for theta, x in ((0.0, -0.3), (math.pi, 0.3)):
        state = jnp.asarray([theta, x])
        np.testing.assert_allclose(map_.step(state, map_.defaults, 0), state, atol=1e-12)
        jacobian = jax.jacfwd(lambda s: map_.step(s, map_.defaults, 0))(state)
        assert np.abs(np.linalg.eigvals(jacobian)).max() < 1
    assert map_.observe(jnp.asarray([2 * math.pi, -0.3]), map_.defaults) < 1e-12
    assert map_.observe(jnp.asarray([math.pi, 0.3]), map_.defaults) > 2


@pytest.mark.parametrize("start", [(3.0, 0.5), (0.2, -1.5), (-2.0, 3.0)])
def test_a_period_of_the_pendulum_is_that_of_an_integrator(start):
    map_ = make_map("pendulum")

    def slope(time, state):
        return [state[1], -0.2 * state[1] - math.sin(state[0]) + 2 * math.cos(time)]

    exact = solve_ivp(slope, (0, 2 * math.pi), start, rtol=1e-11, atol=1e-11).y[:, -1]
    found = np.asarray(map_.step(jnp.asarray(start), map_.defaults, 0))
    # At 100 steps a period; the angle is known up to turns.
    assert abs(np.exp(1j * found[0]) - np.exp(1j * exact[0])) < 1e-5
    assert found[1] == pytest.approx(exact[1], abs=1e-5)
    assert -math.pi <= found[0] < math.pi
    finer = make_map("pendulum", n_substeps=400)
    error = np.abs(np.asarray(finer.step(jnp.asarray(start), finer.defaults, 0))[1] - exact[1])
    assert error < 1e-7  # fourth order: 256 times better


def test_the_pendulum_ends_on_one_of_two_known_orbits():
    map_ = make_map("pendulum")
    rng = np.random.default_rng(7)
    theta, v = rng.uniform(-np.pi, np.pi, 100), rng.uniform(-3, 3, 100)
    outcomes = evaluate(map_, {"theta0": theta, "v0": v}, n_steps=150)
    # Published to three digits: (-0.477, -0.609) and (-0.471, 2.037).
    final = np.log(outcomes.final_loss)
    assert np.all((np.abs(final + 0.609) < 2e-3) | (np.abs(final - 2.037) < 2e-3))
    assert 0.2 < outcomes.labels.mean() < 0.8
    with pytest.raises(ValueError, match="n_substeps=0"):
        make_map("pendulum", n_substeps=0)


def test_the_magnet_attracts_to_one_and_to_infinity():
    map_ = make_map("magnet")
    z, q = 0.3 - 0.4j, 1.2 + 0.5j
    hparams = {"q_re": 1.2, "q_im": 0.5, "z_re": 0.3, "z_im": -0.4}
    after = ((z * z + q - 1) / (2 * z + q - 2)) ** 2
    found = map_.step(map_.init(hparams), hparams, 0)
    np.testing.assert_allclose(found, [after.real, after.imag], rtol=1e-14)
    one = jnp.asarray([1.0, 0.0])
    value, tangent = jax.jvp(lambda s: map_.step(s, hparams, 0), (one,), (jnp.asarray([0.6, 0.8]),))
    np.testing.assert_allclose([value, tangent], [[1, 0], [0, 0]], atol=1e-14)  # superattracting
    outcomes = evaluate(map_, {"q_re": [1.5, 2.1], "q_im": 0.0}, n_steps=300)
    assert outcomes.labels.tolist() == [True, False]
