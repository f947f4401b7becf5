"""The smooth null: where its boundary is, that it is smooth, and which axes it takes."""

import jax
import numpy as np
import pytest

from dynfrac.boundaries.dimensions import boundary_dimension
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import evaluate
from dynfrac.systems.catalogue import make_map
from dynfrac.systems.numerics import precision
from dynfrac.systems.quadratic_nulls import quadratic_null

# Window -> values at its centre.
WINDOWS = {
    "two rates": ({"lr_in": (0.1, 10.0), "lr_out": (1.0, 100.0)}, {"lr_in": 1.0, "lr_out": 10.0}),
    "rate and offset": (
        {"lr": (0.01, 1.0), "weight_offset": (0.001, 0.1)},
        {"lr": 0.1, "weight_offset": 0.01},
    ),
    "rate and skip": ({"lr_out": (0.01, 1.0), "skip": (0.0, 1.0)}, {"lr_out": 0.1, "skip": 0.5}),
    "no rate": (
        {"init_scale": (0.1, 10.0), "weight_offset": (0.001, 0.1)},
        {"init_scale": 1.0, "weight_offset": 0.01},
    ),
    "below zero": ({"beta": (-0.75, -0.25)}, {"beta": -0.5}),
    "around zero": ({"beta": (-0.5, 0.5)}, {"beta": 0.0}),
}
every_window = pytest.mark.parametrize("name", WINDOWS)


def axes_of(name):
    return [Axis(key, *ends) for key, ends in WINDOWS[name][0].items()]


@every_window
def test_the_boundary_passes_through_the_centre(name):
    centre = WINDOWS[name][1]
    null = quadratic_null(centre)
    assert null.sharpness({**null.defaults, **centre}) == pytest.approx(2, rel=1e-12)
    moved = next((key for key in centre if key.startswith("lr")), next(iter(centre)))
    # A thousand steps at 2 % from the edge are a factor of exp(-20) or exp(20) and more.
    size = centre[moved] or 1.0
    below, above = ({**centre, moved: centre[moved] + sign * 0.02 * size} for sign in (-1, 1))
    assert evaluate(null, below, n_steps=1000).labels[0]
    assert not evaluate(null, above, n_steps=1000).labels[0]


@every_window
def test_the_boundary_is_smooth(name):
    axes = axes_of(name)
    null = quadratic_null(WINDOWS[name][1])
    # Three standard errors are below 0.2, on a line (where few pairs disagree) below 0.6.
    estimate = boundary_dimension(null, axes, budget=20_000, n_steps=60, seed=5)
    assert estimate.stderr < (0.06 if len(axes) == 2 else 0.2)
    assert abs(estimate.value - (len(axes) - 1)) < 3 * estimate.stderr


def test_outcomes_are_those_of_the_closed_form():
    map_ = make_map("gd-two-rates", curvatures="1,4", coupling=0.3)
    rng = np.random.default_rng(2)
    rates = 10 ** rng.uniform(-1, 1, (2, 400))
    converged = evaluate(map_, {"lr_in": rates[0], "lr_out": rates[1]}, n_steps=2000).labels
    first, second = 2 / rates[0] - 1, 2 / rates[1] - 4
    stable = (first > 0) & (second > 0) & (first * second > 0.3**2 * 4)
    sharpness = [map_.sharpness({**map_.defaults, "lr_in": a, "lr_out": b}) for a, b in rates.T]
    assert np.array_equal(np.array(sharpness) < 2, stable)
    assert 50 < stable.sum() < 350
    # 2000 steps decide what is 1 % away from the edge.
    clear = abs(np.array(sharpness) / 2 - 1) > 0.01
    assert np.array_equal(converged[clear], stable[clear])


def test_a_step_is_one_of_gradient_descent():
    centre = {"lr_in": 0.5, "lr_out": 2.0, "lr_hidden": 3.0}
    null = quadratic_null(centre)
    assert null.groups == ("in", "out", "hidden")
    hparams = {**null.defaults, **centre}
    state = np.array([0.3, -0.7, 1.1])
    with precision():
        gradient = jax.grad(null.observe)(state, hparams)
        after = null.step(state, hparams, 0)
    np.testing.assert_allclose(after, state - np.array([0.5, 2.0, 3.0]) * gradient, rtol=1e-12)


def test_other_names_are_taken_without_effect():
    centre = {"lr": 0.1, "skip": 0.5}
    null = quadratic_null(centre, {"momentum": 0.9, "lr_in": 0.3}, accepts=("weight_decay", "lr"))
    assert {"momentum", "skip", "weight_decay"} <= set(null.defaults)
    assert null.groups == ("in", "out")
    values = [{"lr": 0.05, "lr_in": 0.1, name: 0.7} for name in ("skip", "momentum")]
    runs = [evaluate(null, hparams, n_steps=50) for hparams in (values[0], values[1])]
    assert runs[0].final_loss == runs[1].final_loss > 0
    # The rate that is set, and no axis, is taken into account.
    assert null.sharpness({**null.defaults, **centre, "lr_in": 0.3}) == pytest.approx(2)


def test_rules_on_metrics_apply():
    null = quadratic_null({"lr": 0.1})
    for rule in ("published@test_loss", "accuracy:0.9", "threshold:1e-3@test_loss"):
        labels = evaluate(null, {"lr": np.array([0.05, 0.2])}, n_steps=200, rule=rule).labels
        assert labels.tolist() == [True, False]


def test_what_makes_no_sense_is_refused():
    for curvatures in ("1", "1,x", (1.0, -1.0), (1.0, 2.0, 3.0), None):
        with pytest.raises(ValueError, match="two positive numbers"):
            make_map("gd-two-rates", curvatures=curvatures)
    with pytest.raises(ValueError, match="coupling=1.0 is not between"):
        make_map("gd-two-rates", coupling=1.0)
    with pytest.raises(ValueError, match="a learning rate of 0 moves nothing"):
        quadratic_null({"lr_in": 1.0, "lr_out": 0.0})
