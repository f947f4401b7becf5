"""Names lead to maps, and mistakes to one sentence."""

import numpy as np
import pytest

from dynfrac.systems.abstract import AbstractMap
from dynfrac.systems.batches import FullBatch, MinibatchStream
from dynfrac.systems.catalogue import (
    HYPERPARAMETERS,
    list_architectures,
    list_maps,
    make_architecture,
    make_map,
)
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.digits import load_digits
from dynfrac.systems.optimizers import OPTIMIZERS, make_optimizer
from dynfrac.systems.published import published_map
from dynfrac.systems.resnets import ResNet
from dynfrac.systems.training import TrainingMap

OWN = """
import flax.linen as nn
import jax.numpy as jnp
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.descents import QuadraticDescent

constant = 3

def henon():
    return Henon()

def bowl(curvature, *, heavy_ball=False):
    return QuadraticDescent(jnp.asarray([curvature]), heavy_ball=heavy_ball)

def anything(**arguments):
    return QuadraticDescent(tuple(arguments.values()))

def fails():
    raise RuntimeError("no luck\\ntoday")

def number():
    return 7

def network():
    return nn.Dense(3)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Put modules of a user's own where Python finds them."""
    (tmp_path / "own_maps.py").write_text(OWN)
    (tmp_path / "own_broken.py").write_text("import numpi_is_not_here\n")
    (tmp_path / "own_raising.py").write_text("raise OSError('disk on fire')\n")
    monkeypatch.syspath_prepend(tmp_path)


def one_sentence(call, *arguments, **named):
    """Return the text of the `ValueError` that a call ends in."""
    with pytest.raises(ValueError) as caught:
        call(*arguments, **named)
    text = str(caught.value)
    assert "\n" not in text and not text.endswith(".")
    return text


def test_names_lead_to_maps():
    assert isinstance(make_map("henon"), Henon)
    assert make_map("gd-quadratic", heavy_ball=True).defaults["momentum"] == 0.5
    published = make_architecture("mlp", nonlinearity="relu", lr=3)
    assert published.defaults["lr"] == 3.0
    np.testing.assert_array_equal(
        published.variables["params"][0],
        published_map(nonlinearity="relu").variables["params"][0],
    )


@pytest.mark.parametrize(
    "eigenvalues", ["1,3,10", (1, 3, 10), [1.0, 3.0, 10.0], np.array([1.0, 3.0, 10.0])]
)
def test_eigenvalues_may_be_text(eigenvalues):
    assert make_map("gd-quadratic", eigenvalues=eigenvalues).eigenvalues == (1.0, 3.0, 10.0)
    assert make_map("gd-quadratic", eigenvalues=4).eigenvalues == (4.0,)


def test_networks_on_digits_start_from_the_first_of_them():
    map_ = make_architecture("mnist-mlp", n_data=12, image_size=7, width=5)
    images, labels = load_digits(12, size=7, flat=True)
    np.testing.assert_array_equal(map_.data.inputs, images)
    np.testing.assert_array_equal(map_.data.targets, labels)
    assert [w.shape for w in map_.variables["params"]] == [(49, 5), (5, 10)]
    assert isinstance(map_.batches, FullBatch)


@pytest.mark.parametrize(("name", "skip"), [("resnet14", 1.0), ("plain14", 0.0)])
def test_families_take_their_depth_from_the_name(name, skip):
    map_ = make_architecture(
        name, width=0.25, image_size=9, n_data=6, batch=2, n_steps=3, optimizer="momentum", lr=0.02
    )
    assert isinstance(map_, TrainingMap)
    assert map_.model == ResNet.create(14, width=0.25, looped=True)  # it is small
    assert map_.data.inputs.shape == (6, 9, 9, 1)
    assert isinstance(map_.batches, MinibatchStream) and map_.batches.indices.shape == (3, 2)
    assert {"skip": skip, "lr": 0.02, "momentum": 0.9}.items() <= map_.defaults.items()
    assert (map_.drive, map_.preferred_dtype) == ("scan", "float32")


