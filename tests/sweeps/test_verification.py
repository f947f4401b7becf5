"""Verification: every kind of damage is found and repaired, and what a kill leaves is none."""

import json
import shutil

import numpy as np
import pytest
import tensorstore as ts

from dynfrac.orbits.axes import Axis
from dynfrac.sweeps import recomputation, stores
from dynfrac.sweeps.arrays import FIELDS
from dynfrac.sweeps.recomputation import check_sample, remake, sweep_again
from dynfrac.sweeps.repairs import repair_store
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.sweeps.stores import open_store
from dynfrac.sweeps.verification import verify_store
from dynfrac.systems.catalogue import make_architecture
from dynfrac.systems.complex_maps import Quadratic

AXES = Axis("c_re", -1.2, 0.8, 9), Axis("c_im", -0.6, 0.6, 7)
IDENTITY = {"map": "quadratic", "arguments": {}}
SETTINGS = {"n_steps": 30, "rule": "bounded:2", "identity": IDENTITY}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished sweep of twelve tiles of 2 x 3 cells or fewer, which no test changes."""
    path = tmp_path_factory.mktemp("whole") / "s.zarr"
    sweep(Quadratic(), AXES, out=path, tile=8, **SETTINGS)
    assert open_store(path).tile == (2, 3)
    return path


@pytest.fixture
def path(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "s.zarr")
    return tmp_path / "s.zarr"


def data(path):
    """Return the bytes of every file but the log."""
    files = (p for p in path.rglob("*") if p.is_file() and "log" not in p.parts)
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


def flip(file, at=-6):
    """Change one bit."""
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(bytes(content))


def rewrite(path, field, first, change):
    """Store other values in one tile, with a checksum that fits."""
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path / field}/"}}
    array = ts.open({**spec, "store_data_equal_to_fill_value": True}, open=True).result()
    cells = tuple(slice(a, min(a + e, n)) for a, e, n in zip(first, (2, 3), (7, 9), strict=True))
    values = np.array(array[cells].read().result())
    change(values)
    array[cells].write(values).result()


def repaired(path):
    repair_store(verify_store(path))
    sweep_again(path)
    return path


def test_a_whole_sweep_is_sound(whole):
    calls = []
    found = verify_store(whole, on_progress=lambda done, total: calls.append((done, total)))
    assert found.sound and found.damage == () and found.flags == () and found.leftovers == ()
    assert (found.tiles, found.done, found.pending, found.damaged) == (12, 12, 0, 0)
    assert found.shape == (7, 9)
    assert calls == [(i, 12) for i in range(13)]


def test_every_finished_tile_has_a_chunk_of_every_field(whole):
    # Without the option of the writer, t_escape would have none where nothing escaped.
    assert (open_sweep(whole).t_escape[2:4, 3:6] == -1).all()
    for field in FIELDS:
        chunks = [p for p in (whole / field / "c").rglob("*") if p.is_file()]
        assert len(chunks) == 12, field


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "harm",
    [
        flip,
        lambda file: flip(file, 4),
        lambda file: file.write_bytes(file.read_bytes()[:-5]),
        lambda file: file.write_bytes(b""),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["bit of the data", "bit of the head", "truncated", "empty", "folder"],
)
def test_a_damaged_chunk_is_found_and_repaired(path, whole, field, harm):
    harm(path / field / "c" / "1" / "2")
    found = verify_store(path)
    assert [(part.array, part.cell) for part in found.damage] == [(field, (2, 6))]
    assert (found.done, found.damaged, found.pending) == (11, 1, 0)
    assert found.damage[0].reason and "\n" not in found.damage[0].reason
    assert data(repaired(path)) == data(whole)
    assert verify_store(path).sound


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "status"])
def test_a_missing_chunk_is_found_and_repaired(path, whole, field):
    (path / field / "c" / "3" / "0").unlink()
    (part,) = verify_store(path).damage
    assert (part.array, part.cell) == (field, (6, 0)) and "missing" in part.reason
    assert data(repaired(path)) == data(whole)


def test_without_its_marker_a_tile_is_pending(path, whole):
    (path / "status" / "c" / "3" / "0").unlink()
    found = verify_store(path)
    assert found.sound and (found.done, found.pending) == (11, 1)
    assert {file.relative_to(path).parts[0] for file in found.leftovers} == {*FIELDS} - {"status"}
    assert data(repaired(path)) == data(whole)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.__setitem__((0, 1), 0), "1 of its 6 runs are pending"),
        (lambda v: v.fill(0), "6 of its 6 runs are pending"),
        (lambda v: v.__setitem__((1, 1), 5), "5 is not the code of an outcome"),
    ],
)
def test_impossible_outcomes_are_found_and_repaired(path, whole, change, words):
    rewrite(path, "status", (2, 3), change)
    (part,) = verify_store(path).damage
    assert (part.array, part.cell) == ("status", (2, 3)) and words in part.reason
    assert data(repaired(path)) == data(whole)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("measure", lambda v: v.__setitem__((0, 0), np.nextafter(v[0, 0], 9))),
        ("final_loss", lambda v: v.__setitem__((1, 2), -v[1, 2])),
        ("t_escape", lambda v: v.__setitem__((0, 0), 7)),
        ("status", lambda v: v.__setitem__((0, 0), 4)),
    ],
)
def test_wrong_values_in_whole_files_are_found_by_a_sample(path, whole, field, change):
    rewrite(path, field, (2, 3), change)
    found = verify_store(path)
    assert found.sound
    calls = []
    sampled = check_sample(found, 99, on_progress=lambda done, total: calls.append((done, total)))
    assert sampled.sampled == 12 and not sampled.sound and sampled.flags == ()
    (part,) = sampled.damage
    assert (part.array, part.cell) == (field, (2, 3))
    assert part.reason == "1 of its 6 values are not those computed again"
    assert calls[0] == (0, 63 * 30) and calls[-1] == (63 * 30, 63 * 30)
    assert sampled.damaged == 1 and sampled.done == 11
    repair_store(sampled)
    assert verify_store(path).pending == 1
    sweep_again(path)
    assert data(path) == data(whole)


def test_a_sample_is_drawn_by_its_seed(path):
    for first in ((0, 0), (4, 6)):
        rewrite(path, "t_escape", first, lambda v: v.fill(99))

    def drawn(seed):
        return check_sample(verify_store(path), 4, seed=seed).damage

    assert drawn(3) == drawn(3)
    assert len({drawn(seed) for seed in range(6)}) > 1


def test_a_sample_of_a_sound_sweep_finds_nothing(whole):
    found = check_sample(verify_store(whole), 3)
    assert found.sound and found.sampled == 3
    with pytest.raises(ValueError, match="sample=0 must be at least 1"):
        check_sample(found, 0)


def test_if_all_of_a_sample_differs_the_program_is_suspected(path, monkeypatch):
    real = recomputation.TileJob.__call__

    def other(job, columns, on_progress=None):
        made = real(job, columns, on_progress)
        return {**made, "measure": made["measure"] + 1}

    monkeypatch.setattr(recomputation.TileJob, "__call__", other)
    found = check_sample(verify_store(path), 3)
    assert found.damaged == 3 and "the program or the machine may have changed" in found.flags[0]


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is done."""


