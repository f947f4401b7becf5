"""The command `dynfrac show`: a picture of every field, at any stage, and every way to fail."""

import dataclasses
import json

import matplotlib.image
import numpy as np
import pytest

from dynfrac.cli import cmd_show
from dynfrac.cli.main import main
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.outcomes import one_sided
from dynfrac.orbits.rules import make_rule
from dynfrac.studies.presets import make_preset
from dynfrac.sweeps.refinement import Refinement
from dynfrac.sweeps.results import Sweep, open_sweep
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.complex_maps import Quadratic

AXES = (Axis("c_re", -2, 0.5, 8), Axis("c_im", -1.2, 1.2, 8), Axis("z_re", 0, 0.4, 5))


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run `dynfrac show` in an empty folder; return (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main(["show", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def make(tmp_path):
    """Sweep a few cells into `run.zarr`."""

    def call(n_axes=2, **settings):
        settings = {
            "n_steps": 20,
            "rule": "bounded:2",
            "identity": {"map": "quadratic"},
            **settings,
        }
        return sweep(Quadratic(), AXES[:n_axes], out=tmp_path / "run.zarr", **settings)

    return call


@pytest.fixture
def titles(monkeypatch):
    """Collect what every picture is headed with."""
    found = []
    for field, (draw, names) in cmd_show.FIELDS.items():

        def spy(*arrays, draw=draw, **words):
            found.append((words["title"], words["caption"]))
            return draw(*arrays, **words)

        monkeypatch.setitem(cmd_show.FIELDS, field, (spy, names))
    return found


METRICS = ("test_loss", "accuracy", "train_accuracy", "lyapunov")


@pytest.fixture
def metrics(monkeypatch):
    """Let sweeps have metrics and strides beside the four fields that all of them have."""

    stored = Sweep.field

    def field(self, name):
        if name == "stride":
            return np.random.default_rng(1).choice(np.array([1, 2, 4], np.uint16), self.shape)
        if name not in METRICS:
            return stored(self, name)
        return np.random.default_rng(1).uniform(0, 1, self.shape)

    monkeypatch.setattr(Sweep, "field", field)


@pytest.mark.parametrize("field", [name for name in cmd_show.FIELDS if name != "local-dimension"])
def test_every_field_has_a_picture_beside_the_sweep(run, make, metrics, tmp_path, field):
    make()
    name = "run.png" if field == "measure" else f"run-{field}.png"
    status, out, err = run("run.zarr", "--field", field, "--dpi", "60")
    assert (status, out, err) == (0, f"{name}\n", "")
    picture = matplotlib.image.imread(tmp_path / name)
    assert min(picture.shape[:2]) > 300 and picture.std() > 0.05
    assert {p.name for p in tmp_path.iterdir()} == {"run.zarr", name}


def test_the_caption_of_an_adaptive_sweep_counts_no_runs_that_were_not_done(tmp_path):
    axes = Axis("c_re", -2, 0.5, 64), Axis("c_im", -1.2, 1.2, 66)
    settings = {"n_steps": 20, "rule": "bounded:2", "adaptive": Refinement(guard=1)}
    made = sweep(Quadratic(), axes, out=tmp_path / "a.zarr", **settings)
    caption = cmd_show._conditions(made, None)
    assert made.was_run.mean() < 0.7
    assert caption.startswith(f"64 × 66 cells, {made.was_run.mean():.1%} with runs of 20 steps")


def test_a_dense_sweep_has_no_strides(run, make):
    make()
    status, out, err = run("run.zarr", "--field", "stride")
    assert (status, out) == (2, "")
    assert "has no field 'stride'" in err and "sweep again with --adaptive into" in err


def test_the_local_dimension_needs_a_picture_of_some_size(run, make, tmp_path):
    make()
    status, out, err = run("run.zarr", "--field", "local-dimension")
    assert (status, out) == (2, "") and "a map needs two axes of at least 64 px" in err
    axes = Axis("c_re", -2, 0.5, 64), Axis("c_im", -1.2, 1.2, 66)
    settings = {"n_steps": 20, "rule": "bounded:2", "identity": {"map": "quadratic"}}
    sweep(Quadratic(), axes, out=tmp_path / "large.zarr", **settings)
    status, out, err = run("large.zarr", "--field", "local-dimension", "--dpi", "60")
    assert (status, out, err) == (0, "large-local-dimension.png\n", "")
    assert matplotlib.image.imread(tmp_path / "large-local-dimension.png").std() > 0.05


def test_the_safe_palette_changes_colours_and_nothing_else(run, make, tmp_path):
    make()
    assert run("run.zarr", "--out", "published.png", "--dpi", "60")[0] == 0
    assert run("run.zarr", "--out", "safe.png", "--dpi", "60", "--palette", "safe")[0] == 0
    pictures = [matplotlib.image.imread(tmp_path / f"{n}.png") for n in ("published", "safe")]
    assert pictures[0].shape == pictures[1].shape and (pictures[0] != pictures[1]).mean() > 0.1
    status, out, err = run("run.zarr", "--palette", "pastel")
    assert (status, out) == (2, "") and "'published', 'safe'" in err


@pytest.mark.parametrize(("name", "magic"), [("a.pdf", b"%PDF"), ("b.svg", b"<?xml")])
def test_other_formats(run, make, tmp_path, name, magic):
    make()
    assert run("run.zarr", "--out", name)[0] == 0
    assert (tmp_path / name).read_bytes().startswith(magic)


@pytest.mark.parametrize("name", METRICS)
def test_a_field_that_was_not_recorded_is_one_sentence(run, make, tmp_path, name):
    make()
    status, out, err = run("run.zarr", "--field", name)
    assert (status, out) == (2, "") and err.count("\n") == 1
    for words in (name, "final_loss", f"--record {name}"):
        assert words in err, err
    assert [p.name for p in tmp_path.iterdir()] == ["run.zarr"]


def test_accuracies_are_on_the_data_they_say(run, make, metrics, monkeypatch):
    make()
    found = []
    for name in ("accuracy", "train_accuracy"):
        draw, arrays = cmd_show.FIELDS[name]

        def spy(*arrays, draw=draw, **words):
            ax = draw(*arrays, **words)
            found.append(ax.child_axes[0].get_ylabel())
            return ax

        monkeypatch.setitem(cmd_show.FIELDS, name, (spy, arrays))
        run("run.zarr", "--field", name, "--dpi", "40")
    assert found == [
        "final test accuracy",
        "final training accuracy",
    ]


def test_the_key_has_the_words_of_the_sweeps_rule(run, make, monkeypatch):
    found = []
    draw, names = cmd_show.FIELDS["measure"]

    def spy(*arrays, **words):
        found.append(words.get("ends"))
        return draw(*arrays, **words)

    monkeypatch.setitem(cmd_show.FIELDS, "measure", (spy, names))
    make(rule="curve-mean")
    run("run.zarr", "--dpi", "40")
    assert found == [make_rule("curve-mean").ends]


def test_a_window_with_one_outcome_says_so(run, tmp_path):
    axes = (Axis("c_re", -0.1, 0.1, 4), Axis("c_im", -0.1, 0.1, 4))
    sweep(Quadratic(), axes, n_steps=20, rule="bounded:2", out=tmp_path / "in.zarr")
    status, out, err = run("in.zarr", "--dpi", "40")
    assert (status, out) == (0, "in.png\n")
    assert err == "all 16 runs converged: there is no boundary in this window\n"


@pytest.mark.parametrize(
    ("converged", "other", "pending", "sentence"),
    [
        (16, 0, 0, "all 16 runs converged: there is no boundary in this window"),
        (0, 16, 0, "none of the 16 runs converged: there is no boundary in this window"),
        (4, 0, 12, "all 4 runs so far converged: no boundary has been met yet"),
        (0, 4, 12, "none of the 4 runs so far converged: no boundary has been met yet"),
        (1, 15, 0, None),
        (15, 1, 0, None),
        (1, 3, 12, None),
        (0, 0, 16, None),
    ],
)
def test_one_outcome_in_words(converged, other, pending, sentence):
    counts = {"pending": pending, "converged": converged, "bounded": 0, "escaped": other}
    assert one_sided({**counts, "not_finite": 0}) == sentence


def test_json(run, make):
    make()
    status, out, _ = run("run.zarr", "--json", "--dpi", "40")
    assert status == 0
    assert json.loads(out) == {
        "picture": "run.png",
        "store": "run.zarr",
        "field": "measure",
        "shape": [8, 8],
        "pending": 0,
    }


def test_the_heading_says_what_was_swept_and_how(run, make, titles):
    make()
    run("run.zarr", "--dpi", "40")
    run("run.zarr", "--dpi", "40", "--title", "Mandelbrot")
    assert [title for title, _ in titles] == ["quadratic", "Mandelbrot"]
    assert titles[0][1] == (
        "8 × 8 runs of 20 steps in float64, z_im = 0, z_re = 0\nconverged: no loss is above 2"
    )


def test_the_caption_tells_how_losses_were_recorded(make):
    result = make(rule="bounded:3")
    spec = {**result.spec, "every": 5, "rule": "threshold:0.1@test_loss"}
    other = dataclasses.replace(result, spec=spec)
    assert cmd_show._conditions(other, cmd_show._rule(other)) == (
        "8 × 8 runs of 20 steps in float64, one loss every 5 steps, z_im = 0, z_re = 0\n"
        "converged: the last test loss is at most 0.1"
    )
    lengths = (Axis("c_re", 0, 1, 8), Axis("n_steps", 5, 20, 8))
    other = dataclasses.replace(result, axes=lengths, spec={**spec, "rule": "mine:3"})
    caption = cmd_show._conditions(other, cmd_show._rule(other))
    assert "8 × 8 runs of up to 20 steps" in caption
    assert caption.endswith("converged: by the rule mine:3")


@pytest.mark.parametrize("name", ["published-single", "published-minibatch"])
def test_a_preset_is_headed_by_its_name(run, tmp_path, titles, name):
    preset = make_preset(name, steps=3)
    axes = [Axis(axis.name, axis.low, axis.high, 3) for axis in preset.axes]
    sweep(preset.map_, axes, n_steps=3, out=tmp_path / "p.zarr", identity=preset.identity)
    run("p.zarr", "--dpi", "40")
    assert titles == [
        (
            name,
            "3 × 3 runs of 3 steps in float64\n"
            "converged: the mean of the last 20 losses is below the first loss",
        )
    ]


def test_a_partial_sweep_says_how_much_there_is(run, make, tmp_path, titles):
    result = make(tile=16)
    (tmp_path / "run.zarr" / "status" / "c" / "0" / "0").unlink()
    left = open_sweep(result.path).pending / 64
    assert 0 < left < 1
    status, out, _ = run("run.zarr", "--dpi", "40", "--json")
    assert status == 0 and json.loads(out)["pending"] == left * 64
    assert titles[0][0] == f"quadratic ({1 - left:.0%} computed)"


def test_a_plane_of_three_axes(run, make, titles, monkeypatch):
    drawn = []
    plot, names = cmd_show.FIELDS["status"]

    def spy(status, *rest, **words):
        drawn.append(status)
        return plot(status, *rest, **words)

    monkeypatch.setitem(cmd_show.FIELDS, "status", (spy, names))
    result = make(3)
    run("run.zarr", "--field", "status", "--dpi", "40")
    run("run.zarr", "--field", "status", "--dpi", "40", "--at", "0.31")
    np.testing.assert_array_equal(drawn[0], result.status[2])
    np.testing.assert_array_equal(drawn[1], result.status[3])
    assert [title for title, _ in titles] == ["quadratic, z_re = 0.2", "quadratic, z_re = 0.3"]


def test_one_axis(run, make, tmp_path):
    make(1)
    assert run("run.zarr", "--dpi", "40")[0] == 0
    height, width, _ = matplotlib.image.imread(tmp_path / "run.png").shape
    assert height < width / 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("absent.zarr",), "absent.zarr: there is no such sweep"),
        (("empty",), "empty exists and is not a sweep"),
        (("file",), "file exists and is not a sweep"),
        ((), "STORE"),
        (("run.zarr", "--field", "loss"), "'loss' is not one of"),
        (("run.zarr", "--out", "a.gif"), "--out a.gif is not a picture; end it in .png, .pdf"),
        (("run.zarr", "--out", "absent/a.png"), "the folder absent does not exist"),
        (("run.zarr", "--out", "folder.png"), "--out folder.png is a folder"),
        (("run.zarr", "--at", "0.1"), "--at 0.1 needs a sweep over three axes"),
        (("run.zarr", "--dpi", "1"), "'--dpi': 1 is not in the range"),
    ],
)
def test_wrong_arguments_are_one_sentence(run, make, tmp_path, arguments, expected):
    make()
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert expected in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_place_outside_the_third_axis(run, make):
    make(3)
    status, _, err = run("run.zarr", "--at", "0.5")
    assert status == 2
    assert "--at 0.5 is outside the axis z_re; give a value from 0 to 0.4" in err
