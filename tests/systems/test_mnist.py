"""MNIST is found where it is said to be, whole and undamaged, or the reason is one sentence.

No test leaves the machine: the mirrors are servers on the loopback interface, and the table of
files is that of a database of five and three small images.
"""

import contextlib
import gzip
import hashlib
import http.server
import os
import struct
import threading
import urllib.parse
import urllib.request

import numpy as np
import pytest

from dynfrac.systems import downloads, mnist
from dynfrac.systems.digits import load_digits
from dynfrac.systems.mnist import cache_folder, load_mnist, read_idx

SIZES = {"train": 5, "test": 3}


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def pack(array):
    return gzip.compress(idx(array), mtime=0)


def small_database():
    random = np.random.Generator(np.random.PCG64(3))
    arrays = {}
    for split, n in SIZES.items():
        arrays[f"x_{split}"] = random.integers(0, 256, (n, 28, 28), np.uint8)
        arrays[f"y_{split}"] = random.integers(0, 10, n, np.uint8)
    return arrays


ARRAYS = small_database()
NAMES = {file.key: f"{file.name}.gz" for files in mnist.FILES.values() for file in files}
PACKED = {NAMES[key]: pack(array) for key, array in ARRAYS.items()}


def entry(file):
    packed = PACKED[f"{file.name}.gz"]
    return mnist.DataFile(
        file.name,
        file.key,
        ARRAYS[file.key].shape,
        hashlib.sha256(ARRAYS[file.key].tobytes()).hexdigest(),
        len(packed),
        hashlib.sha256(packed).hexdigest(),
    )


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    """A small database, an empty cache, no mirror, and no way to any other machine."""
    for split, files in list(mnist.FILES.items()):
        monkeypatch.setitem(mnist.FILES, split, tuple(entry(file) for file in files))
    monkeypatch.setattr(mnist, "MIRRORS", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def open_here(url, *, timeout):
        assert urllib.parse.urlsplit(url).hostname == "127.0.0.1", f"a test asked for {url}"
        return opener.open(url, timeout=timeout)

    monkeypatch.setattr(downloads.urllib.request, "urlopen", open_here)


@contextlib.contextmanager
def serving(contents):
    """Serve a dict of name -> bytes; None never answers. Yields address and names asked for."""
    asked, done = [], threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rpartition("/")[2]
            asked.append(name)
            if name not in contents:
                return self.send_error(404)
            if contents[name] is None:
                done.wait(10)
                return None
            self.send_response(200)
            # A file that is cut short is one whose server has lost the connection half way.
            length = max(len(contents[name]), len(PACKED[name]))
            self.send_header("Content-Length", str(length))
            self.end_headers()
            return self.wfile.write(contents[name])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # so that closing the server waits for its answers
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mnist/", asked
    finally:
        done.set()
        server.shutdown()
        thread.join()
        server.server_close()


def write(folder, contents=PACKED):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def assert_database(load, **arguments):
    for split in SIZES:
        images, labels = load(split=split, **arguments)
        assert images.dtype == np.float64 and labels.dtype == np.int32
        assert np.array_equal(images, ARRAYS[f"x_{split}"] / 255)
        assert np.array_equal(labels, ARRAYS[f"y_{split}"])


def damage(content):
    return content[:-100] + bytes(100)


def unpacked(end):
    return lambda folder: write(
        folder,
        {name[:-3].replace("-idx", end): gzip.decompress(PACKED[name]) for name in PACKED},
    )


def archive(folder):
    folder.mkdir()
    np.savez_compressed(folder / "digits.npz", **ARRAYS)
    return folder / "digits.npz"


LAYOUTS = {
    "packed": write,
    "unpacked": unpacked("-idx"),
    "unpacked with a dot": unpacked(".idx"),
    "archive": archive,
}


# Where it is looked for.


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_explicit_path_and_environment_take_every_layout(layout, tmp_path, monkeypatch):
    place = layout(tmp_path / "data")
    assert_database(load_mnist, source=place)
    assert_database(load_mnist, source=str(place))
    monkeypatch.setenv("DYNFRAC_DATA", str(place))
    assert_database(load_mnist)


def test_each_place_goes_before_the_next(tmp_path, monkeypatch):
    good = write(tmp_path / "good")
    bad = write(tmp_path / "bad", {name: damage(content) for name, content in PACKED.items()})
    monkeypatch.setenv("DYNFRAC_DATA", str(bad))
    assert_database(load_mnist, source=good)
    write(cache_folder(), {name: b"" for name in PACKED})
    monkeypatch.setenv("DYNFRAC_DATA", str(good))
    assert_database(load_mnist)
    monkeypatch.delenv("DYNFRAC_DATA")
    write(cache_folder())
    assert_database(load_mnist)


def test_a_named_place_that_fails_is_not_passed_over(tmp_path, monkeypatch):
    write(cache_folder())
    with pytest.raises(FileNotFoundError, match="source='nowhere' does not exist"):
        load_mnist(source="nowhere")
    monkeypatch.setenv("DYNFRAC_DATA", str(tmp_path / "away"))
    with pytest.raises(FileNotFoundError, match="DYNFRAC_DATA=.*away' does not exist"):
        load_mnist()
    # An empty value is how a shell says that a variable is not set.
    monkeypatch.setenv("DYNFRAC_DATA", "")
    assert_database(load_mnist)


def test_mini_is_the_embedded_subset_and_only_when_named(monkeypatch, tmp_path):
    monkeypatch.setenv("DYNFRAC_DATA", str(write(tmp_path / "data")))
    images, labels = load_mnist(7, split="test", source="mini", size=8, flat=True)
    embedded = load_digits(7, split="test", size=8, flat=True)
    assert np.array_equal(images, embedded[0]) and np.array_equal(labels, embedded[1])
    monkeypatch.delenv("DYNFRAC_DATA")
    with pytest.raises(ConnectionError, match="source='mini'"):
        load_mnist()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"XDG_CACHE_HOME": "/a/b"}, "/a/b/dynfrac"),
        ({}, "/home/someone/.cache/dynfrac"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/someone/.cache/dynfrac"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="folders of POSIX systems")
def test_the_cache_is_where_the_system_keeps_caches(variables, expected, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    for name, value in ({"HOME": "/home/someone"} | variables).items():
        monkeypatch.setenv(name, value)
    assert str(cache_folder()) == expected


# Downloading.


def test_download_fills_the_cache_once_and_reports_progress(monkeypatch):
    reports = []
    with serving(PACKED) as (address, asked):
        monkeypatch.setattr(mnist, "MIRRORS", (address,))
        load_mnist(on_progress=lambda *report: reports.append(report))
        assert asked == [NAMES["x_train"], NAMES["y_train"]]
        assert_database(load_mnist)
        assert_database(load_mnist, download=False)
        assert sorted(asked) == sorted(PACKED)
    total = sum(len(PACKED[NAMES[key]]) for key in ("x_train", "y_train"))
    assert {of for _, of in reports} == {total}
    done = [done for done, _ in reports]
    assert done == sorted(done) and done[-1] == total
    # The originals, bit for bit, and no temporary file beside them.
    assert {path.name: path.read_bytes() for path in cache_folder().iterdir()} == PACKED


def test_a_damaged_file_in_the_cache_is_downloaded_again(monkeypatch):
    name = NAMES["y_train"]
    write(cache_folder(), PACKED | {name: damage(PACKED[name])})
    with pytest.raises(FileNotFoundError, match="damaged.*download was not allowed"):
        load_mnist(download=False)
    with serving(PACKED) as (address, asked):
        monkeypatch.setattr(mnist, "MIRRORS", (address,))
        assert_database(load_mnist)
        assert asked == [name]


NAME = NAMES["x_train"]
FAULTS = {
    "damaged": ({NAME: damage(PACKED[NAME])}, "damaged, [0-9]+ bytes of SHA-256"),
    "cut short": ({NAME: PACKED[NAME][:-1]}, "damaged|IncompleteRead"),
    "too long": ({NAME: PACKED[NAME] + bytes(1 << 20)}, f"damaged, {len(PACKED[NAME]) + 1} bytes"),
    "missing": ({}, "HTTP Error 404"),
    "silent": ({NAME: None}, "timed out"),
}


@pytest.mark.parametrize(("fault", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_bad_mirror_gives_way_to_the_next(fault, sentence, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT_S", 0.3)
    with serving(PACKED | fault if fault else {}) as (bad, asked), serving(PACKED) as (good, _):
        monkeypatch.setattr(mnist, "MIRRORS", (bad,))
        with pytest.raises(ConnectionError, match=f"127.0.0.1:[0-9]+: ({sentence})") as caught:
            load_mnist()
        assert "\n" not in str(caught.value) and "DYNFRAC_DATA" in str(caught.value)
        assert list(cache_folder().iterdir()) == []
        monkeypatch.setattr(mnist, "MIRRORS", (bad, good))
        assert_database(load_mnist)
        assert asked.count(NAME) == 2


def test_without_a_network_the_sentence_says_how_to_get_the_files(monkeypatch):
    with serving({}) as (address, _):
        pass  # and nobody listens there any more
    monkeypatch.setattr(mnist, "MIRRORS", (address, address))
    with pytest.raises(ConnectionError, match="refused.*refused") as caught:
        load_mnist()
    for remedy in ("train-images-idx3-ubyte.gz", "npz", "DYNFRAC_DATA", "source='mini'"):
        assert remedy in str(caught.value)
    with pytest.raises(FileNotFoundError, match="not allowed; get the four IDX files"):
        load_mnist(download=False)


def test_a_cache_that_cannot_be_written_is_found_out_before_the_download(monkeypatch, tmp_path):
    # A file where the folder should be stops everyone, whatever their permissions.
    (tmp_path / "caches").write_text("in the way")
    with serving(PACKED) as (address, asked):
        monkeypatch.setattr(mnist, "MIRRORS", (address,))
        with pytest.raises(OSError, match="cannot write to the cache .* set XDG_CACHE_HOME"):
            load_mnist()

        def refuse(**_):
            raise PermissionError(13, "Permission denied", "somewhere")

        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "others"))
        monkeypatch.setattr(downloads.tempfile, "mkstemp", refuse)
        with pytest.raises(OSError, match=r"others/dynfrac \(Permission denied\); set XDG_CACHE"):
            load_mnist()
        assert asked == []


def test_an_interrupted_download_leaves_nothing(monkeypatch):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with serving(PACKED) as (address, _):
        monkeypatch.setattr(mnist, "MIRRORS", (address,))
        with pytest.raises(KeyboardInterrupt):
            load_mnist(on_progress=interrupt)
    assert list(cache_folder().iterdir()) == []


def test_the_guard_of_these_tests_holds():
    with pytest.raises(AssertionError, match="a test asked for"):
        downloads.urllib.request.urlopen("https://example.org/", timeout=1)


# Reading and checking.

GOOD = idx(ARRAYS["x_train"])
BAD_FILES = {
    "truncated gzip": (PACKED[NAME][:-20], "damaged gzip file"),
    "gzip with a wrong byte": (damage(PACKED[NAME]), "damaged gzip file"),
    "gzip of no known kind": (PACKED[NAME][:10] + b"\xff" + PACKED[NAME][11:], "damaged gzip file"),
    "empty": (b"", "begins with nothing"),
    "wrong magic": (b"\x89PNG" + GOOD[4:], "begins with 89 50 4e 47 instead of 00 00 08"),
    "another type": (b"\0\0\x0d" + GOOD[3:], "begins with 00 00 0d 03"),
    "cut in the header": (GOOD[:9], "ends within its header"),
    "too few images": (GOOD[:-784], "says 5 x 28 x 28 bytes and 3136 follow"),
    "too many bytes": (GOOD + b"\0", "says 5 x 28 x 28 bytes and 3921 follow"),
    "another count": (idx(ARRAYS["x_train"][:4]), r"\(4, 28, 28\) instead of uint8 of .*\(5, 28"),
    "another shape": (idx(ARRAYS["x_train"].reshape(5, 784)), r"\(5, 784\) instead of uint8"),
    "one pixel changed": (
        GOOD[:-1] + bytes([GOOD[-1] ^ 1]),
        "SHA-256 of its bytes is [0-9a-f]{12}",
    ),
}


@pytest.mark.parametrize(("content", "sentence"), BAD_FILES.values(), ids=BAD_FILES)
def test_damaged_files_are_named(content, sentence, tmp_path):
    folder = write(tmp_path / "data", PACKED | {NAME: content})
    with pytest.raises(ValueError, match=f"{NAME}.*{sentence}") as caught:
        load_mnist(source=folder)
    assert "\n" not in str(caught.value)


def test_a_folder_without_the_files_says_which_is_missing(tmp_path):
    folder = write(tmp_path / "data", {NAME: PACKED[NAME]})
    with pytest.raises(FileNotFoundError, match="no train-labels-idx1-ubyte.gz or"):
        load_mnist(source=folder)


BAD_ARCHIVES = {
    "missing array": ({"y_train": None}, "but no y_train"),
    "integers instead of bytes": ({"x_train": ARRAYS["x_train"].astype(int)}, "int64 of shape"),
    "changed": ({"y_train": ARRAYS["y_train"][::-1]}, "y_train is damaged or not MNIST's"),
}


@pytest.mark.parametrize(("change", "sentence"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES)
def test_archives_are_checked_too(change, sentence, tmp_path):
    path = tmp_path / "digits.npz"
    arrays = {name: array for name, array in (ARRAYS | change).items() if array is not None}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=f"digits.npz.*{sentence}"):
        load_mnist(source=path)


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_idx_files_are_read_packed_or_not_whatever_their_name(array, tmp_path):
    path = tmp_path / "file"
    for content in (idx(array), pack(array)):
        path.write_bytes(content)
        assert np.array_equal(read_idx(path), array)


# What comes out.


def test_size_flat_and_n(tmp_path):
    folder = write(tmp_path / "data")
    images, labels = load_mnist(2, source=folder, size=14, flat=True)
    blocks = ARRAYS["x_train"][:2].astype(int).reshape(2, 14, 2, 14, 2).sum((2, 4))
    assert np.array_equal(images, blocks.reshape(2, 196) / (4 * 255))
    assert np.array_equal(labels, ARRAYS["y_train"][:2])
    framed, _ = load_mnist(source=folder, size=32, split="test")
    assert np.array_equal(framed[:, 2:-2, 2:-2], ARRAYS["x_test"] / 255)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 6}, "n=6 .* train split of MNIST; pass a whole number from 1 to 5"),
        ({"n": 0}, "n=0 .* 1 to 5"),
        ({"size": 65}, "size=65 .* 1 to 64"),
        ({"split": "validation"}, "split='validation' .* train, test"),
    ],
)
def test_misuse_is_refused_before_any_file_is_looked_for(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_mnist(source="nowhere", **arguments)
