"""Presets: the published conditions give the published code's own output."""

from pathlib import Path

import jax
import numpy as np
import pytest

from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.studies.presets import PRESETS, make_preset

DATA = Path(__file__).parent.parent / "data"


# Their steps take long; they have tests of their own.
SLOW = {"kyhdc-resnet20", "kyhdc-shallow300"}


def outcomes_on_grid(preset, n):
    x, y = (axis.points(n) for axis in preset.axes)
    columns = dict(
        zip([a.name for a in preset.axes], [c.ravel() for c in np.meshgrid(x, y)], strict=True)
    )
    return evaluate(
        preset.map_,
        columns,
        n_steps=preset.n_steps,
        every=preset.every,
        rule=preset.rule,
        record=preset.record,
        dtype=preset.dtype,
    )


def test_tanh_agrees_with_the_published_code_cell_by_cell():
    # The measure of the published notebook code: 32 x 32 cells, 500 steps, float64.
    published = np.load(DATA / "published_tanh_32.npy")
    outcomes = outcomes_on_grid(make_preset("published-tanh"), 32)
    measure = outcomes.measure.reshape(32, 32)
    assert ((measure < 0) == (published < 0)).mean() >= 0.998
    deviation = np.abs(measure / published - 1)
    # Sums of 500 terms in another order; cells that are chaotic before they settle differ more.
    assert np.median(deviation) < 1e-12
    assert np.median(deviation[outcomes.status.reshape(32, 32) == Status.NOT_FINITE]) < 1e-12


@pytest.mark.parametrize("name", sorted(set(PRESETS) - SLOW))
def test_every_preset_builds_and_both_outcomes_occur(name):
    preset = make_preset(name, steps=25)
    assert (preset.n_steps, preset.every) == (25, 1)
    assert {axis.name for axis in preset.axes} <= set(preset.map_.defaults)
    outcomes = outcomes_on_grid(preset, 7)
    assert 0.1 < outcomes.labels.mean() < 0.9


def test_the_shallow_network_records_a_loss_an_epoch_and_its_metrics():
    preset = make_preset("kyhdc-shallow300", epochs=3, n_data=200, n_test=50)
    assert (preset.n_steps, preset.every) == (6, 2)
    assert preset.map_.batches.indices.shape == (6, 100)
    assert [w.shape for w in jax.tree.leaves(preset.map_.variables["params"])] == [
        (784, 300),
        (300, 10),
    ]
    outcomes = outcomes_on_grid(preset, 3)
    assert set(outcomes.metrics) == {"test_loss", "accuracy", "train_accuracy"}
    assert outcomes.conditions["dtype"] == "float32"
    assert outcomes.conditions["rule"] == "curve-mean"
    assert outcomes.metrics["train_accuracy"].max() > 0.5


def test_the_residual_network_of_the_seed_project():
    preset = make_preset("kyhdc-resnet20")
    map_ = preset.map_
    assert (preset.n_steps, preset.every, preset.dtype) == (500, 5, "float32")
    assert [(a.name, a.low, a.high) for a in preset.axes] == [
        ("weight_offset", 1e-4, 1.0),
        ("lr", 1e-4, 1.0),
    ]
    # Every epoch goes through 160 images in five batches of 32, each epoch in another order.
    assert map_.data.inputs.shape == (160, 28, 28, 1)
    epochs = map_.batches.indices.reshape(100, -1)
    assert (np.sort(epochs) == np.arange(160)).all()
    assert not (epochs[0] == epochs[1]).all()
    params = map_.variables["params"]
    assert params["stage2_block1_shortcut"]["kernel"].shape == (1, 1, 16, 32)
    assert "stage1_block1_shortcut" not in params and "bias" not in params["head"]


@pytest.mark.slow
def test_a_small_sweep_of_the_seed_project():
    outcomes = outcomes_on_grid(make_preset("kyhdc-resnet20", epochs=5), 3)
    # Accuracies are no use after 25 steps: the running statistics keep 0.99 of what they were.
    loss = outcomes.final_loss.reshape(3, 3)
    assert np.isfinite(loss).all()
    # A learning rate of 0.01 learns in these few steps, 0.0001 does not.
    assert (loss[1] < loss[0] - 1).all()
    assert np.isfinite(outcomes.metrics["test_loss"]).all()


def test_arguments_replace_those_of_a_preset():
    preset = make_preset("published-tanh", optimizer="momentum", width=8)
    assert preset.map_.defaults["momentum"] == 0.9
    assert preset.identity["arguments"] == {
        "width": 8,
        "optimizer": "momentum",
        "n_steps": 500,
    }
    with pytest.raises(ValueError, match="exclude each other"):
        make_preset("published-tanh", steps=3, epochs=3)


def test_minibatch_stream_is_as_long_as_the_run_and_begins_as_shorter_ones_do():
    long, short = (make_preset("published-minibatch", steps=n).map_ for n in (50, 40))
    assert long.batches.indices.shape == (50, 16)
    np.testing.assert_array_equal(long.batches.indices[:40], short.batches.indices)


def test_sizes_are_the_published_ones():
    sizes = {name: make_preset(name).map_.data.size for name in PRESETS if "published" in name}
    assert sizes == {
        "published-tanh": 272,
        "published-relu": 272,
        "published-identity": 16,
        "published-minibatch": 272,
        "published-single": 1,
        "published-offset": 272,
    }


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: make_preset("published-tan"), "did you mean 'published-tanh'"),
        (lambda: make_preset("published-tanh", steps=0), "steps=0"),
    ],
)
def test_bad_presets_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
