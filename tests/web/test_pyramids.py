"""Pyramids: their stores are sweeps, and nothing is run twice."""

import shutil

import numpy as np
import pytest

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.evaluator import evaluate
from dynfrac.sweeps import specifications
from dynfrac.sweeps.plans import SweepPlan
from dynfrac.sweeps.results import open_sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.sweeps.verification import verify_store
from dynfrac.systems.complex_maps import Quadratic
from dynfrac.web.levels import BLOCK_LEVELS
from dynfrac.web.pyramids import Pyramid
from tests.web.servers import SETTINGS, quadratic_scene


def fill(pyramid, z, steps=None):
    """Compute all tiles of a level that is one block; return the run-steps that were settled."""
    settled = [0]

    def count(more):
        settled[0] += more

    n = 16 * 2**z + 1
    columns, rows = (-(-n // edge) for edge in pyramid.levels.edges[z])
    for i in range(columns):
        for j in range(rows):
            pyramid.compute((z, i, j), count)
    return settled[0]


def test_tiles_are_those_of_a_sweep(tmp_path):
    pyramid = Pyramid(quadratic_scene(), tmp_path / "tiles")
    for z in range(3):
        fill(pyramid, z)
    axes = pyramid.levels.block_axes((2, 0, 0))
    alone = sweep(Quadratic(), axes, out=tmp_path / "alone.zarr", **SETTINGS)
    mine = open_sweep(pyramid.path((2, 0, 0)))
    for name in alone.fields:
        assert alone.field(name).tobytes() == mine.field(name).tobytes()
    # The command line finds everything there, and the store is whole.
    again = sweep(Quadratic(), axes, out=mine.path, **SETTINGS)
    assert (again.computed, again.reused) == (0, 65 * 65)
    assert verify_store(mine.path).sound


def test_tiles_of_a_sweep_are_found(tmp_path):
    pyramid = Pyramid(quadratic_scene(), tmp_path)
    axes = pyramid.levels.block_axes((1, 0, 0))
    sweep(Quadratic(), axes, out=pyramid.path((1, 0, 0)), **SETTINGS)
    assert pyramid.read((1, 0, 0), "measure") is not None


def test_points_of_the_level_above_are_not_run_again(tmp_path):
    pyramid = Pyramid(quadratic_scene(), tmp_path)
    assert fill(pyramid, 0) == 17 * 17 * 60
    assert fill(pyramid, 1) == (33 * 33 - 17 * 17) * 60
    # Without the level above everything is run.
    assert fill(Pyramid(quadratic_scene(), tmp_path / "other"), 1) == 33 * 33 * 60


def test_deep_tiles_are_right(tmp_path):
    pyramid = Pyramid(quadratic_scene(), tmp_path)
    z = BLOCK_LEVELS + 14
    # About the tip of the antenna, c = -2, of a needle thinner than a cell.
    tiles = -(-1025 // pyramid.levels.edges[-1][1]) << (z - BLOCK_LEVELS)
    key = (z, 0, tiles // 2)
    assert pyramid.resolved(key)
    assert pyramid.read(key, "status") is None
    pyramid.compute(key, lambda steps: None)
    _, status = pyramid.read(key, "status")
    block, (x, y) = pyramid.levels.place(key)
    x_axis, y_axis = pyramid.levels.block_axes(block)
    real, imaginary = np.meshgrid(x_axis.points()[x], y_axis.points()[y])
    right = evaluate(
        Quadratic(),
        {"c_re": real.ravel(), "c_im": imaginary.ravel()},
        n_steps=60,
        rule=SETTINGS["rule"],
    )
    assert np.array_equal(status.ravel(), right.status)


@pytest.mark.parametrize(
    ("dtype", "half", "low", "high"),
    [("float32", 1.0, 14, 22), ("float64", 1.0, 46, 46), ("float64", 1e-9, 15, 22)],
)
def test_where_the_type_ends(tmp_path, dtype, half, low, high):
    axes = Axis("c_re", -0.75 - half, -0.75 + half), Axis("c_im", 0.1 - half, 0.1 + half)
    pyramid = Pyramid(quadratic_scene(axes, dtype=dtype), tmp_path)
    k = -(-1025 // pyramid.levels.edges[-1][0])
    # The block in the middle of the window, on every level that has several.
    depths = range(BLOCK_LEVELS + 1, 47)
    found = [
        z
        for z in depths
        if pyramid.resolved((z, k << (z - BLOCK_LEVELS - 1), k << (z - BLOCK_LEVELS - 1)))
    ]
    assert found == list(depths)[: len(found)]
    assert low <= max(found) <= high


def test_what_raises_leaves_the_tile_pending(tmp_path):
    pyramid = Pyramid(quadratic_scene(), tmp_path)

    def give_up(steps):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pyramid.compute((2, 0, 0), give_up)
    assert pyramid.read((2, 0, 0), "status") is None
    pyramid.compute((2, 0, 0), lambda steps: None)
    assert pyramid.read((2, 0, 0), "status") is not None


def test_another_sweep_in_the_place_of_a_block_is_refused(tmp_path):
    pyramid = Pyramid(quadratic_scene(), tmp_path)
    axes = pyramid.levels.block_axes((0, 0, 0))
    sweep(Quadratic(), axes, out=pyramid.path((0, 0, 0)), **{**SETTINGS, "n_steps": 61})
    with pytest.raises(ValueError, match="n_steps is 61 there and 60 here.* with another --out"):
        pyramid.compute((0, 0, 0), lambda steps: None)


def test_tiles_of_another_version_of_jax_are_refused(tmp_path, monkeypatch):
    fill(Pyramid(quadratic_scene(), tmp_path), 0)
    now = specifications.versions
    monkeypatch.setattr(specifications, "versions", lambda names: {**now(names), "jax": "99.0"})
    with pytest.raises(ValueError, match="version of jax .* with another --out"):
        Pyramid(quadratic_scene(), tmp_path).read((0, 0, 0), "measure")


def test_a_view_over_several_blocks_is_gathered(tmp_path):
    pyramid = Pyramid(quadratic_scene(), tmp_path)
    z = BLOCK_LEVELS + 1
    edge = pyramid.levels.edges[-1]
    k = [-(-1025 // e) for e in edge]
    # The tiles left and right of the border between the blocks, at the lower end.
    for key in ((z, k[0] - 1, 0), (z, k[0], 0)):
        pyramid.compute(key, lambda steps: None)
    fields, points = pyramid.gather(z, (slice(1000, 1050), slice(0, 20)))
    assert (fields["status"] > 0).sum() == fields["status"].size
    whole = pyramid.levels.axes[0].values(np.arange(1000, 1050) / 2048)
    assert np.allclose(points[0], whole, rtol=1e-13)
    assert (np.diff(points[0]) > 0).all()
    fields, _ = pyramid.gather(z, (slice(0, 1050), slice(0, 20)))
    assert (fields["status"][:, :900] == 0).all() and np.isnan(fields["measure"][:, :900]).all()


def test_a_folder_that_is_removed_meanwhile_is_made_again(tmp_path):
    pyramid = Pyramid(quadratic_scene(), tmp_path / "tiles")
    fill(pyramid, 0)
    shutil.rmtree(tmp_path / "tiles")
    assert pyramid.read((0, 0, 0), "measure") is None
    assert fill(pyramid, 0) == 17 * 17 * 60


def test_a_block_that_another_explorer_makes_meanwhile_is_shared(tmp_path, monkeypatch):
    pyramid, other = (Pyramid(quadratic_scene(), tmp_path) for _ in range(2))
    create = SweepPlan.create

    def create_late(plan, path):
        monkeypatch.undo()
        fill(other, 0)
        return create(plan, path)

    monkeypatch.setattr(SweepPlan, "create", create_late)
    assert fill(pyramid, 0) == 17 * 17 * 60
    assert pyramid.read((0, 0, 0), "status") is not None
