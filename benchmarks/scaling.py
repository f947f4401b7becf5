"""Whole sweeps of `published-tanh`, from process start: how they scale, and the published loop.

Every row is a process of its own, one after the other, on an idle machine; seconds are those of the
wall clock from the start of the process to its end. Parts:

* published: the loop of the published code on all cells of the sweep, in one batch
* resolution, steps, tile: `dynfrac sweep` with one of them changed
* workers: one process held to one processor, two processes, a local dask cluster of two workers
* memory: peak of a sweep of 4096 x 4096 in its first minute

    python benchmarks/scaling.py --out scaling.json --table docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dynfrac.sweeps.results import open_sweep

BEGIN, END = "<!-- scaling: begin -->", "<!-- scaling: end -->"
SWEEP = (
    sys.executable,
    "-m",
    "dynfrac",
    "sweep",
    "--preset",
    "published-tanh",
    "--quiet",
    "--json",
)

LOOP = """
import sys, time
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
from dynfrac.studies.presets import make_preset
preset = make_preset("published-tanh")
n, steps, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
x, y = (axis.points(n) for axis in preset.axes)
points = {"lr_in": np.tile(x, n), "lr_out": np.repeat(y, n)}
point = {k: np.full(n * n, v) for k, v in preset.map_.defaults.items()} | points
map_ = preset.map_
step = jax.jit(jax.vmap(lambda s, p: (map_.step(s, p, 0), map_.observe(s, p))))
states = jax.vmap(map_.init)(point)
losses = np.empty((steps, n * n))
begun = time.perf_counter()
for t in range(steps):
    states, losses[t] = step(states, point)
    if t == 0:
        begun = time.perf_counter()
