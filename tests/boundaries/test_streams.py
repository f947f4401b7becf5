"""Streams: methods with one seed look at points of their own."""

import numpy as np
import pytest

from dynfrac.boundaries import streams
from dynfrac.boundaries.box_cascades import box_cascade
from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pairs import draw_pairs
from dynfrac.boundaries.stretch_tails import draw_directions
from dynfrac.boundaries.transects import transect_dimension
from dynfrac.orbits.axes import Axis

SQUARE = [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)]


def ask(route):
    return lambda: route(Oracle(lambda p: p[:, 0] > 0.3 * p[:, 1], SQUARE, budget=6000), seed=7)


ROUTES = {
    "pairs": ask(draw_pairs),
    "box_cascades": ask(box_cascade),
    "transects": ask(transect_dimension),
    "stretch_tails": lambda: draw_directions(SQUARE, 10, 7),
}


def test_every_use_has_a_stream_of_its_own():
    uses = [value for name, value in vars(streams).items() if name.isupper()]
    assert sorted(uses) == list(range(len(uses)))
    drawn = [streams.make_stream(3, use).random() for use in uses]
    assert len(set(drawn)) == len(uses)
    np.testing.assert_array_equal(drawn, [streams.make_stream(3, use).random() for use in uses])


@pytest.fixture
def begun(monkeypatch):
    """First numbers of all streams that methods begin."""
    numbers = []

    def begin(seed, use):
        numbers.append(streams.make_stream(seed, use).random())
        return streams.make_stream(seed, use)

    for module in ROUTES:
        monkeypatch.setattr(f"dynfrac.boundaries.{module}.make_stream", begin)
    return numbers


def test_methods_with_one_seed_begin_with_other_numbers(begun):
    for n_methods, draw in enumerate(ROUTES.values(), start=1):
        draw()
        assert len(begun) >= n_methods
    assert len(set(begun)) == len(begun)
