"""The table of known values, and what is made of it."""

import dataclasses
import inspect
import json
import math

import numpy as np
import pytest
from scipy.optimize import brentq

from dynfrac.cli.main import main
from dynfrac.plots.validation import validation_figure
from dynfrac.studies import validation
from dynfrac.studies.measurements import MEASUREMENTS, Measured
from dynfrac.studies.reference_table import PROVENANCE, Known, known_values
from dynfrac.studies.validation import Row, choose_cases, validate

CASES = {case.name: case for case in known_values()}
ROWS = {row.id: row for case in CASES.values() for row in case.rows}
LN = math.log


def heavy_ball(h, lr=0.02, b=0.3):
    """Return the larger of the logarithms of the moduli of the two roots."""
    return float(np.log(np.abs(np.roots([1, -(1 + b - lr * h), b]))).max())


def renyi(q, weights=(0.4, 0.6), contractions=(0.25, 0.35)):
    """Solve sum p^q l^((1 - q) D) = 1, the generalised dimensions of a Cantor set with weights."""

    def excess(dimension):
        pairs = zip(weights, contractions, strict=True)
        return sum(p**q * c ** ((1 - q) * dimension) for p, c in pairs) - 1

    return brentq(excess, 0.0, 1.0, xtol=1e-14)


def saddle_rows(case, lengths):
    """Return the rates of an open map that stretches intervals of these lengths onto the whole."""
    weights = [length / sum(lengths) for length in lengths]
    kappa = -LN(sum(lengths))
    exponent = -sum(p * LN(length) for p, length in zip(weights, lengths, strict=True))
    return {
        f"{case}: escape rate": kappa,
        f"{case}: exponent of the survivors": exponent,
        f"{case}: D1 (Kantz-Grassberger)": 1 - kappa / exponent,
        f"{case}: D0 (pressure)": renyi(0, (0.5, 0.5), lengths),
    }


PHI = (3 + math.sqrt(5)) / 2
ENTROPY = -(0.4 * LN(0.4) + 0.6 * LN(0.6))
TWO_SCALES = renyi(0, (0.5, 0.5), (0.45, 0.4))
CONTRACTION = 0.4 * LN(0.25) + 0.6 * LN(0.35)

