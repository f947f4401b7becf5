"""The rippled parabolas in their small version: the published counts, and smooth while convex."""

import json

import jax
import numpy as np
import pytest

from tests.experiments.scripts import load


@pytest.mark.slow
def test_the_published_counts_come_out(tmp_path):
    assert load("rippled_bowls").main(["--small", "--out", str(tmp_path)])
    results = json.loads((tmp_path / "rippled_bowls.json").read_text())
    assert [row["counted"] for row in results["counts"]["rows"][:3]] == [3, 5, 7]
    rough = [row["changes"] for row in results["convexity"] if row["ratio"] > 1.5]
    assert min(rough) > 100
    assert (tmp_path / "rippled_bowls.png").stat().st_size > 10_000


def test_the_map_descends_its_loss():
    map_ = load("rippled_bowls").AdditiveRipple()
    hparams = {**map_.defaults, "lr": 0.3}
    for x in np.linspace(-2, 2, 9):
        slope = jax.grad(map_.observe)(x, hparams)
        assert np.isclose(map_.step(x, hparams, 0), x - 0.3 * slope, rtol=1e-12)
