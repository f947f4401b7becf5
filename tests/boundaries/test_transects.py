"""Label changes along random segments, on boundaries of known dimension."""

import dataclasses
import math

import numpy as np
import pytest

from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pilots import pilot_zones
from dynfrac.boundaries.transects import (
    LENGTH,
    draw_transects,
    transect_dimension,
    transect_dimensions,
    transect_estimate,
)
from dynfrac.orbits.axes import Axis
from dynfrac.systems.catalogue import make_map

UNIT = [Axis(name, 0.0, 1.0, scale="linear") for name in ("x", "y", "z")]
TWO_SCALES = 0.8097556
RABBIT = -0.12256116687665361 + 0.74486176661974424j


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
    x, y = points.T[:2]
    return parity(0.02 + 0.96 * ((x + 0.37 * y + 0.08 * np.sin(2 * math.pi * y)) % 1))


def bounded(c, period):
    """Return labels of the plane [-1.5, 1.5]^2 under z^2 + c, whose critical point is periodic."""
    cycle = [0j]
    for _ in range(period - 1):
        cycle.append(cycle[-1] ** 2 + c)

    def labels(points):
        z = (3 * points[:, 0] - 1.5) + 1j * (3 * points[:, 1] - 1.5)
        label, alive = np.ones(len(z), bool), np.arange(len(z))
        for _ in range(600):
            z = z * z + c
            out = np.abs(z) > 2
            label[alive[out]] = False
            # So near to its cycle, an orbit never leaves again.
            caught = np.min(np.abs(z[:, None] - np.array(cycle)), axis=1) < 0.03
            z, alive = z[~(out | caught)], alive[~(out | caught)]
        return label

    return labels


def segments_of(oracle, transects):
    """Return positions (n, points, d) and labels (n, points) of all segments."""
    positions = np.concatenate([request.positions for request in oracle.asked[1:]])
    labels = np.concatenate([request.answers for request in oracle.asked[1:]])
    n = len(transects.changes)
    return positions.reshape(n, -1, oracle.n_axes), labels.reshape(n, -1)


KNOWN = {
    "disc": (disc, 2, 1.0),
    "ball": (disc, 3, 2.0),
    "repeller": (lambda points: parity(points[:, 0]), 1, TWO_SCALES),
    "cantor curve": (cantor_curve, 2, 1 + TWO_SCALES),
    "cantor surface": (cantor_curve, 3, 2 + TWO_SCALES),
    "rabbit": (bounded(RABBIT, 3), 2, 1.3934),
    "basilica": (bounded(-1 + 0j, 2), 2, 1.2683),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_boundaries_are_met_within_three_errors(name):
    labels, n_axes, dimension = KNOWN[name]
    oracle = Oracle(labels, UNIT[:n_axes], budget=20_000)
    estimate = transect_dimension(oracle, seed=3)
    assert abs(float(estimate) - dimension) < 3 * estimate.stderr
    assert 0.002 <= estimate.stderr < 0.04
    assert 19_000 < estimate.n_runs == oracle.used <= 20_000
    assert estimate.window == (pytest.approx(LENGTH / 64), pytest.approx(LENGTH)) or n_axes == 1
    assert estimate.flags == ()


def test_a_map_is_measured_by_its_outcomes():
    plane = [Axis("z_re", -1.5, 1.5), Axis("z_im", -1.5, 1.5)]
    hparams = {"c_re": RABBIT.real, "c_im": RABBIT.imag}
    oracle = Oracle(make_map("quadratic"), plane, budget=10_000, n_steps=200, hparams=hparams)
    estimate = transect_dimension(oracle, seed=1)
    assert abs(float(estimate) - 1.3934) < 3 * estimate.stderr


def test_counts_are_unbiased_whatever_the_pilot_missed():
    # Discs that are smaller than a cell of the pilot: it sees some of them by chance.
    rng, radius = np.random.default_rng(7), 0.006
    lattice = np.stack(np.meshgrid(*[np.linspace(0.12, 0.88, 7)] * 2), axis=-1).reshape(-1, 2)
    centres = lattice + rng.uniform(-0.04, 0.04, lattice.shape)

    def spots(points):
        far = np.linalg.norm(points[:, None, :] - centres, axis=2)
        return (far < radius).any(axis=1)

    means = []
    for seed in range(24):
        oracle = Oracle(spots, UNIT[:2], budget=20_000)
        transects = draw_transects(oracle, seed=seed)
        means.append(transects.counts(np.ones((1, len(transects.changes))))[0, 0])
    # Of points so far apart, one is in a disc and the other is not where two copies of the disc,
    # one of them moved by the spacing, do not overlap.
    s, r = float(transects.spacings[0]), radius
    lens = 2 * r**2 * math.acos(s / (2 * r)) - s / 2 * math.sqrt(4 * r**2 - s**2)
    expected = LENGTH / s * len(centres) * 2 * (math.pi * r**2 - lens)
    error = np.std(means) / math.sqrt(len(means))
    assert abs(np.mean(means) - expected) < 3 * error and error < 0.15 * expected


def test_changes_are_counted_at_every_spacing():
    oracle = Oracle(lambda p: np.floor(50 * p[:, 0]).astype(int), UNIT[:2], budget=2000, keep=True)
    drawn = draw_transects(oracle, seed=0)
    points, labels = segments_of(oracle, drawn)
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(points, axis=1), axis=2), drawn.spacings[0], rtol=1e-9
    )
    assert drawn.spacings[0] == LENGTH / 64 and drawn.spacings[-1] == LENGTH
    for row, changes in zip(labels, drawn.changes, strict=True):
        expected = [(row[2**k :: 2**k] != row[: -(2**k) : 2**k]).sum() for k in range(7)]
        assert changes.tolist() == expected
    assert drawn.changes[:, 0].max() > drawn.changes[:, -1].max()


