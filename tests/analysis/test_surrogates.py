"""Surrogates keep what they promise and nothing else."""

import numpy as np
import pytest

from dynfrac.analysis.surrogates import phase_randomised, random_walk


@pytest.mark.parametrize("n", [400, 401])
def test_phases_change_and_spectra_do_not(n):
    rng = np.random.default_rng(0)
    points = np.cumsum(rng.normal(size=(n, 3)), axis=0) + [0, 5, 0]
    other = phase_randomised(points, seed=3)
    np.testing.assert_allclose(other.mean(axis=0), points.mean(axis=0))
    np.testing.assert_allclose(np.cov(other.T), np.cov(points.T))
    spectra = [abs(np.fft.rfft(p, axis=0)) for p in (points, other)]
    np.testing.assert_allclose(*spectra, atol=1e-9 * spectra[0].max())
    assert abs(other - points).max() > 1
    assert not np.array_equal(other, phase_randomised(points, seed=4))
    np.testing.assert_array_equal(other, phase_randomised(points, seed=3))


def test_surrogates_do_not_know_the_directions_of_the_axes():
    points = np.random.default_rng(0).normal(size=(100, 2))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(phase_randomised(points @ turn), phase_randomised(points) @ turn)
    np.testing.assert_allclose(random_walk(points @ turn), random_walk(points) @ turn)


def test_a_walk_has_the_same_steps():
    points = np.random.default_rng(0).normal(size=(50, 2))
    walk = random_walk(points, seed=1)
    np.testing.assert_array_equal(walk[0], points[0])
    lengths = [np.sort(np.linalg.norm(np.diff(p, axis=0), axis=1)) for p in (points, walk)]
    np.testing.assert_allclose(*lengths)
    assert abs(walk - points).max() > 0.1
