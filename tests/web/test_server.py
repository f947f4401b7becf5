"""The server: what it answers, what it refuses, and that it lives on."""

import io
import json
import socket
import struct
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from dynfrac.cli.main import main
from dynfrac.orbits.evaluator import evaluate
from dynfrac.studies.dimension_reports import report_dimension
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.verification import verify_store
from dynfrac.systems.complex_maps import Quadratic
from tests.web.servers import AXES, SETTINGS, quadratic_scene, serving, tiles_of


@pytest.fixture(scope="module")
def scene(client):
    return client.scene()


def test_the_page_and_its_parts(client):
    status, headers, body = client.ask("GET", "/")
    assert status == 200 and headers["content-type"].startswith("text/html")
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert b"http://" not in body and b"https://" not in body
    status, headers, _ = client.ask("GET", "/static/js/main.js")
    assert status == 200 and "javascript" in headers["content-type"]


def test_menu(client):
    menu = client.get("/api/menu")
    assert {"published-tanh", "kyhdc-resnet20"} <= {entry["name"] for entry in menu["presets"]}
    assert {"mlp", "resnet8", "plain8"} <= {entry["name"] for entry in menu["architectures"]}
    for palette in menu["palettes"].values():
        for name in ("signed", "sequential", "diverging"):
            assert len(bytes.fromhex(palette[name])) == 3 * 256
        assert set(palette["classes"]) == {"converged", "bounded", "escaped", "not finite"}


def test_scene(scene):
    assert scene["title"] == "quadratic" and scene["n_steps"] == 60
    assert scene["axes"]["x"] == {"name": "c_re", "low": -2.0, "high": 0.5, "scale": "linear"}
    names = [field["name"] for field in scene["fields"]]
    assert names == ["measure", "status", "t_escape", "final_loss"]
    assert len(scene["tile_edges"]) == scene["block_levels"] + 1


def test_tiles_are_the_outcomes_of_the_evaluator(client, scene):
    tiles = tiles_of(scene, 1)
    frames = list(client.frames(scene, tiles, "t_escape"))
    assert frames[-1]["type"] == "end"
    got = [frame for frame in frames if frame["type"] == "tile"]
    assert sorted(frame["tile"] for frame in got) == sorted(tiles)
    [frame] = got
    n = frame["rows"] * frame["columns"]
    assert (frame["rows"], frame["columns"]) == (33, 33) and len(frame["payload"]) == 5 * n
    values = np.frombuffer(frame["payload"][: 4 * n], "<f4")
    status = np.frombuffer(frame["payload"][4 * n :], np.uint8)
    real, imaginary = np.meshgrid(*(axis.points(33) for axis in AXES))
    right = evaluate(
        Quadratic(),
        {"c_re": real.ravel(), "c_im": imaginary.ravel()},
        n_steps=60,
        rule=SETTINGS["rule"],
    )
    assert np.array_equal(status, right.status)
    assert np.array_equal(values, np.where(right.t_escape < 0, np.nan, right.t_escape), True)
    # What is there comes at once, whatever the field.
    again = [frame["type"] for frame in client.frames(scene, tiles, "measure")]
    assert again == ["tile", "end"]


def test_tiles_come_in_the_order_of_the_request(client, scene):
    tiles = tiles_of(scene, 3)[::-1]
    got = [frame["tile"] for frame in client.frames(scene, tiles) if frame["type"] == "tile"]
    assert got == tiles


