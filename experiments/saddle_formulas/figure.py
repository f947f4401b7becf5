"""The figure and the tables of README.md, from the results of run.py.

python experiments/saddle_formulas/figure.py [FOLDER]
"""

import json
import math
import sys
from pathlib import Path

from matplotlib.figure import Figure

from dynfrac.analysis.html_tables import write_value

COLOURS = {"D1": "#0072B2", "D0": "#D55E00", "Kaplan-Yorke": "#009E73"}
WORDS = {"D1": "Kantz-Grassberger", "D0": "pressure", "Kaplan-Yorke": "Kaplan-Yorke"}


def written(estimate):
    """Write an estimate with its error, and a star if it is flagged as that of no fractal."""
    if estimate is None or estimate["value"] is None:
        return "-"
    star = "\\*" if any("not fractal" in flag for flag in estimate["flags"]) else ""
    return write_value(estimate["value"], estimate["stderr"] or math.nan) + star


def tables(results):
    """Return the lines of the README's three tables."""
    toys = [["map", "known D0", "Kantz-Grassberger", "pressure", "pairs", "floor", "ceilings"]]
    nets = [
        ["window", "by", "Kantz-Grassberger", "pressure", "pairs", "undecided", "apart, at rest"]
    ]
    for row in results["windows"]:
        found = [written(row[name]) for name in ("D1", "D0", "pairs")]
        if row["known"]:
            ceilings = [written(row[f"{kind} ceiling"]) for kind in ("escape", "entropy")]
            sides = [written(row["floor"]), ", ".join(ceilings)]
            toys.append([row["name"], f"{row['known']['D0']:.4f}", *found, *sides])
        else:
            shares = [row["undecided"][name] for name in ("share", "separating", "resting")]
            share, apart, rest = (f"{100 * x:.1f} %" for x in shares)
            nets.append([row["name"], row["way"], *found, share, f"{apart}, {rest}"])
    points = [["attractor", "known", "Kaplan-Yorke", "D1 of points", "D2 of points"]]
    for row in results["attractors"]:
        found = [written(row[name]) for name in ("Kaplan-Yorke", "D1", "D2")]
        points.append([row["name"], f"{row['known']['D1']:.4f}", *found])
    lines = []
    for head, *rows in (toys, points, nets):
        lines += [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def drawable(estimate):
    """Whether there is a value, and an error that leaves something of it."""
    return (
        estimate is not None and estimate["value"] is not None and (estimate["stderr"] or 0) < 0.3
    )


def draw(results, path):
    """Draw predicted against measured dimensions, and every window with its bounds."""
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.05])
    rows = [
        (row, row["pairs"], "o" if row["known"] else "^", ("D1", "D0"))
        for row in results["windows"]
    ] + [(row, row["D1"], "s", ("Kaplan-Yorke",)) for row in results["attractors"]]
    left.plot([0.4, 2], [0.4, 2], color="0.6", lw=1)
    for place, (row, measured, mark, names) in enumerate(rows):
        if drawable(measured):
            grey = {"fmt": "k" + mark, "ms": 4, "lw": 1, "zorder": 3}
            right.errorbar(measured["value"], place, xerr=measured["stderr"], **grey)
        low, high = (row.get(name) for name in ("floor", "escape ceiling"))
        # The rate of a window without a dimension belongs to no saddle, and bounds nothing.
        if drawable(high) and row["D1"]["value"] is not None:
            start = low["value"] if drawable(low) else math.floor(high["value"] - 1e-9)
            right.barh(
                place,
                high["value"] - start,
                left=start,
                lw=1,
                edgecolor="0.85",
                height=0.7,
                color="0.85",
            )
        for shift, name in zip((-0.2, 0.2), names, strict=False):
            found = row[name]
            if not drawable(found):
                continue
            style = {"fmt": mark, "ms": 4, "lw": 1, "color": COLOURS[name]}
            right.errorbar(found["value"], place + shift, xerr=found["stderr"], **style)
            if drawable(measured):
                errors = {"xerr": measured["stderr"], "yerr": found["stderr"]}
                filled = {} if row["known"] else {"mfc": "white"}
                left.errorbar(measured["value"], found["value"], **errors, **style, **filled)
    names = [row["name"] + (", by start" if row.get("way") == "start" else "") for row, *_ in rows]
    right.set_yticks(range(len(rows)), names, fontsize=8)
    right.set_ylim(len(rows) - 0.4, -0.6)
    for name, colour in COLOURS.items():
        left.plot([], [], "o", ms=4, color=colour, label=WORDS[name])
    for mark, word in (("o", "toy map"), ("s", "attractor"), ("^", "training")):
        left.plot([], [], mark, ms=5, color="0.4", mfc="white" if mark == "^" else None, label=word)
    left.legend(fontsize=8, frameon=False)
    left.set(
        xlabel="measured dimension",
        ylabel="dimension from rates",
        xlim=(0.35, 2.05),
        ylim=(0.35, 2.05),
    )
    right.set(xlabel="dimension; black: measured, grey: between the bounds", xlim=(0.35, 2.05))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main(folder):
    """Print the tables of the results in a folder, and draw them beside."""
    results = json.loads((folder / "results.json").read_text())
    print("\n".join(tables(results)))
    draw(results, folder / "saddle_formulas.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
