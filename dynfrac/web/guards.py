"""Guards of the server: who may ask, and how much may be sent.

The page runs in a browser beside other pages, which must not be able to use it: a request whose
Host or Origin is another one is refused (names that are made to point at this machine included),
and the answers forbid the page to load anything from elsewhere.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Container
from ipaddress import ip_address
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
    # Asked for anew each time, or a browser would mix the parts of two versions of the page.
    b"cache-control": b"no-cache",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


@final
class LocalHosts(Container[str]):
    """The values of the Host header that name the server.

    One that is open to other machines is also named by that of its own and by any address in
    numbers: only a name can be made to point elsewhere than it seems to.

    Parameters
    ----------
    host : str
        What the server listens on.
    port : int
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = port
        self.open = host != "localhost" and not (_is_address(host) and ip_address(host).is_loopback)
        self.names = {f"[{host}]" if ":" in host else host.lower()}
        self.names |= {"127.0.0.1", "localhost", "[::1]"}
        if self.open:
            own = socket.gethostname().lower()
            self.names |= {own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}

    def __contains__(self, value: object) -> bool:
        name, port = str(value).lower(), "80"  # what browsers leave out
        if ":" in name.rpartition("]")[2]:
            name, _, port = name.rpartition(":")
        if port != str(self.port):
            return False
        return name in self.names or (self.open and _is_address(name.strip("[]")))


def _is_address(name: str) -> bool:
    """Whether a name is an address in numbers."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


@final
class HostGuard:
    """Lets requests through that are addressed to this server.

    Parameters
    ----------
    app : ASGIApp
    hosts : container of str
        Values of the Host header, with the port.
    """

    def __init__(self, app: ASGIApp, hosts: Container[str]) -> None:
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
        if len(named) != 1 or named[0].decode("latin-1") not in self.hosts:
            return Problem(421, "the request names another host; open the address that was printed")
        for name, value in headers:
            if name == b"origin" and value.decode("latin-1").split("//")[-1] not in self.hosts:
                return Problem(403, "the request comes from another page")
            # Pictures and scripts of another page are asked for without an Origin. A link to the
            # page itself may be anywhere.
            apart = name == b"sec-fetch-site" and value in (b"cross-site", b"same-site")
            if apart and not (scope["path"] == "/" and (b"sec-fetch-mode", b"navigate") in headers):
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
