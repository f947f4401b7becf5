"""Run-steps a second of networks: the evaluator, the published way, and the floor of the machine.

The published way: a jitted training step called from a Python loop, every run carried to its end;
for the published conditions all cells in one vmapped batch, for the others one run after the
other. Both sides compute the same cells in the type of the network, are warm (compilation is
excluded) and take turns. A run-step is one step of one run *asked for*.

The floor is what the matrix products and the tanh of one step would take at the rates at which
this machine does nothing else, on all processors: products of large matrices, tanh within the
cache. The share of it is that of runs which live to the end, neither settled nor escaped.

    python benchmarks/conditions.py --out conditions.json --table docs/benchmarks.md
"""

import argparse
import json
import math
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params

from dynfrac.orbits.evaluator import Evaluator
from dynfrac.orbits.kernels import read
from dynfrac.studies.presets import make_preset
from dynfrac.systems.batches import FullBatch
from dynfrac.systems.catalogue import make_architecture
from dynfrac.systems.numerics import cast_floats, choose_dtype, precision
from dynfrac.systems.resnets import ResNet

PUBLISHED = ("tanh", "relu", "identity", "minibatch", "single", "offset")

# Name -> (how it is made, cells along a side, steps, all cells in one batch).
CASES = {
    **{f"published-{name}": (None, 24, 500, True) for name in PUBLISHED},
    "shallow300": (("kyhdc-shallow300", {}), 3, 300, False),
    "small resnet8": (("resnet8", {"width": 0.25, "image_size": 14, "n_data": 32}), 3, 100, False),
    "resnet20": (("resnet20", {"n_data": 32}), 1, 100, False),
}
BEGIN, END = "<!-- conditions: begin -->", "<!-- conditions: end -->"


def make_case(name):
    """Return a map, the points of its cells, and the axes that they are from."""
    made, side, steps, batched = CASES[name]
    if made is None or made[0].startswith("kyhdc"):
        preset = make_preset(name if made is None else made[0], steps=steps)
        map_, axes = preset.map_, preset.axes
        dtype = preset.dtype
    else:
        map_, dtype = make_architecture(made[0], **made[1]), None
        axes = ()
    if axes:
        grids = np.meshgrid(*(axis.points(side) for axis in axes))
        points = {axis.name: grid.ravel() for axis, grid in zip(axes, grids, strict=True)}
    else:  # rates at which runs neither settle nor escape
        points = {"lr": np.geomspace(0.01, 0.1, side * side)}
    return map_, points, axes, steps, dtype, batched


def plain_loop(map_, points, n_steps, real, batched):
    """Return a function that runs the published loop once and gives all losses, (steps, runs)."""
    if isinstance(map_.model, ResNet):  # with the usual convolutions
        map_ = map_.replace(model=map_.model.replace(looped=False))
    placed = jax.device_put(cast_floats(map_, real))

    def step(state, point, t):
        loss = read(placed, ("loss",), state, point)[0]
        return placed.step(state, point, t), loss

    start = jax.jit(jax.vmap(lambda point: cast_floats(placed.init(point), real)))
    full = {**map_.defaults, **points}
    columns = {k: jnp.asarray(np.broadcast_to(v, n_runs(points)), real) for k, v in full.items()}
    if batched:
        jitted = jax.jit(jax.vmap(step, in_axes=(0, 0, None)), donate_argnums=0)
    else:
        jitted = jax.jit(step, donate_argnums=0)

    def run(n_steps=n_steps):
        states = start(columns)
        if batched:
            losses = []
            for t in range(n_steps):
                states, loss = jitted(states, columns, t)
                losses.append(loss)
            return np.stack(losses)
        curves = []
        for i in range(n_runs(points)):
            state, point = jax.tree.map(lambda v, i=i: v[i], (states, columns))
            losses = []
            for t in range(n_steps):
                state, loss = jitted(state, point, t)
                losses.append(loss)
            curves.append(np.stack(losses))
        return np.stack(curves, axis=1)

    run(2)
    return run


def n_runs(points):
    return len(next(iter(points.values())))


def operations(jaxpr):
    """Count the floating-point operations of products and the elements of tanh in a program."""
    flops = elements = 0
    for equation in jaxpr.eqns:
        name, out = equation.primitive.name, equation.outvars[0].aval
        if name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            flops += 2 * math.prod(out.shape) * math.prod(shape[i] for i in contracted)
        elif name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            spec = equation.params["dimension_numbers"].rhs_spec
            flops += 2 * math.prod(out.shape) * math.prod(kernel) // kernel[spec[0]]
        elif name == "tanh":
            elements += math.prod(out.shape)
        times = equation.params.get("length", 1) if name == "scan" else 1
        for inner in jaxprs_in_params(equation.params):
            more = operations(inner)
            flops, elements = flops + times * more[0], elements + times * more[1]
    return flops, elements


def step_operations(map_, points, real):
    """Return the operations of one step of one run and of the loss recorded with it."""
    point = {k: jnp.asarray(v, real) for k, v in map_.defaults.items()}
    point |= {k: jnp.asarray(v[0], real) for k, v in points.items()}
    placed = cast_floats(map_, real)
    state = cast_floats(placed.init(point), real)
    counts = operations(jax.make_jaxpr(lambda s, p: placed.step(s, p, 0))(state, point).jaxpr)
    if isinstance(map_.batches, FullBatch):
        return counts  # the loss is that of the step's own forward pass
    loss = jax.make_jaxpr(lambda s, p: read(placed, ("loss",), s, p))(state, point).jaxpr
    return tuple(a + b for a, b in zip(counts, operations(loss), strict=True))


