"""The lowest loss in the plane of two learning rates, and how far from the edge it lies.

    python experiments/best_rates/run.py --out best_rates

Sweeps are kept in the folder: the same command goes on. `--small` is a version of a minute or two
for the tests. The claim: the best hyperparameters lie very near the edge of trainability
(Sohl-Dickstein, arXiv:2402.06184).
"""

import argparse
import json
import tomllib
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import distance_transform_edt

import dynfrac
from dynfrac.orbits.axes import Axis
from dynfrac.studies.presets import make_preset

SMALL = {"res": 40, "steps": [30, 300], "ray": 100}
SMALL_NETS = ("published-tanh",)


def edge_distances(labels, points):
    """Return the distance of every run that converged from the nearest that did not, in decades."""
    steps = [np.log10(values[1] / values[0]) for values in reversed(points)]
    return distance_transform_edt(labels == 1, sampling=steps)


def first_failure(map_, rates, config, **runs):
    """Return by how many decades both rates can grow until a run fails, None if none does."""
    decades = np.linspace(0, 3, config["ray"])
    points = {name: value * 10**decades for name, value in rates.items()}
    failed = np.flatnonzero(dynfrac.evaluate(map_, points, **runs).labels == 0)
    return float(decades[failed[0]]) if len(failed) else None


def describe(losses, distances, converged, share):
    """Return where the lowest losses lie among all runs that converged."""
    order = np.argsort(np.where(converged, losses, np.inf), axis=None)
    n = int(converged.sum())
    best = order[: max(1, round(share * n))]
    away = distances[converged]
    return {
        "best_loss": float(losses.flat[order[0]]),
        "best_distance": float(distances.flat[order[0]]),
        # Of all converged runs, those that lie as near to the edge as the best one.
        "best_rank": float(np.mean(away <= distances.flat[order[0]])),
        "top_distance": float(np.median(distances.flat[best])),
        "top_quartiles": np.quantile(distances.flat[best], [0.25, 0.75]).tolist(),
        "all_distance": float(np.median(away)),
        "n_converged": n,
        "at": [int(i) for i in np.unravel_index(order[0], losses.shape)],
    }


def measure(name, settings, config, folder):
    """Sweep a net for every number of steps; return the records and the sweeps."""
    preset = make_preset(name)
    ends = [
        settings.get(side, (axis.low, axis.high))
        for side, axis in zip("xy", preset.axes, strict=True)
    ]
    axes = [
        Axis(axis.name, *pair, config["res"]) for axis, pair in zip(preset.axes, ends, strict=True)
    ]
    tested = preset.map_.test is not None
    records, sweeps = [], []
    for steps in settings.get("steps", config["steps"]):
        runs = {"n_steps": steps, "rule": "published"}
        swept = dynfrac.sweep(
            preset.map_,
            axes,
            out=folder / f"{name}-{steps}.zarr",
            record=["test_loss"] if tested else [],
            identity=preset.identity,
            **runs,
        )
        distances = edge_distances(swept.labels, swept.points)
        converged = swept.labels == 1
        record = {"steps": steps}
        record |= describe(swept.final_loss, distances, converged, config["best_share"])
        if tested:
            losses = swept.field("test_loss")
            record["test"] = describe(losses, distances, converged, config["best_share"])
        y, x = record["at"]
        rates = {axes[0].name: swept.points[0][x], axes[1].name: swept.points[1][y]}
        record["rates"] = {key: float(value) for key, value in rates.items()}
        record["ray"] = first_failure(preset.map_, rates, config, **runs)
        records.append(record)
        sweeps.append(swept)
        ray = "never within 3" if record["ray"] is None else f"{record['ray']:.2f}"
        print(
            f"{name:<20} {steps:>5} steps: best loss {record['best_loss']:.2e}, "
            f"{record['best_distance']:.2f} decades from the edge "
            f"(nearer than {1 - record['best_rank']:.0%} of the converged runs), "
            f"best hundredth {record['top_distance']:.2f}, all {record['all_distance']:.2f}; "
            f"both rates can grow by {ray} decades",
            flush=True,
        )
    return records, sweeps


def draw(results, sweeps, path):
    """Draw the losses of the longest runs with the best of every length, and the distances."""
    figure = Figure(figsize=(2.9 * len(results), 6), layout="constrained")
    panels = figure.subplots(2, len(results), squeeze=False, height_ratios=[1.15, 1])
    for column, (name, records) in zip(panels.T, results.items(), strict=True):
        above, below = column
        last = sweeps[name][-1]
        losses = np.where(last.labels == 1, np.log10(last.final_loss), np.nan)
        x, y = (np.log10(values) for values in last.points)
        image = above.pcolormesh(x, y, losses, cmap="viridis", rasterized=True)
        figure.colorbar(image, ax=above, location="top", label="log10 of the last loss", aspect=30)
        path_x, path_y = (
            [np.log10(list(record["rates"].values())[i]) for record in records] for i in (0, 1)
        )
        above.plot(path_x, path_y, "-", color="#D55E00", lw=1)
        sizes = 12 + 14 * np.arange(len(records))
        above.scatter(path_x, path_y, s=sizes, color="#D55E00", edgecolor="white", zorder=3)
        above.set(xlabel=f"log10 {last.axes[0].name}", ylabel=f"log10 {last.axes[1].name}")
        above.set_title(name, loc="left", fontsize=10)
        steps = [record["steps"] for record in records]
        for key, style, colour, label in (
            ("best_distance", "o-", "#D55E00", "lowest loss"),
            ("top_distance", "s-", "#0072B2", "lowest hundredth, median"),
            ("all_distance", "--", "0.5", "all that converge, median"),
        ):
            y = [record[key] for record in records]
            below.plot(steps, y, style, color=colour, ms=4, lw=1, label=label)
        below.set(xscale="log", xlabel="steps", ylim=(0, None))
        below.set_xticks(steps, [str(n) for n in steps])
        below.minorticks_off()
        below.spines[["top", "right"]].set_visible(False)
    panels[1, 0].set_ylabel("decades from the edge")
    handles = panels[1, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    figure.savefig(path, dpi=140)


def main(arguments=None):
    """Sweep, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("best_rates"))
    parser.add_argument("--small", action="store_true", help="a minute or two")
    options = parser.parse_args(arguments)
    config = tomllib.loads(Path(__file__).with_name("config.toml").read_text())
    if options.small:
        config |= SMALL
        config["nets"] = {name: {} for name in SMALL_NETS}
    options.out.mkdir(parents=True, exist_ok=True)
    results, sweeps = {}, {}
    for name, settings in config["nets"].items():
        results[name], sweeps[name] = measure(name, settings, config, options.out)
    draw(results, sweeps, options.out / "best_rates.png")
    (options.out / "best_rates.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


if __name__ == "__main__":
    main()
