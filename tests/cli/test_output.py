"""JSON without surprises, aligned tables, progress that knows when to be silent."""

import dataclasses
import enum
import io
import json
import sys
from pathlib import Path

import click
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.cli.main import cli
from dynfrac.cli.output import (
    check_output,
    echo_flags,
    format_table,
    jsonable,
    print_json,
    print_table,
    progress_bar,
)


@dataclasses.dataclass(frozen=True)
class Plain:
    value: float
    flags: tuple


@dataclasses.dataclass(frozen=True)
class Own:
    value: float

    def to_dict(self):
        return {"own": self.value}


class Code(enum.IntEnum):
    DONE = 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (float("nan"), None),
        (-float("inf"), None),
        (np.float64("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.bool_(True), True),
        (np.array([[1.0, np.inf], [2.0, 3.0]]), [[1.0, None], [2.0, 3.0]]),
        (np.array(2.0), 2.0),
        (np.array(["a"]), ["a"]),
        (jnp.array([1.0, jnp.nan]), [1.0, None]),
        (jnp.bfloat16(0.5), 0.5),
        (Code.DONE, 1),
        ({1: (2, {"x": Path("a/b")})}, {"1": [2, {"x": "a/b"}]}),
        (Plain(float("nan"), ("one",)), {"value": None, "flags": ["one"]}),
        (Own(1.0), {"own": 1.0}),
        (None, None),
        ("text", "text"),
    ],
)
def test_jsonable(given, expected):
    result = jsonable(given)
    assert result == expected
    assert type(result) is type(expected)
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("given", [object(), 1j, np.array([1j]), Plain, np.array([object()])])
def test_jsonable_refuses_what_has_no_form(given):
    with pytest.raises(TypeError, match="no JSON form"):
        jsonable(given)


def test_print_json_is_one_object_on_standard_output(capsys):
    print_json({"value": float("nan"), "curve": Plain(1.0, ("weiß",))})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"value": None, "curve": {"value": 1.0, "flags": ["weiß"]}}
    assert "weiß" in captured.out and captured.err == ""


def test_table_is_aligned(capsys):
    rows = [("alpha", 1, 0.5, True), ("b", 100, float("nan"), False)]
    expected = "\n".join(
        [
            "name     n  value  used",
            "alpha    1    0.5  yes",
            "b      100      -  no",
        ]
    )
    assert format_table(("name", "n", "value", "used"), rows) == expected
    print_table(("name", "n", "value", "used"), rows)
    assert capsys.readouterr().out == expected + "\n"


def test_table_without_headers_or_rows():
    assert format_table(("", ""), [("a", 1)]) == "a  1"
    assert format_table(("name", "n"), []) == "name  n"


def test_table_refuses_ragged_rows():
    with pytest.raises(ValueError, match="zip"):
        format_table(("a", "b"), [(1, 2), (1,)])


def test_flags_are_lines_on_standard_output(capsys):
    echo_flags(["fit covers less than two octaves", "few runs"])
    assert capsys.readouterr().out == "note: fit covers less than two octaves\nnote: few runs\n"


def test_check_output_accepts_and_leaves_nothing(tmp_path):
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert check_output(tmp_path / "new.json") == tmp_path / "new.json"
    assert check_output(str(tmp_path / "old.json")) == tmp_path / "old.json"
    assert check_output(tmp_path / "run.zarr", folder=True) == tmp_path / "run.zarr"
    assert check_output(tmp_path / "folder", folder=True) == tmp_path / "folder"
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "old.json").read_text() == "old"


def test_check_output_of_a_bare_name_looks_at_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check_output("new.json") == Path("new.json")


def test_check_output_names_what_is_wrong(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=r"--out .*absent/x.json: the folder .*absent does not ex"):
        check_output(tmp_path / "absent" / "x.json")
    with pytest.raises(ValueError, match=r"--plot .*file/x.png: the folder .*file does not exist"):
        check_output(tmp_path / "file" / "x.png", "--plot")
    with pytest.raises(ValueError, match=r"--out .*folder is a folder; give the name of a file"):
        check_output(tmp_path / "folder")
    with pytest.raises(ValueError, match=r"--out .*file is a file, not a folder"):
        check_output(tmp_path / "file", folder=True)


@pytest.mark.parametrize("name", ["x.json", ""])
def test_check_output_tries_to_write(tmp_path, monkeypatch, name):
    # The superuser may write anywhere, so the refusal is played.
    def refuse(dir):
        assert dir == tmp_path
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ValueError, match=r"cannot write to the folder .*\(permission denied\)"):
        check_output(tmp_path / name, folder=not name)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def show_progress(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar("sweep", 10) as advance:
        for _ in range(5):
            advance(2)
    return stream.getvalue()


def test_progress_shows_share_and_times_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    text = show_progress(monkeypatch, Terminal())
    assert "sweep" in text and "100%" in text and "elapsed" in text and "left" in text


def test_progress_is_silent_without_a_terminal(monkeypatch):
    assert show_progress(monkeypatch, io.StringIO()) == ""


def test_progress_is_silent_by_environment(monkeypatch):
    monkeypatch.setenv("DYNFRAC_PROGRESS", "0")
    assert show_progress(monkeypatch, Terminal()) == ""


@pytest.mark.parametrize(("quiet", "silent"), [(True, True), (False, False)])
def test_progress_is_silent_by_flag(monkeypatch, quiet, silent):
    monkeypatch.setenv("TERM", "xterm")
    parent = click.Context(cli, info_name="dynfrac")
    parent.params = {"quiet": quiet}
    with click.Context(click.Command("probe"), parent=parent):
        assert (show_progress(monkeypatch, Terminal()) == "") is silent
