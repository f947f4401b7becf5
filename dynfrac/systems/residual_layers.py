"""The layers of a residual network, in either of the two forms that its convolutions have."""

from __future__ import annotations

from typing import final

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import ArrayLike

from dynfrac.systems.convolutions import Convolution


@final
class ResidualLayers(nn.Module):
    """The forward pass of `dynfrac.systems.resnets.ResNet`.

    With `products`, arrays are (channels, height, width, images) and convolutions matrix products,
    else (images, height, width, channels) and XLA's own; the parameters are the same.
    """

    n_blocks: int
    channels: tuple[int, ...]
    batch_norm: bool
    n_classes: int
    shortcut: str
    head_bias: bool
    running: bool
    products: bool

    @nn.compact
    def __call__(self, images: jax.Array, skip: ArrayLike) -> jax.Array:
        """Return logits (N, n_classes) for images (N, height, width, channels)."""
        x = jnp.transpose(images, (3, 1, 2, 0)) if self.products else images
        x = nn.relu(self._convolve(x, self.channels[0], 1, "stem"))
        for stage, channels in enumerate(self.channels, 1):
            for block in range(1, self.n_blocks + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                name = f"stage{stage}_block{block}"
                y = nn.relu(self._convolve(x, channels, stride, f"{name}_conv1"))
                y = self._convolve(y, channels, 1, f"{name}_conv2")
                if stride > 1 and self.shortcut == "projection":
                    past = self._convolve(x, channels, stride, f"{name}_shortcut", side=1)
                else:
                    past = _shortcut(x, channels, stride, self._axis)
                x = nn.relu(y + skip * past)
        head = nn.Dense(self.n_classes, use_bias=self.head_bias, name="head")
        means = jnp.mean(x, axis=(1, 2))
        return head(means.T if self.products else means)

    @property
    def _axis(self) -> int:
        """That of the channels."""
        return 0 if self.products else 3

    def _convolve(
        self, x: jax.Array, channels: int, stride: int, name: str, side: int = 3
    ) -> jax.Array:
        """Apply a convolution of side 3 or 1, then BatchNorm or a bias."""
        if self.products:
            convolution = Convolution(channels, side, stride, not self.batch_norm, name=name)
        else:
            convolution = nn.Conv(
                channels,
                (side, side),
                strides=stride,
                padding=side // 2,
                use_bias=not self.batch_norm,
                name=name,
            )
        x = convolution(x)
        if not self.batch_norm:
            return x
        # The variance as a mean of squared deviations: the one-pass formula cancels in float32.
        normalise = nn.BatchNorm(
            self.running, axis=self._axis, use_fast_variance=False, name=f"{name}_norm"
        )
        return normalise(x)


def _shortcut(x: jax.Array, channels: int, stride: int, axis: int) -> jax.Array:
    """Every `stride`-th pixel, with channels of zeros added at the end of their axis."""
    margins = [(0, 0)] * 4
    margins[axis] = (0, channels - x.shape[axis])
    return jnp.pad(x[:, ::stride, ::stride], margins)  # height and width in either layout
