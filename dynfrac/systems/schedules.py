"""Schedules: factors on the update that depend on the number of the step alone.

Each function takes the step, counted from 0 at the start of the run, and the hyperparameters, and
returns the factor. Both may be traced, so no value is ever looked at in Python; that is what
optax's own schedules do to refuse a bad length, and why they cannot be used here. Where optax has
the same formula, the operations stand in the same order and the results have the same bits.

Several schedules in one chain multiply: in ``warmup+cosine`` the cosine, too, counts from the
start of the run, not from the end of the warm-up.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dynfrac.systems.abstract import Hparams


def warmup(step: jax.Array, hparams: Hparams) -> jax.Array:
    """Rise linearly from 1/n in the first step to 1 in step number n = `warmup_steps` and after."""
    return jnp.minimum((step + 1) / jnp.maximum(hparams["warmup_steps"], 1), 1)


def cosine(step: jax.Array, hparams: Hparams) -> jax.Array:
    """Fall from 1 to `schedule_end` in `schedule_steps` steps along half a cosine, and stay."""
    steps, end = jnp.maximum(hparams["schedule_steps"], 1), hparams["schedule_end"]
    wave = 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(step, steps) / steps))
    return (1 - end) * wave + end


def linear(step: jax.Array, hparams: Hparams) -> jax.Array:
    """Fall from 1 to `schedule_end` in `schedule_steps` steps along a line, and stay."""
    steps, end = jnp.maximum(hparams["schedule_steps"], 1), hparams["schedule_end"]
    return (1 - end) * (1 - jnp.minimum(step, steps) / steps) + end


def exponential(step: jax.Array, hparams: Hparams) -> jax.Array:
    """Halve every `half_life` steps, smoothly: 2 ** (-step / half_life)."""
    return jnp.power(0.5, step / hparams["half_life"])


def staircase(step: jax.Array, hparams: Hparams) -> jax.Array:
    """Multiply by `step_factor` at the milestones: every `step_every` steps, at once."""
    milestones = jnp.floor(step / jnp.maximum(hparams["step_every"], 1))
    return jnp.power(hparams["step_factor"], milestones)
