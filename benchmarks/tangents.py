"""What k tangents of a training run cost, in plain training steps, and the memory they take.

One step with k tangents is a linearised training step, k pushes through it and one QR; it takes
turns with the bare compiled training step, so that a busy machine slows both alike. Every k has a
process of its own, because the peak of the resident memory never falls again; k = 0 is the bare
step alone. Compilation is excluded from times and included in the peak.

    python benchmarks/tangents.py --arch resnet20 --k 1 4 8 --repeats 10
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

import jax
import numpy as np

from dynfrac.orbits.frames import random_frame
from dynfrac.orbits.iteration import prepare
from dynfrac.orbits.lanes import perturbed_lanes
from dynfrac.orbits.tangents import propagate
from dynfrac.systems.catalogue import make_architecture
from dynfrac.systems.numerics import precision


def seconds(function):
    """Return the wall time of a call that waits for its result."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def measure(arch, n_data, k, repeats):
    """Return the figures of one k, measured in this process."""
    alive = np.array([True])
    with precision():
        problem = prepare(make_architecture(arch, n_data=n_data), None, differentiate=True)
        lanes = perturbed_lanes(problem, 1, 0)
        step = jax.jit(problem.map_.step)
        runs = [lambda: step(problem.state, problem.hparams, 0)]
        if k:
            frames = random_frame(0, k, problem.space.dimension, lanes.dtype)[None]
            runs.append(lambda: propagate(lanes, lanes.states, frames, alive, 0, 1))
        for run in runs:
            seconds(run)
        times = [[seconds(run) for run in runs] for _ in range(repeats)]
    figures = {
        "k": k,
        "dimension": problem.space.dimension,
        "step_seconds": statistics.median(row[0] for row in times),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if k:
        ratios = sorted(row[1] / row[0] / k for row in times)
        figures["steps_per_tangent"] = {
            "median": round(statistics.median(ratios), 2),
            "min": round(ratios[0], 2),
            "max": round(ratios[-1], 2),
        }
    return figures


def main():
    parser = argparse.ArgumentParser(description="Cost of k tangents in plain training steps.")
    parser.add_argument("--arch", default="resnet20")
    parser.add_argument("--n-data", type=int, default=32)
    parser.add_argument("--k", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", help="write the figures to this JSON file")
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone is not None:
        print(json.dumps(measure(options.arch, options.n_data, options.alone, options.repeats)))
        return

    rows = []
    for k in (0, *options.k):
        arguments = ["--arch", options.arch, "--n-data", str(options.n_data)]
        child = subprocess.run(
            [sys.executable, __file__, *arguments, "--repeats", str(options.repeats)]
            + ["--alone", str(k)],
            check=True,
            capture_output=True,
            text=True,
        )
        rows.append(json.loads(child.stdout))
    figures = {
        "arch": options.arch,
        "n_data": options.n_data,
        "repeats": options.repeats,
        "rows": rows,
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
