"""The demonstration behind `make demo`: five commands, and one folder with what they made.

Run it by ``python experiments/demo/run.py --out demo``.
"""

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

README = """# What this folder holds

Made by `make demo` in {minutes:.0f} min {seconds:.0f} s on {date} with these commands:

{commands}

| file | what it is |
| --- | --- |
| `boundary.png` | which learning rates teach a two-layer network to tell odd from even MNIST digits: every pixel is a training run of its own on the same 256 images; blue-green ones converged, red-yellow ones did not, paler is faster |
| `boundary.zarr` | the sweep behind it: outcome, measure, escape step and last loss of every run; opens with `dynfrac.open_sweep`, xarray or zarr |
| `dimension.json` | box dimension of the border between the two colours, with its 95 % interval, the counts behind it, and what a smooth curve reads at this size |
| `dimension.png` | the same as a figure: counts against box size, the fit, local slopes |
| `lyapunov.json` | the leading Lyapunov exponents of a ResNet-20's training run on digits (nats per step), standard errors, bounds of the Kaplan-Yorke dimension, sharpness against 2/lr |
| `lyapunov.png` | the same as a figure: spectrum and running averages |
| `henon.json` | the exponents of the Henon map, whose values are known (0.4192, -1.6232), as a check of the instrument |

Read on: `dynfrac --help`, and `docs/choosing_an_estimator.md` on what such numbers mean.
"""  # noqa: E501


def main() -> None:
    """Run the commands one after the other, each printed as one would type it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--res", type=int, default=256, help="runs along each side of the picture")
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    store, started = out / "boundary.zarr", time.time()
    commands = [
        f"sweep --preset mnist-mlp --res {options.res} --out {store}",
        f"show {store} --out {out}/boundary.png",
        f"boxdim {store} --plot {out}/dimension.png --out {out}/dimension.json",
        f"lyapunov --arch resnet20 --plot {out}/lyapunov.png --out {out}/lyapunov.json",
        f"lyapunov --map henon --out {out}/henon.json",
    ]
    for command in commands:
        print(f"\n$ dynfrac {command}", flush=True)
        status = subprocess.call([sys.executable, "-m", "dynfrac", *shlex.split(command)])
        if status:
            sys.exit(status)
    minutes, seconds = divmod(time.time() - started, 60)
    listed = "\n".join(f"    dynfrac {command}" for command in commands)
    date = time.strftime("%Y-%m-%d")
    text = README.format(minutes=minutes, seconds=seconds, date=date, commands=listed)
    (out / "README.md").write_text(text)
    print(f"\nDone in {minutes:.0f} min {seconds:.0f} s: look at {out}/boundary.png first.")
    print(f"What each file is stands in {out}/README.md.")


if __name__ == "__main__":
    main()
