"""Scenes: what a query leads to, and how long it is known."""

import pytest

from dynfrac.web.commands import exponents_command, sweep_command
from dynfrac.web.probes import run_point
from dynfrac.web.problems import Problem
from dynfrac.web.scenes import SceneBook, make_scene
from tests.web.servers import quadratic_scene

PRESET = "kyhdc-shallow300"


@pytest.fixture(scope="module")
def epochs():
    """Return a preset in epochs as the scene that the explorer starts with."""
    made = SceneBook(quadratic_scene()).by_query({"preset": PRESET})
    return make_scene(made.map_, made.axes, made.settings, title=PRESET, query={"scene": "start"})


def test_epochs_stay_epochs_when_the_page_names_the_steps(epochs):
    book, job = SceneBook(epochs), epochs.plan.job
    assert job.every > 1
    for source in ({"scene": "start"}, {"preset": PRESET}):
        # The form of the page always says how many steps there are.
        same = book.by_query({**source, "steps": str(job.n_steps)})
        assert same.id == epochs.id
        shorter = book.by_query({**source, "steps": str(2 * job.every)})
        assert (shorter.plan.job.n_steps, shorter.plan.job.every) == (2 * job.every, job.every)
        assert shorter.settings["identity"]["arguments"]["n_epochs"] == 2
        assert "--epochs 2" in sweep_command(shorter, shorter.plan.axes)
        with pytest.raises(Problem, match="is not a multiple of every"):
            book.by_query({**source, "steps": str(2 * job.every + 1)})


def test_a_scene_in_use_is_kept():
    book = SceneBook(quadratic_scene())
    used = book.by_query({"scene": "start", "steps": "7"})
    left = book.by_query({"scene": "start", "steps": "8"})
    for steps in range(100, 120):
        book.by_query({"scene": "start", "steps": str(steps)})
        assert book.by_id(used.id) is used
    with pytest.raises(Problem, match="there is no scene"):
        book.by_id(left.id)


def test_a_command_names_a_fixed_hyperparameter_once():
    scene = quadratic_scene(hparams={"z_re": 0.1})
    command = exponents_command(scene, {"c_re": -0.5, "c_im": 0.1}, steps=50, warmup=5, exponents=2)
    assert command.count("--set z_re=0.1") == 1


def test_the_first_loss_over_the_limit_is_told_by_its_step():
    point = {"c_re": 0.3, "c_im": 0.0}
    found = run_point(quadratic_scene(), point, lambda: None)
    assert found["losses"][found["t_escape"]] > 2 >= found["losses"][found["t_escape"] - 1]
    # Of every fifth loss the third is the first over the limit: that of step 14.
    assert (
        found["t_escape"],
        run_point(quadratic_scene(every=5), point, lambda: None)["t_escape"],
    ) == (12, 14)
