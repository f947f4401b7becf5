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
    dtype : {"float64", "float32", "bfloat16"}, optional
        bfloat16 is for maps that list it in their optional attribute `dtypes`: training maps.

    Raises
    ------
    ValueError
        If the map does not support `dtype`.
    """
    name = dtype if dtype is not None else getattr(map_, "preferred_dtype", "float64")
    known = getattr(map_, "dtypes", DTYPES)
    if name not in known:
        raise ValueError(
            f"dtype={name!r} is not supported by {type(map_).__name__}; choose one of "
            f"{', '.join(known)}"
        )
    return np.dtype(jnp.dtype(name))


def hparam_dtype(real: np.dtype) -> np.dtype:
    """Return the type of hyperparameters: that of the state, but never shorter than float32.

    Eight bits of a bfloat16 learning rate would tell only 128 values an octave apart.
    """
    return np.dtype(jnp.promote_types(real, jnp.float32))


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
    real = np.dtype(jnp.dtype(dtype))
    complex_ = np.dtype(np.complex128 if real.itemsize == 8 else np.complex64)

    def cast(leaf: Any) -> Any:
        kind = jnp.result_type(leaf)
        if jnp.issubdtype(kind, jnp.complexfloating):
            return jnp.asarray(leaf, complex_)
        return jnp.asarray(leaf, real) if jnp.issubdtype(kind, jnp.inexact) else leaf

    return jax.tree.map(cast, tree)
