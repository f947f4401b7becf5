"""Every console line of the documentation is typed, page by page, at a smaller size.

A page has a folder of its own, which stands for the reader's clone: it holds the files that the
page shows or takes for granted, and whatever its earlier lines wrote. Every block begins there.
A command is run as it is written, with its smaller size after it: of an option given twice the
last counts.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from dynfrac.cli.main import COMMANDS, main
from tests.pages import PAGES, ROOT, blocks, outputs, typed, written

IN_A_CLUSTER = "10.0.0.1 is the reader's cluster; tests/sweeps/test_workers.py has one of its own"
INSTALLED = "the tests run in what it installed"
BY_NAME = "a minute for each picture; tests/test_site.py makes every one of them"
NOT_HERE = {
    "python docs/gallery/make.py": BY_NAME,
    "python docs/gallery/make.py zoom boxes": BY_NAME,
    "pip install -e .": INSTALLED,
    'pip install -e ".[explore]"': INSTALLED,
    "dask scheduler --host 10.0.0.1 --no-dashboard": IN_A_CLUSTER,
    "dask worker tcp://10.0.0.1:8786 --nthreads 1 --nworkers 4": IN_A_CLUSTER,
    "dynfrac sweep --preset published-tanh --res 1024 --scheduler tcp://10.0.0.1:8786 "
    "--out tanh.zarr": IN_A_CLUSTER,
}
"""Lines that are not run, and why."""

SMALLER = {
    "sweep": "--res 48 --steps 60 --quiet",
    "show": "--dpi 60",
    "zoom": "--res 48 --steps 60 --frames 2 --size 64 --fps 4 --quiet",
    "boxdim": "--resamples 50",
    "corrdim": "--resamples 20 --q 2 --quiet",
    "lyapunov": "--steps 3000 --quiet",
    "dimension": "--budget 2000 --quiet",
    "compare": "--budget 500 --steps 2 --seeds 1 --quiet",
    "validate": "--only linear --only logistic-chaos --quiet",
    "orbits": "--steps 60 --transient 60 --keep 32 --quiet",
    "explore": "--no-open --port 0",
}
NETWORKS = {
    "sweep": "--res 2 --steps 2 --quiet",
    "lyapunov": "--steps 4 -k 1 --quiet",
    "orbits": "--steps 4 --transient 4 --keep 4 --quiet",
}
"""The same for networks: those of `--arch`, and of presets with real digits."""
SCRIPTS = {
    "make_data.py": "",
    "docs/examples/warmup/run.py": "--rates 2 --seeds 2",
    "docs/examples/edge_of_stability/run.py": "--rates 3 --steps 100",
    "docs/examples/period_doubling/run.py": "--values 25 --steps 100",
}
NO_VALUE = {"boxdim": 1, "compare": 1, "dimension": 1, "corrdim": 1}
"""Exit status of an estimator that says that so little data give no value."""


def smaller(line):
    """Return the words of a `dynfrac` line with its smaller size after them."""
    words = shlex.split(line)[1:]
    name = next(word for word in words if word in COMMANDS)
    costly = "--arch" in words or any(word.startswith("kyhdc") for word in words)
    size = (NETWORKS if costly else {}).get(name) or SMALLER.get(name, "")
    if "--epochs" in words:
        size = size.replace("--steps 2", "--epochs 1")
    if name == "corrdim" and "--map" in words:
        size += " --steps 3000"
    if "--workers" in words:
        size += " --workers 2"
    if "--axis" in words:
        size += " --axis skip=0:1:2"
    if "mnist" in words:  # all of it would be a download; an argument cannot be given twice
        size += " --data mini"
        words = [re.sub(r"^(n_data|n_test)=.*", r"\1=100", word) for word in words]
    return name, [*words, *size.split()]


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Return a function that gives a page the folder in which its reader stands."""

    def stand(page):
        shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
        pages = {page.name: page for page in PAGES}
        files = dict(written(page))
        files["my_nets.py"] = dict(written(pages["bring_your_own_model.md"]))["nnx_net.py"]
        files["settings.toml"] = "".join(blocks(page, "toml"))
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        rng = np.random.default_rng(0)
        digits = {f"x_{part}": rng.random((64, 28, 28)) for part in ("train", "test")}
        labels = {f"y_{part}": np.arange(64) % 10 for part in ("train", "test")}
        np.savez(tmp_path / "mine.npz", **digits, **labels)
        np.savetxt(tmp_path / "points.csv", rng.random((2000, 2)), delimiter=",")
        monkeypatch.chdir(tmp_path)
        if any("run.zarr" in line for block in typed(page) for line in block):
            axes = "--x z_re=-1:1 --y z_im=-1:1 --res 16"
            main(f"sweep --map newton {axes} --steps 20 --out run.zarr --quiet".split())
        return tmp_path

    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    monkeypatch.setenv("MPLBACKEND", "agg")
    yield stand
    forget(tmp_path)


