"""Probes: one run, at the point that was clicked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.orbits.inspection import state_size
from dynfrac.orbits.iteration import iterate
from dynfrac.orbits.outcomes import Status
from dynfrac.web.commands import exponents_command
from dynfrac.web.problems import Problem
from dynfrac.web.scenes import Scene

MOST_LOSSES = 600
"""Losses of a curve that are sent: more than a panel has pixels."""

EXPONENTS = 3

Heartbeat = Callable[[], None]
"""Called now and then; raises to give up."""


def read_point(scene: Scene, query: Mapping[str, str]) -> dict[str, float]:
    """Return the point that a query names by its values x and y.

    Raises
    ------
    Problem
        If it is none, or outside the window.
    """
    point = {}
    for key, axis in zip("xy", scene.axes, strict=True):
        try:
            value = float(query.get(key, ""))
        except ValueError:
            raise Problem(
                400, f"{key}={query.get(key, '')[:40]!r} is no number; give one"
            ) from None
        if not axis.low <= value <= axis.high:
            raise Problem(
                400,
                f"{axis.name}={value:g} is outside the window; give a value from {axis.low:g} to "
                f"{axis.high:g}",
            )
        point[axis.name] = value
    return point


def run_point(scene: Scene, point: Mapping[str, float], beat: Heartbeat) -> dict[str, Any]:
    """Run one point and return its outcome and its losses.

    The outcome is that of the picture, to the last bit. The curve is that of the same run outside a
    batch, which rounds in another way: in the midst of a boundary it may end elsewhere, which is
    flagged.
    """
    job = scene.plan.job
    whole = {**job.fixed, **point}
    outcome = job({name: np.array([v]) for name, v in whole.items()}, lambda steps: beat())
    orbit = iterate(
        scene.map_,
        whole,
        n_steps=job.n_steps,
        dtype=job.dtype,
        on_progress=lambda done, total: beat(),
    )
    losses = orbit.observations
    flags = []
    single, batched = float(losses[-1]), float(outcome["final_loss"][0])
    if job.every == 1 and not _alike(single, batched):
        flags.append(
            f"outside a batch, where numbers round in another way, the run ends at a loss of "
            f"{single:.3g} and not {batched:.3g}: the last bit decides here"
        )
    steps = np.unique(np.linspace(0, len(losses) - 1, min(len(losses), MOST_LOSSES)).astype(int))
    x, y = (point[axis.name] for axis in scene.axes)
    first = int(outcome["t_escape"][0])  # of the recorded losses; the curve has those of all steps
    return {
        "x": x,
        "y": y,
        "status": Status(int(outcome["status"][0])).words,
        "measure": float(outcome["measure"][0]),
        "t_escape": -1 if first < 0 else (first + 1) * job.every - 1,
        "final_loss": batched,
        "recorded": {name: float(outcome[name][0]) for name in job.record},
        "steps": steps,
        "losses": losses[steps],
        "flags": flags,
    }


def measure_exponents(scene: Scene, point: Mapping[str, float], beat: Heartbeat) -> dict[str, Any]:
    """Return the largest exponents of one run, over all of it but a tenth to turn the tangents."""
    job = scene.plan.job
    warmup = job.n_steps // 10
    steps = job.n_steps - warmup
    whole = {**job.fixed, **point}
    count = min(EXPONENTS, state_size(scene.map_))
    found = lyapunov_spectrum(
        scene.map_,
        whole,
        n_steps=steps,
        n_warmup=warmup,
        n_exponents=count,
        dtype=job.dtype,
        on_progress=lambda done, total: beat(),
    )
    return {
        "exponents": [float(value) for value in found.exponents],
        "stderr": [float(value) for value in found.stderr],
        "unit": "nats per step",
        "n_steps": int(found.n_steps),
        "status": found.status.words,
        "flags": list(found.flags),
        "command": exponents_command(scene, point, steps=steps, warmup=warmup, exponents=count),
    }


def _alike(a: float, b: float) -> bool:
    """Whether two losses are the same but for rounding that has not grown."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return math.isfinite(a) == math.isfinite(b)
    return abs(a - b) <= 1e-3 * max(abs(a), abs(b), 1e-12)
