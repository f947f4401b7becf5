"""What a dimension of a boundary costs, and how good it is, on boundaries whose dimension is known.

Every method measures every boundary it applies to, from many seeds at a fixed budget; pictures of
the same windows are box-counted beside them. Windows are moved a little from seed to seed, so that
no method can profit from how a set lies in its window.

    python benchmarks/boundary_methods.py --out boundary_methods.json --table docs/benchmarks.md

The table is written between the marks in the page. `--seeds`, `--methods` and `--targets` make a
smaller run. A run that was stopped goes on with the rows that its file does not have.
"""

import argparse
import json
import math
import os
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path

import jax
import numpy as np

from dynfrac import Axis, boundary_dimension, box_dimension, evaluate
from dynfrac.boundaries.stretch_tails import stretch_tail
from dynfrac.systems.catalogue import make_map

MARKS = "<!-- boundary methods: begin -->", "<!-- boundary methods: end -->"
SIDES = (256, 1024, 4096)
LONG_PICTURE = 2000
"""Pixels a side from which on fewer copies of a picture are counted."""


@dataclass(frozen=True)
class Target:
    """A map and a window whose boundary has a known dimension."""

    title: str
    map_: str
    dimension: float
    axes: tuple[Axis, ...]
    n_steps: int
    hparams: dict = field(default_factory=dict)
    rule: str | None = None
    arguments: dict = field(default_factory=dict)
    escapes: bool = True

    def make(self):
        """Return the map."""
        return make_map(self.map_, **self.arguments)

    def window(self, seed):
        """Return the axes, each shortened by up to a tenth at both ends."""
        rng = np.random.default_rng([seed, 7])
        return tuple(_shortened(axis, *rng.uniform(0, 0.1, 2)) for axis in self.axes)


def _shortened(axis, below, above):
    low, high = axis.values(np.array([below, 1 - above]))
    return Axis(axis.name, float(low), float(high), scale=axis.scale)


