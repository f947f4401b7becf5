"""The figure and the page of a comparison show what it found, and say what it did not."""

import dataclasses
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.boundaries.diagnostics import share_estimate
from dynfrac.boundaries.windows import Window, make_window_rule
from dynfrac.orbits.axes import Axis
from dynfrac.plots.comparison_reports import answer, comparison_report
from dynfrac.plots.comparisons import comparison_figure
from dynfrac.studies.arms import Arm, Protocol
from dynfrac.studies.comparison_summaries import summarise
from dynfrac.studies.label_checks import LabelChecks
from dynfrac.studies.readings import Reading
from dynfrac.studies.window_dimensions import RepeatedNull

SEARCH = (Axis("weight_offset", 1e-4, 1.0), Axis("lr", 1e-3, 1e3))
PROTOCOL = Protocol(SEARCH, 60, 500, make_window_rule("rays:1"))
CURVE = Curve(2.0 ** np.arange(-9, -4), 0.02 * 1.6 ** np.arange(5), np.full(5, 0.001))


def estimate(value):
    if math.isnan(value):
        return Estimate.missing("stratified pairs", 500, ("no boundary was met",))
    ends = (value - 0.1, value + 0.1)
    return Estimate(value, 0.05, *ends, "stratified pairs", 500, (2**-9, 2**-5), CURVE)


def reading(arm, seed, value):
    scales = Curve(2.0 ** np.arange(-8, -5), np.full(3, value), np.full(3, 0.1))
    if math.isnan(value):
        scales = Curve.empty()
    window = Window(SEARCH, 40, np.ones((1, 2)), "rays:1")
    null = estimate(1.01 + 0.01 * seed)
    repeated = RepeatedNull((1.1, math.nan, 1.2), 400)
    checks = LabelChecks(share_estimate(1, 40, "bit"), share_estimate(0, 40, "steps"), 80)
    return Reading(
        arm=arm,
        seed=seed,
        window=window,
        estimate=estimate(value),
        scales=scales,
        null=null,
        repeated=repeated,
        checks=checks,
        n_undecided=3,
        n_pilot=50,
        converged_loss=0.25 + seed,
        rule="published",
        dtype="float32",
        n_parameters=123,
    )


def comparison(first, last, names=("net <a>", "twin & co"), **options):
    arms = [Arm(name, lambda seed: None) for name in names]
    rows = [
        (reading(names[0], i, a), reading(names[1], i, b))
        for i, (a, b) in enumerate(zip(first, last, strict=True))
    ]
    return summarise(rows, arms, PROTOCOL, **options)


FOUND = comparison([1.3, 1.4, 1.35, math.nan], [1.1, 1.12, 1.2, 1.15], margin=0.3)
NONE = comparison([math.nan, math.nan], [1.1, 1.2])


def test_every_pair_is_drawn_with_its_error_and_a_line_between_partners():
    pairs, differences, scales = comparison_figure(FOUND).axes
    lines = [line for line in pairs.lines if len(line.get_xdata()) == 2]
    assert len(lines) == 4  # one for each seed; the one without a partner shows a point only
    drawn = sorted(
        y for line in pairs.lines for y in line.get_ydata() if len(line.get_ydata()) == 1
    )
    assert drawn == [1.1, 1.12, 1.15, 1.2, 1.3, 1.35, 1.4]
    assert "1 of 4 no value" in pairs.get_xticklabels()[0].get_text()
    means = [line.get_ydata()[0] for line in differences.lines if len(line.get_xdata()) == 1]
    assert FOUND.difference.value in means and FOUND.shared.value in means
    assert [text.get_text() for text in scales.get_legend().get_texts()] == [
        *("net <a>", "twin & co")
    ]


def test_the_interval_drawn_is_that_of_the_difference():
    differences = comparison_figure(FOUND).axes[1]
    ends = [
        s for c in differences.collections if hasattr(c, "get_segments") for s in c.get_segments()
    ]
    spans = [sorted(segment[:, 1]) for segment in ends]
    assert [FOUND.difference.ci_low, FOUND.difference.ci_high] in [
        pytest.approx(span) for span in spans
    ]


def test_the_legend_stands_clear_of_the_error_bars():
    figure = comparison_figure(FOUND)
    figure.draw_without_rendering()
    scales = figure.axes[2]
    assert scales.get_legend().get_window_extent().y0 >= scales.get_window_extent().y1 - 1


def test_no_value_is_said_in_the_figure():
    _, differences, scales = comparison_figure(NONE).axes
    assert "no value" in differences.texts[0].get_text()
    assert [len(line.get_xdata()) for line in scales.lines] == [
        3
    ]  # the other arm still has its D(scale)


def test_the_answer_says_what_the_interval_allows():
    assert FOUND.difference.ci_low > 0 and "The interval excludes zero" in answer(FOUND)
    even = comparison([1.2, 1.1, 1.3], [1.1, 1.2, 1.3], margin=0.5)
    assert "no difference was shown. Differences below" in answer(even)
    assert even.equivalence.equivalent and "equal within 0.5" in answer(even)
    assert answer(NONE).startswith("No value: no pair is complete")


@pytest.mark.parametrize("found", [FOUND, NONE], ids=["value", "no value"])
def test_the_page_is_whole_and_needs_nothing_beside_it(found):
    page = comparison_report(found, command="dynfrac compare a b --arg x='<1>'")
    assert page.startswith("<!doctype html>")
    body = re.sub(r"<!doctype html>|<meta charset[^>]*>", "", page)
    root = ElementTree.fromstring(body)  # every tag is closed, every name escaped
    assert root.find(".//{http://www.w3.org/2000/svg}svg") is not None
    text = " ".join(root.itertext())
    for words in ("net <a>", "twin & co", "x='<1>'", "smooth null", found.power.sentence[1:]):
        assert words in text
    assert all(flag in text for flag in found.flags)
    outside = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
    assert not outside
    assert len(root.findall(".//tbody")[0].findall("tr")) == len(found.readings)


def test_the_page_tells_of_the_null_at_this_budget_and_of_the_runs():
    page = comparison_report(FOUND)
    arm = FOUND.arms[0]
    assert arm.null_at_budget.value == pytest.approx(1.15)
    cells = re.findall("<td>([^<]*)</td>", page)
    for cell in ("1.150 (0.000)", "0.0707", "in 8 of 12", "2.5%", "0.0%", "1.75"):
        assert cell in cells


def test_shared_scales_are_not_drawn_where_the_range_was_given():
    given = dataclasses.replace(PROTOCOL, scales=(2**-9, 2**-5))
    found = summarise(FOUND.readings, [Arm("a", lambda s: None), Arm("b", lambda s: None)], given)
    ticks = comparison_figure(found).axes[1].get_xticklabels()
    assert [tick.get_text() for tick in ticks] == ["pairs", "mean"]
    assert len(comparison_figure(FOUND).axes[1].get_xticklabels()) == 3
    assert "0.002 to 0.031 of the window (given)" in comparison_report(found)


def test_readings_without_flags_have_no_star():
    flagged = dataclasses.replace(FOUND.readings[0][0].estimate, flags=("a doubt",))
    rows = list(FOUND.readings)
    rows[0] = (dataclasses.replace(rows[0][0], estimate=flagged), rows[0][1])
    again = dataclasses.replace(FOUND, readings=tuple(rows))
    pages = [comparison_report(found) for found in (FOUND, again)]
    assert pages[1].count(" *</td>") == pages[0].count(" *</td>") + 1
