"""An archive of one's own becomes training data by the types of its arrays, or one sentence."""

import pickle
import zipfile

import numpy as np
import pytest

from dynfrac.systems.archives import LAYOUTS, read_examples

PIXELS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
ROWS = np.linspace(-1, 1, 10).reshape(5, 2)
LABELS = np.array([0, 2, 1, 0, 2])


class Explosive:
    """Fails the test when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("the archive was unpickled",)


def save(folder, **arrays):
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_with_and_without_a_test_set(layout, tmp_path):
    path = save(tmp_path, **dict(zip(layout, (ROWS, LABELS, ROWS[:3], LABELS[:3]), strict=True)))
    train, test, n_classes = read_examples(path)
    assert np.array_equal(train.inputs, ROWS) and np.array_equal(train.targets, LABELS)
    assert np.array_equal(test.inputs, ROWS[:3]) and np.array_equal(test.targets, LABELS[:3])
    assert n_classes == 3
    path = save(tmp_path, other=PIXELS, **dict(zip(layout[:2], (ROWS, LABELS), strict=True)))
    train, test, n_classes = read_examples(path)
    assert np.array_equal(train.inputs, ROWS) and test is None and n_classes == 3


TOKENS = np.array([[1, 2], [3, 300], [0, 0], [5, 6], [7, 8]])
INPUTS = {
    "bytes": (PIXELS, PIXELS[..., None] / 255, np.float64),
    "bytes with channels": (PIXELS[..., None], PIXELS[..., None] / 255, np.float64),
    "bytes in rows": (PIXELS.reshape(5, 12), PIXELS.reshape(5, 12) / 255, np.float64),
    "grey floats": (PIXELS.astype(np.float16), PIXELS[..., None].astype(float), np.float64),
    "floats": (ROWS.astype(np.float32), ROWS.astype(np.float32), np.float64),
    "single floats": (ROWS[:, 0], ROWS[:, :1], np.float64),
    "truth values": (ROWS > 0, (ROWS > 0).astype(float), np.float64),
    "tokens": (TOKENS, TOKENS, np.int64),
    "short tokens": (TOKENS.astype(np.uint16), TOKENS, np.uint16),
    "tokens of another machine": (TOKENS.astype(">i4"), TOKENS, np.int32),
}


@pytest.mark.parametrize(("stored", "read", "dtype"), INPUTS.values(), ids=INPUTS)
def test_inputs_by_their_type(stored, read, dtype, tmp_path):
    train, _, _ = read_examples(save(tmp_path, x=stored, y=LABELS))
    assert np.array_equal(train.inputs, read) and train.inputs.dtype == dtype
    assert train.inputs.dtype.isnative


TARGETS = {
    "classes": (LABELS, LABELS, 3),
    "byte classes": (LABELS.astype(np.uint8), LABELS, 3),
    "classes in a column": (LABELS[:, None], LABELS, 3),
    "truth values": (LABELS > 1, LABELS > 1, 2),
    "tokens": (TOKENS, TOKENS, 301),
    "numbers": (ROWS[:, 0], ROWS[:, :1], None),
    "vectors": (ROWS.astype(np.float32), ROWS.astype(np.float32), None),
}


@pytest.mark.parametrize(("stored", "read", "n_classes"), TARGETS.values(), ids=TARGETS)
def test_targets_by_their_type(stored, read, n_classes, tmp_path):
    train, _, found = read_examples(save(tmp_path, x=ROWS, y=stored))
    assert np.array_equal(train.targets, read) and found == n_classes
    assert train.targets.dtype == (np.float64 if n_classes is None else np.int32)


def test_classes_are_counted_over_both_sets(tmp_path):
    arrays = {"x_train": ROWS, "y_train": LABELS, "x_test": ROWS, "y_test": LABELS + 7}
    assert read_examples(save(tmp_path, **arrays))[2] == 10


NAN = np.where(ROWS == 1, np.nan, ROWS)
BAD_ARRAYS = {
    "other names": (
        {"images": ROWS, "labels": LABELS},
        "holds images, labels; wanted are x_train and y_train, or inputs and targets, or x and y",
    ),
    "no arrays": ({}, "holds nothing; wanted"),
    "half a test set": (
        {"x_train": ROWS, "y_train": LABELS, "x_test": ROWS},
        "holds x_test but not y_test",
    ),
    "lengths": ({"x": ROWS, "y": LABELS[:4]}, "x has 5 examples and y has 4"),
    "no examples": ({"x": ROWS[:0], "y": LABELS[:0]}, r"x holds no examples, .* \(0, 2\)"),
    "no numbers in them": ({"x": ROWS[:, :0], "y": LABELS}, r"x holds no examples, .* \(5, 0\)"),
    "a single number": ({"x": ROWS, "y": np.array(3)}, r"y holds no examples, .* \(\)"),
    "not a number": ({"x": NAN, "y": LABELS}, "x holds 1 values that are infinite or not"),
    "infinite": (
        {"x": ROWS, "y": np.where(ROWS == 1, np.inf, ROWS)},
        "y holds 1 values that are infinite",
    ),
    "negative tokens": ({"x": TOKENS - 1, "y": LABELS}, "x holds the negative integer -1"),
    "negative classes": ({"x": ROWS, "y": LABELS - 1}, "y holds integers from -1 to 1"),
    "huge classes": ({"x": ROWS, "y": LABELS << 40}, "y holds integers from 0 to 2199023255552"),
    "complex": ({"x": ROWS + 1j, "y": LABELS}, "x is of type complex128"),
    "words": ({"x": ROWS, "y": np.array(list("abcde"))}, "y is of type <U1"),
    "objects": (
        {"x": ROWS, "y": np.array([Explosive()] * 5, dtype=object)},
        "y holds Python objects, which are not read",
    ),
    "other test inputs": (
        {"x": ROWS, "y": LABELS, "x_test": ROWS[:, :1], "y_test": LABELS},
        r"x and x_test hold examples of shapes \(2,\) and \(1,\)",
    ),
    "other test targets": (
        {"x": ROWS, "y": ROWS, "x_test": ROWS, "y_test": ROWS[:, 0]},
        r"y and y_test hold examples of shapes \(2,\) and \(1,\)",
    ),
    "classes and numbers": (
        {"x": ROWS, "y": TOKENS, "x_test": ROWS, "y_test": ROWS},
        "y and y_test differ in type",
    ),
    "bytes and floats": (
        {"x": PIXELS, "y": LABELS, "x_test": PIXELS / 255, "y_test": LABELS},
        "x and x_test differ in type",
    ),
}


@pytest.mark.parametrize(("arrays", "sentence"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_what_cannot_be_trained_on_is_one_sentence(arrays, sentence, tmp_path):
    with pytest.raises(ValueError, match=f"mine.npz.*{sentence}") as caught:
        read_examples(save(tmp_path, **arrays))
    assert "\n" not in str(caught.value)


def with_a_wrong_byte(path):
    np.savez(path, x=ROWS, y=LABELS)
    content = path.read_bytes()
    at = content.index(ROWS.tobytes())
    path.write_bytes(content[:at] + b"\xff" + content[at + 1 :])


def cut_short(path):
    np.savez(path, x=ROWS, y=LABELS)
    path.write_bytes(path.read_bytes()[:-30])


def npy_only(path):
    with path.open("wb") as file:
        np.save(file, ROWS)


def pickled(path):
    path.write_bytes(pickle.dumps(Explosive()))


FILES = {
    "text": (lambda path: path.write_text("x,y\n1,2\n"), "is not a NumPy archive"),
    "empty": (lambda path: path.write_bytes(b""), "is not a NumPy archive"),
    "a folder": (lambda path: path.mkdir(), "is not a NumPy archive"),
    "one array": (npy_only, "is not a NumPy archive"),
    "a pickle": (pickled, "is not a NumPy archive"),
    "cut short": (cut_short, "or a damaged one"),
    "a wrong byte": (with_a_wrong_byte, "x cannot be read, the file is damaged"),
}


@pytest.mark.parametrize(("make", "sentence"), FILES.values(), ids=FILES)
def test_other_and_damaged_files_are_one_sentence(make, sentence, tmp_path):
    path = tmp_path / "mine.npz"
    make(path)
    with pytest.raises(ValueError, match=f"mine.npz.*{sentence}") as caught:
        read_examples(path)
    assert "\n" not in str(caught.value)


def test_a_member_that_is_no_array_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
        archive.writestr("x", "one, two")
        archive.writestr("y", "three")
    with pytest.raises(ValueError, match="x is no array"):
        read_examples(tmp_path / "mine.npz")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="mine.npz does not exist"):
        read_examples(tmp_path / "mine.npz")
