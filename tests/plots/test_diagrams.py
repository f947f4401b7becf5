"""The figure of an orbit diagram: points where they belong, marks where something begins."""

import functools
import io

import numpy as np
import pytest

from dynfrac.analysis.diagrams import orbit_diagram
from dynfrac.orbits.axes import Axis
from dynfrac.plots.diagrams import orbit_figure
from dynfrac.systems.descents import CubicDescent, QuadraticDescent
from dynfrac.systems.interval_maps import Logistic


@functools.cache
def diagram(low=2.8, high=4.2, n=300, scale="linear"):
    return orbit_diagram(Logistic(), Axis("r", low, high, n, scale), n_steps=400)


def raster(figure):
    (image,) = figure.axes[0].images
    return np.ma.filled(image.get_array(), 0)


def test_every_kept_value_is_counted_where_it_is():
    found = diagram()
    figure = orbit_figure(found)
    counts = raster(figure)
    bounded = found.bounded
    np.testing.assert_array_equal(counts.sum(axis=0), np.where(bounded, 256, 0))
    # A column's height in the picture is the value: that of the fixed point, 1 - 1 / r.
    low, high = figure.axes[0].get_ylim()
    heights = low + (np.argmax(counts[:, 0]) + np.array([0, 1])) / len(counts) * (high - low)
    assert heights[0] <= 1 - 1 / found.values[0] <= heights[1]
    # The image covers the columns to the pixel: its edges are half a spacing beyond the ends.
    spacing = found.values[1] - found.values[0]
    np.testing.assert_allclose(
        figure.axes[1].get_xlim(), (2.8 - spacing / 2, 4.2 + spacing / 2), rtol=1e-12
    )


def test_exponents_have_their_band_and_a_zero():
    found = diagram()
    below = orbit_figure(found).axes[1]
    zero, line = below.lines[0], below.lines[1]
    assert set(zero.get_ydata()) == {0.0}
    np.testing.assert_array_equal(line.get_ydata(), found.exponents)
    (band,) = [c for c in below.collections if len(c.get_paths()[0].vertices) > 100]
    top = np.nanmax(band.get_paths()[0].vertices[:, 1])
    assert top == pytest.approx(np.nanmax(found.exponents + 2 * found.stderr))
    # The axis holds everything but the dips to superstable cycles.
    bottom, top = below.get_ylim()
    assert bottom < 0 < np.nanmax(found.exponents) < top and bottom > -3


def test_marks_are_the_cascade_with_labels_that_do_not_touch():
    found = diagram()
    above, below = orbit_figure(found).axes
    x = [line.get_xdata()[0] for line in above.lines if len(set(line.get_xdata())) == 1]
    np.testing.assert_allclose(x, [(c.low + c.high) / 2 for c in found.cascade])
    words = [text.get_text() for text in above.texts]
    assert {"2", "4", "chaos", "period", "escaped"} <= set(words) and len(set(words)) == len(words)
    assert len(below.lines) == 2 + len(x)


def test_superstable_orbits_are_marked_at_the_floor():
    rates = orbit_diagram(QuadraticDescent((1.0,)), Axis("lr", 0.5, 1.5, 3, "linear"), n_steps=50)
    below = orbit_figure(rates).axes[1]
    (floor,) = [line for line in below.lines if line.get_marker() == "v"]
    assert floor.get_xdata().tolist() == [1.0]


def test_values_apart_do_not_fill_their_columns():
    found = diagram(n=60)
    counts = raster(orbit_figure(found))
    assert counts.shape[1] == 180 and counts[:, 1::3].any() and not counts[:, 0::3].any()


@pytest.mark.parametrize("size", [(6.4, 5.6), (3.5, 3.2)])
@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_it_is_saved_small_at_any_size(size, kind):
    found = diagram(n=500)
    file = io.BytesIO()
    figure = orbit_figure(found, title="logistic", label="x", size=size)
    figure.savefig(file, format=kind)
    # 128,000 values as vector dots would take megabytes.
    assert 5_000 < len(file.getvalue()) < 300_000
    assert raster(figure).shape[0] == round(50 * size[1])
    assert figure.axes[0].get_ylabel() == "x"


def test_ranges_and_logarithmic_scales():
    found = orbit_diagram(CubicDescent(), Axis("lr", 1.05, 1.9, 60), n_steps=200)
    figure = orbit_figure(found, y_range=(1e-3, 1.0), logarithmic=True)
    above, below = figure.axes
    assert above.get_yscale() == "log" and above.get_ylim() == (1e-3, 1.0)
    assert below.get_xscale() == "log" and above.get_ylabel() == "observed value"
    inside = (found.observed >= 1e-3) & (found.observed <= 1)
    assert raster(figure).sum() == inside.sum() < found.observed.size
    assert below.get_xlabel() == "learning rate (lr)"
    automatic = orbit_figure(found, logarithmic=True).axes[0].get_ylim()
    positive = found.observed[found.observed > 0]
    assert 0 < automatic[0] < positive.min() and positive.max() < automatic[1]


def test_nothing_bounded_can_be_drawn():
    gone = orbit_diagram(CubicDescent(), Axis("lr", 2.5, 3, 4), n_steps=50)
    figure = orbit_figure(gone)
    figure.savefig(io.BytesIO(), format="png")
    assert "no run stayed bounded" in [text.get_text() for text in figure.axes[0].texts]
