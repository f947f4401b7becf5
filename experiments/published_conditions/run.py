"""The six published trainability boundaries: pictures, a zoom, and the dimension of both.

    python experiments/published_conditions/run.py --out published_conditions

Frames and runs are kept in the folder: the same command goes on. `--small` is a version of two
conditions and small frames for the tests. Source: Sohl-Dickstein, arXiv:2402.06184.
"""

import argparse
import json
import math
import time
import tomllib
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from dynfrac.analysis.labels import boundary_cells
from dynfrac.orbits.axes import Axis
from dynfrac.plots.palettes import find_palette
from dynfrac.plots.trainability import equalise
from dynfrac.studies.dimension_reports import report_dimension
from dynfrac.studies.presets import make_preset
from dynfrac.studies.zooms import zoom

SMALL = {
    "conditions": {"published-identity": 1.17, "published-tanh": 1.66},
    "res": 64,
    "frames": 3,
    "window_budget": 1500,
    "frame_budget": 500,
}


def published_slopes(labels):
    """Return the local slopes of the published box count: ten sizes, from 10 px to the width.

    Boxes that the boundary fills do not count, as in porespy, whose counter was used.
    """
    crossed = boundary_cells(labels)
    sizes = np.unique(np.logspace(1, math.log10(len(labels)), 10).astype(int))
    counts = []
    for size in sizes:
        edges = np.arange(0, len(crossed), size)
        touched, filled = (
            combine.reduceat(combine.reduceat(crossed, edges, 0), edges, 1)
            for combine in (np.logical_or, np.logical_and)
        )
        counts.append(np.count_nonzero(touched & ~filled))
    return -np.diff(np.log(counts)) / np.diff(np.log(sizes))


def decades(axes):
    """Return the width of a window, in decades."""
    return math.log10(axes[0].high / axes[0].low)


def measure(name, config, folder):
    """Zoom into the boundary of a condition; return its record and the sweeps of the frames."""
    preset = make_preset(name, steps=config["steps"])
    axes = [Axis(axis.name, axis.low, axis.high, config["res"]) for axis in preset.axes]
    runs = {"n_steps": preset.n_steps, "rule": preset.rule}
    started = time.perf_counter()
    found = zoom(
        preset.map_,
        axes,
        out=folder / name,
        frames=config["frames"],
        factor=config["factor"],
        adaptive=True,
        identity=preset.identity,
        **runs,
    )
    rows = []
    for i, frame in enumerate(found.frames):
        report = report_dimension(
            preset.map_,
            frame.sweep.axes,
            budget=config["frame_budget" if i else "window_budget"],
            method="pairs",
            seed=config["seed"],
            journal=folder / f"{name}-{i}.journal",
            identity=preset.identity,
            **runs,
        )
        pairs = report.headline
        rows.append(
            {
                "window": [[axis.low, axis.high] for axis in frame.sweep.axes],
                "decades": decades(frame.sweep.axes),
                "boundary": frame.boundary,
                "converged": float(frame.sweep.labels.mean()),
                "runs": int(frame.sweep.was_run.sum()),
                "box": frame.dimension.to_dict(),
                "pairs": pairs.to_dict() | {"flags": [*pairs.flags, *report.flags]},
                "published_slopes": published_slopes(frame.sweep.labels).tolist(),
            }
        )
        box = frame.dimension
        print(
            f"{name:<20} {rows[-1]['decades']:8.2g} decades, {rows[-1]['boundary']:6.2%} boundary: "
            f"box {box.value:.2f} +- {box.stderr:.2f}, pairs {pairs.value:.2f} +- "
            f"{pairs.stderr:.2f}",
            flush=True,
        )
    record = {
        "published": config["conditions"][name],
        "frames": rows,
        # The published reading pools all frames of a zoom: one number for each depth to stop at.
        "read_as_published": [
            float(np.median(np.concatenate([row["published_slopes"] for row in rows[: i + 1]])))
            for i in range(len(rows))
        ],
        "seconds": round(time.perf_counter() - started),
    }
    return record, [frame.sweep for frame in found.frames]


def intervals(rows, key):
    """Return values and distances to the ends of their intervals, as matplotlib takes them."""
    value, low, high = (
        np.array([row[key][part] for row in rows], float) for part in ("value", "ci_low", "ci_high")
    )
    # The plane has two dimensions and intervals end there; a slope may be a shade above.
    return value, np.maximum([value - low, high - value], 0)


def draw(results, sweeps, path):
    """Draw of every condition the window, the deepest frame, and the dimension along the zoom."""
    n = len(results)
    figure = Figure(figsize=(2.5 * n, 7.4), layout="constrained")
    panels = figure.subplots(3, n, squeeze=False, height_ratios=[1, 1, 1.15])
    colours = find_palette("published").signed
    for column, (name, record) in zip(panels.T, results.items(), strict=True):
        first, last = sweeps[name][0], sweeps[name][-1]
        for axes, frame in zip(column[:2], (first, last), strict=True):
            picture = equalise(frame.measure)
            axes.imshow(picture, cmap=colours, vmin=-1, vmax=1, origin="lower")
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(frame.axes[0].name, fontsize=8)
            axes.set_ylabel(frame.axes[1].name, fontsize=8)
        column[0].set_title(name.removeprefix("published-"), loc="left", fontsize=11)
        column[1].set_title(f"{decades(last.axes):.1g} decades", loc="left", fontsize=9)
        below = column[2]
        x = np.array([row["decades"] for row in record["frames"]])
        for key, shift, colour, label in (
            ("box", 1.07, "#0072B2", "box count"),
            ("pairs", 0.93, "#D55E00", "pairs, no grid"),
        ):
            y, error = intervals(record["frames"], key)
            style = {"ms": 4, "lw": 1, "color": colour, "label": label}
            below.errorbar(x * shift, y, yerr=error, fmt="o-", **style)
        below.axhline(record["published"], color="0.4", lw=1, ls="--", label="published")
        below.set(xscale="log", ylim=(0.7, 2.3), xlabel="width of the frame, decades")
        below.invert_xaxis()
        below.spines[["top", "right"]].set_visible(False)
    panels[2, 0].set_ylabel("dimension, 95 % interval")
    panels[2, 0].legend(fontsize=8, frameon=False, loc="upper left")
    figure.savefig(path, dpi=130)


def main(arguments=None):
    """Measure, print and keep; return the records."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("published_conditions"))
    parser.add_argument("--small", action="store_true", help="a minute or two")
    parser.add_argument("--only", help="one condition, such as published-tanh")
    options = parser.parse_args(arguments)
    config = tomllib.loads(Path(__file__).with_name("config.toml").read_text())
    if options.small:
        config |= SMALL
    options.out.mkdir(parents=True, exist_ok=True)
    results, sweeps = {}, {}
    for name in [options.only] if options.only else config["conditions"]:
        results[name], sweeps[name] = measure(name, config, options.out)
        record = results[name]
        depths = ", ".join(f"{reading:.2f}" for reading in record["read_as_published"])
        print(
            f"{name}: read as published, stopping at each frame: {depths}; "
            f"{record['published']} published; {record['seconds']} s",
            flush=True,
        )
    draw(results, sweeps, options.out / "published_conditions.png")
    text = json.dumps(results, indent=2) + "\n"
    (options.out / "published_conditions.json").write_text(text)
    return results


if __name__ == "__main__":
    main()
