"""The worked examples run, on fewer points than in the docs, and say what the docs say."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynfrac import box_dimension, open_sweep

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
PAGE = (ROOT / "docs" / "worked_examples.md").read_text("utf-8")
MODELS = (
    "momentum/moons.py",
    "warmup/digits.py",
    "edge_of_stability/net.py",
    "period_doubling/net.py",
)


def run(folder, *words):
    """Run Python as a reader would, outside the repository, and return what it prints."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), "."]),
        "MPLBACKEND": "agg",
    }
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(text, columns):
    """Return the rows of numbers in a printed table, those columns only."""
    rows = [re.findall(r"[-+]?[0-9]+\.?[0-9]*", line) for line in text.splitlines()]
    return np.array([[float(row[i]) for i in columns] for row in rows if len(row) > max(columns)])


def test_networks_and_scripts_are_as_short_as_the_page_says():
    for name in MODELS:
        assert len((EXAMPLES / name).read_text("utf-8").splitlines()) <= 15
    for script in EXAMPLES.glob("*/*.py"):
        assert len(script.read_text("utf-8").splitlines()) <= 60, script
        assert f"{script.parent.name}/{script.name}" in PAGE or script.name in PAGE


def test_the_tour_is_rendered_with_all_that_it_shows(tmp_path, monkeypatch):
    pytest.importorskip("xarray")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "extensions"))
    cell_pages = importlib.import_module("cell_pages")
    script = (EXAMPLES / "notebook_tour.py").read_text("utf-8")
    page = cell_pages.render(script, tmp_path, "tour")
    assert page.count("```python") == script.count("# %%\n")
    assert page.count("```{raw} html") == 4 and "<xarray.Dataset>" in page
    pictures = re.findall(r"!\[\]\(generated/(.*?)\)", page)
    assert sorted(pictures) == sorted(path.name for path in tmp_path.iterdir())
    for name in pictures:
        with Image.open(tmp_path / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 10, name
    # Both dimensions are within three standard errors of the known one.
    estimates = re.findall(r"([0-9.]+) ± ([0-9.]+)</td>", page)[:2]
    for value, error in estimates:
        assert abs(float(value) - 1.3934) < 3 * float(error)
    assert "chaotic" in page


@pytest.mark.slow
def test_momentum_moves_the_border_to_smaller_learning_rates(tmp_path):
    for file in (EXAMPLES / "momentum").glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text("utf-8"))
    run(tmp_path, "make_data.py")
    (command,) = re.findall(r"^\$ dynfrac (sweep --arch moons:Net.*?) --out", PAGE, re.M | re.S)
    words = [*command.replace("\\\n", " ").split(), "--res", "40", "--out", "moons.zarr", "--quiet"]
    run(tmp_path, "-m", "dynfrac", *words)
    result = open_sweep(tmp_path / "moons.zarr")
    momentum = result.points[1]
    # 1600 of the page's 16384 points: a share of .6 has a standard error of .012, less than that in
    # truth, because converged points lie together. Rounding moves single points.
    (share,) = re.findall(r"([0-9.]+) % of them converge", PAGE)
    assert abs(result.labels.mean() - float(share) / 100) < 0.04
    low, high = result.labels[momentum < 0.2].mean(), result.labels[momentum >= 0.9].mean()
    for stated, found in (("below 0.2", low), ("above 0.9", high)):
        (percent,) = re.findall(rf"\| {stated} .*?([0-9]+) % \|", PAGE)
        assert abs(found - int(percent) / 100) < 0.07, stated
    # Above what a smooth curve reads; the page's interval, of a larger picture, is 1.25 to 1.68.
    assert 1.15 < box_dimension(result.labels).value < 1.7


@pytest.mark.slow
def test_warm_up_allows_a_larger_learning_rate(tmp_path):
    script = EXAMPLES / "warmup" / "run.py"
    out = run(tmp_path, script, "--rates", 9, "--seeds", 2, "--out", tmp_path)
    plain, warm = (table(half, (0, 1)) for half in out.split("adam+warmup:"))
    rates = plain[:, 0]
    assert len(rates) == 9 and np.all(warm[:, 0] == rates)
    # Every second learning rate of the page's table; its seeds 0 and 1.
    np.testing.assert_array_equal(plain[rates < 0.2, 1], 2)
    np.testing.assert_array_equal(plain[rates > 0.5, 1], 0)
    np.testing.assert_array_equal(warm[rates < 0.6, 1], 2)
    np.testing.assert_array_equal(warm[rates > 1.5, 1], 0)


@pytest.mark.slow
def test_the_leading_exponent_is_zero_at_the_edge_of_stability(tmp_path):
    script = EXAMPLES / "edge_of_stability" / "run.py"
    out = run(tmp_path, script, "--rates", 21)
    assert (tmp_path / "edge.png").stat().st_size > 10_000
    rates, first, error, ratio = table(out, (0, 1, 2, 4)).T
    assert len(rates) == 21
    below, edge, above = rates < 0.45, (rates > 0.6) & (rates < 1.05), rates > 1.9
    # The stated numbers are printed to three digits; below the edge nothing is chaotic.
    stated = dict(table(PAGE.split("verdict")[-1].split("```")[0], (0, 4)))
    assert abs(ratio[0] - stated[0.1]) < 0.001
    assert np.all(np.diff(ratio[below]) > 0) and ratio[below].max() < 0.95
    assert np.all(np.abs(first[below]) < 1e-3)
    assert edge.sum() >= 2 and np.all(np.abs(ratio[edge] - 1) < 0.04)
    assert np.all(np.abs(first[edge]) < 2 * error[edge] + 1e-3)
    assert np.all(first[above] > 2 * error[above])
    assert first[-1] > 0.2


@pytest.mark.slow
def test_periods_double_where_the_sharpness_says(tmp_path):
    script = EXAMPLES / "period_doubling" / "run.py"
    out = run(tmp_path, script, "--values", 100, "--steps", 500, "--out", tmp_path)
    for width in (1, 16):
        assert (tmp_path / f"doubling_{width}.png").stat().st_size > 20_000
    stated = PAGE[PAGE.index("width 1\n") :].split("```")[0]
    form = r"(period [0-9]+|chaos) +([0-9.]+) to ([0-9.]+)"
    for part, page in zip(out.split("width")[1:], stated.split("width")[1:], strict=True):
        found, known = (re.findall(form, text) for text in (part, page))
        assert [name for name, *_ in found] == [name for name, *_ in known]
        # Values are 0.05 apart here and 0.01 on the page; near an onset orbits settle slowly.
        for (name, low, high), (_, first, last) in zip(found, known, strict=True):
            assert float(low) < float(last) + 0.06 and float(first) < float(high) + 0.06, name
        (ratio,) = map(float, re.findall(r"sharpness x lr / 2 = ([0-9.]+)", part))
        # The last value that settled is at most 0.05 below the threshold, at a rate above 0.5.
        assert 0.9 < ratio < 1.001