def test_tiles_beyond_the_type(tmp_path):
    with serving(quadratic_scene(dtype="float32"), tmp_path) as client:
        scene = client.scene()
        k = -(-1025 // scene["tile_edges"][-1][0])
        deep = [30, k << 23, k << 23]
        frames = list(client.frames(scene, [deep, [0, 0, 0]]))
    assert [frame["type"] for frame in frames if frame["type"] != "progress"] == [
        "limit",
        "tile",
        "end",
    ]
    assert frames[0]["tiles"] == [deep] and "float32" in frames[0]["message"]


def test_a_map_that_fails_is_told(client, scene, monkeypatch):
    pyramid = client.explorer.pyramid(client.explorer.book.start)

    def fail(key, on_progress):
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(pyramid, "compute", fail)
    frames = list(client.frames(scene, [[7, 0, 0]]))
    assert [(f["type"], f.get("message")) for f in frames] == [("error", "the disk is on fire")]
    monkeypatch.undo()
    assert list(client.frames(scene, [[7, 0, 0]]))[-1]["type"] == "end"


def test_a_request_that_is_cut_is_withdrawn(client, scene):
    body = json.dumps({"field": "measure", "tiles": tiles_of(scene, 6)}).encode()
    with socket.create_connection(("127.0.0.1", client.port)) as link:
        head = (
            f"POST /api/scenes/{scene['id']}/tiles HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        link.sendall(head.encode() + body)
        assert link.recv(4096).startswith(b"HTTP/1.1 200")
    # The next view does not wait for the hundreds of tiles that nobody reads.
    waited = threading.Event()
    for _ in range(100):
        if not client.explorer.queue._orders:
            break
        waited.wait(0.1)
    assert not client.explorer.queue._orders


def test_point_and_exponents(client, scene):
    found = client.get(f"/api/scenes/{scene['id']}/point?x=-0.5&y=0.1")
    assert found["status"] == "converged" and len(found["losses"]) == len(found["steps"]) == 60
    gone = client.get(f"/api/scenes/{scene['id']}/point?x=0.5&y=1.0")
    assert gone["status"] in ("escaped", "not finite") and None in gone["losses"]
    assert gone["t_escape"] >= 0
    exponents = client.get(f"/api/scenes/{scene['id']}/exponents?x=-0.5&y=0.1")
    assert len(exponents["exponents"]) == 2 and exponents["exponents"][0] < 0
    point = "--set c_re=-0.5 --set c_im=0.1"
    assert exponents["command"].startswith(f"dynfrac lyapunov --map quadratic {point} --steps")


def test_the_dimension_in_a_rectangle(client, scene):
    x, y = [-0.8, -0.7], [0.0, 0.2]
    body = {"x": x, "y": y, "budget": 3000}
    status, _, answer = client.ask("POST", f"/api/scenes/{scene['id']}/regions", body)
    assert status == 202
    path = f"/api/regions/{json.loads(answer)['region']}"
    for _ in range(600):
        found = client.get(path)
        if found["state"] not in ("waiting", "running"):
            break
        threading.Event().wait(0.1)
    assert found["state"] == "done"
    axes = [
        type(axis)(axis.name, *ends, scale="linear")
        for axis, ends in zip(AXES, (x, y), strict=True)
    ]
    right = report_dimension(Quadratic(), axes, budget=3000, n_steps=60, rule=SETTINGS["rule"])
    estimate = found["estimate"]
    assert estimate["value"] == right.headline.value and estimate["stderr"] == right.headline.stderr
    assert "--budget 3000" in found["command"]


def test_a_rectangle_is_given_up(client, scene):
    body = {"x": [-2, 0.5], "y": [-1, 1], "budget": 200_000}
    regions = f"/api/scenes/{scene['id']}/regions"
    names = [json.loads(client.ask("POST", regions, body)[2])["region"] for _ in range(2)]
    for name in reversed(names):
        client.ask("DELETE", f"/api/regions/{name}")
    for name in names:
        for _ in range(300):
            if client.get(f"/api/regions/{name}")["state"] == "cancelled":
                break
            threading.Event().wait(0.1)
        assert client.get(f"/api/regions/{name}")["state"] == "cancelled"


def test_downloads(client, scene, tmp_path):
    list(client.frames(scene, tiles_of(scene, 2)))
    view = "level=2&columns=10:50&rows=0:64"
    path = f"/api/scenes/{scene['id']}/download?{view}"
    status, headers, content = client.ask("GET", f"{path}&format=png&field=measure&palette=safe")
    assert status == 200 and Image.open(io.BytesIO(content)).width > 500
    assert headers["content-disposition"] == 'attachment; filename="quadratic-level2.png"'
    _, _, content = client.ask("GET", f"{path}&format=npz")
    with np.load(io.BytesIO(content)) as arrays:
        assert arrays["status"].shape == (65, 41)
        assert np.array_equal(arrays["c_re"], AXES[0].points(65)[10:51])
        about = json.loads(str(arrays["conditions"]))
    assert about["specification"]["n_steps"] == 60 and about["dimensions"] == ["c_im", "c_re"]
    _, _, content = client.ask("GET", f"{path}&format=zarr")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path)
    found = open_sweep(tmp_path / "quadratic-level2.zarr")
    assert found.pending == 0 and found.shape == (65, 41)
    assert verify_store(found.path).sound


def test_a_download_of_what_is_not_there_yet(client, scene, tmp_path):
    list(client.frames(scene, [[4, 0, 0]]))
    view = "level=4&columns=0:256&rows=0:256"
    path = f"/api/scenes/{scene['id']}/download?{view}"
    _, _, content = client.ask("GET", f"{path}&format=zarr")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path)
    found = open_sweep(tmp_path / "quadratic-level4.zarr")
    assert 0 < found.pending < found.status.size
    assert verify_store(found.path).sound
    for field in ("measure", "status", "t_escape", "final_loss"):
        status, _, content = client.ask("GET", f"{path}&format=png&field={field}")
        assert status == 200, content


