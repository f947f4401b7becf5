"""Comparisons of sets whose dimensions are known, and what a comparison does when it cannot say."""

import dataclasses
import functools
import json
import math
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.html_tables import write_value
from dynfrac.boundaries.dimensions import boundary_dimension
from dynfrac.boundaries.windows import make_window_rule
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import evaluate
from dynfrac.studies import reading_journals, window_dimensions
from dynfrac.studies.arms import Arm, Protocol
from dynfrac.studies.comparison_summaries import _differences, _doubts, summarise
from dynfrac.studies.comparisons import compare, compare_levels, default_search
from dynfrac.studies.label_checks import checked_runs
from dynfrac.studies.readings import _point_seed
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.catalogue import make_architecture, make_map
from dynfrac.systems.plain_values import jsonable

RABBIT, CIRCLE = (-0.12256, 0.74486), (0.0, 0.0)
SEARCH = (Axis("z_re", -2.0, 2.0), Axis("z_im", -2.0, 2.0))
CONDITIONS = {"n_steps": 60, "budget": 8000, "window": "rays:0.2:1@0.01,0.01"}


class Julia(AbstractMap):
    """z' = z^2 + skip c, whose basin has a boundary of known dimension."""

    c: Any

    rule = "bounded:2"

    @property
    def defaults(self):
        return {"z_re": 0.0, "z_im": 0.0, "skip": 1.0, "still": 0.0}

    def init(self, hparams):
        return jnp.stack([hparams["z_re"] * 1.0, hparams["z_im"] * 1.0])

    def step(self, state, hparams, t):
        x, y = state
        real = x * x - y * y + hparams["skip"] * self.c[0]
        imaginary = 2 * x * y + hparams["skip"] * self.c[1]
        return jnp.stack([real, imaginary])

    def observe(self, state, hparams):
        return jnp.where(hparams["still"] > 0, 0.0, jnp.hypot(state[0], state[1]))


def julia(seed, c=RABBIT):
    # Inside the same bulb of the Mandelbrot set, so that dimensions differ by less than 0.01.
    return Julia(np.array(c) - 0.001 * seed)


rabbit = functools.partial(julia, c=RABBIT)
circle = functools.partial(julia, c=CIRCLE)
ROUGH, SMOOTH = Arm("rabbit", rabbit), Arm("circle", circle)


@functools.cache
def known():
    return compare(ROUGH, SMOOTH, SEARCH, seeds=3, **CONDITIONS)


@pytest.fixture(autouse=True)
def few_repetitions(monkeypatch):
    """The null is repeated thrice and not eight times: most of these tests ask something else."""
    monkeypatch.setattr(window_dimensions, "REPETITIONS", 3)


def plain(comparison):
    """Return all numbers of a comparison, without what tells about the machine."""
    record = jsonable(comparison.to_dict())
    del record["conditions"]
    return record


@pytest.mark.parametrize(("value", "doubted"), [(1.02, False), (1.2, True), (1.97, True)])
def test_a_null_that_is_not_smooth_is_a_doubt(value, doubted):
    found = known()
    arm = found.arms[0]
    null = dataclasses.replace(arm.null, value=value, stderr=0.01)
    flags = _doubts((), [dataclasses.replace(arm, null=null)], found.statistics, 2)
    assert any("smooth null" in flag for flag in flags) == doubted


def test_the_difference_of_known_sets_is_found():
    found = known()
    # 1.3934 - 1. Each value has an error of 0.07, so that the mean of three differences has 0.06.
    assert abs(found.difference.value - 0.3934) < 0.18 and 0.01 < found.difference.stderr < 0.15
    assert found.difference.ci_low > 0 and float(found) == found.difference.value
    assert found.statistics.n_pairs == 3 and found.power.measured
    assert abs(found.shared.value - 0.3934) < 0.25
    first, last = found.arms
    assert (first.name, last.name) == ("rabbit", "circle")
    assert abs(first.dimension.value - 1.39) < 0.1 and abs(last.dimension.value - 1) < 0.1
    for arm in found.arms:
        assert abs(arm.null.value - 1) < 0.1 and arm.n_missing == 0
        excess = arm.dimension.value - arm.null_at_budget.value
        assert arm.excess.value == pytest.approx(excess)
        assert arm.asymptotic_excess.value == pytest.approx(arm.dimension.value - arm.null.value)
        assert arm.undecided.value == 0  # the rule leaves none
        assert len(arm.scales) >= 2


