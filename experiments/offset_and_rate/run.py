"""The KY-HDC project's setting, offset of the initial weights x learning rate, read in two ways.

    python experiments/offset_and_rate/run.py --out offset_and_rate

Runs are kept in the folder, and the same command goes on after an interruption. `--small` is a
version of minutes for the tests.
"""

import argparse
import itertools
import json
import math
import tomllib
from pathlib import Path

import numpy as np

import dynfrac
from dynfrac import Axis
from dynfrac.analysis.labels import boundary_cells
from dynfrac.analysis.nulls import smooth_labels
from dynfrac.studies.presets import make_preset
from dynfrac.sweeps.refinement import Refinement

SMALL = {
    "parts": ["resnet"],
    "shallow": {"overview": 9, "pictures": {"train_loss": 9, "test_loss": 9}},
    "resnet": {"side": 2},
}


def published_dimension(labels):
    """Return minus the slope through all ten box sizes, from 10 px to the side of the picture.

    Counted are boxes of one grid that the boundary fills in part, those cut off by the border
    included, as porespy does.
    """
    edge = boundary_cells(labels)
    sizes = np.unique(np.logspace(1, np.log10(min(edge.shape)), 10).astype(int))
    counts = []
    for size in sizes:
        starts = [(i, j) for i in range(0, len(edge), size) for j in range(0, len(edge[0]), size)]
        boxes = [edge[i : i + size, j : j + size] for i, j in starts]
        counts.append(sum(box.any() and not box.all() for box in boxes))
    return -float(np.polyfit(np.log(sizes), np.log(counts), 1)[0])


def read(labels):
    """Return the box dimension of a picture, our way and the published way."""
    return {
        "box dimension": dynfrac.box_dimension(labels).to_dict(),
        "published way": published_dimension(labels) if len(labels) > 32 else None,
    }


def prepare(name, part, **arguments):
    """Return a preset and the settings of its runs."""
    preset = make_preset(name, epochs=part["epochs"], **arguments)
    names = ("n_steps", "every", "rule", "dtype")
    return preset, {name: getattr(preset, name) for name in names}


def run_grid(made, axes, side, out, **changes):
    """Sweep a preset over axes with as many points each, or go on with it."""
    preset, settings = made
    axes = [Axis(axis.name, axis.low, axis.high, side) for axis in axes]
    settings = settings | {"record": preset.record} | changes
    return dynfrac.sweep(preset.map_, axes, out=out, **settings)


def richest_quarter(axes, labels):
    """Return the part of half the length of both axes that the boundary crosses in most cells.

    Nine parts compete, a quarter of the axes apart.
    """
    crossed = boundary_cells(labels)
    step = len(crossed) // 4

    def boundary(part):
        return crossed[tuple(slice(k * step, (k + 2) * step) for k in part)].sum()

    places = max(itertools.product(range(3), repeat=2), key=boundary)[::-1]
    ends = [axis.values(np.array([k, k + 2]) / 4) for axis, k in zip(axes, places, strict=True)]
    return [Axis(axis.name, *pair) for axis, pair in zip(axes, ends, strict=True)]


def thin(field, n):
    """Return n points a side of a picture, its ends included."""
    stride = (len(field) - 1) // (n - 1)
    return field[::stride, ::stride]


def describe(swept, config):
    """Return what a picture of the shallow network shows; counts are those of the few points."""
    part = config["shallow"]
    learnt = swept.field("train_accuracy") > part["learnt"]
    # All outputs equal, to the digit: no rectifier is left.
    dead = swept.was_run & (abs(swept.final_loss - math.log(10)) < 2e-6)
    crossed = boundary_cells(swept.labels)
    beside = np.lib.stride_tricks.sliding_window_view(learnt, (2, 2)).any(axis=(2, 3))
    return {
        "runs": int(swept.was_run.sum()),
        "converged share": float(swept.labels.mean()),
        "learnt share": float(learnt.mean()),
        "converged": int(thin(swept.labels, part["few"]).sum()),
        "learnt": int(thin(learnt, part["few"]).sum()),
        "boundary cells": int(crossed.sum()),
        "those with no corner that learnt": int((crossed & ~beside).sum()),
        "dead": [int(side.sum()) for side in (dead & swept.labels, dead & ~swept.labels)],
        "where learning ends": read(learnt),
        **read(swept.labels),
    }


def smooth(sides):
    """Return what a disc and a line read, our way and the published way."""
    return {
        f"{name}, {side} px": read(labels)
        for side in sides
        for name, labels in smooth_labels((side, side)).items()
    }


