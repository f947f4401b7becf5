"""The names that the package re-exports: lazy, documented, and the same for a type checker."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dynfrac

ROOT = Path(__file__).parents[1]


def seen_by_a_type_checker():
    tree = ast.parse(Path(dynfrac.__file__).read_text("utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If))
    return {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }


NAMES = seen_by_a_type_checker()


@pytest.mark.parametrize("name", NAMES)
def test_public_name_is_the_one_at_home_and_documented(name):
    value = getattr(dynfrac, name)
    assert value is getattr(importlib.import_module(NAMES[name]), name)
    assert value.__module__ == NAMES[name]
    assert inspect.getdoc(value)


def test_both_lists_of_names_agree():
    assert set(dir(dynfrac)) >= set(NAMES)
    assert set(dynfrac._HOMES) == set(NAMES)


def test_the_reference_lists_them_all():
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert set(NAMES) <= set(re.findall(r"`(\w+)`", text))


def test_other_names_do_not_exist():
    with pytest.raises(AttributeError, match="boxdimension"):
        dynfrac.boxdimension  # noqa: B018


def test_importing_the_package_imports_no_jax():
    code = "import sys, dynfrac; sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
