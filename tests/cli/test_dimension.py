"""The command `dynfrac dimension`, from its arguments to its exit status."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dynfrac.cli import cmd_dimension
from dynfrac.cli.main import main

RABBIT = ("--set", "c_re=-0.12256116687665361", "--set", "c_im=0.74486176661974424")
JULIA = ("--map", "quadratic", *RABBIT, "--x", "z_re=-1.5:1.5", "--y", "z_im=-1.5:1.5")
SMALL = (*JULIA, "--steps", "60", "--budget", "2500")
SQUARE = ("--x", "a=0:1", "--y", "b=0:1", "--budget", "3000")

FUNCTIONS = """
import numpy as np

def constant(points):
    return np.zeros(len(points), int)

def random(points):
    mixed = np.uint64(0)
    for column in np.ascontiguousarray(points).view(np.uint64).T:
        mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
    return (mixed & np.uint64(1)).astype(int)

def isolated(points):
    return np.all(points == 0, axis=1)

def disc(points):
    return ((points - 0.5) ** 2).sum(axis=1) < 0.1

def numbers(points):
    return points[:, 0]

def broken(points):
    return undefined
"""


def record(capsys, *arguments):
    """Run with --json; return the exit status and the one object on standard output."""
    status = main(["dimension", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.fixture
def functions(tmp_path, monkeypatch):
    """Make a module of label functions that can be imported."""
    (tmp_path / "own_basins.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_basins", raising=False)
    return "own_basins"


def test_a_map_by_name(capsys):
    status, result = record(capsys, *SMALL, "--seed", "3")
    assert status == 0
    assert abs(result["value"] - 1.3934) < 4 * result["stderr"]
    assert result["estimates"]["pairs"]["value"] == result["value"]
    assert result["name"] == "quadratic" and result["seed"] == 3
    assert result["conditions"]["n_steps"] == 60
    assert sum(result["runs"].values()) <= result["budget"] == 2500


def test_the_words_say_what_the_record_says(capsys):
    status, result = record(capsys, *SMALL)
    assert main(["dimension", *SMALL]) == status == 0
    out = capsys.readouterr().out
    low, high = result["window"]
    for text in (
        "quadratic: dimension of the boundary in z_re=-1.5:1.5 (linear), z_im=-1.5:1.5 (linear)",
        f"{sum(result['runs'].values())} runs of 60 steps, budget 2500, rule bounded:2, float64",
        "at c_re=-0.122561 c_im=0.744862",
        f"D = {result['value']:.4f}, stderr {result['stderr']:.4f}",
        f"[{result['ci_low']:.4f}, {result['ci_high']:.4f}]",
        f"{low:.2g} to {high:.2g} of the window: z_re {3 * low:.2g} to {3 * high:.2g}",
        f"{result['local']['y'][0]:.3f}",
        result["agreement"],
        "labels at the boundary that hang on the last bit  0.00 %",
        *(f"note: {flag}" for flag in result["flags"]),
    ):
        assert text in out


def test_decades_are_the_unit_of_a_logarithmic_axis(capsys):
    status = main(
        ["dimension", "--map", "gd-quadratic", "--x", "lr=0.01:10", "--y", "w0=0.1:1"]
        + ["--steps", "60", "--budget", "4000"]
    )
    out = capsys.readouterr().out
    assert status == 0 and " decades; w0 " in out


def test_a_network_and_its_options(capsys):
    status, result = record(
        capsys,
        *("--arch", "mlp", "--arg", "width=4", "--x", "lr_in=1e-2:1", "--y", "lr_out=1:1e4"),
        *("--steps", "20", "--budget", "600", "--dtype", "float32", "--lanes", "8"),
        *("--rule", "published:10", "--set", "init_scale=2", "--method", "pairs"),
    )
    conditions = result["conditions"]
    assert (conditions["dtype"], conditions["lanes"]) == ("float32", 8)
    assert conditions["rule"] == "published:10" and conditions["hparams"]["init_scale"] == 2
    assert [axis["scale"] for axis in result["axes"]] == ["log10", "log10"]
    assert status == (0 if result["value"] is not None else 1)


def test_a_preset_brings_its_window(capsys):
    _, result = record(capsys, "--preset", "mnist-mlp", "--steps", "3", "--budget", "500")
    assert [axis["name"] for axis in result["axes"]] == ["lr_in", "lr_out"]
    assert result["conditions"]["n_steps"] == 3 and result["name"] == "mnist-mlp"
    _, result = record(
        capsys, *("--preset", "mnist-mlp", "--steps", "3", "--budget", "500", "--x", "lr_in=2:3")
    )
    assert result["axes"][0]["high"] == 3 and result["axes"][1]["high"] == 200


# Functions


def test_labels_that_never_change(capsys, functions):
    status, result = record(capsys, "--labels", f"{functions}:constant", *SQUARE)
    assert status == 1
    assert result["value"] is None and result["estimates"]["pairs"]["ci_low"] is None
    assert "no boundary was met" in result["flags"][0]
    assert main(["dimension", "--labels", f"{functions}:constant", *SQUARE]) == 1
    assert "no value" in capsys.readouterr().out


def test_labels_that_are_random(capsys, functions):
    status, result = record(capsys, "--labels", f"{functions}:random", *SQUARE)
    assert status == 0
    assert result["ci_low"] <= 2 <= result["ci_high"]
    assert any("hardly falls" in flag for flag in result["flags"])


def test_an_isolated_point(capsys, functions):
    status, result = record(capsys, "--labels", f"{functions}:isolated", *SQUARE)
    assert status == 1
    assert any("an isolated point" in flag for flag in result["flags"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("numbers", "returned float64"),
        ("broken", "own_basins:broken raised NameError: name 'undefined' is not defined"),
        ("absent", "unknown factory in own_basins: 'absent'; did you mean"),
    ],
)
def test_functions_that_are_none_end_in_one_sentence(capsys, functions, name, words):
    assert main(["dimension", "--labels", f"{functions}:{name}", *SQUARE]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("error: ") and words in captured.err


# Files


def test_files_are_written(capsys, functions, tmp_path):
    figure, file = tmp_path / "disc.png", tmp_path / "disc.json"
    status, result = record(
        capsys,
        *("--labels", f"{functions}:disc", *SQUARE, "--plot", str(figure), "--out", str(file)),
    )
    assert status == 0
    assert json.loads(file.read_text()) == result
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_an_interrupted_command_goes_on_and_prints_the_same(capsys, tmp_path, monkeypatch):
    path = str(tmp_path / "julia.journal")
    _, whole = record(capsys, *SMALL)
    reports = cmd_dimension._reporter

    def impatient(*args, **kwargs):
        report = reports(*args, **kwargs)

        def stop(used):
            report(used)
            if used > 1000:
                raise KeyboardInterrupt

        return stop

    with monkeypatch.context() as patch:
        patch.setattr(cmd_dimension, "_reporter", impatient)
        assert main(["dimension", *SMALL]) == 130
        assert "nothing was kept; --journal FILE keeps" in capsys.readouterr().err
        assert main(["dimension", *SMALL, "--journal", path]) == 130
        said = capsys.readouterr().err
    assert "answers are kept; the same command goes on from" in said
    assert int(said.split()[1]) > 1000
    assert record(capsys, *SMALL, "--journal", path) == (0, whole)
    assert main(["dimension", *SMALL, "--journal", path]) == 0
    assert "of them were kept in the journal" in capsys.readouterr().out
    assert main(["dimension", *SMALL, "--seed", "9", "--journal", path]) == 2
    assert "seed is 0 there and 9 here" in capsys.readouterr().err


def test_a_killed_command_goes_on_and_prints_the_same(capsys, functions, tmp_path):
    path = tmp_path / "disc.journal"
    arguments = ["--labels", f"{functions}:disc", *SQUARE, "--json"]
    run = [sys.executable, "-m", "dynfrac", "dimension", *arguments]
    (tmp_path / "own_basins.py").write_text(
        f"import time\n{FUNCTIONS}".replace(
            "def disc(points):", "def disc(points):\n    time.sleep(0.2)"
        )
    )
    killed = subprocess.Popen([*run, "--journal", str(path)], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < 2000:
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    (tmp_path / "own_basins.py").write_text(FUNCTIONS)
    resumed = subprocess.run(
        [*run, "--journal", str(path)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    _, whole = record(capsys, *arguments[:-1])
    assert json.loads(resumed.stdout) == whole


def test_a_long_run_is_announced_and_quiet_is_not(capsys, monkeypatch):
    monkeypatch.setattr(cmd_dimension, "NOTICE_AFTER", 0.0)
    assert main(["dimension", *SMALL]) == 0
    assert "at most about" in capsys.readouterr().err
    assert main(["dimension", *SMALL, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_the_time_left_is_that_of_what_is_computed(capsys, monkeypatch):
    clock = iter([0.0, 0.1, 4.0, 8.0, 12.0])
    monkeypatch.setattr(cmd_dimension.time, "perf_counter", lambda: next(clock))
    report = cmd_dimension._reporter(lambda n: None, [0], 10_000, announce=True)
    for used in (6000, 6010, 6020, 6040):  # the first of which came from a journal
        report(used)
    # 20 in the last four seconds, and 3960 to go.
    assert capsys.readouterr().err == "at most about 13 min left\n"


# Bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*JULIA, "--budget", "499"), "--budget 499 is too small; give at least 500"),
        ((), "give one of --preset, --arch, --map and --labels"),
        (("--map", "quadratic", "--arch", "mlp"), "give one of --preset"),
        (("--map", "quadratic"), "give --x NAME=LOW:HIGH"),
        (("--map", "quadratic", "--y", "z_re=0:1"), "--y needs --x before it"),
        (("--map", "quadratic", "--x", "z_re=0:1:64"), "has n=64 points; leave the number out"),
        (("--map", "quadratic", "--x", "z=0:1"), "unknown hyperparameter 'z'"),
        ((*JULIA, "--set", "z_re=1"), "z_re is an axis and is set as well"),
        ((*JULIA, "--steps", "5", "--epochs", "2"), "--epochs and --steps exclude each other"),
        ((*JULIA, "--epochs", "2"), "--epochs needs a network"),
        ((*JULIA, "--plot", "a.txt"), "end the name in .png"),
        ((*JULIA, "--journal", "no/such/folder"), "does not exist; create it first"),
        ((*JULIA, "--journal", "setup.cfg"), "is no journal; choose another name"),
        (("--labels", "numpy:all", "--x", "a=0:1", "--steps", "5"), "--steps is about runs"),
        (("--labels", "numpy:all", "--x", "a=0:1", "--data", "mnist-8"), "--data is about runs"),
        (("--labels", "numpy:all", "--x", "seed=0:9"), "whole numbers only"),
        (("--labels", "numpy", "--x", "a=0:1"), "is not an import path"),
    ],
)
def test_what_is_wrong_ends_in_one_sentence(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "setup.cfg").write_text("[metadata]\n")
    assert main(["dimension", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("error: ") and words in captured.err


def test_the_page_shows_what_the_command_prints(capsys):
    page = (Path(__file__).parents[2] / "docs" / "boundary_dimension.md").read_text("utf-8")
    typed = re.search(r"\$ dynfrac (dimension --map .*?)```", page, re.S)[1].replace("\\\n", " ")
    arguments = shlex.split(typed.partition("--plot")[0])
    status, result = record(capsys, *arguments[1:])
    shown = [float(number) for number in re.search(r"D = (.*), stderr (.*), 95", page).groups()]
    # Another machine may round otherwise and flip a few labels, which moves D by less than this.
    assert status == 0 and abs(shown[0] - result["value"]) < result["stderr"] / 2
    assert shown[1] == pytest.approx(result["stderr"], rel=0.2)
    assert f"budget {result['budget']}, rule {result['conditions']['rule']}" in page
