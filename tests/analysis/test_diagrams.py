"""Orbit diagrams: periods, exponents and escapes of maps whose answers are known."""

import json
import math

import numpy as np
import pytest
from flax import linen

from dynfrac.analysis import diagrams
from dynfrac.analysis.cascades import find_period
from dynfrac.analysis.diagrams import orbit_diagram
from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.orbits import tails
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.iteration import iterate
from dynfrac.orbits.outcomes import Status
from dynfrac.systems.batches import Dataset
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.datasets import TrainingData
from dynfrac.systems.descents import CubicDescent, QuadraticDescent
from dynfrac.systems.interval_maps import Logistic
from dynfrac.systems.plain_values import jsonable
from dynfrac.systems.recipes import training_map

ARRAYS = ("observed", "exponents", "stderr", "periods", "status")


def at(map_, name, values, n_steps=1000, **options):
    """Return a diagram whose points include these two values only."""
    low, high = values
    return orbit_diagram(map_, Axis(name, low, high, 2, "linear"), n_steps=n_steps, **options)


@pytest.mark.parametrize(
    ("r", "period"),
    [((2.5, 3.2), (1, 2)), ((3.5, 3.55), (4, 8)), ((3.566, 3.835), (16, 3)), ((3.9, 4.0), (0, 0))],
)
def test_periods_of_the_logistic_map(r, period):
    diagram = at(Logistic(), "r", r)
    assert tuple(diagram.periods) == period
    assert diagram.chaotic.tolist() == [p == 0 for p in period]
    # A cycle of p points has p values, to the last digits.
    for values, p in zip(diagram.observed, period, strict=True):
        distinct = len(np.unique(np.round(values, 9)))
        assert distinct == p or (p == 0 and distinct > 200)


SUPERSTABLE = (0.5, 3 / math.sqrt(2) - 1, 1.2629897, 1.2938433)


def test_superstable_cycles_of_gradient_descent_on_the_double_well():
    # Periods 1, 2, 4, 8; the third and fourth value are known to seven digits, hence the -5.
    for i, lr in enumerate(SUPERSTABLE):
        diagram = at(CubicDescent(), "lr", (lr, 1.9))
        assert diagram.periods[0] == 2**i
        assert diagram.exponents[0] < (-14 / 2**i if i < 2 else -10 / 2**i)
        assert not diagram.chaotic[0] and diagram.chaotic[1]


def test_exponents_are_the_closed_forms():
    diagram = at(CubicDescent(), "lr", (0.9, 2.0), n_steps=4000)
    assert diagram.exponents[0] == pytest.approx(math.log(0.8), abs=1e-12)
    # At 2 the increments cancel: the error is the bound that the diagram states.
    assert abs(diagram.exponents[1] - math.log(3)) < diagram.stderr[1] < 0.01
    r = np.array([3.1, 3.4])
    diagram = at(Logistic(), "r", r, n_steps=4000)
    np.testing.assert_allclose(diagram.exponents, 0.5 * np.log(np.abs(4 + 2 * r - r**2)), atol=1e-9)
    rates = np.array([0.25, 1.5])
    diagram = at(QuadraticDescent((1.0,)), "lr", rates, n_steps=100)
    np.testing.assert_allclose(diagram.exponents, np.log(np.abs(1 - rates)), rtol=1e-12)
    # Superstable to the last bit: the state is zero after one step.
    assert at(QuadraticDescent((1.0,)), "lr", (1.0, 1.5), n_steps=100).exponents[0] == -math.inf


def test_it_agrees_with_the_spectrum_within_the_errors_of_both():
    diagram = at(Henon(), "a", (1.2, 1.4), n_steps=4000)
    for i, a in enumerate((1.2, 1.4)):
        spectrum = lyapunov_spectrum(Henon(), {"a": a}, n_steps=4000, n_exponents=1)
        error = math.hypot(diagram.stderr[i], spectrum.stderr[0])
        assert abs(diagram.exponents[i] - spectrum.exponents[0]) < 4 * error
        assert 0.3 < diagram.stderr[i] / spectrum.stderr[0] < 3


def test_the_cascade_of_descent_on_the_double_well():
    axis = Axis("lr", 0.8, 2.04, 400, "linear")
    diagram = orbit_diagram(CubicDescent(), axis, n_steps=1000)
    known = {2: 1.0, 4: math.sqrt(5) - 1, 8: 1.28725, 0: 1.3022835}
    found = {change.period: change for change in diagram.cascade}
    assert list(found)[:3] == [2, 4, 8] and diagram.cascade[-1].kind == "chaotic"
    spacing = axis.points()[1] - axis.points()[0]
    for period, lr in known.items():
        # The orbit settles slowly just below a doubling, and chaos is weak just beyond its onset.
        assert found[period].low - spacing < lr < found[period].high + spacing
        assert found[period].high - found[period].low < 6 * spacing
    # Beyond the crisis at 2 nothing stays; the window of period 3 is at 1.451 to 1.461.
    gone = diagram.values > 2
    np.testing.assert_array_equal(diagram.status[gone], Status.NOT_FINITE)
    assert diagram.bounded[~gone].all() and diagram.stretches[-1].kind == "escaped"
    assert any(s.period == 3 and 1.449 < s.low < s.high < 1.463 for s in diagram.stretches)
    assert np.isnan(diagram.exponents[gone]).all() and np.isnan(diagram.observed[gone]).all()
    assert f"{gone.sum()} of 400 runs escaped" in diagram.flags[0]
    # Before the wells' attractors merge the loss stays below its value at the ridge.
    assert diagram.observed[diagram.values < 1.59].max() < 0.25
    assert sum(stretch.n for stretch in diagram.stretches) == 400


