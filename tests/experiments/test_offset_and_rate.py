"""The KY-HDC setting: the published count is porespy's, and what the page states comes out."""

import json
import math
import tomllib

import numpy as np
import pytest

import dynfrac
from dynfrac import Axis
from dynfrac.analysis.nulls import smooth_labels
from tests.experiments.scripts import EXPERIMENTS, load

FOLDER = EXPERIMENTS / "offset_and_rate"
SCRIPT = load("offset_and_rate")
CONFIG = tomllib.loads((FOLDER / "config.toml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("name", "side", "read"),
    # Slopes of the counts of porespy 3.2.0, box by box, on the same cells.
    [
        ("circle", 64, 1.388),
        ("circle", 129, 1.245),
        ("circle", 256, 1.195),
        ("line", 64, 1.021),
        ("line", 256, 0.911),
        ("line", 257, 1.014),
        ("noise", 64, 1.844),
        ("noise", 128, 1.651),
    ],
)
def test_the_published_way_reads_what_porespy_counts(name, side, read):
    noise = np.random.default_rng(0).random((side, side)) < 0.5
    labels = (smooth_labels((side, side)) | {"noise": noise})[name]
    assert SCRIPT.published_dimension(labels) == pytest.approx(read, abs=5e-4)


@pytest.mark.parametrize("corner", [(0, 0), (2, 1), (1, 2), (2, 2)])
def test_the_quarter_with_the_most_boundary_is_found(corner):
    # A disc in the middle of one of the nine parts, on axes of four decades.
    row, column = corner
    y, x = np.mgrid[:33, :33] / 32
    labels = np.hypot(x - (column + 1) / 4, y - (row + 1) / 4) < 0.2
    axes = Axis("weight_offset", 1e-4, 1.0), Axis("lr", 1e-2, 1e2)
    found = SCRIPT.richest_quarter(axes, labels)
    assert [axis.name for axis in found] == ["weight_offset", "lr"]
    np.testing.assert_allclose(
        [found[0].low, found[1].low], [10.0 ** (column - 4), 10.0 ** (row - 2)]
    )
    np.testing.assert_allclose([axis.high / axis.low for axis in found], 100)


def test_pictures_are_compared_at_the_points_they_share():
    # 65 and 49 points a side share 17, of which a line at 0.4 of the side leaves 10 below it.
    first, second = (np.mgrid[:n, :n][0] / (n - 1) > 0.4 for n in (65, 49))
    assert SCRIPT.compare_labels(first, second) == {"points": 289, "same": 289}
    assert SCRIPT.compare_labels(first, second.T)["same"] == 7 * 7 + 10 * 10


def test_labels_read_off_what_was_recorded_are_those_of_the_rules(tmp_path):
    made = SCRIPT.prepare("kyhdc-shallow300", {"epochs": 4}, n_data=100)
    rules = f"threshold:{math.log(10)!r}", "accuracy:0.3@train_accuracy"
    swept, by_loss, by_accuracy = (
        SCRIPT.run_grid(made, made[0].axes, 4, tmp_path / f"{i}.zarr", rule=rule)
        for i, rule in enumerate(("curve-mean", *rules))
    )
    below = swept.final_loss <= math.log(10)
    learnt = swept.field("train_accuracy") > 0.3
    assert below.any() and learnt.any() and not below.all() and not learnt.all()
    np.testing.assert_array_equal(by_loss.labels, below)
    np.testing.assert_array_equal(by_accuracy.labels, learnt)


def test_a_value_that_is_out_is_told(capsys):
    row = {"where": ["overview", "converged"], "value": 70, "tolerance": 2}
    assert SCRIPT.check({"stated": [row]}, {"overview": {"converged": 72}})
    assert not SCRIPT.check({"stated": [row]}, {"overview": {"converged": 73}})
    assert "OUT" in capsys.readouterr().out


def test_the_page_says_what_is_checked():
    page = " ".join((FOLDER / "README.md").read_text("utf-8").split())
    for row in CONFIG["stated"]:
        assert row["text"] in page
        assert f"{row['value']}" in row["text"] or row["value"] == 1


@pytest.mark.slow
def test_the_small_version_finds_what_the_page_states(tmp_path):
    assert SCRIPT.main(["--small", "--out", str(tmp_path)])
    kept = tmp_path / "results.json"
    results = json.loads(kept.read_text())
    assert results["overview"]["runs"] == 81 and results["resnet"]["converged"] == 4
    # The figure has pairs as well, here those of a disc.
    axes = Axis("weight_offset", 1e-4, 1e-2), Axis("lr", 1.0, 100.0)
    pairs = dynfrac.boundary_dimension(
        lambda points: np.hypot(*np.log10(points / [1e-3, 10.0]).T) < 0.5, axes, budget=1000
    )
    kept.write_text(json.dumps(results | {"pairs": pairs.to_dict()}))
    load("offset_and_rate", "figure").main(["--out", str(tmp_path)])
    assert (tmp_path / "offset_and_rate.png").stat().st_size > 10_000
