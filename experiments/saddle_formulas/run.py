"""Dimensions from rates against measured ones: toy maps, attractors and small networks.

    python experiments/saddle_formulas/run.py --out saddle_formulas
    python experiments/saddle_formulas/figure.py saddle_formulas

`--small` is a version of a minute or two, for the tests.
"""

import argparse
import json
import math
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

import dynfrac
from dynfrac import Axis
from dynfrac.boundaries.bounds import boundary_bounds
from dynfrac.boundaries.lifetimes import measure_lifetimes
from dynfrac.boundaries.pressures import pressure_dimension
from dynfrac.boundaries.saddles import kantz_grassberger, read_rates, saddle_rates
from dynfrac.orbits.sensitivities import stretch_histories

SMALL = {"runs": 3000, "budget": 5000, "orbit": 20_000, "points": 8000}
SEPARATING = 0.01
"""Nats per step over the second half of a run, beyond which neighbours separate or merge."""


class LayerScales(dynfrac.AbstractMap):
    """Training of two layers whose initial weights are multiplied by a number each."""

    inner: dynfrac.TrainingMap
    rule: str = struct.field(pytree_node=False, default="published")

    @property
    def defaults(self):
        """Those of the network, from its own initial weights."""
        return {**self.inner.defaults, "scale_in": 1.0, "scale_out": 1.0}

    def init(self, hparams):
        """Return the network with scaled weights."""
        state = self.inner.init(hparams)
        (first, last), tree = jax.tree.flatten(state.params)
        scaled = [hparams["scale_in"] * first, hparams["scale_out"] * last]
        return state.replace(params=tree.unflatten(scaled))

    def step(self, state, hparams, t):
        """Return the network after one update."""
        return self.inner.step(state, hparams, t)

    def observe(self, state, hparams):
        """Return the loss."""
        return self.inner.observe(state, hparams)


def tanh_units(params, inputs):
    """Return what a layer of tanh units makes of numbers."""
    hidden = jnp.tanh(jnp.outer(inputs, params["in"]))
    return hidden @ params["out"] / math.sqrt(len(params["out"]))


def make_net(student=None, published=None):
    """Return a student of 2 tanh(x) at eight points, or the published network of this width."""
    if published:
        return LayerScales(dynfrac.make_architecture("mlp", width=published))
    weights = np.random.default_rng(0).standard_normal((2, student)) if student > 1 else [[1], [1]]
    params = dict(zip(("in", "out"), np.asarray(weights, float), strict=True))
    points = np.linspace(-2, 2, 8)
    return LayerScales(
        dynfrac.training_map(
            (params, tanh_units),
            (points, 2 * np.tanh(points)),
            optimizer="decay+sgd",
            groups={"in": "in", "out": "out"},
        )
    )


def start_rates(map_, axes, starts, n_runs, settings):
    """Measure the saddle of a window by derivatives with respect to the start, not to the place."""
    rng = np.random.default_rng(0)
    places = rng.random((n_runs, len(axes)))
    units = rng.standard_normal((n_runs, len(starts)))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    hparams = {axis.name: axis.values(x) for axis, x in zip(axes, places.T, strict=True)}
    history = stretch_histories(
        map_,
        {**settings["hparams"], **hparams},
        dict(zip(starts, units.T, strict=True)),
        n_steps=settings["n_steps"],
        rule=settings["rule"],
    )
    record = history.logs, history.losses, history.t_escape
    return read_rates(measure_lifetimes(*record, n_axes=len(axes)))


def kept(estimate):
    """Return what is kept of an estimate; None for what is not a number."""
    value, stderr = (x if math.isfinite(x) else None for x in (estimate.value, estimate.stderr))
    return {"value": value, "stderr": stderr, "flags": list(estimate.flags)}


def undecided(lifetimes):
    """Return the share undecided to the last step, and how many of them separate or rest."""
    logs = lifetimes.logs[lifetimes.ends == lifetimes.logs.shape[1]]
    half = logs.shape[1] // 2
    speeds = (logs[:, -1] - logs[:, half]) / (logs.shape[1] - 1 - half)
    return {
        "share": lifetimes.open_share,
        "separating": float(np.sum(speeds > SEPARATING) / len(lifetimes)),
        "resting": float(np.sum(abs(speeds) <= SEPARATING) / len(lifetimes)),
        "cycling": lifetimes.cycling.tolist(),
    }


