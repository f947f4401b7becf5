"""Networks, data and optimizers named on the command line, and axes that need them."""

import contextlib
import json

import numpy as np
import pytest

from dynfrac.cli import sources
from dynfrac.cli.main import main
from dynfrac.orbits.evaluator import evaluate
from dynfrac.studies.presets import make_preset
from dynfrac.sweeps.results import open_sweep

NETS = """
import jax.numpy as jnp
from flax import linen as nn


class Net(nn.Module):
    width: int = 4

    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(nn.tanh(nn.Dense(self.width)(x.reshape(len(x), -1))))


def raises():
    raise RuntimeError("no weights today")


def narrow():
    return nn.Dense(3)
"""

SMALL = ("--arg", "n_data=16", "--arg", "n_test=8", "--arg", "image_size=4")
RATES = ("--x", "lr=0.01:100:3", "--steps", "6")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command in a folder that holds a module of networks."""
    (tmp_path / "cli_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def call(*arguments):
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def swept(run, *arguments):
    status, out, err = run("sweep", *arguments, "--out", "s.zarr", "--json")
    assert status == 0, err
    assert json.loads(out)["counts"]["pending"] == 0
    return open_sweep("s.zarr")


def test_a_network_of_ones_own_with_every_metric(run):
    result = swept(run, "--arch", "cli_nets:Net", *SMALL, *RATES, "--optimizer", "clip+momentum")
    assert result.fields[-1] == "status"
    assert set(result.fields) > {"test_loss", "accuracy", "train_accuracy"}
    assert np.isfinite(result.field("test_loss")).all()
    assert result.spec["hparams"]["clip_norm"] == 1.0
    for field in ("test_loss", "accuracy", "final_loss"):
        assert run("show", "s.zarr", "--field", field)[0] == 0


def test_metrics_can_be_left_out_and_chosen(run):
    network = ("--arch", "cli_nets:Net", *SMALL, *RATES)
    result = swept(run, *network, "--record", "accuracy")
    assert "accuracy" in result.fields and "test_loss" not in result.fields
    status, _, err = run("show", "s.zarr", "--field", "test_loss")
    assert status == 2 and "sweep again with --record test_loss" in err
    status, _, err = run("sweep", *network, "--record", "none", "--out", "t.zarr")
    assert status == 0 and "accuracy" not in open_sweep("t.zarr").fields


def test_seeds_are_an_axis_of_whole_numbers(run):
    result = swept(run, "--arch", "cli_nets:Net", *SMALL, *RATES, "--y", "seed=3:7", "--res", "256")
    assert result.points[1].tolist() == [3, 4, 5, 6, 7]
    assert result.axes[1].scale == "linear"
    status, _, err = run(
        *("sweep", "--arch", "cli_nets:Net", *SMALL, *RATES),
        *("--seed", "5", "--out", "five.zarr"),
    )
    assert status == 0, err
    # One lane count, one device: the same point is the same run, however its seed was given.
    np.testing.assert_allclose(result.final_loss[2], open_sweep("five.zarr").final_loss, rtol=1e-9)


def test_batch_size_and_length_are_axes(run):
    result = swept(
        *(run, "--arch", "cli_nets:Net", *SMALL, "--x", "lr=0.1:1:2"),
        *("--y", "batch_size=2:8:3", "--z", "n_steps=2:6:3"),
    )
    assert result.shape == (3, 3, 2)
    assert result.spec["map"]["arguments"]["largest_batch"] == 8
    assert len(np.unique(result.final_loss)) == 18


def test_seeds_of_a_preset_are_an_axis_too(run):
    result = swept(
        *(run, "--preset", "published-tanh", "--arg", "width=4", "--steps", "3"),
        *("--x", "lr=0.1:1:2", "--y", "seed=0:2"),
    )
    assert result.points[1].tolist() == [0, 1, 2]
    assert len(np.unique(result.final_loss)) == 6
    # Seed 0 as a point of the axis is the preset's own.
    preset = make_preset("published-tanh", width=4, steps=3)
    alone = evaluate(preset.map_, {"lr": result.points[0]}, n_steps=3)
    np.testing.assert_array_equal(result.final_loss[0], alone.final_loss)


def test_label_noise_is_an_axis_of_the_published_network_too(run):
    result = swept(
        *(run, "--arch", "mlp", "--arg", "width=4", "--steps", "3"),
        *("--x", "lr=0.1:1:2", "--y", "label_noise=0:1:3"),
    )
    assert len(np.unique(result.final_loss)) == 6


def test_a_sweep_over_python_s_own_map_with_layer_groups_is_drawn(run, tmp_path):
    (tmp_path / "cli_maps.py").write_text(
        "from dynfrac import training_map\n"
        "import cli_nets\n"
        "def made():\n"
        "    return training_map(cli_nets.Net(), n_data=4, n_test=2, groups='in:Dense_0')\n"
    )
    assert run("sweep", "--map", "cli_maps:made", *RATES, "--out", "g.zarr")[0] == 0
    status, _, err = run("show", "g.zarr")
    assert status == 0, err


def test_epochs_record_one_loss_each(run):
    result = swept(
        *(run, "--arch", "cli_nets:Net", *SMALL, "--x", "lr=0.1:1:2"),
        *("--batch", "4", "--epochs", "3", "--rule", "threshold:2@test_loss"),
    )
    assert (result.spec["n_steps"], result.spec["every"]) == (12, 4)
    assert result.spec["rule"] == "threshold:2@test_loss"
    assert result.spec["map"]["arguments"]["n_epochs"] == 3


def test_data_of_ones_own(run, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.integers(0, 4, 20)
    np.savez(tmp_path / "own.npz", x_train=x[:12], y_train=y[:12], x_test=x[12:], y_test=y[12:])
    result = swept(run, "--arch", "shallow300", "--arg", "width=5", "--data", "own.npz", *RATES)
    assert result.spec["map"]["arguments"]["data"] == "own.npz"
    assert "test_loss" in result.fields


def test_lower_precision(run):
    result = swept(run, "--arch", "cli_nets:Net", *SMALL, *RATES, "--dtype", "bfloat16")
    assert result.spec["dtype"] == "bfloat16"
    status, _, err = run(
        *("sweep", "--map", "henon", "--x", "a=1:1.4:2", "--dtype", "bfloat16", "--out", "h.zarr")
    )
    assert status == 2 and "bfloat16' is not supported by Henon" in err


def test_exponents_of_a_network_of_ones_own(run):
    status, out, err = run(
        *("lyapunov", "--arch", "cli_nets:Net", *SMALL, "--steps", "5", "-k", "2", "--json"),
        *("--optimizer", "adam"),
    )
    assert status == 0, err
    assert len(json.loads(out)["exponents"]) == 2


def test_a_listing_of_ones_own(run):
    status, out, err = run("list", "cli_nets:Net", "--json")
    assert (status, err) == (0, "")
    row = json.loads(out)
    assert row["arguments"] == {"width": 4} and "lr" in row["hparams"]
    assert "parameters" in row["description"]
    status, out, _ = run("list", "cli_nets:Net")
    assert status == 0 and "--arg width=4" in out


NET = ("sweep", "--arch", "cli_nets:Net", *SMALL)
WRONG = {
    "raises": (("sweep", "--arch", "cli_nets:raises", *RATES), "raised RuntimeError: no weights"),
    "narrow": (("sweep", "--arch", "cli_nets:narrow", *RATES), "do not fit labels of 10 classes"),
    "large batch": ((*NET, *RATES, "--batch", "17"), "batch=17 must be between 1 and the 16"),
    "no momentum": ((*NET, "--x", "momentum=0:0.9"), "unknown hyperparameter 'momentum'"),
    "optimizer": ((*NET, *RATES, "--optimizer", "adan"), "did you mean 'adam'?"),
    "loss": ((*NET, *RATES, "--loss", "mae"), "unknown loss 'mae'"),
    "data": ((*NET, *RATES, "--data", "minni"), "did you mean 'mini'?"),
    "no file": ((*NET[:3], *RATES, "--data", "none.npz"), "none.npz"),
    "keys": ((*NET[:3], *RATES, "--data", "keys.npz"), "x_train"),
    "lengths": ((*NET[:3], *RATES, "--data", "lengths.npz"), "lengths.npz"),
    "metric": ((*NET, *RATES, "--record", "f1"), "unknown metric of TrainingMap: 'f1'"),
    "watch": ((*NET, *RATES, "--rule", "published@tets_loss"), "did you mean 'test_loss'?"),
    "twice": ((*NET, *RATES, "--batch", "4", "--arg", "batch=4"), "--batch and --arg batch"),
    "map": (("sweep", "--map", "henon", "--x", "a=1:2", "--data", "mini"), "--data needs --arch"),
    "epochs": (("sweep", "--map", "henon", "--x", "a=1:2", "--epochs", "3"), "needs a network"),
    "two lengths": ((*NET, *RATES, "--epochs", "3"), "--epochs and --steps exclude"),
    "a seed and seeds": (
        (*NET[:5], "--seed", "1", "--x", "seed=0:1", "--steps", "2"),
        "seed is to vary, so leave out --seed",
    ),
    "a batch and batches": (
        (*NET, "--batch", "4", "--x", "batch_size=1:4", "--steps", "2"),
        "batch_size is to vary, so leave out --batch",
    ),
    "a length": ((*NET, *RATES, "--set", "n_steps=3"), "n_steps is no hyperparameter"),
    "none and one": (
        (*NET, *RATES, "--record", "none", "--record", "accuracy"),
        "--record none excludes any other",
    ),
    "two lengths of runs": (
        (*NET, "--x", "n_steps=1:5:3", "--rule", "accuracy:0.1"),
        "the rule accuracy:0.1 needs runs of one length",
    ),
    "half a seed": ((*NET, "--x", "seed=0:1.5"), "seed"),
    "every": ((*NET, *RATES, "--every", "4"), "n_steps=6 is not a multiple of every=4"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_one_sentence_and_leaves_nothing(run, tmp_path, name):
    np.savez(tmp_path / "keys.npz", a=np.zeros(3))
    np.savez(tmp_path / "lengths.npz", x_train=np.zeros((4, 2)), y_train=np.zeros(3, int))
    arguments, words = WRONG[name]
    status, out, err = run(*arguments, "--out", "wrong.zarr")
    assert (status, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert words in err
    assert not (tmp_path / "wrong.zarr").exists()


def test_mnist_is_fetched_with_a_bar_before_anything_else(run, monkeypatch):
    fetched, bars = [], []

    def load(n, *, split, on_progress):
        on_progress(5, 10)
        on_progress(10, 10)
        fetched.append(split)

    @contextlib.contextmanager
    def bar(description, total):
        done = []
        yield done.append
        bars.append((description, total, done))

    monkeypatch.setattr(sources, "load_mnist", load)
    monkeypatch.setattr("dynfrac.cli.output.progress_bar", bar)
    # Whoever looks for the files now looks here, not at the network.
    monkeypatch.setenv("DYNFRAC_DATA", "nowhere")
    status, _, err = run(*NET[:3], *RATES, "--data", "mnist", "--out", "m.zarr")
    assert status == 2 and "nowhere" in err
    assert fetched == ["train", "test"]
    assert bars == [("MNIST train", 10, [5, 5]), ("MNIST test", 10, [5, 5])]
