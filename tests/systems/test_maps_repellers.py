"""Open maps: escape rates, dimensions and labels, against formulas and plain loops."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.analysis import point_sets
from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.systems.catalogue import make_map

N_STEPS = 60


def leaves_at(advance, inside, state):
    """Return the first t at which a state is outside, by a loop over time; -1 if it stays."""
    first = np.full(state.shape[-1], -1)
    for t in range(N_STEPS):
        out = ~inside(state)
        first[(first < 0) & out] = t
        with np.errstate(all="ignore"):
            state = advance(state)
    return first


def in_interval(x):
    return np.abs(x - 0.5) <= 0.5


def check_labels(outcomes, first):
    np.testing.assert_array_equal(outcomes.t_escape, first)
    np.testing.assert_array_equal(outcomes.labels, (first >= 0) & (first % 2 == 0))
    assert np.all((outcomes.status == Status.BOUNDED) == (first < 0))
    assert len(np.unique(first)) > 5, "too much alike to tell"


@pytest.mark.parametrize(
    ("name", "hparams", "advance"),
    [
        ("tent", {"slope": 3.0}, lambda x: 3.0 * np.minimum(x, 1 - x)),
        ("tent", {"slope": 2.5}, lambda x: 2.5 * np.minimum(x, 1 - x)),
        ("two-scale-tent", {}, lambda x: np.minimum(x / 0.45, (1 - x) / 0.40)),
    ],
)
def test_tents_are_labelled_by_the_parity_of_the_step_at_which_they_leave(name, hparams, advance):
    x0 = np.linspace(-0.1, 1.1, 2001)
    outcomes = evaluate(make_map(name), {**hparams, "x0": x0}, n_steps=N_STEPS)
    check_labels(outcomes, leaves_at(advance, in_interval, x0))


def test_the_horseshoe_is_labelled_by_the_parity_of_the_step_at_which_it_leaves():
    def advance(state):
        x, y = state
        return np.array([3 * np.minimum(x, 1 - x), np.where(x < 0.5, y / 3, 1 - y / 3)])

    rng = np.random.default_rng(4)
    starts = rng.random((2, 2000))
    hparams = {"x0": starts[0], "y0": starts[1], "contraction": 1 / 3}
    outcomes = evaluate(make_map("horseshoe"), hparams, n_steps=N_STEPS)
    first = leaves_at(advance, lambda s: np.all(np.abs(s - 0.5) <= 0.5, axis=0), starts)
    # The package multiplies by a third where this divides by three: no label may depend on it.
    check_labels(outcomes, first)


def test_the_cantor_curve_is_the_published_oracle():
    def advance(u):
        # A branch for each end; in the gap, and outside, none is needed any more.
        return np.where(u < 0.45, u / 0.45, np.where(u > 0.60, (u - 0.60) / 0.40, 9.0))

    x, y = np.random.default_rng(5).random((2, 4000))
    outcomes = evaluate(make_map("cantor-curve"), {"x": x, "y": y}, n_steps=N_STEPS)
    u = 0.02 + 0.96 * np.mod(x + 0.37 * y + 0.08 * np.sin(2 * np.pi * y), 1)
    first = leaves_at(advance, in_interval, u)
    # Rounding differs between the two sines and grows by 2.5 at a step: a few starts may differ.
    assert np.mean(outcomes.t_escape != first) < 1e-3
    assert np.mean(outcomes.labels != (first % 2 == 0)) < 1e-3
    # frac((x, y)) is the same along the curve, so that the labels are, too.
    along = evaluate(
        make_map("cantor-curve"),
        {"x": (0.3 - 0.37 * y - 0.08 * np.sin(2 * np.pi * y)), "y": y},
        n_steps=8,
    )
    assert np.ptp(along.labels.astype(int)) == 0


def test_cubic_descent_is_labelled_by_the_step_at_which_it_passes_its_edge():
    lr = 2.5
    w0 = np.linspace(-1.4, 1.4, 2001)
    outcomes = evaluate(
        make_map("gd-cubic"), {"lr": lr, "w0": w0}, n_steps=N_STEPS, rule="parity:1@reach"
    )
    edge = math.sqrt((2 + lr) / lr)
    first = leaves_at(lambda w: w - lr * w * (w * w - 1), lambda w: np.abs(w) <= edge, w0)
    # The package computes 1 + lr - lr w^2 in another order; starts near the repeller may differ.
    assert np.mean(outcomes.t_escape != first) < 5e-3


@pytest.mark.parametrize(
    ("name", "hparams", "d0", "kappa", "exponent", "d1"),
    [
        ("tent", {"slope": 3.0}, 0.6309298, 0.4054651, 1.0986123, 0.6309298),
        ("tent", {"slope": 2.5}, 0.7564708, 0.2231436, 0.9162907, 0.7564708),
        ("two-scale-tent", {}, 0.8097556, 0.1625189, 0.8539350, 0.8096823),
    ],
)
def test_repellers_have_the_known_numbers(name, hparams, d0, kappa, exponent, d1):
    map_ = make_map(name)
    hparams = {**map_.defaults, **hparams}
    assert map_.dimension(hparams) == pytest.approx(d0, abs=1e-7)
    assert map_.escape_rate(hparams) == pytest.approx(kappa, abs=1e-7)
    assert map_.exponents(hparams)[0] == pytest.approx(exponent, abs=1e-7)
    assert map_.dimension(hparams, 1.0) == pytest.approx(d1, abs=1e-7)
    # D1 = 1 - kappa / exponent for every open map of the line.
    assert map_.dimension(hparams, 1.0) == pytest.approx(
        1 - map_.escape_rate(hparams) / map_.exponents(hparams)[0], abs=1e-12
    )


def test_the_dimension_of_two_scales_lies_between_those_of_either():
    map_ = make_map("two-scale-tent")
    low, high = (math.log(2) / -math.log(scale) for scale in (0.40, 0.45))
    assert (round(low, 5), round(high, 5)) == (0.75647, 0.86805)
    assert low < map_.dimension(map_.defaults) < high


@pytest.mark.parametrize("name", ["tent", "two-scale-tent", "horseshoe"])
def test_orbits_leave_at_the_rate_of_the_formula(name):
    map_ = make_map(name)
    hparams = {**map_.defaults, **({"slope": 2.5} if name == "tent" else {})}
    x0 = np.random.default_rng(6).random(100_000)
    t = evaluate(map_, {**hparams, "x0": x0}, n_steps=30).t_escape
    for k in (1, 5, 12):
        # Starts are spread evenly, and so are the survivors: the share is exact at every step.
        share = math.exp(-k * map_.escape_rate(hparams))
        error = math.sqrt(share * (1 - share) / len(x0))
        assert np.mean((t < 0) | (t > k)) == pytest.approx(share, abs=4 * error)


def test_dimensions_of_attractors_are_the_known_numbers():
    def dimensions(name, *qs, **hparams):
        map_ = make_map(name)
        return [round(map_.dimension({**map_.defaults, **hparams}, q), 7) for q in qs]

    assert dimensions("generalized-baker", 0, 1, 2) == [1.5728661, 1.5682248, 1.5635806]
    assert dimensions("skinny-baker", 0, 1, 2) == [1.6309298] * 3
    assert dimensions("solenoid", 0, 2) == [1.5, 1.5]
    assert dimensions("horseshoe", 0, 2) == [1.2618595] * 2
    cantor = make_map("cantor-curve")
    assert round(cantor.boundary_dimension(cantor.defaults), 7) == 1.8097556


def test_the_information_dimension_is_that_of_kaplan_and_yorke():
    for name in ("generalized-baker", "skinny-baker"):
        map_ = make_map(name)
        largest, smallest = map_.exponents(map_.defaults)
        assert map_.dimension(map_.defaults, 1) == pytest.approx(
            1 + largest / abs(smallest), abs=1e-12
        )


def test_what_has_no_repeller_says_so():
    tent, two = make_map("tent"), make_map("two-scale-tent")
    assert tent.escape_rate({"slope": 1.5}) == 0
    with pytest.raises(ValueError, match="slope=1.5"):
        tent.dimension({"slope": 1.5})
    with pytest.raises(ValueError, match="sum below 1"):
        two.dimension({"left": 0.6, "right": 0.5})


def test_closed_tents_stay_and_are_bounded():
    outcomes = evaluate(make_map("tent"), {"slope": np.linspace(0.1, 2.0, 50)}, n_steps=200)
    assert np.all(outcomes.status == Status.BOUNDED) and not outcomes.labels.any()


def test_what_stays_on_the_attractor_of_an_open_baker_never_leaves():
    # Forward images of the horseshoe's own invariant set, to show that step and sampler agree.
    map_ = make_map("horseshoe")
    states = jnp.asarray(point_sets.horseshoe(500, seed=1))
    for _ in range(20):
        states = jax.vmap(lambda s: map_.step(s, map_.defaults, 0))(states)
        assert float(jnp.abs(states - 0.5).max()) < 0.5 + 1e-5


@pytest.mark.parametrize("name", ["generalized-baker", "skinny-baker", "solenoid"])
def test_the_samplers_of_natural_measures_are_carried_along_by_their_maps(name):
    map_ = make_map(name)
    points = getattr(point_sets, name.replace("-", "_"))(40_000, seed=2)
    images = np.asarray(jax.vmap(lambda s: map_.step(s, map_.defaults, 0))(jnp.asarray(points)))
    for column in range(points.shape[1]):
        before = np.quantile(points[:, column], np.linspace(0.05, 0.95, 7))
        shares = [np.mean(points[:, column] <= b) - np.mean(images[:, column] <= b) for b in before]
        # Differences of shares of 40000 points each: at most 1.6 % in one of twenty samples.
        assert np.abs(shares).max() < 0.016
