"""Pictures on disk as arrays: NumPy files, PNG and TIFF images, sweeps.

Whatever is wrong with a file ends in one sentence that names it. Nothing is converted: what the
values mean is decided by `dynfrac.analysis.labels`.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

SUFFIXES = (".npy", ".png", ".tif", ".tiff", ".zarr")


def read_picture(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the array behind a file name, by its suffix, and the reservations about it.

    Parameters
    ----------
    path : Path
        A .npy file, a .png or .tif image, or the .zarr folder of a finished sweep.

    Returns
    -------
    array : array
        As stored, of any shape. Of an image with a palette, the indices; of a sweep, True where
        the run converged.
    flags : tuple of str
        Those of a sweep.

    Raises
    ------
    ValueError
        If the file is empty, damaged, pickled, not what its name says, or a sweep with pending
        cells.
    OSError
        If there is no such file or it cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: pictures are read from {', '.join(SUFFIXES)}; convert it first")
    if suffix == ".zarr":
        return _read_sweep(path)
    with path.open("rb") as file:  # the plain errors first: missing, a folder, no permission
        if not file.read(1):
            raise ValueError(f"{path} is empty; write the picture again")
    if suffix == ".npy":
        return _read_npy(path), ()
    return (_read_png(path) if suffix == ".png" else _read_tiff(path)), ()


def _read_npy(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        magic = file.read(len(np.lib.format.MAGIC_PREFIX))
        if magic != np.lib.format.MAGIC_PREFIX:
            hint = "; unpack it first" if magic[:2] == b"PK" else "; save it with numpy.save"
            raise ValueError(f"{path} is not a .npy file{hint}")
        file.seek(0)
        try:
            return np.load(file, allow_pickle=False)
        except (ValueError, EOFError) as error:
            if "pickle" in str(error).lower():
                raise ValueError(
                    f"{path} holds pickled Python objects, which are never loaded; save a plain "
                    "numeric array"
                ) from error
            raise ValueError(f"{path} is damaged or cut short; write it again") from error


def _read_png(path: Path) -> np.ndarray:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # A large picture is what this is for; one beyond twice the limit is still refused.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG"]) as image:
                return np.asarray(image)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} has too many pixels for a PNG; save it as .npy") from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's ways of saying so
        raise ValueError(f"{path} is not a PNG image, or is damaged") from error


def _read_tiff(path: Path) -> np.ndarray:
    import tifffile

    try:
        return tifffile.imread(path)
    except Exception as error:  # a damaged file can fail anywhere in the decoder
        raise ValueError(f"{path} is not a TIFF image, or is damaged") from error


def _read_sweep(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    from dynfrac.sweeps.results import open_sweep

    sweep = open_sweep(path)
    pending = sweep.pending
    if pending:
        raise ValueError(
            f"{path} is not finished: {pending} of its {sweep.status.size} cells are pending; "
            "resume the sweep with the command that began it"
        )
    return sweep.labels, sweep.flags
