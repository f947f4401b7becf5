"""Who may write to a store: any number of dense sweeps, or one adaptive sweep, or one repair.

Two dense sweeps write the same bytes into the same tiles, whole ones, and cannot harm each other.
An adaptive sweep adds runs to tiles, and a repair removes tiles, which bear no second writer.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from dynfrac.sweeps.stores import LOG

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}


@contextlib.contextmanager
def write_lock(store: Path, *, alone: bool) -> Iterator[None]:
    """Hold a store for writing; the system lets go of it when the process ends, however it does.

    Parameters
    ----------
    store : Path
        Its folder.
    alone : bool
        Whether no other writer may be there at all, or none that wants to be alone.

    Raises
    ------
    BlockingIOError
        If another process holds it.

    Notes
    -----
    Nothing is locked on systems and file systems that cannot.
    """
    if fcntl is None:
        yield
        return
    folder = store / LOG
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("ab") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                raise BlockingIOError(
                    errno.EWOULDBLOCK,
                    "another sweep or repair is writing to it; wait until it has ended",
                    str(store),
                ) from None
        yield
