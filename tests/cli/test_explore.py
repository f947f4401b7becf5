"""`dynfrac explore`: what it starts with, and how it ends."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from dynfrac.cli.main import main
from dynfrac.orbits.axes import Axis
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.complex_maps import Quadratic


@pytest.fixture
def start(ctrl_c):
    """Start the command in a process of its own; return it and the address that it prints."""
    begun = []

    def begin(*words):
        command = [sys.executable, "-m", "dynfrac", "explore", "--no-open", "--port", "0", *words]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        begun.append(process)
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line + process.stderr.read()
        return process, found[0]

    yield begin
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ask(address):
    """Return JSON from the server, which may still be starting."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(address) as answer:
                return json.load(answer)
        except ConnectionError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")


def test_it_serves_and_ends_with_ctrl_c(start, tmp_path):
    words = ("--map", "quadratic", "--x", "c_re=-2:0.5", "--y", "c_im=-1:1", "--steps", "50")
    process, address = start(*words, "--out", str(tmp_path / "tiles"))
    scene = ask(f"{address}api/scene?scene=start")
    assert scene["title"] == "quadratic" and scene["n_steps"] == 50
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and "tiles are kept in" in out
    assert "Traceback" not in err
    assert not (tmp_path / "tiles").exists()


SLOW = """
import time
from dynfrac.systems.abstract import AbstractMap

class Slow(AbstractMap):
    rule = "bounded:2"
    defaults = {"a": 0.0, "b": 0.0}

    def init(self, hparams):
        return hparams["a"]

    def step(self, state, hparams, t):
        time.sleep(1)
        return state * hparams["b"]

    def observe(self, state, hparams):
        return state
"""


def test_ctrl_c_while_it_compiles(start, tmp_path, monkeypatch):
    (tmp_path / "slow_map.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    process, _ = start("--map", "slow_map:Slow", "--x", "a=0:1", "--y", "b=0:1", "--steps", "9")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "tiles are kept in" in out
    assert err == ""


def test_it_starts_in_the_window_of_a_sweep(start, tmp_path):
    axes = Axis("c_re", -2, 0.5, 8), Axis("c_im", -1, 1, 8)
    identity = {"map": "quadratic", "arguments": {}}
    path = tmp_path / "run.zarr"
    sweep(Quadratic(), axes, n_steps=40, rule="bounded:2", out=path, identity=identity)
    _, address = start(str(path), "--out", str(tmp_path / "tiles"))
    scene = ask(f"{address}api/scene?scene=start")
    assert scene["n_steps"] == 40 and scene["axes"]["y"]["high"] == 1.0
    assert "rule bounded:2" in scene["conditions"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--steps", "9"), "give one of --preset, --arch and --map, or nothing at all"),
        (("--map", "quadratic", "--x", "c_re=0:1"), "the explorer shows two, so give --x and --y"),
        (("--arch", "mlp", "--x", "seed=0:9", "--y", "lr=1:2"), "counts in whole numbers"),
        (("nothing.zarr",), "nothing.zarr"),
        (("nothing.zarr", "--steps", "9"), "leave out --steps"),
        (("--port", "99999"), "99999"),
        (("--host", "256.1.1.1"), "cannot be listened on"),
    ],
)
def test_wrong_arguments_end_in_one_sentence(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["explore", "--no-open", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use(start, tmp_path, capsys):
    words = ("--map", "quadratic", "--x", "c_re=0:1", "--y", "c_im=0:1")
    _, address = start(*words, "--out", str(tmp_path / "tiles"))
    port = address.rstrip("/").rpartition(":")[2]
    assert main(["explore", "--no-open", *words, "--port", port]) == 2
    assert f"--port {port} cannot be listened on" in capsys.readouterr().err
