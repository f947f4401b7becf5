"""Results as data sets of xarray: coordinates, attributes that files hold, and no xarray at all."""

import importlib.util
import json
import sys

import numpy as np
import pytest

from dynfrac.analysis.diagrams import orbit_diagram
from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.axis_names import NAMES
from dynfrac.orbits.labelled_arrays import axis_coordinate, plain_attributes
from dynfrac.systems.catalogue import make_map
from dynfrac.systems.interval_maps import Logistic

xarray = pytest.importorskip("xarray")

ENGINES = ["scipy"] + ["h5netcdf"] * (importlib.util.find_spec("h5netcdf") is not None)


def test_attributes_are_numbers_and_text():
    given = {
        "a": np.int64(3),
        "b": np.float32(0.5),
        "c": True,
        "d": ("x", np.arange(2)),
        "e": {"f": None, "g": np.float64(1.5)},
        "h": None,
        "i": "words",
    }
    plain = plain_attributes(given)
    assert [type(plain[key]) for key in "abcdei"] == [int, float, int, str, str, str]
    assert json.loads(plain["d"]) == ["x", [0, 1]]
    assert json.loads(plain["e"]) == {"f": None, "g": 1.5} and "h" not in plain


def test_axes_are_told_in_words():
    axis = Axis("lr_in", 0.1, 10, 3)
    dimensions, points, about = axis_coordinate(axis, axis.points())
    assert dimensions == ("lr_in",) and points.tolist() == axis.points().tolist()
    assert about == {"long_name": NAMES["lr_in"], "scale": "log10"}
    assert axis_coordinate(Axis("c_re", 0, 1, 3), np.zeros(3))[2]["long_name"] == "c_re"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_diagram_survives_a_file(tmp_path, engine):
    diagram = orbit_diagram(Logistic(), Axis("r", 2.9, 3.5, 4), n_steps=200, n_keep=8)
    data = diagram.to_xarray()
    assert dict(data.sizes) == {"r": 4, "kept": 8}
    assert data.periods.sel(r=3.5, method="nearest").item() == 4
    assert data.attrs["map"] == "Logistic" and data.attrs["n_steps"] == 200
    data.to_netcdf(tmp_path / "d.nc", engine=engine)
    with xarray.open_dataset(tmp_path / "d.nc", engine=engine) as again:
        assert again.equals(data) and again.attrs["map"] == "Logistic"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_spectrum_survives_a_file(tmp_path, engine):
    spectrum = lyapunov_spectrum(make_map("henon"), n_steps=500)
    data = spectrum.to_xarray()
    np.testing.assert_array_equal(data.exponents, spectrum.exponents)
    assert data.exponents.attrs["units"] == "nats per step"
    np.testing.assert_allclose(data.running_means.isel(step=-1), spectrum.exponents, rtol=1e-12)
    assert data.attrs["verdict"] == "chaotic"
    data.to_netcdf(tmp_path / "s.nc", engine=engine)
    with xarray.open_dataset(tmp_path / "s.nc", engine=engine) as again:
        assert again.equals(data)


def test_without_xarray_one_sentence_says_what_to_install(monkeypatch):
    spectrum = lyapunov_spectrum(make_map("henon"), n_steps=50)
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r'^labelled arrays need xarray: pip install "dynfrac\['):
        spectrum.to_xarray()
