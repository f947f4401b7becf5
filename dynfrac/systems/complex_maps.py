"""Maps of the complex plane, whose basins have fractal borders."""

from __future__ import annotations

from typing import Any, final

import jax.numpy as jnp
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams
from dynfrac.systems.coordinates import point


@final
class Quadratic(AbstractMap):
    """The complex quadratic map `z' = z^2 + c`, observed as `abs(z)`.

    Hyperparameters are `c_re`, `c_im` and the start `z_re`, `z_im`. The state is the array
    (real part, imaginary part), so that the phase space is the real plane.

    Notes
    -----
    An orbit that once exceeds max(2, abs(c)) goes to infinity. With c fixed, the boundary between
    the starts that do and those that do not is the Julia set; with z0 = 0 and c varied it is the
    boundary of the Mandelbrot set. The map is conformal: both exponents of an orbit are equal.
    """

    rule = "bounded:2"

    @property
    def defaults(self) -> dict[str, float]:
        """The basilica, c = -1, whose critical orbit is the 2-cycle 0, -1."""
        return {"c_re": -1.0, "c_im": 0.0, "z_re": 0.0, "z_im": 0.0}

    def init(self, hparams: Hparams) -> Any:
        """Return (z_re, z_im)."""
        return point(hparams["z_re"], hparams["z_im"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return z^2 + c."""
        x, y = state
        return point(x * x - y * y + hparams["c_re"], 2 * x * y + hparams["c_im"])

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(z)."""
        return jnp.hypot(state[0], state[1])