# Every row that claims to be exact, from its formula.
EXACT = {
    "linear: exponent 1": LN(1.1),
    "linear: exponent 2": LN(0.8),
    "logistic-fixed-point: exponent 1": LN(0.9),
    "logistic-two-cycle: exponent 1": LN(abs(4 + 6.4 - 3.2**2)) / 2,
    "logistic-chaos: exponent 1": LN(2),
    "logistic-chaos: Kaplan-Yorke dimension": 1,
    "tent: exponent 1": LN(2),
    "skew-tent: exponent 1": -0.3 * LN(0.3) - 0.7 * LN(0.7),
    "beta: exponent 1": LN(1.7),
    "gauss: exponent 1": math.pi**2 / (6 * LN(2)),
    "cat: exponent 1": LN(PHI),
    "cat: exponent 2": -LN(PHI),
    "baker: exponent 1": LN(2),
    "baker: exponent 2": -LN(2),
    "generalized-baker: exponent 1": ENTROPY,
    "generalized-baker: exponent 2": CONTRACTION,
    "generalized-baker: Kaplan-Yorke dimension": 1 - ENTROPY / CONTRACTION,
    "kaplan-yorke: exponent 1": LN(2),
    "kaplan-yorke: exponent 2": LN(0.2),
    "kaplan-yorke: Kaplan-Yorke dimension": 1 + LN(2) / LN(5),
    "coupled-logistic: exponent 1": LN(2),
    "coupled-logistic: exponent 2": LN(2) + LN(0.4),
    "descent-quadratic: exponent 1": LN(0.9),
    "descent-quadratic: exponent 2": LN(0.7),
    "heavy-ball-quadratic: exponent 1": heavy_ball(1),
    "heavy-ball-quadratic: exponent 2": heavy_ball(3),
    "heavy-ball-quadratic: sum of the exponents": 2 * LN(0.3),
    "heavy-ball-network: sum of the exponents": 12 * LN(0.6),
    "kaplan-yorke-formula: of 1, -1, -1": 2,
    "kaplan-yorke-formula: of 1, 1, -0.5": 3,
    "kaplan-yorke-formula: of 0.9056, 0, -14.5723": 2 + 0.9056 / 14.5723,
    "henon: sum of the exponents": LN(0.3),
    "lozi: sum of the exponents": LN(0.5),
    "ikeda: sum of the exponents": 2 * LN(0.9),
    "standard-5: sum of the exponents": 0,
    "feigenbaum: exponent 1": 0,
    "descent-cubic-converging: exponent 1": LN(0.8),
    "descent-cubic-2: exponent 1": LN(3),
    "descent-cubic-edge: edge": math.sqrt(3.5 / 1.5),
    "descent-quadratic-edge: edge": 2 / 3,
    "heavy-ball-quadratic-edge: edge": 1,
    "line: box dimension": 1,
    "line: uncertainty exponent": 1,
    "disc: box dimension": 1,
    "disc: uncertainty exponent": 1,
    "koch: box dimension": LN(4) / LN(3),
    "koch: uncertainty exponent": 2 - LN(4) / LN(3),
    "gasket: box dimension": LN(3) / LN(2),
    "carpet: box dimension": LN(8) / LN(3),
    "cantor-picture: box dimension": LN(2) / LN(3),
    "sponge: box dimension": LN(20) / LN(3),
    "segment: D0": 1,
    "segment: D2 (correlation sum)": 1,
    "circle-points: D1": 1,
    "circle-points: D2 (correlation sum)": 1,
    "square: D0": 2,
    "square: D1": 2,
    "square: D2 (correlation sum)": 2,
    "square: D2 (Takens)": 2,
    "cantor-points: D0": LN(2) / LN(3),
    "cantor-points: D2 (correlation sum)": LN(2) / LN(3),
    "gasket-points: D2 (correlation sum)": LN(3) / LN(2),
    "generalized-baker-points: D0": 1 + renyi(0),
    "generalized-baker-points: D1": 1 - ENTROPY / CONTRACTION,
    "generalized-baker-points: D2": 1 + renyi(2),
    "generalized-baker-points: D2 (correlation sum)": 1 + renyi(2),
    "skinny-baker-points: D0": 1 + LN(2) / LN(3),
    "solenoid-points: D2 (correlation sum)": 1.5,
    "tent-repeller: box dimension": LN(2) / LN(3),
    "tent-repeller: uncertainty exponent": 1 - LN(2) / LN(3),
    "two-scale-tent-repeller: box dimension": TWO_SCALES,
    "two-scale-tent-repeller: uncertainty exponent": 1 - TWO_SCALES,
    "cantor-curve: box dimension": 1 + TWO_SCALES,
    "cantor-curve: uncertainty exponent": 1 - TWO_SCALES,
    **saddle_rows("tent-saddle", [1 / 3, 1 / 3]),
    **saddle_rows("tent-saddle-2-5", [0.4, 0.4]),
    **saddle_rows("two-scale-tent-saddle", [0.45, 0.4]),
}


# The table


def test_the_table_is_long_and_names_every_row_once():
    assert len(ROWS) == sum(len(case.rows) for case in CASES.values()) >= 45


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_case_is_complete(case):
    measurement = MEASUREMENTS[case.measure]
    inspect.signature(measurement).bind(("",), 0, **case.given)
    assert case.title and case.rows
    for row in case.rows:
        assert row.known in PROVENANCE and row.source
        assert row.tolerance > 0 and math.isfinite(row.reference)


def test_exact_values_follow_from_their_formulas():
    assert {name for name, row in ROWS.items() if row.known == "exact"} == set(EXACT)
    for name, value in EXACT.items():
        # As many digits as the table has.
        assert ROWS[name].reference == pytest.approx(value, rel=1e-7, abs=1e-12), name
        digits = max(ROWS[name].tolerance / 10, 1e-12)
        assert abs(ROWS[name].reference - value) < digits, name


# What passes


def row(estimate, stderr, reference=1.0, tolerance=0.1):
    known = Known("x: y", "y", reference, tolerance, "exact", "here")
    return Row("x", known, estimate, stderr)


@pytest.mark.parametrize(
    ("estimate", "stderr", "passed"),
    [
        (1.09, 0.0, True),
        (1.11, 0.0, False),
        (1.11, 0.03, True),  # within four standard errors
        (1.13, 0.03, False),
        (1.0, 0.2, True),
        (1.0, 0.21, False),  # right, and too vague to say so
        (math.nan, 0.0, False),
        (1.0, math.nan, False),
        (1.0, math.inf, False),
    ],
)
def test_a_row_passes_if_it_is_right_and_not_vague(estimate, stderr, passed):
    assert row(estimate, stderr).passed is passed


def test_sigmas_are_deviations_in_standard_errors_that_are_more_than_rounding():
    assert row(1.1, 0.05).sigmas == pytest.approx(2.0)
    assert math.isnan(row(1.1, 0.0).sigmas)
    assert math.isnan(row(1.1, 1e-15).sigmas)


# The measurements


