"""Movies: what is in their pictures, and every ending that they can have."""

import shutil

import numpy as np
import pytest
from PIL import Image

from dynfrac.orbits.axes import Axis
from dynfrac.plots import movies
from dynfrac.plots.movies import save_movie
from dynfrac.plots.palettes import PALETTES
from dynfrac.plots.trainability import equalise

N = 64
PUBLISHED, SAFE = (PALETTES[name].signed for name in ("published", "safe"))


def disc(x, y):
    """A signed measure whose zero line is a circle of radius 1 about the origin."""
    grid = np.meshgrid(x.points(), y.points())
    return np.hypot(*grid) - 1.0


def frames(n=3):
    """Frames that close in on the point (1, 0) by factors of two."""
    made = []
    for i in range(n):
        half = 2.0 / 2**i
        axes = Axis("a", 1 - half, 1 + half, N, "linear"), Axis("b", -half, half, N, "linear")
        made.append((disc(*axes), axes))
    measures, axes = zip(*made, strict=True)
    return measures, axes


def pictures(path):
    with Image.open(path) as movie:
        for i in range(movie.n_frames):
            movie.seek(i)
            yield np.asarray(movie.convert("RGB")).astype(int), movie.info["duration"]


def converged(picture):
    """Whether a colour is one of converged runs: green to violet, not yellow to red."""
    return picture[..., 1:].max(-1) > picture[..., 0]


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_the_movie_shows_the_frames_and_what_is_between(tmp_path, suffix):
    measures, axes = frames()
    save_movie(measures, axes, tmp_path / f"m{suffix}", size=128, fps=10, seconds=0.5)
    shown = list(pictures(tmp_path / f"m{suffix}"))
    # Five pictures to each next frame; the last one stays, which may be stored as one.
    assert 11 <= len(shown) <= 15
    # A gif counts in hundredths of a second.
    assert sum(duration for _, duration in shown) == pytest.approx(1500, rel=0.02)
    for k, measure in enumerate(measures):
        picture = shown[5 * k][0]
        assert picture.shape == (128, 128, 3)
        wanted = np.kron((measure < 0)[::-1], np.ones((2, 2), bool))
        wrong = converged(picture)[4:100, 4:] != wanted[4:100, 4:]  # without the caption
        assert wrong.mean() < 0.03


def test_every_picture_is_that_of_its_window(monkeypatch):
    # The second is a part towards the lower right.
    outer = Axis("a", -1.5, 1.0, N, "linear"), Axis("b", -1.2, 1.3, N, "linear")
    inner = Axis("a", -0.5, 0.75, N, "linear"), Axis("b", -0.95, 0.3, N, "linear")
    told = []
    monkeypatch.setattr(movies, "_captioned", lambda picture, x: told.append(x) or picture)
    both = [disc(*outer), disc(*inner)]
    shown = list(movies._pictures(both, [outer, inner], 128, 8, PUBLISHED))
    assert told == pytest.approx([2 ** (min(i, 8) / 8) for i in range(16)])
    for i, picture in enumerate(shown):
        # Zooming at a steady rate leaves one point where it is.
        window = []
        for a, b in zip(outer, inner, strict=True):
            fixed = 2 * b.low - a.low
            ends = (fixed + (end - fixed) / 2 ** (min(i, 8) / 8) for end in (a.low, a.high))
            window.append(Axis(a.name, *ends, 128, "linear"))
        wrong = converged(np.asarray(picture).astype(int)) != (disc(*window) < 0)[::-1]
        assert wrong.mean() < 0.04


@pytest.mark.parametrize("colours", [PUBLISHED, SAFE])
def test_colours_at_a_frame_are_those_of_its_picture(colours):
    measures, axes = frames(2)
    orders = [movies._orders(measure) for measure in measures]
    picture = movies._coloured(measures[0], orders, 0.0, colours)
    expected = colours((equalise(measures[0]) + 1) / 2)[::-1, :, :3]
    np.testing.assert_allclose(np.asarray(picture) / 255, expected, atol=0.01)


def test_between_frames_both_pictures_have_the_same_colours():
    measures, axes = frames(2)
    orders = [movies._orders(measure) for measure in measures]
    value = np.full((2, 2), 0.3)
    for s in (0.0, 0.4, 1.0):
        one = np.asarray(movies._coloured(value, orders, s, PUBLISHED))
        assert (one == one[0, 0]).all()
    ends = [
        np.asarray(movies._coloured(value, orders, s, PUBLISHED))[0, 0] for s in (0.0, 0.5, 1.0)
    ]
    assert (np.minimum(ends[0], ends[2]) - 1 <= ends[1]).all()
    assert (ends[1] <= np.maximum(ends[0], ends[2]) + 1).all()


def test_a_class_that_a_frame_lacks_is_coloured_by_the_other():
    orders = [movies._orders(np.array([[-1.0, 2.0]])), movies._orders(np.array([[3.0, 2.0]]))]
    for s in (0.0, 0.5, 1.0):
        mixed = movies._coloured(np.array([[-1.0, 2.0]]), orders, s, PUBLISHED)
        picture = np.asarray(mixed).astype(int)
        assert converged(picture).tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("m.avi", {}, "m.avi is no movie; end it in .webp, .gif, .mp4"),
        ("m.webp", {"size": 10}, "size=10, fps=24, seconds=1.0: a movie needs at least 64 pixels"),
        ("m.webp", {"fps": 0}, "fps=0"),
        ("m.webp", {"seconds": 0.0}, "seconds=0.0"),
    ],
)
def test_what_is_no_movie_is_refused(tmp_path, name, settings, expected):
    with pytest.raises(ValueError, match=expected):
        save_movie(*frames(2), tmp_path / name, **settings)
    assert list(tmp_path.iterdir()) == []


def test_mp4_needs_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="needs ffmpeg, which is not here; end it in .webp"):
        save_movie(*frames(2), tmp_path / "m.mp4")


def fake_ffmpeg(folder, script):
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return folder


def test_mp4_is_sent_to_ffmpeg_picture_by_picture(tmp_path, monkeypatch):
    # The last argument is the file; what comes in are the pictures.
    folder = fake_ffmpeg(tmp_path / "bin", 'for last; do :; done; cat > "$last"')
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    save_movie(*frames(2), tmp_path / "m.mp4", size=64, fps=4, seconds=1)
    assert (tmp_path / "m.mp4").stat().st_size == 8 * 64 * 64 * 3


def test_what_ffmpeg_says_is_one_sentence(tmp_path, monkeypatch):
    folder = fake_ffmpeg(tmp_path / "bin", 'echo "no codec" >&2; exit 1')
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    with pytest.raises(OSError, match="m.mp4 could not be written: ffmpeg says no codec"):
        save_movie(*frames(2), tmp_path / "m.mp4", size=64, fps=4)
