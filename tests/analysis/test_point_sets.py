"""The samplers draw from what they say: by counting exact pieces, and by moments."""

import inspect
import math

import numpy as np
import pytest

from dynfrac.analysis import point_sets
from dynfrac.analysis.point_sets import SPECTRA, known_dimension

DRAWN = {name: getattr(point_sets, name)(20_000, seed=3) for name in SPECTRA}


def occupied(points, size):
    """Return how many boxes of a grid hold a point."""
    return len(np.unique(np.floor(points / size).astype(int), axis=0))


def test_every_sampler_has_a_spectrum_and_one_signature():
    public = {
        name
        for name, item in vars(point_sets).items()
        if inspect.isfunction(item) and not name.startswith("_")
    }
    assert public - {"known_dimension", "self_similar_dimension"} == set(SPECTRA)
    for name in SPECTRA:
        parameters = list(inspect.signature(getattr(point_sets, name)).parameters.values())
        assert [p.name for p in parameters[:2]] == ["n", "seed"]
        assert all(p.kind is p.KEYWORD_ONLY for p in parameters[1:])


@pytest.mark.parametrize("name", SPECTRA)
def test_samples_are_finite_points_fixed_by_their_seed(name):
    sampler, drawn = getattr(point_sets, name), DRAWN[name]
    assert drawn.shape == (20_000, drawn.shape[1]) and np.isfinite(drawn).all()
    np.testing.assert_array_equal(sampler(20_000, seed=3), drawn)
    assert not np.array_equal(sampler(20_000, seed=4), drawn)
    assert len(np.unique(drawn, axis=0)) == 20_000
    with pytest.raises(ValueError, match="n=0"):
        sampler(0)


@pytest.mark.parametrize("name", ["segment", "circle", "square", "cube"])
def test_smooth_sets_are_filled_evenly(name):
    points = DRAWN[name]
    if name == "circle":
        np.testing.assert_allclose(np.hypot(*points.T), 1, atol=1e-15)
        points = np.arctan2(*points.T)[:, None] / (2 * np.pi) + 0.5
    elif name == "segment":
        np.testing.assert_allclose(points[:, 1] / points[:, 0], math.tan(0.3), rtol=1e-12)
        points = np.hypot(*points.T)[:, None]
    shares = np.histogramdd(points, bins=4, range=[(0, 1)] * points.shape[1])[0] / len(points)
    # Counts of at least 312 points: four standard deviations are below 23 %.
    np.testing.assert_allclose(shares, 4.0 ** -points.shape[1], rtol=0.23)


def test_cantor_points_occupy_exactly_the_pieces():
    points = DRAWN["cantor_set"]
    # A point per three boxes at worst would still be seen: 20000 points, at most 256 boxes.
    assert [occupied(points, 3.0**-k) for k in range(9)] == [2**k for k in range(9)]
    # No digit is 1; rounding has grown to 3^25 1e-16 = 1e-4 in the end.
    for _ in range(25):
        points = 3 * points
        assert not np.any((points > 1 + 1e-3) & (points < 2 - 1e-3))
        points = np.where(points > 1.5, points - 2, points)


def test_weights_of_the_cantor_set_are_shares():
    points = point_sets.cantor_set(40_000, seed=1, ratio=0.3, weight=0.8)[:, 0]
    right = points > 0.5
    # Four standard deviations of a share of 0.2 and of 0.04.
    assert right.mean() == pytest.approx(0.2, abs=0.008)
    assert (right & ((points - 0.7) / 0.3 > 0.5)).mean() == pytest.approx(0.04, abs=0.004)


def test_gasket_points_occupy_exactly_the_triangles():
    x, y = DRAWN["sierpinski_gasket"].T
    # In coordinates along two sides the triangles of a generation stand on a grid of squares.
    along = 2 * y / math.sqrt(3)
    oblique = np.column_stack([x - along / 2, along])
    assert [occupied(oblique, 0.5**k) for k in range(7)] == [3**k for k in range(7)]


