"""The documentation as a reader sees it: its pages, their blocks, the lines to be typed."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [page for where in ("", "docs/", "theory/") for page in sorted(ROOT.glob(f"{where}*.md"))]


def blocks(page, language):
    """Return the texts of a page's blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def typed(page):
    """Return the lines after `$` of every console block, continued ones joined: a list a block."""
    return [lines(text) for text in blocks(page, "console")]


def lines(block):
    """Return the lines after `$` of one console block."""
    return re.findall(r"^\$ (.*?)\s*(?:\s# .*)?$", re.sub(r"\\\n\s*", "", block), re.M)


def outputs(page):
    """Return (lines, text) for every block of text that follows a console block: what it prints."""
    found = re.findall(r"^```(console|text)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    pairs = zip(found, found[1:], strict=False)
    return [(lines(a), b) for (one, a), (two, b) in pairs if (one, two) == ("console", "text")]


def mentioned(page):
    """Return the commands named within sentences, those with an argument."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    return re.findall(r"`(dynfrac [a-z][^`]* [^`]*)`", text)


def written(page):
    """Return (name, text) for every block of a page that is a file, and says so at its top."""
    for block in blocks(page, "python"):
        if match := re.match(r"# (\w+\.py)\n", block):
            yield match[1], block
