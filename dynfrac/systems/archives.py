"""Training data of one's own, from a NumPy archive (`.npz`).

What the arrays mean follows from their types, so that a file needs no description beside it: bytes
are pixels, other integers are tokens when they come in and classes when they should come out, and
floats are numbers.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from dynfrac.systems.batches import Dataset

LAYOUTS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("inputs", "targets", "test_inputs", "test_targets"),
    ("x", "y", "x_test", "y_test"),
)
"""Names that an archive may use: training inputs and targets, then those of the test set, which
may be absent. The first layout whose training arrays are there is read."""

_LARGEST_CLASS = np.iinfo(np.int32).max


def read_examples(path: Path) -> tuple[Dataset, Dataset | None, int | None]:
    """Read training data, and test data if there are any, from an `.npz` file.

    Parameters
    ----------
    path : Path
        An archive with arrays named as in one of `LAYOUTS`; other arrays in it are not looked at.

    Returns
    -------
    train, test : Dataset
        `test` is None if the archive holds no test arrays. *Inputs*: uint8 is divided by 255; other
        integers are tokens and stay as they are; floats become float64. Float inputs (N,) become
        (N, 1) and grey images (N, H, W) become (N, H, W, 1). *Targets*: integers are classes, int32
        from 0, with (N, 1) squeezed to (N,); floats are regression targets, float64, with (N,)
        made (N, 1).
    n_classes : int or None
        One more than the largest class of both sets; None for regression.

    Raises
    ------
    ValueError
        If the file is no such archive, or its arrays do not fit each other or hold what cannot be
        trained on.
    FileNotFoundError
        If there is no such file.
    """
    names = array_names(path)
    used = _choose_names(names, path)
    arrays = read_arrays(path, used)
    train = _pair(arrays[:2], used[:2], path)
    if len(used) == 2:
        return train, None, _count_classes(train)
    test = _pair(arrays[2:], used[2:], path)
    mixed = (arrays[0].dtype == np.uint8) != (arrays[2].dtype == np.uint8)
    _check_alike(train.inputs, test.inputs, mixed, f"{path}: {used[0]} and {used[2]}")
    _check_alike(train.targets, test.targets, False, f"{path}: {used[1]} and {used[3]}")
    return train, test, _count_classes(train, test)


def array_names(path: Path) -> tuple[str, ...]:
    """Return the names of the arrays in an `.npz` file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not such an archive.
    """
    with _open(path) as archive:
        return tuple(archive.files)


def read_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Read arrays from an `.npz` file; nothing that it holds is ever executed.

    Parameters
    ----------
    path : Path
    names : sequence of str
        Some of `array_names`.

    Returns
    -------
    list of ndarray

    Raises
    ------
    ValueError
        If a name is not there, or an array is damaged or holds Python objects.
    """
    arrays = []
    with _open(path) as archive:
        missing = [name for name in names if name not in archive.files]
        if missing:
            raise ValueError(f"{path} holds {_list(archive.files)}, but no {_list(missing)}")
        for name in names:
            try:
                array = archive[name]
            except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                if "Object arrays" in str(error):
                    text = "holds Python objects, which are not read; store numbers, of equal shape"
                    raise ValueError(f"{path}: {name} {text}") from error
                raise ValueError(
                    f"{path}: {name} cannot be read, the file is damaged ({error}); write it again"
                ) from error
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{path}: {name} is no array; write the file with numpy.savez")
            arrays.append(array)
    return arrays


