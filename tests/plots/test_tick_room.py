"""Labels of ticks do not touch at any size, and the round ones are those that stay."""

import itertools

import pytest
from matplotlib.figure import Figure

from dynfrac.orbits.axes import Axis
from dynfrac.plots.ticks import broken, label_axis

AXES = (
    Axis("lr_in", 1e-3, 1e6),
    Axis("lr", 0.02, 0.3),
    Axis("c_re", -2.0, 0.5),
    Axis("w0", 0.73128410, 0.73128419, scale="linear"),
)


def drawn(axis, which, inches):
    """Return the labels of an axis of some length, with their boxes."""
    figure = Figure(figsize=(8, 8), dpi=100)
    ax = figure.add_axes((0.1, 0.1, inches / 8, inches / 8))
    label_axis(ax, which, axis, room=inches)
    getattr(ax, f"set_{which}lim")(axis.low, axis.high)
    figure.draw_without_rendering()
    labels = [label for label in getattr(ax, f"get_{which}ticklabels")() if label.get_text()]
    return ax, [(label.get_text(), label.get_window_extent()) for label in labels]


@pytest.mark.parametrize("inches", [0.5, 1.0, 1.5, 2.5, 4.7])
@pytest.mark.parametrize("which", ["x", "y"])
@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_labels_do_not_touch(axis, which, inches):
    _, labels = drawn(axis, which, inches)
    assert labels
    for (_, one), (_, other) in itertools.pairwise(labels):
        assert not one.overlaps(other)


def test_a_picture_of_the_usual_size_keeps_every_label():
    _, labels = drawn(AXES[0], "x", 4.7)
    assert [text for text, _ in labels] == [f"$10^{{{k}}}$" for k in range(-3, 7)]


def test_round_numbers_stay_and_the_others_keep_their_ticks():
    ax, labels = drawn(AXES[0], "x", 1.5)
    assert [text for text, _ in labels] == [f"$10^{{{k}}}$" for k in (-3, 0, 3, 6)]
    assert len(ax.xaxis.get_minorticklocs()) == 6
    _, labels = drawn(AXES[2], "x", 1.2)
    assert [text for text, _ in labels] == ["−2", "−1", "0"]


def test_labels_are_broken_where_they_would_be_longer_than_the_axis():
    ax, _ = drawn(AXES[0], "x", 1.5)
    assert "\n" in ax.get_xlabel() and ax.get_xlabel().split() == (
        "learning rate of the first layer (lr_in)".split()
    )
    ax, _ = drawn(AXES[0], "x", 4.7)
    assert "\n" not in ax.get_xlabel()
    assert broken("learning rate", 0.01) == "learning\nrate"
