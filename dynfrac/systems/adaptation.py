"""From a network as people write it to a model: recognise it, try it on the data, adapt it.

Everything that can be wrong with a network is found out on the host and before any training, here
or in `dynfrac.systems.trials`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from jax.interpreters.partial_eval import dce_jaxpr

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
from dynfrac.systems.importing import with_article
from dynfrac.systems.losses import Loss
from dynfrac.systems.models import AbstractModel
from dynfrac.systems.numerics import cast_floats
from dynfrac.systems.signatures import parameters_of, read_signature
from dynfrac.systems.trials import Misfit as Misfit
from dynfrac.systems.trials import (
    attempt,
    cast_shapes,
    check_examples,
    check_fit,
    first_examples,
    is_real_float,
)


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
    check_examples(data, n_classes)
    try:
        return _adapt(network, data, "float64", n_classes, loss, groups)
    except Misfit:
        raise
    except ValueError as refusal:
        try:
            # The carry of a recurrent layer is float32 unless its author says otherwise.
            with np.errstate(over="ignore"):
                made = _adapt(network, data, "float32", n_classes, loss, groups)
        except ValueError:
            raise refusal from None
    return made.replace(traits=made.traits.replace(preferred_dtype="float32", dtypes=("float32",)))


def _adapt(
    network: Any,
    data: Dataset,
    real: str,
    n_classes: int | None,
    loss: Loss,
    groups: Mapping[str, str | tuple[str, ...]] | None,
) -> AbstractAdapter:
    """Adapt a network as it is in a run of one type."""
    example = cast_floats(first_examples(data), real)
    made = _wrap(network, example)
    variables = _variables(made, example)
    made = made.replace(traits=made.traits.replace(groups=_groups(groups, variables["params"])))
    # It is taken to draw random numbers until it is known better, so that it is given a key.
    made = made.replace(traits=made.traits.replace(stochastic=True))
    check_fit(made, made.traits.name, data, n_classes, loss, real)
    trace = _trace(made, variables, example, real)
    traits = made.traits.replace(stochastic=trace.uses_key, slaved_stats=not trace.remembers)
    if trace.convolves:
        traits = traits.replace(drive="host", preferred_dtype="float32")
    made = made.replace(traits=traits)
    if not traits.call.hparams and not trace.has_others:
        if _spoilt_by_nan(made, variables, example, loss, real):
            made = made.replace(traits=traits.replace(nan_propagation="all"))
    return made


class _Trace(NamedTuple):
    """What a training call does, read off its trace.

    Attributes
    ----------
    uses_key : bool
        Whether outputs or statistics depend on the random key.
    has_others : bool
        Whether there are statistics that are not BatchNorm's.
    remembers : bool
        Whether one of those is changed by a call, so that the next one may read something new.
    convolves : bool
    """

    uses_key: bool
    has_others: bool
    remembers: bool
    convolves: bool


def _trace(model: AbstractAdapter, variables: Any, example: Dataset, real: str) -> _Trace:
    def call(params: Any, stats: Any, key: Any) -> Any:
        return model.apply(params, stats, example.inputs, model.defaults, key)

    tensors = cast_shapes(variables["params"], real), cast_shapes(variables["stats"], real)
    closed = jax.make_jaxpr(call)(*tensors, jax.random.PRNGKey(0))
    jaxpr = closed.jaxpr
    _, used = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    n_stats = len(jax.tree.leaves(tensors[1]))
    before, after = jaxpr.invars[-1 - n_stats : -1], jaxpr.outvars[len(jaxpr.outvars) - n_stats :]
    paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tensors[1])]
    known = model.batch_norm_paths(variables)
    others = [i for i, path in enumerate(paths) if path not in known]
    return _Trace(
        uses_key=used[-1],
        has_others=bool(others),
        remembers=any(before[i] is not after[i] for i in others),
        convolves="conv_general_dilated" in str(closed),
    )


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
            # A tree of arrays may be callable, too, as the modules of some libraries are.
            draws = callable(first) and not any(map(_is_array, jax.tree.leaves(first)))
            create, given = (first, None) if draws else (None, first)
            function = second
        elif callable(first):
            create, given, function = None, second, first
        else:
            raise ValueError(_what_is_wanted(network))
        _check_arrays(given)
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
        network = attempt(name, nnx.eval_shape, lambda: create(rngs=nnx.Rngs(0)))
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
    variables = attempt(
        model.traits.name, lambda: jax.eval_shape(model.init, jax.random.PRNGKey(0))
    )
    leaves = jax.tree_util.tree_leaves_with_path(variables["params"])
    if not any(is_real_float(leaf) for _, leaf in leaves):
        raise ValueError(
            f"{model.traits.name} has no floating-point parameters, so there is nothing to train"
        )
    for path, leaf in leaves:
        if not is_real_float(leaf):
            raise ValueError(
                f"{model.traits.name} has {path_name(path)} of type {leaf.dtype} among its "
                "parameters; leave only real floating-point numbers there, which can be trained"
            )
    return variables


def _spoilt_by_nan(
    model: AbstractAdapter, variables: Any, example: Dataset, loss: Loss, real: str
) -> bool:
    """Whether the loss is not-a-number once every parameter is, tried on two examples.

    The loss is a mean over the examples and nothing but parameters varies from run to run, so two
    examples stand for all data, and one trial for all later steps.
    """
    shapes = cast_shapes(variables, real)
    ruined = jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shapes["params"])
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


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and hasattr(leaf, "shape")


def _check_arrays(params: Any) -> None:
    """Refuse parameters that are no numbers, before NumPy makes objects of them."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        number = isinstance(leaf, bool | int | float) or (
            _is_array(leaf) and not jnp.issubdtype(leaf.dtype, jax.dtypes.extended)
        )
        if not number:
            where = path_name(path) or "the whole"
            raise ValueError(
                f"the parameters hold {with_article(type(leaf).__name__)} ({where}), which cannot "
                "be trained; leave only arrays of floating-point numbers"
            )


def _what_is_wanted(network: Any) -> str:
    if isinstance(network, type) and issubclass(network, linen.Module):
        name = network.__name__
        return f"{name} is a class and not yet a network; make one of it, as in {name}(...)"
    return (
        f"{with_article(type(network).__name__)} is not a network; give a flax module (linen or "
        "nnx) or a pair (params, apply) with outputs = apply(params, inputs)"
    )