def test_a_window_within_chaos_does_not_hide_its_onset():
    # The fourth value lies in a window of period 24, beyond the accumulation of doublings.
    axis = Axis("lr", 1.2990613, 1.3068836, 6, "linear")
    diagram = orbit_diagram(CubicDescent(), axis, n_steps=2000)
    np.testing.assert_array_equal(diagram.periods[:4], [8, 16, 32, 24])
    onset = diagram.cascade[-1]
    assert onset.kind == "chaotic" and onset.low < 1.3022835 < onset.high


def test_observables():
    options = {"n_steps": 60, "n_transient": 40, "n_keep": 50}
    orbits = [iterate(Henon(), {"a": a}, n_steps=100, keep_states=True) for a in (0.3, 0.9)]
    values = {
        None: [orbit.observations[50:] for orbit in orbits],
        "loss": [orbit.observations[50:] for orbit in orbits],
        "x1": [orbit.states[50:, 1] for orbit in orbits],
        total: [orbit.states[50:].sum(axis=1) for orbit in orbits],
    }
    for observable, expected in values.items():
        diagram = at(Henon(), "a", (0.3, 0.9), observable=observable, **options)
        np.testing.assert_allclose(diagram.observed, expected, rtol=1e-9)
        assert diagram.observable == {None: "loss", total: "total"}.get(observable, observable)
    assert "finite-time exponents: averages over 60 steps" in diagram.flags[0]


def total(state, hparams):
    return state[0] + state[1]


def test_groups_and_lanes_do_not_change_the_numbers(monkeypatch):
    axis = Axis("r", 2.8, 4.2, 50)
    whole = orbit_diagram(Logistic(), axis, n_steps=300)
    monkeypatch.setattr(tails, "default_lanes", lambda map_: 8)
    monkeypatch.setattr(tails, "_BYTES", 8 * 300 * 16)  # two batches of 8 lanes at once
    parts = orbit_diagram(Logistic(), axis, n_steps=300)
    assert (whole.conditions["lanes"], parts.conditions["lanes"]) == (64, 8)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name), err_msg=name)


def test_progress_adds_up():
    seen = []
    axis = Axis("r", 2.8, 4.2, 10)
    for follow in (None, "up"):
        orbit_diagram(
            Logistic(),
            axis,
            n_steps=300,
            n_transient=100,
            follow=follow,
            on_progress=lambda *numbers: seen.append(numbers),
        )
        assert seen[-1] == (4000, 4000) and sorted(seen) == seen
        seen.clear()


@pytest.mark.parametrize("follow", ["up", "down"])
def test_following_goes_on_from_the_neighbour(follow):
    axis = Axis("r", 2.5, 3.5, 3)
    settings = {"n_steps": 3, "n_transient": 1, "n_keep": 2, "observable": "x0"}
    diagram = orbit_diagram(Logistic(), axis, follow=follow, **settings)
    x = 0.3
    rows = [0, 1, 2] if follow == "up" else [2, 1, 0]
    for row in rows:
        seen = []
        for _ in range(4):
            seen.append(x)
            x = axis.points()[row] * x * (1 - x)
        np.testing.assert_allclose(diagram.observed[row], seen[2:], rtol=1e-13)


def test_wells_are_kept_and_escapes_are_not_followed():
    # Descent on the double well keeps its well: each run starts where its neighbour ended.
    axis = Axis("lr", 0.4, 0.9, 6, "linear")
    settings = {"observable": "x0", "n_steps": 300}
    left, right = ({"w0": -0.3}, {"w0": 0.3})
    for start, well in ((left, -1), (right, 1)):
        diagram = orbit_diagram(CubicDescent(), axis, start, follow="up", **settings)
        np.testing.assert_allclose(diagram.observed, well)
    assert diagram.conditions["follow"] == "up"
    # One that escaped is not where the next one starts: that begins at the map's own start.
    axis = Axis("lr", 1.7, 2.3, 4, "linear")
    diagram = orbit_diagram(CubicDescent(), axis, right, follow="down", **settings)
    assert diagram.bounded.tolist() == [True, True, False, False]


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(2)(x)


def trained(drive, **options):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 3))
    data = TrainingData("own", Dataset(x, np.argmax(x[:, :2], 1)), None, 2)
    map_ = training_map(Net(), data, seed=5, **options)
    traits = map_.model.traits.replace(drive=drive)
    return map_.replace(model=map_.model.replace(traits=traits))


