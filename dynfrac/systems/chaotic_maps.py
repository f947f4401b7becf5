"""Chaotic maps of two and three dimensions whose exponents are known numerically."""

from __future__ import annotations

from typing import Any, final

import jax.numpy as jnp
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams


@final
class Henon(AbstractMap):
    """The Henon map `x' = 1 - a x^2 + y`, `y' = b x`, observed as the norm of (x, y).

    Hyperparameters are `a`, `b` and the start `x0`, `y0`. The state is an array (2,).

    Notes
    -----
    The Jacobian determinant is -b everywhere, so the exponents sum to ln b exactly. At a = 1.4,
    b = 0.3 they are 0.4192 and -1.6232 and the Kaplan-Yorke dimension is 1.2583 (Henon, Commun.
    Math. Phys. 50, 1976; values from Sprott, Chaos and Time-Series Analysis, 2003).
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """The classical attractor, from a start in its basin."""
        return {"a": 1.4, "b": 0.3, "x0": 0.1, "y0": 0.1}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return jnp.stack([jnp.asarray(hparams["x0"]), jnp.asarray(hparams["y0"])])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return (1 - a x^2 + y, b x)."""
        x, y = state
        return jnp.stack([1 - hparams["a"] * x * x + y, hparams["b"] * x])

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the Euclidean norm."""
        return jnp.hypot(state[0], state[1])