def test_defaults_of_residual_networks_are_gradient_descent_on_32_digits():
    map_ = make_architecture("resnet8")
    assert map_.data.inputs.shape == (32, 28, 28, 1)
    assert isinstance(map_.batches, FullBatch) and map_.optimizer.name == "sgd"
    assert map_.stability_threshold(map_.defaults) == 2 / 0.1


def test_seeds_draw_other_weights_for_the_same_data():
    first, second = (make_architecture("mnist-mlp", n_data=5, seed=seed) for seed in (0, 1))
    assert not np.array_equal(first.variables["params"][0], second.variables["params"][0])
    np.testing.assert_array_equal(first.data.inputs, second.data.inputs)


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (make_map, "hennon", "unknown map 'hennon'; did you mean 'henon'? known: baker, "),
        (make_map, "resnet20", "'resnet20' is an architecture, not a map"),
        (make_map, "mlp", "'mlp' is an architecture, not a map"),
        (make_architecture, "henon", "'henon' is a map, not an architecture"),
        (
            make_architecture,
            "resnt20",
            "unknown architecture 'resnt20'; did you mean 'resnet{6n+2}'? known: cnn, ",
        ),
        (make_architecture, "resnet", "did you mean 'resnet{6n+2}'?"),
        (make_architecture, "resnet21", "depths are 6n + 2; the nearest is resnet20"),
        (make_architecture, "plain24", "the nearest is plain26"),
        (make_architecture, "plain2", "the nearest is plain8"),
        (make_architecture, "resnet99999999999", "unknown architecture"),
    ],
)
def test_unknown_names_are_answered_with_those_that_exist(make, name, words):
    assert words in one_sentence(make, name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"widht": 2},
            "unknown argument of resnet8: 'widht'; did you mean 'width'? known: batch, ",
        ),
        ({"depth": 8}, "unknown argument of resnet8: 'depth'"),
        ({"width": "wide"}, "width='wide' is not an argument of resnet8; pass a finite number"),
        ({"lr": float("inf")}, "lr=inf is not an argument of resnet8; pass a finite number"),
        ({"batch": 2.5}, "batch=2.5 is not an argument of resnet8; pass a whole number"),
        ({"seed": 2**80}, "pass a whole number"),
        ({"n_data": True}, "n_data=True is not an argument of resnet8; pass a whole number"),
        ({"batch_norm": 1}, "batch_norm=1 is not an argument of resnet8; pass true or false"),
        ({"optimizer": 3}, "optimizer=3 is not an argument of resnet8; pass text"),
        ({"optimizer": "sdg"}, "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ({"width": -1}, "width=-1.0 leaves the first stage without channels"),
        ({"image_size": 4}, "image_size=4 is too small"),
        ({"image_size": 65}, "65"),
        ({"n_data": 5000}, "n_data=5000"),
        ({"n_data": 0}, "n_data=0"),
        ({"n_data": 32, "batch": 33}, "batch=33 must be between 1 and the 32 examples"),
    ],
)
def test_arguments_are_checked(arguments, words):
    assert words in one_sentence(make_architecture, "resnet8", **arguments)


@pytest.mark.parametrize("eigenvalues", ["", "1,x", (), [None]])
def test_eigenvalues_are_checked(eigenvalues):
    assert "give one or more" in one_sentence(make_map, "gd-quadratic", eigenvalues=eigenvalues)


@pytest.mark.parametrize("make", [make_map, make_architecture])
def test_maps_of_a_users_own(own, make):
    assert isinstance(make("own_maps:henon"), Henon)
    assert isinstance(make("own_maps:Henon"), Henon)
    assert make("own_maps:anything", a=2.0, b=5.0).eigenvalues == (2.0, 5.0)
    bowl = make("own_maps:bowl", curvature=2.0, heavy_ball=True)
    assert isinstance(bowl, AbstractMap) and "momentum" in bowl.defaults
    assert bowl.eigenvalues.dtype == np.float64


