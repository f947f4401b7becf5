"""Adaptive sweeps: what they run and what they fill in, and that they agree with the dense one."""

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dynfrac.analysis.labels import boundary_cells
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import Evaluator
from dynfrac.sweeps import filling
from dynfrac.sweeps.recomputation import check_sample, sweep_again
from dynfrac.sweeps.refinement import Refinement
from dynfrac.sweeps.repairs import repair_store
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.sweeps.stores import Store
from dynfrac.sweeps.verification import verify_store
from dynfrac.systems.complex_maps import Quadratic
from tests.sweeps.test_runs import stored_bytes

SETTINGS = {
    "n_steps": 60,
    "rule": "bounded:2",
    "tile": 256,
    "identity": {"map": "quadratic", "arguments": {}},
}

CLOSE = Refinement(guard=3)
"""Leaves something to fill in, in a picture as small as these."""


def axes_of(*sizes):
    names = (("c_re", -2, 0.5), ("c_im", -1.2, 1.2), ("z_re", -0.4, 0.4))
    return tuple(Axis(*ends, n) for ends, n in zip(names, sizes, strict=False))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A dense sweep and an adaptive one of the same runs."""
    folder = tmp_path_factory.mktemp("pair")
    axes = axes_of(130, 100)
    dense = sweep(Quadratic(), axes, out=folder / "dense.zarr", **SETTINGS)
    adaptive = sweep(Quadratic(), axes, out=folder / "adaptive.zarr", adaptive=CLOSE, **SETTINGS)
    return dense, adaptive


def test_what_was_run_is_that_of_the_dense_sweep(pair):
    dense, adaptive = pair
    run = adaptive.was_run
    assert adaptive.computed == run.sum() == (adaptive.field("stride") == 1).sum()
    assert adaptive.reused == adaptive.pending == 0
    assert 0 < run.sum() < 0.6 * run.size
    for name in dense.fields:
        np.testing.assert_array_equal(adaptive.field(name)[run], dense.field(name)[run])
    assert dense.was_run.all() and "stride" not in dense.fields


def test_the_boundary_is_found_and_none_is_invented(pair):
    dense, adaptive = pair
    true, found = boundary_cells(dense.labels), boundary_cells(adaptive.labels)
    assert not (found & ~true).any()
    assert (found & true).sum() >= 0.99 * true.sum()


def test_cells_that_were_not_run_have_the_outcome_of_a_run_at_hand(pair):
    _, adaptive = pair
    stride, run = adaptive.field("stride"), adaptive.was_run
    measure, status = adaptive.measure, adaptive.status
    for cell in np.argwhere(~run)[::97]:
        far = int(stride[tuple(cell)])
        about = tuple(slice(max(i - far, 0), i + far + 1) for i in cell)
        same = (measure[about] == measure[tuple(cell)]) & (status[about] == status[tuple(cell)])
        assert (same & run[about]).any()


def test_a_sentence_says_that_not_all_was_run(pair):
    dense, adaptive = pair
    share = f"{adaptive.was_run.mean():.2%}"
    (flag,) = adaptive.flags
    assert flag.startswith(f"{share} of the cells were run, and the others")
    assert open_sweep(adaptive.path).flags == adaptive.flags and not dense.flags
    assert open_sweep(adaptive.path).reused == adaptive.computed


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_invented_whatever_the_labels_are(tmp_path, monkeypatch, seed):
    # Labels that no map would give: noise, smoothed over a random length.
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.standard_normal((70, 50)), rng.uniform(0.5, 5))
    labels = noise > np.quantile(noise, 0.7)
    axes = (Axis("c_re", 0, 49, 50, "linear"), Axis("c_im", 0, 69, 70, "linear"))
    ran = []

    def made_up(self, columns, on_progress=None):
        at = columns["c_im"].astype(int), columns["c_re"].astype(int)
        ran.extend(zip(*at, strict=True))
        n = len(at[0])
        blank = {"measure": np.zeros(n), "t_escape": np.full(n, -1), "final_loss": np.zeros(n)}
        return {**blank, "status": np.where(labels[at], 1, 3).astype(np.uint8)}

    monkeypatch.setattr(filling.TileJob, "__call__", made_up)
    settings = {**SETTINGS, "adaptive": Refinement(8, int(rng.integers(0, 3))), "tile": 64}
    result = sweep(Quadratic(), axes, out=tmp_path / "s.zarr", **settings)
    found, true = boundary_cells(result.labels), boundary_cells(labels)
    assert not (found & ~true).any() and found.any()
    assert len(set(ran)) == len(ran) == result.computed


@pytest.mark.parametrize("sizes", [(400,), (40, 24, 20), (60, 6)])
def test_one_and_three_axes_and_a_short_one(tmp_path, sizes):
    axes = axes_of(*sizes)
    dense = sweep(Quadratic(), axes, out=tmp_path / "dense.zarr", **SETTINGS)
    settings = {**SETTINGS, "adaptive": Refinement(4, 1)}
    found = sweep(Quadratic(), axes, out=tmp_path / "s.zarr", **settings)
    true, seen = boundary_cells(dense.labels), boundary_cells(found.labels)
    assert not (seen & ~true).any() and seen.sum() >= 0.9 * true.sum()
    assert found.computed < dense.computed
    np.testing.assert_array_equal(found.measure[found.was_run], dense.measure[found.was_run])


def test_a_picture_without_a_boundary_is_run_on_the_coarse_grid_only(tmp_path):
    axes = (Axis("c_re", -0.1, 0.1, 129), Axis("c_im", -0.1, 0.1, 129))
    found = sweep(Quadratic(), axes, out=tmp_path / "s.zarr", adaptive=True, **SETTINGS)
    assert found.computed == 9 * 9 and found.labels.all()
    assert set(np.unique(found.field("stride"))) == {1, 16}


@pytest.mark.parametrize("at", [2, 4, 7])
def test_interrupted_and_resumed_to_the_byte(tmp_path, monkeypatch, pair, at):
    _, whole = pair

    class Interrupted(Evaluator):
        calls = 0

        def __call__(self, *arguments, **settings):
            Interrupted.calls += 1
            if Interrupted.calls == at:  # the first compiles
                raise KeyboardInterrupt
            return super().__call__(*arguments, **settings)

    monkeypatch.setattr(filling, "Evaluator", Interrupted)
    settings = {**SETTINGS, "out": tmp_path / "s.zarr", "adaptive": CLOSE}
    with pytest.raises(KeyboardInterrupt) as caught:
        sweep(Quadratic(), axes_of(130, 100), **settings)
    monkeypatch.undo()
    kept = int(open_sweep(tmp_path / "s.zarr").was_run.sum())
    assert str(caught.value).startswith(f"{kept} runs are kept in ")
    assert (kept > 0) == (at > 2)
    found = verify_store(tmp_path / "s.zarr")
    assert found.sound and found.pending == found.tiles and not found.leftovers
    resumed = sweep(Quadratic(), axes_of(130, 100), **settings)
    assert (resumed.reused, resumed.computed) == (kept, whole.computed - kept)
    assert stored_bytes(resumed.path) == stored_bytes(whole.path)


def test_a_kill_while_cells_are_filled_in_loses_nothing(tmp_path, monkeypatch, pair):
    _, whole = pair

    class Killed(BaseException):
        pass

    def killed(self, blocks):
        *_, marker = self.fields
        blocks = list(blocks)
        if any((block["stride"] > 1).any() for _, block in blocks):  # the fields, not the marker
            for tile, block in blocks:
                for name in self.fields:
                    if name != marker:
                        self._arrays[name][tile].write(block[name]).result()
            raise Killed
        put(self, blocks)

    put = Store.write_all
    monkeypatch.setattr(Store, "write_all", killed)
    settings = {**SETTINGS, "out": tmp_path / "s.zarr", "adaptive": CLOSE}
    with pytest.raises(Killed):
        sweep(Quadratic(), axes_of(130, 100), **settings)
    monkeypatch.undo()
    resumed = sweep(Quadratic(), axes_of(130, 100), **settings)
    assert (resumed.computed, resumed.reused) == (0, whole.computed)
    assert stored_bytes(resumed.path) == stored_bytes(whole.path)


def test_workers_change_no_byte(tmp_path, pair):
    _, whole = pair
    settings = {**SETTINGS, "out": tmp_path / "s.zarr", "adaptive": CLOSE, "workers": 2}
    shared = sweep(Quadratic(), axes_of(130, 100), **settings)
    assert stored_bytes(shared.path) == stored_bytes(whole.path)


def test_progress_never_goes_back_and_ends_at_the_total(tmp_path):
    seen = []
    settings = {**SETTINGS, "out": tmp_path / "s.zarr", "adaptive": CLOSE}
    sweep(Quadratic(), axes_of(70, 70), on_progress=lambda *call: seen.append(call), **settings)
    total = 70 * 70 * 60
    assert seen[0] == (0, total) and seen[-1] == (total, total)
    assert all(a <= b for (a, _), (b, _) in itertools.pairwise(seen))
    assert len(seen) > 5
    seen.clear()
    sweep(Quadratic(), axes_of(70, 70), on_progress=lambda *call: seen.append(call), **settings)
    assert seen == []


def test_another_refinement_is_another_sweep(pair):
    _, adaptive = pair
    settings = {**SETTINGS, "out": adaptive.path}
    with pytest.raises(ValueError, match=r"adaptive.guard is 3 there and 2 here"):
        sweep(Quadratic(), axes_of(130, 100), adaptive=Refinement(guard=2), **settings)
    with pytest.raises(ValueError, match=r"adaptive.guard is 3 there and absent here"):
        sweep(Quadratic(), axes_of(130, 100), **settings)


def test_a_damaged_tile_is_repaired_to_the_byte(tmp_path, pair):
    _, whole = pair
    settings = {**SETTINGS, "out": tmp_path / "s.zarr", "adaptive": CLOSE}
    made = sweep(Quadratic(), axes_of(130, 100), **settings)
    chunks = sorted(p for p in (made.path / "measure" / "c").rglob("*") if p.is_file())
    chunks[2].write_bytes(chunks[2].read_bytes()[:-3])
    chunks[5].unlink()
    found = verify_store(made.path)
    assert found.damaged == 2
    repair_store(found)
    again = sweep_again(made.path)
    assert 0 < again.computed < whole.computed
    assert stored_bytes(made.path) == stored_bytes(whole.path)
    assert check_sample(verify_store(made.path), 100).sound


def test_a_sample_finds_a_run_that_is_wrong_and_leaves_the_filled_in_alone(tmp_path, pair):
    settings = {**SETTINGS, "out": tmp_path / "s.zarr", "adaptive": CLOSE}
    made = sweep(Quadratic(), axes_of(130, 100), **settings)
    cell = tuple(np.argwhere(made.was_run)[1234])
    made._store._arrays["measure"][cell].write(0.123).result()
    filled = tuple(np.argwhere(~made.was_run)[50])
    made._store._arrays["measure"][filled].write(0.123).result()
    (damage,) = check_sample(verify_store(made.path), 100).damage
    assert damage.array == "measure" and damage.reason.startswith("1 of its ")


def test_lengths_of_runs_can_be_an_axis(tmp_path):
    axes = Axis("c_re", -2, 0.5, 65), Axis("n_steps", 10, 330, 65)
    settings = {"hparams": {"c_im": 0.1}, "rule": "bounded:2"}
    dense = sweep(Quadratic(), axes, out=tmp_path / "dense.zarr", **settings)
    found = sweep(Quadratic(), axes, out=tmp_path / "found.zarr", adaptive=True, **settings)
    run = found.was_run
    assert not run.all()
    assert np.array_equal(found.t_escape[run], dense.t_escape[run])
    assert np.array_equal(found.labels, dense.labels)
