"""Presets: the published conditions give the published code's own output."""

from pathlib import Path

import numpy as np
import pytest

from dynfrac.orbits.evaluator import evaluate
from dynfrac.orbits.outcomes import Status
from dynfrac.studies.presets import PRESETS, make_preset

DATA = Path(__file__).parent.parent / "data"


def outcomes_on_grid(preset, n):
    x, y = (axis.points(n) for axis in preset.axes)
    columns = dict(
        zip([a.name for a in preset.axes], [c.ravel() for c in np.meshgrid(x, y)], strict=True)
    )
    return evaluate(preset.map_, columns, n_steps=preset.n_steps, rule=preset.rule)


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


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_and_both_outcomes_occur(name):
    preset = make_preset(name, steps=25)
    assert preset.n_steps == 25
    assert {axis.name for axis in preset.axes} <= set(preset.map_.defaults)
    outcomes = outcomes_on_grid(preset, 7)
    assert 0.1 < outcomes.labels.mean() < 0.9


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
