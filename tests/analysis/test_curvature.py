"""Sharpness against Hessians that are known or small enough to form."""

import math
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from dynfrac.analysis.curvature import DENSE_DIMENSION, sharpness
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.descents import CubicDescent, QuadraticDescent

MANY = tuple(np.linspace(-4.0, 3.0, 3 * DENSE_DIMENSION))


@pytest.mark.parametrize("heavy_ball", [False, True])
@pytest.mark.parametrize("eigenvalues", [(1.0, 3.0, 2.0), MANY])
def test_a_quadratic_has_its_largest_eigenvalue_not_the_largest_modulus(eigenvalues, heavy_ball):
    map_ = QuadraticDescent(eigenvalues, heavy_ball=heavy_ball)
    result = sharpness(map_, map_.init(map_.defaults))
    # Lanczos is asked for 1e-3; its eigenvalue error is the square of its vector error.
    assert float(result) == pytest.approx(3.0, rel=1e-3)
    assert result.n_products > 0 and not result.flags


def test_a_scalar_loss_has_its_second_derivative():
    w = 0.7
    assert float(sharpness(CubicDescent(), w)) == pytest.approx(3 * w**2 - 1, abs=1e-12)


@final
class Perceptron(AbstractMap):
    """A small network with a counter in its state; only its loss matters here."""

    drive = "host"

    @property
    def defaults(self):
        return {"scale": 1.0}

    def init(self, hparams):
        rng = np.random.default_rng(4)
        weights = {"in": rng.standard_normal((5, 6)), "out": rng.standard_normal(6)}
        return {"weights": weights, "count": 0}

    def step(self, state, hparams, t):
        return state

    def observe(self, state, hparams):
        x = jnp.asarray(np.random.default_rng(5).standard_normal((20, 5)))
        w = state["weights"]
        outputs = jnp.tanh(x.astype(w["in"].dtype) @ w["in"]) @ w["out"]
        return hparams["scale"] * jnp.mean((outputs - 1) ** 2)


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-6), ("float32", 1e-4)])
def test_a_network_has_the_largest_eigenvalue_of_its_dense_hessian(dtype, rtol):
    map_ = Perceptron()
    state = map_.init({})
    flat, unravel = ravel_pytree(state["weights"])
    dense = jax.hessian(
        lambda v: map_.observe({"weights": unravel(v), "count": 0}, {"scale": 2.0})
    )(flat)
    result = sharpness(map_, state, {"scale": 2.0}, rtol=rtol, dtype=dtype)
    assert float(result) == pytest.approx(float(np.linalg.eigvalsh(dense)[-1]), rel=rtol)


@pytest.mark.parametrize("eigenvalues", [(1.0, 3.0), MANY])
def test_a_state_that_is_not_finite_has_no_sharpness(eigenvalues):
    map_ = QuadraticDescent(eigenvalues)
    result = sharpness(map_, {"weights": jnp.full(len(eigenvalues), jnp.nan)})
    assert math.isnan(result.value) and "not finite" in result.flags[0]


def test_a_flat_loss_has_no_curvature():
    # As that of rectifiers which no example reaches; ARPACK has no answer to it.
    map_ = QuadraticDescent((0.0,) * 3 * DENSE_DIMENSION)
    result = sharpness(map_, map_.init(map_.defaults))
    assert float(result) == 0.0 and not result.flags


def test_too_few_products_are_said():
    h = tuple(1 - 1e-9 * np.arange(400.0) ** 2)
    map_ = QuadraticDescent(h)
    result = sharpness(map_, map_.init(map_.defaults), rtol=1e-14, max_products=20)
    assert math.isnan(result.value) and "did not settle" in result.flags[0]


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="rtol=2 is out of range"):
        sharpness(CubicDescent(), 0.5, rtol=2)
