"""Generalised dimensions against entropies by hand and measures that are known."""

import math

import numpy as np
import pytest

from dynfrac.analysis import point_sets
from dynfrac.analysis.box_shares import box_entropy, fill_boxes
from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.analysis.generalized import generalized_dimension, order_doubts


def test_boxes_are_those_of_a_histogram():
    rng = np.random.default_rng(0)
    points = rng.random((500, 3))
    box, counts = fill_boxes(points, 0.25)
    expected = np.histogramdd(points, bins=4, range=[(0, 1)] * 3)[0].ravel()
    np.testing.assert_array_equal(np.sort(counts), np.sort(expected[expected > 0]))
    np.testing.assert_array_equal(counts[box], [np.sum(box == b) for b in box])


def test_boxes_of_many_coordinates_do_not_overflow():
    points = np.random.default_rng(0).random((300, 40))
    box, counts = fill_boxes(points, 0.001)
    assert len(counts) == 300 and (counts == 1).all()


def test_entropies_of_whole_orders():
    counts = np.array([1, 2, 3, 10])
    n = counts.sum()
    assert box_entropy(counts, 0)[0] == pytest.approx(math.log(4))
    pairs = (counts * (counts - 1)).sum() / (n * (n - 1))
    assert box_entropy(counts, 2)[0] == pytest.approx(-math.log(pairs))
    triples = (counts * (counts - 1) * (counts - 2)).sum() / (n * (n - 1) * (n - 2))
    assert box_entropy(counts, 3)[0] == pytest.approx(-math.log(triples) / 2)
    large = counts * 10**7
    shares = counts / n
    assert box_entropy(large, 1)[0] == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-6)
    assert box_entropy(large, 0.5)[0] == pytest.approx(2 * math.log(np.sqrt(shares).sum()))
    # Continuous in q, with 1 in its place.
    below, at, above = (box_entropy(large, q)[0] for q in (1 - 1e-3, 1, 1 + 1e-3))
    assert below == pytest.approx(at, abs=1e-3) and above == pytest.approx(at, abs=1e-3)
    assert box_entropy(large, 1 + 1e-6)[0] == at
    assert math.isnan(box_entropy(np.array([1, 1]), 2)[0])


@pytest.mark.parametrize("q", [0, 0.5, 1, 2, 2.56, 4])
def test_sets_with_one_dimension_for_every_order(q):
    # Small samples of large orders are noisier, and boxes of order 0 are not all hit.
    for sample, dimension in ((point_sets.circle, 1), (point_sets.square, 2)):
        estimate = generalized_dimension(sample(10_000, seed=0), q)
        assert abs(estimate.value - dimension) < 0.03
        assert estimate.ci_low - 1e-9 <= dimension <= estimate.ci_high + 1e-9
        assert estimate.stderr < 0.05


def test_dimensions_of_the_generalised_baker():
    points = point_sets.generalized_baker(10_000, seed=3)
    exact = {0: 1.5728661, 1: 1.5682248, 2: 1.5635806}
    estimates = {q: generalized_dimension(points, q) for q in exact}
    for q, dimension in exact.items():
        assert abs(estimates[q].value - dimension) < 0.05
        assert estimates[q].ci_low <= dimension <= estimates[q].ci_high


def test_dimensions_of_a_multifractal_fall_with_the_order():
    # A Cantor measure of weights 0.9 and 0.1 on thirds: D_q = ln(0.9^q + 0.1^q)/(1 - q)/ln 3.
    points = point_sets.cantor_set(5000, seed=0, weight=0.9)
    orders = (0, 1, 2, 4)
    exact = [0.6309298, 0.2959021, 0.1806155, 0.1278703]
    values = [generalized_dimension(points, q) for q in orders]
    for estimate, dimension in zip(values, exact, strict=True):
        assert abs(estimate.value - dimension) < max(0.03, 2 * estimate.stderr)
    assert (np.diff([float(value) for value in values]) < 0).all()


def test_a_thin_axis_is_no_dimension():
    rng = np.random.default_rng(0)
    line = np.stack([rng.random(5000), 1e-9 * rng.random(5000)], axis=1)
    assert generalized_dimension(line, 1).value == pytest.approx(1, abs=0.02)
    assert generalized_dimension(line[:, :1], 1).value == pytest.approx(1, abs=0.02)


def henon(n, seed):
    x, y = np.random.default_rng(seed).uniform(-0.1, 0.1, 2)
    orbit = np.empty((n + 100, 2))
    for t in range(n + 100):
        x, y = 1 - 1.4 * x * x + y, 0.3 * x
        orbit[t] = x, y
    return orbit[100:]


@pytest.mark.parametrize("seed", [1, 3, 5])
def test_intervals_hold_the_dimensions_of_the_henon_attractor(seed):
    # Its local slopes swing by 0.1 with a period of 2.3 octaves, of which a short window sees a
    # part. Published: 1.261(3) to 1.28, 1.258 and 1.220(36).
    points = henon(10_000, seed)
    for q, low, high in ((0, 1.258, 1.28), (1, 1.258, 1.258), (2, 1.22, 1.22)):
        estimate = generalized_dimension(points, q)
        assert estimate.ci_low <= low and high <= estimate.ci_high, (q, estimate)
        assert estimate.stderr < 0.09


