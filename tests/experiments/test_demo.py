"""The demonstration makes what its page says; it is its own small version."""

import json
import re

import numpy as np
import pytest

from dynfrac import open_sweep
from tests.experiments.scripts import EXPERIMENTS, load

PAGE = (EXPERIMENTS / "demo" / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_the_demonstration_gives_the_numbers_of_its_page(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["run.py", "--out", str(tmp_path)])
    load("demo").main()
    counts = open_sweep(tmp_path / "boundary.zarr").counts
    (converged,) = re.findall(r"\| runs that converged \| ([0-9,]+) of", PAGE)
    # Labels at the boundary hang on the processor.
    assert counts["converged"] == pytest.approx(int(converged.replace(",", "")), rel=2e-3)
    dimension = json.loads((tmp_path / "dimension.json").read_text())
    value, low, high = re.findall(r"px \| ([0-9.]+), 95 % interval ([0-9.]+) to ([0-9.]+);", PAGE)[
        0
    ]
    assert float(low) < dimension["value"] < float(high)
    assert dimension["value"] == pytest.approx(float(value), abs=0.03)
    henon = json.loads((tmp_path / "henon.json").read_text())["exponents"]
    np.testing.assert_allclose(henon, [0.4192, -1.6232], atol=3e-3)
    for name in ("boundary.png", "dimension.png", "lyapunov.png", "README.md"):
        assert (tmp_path / name).stat().st_size > 1000, name
