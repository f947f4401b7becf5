"""Exponent, sharpness and speed of training over the learning rate: what begins where.

    python experiments/exponents_over_rates/run.py --out exponents_over_rates
    python experiments/exponents_over_rates/figure.py exponents_over_rates

`--small` takes three of the networks, one seed and fewer rates, for the tests.
"""

import argparse
import json
import math
import time
import tomllib
from pathlib import Path

import numpy as np

import dynfrac
from dynfrac import Axis
from dynfrac.analysis.curvature import sharpness
from dynfrac.systems.losses import guessing_loss

SMALL = {
    "double well": {"rates": [0.2, 2.5, 24], "transient": 500, "averaged": 500},
    "tanh, random data": {"rates": [4.0, 400.0, 16], "transient": 1000, "averaged": 500},
    "tanh, digits": {"rates": [20.0, 5000.0, 16], "transient": 300, "averaged": 300},
}
SENSITIVE = math.log(1e4)  # growth of a small change while training, in nats
BEST = ("half", "tenth", "lowest")
TAIL = 20  # losses at the end that are averaged, as the published rule does


def build(net, seed):
    """Return a map, and the loss of whoever has learnt nothing."""
    if net["map"] == "gd-cubic":
        return dynfrac.make_map("gd-cubic"), math.inf
    map_ = dynfrac.make_architecture(net["map"], seed=seed, **net["arguments"])
    return map_, guessing_loss(map_.loss, map_.data.targets)


