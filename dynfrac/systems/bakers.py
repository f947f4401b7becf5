"""Maps that stretch, cut and stack, whose exponents and dimensions are formulas.

All of them stretch one coordinate x by cutting [0, 1] at `split` and spreading both parts over
[0, 1], so that x is distributed evenly and the left part has the share `split`.

At a split of exactly 1/2 this doubles x, which shifts its bits: after some 50 steps every orbit is
at 0 or 1. The default is 1/2 + 1e-9 instead. Its exponents are the same to 1e-17, those of n steps
to 4e-9 / sqrt(n), and ten million steps fill 64 bins as evenly as independent points do. (Closer to
1/2 they do not: at 1/2 + 1e-12 the counts scatter five times as much, because the new bits are
hardly new.) In float32 it would be 1/2 again, so these maps run in float64 only.
"""

from __future__ import annotations

import math
from typing import Any, final

import jax.numpy as jnp
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams
from dynfrac.systems.coordinates import point
from dynfrac.systems.self_similarity import self_similar_dimension

HALF = 0.5 + 1e-9
"""A split that halves, to all intents and purposes, and does not shift bits."""


@final
class Baker(AbstractMap):
    """The folded baker's map of the unit square, observed as the norm of (x, y).

    Hyperparameters are `split` and the start `x0`, `y0` in [0, 1]. The state is an array (2,).

    Notes
    -----
    Left of s = split the map is `x' = x / s, y' = s y`, on the right the strip is turned over:
    `x' = (1 - x) / (1 - s), y' = 1 - (1 - s) y`. It keeps areas, so the exponents are opposite;
    they are those of a coin of bias s, +-(-s ln s - (1 - s) ln(1 - s)), and +-ln 2 at s = 1/2.
    """

    rule = "bounded:1e8"
    dtypes = ("float64",)
    ranges = {"split": (0.0, 1.0)}

    @property
    def defaults(self) -> dict[str, float]:
        """The baker's map that halves."""
        return {"split": HALF, "x0": 0.3, "y0": 0.6}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the image of (x, y)."""
        x, y = state
        split = hparams["split"]
        left = x < split
        return point(
            jnp.where(left, x / split, (1 - x) / (1 - split)),
            jnp.where(left, split * y, 1 - (1 - split) * y),
        )

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the Euclidean norm."""
        return jnp.hypot(state[0], state[1])

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return both exponents."""
        entropy = _entropy(hparams["split"])
        return entropy, -entropy


@final
class GeneralizedBaker(AbstractMap):
    """The generalized baker's map of the unit square, observed as the norm of (x, y).

    Hyperparameters are `split`, the contractions `left` and `right`, positive and of sum at most 1,
    and the start `x0`, `y0` in [0, 1]. The state is an array (2,).

    Notes
    -----
    Left of s = split the map is `x' = x / s, y' = left y`, on the right
    `x' = (x - s) / (1 - s), y' = 1 - right + right y`. The attractor is a line times a Cantor set
    of two scales and two weights, with D0 > D1 > D2 unless the weights fit the scales. D1 is the
    Kaplan-Yorke dimension, exactly (Farmer, Ott and Yorke, Physica D 7, 1983).
    """

    rule = "bounded:1e8"
    dtypes = ("float64",)
    ranges = {"split": (0.0, 1.0), "left": (0.0, 1.0), "right": (0.0, 1.0)}

    @property
    def defaults(self) -> dict[str, float]:
        """Exponents 0.6730117 and -1.1844110; D0 1.5728661, D1 1.5682248, D2 1.5635806."""
        return {"split": 0.4, "left": 0.25, "right": 0.35, "x0": 0.3, "y0": 0.6}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the image of (x, y)."""
        x, y = state
        left, stretched = _stretch(x, hparams["split"])
        lower, upper = hparams["left"], hparams["right"]
        return point(stretched, jnp.where(left, lower * y, 1 - upper + upper * y))

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the Euclidean norm."""
        return jnp.hypot(state[0], state[1])

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return both exponents."""
        s = hparams["split"]
        contracting = s * math.log(hparams["left"]) + (1 - s) * math.log(hparams["right"])
        return _entropy(s), contracting

    def dimension(self, hparams: Hparams, q: float = 0.0) -> float:
        """Return D_q of the attractor."""
        ratios = [hparams["left"], hparams["right"]]
        return 1 + self_similar_dimension(ratios, [hparams["split"], 1 - hparams["split"]], q)


