"""Who may write to a store at the same time, and who may not."""

import subprocess
import sys

import pytest

from dynfrac.cli.main import main
from dynfrac.orbits.axes import Axis
from dynfrac.sweeps import filling
from dynfrac.sweeps.locks import write_lock
from dynfrac.sweeps.repairs import repair_store
from dynfrac.sweeps.runs import sweep
from dynfrac.sweeps.verification import verify_store
from dynfrac.systems.complex_maps import Quadratic
from tests.sweeps.test_runs import stored_bytes

pytest.importorskip("fcntl")

AXES = (Axis("c_re", -2, 0.5, 30), Axis("c_im", -1.2, 1.2, 30))
SETTINGS = {
    "n_steps": 40,
    "rule": "bounded:2",
    "tile": 64,
    "identity": {"map": "quadratic", "arguments": {}},
}


@pytest.mark.parametrize(
    ("first", "second", "allowed"),
    [(False, False, True), (False, True, False), (True, False, False), (True, True, False)],
)
def test_only_writers_that_cannot_harm_each_other_share(tmp_path, first, second, allowed):
    with write_lock(tmp_path, alone=first):
        if allowed:
            with write_lock(tmp_path, alone=second):
                pass
        else:
            with pytest.raises(BlockingIOError, match="another sweep or repair is writing to it"):
                with write_lock(tmp_path, alone=second):
                    raise AssertionError
    with write_lock(tmp_path, alone=True):  # it was let go of
        pass


def test_a_killed_writer_holds_nothing(tmp_path):
    code = (
        "import sys, time, pathlib\n"
        "from dynfrac.sweeps.locks import write_lock\n"
        "with write_lock(pathlib.Path(sys.argv[1]), alone=True):\n"
        "    print('held', flush=True); time.sleep(100)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError), write_lock(tmp_path, alone=False):
            raise AssertionError
        process.kill()
    with write_lock(tmp_path, alone=True):
        pass


def test_a_repair_and_an_adaptive_sweep_want_to_be_alone(tmp_path, capsys):
    made = sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", **SETTINGS)
    (made.path / "measure" / "c" / "0" / "0").unlink()
    found = verify_store(made.path)
    with write_lock(made.path, alone=False):
        with pytest.raises(BlockingIOError):
            repair_store(found)
        assert main(["verify", str(made.path), "--repair"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "another sweep or repair is writing to it" in error
    settings = {**SETTINGS, "out": tmp_path / "a.zarr", "adaptive": True}
    fine = sweep(Quadratic(), AXES, **settings)
    (fine.path / "status" / "c" / "0" / "0").unlink()
    with write_lock(fine.path, alone=False), pytest.raises(BlockingIOError):
        sweep(Quadratic(), AXES, **settings)
    assert sweep(Quadratic(), AXES, **settings).pending == 0


def test_two_dense_sweeps_at_once_leave_the_bytes_of_one(tmp_path, monkeypatch):
    whole = sweep(Quadratic(), AXES, out=tmp_path / "whole.zarr", **SETTINGS)
    run = filling.TileJob.__call__
    others = []

    def beside(self, columns, report=None):
        # The other one starts when this one has begun, and runs to its end in the middle of it.
        if not others:
            others.append(True)
            sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", **SETTINGS)
        return run(self, columns, report)

    monkeypatch.setattr(filling.TileJob, "__call__", beside)
    made = sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", **SETTINGS)
    assert others and made.computed == 900
    assert stored_bytes(made.path) == stored_bytes(whole.path)
    assert verify_store(made.path).sound
