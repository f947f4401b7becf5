"""Covariant vectors against eigenvectors, dense Jacobians and their own definition."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.analysis.covariant import covariant_lyapunov_vectors
from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.systems.catalogue import make_map
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.descents import CubicDescent, QuadraticDescent
from dynfrac.systems.interval_maps import Logistic


def sines(one, other):
    """Return the sine of the angle between rows of two arrays of unit vectors."""
    return np.minimum(np.linalg.norm(one - other, axis=-1), np.linalg.norm(one + other, axis=-1))


def jacobians(map_, points):
    hparams = {name: jnp.asarray(value) for name, value in map_.defaults.items()}
    jacobian = jax.vmap(jax.jacfwd(lambda x: map_.step(x, hparams, 0)))
    return np.asarray(jacobian(jnp.asarray(points)))


def test_the_cat_map_has_its_eigenvectors():
    cat = covariant_lyapunov_vectors(make_map("cat"), n_steps=50)
    _, vectors = np.linalg.eigh([[2.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(sines(cat.vectors[:, 0], vectors[:, 1]), 0, atol=1e-12)
    np.testing.assert_allclose(sines(cat.vectors[:, 1], vectors[:, 0]), 0, atol=1e-12)
    rate = math.log((3 + math.sqrt(5)) / 2)
    np.testing.assert_allclose(cat.growth, np.tile([rate, -rate], (50, 1)), atol=1e-12)
    np.testing.assert_allclose(cat.splitting, math.pi / 2, atol=1e-7)
    np.testing.assert_allclose(cat.angles[:, 0, 1], math.pi / 2, atol=1e-7)
    assert not cat.flags and cat.step_range == (100, 150)


def test_a_map_that_is_not_symmetric_has_its_eigenvectors():
    # Heavy ball on one weight with real roots: eigenvectors are far from orthogonal.
    h, lr, b = 3.0, 0.02, 0.3
    found = covariant_lyapunov_vectors(
        QuadraticDescent((h,), heavy_ball=True), {"lr": lr, "momentum": b}, n_steps=20
    )
    # Coordinates (buffer, weight): b' = h w + b b, w' = w - lr b'.
    values, vectors = np.linalg.eig([[b, h], [-lr * b, 1 - lr * h]])
    order = np.argsort(-np.abs(values))
    for j, column in enumerate(order):
        np.testing.assert_allclose(sines(found.vectors[:, j], vectors[:, column]), 0, atol=1e-9)
    np.testing.assert_allclose(found.exponents, np.log(np.abs(values[order])), atol=1e-12)
    assert np.all(np.isnan(found.splitting))


@pytest.mark.parametrize("name", ["henon", "towel"])
def test_a_step_takes_every_vector_to_the_next(name):
    map_ = make_map(name)
    # The two growing exponents of the towel are 0.05 apart: vectors settle to 1e-14 in 600 steps.
    found = covariant_lyapunov_vectors(map_, n_steps=2000, n_backward=600)
    pushed = np.einsum("nab,njb->nja", jacobians(map_, found.points), found.vectors)
    lengths = np.linalg.norm(pushed, axis=-1)
    np.testing.assert_allclose(np.log(lengths), found.growth, atol=1e-9)
    turned = pushed / lengths[..., None]
    # Rounding is amplified where vectors nearly touch.
    assert np.max(sines(turned[:-1], found.vectors[1:])) < 1e-7
    assert not any("settled" in flag for flag in found.flags)
    spectrum = lyapunov_spectrum(map_, n_steps=2000)
    # Over one stretch the means differ by the angle between vector and frame at its ends.
    np.testing.assert_allclose(found.exponents, spectrum.exponents, atol=30 / 2000)


def test_henon_has_the_directions_of_products_of_dense_jacobians():
    found = covariant_lyapunov_vectors(Henon(), n_steps=100, n_warmup=200, n_backward=200)
    steps = jacobians(Henon(), found.points)
    growing = steps[0]
    for t in range(1, 60):
        growing = steps[t] @ growing
        growing /= np.linalg.norm(growing)
    # Whatever is pushed long enough grows along the first vector.
    left = np.linalg.svd(growing)[0][:, 0]
    assert sines(found.vectors[60, 0], left) < 1e-9
    product = np.eye(2)
    for t in range(99, 39, -1):
        product = product @ steps[t]
        product /= np.linalg.norm(product)
    # Whatever shrinks most over the next 60 steps is the second vector.
    right = np.linalg.svd(product)[2][1]
    assert sines(found.vectors[40, 1], right) < 1e-9


def test_henon_is_nearly_tangent_somewhere_and_says_so():
    found = covariant_lyapunov_vectors(Henon(), n_steps=20_000)
    assert np.nanmin(found.splitting) < 0.01
    assert any("near tangencies" in flag for flag in found.flags)
    np.testing.assert_allclose(found.splitting, found.angles[:, 0, 1], atol=1e-6)


def test_too_short_a_way_back_is_noticed():
    found = covariant_lyapunov_vectors(Henon(), n_steps=50, n_backward=0)
    assert any("raise n_backward" in flag for flag in found.flags)


def test_equal_exponents_are_flagged():
    found = covariant_lyapunov_vectors(QuadraticDescent((1.0, 1.0)), n_steps=20)
    assert any("equal within their errors" in flag for flag in found.flags)


@pytest.mark.parametrize(
    ("map_", "hparams", "reason"),
    [
        (Logistic(), {"r": 5.0}, "stopped being finite at step 12"),
        (CubicDescent(), {"lr": 0.5}, "annihilated"),
    ],
)
def test_what_has_no_vectors(map_, hparams, reason):
    found = covariant_lyapunov_vectors(map_, hparams, n_steps=50)
    assert reason in found.flags[0] and len(found.vectors) == 0
    assert math.isnan(found.exponents[0])
    late = covariant_lyapunov_vectors(map_, hparams, n_steps=50, n_transient=100)
    assert reason in late.flags[0]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n_steps": 0}, "n_steps=0"),
        ({"n_steps": 5, "n_backward": -1}, "n_backward=-1"),
        ({"n_steps": 5, "n_transient": -1}, "n_transient=-1"),
        ({"n_steps": 5, "n_exponents": 3}, "n_exponents=3 is more than the 2"),
    ],
)
def test_misuse_is_one_sentence(keywords, message):
    with pytest.raises(ValueError, match=message):
        covariant_lyapunov_vectors(Henon(), **keywords)
    with pytest.raises(ValueError, match="100 dimensions; say how many"):
        covariant_lyapunov_vectors(QuadraticDescent((1.0,) * 100), n_steps=5)