@final
class SkinnyBaker(AbstractMap):
    """The skinny baker's map of the unit square, observed as the norm of (x, y).

    Hyperparameters are `contraction`, in (0, 1/2), `split` and the start `x0`, `y0` in [0, 1]. The
    state is an array (2,).

    Notes
    -----
    With s = split and a = contraction, left of s the map is `x' = x / s, y' = a y`, on the right
    `x' = (x - s) / (1 - s), y' = 1 - a + a y` (Alligood, Sauer and Yorke, Chaos, 1996). At s = 1/2
    the attractor is a line times a Cantor set, of dimension 1 + ln 2 / abs(ln a) for every q.
    """

    rule = "bounded:1e8"
    dtypes = ("float64",)
    ranges = {"contraction": (0.0, 0.5), "split": (0.0, 1.0)}

    @property
    def defaults(self) -> dict[str, float]:
        """A line times the middle-thirds Cantor set: dimension 1.6309298."""
        return {"contraction": 1 / 3, "split": HALF, "x0": 0.3, "y0": 0.6}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the image of (x, y)."""
        x, y = state
        left, stretched = _stretch(x, hparams["split"])
        shrunk = hparams["contraction"] * y
        return point(stretched, jnp.where(left, shrunk, 1 - hparams["contraction"] + shrunk))

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the Euclidean norm."""
        return jnp.hypot(state[0], state[1])

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return both exponents."""
        return _entropy(hparams["split"]), math.log(hparams["contraction"])

    def dimension(self, hparams: Hparams, q: float = 0.0) -> float:
        """Return D_q of the attractor."""
        s, a = hparams["split"], hparams["contraction"]
        return 1 + self_similar_dimension([a, a], [s, 1 - s], q)


@final
class KaplanYorkeMap(AbstractMap):
    """The Kaplan-Yorke map `x' = 2 x mod 1, y' = contraction y + cos(4 pi x)`, observed as abs(y).

    Hyperparameters are `contraction`, in (0, 1), `split` and the start `x0` in [0, 1], `y0`. The
    state is an array (2,). The doubling is that of a `split`: x / s on its left, (x - s) / (1 - s)
    on its right.

    Notes
    -----
    The exponents are ln 2 and ln contraction. At 0.2 the Kaplan-Yorke dimension is
    1 + ln 2 / ln 5 = 1.4306766 (Kaplan and Yorke, Lect. Notes Math. 730, 1979).
    """

    rule = "bounded:1e8"
    dtypes = ("float64",)
    ranges = {"contraction": (0.0, 1.0), "split": (0.0, 1.0)}

    @property
    def defaults(self) -> dict[str, float]:
        """The published map."""
        return {"contraction": 0.2, "split": HALF, "x0": 0.3, "y0": 0.6}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the image of (x, y)."""
        x, y = state
        _, stretched = _stretch(x, hparams["split"])
        return point(stretched, hparams["contraction"] * y + jnp.cos(4 * jnp.pi * x))

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(y)."""
        return jnp.abs(state[1])

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return both exponents."""
        return _entropy(hparams["split"]), math.log(hparams["contraction"])