QUICK = [case.name for case in choose_cases(quick=True)]


@pytest.mark.parametrize("name", QUICK)
def test_quick_cases_are_met(name):
    table = validate(only=[name])
    assert [row.known for row in table.rows] == list(CASES[name].rows)
    assert table.passed, [row.to_dict() for row in table.rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CASES) - set(QUICK)))
def test_the_other_cases_are_met(name):
    table = validate(only=[name])
    assert table.passed, [row.to_dict() for row in table.rows]


def test_readings_are_compared_with_the_reference_and_not_the_other_way_round(monkeypatch):
    """A table that is wrong on purpose does not pass."""
    case = CASES["linear"]
    wrong = dataclasses.replace(case.rows[0], reference=case.rows[0].reference + 1e-9)
    broken = dataclasses.replace(case, rows=(wrong, case.rows[1]))
    monkeypatch.setattr(validation, "known_values", lambda: (broken,))
    table = validate()
    assert [row.passed for row in table.rows] == [False, True]
    assert not table.passed


def test_a_measurement_that_fails_leaves_the_others(monkeypatch):
    def fail(quantities, seed, **given):
        raise ZeroDivisionError("no reason")

    monkeypatch.setattr(validation, "MEASUREMENTS", {**MEASUREMENTS, "edge": fail})
    table = validate(only=["kaplan-yorke-formula", "descent-cubic-edge"])
    by_case = {row.known.id.split(":")[0]: row for row in table.rows}
    assert by_case["kaplan-yorke-formula"].passed
    assert not by_case["descent-cubic-edge"].passed
    assert by_case["descent-cubic-edge"].note == "ZeroDivisionError: no reason"


def test_more_than_one_border_is_no_edge():
    with pytest.raises(ValueError, match="2 borders"):
        MEASUREMENTS["edge"](("edge",), 0, map="gd-cubic", axis="w0=-3:3.1", steps=99)


def test_progress_names_every_case():
    seen = []
    validate(only=["kaplan-yorke-formula", "linear"], on_progress=seen.append)
    assert [case.name for case in seen] == ["linear", "kaplan-yorke-formula"]


# The command


@pytest.fixture
def run(capsys):
    def call(*arguments):
        status = main(["validate", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_json_has_a_row_for_each_known_value(run, tmp_path):
    record, figure = tmp_path / "validation.json", tmp_path / "validation.png"
    arguments = ("--only", "linear", "--out", str(record), "--plot", str(figure))
    status, out, err = run(*arguments, "--json")
    assert (status, err) == (0, "")
    table = json.loads(out)
    assert json.loads(record.read_text()) == table
    assert table["passed"] is True
    keys = {"id", "quantity", "reference", "estimate", "stderr", "tolerance", "sigmas", "passed"}
    assert all(keys <= set(row) for row in table["rows"])
    assert figure.stat().st_size > 10_000


def test_the_table_is_printed_and_a_row_that_is_out_is_named(run, monkeypatch):
    status, out, _ = run("--only", "linear")
    assert status == 0 and "2 of 2 known values are met" in out

    def vague(quantities, seed, **given):
        return {name: Measured(0.0953, 1.0) for name in quantities}

    monkeypatch.setattr(validation, "MEASUREMENTS", {"spectrum": vague})
    status, out, _ = run("--only", "linear")
    assert status == 1
    assert "0 of 2 known values are met" in out
    assert "out: linear: exponent 1: 0.0953 is" in out and "standard error 1" in out


def test_the_list_shows_the_table_and_runs_nothing(run, monkeypatch):
    monkeypatch.setattr(validation, "MEASUREMENTS", {})
    status, out, _ = run("--list")
    assert status == 0
    assert all(name in out for name in CASES)
    status, out, _ = run("--list", "--quick", "--json")
    assert [case["name"] for case in json.loads(out)["cases"]] == QUICK


def test_an_unknown_case_is_refused_in_one_sentence(run):
    status, out, err = run("--only", "henonn")
    assert (status, out) == (2, "")
    assert "did you mean 'henon'?" in err and err.count("\n") == 1


def test_a_figure_of_another_kind_is_refused_before_anything_runs(run):
    status, _, err = run("--plot", "table.doc")
    assert status == 2 and "table.doc" in err


def test_the_figure_shows_what_has_no_estimate_and_what_is_far_out():
    table = validate(only=["linear"])
    rows = (
        dataclasses.replace(table.rows[0], estimate=math.nan, note="nothing"),
        dataclasses.replace(table.rows[1], estimate=7.0),
    )
    figure = validation_figure(dataclasses.replace(table, rows=rows))
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["no estimate"]
    assert len(axes.get_yticklabels()) == 2
