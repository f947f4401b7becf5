"""One window of the test of stretch-tail, measured again, and the page against its record."""

import json
import math
import re
import tomllib

import pytest

from dynfrac import Axis, make_architecture
from tests.experiments.scripts import EXPERIMENTS, load

FOLDER = EXPERIMENTS / "stretch_tail"
ROWS = [json.loads(line) for line in (FOLDER / "results.jsonl").read_text().splitlines()]
PAGE = (FOLDER / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_a_window_reads_as_it_did():
    script = load("stretch_tail")
    config = tomllib.loads((FOLDER / "config.toml").read_text())
    (net,) = (net for net in config["nets"] if net["name"] == "tanh-4")
    (row,) = (row for row in ROWS if row["net"] == "tanh-4" and row["span"] == 0.015625)
    map_ = make_architecture("mlp", width=net["width"], seed=net["seed"])
    whole = [Axis(name, 0.1, 1000.0) for name in config["window"]["names"]]
    place = script.first_boundary_point(map_, whole, net["n_steps"])
    assert place == pytest.approx(row["place"], abs=1e-9)
    found = script.measure(map_, script.zoomed(whole, place, row["span"]), net, config)
    # The fit of pairs was mended since, and rounding moves labels: they agree in their errors.
    for key in ("tail", "pairs"):
        error = math.hypot(found[key]["stderr"], row[key]["stderr"])
        assert abs(found[key]["value"] - row[key]["value"]) < 2 * error, key


def test_the_page_has_the_values_of_the_record():
    for row in ROWS:
        decades = "4" if row["span"] == 4 else f"2^{math.log2(row['span']):.0f}"
        line = PAGE[PAGE.index(f"| {row['net']} | {decades} |") :].splitlines()[0]
        for key, cell in zip(("tail", "pairs"), line.split(" | ")[2:4], strict=True):
            value = row[key]["value"]
            stated = re.match(r"[0-9.]+", cell)
            assert (stated is None) == (value is None), line
            assert value is None or float(stated[0]) == pytest.approx(value, abs=6e-4), line
