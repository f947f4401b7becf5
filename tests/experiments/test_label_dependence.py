"""What a dimension hangs on, in the small version; and the offset that is added once."""

import math
import re

import jax
import numpy as np
import pytest

from dynfrac.systems.numerics import precision
from tests.experiments.scripts import EXPERIMENTS, load

PAGE = (EXPERIMENTS / "label_dependence" / "README.md").read_text("utf-8")
SCRIPT = load("label_dependence")


@pytest.mark.slow
def test_the_small_version_shows_what_the_page_says(tmp_path):
    results = SCRIPT.main(["--small", "--out", str(tmp_path)])
    # Ten steps have not folded the boundary yet, a hundred have.
    few, many = (results["steps"][n] for n in (10, 100))
    assert few["box"]["value"] < 1.35 < many["box"]["value"]
    assert few["boundary"] < many["boundary"]
    # The page's tables: shares within .1 in a window that hangs a little on the grid, the other
    # window's within .03; pairs within two combined errors.
    for head, record, share in (
        ("10", few, 0.1),
        ("100", many, 0.1),
        ("to the first layer, at every step", results["offsets"]["input_offset_per_step"], 0.03),
        ("to the first layer, once", results["offsets"]["input_offset_once"], 0.03),
    ):
        row = PAGE[PAGE.index(f"| {head} |") :].splitlines()[0]
        (percent,) = re.findall(r"([0-9]+) % \| [0-9.]+ \[", row)
        assert abs(record["converged"] - int(percent) / 100) < share, head
        value, low, high = map(float, re.findall(r"([0-9.]+) \[([0-9.]+), ([0-9.]+)\]", row)[1])
        if coarse := re.search(r"([0-9.]+) above and", row):  # few runs see the coarse scales
            value = float(coarse[1])
        error = math.hypot((high - low) / 4, record["pairs"]["stderr"])
        assert abs(record["pairs"]["value"] - value) < 2 * error + 0.02, head
    flips = results["rules"]["published"]["flips"]
    assert flips["of_all"] == flips["of_boundary"] == 0
    flips = results["dtypes"]["float32"]["flips"]
    assert 0 < flips["of_all"] < flips["of_boundary"] < 0.6
    assert (tmp_path / "label_dependence.png").stat().st_size > 50_000


@pytest.fixture
def once():
    return SCRIPT.OffsetOnce(**vars(SCRIPT.PUBLISHED.map_))


def test_an_offset_that_is_added_once_is_gone_from_the_steps(once):
    published = SCRIPT.PUBLISHED.map_
    with precision():
        hparams = {**once.defaults, "lr": 0.5, "input_offset_once": 0.3}
        start = once.init(hparams)
        plain = published.init({**published.defaults, "lr": 0.5})
        assert np.allclose(start.params[0], plain.params[0] + 0.3, rtol=0, atol=1e-15)
        assert np.array_equal(start.params[1], plain.params[1])
        stepped = once.step(start, hparams, 0)
        gradient = jax.grad(lambda p: once.observe(start.replace(params=p), hparams))(start.params)
        for new, old, slope in zip(stepped.params, start.params, gradient, strict=True):
            np.testing.assert_allclose(new, old - 0.5 * slope, rtol=1e-12, atol=1e-15)


def test_flips_are_counted_of_all_and_beside_the_boundary():
    class Picture:
        def __init__(self, labels):
            self.labels = labels

    reference = np.zeros((8, 8), int)
    reference[:, 4:] = 1
    other = reference.copy()
    other[:4, 4] = 0  # half of one of the two columns beside the boundary
    shares = SCRIPT.flips(Picture(other), Picture(reference))
    assert shares == {"of_all": 4 / 64, "of_boundary": 4 / 16}
