"""Scripts in cells (`# %%`) become pages that show what a notebook would.

The docs build runs them: text is what was printed, and the last expression of a cell is shown as a
picture, as its HTML, or as text.
"""

import ast
import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCRIPTS = ("notebook_tour",)
MARK = re.compile(r"^# %%(.*)\n", re.M)


def setup(app: Any) -> dict[str, bool]:
    """Run the scripts before Sphinx reads its pages."""
    app.connect("builder-inited", _write_pages)
    return {"parallel_read_safe": True}


def _write_pages(app: Any) -> None:
    source = Path(app.srcdir)
    for name in SCRIPTS:
        target = source / "generated"
        target.mkdir(exist_ok=True)
        script = source / "examples" / f"{name}.py"
        page = render(script.read_text("utf-8"), target, name)
        (target / f"{name}.inc").write_text(page, "utf-8")


def render(script: str, target: Path, name: str) -> str:
    """Run a script cell by cell and return it as Markdown, with what its cells show.

    Parameters
    ----------
    script : str
    target : Path
        Folder for the pictures. The script runs in a temporary folder inside, which is removed.
    name : str
        How the names of the pictures begin.
    """
    namespace: dict[str, Any] = {"__name__": name}
    _, *parts = MARK.split(script)
    pieces = []
    with tempfile.TemporaryDirectory(dir=target) as folder, _inside(Path(folder)):
        for i, (kind, text) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
            if "markdown" in kind:
                pieces.append(re.sub(r"^# ?", "", text.strip(), flags=re.M))
                continue
            pieces.append(f"```python\n{text.strip()}\n```")
            printed, value = _run(text, namespace)
            if printed:
                pieces.append(f"```text\n{printed.rstrip()}\n```")
            if value is not None:
                pieces.append(_show(value, target, f"{name}_{i}.png"))
    return "\n\n".join(pieces) + "\n"


def _run(text: str, namespace: dict[str, Any]) -> tuple[str, Any]:
    """Run one cell; return what it printed and the value of its last line, if that has one."""
    tree = ast.parse(text)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), namespace)
        value = None
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)
    return printed.getvalue(), value


def _show(value: Any, target: Path, name: str) -> str:
    """Return Markdown for a value as a notebook would show it."""
    figure = value.get_figure(root=True) if hasattr(value, "get_figure") else value
    if hasattr(figure, "savefig"):
        figure.savefig(target / name, dpi=110)
        return f"![](generated/{name})"
    if hasattr(value, "_repr_html_"):
        return f"```{{raw}} html\n{value._repr_html_()}\n```"
    return f"```text\n{value!r}\n```"


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
