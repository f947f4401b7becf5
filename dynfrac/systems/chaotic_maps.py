"""Chaotic maps of two and three dimensions: attractors, and maps that keep areas."""

from __future__ import annotations

import math
from typing import Any, final

import jax.numpy as jnp
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams
from dynfrac.systems.coordinates import point, wrap


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
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return (1 - a x^2 + y, b x)."""
        x, y = state
        return point(1 - hparams["a"] * x * x + y, hparams["b"] * x)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the Euclidean norm."""
        return jnp.hypot(state[0], state[1])

    def exponent_sum(self, hparams: Hparams) -> float:
        """Return ln abs(b), the sum of both exponents at every step."""
        return _log_abs(hparams["b"])


@final
class Lozi(AbstractMap):
    """The Lozi map `x' = 1 - a abs(x) + y`, `y' = b x`, observed as the norm of (x, y).

    Hyperparameters are `a`, `b` and the start `x0`, `y0`. The state is an array (2,).

    Notes
    -----
    The Henon map with corners: piecewise linear, and proven to be chaotic at a = 1.7, b = 0.5
    (Lozi, J. Phys. Colloq. 39, 1978; Misiurewicz 1980). There the exponents are 0.4702 and -1.1634,
    with the sum ln b exactly.
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """The classical attractor, from a start in its basin."""
        return {"a": 1.7, "b": 0.5, "x0": 0.1, "y0": 0.1}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return (1 - a abs(x) + y, b x)."""
        x, y = state
        return point(1 - hparams["a"] * jnp.abs(x) + y, hparams["b"] * x)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the Euclidean norm."""
        return jnp.hypot(state[0], state[1])

    def exponent_sum(self, hparams: Hparams) -> float:
        """Return ln abs(b), the sum of both exponents at every step."""
        return _log_abs(hparams["b"])


@final
class Ikeda(AbstractMap):
    """The Ikeda map `z' = a + b z exp(i (kappa - alpha / (1 + abs(z)^2)))`, observed as abs(z).

    Hyperparameters are `a`, `b`, `kappa`, `alpha` and the start `x0`, `y0`, the real and imaginary
    part of z. The state is an array (2,).

    Notes
    -----
    Light in a ring cavity. At the default values the exponents are 0.5076 and -0.7183; their sum is
    2 ln b exactly (Hammel, Jones and Moloney, J. Opt. Soc. Am. B 2, 1985).
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """The classical attractor."""
        return {"a": 1.0, "b": 0.9, "kappa": 0.4, "alpha": 6.0, "x0": 0.1, "y0": 0.1}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the next z, turned by an angle that depends on abs(z)."""
        x, y = state
        angle = hparams["kappa"] - hparams["alpha"] / (1 + x * x + y * y)
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        b = hparams["b"]
        return point(hparams["a"] + b * (x * cosine - y * sine), b * (x * sine + y * cosine))

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(z)."""
        return jnp.hypot(state[0], state[1])

    def exponent_sum(self, hparams: Hparams) -> float:
        """Return 2 ln abs(b), the sum of both exponents at every step."""
        return 2 * _log_abs(hparams["b"])


