"""The evaluator: one batched engine that runs many orbits of a map and says what became of them.

Everything in dynfrac that needs the outcome of a run calls `evaluate`: sweeps, pairs of points,
single clicks. It keeps one promise: **the same point gives the same answer**, to the last bit,
whatever else is computed beside it.

How it works
------------
* Runs are packed into batches of a fixed number of *lanes* and advanced by one compiled program.
  The shape never changes, because another shape can round differently; a part-filled batch is
  padded by repeating its last run.
* Time passes in chunks of 25 steps, or of `every` if that is more. After each chunk, runs that are
  *sealed* leave, and the rest are repacked, so a sweep in which most runs diverge at once costs
  little.
* Sealed means that all later losses are known exactly. For an autonomous map: the state at the end
  of the chunk equals the state at its start, bit for bit, so the losses of this chunk repeat for
  ever; this covers runs that became not-a-number as well as those that settled. For a driven map:
  the map itself says that every later loss is not-a-number. Nothing is ever extrapolated.
* The losses of sealed runs are then added up in the same order, by the same arithmetic, as if the
  map had been stepped.
* Besides the loss, or a metric that the rule watches in its place, metrics can be read at the end
  of a run. A sealed run that repeats has them from the same place of its cycle.
* The metric ``"lyapunov"`` is that of a tangent carried along by a second program
  (`dynfrac.orbits.stretching`). Tangents go on turning where states repeat, so that only runs that
  are no longer finite leave early.

On a CPU several threads advance batches side by side, because XLA leaves cores idle on small
matrices (`dynfrac.orbits.engines`); how large batches are is said in `dynfrac.orbits.batch_sizes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import jax
import numpy as np

from dynfrac.orbits.batch_sizes import default_lanes
from dynfrac.orbits.columns import N_STEPS, check_lengths, check_steps, columns_of
from dynfrac.orbits.engines import Engine
from dynfrac.orbits.inspection import choose_readings, metric_names
from dynfrac.orbits.outcomes import Outcomes
from dynfrac.orbits.rules import AbstractRule, make_rule
from dynfrac.orbits.stretching import LYAPUNOV, Stretched, plain_map, stretch_if_asked
from dynfrac.systems.abstract import AbstractMap, check_ranges, resolve_hparams
from dynfrac.systems.numerics import cast_floats, choose_dtype, hparam_dtype, precision


def evaluate(
    map_: AbstractMap,
    hparams: Mapping[str, Any] | None = None,
    *,
    n_steps: int,
    every: int = 1,
    rule: str | AbstractRule | None = None,
    record: Sequence[str] = (),
    lanes: int | None = None,
    dtype: str | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Outcomes:
    """Run a map at many hyperparameters and return what became of each run.

    Parameters
    ----------
    map_ : AbstractMap
        A map, or a training as a map.
    hparams : mapping of str to scalar or (N,) array
        Hyperparameters; arrays must share their length N, scalars apply to every run, and what is
        not given takes the map's default. ``n_steps`` among them gives each run a length of its
        own, at most the argument `n_steps`.
    n_steps : int
        Number of steps, at least 1 and a multiple of `every`. The loss of step t is taken before
        the update, so that with `every` 1 the recorded ones belong to the states 0 .. n_steps - 1.
    every : int, default 1
        Steps per recorded loss: of so many steps only the last one's loss is recorded. The steps of
        an epoch give one loss an epoch.
    rule : str or AbstractRule, optional
        Outcome rule; the map's own, else the published one, when absent. It says what it watches.
    record : sequence of str
        Metrics of the map, such as ``"test_loss"`` and ``"accuracy"``, to be read where the last
        loss is; or ``"lyapunov"``, the largest finite-time exponent in nats per step, over all
        steps of the run or those before it stopped being finite. It costs a few times the run and
        changes no other outcome. `dynfrac.orbits.stretching.Stretched` sets its warm-up and seed.
    lanes : int, optional
        Runs per batch. Results are comparable bit for bit only at equal `lanes`, `dtype` and kind
        of device; the default (`default_lanes`) depends on nothing else.
    dtype : {"float64", "float32", "bfloat16"}, optional
        Type of the state; the map's preferred one, else float64, when absent. Hyperparameters have
        it too, but are never shorter than float32. Losses are judged in float64 in any case.
        bfloat16 is for training maps.
    on_progress : callable, optional
        Called with the number of run-steps settled since the last call; they add up to
        N * n_steps.

    Returns
    -------
    Outcomes
        Arrays of length N (1 if every hyperparameter is a scalar).

    Raises
    ------
    ValueError
        For an unknown hyperparameter, metric, rule or dtype, arrays of different lengths, or a
        number out of its range.
    """
    evaluator = Evaluator(
        map_,
        n_steps=n_steps,
        every=every,
        rule=rule,
        record=record,
        lanes=lanes,
        dtype=dtype,
        own_lengths=N_STEPS in (hparams or {}) and N_STEPS not in map_.defaults,
    )
    return evaluator(hparams, on_progress=on_progress)


@final
class Evaluator:
    """`evaluate` made ready once for many calls: the map is looked at and placed only once.

    Parameters
    ----------
    map_, n_steps, every, rule, record, lanes, dtype
        As in `evaluate`.
    own_lengths : bool, default False
        Whether the calls give each run a length of its own, ``n_steps``.

    Raises
    ------
    ValueError
        As `evaluate`.
    """

    def __init__(
        self,
        map_: AbstractMap,
        *,
        n_steps: int,
        every: int = 1,
        rule: str | AbstractRule | None = None,
        record: Sequence[str] = (),
        lanes: int | None = None,
        dtype: str | None = None,
        own_lengths: bool = False,
    ) -> None:
        self.map_ = map_
        self.n_steps = check_steps(n_steps, every)
        self.every = every
        self.rule = make_rule(rule if rule is not None else getattr(map_, "rule", None))
        self.record = tuple(record)
        self.own_lengths = own_lengths
        self.readings = choose_readings(
            map_, self.rule, record, every, fixed_length=not own_lengths
        )
        names = (*record, self.rule.watch)
        if LYAPUNOV in names:
            map_ = stretch_if_asked(map_, names, metric_names(map_))
            _check_watched_exponent(map_, self.rule)
        else:
            map_ = plain_map(map_)
        self.real = choose_dtype(map_, dtype)
        with precision():
            placed = jax.device_put(cast_floats(map_, self.real))
            self.lanes = lanes if lanes is not None else default_lanes(map_)
            if self.lanes < 1:
                raise ValueError(f"lanes={self.lanes} must be at least 1")
            self._engine = Engine(placed, self.rule, self.readings, self.lanes, n_steps, self.real)

    def __call__(
        self,
        hparams: Mapping[str, Any] | None = None,
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> Outcomes:
        """Return the outcomes at many hyperparameters; arguments as in `evaluate`."""
        given = dict(hparams or {})
        lengths = given.pop(N_STEPS, None) if self.own_lengths else None
        columns = columns_of(resolve_hparams(self.map_, given), hparam_dtype(self.real), lengths)
        check_ranges(self.map_, columns)
        counts = None
        if lengths is not None:
            counts = check_lengths(columns.pop(N_STEPS), self.n_steps, self.every)
        size = self._engine.size
        n_runs = len(next(iter(columns.values())))
        with precision():
            pools = [slice(i, i + size) for i in range(0, n_runs, size)]
            parts = [
                self._engine.run(
                    {name: column[pool] for name, column in columns.items()},
                    None if counts is None else counts[pool],
                    on_progress or (lambda steps: None),
                )
                for pool in pools
            ]
        outcome, finals = zip(*parts, strict=True)
        status, measure, t_escape, last = (np.concatenate(f) for f in zip(*outcome, strict=True))
        read = dict(zip(self.readings.finals, np.concatenate(finals).T, strict=True))
        final_loss = last if self.readings.watch == "loss" else read["loss"]
        metrics = {name: read[name] for name in self.record}
        return Outcomes(status, measure, t_escape, final_loss, self._conditions(), metrics)

    def _conditions(self) -> dict[str, Any]:
        return {
            "rule": self.rule.name,
            "n_steps": self.n_steps,
            "every": self.every,
            "dtype": str(self.real),
            "lanes": self.lanes,
            "device": jax.devices()[0].device_kind,
        }


def _check_watched_exponent(map_: AbstractMap, rule: AbstractRule) -> None:
    """Refuse a rule that would read exponents before there are any."""
    if isinstance(map_, Stretched) and map_.n_warmup and rule.watch == LYAPUNOV:
        raise ValueError(
            f"the rule {rule.name} reads exponents from the first step on, and n_warmup="
            f"{map_.n_warmup} leaves none there; pass n_warmup=0"
        )
