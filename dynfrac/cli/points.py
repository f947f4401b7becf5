"""Points on disk as arrays: NumPy files and archives, tables of numbers as text.

Whatever is wrong with a file ends in one sentence that names it. What the points mean is decided by
`dynfrac.analysis.point_clouds`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

SUFFIXES = (".npy", ".npz", ".csv", ".txt", ".dat")


def read_points(path: Path, key: str | None = None) -> np.ndarray:
    """Read an array of points by the suffix of its file.

    Parameters
    ----------
    path : Path
        A .npy file, a .npz archive, or a table of numbers, one row per point, with commas in a
        .csv and blanks in a .txt or .dat. A first line that is no numbers is a heading.
    key : str, optional
        Which array of an archive; not needed if there is one.

    Returns
    -------
    array
        As stored, of any shape.

    Raises
    ------
    ValueError
        If the file is empty, damaged, pickled or not what its name says, or `key` does not name
        one of its arrays.
    OSError
        If there is no such file or it cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: points are read from {', '.join(SUFFIXES)}; convert it first")
    if key is not None and suffix != ".npz":
        raise ValueError(f"--key {key} names an array of a .npz archive; leave it out for {path}")
    with path.open("rb") as file:  # the plain errors first: missing, a folder, no permission
        if not file.read(1):
            raise ValueError(f"{path} is empty; write the points again")
    if suffix in (".npy", ".npz"):
        return _read_numpy(path, key)
    return _read_table(path, "," if suffix == ".csv" else None)


def _read_numpy(path: Path, key: str | None) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded as archive:
            names = sorted(archive.files)
            if key is None and len(names) == 1:
                key = names[0]
            if key in names:
                return archive[key]
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        if "Object arrays" in str(error):
            raise ValueError(
                f"{path} holds pickled Python objects, which are never loaded; save a plain "
                "numeric array"
            ) from error
        raise ValueError(
            f"{path} is not a {path.suffix.lower()} file, or is damaged; save it with NumPy"
        ) from error
    listed = ", ".join(names) or "none"
    if key is None:
        raise ValueError(f"{path} holds several arrays; choose one with --key: {listed}")
    raise ValueError(f"{path} holds no array {key!r}; choose --key from: {listed}")


def _read_table(path: Path, delimiter: str | None) -> np.ndarray:
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text; save points as .npy or as text") from error
    if lines and not _is_numbers(lines[0], delimiter):
        lines = lines[1:]
    if not lines:
        raise ValueError(f"{path} holds no row of numbers; write one row per point")
    try:
        return np.loadtxt(lines, delimiter=delimiter, ndmin=2)
    except ValueError as error:
        reason = str(error).partition(";")[0].partition("\n")[0].rstrip(".")
        reason = reason[:1].lower() + reason[1:]
        raise ValueError(
            f"{path} is not a table of numbers ({reason}); write as many in every row"
        ) from error


def _is_numbers(line: str, delimiter: str | None) -> bool:
    try:
        [float(cell) for cell in line.split(delimiter)]
    except ValueError:
        return line.lstrip().startswith("#")  # a comment, which the reader skips
    return True
