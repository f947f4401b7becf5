"""The figure of point dimensions says what the estimates say."""

import dataclasses

import numpy as np
import pytest

from dynfrac.analysis import point_sets
from dynfrac.analysis.correlations import correlation_dimension, surrogate_dimensions
from dynfrac.analysis.generalized import generalized_dimension
from dynfrac.analysis.takens import takens_dimension
from dynfrac.plots.point_dimensions import point_dimension_figure

POINTS = point_sets.circle(800, seed=0)
ESTIMATE = correlation_dimension(POINTS, theiler=1)


def labels(figure):
    legends = [axes.get_legend() for axes in figure.axes]
    return [text.get_text() for legend in legends if legend for text in legend.get_texts()]


def test_all_panels():
    takens = takens_dimension(POINTS, theiler=0)
    figure = point_dimension_figure(
        ESTIMATE,
        takens=takens,
        surrogates=surrogate_dimensions(POINTS, ESTIMATE, theiler=1),
        dimensions={q: generalized_dimension(POINTS, q) for q in (0, 1, 2)},
        title="circle",
    )
    assert len(figure.axes) == 4
    texts = labels(figure)
    assert any(f"D2 = {ESTIMATE.value:.3f}" in text for text in texts)
    assert f"D2 = {takens.value:.3f} (Takens)" in texts
    assert {"phase-randomised", "random walk"} <= set(texts)
    counts, slopes, curve, spectrum = figure.axes
    assert counts.get_xscale() == counts.get_yscale() == "log"
    low, high = slopes.get_ylim()
    assert low <= ESTIMATE.value <= high
    assert curve.get_ylabel() == "D2(r0)"
    assert list(spectrum.get_xticks()) == [0, 1, 2]
    figure.draw_without_rendering()


@pytest.mark.parametrize("extra", [{}, {"takens": takens_dimension(POINTS[:10])}])
def test_what_has_no_value_says_why(extra):
    missing = correlation_dimension(POINTS[:10])
    figure = point_dimension_figure(missing, **extra)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts and all("there are 10 points" in text for text in texts)
    figure.draw_without_rendering()


def test_a_converged_orbit_is_drawn():
    still = np.ones((50, 2))
    point_dimension_figure(
        correlation_dimension(still),
        takens=takens_dimension(still),
        dimensions={0: generalized_dimension(still)},
    ).draw_without_rendering()


def test_a_value_beyond_its_interval_is_drawn():
    # A point estimate above the number of coordinates has an interval that ends there.
    estimate = dataclasses.replace(ESTIMATE, value=2.05, stderr=0.01, ci_low=2.0, ci_high=2.0)
    point_dimension_figure(
        estimate,
        takens=dataclasses.replace(estimate, curve=ESTIMATE.curve),
        dimensions={0: estimate},
    ).draw_without_rendering()
