"""The explorer's server: routes, and nothing that computes.

It serves one page and its data. Computation happens in threads: tiles in that of `TileQueue`,
rectangles in that of `RegionDesk`, single runs in one more, one at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import threading
from collections.abc import AsyncIterator, Callable, Container, Mapping
from pathlib import Path
from typing import Any, final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dynfrac.systems.catalogue import name_architectures
from dynfrac.web.commands import sweep_command
from dynfrac.web.exports import Draw, conditions, export, read_view
from dynfrac.web.guards import HostGuard, answer, only, read_body
from dynfrac.web.levels import BLOCK_LEVELS, DEEPEST
from dynfrac.web.probes import measure_exponents, read_point, run_point
from dynfrac.web.problems import Problem, decode, encode, refused, sentence_of
from dynfrac.web.pyramids import Pyramid
from dynfrac.web.queues import TileQueue
from dynfrac.web.regions import RegionDesk
from dynfrac.web.scenes import FIRST_CELLS, Scene, SceneBook, known_presets
from dynfrac.web.streams import read_tiles, stream_tiles

STATIC = Path(__file__).parent / "static"
_PYRAMIDS = 12
"""Pyramids that are kept open: more than there are scenes."""

_VIEW = ("level", "columns", "rows")
_SCENE = ("scene", "preset", "arch", "x", "y", "steps")


@final
class Explorer:
    """What the server knows: scenes with their pyramids, and who computes.

    Parameters
    ----------
    start : Scene
    folder : Path
        Where tiles are kept.
    draw : Draw
        Draws a view as PNG.
    palettes : mapping
        Colours for the page, by name; the first is the usual one.
    """

    def __init__(
        self, start: Scene, folder: Path, draw: Draw, palettes: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.book = SceneBook(start)
        self.folder = folder
        self.draw = draw
        self.palettes = palettes
        self.queue = TileQueue()
        self.desk = RegionDesk()
        self._pyramids: dict[str, Pyramid] = {}
        self._lock = threading.Lock()
        self._probing = asyncio.Lock()
        self._exporting = asyncio.Lock()

    def warm_up(self) -> None:
        """Compile what the first tiles need."""
        with contextlib.suppress(Exception):  # whoever asks for the first tile is told
            self.book.start.plan.try_out()

    def close(self) -> None:
        """Give all computations up."""
        self.queue.close()
        self.desk.close()

    def pyramid(self, scene: Scene) -> Pyramid:
        """Return the pyramid of a scene; those that are not asked for any more are forgotten."""
        with self._lock:
            found = self._pyramids.pop(scene.id, None)
            if found is None:
                words = "".join(c if c.isalnum() or c in "-_" else "-" for c in scene.title)[:40]
                found = Pyramid(scene, self.folder / f"{words}-{scene.id[:8]}")
            self._pyramids[scene.id] = found
            while len(self._pyramids) > _PYRAMIDS:
                del self._pyramids[next(iter(self._pyramids))]
            return found

    async def menu(self, request: Request) -> Response:
        """Say what there is to choose from."""
        only(request.query_params, ())
        return _json(
            {
                "version": importlib.metadata.version("dynfrac"),
                "start": dict(self.book.start.query),
                "presets": known_presets(),
                "architectures": [
                    {"name": name, "description": words}
                    for name, words in name_architectures().items()
                ],
                "palettes": self.palettes,
            }
        )

    async def scene(self, request: Request) -> Response:
        """Describe the scene of a query."""
        query = only(request.query_params, _SCENE)
        scene = await asyncio.to_thread(self.book.by_query, query)
        return _json(await asyncio.to_thread(self._describe, scene))

    async def tiles(self, request: Request) -> Response:
        """Stream tiles."""
        pyramid = self.pyramid(self._named(request))
        field, keys = read_tiles(pyramid, decode(await read_body(request)))
        frames = stream_tiles(pyramid, self.queue, field, keys)
        return StreamingResponse(frames, media_type="application/octet-stream")

    async def point(self, request: Request) -> Response:
        """Run one point."""
        return await self._probe(request, run_point)

    async def exponents(self, request: Request) -> Response:
        """Measure the exponents of one run."""
        return await self._probe(request, measure_exponents)

    async def measure(self, request: Request) -> Response:
        """Begin to measure the boundary in a rectangle."""
        scene = self._named(request)
        region = self.desk.put(scene, decode(await read_body(request)))
        return _json({"region": region.id}, 202)

    async def region(self, request: Request) -> Response:
        """Say how far a rectangle is, or give it up."""
        region = self.desk.find(request.path_params["region"])
        if request.method == "DELETE":
            self.desk.cancel(region)
        return _json(region.describe())

    async def download(self, request: Request) -> Response:
        """Send the view as a file."""
        query = only(request.query_params, (*_VIEW, "format", "field", "palette"))
        pyramid = self.pyramid(self._named(request))
        view = read_view(pyramid, query)
        async with self._exporting:  # one at a time: each takes much memory
            with refused():
                content, kind, name = await asyncio.to_thread(
                    export, pyramid, view, query, self.draw, list(self.palettes)
                )
        headers = {"content-disposition": f'attachment; filename="{_ascii(name)}"'}
        return Response(content, media_type=kind, headers=headers)

    async def command(self, request: Request) -> Response:
        """Say which command computes the view."""
        pyramid = self.pyramid(self._named(request))
        view = read_view(pyramid, only(request.query_params, _VIEW))
        return _json({"command": sweep_command(pyramid.scene, view.axes)})

    def _named(self, request: Request) -> Scene:
        return self.book.by_id(request.path_params["scene"])

    async def _probe(
        self,
        request: Request,
        probe: Callable[[Scene, Mapping[str, float], Callable[[], None]], dict[str, Any]],
    ) -> Response:
        """Run a probe in a thread; it is given up when nobody waits for it any more."""
        scene = self._named(request)
        point = read_point(scene, only(request.query_params, ("x", "y")))
        given_up = False

        def beat() -> None:
            if given_up:
                raise _GivenUp

        async with self._probing:
            if await request.is_disconnected():  # while others were served
                return _json({})
            work = asyncio.create_task(asyncio.to_thread(_attempt, probe, scene, point, beat))
            try:
                while not work.done():
                    await asyncio.wait([work], timeout=0.5)
                    if not work.done() and await request.is_disconnected():
                        given_up = True
                found = await work
            finally:
                given_up = True  # the server ends, which waits for its threads
        return _json({} if found is None else found)

    def _describe(self, scene: Scene) -> dict[str, Any]:
        pyramid = self.pyramid(scene)
        job = scene.plan.job
        ends = job.rule.ends
        return {
            "id": scene.id,
            "query": dict(scene.query),
            "title": scene.title,
            "conditions": conditions(pyramid),
            "n_steps": job.n_steps,
            "dtype": job.dtype,
            "axes": {
                key: {"name": a.name, "low": a.low, "high": a.high, "scale": a.scale}
                for key, a in zip("xy", scene.axes, strict=True)
            },
            "hyperparameters": sorted(scene.map_.defaults),
            "ends": [ends.highest, ends.above_zero, ends.below_zero, ends.lowest],
            "fields": [
                {"name": name, "label": label, "kind": kind}
                for name, (label, kind) in ((name, _field(name)) for name in scene.fields)
            ],
            "first_cells": FIRST_CELLS,
            "block_levels": BLOCK_LEVELS,
            "tile_edges": pyramid.levels.edges,
            "deepest": DEEPEST,
        }


class _GivenUp(Exception):
    """Nobody waits for the answer any more."""


_FIELDS = {
    "measure": ("how it converged or diverged", "signed"),
    "status": ("outcome", "classes"),
    "t_escape": ("first loss over the limit", "log"),
    "final_loss": ("last loss", "log"),
    "test_loss": ("test loss", "log"),
    "accuracy": ("test accuracy", "share"),
    "train_accuracy": ("training accuracy", "share"),
    "lyapunov": ("largest exponent (nats per step)", "diverging"),
}


def make_app(explorer: Explorer, hosts: Container[str]) -> Starlette:
    """Return the application.

    Parameters
    ----------
    explorer : Explorer
        It is closed with the application.
    hosts : container of str
        Values of the Host header that are answered.
    """

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        warm = asyncio.create_task(asyncio.to_thread(explorer.warm_up))
        yield
        await asyncio.to_thread(explorer.close)
        await warm

    scene = "/api/scenes/{scene}"
    routes = [
        Route("/", _page),
        Route("/api/menu", explorer.menu),
        Route("/api/scene", explorer.scene),
        Route(f"{scene}/tiles", explorer.tiles, methods=["POST"]),
        Route(f"{scene}/point", explorer.point),
        Route(f"{scene}/exponents", explorer.exponents),
        Route(f"{scene}/regions", explorer.measure, methods=["POST"]),
        Route("/api/regions/{region}", explorer.region, methods=["GET", "DELETE"]),
        Route(f"{scene}/download", explorer.download),
        Route(f"{scene}/command", explorer.command),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Starlette(
        routes=routes,
        lifespan=life,
        middleware=[Middleware(HostGuard, hosts=hosts)],
        exception_handlers={Problem: _refuse, HTTPException: _refuse_http, Exception: _fail},
    )


async def _page(request: Request) -> Response:
    return FileResponse(STATIC / "index.html")


def _attempt(
    probe: Callable[..., dict[str, Any]],
    scene: Scene,
    point: Mapping[str, float],
    beat: Callable[[], None],
) -> dict[str, Any] | None:
    """Run a probe; None if it was given up."""
    try:
        with refused():
            return probe(scene, point, beat)
    except _GivenUp:
        return None
    except Problem:
        raise
    except Exception as error:  # whatever a user's map raises is told
        raise Problem(500, sentence_of(error)) from error


def _field(name: str) -> tuple[str, str]:
    return _FIELDS.get(name, (name, "log"))


def _json(content: Any, status: int = 200) -> Response:
    return Response(encode(content), status, media_type="application/json")


def _ascii(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)


async def _refuse(request: Request, error: Any) -> Response:
    return answer(error)


async def _fail(request: Request, error: Exception) -> Response:
    return answer(
        Problem(500, f"the explorer has a fault ({sentence_of(error)}); please report it")
    )


async def _refuse_http(request: Request, error: Any) -> Response:
    words = {404: "there is nothing at this address", 405: "this address takes other methods"}
    return answer(Problem(error.status_code, words.get(error.status_code, str(error.detail))))
