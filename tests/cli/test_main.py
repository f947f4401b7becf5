"""The command line's frame: lazy commands, one sentence for every mistake, settings by rank."""

import importlib.metadata
import json
import os
import subprocess
import sys
import types

import click
import pytest

from dynfrac.cli import main as frame
from dynfrac.cli.main import main


@click.command("probe")
@click.argument("file", required=False)
@click.option("--res", type=click.IntRange(min=2), default=8)
@click.option("--set", "settings", multiple=True)
@click.option("--window-size", type=float, default=1.0)
@click.option("--json", "as_json", is_flag=True)
@click.option("--fail", type=click.Choice(["value", "status", "defect"]))
def probe(file, res, settings, window_size, as_json, fail):
    """Print the options it was given."""
    if fail == "value":
        raise ValueError("axis lr has low=2 above\nhigh=1; swap them")
    if fail == "status":
        return 1
    if fail == "defect":
        raise TypeError("a defect")
    if file:
        with open(file):
            pass
    click.echo(json.dumps([res, list(settings), window_size, as_json]))


@pytest.fixture(autouse=True)
def table(monkeypatch):
    """Add a command that these tests own to the table."""
    module = types.ModuleType("probe_module")
    module.command = probe
    monkeypatch.setitem(sys.modules, "probe_module", module)
    monkeypatch.setattr(
        frame, "COMMANDS", {**frame.COMMANDS, "probe": ("probe_module:command", "Probe.")}
    )
    for option in probe.params:
        monkeypatch.setattr(option, "envvar", None)


