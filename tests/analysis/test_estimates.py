"""The record that estimators return."""

import dataclasses
import json
import math

import numpy as np
import pytest

from dynfrac.analysis.estimates import Curve, Estimate, interval_95


def make_estimate(**changes):
    curve = Curve(np.array([1.0, 2.0]), np.array([8.0, 4.0]), np.array([0.5, math.nan]))
    estimate = Estimate(1.5, 0.1, 1.3, 1.7, "test", 64, (1.0, 2.0), curve, ("a doubt",))
    return dataclasses.replace(estimate, **changes)


def test_an_estimate_is_a_number():
    assert float(make_estimate()) == 1.5
    assert make_estimate().has_value
    assert not make_estimate(value=math.nan).has_value


def test_the_record_is_json_with_null_for_what_is_not_finite():
    record = make_estimate(stderr=math.inf).to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["value"] == 1.5 and record["stderr"] is None
    assert record["window"] == [1.0, 2.0] and record["flags"] == ["a doubt"]
    assert record["curve"] == {"x": [1.0, 2.0], "y": [8.0, 4.0], "stderr": [0.5, None]}


def test_the_record_has_every_field():
    assert list(make_estimate().to_dict()) == [f.name for f in dataclasses.fields(Estimate)]


def test_no_value_comes_with_a_reason():
    missing = Estimate.missing("test", 64, ["one label only"])
    assert math.isnan(missing) and missing.flags == ("one label only",)
    assert missing.to_dict()["window"] == [None, None] and len(missing.curve) == 0
    with pytest.raises(ValueError, match="no reason"):
        Estimate.missing("test", 64, [])


def test_a_curve_keeps_its_own_frozen_copy():
    counts = np.array([8, 4])
    curve = Curve(np.array([1, 2]), counts, np.zeros(2))
    counts[0] = 0
    assert curve.y.tolist() == [8.0, 4.0]
    with pytest.raises(ValueError, match="read-only"):
        curve.y[0] = 1
    with pytest.raises(ValueError, match=r"Curve\.y has shape \(3,\)"):
        Curve(np.zeros(2), np.zeros(3), np.zeros(2))


def test_an_interval_ends_where_no_true_value_lies():
    assert interval_95(0.5, 0.1) == pytest.approx((0.5 - 0.1959964, 0.5 + 0.1959964))
    low, high = interval_95(1.9, 0.1, lowest=0.0, highest=2.0)
    assert low == pytest.approx(1.7040036) and high == 2.0
    assert interval_95(0.1, 0.1, lowest=0.0, highest=2.0)[0] == 0.0
    # An estimate outside of the range has an interval inside, if only a point.
    assert interval_95(2.3, 0.1, lowest=0.0, highest=2.0) == (2.0, 2.0)
