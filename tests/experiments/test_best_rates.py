"""The lowest losses in their small version, and distances from an edge that is known."""

import numpy as np
import pytest

from dynfrac.systems.catalogue import make_map
from tests.experiments.scripts import EXPERIMENTS, load

SCRIPT = load("best_rates")
PAGE = (EXPERIMENTS / "best_rates" / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_the_lowest_loss_lies_where_the_page_says(tmp_path):
    results = SCRIPT.main(["--small", "--out", str(tmp_path)])
    short, long = results["published-tanh"]
    assert long["best_loss"] < short["best_loss"]
    # The page's grid is finer, 0.13 decades from point to point in place of 0.23.
    for head, record in (("| tanh | 30 |", short), ("| | 300 |", long)):
        row = PAGE[PAGE.index(head) :].splitlines()[0].strip("| ").split(" | ")
        loss, top, everything = float(row[-6]), float(row[-2]), float(row[-1])
        assert record["best_loss"] == pytest.approx(loss, rel=0.3), head
        assert abs(record["top_distance"] - top) < 0.3, head
        assert abs(record["all_distance"] - everything) < 0.5, head
    for record in (short, long):
        assert record["best_distance"] < record["all_distance"]
        assert 0 <= record["best_rank"] <= 1 and record["n_converged"] > 100
    assert (tmp_path / "best_rates.png").stat().st_size > 20_000


def test_distances_are_those_from_a_straight_edge():
    points = np.logspace(-2, 2, 41), np.logspace(0, 2, 11)
    # A tenth of a decade from point to point along x, a fifth along y.
    labels = np.tile((np.arange(41) < 20).astype(int), (11, 1))
    expected = np.clip(20 - np.arange(41), 0, None) * 0.1
    np.testing.assert_allclose(SCRIPT.edge_distances(labels, points)[10], expected, atol=1e-9)
    turned = np.tile((np.arange(11) >= 4).astype(int)[:, None], (1, 41))
    expected = np.clip(np.arange(11) - 3, 0, None) * 0.2
    np.testing.assert_allclose(SCRIPT.edge_distances(turned, points)[:, 7], expected, atol=1e-9)


def test_the_best_run_is_described():
    losses = np.array([[3.0, 2.0, 0.1], [1.0, 5.0, 4.0]])
    converged = np.array([[True, True, False], [True, True, True]])
    distances = np.array([[0.1, 0.4, 0.1], [0.2, 0.3, 0.5]])
    found = SCRIPT.describe(losses, distances, converged, 0.2)
    assert found["at"] == [1, 0] and found["best_loss"] == 1.0
    assert found["best_distance"] == 0.2 and found["best_rank"] == pytest.approx(2 / 5)
    assert found["all_distance"] == 0.3 and found["n_converged"] == 5


def test_the_first_failure_along_a_ray_is_where_descent_on_a_parabola_fails():
    map_ = make_map("gd-quadratic")  # curvatures 1 and 3: stable up to a rate of 2 / 3
    runs = {"n_steps": 2000, "rule": "published"}
    decades = SCRIPT.first_failure(map_, {"lr": 0.1}, {"ray": 3001}, **runs)
    assert decades == pytest.approx(np.log10(2 / 3 / 0.1), abs=0.002)
    assert SCRIPT.first_failure(map_, {"lr": 1e-6}, {"ray": 30}, **runs) is None