def compare_labels(first, second):
    """Return at how many of the points that two pictures share they have the same label."""
    n = math.gcd(len(first) - 1, len(second) - 1) + 1
    same = thin(first, n) == thin(second, n)
    return {"points": same.size, "same": int(same.sum())}


def compare_images(config, out, sweeps):
    """Return how many of the few points have the same label with more images."""
    part, overview = config["shallow"], sweeps["overview"]
    made = prepare("kyhdc-shallow300", part, n_data=part["more_images"])
    more = run_grid(made, overview.axes, part["few"], out / "images.zarr")
    return describe(more, config) | compare_labels(overview.labels, more.labels)


def measure_pairs(config, out, sweeps):
    """Return the dimension of the window's boundary, by training loss, from pairs of runs."""
    part = config["shallow"]
    preset, settings = prepare("kyhdc-shallow300", part, n_data=part["images"])
    axes, kept = sweeps["train_loss"].axes, out / "pairs.journal"
    budget = part["pairs"]
    return dynfrac.report_dimension(
        preset.map_, axes, budget=budget, method="pairs", journal=kept, **settings
    ).to_dict()


def measure_resnet(config, out, sweeps):
    """Return how many runs of the residual network converge, by three rules."""
    part = config["resnet"]
    made = prepare("kyhdc-resnet20", part)
    swept = run_grid(made, made[0].axes, part["side"], out / "resnet20.zarr", tile=1)
    below = swept.final_loss <= math.log(10)  # the label of the rule threshold:2.302585
    return {
        "converged": int(swept.labels.sum()),
        "below guessing": int(below.sum()),
        "corners below guessing": int(thin(below, 2).sum()),
        "largest training accuracy": float(swept.field("train_accuracy").max()),
        "final loss": swept.final_loss.tolist(),
    }


PARTS = {"resnet": measure_resnet, "images": compare_images, "pairs": measure_pairs}


def measure(config, out):
    """Return everything that the configuration asks for."""
    part, sweeps = config["shallow"], {}
    made = prepare("kyhdc-shallow300", part, n_data=part["images"])
    axes = made[0].axes
    sweeps["overview"] = run_grid(made, axes, part["overview"], out / "overview.zarr")
    window = richest_quarter(axes, sweeps["overview"].labels)
    look = Refinement(guard=part["guard"])
    for name, side in part["pictures"].items():
        changes = {"rule": part["rules"][name], "adaptive": look}
        sweeps[name] = run_grid(made, window, side, out / f"{name}.zarr", **changes)
    results = {name: describe(swept, config) for name, swept in sweeps.items()}
    results["common points"] = compare_labels(*(sweeps[name].labels for name in part["pictures"]))
    results["smooth"] = smooth(config["published"]["sides"])
    for name in config["parts"]:
        results[name] = PARTS[name](config, out, sweeps)
    return results


def tell(name, found):
    """Print an estimate with its interval, the published reading and the flags."""
    ours = found.get("box dimension", found)
    number = "no value"
    if ours["value"] is not None:
        number = f"{ours['value']:.3f}, {ours['ci_low']:.3f} to {ours['ci_high']:.3f}"
    print(f"{name}: {number}; the published way {found.get('published way')}")
    for flag in ours["flags"]:
        print(f"  {flag}")


def check(config, results):
    """Print the stated values beside those found, and return whether all are within tolerance."""
    passed = []
    for row in config["stated"]:
        found = results
        for key in row["where"]:
            found = found[key]
        passed.append(abs(found - row["value"]) <= row["tolerance"])
        mark = "" if passed[-1] else "   OUT"
        print(f"{', '.join(row['where']):<44} {row['value']} stated, {found:.4g} found{mark}")
    return all(passed)


def main(arguments=None):
    """Measure, print and keep; return whether what the page states comes out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("offset_and_rate"))
    parser.add_argument("--small", action="store_true", help="minutes instead of half an hour")
    options = parser.parse_args(arguments)
    config = tomllib.loads(Path(__file__).with_name("config.toml").read_text())
    if options.small:
        config["parts"] = SMALL["parts"]
        for name in ("shallow", "resnet"):
            config[name] |= SMALL[name]
    options.out.mkdir(parents=True, exist_ok=True)
    results = measure(config, options.out)
    (options.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    for name in ("overview", *config["shallow"]["pictures"], *config["parts"]):
        if "flags" in results[name] or "box dimension" in results[name]:
            tell(name, results[name])
    return check(config, results)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
