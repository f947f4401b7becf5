"""The study of skip connections reads its outcome off the table that its page fixed beforehand."""

import json
import math
import os
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import numpy as np
import pytest

from dynfrac.boundaries.windows import make_window_rule
from dynfrac.orbits.rules import make_rule
from dynfrac.studies.paired_statistics import describe_differences, equivalence
from tests.experiments.scripts import EXPERIMENTS, load

FOLDER = EXPERIMENTS / "skip_vs_plain"
CONFIGS = sorted(FOLDER.glob("*.toml"))
SPREAD = np.tile([-1.0, 1.0], 12)


STUDY = load("skip_vs_plain")
CONFIG = tomllib.loads((FOLDER / "cpu.toml").read_text("utf-8"))


def found(mean, spread, missing=(0, 0), late=(0.1, 0.2), level=1.5, n=24):
    """Return what a comparison of n pairs is to `reading`."""
    differences = mean + spread * SPREAD[:n]
    gone = missing[0] + missing[1]
    differences[:gone] = np.nan
    statistics = describe_differences(differences)
    return SimpleNamespace(
        readings=[()] * n,
        statistics=statistics,
        difference=SimpleNamespace(
            ci_low=statistics.ci_low,
            ci_high=statistics.ci_high,
            has_value=bool(np.isfinite(statistics.mean)),
        ),
        equivalence=equivalence(statistics, CONFIG["margin"]),
        arms=[
            SimpleNamespace(
                n_missing=count,
                steps=SimpleNamespace(value=share),
                dimension=SimpleNamespace(value=value),
            )
            for count, share, value in zip(missing, late, (level + mean, level), strict=True)
        ],
    )


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (found(-0.3, 0.1), "supports the claim, at this size"),
        (found(0.3, 0.1), "contradicts the claim, at this size"),
        (found(-0.05, 0.02), "supports the claim, by less than the margin, at this size"),
        (found(0.05, 0.02), "contradicts the claim, by less than the margin, at this size"),
        (found(0.0, 0.05), "equal within the margin of 0.1"),
        (found(0.06, 0.3), "open; a shrinkage by 0.1 or more is excluded"),
        (found(-0.06, 0.3), "open"),
        (found(-0.3, 0.1, missing=(5, 4)), "no answer: only 15 of 24 pairs are complete"),
        (
            found(-0.3, 0.1, missing=(4, 0)),
            "no answer: 4 and 0 seeds of the arms have no value",
        ),
        (found(-0.3, 0.1, missing=(4, 2)), "supports the claim, at this size"),
        (found(-0.3, 0.1, n=1), "no answer: there is no interval"),
        (
            found(-0.3, 0.1, late=(0.5, 0.4)),
            "no answer: 50% and 40% of the labels next to the boundaries change with twice the "
            "steps",
        ),
        (
            found(-0.3, 0.1, late=(0.3, 0.1)),
            "no answer: 30% and 10% of the labels next to the boundaries change with twice the "
            "steps",
        ),
        (
            found(-0.3, 0.1, late=(math.nan, 0.1)),
            "no answer: nan% and 10% of the labels next to the boundaries change with twice the "
            "steps",
        ),
        (
            found(0.02, 0.01, level=1.95),
            "both fill the plane at these scales (D = 1.97 and 1.95): the dimension does not tell "
            "them apart",
        ),
        (found(-0.3, 0.1, level=1.95), "supports the claim, at this size"),
    ],
)
def test_every_line_of_the_table_has_its_outcome(outcome, words):
    assert STUDY.reading(outcome, CONFIG) == words


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_configurations_say_what_compare_takes(file):
    config = tomllib.loads(file.read_text("utf-8"))
    for entry in config["comparison"]:
        arms, search, seeds, keywords = STUDY.choose(config, entry, None)
        given = {**config, **entry}
        rule = make_window_rule(given["window"])
        assert len(rule.reference) == len(search) == 2
        for axis, value in zip(search, rule.reference, strict=True):
            assert axis.low < value < axis.high
        assert make_rule(keywords["rule"]).name == given["rule"]
        assert len(seeds) == given["seeds"] and keywords["scales"][0] < keywords["scales"][1]
        assert [arm.name for arm in arms] == [entry["a"], entry["b"]]


def run(folder, *words):
    """Run the script as a reader would."""
    # A mistyped option that is taken for a study must not run one.
    command = [
        sys.executable,
        str(FOLDER / "run.py"),
        "--minutes",
        "2",
        "--out",
        str(folder),
        *words,
    ]
    environment = {**os.environ, "MPLBACKEND": "agg"}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--only", "batchnrm"), "--only batchnrm is none of batchnorm, bare"),
        (("--seeds", "3"), "--seeds 3 is not FIRST:STOP"),
        (("--seeds", "5:5"), "--seeds 5:5 is not FIRST:STOP"),
        (("--seeds", "0:12:5"), "--seeds 0:12:5 is not FIRST:STOP"),
    ],
)
def test_mistyped_options_are_one_sentence(tmp_path, words, told):
    done = run(tmp_path, *words)
    assert done.returncode == 2 and told in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_small_study_runs_and_goes_on(tmp_path):
    text = (FOLDER / "cpu.toml").read_text("utf-8")
    text = text.replace(f"budget = {CONFIG['budget']}", "budget = 500")
    config = tmp_path / "small.toml"
    config.write_text(text, "utf-8")
    words = ("--config", str(config), "--only", "batchnorm", "--seeds", "100:102")
    stopped = run(tmp_path / "kept", *words, "--minutes", "0.5")
    assert "the same command goes on" in stopped.stdout
    done = run(tmp_path / "kept", *words, "--minutes", "15")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "kept" / "batchnorm-seeds-100-102.json").read_text("utf-8"))
    assert record["reading"] and len(record["per_seed"]) == 2
    assert (tmp_path / "kept" / "batchnorm-seeds-100-102.png").stat().st_size > 10_000