def test_the_order_of_the_readings_is_checked():
    def reading(value, stderr):
        curve = Curve.empty()
        return Estimate(value, stderr, value, value, "", 1, (1.0, 2.0), curve, ("other",))

    readings = {2.0: reading(1.25, 0.01), 0.0: reading(1.2, 0.01), 1.0: reading(1.21, 0.02)}
    flagged = order_doubts(readings)
    assert list(flagged) == [0, 1, 2]
    assert flagged[0] is readings[0] and flagged[1] is readings[1]
    assert flagged[2].flags[0] == "other"
    assert flagged[2].flags[1].startswith("D_2 reads 1.250 but D_0 1.200: D_q never rises")
    missing = {0.0: Estimate.missing("", 1, ["few"]), 1.0: reading(1.2, 0.1)}
    assert order_doubts(missing) == missing


def test_far_points_are_left_out_and_said_so():
    points = point_sets.sierpinski_gasket(5000, seed=0)
    expected = generalized_dimension(points, 1)
    far = np.concatenate([points, [[1e3, 1e3], [-1e4, 0.0]]])
    estimate = generalized_dimension(far, 1)
    assert estimate.value == pytest.approx(expected.value, abs=1e-3)
    assert "2 of 5002 points are far from the rest and left out" in estimate.flags
    # Coordinates that hardly ever move are no reason, nor is a tail that makes a set twice as long.
    # Nearly all points lie at one end of the second axis, where a grid with a margin may not be.
    rare = np.column_stack([points[:, 0], np.arange(5000) == 7])
    tail = np.random.default_rng(0).normal(size=(5000, 1))
    for usual in (rare, tail):
        assert not any("far" in flag for flag in generalized_dimension(usual, 1).flags)


def test_grids_do_not_miss_what_lies_at_the_ends():
    rng = np.random.default_rng(0)
    ends = np.concatenate([1e-3 * rng.random((2500, 1)), 1 + 1e-3 * rng.random((2500, 1))])
    # A segment twice over: half a dozen octaves in which the two are points, and then a length.
    estimate = generalized_dimension(ends, 1, window=(1e-5, 1e-4))
    assert estimate.value == pytest.approx(1, abs=0.03)


def test_points_that_follow_on_each_other_do_not_count_as_a_measure():
    # A torus of two frequencies, so slow that a point has most neighbours just before and after.
    t = np.arange(20_000) / 50
    torus = np.stack([f(a * t) for a in (1, 1.618) for f in (np.cos, np.sin)], axis=1)
    estimate = generalized_dimension(torus, 2)
    assert math.isnan(estimate.value) or estimate.ci_high >= 2


def test_a_large_constant_changes_nothing_and_a_thin_axis_is_flagged():
    points = henon(2000, 0)
    expected = generalized_dimension(points, 1)
    beside = np.column_stack([points, np.full(2000, 1e12)])
    assert generalized_dimension(beside, 1).value == pytest.approx(expected.value, abs=0.02)
    flags = generalized_dimension(points * [1, 1e6], 1).flags
    assert any("1 of 2 coordinates varies by less than the smallest scale" in f for f in flags)
    assert expected.flags == ()


def test_no_value_and_its_reason():
    rng = np.random.default_rng(0)
    few = generalized_dimension(rng.random((10, 2)))
    assert math.isnan(few.value) and "there are 10 points" in few.flags[0]
    wide = generalized_dimension(rng.random((1000, 6)))
    assert math.isnan(wide.value) and "box sizes can be fitted" in wide.flags[0]
    still = generalized_dimension(np.ones((100, 2)))
    assert still.value == 0 and "converged" in still.flags[0]
    points = rng.random((3000, 1))
    twice = generalized_dimension(np.concatenate([points, points[:3]]), 1)
    assert any("3 pairs of points are the same" in flag for flag in twice.flags)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"q": -1}, "q=-1 .*pass q >= 0"),
        ({"q": math.nan}, "q=nan"),
        ({"q": math.inf}, "q=inf"),
        ({"window": (1, 0.5)}, "window="),
        ({"n_resamples": 1}, "n_resamples=1"),
        ({"points": [[0.0], [math.nan]]}, "not finite"),
    ],
)
def test_misuse_is_one_sentence(arguments, message):
    points = arguments.pop("points", np.random.default_rng(0).random((100, 2)))
    with pytest.raises(ValueError, match=message):
        generalized_dimension(points, **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("q", [0, 1, 2])
def test_intervals_hold_the_dimension_of_independent_copies(q):
    exact = {0: 1.5728661, 1: 1.5682248, 2: 1.5635806}
    cases = (
        (point_sets.circle, 1.0),
        (point_sets.sierpinski_gasket, math.log(3) / math.log(2)),
        (point_sets.generalized_baker, exact[q]),
        (henon, {0: 1.26, 1: 1.258, 2: 1.22}[q]),
    )
    # With fewer points most boxes that count for order 0 are not hit: its intervals are 0.5 wide.
    n = 20_000 if q == 0 else 10_000
    for sample, dimension in cases:
        estimates = [generalized_dimension(sample(n, seed=s), q) for s in range(20)]
        assert sum(e.ci_low <= dimension <= e.ci_high for e in estimates) >= 18
        assert np.median([(e.ci_high - e.ci_low) / 2 for e in estimates]) < 0.15
