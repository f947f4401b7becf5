"""Files that a command writes are checked before the work begins."""

import json
import math
from pathlib import Path

import pytest

from dynfrac.cli.targets import check_targets, write_record


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_is_not_asked_for_is_not_checked():
    check_targets({"--plot": None, "--out": None})


@pytest.mark.parametrize(
    ("targets", "options", "reason"),
    [
        ({"--plot": "a.doc"}, {}, r"--plot a.doc: end the name in .png, .pdf, .svg"),
        ({"--out": "a.doc"}, {"kinds": {"--out": (".npz",)}}, "--out a.doc: end the name in .npz"),
        ({"--plot": "a.png", "--out": "./a.png"}, {}, "--out a.png would overwrite --plot"),
        ({"--out": "in.npy"}, {"sources": ["in.npy"]}, "would overwrite what is read from in.npy"),
        ({"--out": "no/where.json"}, {}, "the folder no does not exist"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(targets, options, reason):
    targets = {option: Path(name) for option, name in targets.items()}
    options = {**options, "sources": [Path(name) for name in options.get("sources", [])]}
    with pytest.raises(ValueError, match=reason):
        check_targets(targets, **options)


def test_endings_may_be_in_capitals_and_records_may_have_any():
    check_targets({"--plot": Path("a.PNG"), "--out": Path("b.whatever")})


def test_a_record_is_json_without_not_a_number():
    write_record({"value": math.nan, "n": 3}, Path("record.json"))
    assert json.loads(Path("record.json").read_text()) == {"value": None, "n": 3}
    write_record({"value": 1}, None)
    assert [path.name for path in Path().iterdir()] == ["record.json"]
