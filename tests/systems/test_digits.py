"""The embedded digits are the published ones, and resizing keeps what it must."""

import hashlib
from importlib import resources

import numpy as np
import pytest

from dynfrac.systems.digits import COUNTS, load_digits

# Of the first 4096 training and 1024 test images of the original files, as unsigned bytes.
SHA256 = {
    "x_train": "0b4fd4c8b1772cc9c3b67cdb85355811b7a4a83ab3610ca905884256690bf512",
    "y_train": "805e340208d16356080206d91e958e739cebea35f93fccdf337fcec6a6fd66f9",
    "x_test": "6515e08ec2ede9dc45a9f4451566d060c7bb7a93023978db482cc8b5aa033143",
    "y_test": "7ff43d79b2bbcf39c3327d8a0b68890d3680e9027c3bfee67336d1e78877b17f",
}


def sha256(array):
    assert array.dtype == np.uint8
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_archive_holds_the_published_bytes():
    path = resources.files("dynfrac.systems") / "data" / "mnist_mini.npz"
    with path.open("rb") as file, np.load(file) as arrays:
        assert {name: sha256(arrays[name]) for name in arrays} == SHA256


@pytest.mark.parametrize("split", COUNTS)
def test_loader_returns_the_published_bytes(split):
    images, labels = load_digits(split=split)
    assert images.dtype == np.float64 and labels.dtype == np.int32
    assert images.min() == 0 and images.max() == 1
    # 255 (v / 255) is exact after rounding to the nearest integer.
    assert sha256(np.rint(images * 255).astype(np.uint8)) == SHA256[f"x_{split}"]
    assert sha256(labels.astype(np.uint8)) == SHA256[f"y_{split}"]


def test_n_takes_the_first_images():
    images, labels = load_digits(10)
    all_images, all_labels = load_digits()
    assert np.array_equal(images, all_images[:10])
    assert np.array_equal(labels, all_labels[:10])


def test_results_belong_to_the_caller():
    first, _ = load_digits(2)
    first[:] = -1
    again, labels = load_digits(2)
    labels[:] = -1
    assert again.min() == 0
    assert load_digits(2)[1].tolist() == [5, 0]


@pytest.mark.parametrize(("size", "fine"), [(14, 1), (7, 1), (8, 2), (21, 3)])
def test_shrinking_averages_areas_exactly(size, fine):
    # On a grid `fine` times finer the original pixels fall evenly into the new ones, so the means
    # are quotients of whole numbers: rounded once, hence the same bits on every machine.
    original = np.rint(load_digits(50)[0] * 255).astype(np.int64)
    block = 28 * fine // size
    finer = original.repeat(fine, 1).repeat(fine, 2).reshape(50, size, block, size, block)
    assert np.array_equal(load_digits(50, size=size)[0], finer.sum((2, 4)) / (block**2 * 255))


@pytest.mark.parametrize("size", [1, 5, 7, 8, 14, 20, 27])
def test_shrinking_keeps_the_mean(size):
    original, _ = load_digits(20, split="test")
    small, _ = load_digits(20, split="test", size=size)
    assert small.shape == (20, size, size)
    np.testing.assert_allclose(small.mean((1, 2)), original.mean((1, 2)), rtol=1e-13)


@pytest.mark.parametrize(("size", "before"), [(32, 2), (29, 0), (64, 18)])
def test_enlarging_frames_with_zeros(size, before):
    original, _ = load_digits(20)
    framed, _ = load_digits(20, size=size)
    inside = slice(before, before + 28)
    assert framed.shape == (20, size, size)
    assert np.array_equal(framed[:, inside, inside], original)
    assert framed.sum() == pytest.approx(original.sum(), rel=1e-13)


def test_flat_keeps_the_order_of_pixels():
    square, _ = load_digits(4, size=8)
    flat, _ = load_digits(4, size=8, flat=True)
    assert np.array_equal(flat, square.reshape(4, 64))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 4097}, r"n=4097 .* train split .* 1 to 4096"),
        ({"n": 1025, "split": "test"}, r"n=1025 .* test split .* 1 to 1024"),
        ({"n": 0}, r"n=0 .* 1 to 4096"),
        ({"n": 2.5}, r"n=2.5 .* whole number"),
        ({"size": 0}, r"size=0 .* 1 to 64"),
        ({"size": 65}, r"size=65 .* 1 to 64"),
        ({"split": "validation"}, r"split='validation' .* train, test"),
    ],
)
def test_misuse_names_argument_value_and_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_digits(**arguments)