@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_segments_stay_in_the_window_and_fit_their_kind(n_axes):
    def ball(points):
        return np.linalg.norm(points - 0.4, axis=1) < 0.2

    oracle = Oracle(ball, UNIT[:n_axes], budget=30_000, keep=True)
    transects = draw_transects(oracle, seed=2)
    points, _ = segments_of(oracle, transects)
    assert points.min() >= 0 and points.max() <= 1
    # Nothing was clipped: the points of every segment are equally spaced.
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(points, axis=1), axis=2), transects.spacings[0], rtol=1e-6
    )
    assert transects.shares.sum() == pytest.approx(1)
    assert set(transects.kinds) == set(np.flatnonzero(transects.shares))
    meets = transects.changes[:, 0] > 0
    assert meets[transects.kinds == 0].mean() > 0.15 > 0.05 > meets[transects.kinds == 2].mean()


def test_segments_that_would_leave_are_turned_around():
    oracle = Oracle(cantor_curve, UNIT[:2], budget=60_000, keep=True)
    points, _ = segments_of(oracle, draw_transects(oracle, seed=2))
    ends = points[:, [0, -1]]
    # Only in corners are they moved, and then end on the border: there are (1 / 16)^2 of them.
    assert (np.minimum(ends, 1 - ends) < 1e-9).any(axis=(1, 2)).mean() < 0.02


def test_zones_are_crossed_cells_and_their_neighbours():
    oracle = Oracle(lambda p: p[:, 0] < 0.52, UNIT[:2], budget=1210)
    zones = pilot_zones(oracle)
    assert zones.shape == (10, 10) and oracle.used == 121
    assert np.all(zones == np.array([2, 2, 2, 2, 1, 0, 1, 2, 2, 2])[:, None])


def test_dimensions_of_all_scales_agree_on_a_self_similar_set():
    transects = draw_transects(Oracle(cantor_curve, UNIT[:2], budget=100_000), seed=1)
    curve = transect_dimensions(transects, seed=1)
    assert len(curve) == len(transects.spacings) - 2
    assert np.all(np.abs(curve.y - 1 - TWO_SCALES) < 4 * curve.stderr)
    assert np.all(curve.stderr < 0.07)


def test_no_boundary_is_no_value():
    estimate = transect_dimension(Oracle(lambda p: np.zeros(len(p), int), UNIT[:2], budget=5000))
    assert math.isnan(estimate.value)
    assert "only 0 of" in estimate.flags[0] and estimate.n_runs <= 5000


