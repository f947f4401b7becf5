"""Zooms: where the frames lie, how deep they go, and that they are sweeps like any other."""

import numpy as np
import pytest

from dynfrac.analysis.labels import boundary_cells
from dynfrac.orbits.axes import Axis
from dynfrac.studies.zooms import zoom
from dynfrac.sweeps.results import open_sweep
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.systems.descents import CubicDescent

AXES = (Axis("c_re", -2, 0.5, 40), Axis("c_im", -1.2, 1.2, 36))
SETTINGS = {"n_steps": 60, "rule": "bounded:2"}


def lengths(found, i):
    return [frame.sweep.axes[i].high - frame.sweep.axes[i].low for frame in found.frames]


def test_every_frame_is_the_richest_part_of_the_one_before(tmp_path):
    found = zoom(Quadratic(), AXES, out=tmp_path / "z", frames=4, factor=2, **SETTINGS)
    assert found.ended == "4 frames were asked for"
    assert sorted(p.name for p in found.path.iterdir()) == [f"00{i}.zarr" for i in range(4)]
    for i, axis in enumerate(AXES):
        length = axis.high - axis.low
        np.testing.assert_allclose(lengths(found, i), length / 2.0 ** np.arange(4), rtol=1e-9)
    for outer, inner in zip(found.frames, found.frames[1:], strict=False):
        for a, b in zip(outer.sweep.axes, inner.sweep.axes, strict=True):
            assert a.low <= b.low < b.high <= a.high
        # By the definition: the crossed cells whose middles are in the next frame, against those of
        # all windows of that size.
        crossed = boundary_cells(outer.sweep.labels)
        middles = [(p[1:] + p[:-1]) / 2 for p in outer.sweep.points]
        inside = [
            (axis.low < m) & (m < axis.high)
            for axis, m in zip(inner.sweep.axes, middles, strict=True)
        ]
        here = crossed[np.ix_(inside[1], inside[0])].sum()
        rows, columns = (round(n / 2) for n in crossed.shape)
        best = max(
            crossed[i : i + rows, j : j + columns].sum()
            for i in range(crossed.shape[0] - rows + 1)
            for j in range(crossed.shape[1] - columns + 1)
        )
        assert here >= 0.9 * best
        assert outer.boundary == pytest.approx(crossed.mean())


def test_the_lengths_of_logarithmic_axes_are_decades(tmp_path):
    axes = (Axis("lr", 0.1, 10, 33), Axis("w0", 0.1, 1.9, 33))
    found = zoom(CubicDescent(), axes, out=tmp_path / "z", frames=3, factor=4, n_steps=60)
    for i, frame in enumerate(found.frames):
        x, y = frame.sweep.axes
        scale = np.log10(x.high / x.low) if x.scale == "log10" else x.high - x.low
        whole = 2.0 if x.scale == "log10" else 9.9
        assert scale == pytest.approx(whole / 4**i)
        assert y.high - y.low == pytest.approx(1.8 / 4**i)


def test_a_place_stays_in_every_frame(tmp_path):
    place = {"c_re": 0.25, "c_im": 0.0}
    found = zoom(Quadratic(), AXES, out=tmp_path / "z", frames=9, factor=8, at=place, **SETTINGS)
    for frame in found.frames:
        for axis, points in zip(frame.sweep.axes, frame.sweep.points, strict=True):
            assert (np.diff(points) > 0).all()
            assert axis.low <= place[axis.name] <= axis.high


@pytest.mark.parametrize(
    ("dtype", "least", "most"), [("float32", 1e-7, 1e-4), ("float64", 1e-16, 1e-12)]
)
def test_the_depth_is_that_of_the_type(tmp_path, dtype, least, most):
    # After one step the boundary is the circle of radius 2, which goes through -2.
    axes = (Axis("c_re", -2.5, 0.5, 9), Axis("c_im", -1.2, 1.2, 9))
    found = zoom(
        Quadratic(), axes, out=tmp_path / "z", frames=99, factor=32, at={"c_re": -2, "c_im": 0},
        n_steps=2, rule="bounded:2", dtype=dtype,
    )  # fmt: skip
    assert f"finer than {dtype} can tell neighbouring points apart" in found.ended
    last = found.frames[-1].sweep
    assert least < last.axes[0].high - last.axes[0].low < most
    assert all(len(np.unique(points.astype(dtype))) == 9 for points in last.points)


