"""What can be taken away: the view as a picture, as arrays or as a sweep."""

from __future__ import annotations

import dataclasses
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.records import Ends
from dynfrac.sweeps.specifications import attributes_of
from dynfrac.sweeps.stores import create_store
from dynfrac.sweeps.tiles import cut
from dynfrac.web.levels import DEEPEST, Part
from dynfrac.web.problems import Problem
from dynfrac.web.pyramids import Pyramid
from dynfrac.web.scenes import FIRST_CELLS

MOST_POINTS = 2048
"""Points along each side of what is taken away."""

FORMATS: Mapping[str, tuple[str, str]] = {
    "png": ("image/png", ".png"),
    "npz": ("application/octet-stream", ".npz"),
    "zarr": ("application/zip", ".zarr.zip"),
}
"""Format -> (media type, end of the file's name)."""


class Draw(Protocol):
    """Draws a view: given by whoever starts the server, because pictures are not its affair."""

    def __call__(
        self,
        arrays: Mapping[str, np.ndarray],
        axes: Sequence[Axis],
        *,
        field: str,
        palette: str,
        ends: Ends,
        title: str,
        caption: str,
    ) -> bytes:
        """Return a PNG."""
        ...


@final
@dataclasses.dataclass(frozen=True)
class View:
    """A rectangle of points of one level.

    Attributes
    ----------
    level : int
    part : Part
    axes : tuple of Axis
    """

    level: int
    part: Part
    axes: tuple[Axis, Axis]


def read_view(pyramid: Pyramid, query: Mapping[str, str]) -> View:
    """Return the view that a query names by level, columns and rows.

    Raises
    ------
    Problem
        If it is none, or too large.
    """
    level = _whole(query.get("level", ""), "level", 0, DEEPEST)
    spans = []
    for key in ("columns", "rows"):
        first, _, last = query.get(key, "").partition(":")
        most = FIRST_CELLS << level
        start, stop = _whole(first, key, 0, most), _whole(last, key, 0, most)
        if not start < stop < start + MOST_POINTS:
            raise Problem(
                400, f"{key}={start}:{stop} is no range of 2 to {MOST_POINTS} points; narrow it"
            )
        spans.append(slice(start, stop + 1))
    part = spans[0], spans[1]
    axes = pyramid.levels.part_axes(level, part)
    if axes is None:
        raise Problem(400, f"level {level} is finer than the numbers are; zoom out")
    return View(level, part, axes)


def export(
    pyramid: Pyramid, view: View, query: Mapping[str, str], draw: Draw, palettes: Sequence[str]
) -> tuple[bytes, str, str]:
    """Return a view in the format of a query.

    Returns
    -------
    content : bytes
    media_type, name : str
        Of the file.

    Raises
    ------
    Problem
        If the format, the field or the palette is unknown.
    """
    form = _one_of(query, "format", FORMATS)
    media_type, suffix = FORMATS[form]
    name = f"{pyramid.scene.title}-level{view.level}{suffix}".replace(":", ".").replace("/", ".")
    if form == "png":
        field = _one_of(query, "field", pyramid.scene.fields)
        palette = _one_of({"palette": palettes[0], **query}, "palette", palettes)
    fields, points = pyramid.gather(view.level, view.part)
    if form == "png":
        content = draw(
            fields,
            view.axes,
            field=field,
            palette=palette,
            ends=pyramid.scene.plan.job.rule.ends,
            title=pyramid.scene.title,
            caption=conditions(pyramid),
        )
    elif form == "npz":
        content = _npz(pyramid, view, fields, points)
    else:
        content = _zarr(pyramid, view, fields, points, name.removesuffix(".zip"))
    return content, media_type, name


def conditions(pyramid: Pyramid) -> str:
    """Return the conditions of a scene in one line."""
    scene, job = pyramid.scene, pyramid.scene.plan.job
    identity = scene.settings.get("identity") or {}
    name = identity.get("architecture", identity.get("map", type(scene.map_).__name__))
    words = [str(name)]
    words += [
        f"{key} {value}"
        for key, value in identity.get("arguments", {}).items()
        if key not in ("n_steps", "n_epochs")
    ]
    words += [f"{key} {value:g}" for key, value in (scene.settings.get("hparams") or {}).items()]
    words += [f"{job.n_steps} steps", job.dtype, f"rule {job.rule.name}"]
    return ", ".join(words)


def _npz(
    pyramid: Pyramid, view: View, fields: Mapping[str, np.ndarray], points: Sequence[np.ndarray]
) -> bytes:
    """Return fields, points and conditions as NumPy's archive of arrays."""
    named = {axis.name: at for axis, at in zip(view.axes, points, strict=True)}
    order = [axis.name for axis in reversed(view.axes)]
    about: dict[str, Any] = {"specification": pyramid.scene.plan.spec, "dimensions": order}
    content = io.BytesIO()
    arrays: dict[str, Any] = {**fields, **named, "conditions": np.array(json.dumps(about))}
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def _zarr(
    pyramid: Pyramid,
    view: View,
    fields: Mapping[str, np.ndarray],
    points: Sequence[np.ndarray],
    name: str,
) -> bytes:
    """Return a sweep of the view in a zip; its points are those of the pyramid, bit for bit."""
    plan = pyramid.scene.plan.along(view.axes)
    named = {axis.name: at for axis, at in zip(view.axes, points, strict=True)}
    slowest_first = {axis.name: named[axis.name] for axis in reversed(view.axes)}
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        store = create_store(path, attributes_of(plan.spec), slowest_first, plan.spec["tile"])
        done = fields["status"] != 0
        blocks = [
            (tile, {key: fields[key][tile] for key in store.fields})
            for tile in cut(store.shape, store.tile)
            if done[tile].any()
        ]
        store.write_all(blocks)
        with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(path.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(folder))
    return content.getvalue()


def _one_of(query: Mapping[str, str], key: str, known: Any) -> str:
    value = query.get(key, "")
    if value not in known:
        raise Problem(400, f"{key}={value[:40]!r} is unknown; choose one of {', '.join(known)}")
    return value


def _whole(text: str, name: str, low: int, high: int) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= 18
    if not digits or not low <= int(text) <= high:
        raise Problem(400, f"{name}={text[:40]!r} is out of range; give {low} to {high}")
    return int(text)
