"""Small convolutions as matrix products, for a CPU.

XLA's convolution on a CPU is made for large images with many channels. It is slow on a few
channels, slower if every run of a batch has weights of its own, and slowest inside a compiled loop.
A matrix product has none of these faults. Here images are the *last* axis, (channels, height,
width, images): every shift of the picture is then a slice whose innermost axis stays whole, and
the product has its long side where the processor's vectors are.
"""

from __future__ import annotations

from typing import final

import jax
import jax.numpy as jnp
from flax import linen as nn


def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Convolve images with a small square kernel, in one matrix product.

    Parameters
    ----------
    x : (channels, height, width, n) array
    kernel : (side, side, channels, features) array
        Of odd side, laid out as flax does.
    stride : int, default 1

    Returns
    -------
    (features, rows, columns, n) array
        With a margin of side // 2 zeros, so that stride 1 keeps height and width. Like flax, it
        does not turn the kernel around.

    Notes
    -----
    The shifted pictures are copied side by side (im2col), which takes side**2 times the memory of
    `x`. Sums over channels and places run in another order than in XLA's convolution.
    """
    side, _, channels, features = kernel.shape
    margin = side // 2
    height, width, n = x.shape[1:]
    rows, columns = -(-height // stride), -(-width // stride)
    framed = jnp.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    shifted = [
        jax.lax.slice(
            framed,
            (0, i, j, 0),
            (channels, i + (rows - 1) * stride + 1, j + (columns - 1) * stride + 1, n),
            (1, stride, stride, 1),
        )
        for i in range(side)
        for j in range(side)
    ]
    patches = jnp.concatenate(shifted).reshape(side * side * channels, -1)
    product = jax.lax.dot_general(kernel.reshape(-1, features), patches, (((0,), (0,)), ((), ())))
    return product.reshape(features, rows, columns, n)


@final
class Convolution(nn.Module):
    """A layer with the parameters of flax's `Conv` that computes them by `convolve`.

    Attributes
    ----------
    features : int
    side : int
        That of the kernel, odd.
    stride : int
    use_bias : bool
    """

    features: int
    side: int = 3
    stride: int = 1
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return (features, rows, columns, n) for (channels, height, width, n)."""
        shape = (self.side, self.side, x.shape[0], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, x.dtype)
        y = convolve(x, kernel, self.stride)
        if not self.use_bias:
            return y
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), x.dtype)
        return y + bias[:, None, None, None]
