"""Other people's networks as models: flax linen and nnx modules, and plain functions.

An adapter splits what a network carries along into parameters, which the optimizer moves, and
statistics, which the forward pass updates, and calls the network in training or evaluation mode.
Nothing of the network is rewritten: its own initialisers draw the parameters, in their own type.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
from flax import linen, nnx, struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import Hparams
from dynfrac.systems.models import AbstractModel
from dynfrac.systems.nodes import Node
from dynfrac.systems.numerics import DTYPES
from dynfrac.systems.signatures import CallSignature

Groups = tuple[tuple[str, tuple[str, ...]], ...]
"""Layer group -> beginnings of the paths of its parameters, such as ``"Dense_0"``."""


@final
class Traits(Node):
    """What is known of an adapted network; found out once, by `dynfrac.systems.adaptation`.

    Attributes
    ----------
    name : str
        Of the module's class or of the function.
    call : CallSignature
    groups : tuple of (str, tuple of str)

    Notes
    -----
    The others, ``drive``, ``preferred_dtype``, ``nan_propagation``, ``dtypes``, ``stochastic`` and
    ``slaved_stats``, answer the questions of the same names in `AbstractModel`.
    """

    name: str = struct.field(pytree_node=False)
    call: CallSignature = struct.field(pytree_node=False)
    groups: Groups = struct.field(pytree_node=False, default=())
    drive: str = struct.field(pytree_node=False, default="scan")
    preferred_dtype: str = struct.field(pytree_node=False, default="float64")
    nan_propagation: str = struct.field(pytree_node=False, default="unknown")
    dtypes: tuple[str, ...] = struct.field(pytree_node=False, default=(*DTYPES, "bfloat16"))
    stochastic: bool = struct.field(pytree_node=False, default=False)
    slaved_stats: bool = struct.field(pytree_node=False, default=True)


class AbstractAdapter(AbstractModel):
    """What all adapters share: the answers in `traits`, and the questions that they came from."""

    traits: Traits

    @abc.abstractmethod
    def batch_norm_paths(self, variables: Any) -> set[str]:
        """Return the paths of BatchNorm's statistics, which no training call ever reads."""

    @property
    def defaults(self) -> dict[str, float]:
        """The float keyword arguments of the network's call."""
        return dict(self.traits.call.hparams)

    @property
    def nan_propagation(self) -> str:
        """``"all"`` if that was tried and found, else ``"unknown"``."""
        return self.traits.nan_propagation

    @property
    def drive(self) -> str:
        """``"host"`` for networks with convolutions."""
        return self.traits.drive

    @property
    def preferred_dtype(self) -> str:
        """``"float32"`` for networks with convolutions."""
        return self.traits.preferred_dtype

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Types that it can be computed in."""
        return self.traits.dtypes

    @property
    def stochastic(self) -> bool:
        """Whether training draws random numbers."""
        return self.traits.stochastic

    @property
    def slaved_stats(self) -> bool:
        """Whether all statistics are BatchNorm's, or constants."""
        return self.traits.slaved_stats

    @property
    def groups(self) -> tuple[str, ...]:
        """The layer groups that were declared."""
        return tuple(name for name, _ in self.traits.groups)

    def layer_groups(self, params: Any) -> Any:
        """Name the declared group of every parameter."""

        def group_of(path: Any, leaf: Any) -> str:
            where = path_name(path)
            for name, beginnings in self.traits.groups:
                if any(where == b or where.startswith(f"{b}/") for b in beginnings):
                    return name
            return "hidden"

        return jax.tree_util.tree_map_with_path(group_of, params)


