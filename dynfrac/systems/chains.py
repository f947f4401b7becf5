"""The parts an optimizer is chained from: rules, modifiers of what passes through, schedules.

Each part is an optax transformation whose every number is a hyperparameter of the map, so it may
be traced and differ from lane to lane. All state is of the type of the parameters, apart from
step counters, which are integers and therefore clock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, final

import jax
import jax.numpy as jnp
import optax

from dynfrac.systems import schedules
from dynfrac.systems.abstract import Hparams
from dynfrac.systems.numerics import is_inexact


@final
@dataclasses.dataclass(frozen=True)
class Part:
    """One link of a chain.

    Attributes
    ----------
    kind : {"rule", "modifier", "schedule"}
        A chain has at most one rule.
    description : str
        One line.
    transform : callable
        ``transform(hparams) -> optax.GradientTransformation``, without the learning rate.
    parameters : tuple of (str, float)
        Hyperparameters it reads, with their defaults.
    """

    kind: Literal["rule", "modifier", "schedule"]
    description: str
    transform: Callable[[Hparams], optax.GradientTransformation]
    parameters: tuple[tuple[str, float], ...] = ()


@final
@dataclasses.dataclass(frozen=True)
class Chain:
    """What turns hyperparameters into the transformation of several parts.

    Attributes
    ----------
    parts : tuple of str
        Names in `PARTS`, in the order in which the gradient passes them.
    """

    # Names and not functions bound in a closure: two chains of the same text are equal and hash
    # alike, and so find the same entry in the cache of compiled functions.
    parts: tuple[str, ...]

    def __call__(self, hparams: Hparams) -> optax.GradientTransformation:
        """Return the transformation from gradients to directions."""
        transforms = [PARTS[name].transform(hparams) for name in self.parts]
        return keep_types(transforms[0] if len(transforms) == 1 else optax.chain(*transforms))


def keep_types(transform: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return a transformation whose state keeps its types, whatever it is computed in.

    Parameters
    ----------
    transform : optax.GradientTransformation

    Returns
    -------
    optax.GradientTransformation
        Gradients in half precision are widened to float32 on the way in, so that sums of squares
        and ratios are computed in the type of the hyperparameters; the state is rounded on the way
        out. For float32 and float64 it changes nothing.
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        wide = jax.tree.map(lambda g: g.astype(jnp.promote_types(g.dtype, jnp.float32)), updates)
        updates, after = transform.update(wide, state, params)
        if jax.tree.structure(after) == jax.tree.structure(state):
            after = jax.tree.map(_as_before, after, state)
        return updates, after

    return optax.GradientTransformation(transform.init, update)


def _as_before(new: Any, old: Any) -> Any:
    if is_inexact(new) and is_inexact(old):
        return jnp.asarray(new, jnp.result_type(old))
    return new


def _sgd(hparams: Hparams) -> optax.GradientTransformation:
    return optax.identity()


def _momentum(hparams: Hparams) -> optax.GradientTransformation:
    return optax.trace(decay=hparams["momentum"])


def _nesterov(hparams: Hparams) -> optax.GradientTransformation:
    return optax.trace(decay=hparams["momentum"], nesterov=True)


def _adam(hparams: Hparams) -> optax.GradientTransformation:
    numbers = {name: hparams[name] for name in ("b1", "b2", "eps")}

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        # A weight whose gradient is always zero keeps v = 0, where the square root has no
        # derivative, and one such weight makes every tangent not-a-number. The smallest normal
        # number (a smaller one would be flushed to zero) is lost in rounding as soon as v is not
        # tiny itself, and its root in that of `eps` where v is.
        tiny = max((float(jnp.finfo(g.dtype).tiny) for g in jax.tree.leaves(updates)), default=0.0)
        return optax.scale_by_adam(**numbers, eps_root=tiny).update(updates, state, params)

    return optax.GradientTransformation(optax.scale_by_adam(**numbers).init, update)


def _adamw(hparams: Hparams) -> optax.GradientTransformation:
    return optax.chain(_adam(hparams), _decay(hparams))


def _lion(hparams: Hparams) -> optax.GradientTransformation:
    return optax.chain(
        optax.scale_by_lion(b1=hparams["b1"], b2=hparams["b2"]),
        _decay(hparams),
    )


def _rmsprop(hparams: Hparams) -> optax.GradientTransformation:
    return optax.scale_by_rms(
        decay=hparams["rms_decay"], eps=hparams["eps"], initial_scale=hparams["accumulator"]
    )


def _adagrad(hparams: Hparams) -> optax.GradientTransformation:
    return optax.scale_by_rss(initial_accumulator_value=hparams["accumulator"], eps=hparams["eps"])


def _clip(hparams: Hparams) -> optax.GradientTransformation:
    bound = hparams["clip_norm"]

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        squared = optax.tree.norm(updates, squared=True)
        # Written out because the norm has no derivative at a gradient of zero: there the root is
        # taken of 1, in either direction of differentiation, and nothing is clipped.
        is_zero = squared == 0
        norm = jnp.sqrt(jnp.where(is_zero, 1, squared))
        fits = is_zero | (norm < bound)
        clipped = jax.tree.map(lambda g: jnp.where(fits, g, g / norm * bound), updates)
        return clipped, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _clip_value(hparams: Hparams) -> optax.GradientTransformation:
    return optax.clip(hparams["clip_value"])


def _decay(hparams: Hparams) -> optax.GradientTransformation:
    return optax.add_decayed_weights(hparams["weight_decay"])


def _scheduled(
    factor: Callable[[Any, Hparams], jax.Array],
) -> Callable[[Hparams], optax.GradientTransformation]:
    """Return the part that multiplies by a factor of the step; each counts steps for itself."""
    return lambda hparams: optax.scale_by_schedule(lambda step: factor(step, hparams))


_ADAM = (("b1", 0.9), ("b2", 0.999), ("eps", 1e-8))
_DECAY = (("weight_decay", 1e-4),)
_FALL = (("schedule_steps", 500.0), ("schedule_end", 0.0))

# The defaults are optax's, where optax has one.
PARTS: Mapping[str, Part] = {
    "sgd": Part("rule", "the gradient itself", _sgd),
    "momentum": Part(
        "rule", "heavy ball: b' = g + momentum * b, moves along b'", _momentum, (("momentum", 0.9),)
    ),
    "nesterov": Part(
        "rule",
        "b' = g + momentum * b, moves along g + momentum * b'",
        _nesterov,
        (("momentum", 0.9),),
    ),
    "adam": Part("rule", "mean of the gradient over root of the mean of its square", _adam, _ADAM),
    "adamw": Part("rule", "adam, then decoupled weight decay", _adamw, (*_ADAM, *_DECAY)),
    "lion": Part(
        "rule",
        "sign of a mean of the gradient, then decoupled weight decay",
        _lion,
        (("b1", 0.9), ("b2", 0.99), ("weight_decay", 1e-3)),
    ),
    "rmsprop": Part(
        "rule",
        "gradient over root of the running mean of its square",
        _rmsprop,
        (("rms_decay", 0.9), ("eps", 1e-8), ("accumulator", 0.0)),
    ),
    "adagrad": Part(
        "rule",
        "gradient over root of the sum of its squares",
        _adagrad,
        (("accumulator", 0.1), ("eps", 1e-7)),
    ),
    "clip": Part(
        "modifier",
        "shortens what is longer than clip_norm, all together",
        _clip,
        (("clip_norm", 1.0),),
    ),
    "clip-value": Part(
        "modifier", "clips every entry to +-clip_value", _clip_value, (("clip_value", 1.0),)
    ),
    "decay": Part(
        "modifier",
        "adds weight_decay * w: before a rule L2 regularisation, after it decoupled decay",
        _decay,
        _DECAY,
    ),
    "warmup": Part(
        "schedule",
        "factor that rises linearly from 1/warmup_steps to 1",
        _scheduled(schedules.warmup),
        (("warmup_steps", 20.0),),
    ),
    "cosine": Part(
        "schedule",
        "factor that falls from 1 to schedule_end along half a cosine",
        _scheduled(schedules.cosine),
        _FALL,
    ),
    "linear": Part(
        "schedule",
        "factor that falls from 1 to schedule_end along a line",
        _scheduled(schedules.linear),
        _FALL,
    ),
    "exponential": Part(
        "schedule",
        "factor that halves every half_life steps",
        _scheduled(schedules.exponential),
        (("half_life", 100.0),),
    ),
    "step": Part(
        "schedule",
        "factor that is multiplied by step_factor every step_every steps",
        _scheduled(schedules.staircase),
        (("step_every", 200.0), ("step_factor", 0.1)),
    ),
}
"""Every part by name."""

MEANINGS: Mapping[str, str] = {
    "momentum": "share of the buffer that stays from step to step, usually in [0, 1)",
    "b1": "share of the mean of the gradient that stays from step to step, in [0, 1)",
    "b2": "share of the second mean that stays from step to step, in [0, 1)",
    "eps": "added to the denominator (adam: outside the root; rmsprop, adagrad: inside), >= 0",
    "rms_decay": "share of the mean of squared gradients that stays from step to step, in [0, 1)",
    "accumulator": "mean or sum of squared gradients before the first step, >= 0",
    "clip_norm": "largest Euclidean norm of all gradients together, > 0",
    "clip_value": "largest absolute value of an entry of the gradient, > 0",
    "weight_decay": "factor of the weights that are added to the gradient or the direction, >= 0",
    "warmup_steps": "number of the step, counted from 1, from which the factor is 1; >= 1",
    "schedule_steps": "steps from the start of the run until the factor has fallen; >= 1",
    "schedule_end": "factor after schedule_steps steps, relative to the learning rate",
    "half_life": "steps in which the factor halves, > 0",
    "step_every": "steps between two reductions, >= 1",
    "step_factor": "factor of one reduction, > 0",
}
"""What every hyperparameter of the parts means, in one line."""
