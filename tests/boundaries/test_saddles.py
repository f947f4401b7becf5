"""Lives of undecided runs, and the rates that are read off them."""

import math

import numpy as np
import pytest

from dynfrac.boundaries.growth_rates import draw_groups, effective_numbers, group_sums, growth_rate
from dynfrac.boundaries.lifetimes import measure_lifetimes, undecided_until
from dynfrac.boundaries.mid_life import read_mid_life
from dynfrac.boundaries.saddles import kantz_grassberger, read_rates, saddle_rates
from dynfrac.orbits.axes import Axis
from dynfrac.systems.catalogue import make_map

LINE = [Axis("x0", 0.0, 1.0)]


def tent_histories(n, slope=3.0, n_steps=40, seed=0):
    """Histories of the tent repeller: every run that is left has S_n = n ln slope."""
    x = np.random.default_rng(seed).random(n)
    losses, escapes = np.empty((n, n_steps)), np.full(n, -1)
    for t in range(n_steps):
        losses[:, t] = abs(x - 0.5)
        escapes[(losses[:, t] > 0.5) & (escapes < 0)] = t
        x = np.clip(slope * np.minimum(x, 1 - x), -9, 9)
    return np.tile(np.arange(n_steps) * math.log(slope), (n, 1)), losses, escapes


def tent_rates(n, seed=0, **given):
    return read_rates(measure_lifetimes(*tent_histories(n, seed=seed, **given)), seed=seed)


def lives_of(ends, stretch=1.0, n_steps=60):
    """Lifetimes of runs that leave at given steps, and stretch by the same at each."""
    ends = np.asarray(ends)
    logs = np.tile(np.arange(n_steps) * stretch, (len(ends), 1))
    losses = np.random.default_rng(9).random(logs.shape)
    return measure_lifetimes(logs, losses, np.where(ends < n_steps, ends, -1))


def geometric(n, rate, seed=0):
    return 1 + np.floor(np.random.default_rng(seed).exponential(1 / rate, n)).astype(int)


# Lifetimes


def test_a_run_is_undecided_until_it_escapes():
    lives = lives_of([0, 3, 60])
    assert lives.ends.tolist() == [0, 3, 60]
    assert lives.undecided()[:5].tolist() == [2, 2, 2, 1, 1]
    assert lives.open_share == pytest.approx(1 / 3)


def test_a_contraction_of_fourteen_steps_ends_a_run_at_its_last_maximum():
    steps = np.arange(60)
    # Loses 5 nats until the end.
    rising_then_falling = np.where(steps <= 20, 0.8 * steps, 16 - 0.13 * (steps - 20))
    # Loses 8 nats in one step, and is back before fourteen are over.
    dip = np.where(steps == 20, -8.0, 0.0).cumsum() + 0.9 * steps
    # Never loses 3 nats.
    slight = np.where(steps <= 20, 0.8 * steps, 16 - 0.05 * (steps - 20))
    logs = np.stack([rising_then_falling, dip, slight])
    lives = measure_lifetimes(logs, np.zeros_like(logs), np.full(3, -1))
    assert lives.ends.tolist() == [20, 60, 60]


def test_a_contraction_that_begins_at_the_escape_is_none():
    logs = np.where(np.arange(40) < 10, 1.0 * np.arange(40), -50.0)[None]
    assert measure_lifetimes(logs, np.zeros_like(logs), np.array([10])).ends.tolist() == [10]


def test_a_derivative_that_is_not_finite_ends_a_run_and_none_at_the_start_does_not():
    logs = np.tile(np.arange(40.0), (2, 1))
    logs[0, 7:] = np.nan
    logs[1, 0] = -np.inf  # of a learning rate: the first state does not depend on it
    lives = measure_lifetimes(logs, np.zeros_like(logs), np.full(2, -1))
    assert lives.ends.tolist() == [7, 40]


def test_histories_that_do_not_fit_or_are_short_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        measure_lifetimes(np.zeros((3, 40)), np.zeros((3, 41)), np.zeros(3))
    with pytest.raises(ValueError, match="too few to tell contraction"):
        measure_lifetimes(np.zeros((3, 16)), np.zeros((3, 16)), np.zeros(3))


def test_grace_asks_who_is_still_undecided_later():
    lives = lives_of(np.repeat([5, 10], 60))
    alive = undecided_until(lives, 3)
    assert alive.sum(axis=0).tolist() == [120, 120, 60, 60, 60, 60, 60, 0]


