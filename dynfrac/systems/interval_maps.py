"""Maps of the interval [0, 1]: textbook chaos, and open maps whose orbits leave it.

An open map sends a part of the interval out of it, and what leaves goes to infinity. The starts
that never leave are a Cantor set, the repeller. Which runs leave at an even step (rule ``parity``)
is a labelling whose boundary is that set.
"""

from __future__ import annotations

import math
from typing import Any, final

import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams
from dynfrac.systems.coordinates import wrap
from dynfrac.systems.self_similarity import self_similar_dimension


@final
class Logistic(AbstractMap):
    """The logistic map `x' = r x (1 - x)`, observed as `abs(x)`.

    Hyperparameters are `r` and the start `x0`; starts in [0, 1] stay there for r in [0, 4].

    Notes
    -----
    A fixed point attracts for 1 < r < 3 with exponent ln abs(2 - r), a 2-cycle for
    3 < r < 1 + sqrt 6 with exponent 0.5 ln abs(4 + 2 r - r^2), and at r = 4 the exponent is ln 2
    (May, Nature 261, 1976). Beyond r = 4 almost every start leaves, and the rest is a repeller:
    of dimension 0.8331 at r = 4.1 and 0.5516 at r = 5 (rule ``parity:1``).
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


@final
class MarkusLyapunov(AbstractMap):
    """The logistic map whose parameter alternates: `x' = r_t x (1 - x)`, r_t spelt by a word.

    Parameters
    ----------
    word : str, default "AB"
        Of the letters A and B, read again and again: the parameter is `a` at an A, `b` at a B.

    Notes
    -----
    Hyperparameters are `a`, `b` in [0, 4] and the start `x0` in [0, 1]; observed is abs(x). The
    largest Lyapunov exponent over the plane of a and b makes the pictures of Markus (Computers in
    Physics 4, 1990), and a run counts as converged where it is not positive. It depends on the
    step as a training run on minibatches does, and on `a` alone if the word has no B. A start at
    1/2, where the slope is 0, has the exponent minus infinity.
    """

    word: str = struct.field(pytree_node=False, default="AB")

    rule = "threshold:0@lyapunov"
    ranges = {"a": (0.0, 4.0), "b": (0.0, 4.0)}

    def __post_init__(self) -> None:
        """Refuse what cannot be read."""
        if not self.word or set(self.word) - {"A", "B"}:
            raise ValueError(f"word={self.word!r} cannot be read; spell it with A and B, as in AAB")

    @property
    def defaults(self) -> dict[str, float]:
        """A pair of parameters at which orbits settle on a cycle."""
        return {"a": 3.0, "b": 3.5, "x0": 0.3}

    def init(self, hparams: Hparams) -> Any:
        """Return the scalar x0."""
        return hparams["x0"]

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return r x (1 - x), with the parameter of this step."""
        is_a = jnp.asarray([letter == "A" for letter in self.word])[jnp.asarray(t) % len(self.word)]
        return jnp.where(is_a, hparams["a"], hparams["b"]) * state * (1 - state)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(x)."""
        return jnp.abs(state)


@final
class Tent(AbstractMap):
    """The tent map `x' = slope min(x, 1 - x)`, observed as the distance of x from 1/2.

    Hyperparameters are `slope` > 0 and the start `x0` in [0, 1].

    Notes
    -----
    The exponent is ln slope wherever an orbit stays. It stays for slope <= 2; beyond, all but a
    Cantor set of dimension ln 2 / ln slope leaves, at the rate ln(slope / 2).

    A slope of exactly 2 shifts the bits of x, so that after some 50 steps every orbit is at 0. The
    default is 2 - 1e-10 instead, which changes the exponent by 5e-11 and keeps the orbit going: ten
    million steps fill 64 bins as evenly as independent points do. In float32 that is 2 again: the
    map runs in float64 only.
    """

    rule = "parity:0.5"
    dtypes = ("float64",)
    ranges = {"slope": (0.0, math.inf)}

    @property
    def defaults(self) -> dict[str, float]:
        """Chaos on the whole interval, to all intents and purposes."""
        return {"slope": 2 - 1e-10, "x0": 0.3}

    def init(self, hparams: Hparams) -> Any:
        """Return the scalar x0."""
        return hparams["x0"]

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return slope min(x, 1 - x)."""
        return hparams["slope"] * jnp.minimum(state, 1 - state)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(x - 1/2): above 1/2 once an orbit has left."""
        return jnp.abs(state - 0.5)

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return the exponent, ln slope."""
        return (math.log(hparams["slope"]),)

    def escape_rate(self, hparams: Hparams) -> float:
        """Return the rate at which orbits leave, per step: ln(slope / 2), or 0 up to slope 2."""
        return max(0.0, math.log(hparams["slope"] / 2))

    def dimension(self, hparams: Hparams, q: float = 0.0) -> float:
        """Return the dimension of the repeller, the same for every q; needs slope > 2."""
        _refuse_unless(hparams["slope"] > 2, "slope", hparams["slope"], "a slope above 2")
        return math.log(2) / math.log(hparams["slope"])