@final
class LinenModel(AbstractAdapter):
    """A flax linen module.

    Attributes
    ----------
    traits : Traits
    module : flax.linen.Module
    example : array
        A batch of inputs, of one example: the module's parameters are drawn from its shape.

    Notes
    -----
    The collection ``params`` is trained; every other collection is statistics. Random streams
    (``dropout`` or any other name) are seeded from the step's key.
    """

    module: linen.Module = struct.field(pytree_node=False)
    example: Any

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Draw the variables as ``module.init(key, inputs)`` does."""
        keywords = self.traits.call.keywords(self.defaults, training=True)
        streams = {"params": key, "dropout": jax.random.fold_in(key, 1)}
        variables = self.module.init(streams, jnp.asarray(self.example), **keywords)
        stats = {name: tree for name, tree in variables.items() if name not in _NOT_STATISTICS}
        return {"params": variables.get("params", {}), "stats": stats}

    def apply(
        self,
        params: Any,
        stats: Any,
        inputs: ArrayLike,
        hparams: Hparams,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Any]:
        """Call the module in training mode with all its statistics mutable."""
        keywords = self.traits.call.keywords(hparams, training=True)
        streams = {"params": key, "dropout": jax.random.fold_in(key, 1)} if key is not None else {}
        outputs, updated = self.module.apply(
            {"params": params, **stats},
            jnp.asarray(inputs),
            rngs=streams,
            mutable=list(stats),
            **keywords,
        )
        return outputs, {name: updated[name] for name in stats}

    def predict(self, params: Any, stats: Any, inputs: ArrayLike, hparams: Hparams) -> jax.Array:
        """Call the module in evaluation mode."""
        keywords = self.traits.call.keywords(hparams, training=False)
        variables = {"params": params, **stats}
        return jnp.asarray(self.module.apply(variables, jnp.asarray(inputs), **keywords))

    def batch_norm_paths(self, variables: Any) -> set[str]:
        """Return the paths below the collection of BatchNorm."""
        leaves = jax.tree_util.tree_leaves_with_path(variables["stats"])
        names = {path_name(path) for path, _ in leaves}
        return {name for name in names if name.startswith("batch_stats/")}


_NOT_STATISTICS = ("params", "intermediates", "losses", "perturbations")


class RandomPlace(NamedTuple):
    """One entry of an nnx module's random state.

    Attributes
    ----------
    path : tuple
    shape : tuple of int
        Not empty where layers are stacked.
    is_key : bool
        Whether it holds a key; else a counter.
    """

    path: tuple[Any, ...]
    shape: tuple[int, ...]
    is_key: bool


@final
class NnxModel(AbstractAdapter):
    """A flax nnx module.

    Attributes
    ----------
    traits : Traits
    training, evaluation : nnx.GraphDef
        The module without its variables, switched to either mode.
    random : tuple of RandomPlace
        Where its random state is.
    given : dict or None
        ``{"params": ..., "stats": ...}`` of a module that was handed over complete.
    create : callable or None
        ``create(rngs=...) -> module`` draws it anew; either this or `given`.

    Notes
    -----
    Variables of type ``nnx.Param`` are trained, random state is replaced by streams of the step's
    key, what is sown as ``nnx.Intermediate`` is dropped, and all other variables are statistics.
    """

    training: Any = struct.field(pytree_node=False)
    evaluation: Any = struct.field(pytree_node=False)
    random: tuple[RandomPlace, ...] = struct.field(pytree_node=False)
    given: Any
    create: Callable[..., nnx.Module] | None = struct.field(pytree_node=False)

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Draw the module from ``nnx.Rngs(key)``, or return the variables that it came with."""
        if self.create is None:
            return self.given
        return split_module(self.create(rngs=nnx.Rngs(_typed(key))))[1]

    def apply(
        self,
        params: Any,
        stats: Any,
        inputs: ArrayLike,
        hparams: Hparams,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Any]:
        """Call the module in training mode."""
        module = self._merge(self.training, params, stats, key)
        # The statistics of a batch are float32 at least, and the running ones must take them.
        nnx.update(module, jax.tree.map(_at_least_float32, nnx.state(module, nnx.BatchStat)))
        outputs = module(jnp.asarray(inputs), **self.traits.call.keywords(hparams, training=True))
        return outputs, split_module(module)[1]["stats"]

    def predict(self, params: Any, stats: Any, inputs: ArrayLike, hparams: Hparams) -> jax.Array:
        """Call the module in evaluation mode."""
        module = self._merge(self.evaluation, params, stats, None)
        keywords = self.traits.call.keywords(hparams, training=False)
        return jnp.asarray(module(jnp.asarray(inputs), **keywords))

    def batch_norm_paths(self, variables: Any) -> set[str]:
        """Return the paths of variables of BatchNorm's type."""

        def found(params: Any, stats: Any) -> Any:
            module = self._merge(self.training, params, stats, None)
            return nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

        shapes = jax.eval_shape(found, variables["params"], variables["stats"])
        return {path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(shapes)}

    def _merge(self, graph: Any, params: Any, stats: Any, key: jax.Array | None) -> Any:
        """Put the module together, with fresh random streams in place of its own."""
        source = _typed(jax.random.PRNGKey(0) if key is None else key)
        streams: dict[Any, Any] = {}
        for i, place in enumerate(self.random):
            node = streams
            for part in place.path[:-1]:
                node = node.setdefault(part, {})
            own = jax.random.fold_in(source, i)
            fresh = jax.random.split(own, place.shape) if place.shape else own
            node[place.path[-1]] = fresh if place.is_key else jnp.zeros(place.shape, jnp.uint32)
        states = (nnx.State(tree) for tree in (params, streams, stats))
        # A copy: a module refuses to change variables that were made outside the present trace.
        return nnx.merge(graph, *states, copy=True)


