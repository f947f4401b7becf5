"""Reports of a boundary dimension: one budget, several opinions, the same numbers when resumed."""

import dataclasses
import json
import math
import subprocess
import sys
from typing import final
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.analysis.html_tables import write_value
from dynfrac.boundaries.dimensions import METHODS
from dynfrac.boundaries.stretch_tails import stretch_tail
from dynfrac.orbits.axes import Axis
from dynfrac.studies.agreements import weigh_methods
from dynfrac.studies.dimension_budgets import why_not_doubled
from dynfrac.studies.dimension_reports import report_dimension
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.catalogue import make_architecture, make_map

RABBIT = {"c_re": -0.12256116687665361, "c_im": 0.74486176661974424}
PLANE = [Axis("z_re", -1.5, 1.5), Axis("z_im", -1.5, 1.5)]
JULIA = {"n_steps": 100, "hparams": RABBIT, "seed": 2}
CUBE = [Axis(name, 0.0, 1.0) for name in "abc"]


def disc(points):
    return ((points - 0.5) ** 2).sum(axis=1) < 0.1


def julia(budget=10_000, **options):
    return report_dimension(make_map("quadratic"), PLANE, budget=budget, **{**JULIA, **options})


@pytest.fixture(scope="module")
def report():
    return julia()


def test_a_map_gets_two_opinions_and_all_that_they_hang_on(report):
    assert report.headline is report.estimates["pairs"] and report.referee == "stretch-tail"
    for estimate in report.estimates.values():
        assert abs(estimate.value - 1.3934) < 4 * estimate.stderr
    assert report.agreement.startswith("the methods agree: 1.")
    assert len(report.local) >= 3
    assert report.undecided.value == 0 and report.still_stretching.value < 0.05
    assert report.doubling.n_steps == 100 and report.doubling.changed.value < 0.01
    assert abs(report.doubling.change.value) < 4 * report.doubling.change.stderr
    assert report.ulp_flips.value == 0
    assert set(report.runs) == {"pairs", "stretch-tail", "doubling", "last bit"}
    assert report.runs["stretch-tail"] == 1500
    assert 0.6 * report.budget < sum(report.runs.values()) <= report.budget
    assert float(report) == report.headline.value and report.has_value


def test_the_second_opinion_is_that_of_the_estimator_itself(report):
    alone = stretch_tail(make_map("quadratic"), PLANE, budget=1500, **JULIA)
    there = report.estimates["stretch-tail"]
    assert there.to_dict() == alone.estimate.to_dict()


