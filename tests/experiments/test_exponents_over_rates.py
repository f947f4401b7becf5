"""Exponents over learning rates in the small version: what is stated comes out, and is written."""

import json
import math
import tomllib

import numpy as np
import pytest

from tests.experiments.scripts import EXPERIMENTS, load

FOLDER = EXPERIMENTS / "exponents_over_rates"


@pytest.mark.slow
def test_what_is_stated_comes_out(tmp_path):
    script = load("exponents_over_rates")
    assert script.main(["--small", "--out", str(tmp_path)])
    results = json.loads((tmp_path / "exponents_over_rates.json").read_text())
    assert set(results) == set(script.SMALL)
    lowest, low, _, chaotic = results["tanh, digits"]["flow"]
    assert abs(low / lowest - 1) < 0.05 and chaotic > 10 * lowest
    draw = load("exponents_over_rates", "figure").draw
    draw(results, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_the_phases_of_the_double_well():
    script = load("exponents_over_rates")
    net = {"map": "gd-cubic", "rates": [0.2, 2.5, 45], "steps": 100}
    found = script.read_off(script.measure({**net, "transient": 500, "averaged": 500}, 0))
    spacing = math.log(2.5 / 0.2) / 44
    for quantity, known in (("edge", 1.0), ("first chaos", 1.3023), ("escapes", 2.0)):
        assert abs(math.log(found[quantity] / known)) < spacing
    assert found["first chaos"] <= found["chaos"] < found["escapes"]


def test_numbers_are_read_off_as_said():
    script = load("exponents_over_rates")
    rates, nothing = np.array([1.0, 4.0, 9.0, 25.0, 100.0]), np.zeros(5, bool)
    chaotic, bounded = np.array([0, 1, 0, 1, 0], bool), np.array([1, 1, 1, 1, 0], bool)
    assert script.crossing(rates, chaotic) == 2
    assert script.crossing(rates, script.staying(chaotic, bounded)) == 15
    assert not np.any(script.staying(chaotic, np.ones(5, bool)))
    assert math.isnan(script.crossing(rates, nothing))
    steps = script.steps_until(np.array([[0, 0, 1], [0, 1, 0], [0, 0, 0]], bool))
    assert list(steps) == [2, 1, math.inf]
    assert script.fastest(rates, np.array([5.0, 3, 4, 3, math.inf])) == 10
    assert math.isnan(script.fastest(rates, np.full(5, math.inf)))
    assert script.agrees(1.5, 1.0, 0.2) and not script.agrees(1.7, 1.0, 0.2)
    assert script.agrees(math.nan, math.nan, 0.2) and not script.agrees(math.nan, 1.0, 0.2)


def test_the_readme_says_what_is_checked():
    config = tomllib.loads((FOLDER / "config.toml").read_text())
    rows = (FOLDER / "README.md").read_text().splitlines()
    for name, net in config["nets"].items():
        row = next(row for row in rows if row.startswith(f"| {name} |"))
        written = {cell.split(" ")[0] for cell in row.strip("| ").split(" | ")[1:]}
        for value in net["stated"].values():
            assert ("none" if math.isnan(value) else f"{value:g}") in written