def sharpest(map_, lr, n_steps):
    """Return the largest sharpness x lr / 2 of four looks at a run."""
    found = []
    for part in (8, 4, 2, 1):
        state = dynfrac.iterate(map_, {"lr": lr}, n_steps=n_steps // part).final_state
        found.append(sharpness(map_, state, {"lr": lr}, rtol=0.01).value * lr / 2)
    return max(found) if np.all(np.isfinite(found)) else math.nan


def steps_until(reached):
    """Return the first step of each run at which something holds; infinity if it never does."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1), math.inf)


def measure(net, seed):
    """Return what one network does at each learning rate, from one seed."""
    map_, guess = build(net, seed)
    axis, n = Axis("lr", *net["rates"]), net["steps"]
    whole = {"n_steps": n, "n_transient": 0, "n_keep": n}
    early = dynfrac.orbit_diagram(map_, axis, **whole)
    late = dynfrac.orbit_diagram(map_, axis, n_steps=net["averaged"], n_transient=net["transient"])
    losses = early.observed / min(guess, early.observed[0, 0])
    curves = {
        "rates": early.values,
        "bounded": early.bounded & late.bounded,
        "nats": n * early.exponents,
        "loss": losses[:, -TAIL:].mean(axis=1),
        "steps_to_half": steps_until(losses <= 0.5),
        "steps_to_tenth": steps_until(losses <= 0.1),
        "sharpness": np.array([sharpest(map_, lr, n) for lr in early.values]),
    }
    for when, diagram in (("early", early), ("late", late)):
        curves |= {when: diagram.exponents, f"{when}_stderr": diagram.stderr}
        curves[f"{when}_chaotic"] = diagram.chaotic
    if "accuracy" in net:
        seen = dynfrac.orbit_diagram(map_, axis, observable="accuracy", **whole).observed
        curves["steps_to_accuracy"] = steps_until(seen >= net["accuracy"])
    return curves


def growth(net, seed):
    """Return by how many nats a tangent grows over one time lr x steps, at several rates.

    As long as descent follows the gradient flow it is the same at all of them.
    """
    map_, _ = build(net, seed)
    grown = []
    for lr in net["flow"]["rates"]:
        n = round(net["flow"]["time"] / lr)
        outcome = dynfrac.evaluate(map_, {"lr": lr}, n_steps=n, record=("lyapunov",))
        grown.append(n * float(outcome.metrics["lyapunov"][0]))
    return grown


def crossing(rates, holds):
    """Return the middle, on the log axis, of the first rate where something holds and the last."""
    i = int(np.argmax(holds))
    return float(np.sqrt(rates[max(i - 1, 0)] * rates[i])) if np.any(holds) else math.nan


def staying(holds, bounded):
    """Return where something holds at this rate and at all larger ones that stay bounded."""
    lost = np.flatnonzero(bounded & ~holds)
    return bounded & (np.arange(len(holds)) > (lost[-1] if lost.size else -1))


def fastest(rates, steps):
    """Return the rate with the fewest steps: the middle of those within a fifth of that."""
    if not np.isfinite(steps.min()):
        return math.nan
    best = np.flatnonzero(steps <= 1.2 * steps.min())
    return float(np.sqrt(rates[best[0]] * rates[best[-1]]))


def read_off(curves):
    """Return the learning rates at which something begins or is best."""
    rates, bounded = curves["rates"], curves["bounded"]
    found = {
        "edge": crossing(rates, curves["sharpness"] >= 0.98),  # on the edge it hovers about 1
        "half": fastest(rates, curves["steps_to_half"]),
        "tenth": fastest(rates, curves["steps_to_tenth"]),
        "lowest": float(rates[np.nanargmin(curves["loss"])]),
        "sensitive": crossing(rates, curves["nats"] >= SENSITIVE),
        "early chaos": crossing(rates, curves["early_chaotic"]),
        "first chaos": crossing(rates, curves["late_chaotic"]),
        "chaos": crossing(rates, staying(curves["late_chaotic"], bounded)),
        "fails": crossing(rates, ~(curves["loss"] < 1)),
        "escapes": crossing(rates, ~bounded),
    }
    if "steps_to_accuracy" in curves:
        found["accuracy"] = fastest(rates, curves["steps_to_accuracy"])
    return found


def exponents_at_best(curves, found):
    """Return both exponents with their errors at the rates where training is fastest or best."""
    rows = {}
    for quantity in BEST:
        if not math.isnan(found[quantity]):
            i = int(np.argmin(np.abs(np.log(curves["rates"] / found[quantity]))))
            both = [(curves[when][i], curves[f"{when}_stderr"][i]) for when in ("early", "late")]
            rows[quantity] = [[float(number) for number in pair] for pair in both]
    return rows


def summarise(runs):
    """Return the median over seeds of what was read off, with the extremes."""
    table = {}
    for name in runs[0]["found"]:
        values = [run["found"][name] for run in runs]
        known = [value for value in values if not math.isnan(value)]
        # What half of the seeds lack has no median.
        median = float(np.median(known)) if 2 * len(known) > len(values) else math.nan
        ends = (min(known), max(known)) if known else (math.nan, math.nan)
        table[name] = {"median": median, "low": ends[0], "high": ends[1], "seeds": len(known)}
    return table


def agrees(value, stated, tolerance):
    """Return whether two learning rates are the same within some decades, or both missing."""
    if math.isnan(value) or math.isnan(stated):
        return math.isnan(value) and math.isnan(stated)
    return abs(math.log10(value / stated)) <= tolerance


def report(name, net, runs, table, tolerance):
    """Print what was read off; return whether it is what is stated."""
    passed = True
    print(f"\n{name}, {len(runs)} seeds")
    for quantity, row in table.items():
        stated = net["stated"].get(quantity)
        fits = stated is None or agrees(row["median"], stated, tolerance)
        passed &= fits
        span = f"{row['low']:.3g} to {row['high']:.3g} ({row['seeds']} seeds)"
        said = "" if stated is None else f"   stated {stated:g}" + ("" if fits else "   OUT")
        print(f"  {quantity:<11} {row['median']:<8.3g} {span}{said}")
    apart = {key: math.log10(row["median"] / table["edge"]["median"]) for key, row in table.items()}
    order = sorted((key for key in apart if not math.isnan(apart[key])), key=apart.__getitem__)
    print("  decades from the edge:", ", ".join(f"{key} {apart[key]:+.2f}" for key in order))
    for run in runs:
        for key, both in run["at_best"].items():
            early, late = (f"{value:+.4f}({error:.4f})" for value, error in both)
            print(f"  exponents where {key} is best: {early} early, {late} late")
    return passed


def main(arguments=None):
    """Measure, print and keep; return whether everything is as stated."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("exponents_over_rates"))
    parser.add_argument("--small", action="store_true", help="a minute or two")
    parser.add_argument("--nets", nargs="+", help="some of them; what was kept of others stays")
    options = parser.parse_args(arguments)
    config = tomllib.loads(Path(__file__).with_name("config.toml").read_text())
    nets = config["nets"]
    if options.small:
        nets = {name: {**nets[name], **changes, "seeds": [0]} for name, changes in SMALL.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "exponents_over_rates.json"
    results = json.loads(file.read_text()) if options.nets and file.exists() else {}
    passed = True
    for name in options.nets or nets:
        net, started = nets[name], time.perf_counter()
        measured = [measure(net, seed) for seed in net["seeds"]]
        runs = [{"curves": curves, "found": read_off(curves)} for curves in measured]
        for run in runs:
            run["at_best"] = exponents_at_best(run["curves"], run["found"])
        results[name] = {"runs": runs, "table": summarise(runs)}
        if "flow" in net:
            results[name]["flow"] = growth(net, net["seeds"][0])
            pairs = zip(net["flow"]["rates"], results[name]["flow"], strict=True)
            nats = ", ".join(f"{value:.3g} at {lr:g}" for lr, value in pairs)
            print(f"\n{name}, nats of growth over lr x steps = {net['flow']['time']:g}: {nats}")
        passed &= report(name, net, runs, results[name]["table"], config["tolerance"])
        results[name]["seconds"] = round(time.perf_counter() - started)
        print(f"  {results[name]['seconds']} s", flush=True)
    kept = {name: results[name] for name in nets if name in results}
    file.write_text(json.dumps(kept, indent=1, default=lambda array: array.tolist()) + "\n")
    return passed


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