@pytest.mark.parametrize("n_removed", range(5))
def test_a_kill_during_a_repair_leaves_the_tile_pending(path, whole, monkeypatch, n_removed):
    # The tile at the corner, whose chunks reach over the edge of the grid.
    flip(path / "measure" / "c" / "3" / "2")
    rewrite(path, "final_loss", (6, 6), lambda v: v.fill(3.5))
    found = verify_store(path)
    removed = []
    unlink = stores.Path.unlink

    def killing(file, *arguments, **settings):
        if len(removed) == n_removed:
            raise Killed
        removed.append(file)
        unlink(file, *arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(stores.Path, "unlink", killing)
        if n_removed < 4:
            with pytest.raises(Killed):
                repair_store(found)
        else:
            repair_store(found)
    if removed:
        assert removed[0] == path / "status" / "c" / "3" / "2"
        assert (open_sweep(path).status[6:, 6:] == 0).all()
    else:
        assert data(path) != data(whole)
    # Either way: repairing again, or just sweeping on where the marker is gone.
    if not removed:
        repair_store(verify_store(path))
    sweep_again(path)
    assert data(path) == data(whole)


def test_what_a_killed_writer_leaves_is_no_damage(path, whole):
    (path / "measure" / "c" / "0" / "0.__lock").write_bytes(b"half a chu")
    (path.parent / ".s.zarr.123.tmp").mkdir()
    (path.parent / ".other.zarr.123.tmp").mkdir()
    found = verify_store(path)
    assert found.sound and found.done == 12
    assert {file.name for file in found.leftovers} == {"0.__lock", ".s.zarr.123.tmp"}
    repair_store(found)
    assert data(path) == data(whole)
    assert {p.name for p in path.parent.iterdir()} == {"s.zarr", ".other.zarr.123.tmp"}


def test_a_broken_chunk_of_a_pending_tile_is_damage(path, whole):
    """It stops whoever reads the field."""
    (path / "status" / "c" / "3" / "2").unlink()
    flip(path / "measure" / "c" / "3" / "2")
    found = verify_store(path)
    assert [(part.array, part.cell) for part in found.damage] == [("measure", (6, 6))]
    assert (found.pending, found.damaged, found.done) == (0, 1, 11)
    assert data(repaired(path)) == data(whole)


def edit(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("harm", "array", "words"),
    [
        (lambda p: flip(p / "c_re" / "c" / "0"), "c_re", "c_re/c/0"),
        (lambda p: shutil.rmtree(p / "c_im" / "c"), "c_im", "not those of the specification"),
        (lambda p: shutil.rmtree(p / "c_im"), "c_im", "c_im"),
        (lambda p: (p / "c_re" / "zarr.json").write_text('{"zarr_fo'), "c_re", "c_re"),
        (lambda p: edit(p / "c_re" / "zarr.json", shape=[8]), "c_re", "shape is [8] and not [9]"),
        (lambda p: (p / "status" / "zarr.json").write_text(""), "status", "status"),
        (lambda p: edit(p / "t_escape" / "zarr.json", fill_value=0), "t_escape", "fill_value is 0"),
        (lambda p: (shutil.rmtree(p / "measure"), (p / "measure").write_text("")), "measure", ""),
    ],
)
def test_broken_arrays_are_found_and_rebuilt(path, whole, harm, array, words):
    harm(path)
    found = verify_store(path)
    (part,) = found.damage
    assert (part.array, part.cell) == (array, None) and words in part.reason
    with pytest.raises(ValueError, match="damage to more than tiles"):
        check_sample(found, 1)
    gone = repair_store(found)
    assert gone[0] == part
    sweep_again(path)
    assert data(path) == data(whole)


def test_wrong_points_are_found(path, whole):
    rewrite_axis = ts.open(
        {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path / 'c_re'}/"}}, open=True
    ).result()
    rewrite_axis[3].write(0.123).result()
    (part,) = verify_store(path).damage
    assert (part.array, part.reason) == ("c_re", "its points are not those of the specification")
    assert data(repaired(path)) == data(whole)


def test_damage_behind_broken_metadata_is_repaired_in_one_go(path, whole):
    (path / "status" / "zarr.json").write_text("{")
    flip(path / "status" / "c" / "0" / "0")
    found = verify_store(path)
    assert (found.tiles, found.done, found.pending) == (0, 0, 0)
    assert [part.cell for part in repair_store(found)] == [None, (0, 0)]
    assert verify_store(path).sound and verify_store(path).pending == 1
    sweep_again(path)
    assert data(path) == data(whole)


def truncate(file):
    file.write_text(file.read_text()[:200])


def change_specification(path):
    group = json.loads((path / "zarr.json").read_text())
    group["attributes"]["specification"]["n_steps"] = 31
    (path / "zarr.json").write_text(json.dumps(group))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda p: truncate(p / "zarr.json"), ""),
        (lambda p: (p / "zarr.json").write_bytes(b"\xff\xfe\x00"), ""),
        (lambda p: (p / "zarr.json").unlink(), "missing"),
        (change_specification, "does not have the hash beside it"),
    ],
)
def test_without_its_specification_a_store_is_beyond_repair(path, harm, words):
    harm(path)
    before = data(path)
    found = verify_store(path)
    assert not found.sound and found.attributes is None
    assert found.damage[0].array == "zarr.json" and words in found.damage[0].reason
    with pytest.raises(ValueError, match="sweep again under another name"):
        repair_store(found)
    assert data(path) == before


