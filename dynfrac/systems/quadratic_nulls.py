"""A training run whose trainability boundary is smooth: what an estimator reads without a fractal.

Gradient descent on a quadratic converges up to a curve that can be written down. With the same
axes, steps, rule and budget as a network it says how much of a dimension above one comes from the
estimator, the number of steps and the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, final

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import AbstractMap, Hparams

COUPLING = 0.5
_RATE = "lr_"
_LR = 0.1


@final
class GroupDescent(AbstractMap):
    """Gradient descent on a quadratic of weights in groups with learning rates of their own.

    The loss of one weight w_g in each group g is `sum_gk c_gk s_g s_k / 2` with
    s_g = sqrt(h_g) w_g, h the curvatures, and c one on its diagonal and `coupling` elsewhere.

    Attributes
    ----------
    curvatures : (G,) array
        h, positive.
    coupling : float
        Between 0 and 1, both excluded: 0 would leave a boundary with a corner.
    groups : tuple of str
        Names of the groups.
    idle : tuple of str
        Hyperparameters that are accepted and have no effect.
    factor : str
        A hyperparameter x that multiplies all curvatures, for windows without a learning rate.
    factor_centre : float
        The value c at which it leaves them as they are: they are multiplied by x / c, or by 1 + x
        if c is zero.

    Notes
    -----
    Hyperparameters are those of a training: ``lr``, ``lr_NAME`` for each group (not-a-number, the
    default, means `lr`), ``weight_offset``, ``init_scale``, and what `idle` and `factor` name.

    Descent converges iff the largest eigenvalue of rates times Hessian (`sharpness`) is below 2.
    For two groups that is the branch next to the origin of
    (2 / lr_in - h_in) (2 / lr_out - h_out) = coupling^2 h_in h_out, a smooth curve whose distance
    from both axes is bounded: of N hyperparameters, the boundary has dimension N - 1. After a
    finite number of steps it is another smooth curve close by. Metrics are smooth functions of the
    loss, so that rules on test loss and accuracy can be applied.
    """

    curvatures: Any = (1.0, 1.0)
    coupling: Any = COUPLING
    groups: tuple[str, ...] = struct.field(pytree_node=False, default=("in", "out"))
    idle: tuple[str, ...] = struct.field(pytree_node=False, default=())
    factor: str = struct.field(pytree_node=False, default="")
    factor_centre: Any = 1.0

    @property
    def defaults(self) -> dict[str, float]:
        """A convergent run, as long as the curvatures are below 20 / 3."""
        return {
            "lr": _LR,
            **{_RATE + group: math.nan for group in self.groups},
            "weight_offset": 0.0,
            "init_scale": 1.0,
            **dict.fromkeys(self.idle, 0.0),
            **({self.factor: float(self.factor_centre)} if self.factor else {}),
        }

    def init(self, hparams: Hparams) -> Any:
        """Return the weights, (G,): 1, 1/2 ... over sqrt(h), times `init_scale`, plus an offset.

        The first loss is of order one, as that of a network.
        """
        # Different, so that no offset puts all of them to zero at once.
        shares = 1 / np.arange(1, len(self.groups) + 1)
        weights = shares / jnp.sqrt(jnp.asarray(self.curvatures))
        return weights * hparams["init_scale"] + hparams["weight_offset"]

    def step(self, state: Any, hparams: Hparams, t: ArrayLike) -> Any:
        """Return the weights after one step of descent."""
        roots = jnp.sqrt(jnp.asarray(self.curvatures))
        gradient = roots * self._coupled(roots * state) * self._multiplier(hparams)
        return state - self._rates(hparams) * gradient

    def observe(self, state: Any, hparams: Hparams) -> Any:
        """Return the loss."""
        scaled = jnp.sqrt(jnp.asarray(self.curvatures)) * state
        return 0.5 * self._multiplier(hparams) * jnp.sum(scaled * self._coupled(scaled))

    def metrics(self, state: Any, hparams: Hparams) -> dict[str, Any]:
        """Return `test_loss`, the loss, and accuracies that fall from 1 to 0 as it rises."""
        loss = self.observe(state, hparams)
        share = 1 / (1 + loss)
        return {"test_loss": loss, "accuracy": share, "train_accuracy": share}

    def sharpness(self, hparams: Hparams) -> float:
        """Return the largest eigenvalue of learning rates times Hessian; descent diverges above 2.

        Parameters
        ----------
        hparams : dict of str to real scalar
        """
        given = np.array([float(hparams[_RATE + group]) for group in self.groups])
        rates = np.where(np.isnan(given), float(hparams["lr"]), given)
        scaled = np.sqrt(rates * np.asarray(self.curvatures, float))
        coupled = np.full((len(scaled),) * 2, float(self.coupling))
        np.fill_diagonal(coupled, 1.0)
        largest = np.linalg.eigvalsh(np.outer(scaled, scaled) * coupled)[-1]
        return float(self._multiplier(hparams)) * float(largest)

    def _coupled(self, scaled: Any) -> Any:
        return scaled + self.coupling * (jnp.sum(scaled) - scaled)

    def _rates(self, hparams: Hparams) -> Any:
        rates = jnp.stack([jnp.asarray(hparams[_RATE + group]) for group in self.groups])
        return jnp.where(jnp.isnan(rates), hparams["lr"], rates)

    def _multiplier(self, hparams: Hparams) -> Any:
        if not self.factor:
            return 1.0
        value, centre = hparams[self.factor], jnp.asarray(self.factor_centre)
        return jnp.where(centre == 0, 1 + value, value / jnp.where(centre == 0, 1.0, centre))


def group_descent(*, curvatures: Any = (1.0, 1.0), coupling: float = COUPLING) -> GroupDescent:
    """Make the map of two groups, ``in`` and ``out``.

    Parameters
    ----------
    curvatures : two numbers, or text such as ``"1,3"``
        Of the groups, positive.
    coupling : float
        Between 0 and 1, both excluded.

    Raises
    ------
    ValueError
        If they are anything else.
    """
    listed = curvatures.split(",") if isinstance(curvatures, str) else np.atleast_1d(curvatures)
    try:
        values = tuple(map(float, listed))
    except (TypeError, ValueError):
        values = ()
    if len(values) != 2 or not all(0 < value < math.inf for value in values):
        raise ValueError(f"curvatures={curvatures!r} are not two positive numbers; give, say, 1,3")
    if not 0 < coupling < 1:
        raise ValueError(f"coupling={coupling} is not between 0 and 1; pass a number inside")
    return GroupDescent(np.asarray(values), float(coupling))


def quadratic_null(
    centre: Mapping[str, float],
    hparams: Mapping[str, float] | None = None,
    *,
    accepts: Iterable[str] = (),
) -> GroupDescent:
    """Return the descent whose boundary passes through a point of hyperparameters.

    Parameters
    ----------
    centre : mapping of str to float
        The axes of a window and the values at its centre.
    hparams : mapping of str to float, optional
        Hyperparameters that are set and are no axes. A learning rate among them is taken into
        account; all others have no effect.
    accepts : iterable of str
        Other names that the map must take.

    Returns
    -------
    GroupDescent
        With a group for every ``lr_NAME`` that is named, and at least two. Without a learning rate
        among the axes, the first of them multiplies the curvatures.

    Raises
    ------
    ValueError
        If a learning rate is not positive.

    Notes
    -----
    At the centre all groups have the same part in the largest eigenvalue, so that a window of two
    learning rates shows the bend of the boundary and not one of its straight arms.
    """
    values = {"lr": _LR, **(hparams or {}), **centre}
    named = [name.removeprefix(_RATE) for name in values if name.startswith(_RATE)]
    groups = tuple(named) if len(named) > 1 else tuple(dict.fromkeys((*named, "in", "out")))[:2]
    rates = []
    for group in groups:
        rate = float(values.get(_RATE + group, math.nan))
        rates.append(float(values["lr"]) if math.isnan(rate) else rate)
    if not min(rates) > 0:
        raise ValueError(f"a learning rate of {min(rates):g} moves nothing; pass positive ones")
    has_rate = any(name == "lr" or name.startswith(_RATE) for name in centre)
    factor = "" if has_rate else next(iter(centre))
    curvatures = 2 / (1 + COUPLING * (len(groups) - 1)) / np.array(rates)
    own = {"lr", "weight_offset", "init_scale", factor, *(_RATE + group for group in groups)}
    idle = tuple(sorted({*values, *accepts} - own))
    middle = float(centre[factor]) if factor else 1.0
    return GroupDescent(curvatures, COUPLING, groups, idle, factor, middle)