def test_the_record_is_json_with_the_headline_on_top(report):
    record = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert record["value"] == report.headline.value == record["estimates"]["pairs"]["value"]
    assert record["ci_low"] < record["value"] < record["ci_high"]
    assert record["doubling"]["n_steps"] == [100, 200]
    assert record["conditions"]["hparams"] == RABBIT
    assert record["conditions"]["rule"] == "bounded:2"
    assert [axis["name"] for axis in record["axes"]] == ["z_re", "z_im"]
    assert set(record["local"]) == {"x", "y", "stderr"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", [500, 1100, 2500])
@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_small_budgets_drop_parts_and_say_so(method, budget, n_axes):
    if method == "stretch-tail":
        axes = [Axis("z_re", -1.5, 1.5), Axis("c_re", -0.2, 0.2), Axis("z_im", -1.0, 1.0)]
        target, options = make_map("quadratic"), {"n_steps": 30}
    else:
        axes, target, options = CUBE, disc, {}
    report = report_dimension(target, axes[:n_axes], budget=budget, method=method, **options)
    assert sum(report.runs.values()) <= budget
    assert any(f"a budget of {budget} has no room for" in flag for flag in report.flags) == (
        budget < 2000 or method == "stretch-tail"
    )
    assert report.has_value or report.headline.flags
    json.dumps(report.to_dict(), allow_nan=False)


def test_labels_that_never_change_have_no_dimension():
    report = report_dimension(lambda p: np.zeros(len(p), int), CUBE[:2], budget=3000)
    assert math.isnan(float(report)) and report.to_dict()["value"] is None
    assert "no boundary was met" in report.headline.flags[0]
    assert report.agreement == "pairs gave no value, and no other method was tried"


def test_random_labels_fill_the_window_and_hang_on_the_last_bit():
    def labels(points):
        # A hash of the bits, so that a point has one label.
        bits = np.ascontiguousarray(points).view(np.uint64)
        mixed = np.uint64(0)
        for column in bits.T:
            mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
            mixed *= np.uint64(0xBF58476D1CE4E5B9)
            mixed ^= mixed >> np.uint64(32)
        return (mixed & np.uint64(1)).astype(int)

    report = report_dimension(labels, CUBE[:2], budget=6000, seed=4)
    assert report.headline.ci_low <= 2 <= report.headline.ci_high
    assert 0.4 < report.ulp_flips.value < 0.6
    assert any("the dimension is that of it" in flag for flag in report.flags)


@pytest.mark.parametrize("place", [0.0, 0.123])
def test_an_isolated_point_is_flagged_whether_it_was_met_or_not(place):
    report = report_dimension(lambda p: np.all(p == place, axis=1), CUBE[:2], budget=3000)
    assert not report.has_value and report.headline.flags
    assert any("an isolated point" in flag for flag in report.flags) == (place == 0.0)


def test_undecided_runs_are_told():
    # Nothing in this window escapes or, but for a few, is still: bounded chaos is undecided.
    report = report_dimension(
        make_map("coupled-logistic"),
        [Axis("coupling", 0.0, 0.4), Axis("r", 3.6, 4.0)],
        budget=1000,
        n_steps=60,
    )
    assert report.undecided.value > 0.2
    assert any("were undecided after 60 steps" in flag for flag in report.flags)


def test_twice_the_steps_are_taken():
    # After few steps the labels are those of a smooth boundary further out.
    doubling = julia(budget=8000, n_steps=6).doubling
    assert doubling is not None and doubling.n_steps == 6
    assert doubling.changed.value > 2 * doubling.changed.stderr > 0


def opinions(pairs, other, name="box-cascade"):
    """Return two estimates as the comparison takes them."""
    made = report_dimension(disc, CUBE[:2], budget=500).headline
    return {
        "pairs": dataclasses.replace(made, value=pairs, stderr=0.03),
        name: dataclasses.replace(made, value=other, stderr=0.04),
    }


@pytest.mark.parametrize(
    ("pairs", "other", "words", "first"),
    [
        (
            1.30,
            1.40,
            "the methods agree: 1.300 +- 0.030 by pairs and 1.400 +- 0.040",
            "box-cascade",
        ),
        (1.30, 1.41, "2.2 combined standard errors apart; the pairs are reported", "pairs"),
        (math.nan, 1.41, "only box-cascade gave a value", "box-cascade"),
        (1.30, math.nan, "only pairs gave a value", "pairs"),
        (math.nan, math.nan, "no method gave a value", "box-cascade"),
    ],
)
def test_methods_that_disagree_leave_the_word_to_the_pairs(pairs, other, words, first):
    said, reported = weigh_methods(opinions(pairs, other), "box-cascade")
    assert words in said and reported == first


def test_another_method_is_refereed_by_pairs():
    report = report_dimension(disc, CUBE[:2], budget=12_000, method="box-cascade", seed=1)
    assert set(report.estimates) == {"pairs", "box-cascade"}
    assert report.referee == ("pairs" if report.agreement.startswith("the methods agree") else None)
    assert report.headline.method == "box cascade"
    assert abs(float(report) - 1) < 4 * report.headline.stderr + 0.02


def test_a_hyperparameter_that_follows_another_one_has_no_number():
    net = make_architecture("mlp", width=2)
    report = report_dimension(net, [Axis("lr", 0.1, 10.0)], budget=500, n_steps=5)
    record = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert record["conditions"]["hparams"]["lr_in"] is None


# Resuming


class Enough(Exception):
    pass


@pytest.mark.parametrize("stop", [2000, 8300, 9000])
def test_a_resumed_run_gives_the_same_numbers(report, tmp_path, stop):
    # In the pairs, in what follows them, and in the stretched runs.
    path = tmp_path / "julia.journal"

    def interrupt(used):
        if used >= stop:
            raise Enough

    with pytest.raises(Enough):
        julia(journal=path, on_progress=interrupt)
    resumed = julia(journal=path)
    assert resumed.to_dict() == report.to_dict()
    assert stop - 1500 < resumed.n_kept <= sum(report.runs.values())
    again = julia(journal=path)
    assert again.n_kept == sum(report.runs.values())
    assert again.to_dict() == report.to_dict()


CHANGED = {
    "budget": ({"budget": 9000}, "budget is 10000 there and 9000 here"),
    "seed": ({"seed": 3}, "seed is 2 there and 3 here"),
    "steps": ({"n_steps": 50}, "n_steps is 100 there and 50 here"),
    "value": ({"hparams": {"c_re": -0.2}}, "hparams.c_re is -0.12"),
    "rule": ({"rule": "bounded:4"}, "rule is bounded:2 there and bounded:4 here"),
    "type": ({"dtype": "float32"}, "dtype is float64 there and float32 here"),
    "lanes": ({"lanes": 16}, "there and 16 here"),
    "method": ({"method": "pairs"}, "method is auto there and pairs here"),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_journal_of_another_question_is_refused(tmp_path, change):
    path = tmp_path / "julia.journal"

    def interrupt(used):
        raise Enough

    with pytest.raises(Enough):
        julia(journal=path, on_progress=interrupt)
    options, words = CHANGED[change]
    with pytest.raises(ValueError, match="is the journal of another question") as caught:
        julia(journal=path, **options)
    assert words in str(caught.value)


def test_a_map_with_other_arrays_is_another_map(tmp_path):
    path = tmp_path / "descent.journal"
    axes = [Axis("lr", 0.01, 10.0)]
    one, two = (make_map("gd-quadratic", eigenvalues=(1.0, high)) for high in (3.0, 4.0))
    report_dimension(one, axes, budget=500, n_steps=20, journal=path)
    with pytest.raises(ValueError, match="fingerprint"):
        report_dimension(two, axes, budget=500, n_steps=20, journal=path)


def test_another_process_gives_the_same_numbers(report):
    code = (
        "import json\n"
        "from dynfrac.orbits.axes import Axis\n"
        "from dynfrac.studies.dimension_reports import report_dimension\n"
        "from dynfrac.systems.catalogue import make_map\n"
        "plane = [Axis('z_re', -1.5, 1.5), Axis('z_im', -1.5, 1.5)]\n"
        f"report = report_dimension(make_map('quadratic'), plane, budget=10_000, **{JULIA!r})\n"
        "print(json.dumps(report.to_dict()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads(json.dumps(report.to_dict()))


# Bad input


@pytest.mark.parametrize("budget", [499, 0, -1, 700.5, True])
def test_a_budget_that_is_none_is_refused(budget):
    with pytest.raises(ValueError, match="pass a whole (number|one) of at least 500"):
        report_dimension(disc, CUBE[:2], budget=budget)


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        (disc, {"method": "pair"}, "unknown method 'pair'; did you mean 'pairs'"),
        (disc, {"method": "stretch-tail"}, "needs a map"),
        (disc, {"n_steps": 5}, "n_steps=5 means nothing to a function"),
        (make_map("quadratic"), {}, "unknown hyperparameter 'a'"),
        (make_map("quadratic"), {"method": "stretch-tail", "every": 5}, "leave out every"),
    ],
)
def test_what_cannot_be_is_refused_and_makes_no_file(tmp_path, target, options, words):
    path = tmp_path / "none.journal"
    options = {"n_steps": 10, **options} if target is not disc else options
    with pytest.raises(ValueError, match=words):
        report_dimension(target, CUBE[:2], budget=1000, journal=path, **options)
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"dtype": "bfloat16"}, "bfloat16"), ({"rule": "threshold:0@lyapunov"}, "Lyapunov")],
)
def test_what_cannot_carry_a_derivative_is_measured_without_a_second_method(options, reason):
    map_ = make_architecture("mlp", width=2)
    axes = [Axis("lr_in", 0.1, 100.0), Axis("lr_out", 0.1, 100.0)]
    report = report_dimension(map_, axes, budget=8000, n_steps=8, **options)
    assert set(report.estimates) == {"pairs"}
    (flag,) = (flag for flag in report.flags if "no second method" in flag)
    assert reason in flag
    with pytest.raises(ValueError, match=reason):
        report_dimension(map_, axes, budget=8000, n_steps=8, method="stretch-tail", **options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"optimizer": "sgd+cosine", "n_steps": 30}, "follows a schedule"),
        ({"batch": 4, "n_steps": 30}, "minibatches for 30 steps"),
        ({"batch": 4, "n_steps": 60}, ""),
        ({}, ""),
    ],
)
def test_a_run_that_would_not_be_a_longer_training_is_not_doubled(options, reason):
    map_ = make_architecture("mlp", width=2, **options)
    found = why_not_doubled(map_, 30)
    assert reason in found and bool(reason) == bool(found)