def split_module(module: nnx.Module) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return the graph of an nnx module, its ``{"params", "stats"}``, and its random state."""
    graph, *states = nnx.split(module, nnx.Param, nnx.RngState, nnx.Intermediate, ...)
    params, random, _, stats = (nnx.to_pure_dict(state) for state in states)
    return graph, {"params": params, "stats": stats}, random


def _at_least_float32(leaf: jax.Array) -> jax.Array:
    """Return an array in its type or in float32, whichever is wider."""
    return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))


def _typed(key: jax.Array) -> jax.Array:
    """Return a key in the new style, which nnx insists on."""
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    return jax.random.wrap_key_data(key)


@final
class FunctionModel(AbstractAdapter):
    """A plain function of parameters and inputs.

    Attributes
    ----------
    traits : Traits
    function : callable
        ``function(params, inputs, ...) -> outputs``.
    given : pytree or None
        Initial parameters.
    create : callable or None
        ``create(key) -> params``; either this or `given`.
    """

    function: Callable[..., Any] = struct.field(pytree_node=False)
    given: Any
    create: Callable[[jax.Array], Any] | None = struct.field(pytree_node=False)

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Draw the parameters, or return those that came with the function."""
        return {"params": self.given if self.create is None else self.create(key), "stats": {}}

    def apply(
        self,
        params: Any,
        stats: Any,
        inputs: ArrayLike,
        hparams: Hparams,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Any]:
        """Call the function in training mode."""
        call = self.traits.call
        keywords = call.keywords(hparams, training=True)
        if call.key is not None:
            keywords[call.key] = key
        return self.function(params, jnp.asarray(inputs), **keywords), stats

    def predict(self, params: Any, stats: Any, inputs: ArrayLike, hparams: Hparams) -> jax.Array:
        """Call the function in evaluation mode, with None for a key."""
        call = self.traits.call
        keywords = call.keywords(hparams, training=False)
        if call.key is not None:
            keywords[call.key] = None
        return jnp.asarray(self.function(params, jnp.asarray(inputs), **keywords))

    def batch_norm_paths(self, variables: Any) -> set[str]:
        """Return nothing: a function has no variables besides its parameters."""
        return set()


def path_name(path: Any) -> str:
    """Write the path of a leaf as ``Dense_0/kernel``."""
    parts = []
    for entry in path:
        for attribute in ("key", "name", "idx"):
            if hasattr(entry, attribute):
                parts.append(str(getattr(entry, attribute)))
                break
    return "/".join(parts)
