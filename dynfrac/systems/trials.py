"""Networks tried on the data before anything is trained, without computing anything.

Whatever a user's network, loss or data can get wrong ends here in a `ValueError` of one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import ModifyScopeVariableError

from dynfrac.systems.batches import Dataset
from dynfrac.systems.importing import LOOKED_AT_A_VALUE, in_words, with_article
from dynfrac.systems.losses import Loss
from dynfrac.systems.models import AbstractModel
from dynfrac.systems.numerics import cast_floats


class Misfit(ValueError):
    """Outputs that have another shape than the targets want."""


_PROBE = 2
"""Examples that a network is tried on."""


def check_fit(
    model: AbstractModel,
    name: str,
    data: Dataset,
    n_classes: int | None,
    loss: Loss | None = None,
    real: str = "float64",
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
    real : str, default "float64"
        Type of inputs, parameters and statistics in the trial.

    Raises
    ------
    ValueError
        With the shapes, or with what the model or the loss raised.
    """
    check_examples(data, n_classes)
    example = cast_floats(first_examples(data), real)
    key = jax.random.PRNGKey(0) if model.stochastic else None
    variables = jax.eval_shape(model.init, jax.random.PRNGKey(0))
    tensors = cast_shapes(variables["params"], real), cast_shapes(variables["stats"], real)

    def train(params: Any, stats: Any, hparams: Any) -> Any:
        return model.apply(params, stats, example.inputs, hparams, key)

    def predict(params: Any, stats: Any, hparams: Any) -> Any:
        return model.predict(params, stats, example.inputs, hparams)

    outputs, after = _try_call(name, train, tensors, model.defaults, example, "")
    _check_outputs(name, outputs, example, n_classes, "")
    traits = getattr(model, "traits", None)
    keyless = f", where its {traits.call.key} is None" if traits and traits.call.key else ""
    mode = f" in evaluation mode{keyless}"
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


def check_examples(data: Dataset, n_classes: int | None) -> None:
    """Refuse data that are not examples with one target each, classes or numbers."""
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
        attempt(failure, jax.eval_shape, lambda *t: call(*t, hparams), *tensors)

    def fails(chosen: str) -> bool:
        def one(params: Any, stats: Any, value: Any) -> Any:
            return call(params, stats, {**hparams, chosen: value})

        try:
            jax.eval_shape(one, *tensors, hparams[chosen])
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
    if not is_real_float(outputs):
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
    value = attempt(failure, jax.eval_shape, loss, *many)
    if getattr(value, "shape", None) != () or not is_real_float(value):
        raise ValueError(f"{name} does not return one real number; let it return a mean")


def first_examples(data: Dataset) -> Dataset:
    """Return the examples that a network is tried on."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:_PROBE], data)


def cast_shapes(tree: Any, real: str) -> Any:
    """Return shapes and types as they are in a run of a given type."""
    return jax.eval_shape(lambda t: cast_floats(t, real), tree)


def is_real_float(leaf: Any) -> bool:
    """Whether an array, or what stands for one, is of a real floating-point type."""
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def attempt(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call something of the user's and put what goes wrong into one sentence."""
    try:
        return function(*arguments)
    except LOOKED_AT_A_VALUE as error:
        raise ValueError(
            f"{what}: it looks at a value that is not known when the call is compiled; compute "
            "with jnp.where or jax.lax.cond in place of if"
        ) from error
    except ModifyScopeVariableError as error:
        raise ValueError(
            f"{what}: it updates its statistics, as BatchNorm does in training; give the call an "
            "argument train and pass use_running_average=not train"
        ) from error
    except Exception as error:
        raise ValueError(f"{what}: {in_words(error)}") from error
