"""What the dimension of a trainability boundary hangs on: steps, rule, precision, offset.

    python experiments/label_dependence/run.py --out label_dependence

The published tanh network throughout. Pictures and runs are kept in the folder: the same command
goes on. `--small` is a version of a few minutes for the tests.
"""

import argparse
import json
import tomllib
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import dynfrac
from dynfrac.analysis.labels import boundary_cells
from dynfrac.orbits.axes import Axis
from dynfrac.plots.trainability import plot_measure
from dynfrac.studies.dimension_reports import report_dimension
from dynfrac.studies.presets import make_preset
from dynfrac.studies.zooms import zoom
from dynfrac.systems.training import TrainingMap

PUBLISHED = make_preset("published-tanh")
SMALL = {
    "res": 64,
    "budget": 1000,
    "offset_budget": 2000,
    "steps": [10, 100],
    "rule_steps": 100,
    "rules": ["published", "bounded:1e8"],
    "offsets": ["input_offset_per_step", "input_offset_once"],
}


class OffsetOnce(TrainingMap):
    """The published network whose first layer is shifted at initialisation, and then let alone."""

    @property
    def defaults(self):
        """Those of the published network, and the offset."""
        return super().defaults | {"input_offset_once": 0.0}

    def init(self, hparams):
        """Return the initial state, first layer shifted."""
        state = super().init(hparams)
        first, *others = state.params
        return state.replace(params=(first + hparams["input_offset_once"], *others))


def measure(name, map_, axes, budget, config, folder, **runs):
    """Return picture and record of the labels of a map in a window, kept under their name."""
    axes = [Axis(a.name, a.low, a.high, config["res"], a.scale) for a in axes]
    identity = {"labels": name}
    picture = dynfrac.sweep(
        map_, axes, out=folder / f"{name}.zarr", adaptive=True, identity=identity, **runs
    )
    report = report_dimension(
        map_,
        axes,
        budget=budget,
        method="pairs",
        seed=config["seed"],
        journal=folder / f"{name}.journal",
        identity=identity,
        **runs,
    )
    box, pairs = dynfrac.box_dimension(picture.labels), report.headline
    record = {
        "converged": float(picture.labels.mean()),
        "boundary": float(boundary_cells(picture.labels).mean()),
        "box": box.to_dict(),
        "pairs": pairs.to_dict() | {"flags": [*pairs.flags, *report.flags]},
        "undecided": None if report.undecided is None else report.undecided.value,
    }
    print(
        f"{name:<24} converged {record['converged']:6.1%}, boundary {record['boundary']:6.2%}, "
        f"box {box.value:.2f} +- {box.stderr:.2f}, pairs {pairs.value:.2f} +- "
        f"{pairs.stderr:.2f}",
        flush=True,
    )
    return picture, record


def choose_window(config, folder):
    """Return the part of the overview, so many times narrower, that has the most boundary."""
    axes = [Axis(axis.name, axis.low, axis.high, config["res"]) for axis in PUBLISHED.axes]
    found = zoom(
        PUBLISHED.map_,
        axes,
        out=folder / "overview",
        frames=2,
        factor=config["window"],
        n_steps=config["overview"],
        rule="published",
        adaptive=True,
    )
    return found.frames[1].sweep.axes


def flips(picture, reference):
    """Return how many labels differ: of all cells, and of the reference's boundary cells."""
    differ = picture.labels != reference.labels
    edge = boundary_cells(reference.labels)
    beside = np.zeros(differ.shape, bool)
    for dy in (0, 1):
        for dx in (0, 1):
            beside[dy : dy + edge.shape[0], dx : dx + edge.shape[1]] |= edge
    return {"of_all": float(differ.mean()), "of_boundary": float(differ[beside].mean())}


def vary(window, config, folder):
    """Measure the window for all steps, rules and types."""

    def labels(steps=config["rule_steps"], rule="published", dtype="float64"):
        # What is asked twice has one name, and its runs are there already.
        name = f"{rule.replace(':', '-')}-{steps}-{dtype}"
        runs = {"n_steps": steps, "rule": rule, "dtype": dtype}
        return measure(name, PUBLISHED.map_, window, config["budget"], config, folder, **runs)

    results = {"steps": {steps: labels(steps)[1] for steps in config["steps"]}}
    reference, _ = labels()
    for part in ("rules", "dtypes"):
        results[part] = {}
        for value in config[part]:
            picture, record = labels(**{part[:-1]: value})
            results[part][value] = record | {"flips": flips(picture, reference)}
    return results