def test_koch_points_lie_in_four_copies_of_their_hull():
    points = DRAWN["koch_curve"] @ [1, 1j]
    turn = np.exp(1j * math.pi / 3) / 3
    for shift, factor in [(0, 1 / 3), (1 / 3, turn), (1 / 3 + turn, turn.conj()), (2 / 3, 1 / 3)]:
        copy = (points - shift) / factor
        height = np.minimum(copy.real, 1 - copy.real) / math.sqrt(3)
        inside = (copy.imag >= -1e-9) & (copy.imag <= height + 1e-9)
        # A quarter of the points, within four standard deviations.
        assert inside.mean() == pytest.approx(0.25, abs=0.0125)


def test_baker_points_have_the_shares_and_gaps_of_their_map():
    x, y = DRAWN["generalized_baker"].T
    assert not np.any((y > 0.25 + 1e-12) & (y < 0.65 - 1e-12))
    assert (y < 0.3).mean() == pytest.approx(0.4, abs=0.014)
    inner = y[y < 0.3] / 0.25
    assert (inner < 0.3).mean() == pytest.approx(0.4, abs=0.022)
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(0, abs=0.03)
    skinny = DRAWN["skinny_baker"][:, 1:]
    assert [occupied(skinny, 3.0**-k) for k in range(8)] == [2**k for k in range(8)]


def test_horseshoe_points_never_leave():
    x, y = point_sets.horseshoe(5000, seed=2, expansion=2.5, contraction=0.3).T
    assert not np.any((y > 0.3 + 1e-12) & (y < 0.7 - 1e-12))
    for _ in range(25):  # rounding grows by 2.5^25 = 1e10
        x = 2.5 * np.minimum(x, 1 - x)
        assert np.all((x > -1e-4) & (x < 1 + 1e-4))


def test_solenoid_points_are_distributed_as_their_images():
    angle, u, v = DRAWN["solenoid"].T
    image = (
        0.25 * u + np.cos(2 * np.pi * angle) / 2,
        0.25 * v + np.sin(2 * np.pi * angle) / 2,
    )
    # The phases of different generations are uncorrelated: E u^2 = (1/8) / (1 - 1/16) = 2/15.
    for coordinate in (u, v, *image):
        assert np.mean(coordinate) == pytest.approx(0, abs=0.011)
        assert np.mean(coordinate**2) == pytest.approx(2 / 15, abs=0.004)
    # A cut through a thin slice of angles: two pieces of a quarter of the size, then four.
    cut = (angle > 0.3) & (angle < 0.302)
    first = np.exp(2j * np.pi * 0.3005 / 2) / 2
    near = [np.abs(u[cut] + 1j * v[cut] - sign * first) for sign in (1, -1)]
    # The rest of the sum is at most 1/4 / 2 / (1 - 1/4) = 1/6.
    assert np.all(np.minimum(*near) < 1 / 6 + 0.01)


@pytest.mark.parametrize("hurst", [0.3, 0.5, 0.8])
def test_brownian_increments_scale_with_the_hurst_exponent(hurst):
    motion = np.array(
        [point_sets.brownian_graph(257, seed=seed, hurst=hurst)[:, 1] for seed in range(400)]
    )
    for lag in (1, 16, 256):
        # One lag of each of 400 motions: four standard errors of a variance are 28 %.
        assert np.var(motion[:, lag]) == pytest.approx((lag / 256) ** (2 * hurst), rel=0.28)
    middle, whole = motion[:, 128], motion[:, 256]
    # Cov(B_s, B_1) = (s^2H + 1 - (1 - s)^2H) / 2 = 1/2 at s = 1/2, for every H.
    assert np.mean(middle * whole) == pytest.approx(0.5, abs=0.2)


def test_weierstrass_is_the_sum_it_is_said_to_be():
    x, w = DRAWN["weierstrass_graph"].T
    # The mean of w^2 is half the sum of 2^-2Hk: 1 / (2 (1 - 1/2)) at H = 1/2.
    assert np.mean(w**2) == pytest.approx(1.0, abs=0.05)
    # Differences over 2^-k are of the size of 2^-Hk, times a constant.
    order = np.argsort(x)
    x, w = x[order], w[order]
    size = [
        np.mean((np.interp(x + s, x, w) - w)[x < 0.9] ** 2) ** 0.5 for s in (1 / 8, 1 / 32, 1 / 128)
    ]
    np.testing.assert_allclose(np.log2(size[0] / np.array(size[1:])), [1, 2], atol=0.15)


