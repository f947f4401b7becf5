"""The figure of a boundary dimension says what the report says."""

import dataclasses

import numpy as np
import pytest

from dynfrac.analysis.estimates import Curve, Estimate
from dynfrac.orbits.axes import Axis
from dynfrac.plots.boundary_dimensions import boundary_dimension_figure
from dynfrac.studies.dimension_reports import report_dimension

SQUARE = [Axis("a", 0.0, 1.0), Axis("b", 0.0, 1.0)]


def disc(points):
    return ((points - 0.5) ** 2).sum(axis=1) < 0.1


REPORT = report_dimension(disc, SQUARE, budget=6000, seed=1)
OTHER = dataclasses.replace(REPORT.headline, value=1.3, ci_low=1.2, ci_high=1.4)


def two_methods(other=OTHER):
    return dataclasses.replace(REPORT, estimates={**REPORT.estimates, "transects": other})


def test_all_panels_of_a_report():
    figure = boundary_dimension_figure(two_methods(), title="disc")
    fractions, local, methods = figure.axes
    (text,) = fractions.get_legend().get_texts()
    assert text.get_text().startswith(f"D = {REPORT.headline.value:.3f}")
    assert fractions.get_xscale() == fractions.get_yscale() == local.get_xscale() == "log"
    drawn = fractions.containers[0].lines[0]
    seen = REPORT.headline.curve.y > 0
    np.testing.assert_allclose(drawn.get_ydata(), REPORT.headline.curve.y[seen])
    # The line has the slope of the value, which is fitted with weights.
    (line,) = (line for line in fractions.lines if line.get_label().startswith("D = "))
    (x0, x1), (y0, y1) = line.get_data()
    assert 2 - np.log(y1 / y0) / np.log(x1 / x0) == pytest.approx(REPORT.headline.value)
    middle = np.interp(np.log(0.02), np.log([x0, x1]), np.log([y0, y1]))
    # A chord of length eps crosses a circle of radius r with probability 4 r eps.
    assert np.exp(middle) == pytest.approx(4 * 0.1**0.5 * 0.02, rel=0.5)
    np.testing.assert_allclose(local.containers[0].lines[0].get_ydata(), REPORT.local.y)
    low, high = local.get_ylim()
    assert low <= REPORT.headline.value <= high <= 2.4
    assert [label.get_text() for label in methods.get_xticklabels()] == ["pairs", "transects"]
    assert {text.get_text() for text in methods.texts} == {f"{REPORT.headline.value:.3f}", "1.300"}
    low, high = methods.get_ylim()
    assert low < min(REPORT.headline.ci_low, 1.2) and high > max(REPORT.headline.ci_high, 1.4)
    figure.draw_without_rendering()


def test_one_method_needs_no_panel_to_compare():
    figure = boundary_dimension_figure(REPORT)
    assert len(figure.axes) == 2
    assert figure.get_figwidth() < boundary_dimension_figure(two_methods()).get_figwidth()


def test_the_value_of_a_method_without_pairs_is_drawn():
    alone = dataclasses.replace(REPORT, estimates={"transects": OTHER}, headline=OTHER)
    panels = boundary_dimension_figure(alone).axes
    assert "1.300" in {text.get_text() for axes in panels for text in axes.texts}


def test_a_method_without_a_value_says_so():
    missing = Estimate.missing("transects", 10, ["too few"])
    methods = boundary_dimension_figure(two_methods(missing)).axes[2]
    assert "no value" in {text.get_text() for text in methods.texts}


def test_what_has_no_value_says_why():
    report = report_dimension(lambda p: np.zeros(len(p), int), SQUARE, budget=600)
    figure = boundary_dimension_figure(report)
    (said,) = (text.get_text() for axes in figure.axes for text in axes.texts)
    assert "no boundary was met" in said
    figure.draw_without_rendering()


@pytest.mark.parametrize("level", [0.5, 1e-6])
def test_a_flat_curve_has_a_power_of_ten_to_read(level):
    x = 2.0 ** -np.arange(12.0)[::-1]
    curve = Curve(x, np.full(12, level), np.full(12, 0.9 * level))
    headline = dataclasses.replace(
        REPORT.headline, curve=curve, value=2.0, ci_low=1.99, ci_high=2.0, window=(x[0], x[-1])
    )
    report = dataclasses.replace(
        REPORT, headline=headline, estimates={"pairs": headline}, local=Curve(x, 2 + 0 * x, 9 + x)
    )
    figure = boundary_dimension_figure(report)
    figure.draw_without_rendering()
    fractions, local = figure.axes
    low, high = fractions.get_ylim()
    assert np.floor(np.log10(high)) > np.floor(np.log10(low)) and low < level < high
    # Errors of 9 do not flatten what is known.
    assert np.ptp(local.get_ylim()) <= 2.1
