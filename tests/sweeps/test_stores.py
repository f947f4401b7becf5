"""The store: plain Zarr v3, complete or absent, and one sentence for every kind of damage."""

import json
import shutil

import numpy as np
import pytest

from dynfrac.sweeps import stores
from dynfrac.sweeps.stores import FIELDS, check_space, create_store, open_store

POINTS = {"y": np.linspace(0, 1, 5), "x": np.linspace(2, 3, 7)}
ATTRIBUTES = {"specification": {"n_steps": 3}}


@pytest.fixture
def store(tmp_path):
    return create_store(tmp_path / "s.zarr", ATTRIBUTES, POINTS, (2, 4))


def block(shape, status=1):
    values = {"measure": 3.0, "t_escape": 3, "final_loss": 7.5, "status": status}
    return {name: np.full(shape, values[name], kind) for name, (kind, *_) in FIELDS.items()}


def test_a_new_store_is_all_pending(store):
    assert (store.shape, store.tile, store.dimensions) == ((5, 7), (2, 4), ("y", "x"))
    assert store.attributes == ATTRIBUTES
    assert (store.read("status") == 0).all() and store.read("status").dtype == np.uint8
    assert np.isnan(store.read("measure")).all() and np.isnan(store.read("final_loss")).all()
    assert (store.read("t_escape") == -1).all() and store.read("t_escape").dtype == np.int32
    np.testing.assert_array_equal(store.read("x"), POINTS["x"])


def test_a_tile_is_read_back_by_another_opening(store):
    store.write((slice(2, 4), slice(4, 7)), block((2, 3)))
    again = open_store(store.path)
    expected = np.zeros((5, 7))
    expected[2:4, 4:7] = 1
    np.testing.assert_array_equal(again.read("status"), expected)
    np.testing.assert_array_equal(again.read("final_loss")[2:4, 4:7], np.full((2, 3), 7.5))


def test_it_is_plain_zarr_with_one_chunk_for_a_tile(store):
    group = json.loads((store.path / "zarr.json").read_text())
    assert (group["zarr_format"], group["node_type"]) == (3, "group")
    for name in FIELDS:
        array = json.loads((store.path / name / "zarr.json").read_text())
        assert array["zarr_format"] == 3
        assert array["shape"] == [5, 7]
        assert array["chunk_grid"]["configuration"]["chunk_shape"] == [2, 4]
        assert array["dimension_names"] == ["y", "x"]
        assert [codec["name"] for codec in array["codecs"]] == ["bytes", "zstd", "crc32c"]
    store.write((slice(0, 2), slice(0, 4)), block((2, 4)))
    chunks = [path for path in (store.path / "status" / "c").rglob("*") if path.is_file()]
    assert chunks == [store.path / "status" / "c" / "0" / "0"]


def test_the_marker_is_written_after_everything_else(store, monkeypatch):
    order = []

    class Spy:
        def __init__(self, name):
            self.name = name

        def __getitem__(self, index):
            return self

        def write(self, values):
            order.append(("write", self.name))
            return self

        def result(self):
            order.append(("done", self.name))

    spies = {name: Spy(name) for name in FIELDS}
    monkeypatch.setitem(store.__dict__, "_arrays", spies)
    store.write((slice(0, 2), slice(0, 4)), block((2, 4)))
    start = order.index(("write", "status"))
    assert {name for step, name in order[:start] if step == "done"} == set(FIELDS) - {"status"}
    assert order[-1] == ("done", "status")


def test_a_creation_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(stores, "_write_group", fail)
    with pytest.raises(OSError, match="no space left"):
        create_store(tmp_path / "s.zarr", ATTRIBUTES, POINTS, (2, 4))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_replaced(tmp_path):
    (tmp_path / "s.zarr").mkdir()
    with pytest.raises(FileExistsError):
        create_store(tmp_path / "s.zarr", ATTRIBUTES, POINTS, (2, 4))
    assert [p.name for p in tmp_path.rglob("*")] == ["s.zarr"]


def test_an_axis_cannot_be_called_like_a_field(tmp_path):
    with pytest.raises(ValueError, match="axis 'status' has the name of an array"):
        create_store(tmp_path / "s.zarr", ATTRIBUTES, {"status": np.arange(3.0)}, (3,))
    assert list(tmp_path.iterdir()) == []


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such sweep"):
        open_store(tmp_path / "absent.zarr")


def overwrite(path, text):
    path.write_text(text)


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda p: (p / "zarr.json").unlink(), "is not a sweep (it holds no zarr.json)"),
        (lambda p: overwrite(p / "zarr.json", "{"), "damaged: zarr.json cannot be read"),
        (lambda p: overwrite(p / "zarr.json", "[]"), "damaged: zarr.json cannot be read"),
        (lambda p: overwrite(p / "zarr.json", "{}"), "is a Zarr store and not a sweep"),
        (lambda p: shutil.rmtree(p / "measure"), "damaged: measure cannot be read"),
        (lambda p: shutil.rmtree(p / "x"), "damaged: x cannot be read"),
        (lambda p: overwrite(p / "status" / "zarr.json", "{"), "damaged: status cannot be read"),
        (lambda p: swap(p, "x", "y"), "damaged: y cannot be read (its shape is (7,))"),
    ],
)
def test_damage_is_one_sentence(store, harm, expected):
    harm(store.path)
    with pytest.raises(ValueError) as caught:
        open_store(store.path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value) and "tensorstore" not in str(caught.value)


def swap(path, one, other):
    (path / one).rename(path / "spare")
    (path / other).rename(path / one)
    (path / "spare").rename(path / other)


def test_a_damaged_chunk_is_one_sentence(store):
    store.write((slice(0, 2), slice(0, 4)), block((2, 4)))
    (store.path / "measure" / "c" / "0" / "0").write_bytes(b"garbage")
    with pytest.raises(ValueError, match="damaged: measure cannot be read") as caught:
        store.read("measure")
    assert 'local file "measure/c/0/0"' in str(caught.value)
    assert "\n" not in str(caught.value) and "FAILED" not in str(caught.value)


def test_space_is_checked_before_anything_is_written(tmp_path):
    check_space(tmp_path / "s.zarr", 1000, (10, 100))
    with pytest.raises(ValueError, match=r"resolution 10000000 x 1000000 needs 210 TB on the disk"):
        check_space(tmp_path / "s.zarr", 10**13, (10**6, 10**7))


def test_a_disk_that_does_not_take_a_tile_is_one_sentence(store):
    (store.path / "measure" / "c").write_text("in the way of the chunks")
    with pytest.raises(OSError, match="s.zarr cannot be written to") as caught:
        store.write((slice(0, 2), slice(0, 4)), block((2, 4)))
    assert "sweep again to resume" in str(caught.value)
    assert "\n" not in str(caught.value) and "tensorstore" not in str(caught.value)
    assert (open_store(store.path).read("status") == 0).all()
