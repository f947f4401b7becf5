"""Scripts of experiments as modules, although they are in no package."""

import importlib.util
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def load(name, script="run"):
    """Return ``experiments/NAME/SCRIPT.py`` as a module."""
    file = EXPERIMENTS / name / f"{script}.py"
    specification = importlib.util.spec_from_file_location(f"{name}_{script}", file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
