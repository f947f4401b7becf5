"""Guards of the server: who may ask, and how much may be sent.

The page runs in a browser beside other pages, which must not be able to use it: a request whose
Host or Origin is another one is refused (names that are made to point at this machine included),
and the answers forbid the page to load anything from elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dynfrac.web.problems import Problem, encode

MOST_BYTES = 2**18
"""Of the body of a request."""

HEADERS = {
    b"content-security-policy": b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    b"form-action 'self'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


def local_hosts(host: str, port: int) -> frozenset[str]:
    """Return the values of the Host header that name the server."""
    names = {host, "127.0.0.1", "localhost", "[::1]"}
    return frozenset(f"{name}:{port}" for name in names)


@final
class HostGuard:
    """Lets requests through that are addressed to this server.

    Parameters
    ----------
    app : ASGIApp
    hosts : collection of str
        Values of the Host header, with the port.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 4xx, or pass on and add the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS.items()]
            await send(message)

        problem = self._problem(scope)
        app = self.app if problem is None else answer(problem)
        await app(scope, receive, send_guarded)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = scope["headers"]
        named = [value for name, value in headers if name == b"host"]
        if len(named) != 1 or named[0].decode("latin-1").lower() not in self.hosts:
            return Problem(421, "the request names another host; open the address that was printed")
        for name, value in headers:
            if name == b"origin" and value.decode("latin-1").split("//")[-1] not in self.hosts:
                return Problem(403, "the request comes from another page")
        return None


def answer(problem: Problem) -> Response:
    """Return a problem as a response."""
    content = encode({"error": problem.sentence})
    return Response(content, problem.status, media_type="application/json")


async def read_body(request: Request) -> bytes:
    """Read the body of a request with JSON in it.

    Raises
    ------
    Problem
        If it is too long, or of another type: a form of another page may send text, not JSON.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "the body must be JSON; send Content-Type: application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Problem(413, f"the body has more than {MOST_BYTES} bytes; send less")
    return bytes(body)


def only(query: Any, names: Collection[str]) -> dict[str, str]:
    """Return a query as a dictionary.

    Raises
    ------
    Problem
        If a name is given twice or is not among `names`.
    """
    found: dict[str, str] = {}
    for name, value in query.multi_items():
        if name not in names or name in found:
            raise Problem(400, f"{name[:40]!r} is unknown or given twice; drop it")
        found[name] = value
    return found