@pytest.mark.parametrize(
    ("path", "arguments", "words"),
    [
        ("own_mops:henon", {}, "there is no module 'own_mops'; install it, or add its folder"),
        ("own_maps.inner:henon", {}, "there is no module 'own_maps.inner'"),
        ("own_broken:map", {}, "own_broken raised ModuleNotFoundError: No module named 'numpi_is"),
        ("own_raising:map", {}, "importing own_raising raised OSError: disk on fire"),
        ("own_maps:hennon", {}, "'hennon'; did you mean 'henon'? known: anything, bowl, fails, "),
        ("own_maps:constant", {}, "own_maps:constant is an int, which cannot be called"),
        ("own_maps:henon", {"a": 1}, "unknown argument of own_maps:henon: 'a'; known: none"),
        ("own_maps:bowl", {"curve": 1}, "did you mean 'curvature'? known: curvature, heavy_ball"),
        ("own_maps:bowl", {}, "own_maps:bowl needs the argument curvature"),
        ("own_maps:fails", {}, "own_maps:fails raised RuntimeError: no luck today"),
        ("own_maps:number", {}, "own_maps:number returned an int, not a map"),
        ("own_maps:network", {}, "returned a Dense, not a map; a network is asked for with --arch"),
        ("own maps:henon", {}, "is not an import path; write package.module:factory"),
        (":henon", {}, "is not an import path"),
        ("own_maps:", {}, "is not an import path"),
    ],
)
def test_mistakes_in_a_users_own_end_in_one_sentence(own, path, arguments, words):
    assert words in one_sentence(make_map, path, **arguments)


def test_entries_say_what_their_factories_take():
    entries = {entry.name: entry for entry in (*list_maps(), *list_architectures())}
    assert entries["henon"].arguments == {}
    assert entries["henon"].hparams == Henon().defaults
    assert entries["mlp"].arguments["width"] == 16
    assert entries["resnet{6n+2}"].arguments.keys() == entries["plain{6n+2}"].arguments.keys()
    assert entries["resnet{6n+2}"].hparams["skip"] == 1.0
    for entry in list_architectures():
        # What is listed as the default is what a map made without arguments has.
        map_ = make_architecture(entry.name.replace("{6n+2}", "8"))
        assert dict(entry.hparams) == pytest.approx(map_.defaults, nan_ok=True)


def test_every_hyperparameter_of_an_architecture_is_explained():
    used = {name for entry in list_architectures() for name in entry.hparams}
    used |= {name for optimizer in OPTIMIZERS for name, _ in make_optimizer(optimizer).parameters}
    # Three are there only when they are asked for.
    assert used | {"seed", "batch_size", "label_noise"} == set(HYPERPARAMETERS)
    assert "seed" in make_architecture("mlp", width=2, seed=None).defaults
    assert "batch_size" in make_architecture("mlp", width=2, largest_batch=3).defaults


def test_the_parity_task_tells_odd_from_even_by_squared_error():
    map_ = make_architecture("mnist-mlp", n_data=20, task="parity", width=3)
    digits = make_architecture("mnist-mlp", n_data=20, width=3).data.targets
    assert map_.data.targets.tolist() == [[1.0 if digit % 2 else -1.0] for digit in digits]
    assert map_.variables["params"][-1].shape == (3, 1)
    hparams = map_.defaults
    # At zero weights every output is 0 and every squared error is 1.
    blank = map_.init({**hparams, "init_scale": 0.0})
    assert float(map_.observe(blank, hparams)) == 1.0
    with pytest.raises(ValueError, match="did you mean 'parity'"):
        make_architecture("mnist-mlp", task="party")


@pytest.mark.parametrize(
    ("arguments", "size", "rows"),
    [
        ({}, 32, None),
        ({"batch": 5}, 5, None),
        ({"n_data": 7}, 7, None),
        ({"n_data": 7, "batch": 3, "n_steps": 4}, 7, (4, 3)),
    ],
)
def test_residual_networks_descend_on_all_their_data_unless_both_sizes_are_given(
    arguments, size, rows
):
    map_ = make_architecture("resnet8", width=0.25, image_size=7, **arguments)
    assert map_.data.size == size
    if rows is None:
        assert isinstance(map_.batches, FullBatch)
    else:
        assert map_.batches.indices.shape == rows
