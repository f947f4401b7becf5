"""Every source gives data that fit each other, the same for a seed, and refuses what it lacks."""

import math
from importlib import resources

import numpy as np
import pytest

from dynfrac.systems import datasets
from dynfrac.systems.datasets import LARGEST_DRAW, SIZES, SOURCES, load_data
from dynfrac.systems.digits import load_digits
from dynfrac.systems.synthetic import PROBLEMS, SPIRAL_NOISE
from dynfrac.systems.text import CONTEXT, STRIDE, decode, text_windows, vocabulary

AT_HAND = [name for name in SOURCES if name != "mnist"]


@pytest.fixture(autouse=True)
def no_way_out(monkeypatch):
    """Full MNIST is the one source that could reach for the network."""

    def load(n=None, *, split, source=None, size):
        assert source == "mini", "a test asked for full MNIST"
        return load_digits(n, split=split, size=size)

    monkeypatch.setattr(datasets, "load_mnist", load)


@pytest.mark.parametrize("source", AT_HAND)
def test_sets_fit_each_other_and_the_number_of_classes(source):
    data = load_data(source, n_data=60, n_test=40)
    assert data.name == source
    assert len(data.train.targets) == data.train.size == 60
    assert len(data.test.targets) == data.test.size == 40
    for ours, theirs in zip(
        (data.train.inputs, data.train.targets), (data.test.inputs, data.test.targets), strict=True
    ):
        assert ours.shape[1:] == theirs.shape[1:] and ours.dtype == theirs.dtype
        assert ours.dtype in (np.float64, np.int32) and np.isfinite(ours).all()
    if data.n_classes is None:
        assert data.train.targets.dtype == np.float64 and data.train.targets.ndim == 2
    else:
        assert data.train.targets.dtype == np.int32
        assert 0 <= data.train.targets.min() and data.train.targets.max() < data.n_classes


@pytest.mark.parametrize("source", AT_HAND)
def test_n_takes_the_first_of_the_same_examples(source):
    few, many = load_data(source, n_data=7, n_test=5), load_data(source, n_data=50, n_test=50)
    for small, large in ((few.train, many.train), (few.test, many.test)):
        assert np.array_equal(small.inputs, large.inputs[: small.size])
        assert np.array_equal(small.targets, large.targets[: small.size])
    assert few.n_classes == many.n_classes


@pytest.mark.parametrize("source", AT_HAND)
def test_flat_reshapes_inputs_and_nothing_else(source):
    plain, flat = (load_data(source, n_data=6, n_test=4, flat=choice) for choice in (False, True))
    for ours, theirs in ((plain.train, flat.train), (plain.test, flat.test)):
        assert theirs.inputs.shape == (ours.size, math.prod(ours.inputs.shape[1:]))
        assert np.array_equal(ours.inputs.ravel(), theirs.inputs.ravel())
        assert np.array_equal(ours.targets, theirs.targets)


def test_mini_is_the_embedded_digits_with_a_channel():
    data = load_data("mini", image_size=8)
    for examples, split in ((data.train, "train"), (data.test, "test")):
        images, labels = load_digits(split=split, size=8)
        assert np.array_equal(examples.inputs, images[..., None])
        assert np.array_equal(examples.targets, labels)
    assert load_data(n_data=2).train.inputs.shape == (2, 28, 28, 1)


def test_mnist_asks_for_the_full_set(monkeypatch):
    asked = []

    def load(n=None, *, split, source=None, size):
        asked.append((n, split, source, size))
        return np.zeros((n, size, size)), np.zeros(n, np.int32)

    monkeypatch.setattr(datasets, "load_mnist", load)
    data = load_data("mnist", n_data=60000, n_test=10, image_size=7)
    assert asked == [(60000, "train", None, 7), (10, "test", None, 7)]
    assert data.n_classes == 10 and data.test.inputs.shape == (10, 7, 7, 1)


# Text.


def test_the_essay_is_plain_text_of_the_stated_kind():
    content = (resources.files("dynfrac.systems") / "data" / "stream.txt").read_bytes()
    assert 8000 <= len(content) <= 10000
    assert content.isascii()
    assert all(len(line) < 100 for line in content.splitlines())


