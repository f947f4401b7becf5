"""Gradient descent on a double well: every phase of a training run, against the closed forms.

    python experiments/cubic_descent/run.py --out cubic_descent

`--small` is a version of seconds, with looser tolerances, for the tests.
"""

import argparse
import json
import math
import tomllib
from pathlib import Path

import numpy as np
from scipy.optimize import brentq

import dynfrac
from dynfrac import Axis
from dynfrac.boundaries.pressures import pressure_dimension
from dynfrac.boundaries.saddles import saddle_rates
from dynfrac.plots.diagrams import orbit_figure
from dynfrac.systems.descents import CubicDescent

MAP = CubicDescent()
SMALL = {"points": 100, "steps": 2000, "runs": 4000, "budget": 8000}


def row(quantity, known, value, stderr, tolerance, source):
    """Return a line of the table; it passes within the tolerance and two standard errors."""
    spread = 0.0 if stderr is None or math.isnan(stderr) else 2 * stderr
    return {
        "quantity": quantity,
        "known": known,
        "measured": float(value),
        "stderr": None if stderr is None else float(stderr),
        "passed": bool(abs(value - known) <= tolerance + spread),
        "source": source,
    }


def exponents(config):
    """Yield the exponent of descent below, in and at the end of chaos."""
    for entry in config["exponents"]:
        found = dynfrac.max_lyapunov(MAP, {"lr": entry["lr"]}, n_steps=50 * config["steps"])
        name = f"exponent at lr = {entry['lr']}"
        yield row(name, entry["known"], found.value, found.stderr, 2e-3, entry["source"])


def superstable(config):
    """Yield the rates at which the minimum of the map lies on a cycle of 2^k steps, and delta.

    The critical point sqrt((1 + lr) / (3 lr)) is on the cycle where it returns to itself.
    """
    known = config["superstable"]["known"]
    found = [0.5]
    for k in range(1, len(known)):

        def returned(lr, n_steps=2**k):
            critical = math.sqrt((1 + lr) / (3 * lr))
            orbit = dynfrac.iterate(
                MAP, {"lr": lr, "w0": critical}, n_steps=n_steps + 1, keep_states=True
            )
            return float(orbit.states[-1, 0]) - critical

        # The next one lies beyond the last by about a 4.67th of the step before.
        step = found[-1] - found[-2] if k > 1 else 4.67 * 0.62
        ahead = found[-1] + step / 4.67
        found.append(brentq(returned, ahead - 0.1 * step, ahead + 0.06 * step, xtol=1e-13))
    for k, (value, right) in enumerate(zip(found, known, strict=True)):
        yield row(f"superstable cycle of {2**k} steps", right, value, None, 1e-6, "computed twice")
    gaps = np.diff(found)
    delta = gaps[-2] / gaps[-1]
    feigenbaum = config["superstable"]["feigenbaum"]
    yield row("ratio of the last two gaps", feigenbaum, delta, None, 0.01, "Feigenbaum's delta")
    limit = found[-1] + gaps[-1] / (feigenbaum - 1)
    right = config["superstable"]["accumulation"]
    yield row("accumulation of doublings", right, limit, None, 1e-5, "computed twice")


def merging(config):
    """Yield the rate from which on one orbit visits both wells."""
    n = 100 * config["steps"]

    def crosses(lr):
        orbit = dynfrac.iterate(MAP, {"lr": lr, "w0": 0.3}, n_steps=n, keep_states=True)
        return float(orbit.states.min()) < 0

    low, high = 1.5, 1.7
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if crosses(middle) else (middle, high)
    # Just beyond, visits are so rare that an orbit of n steps has none.
    known = config["merging"]["known"]
    yield row("both wells are visited from lr =", known, high, None, 2e-3, "3 sqrt(3) / 2 - 1")


def crisis(config):
    """Yield the rate from which on almost every start diverges."""
    starts = np.linspace(-0.95, 0.95, 400)

    def all_leave(lr):
        found = dynfrac.evaluate(MAP, {"lr": lr, "w0": starts}, n_steps=config["steps"])
        return bool(np.all(found.status != dynfrac.Status.CONVERGED))

    low, high = 1.9, 2.1
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if all_leave(middle) else (middle, high)
    known = config["crisis"]["known"]
    yield row("every start diverges from lr =", known, high, None, 3e-3, "T3 at lr = 2")


def repellers(config):
    """Yield escape rate, exponent and dimension of the starts that never leave."""
    for entry in config["repellers"]:
        lr, n_steps = entry["lr"], entry["steps"]
        edge = math.sqrt((2 + lr) / lr)
        axes = [Axis("w0", -edge, edge)]
        settings = {"n_steps": n_steps, "hparams": {"lr": lr}, "rule": "parity:1@reach"}
        rates = saddle_rates(MAP, axes, n_runs=config["runs"], **settings)
        for name, found in (("escape_rate", rates.escape_rate), ("exponent", rates.exponent)):
            title = f"{name.replace('_', ' ')} at lr = {lr}"
            yield row(title, entry[name], found.value, found.stderr, 0.015, "pre-images")
        pressure = pressure_dimension(rates)
        pairs = dynfrac.boundary_dimension(MAP, axes, budget=config["budget"], **settings)
        for method, found in (("pressure", pressure), ("pairs", pairs)):
            title = f"dimension at lr = {lr}, {method}"
            yield row(title, entry["dimension"], found.value, found.stderr, 0.01, "pre-images")


def draw(config, path):
    """Draw the orbit diagram, with the exponent beneath."""
    axis = Axis("lr", 0.4, 2.05, config["points"], "linear")
    diagram = dynfrac.orbit_diagram(MAP, axis, observable="x0", n_steps=config["steps"] // 4)
    figure = orbit_figure(diagram, title="gradient descent on (w^2 - 1)^2 / 4")
    figure.savefig(path, dpi=150)


def main(arguments=None):
    """Measure everything, print the table and keep it; return whether all rows pass."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("cubic_descent"))
    parser.add_argument("--small", action="store_true", help="seconds instead of minutes")
    options = parser.parse_args(arguments)
    config = tomllib.loads(Path(__file__).with_name("config.toml").read_text())
    if options.small:
        config |= SMALL
    options.out.mkdir(parents=True, exist_ok=True)
    parts = (exponents, superstable, merging, crisis, repellers)
    rows = [found for part in parts for found in part(config)]
    for found in rows:
        error = "" if found["stderr"] is None else f" +- {found['stderr']:.2g}"
        mark = "" if found["passed"] else "   OUT"
        print(
            f"{found['quantity']:<36} {found['known']:.7g}   {found['measured']:.7g}{error}{mark}"
        )
    draw(config, options.out / "cubic_descent.png")
    (options.out / "cubic_descent.json").write_text(json.dumps(rows, indent=2) + "\n")
    return all(found["passed"] for found in rows)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
