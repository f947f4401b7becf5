"""Sweeps: what they compute, and that nothing is lost, repeated or changed by being interrupted."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import Evaluator, evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.rules import PublishedRule
from dynfrac.sweeps import filling
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.systems.descents import CubicDescent, QuadraticDescent
from dynfrac.systems.published import published_map

FIELDS = ("status", "measure", "t_escape", "final_loss")
AXES = (Axis("c_re", -2, 0.5, 9), Axis("c_im", -1.2, 1.2, 7))
SETTINGS = {"n_steps": 40, "rule": "bounded:2"}


def stored_bytes(path):
    """Return every file of a store except the log."""
    files = [p for p in path.rglob("*") if p.is_file() and "log" not in p.relative_to(path).parts]
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


def tiles_computed(path):
    """Return the first cells of the tiles that the log says were computed, in order."""
    lines = (path / "log" / "sessions.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [tuple(r["first"]) for r in records if r["event"] == "tile"]


@pytest.mark.parametrize("tile", [None, 8])
def test_every_cell_is_what_the_evaluator_says(tmp_path, tile):
    result = sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", tile=tile, **SETTINGS)
    x, y = np.meshgrid(AXES[0].points(), AXES[1].points())
    outcomes = evaluate(Quadratic(), {"c_re": x.ravel(), "c_im": y.ravel()}, **SETTINGS)
    assert result.shape == (7, 9)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(result, name), getattr(outcomes, name).reshape(7, 9))
    np.testing.assert_array_equal(result.labels, outcomes.labels.reshape(7, 9))
    # The first row is the low end: c = -2 and c = 0 are in the set, c = 0.5 is not.
    assert result.labels[3].tolist()[0] and not result.labels[3].tolist()[-1]
    assert result.counts["converged"] == outcomes.labels.sum()
    assert sum(result.counts.values()) == 63


def test_rows_are_the_y_axis_from_its_low_end(tmp_path):
    # Descent on w^2/2 converges for lr < 2, from any start.
    axes = (Axis("lr", 0.5, 3.5, 4, "linear"), Axis("w0", 1, 2, 2))
    map_ = QuadraticDescent((1.0,))
    result = sweep(map_, axes, n_steps=100, out=tmp_path / "s.zarr", rule="bounded:10")
    np.testing.assert_array_equal(result.labels, [[True, True, False, False]] * 2)
    assert result.t_escape[0, 2] > result.t_escape[1, 2] > 0


@pytest.mark.parametrize(("n_axes", "shape"), [(1, (5,)), (3, (3, 4, 5))])
def test_one_and_three_axes(tmp_path, n_axes, shape):
    axes = (Axis("c_re", -2, 0.5, 5), Axis("c_im", -1, 1, 4), Axis("z_re", 0, 0.5, 3))[:n_axes]
    result = sweep(Quadratic(), axes, out=tmp_path / "s.zarr", tile=6, **SETTINGS)
    assert result.status.shape == result.shape == shape
    grid = np.meshgrid(*(axis.points() for axis in reversed(axes)), indexing="ij")
    columns = {a.name: g.ravel() for a, g in zip(reversed(axes), grid, strict=True)}
    outcomes = evaluate(Quadratic(), columns, **SETTINGS)
    np.testing.assert_array_equal(result.measure, outcomes.measure.reshape(shape))
    assert open_sweep(result.path).axes == axes
    for axis, points in zip(axes, result.points, strict=True):
        np.testing.assert_array_equal(points, axis.points())


def test_fixed_hyperparameters_reach_the_runs(tmp_path):
    result = sweep(
        Quadratic(), AXES[:1], hparams={"c_im": 0.25}, out=tmp_path / "s.zarr", **SETTINGS
    )
    expected = evaluate(Quadratic(), {"c_re": AXES[0].points(), "c_im": 0.25}, **SETTINGS)
    np.testing.assert_array_equal(result.measure, expected.measure)
    assert result.spec["hparams"] == {"c_im": 0.25, "z_re": 0.0, "z_im": 0.0}


def test_a_finished_sweep_is_not_computed_again(tmp_path, monkeypatch):
    first = sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", **SETTINGS)
    before = stored_bytes(first.path)

    def refused(*arguments, **settings):
        raise AssertionError("a finished sweep was computed again")

    monkeypatch.setattr(filling, "Evaluator", refused)
    again = sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", **SETTINGS)
    assert (first.computed, first.reused) == (63, 0)
    assert (again.computed, again.reused) == (0, 63)
    assert np.isnan(again.run_steps_per_second) and first.run_steps_per_second > 0
    assert stored_bytes(first.path) == before


def test_only_unfinished_tiles_are_computed(tmp_path, monkeypatch):
    whole = sweep(Quadratic(), AXES, out=tmp_path / "whole.zarr", tile=8, **SETTINGS)
    cut = sweep(Quadratic(), AXES, out=tmp_path / "cut.zarr", tile=8, **SETTINGS)
    # A tile whose marker never got to the disk: its other fields do not count.
    (cut.path / "status" / "c" / "1" / "0").unlink()
    partial = open_sweep(cut.path)
    lost = partial.status == 0
    assert partial.pending == lost.sum() == partial.counts["pending"] > 0
    assert np.isnan(partial.measure[lost]).all() and np.isnan(partial.final_loss[lost]).all()
    assert (partial.t_escape[lost] == -1).all() and not partial.labels[lost].any()
    assert partial.reused == 63 - partial.pending

    asked = []

    class Counting(Evaluator):
        def __call__(self, hparams, **settings):
            if self.n_steps > 1:  # not the call that compiles
                asked.append(len(hparams["c_re"]))
            return super().__call__(hparams, **settings)

    monkeypatch.setattr(filling, "Evaluator", Counting)
    resumed = sweep(Quadratic(), AXES, out=cut.path, tile=8, **SETTINGS)
    assert asked == [lost.sum()]
    assert (resumed.computed, resumed.reused) == (lost.sum(), 63 - lost.sum())
    assert stored_bytes(cut.path) == stored_bytes(whole.path)


def test_progress_counts_what_is_left(tmp_path):
    seen = []
    settings = {**SETTINGS, "tile": 8, "out": tmp_path / "s.zarr"}
    sweep(Quadratic(), AXES, on_progress=lambda *call: seen.append(call), **settings)
    assert seen[0] == (0, 63 * 40) and seen[-1] == (63 * 40, 63 * 40)
    assert all(a <= b for (a, _), (b, _) in zip(seen, seen[1:], strict=False))
    seen.clear()
    (tmp_path / "s.zarr" / "status" / "c" / "0" / "0").unlink()
    left = open_sweep(tmp_path / "s.zarr").pending
    sweep(Quadratic(), AXES, on_progress=lambda *call: seen.append(call), **settings)
    assert seen[0] == (0, left * 40) and seen[-1] == (left * 40, left * 40)
    seen.clear()
    sweep(Quadratic(), AXES, on_progress=lambda *call: seen.append(call), **settings)
    assert seen == []


CHANGES = {
    "n_steps": ({"n_steps": 41}, "n_steps is 40 there and 41 here"),
    "rule": ({"rule": "bounded:3"}, "rule is bounded:2 there and bounded:3 here"),
    "dtype": ({"dtype": "float32"}, "dtype is float64 there and float32 here"),
    "lanes": ({"lanes": 3}, "lanes is"),
    "hparams": ({"hparams": {"z_re": 0.5}}, "hparams.z_re is 0.0 there and 0.5 here"),
    "axes": (
        {"axes": (dataclasses.replace(AXES[0], high=0.25), AXES[1])},
        "axes.x.high is 0.5 there and 0.25 here",
    ),
    "resolution": (
        {"axes": (AXES[0], dataclasses.replace(AXES[1], n=8))},
        "axes.y.n is 7 there and 8 here",
    ),
    "identity": ({"identity": {"map": "mine"}}, "map.map is quadratic there and mine here"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_specification_is_refused_by_the_field(tmp_path, name):
    def call(axes=AXES, **changes):
        settings = {**SETTINGS, "identity": {"map": "quadratic"}, **changes}
        return sweep(Quadratic(), axes, out=tmp_path / "s.zarr", **settings)

    before = stored_bytes(call().path)
    changes, sentence = CHANGES[name]
    with pytest.raises(ValueError) as caught:
        call(**changes)
    assert f"s.zarr holds another sweep: {sentence}" in str(caught.value)
    assert "fingerprint" not in str(caught.value) and "\n" not in str(caught.value)
    assert stored_bytes(tmp_path / "s.zarr") == before


def test_a_map_of_the_same_name_that_is_built_otherwise_is_refused(tmp_path):
    settings = {"n_steps": 10, "out": tmp_path / "s.zarr", "identity": {"map": "mine"}}
    axes = (Axis("lr", 0.1, 3, 4),)
    sweep(QuadraticDescent((1.0,)), axes, **settings)
    with pytest.raises(ValueError, match="holds another sweep: fingerprint is"):
        sweep(QuadraticDescent((1.5,)), axes, **settings)
    with pytest.raises(ValueError, match="rule is published there and published:10 here"):
        sweep(QuadraticDescent((1.0,)), axes, rule=PublishedRule(tail=10), **settings)


def test_another_version_of_the_compiler_is_refused(tmp_path, monkeypatch):
    sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", **SETTINGS)
    path = tmp_path / "s.zarr" / "zarr.json"
    group = json.loads(path.read_text())
    group["attributes"]["versions"]["jaxlib"] = "0.0.1"
    path.write_text(json.dumps(group))
    assert open_sweep(tmp_path / "s.zarr").pending == 0
    with pytest.raises(ValueError, match="version of jaxlib is 0.0.1 there and "):
        sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", **SETTINGS)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("n_steps", 41), "its specification does not have the hash beside it"),
        (("format", 2), "its specification does not have the hash beside it"),
    ],
)
def test_a_specification_that_was_edited_is_damage(tmp_path, change, expected):
    sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", **SETTINGS)
    path = tmp_path / "s.zarr" / "zarr.json"
    group = json.loads(path.read_text())
    group["attributes"]["specification"].update([change])
    path.write_text(json.dumps(group))
    with pytest.raises(ValueError, match=expected):
        open_sweep(tmp_path / "s.zarr")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"axes": ()}, "0 axes were given; a sweep has one, two or three"),
        ({"axes": (AXES[0], AXES[0])}, "'c_re' is on two axes"),
        ({"axes": (Axis("c_rr", 0, 1, 4),)}, "unknown hyperparameter 'c_rr'; did you mean 'c_re'"),
        ({"axes": (Axis("c_re", 0, 1),)}, "axis c_re does not say how many points"),
        ({"axes": (Axis("c_re", 0, 1, 10**9), Axis("c_im", 0, 1, 10**9))}, "needs 2.1e\\+07 TB"),
        ({"n_steps": 0}, "n_steps=0 must be at least 1"),
        ({"tile": 0}, "tile=0 must be at least 1"),
        ({"lanes": 0}, "lanes=0 must be at least 1"),
        ({"rule": "bound"}, "unknown rule 'bound'; did you mean 'bounded'"),
        ({"dtype": "float16"}, "dtype='float16' is not supported"),
        ({"hparams": {"c_re": 0.0}}, "c_re=0.0 is fixed and c_re is an axis too"),
        ({"hparams": {"c": 0.0}}, "unknown hyperparameter 'c'"),
        ({"hparams": {"z_re": [0.0, 1.0]}}, "hyperparameter z_re has several values"),
    ],
)
def test_wrong_arguments_leave_nothing_behind(tmp_path, changes, expected):
    settings = {**SETTINGS, "axes": AXES, "out": tmp_path / "s.zarr", **changes}
    with pytest.raises(ValueError, match=expected):
        sweep(Quadratic(), **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_map_that_does_not_work_leaves_nothing_behind(tmp_path, monkeypatch):
    def broken(self, state, hparams, t):
        raise ZeroDivisionError("a defect of the map")

    monkeypatch.setattr(Quadratic, "step", broken)
    with pytest.raises(ZeroDivisionError):
        sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", n_steps=10, lanes=5)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_a_sweep_is_not_written_into(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(ValueError, match="thesis exists and is not a sweep"):
        sweep(Quadratic(), AXES, out=tmp_path / "thesis", **SETTINGS)
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def test_points_that_the_type_cannot_tell_apart_are_flagged(tmp_path):
    axes = (Axis("c_re", 0.25, 0.25 + 1e-8, 9),)
    flagged = sweep(Quadratic(), axes, out=tmp_path / "32.zarr", dtype="float32", **SETTINGS)
    assert flagged.flags[0] == "axis c_re has 9 points of which float32 tells only 1 apart"
    # Points this close have one outcome, which is told as well.
    (flag,) = sweep(Quadratic(), axes, out=tmp_path / "64.zarr", **SETTINGS).flags
    assert flag == "all 9 runs converged: there is no boundary in this window"


def test_an_interrupt_keeps_finished_tiles_and_says_how_to_go_on(tmp_path, monkeypatch):
    whole = sweep(Quadratic(), AXES, out=tmp_path / "whole.zarr", tile=8, **SETTINGS)
    calls = []

    class Interrupted(Evaluator):
        def __call__(self, *arguments, **settings):
            calls.append(1)
            if len(calls) == 4:  # one call compiles, then two tiles
                raise KeyboardInterrupt
            return super().__call__(*arguments, **settings)

    monkeypatch.setattr(filling, "Evaluator", Interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", tile=8, **SETTINGS)
    kept = 63 - open_sweep(tmp_path / "s.zarr").pending
    assert 0 < kept < 63
    assert str(caught.value).startswith(f"{kept} of 63 cells are kept in ")
    assert str(caught.value).endswith("run the same command again to resume")
    monkeypatch.undo()
    resumed = sweep(Quadratic(), AXES, out=tmp_path / "s.zarr", tile=8, **SETTINGS)
    assert (resumed.computed, resumed.reused) == (63 - kept, kept)
    assert stored_bytes(resumed.path) == stored_bytes(whole.path)


def test_published_cells_agree_between_tilings(tmp_path):
    # Networks round differently in batches of other shapes; tiles must not be such a thing.
    axes = (Axis("lr_in", 1, 1e4, 6), Axis("lr_out", 1, 1e4, 5))
    map_ = published_map(width=4)
    one = sweep(map_, axes, n_steps=60, out=tmp_path / "one.zarr", lanes=4)
    many = sweep(map_, axes, n_steps=60, out=tmp_path / "many.zarr", lanes=4, tile=6)
    assert one.spec["tile"] == [5, 6] and many.spec["tile"] != [5, 6]
    assert 0 < one.labels.sum() < 30
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


KILLED = """
import sys
from dynfrac.orbits.axes import Axis
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.complex_maps import Quadratic
axes = (Axis("c_re", -2, 0.5, 64), Axis("c_im", -1.2, 1.2, 64))
sweep(Quadratic(), axes, n_steps=2000, rule="bounded:2", out=sys.argv[1], tile=128)
"""


def start(path):
    environment = {**os.environ, "JAX_ENABLE_X64": "0"}
    return subprocess.Popen([sys.executable, "-c", KILLED, str(path)], env=environment)


def test_killed_twice_in_the_middle_and_resumed_to_the_byte(tmp_path):
    path = tmp_path / "killed.zarr"
    for wanted in (3, 9):
        process = start(path)
        try:
            deadline = time.monotonic() + 120
            log = path / "log" / "sessions.jsonl"
            while not log.exists() or len(tiles_computed(path)) < wanted:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.002)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        finished = open_sweep(path)
        assert 0 < finished.reused < 64 * 64
    axes = (Axis("c_re", -2, 0.5, 64), Axis("c_im", -1.2, 1.2, 64))
    settings = {"n_steps": 2000, "rule": "bounded:2", "tile": 128}
    resumed = sweep(Quadratic(), axes, out=path, **settings)
    assert resumed.reused == finished.reused
    assert resumed.computed == 64 * 64 - finished.reused
    computed = tiles_computed(path)
    assert len(set(computed)) == len(computed)  # no finished tile twice
    assert (resumed.status != Status.PENDING).all()
    whole = sweep(Quadratic(), axes, out=tmp_path / "whole.zarr", **settings)
    assert stored_bytes(path) == stored_bytes(whole.path)


def test_the_exponent_of_every_cell_is_stored_and_resumed_to_the_byte(tmp_path, monkeypatch):
    axes = (Axis("lr", 0.3, 2.3, 9, "linear"), Axis("w0", 0.1, 1.9, 7))
    settings = {"n_steps": 60, "tile": 8}
    plain = sweep(CubicDescent(), axes, out=tmp_path / "plain.zarr", **settings)
    settings["record"] = ("lyapunov",)
    whole = sweep(CubicDescent(), axes, out=tmp_path / "whole.zarr", **settings)
    assert whole.spec["record"] == ["lyapunov"] and "lyapunov" in whole.fields
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(whole, name), getattr(plain, name))
    x, y = (grid.ravel() for grid in np.meshgrid(axes[0].points(), axes[1].points()))
    outcomes = evaluate(CubicDescent(), {"lr": x, "w0": y}, n_steps=60, record=("lyapunov",))
    np.testing.assert_array_equal(whole.field("lyapunov").ravel(), outcomes.metrics["lyapunov"])

    class Interrupted(Evaluator):
        calls = 0

        def __call__(self, *args, **kwargs):
            Interrupted.calls += 1
            if Interrupted.calls == 4:
                raise KeyboardInterrupt
            return super().__call__(*args, **kwargs)

    monkeypatch.setattr(filling, "Evaluator", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(CubicDescent(), axes, out=tmp_path / "cut.zarr", **settings)
    monkeypatch.undo()
    resumed = sweep(CubicDescent(), axes, out=tmp_path / "cut.zarr", **settings)
    assert 0 < resumed.reused < 63
    assert stored_bytes(resumed.path) == stored_bytes(whole.path)
    with pytest.raises(ValueError, match="unknown metric of CubicDescent: 'lyapnov'; did you mean"):
        sweep(CubicDescent(), axes, out=tmp_path / "no.zarr", n_steps=60, record=("lyapnov",))
    assert not (tmp_path / "no.zarr").exists()
