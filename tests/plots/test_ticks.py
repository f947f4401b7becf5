"""Ticks: inside the axis, exact, and readable at any zoom."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from dynfrac.orbits.axes import Axis
from dynfrac.plots.ticks import choose_ticks, label_axis


@pytest.mark.parametrize(
    ("axis", "labels", "offset"),
    [
        (Axis("lr", 1e-3, 1e1), [f"$10^{{{k}}}$" for k in range(-3, 2)], ""),
        (Axis("lr", 1e-12, 1e12), [f"$10^{{{k}}}$" for k in range(-12, 13, 3)], ""),
        (Axis("lr", 0.2, 30), ["0.2", "0.5", "1", "2", "5", "10", "20"], ""),
        (Axis("lr", 21, 99), ["40", "60", "80"], ""),
        (Axis("lr", 1, 1.3), ["1", "1.1", "1.2", "1.3"], ""),
        (Axis("momentum", 0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"], ""),
        (Axis("seed", 0, 3), ["0", "1", "2", "3"], ""),
        (Axis("seed", 4, 5), ["4", "5"], ""),
        (Axis("batch_size", 1, 3, None, "log10"), ["1", "2", "3"], ""),
        (Axis("n_steps", 100, 400), ["100", "150", "200", "250", "300", "350", "400"], ""),
        (Axis("c", -2, 0.5), ["−2", "−1.5", "−1", "−0.5", "0", "0.5"], ""),
        (Axis("c", -1e-9, 1e-9), ["−1", "−0.5", "0", "0.5", "1"], r"$… \times 10^{-9}$"),
        (Axis("lr", 2e7, 2.3e7), ["2", "2.05", "2.1", "2.15", "2.2", "2.25", "2.3"], None),
        (
            Axis("lr", 0.7312841, 0.7312842),
            ["0", "+2", "+4", "+6", "+8", "+10"],
            r"$0.7312841 + … \times 10^{-8}$",
        ),
        (Axis("lr", 3.0001e-7, 3.0002e-7), None, r"$3.0001 \times 10^{-7} + … \times 10^{-12}$"),
    ],
)
def test_labels(axis, labels, offset):
    ticks = choose_ticks(axis)
    assert labels is None or list(ticks.labels) == labels
    assert offset is None or ticks.offset == offset


def value_of(label, offset):
    """Read a label back as the number it stands for, as a reader would."""
    label = label.replace("−", "-").replace("$", "")
    offset = offset.replace("−", "-").replace("$", "")
    if match := re.fullmatch(r"10\^\{(-?\d+)\}", label):
        return 10.0 ** int(match[1])
    base, _, unit = offset.rpartition("…")
    unit = re.search(r"10\^\{(-?\d+)\}", unit)
    value = float(label) * (10.0 ** int(unit[1]) if unit else 1.0)
    if base := base.strip(" +"):
        number, _, power = base.partition(r" \times 10^{")
        value += float(number) * 10.0 ** int(power.rstrip("}") or 0)
    return value


@given(
    st.sampled_from(["linear", "log10"]),
    st.floats(-6, 6),
    st.floats(-11, 1.2),
    st.sampled_from([1, -1]),
)
def test_every_window_has_a_few_true_ticks_inside(scale, position, width, sign):
    low = 10.0**position
    high = low * (1 + 10.0**width)
    if scale == "linear" and sign < 0:
        low, high = -high, -low
    axis = Axis("h", low, high, scale=scale)
    ticks = choose_ticks(axis)
    assert 2 <= len(ticks.major) <= 11 and len(set(ticks.labels)) == len(ticks.labels)
    for value, label in zip(ticks.major, ticks.labels, strict=True):
        # The position of a tick is right to a hundredth of the axis.
        assert abs(value_of(label, ticks.offset) - value) <= 0.01 * (high - low)
        assert low - 1e-6 * (high - low) <= value <= high + 1e-6 * (high - low)
        assert len(label) <= 8 or label.startswith("$")
    assert all(low <= value <= high for value in ticks.minor)


def test_the_label_says_what_the_axis_is():
    ax = Figure().add_subplot()
    label_axis(ax, "x", Axis("lr_in", 1e-3, 1e6))
    label_axis(ax, "y", Axis("c_im", -1, 1))
    assert ax.get_xlabel() == "learning rate of the first layer (lr_in)"
    assert ax.get_ylabel() == "c_im"
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    np.testing.assert_allclose(ax.get_xticks(), 10.0 ** np.arange(-3, 7), rtol=1e-15)
    label_axis(ax, "x", Axis("lr_in", 0.7312841, 0.7312842))
    assert ax.get_xlabel() == r"lr_in  =  $0.7312841 + … \times 10^{-8}$"
