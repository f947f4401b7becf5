"""From a network as people write it to a model: recognise it, try it on the data, adapt it.

Everything that can be wrong with a network is found out here, on the host and before any training:
a call that dynfrac cannot make, an exception inside, outputs that do not fit the targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

from dynfrac.systems.abstract import unknown_name
from dynfrac.systems.adapters import (
    AbstractAdapter,
    FunctionModel,
    Groups,
    LinenModel,
    NnxModel,
    RandomPlace,
    Traits,
    path_name,
    split_module,
)
from dynfrac.systems.batches import Dataset
from dynfrac.systems.importing import in_words, with_article
from dynfrac.systems.models import AbstractModel
from dynfrac.systems.numerics import cast_floats
from dynfrac.systems.signatures import parameters_of, read_signature

Loss = Callable[[jax.Array, jax.Array], jax.Array]


class Misfit(ValueError):
    """Outputs that have another shape than the targets want."""


_PROBE = 2
"""Examples that a network is tried on."""


def is_network(thing: Any) -> bool:
    """Whether `adapt_network` can make something of an object."""
    pair = isinstance(thing, tuple) and len(thing) == 2 and any(map(callable, thing))
    module = isinstance(thing, linen.Module | nnx.Module | AbstractModel)
    return module or pair or takes_rngs(thing)


def takes_rngs(thing: Any) -> bool:
    """Whether an object draws an nnx module when it is called: it has an argument ``rngs``."""
    if not callable(thing) or isinstance(thing, linen.Module | nnx.Module):
        return False
    return "rngs" in [p.name for p in parameters_of(thing) or ()]


def adapt_network(
    network: Any,
    data: Dataset,
    *,
    n_classes: int | None,
    loss: Loss,
    groups: Mapping[str, str | tuple[str, ...]] | None = None,
) -> AbstractModel:
    """Make a model of a network, after trying it on the data.

    Parameters
    ----------
    network : flax module, nnx class, or pair
        A linen module; an nnx module, or a class or function that makes one from ``rngs``; a pair
        ``(params, apply)`` of initial parameters and a function ``apply(params, inputs)``; or a
        pair ``(init, apply)`` of functions, ``init(key)`` returning the parameters.
    data : Dataset
        What it will be trained on.
    n_classes : int or None
        Number of classes, None for regression.
    loss : callable
        ``loss(outputs, targets) -> scalar``, a mean over the examples.
    groups : mapping of str to str or tuple of str, optional
        Layer groups that get learning rates of their own: name -> beginnings of the paths of their
        parameters, as in ``{"in": "Dense_0", "out": "Dense_2"}``.

    Returns
    -------
    AbstractModel

    Raises
    ------
    ValueError
        In one sentence, if the network cannot be called, raises, returns outputs that do not fit
        the targets, has no parameters, or `groups` names parameters that it does not have.

    Notes
    -----
    Call it within `dynfrac.systems.numerics.precision`. Hyperparameters and switches of the call
    are read from its signature (`dynfrac.systems.signatures`). A network with a convolution is
    stepped from the host on a CPU and prefers float32.
    """
    example = _first(data)
    made = _wrap(network, example)
    variables = _variables(made, example)
    made = made.replace(traits=made.traits.replace(groups=_groups(groups, variables["params"])))
    traits = made.traits.replace(
        stochastic=made.draws(variables), slaved_stats=not made.remembers(variables)
    )
    made = made.replace(traits=traits)
    check_fit(made, traits.name, data, n_classes, loss)
    if _convolves(made, variables, example):
        traits = traits.replace(drive="host", preferred_dtype="float32")
    if not traits.call.hparams and _spoilt_by_nan(made, variables, example, loss):
        traits = traits.replace(nan_propagation="all")
    return made.replace(traits=traits)


def _wrap(network: Any, example: Dataset) -> AbstractAdapter:
    """Choose the adapter of a network."""
    if isinstance(network, linen.Module):
        traits = Traits(type(network).__name__, read_signature(_call_of(network), 1))
        return LinenModel(traits, network, np.asarray(example.inputs)[:1])
    if isinstance(network, nnx.Module) or takes_rngs(network):
        return _wrap_nnx(network)
    if isinstance(network, tuple) and len(network) == 2:
        first, second = network
        if callable(second):
            create, given = (first, None) if callable(first) else (None, first)
            function = second
        elif callable(first):
            create, given, function = None, second, first
        else:
            raise ValueError(_what_is_wanted(network))
        given = jax.tree.map(np.asarray, given)
        name = getattr(function, "__name__", "<lambda>")
        name = "the function" if name == "<lambda>" else name
        return FunctionModel(Traits(name, read_signature(function, 2)), function, given, create)
    raise ValueError(_what_is_wanted(network))


def _wrap_nnx(network: Any) -> NnxModel:
    create = None
    if not isinstance(network, nnx.Module):
        create, name = network, getattr(network, "__name__", "the factory of the network")
        # Only its structure: nothing is computed until the weights are drawn for good.
        network = _attempt(name, nnx.eval_shape, lambda: create(rngs=nnx.Rngs(0)))
        if not isinstance(network, nnx.Module):
            raise ValueError(_what_is_wanted(network))
    else:
        # The modes are switched in a copy, which also loses what earlier calls have left behind.
        network = nnx.clone(network)
        nnx.pop(network, nnx.Intermediate)
    traits = Traits(type(network).__name__, read_signature(_call_of(network), 1))
    network.eval()
    evaluation = split_module(network)[0]
    network.train()
    training, variables, random = split_module(network)
    places = tuple(
        RandomPlace(
            tuple(entry.key for entry in path),
            leaf.shape,
            jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key),
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(random)
    )
    given = None if create is not None else jax.tree.map(np.asarray, variables)
    return NnxModel(traits, training, evaluation, places, given, create)


def _call_of(module: Any) -> Callable[..., Any]:
    """Return the bound ``__call__`` of a flax module."""
    if not callable(module):
        raise ValueError(f"{type(module).__name__} cannot be called; give it a method __call__")
    return module.__call__


def _variables(model: AbstractAdapter, example: Dataset) -> dict[str, Any]:
    """Draw a first set of variables, only their shapes where they need not be computed."""
    variables = _attempt(
        model.traits.name, lambda: jax.eval_shape(model.init, jax.random.PRNGKey(0))
    )
    leaves = jax.tree_util.tree_leaves_with_path(variables["params"])
    if not any(_is_float(leaf) for _, leaf in leaves):
        raise ValueError(
            f"{model.traits.name} has no floating-point parameters, so there is nothing to train"
        )
    for path, leaf in leaves:
        if not _is_float(leaf):
            raise ValueError(
                f"{model.traits.name} has {path_name(path)} of type {leaf.dtype} among its "
                "parameters; leave only real floating-point numbers there, which can be trained"
            )
    return variables


def check_fit(
    model: AbstractModel,
    name: str,
    data: Dataset,
    n_classes: int | None,
    loss: Loss | None = None,
) -> None:
    """Raise unless the data are examples, and calls in both modes give outputs that fit them.

    Parameters
    ----------
    model : AbstractModel
    name : str
        What errors call it.
    data : Dataset
        Two of its examples are tried, without computing anything.
    n_classes : int or None
        None for regression.
    loss : callable, optional
        Is tried on the outputs.

    Raises
    ------
    ValueError
        With the shapes, or with what the model or the loss raised.
    """
    _check_examples(data, n_classes)
    example = _first(data)
    key = jax.random.PRNGKey(0) if model.stochastic else None
    variables = jax.eval_shape(model.init, jax.random.PRNGKey(0))
    tensors = _in_float64(variables["params"]), _in_float64(variables["stats"])

    def train(params: Any, stats: Any, hparams: Any) -> Any:
        return model.apply(params, stats, example.inputs, hparams, key)

    def predict(params: Any, stats: Any, hparams: Any) -> Any:
        return model.predict(params, stats, example.inputs, hparams)

    outputs, after = _try_call(name, train, tensors, model.defaults, example, "")
    _check_outputs(name, outputs, example, n_classes, "")
    mode = " in evaluation mode"
    predicted = _try_call(name, predict, tensors, model.defaults, example, mode)
    _check_outputs(name, predicted, example, n_classes, mode)
    shapes = [jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (tensors[1], after)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{name} changes the number or shapes of its statistics when it is called; let it "
            "neither append to them nor sow outside 'intermediates'"
        )
    if loss is not None:
        _check_loss(loss, outputs, np.asarray(example.targets))


def _check_examples(data: Dataset, n_classes: int | None) -> None:
    """Refuse data that are not examples with one target each."""
    inputs, targets = np.asarray(data.inputs), np.asarray(data.targets)
    if not (inputs.ndim and targets.ndim and 0 < len(inputs) == len(targets)):
        raise ValueError(
            f"inputs of shape {inputs.shape} and targets of shape {targets.shape} are not "
            "examples; give at least one, along the first axis of both"
        )
    for what, values in (("inputs", inputs), ("targets", targets)):
        if not any(jnp.issubdtype(values.dtype, kind) for kind in (jnp.floating, jnp.integer)):
            raise ValueError(
                f"{what} are of type {values.dtype}; convert them to floating-point numbers, or "
                "to integers if they are classes or tokens"
            )
    if n_classes is not None and not 0 <= targets.min() <= targets.max() < n_classes:
        raise ValueError(
            f"integer targets are classes, and those from {targets.min()} to {targets.max()} are "
            f"not among 0 to {n_classes - 1}; number them from 0, or make them floats to regress on"
        )


def _try_call(
    name: str,
    call: Callable[..., Any],
    tensors: tuple[Any, Any],
    hparams: Mapping[str, float],
    example: Dataset,
    mode: str,
) -> Any:
    """Return the shapes that a call gives, with hyperparameters that have no known value."""
    try:
        return jax.eval_shape(call, *tensors, dict(hparams))
    except Exception:
        failure = f"{name} fails on inputs of shape {np.shape(example.inputs)}{mode}"
        _attempt(failure, jax.eval_shape, lambda *t: call(*t, hparams), *tensors)

    def fails(chosen: str) -> bool:
        def one(value: Any) -> Any:
            return call(*tensors_of_zeros, {**hparams, chosen: value})

        tensors_of_zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), tensors)
        try:
            jax.eval_shape(one, hparams[chosen])
        except Exception:
            return True
        return False

    culprits = [chosen for chosen in hparams if fails(chosen)]
    raise ValueError(
        f"{name} looks at the value of {' and '.join(culprits)}, a hyperparameter because its "
        "default is a float, whose value is not known when the call is compiled; compute with "
        "jnp.where, or take it where the network is made"
    )


def _check_outputs(
    name: str, outputs: Any, example: Dataset, n_classes: int | None, mode: str
) -> None:
    """Raise unless outputs are numbers in the shape that the targets want."""
    shape, targets = np.shape(example.inputs), np.shape(example.targets)
    if not hasattr(outputs, "shape"):
        kind = with_article(type(outputs).__name__)
        raise ValueError(f"{name} returns {kind}{mode} where one array of outputs is needed")
    if not _is_float(outputs):
        raise ValueError(
            f"{name} returns outputs of type {outputs.dtype}{mode}, which have no gradient; let it "
            "return floating-point numbers"
        )
    if n_classes is None:
        wanted = targets
        fits = outputs.shape == targets
    else:
        wanted = (*targets, n_classes)
        fits = outputs.shape[:-1] == targets and outputs.shape[-1] >= n_classes
    if not fits:  # a mistake of its own, further on than a call that fails
        what = "targets" if n_classes is None else f"labels of {n_classes} classes"
        raise Misfit(
            f"{name} returns outputs of shape {outputs.shape} for inputs of shape {shape}{mode}, "
            f"which do not fit {what} of shape {targets}; let it return {wanted}"
        )


def _check_loss(loss: Loss, outputs: Any, targets: np.ndarray) -> None:
    """Raise unless a loss makes one real number of outputs and targets."""
    name = f"the loss {getattr(loss, '__name__', type(loss).__name__)}"
    # So many examples that no other axis has their number, and nothing fits by chance.
    n = 1 + max(*outputs.shape, *targets.shape)
    many = [jax.ShapeDtypeStruct((n, *a.shape[1:]), a.dtype) for a in (outputs, targets)]
    failure = f"{name} fails on outputs of shape {outputs.shape} and targets of {targets.shape}"
    value = _attempt(failure, jax.eval_shape, loss, *many)
    if getattr(value, "shape", None) != () or not _is_float(value):
        raise ValueError(f"{name} does not return one real number; let it return a mean")


def _in_float64(tree: Any) -> Any:
    """Return shapes and types as they are in a float64 run."""
    return jax.eval_shape(lambda t: cast_floats(t, "float64"), tree)


def _convolves(model: AbstractAdapter, variables: Any, example: Dataset) -> bool:
    key = jax.random.PRNGKey(0) if model.stochastic else None
    closed = jax.make_jaxpr(lambda p, s: model.apply(p, s, example.inputs, model.defaults, key)[0])(
        _in_float64(variables["params"]), _in_float64(variables["stats"])
    )
    return "conv_general_dilated" in str(closed)


def _spoilt_by_nan(model: AbstractAdapter, variables: Any, example: Dataset, loss: Loss) -> bool:
    """Whether the loss is not-a-number once every parameter is, tried on two examples.

    The loss is a mean over the examples and nothing but parameters varies from run to run, so two
    examples stand for all data, and one trial for all later steps.
    """
    if not model.slaved_stats:
        return False
    shapes = _in_float64(variables)
    ruined = jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan), shapes["params"])
    stats = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes["stats"])

    @jax.jit
    def losses(params: Any, stats: Any) -> list[jax.Array]:
        outputs = [model.predict(params, stats, example.inputs, {})]
        if not model.stochastic:
            outputs.append(model.apply(params, stats, example.inputs, {})[0])
        targets = jnp.asarray(example.targets)
        return [loss(values, targets) for values in outputs]

    return all(bool(jnp.isnan(value)) for value in losses(ruined, stats))


def _groups(groups: Mapping[str, str | tuple[str, ...]] | None, params: Any) -> Groups:
    """Check the declared layer groups against the names of the parameters."""
    paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    checked = []
    owner: dict[str, str] = {}
    for name, beginnings in (groups or {}).items():
        if name == "hidden" or not name.isidentifier():
            raise ValueError(
                f"layer group {name!r} cannot have a learning rate lr_{name}: 'hidden' is what has "
                "none, and other names are words; rename it"
            )
        listed = (beginnings,) if isinstance(beginnings, str) else tuple(beginnings)
        for beginning in listed:
            inside = [p for p in paths if p == beginning or p.startswith(f"{beginning}/")]
            if not inside:
                tops = dict.fromkeys(p.rpartition("/")[0] or p for p in paths)
                raise unknown_name(f"parameters of layer group {name}:", beginning, tops)
            for path in inside:
                if owner.setdefault(path, name) != name:
                    raise ValueError(
                        f"{path} is in the layer groups {owner[path]} and {name}; leave it in one"
                    )
        checked.append((name, listed))
    return tuple(checked)


def _first(data: Dataset) -> Dataset:
    """Return the examples that a network is tried on."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:_PROBE], data)


def _attempt(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call something of the user's and put what goes wrong into one sentence."""
    try:
        return function(*arguments)
    except Exception as error:
        raise ValueError(f"{what}: {in_words(error)}") from error


def _is_float(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def _what_is_wanted(network: Any) -> str:
    if isinstance(network, type) and issubclass(network, linen.Module):
        name = network.__name__
        return f"{name} is a class and not yet a network; make one of it, as in {name}(...)"
    return (
        f"{with_article(type(network).__name__)} is not a network; give a flax module (linen or "
        "nnx) or a pair (params, apply) with outputs = apply(params, inputs)"
    )
