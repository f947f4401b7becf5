"""Dimensions of boundaries that are known, from labels at chosen points."""

import math

import numpy as np
import pytest

import dynfrac
from dynfrac.boundaries.dimensions import boundary_dimension
from dynfrac.orbits.axes import Axis
from dynfrac.systems.catalogue import make_map

UNIT = [Axis(name, 0.0, 1.0, scale="linear") for name in ("x", "y", "z")]
TWO_SCALES = 0.8097556
RABBIT = {"c_re": -0.12256116687665361, "c_im": 0.74486176661974424}
BASILICA = {"c_re": -1.0, "c_im": 0.0}
PLANE = [Axis("z_re", -1.5, 1.5), Axis("z_im", -1.5, 1.5)]


def disc(points):
    return ((points - 0.5) ** 2).sum(axis=1) < 0.1


def parity(u):
    """Return the parity of the step at which the two-scale tent lets go of u."""
    label, alive = np.zeros(len(u), int), np.arange(len(u))
    for t in range(400):
        inside = (u >= 0) & (u <= 1)
        label[alive[~inside]] = t % 2
        u, alive = u[inside], alive[inside]
        u = np.where(u < 0.525, u / 0.45, (1 - u) / 0.40)
    return label


def cantor_curve(points):
    x, y = points.T
    return parity(0.02 + 0.96 * ((x + 0.37 * y + 0.08 * np.sin(2 * math.pi * y)) % 1))


KNOWN = {
    "disc": (disc, 2, 1.0),
    "ball": (disc, 3, 2.0),
    "repeller": (lambda points: parity(points[:, 0]), 1, TWO_SCALES),
    "cantor curve": (cantor_curve, 2, 1 + TWO_SCALES),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_boundaries_are_met_within_four_errors(name):
    labels, n_axes, dimension = KNOWN[name]
    estimate = boundary_dimension(labels, UNIT[:n_axes], budget=20_000, seed=3)
    assert abs(estimate.value - dimension) < 4 * estimate.stderr
    assert estimate.stderr < 0.12
    assert estimate.n_runs <= 20_000
    assert estimate.method == "stratified pairs"


def test_a_map_is_measured_by_its_outcomes():
    estimate = boundary_dimension(
        make_map("quadratic"), PLANE, budget=20_000, n_steps=200, hparams=RABBIT, seed=1
    )
    assert abs(estimate.value - 1.3934) < 4 * estimate.stderr
    assert estimate.stderr < 0.08


def test_descent_on_a_quadratic_has_a_smooth_boundary():
    axes = [Axis("lr", 0.01, 10.0), Axis("w0", 0.1, 1.0)]
    estimate = boundary_dimension(make_map("gd-quadratic"), axes, budget=5000, n_steps=100)
    assert abs(estimate.value - 1) < 4 * estimate.stderr


def test_no_boundary_is_no_value():
    estimate = boundary_dimension(lambda p: np.zeros(len(p), int), UNIT[:2], budget=2000)
    assert math.isnan(estimate.value)
    assert "no boundary was met" in estimate.flags[0]
    assert estimate.n_runs <= 2000


def test_an_isolated_point_is_not_met():
    def point(points):
        return np.all(points == 0.123, axis=1)

    assert not boundary_dimension(point, UNIT[:2], budget=2000).has_value


def test_random_labels_fill_the_plane_and_are_flagged():
    rng = np.random.default_rng(0)
    estimate = boundary_dimension(
        lambda points: rng.integers(2, size=len(points)), UNIT[:2], budget=4000
    )
    assert estimate.ci_low <= 2 <= estimate.ci_high
    assert any("not resolved" in flag for flag in estimate.flags)
    assert any("hardly falls" in flag for flag in estimate.flags)


def test_too_small_a_budget_for_its_boundary_says_so():
    estimate = boundary_dimension(disc, UNIT[:2], budget=500)
    assert math.isnan(estimate.value)
    assert "raise the budget" in estimate.flags[0]


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (499, "too small"),
        (-5, "too small"),
        (math.nan, "too small"),
        (1000.5, "not whole"),
        (math.inf, "not whole"),
        (True, "no number"),
        ("600", "no number"),
        (None, "no number"),
    ],
)
def test_a_budget_that_is_none_is_refused(budget, words):
    with pytest.raises(ValueError, match=f"budget=.*{words}"):
        boundary_dimension(disc, UNIT[:2], budget=budget)


@pytest.mark.parametrize("seed", [-1, 1.5, None, True])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match="is no seed"):
        boundary_dimension(disc, UNIT[:2], budget=1000, seed=seed)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="unknown method 'pair'; did you mean 'pairs'"):
        boundary_dimension(disc, UNIT[:2], budget=1000, method="pair")


@pytest.mark.parametrize("method", ["box-cascade", "transects", "stretch-tail"])
def test_other_methods_meet_the_same_boundary(method):
    estimate = boundary_dimension(
        make_map("cantor-curve"),
        [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)],
        budget=20_000,
        method=method,
        n_steps=150,
        seed=5,
    )
    assert abs(estimate.value - (1 + TWO_SCALES)) < 4 * estimate.stderr
    assert estimate.stderr < 0.08
    assert estimate.n_runs <= 20_000
    assert estimate.method.replace(" ", "-").startswith(method[:5])


def test_a_function_has_no_runs_to_stretch():
    with pytest.raises(ValueError, match="method='stretch-tail' needs a map"):
        boundary_dimension(disc, UNIT[:2], budget=1000, method="stretch-tail")


def test_progress_counts_labels():
    seen = []
    boundary_dimension(disc, UNIT[:2], budget=3000, on_progress=seen.append)
    assert seen == sorted(seen) and 0 < seen[-1] <= 3000


def test_it_is_public():
    assert dynfrac.boundary_dimension is boundary_dimension


@pytest.mark.slow
@pytest.mark.parametrize("name", ["disc", "repeller", "cantor curve"])
def test_intervals_cover_and_readings_are_unbiased(name):
    labels, n_axes, dimension = KNOWN[name]
    estimates = [
        boundary_dimension(labels, UNIT[:n_axes], budget=60_000, seed=seed) for seed in range(64)
    ]
    values = np.array([float(estimate) for estimate in estimates])
    # Of 64 intervals of 95 %, fewer than 56 hold the value once in a hundred times.
    assert sum(e.ci_low <= dimension <= e.ci_high for e in estimates) >= 56
    assert abs(values.mean() - dimension) < 0.01 + 2 * values.std() / math.sqrt(len(values))


@pytest.mark.slow
@pytest.mark.parametrize(("c", "dimension"), [(RABBIT, 1.3934), (BASILICA, 1.2683)])
def test_julia_sets_are_met_to_a_fiftieth(c, dimension):
    estimates = [
        boundary_dimension(
            make_map("quadratic"), PLANE, budget=100_000, n_steps=300, hparams=c, seed=seed
        )
        for seed in range(12)
    ]
    errors = np.array([float(estimate) - dimension for estimate in estimates])
    assert math.sqrt(np.mean(errors**2)) < 0.025
    assert sum(e.ci_low <= dimension <= e.ci_high for e in estimates) >= 10
