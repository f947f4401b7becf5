"""A hash of everything a map is made of, the same in every process.

It guards a store against a factory that has kept its name and arguments but builds something else.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import numbers
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def fingerprint(obj: Any) -> str:
    """Return a hash of everything a map is made of: arrays, static fields, functions' names.

    It guards against resuming a sweep whose factory still has the same name and arguments but
    builds something else. The code of functions is not part of it, only where they are defined.

    Parameters
    ----------
    obj : AbstractMap or any part of one
        Dataclasses, containers, arrays, functions and plain values.

    Returns
    -------
    str
        Hexadecimal SHA-256, the same in every process.
    """
    digest = hashlib.sha256()
    _feed(digest, obj)
    return digest.hexdigest()


def _feed(digest: Any, obj: Any) -> None:
    """Add one object to the digest: a tag that says what it is, then its parts."""

    def tag(*words: Any) -> None:
        digest.update("\0".join([*map(str, words), ""]).encode())

    if isinstance(obj, jax.Array) and jnp.issubdtype(obj.dtype, jax.dtypes.prng_key):
        obj = jax.random.key_data(obj)
    if isinstance(obj, np.ndarray | np.generic | jax.Array):
        array = np.ascontiguousarray(obj)
        tag("array", array.dtype, array.shape)
        digest.update(array.tobytes())
    elif dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        tag("fields", type(obj).__module__, type(obj).__qualname__)
        for field in dataclasses.fields(obj):
            # flax.linen modules link to their parent, which links back.
            if field.name not in ("parent", "name"):
                tag(field.name)
                _feed(digest, getattr(obj, field.name))
    elif isinstance(obj, Mapping):
        tag("mapping", len(obj))
        for key in sorted(obj, key=str):
            tag(key)
            _feed(digest, obj[key])
    elif isinstance(obj, list | tuple):
        tag("sequence", type(obj).__name__, len(obj))
        for item in obj:
            _feed(digest, item)
    elif isinstance(obj, functools.partial):
        tag("partial")
        _feed(digest, (obj.func, obj.args, obj.keywords))
    elif obj is None or isinstance(obj, str | bytes | numbers.Number):
        tag(type(obj).__name__, repr(obj))
    elif not jax.tree_util.all_leaves([obj]):
        # A tree of another library's making: its kind and what it holds.
        tag("tree", type(obj).__module__, type(obj).__qualname__)
        _feed(digest, jax.tree.leaves(obj))
    else:
        # A function, a class, or an object whose inside is its own business.
        named = obj if hasattr(obj, "__qualname__") else type(obj)
        tag("named", getattr(named, "__module__", ""), named.__qualname__)
