"""What the explorer answers when something does not fit: a status and one sentence."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, final

from dynfrac.systems.plain_values import jsonable


@final
class Problem(Exception):
    """A request that cannot be answered.

    Parameters
    ----------
    status : int
        Of HTTP, 400 and above.
    sentence : str
        What is wrong, and the remedy.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """Turn what the library says of wrong arguments into an answer to the page."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise Problem(400, str(error)) from error
    except OSError as error:
        raise Problem(507, sentence_of(error)) from error


def sentence_of(error: BaseException) -> str:
    """Return an exception as one sentence, without a number of the system in front."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def encode(obj: Any) -> bytes:
    """Return JSON in which numbers that are not finite are null."""
    return json.dumps(jsonable(obj), allow_nan=False, separators=(",", ":")).encode()


def decode(body: bytes) -> Mapping[str, Any]:
    """Read a JSON object.

    Raises
    ------
    Problem
        If it is none.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "the body is not JSON; send one object") from None
    if not isinstance(found, dict):
        raise Problem(400, "the body is not a JSON object; send one")
    return found
