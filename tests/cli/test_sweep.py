"""The command `dynfrac sweep`: what it writes, what it prints, and every way to get it wrong."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dynfrac.cli import cmd_sweep
from dynfrac.cli.main import main
from dynfrac.studies.presets import make_preset
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.runs import sweep

MANDELBROT = ("--map", "quadratic", "--x", "c_re=-2:0.5", "--y", "c_im=-1.2:1.2")
SMALL = (*MANDELBROT, "--rule", "bounded:2", "--res", "6", "--steps", "30")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run `dynfrac sweep` in an empty folder; return (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main(["sweep", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_json_is_one_object_with_the_promised_fields(run, tmp_path):
    status, out, err = run(*SMALL, "--res", "8", "--out", "run.zarr", "--json")
    record = json.loads(out)
    assert status == 0 and err == ""
    assert record["store"] == "run.zarr" and record["shape"] == [8, 8]
    assert set(record["counts"]) == {"pending", "converged", "bounded", "escaped", "not_finite"}
    assert sum(record["counts"].values()) == 64 and record["counts"]["pending"] == 0
    assert (record["computed"], record["reused"], record["flags"]) == (64, 0, [])
    assert 0 <= record["compile_seconds"] < record["seconds"]
    rate = 64 * 30 / (record["seconds"] - record["compile_seconds"])
    assert record["run_steps_per_second"] == pytest.approx(rate)

    status, out, _ = run(*SMALL, "--res", "8", "--out", "run.zarr", "--json")
    again = json.loads(out)
    assert status == 0
    assert (again["computed"], again["reused"]) == (0, 64)
    assert again["counts"] == record["counts"] and again["run_steps_per_second"] is None


def test_people_are_told_the_outcome_and_what_is_next(run):
    status, out, err = run(*SMALL, "--out", "run.zarr")
    assert status == 0 and err == ""
    for words in ("6 x 6 runs of 30 steps", "converged", "ran 36 in", "dynfrac show run.zarr"):
        assert words in out
    assert "nothing was left to compute" in run(*SMALL, "--out", "run.zarr")[1]


def test_an_adaptive_sweep_says_what_was_run(run):
    command = (*SMALL, "--res", "40", "--adaptive", "--stride", "4", "--guard", "1")
    status, out, err = run(*command, "--out", "run.zarr")
    found = open_sweep("run.zarr")
    assert status == 0 and found.spec["adaptive"] == {"stride": 4, "guard": 1}
    assert 0 < found.was_run.sum() < 1600
    assert f"ran {found.was_run.sum()} in" in out
    assert "40 x 40 cells, with runs of 30 steps" in out
    assert f"{found.was_run.mean():.2%} of the cells were run" in out
    record = json.loads(run(*command, "--out", "run.zarr", "--json")[1])
    assert (record["computed"], record["reused"]) == (0, found.was_run.sum())


def test_a_preset_is_what_its_library_call_is(run, tmp_path):
    status, _, _ = run(
        *("--preset", "published-minibatch", "--res", "4", "--steps", "12", "--out", "run.zarr")
    )
    assert status == 0
    preset = make_preset("published-minibatch", steps=12)
    result = open_sweep("run.zarr")
    assert [(axis.name, axis.low, axis.high, axis.n) for axis in result.axes] == [
        ("lr_in", 1e-3, 1e6, 4),
        ("lr_out", 1e-3, 1e6, 4),
    ]
    assert (result.spec["n_steps"], result.spec["rule"]) == (12, "published")
    # The library resumes what the command began: they agree on every field of the specification.
    same = sweep(
        preset.map_,
        result.axes,
        n_steps=12,
        rule=preset.rule,
        out="run.zarr",
        identity=preset.identity,
    )
    assert same.computed == 0


def test_options_reach_the_sweep(run):
    status, _, _ = run(
        *("--arch", "mlp", "--arg", "width=3", "--arg", "nonlinearity=relu", "--seed", "5"),
        *("--set", "lr_out=0.5", "--x", "lr_in=0.01:10:3", "--y", "init_scale=0.5:2:linear"),
        *("--z", "weight_offset=0.1:1", "--res", "2", "--steps", "4", "--rule", "bounded:100"),
        *("--dtype", "float32", "--lanes", "8", "--out", "run.zarr"),
    )
    assert status == 0
    spec = open_sweep("run.zarr").spec
    assert spec["map"] == {
        "architecture": "mlp",
        "arguments": {"width": 3, "nonlinearity": "relu", "seed": 5},
    }
    axes = [(a["name"], a["low"], a["high"], a["n"], a["scale"]) for a in spec["axes"].values()]
    assert axes == [
        ("lr_in", 0.01, 10.0, 3, "log10"),
        ("init_scale", 0.5, 2.0, 2, "linear"),
        ("weight_offset", 0.1, 1.0, 2, "log10"),
    ]
    assert spec["hparams"]["lr_out"] == 0.5
    assert (spec["n_steps"], spec["rule"], spec["dtype"]) == (4, "bounded:100", "float32")
    assert spec["lanes"] == 8


def test_axes_replace_those_of_a_preset_one_by_one(run):
    arguments = ("--preset", "published-tanh", "--y", "init_scale=0.1:1", "--res", "2")
    assert run(*arguments, "--steps", "2", "--out", "run.zarr")[0] == 0
    assert [axis.name for axis in open_sweep("run.zarr").axes] == ["lr_in", "init_scale"]


def test_a_map_of_ones_own(run, tmp_path, monkeypatch):
    (tmp_path / "tents.py").write_text(
        "import jax.numpy as jnp\n"
        "from dynfrac.systems.abstract import AbstractMap\n"
        "class Tent(AbstractMap):\n"
        "    @property\n"
        "    def defaults(self):\n"
        "        return {'slope': 1.9, 'x0': 0.3}\n"
        "    def init(self, hparams):\n"
        "        return hparams['x0']\n"
        "    def step(self, state, hparams, t):\n"
        "        return hparams['slope'] * jnp.minimum(state, 1 - state)\n"
        "    def observe(self, state, hparams):\n"
        "        return jnp.abs(state)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ("--map", "tents:Tent", "--x", "slope=1:3", "--res", "9", "--rule", "bounded:5")
    assert run(*arguments, "--steps", "60", "--out", "run.zarr")[0] == 0
    # Slopes up to 2 keep the unit interval, beyond it almost every orbit leaves.
    assert open_sweep("run.zarr").labels.tolist() == [True] * 5 + [False] * 4


def test_flags_are_shown(run):
    arguments = ("--map", "quadratic", "--x", "c_re=0.25:0.25000001:9", "--dtype", "float32")
    status, out, _ = run(*arguments, "--steps", "3", "--out", "run.zarr")
    assert status == 0
    assert "note: axis c_re has 9 points of which float32 tells only 1 apart" in out


def test_a_long_sweep_says_once_how_long_it_will_take(run, monkeypatch):
    monkeypatch.setattr(cmd_sweep, "NOTICE_AFTER", 0.0)
    _, out, err = run(*SMALL, "--res", "100", "--out", "run.zarr", "--json")
    assert json.loads(out)["computed"] == 10_000
    assert err.count("about ") == 1 and err.endswith("left\n")
    assert run(*SMALL, "--out", "quiet.zarr", "--quiet")[2] == ""


def test_the_time_left_leaves_out_what_compilation_took(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 50.0, 60.0])
    monkeypatch.setattr(cmd_sweep.time, "perf_counter", lambda: next(clock))
    with contextlib.ExitStack() as stack:
        report = cmd_sweep._reporter(stack, announce=True)
        for done in (0, 10, 20):
            report(done, 500)
    # 10 in the last ten seconds, and 480 to go.
    assert "about 8 min left" in capsys.readouterr().err


WRONG = {
    "preset": (("--preset", "published-tan"), "unknown preset 'published-tan'; did you mean"),
    "arch": (
        ("--arch", "mlpp", "--x", "lr=1:2"),
        "unknown architecture 'mlpp'; did you mean 'mlp'",
    ),
    "map": (("--map", "quadratics", "--x", "c=1:2"), "unknown map 'quadratics'; did you mean"),
    "seedless": ((*SMALL, "--seed", "1"), "'seed'"),
    "hyperparameter": (
        ("--map", "quadratic", "--x", "c_ree=0:1"),
        "unknown hyperparameter 'c_ree'; did you mean 'c_re'",
    ),
    "set": ((*SMALL, "--set", "z_ree=1"), "unknown hyperparameter 'z_ree'; did you mean 'z_re'"),
    "set text": ((*SMALL, "--set", "z_re=much"), "--set z_re=much is not a number"),
    "set form": ((*SMALL, "--set", "z_re"), "--set 'z_re' is not understood; write --set NAME=VAL"),
    "set twice": ((*SMALL, "--set", "z_re=1", "--set", "z_re=2"), "--set z_re is given twice"),
    "set axis": ((*SMALL, "--set", "c_re=1"), "c_re=1.0 is fixed and c_re is an axis too"),
    "arg": ((*SMALL, "--arg", "width=1"), "'width'"),
    "arg preset": (
        ("--preset", "published-tanh", "--arg", "widht=8"),
        "unknown argument of mlp: 'widht'; did you mean 'width'?",
    ),
    "empty": (("--map", "quadratic", "--x", "c_re=1:0"), "axis c_re=1:0 is empty"),
    "equal": (("--map", "quadratic", "--x", "c_re=1:1"), "axis c_re=1:1 is empty"),
    "log": (("--arch", "mlp", "--x", "lr=0:1"), "axis lr=0:1 starts at or below zero on a log"),
    "form": (("--map", "quadratic", "--x", "c_re"), "axis 'c_re' is not understood; write NAME="),
    "twice": (
        ("--map", "quadratic", "--x", "c_re=0:1", "--y", "c_re=0:1"),
        "'c_re' is on two axes",
    ),
    "res": ((*SMALL, "--res", "1"), "'--res': 1 is not in the range"),
    "n": (("--map", "quadratic", "--x", "c_re=0:1:1"), "has n=1 points; give at least 2"),
    "disk": ((*SMALL, "--res", "100000000"), "resolution 100000000 x 100000000 needs"),
    "steps": ((*SMALL, "--steps", "0"), "'--steps': 0 is not in the range"),
    "rule": (
        (*SMALL, "--rule", "bounded:-1"),
        "rule bounded:-1 is impossible; it needs a LIMIT > 0",
    ),
    "dtype": ((*SMALL, "--dtype", "float16"), "'--dtype': 'float16' is not one of"),
    "lanes": ((*SMALL, "--lanes", "0"), "'--lanes': 0 is not in the range"),
    "stride": (
        (*SMALL, "--adaptive", "--stride", "3"),
        "stride=3 must be a power of two from 2 on",
    ),
    "guard": ((*SMALL, "--guard", "2"), "--guard is for adaptive sweeps; add --adaptive"),
    "none": (("--x", "c_re=0:1"), "give one of --preset, --arch and --map"),
    "both": ((*SMALL, "--arch", "mlp"), "give one of --preset, --arch and --map"),
    "no axis": (("--map", "quadratic"), "give --x NAME=LOW:HIGH"),
    "no x": (("--map", "quadratic", "--y", "c_re=0:1"), "--y needs --x before it"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_one_sentence_and_leave_nothing(run, tmp_path, name):
    arguments, expected = WRONG[name]
    status, out, err = run(*arguments, "--out", "run.zarr")
    assert (status, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert expected in err
    assert list(tmp_path.iterdir()) == []


def test_the_folder_must_be_named(run):
    status, _, err = run(*SMALL)
    assert status == 2 and "--out" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("absent/run.zarr", "the folder absent does not exist; create it first"),
        ("file", "--out file is a file, not a folder"),
        ("file/run.zarr", "the folder file does not exist"),
        ("folder", "folder exists and is not a sweep"),
    ],
)
def test_folders_that_cannot_be_used(run, tmp_path, out, expected):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    status, _, err = run(*SMALL, "--out", out)
    assert status == 2 and expected in err and err.count("\n") == 1
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "precious"


def test_a_folder_without_permission(run, tmp_path, monkeypatch):
    # A superuser may write anywhere, so the refusal of the system is played.
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    status, _, err = run(*SMALL, "--out", "run.zarr")
    assert status == 2 and "cannot write to the folder" in err and "permission denied" in err
    assert list(tmp_path.iterdir()) == []


def test_another_specification_names_the_field(run):
    run(*SMALL, "--out", "run.zarr")
    status, _, err = run(*SMALL, "--steps", "31", "--out", "run.zarr")
    assert status == 2
    assert "run.zarr holds another sweep: n_steps is 30 there and 31 here" in err
    assert open_sweep("run.zarr").pending == 0


def test_a_damaged_store(run, tmp_path):
    run(*SMALL, "--out", "run.zarr")
    (tmp_path / "run.zarr" / "status" / "zarr.json").write_text("{")
    status, _, err = run(*SMALL, "--out", "run.zarr")
    assert status == 2 and "run.zarr is damaged: status cannot be read" in err


def test_control_c_keeps_what_is_finished_and_says_how_to_resume(run, tmp_path, ctrl_c):
    arguments = [*MANDELBROT, "--rule", "bounded:2", "--res", "256", "--steps", "2000"]
    command = [sys.executable, "-m", "dynfrac.cli.main", "sweep", *arguments, "--out", "run.zarr"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "DYNFRAC_PROGRESS": "0"},
    )
    log = tmp_path / "run.zarr" / "log" / "sessions.jsonl"
    deadline = time.monotonic() + 120
    try:
        while not log.exists() or '"tile"' not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert out == ""
    kept = open_sweep(tmp_path / "run.zarr").reused
    assert 0 < kept < 256 * 256 and kept % 4096 == 0
    assert err.strip() == (
        f"interrupted: {kept} of {256 * 256} cells are kept in run.zarr; "
        "run the same command again to resume"
    )
    before = open_sweep(tmp_path / "run.zarr").measure
    status, out, _ = run(*arguments, "--out", "run.zarr", "--json")
    assert status == 0 and json.loads(out)["reused"] == kept
    after = open_sweep("run.zarr").measure
    np.testing.assert_array_equal(after[~np.isnan(before)], before[~np.isnan(before)])


def test_a_minibatch_stream_is_as_long_as_the_runs(run):
    short = ("--arch", "mlp", "--arg", "batch=4", "--x", "lr=0.1:1", "--res", "2", "--steps", "7")
    assert run(*short, "--out", "s.zarr")[0] == 0
    assert open_sweep("s.zarr").spec["map"]["arguments"] == {"batch": 4, "n_steps": 7}


def test_the_exponent_is_recorded_and_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    axes = ("--x", "lr=0.4:2.4:6:linear", "--y", "w0=0.1:1:4")
    arguments = ("--map", "gd-cubic", *axes, "--steps", "80", "--out", "run.zarr", "--json")
    assert main(["sweep", *arguments, "--record", "lyapunov"]) == 0
    result = open_sweep("run.zarr")
    exponents = result.field("lyapunov")
    # Settled below 1, chaotic from 1.6 to 2, and gone beyond.
    assert np.all(exponents[:, :2] < 0) and np.all(exponents[:, 3:] > 0)
    assert main(["show", "run.zarr", "--field", "lyapunov", "--dpi", "40"]) == 0
    assert (tmp_path / "run-lyapunov.png").exists()
    capsys.readouterr()
    # Whoever did not record it is told how to.
    main(["sweep", *(w.replace("run.zarr", "plain.zarr") for w in arguments)])
    capsys.readouterr()
    assert main(["show", "plain.zarr", "--field", "lyapunov"]) == 2
    assert "sweep again with --record lyapunov" in capsys.readouterr().err
