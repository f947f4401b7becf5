"""Ticks that can be read at any zoom, and names of the axes in words.

A wide logarithmic axis shows decades. A window inside one decade has none to show, and in a deep
zoom neighbouring ticks differ in their tenth digit only: there the label of the axis says which
number is added to the ticks, and in which unit they are.
"""

from __future__ import annotations

import math
import textwrap
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.axis_names import NAMES
from dynfrac.plots.tick_room import LabelFormatter, RoomyLocator

_MOST = 7
"""Labelled ticks on one axis, at most."""

_DIGITS = 5
"""Labels with more significant digits than this are written as differences from one number."""

_CHARACTERS = 6
"""Labels that would be longer are written as multiples of a power of ten."""


_LETTER = 5.3
"""Points that a letter of a label is wide, in the mean."""

_FEWEST = 12
"""Letters of a line, at least: names have words as long as this."""


class Ticks(NamedTuple):
    """Where ticks are and what they say.

    Attributes
    ----------
    major : tuple of float
        Values of the hyperparameter.
    labels : tuple of str
    minor : tuple of float
    offset : str
        What is added to every label, and the unit of the labels; often nothing.
    """

    major: tuple[float, ...]
    labels: tuple[str, ...]
    minor: tuple[float, ...] = ()
    offset: str = ""


def choose_ticks(axis: Axis) -> Ticks:
    r"""Choose ticks for an axis.

    Parameters
    ----------
    axis : Axis

    Returns
    -------
    Ticks
        At least two of them labelled, at most about ten, and all inside the axis.

    Examples
    --------
    >>> choose_ticks(Axis("lr", 1e-1, 1e1)).labels
    ('$10^{-1}$', '$10^{0}$', '$10^{1}$')
    >>> choose_ticks(Axis("lr", 0.73128410, 0.73128419)).offset
    '$0.7312841 + … \\times 10^{-8}$'
    """
    if axis.scale == "log10":
        low, high = math.log10(axis.low), math.log10(axis.high)
        # End points written in decimal, such as 1e-3, may come out a rounding beyond their decade.
        first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
        if last - first >= 2:
            return _decades(axis, first, last)
        if high - low > 0.5:
            ticks = _one_two_five(axis, math.floor(low), math.ceil(high))
            if len(ticks.major) > 1:  # 50 stands alone between 21 and 99
                return ticks
    return _round_numbers(axis)


def label_axis(ax: Axes, which: str, axis: Axis, room: float = math.inf) -> None:
    """Set scale, ticks and label of one axis of a picture.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    which : {"x", "y"}
    axis : Axis
    room : float
        Length of the axis in inches, if the label has to be broken to fit. Ticks see to their own
        room whenever they are drawn.
    """
    ticks = choose_ticks(axis)
    getattr(ax, f"set_{which}scale")("log" if axis.scale == "log10" else "linear")
    target = getattr(ax, f"{which}axis")
    labels = dict(zip(ticks.major, ticks.labels, strict=True))
    target.set_major_locator(RoomyLocator(labels, which))
    target.set_major_formatter(LabelFormatter(labels))
    # Where there is no room for a label its tick stays, as a small one.
    target.set_minor_locator(FixedLocator(sorted((*ticks.major, *ticks.minor))))
    target.set_minor_formatter(NullFormatter())
    words = NAMES.get(axis.name)
    name = f"{words} ({axis.name})" if words and words != axis.name else axis.name
    # Words would leave no room for the many digits of a deep zoom.
    target.set_label_text(f"{axis.name}  =  {ticks.offset}" if ticks.offset else broken(name, room))


def broken(text: str, room: float) -> str:
    r"""Break text of the usual size into lines that are not longer than `room` inches.

    Examples
    --------
    >>> broken("largest exponent (nats per step)", 1.5)
    'largest exponent\n(nats per step)'
    """
    if math.isinf(room):
        return text
    return "\n".join(textwrap.wrap(text, max(_FEWEST, int(72 * room / _LETTER))))


