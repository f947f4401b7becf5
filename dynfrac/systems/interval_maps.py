"""Maps of the line: textbook chaos, and open maps whose orbits leave."""

from __future__ import annotations

from typing import Any, final

import jax.numpy as jnp
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams


@final
class Logistic(AbstractMap):
    """The logistic map `x' = r x (1 - x)`, observed as `abs(x)`.

    Hyperparameters are `r` and the start `x0`; starts in [0, 1] stay there for r in [0, 4].

    Notes
    -----
    A fixed point attracts for 1 < r < 3 with exponent ln abs(2 - r), a 2-cycle for
    3 < r < 1 + sqrt 6 with exponent 0.5 ln abs(4 + 2 r - r^2), and at r = 4 the exponent is ln 2
    (May, Nature 261, 1976).
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """Fully developed chaos from a start that is on no short cycle."""
        return {"r": 4.0, "x0": 0.3}

    def init(self, hparams: Hparams) -> Any:
        """Return the scalar x0."""
        return hparams["x0"]

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return r x (1 - x)."""
        return hparams["r"] * state * (1 - state)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(x)."""
        return jnp.abs(state)
