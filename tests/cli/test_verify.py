"""The command `dynfrac verify`: what it finds, what it repairs, and what it says."""

import json
import sys

import numpy as np
import pytest
import tensorstore as ts

from dynfrac.cli import cmd_verify
from dynfrac.cli.main import main
from dynfrac.orbits.axes import Axis
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.complex_maps import Quadratic

WINDOW = ("--x", "c_re=-2:0.5", "--y", "c_im=-1.2:1.2", "--rule", "bounded:2")
MANDELBROT = ("--map", "quadratic", *WINDOW, "--res", "6", "--steps", "30", "--json")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run `dynfrac` in an empty folder; return (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main(arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def data(path):
    files = (p for p in path.rglob("*") if p.is_file() and "log" not in p.parts)
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


def flip(file):
    content = bytearray(file.read_bytes())
    content[-6] ^= 1
    file.write_bytes(bytes(content))


def falsify(path, field):
    """Store a wrong value with a checksum that fits."""
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path / field}/"}}
    array = ts.open(spec, open=True).result()
    array[(0,) * array.rank].write(77).result()


@pytest.fixture
def store(run, tmp_path):
    assert run("sweep", *MANDELBROT, "--out", "run.zarr")[0] == 0
    return tmp_path / "run.zarr"


def test_a_sound_sweep(run, store):
    status, out, err = run("verify", "run.zarr")
    assert (status, err) == (0, "")
    assert "1 tiles: 1 finished, 0 pending, 0 damaged" in out and "the sweep is sound" in out
    status, out, _ = run("verify", "run.zarr", "--sample", "4", "--json")
    record = json.loads(out)
    assert status == 0
    assert record["store"] == "run.zarr" and record["sound"] is True
    assert record["shape"] == [6, 6] and record["sampled"] == 1
    assert record["tiles"] == {"all": 1, "done": 1, "pending": 0, "damaged": 0}
    assert record["damage"] == record["repaired"] == record["flags"] == record["leftovers"] == []
    assert record["note"] is None and record["computed"] == 0
    assert run("verify", "run.zarr", "--repair")[:2] == run("verify", "run.zarr")[:2]


def test_pending_tiles_are_fine_and_reported(run, store):
    (store / "status" / "c" / "0" / "0").unlink()
    status, out, _ = run("verify", "run.zarr")
    assert status == 0 and "0 finished, 1 pending, 0 damaged" in out
    assert "3 files of a killed sweep are there" in out
    assert "the sweep is sound; the command that swept it computes what is pending" in out


def test_damage_is_listed_with_its_remedy(run, store):
    flip(store / "measure" / "c" / "0" / "0")
    before = data(store)
    status, out, err = run("verify", "run.zarr")
    assert (status, err) == (1, "")
    assert "measure" in out and "[0, 0]" in out
    assert "repair it: dynfrac verify run.zarr --repair" in out
    status, out, _ = run("verify", "run.zarr", "--json")
    record = json.loads(out)
    assert status == 1 and record["sound"] is False
    assert [(part["array"], part["cell"]) for part in record["damage"]] == [("measure", [0, 0])]
    assert data(store) == before
    # Commands that read the field name the remedy too.
    assert "dynfrac verify run.zarr --repair" in run("show", "run.zarr")[2]


def test_a_long_list_is_cut_for_people(run, store, monkeypatch):
    monkeypatch.setattr(cmd_verify, "LISTED", 2)
    for field in ("measure", "t_escape", "final_loss"):
        flip(store / field / "c" / "0" / "0")
    assert "and 1 more, which --json lists" in run("verify", "run.zarr")[1]


@pytest.mark.parametrize(
    "array", ["status/c/0/0", "final_loss/c/0/0", "c_re/c/0", "c_im/zarr.json"]
)
def test_a_repair_restores_every_byte(run, store, array):
    before = data(store)
    flip(store / array) if "zarr" not in array else (store / array).write_text("{")
    status, out, err = run("verify", "run.zarr", "--repair")
    assert (status, err) == (0, "")
    assert "repaired" in out and "the sweep is sound" in out
    assert ("computed 36 runs" in out) == (not array.startswith("c_"))
    assert data(store) == before
    # It can be resumed by its own command, which finds nothing left.
    assert json.loads(run("sweep", *MANDELBROT, "--out", "run.zarr")[1])["computed"] == 0


def test_wrong_values_are_found_by_a_sample_only(run, store):
    before = data(store)
    falsify(store, "final_loss")
    assert run("verify", "run.zarr")[0] == 0
    status, out, _ = run("verify", "run.zarr", "--sample", "1")
    assert status == 1 and "1 of its 36 values are not those computed again" in out
    status, out, _ = run("verify", "run.zarr", "--sample", "1", "--repair", "--json")
    record = json.loads(out)
    assert status == 0 and record["sound"] and record["sampled"] == 1
    assert record["repaired"][0]["array"] == "final_loss" and record["computed"] == 36
    assert data(store) == before


MODULE = """
from dynfrac.systems.complex_maps import Quadratic
def make(shift=0.0):
    return Quadratic()
"""


@pytest.mark.parametrize(
    "source",
    [
        ("--map", "my_maps_to_verify:make", "--arg", "shift=0.5", *WINDOW),
        ("--arch", "mlp", "--arg", "width=3", "--optimizer", "adam", "--batch", "4")
        + ("--x", "lr=0.01:1", "--y", "seed=0:3"),
        ("--preset", "published-minibatch"),
    ],
    ids=["own", "arch", "preset"],
)
def test_what_was_swept_is_made_again(run, tmp_path, monkeypatch, source):
    (tmp_path / "my_maps_to_verify.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    options = (*source, "--res", "4", "--steps", "6", "--json")
    assert run("sweep", *options, "--out", "run.zarr")[0] == 0
    store = tmp_path / "run.zarr"
    before = data(store)
    (chunk, *_) = (p for p in sorted((store / "measure" / "c").rglob("*")) if p.is_file())
    chunk.write_bytes(b"")
    status, out, err = run("verify", "run.zarr", "--repair", "--sample", "9")
    assert (status, err) == (0, "") and "the sweep is sound" in out
    assert data(store) == before
    sys.modules.pop("my_maps_to_verify", None)


def test_a_map_that_cannot_be_made_again_is_left_to_its_command(run, tmp_path):
    axes = [Axis("c_re", -2, 0.5, 5)]
    sweep(Quadratic(), axes, n_steps=9, out=tmp_path / "own.zarr", rule="bounded:2")
    before = data(tmp_path / "own.zarr")
    flip(tmp_path / "own.zarr" / "measure" / "c" / "0")
    status, out, err = run("verify", "own.zarr", "--repair")
    assert (status, err) == (0, "")
    assert "0 finished, 1 pending, 0 damaged" in out
    assert "own.zarr does not say how its map is made; the command that swept it computes" in out
    sweep(Quadratic(), axes, n_steps=9, out=tmp_path / "own.zarr", rule="bounded:2")
    assert data(tmp_path / "own.zarr") == before
    status, _, err = run("verify", "own.zarr", "--sample", "1")
    assert status == 2 and "does not say how its map is made" in err and err.count("\n") == 1


def test_an_interrupted_repair_says_how_to_go_on(run, store, monkeypatch):
    def interrupted(*arguments, **settings):
        raise KeyboardInterrupt("run the same command again to resume")

    monkeypatch.setattr(cmd_verify, "sweep_again", interrupted)
    flip(store / "measure" / "c" / "0" / "0")
    status, _, err = run("verify", "run.zarr", "--repair")
    assert status == 130
    assert "the damage is gone from run.zarr; the command that swept it computes what is" in err
    assert (open_sweep(store).status == 0).all()


def test_beyond_repair(run, store):
    text = (store / "zarr.json").read_text()
    (store / "zarr.json").write_text(text[:300])
    for options in ((), ("--repair",), ("--sample", "2")):
        status, out, err = run("verify", "run.zarr", *options)
        assert (status, err) == (1, "")
        assert "zarr.json" in out and "sweep again under another name" in out
    record = json.loads(run("verify", "run.zarr", "--repair", "--json")[1])
    assert record["sound"] is False and record["shape"] == []
    assert "sweep again under another name" in record["note"]
    (store / "zarr.json").write_text(text)
    assert run("verify", "run.zarr")[0] == 0


def test_a_sample_waits_for_more_than_tiles_to_be_repaired(run, store):
    flip(store / "c_re" / "c" / "0")
    status, out, _ = run("verify", "run.zarr", "--sample", "2")
    assert status == 1 and "note: no tile was computed again" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("absent.zarr",), "absent.zarr: there is no such sweep"),
        ((".",), "is not a sweep"),
        (("file.txt",), "is not a sweep"),
        (("run.zarr", "--sample", "0"), "--sample"),
        ((), "STORE"),
    ],
)
def test_wrong_arguments(run, tmp_path, arguments, words):
    (tmp_path / "file.txt").write_text("no sweep")
    status, out, err = run("verify", *arguments)
    assert (status, out) == (2, "")
    assert words in err and err.count("\n") == 1 and "Traceback" not in err


def test_a_bar_counts_the_tiles(run, store, monkeypatch):
    heard = []

    def reporter(stack, description):
        return lambda done, total: heard.append((description, done, total))

    monkeypatch.setattr(cmd_verify, "progress_reporter", reporter)
    flip(store / "measure" / "c" / "0" / "0")
    run("verify", "run.zarr", "--repair")
    assert [h for h in heard if h[0] == "verify"] == [("verify", 0, 1), ("verify", 1, 1)] * 2
    assert np.all([total == 36 * 30 for name, _, total in heard if name == "sweep"])