def test_a_file_that_may_not_be_read_is_not_taken_for_damage(path, monkeypatch):
    flip(path / "measure" / "c" / "0" / "0")  # stands for the refusal, which a superuser never gets
    monkeypatch.setattr("dynfrac.sweeps.verification.os.access", lambda file, mode: False)
    with pytest.raises(PermissionError, match="measure/c/0/0"):
        verify_store(path)


def test_what_is_no_sweep_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such sweep"):
        verify_store(tmp_path / "absent.zarr")
    with pytest.raises(ValueError, match="is not a sweep"):
        verify_store(tmp_path)


@pytest.mark.parametrize("axes", [AXES[:1], (*AXES, Axis("z_re", 0, 0.5, 3))])
def test_one_and_three_axes(tmp_path, axes):
    whole, path = tmp_path / "whole.zarr", tmp_path / "s.zarr"
    sweep(Quadratic(), axes, out=whole, tile=6, **SETTINGS)
    shutil.copytree(whole, path)
    flip(path / "measure" / "c" / "/".join("1" * len(axes)))
    assert len(verify_store(path).damage) == 1
    assert data(repaired(path)) == data(whole)


def test_an_earlier_version_s_store_lacks_checksums_and_chunks(path, whole, monkeypatch):
    for field in (*FIELDS, "c_re", "c_im"):
        chunks = {p: p.read_bytes() for p in (path / field / "c").rglob("*") if p.is_file()}
        for chunk, content in chunks.items():
            chunk.write_bytes(content[:-4])
        metadata = json.loads((path / field / "zarr.json").read_text())
        edit(path / field / "zarr.json", codecs=metadata["codecs"][:-1])
    (path / "t_escape" / "c" / "1" / "1").unlink()  # nothing but fill values
    found = verify_store(path)
    assert found.sound and found.done == 12 and "no checksums" in found.flags[0]
    assert check_sample(found, 12).sound
    before = data(path)
    (path / "measure" / "zarr.json").write_text("{")
    repaired(path)
    assert {k: v for k, v in data(path).items() if "zarr.json" not in k} == {
        k: v for k, v in before.items() if "zarr.json" not in k
    }


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (None, "does not say how its map is made"),
        ({"map": "quadratic"}, "does not say how its map is made"),
        ({"map": "no-such-map", "arguments": {}}, "no-such-map"),
        # What the name makes is not what was swept.
        ({"map": "henon", "arguments": {}}, "cannot be computed again here: fingerprint is"),
    ],
)
def test_a_map_that_cannot_be_made_again(tmp_path, identity, words):
    path = tmp_path / "s.zarr"
    sweep(Quadratic(), AXES, out=path, **{**SETTINGS, "identity": identity})
    with pytest.raises(ValueError, match=words):
        remake(open_store(path))


