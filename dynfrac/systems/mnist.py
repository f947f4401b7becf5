"""The full MNIST database of handwritten digits, from wherever it is, checked byte for byte.

Only the true database is ever returned: whatever the files look like (the four original IDX files,
packed or unpacked, or one NumPy archive in the layout of Keras), the SHA-256 of the bytes in their
arrays is compared with that of the original.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from dynfrac.systems.archives import read_arrays
from dynfrac.systems.digits import LARGEST, NATIVE, SOURCE, check_range, load_digits, resize
from dynfrac.systems.downloads import Progress, download_file, shorten

ENVIRONMENT = "DYNFRAC_DATA"
"""Environment variable that names the folder or archive to read when no source is given."""
MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
"""Where the packed IDX files are, in the order in which they are asked."""


@final
@dataclass(frozen=True)
class DataFile:
    """One of the four files of MNIST.

    Attributes
    ----------
    name : str
        Of the unpacked IDX file.
    key : str
        Of the array in an archive.
    shape : tuple of int
        Of the uint8 array that it holds.
    array_sha256 : str
        SHA-256 of the bytes of that array.
    packed_bytes : int
        Length of the original `.gz` file.
    packed_sha256 : str
        SHA-256 of the original `.gz` file.
    """

    name: str
    key: str
    shape: tuple[int, ...]
    array_sha256: str
    packed_bytes: int
    packed_sha256: str


FILES = {
    "train": (
        DataFile(
            "train-images-idx3-ubyte",
            "x_train",
            (60000, NATIVE, NATIVE),
            "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            9912422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        DataFile(
            "train-labels-idx1-ubyte",
            "y_train",
            (60000,),
            "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            28881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
    ),
    "test": (
        DataFile(
            "t10k-images-idx3-ubyte",
            "x_test",
            (10000, NATIVE, NATIVE),
            "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            1648877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte",
            "y_test",
            (10000,),
            "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
            4542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
}
"""Images and labels of each split."""

_ELSEWHERE = (
    "get the four IDX files (or one npz with x_train, y_train, x_test, y_test) by other means and "
    f"name their folder in {ENVIRONMENT} or in source, or ask for the embedded subset, "
    f"source={SOURCE!r}"
)


def load_mnist(
    n: int | None = None,
    *,
    split: str = "train",
    source: str | os.PathLike[str] | None = None,
    size: int = NATIVE,
    flat: bool = False,
    download: bool = True,
    on_progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Load the first `n` digits of MNIST.

    Parameters
    ----------
    n : int, optional
        How many, at most 60000 (train) or 10000 (test); all of them if not given. All training
        images take 376 MB at 28 x 28.
    split : {"train", "test"}
        The 60000 or the 10000.
    source : "mini" or path, optional
        ``"mini"`` is the embedded subset of `load_digits`. A path is a folder that holds the four
        IDX files, packed (`.gz`) or not, or an `.npz` file with the arrays `x_train`, `y_train`,
        `x_test` and `y_test`. Absent, these are tried in turn, and the subset never: the path in
        the environment variable ``DYNFRAC_DATA``; the user's cache (`cache_folder`); a download
        into that cache.
    size : int, default 28
        Side of the images in pixels, from 1 to 64, pooled or framed as in `load_digits`.
    flat : bool, default False
        Whether each image is one row.
    download : bool, default True
        Whether the files of the split (10 MB or 2 MB) may be downloaded.
    on_progress : callable, optional
        ``on_progress(done_bytes, total_bytes)``, called now and then during a download.

    Returns
    -------
    images : (n, size, size) or, if `flat`, (n, size * size) float64 array
        From 0 (background) to 1 (ink).
    labels : (n,) int32 array
        The digits, 0 to 9.

    Raises
    ------
    ValueError
        If an argument is out of range, or a file is damaged or not MNIST's.
    FileNotFoundError
        If a path does not exist or lacks a file, or there is no source and no leave to download.
    ConnectionError
        If no mirror delivers an undamaged file.
    OSError
        If the cache cannot be written to.

    References
    ----------
    `lecun1998` in docs/references.bib.
    """
    if source == SOURCE:
        return load_digits(n, split=split, size=size, flat=flat)
    if split not in FILES:
        raise ValueError(f"split={split!r} does not exist; choose one of {', '.join(FILES)}")
    largest = FILES[split][0].shape[0]
    n = check_range("n", largest if n is None else n, largest, f"{split} split of MNIST")
    size = check_range("size", size, LARGEST, "image loader")
    if source is not None:
        stored, labels = _read_path(Path(source), split, f"source={os.fspath(source)!r}")
    elif place := os.environ.get(ENVIRONMENT):
        stored, labels = _read_path(Path(place), split, f"{ENVIRONMENT}={place!r}")
    else:
        stored, labels = _read_cache(split, download, on_progress)
    images = resize(stored[:n], size)
    return (images.reshape(n, -1) if flat else images), labels[:n].astype(np.int32)