@contextlib.contextmanager
def _open(path: Path) -> Iterator[NpzFile]:
    """Open an archive for as long as the block lasts."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; pass the path of an .npz file")
    with contextlib.ExitStack() as stack:
        archive = None
        if not path.is_dir():
            # Not by its path: numpy leaves the file open when it turns out to be no archive.
            file = stack.enter_context(path.open("rb"))
            with contextlib.suppress(ValueError, EOFError, zipfile.BadZipFile):
                archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, NpzFile):
            raise ValueError(
                f"{path} is not a NumPy archive (.npz), or a damaged one; write one with "
                "numpy.savez"
            )
        yield stack.enter_context(archive)


def _choose_names(names: Sequence[str], path: Path) -> tuple[str, ...]:
    """Return the two or four names of the first layout that an archive fits."""
    for layout in LAYOUTS:
        if set(layout[:2]) <= set(names):
            there = [name for name in layout[2:] if name in names]
            if len(there) == 1:
                (absent,) = set(layout[2:]) - set(there)
                raise ValueError(f"{path} holds {there[0]} but not {absent}; store both or neither")
            return layout if there else layout[:2]
    wanted = ", or ".join(" and ".join(layout[:2]) for layout in LAYOUTS)
    raise ValueError(
        f"{path} holds {_list(names)}; wanted are {wanted}, and for a test set also "
        + ", or ".join(" and ".join(test) for test in dict.fromkeys(x[2:] for x in LAYOUTS))
    )


def _pair(arrays: Sequence[np.ndarray], names: Sequence[str], path: Path) -> Dataset:
    """Check one set and bring it to the form that training needs."""
    for name, array in zip(names, arrays, strict=True):
        if array.ndim == 0 or array.size == 0:
            raise ValueError(f"{path}: {name} holds no examples, its shape is {array.shape}")
    inputs, targets = arrays
    if len(inputs) != len(targets):
        raise ValueError(
            f"{path}: {names[0]} has {len(inputs)} examples and {names[1]} has {len(targets)}; "
            "give each example one target"
        )
    return Dataset(
        _convert_inputs(inputs, f"{path}: {names[0]}"),
        _convert_targets(targets, f"{path}: {names[1]}"),
    )


def _convert_inputs(array: np.ndarray, where: str) -> np.ndarray:
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        if array.min() < 0:
            raise ValueError(
                f"{where} holds the negative integer {array.min()}, but integer inputs are tokens "
                "that count from 0; store numbers as floats"
            )
        return array.astype(array.dtype.newbyteorder("="))
    inputs = _convert_floats(array, where)
    if array.dtype == np.uint8:
        inputs /= 255
    if inputs.ndim == 1:
        return inputs[:, None]
    return inputs[..., None] if inputs.ndim == 3 else inputs


def _convert_targets(array: np.ndarray, where: str) -> np.ndarray:
    if array.dtype.kind not in "iub":
        targets = _convert_floats(array, where)
        return targets[:, None] if targets.ndim == 1 else targets
    if array.min() < 0 or array.max() > _LARGEST_CLASS:
        raise ValueError(
            f"{where} holds integers from {array.min()} to {array.max()}, but integer targets are "
            "classes that count from 0; store the targets of a regression as floats"
        )
    return (array[:, 0] if array.shape[1:] == (1,) else array).astype(np.int32)


def _convert_floats(array: np.ndarray, where: str) -> np.ndarray:
    """Return real numbers as finite float64."""
    if array.dtype.kind not in "fub":
        raise ValueError(f"{where} is of type {array.dtype}; store integers or floats")
    numbers = array.astype(np.float64)
    n_bad = numbers.size - np.count_nonzero(np.isfinite(numbers))
    if n_bad:
        raise ValueError(
            f"{where} holds {n_bad} values that are infinite or not a number; leave those examples "
            "out"
        )
    return numbers


def _count_classes(*sets: Dataset) -> int | None:
    if sets[0].targets.dtype.kind == "f":
        return None
    return 1 + max(int(data.targets.max()) for data in sets)


def _check_alike(train: np.ndarray, test: np.ndarray, mixed: bool, where: str) -> None:
    """Refuse a test set that is of another form than the training set, or on another scale."""
    if train.shape[1:] != test.shape[1:]:
        raise ValueError(
            f"{where} hold examples of shapes {train.shape[1:]} and {test.shape[1:]}; store both "
            "sets in one shape"
        )
    if mixed or train.dtype.kind != test.dtype.kind:
        raise ValueError(
            f"{where} differ in type, and so in meaning (bytes, other integers or floats); store "
            "both sets in one type"
        )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "nothing"
