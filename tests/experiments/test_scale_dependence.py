"""D(scale) of the small network from a third of the runs: the climb that the page shows."""

import json
import math
import re

import pytest

from tests.experiments.scripts import EXPERIMENTS, load

PAGE = (EXPERIMENTS / "scale_dependence" / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_the_dimension_climbs_as_on_the_page(tmp_path, monkeypatch):
    net = "width 8, 100 steps"
    words = ["--nets", net, "--res", "256", "--budget", "60000", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["run.py", *words])
    load("scale_dependence").main()
    record = json.loads((tmp_path / "result.json").read_text())[net]
    assert record["within_two_errors"] > 0.5 and record["octaves"] >= 6
    part = PAGE[PAGE.index("## Width 8") : PAGE.index("## Width 16")]
    rows = re.findall(r"\| 2\^(-[0-9.]+) \| ([0-9.]+) \+- ([0-9.]+) \|", part)
    stated = {float(scale): (float(value), float(error)) for scale, value, error in rows}
    met = 0
    for row in record["shared"]:
        for scale, (value, error) in stated.items():
            if abs(math.log2(row["scale"]) - scale) < 0.3:
                met += 1
                apart = abs(row["pairs"] - value)
                assert apart < 2.5 * math.hypot(error, row["pairs_stderr"]), scale
    assert met >= 2
    # The page's fit of all scales is 1.88; fewer runs reach fewer of the fine scales.
    assert 1.5 < record["estimate"]["value"] < 1.95
    assert (tmp_path / "scale_dependence.png").stat().st_size > 10_000
