"""Streams of tiles: the answer to a view, frame by frame, as long as somebody reads it.

A frame is the length of its header (4 bytes, little-endian), the header (JSON) and what the header
says follows. Tiles hold float32 values and then the status, rows from the low end of y.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np

from dynfrac.web.levels import TileKey
from dynfrac.web.problems import Problem, encode, sentence_of
from dynfrac.web.pyramids import Pyramid
from dynfrac.web.queues import Order, TileQueue

MOST_TILES = 1024
_PAUSE = 0.25
"""Seconds between two frames of progress."""


def read_tiles(pyramid: Pyramid, body: Mapping[str, Any]) -> tuple[str, list[TileKey]]:
    """Return the field and the tiles that a request wants.

    Raises
    ------
    Problem
        If they do not exist.
    """
    field, wanted = body.get("field"), body.get("tiles")
    if field not in pyramid.scene.fields:
        listed = ", ".join(pyramid.scene.fields)
        raise Problem(400, f"field={str(field)[:40]!r} is unknown; choose one of {listed}")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= MOST_TILES:
        raise Problem(400, f"tiles must be a list of 1 to {MOST_TILES} triples")
    keys: dict[TileKey, None] = {}
    for entry in wanted:
        if not isinstance(entry, list) or len(entry) != 3 or not all(type(i) is int for i in entry):
            raise Problem(400, f"{str(entry)[:40]} is no tile; give [level, x, y] in whole numbers")
        z, x, y = entry
        pyramid.levels.check((z, x, y))
        keys[z, x, y] = None
    return str(field), list(keys)


async def stream_tiles(
    pyramid: Pyramid, queue: TileQueue, field: str, keys: list[TileKey]
) -> AsyncIterator[bytes]:
    """Yield the frames of a view; what is not read any more is withdrawn."""
    # Beside the loop: powers of ten, for up to a thousand blocks.
    resolved = await asyncio.to_thread(lambda: [key for key in keys if pyramid.resolved(key)])
    if len(resolved) < len(keys):
        kind = pyramid.scene.plan.spec["dtype"]
        there = set(resolved)
        beyond = [key for key in keys if key not in there]
        message = f"{kind} does not tell neighbouring points apart any deeper here"
        yield _frame({"type": "limit", "message": message, "tiles": beyond})
    try:
        missing = []
        for key in resolved:
            frame = await asyncio.to_thread(_tile, pyramid, key, field)
            if frame is None:
                missing.append(key)
            else:
                yield frame
        if missing:
            async for frame in _computed(pyramid, queue, field, missing):
                yield frame
    except (Problem, ValueError, OSError) as error:
        yield _frame({"type": "error", "message": sentence_of(error)})
        return
    yield _frame({"type": "end"})


async def _computed(
    pyramid: Pyramid, queue: TileQueue, field: str, keys: list[TileKey]
) -> AsyncIterator[bytes]:
    """Order tiles, and yield them as they come.

    Raises
    ------
    Problem
        If the computation fails, or too many views wait.
    """
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[TileKey | str | None] = asyncio.Queue()
    told = 0.0

    def tell(what: TileKey | str | None) -> None:
        nonlocal told
        now = time.monotonic()
        if what is None:
            if now - told < _PAUSE:
                return
            told = now
        with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
            loop.call_soon_threadsafe(news.put_nowait, what)

    order = Order(pyramid, keys, tell)
    queue.put(order)
    try:
        left = len(keys)
        while left:
            what = await news.get()
            if isinstance(what, str):
                raise Problem(500, what)
            if what is not None:
                left -= 1
                frame = await asyncio.to_thread(_tile, pyramid, what, field)
                assert frame is not None, "the queue tells of tiles that are there"
                yield frame
            about = {"done": round(order.settled), "total": order.total}
            yield _frame({"type": "progress", **about, "seconds_left": order.seconds_left})
    finally:
        queue.withdraw(order)


def _tile(pyramid: Pyramid, key: TileKey, field: str) -> bytes | None:
    found = pyramid.read(key, field)
    if found is None:
        return None
    values, status = found
    rows, columns = status.shape
    header = {"type": "tile", "tile": key, "rows": rows, "columns": columns}
    with np.errstate(over="ignore"):  # what is beyond float32 is infinite on a screen
        numbers = values.astype("<f4")
    if field == "t_escape":
        numbers[values < 0] = np.nan
    return _frame(header, numbers.tobytes() + status.astype(np.uint8).tobytes())


def _frame(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    text = encode({**header, "bytes": len(payload)})
    return struct.pack("<I", len(text)) + text + payload
