"""Specifications: plain, comparable, and with a hash that says whether they were touched."""

import json
import math

import numpy as np
import pytest

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.rules import make_rule
from dynfrac.sweeps.specifications import canonical, differences, specification_hash, specify
from dynfrac.systems.complex_maps import Quadratic


def test_canonical_values_are_plain_json():
    plain = canonical(
        {"b": np.float64(0.1), "a": (np.int32(3), math.nan, -math.inf), "c": np.bool_(True)}
    )
    assert json.dumps(plain, allow_nan=False) == '{"a": [3, "nan", "-inf"], "b": 0.1, "c": true}'


def test_what_is_not_plain_is_refused():
    with pytest.raises(TypeError, match="ndarray cannot be part"):
        canonical({"a": np.zeros(2)})


def test_the_hash_depends_on_the_content_and_not_on_the_order():
    assert specification_hash({"a": 1, "b": [2.5]}) == specification_hash({"b": (2.5,), "a": 1})
    assert specification_hash({"a": 1}) != specification_hash({"a": 2})


def test_differences_name_what_is_missing_on_either_side():
    old = {"axes": {"x": {"n": 4}}, "rule": "published"}
    new = {"axes": {"x": {"n": 4}, "y": {"n": 8}}}
    assert differences(old, new) == [
        ("axes.y.n", "absent", 8),
        ("rule", "published", "absent"),
    ]
    assert differences(old, old) == []


def specification(**changes):
    settings = {
        "n_steps": 10,
        "every": 1,
        "rule": make_rule("bounded:2"),
        "record": (),
        "dtype": None,
        "lanes": None,
        "tile": None,
        "identity": None,
    }
    axes = (Axis("c_re", -2, 1, 8), Axis("c_im", -1, 1, 4))
    return specify(Quadratic(), axes, {"z_re": 0.0, "z_im": 0.0}, **{**settings, **changes})


def test_a_specification_says_everything_the_result_depends_on():
    spec = specification(identity={"map": "quadratic"})
    assert list(spec) == [
        *("format", "map", "axes", "hparams", "n_steps", "every", "rule", "record", "dtype"),
        *("lanes", "device", "tile", "fingerprint"),
    ]
    assert spec["map"] == {"map": "quadratic"}
    assert spec["axes"]["y"] == {
        "name": "c_im",
        "low": -1.0,
        "high": 1.0,
        "n": 4,
        "scale": "linear",
    }
    assert spec["tile"] == [4, 8]
    assert spec["dtype"] == "float64"
    assert spec["lanes"] >= 1
    assert specification()["map"] == {"class": "Quadratic"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"n_steps": 11}, "n_steps"),
        ({"every": 2}, "every"),
        ({"rule": make_rule("bounded:3")}, "rule"),
        ({"record": ("test_loss",)}, "record"),
        ({"dtype": "float32"}, "dtype"),
        ({"lanes": 3}, "lanes"),
        ({"tile": 8}, "tile"),
        ({"identity": {"map": "other"}}, "map.map"),
    ],
)
def test_every_setting_shows_as_a_difference(change, field):
    assert field in [name for name, *_ in differences(specification(), specification(**change))]


def test_lanes_below_one_are_refused():
    with pytest.raises(ValueError, match="lanes=0 must be at least 1"):
        specification(lanes=0)
