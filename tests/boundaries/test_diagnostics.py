"""What a boundary dimension hangs on: undecided runs, the number of steps, the last bit."""

import dataclasses
import math
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.scaling import fit_window
from dynfrac.boundaries import diagnostics
from dynfrac.boundaries.diagnostics import (
    Near,
    double_steps,
    points_near,
    share_estimate,
    ulp_flips,
    undecided_share,
)
from dynfrac.boundaries.oracles import Asked, Oracle
from dynfrac.boundaries.pair_fits import dimension_estimate
from dynfrac.boundaries.pairs import draw_pairs
from dynfrac.orbits.axes import Axis
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.catalogue import make_architecture, make_map

RABBIT = {"c_re": -0.12256116687665361, "c_im": 0.74486176661974424}
PLANE = [Axis("z_re", -1.5, 1.5), Axis("z_im", -1.5, 1.5)]
SQUARE = [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)]


@final
class TwoRates(AbstractMap):
    """Descent with two rates on a^2 + 0.6 a b + b^2 + e (1 + cos(2 pi (a - b) / lam))."""

    @property
    def defaults(self):
        return {"lr_a": 0.1, "lr_b": 0.1, "e": 0.05, "lam": 0.2}

    def init(self, hparams):
        return jnp.array([1.0, 0.7]) + 0 * hparams["e"]

    def step(self, state, hparams, t):
        rates = jnp.stack([hparams["lr_a"], hparams["lr_b"]])
        return state - rates * jax.grad(self.observe)(state, hparams)

    def observe(self, state, hparams):
        a, b = state
        ripple = 1 + jnp.cos(2 * jnp.pi * (a - b) / hparams["lam"])
        return a * a + 0.6 * a * b + b * b + hparams["e"] * ripple


def measured(target, axes, budget, seed=0, **options):
    oracle = Oracle(target, axes, budget=budget, keep=True, **options)
    pairs = draw_pairs(oracle, seed=seed)
    return oracle, pairs, dimension_estimate(pairs, seed=seed)


def flips_of(target, axes, budget, n_points, **options):
    oracle, pairs, estimate = measured(target, axes, budget, **options)
    near = points_near(pairs, oracle.asked, oracle, n_points)
    nudged = Oracle(target, axes, budget=n_points, nudge=True, **options)
    return ulp_flips(near, nudged, estimate), near, nudged


# Shares


@pytest.mark.parametrize(("hits", "n"), [(0, 50), (1, 200), (30, 60), (40, 40)])
def test_a_share_has_the_interval_of_wilson(hits, n):
    share = share_estimate(hits, n, "test")
    for end in (share.ci_low, share.ci_high):
        if 0 < end < 1:
            # Where the observed share is 1.96 standard errors of that end away.
            assert abs(share.value - end) == pytest.approx(
                1.959964 * math.sqrt(end * (1 - end) / n), rel=1e-5
            )
    assert share.ci_low <= share.value <= share.ci_high
    assert share.stderr > 0


def test_undecided_runs_are_those_that_stay_bounded():
    share = undecided_share(Asked(np.zeros((8, 1)), np.array([1, 2, 2, 3, 4, 1, 1, 1])))
    assert (share.value, share.n_runs) == (0.25, 8)


# Points near the boundary


def test_points_near_are_those_of_the_closest_pairs_that_disagree():
    def disc(points):
        return ((points - 0.5) ** 2).sum(axis=1) < 0.1

    oracle, pairs, _ = measured(disc, SQUARE, 8000)
    near = points_near(pairs, oracle.asked, oracle, 60)
    assert len(near.labels) == 60
    np.testing.assert_array_equal(near.labels, disc(near.positions))
    radius = np.linalg.norm(near.positions - 0.5, axis=1)
    assert np.all(abs(radius - math.sqrt(0.1)) <= near.distances * (1 + 1e-9))
    assert len(np.unique(near.positions, axis=0)) == 60
    hits = pairs.counts()[0][0].sum(axis=0)
    assert near.distances.min() == pairs.scales[hits > 0].min()
    everything = points_near(pairs, oracle.asked, oracle, 10**6)
    assert len(everything.labels) < 2 * hits.sum()
    assert np.all(np.diff(everything.distances) >= 0)


