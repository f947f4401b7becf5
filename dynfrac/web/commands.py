"""Command lines that compute again what the explorer shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dynfrac.orbits.axes import Axis
from dynfrac.web.scenes import Scene


def sweep_command(scene: Scene, axes: Sequence[Axis], out: str = "view.zarr") -> str:
    """Return the command that sweeps axes of a scene."""
    return _join(
        "sweep",
        *_source(scene),
        *_axes(axes),
        *_length(scene, every=True),
        *_outcome(scene),
        *_recorded(scene),
        ("--out", out),
    )


def dimension_command(scene: Scene, axes: Sequence[Axis], budget: int) -> str:
    """Return the command that measures the boundary in a part of a scene."""
    return _join(
        "dimension",
        *_source(scene),
        *_axes(axes),
        *_length(scene, every=False),
        *_outcome(scene),
        ("--budget", str(budget)),
    )


def exponents_command(
    scene: Scene, point: Mapping[str, float], *, steps: int, warmup: int, exponents: int
) -> str:
    """Return the command that computes the exponents of one run."""
    return _join(
        "lyapunov",
        *_source(scene, length_too=True),
        *_set(point),
        ("--steps", str(steps)),
        ("--warmup", str(warmup)),
        ("--exponents", str(exponents)),
        ("--dtype", scene.plan.spec["dtype"]),
    )


Option = tuple[str, str]


def _join(command: str, *options: Option) -> str:
    words = ("dynfrac", command, *(word for option in options for word in option))
    return shlex.join(words)


def _source(scene: Scene, *, length_too: bool = False) -> Iterable[Option]:
    identity = scene.settings.get("identity") or {}
    for kind, option in (("architecture", "--arch"), ("map", "--map")):
        if kind in identity:
            yield option, str(identity[kind])
    for name, value in identity.get("arguments", {}).items():
        # The length of a minibatch stream is that of the run, which has an option of its own.
        if length_too or name not in ("n_steps", "n_epochs"):
            yield "--arg", f"{name}={_text(value)}"
    fixed = scene.settings.get("hparams") or {}
    yield from _set(fixed)


def _set(values: Mapping[str, float]) -> Iterable[Option]:
    for name, value in values.items():
        yield "--set", f"{name}={float(value)!r}"


def _axes(axes: Sequence[Axis]) -> Iterable[Option]:
    for option, axis in zip(("--x", "--y"), axes, strict=True):
        count = "" if axis.n is None else f":{axis.n}"
        yield option, f"{axis.name}={axis.low!r}:{axis.high!r}{count}:{axis.scale}"


def _length(scene: Scene, *, every: bool) -> Iterable[Option]:
    job = scene.plan.job
    if "n_epochs" in (scene.settings.get("identity") or {}).get("arguments", {}):
        yield "--epochs", str(job.n_steps // job.every)
        return
    yield "--steps", str(job.n_steps)
    if every and job.every != 1:
        yield "--every", str(job.every)


def _outcome(scene: Scene) -> Iterable[Option]:
    job = scene.plan.job
    yield "--rule", job.rule.name
    yield "--dtype", job.dtype
    if scene.settings.get("lanes") is not None:
        yield "--lanes", str(job.lanes)


def _recorded(scene: Scene) -> Iterable[Option]:
    names = scene.plan.job.record
    yield "--record", ",".join(names) if names else "none"


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)
