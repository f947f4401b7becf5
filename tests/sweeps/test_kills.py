"""A sweep that is killed again and again, at random: nothing wrong is ever marked as done."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dynfrac.orbits.axes import Axis
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.sweeps.verification import verify_store
from dynfrac.systems.complex_maps import Quadratic
from tests.sweeps.test_runs import stored_bytes

AXES = (Axis("c_re", -2, 0.5, 96), Axis("c_im", -1.2, 1.2, 96))
SETTINGS = {"n_steps": 300, "rule": "bounded:2", "tile": 32}

CHILD = """
import sys
from dynfrac.orbits.axes import Axis
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.complex_maps import Quadratic
axes = (Axis("c_re", -2, 0.5, 96), Axis("c_im", -1.2, 1.2, 96))
sweep(Quadratic(), axes, out=sys.argv[1], n_steps=300, rule="bounded:2", tile=32,
      adaptive=sys.argv[2] == "adaptive")
"""


def run_and_kill(path, how, delay):
    """Start the sweep in a process of its own and kill it; return whether it had ended by then."""
    environment = {**os.environ, "JAX_ENABLE_X64": "0"}
    command = [sys.executable, "-c", CHILD, str(path), how]
    with subprocess.Popen(command, env=environment) as process:
        try:
            assert process.wait(delay) == 0
            return True
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return False


def wrong_cells(path, whole):
    """Count the cells that count as run, and differ from those of a sweep that was left alone."""
    found = open_sweep(path)
    run = found.was_run
    wrong = np.zeros_like(run)
    for name in ("status", "measure", "t_escape", "final_loss"):
        made, right = (np.ascontiguousarray(sweep.field(name)) for sweep in (found, whole))
        # Bit by bit: not-a-number is not equal to itself.
        bits = [a[..., None].view(np.uint8) for a in (made, right)]
        wrong |= (bits[0] != bits[1]).any(-1)
    return int((wrong & run).sum()), int(run.sum())


@pytest.mark.slow
@pytest.mark.parametrize(("how", "kills"), [("dense", 100), ("adaptive", 50)])
def test_a_hundred_kills_at_random_times(tmp_path, how, kills):
    whole = sweep(
        Quadratic(), AXES, out=tmp_path / "whole.zarr", adaptive=how == "adaptive", **SETTINGS
    )
    start = time.monotonic()
    assert run_and_kill(tmp_path / "timed.zarr", how, 600)
    span = time.monotonic() - start
    begun = (tmp_path / "timed.zarr" / "zarr.json").stat().st_mtime
    ended = max(p.stat().st_mtime for p in (tmp_path / "timed.zarr" / "status" / "c").rglob("*"))
    # Most kills while tiles are written; some before there is a store, and some after the end.
    least, most = span - 1.5 * (ended - begun), 1.05 * span
    rng = random.Random(20)
    places = []
    n = finished = 0
    while n < kills:
        path = tmp_path / f"{finished}.zarr"
        if run_and_kill(path, how, rng.uniform(least, most)):
            assert stored_bytes(path) == stored_bytes(whole.path)
            finished += 1
            continue
        n += 1
        if path.exists():
            assert verify_store(path).sound
            wrong, run = wrong_cells(path, whole)
            assert wrong == 0
            places.append(run)
    assert run_and_kill(path, how, 600)
    assert stored_bytes(path) == stored_bytes(whole.path)
    # The kills were in the middle of the work, not only before and after it.
    assert len({run for run in places if 0 < run < whole.was_run.sum()}) > kills / 10
    print(f"{how}: {n} kills, {len(places)} with a store, {finished + 1} sweeps finished")
