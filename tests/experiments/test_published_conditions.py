"""The published conditions in their small version, and the published way of reading pictures."""

import math
import re
import tomllib

import numpy as np
import pytest

from tests.experiments.scripts import EXPERIMENTS, load

FOLDER = EXPERIMENTS / "published_conditions"
PAGE = (FOLDER / "README.md").read_text("utf-8")


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
    assert np.median(slopes(noise)) == pytest.approx(2, abs=0.1)  # boxes are cut off at the edge


def test_the_six_conditions_have_their_published_dimensions():
    config = tomllib.loads((FOLDER / "config.toml").read_text("utf-8"))
    table = (EXPERIMENTS.parent / "docs" / "conditions.md").read_text("utf-8")
    rows = re.findall(r"^\| `(published-\w+)` \|.*\| ([0-9.]+) \|$", table, re.M)
    assert config["conditions"] == {name: float(value) for name, value in rows}
    assert len(rows) == 6


def test_boxes_that_are_filled_do_not_count():
    # Every cell is crossed but for a stripe, which lies in one column of boxes.
    labels = np.indices((101, 101)).sum(axis=0) % 2
    labels[:, 50:56] = 0
    slopes = load("published_conditions").published_slopes(labels)
    # 10 boxes of 10 px and 9 of 12; with those that are filled 100 and 81.
    assert slopes[0] == pytest.approx(math.log(10 / 9) / math.log(12 / 10))