def machine_rates(real):
    """Return operations a second of large products, and tanh a second within the cache."""
    side = 2048
    a = jnp.ones((side, side), real)
    product = jax.jit(lambda a: a @ a)
    values = jnp.linspace(-3, 3, 2**13, dtype=real)
    rounds = 400
    tanh = jax.jit(lambda x: jax.lax.fori_loop(0, rounds, lambda i, x: jnp.tanh(1.5 * x), x))
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

    def one_core(_):
        with precision():  # the setting is the thread's own
            tanh(values).block_until_ready()

    def all_cores():
        with ThreadPoolExecutor(n_cores) as pool:
            list(pool.map(one_core, range(n_cores)))

    flops = 2 * side**3 / best(lambda: product(a).block_until_ready())
    return flops, n_cores * rounds * len(values) / best(all_cores)


def best(function, repeats=5):
    function()
    return min(timed(function)[0] for _ in range(repeats))


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def long_lived(evaluator, map_, axes, points, count, seed=0):
    """Return points whose runs neither settle nor escape before the end."""
    if not axes:
        return points
    rng = np.random.default_rng(seed)
    n = 8 * count
    drawn = {
        axis.name: np.exp(rng.uniform(np.log(axis.low), np.log(axis.high), n)) for axis in axes
    }
    longer, shorter = evaluator(drawn), shortened(evaluator)(drawn)
    alive = np.isfinite(longer.final_loss) & (longer.final_loss != shorter.final_loss)
    alive &= longer.final_loss < 1e6
    chosen = np.flatnonzero(alive)
    chosen = np.resize(chosen, count)
    return {name: values[chosen] for name, values in drawn.items()}


def shortened(evaluator):
    """Return an evaluator that stops two looks earlier: a run that has settled gives one loss."""
    return Evaluator(
        evaluator.map_,
        n_steps=evaluator.n_steps - 50,
        rule=evaluator.rule,
        lanes=evaluator.lanes,
        dtype=str(evaluator.real),
    )


def measure(name, repeats, rates):
    """Return the row of one case."""
    map_, points, axes, steps, dtype, batched = make_case(name)
    real = choose_dtype(map_, dtype)
    ours = Evaluator(map_, n_steps=steps, dtype=str(real))
    work = n_runs(points) * steps
    ours(points)
    with precision():
        theirs = plain_loop(map_, points, steps, real, batched)
    # The published label of both sides: whether the last twenty losses are below the first.
    judged = Evaluator(map_, n_steps=steps, dtype=str(real), rule="published")(points).labels
    seconds = {"published": [], "dynfrac": []}
    for _ in range(repeats):
        with precision():
            wall, losses = timed(theirs)
        seconds["published"].append(wall)
        wall, _ = timed(lambda: ours(points))
        seconds["dynfrac"].append(wall)
    alive = long_lived(ours, map_, axes, points, 256 if batched else n_runs(points))
    lived = n_runs(alive) * steps / min(timed(lambda: ours(alive))[0] for _ in range(repeats))
    with precision():
        flops, elements = step_operations(map_, points, real)
        if str(real) not in rates:
            rates[str(real)] = machine_rates(real)
    peak, tanh = rates[str(real)]
    floor = 1 / (flops / peak + elements / tanh)
    pairs = zip(seconds["published"], seconds["dynfrac"], strict=True)
    ratios = sorted(a / b for a, b in pairs)
    with np.errstate(all="ignore"):
        scaled = np.where(np.isfinite(losses), losses, 1e6) / losses[0]
        labels = np.minimum(scaled, 1e6)[-20:].mean(axis=0) < 1
    return {
        "case": name,
        "dtype": str(real),
        "cells": n_runs(points),
        "steps": steps,
        "lanes": ours.lanes,
        "run_steps_per_second": {k: work / statistics.median(v) for k, v in seconds.items()},
        "ratio": [statistics.median(ratios), ratios[0], ratios[-1]],
        "labels_agree": float(np.mean(labels == judged)),
        "operations": flops,
        "tanh": elements,
        "floor": floor,
        "long_lived": lived,
        "share_of_floor": lived / floor,
    }


def table(figures):
    """Return the table in Markdown."""
    lines = [
        "| network | type | cells x steps | published way | dynfrac | ratio (range) "
        "| labels agree | long-lived runs | floor | share |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in figures["rows"]:
        rate = row["run_steps_per_second"]
        middle, least, most = row["ratio"]
        lines.append(
            f"| {row['case']} | {row['dtype']} | {row['cells']} x {row['steps']} "
            f"| {rate['published']:.3g} | {rate['dynfrac']:.3g} "
            f"| {middle:.2f} ({least:.2f} to {most:.2f}) | {row['labels_agree']:.1%} "
            f"| {row['long_lived']:.3g} "
            f"| {row['floor']:.3g} | {row['share_of_floor']:.0%} |"
        )
    peak = ", ".join(
        f"{real}: {flops / 1e9:.0f} GFLOP/s, {tanh:.2g} tanh a second"
        for real, (flops, tanh) in figures["rates"].items()
    )
    lines += ["", f"{figures['cpus']} processors, jax {figures['jax']}; {peak}."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", help="write the figures to this JSON file")
    parser.add_argument("--table", help="write the table into this page")
    options = parser.parse_args()
    rates, rows = {}, []
    for name in options.cases:
        rows.append(measure(name, options.repeats, rates))
        print(json.dumps(rows[-1]), flush=True)
    figures = {"rows": rows, "rates": rates, "cpus": os.cpu_count(), "jax": jax.__version__}
    if options.out:
        Path(options.out).write_text(json.dumps(figures, indent=2) + "\n")
    if options.table:
        page = Path(options.table)
        before, rest = page.read_text().split(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{table(figures)}\n{END}{rest.split(END)[1]}")
    print(table(figures))


if __name__ == "__main__":
    main()
