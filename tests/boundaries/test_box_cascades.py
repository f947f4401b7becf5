"""Cascades of boxes on boundaries of known dimension."""

import math

import numpy as np
import pytest

from dynfrac.boundaries.box_cascades import (
    BIAS,
    N_REPLICATES,
    Cascade,
    box_cascade,
    cascade_dimensions,
    cascade_estimate,
    draw_cascade,
    plan_cascade,
)
from dynfrac.boundaries.box_populations import children, refining_cost, root_boxes, thin_out
from dynfrac.boundaries.oracles import Oracle
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
    x, y = points.T
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


KNOWN = {
    "disc": (disc, 2, 1.0),
    "ball": (disc, 3, 2.0),
    "repeller": (lambda points: parity(points[:, 0]), 1, TWO_SCALES),
    "cantor curve": (cantor_curve, 2, 1 + TWO_SCALES),
    "rabbit": (bounded(RABBIT, 3), 2, 1.3934),
    "basilica": (bounded(-1 + 0j, 2), 2, 1.2683),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_boundaries_are_inside_the_interval(name):
    labels, n_axes, dimension = KNOWN[name]
    oracle = Oracle(labels, UNIT[:n_axes], budget=60_000)
    estimate = box_cascade(oracle, seed=4)
    assert estimate.ci_low <= dimension <= estimate.ci_high
    assert estimate.stderr < 0.08
    assert estimate.n_runs == oracle.used <= 60_000
    assert estimate.method == "box cascade"
    assert math.log2(estimate.window[1] / estimate.window[0]) >= 5


def test_a_map_is_measured_by_its_outcomes():
    plane = [Axis("z_re", -1.5, 1.5), Axis("z_im", -1.5, 1.5)]
    hparams = {"c_re": RABBIT.real, "c_im": RABBIT.imag}
    oracle = Oracle(make_map("quadratic"), plane, budget=10_000, n_steps=200, hparams=hparams)
    estimate = box_cascade(oracle, seed=1)
    assert estimate.ci_low <= 1.3934 <= estimate.ci_high


def test_slopes_add_up_to_the_estimate_and_to_the_counts():
    oracle = Oracle(cantor_curve, UNIT[:2], budget=60_000)
    cascade = draw_cascade(oracle, seed=2)
    estimate = cascade_estimate(cascade, oracle.budget)
    local = cascade_dimensions(cascade)
    assert float(estimate) == pytest.approx(local.y.mean())
    counts = estimate.curve
    assert counts.y[-1] == cascade.n_root
    np.testing.assert_allclose(np.diff(np.log2(counts.y))[::-1], -local.y[::-1])
    # Counts are the mean over replicates of the products of their ratios.
    assert counts.y[0] == pytest.approx(cascade.n_root * cascade.ratios.prod(axis=1).mean())
    assert np.all(local.x[1:] > local.x[:-1]) and np.all(local.stderr > 0)


def test_populations_multiply_up_to_the_count_of_all_boxes():
    labels, size = bounded(RABBIT, 3), 8

    def oracle():
        return Oracle(labels, UNIT[:2], budget=10**7)

    corner = np.array([0.02, 0.03])
    roots = root_boxes(oracle(), 4, 16, corner)
    roots = roots.take(roots.mixed)
    everything = roots
    for _ in range(3):
        everything = children(oracle(), everything)
        everything = everything.take(everything.mixed)
    rng = np.random.default_rng(5)
    products = []
    for _ in range(60):
        boxes, product = roots, float(len(roots))
        for _ in range(3):
            boxes = thin_out(boxes, size, 1, rng)
            parents = len(boxes)
            boxes = children(oracle(), boxes)
            boxes = boxes.take(boxes.mixed)
            product *= len(boxes) / parents
        products.append(product)
    error = np.std(products) / math.sqrt(len(products))
    assert abs(np.mean(products) - len(everything)) < 3 * error
    assert error < 0.05 * len(everything)


@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_children_carry_the_labels_of_their_places(n_axes):
    def stripes(points):
        return np.floor(points @ np.array([17.3, 11.7, 5.1])[:n_axes] + 0.0137).astype(int)

    oracle = Oracle(stripes, UNIT[:n_axes], budget=10**6)
    m, corner = 4, np.full(n_axes, 0.05)
    boxes = root_boxes(oracle, m, 4, corner)
    assert oracle.used == (4 * m + 1) ** n_axes
    family = children(oracle, boxes.take(np.arange(len(boxes))[3:9]))
    n_parents = min(6, 4**n_axes - 3)
    assert oracle.used - (4 * m + 1) ** n_axes == n_parents * refining_cost(m, n_axes)
    assert len(family) == n_parents * 2**n_axes and family.side == boxes.side / 2
    for part in (boxes, family):
        nodes = np.stack(np.meshgrid(*[np.arange(m + 1)] * n_axes, indexing="ij"), axis=-1)
        for i in range(len(part)):
            points = part.corners[i] + nodes.reshape(-1, n_axes) * (part.side / m)
            np.testing.assert_array_equal(part.labels[i].ravel(), stripes(points))
    assert np.all(family.corners + family.side <= 1 + 1e-12)


def test_no_boundary_is_no_value():
    oracle = Oracle(lambda p: np.zeros(len(p), int), UNIT[:2], budget=20_000)
    estimate = box_cascade(oracle)
    assert math.isnan(estimate.value) and "no boundary was met" in estimate.flags[0]
    point = Oracle(lambda p: np.all(p == 0.123, axis=1), UNIT[:2], budget=20_000)
    assert not box_cascade(point).has_value


def test_random_labels_fill_the_plane_and_are_flagged():
    rng = np.random.default_rng(0)
    oracle = Oracle(lambda p: rng.integers(2, size=len(p)), UNIT[:2], budget=20_000)
    estimate = box_cascade(oracle)
    assert estimate.ci_low <= 2 <= estimate.ci_high
    assert any("nearly all children" in flag for flag in estimate.flags)


def test_too_small_a_budget_says_so_and_spends_nothing():
    oracle = Oracle(disc, UNIT[:2], budget=3000)
    estimate = box_cascade(oracle)
    assert math.isnan(estimate.value) and "budget of 3000 labels" in estimate.flags[0]
    assert oracle.used == 0


@pytest.mark.parametrize("n_axes", [1, 2, 3])
@pytest.mark.parametrize("budget", [5000, 30_000, 10**6])
def test_plans_stay_within_the_budget_and_the_precision(n_axes, budget):
    oracle = Oracle(disc, UNIT[:n_axes], budget=budget)
    plan = plan_cascade(oracle)
    if plan is None:
        assert n_axes == 3 and budget == 5000
        return
    cost = N_REPLICATES * plan.n_kept * plan.n_levels * refining_cost(plan.m, n_axes)
    assert (plan.m * plan.n_boxes + 1) ** n_axes + cost <= budget
    assert plan.n_kept >= 8 and 4 <= plan.n_levels <= 16
    assert plan.m in BIAS[n_axes]


def test_single_precision_ends_the_cascade_early():
    plane = [Axis("z_re", -1.5, 1.5), Axis("z_im", -1.5, 1.5)]
    oracle = Oracle(make_map("quadratic"), plane, budget=10**6, n_steps=9, dtype="float32")
    plan = plan_cascade(oracle)
    assert plan is not None and plan.n_levels < 10
    assert 1 / ((plan.n_boxes + 1) * plan.m * 2**plan.n_levels) >= oracle.finest


def test_coarse_lattices_are_flagged():
    estimate = box_cascade(Oracle(disc, UNIT[:2], budget=10_000))
    assert "lattices of 2 cells" in estimate.flags[0]
    assert estimate.stderr > BIAS[2][2]


def test_a_dimension_that_changes_with_scale_is_flagged():
    ratios = np.tile(np.repeat([2.0, 3.5], 4), (N_REPLICATES, 1))
    ratios += 0.02 * np.random.default_rng(1).standard_normal(ratios.shape)
    estimate = cascade_estimate(Cascade(2.0 ** -np.arange(9), 16, ratios, 8, 2, 1000), 1000)
    assert "no single scaling region" in estimate.flags[0]


def test_the_same_seed_gives_the_same_number():
    values = [
        float(box_cascade(Oracle(cantor_curve, UNIT[:2], budget=20_000), seed=s)) for s in (1, 1, 2)
    ]
    assert values[0] == values[1] != values[2]


def test_progress_counts_labels():
    seen = []
    box_cascade(Oracle(disc, UNIT[:2], budget=20_000), on_progress=seen.append)
    assert seen == sorted(seen) and 0 < seen[-1] <= 20_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["disc", "cantor curve", "rabbit", "basilica"])
def test_intervals_cover_and_readings_are_nearly_unbiased(name):
    labels, n_axes, dimension = KNOWN[name]
    estimates = [
        box_cascade(Oracle(labels, UNIT[:n_axes], budget=170_000), seed=1000 + seed)
        for seed in range(64)
    ]
    values = np.array([float(estimate) for estimate in estimates])
    # Of 64 intervals of 95 %, fewer than 56 hold the value once in a hundred times.
    assert sum(e.ci_low <= dimension <= e.ci_high for e in estimates) >= 56
    assert abs(values.mean() - dimension) < 0.02 + 2 * values.std() / math.sqrt(len(values))
