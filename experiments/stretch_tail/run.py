"""Stretch-tail against stratified pairs on networks that were never looked at: see README.md.

Run it by ``python experiments/stretch_tail/run.py``. Every window is a line of results.jsonl; a run
that was interrupted goes on after the last of them.
"""

import json
import math
import time
import tomllib
from pathlib import Path

from dynfrac import Axis, boundary_dimension, evaluate, make_architecture
from dynfrac.analysis.scaling import fit_window
from dynfrac.boundaries.stretch_tails import stretch_tail

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
N_DIAGONAL, N_BISECTIONS = 257, 40


def main() -> None:
    """Measure every window that has no result yet."""
    config = tomllib.loads((HERE / "config.toml").read_text())
    done = set()
    if RESULTS.exists():
        lines = RESULTS.read_text().splitlines()
        done = {(row["net"], row["span"]) for row in map(json.loads, lines)}
    for net in config["nets"]:
        map_ = make_architecture(
            "mlp", width=net["width"], nonlinearity=net["nonlinearity"], seed=net["seed"]
        )
        whole = [
            Axis(name, config["window"]["low"], config["window"]["high"])
            for name in config["window"]["names"]
        ]
        place = first_boundary_point(map_, whole, net["n_steps"])
        for span in config["spans"]:
            if (net["name"], span) in done:
                continue
            row = {"net": net["name"], "span": span, "place": place}
            row |= measure(map_, zoomed(whole, place, span), net, config)
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(net["name"], span, row["tail"]["value"], row["pairs"]["value"], flush=True)


def first_boundary_point(map_, axes, n_steps):
    """Return the first change of the label along the diagonal of the window, as a position."""

    def labels(places):
        hparams = {axis.name: axis.values(places) for axis in axes}
        return evaluate(map_, hparams, n_steps=n_steps).labels

    places = [i / (N_DIAGONAL - 1) for i in range(N_DIAGONAL)]
    seen = labels(places)
    first = next((i for i in range(1, N_DIAGONAL) if seen[i] != seen[0]), None)
    if first is None:
        return None
    low, high = places[first - 1], places[first]
    for _ in range(N_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if labels([middle])[0] == seen[0] else (low, middle)
    return low


def zoomed(axes, place, span):
    """Return a window of `span` decades around a place of the diagonal; the whole one if larger."""
    result = []
    for axis in axes:
        ends = math.log10(axis.low), math.log10(axis.high)
        if span < ends[1] - ends[0]:
            centre = ends[0] + place * (ends[1] - ends[0])
            ends = centre - span / 2, centre + span / 2
        result.append(Axis(axis.name, 10 ** ends[0], 10 ** ends[1]))
    return result


def measure(map_, axes, net, config):
    """Return both estimates of one window, and the slope of the pairs at small distances."""
    settings = {"n_steps": net["n_steps"], "seed": net["seed"]}
    start = time.perf_counter()
    tail = stretch_tail(map_, axes, budget=config["tail_budget"], **settings)
    between = time.perf_counter()
    pairs = boundary_dimension(map_, axes, budget=config["pair_budget"], method="pairs", **settings)
    seconds = between - start, time.perf_counter() - between
    return {
        "tail": tail.estimate.to_dict(),
        "still_stretching": tail.still_stretching,
        "undecided": tail.undecided,
        "escaped": float((tail.runs.t_escape >= 0).mean()),
        "pairs": pairs.to_dict(),
        "pairs_small": small_distances(pairs),
        "seconds": seconds,
    }


def small_distances(pairs):
    """Return the dimension over the smaller half of the octaves fitted, and its error."""
    if not pairs.has_value:
        return None
    low, high = pairs.window
    curve = pairs.curve
    used = (curve.x >= low) & (curve.x <= math.sqrt(low * high)) & (curve.y > 0)
    x, y, weights = curve.x[used], curve.y[used], (curve.y[used] / curve.stderr[used]) ** 2
    if len(x) < 4:
        return None
    slope = fit_window(x, y, (x[0], x[-1]), weights=weights).slope
    logs = [math.log(v) for v in x]
    mean = sum(w * v for w, v in zip(weights, logs, strict=True)) / weights.sum()
    moment = sum(w * (v - mean) ** 2 for w, v in zip(weights, logs, strict=True))
    return {"value": 2 - slope, "stderr": 1 / math.sqrt(moment), "octaves": len(x) - 1}


if __name__ == "__main__":
    main()
