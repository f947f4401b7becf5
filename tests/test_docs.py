"""What the documentation tells a reader to type works: its Python runs, its commands exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from dynfrac.cli.main import COMMANDS, cli
from dynfrac.cli.settings import read_settings, settings_for

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def invocations():
    """Return (page, words) for every `dynfrac ...` line of a console block."""
    for page in PAGES:
        for line in "".join(blocks(page, "console")).replace("\\\n", " ").splitlines():
            if line.startswith("$ dynfrac "):
                yield page.name, shlex.split(line.removeprefix("$ dynfrac "), comments=True)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name
)
def test_python_runs(page, capsys):
    namespace = {"__name__": page.stem}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), namespace)


def test_the_pages_hold_commands_to_check():
    assert {words[0] for _, words in invocations()} >= set(COMMANDS) - {"list"}


@pytest.mark.parametrize(
    ("page", "words"),
    [pytest.param(*case, id=f"{case[0]}: {' '.join(case[1])}") for case in invocations()],
)
def test_commands_and_options_exist(page, words):
    context = click.Context(cli, info_name="dynfrac")
    while words[0].startswith("-"):
        assert words[0] in {opt for param in cli.params for opt in param.opts}
        words = words[2:] if words[0] == "--config" else words[1:]
    command = cli.get_command(context, words[0])
    assert command is not None
    known = {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)} | {"--help"}
    given = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
    assert given <= known, f"{page}: {given - known}"


def test_settings_files_set_options_that_exist(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("".join(text for page in PAGES for text in blocks(page, "toml")))
    context = click.Context(cli, info_name="dynfrac")
    for name, table in read_settings(path, COMMANDS).items():
        command = cli.get_command(context, name)
        assert command is not None
        assert len(settings_for(command, name, table)) == len(table) > 0


def test_the_ten_line_map_is_the_one_in_the_module_that_defines_maps():
    import dynfrac.systems.abstract as abstract

    def body(text):
        return [line.strip() for line in text[text.index("class Tent") :].splitlines() if line]

    (page,) = (page for page in PAGES if page.name == "bring_your_own_map.md")
    shown = body(blocks(page, "python")[0])
    assert body(abstract.__doc__)[: len(shown)] == shown
