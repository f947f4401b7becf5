"""The documentation site: pages can be reached, links lead somewhere, experiments have figures."""

import importlib
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {page.stem: page.read_text("utf-8") for page in DOCS.glob("*.md")}
EXPERIMENTS = sorted(path.parent for path in ROOT.glob("experiments/*/run.py"))
GALLERY = sorted(path.stem for path in DOCS.glob("gallery/*.py") if path.stem != "make")
# Markdown with links of its own; what is generated is not.
MARKDOWN = [
    *ROOT.glob("*.md"),
    *DOCS.glob("*.md"),
    *ROOT.glob("theory/*.md"),
    *ROOT.glob("experiments/**/*.md"),
    ROOT / "benchmarks" / "README.md",
]


@pytest.fixture
def outside_pages(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    return importlib.import_module("outside_pages")


def without_code(text):
    """Return Markdown without its blocks and spans of code, in which nothing is a link."""
    return re.sub(r"^(```+).*?^\1|`[^`\n]*`", "", text, flags=re.M | re.S)


def anchors(page):
    """Return the anchors of a page's headings, as readers of Markdown make them."""
    titles = re.findall(r"^#+ (.*)$", without_code(page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def entries(text):
    """Return what the tables of contents of a page name."""
    blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line and line[0] != ":"]


def test_every_page_is_in_one_table_of_contents():
    named = [name for text in PAGES.values() for name in entries(text) if "generated" not in name]
    assert sorted(named) == sorted(set(PAGES) - {"index"})


def test_pages_from_outside_are_in_one_too(outside_pages):
    globs = [name for text in PAGES.values() for name in entries(text) if "generated" in name]
    inside = "generated/theory/[0-9]*"  # the extension adds it to the first page of the notes
    assert inside.rpartition("/")[2] in outside_pages.CONTENTS
    for file, name in outside_pages.outside_pages(ROOT):
        found = [pattern for pattern in [*globs, inside] if Path(name).match(pattern)]
        assert len(found) == 1, file


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_pages(page):
    text = without_code(page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists() and file.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(file), target
    for name in re.findall(r"\{doc\}`(?:[^`<]*<)?([\w/]+)>?`", page.read_text("utf-8")):
        assert (DOCS / f"{name}.md").is_file(), name


def test_links_are_turned_to_pages_of_the_site(outside_pages):
    note = "generated/theory/04_minibatches_as_a_drive"
    bowls = "generated/experiments/rippled_bowls"
    files = {
        "generated/theory/index": ROOT / "theory" / "README.md",
        "generated/theory/01_training_as_a_map": ROOT / "theory" / "01_training_as_a_map.md",
        note: ROOT / "theory" / "04_minibatches_as_a_drive.md",
        bowls: ROOT / "experiments" / "rippled_bowls" / "README.md",
    }

    def turned(text, page):
        file = files.get(page, DOCS / f"{page}.md")
        return outside_pages.turn_links(text, page, file, DOCS, files)

    assert turned("[01](01_training_as_a_map.md#statement)", note) == (
        "[01](/generated/theory/01_training_as_a_map.md#statement)"
    )
    assert turned("![c](rippled_bowls.png)", bowls) == (
        "![c](../../../experiments/rippled_bowls/rippled_bowls.png)"
    )
    assert turned("[all](../theory/README.md) [x](../theory)", "index") == (
        "[all](/generated/theory/index.md) [x](/generated/theory/index.md)"
    )
    assert turned("[t](../tests/test_site.py) [m](maps.md)", "index") == (
        "[t](../tests/test_site.py) [m](maps.md)"
    )
    for same in ("[a](https://example.org/a.md)", "[b](#part)", "[c](no_such_file.md)"):
        assert turned(same, "index") == same


def test_an_experiment_without_a_readme_stops_the_build(outside_pages, tmp_path):
    folder = tmp_path / "experiments" / "new"
    folder.mkdir(parents=True)
    assert not outside_pages.experiments(tmp_path)
    (folder / "run.py").write_text("")
    with pytest.raises(FileNotFoundError, match="new has no README"):
        list(outside_pages.outside_pages(tmp_path))
    (folder / "README.md").write_text("# New\n")
    assert (folder / "README.md", "generated/experiments/new") in list(
        outside_pages.outside_pages(tmp_path)
    )


@pytest.mark.parametrize("folder", EXPERIMENTS, ids=lambda folder: folder.name)
def test_experiments_say_how_when_and_what(folder):
    text = (folder / "README.md").read_text("utf-8")
    assert f"python experiments/{folder.name}/run.py" in text or f"make {folder.name}" in text
    assert re.search(r"20\d\d-\d\d-\d\d|\d+ \w+ 20\d\d", text), "no date"
    figures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    # The demonstration draws where it is run, and keeps nothing.
    assert figures or folder.name == "demo"
    for figure in figures:
        with Image.open(folder / figure) as picture:
            assert np.asarray(picture.convert("RGBA").convert("L")).std() > 10, figure


def test_the_overview_has_a_row_for_each_experiment():
    rows = re.findall(
        r"^\| \[.*?\]\(\.\./experiments/(\w+)/README\.md\) (.*)$", PAGES["experiments"], re.M
    )
    assert sorted(name for name, _ in rows) == [folder.name for folder in EXPERIMENTS]
    for name, rest in rows:
        question, answer, cost = (cell.strip() for cell in rest.strip("| ").split(" | "))
        assert question.endswith("?") and len(answer) > 20, name
        assert re.search(r"\d+( × \d+)? (min|h)", cost), name


def test_each_picture_of_the_gallery_has_its_script_and_each_script_its_picture():
    text = PAGES["gallery"] + PAGES["index"]
    for name in GALLERY:
        script = (DOCS / "gallery" / f"{name}.py").read_text("utf-8")
        assert len(script.splitlines()) <= 40, name
        assert f'savefig("{name}.png"' in script
        assert f"gallery/{name}.png" in text, name
    assert {path.stem for path in DOCS.glob("gallery/*.png")} == set(GALLERY)
    assert set(re.findall(r"gallery/(\w+)\.py", text)) | {"front"} >= set(GALLERY)


@pytest.mark.slow
@pytest.mark.parametrize("name", GALLERY)
def test_scripts_of_the_gallery_draw_their_pictures(name, tmp_path):
    make = DOCS / "gallery" / "make.py"
    subprocess.run([sys.executable, make, name, "--out", tmp_path], check=True)
    kept = DOCS / "gallery" / f"{name}.png"
    with Image.open(tmp_path / f"{name}.png") as new, Image.open(kept) as old:
        assert new.size == old.size
        # Labels at a boundary hang on the processor, so a few pixels may differ.
        apart = np.abs(np.asarray(new.convert("L"), int) - np.asarray(old.convert("L"), int))
    assert apart.mean() < 8


def test_the_citation_file_is_complete():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert citation["version"] == setup["metadata"]["version"]
    assert f"version = {{{citation['version']}}}" in PAGES["citing"]
    for work in citation["references"]:
        assert {"type", "title", "authors", "year"} <= set(work), work
        assert all("name" in author or "family-names" in author for author in work["authors"])


def test_works_are_cited_from_one_bibliography():
    keys = re.findall(r"^  - type: .*# (\w+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)
    table = "".join(line for line in PAGES["citing"].splitlines() if line.startswith("| "))
    assert keys == list(dict.fromkeys(re.findall(r"`([a-z]+\d{4}\w*|kyhdc)`", table)))
    known = re.findall(r"^@\w+\{(\w+),$", (DOCS / "references.bib").read_text("utf-8"), re.M)
    assert set(keys) <= set(known)
    works = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["references"]
    for key, work in zip(keys, works, strict=True):
        assert str(work["year"]) in key or key == "kyhdc"
