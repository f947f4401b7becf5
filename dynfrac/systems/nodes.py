"""Frozen dataclasses that are pytrees, and that jax tells apart by their class.

Of classes registered by `jax.tree_util.register_dataclass`, and so of those of `flax.struct`, jax
0.10 compares fields and not the class: two maps without fields have equal tree structures, and a
compiled function may run the program of one on the other (about one in a hundred pairs does).
Trees registered with functions of their own are compared by class, too.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from typing import Any, Self

import jax
from flax import struct


@typing.dataclass_transform(field_specifiers=(struct.field,), frozen_default=True)
class Node:
    """Base of frozen dataclasses that are pytrees.

    Notes
    -----
    Fields are children, but for those declared by ``flax.struct.field(pytree_node=False)``, which
    are static: part of the tree's structure, compared by ``==`` and hashable.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Make a dataclass of the subclass and register it."""
        super().__init_subclass__(**keywords)
        dataclasses.dataclass(frozen=True)(cls)
        children, static = [], []
        for field in dataclasses.fields(typing.cast(Any, cls)):
            (children if field.metadata.get("pytree_node", True) else static).append(field.name)
        keys = [jax.tree_util.GetAttrKey(name) for name in children]

        def flatten(node: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            return tuple(getattr(node, n) for n in children), tuple(
                getattr(node, n) for n in static
            )

        def flatten_with_keys(node: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            values, rest = flatten(node)
            return tuple(zip(keys, values, strict=True)), rest

        def unflatten(rest: tuple[Any, ...], values: Iterable[Any]) -> Any:
            return cls(
                **dict(zip(children, values, strict=True)), **dict(zip(static, rest, strict=True))
            )

        jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)

    def replace(self, **updates: Any) -> Self:
        """Return a copy with some fields replaced."""
        return dataclasses.replace(typing.cast(Any, self), **updates)