# Growth rates


def test_the_rate_of_exact_sums_is_exact_and_the_transient_is_left_out():
    n = np.round(1e6 * np.exp(-0.3 * np.maximum(np.arange(16) - 4, 0)))
    growth = growth_rate(np.tile(n / 1000, (1000, 1)) * 1.0, n)
    assert growth.rate == pytest.approx(-0.3, abs=1e-5)
    assert growth.first == 4
    assert growth.form.sum() == pytest.approx(0, abs=1e-12)


def test_steps_with_few_runs_are_not_used():
    n = np.array([1000, 500, 250, 125, 60, 30, 15])
    growth = growth_rate(np.tile(n / 100.0, (100, 1)), n)
    assert growth.last == 4
    assert math.isnan(growth_rate(np.tile(n / 100.0, (100, 1)), n / 8).rate)


def test_effective_numbers_of_equal_and_of_uneven_weights():
    weights = np.array([[1.0, 10.0], [1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(effective_numbers(weights), [3, 1])
    np.testing.assert_allclose(group_sums(weights), weights)


def test_groups_cover_all_runs():
    values = np.arange(3001.0)[:, None]
    sums = group_sums(values)
    assert len(sums) == 1000 and sums.sum() == values.sum()
    assert draw_groups(1000, 0).sum(axis=1).tolist() == [1000] * 400


# Rates


def test_rates_of_the_tent_repeller():
    rates = tent_rates(40_000)
    kappa = rates.escape_rate
    assert abs(kappa.value - math.log(1.5)) < 4 * kappa.stderr and kappa.stderr < 0.01
    assert rates.exponent.value == pytest.approx(math.log(3), abs=1e-12)
    dimension = kantz_grassberger(rates)
    assert abs(dimension.value - math.log(2) / math.log(3)) < 4 * dimension.stderr
    assert dimension.stderr == pytest.approx(kappa.stderr / math.log(3), rel=1e-6)
    assert dimension.ci_low < dimension.value < dimension.ci_high
    assert rates.flight == 0 and not dimension.flags


def test_intervals_of_the_escape_rate_cover():
    rates = [tent_rates(1500, seed=100 + seed, n_steps=24).escape_rate for seed in range(64)]
    covered = sum(e.ci_low <= math.log(1.5) <= e.ci_high for e in rates)
    # 95 % of 64 are 61, and 54 is four standard deviations of that below.
    assert covered >= 54
    errors = np.array([e.value - math.log(1.5) for e in rates])
    typical = np.sqrt(np.mean([e.stderr**2 for e in rates]))
    assert 0.6 * typical < errors.std() < 1.4 * typical


def test_the_same_seed_gives_the_same_numbers():
    one, two, other = (
        saddle_rates(make_map("tent"), LINE, n_runs=500, n_steps=20, hparams={"slope": 3}, seed=s)
        for s in (1, 1, 2)
    )
    assert one.escape_rate.value == two.escape_rate.value != other.escape_rate.value
    assert one.conditions == {"n_runs": 500, "n_steps": 20, "seed": 1, "axes": ["x0"]}


def test_the_derivatives_of_a_map_give_the_exponent():
    rates = saddle_rates(
        make_map("logistic"), LINE, n_runs=8000, n_steps=50, hparams={"r": 4.1}, rule="parity:1"
    )
    exponent = rates.exponent
    assert abs(exponent.value - 0.8091577) < 4 * exponent.stderr < 0.04
    assert abs(rates.escape_rate.value - 0.1354747) < 4 * rates.escape_rate.stderr < 0.03


def test_runs_that_turn_into_the_unstable_direction_are_not_yet_in_mid_life():
    # In the plane of the horseshoe a random direction begins across the unstable one.
    plane = [Axis("x0", 0.0, 1.0), Axis("y0", 0.0, 1.0)]
    rates = saddle_rates(make_map("horseshoe"), plane, n_runs=8000, n_steps=30, seed=2)
    assert rates.settled > rates.growth.first
    # The direction is off by 9^-n: what is left of that after some steps.
    assert rates.exponent.value == pytest.approx(math.log(3), abs=1e-3)
    dimension = kantz_grassberger(rates)
    assert abs(dimension.value - (1 + math.log(2) / math.log(3))) < 4 * dimension.stderr


def test_mid_life_leaves_out_the_last_steps():
    ends = geometric(20_000, 0.4) + 3
    logs = np.tile(1.0 * np.arange(60), (len(ends), 1))
    late = np.maximum(np.arange(60) - ends[:, None] + 3, 0)  # flies out in its last two steps
    lives = measure_lifetimes(logs + 5 * late, np.zeros_like(logs), np.minimum(ends, 59))
    assert read_mid_life(lives, 3, draw_groups(1000, 0)).exponent == pytest.approx(1, abs=1e-12)
    assert read_rates(lives).flight == 2


# Flags


def has(estimate, words):
    return any(words in flag for flag in estimate.flags)


def test_few_survivors_give_no_value():
    rates = read_rates(lives_of(geometric(300, 2.0)))
    for estimate in (rates.escape_rate, rates.exponent, kantz_grassberger(rates)):
        assert math.isnan(estimate.value) and has(estimate, "few survivors")


def test_lifetimes_of_a_few_steps_are_flagged():
    assert has(read_rates(lives_of(geometric(2000, 0.9), 2.0)).escape_rate, "lifetimes of a few")


def test_two_decay_rates_are_flagged():
    both = np.concatenate([geometric(20_000, 0.9), geometric(2000, 0.15, seed=1)])
    rates = read_rates(lives_of(both))
    # 60 of the fast ones are left where 1200 of the slow ones are.
    assert rates.escape_rate.value == pytest.approx(0.15, abs=0.04)
    assert has(rates.escape_rate, "more than one saddle")


def test_a_fixed_point_is_flagged_and_has_codimension_one():
    # x' = 2 x: who survives is next to 0, and the boundary is one point.
    x = np.random.default_rng(0).random(50_000)[:, None] * 2.0 ** np.arange(40)
    escapes = np.where(x[:, -1] > 1, np.argmax(x > 1, axis=1), -1)
    logs = np.tile(np.arange(40) * math.log(2), (len(x), 1))
    rates = read_rates(measure_lifetimes(logs, np.minimum(x, 2), escapes))
    assert has(rates.escape_rate, "next to a cycle of period 1")
    dimension = kantz_grassberger(rates)
    assert dimension.value == pytest.approx(0, abs=4 * dimension.stderr)
    assert has(dimension, "kappa is not below l within their errors")


def test_survivors_of_a_chaotic_saddle_are_on_no_cycle():
    assert measure_lifetimes(*tent_histories(40_000)).cycling.max() < 0.3


@pytest.mark.parametrize("period", [2, 3, 4])
def test_short_lives_on_a_cycle_are_recognised(period):
    rng = np.random.default_rng(period)
    losses = np.where(np.arange(40) < 14, rng.random((4000, 40)), 5.0)
    # A tenth lives longest, next to a cycle whose points lie far apart.
    losses[:400, :15] = np.resize(np.linspace(0.1, 0.9, period), 15)
    escapes = np.where(np.arange(4000) < 400, 15, 14)
    logs = np.tile(0.7 * np.arange(40), (4000, 1))
    cycling = measure_lifetimes(logs, losses, escapes).cycling
    assert cycling.argmax() == period and cycling[period] > 0.9


def test_an_escape_faster_than_the_stretching_has_no_dimension():
    rates = read_rates(lives_of(geometric(20_000, 0.5), 0.3))
    estimate = kantz_grassberger(rates)
    assert rates.codimension.value > 1.5
    assert math.isnan(estimate.value) and has(estimate, "is not below l")


def test_a_phase_that_never_decides_is_flagged():
    rates = read_rates(lives_of(np.append(geometric(5000, 0.3), np.full(300, 60))))
    assert has(rates.escape_rate, "undecided to the last step")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n_runs": 100}, "n_runs=100 is too few"),
        ({"n_steps": 15}, "too short to tell contraction"),
        ({"axes": []}, "0 axes"),
        ({"axes": [Axis("slope", 2.0, 3.0)], "hparams": {"slope": 3.0}}, "is set as well"),
        ({"axes": [Axis("nothing", 2.0, 3.0)]}, "unknown hyperparameter"),
    ],
)
def test_misuse_is_refused(given, words):
    call = {"axes": LINE, "n_runs": 300, "n_steps": 30, **given}
    with pytest.raises(ValueError, match=words):
        saddle_rates(make_map("tent"), call.pop("axes"), **call)
