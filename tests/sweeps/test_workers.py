"""Workers change no byte, and one that is lost loses nothing but the tile it was at."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.orbits.axes import Axis
from dynfrac.sweeps import workers
from dynfrac.sweeps.clusters import ExecutorWorkers, connect
from dynfrac.sweeps.processes import ProcessWorkers
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.systems.published import published_map

RATES = Axis("lr_in", 1, 1e4, 12), Axis("lr_out", 1, 1e4, 11)
PLANE = Axis("c_re", -2, 0.5, 32), Axis("c_im", -1.2, 1.2, 32)
SETTINGS = {"n_steps": 60, "lanes": 4, "tile": 16}


def stored_bytes(path):
    """All that is in a store but its log."""
    files = sorted(p for p in Path(path).rglob("*") if p.is_file())
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in files
        if "log" not in file.relative_to(path).parts
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    path = tmp_path_factory.mktemp("alone") / "rates.zarr"
    return sweep(published_map(width=4), RATES, out=path, **SETTINGS)


def test_processes_write_the_bytes_of_one(alone, tmp_path):
    told = []
    path = tmp_path / "shared.zarr"
    shared = sweep(
        published_map(width=4),
        RATES,
        out=path,
        workers=2,
        on_progress=lambda done, total: told.append((done, total)),
        **SETTINGS,
    )
    assert shared.computed == 132 and shared.pending == 0
    assert stored_bytes(path) == stored_bytes(alone.path)
    assert told[0] == (0, 132 * 60) and told[-1] == (132 * 60, 132 * 60)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_sweep_begun_alone_is_finished_by_workers(alone, tmp_path):
    path = tmp_path / "half.zarr"

    def stop(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="of 132 cells are kept"):
        sweep(published_map(width=4), RATES, out=path, on_progress=stop, **SETTINGS)
    kept = open_sweep(path).reused
    # Threads of this process stand in for workers: whose tiles are missing is what counts here.
    with ThreadPoolExecutor(2) as pool:
        rest = sweep(
            published_map(width=4), RATES, out=path, workers=ExecutorWorkers(pool, 2), **SETTINGS
        )
    assert 0 < kept == rest.reused and rest.computed == 132 - kept
    assert stored_bytes(path) == stored_bytes(alone.path)


def sleep_then_square(argument):
    """Do a little, slowly, and say where."""
    time.sleep(0.05)
    return argument**2, os.getpid()


def die(argument):
    """End without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_replaced_and_its_task_done_again():
    done, killed = {}, set()
    for key, (square, pid), _ in ProcessWorkers(2).run(
        sleep_then_square, zip("abcdefgh", range(8), strict=True)
    ):
        done[key] = square
        if not killed:
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)
    assert done == {key: i**2 for i, key in enumerate("abcdefgh")}


def test_workers_that_always_die_end_the_sweep_in_a_sentence():
    with pytest.raises(ChildProcessError, match=r"3 times in a row .* fewer workers"):
        list(ProcessWorkers(1).run(die, [("a", 0)]))


