"""The safe palette as readers see it who lack one kind of cone."""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from skimage.color import rgb2lab

from dynfrac.orbits.outcomes import Status
from dynfrac.plots.palettes import GAP, PALETTES, SAFE, find_palette

# Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color
# vision deficiency", at full severity, on linear RGB.
EYES = {
    "trichromat": np.eye(3),
    "protanope": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranope": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanope": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
SIDE = np.linspace(GAP, 1, 61)


def seen(rgb, eye):
    """Return the CIE Lab coordinates of (N, 3 or 4) colours as an eye sees them."""
    rgb = np.asarray(rgb)[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(EYES[eye]), 0, 1)
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(back[None])[0]


def distances(first, second):
    return np.linalg.norm(first[:, None] - second[None], axis=-1)


def between_sides(palette, eye):
    """Return the least distance of a colour of converged runs from one of the others."""
    signed = PALETTES[palette].signed
    sides = (seen(signed((sign * SIDE + 1) / 2), eye) for sign in (1, -1))
    return distances(*sides).min()


def classes(palette, eye):
    return seen([to_rgb(colour) for colour in PALETTES[palette].classes.values()], eye)


def between_classes(palette, eye):
    """Return the least distance between the colours of two outcomes."""
    colours = classes(palette, eye)
    return distances(colours, colours)[~np.eye(len(colours), dtype=bool)].min()


# Colours about 2 apart are just told apart side by side; flat areas at a glance take 20 or so.
@pytest.mark.parametrize("eye", EYES)
def test_the_safe_palette_tells_classes_apart_for_every_eye(eye):
    assert between_sides(SAFE, eye) > 50
    assert between_classes(SAFE, eye) > 30


@pytest.mark.parametrize("eye", EYES)
def test_flat_colours_stand_out_from_the_scale_of_losses(eye):
    scale = seen(matplotlib.colormaps[PALETTES[SAFE].sequential](SIDE), eye)
    assert distances(classes(SAFE, eye)[2:], scale).min() > 30


@pytest.mark.parametrize("eye", EYES)
def test_each_side_of_the_safe_palette_darkens_away_from_the_boundary(eye):
    signed = PALETTES[SAFE].signed
    for sign in (1, -1):
        assert (np.diff(seen(signed((sign * SIDE + 1) / 2), eye)[:, 0]) < 0).all()


def test_the_published_colours_are_what_the_safe_ones_are_for():
    assert between_sides("published", "protanope") < 10
    assert between_sides("published", "deuteranope") < 12


def test_palettes_are_complete_and_found_by_name():
    for name, palette in PALETTES.items():
        assert palette.name == name and find_palette(name) is palette
        assert find_palette(palette) is palette
        assert list(palette.classes) == [status for status in Status if status]
        assert len(set(palette.classes.values())) == 4
        assert {palette.sequential, palette.diverging} < set(matplotlib.colormaps)
    with pytest.raises(ValueError, match="safe"):
        find_palette("pastel")