def _decades(axis: Axis, first: int, last: int) -> Ticks:
    """Label whole decades, or every second, third, ... if there are many."""
    stride = math.ceil((last - first + 1) / (_MOST + 3))
    labelled = [k for k in range(first, last + 1) if k % stride == 0]
    if stride > 1:
        minor = [10.0**k for k in range(first, last + 1) if k % stride]
    elif last - first <= 6:
        digits = [d * 10.0**k for k in range(first - 1, last + 1) for d in range(2, 10)]
        minor = [value for value in digits if axis.low <= value <= axis.high]
    else:
        minor = []
    major = tuple(10.0**k for k in labelled)
    return Ticks(major, tuple(f"$10^{{{k}}}$" for k in labelled), tuple(minor))


def _one_two_five(axis: Axis, first: int, last: int) -> Ticks:
    """Label 1, 2 and 5 times the powers of ten within about one decade."""
    values = [(d, k) for k in range(first, last + 1) for d in range(1, 10)]
    inside = [(d, k, d * 10.0**k) for d, k in values if axis.low <= d * 10.0**k <= axis.high]
    labelled = [(d, k, v) for d, k, v in inside if d in (1, 2, 5)]
    labels = tuple(_plain(Decimal(d).scaleb(k)) for d, k, _ in labelled)
    minor = tuple(v for d, _, v in inside if d not in (1, 2, 5))
    return Ticks(tuple(v for *_, v in labelled), labels, minor)


def _round_numbers(axis: Axis) -> Ticks:
    """Label multiples of 1, 2 or 5 times a power of ten, exactly, in decimal arithmetic."""
    with localcontext(Context(prec=60)):
        low, high = Decimal(axis.low), Decimal(axis.high)
        exponent, step = _step(high - low)
        if axis.is_whole and step < 1:
            exponent, step = 0, Decimal(1)
        start = (low / step).to_integral_value(ROUND_CEILING)
        stop = (high / step).to_integral_value(ROUND_FLOOR)
        major = [step * (start + i) for i in range(int(stop - start) + 1)]
        largest = max(abs(value) for value in major)
        digits = largest.adjusted() - exponent + 1 if largest else 1
        if digits > _DIGITS:
            # The tick with the fewest decimals.
            base = max(major, key=lambda value: value.normalize().as_tuple().exponent)
            unit = Decimal(1).scaleb(exponent)
            labels = tuple(_signed((value - base) / unit) for value in major)
            offset = f"${_scientific(base)} + … \\times 10^{{{exponent}}}$"
        elif max(len(_plain(value)) for value in major) > _CHARACTERS:
            power = largest.adjusted()
            labels = tuple(_plain(value.scaleb(-power)) for value in major)
            offset = f"$… \\times 10^{{{power}}}$"
        else:
            labels, offset = tuple(_plain(value) for value in major), ""
        return Ticks(tuple(float(value) for value in major), labels, (), offset)


def _step(span: Decimal) -> tuple[int, Decimal]:
    """Return the smallest step of 1, 2 or 5 times 10^exponent that keeps within `_MOST` ticks."""
    exponent = span.adjusted() - 1
    while True:
        for digit in (1, 2, 5):
            step = Decimal(digit).scaleb(exponent)
            if span / step <= _MOST - 1:
                return exponent, step
        exponent += 1


def _plain(value: Decimal) -> str:
    """Write a number without an exponent or trailing zeros, with a proper minus sign."""
    text = format(value.normalize() + 0, "f")
    return text.replace("-", "−")


def _scientific(value: Decimal) -> str:
    """Write a number for mathtext, with a power of ten if it is far from 1."""
    power = value.adjusted()
    if -4 <= power <= _DIGITS:
        return _plain(value)
    return f"{_plain(value.scaleb(-power))} \\times 10^{{{power}}}"


def _signed(value: Decimal) -> str:
    text = _plain(value)
    return text if text.startswith("−") or value == 0 else f"+{text}"
