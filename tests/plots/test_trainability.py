"""Pictures of sweeps: the right colour in the right place, and a key that says what it means."""

import functools

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.rules import make_rule
from dynfrac.plots.metrics import plot_accuracy, plot_exponent, plot_final_loss, plot_test_loss
from dynfrac.plots.palettes import PALETTES
from dynfrac.plots.trainability import (
    equalise,
    plot_boundary,
    plot_measure,
    plot_status,
    plot_t_escape,
)

SPECTRAL = matplotlib.colormaps["Spectral"]
LOG_AXES = (Axis("lr_in", 1e-3, 1e6, 5), Axis("lr_out", 1e-2, 1e2, 4))
STATUS = np.array([[1, 1, 2, 3, 4], [1, 1, 1, 3, 4], [1, 2, 3, 4, 4], [0, 0, 3, 4, 4]], np.uint8)
MEASURE = np.array(
    [
        [-9.0, -8.0, 90.0, 50.0, 10.0],
        [-7.0, -6.0, -5.0, 40.0, 9.0],
        [-4.0, 80.0, 30.0, 8.0, 7.0],
        [np.nan, np.nan, 20.0, 6.0, 5.0],
    ]
)
T_ESCAPE = np.where(STATUS >= 3, 12, -1)
FINAL_LOSS = np.where(STATUS == 4, np.inf, np.where(STATUS == 0, np.nan, 0.5 + STATUS))
# Negative where it converged, one of them superstable; far beyond the scale where it escaped.
EXPONENT = np.select([STATUS == 1, STATUS == 2, STATUS >= 3], [-0.5, 0.25, 40.0], np.nan)
EXPONENT[0, 1] = -np.inf
ACCURACY = np.where(STATUS == 4, np.nan, np.where(STATUS == 1, 0.75, 0.1))

DRAWINGS = {
    "measure": lambda **kw: plot_measure(MEASURE, STATUS, LOG_AXES, **kw),
    "status": lambda **kw: plot_status(STATUS, LOG_AXES, **kw),
    "t_escape": lambda **kw: plot_t_escape(T_ESCAPE, STATUS, LOG_AXES, **kw),
    "final_loss": lambda **kw: plot_final_loss(FINAL_LOSS, STATUS, LOG_AXES, **kw),
    "test_loss": lambda **kw: plot_test_loss(FINAL_LOSS, STATUS, LOG_AXES, **kw),
    "accuracy": lambda **kw: plot_accuracy(ACCURACY, STATUS, LOG_AXES, **kw),
    "lyapunov": lambda **kw: plot_exponent(EXPONENT, STATUS, LOG_AXES, **kw),
    "boundary": lambda **kw: plot_boundary(STATUS, LOG_AXES, **kw),
}


@functools.lru_cache(maxsize=1)
def rendered(ax):
    """Return the pixels of a figure, the lowest row first."""
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[::-1] / 255


def pixel(ax, x, y):
    """Return the colour that is drawn at a point given in values of the hyperparameters."""
    page = rendered(ax)
    column, row = ax.transData.transform((x, y))
    return page[int(row), int(column)]


def texts(ax):
    """Return everything that is written on a figure, the key included."""
    found = ax.figure.findobj(matplotlib.text.Text)
    return " ".join(text.get_text().replace("\n", " ") for text in found if text.get_text())


@given(
    arrays(float, st.integers(1, 60), elements=st.floats(-100, 100, allow_subnormal=False)),
)
def test_equalised_values_keep_sign_and_order_and_leave_the_middle(measure):
    coloured = equalise(measure)
    assert ((coloured > 0) == (measure < 0)).all()
    assert (np.abs(coloured) >= 0.25).all() and (np.abs(coloured) <= 1).all()
    for side in (measure < 0, measure >= 0):
        order = np.argsort(measure[side])
        assert (np.diff(coloured[side][order]) <= 0).all()
        ties = np.diff(measure[side][order]) == 0
        assert ((np.diff(coloured[side][order]) == 0) == ties).all()


