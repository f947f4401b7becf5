"""What a result says about where it came from: package versions and the state of the source."""

from __future__ import annotations

import functools
import importlib.metadata
import subprocess
from collections.abc import Iterable
from pathlib import Path


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of packages by name."""
    return {name: importlib.metadata.version(name) for name in packages}


@functools.cache
def git_state() -> str | None:
    """Return the commit of dynfrac's source if it runs from a checkout, else None.

    Returns
    -------
    str or None
        The full hash, with ``-dirty`` behind it if files were edited. Read once a process.
    """
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