def test_an_isolated_point_is_not_met():
    point = Oracle(lambda p: np.all(p == 0.123, axis=1), UNIT[:2], budget=5000)
    assert "its dimension is below 1" in transect_dimension(point).flags[0]


def test_random_labels_fill_the_plane_and_are_flagged():
    rng = np.random.default_rng(0)
    estimate = transect_dimension(
        Oracle(lambda p: rng.integers(2, size=len(p)), UNIT[:2], budget=20_000)
    )
    assert estimate.ci_low <= 2 <= estimate.ci_high
    assert any("as often as the points allow" in flag for flag in estimate.flags)


@pytest.mark.parametrize("budget", [3, 30, 499])
def test_too_small_a_budget_spends_nothing(budget):
    oracle = Oracle(disc, UNIT[:2], budget=budget)
    estimate = transect_dimension(oracle)
    assert "fewer than 500 labels" in estimate.flags[0] and oracle.used == 0


@pytest.mark.parametrize("n_axes", [1, 2, 3])
@pytest.mark.parametrize("budget", [500, 777, 5000])
def test_the_budget_is_never_passed(n_axes, budget):
    oracle = Oracle(disc, UNIT[:n_axes], budget=budget)
    transect_dimension(oracle)
    assert 0 < oracle.used <= budget


def test_a_dimension_that_depends_on_the_direction_is_flagged():
    transects = draw_transects(Oracle(cantor_curve, UNIT[:2], budget=60_000), seed=1)
    assert not any("direction" in flag for flag in transect_estimate(transects, seed=1).flags)
    # Four times as many changes per octave along the first axis, two elsewhere.
    along = np.abs(transects.directions[:, 0]) > 0.7
    changes = np.where(along[:, None], 4, 2) ** np.arange(len(transects.spacings))[::-1]
    woven = dataclasses.replace(transects, changes=changes)
    assert any("depends on the direction" in f for f in transect_estimate(woven, seed=1).flags)


def test_a_dimension_that_changes_with_scale_is_flagged():
    transects = draw_transects(Oracle(cantor_curve, UNIT[:2], budget=200_000), seed=1)
    smooth = transects.changes.copy()
    smooth[:, :5] = smooth[:, 5:6]  # no more changes below the sixth spacing
    estimate = transect_estimate(dataclasses.replace(transects, changes=smooth), seed=1)
    assert any("no single scaling region" in flag for flag in estimate.flags)


def test_few_segments_widen_the_interval():
    widths = []
    for budget in (6000, 100_000):
        estimate = transect_dimension(Oracle(cantor_curve, UNIT[:2], budget=budget), seed=5)
        widths.append((estimate.ci_high - estimate.ci_low) / (2 * estimate.stderr))
    assert widths[0] > 2.0 > widths[1] >= 1.96


def test_the_same_seed_gives_the_same_number():
    values = [
        float(transect_dimension(Oracle(cantor_curve, UNIT[:2], budget=5000), seed=seed))
        for seed in (1, 1, 2)
    ]
    assert values[0] == values[1] != values[2]


def test_progress_counts_labels():
    seen = []
    transect_dimension(Oracle(disc, UNIT[:2], budget=5000), on_progress=seen.append)
    assert seen == sorted(seen) and len(seen) > 10 and 4000 < seen[-1] <= 5000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["disc", "repeller", "cantor curve", "rabbit", "basilica"])
def test_intervals_cover_and_readings_are_unbiased(name):
    labels, n_axes, dimension = KNOWN[name]
    estimates = [
        transect_dimension(Oracle(labels, UNIT[:n_axes], budget=60_000), seed=2000 + seed)
        for seed in range(64)
    ]
    values = np.array([float(estimate) for estimate in estimates])
    # Of 64 intervals of 95 %, fewer than 56 hold the value once in a hundred times.
    assert sum(e.ci_low <= dimension <= e.ci_high for e in estimates) >= 56
    assert abs(values.mean() - dimension) < 0.01 + 2 * values.std() / math.sqrt(len(values))
