"""The double well's experiment in its small version: every known value comes out."""

import importlib.util
import json
import tomllib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "experiments" / "cubic_descent"


def load():
    """Return the script as a module, although it is in no package."""
    specification = importlib.util.spec_from_file_location("cubic_descent", FOLDER / "run.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_all_known_values_come_out(tmp_path):
    assert load().main(["--small", "--out", str(tmp_path)])
    rows = json.loads((tmp_path / "cubic_descent.json").read_text())
    assert len(rows) == 27 and all(row["passed"] for row in rows)
    assert (tmp_path / "cubic_descent.png").stat().st_size > 10_000


def test_a_wrong_value_is_out():
    script = load()
    config = tomllib.loads((FOLDER / "config.toml").read_text()) | script.SMALL
    config["exponents"] = [{**config["exponents"][0], "known": -0.2}]
    [row] = script.exponents(config)
    assert not row["passed"]