def test_targets_are_the_characters_that_follow():
    for data in text_windows():
        assert np.array_equal(data.inputs[:, 1:], data.targets[:, :-1])
        # Windows overlap by a fixed number of characters, so they chain back into running text.
        assert np.array_equal(data.inputs[1:, :-STRIDE], data.inputs[:-1, STRIDE:])
        assert data.inputs.shape[1] == CONTEXT


def test_windows_chain_back_into_the_essay_and_share_no_character():
    content = (resources.files("dynfrac.systems") / "data" / "stream.txt").read_text("ascii")
    essay = "\n".join(" ".join(part.split()) for part in content.split("\n\n"))
    parts = []
    for data in text_windows():
        text = decode(np.concatenate([data.inputs[:, :STRIDE].ravel(), data.inputs[-1, STRIDE:]]))
        parts.append(text + decode(data.targets[-1])[-1])
    train, test = parts
    assert essay.startswith(train)
    # What is left over at either end is shorter than the step to one more window.
    border = len(essay) - len(essay) // 10
    assert 0 <= border - len(train) < STRIDE
    assert essay[border:].startswith(test) and len(essay) - border - len(test) < STRIDE


def test_the_vocabulary_is_every_character_once_in_order():
    assert list(vocabulary()) == sorted(set(vocabulary()))
    data = load_data("text")
    assert data.n_classes == len(vocabulary())
    assert set(np.unique(data.train.inputs)) == set(range(data.n_classes))


@pytest.mark.parametrize("tokens", [[-1], [0, 10**6]])
def test_decoding_refuses_what_is_no_token(tokens):
    with pytest.raises(ValueError, match="beyond the vocabulary; pass tokens from 0"):
        decode(tokens)


# Synthetic problems.


@pytest.mark.parametrize("source", PROBLEMS)
def test_default_sizes_are_the_documented_ones(source):
    data = load_data(source)
    assert data.train.size == data.test.size == SIZES[source]


@pytest.mark.parametrize("source", PROBLEMS)
def test_seeds_and_sets_are_independent(source):
    one, same, other = (load_data(source, seed=seed, n_data=500) for seed in (0, 0, 1))
    assert np.array_equal(one.train.inputs, same.train.inputs)
    assert np.array_equal(one.train.targets, same.train.targets)
    for examples in (other.train, one.test):
        assert not np.isin(examples.inputs, one.train.inputs).any()


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_gaussian_is_noise_through_and_through():
    data = load_data("gaussian", n_data=20000, n_test=20000)
    for array in (data.train.inputs, data.train.targets, data.test.inputs, data.test.targets):
        # Four standard errors: 1/sqrt(20000) of a mean, sqrt(2/20000) of a variance.
        assert abs(array.mean()) < 0.029 and abs(array.var() - 1) < 0.04
    for column in data.train.inputs.T:
        assert abs(correlation(column, data.train.targets)) < 0.029
        assert abs(correlation(column, data.test.targets)) < 0.029
    assert not np.isin(data.train.targets, data.train.inputs).any()
    # Recorded, in PCG64's ziggurat: a sweep that is resumed years later needs the same data.
    assert data.train.inputs[0, :2].tolist() == [0.1257302210933933, -0.1321048632913019]


def test_a_teacher_is_one_function_of_its_inputs_in_both_sets():
    data = load_data("teacher", n_data=4000, n_test=1000)
    # Linear regression sees most of a tanh network and the rest is far above rounding, so the
    # weights fitted to one set must do about as well on the other.
    weights = np.linalg.lstsq(data.train.inputs, data.train.targets, rcond=None)[0]
    left = [
        (d.targets - d.inputs @ weights).var() / d.targets.var() for d in (data.train, data.test)
    ]
    assert 0.01 < left[0] < 0.5 and left[1] == pytest.approx(left[0], rel=0.2)
    # Odd, as sums of tanh are.
    assert abs(data.train.targets.mean()) < 4 * data.train.targets.std() / math.sqrt(4000)
    assert np.abs(data.train.targets).max() < 4 * 16 / 4
    assert not np.allclose(load_data("teacher", seed=1).train.targets, data.train.targets[:256])