def test_equalised_values_are_uniform_on_each_side():
    rng = np.random.default_rng(7)
    measure = np.concatenate([-np.exp(rng.normal(0, 5, 301)), np.exp(rng.normal(0, 9, 201))])
    coloured = equalise(measure)
    np.testing.assert_allclose(np.sort(coloured[:301]), np.linspace(0.25, 1, 301), atol=1e-12)
    np.testing.assert_allclose(np.sort(coloured[301:]), np.linspace(-1, -0.25, 201), atol=1e-12)


def test_the_published_formula_on_values_without_ties():
    # The published pictures interpolate between sorted values; written out once more here.
    rng = np.random.default_rng(3)
    measure = rng.normal(size=(20, 30))
    order = np.sort(measure.ravel())
    n = np.sum(order < 0)
    steps = np.concatenate([np.linspace(-1, -0.25, n), np.linspace(0.25, 1, 600 - n)])
    np.testing.assert_allclose(equalise(measure), -np.interp(measure, order, steps), atol=1e-12)


def test_infinite_measures_have_the_last_colour_and_nan_has_none():
    np.testing.assert_allclose(
        equalise(np.array([np.inf, 1.0, np.nan, -np.inf, -1.0])), [-1, -0.25, np.nan, 1, 0.25]
    )
    np.testing.assert_allclose(equalise(np.full((2, 2), -3.0)), np.full((2, 2), 0.625))


def test_cells_are_where_the_axes_say():
    ax = plot_measure(MEASURE, STATUS, LOG_AXES)
    coloured = equalise(MEASURE)
    x, y = (axis.points() for axis in LOG_AXES)
    for i in range(4):
        for j in range(5):
            if STATUS[i, j]:
                expected = SPECTRAL((coloured[i, j] + 1) / 2)
                np.testing.assert_allclose(pixel(ax, x[j], y[i]), expected, atol=0.01)
    # Half a cell of the logarithmic axes beyond the end points; a tenth of a decade is inside.
    assert ax.get_xlim()[0] < 1e-3 and ax.get_ylim()[1] > 1e2
    np.testing.assert_allclose(pixel(ax, 2e-3, 1e-2), SPECTRAL((coloured[0, 0] + 1) / 2), atol=0.01)


def test_a_palette_is_that_of_cells_key_and_legend():
    safe = PALETTES["safe"]
    ax = plot_measure(MEASURE, STATUS, LOG_AXES, palette="safe")
    expected = safe.signed((equalise(MEASURE)[0, 0] + 1) / 2)
    np.testing.assert_allclose(pixel(ax, 1e-3, 1e-2), expected, atol=0.01)
    assert all(image.get_cmap() == safe.signed for image in ax.child_axes[0].images)
    ax = plot_status(STATUS, LOG_AXES, palette="safe")
    escaped = matplotlib.colors.to_rgba(safe.classes[3])
    np.testing.assert_allclose(pixel(ax, LOG_AXES[0].points()[3], 1e-2), escaped, atol=0.01)
    assert escaped in [patch.get_facecolor() for patch in ax.get_legend().get_patches()]
    loss = plot_final_loss(FINAL_LOSS, STATUS, LOG_AXES, palette="safe")
    assert any(image.get_cmap().name == safe.sequential for image in loss.images)


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_picture_takes_a_palette_and_refuses_others(name):
    FigureCanvasAgg(DRAWINGS[name](palette="safe").figure).draw()
    with pytest.raises(ValueError, match="unknown palette 'sage'; did you mean 'safe'"):
        DRAWINGS[name](palette="sage")


def test_converged_is_blue_to_green_and_the_rest_red_to_yellow():
    ax = plot_measure(MEASURE, STATUS, LOG_AXES)
    slow, late = pixel(ax, 1e-3, 1e-2), pixel(ax, LOG_AXES[0].points()[2], 1e-2)
    assert slow[2] > slow[0] and late[0] > late[2]
    written = texts(ax)
    for word in ("converged 33.3 %", "did not converge 66.7 %", "fast", "slowly", "early", "late"):
        assert word in written, word


