"""Scripts of experiments as modules, although they are in no package."""

import importlib.util
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def load(name):
    """Return ``experiments/NAME/run.py`` as a module."""
    specification = importlib.util.spec_from_file_location(name, EXPERIMENTS / name / "run.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
