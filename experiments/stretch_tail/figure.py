"""The figure and the table of README.md, from results.jsonl.

Run it by ``python experiments/stretch_tail/figure.py``.
"""

import json
import math
from pathlib import Path

from matplotlib.figure import Figure

HERE = Path(__file__).parent
COLOURS = {"tanh": "#0072b2", "relu": "#d55e00"}
MARKS = {4.0: "o", 0.25: "s", 0.015625: "^"}
SPANS = {4.0: "4", 0.25: "2^-2", 0.015625: "2^-6"}


def main() -> None:
    """Print the table, say what came out, and draw tail against pairs."""
    rows = [json.loads(line) for line in (HERE / "results.jsonl").read_text().splitlines()]
    print("| network | decades | stretch-tail | pairs | sigmas | pairs, small | sigmas | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        tail, pairs, small = row["tail"], row["pairs"], row["pairs_small"]
        seconds = " + ".join(f"{s:.0f}" for s in row["seconds"])
        cells = [row["net"], SPANS[row["span"]], written(tail), written(pairs)]
        cells += [apart(tail, pairs), written(small), apart(tail, small), seconds]
        print("| " + " | ".join(cells) + " |")
    for key in ("pairs", "pairs_small"):
        both = [sigmas(row["tail"], row[key]) for row in rows]
        known = [abs(z) for z in both if z is not None]
        agree = sum(z <= 2 for z in known)
        print(f"{key}: {agree} of {len(known)} agree, {len(rows)} windows")
    draw(rows).savefig(HERE / "agreement.png", dpi=150)


def sigmas(one, other):
    """Return by how many combined standard errors two estimates differ, or None."""
    if not one or not other or one["value"] is None or other["value"] is None:
        return None
    return (one["value"] - other["value"]) / math.hypot(one["stderr"], other["stderr"])


def apart(one, other):
    """Write the same."""
    z = sigmas(one, other)
    return "" if z is None else f"{z:+.1f}"


def written(estimate):
    """Write a value with its error."""
    if not estimate or estimate["value"] is None:
        return "none"
    return f"{estimate['value']:.3f} +- {estimate['stderr']:.3f}"


def draw(rows):
    """Return the figure: one panel for all distances of the pairs, one for the smaller half."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    names = {"pairs": "pairs, all distances", "pairs_small": "pairs, smaller half of distances"}
    for axes, (key, name) in zip(figure.subplots(1, 2, sharey=True), names.items(), strict=True):
        for row in rows:
            tail, other = row["tail"], row[key]
            if sigmas(tail, other) is None:
                continue
            axes.errorbar(
                other["value"],
                tail["value"],
                xerr=1.96 * other["stderr"],
                yerr=1.96 * tail["stderr"],
                fmt=MARKS[row["span"]],
                color=COLOURS[row["net"].split("-")[0]],
                ms=5,
                lw=1,
            )
        axes.plot([1, 2], [1, 2], color="0.6", lw=1, zorder=0)
        axes.set(xlabel=f"D, {name}", xlim=(1.15, 2.02), ylim=(1.15, 2.02), aspect="equal")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("D, stretch-tail")
    last = figure.axes[1]
    for nonlinearity, colour in COLOURS.items():
        last.plot([], [], "o", color=colour, label=nonlinearity)
    for span, mark in MARKS.items():
        last.plot([], [], mark, color="0.4", label=f"{span:g} decades a side")
    last.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


if __name__ == "__main__":
    main()
