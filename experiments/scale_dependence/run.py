"""D(scale) of trainability boundaries: pairs over many octaves, a dense sweep over the few it sees.

    python experiments/scale_dependence/run.py --out scale_dependence

Sweeps are kept under the folder and resumed; `--res` and `--budget` make a smaller run.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

import dynfrac
from dynfrac import Axis
from dynfrac.analysis.uncertainty import local_uncertainty_exponents
from dynfrac.boundaries.journals import Journal
from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pair_fits import dimension_estimate, scale_dimensions
from dynfrac.boundaries.pairs import draw_pairs

AXES = Axis("lr_in", 1e-3, 1e6), Axis("lr_out", 1e-3, 1e6)
NETS = {"width 8, 100 steps": (8, 100), "width 16, 500 steps": (16, 500)}
SEED = 0
COLUMNS = "scale", "pairs", "pairs_stderr", "sweep", "sweep_stderr", "sigmas", "pair_sigmas"


def from_pairs(width, n_steps, budget, file):
    """Return the estimate of pairs and their D(scale), over one octave and over two."""
    map_ = dynfrac.make_architecture("mlp", width=width)
    identity = {"width": width, "n_steps": n_steps, "budget": budget, "seed": SEED}
    with Journal(file, identity) as journal:
        oracle = Oracle(map_, AXES, budget=budget, n_steps=n_steps, journal=journal)
        pairs = draw_pairs(oracle, seed=SEED)
    curves = [scale_dimensions(pairs, seed=SEED, octaves=octaves) for octaves in (1, 2)]
    return dimension_estimate(pairs, seed=SEED), *curves


def from_sweep(width, n_steps, res, store):
    """Return D(scale) of a dense sweep, by octave, against scales in units of the window."""
    axes = [Axis(axis.name, axis.low, axis.high, res) for axis in AXES]
    # The same store as `dynfrac sweep --arch mlp --arg width=... --out` makes.
    identity = {"architecture": "mlp", "arguments": {"width": width}}
    map_ = dynfrac.make_architecture("mlp", width=width)
    swept = dynfrac.sweep(map_, axes, n_steps=n_steps, out=store, identity=identity)
    local = local_uncertainty_exponents(swept.labels, octaves=1)
    return local.x / (res - 1), 2 - local.y, local.stderr


def compare(curve, sweep):
    """Return the octaves that both know: scale, both dimensions and errors, combined errors."""
    rows = []
    for x, y, stderr in zip(*sweep, strict=True):
        nearest = int(np.argmin(abs(np.log(curve.x / x))))
        if abs(np.log2(curve.x[nearest] / x)) < 0.25:
            apart, error = abs(curve.y[nearest] - y), curve.stderr[nearest]
            # The error of a sweep is that of other windows like it, which is too much here; the
            # last column does without it.
            sigmas = apart / np.hypot(error, stderr), apart / error
            rows.append((x, curve.y[nearest], error, y, stderr, *sigmas))
    return rows


def draw(results, path):
    """Draw D(scale) of all networks."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    for axes, (title, (estimate, curve, sweep)) in zip(panels, results.items(), strict=True):
        low, high = estimate.ci_low, estimate.ci_high
        axes.axhspan(low, high, color="0.9", label=f"fit of all scales: {estimate.value:.2f}")
        for x, y, error, colour, label in (
            (curve.x, curve.y, curve.stderr, "#0072B2", "pairs, windows of two octaves"),
            (*sweep, "#D55E00", "dense sweep, of one octave"),
        ):
            axes.errorbar(x, y, yerr=2 * error, fmt="o", ms=3, lw=1, color=colour, label=label)
        axes.set_xscale("log", base=2)
        axes.set_ylim(0.8, 2.6)
        axes.set(title=title, xlabel="scale in units of the window (9 decades)")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("local dimension, 2 standard errors")
    panels[0].legend(frameon=False, loc="upper left", fontsize=8)
    figure.savefig(path, dpi=160)


def main():
    """Measure the networks, print what came out, and write it with a figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("scale_dependence"))
    parser.add_argument("--res", type=int, default=1024)
    parser.add_argument("--budget", type=int, default=200_000)
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = {}
    record = {"jax": jax.__version__, "dtype": "float64", "seed": SEED}
    record |= {"res": options.res, "budget": options.budget}
    for title in options.nets:
        width, n_steps = NETS[title]
        started = time.perf_counter()
        file = options.out / f"width{width}-{options.budget}.journal"
        estimate, octave, curve = from_pairs(width, n_steps, options.budget, file)
        seconds = time.perf_counter() - started
        store = options.out / f"width{width}-{options.res}.zarr"
        sweep = from_sweep(width, n_steps, options.res, store)
        rows = compare(octave, sweep)
        results[title] = estimate, curve, sweep
        agree = [float(np.mean([row[i] <= 2 for row in rows])) if rows else None for i in (-2, -1)]
        record[title] = {
            "estimate": estimate.to_dict(),
            "octaves": len(octave),
            "seconds": round(seconds),
            "shared": [dict(zip(COLUMNS, row, strict=True)) for row in rows],
            "within_two_errors": agree[0],
            "within_two_errors_of_pairs": agree[1],
        }
        print(
            f"{title}: D = {estimate.value:.3f} +- {estimate.stderr:.3f}, {len(octave)} octaves, "
            f"{estimate.n_runs} runs, {seconds:.0f} s"
        )
        for flag in estimate.flags:
            print(f"  {flag}")
        for x, pairs, pairs_error, dense, dense_error, apart, apart_alone in rows:
            print(
                f"  2^{np.log2(x):.1f}: pairs {pairs:.3f} +- {pairs_error:.3f}, "
                f"sweep {dense:.3f} +- {dense_error:.3f}, {apart:.1f} errors apart "
                f"({apart_alone:.1f} of the pairs' own)"
            )
    (options.out / "result.json").write_text(json.dumps(record, indent=2, default=float) + "\n")
    draw(results, options.out / "scale_dependence.png")


if __name__ == "__main__":
    main()
