"""`dynfrac corrdim`: what it reads, prints, writes and refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from dynfrac.analysis import point_sets
from dynfrac.analysis.correlations import correlation_dimension
from dynfrac.analysis.generalized import generalized_dimension
from dynfrac.analysis.point_clouds import delay_embedding
from dynfrac.analysis.takens import takens_dimension
from dynfrac.cli.main import main
from dynfrac.orbits.iteration import iterate
from dynfrac.systems.catalogue import make_map

CIRCLE = point_sets.circle(800, seed=0)


def record(capsys, *words):
    status = main(["corrdim", *map(str, words), "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.fixture
def circle(tmp_path):
    path = tmp_path / "circle.npy"
    np.save(path, CIRCLE)
    return path


def test_json_is_what_the_functions_return(capsys, circle):
    status, result = record(capsys, circle, "--unordered", "--q", "2,0")
    assert status == 0
    assert result["correlation"] == correlation_dimension(CIRCLE, theiler=0).to_dict()
    assert result["takens"] == takens_dimension(CIRCLE, theiler=0).to_dict()
    assert list(result["dimensions"]) == ["0", "2"]
    assert result["dimensions"]["2"] == generalized_dimension(CIRCLE, 2).to_dict()
    assert (result["n_points"], result["n_coordinates"], result["theiler"]) == (800, 2, 0)
    assert result["surrogates"] is None


def test_every_kind_of_file_is_the_same_points(capsys, circle, tmp_path):
    np.savez(tmp_path / "one.npz", points=CIRCLE)
    np.savez(tmp_path / "two.npz", points=CIRCLE, other=np.zeros(3))
    np.savetxt(tmp_path / "plain.txt", CIRCLE, fmt="%.18g")
    np.savetxt(tmp_path / "comment.dat", CIRCLE, fmt="%.18g", header="x y")
    np.savetxt(
        tmp_path / "heading.csv", CIRCLE, fmt="%.18g", delimiter=",", header="x,y", comments=""
    )
    common = ("--unordered", "--q", "none")
    expected = record(capsys, circle, *common)[1]["correlation"]
    for name in ("one.npz", "plain.txt", "comment.dat", "heading.csv"):
        status, result = record(capsys, tmp_path / name, *common)
        assert (status, result["correlation"]) == (0, expected), name
        assert result["dimensions"] == {}
    status, result = record(capsys, tmp_path / "two.npz", "--key", "points", *common)
    assert (status, result["correlation"]) == (0, expected)


def test_the_orbit_of_a_map(capsys):
    words = ("--map", "henon", "--set", "a=1.39", "--steps", 1500, "--transient", 50, "--q", "none")
    status, result = record(capsys, *words)
    orbit = iterate(make_map("henon"), {"a": 1.39}, n_steps=1550, keep_states=True)
    expected = correlation_dimension(orbit.states[50:])
    assert status == 0 and result["correlation"] == expected.to_dict()
    assert result["surrogates"]["phase-randomised"]["value"] > result["correlation"]["ci_high"]
    assert result["theiler"] == 1


def test_a_series_is_embedded(capsys, tmp_path):
    orbit = iterate(make_map("henon"), n_steps=1500, keep_states=True).states
    np.save(tmp_path / "x.npy", orbit[100:, 0])
    status, result = record(
        capsys, tmp_path / "x.npy", "--embed", 2, "--lag", 1, "--theiler", 3, "--q", "none"
    )
    expected = correlation_dimension(delay_embedding(orbit[100:, 0], 2), theiler=3)
    assert status == 0 and result["correlation"] == expected.to_dict()
    assert result["n_coordinates"] == 2


def test_a_training_run_is_flagged(capsys):
    words = ("--arch", "mlp", "--arg", "width=4", "--steps", 150, "--set", "lr=1", "--q", "none")
    status, result = record(capsys, *words)
    flags = result["correlation"]["flags"]
    assert any("return" in flag or "cannot show" in flag or "few" in flag for flag in flags)
    assert status == (0 if result["correlation"]["value"] is not None else 1)


def test_window_radius_and_resamples_reach_the_estimates(capsys, circle):
    _, result = record(
        capsys, circle, "--unordered", "--q", "none", "--window", 0.01, 0.1, "--radius", 0.2
    )
    low, high = result["correlation"]["window"]
    assert 0.01 <= low < 0.02 and 0.05 < high <= 0.1
    assert result["takens"]["window"][1] == 0.2
    _, other = record(capsys, circle, "--unordered", "--q", "none", "--seed", 3)
    assert other["takens"]["stderr"] != result["takens"]["stderr"]


def test_text_shows_every_reading_and_its_doubts(capsys, circle):
    assert main(["corrdim", str(circle), "--q", "0,1"]) == 0
    out = capsys.readouterr().out
    for words in ("D2, correlation sum", "D2, Takens", "D_0, boxes", "D_1, boxes", "95 % interval"):
        assert words in out
    assert "surrogate, phase-randomised" in out and "Theiler window 1" in out
    assert "800 points in 2 dimensions" in out


def test_out_and_plot_are_written(capsys, circle, tmp_path):
    out, plot = tmp_path / "record.json", tmp_path / "figure.png"
    status, result = record(capsys, circle, "--out", out, "--plot", plot)
    assert status == 0 and json.loads(out.read_text()) == result
    with Image.open(plot) as image:
        assert min(image.size) > 500


@pytest.mark.parametrize("points", [np.random.default_rng(0).random((12, 2)), np.zeros((0,))])
def test_no_value_is_status_one_or_a_sentence(capsys, tmp_path, points):
    np.save(tmp_path / "points.npy", points)
    plot = tmp_path / "figure.svg"
    status = main(["corrdim", str(tmp_path / "points.npy"), "--plot", str(plot)])
    out, err = capsys.readouterr()
    if len(points):
        assert status == 1 and "no value" in out and "there are 12 points" in out and plot.exists()
    else:
        assert status == 2 and "at least two rows" in err


BAD = {
    "missing": ("gone.npy", lambda path: None, "no such file"),
    "empty": ("empty.npy", lambda path: path.touch(), "is empty"),
    "suffix": ("points.xls", lambda path: path.write_text("1"), "convert it first"),
    "pickled": ("pickled.npy", lambda path: np.save(path, np.array([{}, 1])), "pickled"),
    "text as npy": ("text.npy", lambda path: path.write_text("hello"), "is not a .npy file"),
    "text as npz": ("text.npz", lambda path: path.write_text("hello"), "is not a .npz file"),
    "words": ("words.csv", lambda path: path.write_text("x,y\n1,2\na,b\n"), "table of numbers"),
    "ragged": ("ragged.txt", lambda path: path.write_text("1 2\n3\n"), "table of numbers"),
    "only a heading": ("head.csv", lambda path: path.write_text("x,y\n"), "no row of numbers"),
    "bytes": ("bytes.txt", lambda path: path.write_bytes(b"\xff\xfe\xfa"), "is not text"),
    "not finite": ("nan.npy", lambda path: np.save(path, [[0.0], [np.nan]]), "not finite"),
    "several": ("two.npz", lambda path: np.savez(path, a=CIRCLE, b=CIRCLE), "choose one with"),
    "volume": ("volume.npy", lambda path: np.save(path, np.zeros((3, 3, 3))), "one row"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_file_is_one_sentence_and_status_two(capsys, tmp_path, case):
    name, write, message = BAD[case]
    write(tmp_path / name)
    assert main(["corrdim", str(tmp_path / name), "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and err.startswith("error: ")
    assert name in err and message in err.lower()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--q", "-1"], "--q -1"),
        (["--q", "a"], "--q a"),
        (["--key", "a"], "--key a"),
        (["--map", "henon"], "--map is about an orbit"),
        (["--steps", "10"], "--steps is about an orbit"),
        (["--unordered", "--theiler", "2"], "leave out --unordered"),
        (["--unordered", "--embed", "2"], "leave out --unordered"),
        (["--window", "2", "1"], "window=(2.0, 1.0)"),
        (["--radius", "-1"], "radius=-1"),
        (["--theiler", "5000"], "theiler=5000"),
        (["--plot", "figure.xyz"], "--plot figure.xyz: end the name in"),
        (["--out", "no/such/folder/record.json"], "--out"),
    ],
)
def test_a_wrong_option_is_named(capsys, circle, monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(["corrdim", str(circle), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and len(err.splitlines()) == 1


def test_nothing_to_measure(capsys):
    assert main(["corrdim"]) == 2
    assert "give a file of points" in capsys.readouterr().err
    # Beyond a = 2 orbits leave for infinity.
    assert main(["corrdim", "--map", "henon", "--set", "a=3", "--steps", "100"]) == 1
    assert "not finite from step 1000 on" in capsys.readouterr().out


def test_help_shows_an_example(capsys):
    assert main(["corrdim", "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example:" in out and "dynfrac corrdim --map henon" in out


def test_readings_that_rise_with_the_order_are_flagged(capsys, tmp_path):
    # On a quasi-periodic circle points are spread more evenly than at random, which orders from 1
    # on take for less than it is: they read too high, and D_0 does not.
    angle = 2 * np.pi * 0.6180339887 * np.arange(5000)
    np.save(tmp_path / "ring.npy", np.stack([np.cos(angle), np.sin(angle)], axis=1))
    _, result = record(capsys, tmp_path / "ring.npy", "--q", "0,1")
    flags = result["dimensions"]["1"]["flags"]
    assert any("D_1 reads 1.0" in flag and "never rises" in flag for flag in flags)
    assert not any("never rises" in flag for flag in result["dimensions"]["0"]["flags"])
