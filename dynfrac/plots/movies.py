"""Movies of a zoom: from frame to frame at a steady speed, in the colours of the pictures."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import Colormap
from PIL import Image, ImageDraw, ImageFont

from dynfrac.orbits.axes import Axis
from dynfrac.plots.palettes import GAP, PUBLISHED, Palette, find_palette
from dynfrac.plots.trainability import places

SUFFIXES = (".webp", ".gif", ".mp4")


def save_movie(
    measures: Sequence[np.ndarray],
    axes: Sequence[Sequence[Axis]],
    path: str | os.PathLike[str],
    *,
    size: int = 512,
    fps: int = 24,
    seconds: float = 1.0,
    palette: str | Palette = PUBLISHED,
) -> None:
    """Write a movie that zooms through pictures, of which each is a part of the one before.

    Parameters
    ----------
    measures : sequence of (ny, nx) float arrays
        Signed measures of the frames, all of one shape.
    axes : sequence of (x, y)
        Their axes.
    path : path
        Ends in ``.webp`` or ``.gif``; ``.mp4`` where there is ffmpeg.
    size : int, default 512
        Width in pixels, at least 64.
    fps : int, default 24
        Pictures a second.
    seconds : float, default 1
        From one frame to the next, more than 0.
    palette : {"published", "safe"}
        As in pictures: see `dynfrac.plots.palettes`.

    Raises
    ------
    ValueError
        For another ending or palette, a number out of range, or if there is no ffmpeg.
    OSError
        If the file cannot be written.

    Notes
    -----
    Within a frame colours are ranks, as in `dynfrac.plots.trainability.equalise`, so that the same
    measure has another colour in the next frame. Between two frames the ranks are mixed, the same
    for both pictures: colours flow, and no picture is set off from what is around it.
    """
    target = Path(path)
    check_movie(target, size=size, fps=fps, seconds=seconds)
    colours = find_palette(palette).signed
    pictures = _pictures(measures, axes, size, max(2, round(fps * seconds)), colours)
    if target.suffix.lower() == ".mp4":
        _encode(pictures, target, fps)
        return
    first = next(pictures)
    settings: dict[str, Any] = (
        {"quality": 85, "method": 4} if target.suffix.lower() == ".webp" else {}
    )
    first.save(
        target, save_all=True, append_images=pictures, duration=1000 / fps, loop=0, **settings
    )


def check_movie(path: Path, *, size: int = 512, fps: int = 24, seconds: float = 1.0) -> None:
    """Refuse what cannot become a movie, before any frame is computed; raises `ValueError`."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path} is no movie; end it in {', '.join(SUFFIXES)}")
    if path.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
        raise ValueError(f"{path} needs ffmpeg, which is not here; end it in .webp")
    if size < 64 or fps < 1 or not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(
            f"size={size}, fps={fps}, seconds={seconds}: a movie needs at least 64 pixels, one "
            "picture a second and some time between frames"
        )


def _pictures(
    measures: Sequence[np.ndarray],
    axes: Sequence[Sequence[Axis]],
    size: int,
    n_between: int,
    colours: Colormap,
) -> Iterator[Image.Image]:
    """Yield the pictures of the movie one by one."""
    height, width = measures[0].shape
    shape = size, max(1, round(size * height / width))
    orders = [_orders(measure) for measure in measures]
    magnification = 1.0
    for k in range(len(measures) - 1):
        part = _part(axes[k], axes[k + 1])
        for step in range(n_between):
            s = step / n_between
            outer, inner = (
                _coloured(m, orders[k : k + 2], s, colours) for m in measures[k : k + 2]
            )
            view = _view(part, s)
            picture = _crop(outer, view, shape)
            _paste(picture, inner, view, part)
            yield _captioned(picture, magnification / view[0][1])
        magnification /= part[0][1]
    last = _coloured(measures[-1], orders[-1:], 0.0, colours)
    whole = ((0.0, 1.0), (0.0, 1.0))
    for _ in range(n_between):  # the last one stays for a moment
        yield _captioned(_crop(last, whole, shape), magnification)