def test_every_reading_is_that_of_its_window_and_within_the_budget():
    rule = make_window_rule("rays:0.2:1@0.01,0.01")
    for row in known().readings:
        for reading, arm in zip(row, (ROUGH, SMOOTH), strict=True):
            assert reading.estimate.n_runs <= CONDITIONS["budget"]
            map_ = arm.make(reading.seed)
            window = rule(map_, SEARCH, n_steps=60)
            assert reading.window.axes == window.axes and reading.window.rule == rule.name
            alone = boundary_dimension(
                map_,
                window.axes,
                budget=CONDITIONS["budget"] - window.n_runs - checked_runs(CONDITIONS["budget"]),
                n_steps=60,
                seed=_point_seed(0, reading.seed),
            )
            assert reading.estimate.value == alone.value
            assert reading.estimate.n_runs == alone.n_runs + window.n_runs + reading.checks.n_runs


def test_one_ray_is_enough_where_it_meets_the_boundary():
    few, many = (
        compare(ROUGH, SMOOTH, SEARCH, seeds=[5], n_steps=40, budget=900, window=window)
        for window in ("rays:0.2:1@0.01,0.01", "rays:0.2:5@0.01,0.01")
    )
    for a, b in zip(few.readings[0], many.readings[0], strict=True):
        assert a.window.axes == b.window.axes and a.window.n_runs == b.window.n_runs
        assert b.window.rule == "rays:0.2@0.01,0.01"


def test_an_interrupted_comparison_goes_on_with_the_same_numbers(tmp_path):
    reached = []

    def interrupt(done, total):
        reached.append(done)
        if done > 20_000:
            raise KeyboardInterrupt

    folder = tmp_path / "kept"
    options = {**CONDITIONS, "seeds": 3, "journal": folder}
    with pytest.raises(KeyboardInterrupt):
        compare(ROUGH, SMOOTH, SEARCH, **options, on_progress=interrupt)
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert 1 <= len(files) < 6 and max(reached) < 48_000
    resumed = compare(ROUGH, SMOOTH, SEARCH, **options)
    assert plain(resumed) == plain(known())
    assert len(list(folder.iterdir())) == 6
    sizes = {path: path.stat().st_size for path in folder.iterdir()}
    again = compare(ROUGH, SMOOTH, SEARCH, **options)
    assert plain(again) == plain(known())
    assert sizes == {path: path.stat().st_size for path in folder.iterdir()}
    with pytest.raises(ValueError, match="is the journal of another question: n_steps"):
        compare(ROUGH, SMOOTH, SEARCH, **{**options, "n_steps": 50})


@pytest.mark.parametrize("change", ["device_kind", "versions"])
def test_a_journal_of_another_device_or_jax_is_refused(tmp_path, monkeypatch, change):
    quick = {"n_steps": 20, "budget": 500, "seeds": [0], **WINDOW, "journal": tmp_path}
    compare(ROUGH, SMOOTH, SEARCH, **quick)
    if change == "versions":
        other = {"jax": "0.0.1", "jaxlib": "0.0.1"}
        monkeypatch.setattr(reading_journals, "versions", lambda names: other)
        words = r"versions.jax is \S+ there and 0.0.1 here, versions.jaxlib is"
    else:
        device = SimpleNamespace(device_kind="abacus")
        fake = SimpleNamespace(devices=lambda: [device])
        monkeypatch.setattr(reading_journals, "jax", fake)
        words = "device is .* there and abacus here"
    with pytest.raises(ValueError, match=words):
        compare(ROUGH, SMOOTH, SEARCH, **quick)


def test_a_range_of_scales_is_the_same_for_every_fit(tmp_path):
    scales = 2.0**-8, 2.0**-5
    given = {**CONDITIONS, "budget": 4000, "seeds": 2, "scales": scales, "journal": tmp_path}
    found = compare(ROUGH, SMOOTH, SEARCH, **given)
    for row in found.readings:
        for reading in row:
            assert reading.estimate.window == scales
            np.testing.assert_array_equal(reading.estimate.curve.x, 2.0 ** np.arange(-8.0, -4.0))
            assert reading.null.window == scales
    assert found.difference.window == scales and abs(found.difference.value - 0.3934) < 0.3
    assert not found.shared.has_value and "range of scales given" in found.shared.flags[0]
    assert found.conditions["scales"] == scales
    assert plain(compare(ROUGH, SMOOTH, SEARCH, **given)) == plain(found)
    with pytest.raises(ValueError, match=r"journal of another question: scales is .* None here"):
        compare(ROUGH, SMOOTH, SEARCH, **{**given, "scales": None})