def test_apollonian_circles_have_whole_curvatures_and_touch():
    centers, radii = point_sets._apollonian_circles(0.02)
    curvatures = 1 / radii
    np.testing.assert_allclose(curvatures, np.round(curvatures), atol=1e-9)
    assert sorted(np.round(curvatures).astype(int))[:9] == [1, 2, 2, 3, 3, 6, 6, 6, 6]
    gap = np.abs(centers[:, None] - centers) - radii - radii[:, None]
    inner = gap[1:, 1:] + np.diag(np.full(len(radii) - 1, np.inf))
    assert inner.min() > -1e-9  # no two overlap
    assert np.all(np.sort(inner, axis=1)[:, 1] < 1e-9)  # each touches at least two others
    assert np.all(np.abs(centers[1:]) + radii[1:] <= 1 + 1e-9)


def test_apollonian_points_are_spread_over_the_length_of_all_circles():
    points = point_sets.apollonian_gasket(20_000, seed=1, smallest=0.03)
    _, radii = point_sets._apollonian_circles(0.03)
    on_outer = np.abs(np.hypot(*points.T) - 1) < 1e-12
    # Four standard deviations of a share of 0.20.
    assert on_outer.mean() == pytest.approx(1 / radii.sum(), abs=0.011)


def test_apollonian_circles_are_as_many_as_the_dimension_says():
    counts = [len(point_sets._apollonian_circles(size)[1]) for size in (1e-2, 1e-3, 1e-4)]
    slopes = np.diff(np.log10(counts))
    # The number of circles of radius r and more grows as r^-1.305688 (Boyd).
    np.testing.assert_allclose(slopes, 1.305688, atol=0.015)


@pytest.mark.parametrize(
    ("name", "scales"),
    [
        ("apollonian_gasket", (1 / 8, 1 / 16, 1 / 32)),
        ("brownian_graph", (1 / 8, 1 / 16, 1 / 32)),
        ("koch_curve", (3.0**-2, 3.0**-3, 3.0**-4)),
        ("solenoid", (1 / 4, 1 / 8, 1 / 16)),
    ],
)
def test_box_counts_grow_with_the_known_dimension(name, scales):
    counts = [occupied(DRAWN[name], scale) for scale in scales]
    slope = np.log(counts[-1] / counts[0]) / np.log(scales[0] / scales[-1])
    # Boxes on a fixed grid, few scales: to 0.2, and the dimensions are 0.2 to 0.3 apart.
    assert slope == pytest.approx(known_dimension(name), abs=0.2)


def test_known_dimensions_of_the_literature():
    values = [round(known_dimension("generalized_baker", q), 7) for q in (0, 1, 2)]
    assert values == [1.5728661, 1.5682248, 1.5635806]
    assert round(known_dimension("skinny_baker"), 7) == 1.6309298
    assert known_dimension("horseshoe") == pytest.approx(2 * math.log(2) / math.log(3), abs=1e-15)
    assert known_dimension("solenoid", 2) == pytest.approx(1.5, abs=1e-15)
    assert known_dimension("weierstrass_graph", hurst=0.2) == 1.8
    assert math.isnan(known_dimension("apollonian_gasket", 2))
    assert known_dimension("cantor_set", ratio=0.25) == 0.5
    weighted = [known_dimension("cantor_set", q, weight=0.8) for q in (0, 1, 2)]
    # In closed form: ln 2, the entropy of 0.8 and -ln(0.8^2 + 0.2^2), over ln 3.
    expected = [math.log(2), -0.8 * math.log(0.8) - 0.2 * math.log(0.2), -math.log(0.68)]
    np.testing.assert_allclose(weighted, np.divide(expected, math.log(3)), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: known_dimension("gasket"), "no sampler 'gasket'"),
        (lambda: point_sets.cantor_set(9, ratio=1.5), "between 0 and 1"),
        (lambda: point_sets.brownian_graph(9, hurst=1.0), "0 < hurst < 1"),
        (lambda: point_sets.weierstrass_graph(9, hurst=0.0), "hurst=0.0"),
        (lambda: point_sets.apollonian_gasket(9, smallest=2.0), "smallest=2.0"),
    ],
)
def test_nonsense_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
