"""The double well's experiment in its small version: every known value comes out."""

import json
import tomllib

import pytest

from tests.experiments.scripts import EXPERIMENTS, load

FOLDER = EXPERIMENTS / "cubic_descent"


@pytest.mark.slow
def test_all_known_values_come_out(tmp_path):
    assert load("cubic_descent").main(["--small", "--out", str(tmp_path)])
    rows = json.loads((tmp_path / "cubic_descent.json").read_text())
    assert len(rows) == 27 and all(row["passed"] for row in rows)
    assert (tmp_path / "cubic_descent.png").stat().st_size > 10_000


def test_a_wrong_value_is_out():
    script = load("cubic_descent")
    config = tomllib.loads((FOLDER / "config.toml").read_text()) | script.SMALL
    config["exponents"] = [{**config["exponents"][0], "known": -0.2}]
    [row] = script.exponents(config)
    assert not row["passed"]
