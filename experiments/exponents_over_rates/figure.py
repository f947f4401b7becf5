"""The figure of README.md, from what `run.py` has kept.

Run it by ``python experiments/exponents_over_rates/figure.py exponents_over_rates``.
"""

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dynfrac import Axis
from dynfrac.plots.ticks import label_axis

MARKS = {
    "edge": ("#009E73", "sharpness reaches 2/lr"),
    "tenth": ("#0072B2", "fastest to a tenth of the loss"),
    "sensitive": ("#CC79A7", "small changes grow 10^4-fold in training"),
    "chaos": ("#D55E00", "chaos later on, from here on"),
    "fails": ("#000000", "training fails"),
}
LINES = {
    "steps_to_half": ("#E69F00", "half the loss"),
    "steps_to_tenth": ("#0072B2", "a tenth"),
    "steps_to_accuracy": ("#56B4E9", "the accuracy"),
}


def draw(results, path):
    """Draw exponents, sharpness, loss and steps of each network over the learning rate."""
    figure = Figure(figsize=(2.6 * len(results), 8.2), layout="constrained")
    grid = figure.subplots(4, len(results), sharex="col", sharey="row", squeeze=False)
    for column, (name, result) in zip(grid.T, results.items(), strict=True):
        exponent, sharp, loss, steps = column
        for run in result["runs"]:
            curves, style = run["curves"], {"ms": 2.5, "lw": 0.9}
            rates, error = curves["rates"], 2 * np.array(curves["late_stderr"])
            exponent.plot(rates, curves["early"], color="#56B4E9", label="from the start", **style)
            late = {"fmt": "o-", "color": "#D55E00", "label": "later, 2 errors", **style}
            exponent.errorbar(rates, curves["late"], error, **late)
            sharp.plot(rates, curves["sharpness"], "o-", color="#009E73", **style)
            loss.plot(rates, curves["loss"], "o-", color="#0072B2", **style)
            for key, (colour, label) in LINES.items():
                if key in curves:
                    steps.plot(
                        rates, np.add(curves[key], 1), "o-", color=colour, label=label, **style
                    )
        exponent.set_title(name, fontsize=10)
        for axes, level in ((exponent, 0), (sharp, 1), (loss, 1)):
            axes.axhline(level, color="0.7", lw=0.8, zorder=0)
        for axes in column:
            axes.spines[["top", "right"]].set_visible(False)
            for key, (colour, _) in MARKS.items():
                axes.axvline(result["table"][key]["median"], color=colour, lw=1, ls="--", zorder=0)
        label_axis(steps, "x", Axis("lr", rates[0], rates[-1]))
    words = ("exponent (nats per step)", "sharpness x lr / 2", "last losses / guessing")
    scales = (("symlog", (-5, 2)), ("log", (0.02, 20)), ("log", (1e-4, 10)), ("log", (1, 600)))
    for axes, word, (scale, limits) in zip(
        grid[:, 0], (*words, "steps until"), scales, strict=True
    ):
        axes.set_yscale(scale, **({"linthresh": 0.01} if scale == "symlog" else {}))
        axes.set(ylabel=word, ylim=limits)
    for row in (grid[0], grid[3]):
        pairs = [axes.get_legend_handles_labels() for axes in row]
        unique = {label: h for some in pairs for h, label in zip(*some, strict=True)}
        row[0].legend(unique.values(), unique.keys(), fontsize=8, frameon=False, loc="upper left")
    marks = [Line2D([], [], color=colour, ls="--", label=text) for colour, text in MARKS.values()]
    figure.legend(
        handles=marks, loc="outside lower center", ncols=3 if len(results) > 4 else 2, frameon=False
    )
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    kept = json.loads((folder / "exponents_over_rates.json").read_text())
    draw(kept, folder / "exponents_over_rates.png")
