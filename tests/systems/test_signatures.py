"""What is read from the arguments of a network's call."""

import functools

import pytest
from flax import linen, nnx

from dynfrac.systems.adaptation import takes_rngs
from dynfrac.systems.factories import factory_arguments
from dynfrac.systems.signatures import CallSignature, parameters_of, read_signature


def names(function):
    return [p.name for p in parameters_of(function)]


def test_switches_floats_and_keys_are_read_and_the_rest_is_left_alone():
    def apply(params, x, train, key, beta=1.5, depth=3, mask=None, *, inference=False, **others):
        """Take one argument of every kind."""

    assert read_signature(apply, 2) == CallSignature(
        switches=(("train", True), ("inference", False)), hparams=(("beta", 1.5),), key="key"
    )
    call = read_signature(apply, 2)
    training = call.keywords({"beta": 7.0, "lr": 0.1}, training=True)
    assert training == {"train": True, "inference": False, "beta": 7.0}
    calm = call.keywords({"beta": 7.0}, training=False)
    assert calm == {"train": False, "inference": True, "beta": 7.0}


@pytest.mark.parametrize(
    ("switch", "training"),
    [
        ("train", True),
        ("training", True),
        ("is_training", True),
        ("on_train", True),
        ("deterministic", False),
        ("inference", False),
        ("use_running_average", False),
    ],
)
def test_every_switch_is_set_for_training(switch, training):
    namespace = {}
    exec(f"def apply(x, {switch}): pass", namespace)
    call = read_signature(namespace["apply"], 1)
    assert call.keywords({}, training=True) == {switch: training}
    assert call.keywords({}, training=False) == {switch: not training}


def test_bound_calls_of_modules_are_read_without_themselves():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, inputs, train=False, skip=1.0):
            return inputs

    assert read_signature(Net().__call__, 1) == CallSignature(
        (("train", True),), (("skip", 1.0),), None
    )


def test_a_module_draws_from_its_own_streams_and_is_given_no_key():
    def call(x, rng=None):
        """Take an argument that means a key only for plain functions."""

    assert read_signature(call, 1).key is None
    assert read_signature(lambda params, x, rng: x, 2).key == "rng"


@pytest.mark.parametrize(
    ("function", "n", "words"),
    [
        (lambda: 0, 1, r"too few arguments \(0\); let it begin with \(inputs\)"),
        (lambda params: 0, 2, r"too few arguments \(1\); let it begin with \(params, inputs\)"),
        (lambda x, mask: 0, 1, "needs the argument 'mask', .*; give it a default"),
        (lambda x, *, key: 0, 1, "needs the argument 'key'"),
    ],
)
def test_calls_that_cannot_be_made_are_refused_in_one_sentence(function, n, words):
    with pytest.raises(ValueError, match=words) as caught:
        read_signature(function, n)
    assert "\n" not in str(caught.value)


def test_variadic_and_mute_functions_are_taken_as_they_are():
    assert read_signature(lambda *arguments: 0, 2) == CallSignature((), (), None)
    assert read_signature(lambda x, **options: 0, 1) == CallSignature((), (), None)
    assert parameters_of(dict) is None  # a built-in that does not say
    assert read_signature(dict, 2) == CallSignature((), (), None)


class Net(nnx.Module):
    def __init__(self, width: int = 3, *, rngs):
        self.layer = nnx.Linear(width, width, rngs=rngs)


def test_an_nnx_class_is_asked_through_its_constructor():
    assert names(Net) == ["width", "rngs"]
    assert takes_rngs(Net)
    assert factory_arguments(Net)["width"] == 3
    fixed = functools.partial(Net, width=5)
    assert names(fixed) == ["width", "rngs"]
    assert takes_rngs(fixed)


def test_only_what_makes_a_module_takes_rngs():
    def make(width=3, *, rngs):
        return Net(width, rngs=rngs)

    assert takes_rngs(make)
    assert takes_rngs(functools.partial(make, width=5))
    assert not takes_rngs(lambda width=3: Net(width, rngs=nnx.Rngs(0)))
    assert not takes_rngs(Net(rngs=nnx.Rngs(0)))
    assert not takes_rngs(linen.Dense(3))
    assert not takes_rngs(3)
