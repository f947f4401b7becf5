"""The map of the local dimension shows what was computed, where it was computed."""

import io

import numpy as np
import pytest

from dynfrac.analysis import sets
from dynfrac.analysis.local_dimensions import local_dimension
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.outcomes import Status
from dynfrac.plots.local_dimensions import local_dimension_figure, plot_local_dimension

LABELS = sets.disc(96)[:, :90]
AXES = Axis("lr_in", 1e-3, 10, 90), Axis("lr_out", 1e-3, 10, 96)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("origin", ["upper", "lower"])
def test_the_values_lie_over_their_cells(mask, origin):
    local = local_dimension(LABELS, mask=mask)
    figure = local_dimension_figure(local, LABELS, mask=mask, origin=origin, title="disc")
    axes, bar = figure.axes
    image = axes.images[-1]
    np.testing.assert_array_equal(np.isfinite(local.values), ~image.get_array().mask)
    margin = 0 if mask else 0.5
    left, right, bottom, top = image.get_extent()
    assert (left, right) == (margin, 90 - margin)
    assert {bottom, top} == {margin, 96 - margin} and (bottom < top) == (origin == "lower")
    assert bar.get_ylabel() == "local dimension"
    assert "boxes of 2 to 8 px" in axes.get_title(loc="left")


def test_a_picture_without_boundary_is_drawn_with_its_reason():
    blank = np.ones((64, 64), bool)
    figure = local_dimension_figure(local_dimension(blank), blank)
    assert "no boundary" in figure.axes[0].get_title(loc="left")
    figure.savefig(io.BytesIO(), format="png")


def test_a_sweep_is_drawn_over_its_axes():
    status = np.where(LABELS, Status.CONVERGED, Status.ESCAPED).astype(np.uint8)
    axes = plot_local_dimension(status, AXES, title="sweep", caption="conditions")
    drawn = axes.images[-1].get_array()
    expected = local_dimension(LABELS).over_cells()
    np.testing.assert_allclose(drawn.filled(np.nan), expected)
    axes.get_figure().savefig(io.BytesIO(), format="png")


def test_pending_cells_are_refused():
    status = np.where(LABELS, Status.CONVERGED, Status.PENDING).astype(np.uint8)
    with pytest.raises(ValueError, match="cells are pending"):
        plot_local_dimension(status, AXES)
