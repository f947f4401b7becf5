"""What the documentation says works: its Python runs, and all that it names exists.

Its commands are run in `test_newcomer.py`.
"""

import ast
import re
import shlex
import subprocess
import sys

import click
import pytest

from dynfrac.analysis.point_sets import SPECTRA
from dynfrac.analysis.sets import DIMENSIONS
from dynfrac.cli.main import COMMANDS, cli
from dynfrac.cli.settings import read_settings, settings_for
from dynfrac.orbits.inspection import metric_names
from dynfrac.orbits.rules import RULE_FORMS, make_rule
from dynfrac.systems.batches import ORDERS
from dynfrac.systems.catalogue import list_maps, make_architecture
from dynfrac.systems.chains import PARTS
from dynfrac.systems.datasets import SOURCES
from dynfrac.systems.recipes import DRAWN
from dynfrac.systems.signatures import SWITCHES
from tests.pages import PAGES, ROOT, blocks, mentioned, typed, written


def invocations():
    """Return (page, words) for every `dynfrac ...` that is to be typed or that a sentence names."""
    for page in PAGES:
        for line in (*(line for block in typed(page) for line in block), *mentioned(page)):
            if line.startswith("dynfrac "):
                yield page.name, shlex.split(line)[1:]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name
)
def test_python_runs(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write the files that they then read
    namespace = {"__name__": page.stem}
    for block in blocks(page, "python"):
        if '__name__ == "__main__"' in block:  # spawns processes, which import it again
            (tmp_path / "script.py").write_text(block)
            subprocess.run([sys.executable, "script.py"], check=True, stdout=subprocess.DEVNULL)
        else:
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


def test_the_script_for_slurm_is_python():
    (page,) = (page for page in PAGES if page.name == "clusters.md")
    (text,) = blocks(page, "text")
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert names == {"SLURMCluster", "cluster", "print"}


def test_networks_of_one_s_own_are_short():
    (page,) = (page for page in PAGES if page.name == "bring_your_own_model.md")
    files = dict(written(page))
    assert {"nnx_net.py", "linen_net.py", "plain_net.py"} <= set(files)
    assert all(len(text.splitlines()) <= 15 for text in files.values())


def tables(name):
    (page,) = (page for page in PAGES if page.name == name)
    return [line for line in page.read_text("utf-8").splitlines() if line.startswith("| `")]


def test_tables_name_every_source_order_part_metric_and_rule():
    rows = tables("data_and_optimizers.md")
    heads = {re.match(r"\| `([^`]*)`", row)[1] for row in rows}
    rules = {head.partition(":")[0] for head in heads}
    map_ = make_architecture("mnist-mlp", n_data=2, n_test=2)
    wanted = {*SOURCES, *ORDERS, DRAWN, *PARTS, *metric_names(map_)}
    assert wanted <= heads
    assert {form.partition(":")[0].partition("[")[0] for form in RULE_FORMS} <= rules
    for name in heads & rules:
        if name.partition(":")[0] in rules and ":" in name and name != "FILE.npz":
            assert make_rule(name).name == name


def test_tables_name_every_map_and_known_set():
    rows = " ".join(row.split(" | ")[0] for row in tables("maps.md"))
    named = set(re.findall(r"`([^`]*)`", rows))
    assert {entry.name for entry in list_maps()} | set(DIMENSIONS) | set(SPECTRA) <= named


def test_tables_give_every_part_its_hyperparameters_and_their_defaults():
    rows = {re.match(r"\| `([^`]*)`", row)[1]: row for row in tables("data_and_optimizers.md")}
    same = {"adamw": "adam", "linear": "cosine"}  # the row says "and" or "the same"
    for name, part in PARTS.items():
        text = rows[name] + rows.get(same.get(name, ""), "")
        for parameter, default in part.parameters:
            found = re.search(rf"`{parameter}` ([0-9][0-9.e-]*)", text)
            assert found and float(found[1]) == default, (name, parameter)


def test_notes_that_are_explained_are_given_by_the_library():
    (page,) = (page for page in PAGES if page.name == "reading_a_result.md")
    text = page.read_text("utf-8")
    table = text[text.index("| a note with") :].split("\n\n")[0].splitlines()[2:]
    # Sentences are broken into several strings in the source.
    source = "".join(file.read_text("utf-8") for file in (ROOT / "dynfrac").rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", source)
    assert len(table) > 8
    for row in table:
        words = row.split(" | ")[0].removeprefix("| ")
        assert words in joined, words


def test_the_page_on_models_names_every_switch_of_the_mode():
    rows = "\n".join(tables("bring_your_own_model.md"))
    for switch, in_training in SWITCHES.items():
        (row,) = (row for row in rows.splitlines() if f"`{switch}`" in row)
        assert ("true in training" in row) == in_training


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
