"""Toy maps: small systems whose exponents, cycles or boundaries are known.

They stand for two things: textbook chaos (logistic, Henon, z^2 + c), and training runs small enough
to be solved by hand (gradient descent on a quadratic, on a double well, on a rippled bowl). Where a
run counts as converged if it stays bounded, as in complex dynamics, the map names that rule.

Losses follow the package's convention: `observe` of the state at t is taken before the update.
"""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
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
        return jnp.stack([jnp.asarray(hparams["z_re"]), jnp.asarray(hparams["z_im"])])

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return z^2 + c."""
        x, y = state
        return jnp.stack([x * x - y * y + hparams["c_re"], 2 * x * y + hparams["c_im"]])

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return abs(z)."""
        return jnp.hypot(state[0], state[1])


@final
class QuadraticDescent(AbstractMap):
    """Gradient descent, plain or heavy ball, on the quadratic `sum_i h_i w_i^2 / 2`.

    Parameters
    ----------
    eigenvalues : sequence of float
        The Hessian's eigenvalues h_i, one per weight.
    heavy_ball : bool, default False
        Carry a momentum buffer, and take the hyperparameter `momentum`.

    Notes
    -----
    Hyperparameters are `lr`, the common start `w0` of all weights and, for heavy ball, `momentum`.
    The buffer starts at zero: `buffer' = h w + b buffer`, `w' = w - lr buffer'` (Polyak 1964).

    Plain descent has the exponents ln abs(1 - lr h_i) and converges iff lr < 2 / max h. Heavy ball
    has, for each h_i, the logarithms of the moduli of the two roots of
    r^2 - (1 + b - lr h_i) r + b = 0; they sum to ln b for each weight and the method converges iff
    0 < lr h_i < 2 (1 + b).
    """

    eigenvalues: Any = (1.0, 3.0)
    heavy_ball: bool = struct.field(pytree_node=False, default=False)

    @property
    def defaults(self) -> dict[str, float]:
        """A convergent run; `momentum` only for heavy ball."""
        plain = {"lr": 0.1, "w0": 1.0}
        return {**plain, "momentum": 0.5} if self.heavy_ball else plain

    def init(self, hparams: Hparams) -> Any:
        """Return `{"weights"}` or `{"weights", "buffer"}`, arrays of one entry per eigenvalue."""
        ones = jnp.ones_like(jnp.asarray(self.eigenvalues))
        weights = {"weights": hparams["w0"] * ones}
        return {**weights, "buffer": 0 * ones} if self.heavy_ball else weights

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the state after one update of all weights."""
        weights = state["weights"]
        gradient = jnp.asarray(self.eigenvalues) * weights
        if not self.heavy_ball:
            return {"weights": weights - hparams["lr"] * gradient}
        buffer = gradient + hparams["momentum"] * state["buffer"]
        return {"weights": weights - hparams["lr"] * buffer, "buffer": buffer}

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the loss."""
        return 0.5 * jnp.sum(jnp.asarray(self.eigenvalues) * state["weights"] ** 2)

    def stability_threshold(self, hparams: Hparams) -> Any:
        """Return the curvature above which a minimum repels: (2 + 2 b) / lr, with b = 0 if plain.

        Parameters
        ----------
        hparams : dict of str to real scalar
        """
        momentum = hparams["momentum"] if self.heavy_ball else 0.0
        return (2 + 2 * momentum) / hparams["lr"]


@final
class CubicDescent(AbstractMap):
    """Gradient descent on the double well `(w^2 - 1)^2 / 4`: `w' = w (1 + lr - lr w^2)`.

    Hyperparameters are `lr` and the start `w0`; the observed number is the loss.

    Notes
    -----
    The smallest training run with every phase of one. Below lr = 1 it converges to a minimum with
    exponent ln abs(1 - 2 lr); period doubling begins at lr = 1 and accumulates at 1.3022835; the
    attractors of the two wells merge at 3 sqrt(3) / 2 - 1; at lr = 2 the map is the Chebyshev
    polynomial T3 in disguise, with exponent ln 3, and beyond it almost every start diverges. Starts
    beyond abs(w) = sqrt((2 + lr) / lr) always do. It is conjugate to the quadratic-regression map
    of Chen et al. (arXiv:2310.01687).
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """Chaotic descent over one pair of wells."""
        return {"lr": 1.5, "w0": 0.3}

    def init(self, hparams: Hparams) -> Any:
        """Return the scalar w0."""
        return hparams["w0"]

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return w - lr w (w^2 - 1)."""
        return state - hparams["lr"] * state * (state * state - 1)

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the loss (w^2 - 1)^2 / 4."""
        return 0.25 * (state * state - 1) ** 2

    def stability_threshold(self, hparams: Hparams) -> Any:
        """Return 2 / lr, the curvature above which a minimum repels."""
        return 2 / hparams["lr"]


@final
class RippleDescent(AbstractMap):
    """Gradient descent on the rippled bowl `x^2 (1 + eps cos(2 pi x / lam))`.

    Hyperparameters are `lr`, the ripple's height `eps` and wavelength `lam`, and the start `x0`;
    the observed number is the loss.

    Notes
    -----
    A one-dimensional loss whose trainability boundary is already fractal (Liu, arXiv:2406.13971).
    At eps = 0.2, lam = 0.1, x0 = 1 the set of learning rates in [0, 1.5] at which convergence and
    divergence meet has box dimension about 0.84. Single labels depend on the last bit of the
    arithmetic; counts of label changes on a grid agree between correct programs to about 1 %.
    """

    rule = "bounded:1e8"

    @property
    def defaults(self) -> dict[str, float]:
        """The published ripple, at a learning rate of its window whose run stays bounded."""
        return {"lr": 0.1, "eps": 0.2, "lam": 0.1, "x0": 1.0}

    def init(self, hparams: Hparams) -> Any:
        """Return the scalar x0."""
        return hparams["x0"]

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return x - lr times the derivative of the loss."""
        slope = jax.grad(self.observe)(state, hparams)
        return state - hparams["lr"] * slope

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the loss."""
        ripple = hparams["eps"] * jnp.cos(2 * jnp.pi * state / hparams["lam"])
        return state * state * (1 + ripple)

    def stability_threshold(self, hparams: Hparams) -> Any:
        """Return 2 / lr, the curvature above which a minimum repels."""
        return 2 / hparams["lr"]
