"""Palettes: the published colours, and others that every reader tells apart.

Published pictures run from yellow to dark red on one side and from green to blue on the other. To a
reader who lacks one kind of cone, yellow and green meet, and with them the two classes whose border
is the subject. The safe palette keeps warm colours for runs that did not converge and cold ones for
those that did, and leaves out what lies between.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, final

import matplotlib
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex

from dynfrac.orbits.outcomes import Status
from dynfrac.systems.abstract import unknown_name

GAP = 0.25
"""Signed values keep this distance from zero, so that the two classes never meet in colour."""

PUBLISHED = "published"
SAFE = "safe"

_SPECTRAL = matplotlib.colormaps["Spectral"]


@final
@dataclasses.dataclass(frozen=True)
class Palette:
    """Colours of pictures of sweeps.

    Attributes
    ----------
    name : str
        By which it is chosen.
    label : str
        A few words for a menu.
    signed : matplotlib.colors.Colormap
        For values in [-1, 1]: negative where the run did not converge. Values nearer to zero than
        `GAP` are not drawn.
    classes : mapping of Status to str
        Colours of the four outcomes, as ``"#rrggbb"``.
    sequential, diverging : str
        Names of matplotlib colour maps for losses and accuracies, and for exponents.
    """

    name: str
    label: str
    signed: Colormap
    classes: Mapping[Status, str]
    sequential: str
    diverging: str

    def describe_classes(self) -> dict[Status, tuple[str, str]]:
        """Return words and colour of every outcome, in the order of legends."""
        return {status: (_WORDS[status], self.classes[status]) for status in _WORDS}


_WORDS = {
    Status.CONVERGED: "converged",
    Status.BOUNDED: "stayed bounded",
    Status.ESCAPED: "escaped",
    Status.NOT_FINITE: "not finite",
}


def find_palette(palette: str | Palette) -> Palette:
    """Return a palette by its name; a palette is returned as it is.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if isinstance(palette, Palette):
        return palette
    if palette not in PALETTES:
        raise unknown_name("palette", palette, PALETTES)
    return PALETTES[palette]


def _two_sided(name: str, outer_first: Sequence[str], inner_first: Sequence[str]) -> Colormap:
    """Return a colour map of two ramps, with nothing but a passage between -GAP and GAP."""
    side = (1 - GAP) / 2
    nodes = [(side * i / (len(outer_first) - 1), c) for i, c in enumerate(outer_first)]
    nodes += [(1 - side + side * i / (len(inner_first) - 1), c) for i, c in enumerate(inner_first)]
    # The last place would miss 1 by the rounding of a sum.
    nodes[-1] = (1.0, inner_first[-1])
    return LinearSegmentedColormap.from_list(name, nodes)


def _spectral(place: float) -> str:
    colour: Any = _SPECTRAL(place)
    return to_hex(colour)


PALETTES: Mapping[str, Palette] = {
    PUBLISHED: Palette(
        name=PUBLISHED,
        label="published colours",
        signed=_SPECTRAL,
        classes={
            Status.CONVERGED: _spectral(0.9),
            Status.BOUNDED: _spectral(0.42),
            Status.ESCAPED: _spectral(0.22),
            Status.NOT_FINITE: _spectral(0.03),
        },
        sequential="viridis",
        diverging="RdBu_r",
    ),
    SAFE: Palette(
        name=SAFE,
        label="safe for colour-blind readers",
        signed=_two_sided(
            "dynfrac_safe", ["#6b1d00", "#d95f02", "#fec44f"], ["#7fc4e6", "#2878b8", "#0a2a66"]
        ),
        classes={
            Status.CONVERGED: "#0b62a8",
            Status.BOUNDED: "#fee8a0",
            Status.ESCAPED: "#e8821e",
            Status.NOT_FINITE: "#4d1200",
        },
        # Blues and greens, as the flat colours of runs without a number are warm: viridis ends in
        # a yellow that some readers cannot tell from orange.
        sequential="YlGnBu_r",
        diverging="RdBu_r",
    ),
}
"""By name; the first is the default everywhere."""


def palette_table() -> dict[str, dict[str, Any]]:
    """Return all palettes in plain words and numbers, for pictures that are drawn elsewhere.

    Returns
    -------
    dict of str to dict
        By name: `label`; `signed`, `sequential` and `diverging` as 256 colours of six hexadecimal
        digits in a row, from the low end; `classes` from the words of an outcome to ``"#rrggbb"``.
    """
    return {
        palette.name: {
            "label": palette.label,
            "signed": _digits(palette.signed),
            "sequential": _digits(matplotlib.colormaps[palette.sequential]),
            "diverging": _digits(matplotlib.colormaps[palette.diverging]),
            "classes": {status.words: colour for status, colour in palette.classes.items()},
        }
        for palette in PALETTES.values()
    }


def _digits(colours: Colormap) -> str:
    return "".join(to_hex(colours(i / 255))[1:] for i in range(256))
