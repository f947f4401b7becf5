"""Seconds and memory of a correlation sum: uniform points in a cube, radii that span the scaling.

The radii are geometric, from the one that holds some hundred close pairs to the one that holds a
tenth of all. Memory is the growth of the largest resident set of the process.

    python benchmarks/correlation_sum.py --points 100000 --dimensions 3 --radii 16
"""

import argparse
import json
import os
import platform
import resource
import statistics
import time

import numpy as np
import scipy

from dynfrac.analysis.correlations import correlation_sum
from dynfrac.analysis.pair_counts import count_pairs


def peak_memory():
    """Return the largest resident set so far, in MiB."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=3)
    parser.add_argument("--radii", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", help="write the figures to this JSON file")
    options = parser.parse_args()

    n, d = options.points, options.dimensions
    points = np.random.default_rng(0).random((n, d))
    volume = np.pi ** (d / 2) / np.exp(float(scipy.special.gammaln(d / 2 + 1)))
    largest = (0.1 / volume) ** (1 / d)
    smallest = (200 / n**2 / volume) ** (1 / d)
    radii = np.geomspace(smallest, largest, options.radii)

    before = peak_memory()
    seconds: dict[str, list[float]] = {"correlation_sum": [], "in 32 blocks": []}
    for _ in range(options.repeats):
        start = time.perf_counter()
        curve = correlation_sum(points, radii)
        seconds["correlation_sum"].append(time.perf_counter() - start)
        start = time.perf_counter()
        counts = count_pairs(points, radii, n_blocks=32)
        seconds["in 32 blocks"].append(time.perf_counter() - start)
        assert np.allclose(curve.y, counts.fraction)
    figures = {
        "points": [n, d],
        "radii": options.radii,
        "close_pairs": [round(float(share) * n * (n - 1) / 2) for share in curve.y[[0, -1]]],
        "seconds": {k: round(statistics.median(v), 2) for k, v in seconds.items()},
        "memory_mib": round(peak_memory() - before),
        "cpus": os.cpu_count(),
        "scipy": scipy.__version__,
        "machine": platform.machine(),
    }
    print(json.dumps(figures, indent=2))
    if options.out:
        with open(options.out, "w") as file:
            json.dump(figures, file, indent=2)


if __name__ == "__main__":
    main()
