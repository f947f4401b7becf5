"""Downloading one file that is known in advance: its length and its hash are given."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

Progress = Callable[[int, int], None]
"""Called as ``on_progress(done_bytes, total_bytes)``."""

TIMEOUT_S = 30.0
"""How long to wait for a server that says nothing."""
CHUNK = 1 << 16
"""Bytes between two reports of progress."""


def download_file(
    urls: Sequence[str], path: Path, *, n_bytes: int, sha256: str, on_progress: Progress
) -> None:
    """Fetch a file from the first address that delivers it undamaged.

    The file appears under its name only when it is complete and right, so that an interrupted
    download, or two at once, leave nothing behind that a later reader could take for the file.

    Parameters
    ----------
    urls : sequence of str
        Where the file is, in the order in which to try them.
    path : Path
        Where to put it; an existing file is replaced. Its folder is created.
    n_bytes : int
        Length of the file.
    sha256 : str
        Hexadecimal SHA-256 of the file.
    on_progress : callable
        Told of every chunk; begins again at 0 with the next address.

    Raises
    ------
    ConnectionError
        If no address delivered the file; the message says why, address by address.
    OSError
        If the folder cannot be written to, which is found out before anything is fetched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_fetch_from_any(urls, n_bytes, sha256, on_progress))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _fetch_from_any(urls: Sequence[str], n_bytes: int, sha256: str, on_progress: Progress) -> bytes:
    """Return the content of the first address where it is right."""
    reasons = []
    for url in urls:
        try:
            content = _fetch(url, n_bytes, on_progress)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it is also the open connection
            reason = error.reason if type(error) is urllib.error.URLError else error
            reasons.append(f"{_host(url)}: {str(reason) or type(reason).__name__}")
            continue
        found = hashlib.sha256(content).hexdigest()
        if found == sha256:
            return content
        reasons.append(
            f"{_host(url)}: damaged, {len(content)} bytes of SHA-256 {shorten(found)} instead of "
            f"{n_bytes} of {shorten(sha256)}"
        )
    raise ConnectionError("; ".join(reasons) or "no address is known")


def _fetch(url: str, n_bytes: int, on_progress: Progress) -> bytes:
    """Return what an address delivers, cut after one byte too many."""
    content = bytearray()
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
        while chunk := response.read(min(CHUNK, n_bytes + 1 - len(content))):
            content += chunk
            on_progress(min(len(content), n_bytes), n_bytes)
    return bytes(content)


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def shorten(sha256: str) -> str:
    """Return the beginning of a hash, enough to tell two apart by eye."""
    return f"{sha256[:12]}..."
