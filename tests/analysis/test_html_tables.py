"""What notebooks show: whole and escaped HTML, with no colour of its own, and short plain text."""

import dataclasses
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dynfrac.analysis import sets
from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.diagrams import orbit_diagram
from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.html_tables import (
    MOST_ROWS,
    html_block,
    html_columns,
    html_entries,
    write_interval,
    write_value,
)
from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.orbits.axes import Axis
from dynfrac.systems.interval_maps import Logistic

ESTIMATE = box_dimension(sets.disc(128))
MISSING = Estimate.missing("box counting", 64, ("one <label> & no other",))
SPECTRUM = lyapunov_spectrum(Logistic(), {"r": 3.9}, n_steps=300)


def text_of(record):
    """Return the words of a record's HTML, which must be well-formed and without colours."""
    block = record._repr_html_()
    assert not re.search(r"colou?r|src=|href=|<script|background", block)
    return " ".join(" ".join(ElementTree.fromstring(block).itertext()).split())


def test_an_estimate_shows_its_value_and_what_it_rests_on():
    words = text_of(ESTIMATE)
    assert write_value(ESTIMATE.value, ESTIMATE.stderr) in words
    assert write_interval(ESTIMATE.ci_low, ESTIMATE.ci_high) in words
    low, high = ESTIMATE.window
    assert f"{low:.3g} to {high:.3g}" in words and ESTIMATE.method in words


def test_text_is_escaped_and_no_value_is_said():
    words = text_of(MISSING)
    assert "no value" in words and "one <label> & no other" in words
    assert "interval" not in words and "nan" not in words
    assert "&lt;label&gt; &amp; no other" in MISSING._repr_html_()
    for block in (html_entries({"<b>": "<i>"}), html_columns(["<b>"], [["<i>"]])):
        assert "<b>" not in block and "<i>" not in block
    assert "<b>" not in html_block("<b>", "<b>", flags=["<b>"])


def test_a_spectrum_shows_exponents_and_verdict():
    words = text_of(SPECTRUM)
    assert write_value(SPECTRUM.exponents[0], SPECTRUM.stderr[0]) in words
    assert "Logistic: 1 of 1 exponents" in words and SPECTRUM.verdict in words
    gone = lyapunov_spectrum(Logistic(), {"r": 5.0}, n_steps=50)
    assert "no value" in text_of(gone) and "not finite" in text_of(gone)


def test_long_tables_are_cut_and_say_so():
    rows = [(i,) for i in range(MOST_ROWS + 5)]
    assert "and 5 more" in html_columns(["n"], rows)
    assert "more" not in html_columns(["n"], rows[:MOST_ROWS])


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (1.53551, 0.1304, "1.54 ± 0.13"),
        (-0.000123456, 3.2e-6, "-0.0001235 ± 0.0000032"),
        (1234.5, 120.0, "1234 ± 120"),
        (0.25, 0.0, "0.25"),
        (math.nan, 0.1, "no value"),
        (-math.inf, math.nan, "-inf"),
    ],
)
def test_numbers_have_the_digits_of_their_errors(value, stderr, text):
    assert write_value(value, stderr) == text


def test_intervals_without_ends_are_left_out():
    assert write_interval(math.nan, 1.0) == "" and write_interval(2.0, 2.0) == "2 to 2"


def test_plain_text_holds_no_arrays():
    diagram = orbit_diagram(Logistic(), Axis("r", 2.9, 3.5, 4), n_steps=200)
    for record in (ESTIMATE, MISSING, SPECTRUM, diagram):
        text = repr(record)
        assert text.startswith(type(record).__name__ + "(") and len(text) < 700, text
    assert "value=" in repr(ESTIMATE) and "curve" not in repr(ESTIMATE)
    assert "exponents=" in repr(SPECTRUM)
    assert isinstance(dataclasses.replace(ESTIMATE).curve.y, np.ndarray)  # hidden and still there