PLANE = Axis("z_re", -1.5, 1.5), Axis("z_im", -1.5, 1.5)
START = math.sqrt(4.5 / 2.5)
TARGETS = {
    "rabbit": Target(
        "Douady's rabbit",
        "quadratic",
        1.3934,
        PLANE,
        300,
        {"c_re": -0.12256116687665361, "c_im": 0.74486176661974424},
        "bounded:1000",
    ),
    "basilica": Target(
        "basilica", "quadratic", 1.2683, PLANE, 300, {"c_re": -1.0, "c_im": 0.0}, "bounded:1000"
    ),
    "goy": Target(
        "Grebogi-Ott-Yorke map",
        "grebogi-ott-yorke",
        1.807,
        (Axis("theta0", 0.0, 2 * math.pi), Axis("x0", -0.5, 0.5)),
        300,
        escapes=False,
    ),
    "cantor-curve": Target(
        "open tent x curve",
        "cantor-curve",
        1.8097556,
        (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
        200,
    ),
    "cubic": Target(
        "descent on a double well, lr 2.5, a line of starts",
        "gd-cubic",
        0.7380471,
        (Axis("w0", -START, START, scale="linear"),),
        200,
        {"lr": 2.5},
        "parity:1@reach",
    ),
    "two-rates": Target(
        "descent on a quadratic, two learning rates",
        "gd-two-rates",
        1.0,
        (Axis("lr_in", 0.1, 10.0), Axis("lr_out", 0.1, 10.0)),
        200,
    ),
}
BUDGETS = {"pairs": 170_000, "stretch-tail": 17_000, "box-cascade": 170_000, "transects": 170_000}


def applies(method, target):
    """Whether a method can measure a target at all."""
    if method == "stretch-tail":
        return target.escapes
    return method == "pairs" or len(target.axes) == 2


class Clock:
    """Times of several turns: on the wall, and of all processors together."""

    def __init__(self):
        self.wall, self.processor = [], []

    def __enter__(self):
        self._start = time.perf_counter(), time.process_time()

    def __exit__(self, *error):
        self.wall.append(time.perf_counter() - self._start[0])
        self.processor.append(time.process_time() - self._start[1])

    def medians(self):
        """Return both without the first turn, which compiles."""
        return [float(np.median(times[1:] or times)) for times in (self.wall, self.processor)]


def grid_free(target, method, budget, seeds):
    """Return the estimates of a method, one for each seed, and how long each took."""
    map_, estimates, clock = target.make(), [], Clock()
    for seed in seeds:
        with clock:
            estimates.append(
                boundary_dimension(
                    map_,
                    target.window(seed),
                    budget=budget,
                    method=method,
                    seed=seed,
                    n_steps=target.n_steps,
                    hparams=target.hparams,
                    rule=target.rule,
                )
            )
    return estimates, clock


def box_counts(target, side, seeds):
    """Return box dimensions of pictures, one for each seed, and how long each took."""
    map_, estimates, clock = target.make(), [], Clock()
    for seed in seeds:
        with clock:
            points = [axis.values(np.linspace(0, 1, side)) for axis in target.window(seed)]
            columns = np.meshgrid(*points, indexing="ij")
            names = [axis.name for axis in target.axes]
            labels = evaluate(
                map_,
                {**target.hparams, **{n: c.ravel() for n, c in zip(names, columns, strict=True)}},
                n_steps=target.n_steps,
                rule=target.rule,
            ).labels
            estimates.append(box_dimension(labels.reshape(columns[0].shape)))
    return estimates, clock


def summary(target, estimates, clock):
    """Return how far estimates lie from the truth, and how often their intervals hold it."""
    known = [estimate for estimate in estimates if estimate.has_value]
    record = {
        "seeds": len(estimates),
        "values": len(known),
        "runs": round(float(np.mean([estimate.n_runs for estimate in estimates]))),
        **dict(zip(("seconds", "processor_seconds"), clock.medians(), strict=True)),
    }
    if not known:
        return record | {"flags": sorted({flag for e in estimates for flag in e.flags})[:3]}
    errors = np.array([estimate.value for estimate in known]) - target.dimension
    covers = [e.ci_low <= target.dimension <= e.ci_high for e in known]
    return record | {
        "mean_error": float(errors.mean()),
        "mean_error_stderr": float(errors.std(ddof=min(1, len(errors) - 1)) / len(errors) ** 0.5),
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "stated": float(np.median([estimate.stderr for estimate in known])),
        "covered": float(np.mean(covers)),
        "flagged": float(np.mean([bool(estimate.flags) for estimate in known])),
    }


def tangent_cost(target, repeats=3):
    """Return the time of a run with its tangent over that of a plain run, in turns, warm."""
    map_, ratios = target.make(), []
    rng = np.random.default_rng(0)
    columns = {axis.name: axis.values(rng.random(17_000)) for axis in target.axes}

    def plain():
        evaluate(map_, {**target.hparams, **columns}, n_steps=target.n_steps, rule=target.rule)

    def stretched():
        stretch_tail(
            map_,
            target.axes,
            budget=17_000,
            n_steps=target.n_steps,
            hparams=target.hparams,
            rule=target.rule,
        )

    for function in (plain, stretched):
        function()
    for _ in range(repeats):
        walls = []
        for function in (plain, stretched):
            start = time.perf_counter()
            function()
            walls.append(time.perf_counter() - start)
        ratios.append(walls[1] / walls[0])
    return float(np.median(ratios))


def table(figures):
    """Return the figures as Markdown."""
    lines = [
        "| boundary | D | method | runs or labels | values | mean error (2 se) | rmse "
        "| stated error | intervals that hold D | flagged | seconds | processor seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in figures["rows"]:
        lead = (
            f"| {row['title']} | {row['dimension']:.4f} | {row['method']} | {row['runs']:,} "
            f"| {row['values']} of {row['seeds']} |"
        )
        times = f"{row['seconds']:.1f} | {row['processor_seconds']:.1f} |"
        if not row["values"]:
            lines.append(f"{lead} | | | | | {times}")
            continue
        lines.append(
            f"{lead} {row['mean_error']:+.4f} ({2 * row['mean_error_stderr']:.4f}) "
            f"| {row['rmse']:.4f} | {row['stated']:.4f} | {row['covered']:.0%} "
            f"| {row['flagged']:.0%} | {times}"
        )
    costs = ", ".join(f"{name} {cost:.1f}" for name, cost in figures["tangent_cost"].items())
    conditions = figures["conditions"]
    lines += [
        "",
        f"Conditions: {conditions['cpus']} CPUs, {conditions['machine']}, jax {conditions['jax']}, "
        f"float64, {conditions['date']}. Seconds are the median of a warm estimate, labels "
        "included: on the wall, beside other work, and of all processors together. Windows are "
        "moved a little from seed to seed.",
    ]
    if costs:
        lines += [
            "",
            f"A run with its tangent, and the fit, took so many times a plain run's time: {costs}.",
        ]
    return "\n".join(lines)


def write_table(figures, page):
    """Put the table between the marks of a page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    _, found, after = rest.partition(MARKS[1])
    if not found:
        raise SystemExit(f"error: {page} has no marks {MARKS[0]} and {MARKS[1]}")
    page.write_text(
        f"{before}{MARKS[0]}\n\n{table(figures)}\n\n{MARKS[1]}{after}", encoding="utf-8"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--first-seed", type=int, default=20_000)
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    methods = [*BUDGETS, "boxes"]
    parser.add_argument("--methods", nargs="+", default=methods, choices=methods)
    parser.add_argument("--sides", type=int, nargs="+", default=list(SIDES))
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file as they come")
    parser.add_argument("--table", type=Path, help="write the table into this page")
    options = parser.parse_args()

    figures = {
        "conditions": {
            "cpus": os.cpu_count(),
            "machine": platform.machine(),
            "jax": jax.__version__,
            "date": time.strftime("%Y-%m-%d"),
        },
        "asked": {"seeds": options.seeds, "first_seed": options.first_seed},
        "rows": [],
        "tangent_cost": {},
    }
    done = set()
    if options.out and options.out.exists():
        figures = json.loads(options.out.read_text(encoding="utf-8"))
        asked = {"seeds": options.seeds, "first_seed": options.first_seed}
        if figures["asked"] != asked:
            raise SystemExit(f"error: {options.out} was begun with {figures['asked']}: go on so")
        done = {(row["target"], row["method"]) for row in figures["rows"]}

    def keep(target, method, estimates, clock):
        head = {"target": target, "title": TARGETS[target].title, "method": method}
        head["dimension"] = TARGETS[target].dimension
        row = head | summary(TARGETS[target], estimates, clock)
        figures["rows"].append(row)
        print(json.dumps(row), flush=True)
        if options.out:
            options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")

    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for name in options.targets:
        target = TARGETS[name]
        for method in options.methods:
            if method == "boxes" or not applies(method, target) or (name, method) in done:
                continue
            keep(name, method, *grid_free(target, method, BUDGETS[method], seeds))
        if "boxes" in options.methods and len(target.axes) == 2:
            for side in options.sides:
                method = f"boxes {side} x {side}"
                if (name, method) in done:
                    continue
                few = seeds[: 2 if side > LONG_PICTURE else 8]
                keep(name, method, *box_counts(target, side, few))
        if "stretch-tail" in options.methods and target.escapes:
            figures["tangent_cost"].setdefault(name, tangent_cost(target))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if options.table:
        write_table(figures, options.table)


if __name__ == "__main__":
    main()