def test_the_key_has_the_words_of_the_rule():
    written = texts(plot_measure(MEASURE, STATUS, LOG_AXES, ends=make_rule("curve-mean").ends))
    assert "diverged early" in written and "diverged late" not in written
    key = plot_measure(MEASURE, STATUS, LOG_AXES, ends=make_rule("threshold:1").ends).child_axes[0]
    heights = {text.get_text(): text.get_position()[1] for text in key.texts}
    order = sorted(["came close", "stayed far", "fast", "slowly"], key=heights.__getitem__)
    assert order == ["came close", "stayed far", "fast", "slowly"]


def test_a_class_of_equal_measures_has_one_colour_and_no_ends():
    ax = plot_measure(np.where(STATUS == 1, -20.0, MEASURE), STATUS, LOG_AXES)
    written = texts(ax)
    assert "fast" not in written and "slowly" not in written and "diverged late" in written
    # The key's colour is that of the cells.
    key = ax.child_axes[0].images[1].get_array()
    np.testing.assert_array_equal(key, equalise(np.full((1, 6), -20.0))[:, :1])


def test_pending_cells_are_grey_and_said():
    for draw in DRAWINGS.values():
        ax = draw()
        colour = pixel(ax, 1.3e-3, 1.1e2)[:3]
        assert np.ptp(colour) < 0.01 and 0.6 < colour[0] < 1
        assert "not computed yet" in texts(ax) and "10.0 %" in texts(ax)
        assert "not computed" not in texts(plot_status(np.where(STATUS, STATUS, 1), LOG_AXES))


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_picture_has_title_caption_and_named_axes(name):
    ax = DRAWINGS[name](title="a title", caption="two\nlines")
    assert ax.get_title(loc="left") == "a title"
    assert "two lines" in texts(ax)
    assert ax.get_xlabel() == "learning rate of the first layer (lr_in)"
    assert ax.get_ylabel() == "learning rate of the last layer (lr_out)"
    assert [t.get_text() for t in ax.get_xticklabels()] == [f"$10^{{{k}}}$" for k in range(-3, 7)]


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_picture_draws_on_given_axes_and_inside_its_page(name):
    figure = Figure()
    ax = figure.add_subplot()
    assert DRAWINGS[name](ax=ax) is ax
    own = DRAWINGS[name](title="a title", caption="two\nlines").figure
    FigureCanvasAgg(own).draw()
    box = own.get_tightbbox()
    assert box.x0 >= 0 and box.y0 >= 0
    assert box.x1 <= own.get_figwidth() and box.y1 <= own.get_figheight()


def test_outcomes_have_their_shares():
    written = texts(plot_status(STATUS, LOG_AXES))
    for words in ("converged 30.0 %", "stayed bounded 10.0 %", "escaped 20.0 %", "not finite 30.0"):
        assert words in written, words


def test_escape_times_are_drawn_where_runs_escaped():
    ax = plot_t_escape(T_ESCAPE, STATUS, LOG_AXES)
    assert "never over the limit  40.0 %" in texts(ax)
    inside, escaped = pixel(ax, 1e-3, 1e-2), pixel(ax, 1e6, 1e-2)
    assert inside.min() > 0.8 and escaped.min() < 0.5


def test_losses_of_escaped_runs_do_not_set_the_scale():
    loss = FINAL_LOSS.copy()
    loss[STATUS == 3] = 1e200
    ax = plot_final_loss(loss, STATUS, LOG_AXES)
    images = [image for image in ax.images if isinstance(image.norm, matplotlib.colors.LogNorm)]
    assert len(images) == 1 and images[0].norm.vmax < 10
    assert "escaped  20.0 %" in texts(ax) and "not finite  30.0 %" in texts(ax)