np.savez(out, losses=losses[-20:], first=losses[0], seconds=time.perf_counter() - begun)
"""


def run(command, **settings):
    """Run a process to its end; return its seconds and its output."""
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, **settings)
    return time.perf_counter() - start, done.stdout


def sweep(folder, name, *words, prefix=(), tile=None):
    """Run one sweep; return its row."""
    path = folder / f"{name}.zarr"
    command = [*prefix, *SWEEP, *words, "--out", str(path)]
    if tile is not None:
        code = (
            "import sys\nfrom dynfrac.studies.presets import make_preset\n"
            "import dataclasses, dynfrac\npreset = make_preset('published-tanh')\n"
            f"axes = [dataclasses.replace(axis, n={words[1]}) for axis in preset.axes]\n"
            f"dynfrac.sweep(preset.map_, axes, n_steps={words[3]}, rule=preset.rule, tile={tile}, "
            f"out={str(path)!r}, identity=preset.identity)"
        )
        command = [*prefix, sys.executable, "-c", code]
    seconds, _ = run(command)
    found = open_sweep(path)
    cells = found.status.size
    return {
        "seconds": seconds,
        "cells": cells,
        "steps": found.spec["n_steps"],
        "tile": found.spec["tile"],
        "run_steps_per_second": cells * found.spec["n_steps"] / seconds,
        "path": str(path),
    }


def published(folder, n, steps):
    """Return rows of the published loop and of a sweep of the same cells."""
    ours = sweep(folder, "published", "--res", str(n), "--steps", str(steps))
    file = folder / "loop.npz"
    seconds, _ = run([sys.executable, "-c", LOOP, str(n), str(steps), str(file)])
    with np.load(file) as kept, np.errstate(all="ignore"):
        scaled = np.where(np.isfinite(kept["losses"]), kept["losses"], 1e6) / kept["first"]
        labels = np.minimum(scaled, 1e6).mean(axis=0) < 1
        inner = float(kept["seconds"])
    agree = float(np.mean(labels == open_sweep(ours["path"]).labels.ravel()))
    theirs = {"seconds": seconds, "cells": n * n, "steps": steps, "without_compilation": inner}
    theirs["run_steps_per_second"] = n * n * steps / seconds
    return {
        "dynfrac": ours,
        "published": theirs,
        "ratio": seconds / ours["seconds"],
        "labels_agree": agree,
    }


def same(folder, names):
    """Whether sweeps hold the same bytes in all fields."""
    first, *others = (open_sweep(folder / f"{name}.zarr") for name in names)
    return all(
        first.field(name).tobytes() == other.field(name).tobytes()
        for other in others
        for name in first.fields
    )


@contextlib.contextmanager
def dask_cluster(folder):
    """Start a scheduler and two workers with one thread and one processor each."""
    file = folder / "scheduler.json"
    bin_ = Path(sys.executable).parent
    scheduler = [bin_ / "dask", "scheduler", "--scheduler-file", file, "--host", "127.0.0.1"]
    scheduler += ["--no-dashboard", "--port", "0"]
    worker = [
        bin_ / "dask",
        "worker",
        "--scheduler-file",
        file,
        "--nthreads",
        "1",
        "--no-dashboard",
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    begun = [subprocess.Popen(list(map(str, scheduler)), **quiet)]
    while not file.exists():
        time.sleep(0.2)
    for i in range(2):
        held = ["taskset", "-c", str(i), *map(str, worker)]
        begun.append(subprocess.Popen(held, **quiet))
    time.sleep(5)
    try:
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(begun):
            process.terminate()
            process.wait()


def workers(folder, n, steps):
    """Return the throughput of two workers over that of one process on one processor."""
    words = ("--res", str(n), "--steps", str(steps))
    rows = {"one processor": sweep(folder, "one", *words, prefix=("taskset", "-c", "0"))}
    rows["--workers 2"] = sweep(folder, "two", *words, "--workers", "2")
    with dask_cluster(folder) as address:
        rows["dask, two workers"] = sweep(folder, "dask", *words, "--scheduler", address)
    one = rows["one processor"]["seconds"]
    for row in rows.values():
        row["ratio"] = one / row["seconds"]
    return {**rows, "same bytes": same(folder, ("one", "two", "dask"))}


def memory(folder, seconds=60):
    """Return the peak memory of a sweep of 4096 x 4096 in its first minute, in GiB."""
    command = [*SWEEP, "--res", "4096", "--steps", "500", "--out", str(folder / "large.zarr")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    process.send_signal(signal.SIGTERM)
    process.wait()
    return int(peak.split()[1]) / 2**20


def table(figures):
    """Return the tables in Markdown."""
    lines = []
    if "published" in figures:
        row = figures["published"]
        ours, theirs = row["dynfrac"], row["published"]
        side = round(ours["cells"] ** 0.5)
        lines += [
            f"`published-tanh`, {side} x {side} cells, {ours['steps']} steps, from process start "
            f"to its end: {theirs['seconds']:.0f} s by the published loop, {ours['seconds']:.0f} s "
            f"by `dynfrac sweep`, **{row['ratio']:.1f} times** faster; labels agree in "
            f"{row['labels_agree']:.2%} of the cells.",
            "",
        ]
    if "workers" in figures:
        rows = {k: v for k, v in figures["workers"].items() if isinstance(v, dict)}
        first = next(iter(rows.values()))
        side = round(first["cells"] ** 0.5)
        lines += [
            f"| {side} x {side} cells, {first['steps']} steps | seconds | throughput |",
            "| --- | --- | --- |",
        ]
        lines += [f"| {k} | {v['seconds']:.0f} | {v['ratio']:.2f} |" for k, v in rows.items()]
        equal = "the same bytes" if figures["workers"]["same bytes"] else "DIFFERENT bytes"
        lines += ["", f"All hold {equal}.", ""]
    if "scaling" in figures:
        lines += [
            "| changed | cells | steps | tile | seconds | run-steps a second |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for name, row in figures["scaling"].items():
            edges = " x ".join(map(str, row["tile"]))
            lines.append(
                f"| {name} | {row['cells']} | {row['steps']} | {edges} | {row['seconds']:.1f} "
                f"| {row['run_steps_per_second']:.3g} |"
            )
        lines.append("")
    if "memory" in figures:
        lines += [
            f"Peak memory of a 4096 x 4096 sweep in its first minute: {figures['memory']:.2f} GiB.",
            "",
        ]
    return "\n".join(lines)


def scaling(folder):
    """Return rows of sweeps with one thing changed."""
    rows = {}
    for n in (32, 64, 128):
        rows[f"resolution {n}"] = sweep(folder, f"n{n}", "--res", str(n), "--steps", "500")
    for steps in (100, 2000):
        words = ("--res", "64", "--steps", str(steps))
        rows[f"steps {steps}"] = sweep(folder, f"t{steps}", *words)
    for tile in (64, 4096):
        words = ("--res", "64", "--steps", "500")
        rows[f"tiles of {tile}"] = sweep(folder, f"tile{tile}", *words, tile=tile)
    return rows


PARTS = {
    "published": lambda folder: published(folder, 128, 500),
    "workers": lambda folder: workers(folder, 192, 500),
    "scaling": scaling,
    "memory": memory,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--out", required=True, help="the figures, JSON; parts that it has are kept"
    )
    parser.add_argument("--table", help="write the tables into this page")
    options = parser.parse_args()
    out = Path(options.out)
    figures = json.loads(out.read_text()) if out.exists() else {}
    for name in options.parts:
        folder = Path(tempfile.mkdtemp())
        try:
            figures[name] = PARTS[name](folder)
        finally:
            shutil.rmtree(folder)
        figures["cpus"] = os.cpu_count()
        out.write_text(json.dumps(figures, indent=2) + "\n")
        print(json.dumps({name: figures[name]}), flush=True)
    if options.table:
        page = Path(options.table)
        before, rest = page.read_text().split(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{table(figures)}{END}{rest.split(END)[1]}")
    print(table(figures))


if __name__ == "__main__":
    main()
