"""`dynfrac list` names everything that exists, for people and for machines."""

import json

import pytest

from dynfrac.cli.main import main
from dynfrac.orbits.rules import RULE_FORMS
from dynfrac.studies.presets import PRESETS
from dynfrac.systems.catalogue import HYPERPARAMETERS, list_architectures, list_maps
from dynfrac.systems.datasets import SOURCES
from dynfrac.systems.optimizers import OPTIMIZERS
from dynfrac.systems.recipes import TRAINING_ARGUMENTS

NAMES = {
    "maps": [entry.name for entry in list_maps()],
    "architectures": [entry.name for entry in list_architectures()],
    "training": list(TRAINING_ARGUMENTS),
    "data": list(SOURCES),
    "optimizers": list(OPTIMIZERS),
    "rules": list(RULE_FORMS),
    "presets": list(PRESETS),
    "hyperparameters": list(HYPERPARAMETERS),
}


@pytest.fixture
def run(capsys):
    """Run the command line and return (status, standard output, standard error)."""

    def call(*arguments):
        status = main(arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def refuse_constant(name):
    raise AssertionError(f"{name} is not JSON")


def test_json_holds_every_kind_and_every_name(run):
    status, out, err = run("list", "--json")
    assert (status, err) == (0, "")
    listing = json.loads(out, parse_constant=refuse_constant)
    assert {kind: [row["name"] for row in rows] for kind, rows in listing.items()} == NAMES
    rows = {row["name"]: row for rows in listing.values() for row in rows}
    assert rows["henon"]["hparams"] == {"a": 1.4, "b": 0.3, "x0": 0.1, "y0": 0.1}
    network = rows["resnet{6n+2}"]
    assert network["hparams"]["skip"] == 1.0 and network["hparams"]["lr_in"] is None
    assert network["arguments"]["batch_norm"] is True
    assert rows["skip"]["taken_by"] == ["transformer", "resnet{6n+2}", "plain{6n+2}"]
    assert {"adam", "lion"} <= set(rows["b1"]["taken_by"])


@pytest.mark.parametrize("kind", NAMES)
def test_one_kind_is_listed_alone(run, kind):
    status, out, err = run("list", kind)
    assert (status, err) == (0, "")
    heading, *lines = out.splitlines()
    assert heading.startswith(f"{kind} (--")
    assert [line.split()[0] for line in lines if line[2] != " "] == NAMES[kind]
    assert all(len(line) <= 100 for line in lines)


def test_defaults_are_written_as_they_would_be_typed(run):
    _, out, _ = run("list", "maps")
    assert "--arg eigenvalues=1,3 heavy_ball=false" in out
    _, out, _ = run("list", "architectures")
    assert "batch=-" in out and "batch_norm=true" in out and "lr_in=nan" in out


def test_an_unknown_kind_is_refused_in_one_sentence(run):
    status, out, err = run("list", "map")
    assert (status, out) == (2, "")
    assert err.startswith("error: unknown kind 'map'; did you mean 'maps'? known: architectures, ")
    assert err.count("\n") == 1


def test_defaults_are_listed_as_they_can_be_typed(run):
    # A slope of 2 would be another map: in binary arithmetic its orbits end.
    text = run("list", "maps")[1]
    assert "slope=1.9999999999 x0=0.3" in text
    assert "r=4 x0=0.3" in text