def test_the_last_and_the_test_loss_say_which_they_are():
    assert "last recorded loss" in texts(plot_final_loss(FINAL_LOSS, STATUS, LOG_AXES))
    assert "final test loss" in texts(plot_test_loss(FINAL_LOSS, STATUS, LOG_AXES))


def test_a_loss_that_alone_is_not_finite_is_said_to_be():
    loss = FINAL_LOSS.copy()
    loss[0, 0] = np.nan  # of a run that converged by its training loss
    ax = plot_test_loss(loss, STATUS, LOG_AXES)
    assert "not finite  35.0 %" in texts(ax)
    np.testing.assert_allclose(pixel(ax, 1e-3, 1e-2), SPECTRAL(0.03), atol=0.01)


@pytest.mark.parametrize("data", ["test", "training"])
def test_accuracies_have_a_scale_from_0_to_1(data):
    ax = plot_accuracy(ACCURACY, STATUS, LOG_AXES, data=data)
    assert f"final {data} accuracy" in texts(ax)
    assert "outputs not finite  30.0 %" in texts(ax)
    viridis = matplotlib.colormaps["viridis"]
    for x, y, colour in ((1e-3, 1e-2, viridis(0.75)), (1e6, 1e-2, SPECTRAL(0.03))):
        np.testing.assert_allclose(pixel(ax, x, y), colour, atol=0.01)
    # An escaped run still has an accuracy.
    np.testing.assert_allclose(pixel(ax, LOG_AXES[0].points()[3], 1e-2), viridis(0.1), atol=0.01)


def test_exponents_have_a_symmetric_scale_with_the_boundary_on_top():
    ax = DRAWINGS["lyapunov"]()
    (image,) = [i for i in ax.images if i.get_cmap().name == "RdBu_r"]
    assert image.get_clim() == (-0.5, 0.5)
    shown = np.ma.filled(image.get_array(), np.nan)
    assert shown[0].tolist() == [-0.5, -0.5, 0.25, 0.5, 0.5]
    np.testing.assert_array_equal(np.isnan(shown), STATUS == 0)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words[0] == "boundary" and not any("no finite step" in word for word in words)
    # The edge is that of the boundary's own picture.
    (edge,) = [i for i in ax.images if i.get_array().shape == (3, 4)]
    (alone,) = [i for i in DRAWINGS["boundary"]().images if i.get_array().shape == (3, 4)]
    np.testing.assert_array_equal(np.isnan(edge.get_array()), np.isnan(alone.get_array()))


def test_exponents_that_do_not_exist_and_that_are_all_zero():
    status = np.array([[1, 4], [1, 1]], np.uint8)
    axes = (Axis("lr", 0.1, 1, 2), Axis("lr_in", 0.1, 1, 2))
    ax = plot_exponent(np.array([[0.0, np.nan], [0.0, 0.0]]), status, axes)
    assert "no finite step  25.0 %" in [text.get_text() for text in ax.get_legend().get_texts()]
    (image,) = [i for i in ax.images if i.get_cmap().name == "RdBu_r"]
    assert image.get_clim() == (-1e-3, 1e-3)


def test_the_boundary_lies_between_cells_and_not_beside_pending_ones():
    axes = (Axis("a", 0, 3, 4, "linear"), Axis("b", 0, 2, 3, "linear"))
    status = np.array([[1, 1, 4, 4], [1, 1, 4, 4], [1, 0, 0, 4]], np.uint8)
    ax = plot_boundary(status, axes)
    assert pixel(ax, 1.5, 0.5)[:3].max() < 0.05  # between columns 1 and 2
    assert pixel(ax, 0.5, 0.5)[:3].max() > 0.5
    assert pixel(ax, 2.75, 0.5)[:3].max() > 0.5
    assert pixel(ax, 1.5, 1.4)[:3].max() > 0.5  # next to cells that are not known


