"""A real server on a free port of this machine, and what is needed to talk to it."""

import contextlib
import http.client
import json
import math
import socket
import struct
import threading
import time

import pytest

from dynfrac.cli.cmd_explore import draw_view
from dynfrac.orbits.axes import Axis
from dynfrac.plots.palettes import palette_table
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.web.scenes import make_scene

AXES = Axis("c_re", -2.0, 0.5), Axis("c_im", -1.2, 1.0)  # no mirror image of itself
SETTINGS = {
    "n_steps": 60,
    "rule": "bounded:1.5",  # not the map's own
    "identity": {"map": "quadratic", "arguments": {}},
}


def quadratic_scene(axes=AXES, **changes):
    """Return a scene that is computed in no time."""
    settings = {**SETTINGS, **changes}
    return make_scene(Quadratic(), axes, settings, title="quadratic", query={"scene": "start"})


class Client:
    """Requests to a server, and its answers."""

    def __init__(self, port, explorer, stop):
        self.port = port
        self.explorer = explorer
        self.stop = stop

    def ask(self, method, path, body=None, headers=None):
        """Return status, headers and body of one request."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(link):
            given = {"Content-Type": "application/json"} if body is not None else {}
            given |= headers or {}
            text = body if body is None or isinstance(body, bytes) else json.dumps(body)
            link.request(method, path, text, given)
            answer = link.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def get(self, path):
        """Return what JSON the server answers with 200."""
        status, _, body = self.ask("GET", path)
        assert status == 200, body
        return json.loads(body)

    def refuse(self, status, method, path, body=None, headers=None):
        """Make sure that a request is refused with one sentence, and return it."""
        found, given, content = self.ask(method, path, body, headers)
        assert found == status, content
        assert given["content-type"] == "application/json"
        sentence = json.loads(content)["error"]
        assert sentence and "\n" not in sentence and "Traceback" not in sentence
        return sentence

    def scene(self, query="scene=start"):
        """Return the description of a scene."""
        return self.get(f"/api/scene?{query}")

    def frames(self, scene, tiles, field="measure"):
        """Yield the frames of a view."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(link):
            body = json.dumps({"field": field, "tiles": tiles})
            path = f"/api/scenes/{scene['id']}/tiles"
            link.request("POST", path, body, {"Content-Type": "application/json"})
            answer = link.getresponse()
            assert answer.status == 200, answer.read()
            while len(length := answer.read(4)) == 4:
                frame = json.loads(answer.read(struct.unpack("<I", length)[0]))
                frame["payload"] = answer.read(frame["bytes"])
                yield frame


def tiles_of(scene, z):
    """Return all tiles of a level that is one block."""
    n = scene["first_cells"] * 2**z + 1
    columns, rows = (math.ceil(n / edge) for edge in scene["tile_edges"][z])
    return [[z, x, y] for y in range(rows) for x in range(columns)]


@contextlib.contextmanager
def serving(scene, folder):
    """Run a server for a scene."""
    uvicorn = pytest.importorskip("uvicorn")
    from dynfrac.web.guards import LocalHosts
    from dynfrac.web.server import Explorer, make_app

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    explorer = Explorer(scene, folder, draw_view, palette_table())
    app = make_app(explorer, LocalHosts("127.0.0.1", port))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)

    def stop():
        server.should_exit = True
        thread.join(30)
        listener.close()

    try:
        yield Client(port, explorer, stop)
    finally:
        stop()
    assert not thread.is_alive()