def test_another_version_of_what_rounds_cannot_compute_again(path):
    group = json.loads((path / "zarr.json").read_text())
    group["attributes"]["versions"]["jax"] = "0.1"
    (path / "zarr.json").write_text(json.dumps(group))
    with pytest.raises(ValueError, match="cannot be computed again here: version of jax is 0.1"):
        check_sample(verify_store(path), 1)


@pytest.mark.parametrize(
    ("map_", "axes", "settings"),
    [
        (
            make_architecture("mlp", width=3, batch=4, n_steps=8),
            (Axis("lr_in", 0.01, 10, 3), Axis("n_steps", 4, 8, 3)),
            {"hparams": {"lr_out": 0.5}, "dtype": "float32", "lanes": 2},
        ),
        (
            make_architecture("mlp", width=3, batch=4, n_steps=8, seed=None),
            (Axis("lr", 0.01, 10, 3), Axis("seed", 0, 2, 3)),
            {"n_steps": 8, "every": 4, "rule": "bounded:100", "record": ("lyapunov",), "tile": 4},
        ),
    ],
    ids=["lengths", "seeds"],
)
def test_every_setting_is_found_in_the_store(tmp_path, map_, axes, settings):
    arguments = {"width": 3, "batch": 4, "n_steps": 8}
    if axes[1].name == "seed":
        arguments["seed"] = None
    identity = {"architecture": "mlp", "arguments": arguments}
    path = tmp_path / "s.zarr"
    sweep(map_, axes, out=path, identity=identity, **settings)
    before = data(path)
    assert check_sample(verify_store(path), 99).sound
    (path / "measure" / "c" / "0" / "0").write_bytes(b"")
    assert data(repaired(path)) == before
