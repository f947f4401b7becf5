"""Networks that come with the package, written as anyone would write them in flax.

They become maps in the same way as a user's own (`dynfrac.systems.recipes`), and are models of what
such a network looks like. Residual networks and the published perceptron have modules of their own.
"""

from __future__ import annotations

import jax
from flax import linen as nn


class Perceptron(nn.Module):
    """A multilayer perceptron with rectifiers and without biases, on flattened inputs.

    With one hidden layer of 300 units it is the classical network of LeCun et al. (1998) for
    MNIST, as the comparison of shallow and residual networks used it.

    References
    ----------
    `lecun1998` and `he2015` in docs/references.bib: the sizes, and the initialisation.
    """

    widths: tuple[int, ...]
    n_outputs: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Return (N, n_outputs) logits."""
        x = inputs.reshape(len(inputs), -1)
        he = nn.initializers.he_normal()
        for i, width in enumerate(self.widths):
            name = "first" if i == 0 else f"hidden_{i}"
            x = nn.relu(nn.Dense(width, use_bias=False, kernel_init=he, name=name)(x))
        return nn.Dense(self.n_outputs, use_bias=False, name="head")(x)


class LinearNetwork(nn.Module):
    """A product of matrices: linear in its inputs, not in its parameters.

    The gradient flow of such networks is solved exactly in Saxe et al. (2014); descent with finite
    steps is the simplest training with a boundary that is not a straight line.
    """

    depth: int
    width: int
    n_outputs: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Return (N, n_outputs)."""
        x = inputs.reshape(len(inputs), -1)
        for i in range(self.depth - 1):
            x = nn.Dense(self.width, use_bias=False, name="first" if i == 0 else f"hidden_{i}")(x)
        name = "head" if self.depth > 1 else "first"
        return nn.Dense(self.n_outputs, use_bias=False, name=name)(x)


class ConvNet(nn.Module):
    """Two 3 x 3 convolutions of stride 2 with rectifiers, and a dense head on all positions."""

    channels: tuple[int, int]
    n_outputs: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Return (N, n_outputs) logits for images (N, height, width, channels)."""
        x = nn.relu(nn.Conv(self.channels[0], (3, 3), strides=2, name="first")(images))
        x = nn.relu(nn.Conv(self.channels[1], (3, 3), strides=2, name="second")(x))
        return nn.Dense(self.n_outputs, name="head")(x.reshape(len(x), -1))


class Transformer(nn.Module):
    """A causal transformer that predicts the next token at every position.

    Token and position embeddings, blocks of multi-head attention and a two-layer perceptron, each
    behind a LayerNorm and inside a residual connection whose strength is the hyperparameter `skip`.

    References
    ----------
    `vaswani2017` in docs/references.bib; LayerNorm stands before each part, as is usual today.
    """

    vocabulary: int
    width: int
    n_heads: int
    n_blocks: int

    @nn.compact
    def __call__(self, tokens: jax.Array, skip: float = 1.0) -> jax.Array:
        """Return logits (N, length, vocabulary) for integer tokens (N, length)."""
        length = tokens.shape[1]
        positions = self.param("positions", nn.initializers.normal(0.02), (length, self.width))
        x = nn.Embed(self.vocabulary, self.width, name="embedding")(tokens)
        x = x + positions.astype(x.dtype)[None]
        mask = nn.make_causal_mask(tokens)
        for i in range(self.n_blocks):
            y = nn.LayerNorm(name=f"block{i}_norm1")(x)
            attention = nn.MultiHeadDotProductAttention(self.n_heads, name=f"block{i}_attention")
            x = skip * x + attention(y, mask=mask)
            y = nn.LayerNorm(name=f"block{i}_norm2")(x)
            y = nn.gelu(nn.Dense(4 * self.width, name=f"block{i}_dense1")(y))
            x = skip * x + nn.Dense(self.width, name=f"block{i}_dense2")(y)
        return nn.Dense(self.vocabulary, name="head")(nn.LayerNorm(name="norm")(x))
