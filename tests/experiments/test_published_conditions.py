"""The published conditions in their small version, and the published way of reading pictures."""

import math
import re

import numpy as np
import pytest

from dynfrac.systems.published import published_map
from tests.experiments.scripts import EXPERIMENTS, load

PAGE = (EXPERIMENTS / "published_conditions" / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_two_conditions_along_a_zoom(tmp_path):
    results = load("published_conditions").main(["--small", "--out", str(tmp_path)])
    assert list(results) == ["published-identity", "published-tanh"]
    for record in results.values():
        widths = [row["decades"] for row in record["frames"]]
        assert widths == pytest.approx([9 / 5**i for i in range(3)], rel=0.05)
        shares = [row["boundary"] for row in record["frames"]]
        assert np.all(np.diff(shares) > 0)
    # The page's table: the whole window, by either method, within two combined errors.
    for name, record in results.items():
        row = PAGE[PAGE.index(f"| {name.removeprefix('published-')} |") :].splitlines()[0]
        stated = re.findall(r"([0-9.]+) \[([0-9.]+), ([0-9.]+)\]", row)
        for key, (value, low, high) in zip(("box", "pairs"), stated[:2], strict=True):
            found = record["frames"][0][key]
            error = math.hypot((float(high) - float(low)) / 4, found["stderr"])
            assert abs(found["value"] - float(value)) < 2 * error + 0.01, (name, key)
    # The window reads like a curve, and the zoom of the tanh network does not, without a grid as
    # well.
    smooth, rough = (results["published-tanh"]["frames"][i] for i in (0, -1))
    assert smooth["box"]["value"] < 1.1 < 1.3 < rough["box"]["value"]
    assert rough["pairs"]["value"] > 1.7
    assert (tmp_path / "published_conditions.png").stat().st_size > 50_000


def test_the_published_reading_is_one_and_two_on_a_line_and_on_noise():
    slopes = load("published_conditions").published_slopes
    y, x = np.mgrid[:512, :512]
    assert np.median(slopes(y > 0.4 * x + 100)) == pytest.approx(1, abs=0.1)
    noise = np.random.default_rng(0).integers(0, 2, (512, 512))
    assert np.median(slopes(noise)) == pytest.approx(2, abs=0.05)


def test_all_six_conditions_are_asked_for():
    script = load("published_conditions")
    config = script.tomllib.loads(
        (script.Path(script.__file__).with_name("config.toml")).read_text("utf-8")
    )
    assert len(config["conditions"]) == 6
    for name in config["conditions"]:
        map_ = script.make_preset(name).map_
        assert type(map_) is type(published_map())
