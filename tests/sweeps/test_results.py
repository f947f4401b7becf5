"""A sweep in a notebook: labelled arrays of what is on disk, a table, and a short line."""

import importlib.util
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.outcomes import Status
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.complex_maps import Quadratic

AXES = (Axis("c_re", -2, 0.5, 9), Axis("c_im", -1.2, 1.2, 7), Axis("z_re", 0, 0.4, 3))
ENGINES = ["scipy"] + ["h5netcdf"] * (importlib.util.find_spec("h5netcdf") is not None)


def make(path, n_axes=2, **settings):
    return sweep(
        Quadratic(), AXES[:n_axes], out=path / "s.zarr", n_steps=30, rule="bounded:2", **settings
    )


def stop_half_way(done, total):
    if done >= total // 2:
        raise KeyboardInterrupt


@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_coordinates_are_the_points_under_their_names(tmp_path, n_axes):
    pytest.importorskip("xarray")
    result = make(tmp_path, n_axes)
    data = result.to_xarray()
    assert data.status.dims == tuple(axis.name for axis in AXES[:n_axes][::-1])
    assert list(data.data_vars) == list(result.fields)
    for axis, points in zip(result.axes, result.points, strict=True):
        np.testing.assert_array_equal(data[axis.name], points)
    for name in result.fields:
        np.testing.assert_array_equal(data[name], result.field(name))
        assert data[name].attrs["long_name"] and data[name].dtype == result.field(name).dtype
    origin = dict(c_re=0.0, c_im=0.0, z_re=0.0)
    at = {axis.name: origin[axis.name] for axis in AXES[:n_axes]}
    assert data.status.sel(at, method="nearest") == Status.CONVERGED


def test_conditions_are_attributes_and_pending_cells_are_blank(tmp_path):
    pytest.importorskip("xarray")
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, tile=8, on_progress=stop_half_way, record=("lyapunov",))
    result = open_sweep(tmp_path / "s.zarr")
    data = result.to_xarray()
    pending = result.status == Status.PENDING
    assert pending.any() and not pending.all()
    for name in ("measure", "lyapunov", "final_loss"):
        assert data[name].isnull().values[pending].all()
    assert (data.t_escape.values[pending] == -1).all()
    assert (data.attrs["rule"], data.attrs["n_steps"]) == ("bounded:2", 30)
    assert data.attrs["dtype"] == "float64" and "jax" in json.loads(data.attrs["versions"])
    assert all(isinstance(value, str | int | float) for value in data.attrs.values())
    meanings = data.status.attrs["flag_meanings"].split()
    assert meanings[Status.PENDING] == "pending" and len(meanings) == len(Status)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_can_be_written_and_read_back(tmp_path, engine):
    xarray = pytest.importorskip("xarray")
    data = make(tmp_path, adaptive=True).to_xarray()
    assert "stride" in data
    data.to_netcdf(tmp_path / "s.nc", engine=engine)
    with xarray.open_dataset(tmp_path / "s.nc", engine=engine) as again:
        assert again.equals(data) and again.attrs == data.attrs


def test_a_notebook_shows_axes_outcomes_and_conditions(tmp_path):
    result = make(tmp_path)
    words = " ".join(ElementTree.fromstring(result._repr_html_()).itertext())
    share = f"{result.counts['converged'] / 63:.1%}"
    for word in ("c_re", "c_im", "linear", share, "not finite", "bounded:2", "s.zarr"):
        assert word in words, word
    assert "pending" not in words


def test_plain_text_is_one_line_without_the_specification(tmp_path):
    text = repr(make(tmp_path))
    assert text.startswith("Sweep(path=") and "computed=63" in text
    assert "fingerprint" not in text and "\n" not in text and len(text) < 600