def measure_window(entry, config):
    """Yield rates, formulas, bounds and pairs of a window; once more by derivatives of starts."""
    map_ = make_net(**entry["net"]) if "net" in entry else dynfrac.make_map(entry["map"])
    one = "map" in entry and not entry.get("conformal")
    axes = [Axis.parse(text) for text in entry["axes"]]
    known = entry.get("known", {})
    settings = {
        "n_steps": entry["steps"],
        "hparams": entry.get("hparams", {}),
        "rule": entry.get("rule"),
    }
    n_runs, budget = (int(entry.get("share", 1) * config[name]) for name in ("runs", "budget"))
    pairs = dynfrac.boundary_dimension(map_, axes, budget=budget, **settings)
    ways = {"place": lambda: saddle_rates(map_, axes, n_runs=n_runs, **settings)}
    if "starts" in entry:
        ways["start"] = lambda: start_rates(map_, axes, entry["starts"], n_runs, settings)
    for way, follow in ways.items():
        rates = follow()
        bounds = boundary_bounds(rates)
        yield {
            "name": entry["name"],
            "way": way,
            "kappa": kept(rates.escape_rate),
            "l": kept(rates.exponent),
            "D1": kept(kantz_grassberger(rates)),
            "D0": kept(pressure_dimension(rates)),
            "pairs": kept(pairs),
            "escape ceiling": kept(bounds.escape_ceiling),
            # Bounds made of the entropy assume one unstable direction.
            "floor": kept(bounds.floor) if one else None,
            "entropy ceiling": kept(bounds.entropy_ceiling) if one else None,
            "undecided": undecided(rates.lifetimes),
            "known": known | ({"pairs": known["D0"]} if known else {}),
        }


def measure_attractor(entry, config):
    """Return the Kaplan-Yorke dimension of an attractor, D1 and D2 of points of an orbit."""
    map_ = dynfrac.make_map(entry["map"])
    spectrum = dynfrac.lyapunov_spectrum(map_, n_steps=config["orbit"], n_transient=1000)
    orbit = dynfrac.iterate(map_, n_steps=1000 + config["points"], keep_states=True)
    points = orbit.states[1000:]
    return {
        "name": entry["map"],
        "exponents": spectrum.exponents.tolist(),
        "Kaplan-Yorke": kept(spectrum.kaplan_yorke),
        "D1": kept(dynfrac.generalized_dimension(points, 1.0)),
        "D2": kept(dynfrac.correlation_dimension(points)),
        "known": {"Kaplan-Yorke": entry["known"], "D1": entry["known"]},
    }


def failures(row, tolerance):
    """Return what is off a known value, or on the wrong side of a bound, by three errors."""
    known = row["known"]
    off = [
        name
        for name, right in known.items()
        if abs(row[name]["value"] - right) > tolerance + 3 * row[name]["stderr"]
    ]
    for name, sign in (("floor", 1), ("escape ceiling", -1), ("entropy ceiling", -1)):
        bound = row.get(name)
        if bound and bound["value"] and "D0" in known:
            beyond = sign * (bound["value"] - known["D0"])
            off += [name] if beyond > tolerance + 3 * bound["stderr"] else []
    return off


def main(arguments=None):
    """Measure and keep everything; return whether the known values come out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("saddle_formulas"))
    parser.add_argument("--small", action="store_true", help="a seventh of the runs")
    options = parser.parse_args(arguments)
    config = tomllib.loads(Path(__file__).with_name("config.toml").read_text())
    if options.small:
        config |= SMALL
    options.out.mkdir(parents=True, exist_ok=True)
    windows = [row for entry in config["windows"] for row in measure_window(entry, config)]
    attractors = [measure_attractor(entry, config) for entry in config["attractors"]]
    for row in windows + attractors:
        row["off"] = failures(row, config["tolerance"])
        print(row["name"], row.get("way", ""), *[f"{name} is OUT" for name in row["off"]])
    results = {"windows": windows, "attractors": attractors}
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return not any(row["off"] for row in windows + attractors)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