def test_what_was_not_tried_is_not_said_to_have_failed():
    one = Estimate(1.4, 0.1, 1.2, 1.6, "stratified pairs", 900, (0.01, 0.1), Curve.empty())
    none = Estimate.missing("stretch tail", 900, ["too few"])
    assert weigh_methods({"pairs": one}, "pairs")[0] == "no method but pairs was tried"
    both = {"pairs": one, "stretch-tail": none}
    assert "only pairs gave a value" in weigh_methods(both, "pairs")[0]
    exact = {
        name: dataclasses.replace(one, value=value, stderr=0.0)
        for name, value in (("pairs", 1.0), ("transects", 1.5))
    }
    said, reported = weigh_methods(exact, "transects")
    assert "without an error apart" in said and reported == "pairs"


@final
class OneWay(AbstractMap):
    """A map that jax can differentiate backwards only."""

    @property
    def defaults(self):
        return {"a": 0.3, "b": 0.1}

    def init(self, hparams):
        return jnp.array([0.0, hparams["b"]])

    def step(self, state, hparams, t):
        x, y = state
        return jnp.array([squared(x) - squared(y) + hparams["a"], 2 * x * y])

    def observe(self, state, hparams):
        return jnp.hypot(*state)


@jax.custom_vjp
def squared(x):
    return x * x