def test_the_command_computes_the_view(client, scene, tmp_path, monkeypatch, capsys):
    list(client.frames(scene, tiles_of(scene, 2)))
    view = "level=2&columns=0:64&rows=0:64"
    command = client.get(f"/api/scenes/{scene['id']}/command?{view}")["command"]
    monkeypatch.chdir(tmp_path)
    words = command.split()
    assert words[0] == "dynfrac" and main([*words[1:], "--quiet"]) == 0
    mine = open_sweep(client.explorer.pyramid(client.explorer.book.start).path((2, 0, 0)))
    theirs = open_sweep(tmp_path / "view.zarr")
    assert theirs.spec == mine.spec and np.array_equal(theirs.measure, mine.measure, True)


QUERIES = [
    ("scene=other", 404),
    ("", 400),
    ("preset=published-tanh&arch=mlp", 400),
    ("preset=nonsense", 400),
    ("arch=os:system", 400),
    ("arch=resnet999999998", 400),
    ("arch=../../etc/passwd", 400),
    ("scene=start&x=c_re=0:1e999", 400),
    ("scene=start&x=c_re", 400),
    ("scene=start&x=nothing=0:1", 400),
    ("scene=start&x=c_re=0:1:1000000000000", 400),
    ("scene=start&y=c_re=0:1", 400),
    ("scene=start&steps=0", 400),
    ("scene=start&steps=1e9", 400),
    ("scene=start&steps=99999999999999999999", 400),
    ("scene=start&steps=000000001999999999", 400),
    ("scene=start&steps=%D9%A3", 400),
    ("scene=start&scene=start", 400),
    ("scene=start&colour=red", 400),
]


@pytest.mark.parametrize(("query", "status"), QUERIES)
def test_scenes_that_are_not_understood(client, query, status):
    if query == "scene=start&x=c_re=0:1:1000000000000":
        # Numbers of points are the affair of levels, whatever the query says.
        assert client.scene(query)["axes"]["x"]["high"] == 1
    else:
        client.refuse(status, "GET", f"/api/scene?{query}")


def test_scenes_by_name(client):
    tanh = client.scene("preset=published-tanh&steps=7")
    assert tanh["n_steps"] == 7 and tanh["axes"]["y"]["name"] == "lr_out"
    changed = client.scene("scene=start&x=c_re=-1:0&steps=9")
    assert (changed["n_steps"], changed["axes"]["x"]["high"]) == (9, 0)
    assert changed["id"] != client.scene()["id"]
    assert client.scene("arch=shallow300")["axes"]["x"]["name"] == "lr"


