"""Gradient descent that can be solved by hand: training runs of one or a few weights.

A quadratic, a double well and a rippled bowl have every phase of a training run, and exponents,
cycles and edges that are known. `observe` is the loss, taken before the update.
"""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams


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

    def exponent_sum(self, hparams: Hparams) -> float:
        """Return ln abs(b) for every weight of heavy ball, the sum of ln abs(1 - lr h_i) if plain.

        Parameters
        ----------
        hparams : dict of str to real scalar
        """
        eigenvalues = np.asarray(self.eigenvalues)
        factors = 1 - hparams["lr"] * eigenvalues
        if self.heavy_ball:
            factors = np.full(len(eigenvalues), hparams["momentum"])
        with np.errstate(divide="ignore"):  # minus infinity where a direction is annihilated
            return float(np.sum(np.log(np.abs(factors))))


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

    The metric `reach` is abs(w) over that edge. Beyond lr = 2, where all but a Cantor set of starts
    diverges, the rule ``parity:1@reach`` labels them by the step at which they pass the edge. The
    Cantor set has dimension 0.8798 at lr = 2.1, 0.7380 at 2.5 and 0.5583 at 4.
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

    def metrics(self, state: Any, hparams: Hparams) -> dict[str, Any]:
        """Return `reach`, abs(w) relative to the edge beyond which every start diverges."""
        return {"reach": jnp.abs(state) * jnp.sqrt(hparams["lr"] / (2 + hparams["lr"]))}

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