def _orders(measure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the negative and the other values, those far from zero first, as `equalise` does."""
    return np.sort(measure[measure < 0]), np.sort(-measure[measure >= 0])


def _coloured(
    measure: np.ndarray,
    orders: Sequence[tuple[np.ndarray, np.ndarray]],
    s: float,
    colours: Colormap,
) -> Image.Image:
    """Colour a picture by ranks that are mixed of those in one or two frames, `s` of the second."""
    weights = (1 - s, s) if len(orders) == 2 else (1.0,)
    colour = np.full(measure.shape, np.nan)
    for side, cells in enumerate((measure < 0, measure >= 0)):
        sign = 1 - 2 * side
        # A frame without such values has no say.
        known = [(w, o[side]) for w, o in zip(weights, orders, strict=True) if len(o[side])]
        total = sum(weight for weight, _ in known)
        parts = [
            (weight / total if total else 1 / len(known)) * places(sign * measure[cells], order)
            for weight, order in known
        ]
        colour[cells] = sign * (1 - (1 - GAP) * np.sum(parts, axis=0))
    rgb = (colours((colour + 1) / 2)[..., :3] * 255).round().astype(np.uint8)
    return Image.fromarray(rgb[::-1])  # the first row is the low end


Span = tuple[float, float]


def _part(outer: Sequence[Axis], inner: Sequence[Axis]) -> tuple[Span, Span]:
    """Return where a frame lies in the one before: start and length, 0 to 1, from the top left."""
    spans = []
    for a, b in zip(outer, inner, strict=True):
        start = a.position(b.low)
        spans.append((start, a.position(b.high) - start))
    x, (y, height) = spans
    return x, (1 - y - height, height)


def _view(part: tuple[Span, Span], s: float) -> tuple[Span, Span]:
    """Return what is seen of the outer frame, a share `s` of the way to the inner one."""

    def along(start: float, length: float) -> Span:
        seen = length**s
        return start * (1 - seen) / (1 - length), seen

    return along(*part[0]), along(*part[1])


def _crop(picture: Image.Image, view: tuple[Span, Span], shape: tuple[int, int]) -> Image.Image:
    (x, width), (y, height) = view
    box = (x * picture.width, y * picture.height)
    box += (box[0] + width * picture.width, box[1] + height * picture.height)
    return picture.transform(shape, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)


def _paste(
    picture: Image.Image, inner: Image.Image, view: tuple[Span, Span], part: tuple[Span, Span]
) -> None:
    """Draw the inner frame into its place."""
    sides = []
    for (start, seen), (begin, length), side in zip(view, part, picture.size, strict=True):
        first = (begin - start) / seen * side
        sides.append((round(first), round(first + length / seen * side)))
    (left, right), (top, bottom) = sides
    if right > left and bottom > top:
        size = right - left, bottom - top
        picture.paste(inner.resize(size, Image.Resampling.BOX, reducing_gap=None), (left, top))


def _captioned(picture: Image.Image, magnification: float) -> Image.Image:
    """Write the magnification into the corner."""
    draw = ImageDraw.Draw(picture, "RGBA")
    text = f"x {magnification:,.0f}" if magnification < 1e6 else f"x {magnification:.1e}"
    font = ImageFont.load_default(max(10, picture.width // 32))
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    margin = max(4, picture.width // 96)
    corner = margin, picture.height - margin - (bottom - top) - 2 * margin
    frame = (*corner, corner[0] + right - left + 2 * margin, picture.height - margin)
    draw.rectangle(frame, fill=(255, 255, 255, 200))
    draw.text(
        (corner[0] + margin - left, corner[1] + margin - top), text, fill=(20, 20, 20), font=font
    )
    return picture


def _encode(pictures: Iterator[Image.Image], target: Path, fps: int) -> None:
    """Send pictures to ffmpeg."""
    first = next(pictures)
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{first.width}x{first.height}", "-r", str(fps), "-i", "-"]
    # Players want even sides and this kind of colour.
    command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            process.stdin.write(first.tobytes())
            for picture in pictures:
                process.stdin.write(picture.tobytes())
        except BrokenPipeError:
            pass  # ffmpeg says why
        _, said = process.communicate()
    if process.returncode:
        lines = said.decode(errors="replace").split("\n")
        raise OSError(f"{target} could not be written: ffmpeg says {lines[0].strip()}")
