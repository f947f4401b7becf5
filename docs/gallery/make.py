"""Run the scripts of the gallery, each alone in an empty folder, and keep their pictures.

python docs/gallery/make.py
python docs/gallery/make.py zoom boxes
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "make")


def make(name: str, target: Path) -> float:
    """Run a script; move its picture to the folder `target`, and return the seconds it took."""
    # The package beside these scripts, whether it is installed or not.
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        script = [sys.executable, HERE / f"{name}.py"]
        subprocess.run(script, cwd=folder, env=environment, check=True)
        shutil.move(Path(folder, f"{name}.png"), target / f"{name}.png")
    return time.perf_counter() - started


def main() -> None:
    """Make the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=SCRIPTS, choices=SCRIPTS, metavar="NAME")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    for name in options.names:
        print(f"{name}: {make(name, options.out):.0f} s", flush=True)


if __name__ == "__main__":
    main()
