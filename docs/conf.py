"""Sphinx configuration. Building needs no network; MathJax is loaded by the reader's browser."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "dynfrac"
author = "dynfrac developers"
copyright = "2026, dynfrac developers"
release = version = importlib.metadata.version("dynfrac")

extensions = [
    "cell_pages",
    "outside_pages",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings give types with their shapes
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"dynfrac {release}"