squared.defvjp(lambda x: (x * x, x), lambda x, g: (2 * x * g,))


def test_a_map_without_a_derivative_is_measured_by_pairs_alone():
    axes = [Axis("a", -2.0, 0.6), Axis("b", -1.5, 1.5)]
    settings = {"budget": 8000, "n_steps": 30, "rule": "bounded:100"}
    report = report_dimension(OneWay(), axes, **settings)
    assert report.has_value and set(report.estimates) == {"pairs"}
    assert any("cannot carry a derivative" in flag for flag in report.flags)
    with pytest.raises(ValueError, match=r"OneWay cannot carry a derivative .*'pairs'"):
        report_dimension(OneWay(), axes, method="stretch-tail", **settings)


def test_a_notebook_shows_methods_and_what_they_hang_on(report):
    words = " ".join(ElementTree.fromstring(report._repr_html_()).itertext())
    for method, reading in report.estimates.items():
        assert method in words and write_value(reading.value, reading.stderr) in words
    for word in (
        "z_re -1.5 to 1.5",
        report.agreement.replace("+-", "±"),
        "runs undecided",
        "bounded:2",
    ):
        assert word in words, word
    assert "fingerprint" not in repr(report) and len(repr(report)) < 1200
    function = dataclasses.replace(report, conditions={}, doubling=None, undecided=None)
    assert "undecided" not in function._repr_html_()