def test_the_null_is_repeated_with_the_runs_that_the_reading_had(monkeypatch):
    monkeypatch.setattr(window_dimensions, "REPETITIONS", 8)
    asked = []
    whole = window_dimensions.measure_window

    def spy(oracle, protocol, seed):
        found = whole(oracle, protocol, seed)
        asked.append((oracle.budget, seed, found[0].value))
        return found

    monkeypatch.setattr(window_dimensions, "measure_window", spy)
    given = {"n_steps": 60, "budget": 2000, "seeds": [0], **WINDOW}
    found = compare(ROUGH, SMOOTH, SEARCH, **given)
    first = found.readings[0][0]
    # Of the reading itself nothing is seen here: it has the function under its own name.
    null, *repeated = asked[:9]
    assert null[0] == 20_000 and {budget for budget, *_ in repeated} == {first.repeated.n_runs}
    assert first.repeated.n_runs == 2000 - first.window.n_runs - checked_runs(2000)
    assert len({seed for _, seed, _ in asked[:9]}) == 9
    values = [value for *_, value in repeated]
    np.testing.assert_array_equal(first.repeated.values, values)
    finite = [value for value in values if math.isfinite(value)]
    arm = found.arms[0]
    assert (arm.null_values, arm.null_repetitions) == (len(finite), 8) and len(finite) >= 2
    assert arm.null_at_budget.value == pytest.approx(np.mean(finite))
    assert arm.null_spread == pytest.approx(np.std(finite, ddof=1))


def test_a_null_without_values_leaves_no_excess():
    empty = window_dimensions.RepeatedNull((math.nan, math.nan), 300)
    assert math.isnan(empty.mean) and math.isnan(empty.spread) and empty.n_values == 0
    rows = [tuple(dataclasses.replace(r, repeated=empty) for r in row) for row in known().readings]
    protocol = Protocol(SEARCH, 60, 8000, make_window_rule("rays:1"))
    arm = (found := summarise(rows, (ROUGH, SMOOTH), protocol)).arms[0]
    assert not arm.excess.has_value and arm.asymptotic_excess.has_value
    assert (arm.null_values, arm.null_repetitions) == (0, 6)
    assert any("has a value in 0 of 6 repetitions only" in flag for flag in found.flags)


def test_the_loss_of_converged_runs_is_that_of_the_pilot_grid():
    reading = known().readings[0][0]
    side = round(reading.n_pilot**0.5)
    nodes = np.indices((side, side)).reshape(2, -1).T / (side - 1)
    columns = {a.name: a.values(u) for a, u in zip(reading.window.axes, nodes.T, strict=True)}
    outcomes = evaluate(ROUGH.make(reading.seed), columns, n_steps=60)
    expected = np.median(outcomes.final_loss[outcomes.labels])
    assert reading.converged_loss == expected > 0
    medians = [row[0].converged_loss for row in known().readings]
    assert known().arms[0].converged_loss == np.median(medians)


def test_why_there_is_no_mean_is_said_for_each():
    rows, arms = known().readings, (ROUGH, SMOOTH)
    protocol = Protocol(SEARCH, 60, 8000, make_window_rule("rays:1"))
    missing = Estimate.missing("pairs", 9, ("none",))

    def without(reading):
        return dataclasses.replace(reading, estimate=missing)

    one = summarise([rows[0], (without(rows[1][0]), rows[1][1])], arms, protocol)
    for mean in (one.difference, one.shared):
        assert mean.flags[0] == "only 1 pair is complete, and an interval needs at least 2"
    deep = dataclasses.replace(rows[1][0].estimate, window=(1e-6, 1e-5))
    apart = summarise(
        [rows[0], (dataclasses.replace(rows[1][0], estimate=deep), rows[1][1])], arms, protocol
    )
    assert apart.difference.has_value
    assert apart.shared.flags[0].startswith("the fits of all complete pairs share fewer than 3")
    level = Axis("skip", 0.0, 1.0, 2)
    ends = [Arm("a", rabbit, {"skip": 1.0}), Arm("b", rabbit, {"skip": 0.0})]
    trend = summarise([rows[0]], ends, protocol, level=level).trend
    assert trend.flags[0].startswith("only 1 seed has a value at every level")
    none = summarise([tuple(map(without, row)) for row in rows], arms, protocol)
    assert none.arms[0].dimension.flags == ("no seed has a value",)


