"""Pairs that disagree against neighbourhoods, and the tail of the largest stretch."""

import functools
import math

import numpy as np
import pytest

from dynfrac import Axis, make_map
from dynfrac.boundaries.stretch_tails import draw_directions, stretch_tail
from dynfrac.orbits.sensitivities import stretch_runs
from dynfrac.systems.self_similarity import self_similar_dimension

LN = math.log
N_RUNS = 20_000


def end_points(slope, depth):
    """Return the end points of the pieces of the tent's repeller, sorted, in pairs."""
    edges = np.array([0.0, 1.0])
    for _ in range(depth):
        edges = np.concatenate([edges / slope, 1 - edges / slope])
    return np.sort(edges)


def neighbourhood(edges, eps):
    """Return the length of what is within eps of a set of intervals."""
    inner = edges[1:-1].reshape(-1, 2)
    return 1 + 2 * eps - np.sum(np.maximum(0.0, inner[:, 1] - inner[:, 0] - 2 * eps))


def escape_steps(slope, x):
    """Return the step at which starts leave [0, 1]; those that never do have -1."""
    x, steps = np.array(x), np.full(np.shape(x), -1)
    for t in range(60):
        leaving = (steps < 0) & ((x < 0) | (x > 1))
        steps[leaving] = t
        x = np.where(steps < 0, slope * np.minimum(x, 1 - x), 0.5)
    return steps


@pytest.mark.parametrize(("slope", "depths"), [(2.5, (6, 14)), (4.0, (4, 10))])
def test_pairs_disagree_less_often_than_they_are_near_the_boundary(slope, depths):
    edges = end_points(slope, 16)
    alpha = 1 - make_map("tent").dimension({"slope": slope})
    rng = np.random.default_rng(1)
    shares, volumes, scales = [], [], slope ** -np.arange(*depths, dtype=float)
    for eps in scales:
        x = rng.uniform(eps, 1 - eps, size=200_000)
        labels = [escape_steps(slope, place) % 2 for place in (x, x + eps)]
        shares.append(np.mean(labels[0] != labels[1]))
        volumes.append(neighbourhood(edges, eps))
    assert np.all(np.array(shares) > 0)
    assert np.all(np.array(shares) < np.array(volumes))
    # One scale further down is the same picture, times slope^-alpha: the neighbourhood exactly.
    ratios = np.array(volumes)[1:] / np.array(volumes)[:-1]
    np.testing.assert_allclose(ratios, slope**-alpha, rtol=1e-9)
    slopes = np.polyfit(np.log(scales), np.log(shares), 1)
    assert slopes[0] == pytest.approx(alpha, abs=0.03)


def test_a_boundary_between_equal_labels_is_not_seen():
    tent = make_map("tent")
    x = np.linspace(0.0007, 0.9993, 40_001)
    steps = escape_steps(3.0, x)
    assert tent.dimension({"slope": 3.0}) > 0.6 and len(set(steps[steps >= 0])) > 5
    # All leave, and a label that says no more has no boundary.
    assert np.all(steps >= 0)


def test_below_its_last_step_a_boundary_is_smooth():
    # Labels of four steps change at most at the ends of the pieces of four generations.
    counts = []
    for n in (2**12, 2**15, 2**18):
        steps = escape_steps(3.0, np.linspace(1e-4, 1 - 1e-4, n))
        decided = np.where((steps >= 0) & (steps <= 4), steps % 2, 2)
        counts.append(np.count_nonzero(np.diff(decided)))
    assert counts[0] == counts[1] == counts[2] <= 2 * 2**4 - 2


def test_undecided_runs_bound_the_share_of_pairs():
    slope, rng = 3.0, np.random.default_rng(2)
    for n in range(2, 8):
        eps = 0.5 * slope ** -float(n)
        x = rng.uniform(0.0, 1.0 - eps, size=100_000)
        steps = [escape_steps(slope, place) for place in (x, x + eps)]
        differ = np.mean((steps[0] - steps[1]) % 2)
        # 2 (2 / 3)^n is within eps of the repeller, less than what is left two steps before n.
        undecided = (2 / slope) ** (n - 2)
        assert 0 < differ < undecided


# The largest stretch as a sum that stops


def survival(lengths, m):
    """Return P[M > m] of the two-scale tent: sums of ln(1 / length) until a start leaves."""
    logs = [-LN(length) for length in lengths]
    gap = 1 - sum(lengths)

    @functools.cache
    def share(counts):
        left = m - sum(k * s for k, s in zip(counts, logs, strict=True))
        if left < 0:
            return 1.0
        # In the gap a start is stretched once more, by the branch on its side.
        out = gap / 2 * sum(s > left for s in logs)
        return out + sum(
            length * share(tuple(k + (i == j) for j, k in enumerate(counts)))
            for i, length in enumerate(lengths)
        )

    return share((0,) * len(lengths))


@pytest.mark.parametrize("lengths", [(0.45, 0.40), (0.3, 0.1), (0.01, 0.0001), (1 / 3, 1 / 3)])
def test_the_tail_has_the_rate_of_the_box_dimension_and_no_other(lengths):
    alpha = 1 - self_similar_dimension(lengths)
    logs = [-LN(length) for length in lengths]
    longest = max(logs)
    for m in np.linspace(0.0, 25 * longest, 26):
        scaled = survival(lengths, m) * math.exp(alpha * m)
        assert math.exp(-alpha * longest) - 1e-9 <= scaled <= math.exp(alpha * longest) + 1e-9
    kappa = -LN(sum(lengths))
    first_order = kappa * sum(lengths) / sum(r * s for r, s in zip(lengths, logs, strict=True))
    if lengths[0] == lengths[1]:
        assert first_order == pytest.approx(alpha, abs=1e-12)
    else:
        assert first_order > alpha + 5e-5


def test_equal_branches_make_stairs():
    slope = 3.0
    for n in range(1, 12):
        # Exactly (2 / slope)^n is left after n steps, and nothing in between.
        expected = (2 / slope) ** n
        for part in (0.05, 0.95):
            m = (n + part) * LN(slope)
            assert survival((1 / slope, 1 / slope), m) == pytest.approx(expected, abs=1e-12)


def test_runs_have_the_distribution_of_the_sums():
    tent, axes = make_map("two-scale-tent"), [Axis("x0", 0.0, 1.0)]
    hparams, directions = draw_directions(axes, N_RUNS, 7)
    runs = stretch_runs(tent, hparams, directions, n_steps=150)
    for m in (1.3, 3.1, 6.2, 10.4, 15.7):
        expected = survival((0.45, 0.40), m)
        error = math.sqrt(expected * (1 - expected) / N_RUNS)
        assert abs(np.mean(runs.largest > m) - expected) < 4 * error


def test_the_estimator_reads_the_box_dimension_where_the_mean_rate_reads_another():
    lengths = {"left": 0.85, "right": 0.03}
    tent = make_map("two-scale-tent")
    box, information = (tent.dimension(lengths, q) for q in (0, 1))
    axes = [Axis("x0", 0.0, 1.0)]
    tail = stretch_tail(tent, axes, budget=40_000, n_steps=150, hparams=lengths, seed=1).estimate
    assert tail.stderr < 0.02
    assert abs(tail.value - box) < 4 * tail.stderr
    assert information < box - 4 * tail.stderr
