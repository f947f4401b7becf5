"""Run-steps a second of `published-tanh`: dynfrac's evaluator against the published loop.

The published way: one jitted, vmapped training step; all cells in one batch; a Python loop over
the steps; every run carried to the end. Both sides compute the same cells in float64, are warm
(compilation is excluded), and take turns, so that a busy machine slows both alike. A run-step is
one step of one run *asked for*: cells x steps over wall time.

    python benchmarks/throughput.py --res 64 --steps 500 --repeats 3
"""

import argparse
import json
import math
import os
import platform
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import evaluate
from dynfrac.systems.numerics import precision
from dynfrac.systems.published import published_map


def published_loop(map_, lr_in, lr_out, n_steps):
    """Return a function that runs the published loop once and gives the signed measure."""
    inputs, targets = jnp.asarray(map_.data.inputs), jnp.asarray(map_.data.targets)

    def loss(weights):
        x = inputs
        for w in weights:
            z = x @ w / math.sqrt(w.shape[0])
            x = jnp.tanh(z * math.sqrt(2))
        return jnp.mean((z / math.sqrt(w.shape[0]) - targets) ** 2)

    def step(weights, rates):
        value, gradient = jax.value_and_grad(loss)(weights)
        return [w - r * g for w, r, g in zip(weights, rates, gradient, strict=True)], value

    batched = jax.jit(jax.vmap(step), donate_argnums=0)

    def run():
        weights = [jnp.tile(w, (len(lr_in), 1, 1)) for w in map_.variables["params"]]
        losses = []
        for _ in range(n_steps):
            weights, value = batched(weights, [lr_in, lr_out])
            losses.append(value)
        v = np.stack(losses)
        v = np.where(np.isfinite(v), v, 1e6)
        v = np.minimum(v / v[0], 1e6)
        return np.where(v[-20:].mean(axis=0) < 1, -v.sum(axis=0), (1 / v).sum(axis=0))

    return run


def seconds(function):
    """Return the wall time of one call and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--res", type=int, default=64)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", help="write the figures to this JSON file")
    options = parser.parse_args()

    map_ = published_map()
    points = Axis("lr_in", 1e-3, 1e6).points(options.res)
    lr_in, lr_out = (column.ravel() for column in np.meshgrid(points, points))
    work = len(lr_in) * options.steps

    def ours():
        return evaluate(map_, {"lr_in": lr_in, "lr_out": lr_out}, n_steps=options.steps)

    with precision():
        theirs = published_loop(map_, jnp.asarray(lr_in), jnp.asarray(lr_out), options.steps)
        published_loop(map_, jnp.asarray(lr_in), jnp.asarray(lr_out), 2)()
    evaluate(map_, {"lr_in": lr_in, "lr_out": lr_out}, n_steps=60)

    rates: dict[str, list[float]] = {"published": [], "dynfrac": []}
    for _ in range(options.repeats):
        with precision():
            wall, measure = seconds(theirs)
        rates["published"].append(work / wall)
        wall, outcomes = seconds(ours)
        rates["dynfrac"].append(work / wall)
    ratios = [b / a for a, b in zip(rates["published"], rates["dynfrac"], strict=True)]
    figures = {
        "preset": "published-tanh",
        "shape": [options.res, options.res],
        "steps": options.steps,
        "run_steps_per_second": {k: round(statistics.median(v)) for k, v in rates.items()},
        "ratio": {
            "median": round(statistics.median(ratios), 2),
            "min": round(min(ratios), 2),
            "max": round(max(ratios), 2),
        },
        "labels_agree": float(np.mean((measure < 0) == outcomes.labels)),
        "lanes": outcomes.conditions["lanes"],
        "cpus": os.cpu_count(),
        "jax": jax.__version__,
        "machine": platform.machine(),
    }
    print(json.dumps(figures, indent=2))
    if options.out:
        with open(options.out, "w") as file:
            json.dump(figures, file, indent=2)


if __name__ == "__main__":
    main()