def cache_folder() -> Path:
    """Return the folder of downloaded files, which need not exist.

    ``dynfrac`` in ``$XDG_CACHE_HOME``, on Windows else in ``%LOCALAPPDATA%``, else in ``~/.cache``.
    """
    names = ["XDG_CACHE_HOME", "LOCALAPPDATA"] if os.name == "nt" else ["XDG_CACHE_HOME"]
    given = [Path(os.environ[name]) for name in names if os.environ.get(name)]
    # A relative path would mean another cache in every folder; the XDG rules say to ignore it.
    return next((p for p in given if p.is_absolute()), Path.home() / ".cache") / "dynfrac"


def _read_path(path: Path, split: str, origin: str) -> list[np.ndarray]:
    """Read the two arrays of a split from a folder or an archive that the user named."""
    if path.is_dir():
        try:
            return [_read_from_folder(path, file) for file in FILES[split]]
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{origin}: {error}; {_ELSEWHERE}") from error
    if not path.exists():
        raise FileNotFoundError(f"{origin} does not exist; {_ELSEWHERE}")
    arrays = read_arrays(path, [file.key for file in FILES[split]])
    for array, file in zip(arrays, FILES[split], strict=True):
        _check(array, file, f"{path}: {file.key}")
    return arrays


def _read_cache(split: str, download: bool, on_progress: Progress | None) -> list[np.ndarray]:
    """Read the two arrays of a split from the cache, downloading what it lacks."""
    folder = cache_folder()
    arrays = {}
    for file in FILES[split]:
        try:
            arrays[file] = _read_from_folder(folder, file)
        except (FileNotFoundError, ValueError) as error:
            if not download:
                raise FileNotFoundError(
                    f"MNIST is not here ({error}) and the download was not allowed; {_ELSEWHERE}"
                ) from error
    lacking = [file for file in FILES[split] if file not in arrays]
    _download(lacking, folder, on_progress)
    arrays |= {file: _read_from_folder(folder, file) for file in lacking}
    return [arrays[file] for file in FILES[split]]


def _download(files: Sequence[DataFile], folder: Path, on_progress: Progress | None) -> None:
    """Put the original packed files into a folder."""
    total = sum(file.packed_bytes for file in files)
    before = 0
    for file in files:
        packed = f"{file.name}.gz"

        def report(done: int, _: int, before: int = before) -> None:
            if on_progress is not None:
                on_progress(before + done, total)

        try:
            download_file(
                [f"{mirror}{packed}" for mirror in MIRRORS],
                folder / packed,
                n_bytes=file.packed_bytes,
                sha256=file.packed_sha256,
                on_progress=report,
            )
        except ConnectionError as error:
            raise ConnectionError(f"cannot download {packed} ({error}); {_ELSEWHERE}") from error
        except OSError as error:
            raise OSError(
                f"cannot write to the cache {folder} ({error.strerror or error}); set "
                f"XDG_CACHE_HOME to a folder that can be written to, or {_ELSEWHERE}"
            ) from error
        before += file.packed_bytes


def _read_from_folder(folder: Path, file: DataFile) -> np.ndarray:
    """Read and check one IDX file, whichever of its usual names it has."""
    names = [f"{stem}{end}" for stem in (file.name, _dotted(file.name)) for end in (".gz", "")]
    for path in (folder / name for name in names):
        if path.is_file():
            array = read_idx(path)
            _check(array, file, str(path))
            return array
    raise FileNotFoundError(f"there is no {names[0]} or {names[1]} in {folder}")


def _dotted(name: str) -> str:
    """Return the name that some unpackers give: `train-images.idx3-ubyte`."""
    return name.replace("-idx", ".idx")


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes, packed or not.

    The format: two zero bytes, 8 for unsigned bytes, the number of dimensions, each dimension as
    four bytes with the highest first, then the array in C order.

    Parameters
    ----------
    path : Path
        It is its content that says whether the file is packed, not its name.

    Returns
    -------
    ndarray of uint8
        Not writable.

    Raises
    ------
    ValueError
        If the file is damaged, of another format, or longer or shorter than it says.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged gzip file ({error}); get it again") from error
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(
            f"{path} is not an IDX file of unsigned bytes: it begins with "
            f"{content[:4].hex(' ') or 'nothing'} instead of 00 00 08"
        )
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise ValueError(f"{path} is damaged: it ends within its header; get it again")
    shape = struct.unpack(f">{content[3]}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise ValueError(
            f"{path} is damaged: its header says {' x '.join(map(str, shape))} bytes and "
            f"{len(content) - header} follow; get it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _check(array: np.ndarray, file: DataFile, where: str) -> None:
    """Refuse everything but the original array."""
    if array.dtype != np.uint8 or array.shape != file.shape:
        raise ValueError(
            f"{where} is not MNIST's: {array.dtype} of shape {array.shape} instead of uint8 of "
            f"shape {file.shape}"
        )
    found = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
    if found != file.array_sha256:
        raise ValueError(
            f"{where} is damaged or not MNIST's: the SHA-256 of its bytes is {shorten(found)} "
            f"instead of {shorten(file.array_sha256)}; get it again"
        )