def test_one_axis_is_a_strip():
    ax = plot_measure(MEASURE[0], STATUS[0], LOG_AXES[:1])
    np.testing.assert_allclose(pixel(ax, 1e-3, 0.5), SPECTRAL(1.0), atol=0.01)
    assert list(ax.get_yticks()) == []
    assert plot_boundary(STATUS[0], LOG_AXES[:1]).get_ylim() == (0, 1)


def test_a_colour_scale_of_a_narrow_range_is_readable():
    loss = np.where(STATUS == 1, 0.129, 0.147)
    key = plot_final_loss(loss, np.ones_like(STATUS), LOG_AXES).child_axes[0]
    labels = [label.get_text() for label in key.get_yticklabels()]
    assert labels == ["0.13", "0.135", "0.14", "0.145"]
    wide = plot_final_loss(np.where(STATUS == 1, 1e-5, 1.0), np.ones_like(STATUS), LOG_AXES)
    labels = [label.get_text() for label in wide.child_axes[0].get_yticklabels()]
    assert labels == [f"$10^{{{k}}}$" for k in range(-5, 1)]


STRIPS = {
    "measure": lambda ax: plot_measure(MEASURE[0], STATUS[0], ax, title="t", caption="two\nlines"),
    "status": lambda ax: plot_status(STATUS[0], ax),
    "t_escape": lambda ax: plot_t_escape(T_ESCAPE[0], STATUS[0], ax),
    "final_loss": lambda ax: plot_final_loss(FINAL_LOSS[0], STATUS[0], ax),
    "accuracy": lambda ax: plot_accuracy(ACCURACY[0], STATUS[0], ax, data="training"),
    "boundary": lambda ax: plot_boundary(STATUS[0], ax),
}


@pytest.mark.parametrize("name", STRIPS)
def test_the_key_of_a_strip_is_no_higher_than_the_strip(name):
    ax = STRIPS[name](LOG_AXES[:1])
    FigureCanvasAgg(ax.figure).draw()
    page, strip = ax.figure.bbox, ax.get_window_extent()
    everything = ax.figure.get_tightbbox().transformed(ax.figure.dpi_scale_trans)
    assert everything.x1 <= page.x1 and everything.y0 >= 0
    for key in ax.child_axes:
        label = key.yaxis.label.get_window_extent()
        assert strip.y0 - 1 <= label.y0 and label.y1 <= strip.y1 + 1


@pytest.mark.parametrize("shape", [(2, 2, 2), (5,)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="pass one axis for each of its one or two dimensions"):
        plot_status(np.ones(shape, np.uint8), LOG_AXES)


@pytest.mark.parametrize("code", [0, 1, 2, 4])
def test_grids_with_a_single_outcome_can_be_drawn(code):
    status = np.full((4, 5), code, np.uint8)
    measure = np.full((4, 5), [np.nan, -1, 1, 1, 1][code])
    plain = np.full((4, 5), 0.0)
    for ax in (
        plot_measure(measure, status, LOG_AXES),
        plot_status(status, LOG_AXES),
        plot_t_escape(np.full((4, 5), -1), status, LOG_AXES),
        plot_final_loss(plain, status, LOG_AXES),
        plot_accuracy(plain, status, LOG_AXES),
        plot_boundary(status, LOG_AXES),
    ):
        FigureCanvasAgg(ax.figure).draw()
    assert "boundary" not in texts(plot_boundary(status, LOG_AXES))


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0 %"), (1e-5, "< 0.1 %"), (0.5, "50.0 %"), (0.99999, "> 99.9 %")]
)
def test_shares_are_never_rounded_to_nothing_or_all(share, text):
    n = 100_000
    status = np.ones(n, np.uint8)
    status[: round(n * (1 - share))] = 4
    axis = Axis("lr", 1, 2, n)
    if share:
        assert f"converged {text}" in texts(plot_status(status, [axis]))
    else:
        assert "converged" not in texts(plot_status(status, [axis]))
