"""The command `dynfrac compare`, from its arguments to its exit status."""

import json
import math

import pytest

from dynfrac.cli.main import main
from dynfrac.orbits.axes import Axis
from dynfrac.studies.comparisons import compare
from dynfrac.systems.catalogue import make_architecture

# The smallest networks; x and y are the learning rates, 8 images of 8 x 8.
SMALL = ("--width", "3", "--arg", "n_data=8", "--arg", "n_test=1", "--arg", "image_size=8")
BOX = ("--x", "lr_in=1e-2:1e4", "--y", "lr_out=1e-2:1e4")
QUICK = (*SMALL, *BOX, "--steps", "25", "--budget", "600", "--quiet")
NETS = ("mnist-mlp", "mnist-mlp", "--arg-b", "depth=3")

OWN = """
import functools
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from dynfrac import AbstractMap, training_map


class Net(nn.Module):
    scale: float = 1.0

    @nn.compact
    def __call__(self, x):
        return nn.Dense(10, name="head")(self.scale * jnp.tanh(nn.Dense(3, name="first")(x)))


def mapped(seed=0):
    return training_map(Net(), n_data=8, n_test=1, image_size=5, flat=True, seed=seed)


def fixed():
    return mapped(0)
"""


@pytest.fixture(autouse=True)
def few_repetitions(monkeypatch):
    """The null is repeated twice and not eight times: most of these tests ask something else."""
    monkeypatch.setattr("dynfrac.studies.window_dimensions.REPETITIONS", 2)


