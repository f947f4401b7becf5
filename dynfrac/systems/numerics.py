"""The one place that decides how numbers are represented while dynfrac computes.

dynfrac sets no global jax configuration. Every public entry point enters
`precision` instead, which

* enables 64-bit types for as long as the block lasts, so that float64 is what it says even
  when the caller's jax runs in its 32-bit default, and
* pins the key implementation (`jax_threefry_partitionable`), so that random numbers do not
  change with the caller's settings.

Computing in another type is a matter of casting, not of configuration: random numbers are always
drawn in float64 and cast afterwards, because one key gives *different* numbers in float32 and
float64.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

DTYPES = ("float64", "float32")


@contextlib.contextmanager
def precision() -> Iterator[None]:
    """Enter dynfrac's numerical setting: 64-bit types, partitionable keys, exact products.

    `jax_default_matmul_precision` is raised to its highest level because accelerators otherwise
    shorten the factors of float32 products (TF32), which moves a trainability boundary.
    """
    with (
        jax.enable_x64(True),
        jax.threefry_partitionable(True),
        jax.default_matmul_precision("highest"),
    ):
        yield


def choose_dtype(map_: Any, dtype: str | None = None) -> np.dtype:
    """Return the type to compute a map in.

    Parameters
    ----------
    map_ : AbstractMap
        Its optional attribute `preferred_dtype` is used when `dtype` is None; float64 without one.
    dtype : {"float64", "float32"}, optional

    Raises
    ------
    ValueError
        If `dtype` is not one of `DTYPES`.
    """
    name = dtype if dtype is not None else getattr(map_, "preferred_dtype", "float64")
    if name not in DTYPES:
        raise ValueError(f"dtype={name!r} is not supported; choose one of {', '.join(DTYPES)}")
    return np.dtype(name)


def is_inexact(leaf: Any) -> bool:
    """Whether a pytree leaf is a floating-point (or complex) array or scalar."""
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def cast_floats(tree: Any, dtype: np.dtype | str) -> Any:
    """Cast the real floating-point leaves of a pytree and leave counters and keys alone.

    Parameters
    ----------
    tree : pytree of arrays or scalars
    dtype : numpy dtype
        Target of every real leaf. Complex leaves take the complex type of the same width.

    Returns
    -------
    pytree
        Of the same structure.
    """
    real = np.dtype(dtype)
    complex_ = np.result_type(real, np.complex64)

    def cast(leaf: Any) -> Any:
        kind = jnp.result_type(leaf)
        if jnp.issubdtype(kind, jnp.complexfloating):
            return jnp.asarray(leaf, complex_)
        return jnp.asarray(leaf, real) if jnp.issubdtype(kind, jnp.inexact) else leaf

    return jax.tree.map(cast, tree)
