"""Dimensions from rates: the small version reproduces the tables, and what these rest on."""

import json
import math
import tomllib

import numpy as np
import pytest

import dynfrac
from dynfrac import Axis
from dynfrac.boundaries.lifetimes import measure_lifetimes
from tests.experiments.scripts import EXPERIMENTS, load

FOLDER = EXPERIMENTS / "saddle_formulas"
ESTIMATES = "D1", "D0", "pairs", "Kaplan-Yorke", "D2"
TOLERANCE = 0.03
"""Beside three combined standard errors, as the README says."""


def read_record():
    return json.loads((FOLDER / "results.json").read_text())


def doubted(estimate):
    words = "not fractal", "few survivors"
    return any(word in flag for word in words for flag in estimate["flags"])


def differences(one, other):
    """Yield what two rows do not agree on; more runs see slower lives, which are flagged."""
    for name in ESTIMATES:
        pair = [row[name] for row in (one, other) if row.get(name)]
        if len(pair) < 2 or any(part["value"] is None for part in pair):
            continue
        if name != "D1" or not any(map(doubted, pair)):
            here, there = pair
            error = math.hypot(here["stderr"], there["stderr"])
            if abs(here["value"] - there["value"]) > TOLERANCE + 3 * error:
                yield one["name"], name, here["value"], there["value"]


@pytest.mark.slow
def test_the_small_version_reproduces_the_tables(tmp_path):
    assert load("saddle_formulas").main(["--small", "--out", str(tmp_path)])
    small, record = json.loads((tmp_path / "results.json").read_text()), read_record()
    for part in ("windows", "attractors"):
        assert [row["name"] for row in small[part]] == [row["name"] for row in record[part]]
        rows = zip(small[part], record[part], strict=True)
        assert not [difference for pair in rows for difference in differences(*pair)]
    for here, there in zip(small["windows"], record["windows"], strict=True):
        assert abs(here["undecided"]["share"] - there["undecided"]["share"]) < 0.05
        if there["undecided"]["share"] > 0.2:
            assert here["D1"]["value"] is None and there["D1"]["value"] is None
            assert any("undecided to the last step" in flag for flag in here["D1"]["flags"])
    load("saddle_formulas", "figure").main(tmp_path)
    assert (tmp_path / "saddle_formulas.png").stat().st_size > 10_000


def test_the_readme_has_the_numbers_of_the_record():
    text = (FOLDER / "README.md").read_text()
    lines = load("saddle_formulas", "figure").tables(read_record())
    assert len(lines) > 30 and all(line in text for line in lines)


def test_the_record_passes_and_a_wrong_value_is_out():
    failures = load("saddle_formulas").failures
    tolerance = tomllib.loads((FOLDER / "config.toml").read_text())["tolerance"]
    rows = read_record()["windows"]
    assert not any(failures(row, tolerance) for row in rows)
    row = next(row for row in rows if row["name"] == "two-scale tent")
    wrong = {**row, "known": {**row["known"], "D1": row["known"]["D1"] - 0.05}}
    assert failures(wrong, tolerance) == ["D1"]
    # Above both ceilings, and apart from what was measured.
    high = {**row, "known": {"D0": 0.95}}
    assert failures(high, tolerance) == ["D0", "escape ceiling", "entropy ceiling"]


def test_derivatives_of_the_start_see_the_same_saddle_as_those_of_the_place():
    # The start is the place here, so that both are known.
    script = load("saddle_formulas")
    settings = {"n_steps": 30, "hparams": {"slope": 3.0}, "rule": None}
    rates = script.start_rates(
        dynfrac.make_map("tent"), [Axis("x0", 0.0, 1.0)], ["x0"], 2000, settings
    )
    assert rates.exponent.value == pytest.approx(math.log(3), abs=1e-9)
    assert abs(rates.escape_rate.value - math.log(1.5)) < 3 * rates.escape_rate.stderr < 0.1


def test_undecided_runs_are_told_apart():
    steps = np.arange(41)
    logs = np.stack([0.2 * steps, 0.5 * np.exp(-steps), -0.02 * steps, -0.5 * steps])
    lives = measure_lifetimes(logs, np.ones_like(logs), np.full(4, -1))
    found = load("saddle_formulas").undecided(lives)
    # The third contracts too slowly to be seen contracting, the last is decided.
    assert (found["share"], found["separating"], found["resting"]) == (0.75, 0.25, 0.25)


def test_scales_of_one_leave_a_network_as_it_is():
    map_ = load("saddle_formulas").make_net(published=8)
    settings = {"hparams": {"lr_in": 20.0, "lr_out": 5.0}, "n_steps": 20}
    plain = dynfrac.iterate(map_.inner, **settings)
    np.testing.assert_array_equal(
        dynfrac.iterate(map_, **settings).observations, plain.observations
    )


def test_a_rate_moves_cycles_and_no_minima():
    map_ = load("saddle_formulas").make_net(student=1)

    def ends(**hparams):
        given = {"weight_decay": 0.1, "scale_in": 4.36, "scale_out": 1.19, **hparams}
        return dynfrac.iterate(map_, given, n_steps=2000, keep_states=True).states[-3:]

    slow, fast = ends(lr=0.3), ends(lr=0.4)
    np.testing.assert_allclose(slow, np.broadcast_to(fast[-1], slow.shape), atol=1e-9)
    one, two = ends(lr=1.2), ends(lr=1.21)
    for states in (one, two):
        np.testing.assert_allclose(states[0], states[2], atol=1e-9)
        assert np.max(abs(states[0] - states[1])) > 0.01
    assert min(np.max(abs(state - other)) for state in one for other in two) > 1e-3