def record(capsys, *arguments):
    """Run with --json; return the exit status and the one object on standard output."""
    status = main(["compare", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("compare")


def test_the_record_is_that_of_the_library_and_goes_on_with_more_seeds(capsys, kept):
    folder = kept / "journal"
    status, first = record(capsys, *NETS, *QUICK, "--seeds", "1", "--journal", str(folder))
    assert status == 1 and first["value"] is None and first["power"]["measured"] is False
    files = sorted(path.name for path in folder.iterdir())
    assert len(files) == 2
    status, both = record(
        capsys,
        *(*NETS, *QUICK, "--seeds", "2", "--journal", str(folder), "--margin", "0.5"),
        *("--plot", str(kept / "f.png"), "--report", str(kept / "r.html")),
        *("--out", str(kept / "o.json")),
    )
    assert both["per_seed"][0] == first["per_seed"][0]
    assert [row["seed"] for row in both["per_seed"]] == [0, 1]
    assert sorted(path.name for path in folder.iterdir())[:1] == files[:1]

    def arm(depth):
        def make(seed):
            return make_architecture(
                "mnist-mlp", width=3, n_data=8, n_test=1, image_size=8, depth=depth, seed=seed
            )

        return make

    axes = Axis("lr_in", 1e-2, 1e4), Axis("lr_out", 1e-2, 1e4)
    found = compare(arm(2), arm(3), axes, n_steps=25, budget=600, seeds=2, margin=0.5)
    for key, value in (("value", found.difference.value), ("ci_low", found.difference.ci_low)):
        assert both[key] == (value if math.isfinite(value) else None)
    readings = [reading for row in both["per_seed"] for reading in row["readings"]]
    assert [r["value"] for r in readings] == [
        r.estimate.value if r.estimate.has_value else None for row in found.readings for r in row
    ]
    assert status == (0 if found.difference.has_value else 1)
    assert {arm["name"] for arm in both["arms"]} == {"mnist-mlp (first)", "mnist-mlp (second)"}
    assert both["equivalence"]["margin"] == 0.5 and both["a"] == "mnist-mlp"
    assert all(r["n_runs"] <= 600 for r in readings)
    assert json.loads((kept / "o.json").read_text())["per_seed"] == both["per_seed"]
    assert (kept / "f.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (kept / "r.html").read_text()


def test_what_is_printed(capsys, kept):
    status = main(["compare", *NETS, *QUICK, "--seeds", "2", "--journal", str(kept / "journal")])
    out = capsys.readouterr().out
    assert status in (0, 1)
    for words in ("windows rays:1, 25 steps, rule published", "smooth null", "power: "):
        assert words in out
    assert "difference" in out and "no value" in out
    for words in (
        "null at this budget",
        "of 4",
        "last bit",
        "twice the steps",
        "loss of converged",
    ):
        assert words in out
    assert len([line for line in out.splitlines() if line.lstrip().startswith(("0 ", "1 "))]) == 2


def test_a_range_of_scales_is_that_of_the_record(capsys, monkeypatch):
    asked = {}

    def fake(*arms, **options):
        asked.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("dynfrac.cli.cmd_compare.compare", fake)
    for text in ("2^-8:2^-4", "0.00390625:0.0625", "2^-8:0.0625"):
        assert main(["compare", *NETS, *QUICK, "--scales", text]) == 130
        assert asked["scales"] == (2.0**-8, 2.0**-4)
    capsys.readouterr()
    for text, words in (
        ("2^-8", "--scales 2^-8 is not understood"),
        ("a:b", "--scales a:b is not understood"),
        ("0.1:0.2:0.3", "is not understood"),
    ):
        assert main(["compare", *NETS, *QUICK, "--scales", text]) == 2
        assert words in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["compare", *NETS, *QUICK, "--scales", "0.03:0.06"]) == 2
    assert "has room for 2 distances" in capsys.readouterr().err


def test_levels(capsys):
    deep = ("resnet8", "--width", "0.125", "--image-size", "5", "--arg", "n_data=2", "--quiet")
    deep += ("--arg", "n_test=1", "--arg", "batch_norm=false", "--lanes", "8")
    quick = ("--steps", "2", "--budget", "500", "--seeds", "1", "--window", "rays:2:1/6/2")
    status, result = record(capsys, *deep, *quick, "--axis", "skip=0:1:2")
    assert status == 1  # one seed
    assert [arm["level"] for arm in result["arms"]] == [1.0, 0.0]
    assert result["conditions"]["hparams"] == [{"skip": 1.0}, {"skip": 0.0}]
    # The same as A and B, whose hyperparameters have these defaults.
    status, pair = record(capsys, deep[0], "plain8", *deep[1:], *quick)
    assert [r["value"] for r in pair["per_seed"][0]["readings"]] == [
        r["value"] for r in result["per_seed"][0]["readings"]
    ]
    assert pair["arms"][0]["n_parameters"] == pair["arms"][1]["n_parameters"] > 0


def test_networks_and_maps_of_one_s_own(capsys, tmp_path, monkeypatch):
    (tmp_path / "own_arms.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    quick = ("--steps", "5", "--budget", "500", "--seeds", "1", "--quiet")
    box = ("--x", "weight_offset=1e-3:1", "--y", "lr=1e-2:1e4")
    status, result = record(capsys, "own_arms:mapped", "own_arms:mapped", *box, *quick)
    first, second = result["per_seed"][0]["readings"]
    assert first["value"] == second["value"] and status == 1
    status = main(["compare", "own_arms:fixed", "own_arms:mapped", *box, *quick])
    assert status == 2
    assert "give its factory the argument seed" in capsys.readouterr().err


def test_the_time_is_told_beforehand(capsys, monkeypatch):
    monkeypatch.setattr("dynfrac.cli.cmd_compare.seconds_per_run", lambda *_: 2.0)
    loud = [word for word in QUICK if word != "--quiet"]
    monkeypatch.setattr("dynfrac.cli.cmd_compare.compare", interrupt)
    assert main(["compare", *NETS, *loud, "--seeds", "3"]) == 130
    err = capsys.readouterr().err
    assert "3600 runs at most, 2 s each: about 2.0 h" in err


def interrupt(*arms, **options):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resnet8",), "give two architectures, or one and --axis"),
        (("resnet8", "plain9"), "depths are 6n + 2"),
        (("resnet8", "plain8", "--budget", "100"), "--budget 100 is too small; give at least 500"),
        (("resnet8", "plain8", "--seeds", "x"), "--seeds x is not understood"),
        (("resnet8", "plain8", "--seeds", "4:4"), "--seeds 4:4 is not understood"),
        (("resnet8", "plain8", "--arg", "seed=1"), "--arg seed is what the pairs differ in"),
        (("resnet8", "plain8", "--arg", "width=1", "--width", "1"), "--width and --arg width are"),
        (("resnet8", "--axis", "skip=0:1"), "does not say how many values"),
        (("resnet8", "cnn", "--axis", "skip=0:1:3"), "does not lead from cnn to resnet8"),
        (("resnet8", "plain14", "--axis", "skip=0:1:3"), "does not lead from plain14 to resnet8"),
        (("resnet8", "plain8", "--arg-b", "width=0.5", "--axis", "skip=0:1:3"), "does not lead"),
        (("resnet8", "plain8", "--report", "page.md"), "end the name in .html"),
        (("resnet8", "plain8", "--window", "eye"), "window='eye' is not understood"),
        (("resnet8", "plain8", "--margin", "-1"), "margin=-1.0 is no margin"),
        (("resnet8", "plain8", "--x", "beta=0:1"), "unknown hyperparameter 'beta'"),
    ],
)
def test_wrong_arguments_end_in_one_sentence(capsys, arguments, words):
    small = ("--arg", "n_test=1", "--arg", "n_data=2", "--image-size", "5", "--steps", "2")
    assert main(["compare", *arguments, *small, "--quiet"]) == 2
    err = capsys.readouterr().err
    assert words in err and err.startswith("error: ") and len(err.strip().splitlines()) == 1
