"""Scenes: what the explorer shows, a map with a window of two hyperparameters.

The first scene is what the command line asked for. The page can ask for others by the name of a
preset or an architecture, with other axes and another number of steps, and for nothing that would
import code or read a file.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import threading
from collections.abc import Mapping
from typing import Any, final

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.columns import check_steps
from dynfrac.studies.presets import PRESETS, make_preset
from dynfrac.sweeps.plans import SweepPlan, plan_sweep
from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.architectures import FAMILIES
from dynfrac.systems.catalogue import make_architecture
from dynfrac.web.problems import Problem, refused

FIRST_CELLS = 16
"""Intervals along each axis on the coarsest level."""

START = "start"

MOST_STEPS = 100_000
"""Steps that the page may ask for; the command line may ask for any number."""

MOST_LAYERS = 110
"""Depth that the page may ask for."""

STEPS = 100
"""Steps of an architecture that is chosen on the page."""

_AXES = (Axis("lr", 1e-3, 1e3), Axis("weight_offset", 1e-4, 1.0))
"""Axes of an architecture that is chosen on the page: those of the question that is asked most."""

_PARAMETERS = ("x", "y", "steps")
_KEPT = 8


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """A map with a window.

    Attributes
    ----------
    map_ : AbstractMap
    axes : tuple of Axis
        x and y; how many points they have is the affair of a level.
    settings : mapping
        Keywords of `dynfrac.sweep`, `identity` among them.
    title : str
    query : mapping of str to str
        What the page asks for to see it again.
    """

    map_: AbstractMap
    axes: tuple[Axis, Axis]
    settings: Mapping[str, Any]
    title: str
    query: Mapping[str, str]

    @functools.cached_property
    def plan(self) -> SweepPlan:
        """The sweep of the coarsest level, whose job all levels share."""
        coarse = [dataclasses.replace(axis, n=FIRST_CELLS + 1) for axis in self.axes]
        return plan_sweep(self.map_, coarse, **self.settings)

    @property
    def id(self) -> str:
        """A name that no scene with other outcomes has."""
        return self.plan.hash[:16]

    @property
    def fields(self) -> tuple[str, ...]:
        """What can be coloured."""
        return ("measure", "status", "t_escape", "final_loss", *self.plan.job.record)


def make_scene(
    map_: AbstractMap,
    axes: tuple[Axis, ...],
    settings: Mapping[str, Any],
    *,
    title: str,
    query: Mapping[str, str],
) -> Scene:
    """Make a scene, or say why there is none.

    Raises
    ------
    ValueError
        For axes that cannot be zoomed into, and as `plan_sweep`.
    """
    if len(axes) != 2:
        raise ValueError(
            f"{len(axes)} axes were given; the explorer shows two, so give --x and --y"
        )
    x, y = (dataclasses.replace(axis, n=None) for axis in axes)
    for axis in (x, y):
        if axis.is_whole:
            raise ValueError(
                f"{axis.name} counts in whole numbers, into which no zoom leads; take another axis"
            )
    scene = Scene(map_, (x, y), settings, title, query)
    scene.plan  # noqa: B018  whatever does not fit shows here
    return scene


@final
class SceneBook:
    """The scenes that were asked for, the latest few of them.

    Parameters
    ----------
    start : Scene
        That of the command line, which is always kept.
    """

    def __init__(self, start: Scene) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._kept: dict[str, Scene] = {}

    @property
    def start(self) -> Scene:
        """The scene of the command line."""
        return self._start

    def by_id(self, id_: str) -> Scene:
        """Return a scene that was asked for before.

        Raises
        ------
        Problem
            If it is not there, or not any more.
        """
        if id_ == self._start.id:
            return self._start
        with self._lock:
            if id_ not in self._kept:
                raise Problem(404, f"there is no scene {id_!r}; ask for it by its query again")
            # The latest in use, not the latest asked for by its query: the others are dropped.
            self._kept[id_] = self._kept.pop(id_)
            return self._kept[id_]

    def by_query(self, query: Mapping[str, str]) -> Scene:
        """Return the scene that a query names, made if need be.

        Raises
        ------
        Problem
            If the query is not understood, or what it names does not exist or fit.
        """
        sources = [name for name in ("scene", "preset", "arch") if name in query]
        unknown = set(query) - {"scene", "preset", "arch", *_PARAMETERS}
        if unknown:
            raise Problem(400, f"{min(unknown)!r} is no part of a scene; drop it")
        if len(sources) != 1:
            raise Problem(400, "name a scene by exactly one of scene, preset and arch")
        if query.get("scene", START) != START:
            raise Problem(404, f"there is no scene {query['scene']!r}, only {START!r}")
        if dict(query) == dict(self._start.query):
            return self._start
        with refused():
            scene = self._make(query)
        with self._lock:
            self._kept.pop(scene.id, None)
            self._kept[scene.id] = scene
            while len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return scene

    def _make(self, query: Mapping[str, str]) -> Scene:
        given = {name: Axis.parse(query[name]) for name in ("x", "y") if name in query}
        steps = _read_steps(query["steps"]) if "steps" in query else None
        if "scene" in query:
            return _changed(self._start, given, steps, query)
        if "preset" in query:
            # An unknown name is for `make_preset` to refuse, which knows the nearest.
            made = make_preset(query["preset"])
            if steps is not None and steps != made.n_steps:
                # Epochs stay epochs: of the losses of single steps a rule says something else.
                epochs = check_steps(steps, made.every) // made.every
                length = {"steps": steps} if made.every == 1 else {"epochs": epochs}
                made = make_preset(query["preset"], **length)
            settings = {
                "n_steps": made.n_steps,
                "every": made.every,
                "rule": made.rule,
                "record": made.record,
                "dtype": made.dtype,
                "identity": made.identity,
            }
            map_, own, title = made.map_, made.axes, query["preset"]
        else:
            name = query["arch"]
            if ":" in name:
                raise ValueError(
                    f"arch={name!r} is an import path; the page takes names only, so start "
                    f"dynfrac explore --arch {name}"
                )
            deep = re.fullmatch(rf"(?:{'|'.join(FAMILIES)})([0-9]+)", name)
            if deep is not None and (len(deep[1]) > 3 or int(deep[1]) > MOST_LAYERS):
                raise ValueError(
                    f"arch={name[:40]!r} is too deep for the page, which takes up to {MOST_LAYERS} "
                    "layers; start dynfrac explore --arch with it"
                )
            map_, title = make_architecture(name), name
            own = PRESETS["published-tanh"].axes if name == "mlp" else _AXES
            settings = {
                "n_steps": steps or STEPS,
                "identity": {"architecture": name, "arguments": {}},
            }
        axes = given.get("x", own[0]), given.get("y", own[1])
        return make_scene(map_, axes, settings, title=title, query=dict(query))


def _changed(
    scene: Scene, given: Mapping[str, Axis], steps: int | None, query: Mapping[str, str]
) -> Scene:
    """Return a scene with other axes or another number of steps."""
    axes = given.get("x", scene.axes[0]), given.get("y", scene.axes[1])
    settings = dict(scene.settings)
    # What has become an axis is not fixed any more.
    names = [axis.name for axis in axes]
    fixed = settings.get("hparams") or {}
    settings["hparams"] = {name: value for name, value in fixed.items() if name not in names}
    map_ = scene.map_
    if steps is not None:
        settings["n_steps"] = steps
        identity = settings.get("identity") or {}
        arguments = identity.get("arguments", {})
        length = {"n_steps": steps}
        if "n_epochs" in arguments:
            length = {"n_epochs": check_steps(steps, settings["every"]) // settings["every"]}
        if set(length) <= set(arguments) and "architecture" in identity:
            # A stream of minibatches and a schedule are as long as the run.
            arguments = {**arguments, **length}
            map_ = make_architecture(identity["architecture"], **arguments)
            settings["identity"] = {**identity, "arguments": arguments}
    return make_scene(map_, axes, settings, title=scene.title, query=dict(query))


def _read_steps(text: str) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_STEPS))
    if not digits or not 1 <= int(text) <= MOST_STEPS:
        raise ValueError(f"steps={text[:20]!r} is no number of steps; give 1 to {MOST_STEPS}")
    return int(text)


def known_presets() -> list[dict[str, str]]:
    """Return names and descriptions of the presets."""
    return [{"name": name, "description": recipe.description} for name, recipe in PRESETS.items()]
