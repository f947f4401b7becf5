"""Box counts of large label pictures: time for each scale, memory, and porespy's counter beside it.

Each size runs in a process of its own, so that its peak of memory is its own. The labels are a
Cantor set times a curve (dimension 1.81), whose boundary touches a large part of all boxes. dynfrac
counts every size at all positions of the grid, with a bootstrap; porespy (the extra `benchmark`)
at one position. Both take the same dyadic sizes; porespy's time at the smallest ones is that of a
crop, scaled by area, because it looks at every box in turn.

    python benchmarks/box_counting.py --out box_counting.json
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.coverings import box_sizes, count_boxes
from dynfrac.analysis.labels import boundary_cells

CROP = 1024


def cantor_times_curve(n):
    """Return labels (n, n): the parity of the step at which a two-scale open tent map is left."""
    x = np.linspace(0, 1, n)
    labels = np.empty((n, n), bool)
    for row, y in enumerate(x):
        u = 0.02 + 0.96 * ((x + 0.37 * y + 0.08 * np.sin(2 * np.pi * y)) % 1)
        parity, alive = np.zeros(n, bool), np.ones(n, bool)
        for step in range(60):
            stays = alive & ((u < 0.45) | (u > 0.6))
            parity[alive & ~stays] = step % 2
            u = np.where(stays, np.where(u < 0.45, u / 0.45, (u - 0.6) / 0.4), 0.5)
            alive = stays
        labels[row] = parity
    return labels


def seconds(function):
    """Return the wall time of one call, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def peak_bytes():
    """Return the largest resident memory of this process so far, where the system tells."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(match.group(1)) * 1024 if match else None


def measure(n):
    """Return the figures of one size of picture."""
    labels = cantor_times_curve(n)
    before = peak_bytes()
    total, estimate = seconds(lambda: box_dimension(labels))
    after = peak_bytes()
    occupied = boundary_cells(labels)
    sizes = box_sizes((n - 1) // 4)
    dyadic = 2 ** np.arange(int(np.log2((n - 1) // 4)) + 1)
    all_scales, _ = seconds(lambda: count_boxes(occupied, sizes, 8))
    dyadic_scales, counts = seconds(lambda: count_boxes(occupied, dyadic, 8))
    record = {
        "n": n,
        "seconds": total,
        "value": estimate.value,
        "stderr": estimate.stderr,
        "scales": len(sizes),
        "seconds_per_scale": all_scales / len(sizes),
        "dyadic_scales": len(dyadic),
        "seconds_per_dyadic_scale": dyadic_scales / len(dyadic),
        "peak_bytes": after,
        "peak_bytes_before": before,
    }
    if importlib.util.find_spec("porespy") is not None:
        record["porespy"] = porespy_seconds(occupied, dyadic, counts.sum(axis=0))
        mean = float(np.mean(list(record["porespy"]["seconds"].values())))
        record["porespy"]["seconds_per_dyadic_scale"] = mean
        record["porespy"]["ratio"] = mean / record["seconds_per_dyadic_scale"]
        default = record["porespy"]["seconds_default_sizes"] / 10
        record["porespy"]["ratio_default_sizes"] = default / record["seconds_per_scale"]
    return record


def porespy_seconds(occupied, sizes, counts):
    """Return porespy's time for each size, and its counts over ours."""
    import porespy

    porespy.settings.tqdm["disable"] = True
    times, ratios, scaled = {}, {}, []
    for size, count in zip(sizes.tolist(), counts, strict=True):
        # Millions of boxes take hours one by one.
        crop = occupied[:CROP, :CROP] if size < 8 and len(occupied) > CROP else occupied
        # Its slope needs two sizes; the second, a single box, costs nothing.
        pair = [size, len(crop)]
        elapsed, result = seconds(lambda crop=crop, pair=pair: porespy.metrics.boxcount(crop, pair))
        area = occupied.size / crop.size
        scaled += [size] if area > 1 else []
        times[size] = elapsed * area
        ratios[size] = float(result.count[0] * area / count)
    default, _ = seconds(lambda: porespy.metrics.boxcount(occupied))
    return {
        "version": porespy.__version__,
        "seconds": times,
        "scaled_by_area": scaled,
        "count_over_ours": ratios,
        "seconds_default_sizes": default,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096, 8192])
    parser.add_argument("--out", help="write the figures to this JSON file")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    rows = []
    for n in options.sizes:
        command = [sys.executable, "-W", "ignore", __file__, "--one", str(n)]
        process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(process.stdout.splitlines()[-1]))
        row = rows[-1]
        line = f"{n:6d} px  {row['seconds']:6.2f} s  {row['seconds_per_scale']:.4f} s per scale"
        if row["peak_bytes"]:
            line += f"  peak {row['peak_bytes'] / 2**30:.2f} GiB"
        if "porespy" in row:
            line += f"  porespy {row['porespy']['ratio']:.0f} times slower per dyadic scale"
            line += f", {row['porespy']['ratio_default_sizes']:.0f} at its own sizes"
        print(line, flush=True)
    record = {
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "numpy": np.__version__,
        "rows": rows,
    }
    if options.out:
        Path(options.out).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