@final
class TwoScaleTent(AbstractMap):
    """The open tent `x' = min(x / left, (1 - x) / right)`, observed as the distance of x from 1/2.

    Hyperparameters are the lengths `left` and `right` of the branches, positive and of sum below 1,
    and the start `x0` in [0, 1].

    Notes
    -----
    The two intervals of these lengths at the ends of [0, 1] are each stretched onto all of it, the
    gap between them is sent out. The repeller is a Cantor set of two scales, and its natural
    measure has the weights left / (left + right) and right / (left + right). At 0.45 and 0.40 its
    box dimension is 0.8097556, the exponent 0.8539350, and orbits leave at the rate 0.1625189.
    """

    rule = "parity:0.5"
    ranges = {"left": (0.0, 1.0), "right": (0.0, 1.0)}

    @property
    def defaults(self) -> dict[str, float]:
        """Two different scales; the start leaves after a few steps."""
        return {"left": 0.45, "right": 0.40, "x0": 0.3}

    def init(self, hparams: Hparams) -> Any:
        """Return the scalar x0."""
        return hparams["x0"]

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return min(x / left, (1 - x) / right)."""
        return jnp.minimum(state / hparams["left"], (1 - state) / hparams["right"])

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(x - 1/2): above 1/2 once an orbit has left."""
        return jnp.abs(state - 0.5)

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return the exponent of the natural measure on the repeller."""
        lengths, weights = self._scales(hparams)
        return (-sum(p * math.log(r) for p, r in zip(weights, lengths, strict=True)),)

    def escape_rate(self, hparams: Hparams) -> float:
        """Return the rate at which orbits leave, per step: -ln(left + right)."""
        return -math.log(sum(self._scales(hparams)[0]))

    def dimension(self, hparams: Hparams, q: float = 0.0) -> float:
        """Return D_q of the natural measure on the repeller."""
        lengths, weights = self._scales(hparams)
        return self_similar_dimension(lengths, weights, q)

    def _scales(self, hparams: Hparams) -> tuple[list[float], list[float]]:
        lengths = [float(hparams["left"]), float(hparams["right"])]
        total = sum(lengths)
        _refuse_unless(min(lengths) > 0 and total < 1, "left, right", lengths, "a sum below 1")
        return lengths, [length / total for length in lengths]


@final
class SkewTent(AbstractMap):
    """The skew tent map: `x' = x / peak` up to the peak, `(1 - x) / (1 - peak)` beyond it.

    Hyperparameters are the place `peak` of the maximum, in (0, 1), and the start `x0` in [0, 1].
    Observed is x.

    Notes
    -----
    Orbits fill [0, 1] evenly and have the exponent -a ln a - (1 - a) ln(1 - a), with a the peak.
    At a peak of exactly 1/2 the map shifts bits and every orbit soon ends at 0.
    """

    rule = "bounded:1e8"
    ranges = {"peak": (0.0, 1.0)}

    @property
    def defaults(self) -> dict[str, float]:
        """A peak left of the middle."""
        return {"peak": 0.3, "x0": 0.4}

    def init(self, hparams: Hparams) -> Any:
        """Return the scalar x0."""
        return hparams["x0"]

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the height of the tent above x."""
        peak = hparams["peak"]
        return jnp.where(state < peak, state / peak, (1 - state) / (1 - peak))

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return x."""
        return state

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return the exponent -a ln a - (1 - a) ln(1 - a)."""
        a = hparams["peak"]
        return (-a * math.log(a) - (1 - a) * math.log(1 - a),)


@final
class Beta(AbstractMap):
    """The beta map `x' = b x mod 1`, observed as x.

    Hyperparameters are the multiplier `b` > 1 and the start `x0` in [0, 1).

    Notes
    -----
    The exponent is ln b (Renyi 1957). If b is a power of 2 the map shifts bits and every orbit soon
    ends at 0; 2 - 1e-10 has the exponent ln 2 - 5e-11 and does not.
    """

    rule = "bounded:1e8"
    ranges = {"b": (1.0, math.inf)}

    @property
    def defaults(self) -> dict[str, float]:
        """The golden mean."""
        return {"b": (1 + math.sqrt(5)) / 2, "x0": 0.3}

    def init(self, hparams: Hparams) -> Any:
        """Return the scalar x0."""
        return hparams["x0"]

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return b x mod 1."""
        return wrap(hparams["b"] * state)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return x."""
        return state

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return the exponent, ln b."""
        return (math.log(hparams["b"]),)


@final
class Gauss(AbstractMap):
    """The Gauss map of continued fractions, `x' = 1 / x mod 1`, observed as x.

    The only hyperparameter is the start `x0` in (0, 1).

    Notes
    -----
    The density of orbits is 1 / ((1 + x) ln 2) and the exponent pi^2 / (6 ln 2) = 2.3731382. The
    point 0, where the fraction ends, is kept there. Rounding reaches it about once in 2^53 steps,
    in float32 once in 2^24.
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """A start whose fraction does not end before rounding takes over."""
        return {"x0": 0.347}

    def init(self, hparams: Hparams) -> Any:
        """Return the scalar x0."""
        return hparams["x0"]

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return 1 / x mod 1, and 0 of 0."""
        # Both branches are finite, so that the derivative at 0 is 0 and not not-a-number.
        inverse = 1 / jnp.where(state == 0, 1.0, state)
        return wrap(inverse)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return x."""
        return state

    def exponents(self, hparams: Hparams) -> tuple[float, ...]:
        """Return the exponent pi^2 / (6 ln 2)."""
        return (math.pi**2 / (6 * math.log(2)),)


def _refuse_unless(possible: bool, name: str, value: Any, need: str) -> None:
    if not possible:
        raise ValueError(f"{name}={value} leaves no repeller of this formula; it needs {need}")
