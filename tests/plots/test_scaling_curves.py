"""The figure of a box dimension shows what the estimate holds."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from dynfrac.analysis import sets
from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.nulls import smooth_null
from dynfrac.analysis.scaling import local_slopes
from dynfrac.plots.scaling_curves import box_dimension_figure, draw_set

DISC = sets.disc(128)
ESTIMATE = box_dimension(DISC)


def test_counts_fit_and_slopes_are_those_of_the_estimate():
    smooth = smooth_null(DISC.shape, window=ESTIMATE.window)
    figure = box_dimension_figure(ESTIMATE, DISC, smooth=smooth, title="disc")
    _, counts, slopes = figure.axes
    curve = ESTIMATE.curve
    points, fit = counts.containers[0].lines[0], counts.lines[-1]
    np.testing.assert_array_equal(points.get_xydata(), np.stack([curve.x, curve.y], axis=1))
    assert tuple(fit.get_xdata()) == ESTIMATE.window
    steps = np.diff(np.log(fit.get_ydata())) / np.diff(np.log(fit.get_xdata()))
    assert steps.item() == pytest.approx(-ESTIMATE.value)
    (label,) = (text.get_text() for text in counts.get_legend().get_texts())
    assert f"{ESTIMATE.value:.3f}" in label
    drawn = [line.get_ydata() for line in slopes.lines if len(line.get_xdata()) > 2]
    expected = [*(smooth[name] for name in ("circle", "line")), ESTIMATE]
    for line, estimate in zip(drawn, expected, strict=True):
        slope = local_slopes(estimate.curve.x, estimate.curve.y)[1]
        np.testing.assert_array_equal(line, -slope)


def test_box_sides_are_labelled_as_whole_pixels():
    figure = box_dimension_figure(ESTIMATE, DISC)
    figure.draw_without_rendering()
    low, high = figure.axes[2].get_xlim()
    ticks = figure.axes[2].get_xticklabels()
    labels = [tick.get_text() for tick in ticks if low <= tick.get_position()[0] <= high]
    assert labels == ["1", "2", "4", "8", "16"]


def test_no_value_is_drawn_with_its_reason():
    blank = np.ones((64, 64), bool)
    figure = box_dimension_figure(box_dimension(blank), blank)
    assert "same label" in figure.axes[1].texts[0].get_text()
    figure.savefig(io.BytesIO(), format="png")


def test_a_curve_without_a_value_is_drawn():
    figure = box_dimension_figure(box_dimension(DISC, window=(4, 6.5)), DISC)
    assert len(figure.axes) == 3
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("origin", ["upper", "lower"])
def test_the_first_row_is_where_it_should_be(origin, mask):
    picture = np.zeros((60, 60), bool)
    picture[:20, 10:50] = True
    axes = draw_set(Figure().subplots(), picture, mask=mask, origin=origin)
    low, high = axes.get_ylim()
    assert (low < high) == (origin == "lower")
    drawn = axes.images[-1]
    rows = np.flatnonzero(np.isfinite(drawn.get_array().filled(np.nan)).any(axis=1))
    assert rows[0] == 0 and rows[-1] == 19 and drawn.origin == origin


def test_a_thin_boundary_survives_in_a_large_picture():
    picture = np.zeros((64, 4001), bool)
    picture[:, 1005:] = True  # not where a block begins
    axes = draw_set(Figure().subplots(), picture)
    assert np.isfinite(axes.images[-1].get_array().filled(np.nan)).any(axis=1).all()


def test_lines_and_volumes_are_drawn():
    line = np.random.default_rng(1).random(900) < 0.5
    figure = box_dimension_figure(box_dimension(line), line)
    assert not len(figure.axes[0].get_yticks())
    boundary = figure.axes[0].images[-1].get_array()
    assert (boundary.mask == boundary.mask[0]).all()
    volume = np.zeros((40, 40, 40), bool)
    volume[12:28, 10:30, 5:35] = True
    figure = box_dimension_figure(box_dimension(volume), volume)
    drawn = np.isfinite(figure.axes[0].images[-1].get_array().filled(np.nan))
    assert "plane 20 of 40" in figure.axes[0].get_title(loc="left")
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (9, 29, 4, 34)
    for shape in (line, volume):
        box_dimension_figure(box_dimension(shape), shape).savefig(io.BytesIO(), format="png")
