"""Takens' estimator against the sum over all pairs, and against sets that are known."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from dynfrac.analysis import point_sets
from dynfrac.analysis.takens import default_radius, takens_dimension


@pytest.mark.parametrize("theiler", [0, 5])
@pytest.mark.parametrize("coordinates", [2, 12])
def test_it_is_the_likelihood_of_all_distances(theiler, coordinates):
    points = np.random.default_rng(0).random((800, 2)) @ np.eye(2, coordinates)
    i, j = np.triu_indices(800, 1)
    distances = pdist(points)[j - i > theiler]
    distances = distances[distances < 0.1]
    exact = -len(distances) / np.log(distances / 0.1).sum()
    estimate = takens_dimension(points, radius=0.1, theiler=theiler)
    # A power law between four radii to the octave.
    assert estimate.value == pytest.approx(exact, rel=2e-3)
    assert estimate.window[1] == 0.1
    at = np.argmin(abs(estimate.curve.x - 0.1))
    assert estimate.curve.y[at] == estimate.value


KNOWN = {
    # Bias of the edge with the default radius: -0.04 (square) and -0.015 (segment).
    "square": (point_sets.square, 2.0, 0.07),
    "segment": (point_sets.segment, 1.0, 0.03),
    "circle": (point_sets.circle, 1.0, 0.02),
    "gasket": (point_sets.sierpinski_gasket, math.log(3) / math.log(2), 0.06),
    "baker": (point_sets.generalized_baker, 1.5635806, 0.06),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_sets(name):
    sample, dimension, tolerance = KNOWN[name]
    estimate = takens_dimension(sample(4000, seed=2), theiler=0)
    assert abs(estimate.value - dimension) < tolerance
    assert estimate.ci_low <= dimension <= estimate.ci_high
    assert 0 < estimate.stderr < tolerance and estimate.flags == ()


def test_the_default_radius_ignores_what_does_not_vary():
    points = np.random.default_rng(0).normal(size=(1000, 2)) @ np.eye(2, 5)
    assert default_radius(points) == pytest.approx(0.25, rel=0.05)
    assert default_radius(np.ones((10, 2))) == 0


def test_no_value_and_its_reason():
    rng = np.random.default_rng(0)
    few = takens_dimension(rng.random((10, 2)))
    assert math.isnan(few.value) and "there are 10 points" in few.flags[0]
    far = takens_dimension(rng.random((500, 2)), radius=1e-4, theiler=0)
    assert math.isnan(far.value) and "pairs are closer than r0 = 0.0001" in far.flags[0]
    wide = takens_dimension(rng.normal(size=(1000, 9)), radius=2.0, theiler=0)
    assert math.isnan(wide.value) and "cannot show" in wide.flags[0]
    assert takens_dimension(np.ones((50, 2))).value == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0}, "radius=0"),
        ({"radius": -1.0}, "radius=-1"),
        ({"radius": math.nan}, "radius=nan"),
        ({"theiler": -1}, "theiler=-1"),
        ({"n_resamples": 1}, "n_resamples=1"),
    ],
)
def test_misuse_is_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        takens_dimension(np.random.default_rng(0).random((100, 2)), **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_intervals_hold_the_dimension_of_independent_copies(name):
    sample, dimension, _ = KNOWN[name]
    estimates = [takens_dimension(sample(4000, seed=s), theiler=0) for s in range(40)]
    assert sum(e.ci_low <= dimension <= e.ci_high for e in estimates) >= 36
    assert np.median([(e.ci_high - e.ci_low) / 2 for e in estimates]) < 0.12