def test_a_place_without_a_boundary_ends_it(tmp_path):
    place = {"c_re": 0.0, "c_im": 0.0}
    found = zoom(Quadratic(), AXES, out=tmp_path / "z", frames=9, factor=4, at=place, **SETTINGS)
    assert found.ended == f"frame {len(found.frames) - 1} shows no boundary"
    assert found.frames[-1].boundary == 0 and np.isnan(found.frames[-1].dimension.value)
    assert not any("more steps" in flag for flag in found.flags)
    assert len(found.frames) < 9


def test_a_smooth_boundary_is_flagged(tmp_path):
    # After two steps the boundary is a curve of degree four.
    axes = (Axis("c_re", -2, 0.5, 128), Axis("c_im", -1.2, 1.2, 128))
    found = zoom(
        Quadratic(), axes, out=tmp_path / "z", frames=4, factor=4, n_steps=3, rule="bounded:2"
    )
    assert any(
        flag.startswith("from frame 1 on the boundary reads at most 1.05") for flag in found.flags
    )
    rough = zoom(
        Quadratic(), axes, out=tmp_path / "r", frames=3, factor=4, n_steps=300, rule="bounded:2"
    )
    assert rough.flags == ()


def test_it_goes_on_where_it_was(tmp_path):
    seen = []
    zoom(Quadratic(), AXES, out=tmp_path / "z", frames=2, **SETTINGS)
    found = zoom(
        Quadratic(),
        AXES,
        out=tmp_path / "z",
        frames=3,
        on_progress=lambda *call: seen.append(call),
        **SETTINGS,
    )
    assert [frame.sweep.computed for frame in found.frames] == [0, 0, 40 * 36]
    assert {frame for frame, *_ in seen} == {2} and seen[-1][1] == seen[-1][2]
    with pytest.raises(ValueError, match="holds another sweep: n_steps is 60 there and 61 here"):
        zoom(Quadratic(), AXES, out=tmp_path / "z", n_steps=61, rule="bounded:2")


def test_frames_may_be_adaptive(tmp_path):
    axes = (Axis("c_re", -2, 0.5, 100), Axis("c_im", -1.2, 1.2, 100))
    settings = {**SETTINGS, "frames": 2, "adaptive": True}
    found = zoom(Quadratic(), axes, out=tmp_path / "z", **settings)
    assert not open_sweep(found.frames[0].sweep.path).was_run.all()
    assert any("of the cells were run" in flag for flag in found.flags)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"axes": AXES[:1]}, "1 axes were given; a zoom has two"),
        ({"frames": 0}, "frames=0 must be at least 1"),
        ({"factor": 1.0}, "factor=1.0 must be a number above 1"),
        ({"at": {"c_re": 0.0}}, "at has no value for c_im; give one for each axis"),
        ({"at": {"c_re": 3.0, "c_im": 0.0}}, "at c_re=3 is outside the axis; give a value from -2"),
        ({"at": {"c_re": 0.0, "c_im": 0.0, "z_re": 0.0}}, "at has z_re, which is no axis"),
        (
            {"axes": (Axis("c_re", 0.25, 0.25 + 1e-16, 9), AXES[1])},
            "the window is too narrow for float64",
        ),
    ],
)
def test_wrong_arguments_leave_nothing(tmp_path, changes, expected):
    settings = {"axes": AXES, "out": tmp_path / "z", **SETTINGS, **changes}
    with pytest.raises(ValueError, match=expected):
        zoom(Quadratic(), **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "z").write_text("notes")
    with pytest.raises(ValueError, match="z is a file; name a folder for the frames"):
        zoom(Quadratic(), AXES, out=tmp_path / "z", **SETTINGS)
