"""Notes and experiments live beside the code they belong to; here they become pages of the site.

Their Markdown is copied into `generated/` before Sphinx looks for pages. Links, those of all
pages, stay as a reader of the repository needs them and are turned to the pages as they are read.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s:#]+)((?:#[^)\s]*)?\))")
CONTENTS = "\n```{toctree}\n:hidden:\n:glob:\n\n[0-9]*\n```\n"


def setup(app: Any) -> dict[str, bool]:
    """Copy what lies outside `docs`, and turn the links of all pages."""
    app.connect("builder-inited", _write_pages)
    app.connect("source-read", _turn_links)
    return {"parallel_read_safe": True}


def outside_pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of the repository at `root` that is a page, and the page's name.

    Every folder of `experiments` with a file in it is an experiment and has to have a README.
    """
    for name in ("CONTRIBUTING", "CHANGELOG"):
        yield root / f"{name}.md", f"generated/{name.lower()}"
    for note in sorted((root / "theory").glob("*.md")):
        yield note, f"generated/theory/{'index' if note.stem == 'README' else note.stem}"
    for folder in experiments(root):
        if not (folder / "README.md").is_file():
            raise FileNotFoundError(f"{folder} has no README.md: what was asked, what came out?")
        yield folder / "README.md", f"generated/experiments/{folder.name}"


def experiments(root: Path) -> list[Path]:
    """Return the folders of experiments: those that hold files, and not only what Python left."""
    folders = (root / "experiments").iterdir()
    return sorted(folder for folder in folders if any(map(Path.is_file, folder.glob("*"))))


def _write_pages(app: Any) -> None:
    source = Path(app.srcdir)
    for file, page in outside_pages(source.parent):
        text = file.read_text("utf-8")
        if page.endswith("/index"):
            text += CONTENTS
        target = source / f"{page}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        # A page that has not changed is not written, so that it is not read again either.
        if not target.is_file() or target.read_text("utf-8") != text:
            target.write_text(text, "utf-8")


def _turn_links(app: Any, page: str, content: list[str]) -> None:
    source = Path(app.srcdir)
    files = {name: file for file, name in outside_pages(source.parent)}
    content[0] = turn_links(content[0], page, files.get(page, source / f"{page}.md"), source, files)


def turn_links(text: str, page: str, file: Path, source: Path, files: dict[str, Path]) -> str:
    """Return a page's text with links that are right in the site.

    Parameters
    ----------
    text : str
    page : str
        Name of the page, from `source` on.
    file : Path
        From where its links are meant.
    source : Path
        Folder of the site's pages.
    files : dict of str to Path
        The file of each page that comes from outside.
    """
    pages = {file: name for name, file in files.items()}

    def turned(match: re.Match[str]) -> str:
        before, link, after = match.groups()
        target = (file.parent / link).resolve()
        if not target.exists():
            return match[0]  # not a link to a file, or a broken one, which Sphinx reports
        if target.is_dir():
            target /= "README.md"
        if target in pages:
            return f"{before}/{pages[target]}.md{after}"
        return f"{before}{os.path.relpath(target, (source / page).parent)}{after}"

    return LINK.sub(turned, text)