def test_requests_of_another_oracle_are_refused():
    def disc(points):
        return ((points - 0.5) ** 2).sum(axis=1) < 0.1

    oracle, pairs, _ = measured(disc, SQUARE, 2000)
    other, _, _ = measured(disc, SQUARE, 3000)
    with pytest.raises(ValueError, match="not those of the pairs"):
        points_near(pairs, other.asked, oracle, 10)


# The last bit


def test_half_of_the_labels_of_the_two_rate_ripple_are_rounding():
    axes = [Axis("lr_a", 0.1, 2.0, scale="linear"), Axis("lr_b", 0.1, 2.0, scale="linear")]
    flips, _, _ = flips_of(TwoRates(), axes, 3000, 300, n_steps=300)
    assert 0.35 < flips.value < 0.6  # published: about 50 %
    assert "arithmetic noise at these scales, and the dimension is that of it" in flips.flags[0]
    assert flips.n_runs == 300


def test_no_label_of_a_julia_set_is_rounding():
    flips, _, _ = flips_of(make_map("quadratic"), PLANE, 5000, 400, n_steps=100, hparams=RABBIT)
    assert flips.value == 0 and flips.flags == ()
    assert flips.ci_high < 0.011


def test_no_label_of_a_small_network_in_a_calm_window_is_rounding():
    net = make_architecture("mlp", width=8)
    axes = [Axis("lr_in", 1e-2, 1.0), Axis("lr_out", 1.0, 1e4)]
    flips, near, _ = flips_of(net, axes, 1000, 100, n_steps=40)
    assert len(near.labels) > 50
    assert flips.value == 0 and flips.flags == ()


def test_a_boundary_that_is_fine_enough_has_labels_on_the_last_bit():
    # Dimension 0.84 on a line: 30 octaves below the window a few labels hang on one rounding.
    axes = [Axis("lr", 0.01, 1.5, scale="linear")]
    flips, near, nudged = flips_of(make_map("gd-ripple"), axes, 6000, 400, n_steps=500)
    expected = np.mean((nudged.finest / 1024 / near.distances) ** 0.1625)
    assert flips.value < 3 * expected
    if flips.value > 0.01:
        assert "as a boundary of this dimension has" in flips.flags[0]


@pytest.mark.parametrize(
    ("share", "value", "words"),
    [
        (0.005, 1.5, None),
        (0.05, 1.5, "a part of the boundary is arithmetic noise"),
        (0.5, 1.5, "the dimension is that of it"),
        (0.05, 1.85, "single labels there are decided by rounding"),
        (0.05, 1.99, "a part of the boundary is arithmetic noise"),
        (0.05, math.nan, "a part of the boundary is arithmetic noise"),
    ],
)
def test_flips_are_flagged_above_one_in_a_hundred(share, value, words):
    # Points 2^-30 from the boundary: 5 % flip where alpha is 0.15, next to none at 0.5.
    positions = np.random.default_rng(0).random((1000, 2))
    near = Near(positions, np.zeros(1000, int), np.full(1000, 2.0**-30))

    def labels(points):
        return np.arange(1000) < 1000 * share

    if math.isnan(value):
        estimate = Estimate.missing("pairs", 10, ["no boundary"])
    else:
        estimate = dataclasses.replace(share_estimate(1, 2, "pairs"), value=value, stderr=0.01)
    oracle = Oracle(labels, SQUARE, budget=1000, nudge=True)
    oracle._pace.size = 1000
    flips = ulp_flips(near, oracle, estimate)
    assert flips.value == share
    assert (flips.flags == ()) if words is None else (words in flips.flags[0])


# Twice the steps


def doubled(target, axes, n_steps, budget, again, seed=0, **options):
    oracle, pairs, estimate = measured(target, axes, budget, seed, n_steps=n_steps, **options)
    twice = Oracle(target, axes, budget=again, n_steps=2 * n_steps, **options)
    found = double_steps(pairs, oracle.asked, twice, estimate, n_steps=n_steps, seed=seed)
    return found, estimate, twice