@pytest.fixture
def run(capsys):
    """Run the command line and return (status, standard output, standard error)."""

    def call(*arguments):
        status = main(arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def raising(monkeypatch, error):
    def fail(**options):
        raise error

    monkeypatch.setattr(probe, "callback", fail)


def assert_one_sentence(result, *parts, status=2):
    code, out, err = result
    assert code == status
    assert out == ""
    assert err.count("\n") == 1 and err.endswith("\n"), err
    for part in parts:
        assert part in err


def test_help_lists_every_command_without_importing_any(run, monkeypatch):
    monkeypatch.setattr(frame.LazyGroup, "get_command", None)
    status, out, _ = run("--help")
    assert status == 0
    for name, (_, text) in frame.COMMANDS.items():
        assert any(line.split() == [name, *text.split()] for line in out.splitlines())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_import_no_jax(arguments):
    code = f"""
import sys
from dynfrac.cli.main import main
assert main({arguments}) == 0
sys.exit("jax" in sys.modules or "numpy" in sys.modules)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("name", list(frame.COMMANDS))
def test_every_command_has_help_with_an_example(run, name):
    status, out, _ = run(name, "--help")
    assert status == 0
    assert "Example" in out and f"dynfrac {name}" in out
    assert "--json" in out
    assert "--seed" in out or name in ("list", "show")


def test_version_is_the_installed_one(run):
    assert run("--version") == (0, f"dynfrac {importlib.metadata.version('dynfrac')}\n", "")


def test_without_a_command_the_help_goes_to_standard_error(run):
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "lyapunov" in err


def test_console_script_is_installed():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="dynfrac")
    assert script.load() is main


def test_completion_offers_commands_and_options():
    environment = {"_DYNFRAC_COMPLETE": "bash_complete", "COMP_CWORD": "1"}

    def complete(words):
        process = subprocess.run(
            [sys.executable, "-m", "dynfrac.cli.main"],
            env={**os.environ, **environment, "COMP_WORDS": words},
            capture_output=True,
            text=True,
            check=False,
        )
        return process.stdout.split()

    assert complete("dynfrac s") == ["plain,sweep", "plain,show"]
    assert "plain,--config" in complete("dynfrac --")


def test_status_of_a_command_is_the_exit_status(run):
    assert run("probe")[0] == 0
    assert run("probe", "--fail", "status") == (1, "", "")


def test_value_error_is_one_line(run):
    result = run("probe", "--fail", "value")
    assert result == (2, "", "error: axis lr has low=2 above high=1; swap them\n")


def test_defects_keep_their_traceback():
    with pytest.raises(TypeError, match="a defect"):
        main(["probe", "--fail", "defect"])


def test_missing_file_is_named(run, tmp_path):
    path = str(tmp_path / "absent.npy")
    result = run("probe", path)
    assert result == (2, "", f"error: {path}: no such file or directory\n")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), "out of memory"),
        (MemoryError("the grid needs 3 TB; lower --res"), "3 TB; lower --res"),
        (RuntimeError("RESOURCE_EXHAUSTED: out of memory allocating"), "out of memory"),
        (ImportError("tables need xarray; pip install dynfrac[xarray]"), "dynfrac[xarray]"),
        (OSError("the disk went away"), "the disk went away"),
        (click.UsageError("give --map or --arch."), "give --map or --arch; see dynfrac"),
        (ValueError(), "ValueError"),
    ],
)
def test_errors_a_user_can_cause(run, monkeypatch, error, expected):
    raising(monkeypatch, error)
    assert_one_sentence(run("probe"), "error: ", expected)


def test_other_runtime_errors_are_defects(monkeypatch):
    raising(monkeypatch, RuntimeError("INTERNAL: a defect"))
    with pytest.raises(RuntimeError, match="INTERNAL"):
        main(["probe"])


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["swep"], ["unknown command 'swep'", "did you mean 'sweep'", "boxdim"]),
        (["probe", "--rez", "4"], ["--rez", "did you mean --res", "dynfrac probe --help"]),
        (["probe", "--res", "1"], ["--res", "1", "dynfrac probe --help"]),
        (["probe", "--res", "many"], ["--res", "'many'"]),
        (["probe", "a", "b"], ["unexpected extra argument", "b"]),
        (["probe", "--fail", "no"], ["--fail", "'no'", "value"]),
        (["--colour", "probe"], ["--colour", "dynfrac --help"]),
        (["--config", "absent.toml", "probe"], ["--config", "absent.toml"]),
    ],
)
def test_wrong_arguments(run, arguments, parts):
    assert_one_sentence(run(*arguments), "error: ", *parts)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), "interrupted\n"),
        (
            KeyboardInterrupt("run the same command again to resume"),
            "interrupted: run the same command again to resume\n",
        ),
        (click.Abort(), "interrupted\n"),
    ],
)
def test_interrupts_say_how_to_go_on(run, monkeypatch, error, expected):
    raising(monkeypatch, error)
    status, out, err = run("probe")
    assert (status, out) == (130, "")
    # click closes the terminal's ^C with a newline of its own.
    assert err.lstrip("\n") == expected


def test_debug_shows_the_traceback_and_keeps_the_sentence(run, monkeypatch):
    monkeypatch.setenv("DYNFRAC_DEBUG", "1")
    status, out, err = run("probe", "--fail", "value")
    assert (status, out) == (2, "")
    assert "Traceback" in err and err.endswith("swap them\n")


@pytest.fixture
def config(tmp_path):
    """Write a settings file and return its path."""

    def write(text):
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return str(path)

    return write


def test_command_line_over_environment_over_file_over_default(run, config, monkeypatch):
    path = config("[probe]\nres = 16\n")

    def res(*arguments):
        status, out, _ = run(*arguments)
        assert status == 0
        return json.loads(out)[0]

    assert res("probe") == 8
    assert res("--config", path, "probe") == 16
    monkeypatch.setenv("DYNFRAC_PROBE_RES", "32")
    assert res("--config", path, "probe") == 32
    assert res("--config", path, "probe", "--res", "64") == 64


def test_the_environment_can_name_the_file(run, config, monkeypatch):
    monkeypatch.setenv("DYNFRAC_CONFIG", config("[probe]\nres = 16\n"))
    assert json.loads(run("probe")[1])[0] == 16


@pytest.mark.parametrize(
    "text",
    [
        'set = ["a=1", "b=2.5"]\nwindow-size = 3\njson = true',
        "window_size = 3\njson = true\n[probe.set]\na = 1\nb = 2.5",
    ],
)
def test_keys_are_the_names_of_the_long_options(run, config, text):
    status, out, _ = run("--config", config(f"[probe]\n{text}\n"), "probe")
    assert status == 0
    assert json.loads(out) == [8, ["a=1", "b=2.5"], 3.0, True]


def test_a_single_value_serves_an_option_that_may_be_repeated(run, config):
    assert json.loads(run("--config", config('[probe]\nset = "a=1"\n'), "probe")[1])[1] == ["a=1"]


def test_environment_variables_follow_the_option_as_typed(run, monkeypatch):
    monkeypatch.setenv("DYNFRAC_PROBE_SET", "a=1 b=2")
    monkeypatch.setenv("DYNFRAC_PROBE_WINDOW_SIZE", "2")
    assert json.loads(run("probe")[1])[1:3] == [["a=1", "b=2"], 2.0]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[probe\nres = 1", ["settings.toml", "not a TOML file", "line 1"]),
        ("[porbe]\nres = 9", ["'porbe'", "did you mean 'probe'", "settings.toml"]),
        ("[probe]\nrez = 9", ["'rez'", "did you mean 'res'", "probe"]),
        ("res = 9", ["'res'", "[sweep]"]),
        ("[probe]\nres = [9, 10]", ["res", "one value", "[9, 10]"]),
        ('[probe]\nres = "many"', ["--res", "many"]),
        ("[probe]\nhelp = true", ["'help'"]),
    ],
)
def test_wrong_settings(run, config, text, parts):
    assert_one_sentence(run("--config", config(text), "probe"), "error: ", *parts)


def test_settings_that_are_not_text(run, tmp_path):
    path = tmp_path / "image.toml"
    path.write_bytes(b"\x89PNG\xff")
    assert_one_sentence(run("--config", str(path), "probe"), "image.toml", "not a TOML file")