@final
class Solenoid(AbstractMap):
    """Smale's solenoid, an angle that doubles and a disc that shrinks; observed as the disc's norm.

    Hyperparameters are `contraction`, in (0, 1/2), `split` and the start: the angle `x0` in [0, 1]
    in turns, and `u0`, `v0` in the disc. The state is an array (3,).

    Notes
    -----
    With the angle x doubled as by the other maps of this module,
    `u' = contraction u + cos(2 pi x) / 2` and `v' = contraction v + sin(2 pi x) / 2`. Exponents are
    ln 2 and twice ln contraction. Every cut through the torus is a Cantor set of two equal pieces:
    the dimension is 1 + ln 2 / abs(ln contraction), 1.5 at 1/4, for every q.
    """

    rule = "bounded:1e8"
    dtypes = ("float64",)
    ranges = {"contraction": (0.0, 0.5), "split": (0.0, 1.0)}

    @property
    def defaults(self) -> dict[str, float]:
        """A solenoid of dimension 3/2."""
        return {"contraction": 0.25, "split": HALF, "x0": 0.3, "u0": 0.1, "v0": 0.2}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, u0, v0)."""
        return point(hparams["x0"], hparams["u0"], hparams["v0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the image of (x, u, v)."""
        x, u, v = state
        _, stretched = _stretch(x, hparams["split"])
        contraction, turn = hparams["contraction"], 2 * jnp.pi * x
        return point(
            stretched, contraction * u + 0.5 * jnp.cos(turn), contraction * v + 0.5 * jnp.sin(turn)
        )

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the norm of (u, v)."""
        return jnp.hypot(state[1], state[2])

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return all three exponents."""
        contracting = math.log(hparams["contraction"])
        return _entropy(hparams["split"]), contracting, contracting

    def dimension(self, hparams: Hparams, q: float = 0.0) -> float:
        """Return D_q of the attractor."""
        s, a = hparams["split"], hparams["contraction"]
        return 1 + self_similar_dimension([a, a], [s, 1 - s], q)


@final
class Horseshoe(AbstractMap):
    """Smale's horseshoe with straight legs, an open map of the unit square.

    Hyperparameters are `expansion` > 2, `contraction` in (0, 1/2), and the start `x0`, `y0` in
    [0, 1]. The state is an array (2,), observed as the distance from the centre of the square, that
    of the coordinate farther from it.

    Notes
    -----
    With e = expansion and c = contraction, the left half is sent to `x' = e x, y' = c y`, the right
    one to `x' = e (1 - x), y' = 1 - c y`; a strip in the middle leaves the square. Orbits leave at
    the rate ln(e / 2). What never leaves, in the past or the future, is a Cantor set times another,
    of dimension ln 2 / ln e + ln 2 / abs(ln c); what never leaves in the future has, among starts
    in the plane, dimension 1 + ln 2 / ln e. That is the boundary of the picture over x0 and y0.
    """

    rule = "parity:0.5"
    ranges = {"expansion": (2.0, math.inf), "contraction": (0.0, 0.5)}

    @property
    def defaults(self) -> dict[str, float]:
        """Two middle-thirds Cantor sets."""
        return {"expansion": 3.0, "contraction": 1 / 3, "x0": 0.3, "y0": 0.6}

    def init(self, hparams: Hparams) -> Any:
        """Return (x0, y0)."""
        return point(hparams["x0"], hparams["y0"])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the image of (x, y)."""
        x, y = state
        shrunk = hparams["contraction"] * y
        return point(
            hparams["expansion"] * jnp.minimum(x, 1 - x), jnp.where(x < 0.5, shrunk, 1 - shrunk)
        )

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the larger of abs(x - 1/2) and abs(y - 1/2): above 1/2 once an orbit has left."""
        return jnp.max(jnp.abs(state - 0.5))

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return both exponents of orbits that stay."""
        return math.log(hparams["expansion"]), math.log(hparams["contraction"])

    def escape_rate(self, hparams: Hparams) -> float:
        """Return the rate at which orbits leave, per step."""
        return math.log(hparams["expansion"] / 2)

    def dimension(self, hparams: Hparams, q: float = 0.0) -> float:
        """Return the dimension of the set that never leaves, the same for every q."""
        expanding, contracting = self.exponents(hparams)
        return math.log(2) / expanding - math.log(2) / contracting


def _stretch(x: Any, split: Any) -> tuple[Any, Any]:
    """Return whether x is left of the split, and where its part is spread over [0, 1]."""
    left = x < split
    return left, jnp.where(left, x / split, (x - split) / (1 - split))


def _entropy(split: Any) -> float:
    """Return the exponent of the stretching, the entropy of a coin of this bias."""
    s = float(split)
    return -s * math.log(s) - (1 - s) * math.log(1 - s)