def test_twice_the_steps_change_nothing_that_is_settled():
    found, _, twice = doubled(make_map("quadratic"), PLANE, 150, 8000, 1000, hparams=RABBIT)
    assert found.n_steps == 150
    assert 500 < twice.used <= 1000
    assert found.changed.value == 0 and found.change.value == 0
    # Nothing changed among those asked; that is no proof that nothing changes.
    assert 0 < found.changed.stderr < 0.05 and 0 < found.change.stderr < 0.2


def test_a_boundary_that_is_too_smooth_at_first_gets_rougher():
    # After n steps the labels are level sets of a polynomial of degree 2^n, smooth below its scale.
    n_steps = 6
    found, estimate, _ = doubled(
        make_map("quadratic"), PLANE, n_steps, 20_000, 12_000, hparams=RABBIT
    )
    later = measured(make_map("quadratic"), PLANE, 20_000, 1, n_steps=2 * n_steps, hparams=RABBIT)
    # Inside at n steps and outside at 2 n: the same shares on a fine lattice.
    nodes = np.stack(np.meshgrid(*[np.linspace(0, 1, 300)] * 2), axis=-1).reshape(-1, 2)
    labels = [
        Oracle(make_map("quadratic"), PLANE, budget=10**5, n_steps=n, hparams=RABBIT)(nodes)
        for n in (n_steps, 2 * n_steps)
    ]
    share = np.mean(labels[0] != labels[1])
    assert share > 0.02
    assert abs(found.changed.value - share) < 4 * found.changed.stderr
    assert found.changed.ci_low > 0
    apart = later[2].value - estimate.value
    assert abs(found.change.value - apart) < 4 * math.hypot(
        found.change.stderr, estimate.stderr, later[2].stderr
    )


def test_centres_that_disagree_are_preferred_and_each_stands_for_as_many_as_there_are():
    disagree = np.arange(100) < 30
    chosen, weights = diagnostics._choose_centres(disagree, 40, np.random.default_rng(0))
    assert disagree[chosen].sum() == 20 and len(np.unique(chosen)) == 40
    # Each group weighs as much as it would if it had been asked in full.
    assert weights[disagree[chosen]].sum() == 30 and weights[~disagree[chosen]].sum() == 70


def test_too_few_labels_say_so():
    found, _, twice = doubled(make_map("quadratic"), PLANE, 100, 5000, 60, hparams=RABBIT)
    assert twice.used <= 60
    assert math.isnan(found.change.value) and "raise the budget" in found.change.flags[0]


def test_all_pairs_again_give_the_change_of_their_own_fit():
    options = {"n_steps": 12, "hparams": RABBIT}
    oracle, pairs, estimate = measured(make_map("quadratic"), PLANE, 3000, **options)
    longer = {**options, "n_steps": 24}
    twice, again = (Oracle(make_map("quadratic"), PLANE, budget=3000, **longer) for _ in "ab")
    found = double_steps(pairs, oracle.asked, twice, estimate, n_steps=12, seed=0)
    rounds = []
    for part, request in zip(pairs.rounds, oracle.asked[-len(pairs.rounds) :], strict=True):
        labels = again(request.positions).reshape(len(part.columns) + 1, -1)
        rounds.append(dataclasses.replace(part, hits=labels[1:] != labels[0]))
    after = dataclasses.replace(pairs, rounds=tuple(rounds))
    assert twice.used == again.used
    fitted = np.isin(pairs.scales, found.change.curve.x)
    assert fitted.sum() >= 3
    np.testing.assert_allclose(found.change.curve.y[::-1], after.fractions()[0][fitted])
    x = pairs.scales[fitted][::-1]
    weights = pairs.counts()[0][0].sum(axis=0)[fitted][::-1]
    slopes = [
        fit_window(x, each.fractions()[0][fitted][::-1], (x[0], x[-1]), weights=weights).slope
        for each in (pairs, after)
    ]
    assert found.change.value == pytest.approx(slopes[0] - slopes[1])
    assert found.change.value != 0