def forget(folder):
    """Unload the modules of a folder: on another page the same name means another file."""
    for name, module in list(sys.modules.items()):
        if str(folder) in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]


def explored(words):
    """Start the explorer, look at its page, and end it as a reader does."""
    command = [sys.executable, "-m", "dynfrac", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        if address:
            with urllib.request.urlopen(address[0], timeout=60) as answer:
                assert b"<html" in answer.read()
            process.send_signal(signal.SIGINT)
        return process.wait(timeout=60)


def type_line(line):
    """Run one line as a shell would and return its exit status."""
    words = shlex.split(line)
    match words[0]:
        case "cd":
            os.chdir(words[1])
            return 0
        case "make":
            return subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT).returncode
        case "python":
            size = SCRIPTS[words[1]]
            return subprocess.run([sys.executable, *words[1:], *size.split()]).returncode
        case "dynfrac":
            name, words = smaller(line)
            if name == "explore":
                return explored(words)
            status = main(words)
            return 0 if status == NO_VALUE.get(name) else status
        case "eval":
            return subprocess.run(["bash", "-c", line]).returncode
        case word:
            raise AssertionError(f"{word} is no command of a page yet; say how it is run")


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if any(typed(p))], ids=lambda page: page.name)
def test_lines_run_as_written(page, reader, capfd, ctrl_c):
    folder = reader(page)
    for block in typed(page):
        with contextlib.chdir(folder):
            for line in block:
                if line not in NOT_HERE:
                    forget(folder)
                    assert type_line(line) == 0, (line, *capfd.readouterr())


PRINTED = [
    pytest.param(page, *output, id=f"{page.name}-{i}")
    for page in PAGES
    if page.name in ("boundary_dimension.md", "getting_started.md", "orbit_diagrams.md")
    for i, output in enumerate(outputs(page))
]
"""What pages say is printed; that of the worked examples is compared in tests/test_examples.py."""


def words_and_numbers(text):
    """Split a text into its words and its numbers."""
    number = r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?"
    return re.sub(number, "#", text).split(), [float(n) for n in re.findall(number, text)]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "lines", "text"), PRINTED)
def test_lines_print_what_the_page_shows(page, lines, text, reader, capfd):
    reader(page)
    for line in lines:
        assert main([*shlex.split(line)[1:]]) == 0
    printed = capfd.readouterr().out.splitlines()
    heads = [" ".join(words_and_numbers(line)[0]) for line in printed]
    for line in filter(str.strip, text.splitlines()):
        words, numbers = words_and_numbers(line)
        there = words_and_numbers(printed[heads.index(" ".join(words))])[1]
        heads[heads.index(" ".join(words))] = ""
        # Orbits that are chaotic hang on the processor in their last digits.
        assert there == pytest.approx(numbers, rel=0.1, abs=0.02), line


def test_what_is_not_run_is_in_the_documentation():
    lines = {line for page in PAGES for block in typed(page) for line in block}
    assert set(NOT_HERE) <= lines
    assert {f"python {script}" for script in SCRIPTS} <= lines
    assert len(lines) > 90


def test_extras_that_are_installed_exist():
    import importlib.metadata

    extras = set(importlib.metadata.metadata("dynfrac").get_all("Provides-Extra") or ())
    named = set()
    for page in PAGES:
        named |= set(re.findall(r"(?:-e \"?\.|dynfrac)\[(\w+)\]", page.read_text("utf-8")))
    assert {"explore", "dask"} <= named <= extras
