"""`dynfrac explore`: a boundary in the browser, computed while one looks."""

from __future__ import annotations

import io
import socket
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from dynfrac.cli.cmd_show import FIELDS
from dynfrac.cli.output import check_output, print_json
from dynfrac.cli.tasks import read_task, window_options
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.records import Ends
from dynfrac.plots.palettes import palette_table
from dynfrac.sweeps.recomputation import remake
from dynfrac.sweeps.stores import open_store
from dynfrac.web.scenes import START, Scene, make_scene

PORT = 8765
"""Tried first; any other is taken if it is in use."""

_NEWCOMER = {
    "arch": "mlp",
    "arguments": ("width=8",),
    "x": "lr_in=1e-3:1e6",
    "y": "lr_out=1e-3:1e6",
    "steps": 100,
}
"""What is shown if nothing is asked for: a small version of the published picture."""


@click.command()
@click.argument("store", required=False, type=click.Path(path_type=Path))
@window_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("dynfrac-tiles"),
    show_default=True,
    help="The folder in which tiles are kept; each block of them is a sweep.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Of the page; 0 takes any.  [default: {PORT}, or any if that is in use]",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Another one lets everybody who reaches it compute here.",
)
@click.option("--open/--no-open", "show", default=True, help="Open the page in the browser.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the address as one JSON object and nothing else."
)
def command(
    store: Path | None,
    out: Path,
    port: int | None,
    host: str,
    show: bool,
    as_json: bool,
    **what: Any,
) -> None:
    """Walk through a boundary in the browser.

    The picture refines while one looks. Drag and scroll to go deeper, until neighbouring points are
    one number; click a point for its loss curve and its exponents; draw a rectangle for the
    dimension of the boundary in it, without a sweep. The page switches between presets and
    architectures, and every view has an address of its own.

    Starts with what the options say, or in the window of STORE, an earlier sweep. Without any, with
    a small tanh network over both of its learning rates. Tiles are kept in --out, and the next time
    they are there. Ends with Ctrl-C.

    Needs starlette and uvicorn: pip install "dynfrac[explore]".

    \b
    Example:
      dynfrac explore
      dynfrac explore --preset published-relu
      dynfrac explore --map quadratic --x c_re=-2:0.5 --y c_im=-1.2:1.2 --rule bounded:2 --steps 500
      dynfrac explore --arch resnet8 --arg width=0.25 --x lr=1e-3:1e3 --y weight_offset=1e-4:1
    """
    try:
        import uvicorn

        from dynfrac.web.guards import LocalHosts
        from dynfrac.web.server import Explorer, make_app
    except ImportError as error:
        raise ValueError(
            f'the explorer needs {error.name}; pip install "dynfrac[explore]" installs it'
        ) from None
    check_output(out, folder=True)
    start = _start(store, what)
    listener = _listen(host, port)
    number = listener.getsockname()[1]
    explorer = Explorer(start, out, draw_view, palette_table())
    app = make_app(explorer, LocalHosts(host, number))
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="on"
    )
    named = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    named = f"[{named}]" if ":" in named else named
    address = f"http://{named}:{number}/"
    server = uvicorn.Server(config)
    # Beside the main thread, because a server there takes Ctrl-C for itself and ends as if killed.
    ended = threading.Event()

    def serve() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            ended.set()

    thread = threading.Thread(target=serve, name="server")
    thread.start()
    try:
        if as_json:
            print_json({"address": address, "title": start.title, "tiles": out})
        else:
            click.echo(f"exploring {start.title} at {address} (Ctrl-C ends)")
        if show:
            webbrowser.open(address)  # not before there is a server: some browsers are waited for
        # Not joined: Python 3.11 takes a thread whose join was interrupted for one that has ended.
        # And now and then awake, or Windows would not notice the interrupt.
        while not ended.wait(0.5):
            pass
    except KeyboardInterrupt:
        server.should_exit = True
        thread.join()
    if not as_json:
        click.echo(f"tiles are kept in {out}; the same command goes on with them")


def draw_view(
    arrays: Mapping[str, np.ndarray],
    axes: Sequence[Axis],
    *,
    field: str,
    palette: str,
    ends: Ends,
    title: str,
    caption: str,
) -> bytes:
    """Draw a view as `dynfrac show` draws a sweep, and return the PNG."""
    draw, names = FIELDS[field]
    words = {"ends": ends} if field == "measure" else {}
    frame = {"title": title, "caption": caption, "palette": palette}
    ax = draw(*(arrays[name] for name in names), axes, **frame, **words)
    content = io.BytesIO()
    ax.get_figure(root=True).savefig(content, format="png", dpi=200)
    return content.getvalue()


def _start(store: Path | None, what: dict[str, Any]) -> Scene:
    """Return the scene that was asked for."""
    given = {name: value for name, value in what.items() if value not in (None, ())}
    query = {"scene": START}
    if store is not None:
        if given:
            raise click.UsageError(
                f"{store} says what is run, so leave out --{next(iter(given)).replace('_', '-')}"
            )
        made = remake(open_store(store))
        # How a picture was cut and filled is its own affair, what its runs are is not.
        own = ("map_", "axes", "tile", "adaptive")
        settings = {name: value for name, value in made.items() if name not in own}
        return make_scene(made["map_"], made["axes"], settings, title=store.stem, query=query)
    if not any(given.get(name) for name in ("preset", "arch", "map_name")):
        if given:
            raise click.UsageError("give one of --preset, --arch and --map, or nothing at all")
        what = {**what, **_NEWCOMER}
    task = read_task(**what)
    title = what["preset"] or what["arch"] or what["map_name"]
    return make_scene(task.map_, task.axes, task.settings, title=title, query=query)


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in (PORT, 0) if port is None else (port,):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
            listener.listen(128)  # now, so that no other process can bind it too
        except OSError as error:
            listener.close()
            reason = error.strerror
            continue
        return listener
    raise ValueError(f"--host {host} --port {port} cannot be listened on ({reason}); choose others")
