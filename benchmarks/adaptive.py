"""Adaptive pictures against the dense one: boundary cells found and invented, runs, time.

A dense sweep is made first, or given as `--dense STORE`. Refinements are then replayed on it: the
adaptive sweep asks for runs, and is given those of the dense one. With `--timed` the default one
is run for real as well, and timed.

    python benchmarks/adaptive.py --dense tanh-1024.zarr --timed --out adaptive.json
"""

import argparse
import dataclasses
import json
import os
import tempfile
from pathlib import Path

import jax
import numpy as np

from dynfrac.analysis.labels import boundary_cells
from dynfrac.studies.presets import make_preset
from dynfrac.sweeps.recomputation import remake
from dynfrac.sweeps.refinement import Refinement
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.sweeps.stores import open_store
from dynfrac.sweeps.workers import Workers


class Replay(Workers):
    """Answers what is asked with the outcomes of a dense sweep."""

    def __init__(self, dense):
        self.fields = {name: dense.field(name) for name in dense.fields}
        self.points = {a.name: p for a, p in zip(dense.axes, dense.points, strict=True)}

    def run(self, job, tasks):
        device = jax.devices()[0].device_kind
        for key, columns in tasks:
            names = list(self.points)[::-1]  # the last axis first, as arrays have it
            at = tuple(np.searchsorted(self.points[name], columns[name]) for name in names)
            for name, i in zip(names, at, strict=True):
                np.testing.assert_array_equal(self.points[name][i], columns[name])
            yield key, {name: field[at] for name, field in self.fields.items()}, device


def against(dense, found):
    """Return what an adaptive sweep found of a dense one's boundary, and what it cost."""
    true, seen = boundary_cells(dense.labels), boundary_cells(found.labels)
    return {
        "stride": found.spec["adaptive"]["stride"],
        "guard": found.spec["adaptive"]["guard"],
        "found": round(float((true & seen).sum() / true.sum()), 5),
        "invented": int((seen & ~true).sum()),
        "wrong_labels": int((dense.labels != found.labels).sum()),
        "runs": round(float(found.was_run.mean()), 5),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="published-tanh")
    parser.add_argument("--res", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--dense", help="a finished dense sweep, in place of those three")
    parser.add_argument("--strides", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--guards", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--timed", action="store_true")
    parser.add_argument("--out", help="write the figures to this JSON file")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        if options.dense is None:
            options.dense = os.path.join(folder, "dense.zarr")
            made = make_preset(options.preset, steps=options.steps)
            sweep(
                made.map_,
                [dataclasses.replace(axis, n=options.res) for axis in made.axes],
                n_steps=made.n_steps,
                rule=made.rule,
                record=made.record or (),
                out=options.dense,
                identity=made.identity,
            )
        dense = open_sweep(options.dense)
        arguments = remake(open_store(options.dense))
        rows = []
        for stride in options.strides:
            for guard in options.guards:
                settings = {**arguments, "adaptive": Refinement(stride, guard)}
                path = Path(folder, f"{stride}-{guard}.zarr")
                found = sweep(**settings, out=path, workers=Replay(dense))
                rows.append(against(dense, found))
                print(json.dumps(rows[-1]), flush=True)
        figures = {
            "map": dense.spec["map"],
            "shape": dense.shape,
            "steps": dense.spec["n_steps"],
            "boundary_cells": round(float(boundary_cells(dense.labels).mean()), 5),
            "rows": rows,
            "jax": jax.__version__,
        }
        if options.timed:
            found = sweep(**arguments, out=Path(folder, "timed.zarr"), adaptive=True)
            figures["timed"] = {
                **against(dense, found),
                "seconds": round(found.seconds, 1),
                "compile_seconds": round(found.compile_seconds, 1),
                "cpus": os.cpu_count(),
            }
    print(json.dumps(figures, indent=2))
    if options.out:
        Path(options.out).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
