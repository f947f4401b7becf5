"""Checkpoint files of `dynfrac lyapunov`: read, and written so that none is ever half a file."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path
from typing import final

import numpy as np

from dynfrac.orbits.checkpoints import Checkpoint

INTERVAL = 30.0
"""Seconds between two writings."""


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Return the checkpoint in a file, None if there is no file.

    Raises
    ------
    ValueError
        If the file holds something else.
    """
    if not path.exists():
        return None
    try:
        # Opened here, because numpy leaves damaged files open.
        with open(path, "rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise ValueError("one array is no checkpoint")
            return Checkpoint.from_arrays(dict(arrays))
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"--checkpoint {path} is no checkpoint; choose another name") from error


@final
class CheckpointFile:
    """Keeps the latest checkpoint of a run, and writes it every now and then.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.latest: Checkpoint | None = None
        self._written = time.monotonic()

    def offer(self, checkpoint: Checkpoint) -> None:
        """Take a newer checkpoint; write it if the last writing was long ago."""
        self.latest = checkpoint
        if time.monotonic() - self._written > INTERVAL:
            self.write()

    def write(self) -> None:
        """Write the latest checkpoint, if there is one, so that no file is ever half written."""
        if self.latest is None:
            return
        beside = self.path.with_name(self.path.name + ".part")
        with open(beside, "wb") as file:
            np.savez(file, **self.latest.to_arrays())  # pyright: ignore[reportArgumentType]
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)
        self._written = time.monotonic()