def test_networks_in_lanes_and_from_the_host():
    axis = Axis("lr", 0.5, 20.0, 3)
    settings = {"n_steps": 20, "n_transient": 5, "n_keep": 10}
    lanes, host = (orbit_diagram(trained(d), axis, **settings) for d in ("scan", "host"))
    assert (lanes.conditions["lanes"], host.conditions["lanes"]) == (4, 1)
    for lr, kept in zip(axis.points(), lanes.observed, strict=True):
        orbit = iterate(trained("scan"), {"lr": lr}, n_steps=25)
        np.testing.assert_allclose(kept, orbit.observations[15:], rtol=1e-9)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(host, name), getattr(lanes, name), atol=1e-9)
    metric = orbit_diagram(trained("scan"), axis, observable="train_accuracy", **settings)
    assert np.all(np.isin(np.round(12 * metric.observed, 9), range(13)))


def test_a_map_that_depends_on_the_step_has_no_period():
    axis = Axis("lr", 1e-9, 2e-9, 2)
    still, driven = (
        orbit_diagram(trained("scan", **options), axis, n_steps=20)
        for options in ({}, {"batch": 4, "n_steps": 40})
    )
    assert still.periods.tolist() == [1, 1] and driven.periods.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("returns", "period"),
    [
        (np.zeros(128), 1),
        (np.full(128, 1e-11), 1),
        (np.arange(1, 129) * 1e-6, 1),  # creeps along a line
        (1 - 0.99 ** np.arange(1, 129), 0),  # still on its way in
        (np.tile([1.0, 0.5, 1e-5], 40), 3),
        (np.tile([1.0, 1e-2], 64), 0),  # comes near, not back
        (np.r_[np.tile([1.0, 1e-5], 2), 1.0, 1e-2, np.tile([1.0, 1e-5], 20)], 4),
        (np.r_[np.ones(42), 0.0, np.ones(85)], 0),
        (np.array([1.0, 0.0]), 0),  # too short to tell
        (np.full(12, np.nan), 0),
        (np.empty(0), 0),
    ],
)
def test_a_period_is_a_return_that_repeats(returns, period):
    assert find_period(returns) == period


def test_the_record_is_plain_json():
    record = json.loads(json.dumps(jsonable(at(CubicDescent(), "lr", (0.9, 2.5), n_steps=50))))
    assert record["axis"]["name"] == "lr" and record["status"] == ["bounded", "not_finite"]
    assert record["exponents"][1] is None
    assert record["stretches"][1] == {
        "kind": "escaped",
        "period": 0,
        "low": 2.5,
        "high": 2.5,
        "n": 1,
    }
    assert record["conditions"]["hparams"] == {"w0": 0.3}


def test_nothing_bounded():
    diagram = at(CubicDescent(), "lr", (2.5, 3.0), n_steps=50)
    assert not diagram.bounded.any() and diagram.cascade == ()
    assert "2 of 2 runs escaped" in diagram.flags[0]


@pytest.mark.parametrize(
    ("axis", "hparams", "options", "words"),
    [
        (Axis("rr", 1, 2, 3), {}, {}, "unknown hyperparameter 'rr'; did you mean 'r'"),
        ((Axis("r", 1, 2, 3), Axis("x0", 0, 1, 3)), {}, {}, "2 axes were given and an orbit"),
        ("r", {}, {}, "axis='r' is no axis"),
        (Axis("r", 1, 2, 3), {"r": 2.0}, {}, "r is fixed and the axis too"),
        (Axis("r", 1, 2, 3), {"q": 2.0}, {}, "unknown hyperparameter 'q'"),
        (Axis("r", 1, 2, 3), {}, {"observable": "los"}, "unknown observable 'los'; did you mean"),
        (Axis("r", 1, 2, 3), {}, {"observable": "x1"}, "observable='x1' is no coordinate"),
        (Axis("r", 1, 2, 3), {}, {"n_steps": 0}, "n_steps=0 is out of range"),
        (Axis("r", 1, 2, 3), {}, {"n_transient": -1}, "n_transient=-1 is out of range"),
        (Axis("r", 1, 2, 3), {}, {"n_keep": 21}, "n_keep=21 values are more than n_steps=20"),
        (Axis("r", 1, 2, 3), {}, {"follow": "left"}, "follow='left' is not understood"),
        (Axis("r", 1, 2, 3), {}, {"dtype": "bfloat16"}, "dtype='bfloat16'"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(axis, hparams, options, words):
    with pytest.raises(ValueError, match=words) as caught:
        orbit_diagram(Logistic(), axis, hparams, **{"n_steps": 20, **options})
    assert "\n" not in str(caught.value)


def test_an_axis_without_a_number_of_points_has_512():
    assert len(orbit_diagram(Logistic(), Axis("r", 1, 2), n_steps=2).values) == diagrams.N_VALUES


def test_a_fixed_point_in_float32_has_period_one():
    # It goes to and fro between neighbouring numbers, 1e-7 apart.
    diagram = orbit_diagram(
        Logistic(), Axis("r", 2.5, 3.2, 8, "linear"), n_steps=500, dtype="float32"
    )
    assert diagram.periods[[0, 1, 2, 3, 4, 6, 7]].tolist() == [1, 1, 1, 1, 1, 2, 2]
