"""Figure of what run.py kept: pictures of the shallow network, their dimensions, the ResNet.

python experiments/offset_and_rate/figure.py --out offset_and_rate
"""

import argparse
import json
import math
import tomllib
from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

import dynfrac

BLUE, RED, GREEN = "#0072B2", "#D55E00", "#009E73"
CLASSES = {"did not converge": "#E69F00", "converged, has not learnt": "0.85"}
CLASSES |= {"converged, has learnt": "#56B4E9"}


def decades(swept):
    """Return the points of both axes as powers of ten, which a picture has at equal distances."""
    return [np.log10(points) for points in swept.points]


def name_axes(axes, title):
    """Name the axes of a sweep."""
    axes.set(xlabel="log10 of the offset of all weights", ylabel="log10 of the learning rate")
    axes.set_title(title, loc="left", fontsize=10)


def draw_labels(axes, swept, learnt, title):
    """Draw which runs converged, and which of them learnt."""
    classes = np.where(swept.labels, 1 + (swept.field("train_accuracy") > learnt), 0)
    colours = ListedColormap(list(CLASSES.values()))
    axes.pcolormesh(*decades(swept), classes, cmap=colours, vmin=0, vmax=2, shading="nearest")
    name_axes(axes, title)


def draw_dimensions(axes, results, sides, published):
    """Draw what the pictures and smooth curves of their size read, in both ways."""
    fine, coarse = sides["train_loss"], sides["test_loss"]
    rows = {
        f"{words}, {side} px": results["smooth"][f"{name}, {side} px"]
        for name, words in (("line", "line"), ("circle", "disc"))
        for side in (coarse, fine)
    }
    rows |= {f"test loss, {coarse} px": results["test_loss"]}
    rows |= {f"training loss, {fine} px": results["train_loss"]}
    for y, row in enumerate(rows.values()):
        label = ("box_dimension, 95 %", "ten sizes, as published") if y == 0 else (None, None)
        draw_estimate(axes, row["box dimension"], y, BLUE, "o", label[0])
        axes.plot([row["published way"]], [y], "X", ms=8, color=RED, label=label[1])
    draw_estimate(axes, results["pairs"], len(rows), GREEN, "s", "pairs, 95 %")
    ends = [-0.5, len(rows) + 0.5]
    axes.plot([published] * 2, ends, "--", color="0.5", lw=1, label="published, 256 px")
    axes.set(xlabel="dimension", ylim=(-0.5, len(rows) + 4.5), yticks=range(len(rows) + 1))
    axes.set_yticklabels([*rows, "training loss, pairs"], fontsize=8)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    axes.set_title("dimensions in the window", loc="left", fontsize=10)


def draw_estimate(axes, found, y, colour, mark, label):
    """Draw an estimate with its interval."""
    if found["value"] is not None:
        ends = [[found["value"] - found["ci_low"]], [found["ci_high"] - found["value"]]]
        axes.errorbar(found["value"], y, xerr=ends, fmt=mark, color=colour, ms=5, label=label)


def draw_scales(axes, results):
    """Draw the share of pairs that disagree against their distance."""
    curve = {name: np.array(values, float) for name, values in results["pairs"]["curve"].items()}
    axes.errorbar(
        curve["x"], curve["y"], yerr=2 * curve["stderr"], fmt="s", ms=4, lw=1, color=GREEN
    )
    axes.set(xscale="log", yscale="log", ylim=(0.01, 1))
    axes.set(xlabel="distance, of the window", ylabel="share")
    axes.set_title("pairs that disagree, training loss", loc="left", fontsize=10)


def draw_losses(axes, swept):
    """Draw the last losses of the residual network, bold where they are below guessing."""
    losses = swept.final_loss
    x, y = decades(swept)
    axes.pcolormesh(x, y, losses, cmap="Blues", norm="log", shading="nearest")
    middle = math.sqrt(losses.min() * losses.max())
    for (row, column), loss in np.ndenumerate(losses):
        ink = "white" if loss > middle else "black"
        weight = "bold" if loss <= math.log(10) else None
        words = {"ha": "center", "va": "center", "fontsize": 8, "color": ink, "weight": weight}
        axes.annotate(f"{loss:#.3g}", (x[column], y[row]), **words)
    name_axes(axes, "ResNet-20: last loss\n(bold: below ln 10, guessing)")


def main(arguments=None):
    """Draw everything that the full version keeps."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("offset_and_rate"))
    out = parser.parse_args(arguments).out
    config = tomllib.loads(Path(__file__).with_name("config.toml").read_text())
    results = json.loads((out / "results.json").read_text())
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    top, bottom = figure.subplots(2, 3)
    names = {"overview": "shallow net, training loss"}
    names |= {"train_loss": "the window, training loss", "test_loss": "the window, test loss"}
    for axes, (name, title) in zip(top, names.items(), strict=True):
        swept = dynfrac.open_sweep(out / f"{name}.zarr")
        draw_labels(axes, swept, config["shallow"]["learnt"], title)
    x, y = decades(swept)
    top[0].add_patch(Rectangle((x[0], y[0]), np.ptp(x), np.ptp(y), fill=False, lw=1.5))
    patches = [Patch(color=colour, label=words) for words, colour in CLASSES.items()]
    figure.legend(handles=patches, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    draw_dimensions(bottom[0], results, config["shallow"]["pictures"], config["published"]["value"])
    draw_scales(bottom[1], results)
    draw_losses(bottom[2], dynfrac.open_sweep(out / "resnet20.zarr"))
    for axes in bottom[:2]:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out / "offset_and_rate.png", dpi=150)


if __name__ == "__main__":
    main()