def offsets(config, folder):
    """Measure the whole window of learning rate and offset, for the ways to add the offset."""
    once = OffsetOnce(**vars(PUBLISHED.map_))
    results, pictures = {}, {}
    for name in config["offsets"]:
        axes = Axis(name, 1e-3, 1e6, scale="log10"), Axis("lr", 1e-3, 1e6)
        map_ = once if name == "input_offset_once" else PUBLISHED.map_
        runs = {"n_steps": config["offset_steps"], "rule": "published"}
        pictures[name], results[name] = measure(
            name, map_, axes, config["offset_budget"], config, folder, **runs
        )
    return results, pictures


def draw(results, pictures, path):
    """Draw the dimension against steps, rules and types, and the ways to add an offset."""
    figure = Figure(figsize=(11.5, 7.2), layout="constrained")
    above, below = figure.subfigures(2, 1)
    panels = above.subplots(1, 2, sharey=True, width_ratios=[1, 1.3])
    steps = np.array([int(n) for n in results["steps"]])
    named = results["rules"] | results["dtypes"]
    for key, side, colour, label in (
        ("box", -1, "#0072B2", "box count"),
        ("pairs", 1, "#D55E00", "pairs, no grid"),
    ):
        for axes, x, rows, style in (
            (panels[0], steps * 1.04**side, results["steps"].values(), "o-"),
            (panels[1], np.arange(len(named)) + 0.08 * side, named.values(), "o"),
        ):
            y, low, high = (
                np.array([row[key][part] for row in rows], float)
                for part in ("value", "ci_low", "ci_high")
            )
            error = np.maximum([y - low, high - y], 0)  # slopes may be a shade above 2
            axes.errorbar(x, y, yerr=error, fmt=style, ms=4, lw=1, color=colour, label=label)
    published = results["config"]["published_steps"]
    x, y = [int(n) for n in published], list(published.values())
    panels[0].plot(x, y, "x--", color="0.5", lw=1, label="published, another draw and window")
    panels[0].set(xscale="log", xlabel="steps", ylabel="dimension, 95 % interval")
    panels[0].set_ylim(0.7, 2.2)
    panels[0].set_xticks(x, [str(n) for n in x])
    panels[0].minorticks_off()
    panels[0].set_title("one window, more and more steps", loc="left", fontsize=10)
    panels[0].legend(fontsize=8, frameon=False, loc="lower right")
    panels[1].set_xticks(np.arange(len(named)), [name.replace(":", "\n") for name in named])
    panels[1].tick_params("x", labelsize=8)
    title = f"rules, and float32, at {results['config']['rule_steps']} steps"
    panels[1].set_title(title, loc="left", fontsize=10)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    frames = below.subplots(1, len(pictures), squeeze=False)[0]
    for axes, (name, picture) in zip(frames, pictures.items(), strict=True):
        plot_measure(picture.measure, picture.status, picture.axes, ax=axes)
        pairs = results["offsets"][name]["pairs"]
        words = "no value" if pairs["value"] is None else f"{pairs['value']:.2f}"
        axes.set_title(f"pairs of the whole window: {words}", loc="left", fontsize=9)
    figure.get_layout_engine().set(wspace=0.1)
    figure.savefig(path, dpi=140)


def main(arguments=None):
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("label_dependence"))
    parser.add_argument("--small", action="store_true", help="a minute or two")
    options = parser.parse_args(arguments)
    config = tomllib.loads(Path(__file__).with_name("config.toml").read_text())
    if options.small:
        config |= SMALL
    options.out.mkdir(parents=True, exist_ok=True)
    window = choose_window(config, options.out)
    results = vary(window, config, options.out)
    results["offsets"], pictures = offsets(config, options.out)
    results |= {"config": config, "window": [[axis.low, axis.high] for axis in window]}
    for part in ("rules", "dtypes"):
        for name, row in results[part].items():
            shares = row["flips"]
            print(
                f"{name:<14} labels changed: {shares['of_all']:.2%}, beside the boundary "
                f"{shares['of_boundary']:.1%}"
            )
    draw(results, pictures, options.out / "label_dependence.png")
    (options.out / "label_dependence.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


if __name__ == "__main__":
    main()