@final
class StandardMap(AbstractMap):
    """The standard map `p' = p + k sin(theta)`, `theta' = theta + p'`, both modulo 2 pi.

    Hyperparameters are the kick `k` and the start `theta0`, `p0`. The state is the array
    (theta, p); observed is p.

    Notes
    -----
    A kicked rotor, which keeps areas: the exponents are opposite (Chirikov, Phys. Rep. 52, 1979).
    In the chaotic sea the largest is 0.9756 at k = 5 and 1.6201 at k = 10, a little above
    ln(k / 2). For small k it depends on the start: regular islands and the sea lie side by side.
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """A sea with next to no islands."""
        return {"k": 10.0, "theta0": 1.0, "p0": 2.0}

    def init(self, hparams: Hparams) -> Any:
        """Return (theta0, p0)."""
        return point(hparams["theta0"], hparams["p0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return (theta', p')."""
        theta, p = state
        kicked = p + hparams["k"] * jnp.sin(theta)
        return point(wrap(theta + kicked, 2 * math.pi), wrap(kicked, 2 * math.pi))

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return p."""
        return state[1]

    def exponent_sum(self, hparams: Hparams) -> float:
        """Return 0, the sum of both exponents at every step."""
        return 0.0


@final
class Cat(AbstractMap):
    """Arnold's cat map `x' = 2 x + y, y' = x + y`, both modulo 1, observed as the norm of (x, y).

    Hyperparameters are the start `x0`, `y0`. The state is an array (2,).

    Notes
    -----
    It keeps areas and is the same linear map everywhere: the exponents are
    +-ln((3 + sqrt 5) / 2) = +-0.9624237 from the first step on, once the frame is aligned.
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """A start that is on no short cycle."""
        return {"x0": 0.3, "y0": 0.6}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return (2 x + y, x + y) mod 1."""
        x, y = state
        return wrap(point(2 * x + y, x + y))

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the Euclidean norm."""
        return jnp.hypot(state[0], state[1])

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return both exponents."""
        largest = math.log((3 + math.sqrt(5)) / 2)
        return largest, -largest


@final
class Diagonal(AbstractMap):
    """The linear map `x' = a x`, `y' = b y`, observed as the norm of (x, y).

    Hyperparameters are the factors `a`, `b` and the start `x0`, `y0`. The state is an array (2,).

    Notes
    -----
    The exponents are ln abs(a) and ln abs(b), of the first step as of any number. At a = 1.1 the
    orbit is beyond the largest float64 after 7400 steps, unless it starts at x0 = 0.
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """One direction that grows and one that shrinks."""
        return {"a": 1.1, "b": 0.8, "x0": 1.0, "y0": 1.0}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return (a x, b y)."""
        return point(hparams["a"] * state[0], hparams["b"] * state[1])

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the Euclidean norm."""
        return jnp.hypot(state[0], state[1])

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return both exponents, the larger first."""
        logs = [_log_abs(hparams[name]) for name in ("a", "b")]
        return max(logs), min(logs)


@final
class CoupledLogistic(AbstractMap):
    """Two logistic maps that are drawn to each other, observed as the distance abs(x - y).

    Hyperparameters are `r`, the `coupling` e in [0, 1] and the start `x0`, `y0` in [0, 1]. With
    f(x) = r x (1 - x), `x' = (1 - e) f(x) + e f(y)` and `y' = (1 - e) f(y) + e f(x)`. The state is
    an array (2,). A run counts as converged if both are the same in the end.

    Notes
    -----
    When both are the same they move as one logistic map, and a difference grows by abs(1 - 2 e)
    times what the single map does. At r = 4 its exponent is ln 2 + ln abs(1 - 2 e): both stay
    together for e between 1/4 and 3/4 (Fujisaka and Yamada, Prog. Theor. Phys. 69, 1983).
    """

    rule = "threshold:1e-9"
    ranges = {"coupling": (0.0, 1.0)}

    @property
    def defaults(self) -> dict[str, float]:
        """Chaotic maps that find together."""
        return {"r": 4.0, "coupling": 0.3, "x0": 0.3, "y0": 0.4}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return (x', y')."""
        fx, fy = hparams["r"] * state * (1 - state)
        coupling = hparams["coupling"]
        return point((1 - coupling) * fx + coupling * fy, (1 - coupling) * fy + coupling * fx)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(x - y)."""
        return jnp.abs(state[0] - state[1])

    def transverse_exponent(self, hparams: Hparams) -> float:
        """Return the exponent of a small difference at r = 4; minus infinity at coupling 1/2."""
        factor = 2 * abs(1 - 2 * hparams["coupling"])
        if hparams["r"] != 4:
            raise ValueError(f"r={hparams['r']} has no formula for this exponent; it needs r=4")
        return _log_abs(factor)


@final
class Towel(AbstractMap):
    """Roessler's folded towel, a map of three dimensions with two positive exponents.

    Hyperparameters are `a`, `b` and the start `x0`, `y0`, `z0`; only starts near the attractor stay
    bounded. The state is an array (3,), observed as its norm.

    Notes
    -----
    `x' = a x (1 - x) - 0.05 (y + 0.35) (1 - 2 z)`,
    `y' = 0.1 ((y + 0.35) (1 - 2 z) - 1) (1 - 1.9 x)`, `z' = 3.78 z (1 - z) + b y`. At a = 3.8 and
    b = 0.2 the exponents are 0.43, 0.38 and -3.3 (Roessler, Phys. Lett. A 71, 1979).
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """The published map."""
        return {"a": 3.8, "b": 0.2, "x0": 0.085, "y0": -0.121, "z0": 0.075}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0, z0)."""
        return point(hparams["x0"], hparams["y0"], hparams["z0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return (x', y', z')."""
        x, y, z = state
        fold = (y + 0.35) * (1 - 2 * z)
        return point(
            hparams["a"] * x * (1 - x) - 0.05 * fold,
            0.1 * (fold - 1) * (1 - 1.9 * x),
            3.78 * z * (1 - z) + hparams["b"] * y,
        )

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the Euclidean norm."""
        return jnp.sqrt(jnp.sum(state**2))


def _log_abs(factor: Any) -> float:
    """Return ln abs(factor); minus infinity of 0, where a direction is annihilated."""
    return math.log(abs(factor)) if factor else -math.inf
