"""The bootstrap over tiles."""

import numpy as np
import pytest

from dynfrac.analysis.resampling import TILES_PER_AXIS, draw_tiles


def test_every_picture_is_cut_into_as_many_tiles():
    assert {parts**n_axes for n_axes, parts in TILES_PER_AXIS.items()} == {64}


def test_tiles_are_drawn_with_replacement_and_equal_chances():
    draws = draw_tiles(64, 4000, np.random.default_rng(1))
    assert draws.shape == (4000, 64) and (draws.sum(axis=1) == 64).all()
    # Counts are nearly Poisson with mean and variance 1; 0.08 is five standard errors of a mean.
    assert draws.mean(axis=0) == pytest.approx(np.ones(64), abs=0.08)
    assert draws.var() == pytest.approx(1 - 1 / 64, abs=0.02)


def test_one_resample_has_no_spread():
    with pytest.raises(ValueError, match="n_resamples=1 gives no spread"):
        draw_tiles(64, 1, np.random.default_rng(0))