WINDOW = {"window": "rays:0.2:1@0.01,0.01"}


def test_seeds_without_a_value_are_counted_and_leave_no_difference():
    nothing = Arm("still", rabbit, {"still": 1.0})  # observed as zero, wherever it is
    found = compare(ROUGH, nothing, SEARCH, seeds=2, n_steps=20, budget=600, **WINDOW)
    assert math.isnan(found.difference.value) and math.isnan(float(found))
    assert found.flags[0] == "no pair is complete, and an interval needs at least 2"
    assert any("2 of 2 seeds of still have no value" in flag for flag in found.flags)
    assert [arm.n_missing for arm in found.arms][1] == 2
    for row in found.readings:
        assert "no ray met a boundary" in row[1].estimate.flags[0] and not row[1].window
        assert math.isnan(row[1].null.value) and row[1].n_pilot == 0
    assert not found.power.measured and found.power.pairs == 20
    json.dumps(jsonable(found), allow_nan=False)


def test_a_window_too_fine_for_its_type_is_a_missing_value():
    fine = {"n_steps": 20, "budget": 600, "seeds": [0], "window": "rays:0.0005:1@0.01,0.01"}
    found = compare(ROUGH, SMOOTH, SEARCH, dtype="float32", **fine)
    for reading in found.readings[0]:
        assert reading.window and not reading.estimate.has_value
        assert "octaves lie between" in reading.estimate.flags[0]
        assert reading.dtype == "float32"


def test_other_routes_through_the_same_windows():
    found = compare(ROUGH, SMOOTH, SEARCH, method="transects", seeds=2, **CONDITIONS)
    assert {r.estimate.method for row in found.readings for r in row} != {"stratified pairs"}
    assert abs(found.difference.value - 0.3934) < 0.25
    windows = [[r.window.axes for r in row] for row in known().readings[:2]]
    assert windows == [[r.window.axes for r in row] for row in found.readings]


def test_levels_between_two_ends():
    level = Axis("skip", 0.0, 1.0, 3)
    found = compare_levels(Arm("j", rabbit), level, SEARCH, seeds=2, **CONDITIONS)
    assert [arm.level for arm in found.arms] == [1.0, 0.5, 0.0]
    assert found.arms[0].name == "j skip=1"
    # Partners at the ends are the two arms of `known`, up to the c of the circle.
    assert found.readings[0][0].estimate.value == known().readings[0][0].estimate.value
    assert 0.2 < found.difference.value < 0.6
    rows = np.array([[r.estimate.value for r in row] for row in found.readings])
    assert found.trend.value == pytest.approx(np.mean(rows[:, 0] - rows[:, 2]))
    assert len(rows[0]) == 3 and found.trend.method.startswith("slope")
    with pytest.raises(ValueError, match="skip is swept between the arms and an axis"):
        compare_levels(Arm("j", rabbit), level, (Axis("skip", 0, 1),), n_steps=9, budget=500)


def test_equivalence_is_asked_for_by_a_margin():
    quick = {"n_steps": 40, "budget": 600, "seeds": [0], **WINDOW}
    found = compare(rabbit, circle, SEARCH, margin=0.1, **quick)
    assert found.equivalence.margin == 0.1 and not found.equivalence.equivalent
    assert known().equivalence is None
    with pytest.raises(ValueError, match="margin=-1.0 is no margin"):
        compare(rabbit, circle, SEARCH, margin=-1.0, **quick)
    assert {arm.name for arm in found.arms} == {"partial (first)", "partial (second)"}


def net(seed, **arguments):
    return make_architecture(
        "mnist-mlp", seed=seed, n_test=2, **{"n_data": 8, "width": 4, **arguments}
    )


