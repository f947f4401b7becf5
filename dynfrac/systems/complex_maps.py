"""Maps of the complex plane, whose basins have fractal borders."""

from __future__ import annotations

import math
from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
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


@final
class Newton(AbstractMap):
    """Newton's method for the roots of `z^degree = 1`, observed as the distance from the root 1.

    Parameters
    ----------
    degree : int, default 3
        At least 2.

    Notes
    -----
    Hyperparameters are the start `z_re`, `z_im`; the state is the array (real part, imaginary
    part). A run counts as converged if it ends at the root 1. The border of that basin is the
    border of every other, the Julia set of the method, of box dimension 1.444 for degree 3. The
    metric `root` is the number of the root that is nearest in angle, counted against the clock from
    0 at the root 1: the labels of all basins. From z = 0 the method has no next step; what comes
    out is not finite.
    """

    degree: int = struct.field(pytree_node=False, default=3)

    rule = "threshold:0.001"

    def __post_init__(self) -> None:
        """Refuse what has no roots to choose between."""
        if self.degree < 2:
            raise ValueError(f"degree={self.degree} leaves at most one root; pass 2 or more")

    @property
    def defaults(self) -> dict[str, float]:
        """A start that is nearest to another root than the one it ends at."""
        return {"z_re": -1.0, "z_im": 0.2}

    def init(self, hparams: Hparams) -> Any:
        """Return (z_re, z_im)."""
        return point(hparams["z_re"], hparams["z_im"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return z - (z^n - 1) / (n z^(n - 1))."""
        z = jax.lax.complex(state[0], state[1])
        n = self.degree
        z = ((n - 1) * z + 1 / z ** (n - 1)) / n
        return point(z.real, z.imag)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(z - 1)."""
        return jnp.hypot(state[0] - 1, state[1])

    def metrics(self, state: Any, hparams: Hparams) -> dict[str, Any]:
        """Return `root`, a whole number from 0 to degree - 1."""
        turns = jnp.arctan2(state[1], state[0]) / (2 * math.pi)
        return {"root": jnp.round(self.degree * turns) % self.degree}


@final
class Magnet(AbstractMap):
    """Renormalisation of a magnet, `z' = ((z^2 + q - 1) / (2 z + q - 2))^2`, observed as abs(z).

    Hyperparameters are `q_re`, `q_im` and the start `z_re`, `z_im`. The state is the array
    (real part, imaginary part).

    Notes
    -----
    The Potts model with q states on a hierarchical lattice ("type I" among the pictures of it).
    The points 1 and infinity attract: the two phases. From z = 0, a critical point, the plane of q
    holds copies of the Mandelbrot set where neither does (Peitgen and Richter, The Beauty of
    Fractals, 1986).
    """

    rule = "bounded:100"

    @property
    def defaults(self) -> dict[str, float]:
        """A number of states that ends at z = 1, from the critical point."""
        return {"q_re": 1.5, "q_im": 0.3, "z_re": 0.0, "z_im": 0.0}

    def init(self, hparams: Hparams) -> Any:
        """Return (z_re, z_im)."""
        return point(hparams["z_re"], hparams["z_im"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the next z."""
        z = jax.lax.complex(state[0], state[1])
        q = jax.lax.complex(*point(hparams["q_re"], hparams["q_im"]))
        z = ((z * z + q - 1) / (2 * z + q - 2)) ** 2
        return point(z.real, z.imag)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(z)."""
        return jnp.hypot(state[0], state[1])