def test_processes_share_the_processors_and_are_gone_afterwards():
    answers = [answer for _, answer, _ in ProcessWorkers(2).run(where, enumerate(range(6)))]
    pids = {pid for pid, _ in answers}
    mine = os.sched_getaffinity(0)
    assert all(cores <= mine for _, cores in answers)
    if len(mine) > 1:
        assert all(len(cores) <= (len(mine) + 1) // 2 for _, cores in answers)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def where(argument):
    """Return the process and the processors it may use."""
    time.sleep(0.05)
    return os.getpid(), os.sched_getaffinity(0)


def test_tasks_are_drawn_no_faster_than_they_are_needed():
    drawn = []

    def tasks():
        for i in range(100):
            drawn.append(i)
            yield i, i

    with ThreadPoolExecutor(2) as pool:
        for done, _ in enumerate(ExecutorWorkers(pool, 2).run(abs, tasks()), start=1):
            assert len(drawn) <= done + 4
    assert len(drawn) == 100


class Local(AbstractMap):
    """A map that pickle cannot find, because its function is made here."""

    defaults = {"a": 1.0}
    double = staticmethod(lambda x: x)

    def init(self, hparams):
        return jnp.asarray(hparams["a"])

    def step(self, state, hparams, t):
        return state / 2

    def observe(self, state, hparams):
        return abs(state)


def test_a_map_that_cannot_be_sent_is_refused_before_anything_is_written(tmp_path):
    class Inner(Local):
        """Defined inside a function."""

    with pytest.raises(ValueError, match="cannot be sent to workers .* workers=1"):
        sweep(Inner(), [Axis("a", 0, 1, 8)], n_steps=5, out=tmp_path / "x.zarr", workers=2)


@pytest.mark.parametrize("number", [0, -1, 1.5, True])
def test_what_is_no_number_of_workers_is_refused(number, tmp_path):
    with pytest.raises(ValueError, match="is no number of processes"):
        sweep(Quadratic(), PLANE, n_steps=5, out=tmp_path / "x.zarr", workers=number)


def test_another_kind_of_device_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_do", lambda payload, argument: ({}, "an accelerator"))
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="round differently"):
        sweep(Quadratic(), PLANE, n_steps=5, out=tmp_path / "x.zarr", workers=ExecutorWorkers(pool))


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from dynfrac.orbits.axes import Axis
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.complex_maps import Quadratic
if __name__ == "__main__":
    axes = (Axis("c_re", -2, 0.5, 64), Axis("c_im", -1.2, 1.2, 64))
    try:
        options = {"n_steps": 20000, "rule": "bounded:2", "tile": 64, "workers": 2}
        sweep(Quadratic(), axes, out=sys.argv[1], **options)
    except KeyboardInterrupt as stop:
        print(stop)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_a_kill_end_all_processes_and_keep_what_is_done(tmp_path, how):
    script, path = tmp_path / "run.py", tmp_path / "stopped.zarr"
    script.write_text(INTERRUPTED)
    # A group of its own, all of which hears Ctrl-C, as in a terminal.
    process = subprocess.Popen(
        [sys.executable, str(script), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = path / "log" / "sessions.jsonl"
    deadline = time.monotonic() + 180
    while not log.exists() or '"tile"' not in log.read_text():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    if how == signal.SIGINT:
        os.killpg(process.pid, how)
    else:
        os.kill(process.pid, how)  # the workers hear nothing of it
    said = process.communicate(timeout=60)[0]
    if how == signal.SIGINT:
        assert "cells are kept" in said and "resume" in said
    kept = open_sweep(path)
    assert 0 < kept.reused < 64 * 64
    while living(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not living(process.pid)


def living(group):
    """The processes of a group that have not ended."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state != "Z":
                found.append(status.parent.name)
    return found


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        host="127.0.0.1",
    ) as found:
        yield found


@pytest.mark.slow
def test_a_cluster_writes_the_bytes_of_one_process_and_survives_the_loss_of_a_worker(
    alone, cluster, tmp_path
):
    path = tmp_path / "cluster.zarr"
    killed = []

    def kill_one(done, total):
        if done and not killed:
            worker = next(iter(cluster.workers.values()))
            killed.append(worker.pid)
            threading.Thread(target=os.kill, args=(worker.pid, signal.SIGKILL)).start()

    with connect(cluster.scheduler_address) as hands:
        assert hands.n == 2
        shared = sweep(
            published_map(width=4), RATES, out=path, workers=hands, on_progress=kill_one, **SETTINGS
        )
    assert killed and shared.computed == 132
    assert stored_bytes(path) == stored_bytes(alone.path)


def test_a_scheduler_that_is_not_there_is_one_sentence():
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match="does not answer"), connect("tcp://127.0.0.1:9"):
        pass


def test_values_of_workers_are_those_of_the_evaluator(alone):
    assert 0 < alone.labels.sum() < 132
    assert np.isfinite(alone.measure).all()
