"""Maps with several attractors or none, drawn over their starts: basins with fractal borders."""

from __future__ import annotations

import math
from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams
from dynfrac.systems.coordinates import point, wrap
from dynfrac.systems.self_similarity import self_similar_dimension


@final
class GrebogiOttYorke(AbstractMap):
    """The angle map of Grebogi, Ott and Yorke, whose two basins have a border of dimension 1.807.

    Hyperparameters are `a`, `b`, `j0`, the kick `x` is multiplied by, and the start `theta0`, `x0`.
    The state is the array (theta, x); observed is the distance from the attractor (0, -j0), along
    a chord of the circle.

    Notes
    -----
    `theta' = theta + a sin(2 theta) - b sin(4 theta) - x sin(theta)` modulo 2 pi and
    `x' = -j0 cos(theta)`. The attractors are (0, -j0) and (pi, j0), of equal basins. Over theta0 in
    [0, 2 pi] and x0 in [-0.5, 0.5] the uncertainty exponent is 0.193 +- 0.003, published as about
    0.2 (Phys. Rev. Lett. 50, 1983; McDonald et al., Physica D 17, 1985). After 300 steps no start
    is undecided.
    """

    rule = "threshold:0.1"

    @property
    def defaults(self) -> dict[str, float]:
        """The published map, from a start that takes some steps to decide."""
        return {"a": 1.32, "b": 0.9, "j0": 0.3, "theta0": 1.0, "x0": 0.1}

    def init(self, hparams: Hparams) -> Any:
        """Return (theta0, x0)."""
        return point(hparams["theta0"], hparams["x0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return (theta', x')."""
        theta, x = state
        turned = (
            theta
            + hparams["a"] * jnp.sin(2 * theta)
            - hparams["b"] * jnp.sin(4 * theta)
            - x * jnp.sin(theta)
        )
        return point(wrap(turned, 2 * math.pi), -hparams["j0"] * jnp.cos(theta))

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the distance from (0, -j0)."""
        return jnp.hypot(2 * jnp.sin(state[0] / 2), state[1] + hparams["j0"])


@final
class CantorCurve(AbstractMap):
    """An open map of the line over a curve through the plane, with a border of known dimension.

    Hyperparameters are the place `x`, `y` in the unit square and the lengths `left` and `right`
    of the branches, positive and of sum below 1. The state is the scalar u, observed as its
    distance from 1/2.

    Notes
    -----
    The orbit starts at u = 0.02 + 0.96 frac(x + 0.37 y + 0.08 sin(2 pi y)) and is stretched,
    `u' = u / left` on the left and `u' = 1 - (1 - u) / right` on the right, until it leaves [0, 1];
    the label is the parity of that step. The border is a Cantor set times a smooth curve, of
    dimension 1.8097556 at 0.45 and 0.40, hard to tell from 2 in a picture.
    """

    rule = "parity:0.5"
    ranges = {"left": (0.0, 1.0), "right": (0.0, 1.0)}

    @property
    def defaults(self) -> dict[str, float]:
        """Two scales, and a place from which the orbit leaves after a few steps."""
        return {"x": 0.2, "y": 0.3, "left": 0.45, "right": 0.40}

    def init(self, hparams: Hparams) -> Any:
        """Return u of the place."""
        x, y = hparams["x"], hparams["y"]
        return 0.02 + 0.96 * wrap(x + 0.37 * y + 0.08 * jnp.sin(2 * math.pi * y))

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return u'; what lies in the gap goes out on its nearer side."""
        left, right = hparams["left"], hparams["right"]
        middle = (left + 1 - right) / 2
        return jnp.where(state < middle, state / left, 1 - (1 - state) / right)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(u - 1/2): above 1/2 once the orbit has left."""
        return jnp.abs(state - 0.5)

    def boundary_dimension(self, hparams: Hparams) -> float:
        """Return the dimension of the border in the plane."""
        return 1 + self_similar_dimension([hparams["left"], hparams["right"]])


@final
class Pendulum(AbstractMap):
    """A pendulum with friction that is pushed with the period 2 pi, seen once in each period.

    Hyperparameters are the `friction` nu, the `drive` f and the start `theta0`, `v0`; observed is
    exp(v). The state is the array (theta, v), angle and angular velocity.

    Parameters
    ----------
    n_substeps : int, default 100
        Runge-Kutta steps of fourth order within one period. At 100 a period is exact to 1e-5.

    Notes
    -----
    `theta'' = -nu theta' - sin(theta) + f cos(time)`. At nu = 0.2, f = 2 there are two attractors,
    fixed points of this map with the pendulum on its way forward, v = 2.04, or backward, v = -0.61.
    Converged means backward: the last exp(v) is at most 1. The border over theta0 and v0 has a
    dimension of about 1.8 (Grebogi, Ott and Yorke, Science 238, 1987).
    """

    n_substeps: int = struct.field(pytree_node=False, default=100)

    rule = "threshold:1"

    def __post_init__(self) -> None:
        """Refuse a period without steps."""
        if self.n_substeps < 1:
            raise ValueError(f"n_substeps={self.n_substeps} is impossible; pass 1 or more")

    @property
    def defaults(self) -> dict[str, float]:
        """The published pendulum, from rest near the top."""
        return {"friction": 0.2, "drive": 2.0, "theta0": 3.0, "v0": 0.5}

    def init(self, hparams: Hparams) -> Any:
        """Return (theta0, v0)."""
        return point(hparams["theta0"], hparams["v0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return angle, in [-pi, pi), and angular velocity one period on."""
        size = 2 * math.pi / self.n_substeps

        def slope(state: Any, time: Any) -> Any:
            theta, v = state
            push = hparams["drive"] * jnp.cos(time)
            return point(v, push - hparams["friction"] * v - jnp.sin(theta))

        def substep(i: Any, state: Any) -> Any:
            time = i * jnp.asarray(size, state.dtype)
            first = slope(state, time)
            second = slope(state + size / 2 * first, time + size / 2)
            third = slope(state + size / 2 * second, time + size / 2)
            fourth = slope(state + size * third, time + size)
            return state + size / 6 * (first + 2 * second + 2 * third + fourth)

        theta, v = jax.lax.fori_loop(0, self.n_substeps, substep, state)
        return point(wrap(theta + math.pi, 2 * math.pi) - math.pi, v)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return exp(v): below 1 while the pendulum turns backward."""
        return jnp.exp(state[1])
