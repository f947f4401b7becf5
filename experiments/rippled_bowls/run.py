"""Gradient descent on rippled parabolas: how little it takes to make a boundary fractal.

    python experiments/rippled_bowls/run.py --out rippled_bowls

`--small` is a version of seconds for the tests. Source: Liu, arXiv:2406.13971.
"""

import argparse
import json
import math
import tomllib
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import dynfrac
from dynfrac.analysis.scaling import fit_window
from dynfrac.systems.descents import RippleDescent

SMALL = {
    "counts": {"doublings": 12, "fitted": [4, 12]},
    "scan": {"eps": [0.01, 0.2], "lam": [0.1, 1.0], "doublings": 11, "fitted": [4, 11]},
    "convexity": {"lam": [0.1], "ratios": [0.5, 1.0, 2.0, 3.0], "doublings": 14},
}


class AdditiveRipple(dynfrac.AbstractMap):
    """Gradient descent on x^2 + eps cos(2 pi x / lam): a map of one's own, in a few lines."""

    rule = "bounded:1e8"

    @property
    def defaults(self):
        """Just beyond convexity."""
        return {"lr": 0.5, "eps": 1e-3, "lam": 0.1, "x0": 1.0}

    def init(self, hparams):
        """Return the start."""
        return hparams["x0"]

    def step(self, state, hparams, t):
        """Return the state after one update."""
        k = 2 * jnp.pi / hparams["lam"]
        return state - hparams["lr"] * (2 * state - hparams["eps"] * k * jnp.sin(k * state))

    def observe(self, state, hparams):
        """Return the loss."""
        return state**2 + hparams["eps"] * jnp.cos(2 * jnp.pi * state / hparams["lam"])


def count_changes(map_, ends, doublings, config, **hparams):
    """Return how often labels change on 2^n + 1 learning rates, for n = 0 ... doublings."""
    rates = np.linspace(*ends, 2**doublings + 1)
    settings = {"n_steps": config["steps"], "rule": config["rule"]}
    labels = dynfrac.evaluate(map_, {"lr": rates, **hparams}, **settings).labels
    strides = 2 ** np.arange(doublings, -1, -1)
    return [int(np.sum(labels[s::s] != labels[:-s:s])) for s in strides]


def slope(counts, fitted):
    """Return the slope of log2 counts against n: the box dimension on the axis."""
    scales = 2.0 ** np.arange(len(counts))
    return float(fit_window(scales, counts, (2.0 ** fitted[0], 2.0 ** fitted[1])).slope)


def published_counts(config):
    """Count on the published ripple, and compare."""
    part = config["counts"]
    counts = count_changes(
        RippleDescent(), (0, 1.5), part["doublings"], config, eps=0.2, lam=0.1, x0=1.0
    )
    rows = []
    for n, right in ((int(n), right) for n, right in part["published"].items()):
        if n <= part["doublings"]:
            # Labels hang on the last bit, so that correct programs differ by a few.
            tolerance = 0 if n <= 6 else max(6, 0.015 * right)
            passed = abs(counts[n] - right) <= tolerance
            rows.append({"n": n, "published": right, "counted": counts[n], "passed": passed})
    return {"rows": rows, "counts": counts, "slope": slope(counts, part["fitted"])}


def scan(config):
    """Return the dimension for each height and wavelength of the ripple."""
    part = config["scan"]
    return [
        {
            "eps": eps,
            "lam": lam,
            "dimension": slope(
                count_changes(
                    RippleDescent(), (0, 1.5), part["doublings"], config, eps=eps, lam=lam, x0=5.0
                ),
                part["fitted"],
            ),
        }
        for eps in part["eps"]
        for lam in part["lam"]
    ]


def convexity(config):
    """Return the counts of the additive ripple, below and beyond the loss of convexity."""
    part = config["convexity"]
    rows = []
    for lam in part["lam"]:
        critical = 2 * (lam / (2 * math.pi)) ** 2
        for ratio in part["ratios"]:
            counts = count_changes(
                AdditiveRipple(),
                part["lr"],
                part["doublings"],
                config,
                eps=ratio * critical,
                lam=lam,
                x0=1.0,
            )
            rows.append({"lam": lam, "ratio": ratio, "changes": counts[-1], "counts": counts})
    return rows


def draw(results, path):
    """Draw counts, scan and transition."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    counts = results["counts"]
    n = np.arange(len(counts["counts"]))
    left.semilogy(n, counts["counts"], "o-", base=2, ms=4, color="#0072B2", label="counted")
    published = [(row["n"], row["published"]) for row in counts["rows"]]
    left.semilogy(*zip(*published, strict=True), "x", base=2, color="#D55E00", label="published")
    left.set(xlabel="n, of 2^n + 1 learning rates", ylabel="label changes")
    left.set_title(f"published ripple: slope {counts['slope']:.3f}", loc="left", fontsize=10)
    for eps in sorted({row["eps"] for row in results["scan"]}):
        rows = [row for row in results["scan"] if row["eps"] == eps]
        middle.semilogx(
            [row["lam"] for row in rows], [row["dimension"] for row in rows], "o-", ms=4, label=eps
        )
    middle.set(xlabel="wavelength lam", ylabel="box dimension on the axis", ylim=(0.5, 1.3))
    middle.set_title("height and wavelength", loc="left", fontsize=10)
    middle.legend(title="eps", fontsize=8, title_fontsize=8, frameon=False, ncols=2)
    for lam in sorted({row["lam"] for row in results["convexity"]}):
        rows = [row for row in results["convexity"] if row["lam"] == lam]
        right.semilogy(
            [row["ratio"] for row in rows], [row["changes"] for row in rows], "o-", ms=4, label=lam
        )
    right.axvline(1, color="0.5", lw=1, ls="--")
    words = {"ha": "right", "va": "top", "rotation": 90, "fontsize": 8}
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    right.annotate("convex below", (1, 1), (-4, 0), **place, **words)
    right.set(xlabel="ripple, convexity ends at 1", ylabel="label changes")
    right.set_title("loss of convexity", loc="left", fontsize=10)
    right.legend(title="lam", fontsize=8, title_fontsize=8, frameon=False, loc="lower right")
    left.legend(fontsize=8, frameon=False)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main(arguments=None):
    """Count, print and keep; return whether the published values come out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("rippled_bowls"))
    parser.add_argument("--small", action="store_true", help="seconds instead of minutes")
    options = parser.parse_args(arguments)
    config = tomllib.loads(Path(__file__).with_name("config.toml").read_text())
    if options.small:
        for name, changes in SMALL.items():
            config[name] |= changes
    options.out.mkdir(parents=True, exist_ok=True)
    results = {"counts": published_counts(config), "scan": scan(config)}
    results["convexity"] = convexity(config)
    for row in results["counts"]["rows"]:
        mark = "" if row["passed"] else "   OUT"
        print(f"n = {row['n']:>2}: {row['published']} published, {row['counted']} counted{mark}")
    print(f"slope {results['counts']['slope']:.4f}, {config['counts']['slope']} published")
    for row in results["scan"]:
        print(f"eps {row['eps']:<5} lam {row['lam']:<5} dimension {row['dimension']:.3f}")
    for row in results["convexity"]:
        print(f"lam {row['lam']:<5} ripple {row['ratio']:<5} changes {row['changes']}")
    draw(results, options.out / "rippled_bowls.png")
    (options.out / "rippled_bowls.json").write_text(json.dumps(results, indent=2) + "\n")
    convex = [row["changes"] for row in results["convexity"] if row["ratio"] < 0.9]
    return all(row["passed"] for row in results["counts"]["rows"]) and max(convex) == 1


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
