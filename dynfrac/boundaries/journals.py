"""Journals: what was answered, kept in a file in the order in which it was asked.

An estimator asks the same questions in the same order whenever it is run with the same arguments.
So a run that was cut off is resumed by running the same code again: the journal answers what it
has, and only the rest is computed. The result is that of a run which was left alone, to the bit.

A journal is a header and then blocks. The header holds all that the answers depend on, as JSON.
A block holds the answers to some questions, and the hash of those questions, so that an estimator
which asks otherwise than the one that wrote the file is told so, and never handed wrong answers.
Header and blocks carry their length and checksum: what a kill or a full disk left of the last
block is cut off, and nothing before it is lost.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, final

import numpy as np

try:
    import fcntl
except ImportError:  # no such locks on this system: two processes are not kept apart
    fcntl = None

Answers = dict[str, np.ndarray]

FORMAT = 1
SLICE_SECONDS = 2.0
"""What one block should take to compute, more or less."""

_MAGIC = b"dynfrac journal\n"
_FRAME = struct.Struct("<QI")
"""Length and CRC-32 of what follows."""
_DIGEST_BYTES = 16


@final
class Journal:
    """An append-only file of answers, which only one process at a time may have open.

    Parameters
    ----------
    path : path
        Made if there is none; else it goes on where it ends.
    identity : mapping
        All that the answers depend on, as JSON knows it.

    Attributes
    ----------
    path : Path
    n_kept : int
        Answers that were found in the file, so far.

    Raises
    ------
    ValueError
        If the file is of another identity or no journal at all, or another process writes it.
    """

    def __init__(self, path: str | os.PathLike[str], identity: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.n_kept = 0
        # Not truncated before it is locked. Unbuffered, so that nothing is left to be written when
        # the disk is full.
        self._file = open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        try:
            self._lock()
            self._begin(_header(identity))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Bring everything to the disk and let go of the file."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()

    def recall(self, kind: str, questions: np.ndarray) -> Answers | None:
        """Return what the file has next, the answers to the first of some questions.

        Parameters
        ----------
        kind : str
            What is asked of them.
        questions : (N, ...) array
            The first n <= N of them are answered; n is the length of the answers.

        Returns
        -------
        dict of str to (n, ...) array, or None
            None at the end of the file: from here on, answers are to be appended.

        Raises
        ------
        ValueError
            If the file holds answers to something else.
        """
        start = self._file.tell()
        payload = self._read_frame()
        if payload is None:
            # Nothing, or what was being written when the process was killed.
            self._file.seek(start)
            self._file.truncate()
            return None
        with np.load(io.BytesIO(payload[_DIGEST_BYTES:]), allow_pickle=False) as arrays:
            answers = dict(arrays)
        n = len(next(iter(answers.values())))
        if n > len(questions) or payload[:_DIGEST_BYTES] != _digest(kind, questions[:n]):
            self._file.seek(start)
            raise ValueError(
                f"{self.path} answers other questions after the first {self.n_kept}: it was "
                "written by another version of dynfrac; choose another name or delete it"
            )
        self.n_kept += n
        return answers

    def append(self, kind: str, questions: np.ndarray, answers: Answers) -> None:
        """Add answers to the end of the file.

        Parameters
        ----------
        kind : str
        questions : (n, ...) array
            With n >= 1.
        answers : dict of str to (n, ...) array
            At least one.

        Raises
        ------
        OSError
            If the disk does not take them; the file then ends where it did before.
        """
        buffer = io.BytesIO()
        buffer.write(_digest(kind, questions))
        np.savez(buffer, **answers)  # pyright: ignore[reportArgumentType]
        self._write(_framed(buffer.getvalue()))

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{self.path} is being written by another process; wait for it or choose another "
                "name"
            ) from error

    def _begin(self, header: bytes) -> None:
        """Check the header, or write it if the file does not have it in full yet."""
        self._file.seek(0)
        found = self._file.read(len(_MAGIC))
        kept = self._read_frame() if found == _MAGIC else None
        if kept is None:
            self._file.seek(0)
            whole = _MAGIC + _framed(header)
            # Less than the header is what was left of a process that was killed at once.
            if not whole.startswith(self._file.read(len(whole) + 1)):
                raise ValueError(f"{self.path} is no journal; choose another name")
            self._file.seek(0)
            self._file.truncate()
            self._write(whole)
        elif kept != header:
            _refuse(self.path, json.loads(kept), json.loads(header))

    def _read_frame(self) -> bytes | None:
        """Return what the next frame holds, None if it is not whole."""
        frame = self._file.read(_FRAME.size)
        if len(frame) < _FRAME.size:
            return None
        length, checksum = _FRAME.unpack(frame)
        # A damaged length must not be believed: it would be asked of the memory.
        if length > os.fstat(self._file.fileno()).st_size - self._file.tell():
            return None
        content = self._file.read(length)
        return content if zlib.crc32(content) == checksum else None

    def _write(self, data: bytes) -> None:
        start = self._file.tell()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            # A disk that has just become full takes a part.
            self._file.seek(start)
            self._file.truncate()
            raise OSError(
                f"{self.path} cannot be written to ({(error.strerror or str(error)).lower()}); "
                "what it holds is kept, so make room and run the same again"
            ) from error


@final
class Pace:
    """How many questions to answer at once, so that it takes about `SLICE_SECONDS`.

    Answers do not depend on it: a journal is cut anywhere, and read by the lengths of its blocks.

    Parameters
    ----------
    first : int
        To begin with, and the least.
    most : int
    """

    def __init__(self, first: int, most: int) -> None:
        self.first = first
        self.most = max(first, most)
        self.size = first

    def note(self, n: int, seconds: float) -> None:
        """Hear how long `n` answers took."""
        if seconds > 2 * SLICE_SECONDS:
            self.size = max(self.first, n // 2)
        elif seconds < SLICE_SECONDS / 2 and n >= self.size:
            self.size = min(self.most, self.size * (4 if seconds < SLICE_SECONDS / 8 else 2))


def answer_in_slices(
    kind: str,
    questions: np.ndarray,
    answer: Callable[[np.ndarray], Answers],
    *,
    pace: Pace,
    journal: Journal | None = None,
) -> Iterator[Answers]:
    """Answer questions a few at a time, from a journal as far as it goes.

    Parameters
    ----------
    kind : str
        What is asked of them; part of what a journal compares.
    questions : (N, ...) array
    answer : callable
        From (n, ...) questions to arrays with n rows, by name. Must answer each question in the
        same way whatever is asked with it.
    pace : Pace
    journal : Journal, optional

    Yields
    ------
    dict of str to (n, ...) array
        The answers to the next n questions, which are in the journal by then.
    """
    done = 0
    while done < len(questions):
        rest = questions[done:]
        answers = None if journal is None else journal.recall(kind, rest)
        if answers is None:
            part = rest[: pace.size]
            start = time.perf_counter()
            answers = answer(part.copy())  # a function may work in place
            pace.note(len(part), time.perf_counter() - start)
            if journal is not None:
                journal.append(kind, part, answers)
        done += len(next(iter(answers.values())))
        yield answers


def _header(identity: Mapping[str, Any]) -> bytes:
    text = json.dumps(identity, sort_keys=True)
    checked = {
        "format": FORMAT,
        "hash": hashlib.sha256(text.encode()).hexdigest(),
        "identity": json.loads(text),
    }
    return json.dumps(checked, sort_keys=True).encode()


def _refuse(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Say in what the file that is there differs from the one that is wanted."""
    if old.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {old.get('format')}, and this dynfrac writes format {FORMAT}; "
            "choose another name"
        )
    before, after = dict(_fields(old["identity"])), dict(_fields(new["identity"]))
    names = [*after, *(name for name in before if name not in after)]
    changed = [
        f"{name} is {before.get(name, 'absent')} there and {after.get(name, 'absent')} here"
        for name in names
        if before.get(name) != after.get(name)
    ]
    raise ValueError(
        f"{path} is the journal of another question: {', '.join(changed)}; ask for the same or "
        "choose another name"
    )


def _fields(obj: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested mappings to (dotted name, value)."""
    if isinstance(obj, Mapping):
        for key, value in obj.items():
            yield from _fields(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, obj


def _framed(content: bytes) -> bytes:
    return _FRAME.pack(len(content), zlib.crc32(content)) + content


def _digest(kind: str, questions: np.ndarray) -> bytes:
    array = np.ascontiguousarray(questions)
    head = f"{kind}\0{array.dtype.str}{array.shape}\0".encode()
    return hashlib.blake2b(head + array.tobytes(), digest_size=_DIGEST_BYTES).digest()