@pytest.mark.parametrize("seed", range(6))
def test_a_teacher_names_the_same_target_whatever_the_size(seed):
    # A matrix product of one row is often summed in another order than that of many.
    one, many = (load_data("teacher", n_data=n, seed=seed).train.targets for n in (1, 50))
    assert np.array_equal(one, many[:1])


def test_spirals_lie_where_they_are_said_to():
    data = load_data("spirals", n_data=3000)
    labels = data.train.targets
    assert labels[:6].tolist() == [0, 1, 2, 0, 1, 2]
    u = np.linspace(0, 1, 1000)
    arms = [(0.1 + 0.9 * u) * np.exp(2j * np.pi * (k / 3 + u)) for k in range(3)]
    points = data.train.inputs @ np.array([1, 1j])
    away = np.array([[np.abs(arm - point).min() for arm in arms] for point in points])
    own = away[np.arange(3000), labels]
    # The distance from a line is one normal coordinate: its mean square is the variance, give or
    # take sqrt(2/3000) of it, and a little more where points lie beyond the ends.
    assert np.mean(own**2) == pytest.approx(SPIRAL_NOISE**2, rel=0.15)
    # Arms are 0.3 apart along a radius, so that half of it is five standard deviations.
    outside = np.abs(points) > 0.3
    assert np.mean(away.argmin(1)[outside] == labels[outside]) > 0.999
    assert np.ptp(np.abs(points)) > 0.9


# Files, and misuse.


def test_a_file_is_taken_by_its_suffix_or_by_a_separator(tmp_path, monkeypatch):
    images, labels = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2), np.array([1, 0, 3, 0, 1])
    np.savez(tmp_path / "mine.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    (tmp_path / "other").write_bytes((tmp_path / "mine.npz").read_bytes())
    monkeypatch.chdir(tmp_path)
    for source in ("mine.npz", tmp_path / "mine.npz", tmp_path / "other", "./other"):
        data = load_data(source, n_data=2, n_test=3, flat=True)
        assert data.name in ("mine.npz", "other")
        assert np.array_equal(data.train.inputs, images[:2].reshape(2, 4) / 255)
        assert data.test.size == 3
        # Of all labels, not only of those that were taken: a model must not depend on n_data.
        assert data.n_classes == 4


MISUSE = {
    "unknown": ({"source": "minni"}, "unknown data source 'minni'; did you mean 'mini'"),
    "no name": ({"source": 3}, "source=3 is no source of data"),
    "too many": ({"n_data": 4097}, "n_data=4097 .* train split of mini; .* 1 to 4096"),
    "too many to test": ({"n_test": 1025}, "n_test=1025 .* 1 to 1024"),
    "too many of mnist": ({"source": "mnist", "n_data": 60001}, "n_data=60001 .* 1 to 60000"),
    "none": ({"n_data": 0}, "n_data=0 .* 1 to 4096"),
    "too small": ({"image_size": 0}, "image_size=0 .* 1 to 64"),
    "no images": ({"source": "text", "image_size": 8}, "image_size=8 applies to mini and mnist"),
    "too much text": ({"source": "text", "n_data": 5000}, "n_data=5000 .* training examples of te"),
    "too much noise": (
        {"source": "gaussian", "n_test": LARGEST_DRAW + 1},
        "n_test=1000001 .* generator of gaussian; .* 1 to 1000000",
    ),
    "negative seed": ({"source": "teacher", "seed": -1}, "seed=-1 must not be negative"),
}


@pytest.mark.parametrize(("arguments", "message"), MISUSE.values(), ids=MISUSE)
def test_misuse_names_argument_value_and_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_data(**arguments)


def test_files_refuse_what_they_lack(tmp_path):
    path = tmp_path / "mine.npz"
    with pytest.raises(FileNotFoundError, match="mine.npz does not exist"):
        load_data(path)
    np.savez(path, x=np.ones((4, 2)), y=np.zeros(4, int))
    assert load_data(path).test is None
    with pytest.raises(ValueError, match="n_data=5 .* training examples of mine.npz; .* 1 to 4"):
        load_data(path, n_data=5)
    with pytest.raises(ValueError, match="n_test=1 is asked of mine.npz, which holds no test"):
        load_data(path, n_test=1)
    with pytest.raises(ValueError, match="image_size=8 applies to mini and mnist only"):
        load_data(path, image_size=8)