BODIES = [
    b"{",
    b"[]",
    b"[" * 100_000,
    {"field": "measure"},
    {"field": "nothing", "tiles": [[0, 0, 0]]},
    {"field": ["measure"], "tiles": [[0, 0, 0]]},
    {"field": "measure", "tiles": []},
    {"field": "measure", "tiles": [[0, 0]]},
    {"field": "measure", "tiles": [[0, 0, 0.5]]},
    {"field": "measure", "tiles": [[0, 0, True]]},
    {"field": "measure", "tiles": [["0", "0", "0"]]},
    {"field": "measure", "tiles": [[0, 0, 0]] * 2000},
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_requests_for_tiles_that_are_not_understood(client, scene, body):
    client.refuse(400, "POST", f"/api/scenes/{scene['id']}/tiles", body)


@pytest.mark.parametrize("tile", [[-1, 0, 0], [47, 0, 0], [0, 1, 0], [3, 0, 99], [0, 0, 10**30]])
def test_tiles_out_of_range(client, scene, tile):
    body = {"field": "measure", "tiles": [tile]}
    client.refuse(404, "POST", f"/api/scenes/{scene['id']}/tiles", body)


@pytest.mark.parametrize(
    "query", ["x=0", "x=a&y=b", "x=nan&y=0", "x=inf&y=0", "x=9&y=0", "x=0&y=0&z=0", "x=0&x=0&y=0"]
)
@pytest.mark.parametrize("what", ["point", "exponents"])
def test_points_that_are_none(client, scene, what, query):
    client.refuse(400, "GET", f"/api/scenes/{scene['id']}/{what}?{query}")


@pytest.mark.parametrize(
    "change",
    [
        {"x": [0, 0]},
        {"x": [0.1, 0.0]},
        {"x": [-9, 9]},
        {"x": "wide"},
        {"x": [0, "1"]},
        {"x": [None, 1]},
        {"x": [-1, 10**400]},
        {"budget": 0},
        {"budget": 10**12},
        {"budget": "many"},
        {"budget": 1000.5},
    ],
)
def test_rectangles_that_are_none(client, scene, change):
    body = {"x": [-1, 0], "y": [-1, 1], "budget": 1000, **change}
    client.refuse(400, "POST", f"/api/scenes/{scene['id']}/regions", body)


@pytest.mark.parametrize(
    "query",
    [
        "level=2&columns=0:64",
        "level=2&columns=0:65&rows=0:64",
        "level=2&columns=5:5&rows=0:64",
        "level=20&columns=0:5000&rows=0:64",
        "level=99&columns=0:1&rows=0:1",
        "level=-1&columns=0:1&rows=0:1",
        "level=2&columns=a:b&rows=0:1",
        "level=2&columns=0:1&rows=0:99999999999999999999999",
    ],
)
def test_views_that_are_none(client, scene, query):
    for what in ("command?", "download?format=npz&"):
        client.refuse(400, "GET", f"/api/scenes/{scene['id']}/{what}{query}")


@pytest.mark.parametrize("more", ["format=exe", "format=png", "format=png&field=nothing"])
def test_downloads_that_are_none(client, scene, more):
    view = "level=2&columns=0:8&rows=0:8"
    client.refuse(400, "GET", f"/api/scenes/{scene['id']}/download?{view}&{more}")


def test_addresses_that_are_none(client, scene):
    for path in ("/nothing", "/api", "/static/../server.py", "/static/%2e%2e/server.py"):
        client.refuse(404, "GET", path)
    client.refuse(404, "GET", "/static/..%2f..%2f..%2fsetup.cfg")
    client.refuse(404, "GET", "/api/scenes/..%2f..%2f/command?level=0&columns=0:1&rows=0:1")
    client.refuse(404, "GET", "/api/scenes/0123/point?x=0&y=0")
    client.refuse(404, "GET", "/api/regions/r999")
    client.refuse(405, "GET", f"/api/scenes/{scene['id']}/tiles")
    client.refuse(405, "POST", "/api/menu", {})


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil:80"])
def test_other_hosts(client, host):
    client.refuse(421, "GET", "/api/menu", headers={"Host": host})


def test_other_pages(client, scene):
    path = f"/api/scenes/{scene['id']}/tiles"
    body = {"field": "measure", "tiles": [[0, 0, 0]]}
    client.refuse(403, "POST", path, body, {"Origin": "http://evil.example"})
    client.refuse(403, "GET", "/api/menu", headers={"Origin": "null"})
    own = {"Origin": f"http://127.0.0.1:{client.port}"}
    assert client.ask("GET", "/api/menu", headers=own)[0] == 200


def test_pictures_in_other_pages(client, scene):
    # An <img> is asked for without an Origin.
    picture = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    path = f"/api/scenes/{scene['id']}/exponents?x=0&y=0"
    client.refuse(403, "GET", path, headers=picture)
    client.refuse(403, "GET", "/api/menu", headers={**picture, "Sec-Fetch-Site": "same-site"})
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    client.refuse(403, "GET", path, headers=link)
    assert client.ask("GET", "/", headers=link)[0] == 200
    own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert client.ask("GET", "/api/menu", headers=own)[0] == 200


@pytest.mark.parametrize(
    ("host", "named", "others"),
    [
        ("127.0.0.1", ["127.0.0.1:81", "LocalHost:81", "[::1]:81"], ["10.0.0.7:81", "box:81"]),
        ("::1", ["[::1]:81", "localhost:81"], ["[fe80::1]:81", "::1:81"]),
        ("0.0.0.0", ["0.0.0.0:81", "10.0.0.7:81", "box:81", "box.local:81"], ["evil.example:81"]),
        ("::", ["[::]:81", "[fe80::1]:81", "box.lan:81"], ["evil.example:81", "[::1]:80", "[::1"]),
        ("Box.LAN", ["box.lan:81", "box:81"], ["box.lan", "box.lan.evil.example:81"]),
    ],
)
def test_names_of_a_server(host, named, others, monkeypatch):
    pytest.importorskip("starlette")
    from dynfrac.web.guards import LocalHosts

    monkeypatch.setattr("socket.gethostname", lambda: "Box.lan")
    hosts = LocalHosts(host, 81)
    assert [name for name in (*named, *others) if name in hosts] == named
    assert "localhost" in LocalHosts(host, 80) and "localhost" not in hosts


def test_bodies_that_are_no_json_or_too_long(client, scene):
    path = f"/api/scenes/{scene['id']}/tiles"
    client.refuse(415, "POST", path, b"{}", {"Content-Type": "text/plain"})
    client.refuse(413, "POST", path, b" " * 2**19)


def test_nothing_is_written_by_what_is_refused(tmp_path):
    with serving(quadratic_scene(), tmp_path / "tiles") as client:
        scene = client.scene()
        client.refuse(
            404,
            "POST",
            f"/api/scenes/{scene['id']}/tiles",
            {"field": "measure", "tiles": [[0, 0, 0], [0, 5, 0]]},
        )
        client.refuse(400, "GET", "/api/scene?arch=os:system")
        client.get(f"/api/scenes/{scene['id']}/command?level=0&columns=0:16&rows=0:16")
        assert not (tmp_path / "tiles").exists()


def test_twenty_clients_at_once(client, scene):
    """Every one pans, aborts and asks again; all get their last view."""
    results, problems = [], []

    def pan(number):
        try:
            chance = np.random.default_rng(number)
            for _ in range(5):
                frames = client.frames(scene, [[5, *map(int, chance.integers(0, 9, 2))]])
                next(frames)
                frames.close()
            tile = [5, *map(int, chance.integers(0, 9, 2))]
            last = [f for f in client.frames(scene, [tile]) if f["type"] != "progress"]
            results.append([f["type"] for f in last] == ["tile", "end"])
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=pan, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not problems and results == [True] * 20
    assert not client.explorer.queue._orders


def test_garbage_on_the_wire(client):
    for text in (b"\x00\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", struct.pack("<I", 2**31)):
        with socket.create_connection(("127.0.0.1", client.port)) as link:
            link.sendall(text)
            link.shutdown(socket.SHUT_WR)
            link.settimeout(10)
            answer = link.recv(4096)
            assert not answer or answer.split()[1].startswith(b"4")
    assert client.ask("GET", "/")[0] == 200


def test_whatever_a_probe_raises_is_told(client, scene, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("the map does not work")

    monkeypatch.setattr("dynfrac.web.probes.iterate", fail)
    said = client.refuse(500, "GET", f"/api/scenes/{scene['id']}/point?x=-0.5&y=0.1")
    assert said == "the map does not work"


def test_probes_that_nobody_waits_for_are_not_begun(client, scene, monkeypatch):
    begun, go = [], threading.Event()

    def wait(scene, point, beat):
        begun.append(point["c_re"])
        assert go.wait(30)
        return {}

    monkeypatch.setattr("dynfrac.web.server.run_point", wait)
    links = []
    for x in (-0.1, -0.2, -0.3):
        link = socket.create_connection(("127.0.0.1", client.port))
        path = f"/api/scenes/{scene['id']}/point?x={x}&y=0"
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n".encode())
        links.append(link)
        for _ in range(300):
            if begun:
                break
            threading.Event().wait(0.1)
    for link in links[1:]:
        link.close()
    client.get("/api/menu")  # answered, and what was closed before is known
    go.set()
    assert client.get(f"/api/scenes/{scene['id']}/point?x=-0.4&y=0") == {}
    links[0].close()
    assert begun == [-0.1, -0.4]


def test_a_server_that_ends_gives_probes_up(tmp_path, monkeypatch):
    begun, given_up = threading.Event(), threading.Event()

    def work(scene, point, beat):
        begun.set()
        try:
            for _ in range(300):
                given_up.wait(0.05)
                beat()
        except Exception:
            given_up.set()
            raise
        return {}

    monkeypatch.setattr("dynfrac.web.server.run_point", work)
    with serving(quadratic_scene(), tmp_path) as client:
        scene = client.scene()
        with socket.create_connection(("127.0.0.1", client.port)) as link:
            path = f"/api/scenes/{scene['id']}/point?x=0&y=0"
            host = f"Host: 127.0.0.1:{client.port}"
            link.sendall(f"GET {path} HTTP/1.1\r\n{host}\r\n\r\n".encode())
            assert begun.wait(30)
            client.stop()
            assert given_up.is_set()


def test_pictures_are_drawn_one_at_a_time(client, scene, monkeypatch):
    at_once, most, count = [0], [0], threading.Lock()

    def draw(*arguments, **options):
        with count:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        threading.Event().wait(0.2)
        with count:
            at_once[0] -= 1
        return b"picture"

    monkeypatch.setattr(client.explorer, "draw", draw)
    view = "level=2&columns=0:8&rows=0:8&format=png&field=measure"
    path = f"/api/scenes/{scene['id']}/download?{view}"
    threads = [threading.Thread(target=client.ask, args=("GET", path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1]