def test_arms_that_differ_in_size_or_data_are_flagged():
    rows, arms = known().readings, (ROUGH, SMOOTH)
    protocol = Protocol(SEARCH, 60, 8000, make_window_rule("rays:1"))

    def flags(rows, *twins):
        found = summarise(rows, arms, protocol, twins=twins).flags
        return [flag for flag in found if "parameters" in flag or "trained on" in flag]

    assert not flags(rows, net(0), net(0))
    assert "not trained on the same data" in flags(rows, net(0), net(0, n_data=9))[0]
    sized = [
        tuple(dataclasses.replace(r, n_parameters=n) for r, n in zip(row, (296, 370), strict=True))
        for row in rows
    ]
    assert "different numbers of parameters: rabbit 296, circle 370" in flags(sized)[0]


def test_partners_start_from_the_same_weights():
    small = {"width": 0.25, "image_size": 7, "n_data": 4, "n_test": 1}
    twins = [make_architecture(name, seed=3, **small) for name in ("resnet8", "plain8")]
    leaves = [np.concatenate([np.ravel(w) for w in _leaves(map_)]) for map_ in twins]
    assert np.array_equal(*leaves)
    other = make_architecture("resnet8", seed=4, **small)
    assert not np.array_equal(leaves[0], np.concatenate([np.ravel(w) for w in _leaves(other)]))


def _leaves(map_):
    return jax.tree.leaves(map_.variables["params"])


def test_the_default_search_is_chosen_by_the_network():
    assert [axis.name for axis in default_search(net(0))] == ["lr_in", "lr_out"]
    own = make_architecture("cnn", channels=1, image_size=5, n_data=4, n_test=1)
    assert [axis.name for axis in default_search(own)] == ["weight_offset", "lr"]
    with pytest.raises(ValueError, match="Julia has no hyperparameter weight_offset"):
        default_search(rabbit(0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budget": 499}, "budget=499 is too small"),
        ({"seeds": 0}, "no different seeds"),
        ({"seeds": [1, 1]}, "no different seeds"),
        ({"method": "box"}, "unknown method 'box'"),
        ({"window": "here"}, "window='here' is not understood"),
        ({"rule": "no"}, "unknown rule 'no'"),
        ({"a": 3}, "3 is no arm"),
        ({"a": lambda seed: rabbit(0), "seeds": 2}, "is the same for the seeds 0 and 1"),
        ({"a": lambda seed: 3}, "made a int of a seed"),
        ({"a": "resnet9"}, "depths are 6n"),
        ({"hparams": {"beta": 1.0}}, "unknown hyperparameter 'beta'"),
        ({"scales": (0.03, 0.06)}, "room for 2 distances"),
        ({"scales": (0.06, 0.01)}, "is no range of distances"),
        ({"scales": (1e-15, 0.06)}, "beyond the precision"),
        ({"scales": (1e-5, 0.06), "dtype": "float32"}, "beyond the precision"),
        ({"scales": (1e-3, 0.06), "method": "transects"}, "is a range for pairs"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    given = {"a": rabbit, "b": circle, "axes": SEARCH, "n_steps": 20, "budget": 500, **WINDOW}
    given = {**given, "seeds": 1, **change}
    with pytest.raises(ValueError, match=words):
        compare(given.pop("a"), given.pop("b"), given.pop("axes"), **given)


@pytest.mark.parametrize(("loss", "flagged"), [(2.0, True), (1.2, False), (math.nan, False)])
def test_runs_that_converge_without_learning_are_flagged(loss, flagged):
    map_ = make_architecture("mnist-mlp", width=2, n_data=32, n_test=1)
    arm = SimpleNamespace(name="net", converged_loss=loss, n_parameters=9)
    flags = _differences([map_, make_map("quadratic")], [arm, arm])
    said = [flag for flag in flags if "guessing has 2.21" in flag]
    assert len(said) == flagged and all("tail-mean:1 asks" in flag for flag in said)


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        known().difference = None


def test_a_notebook_shows_arms_and_difference():
    found = known()
    words = " ".join(ElementTree.fromstring(found._repr_html_()).itertext())
    difference = write_value(found.difference.value, found.difference.stderr)
    for word in ("rabbit against circle", difference, found.power.sentence, "3 of 3"):
        assert word in words, word
    assert "readings" not in repr(found) and len(repr(found)) < 1500
