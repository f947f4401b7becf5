"""The command `dynfrac zoom`: what it makes, prints, and refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from dynfrac.cli.main import main
from dynfrac.plots.palettes import PALETTES
from dynfrac.sweeps.results import open_sweep

SMALL = (
    *("--map", "quadratic", "--x", "c_re=-2:0.5", "--y", "c_im=-1.2:1.2", "--rule", "bounded:2"),
    *("--res", "40", "--steps", "30", "--frames", "3"),
)


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run `dynfrac zoom` in an empty folder; return (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main(["zoom", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_frames_and_a_movie_are_made_and_told(run, tmp_path):
    options = ("--movie", "m.webp", "--fps", "6", "--size", "96", "--seconds", "0.5")
    status, out, err = run(*SMALL, "--out", "z", *options)
    assert (status, err) == (0, "")
    for words in ("000.zarr", "002.zarr", "box dimension", "3 frames were asked for", "m.webp"):
        assert words in out
    with Image.open(tmp_path / "m.webp") as movie:
        assert movie.size == (96, 96) and movie.n_frames > 5
    record = json.loads(run(*SMALL, "--out", "z", "--json")[1])
    assert [frame["computed"] for frame in record["frames"]] == [0, 0, 0]
    assert record["ended"] == "3 frames were asked for" and record["movie"] is None
    assert record["frames"][1]["dimension"]["value"] > 1
    assert main(["show", "z/002.zarr", "--dpi", "60"]) == 0


def test_a_movie_has_the_palette_that_was_asked_for(run, tmp_path):
    options = ("--movie", "m.webp", "--fps", "2", "--size", "64")
    for palette in PALETTES:
        assert run(*SMALL, "--out", "z", *options, "--palette", palette)[0] == 0
        with Image.open(tmp_path / "m.webp") as movie:
            colours = np.asarray(movie.convert("RGB"))[:50].reshape(-1, 3) / 255
        signed = PALETTES[palette].signed(np.linspace(0, 1, 256))[:, :3]
        apart = np.linalg.norm(colours[::7, None] - signed[None], axis=-1).min(axis=1)
        assert np.median(apart) < 0.05, palette  # the movie is compressed


def test_a_place_and_execution_reach_the_frames(run):
    place = ("--at", "c_re=-0.75", "--at", "c_im=0.1", "--factor", "4")
    status, _, err = run(*SMALL, "--out", "z", *place, "--adaptive", "--stride", "4")
    assert (status, err) == (0, "")
    found = open_sweep("z/002.zarr")
    assert found.spec["adaptive"]["stride"] == 4
    x, y = found.axes
    assert x.low < -0.75 < x.high and y.low < 0.1 < y.high
    assert x.high - x.low == pytest.approx(2.5 / 16)


WRONG = {
    "frames": (("--frames", "0"), "'--frames': 0 is not in the range"),
    "factor": (("--factor", "1"), "'--factor': 1.0 is not in the range"),
    "at": (("--at", "c_re=0"), "at has no value for c_im; give one for each axis"),
    "outside": (("--at", "c_re=7", "--at", "c_im=0"), "at c_re=7 is outside the axis"),
    "movie": (("--movie", "m.avi"), "m.avi is no movie; end it in .webp, .gif, .mp4"),
    "guard": (("--guard", "1"), "--guard is for adaptive sweeps; add --adaptive"),
    "three": (("--z", "z_re=0:1"), "3 axes were given; a zoom has two"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_one_sentence_and_leave_nothing(run, tmp_path, name):
    arguments, expected = WRONG[name]
    status, out, err = run(*SMALL, "--out", "z", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert expected in err
    assert list(tmp_path.iterdir()) == []
