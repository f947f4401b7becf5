"""The rippled parabolas in their small version: the published counts, and smooth while convex."""

import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "experiments" / "rippled_bowls"


def load():
    """Return the script as a module, although it is in no package."""
    specification = importlib.util.spec_from_file_location("rippled_bowls", FOLDER / "run.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_published_counts_come_out(tmp_path):
    assert load().main(["--small", "--out", str(tmp_path)])
    results = json.loads((tmp_path / "rippled_bowls.json").read_text())
    assert [row["counted"] for row in results["counts"]["rows"][:3]] == [3, 5, 7]
    rough = [row["changes"] for row in results["convexity"] if row["ratio"] > 1.5]
    assert min(rough) > 100
    assert (tmp_path / "rippled_bowls.png").stat().st_size > 10_000


def test_the_map_descends_its_loss():
    map_ = load().AdditiveRipple()
    hparams = {**map_.defaults, "lr": 0.3}
    for x in np.linspace(-2, 2, 9):
        slope = jax.grad(map_.observe)(x, hparams)
        assert np.isclose(map_.step(x, hparams, 0), x - 0.3 * slope, rtol=1e-12)
