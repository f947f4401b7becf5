"""Convolutional networks with a dial on their skip connections.

One family holds the residual networks of He et al. for small images and their plain twins: the
identity shortcut is multiplied by the hyperparameter `skip`, so 1 is the residual network, 0 the
plain one, and both have the same parameters, drawn from the same key.
"""

from __future__ import annotations

import math
from typing import Any, final

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from dynfrac.systems.abstract import Hparams, unknown_name
from dynfrac.systems.models import AbstractModel
from dynfrac.systems.residual_layers import ResidualLayers

STAGES = (16, 32, 64)
"""Channels of the three stages at width 1."""

SHORTCUTS = ("padding", "projection")

_MOST_ENTRIES = 2**21
"""Of the arrays of patches in one step, up to which a loop of matrix products is the faster."""

SMALLEST_IMAGE = 5
"""Side below which a kernel of the last stage has entries that never read a pixel."""


@final
class ResNet(AbstractModel):
    r"""A residual network of 6n + 2 layers for small images.

    A 3 x 3 convolution, three stages of n blocks with 16, 32 and 64 channels at width 1, the mean
    over all positions and a dense head. A block computes

    .. math:: y = \max(0,\; F(x) + s \cdot \text{shortcut}(x))

    with F two 3 x 3 convolutions, each followed by BatchNorm if there is one, a rectifier between
    them, and s the hyperparameter `skip`. The first block of the second and of the third stage
    halves the image; its shortcut takes every other pixel and adds channels of zeros, so that no
    shortcut has parameters. With `shortcut` ``"projection"`` it is a 1 x 1 convolution instead.

    Attributes
    ----------
    n_blocks : int
        Blocks per stage, n.
    channels : tuple of int
        Channels of the three stages.
    batch_norm : bool
        Whether BatchNorm follows every convolution. Without it convolutions have a bias instead.
    n_classes : int
        Number of outputs.
    shortcut : {"padding", "projection"}
        What the shortcut is where a stage begins. Projections have parameters (and BatchNorm, if
        there is one), which a plain twin with `skip` = 0 has too and never uses.
    head_bias : bool
        Whether the dense head has a bias.
    in_channels : int
        Channels of the images.
    looped : bool or None
        Whether a CPU steps it inside a compiled loop, all lanes of a batch at once, with
        convolutions as matrix products, rather than one step and one lane at a time with XLA's
        convolutions. Small networks on small images are several times faster so, large ones
        slower; None, which counts as False, leaves it to `for_batches`. Sums run in another order,
        and how runs are rounded then depends on the number of lanes, as it does for perceptrons.
        Other devices ignore it.

    Notes
    -----
    BatchNorm normalises by the statistics of the batch at hand, in training and in the recorded
    loss. The running statistics (momentum 0.99) are carried along for test loss and accuracy
    (`predict`); training never reads them.

    Convolutions start from normal numbers of variance 2 / fan-in (He et al. 2015), scale and bias
    from 1 and 0, the head from variance 1 / fan-in. Without BatchNorm that keeps the variance of a
    plain network's activations from layer to layer, whereas every block with a shortcut adds to
    it: a residual network without BatchNorm begins with large outputs and needs a smaller learning
    rate. Nothing is rescaled to hide that, because a factor that suits one twin ruins the other.

    Rectifiers make the map piecewise smooth. Without BatchNorm the biases start at zero, so that
    the black margin of a digit sits exactly on the kink; automatic differentiation takes slope
    zero there.

    References
    ----------
    `he2016` and `he2015` in docs/references.bib: the networks of the CIFAR-10 section with
    parameter-free shortcuts, and the initialisation.
    """

    n_blocks: int = struct.field(pytree_node=False)
    channels: tuple[int, ...] = struct.field(pytree_node=False, default=STAGES)
    batch_norm: bool = struct.field(pytree_node=False, default=True)
    n_classes: int = struct.field(pytree_node=False, default=10)
    shortcut: str = struct.field(pytree_node=False, default="padding")
    head_bias: bool = struct.field(pytree_node=False, default=True)
    in_channels: int = struct.field(pytree_node=False, default=1)
    looped: bool | None = struct.field(pytree_node=False, default=None)

    @classmethod
    def create(
        cls,
        depth: int,
        *,
        width: float = 1.0,
        batch_norm: bool = True,
        n_classes: int = 10,
        shortcut: str = "padding",
        head_bias: bool = True,
        in_channels: int = 1,
        looped: bool | None = None,
    ) -> ResNet:
        """Build the network after checking its arguments.

        Parameters
        ----------
        depth : int
            Number of layers with weights, 6n + 2: 8, 14, 20, 26, 32, ...
        width : float, default 1.0
            Factor on the numbers of channels, which are rounded to whole ones.
        batch_norm : bool, default True
        n_classes : int, default 10
        shortcut : {"padding", "projection"}
        head_bias : bool, default True
        in_channels : int, default 1
        looped : bool, optional

        Raises
        ------
        ValueError
            If the depth is not of the form 6n + 2 with n >= 1 (the message names the nearest that
            is), the width leaves a stage without channels, `n_classes` is not positive, or there
            is no such shortcut.
        """
        if shortcut not in SHORTCUTS:
            raise unknown_name("shortcut", shortcut, SHORTCUTS)
        if depth != nearest_depth(depth):
            raise ValueError(
                f"depth={depth} is not of the form 6n + 2 with n >= 1; the nearest is "
                f"{nearest_depth(depth)}"
            )
        channels = tuple(round(stage * width) for stage in STAGES)
        if channels[0] < 1:
            raise ValueError(
                f"width={width} leaves the first stage without channels; pass at least "
                f"{1 / STAGES[0]}"
            )
        if n_classes < 1:
            raise ValueError(f"n_classes={n_classes} must be at least 1")
        n_blocks = (depth - 2) // 6
        return cls(
            n_blocks, channels, batch_norm, n_classes, shortcut, head_bias, in_channels, looped
        )

    @property
    def defaults(self) -> dict[str, float]:
        """`skip` = 1: the residual network."""
        return {"skip": 1.0}

    @property
    def nan_propagation(self) -> str:
        """``"any"`` for images of 5 x 5 or more, the only ones that `apply` takes.

        Every kernel entry then reads a pixel, zero times not-a-number is not-a-number, the
        rectifier (a maximum) and BatchNorm pass it on, and the head reads every channel's mean.
        A projection passes it on whatever `skip` is.
        """
        return "any"

    @property
    def drive(self) -> str:
        """``"host"`` unless `looped`: a CPU runs XLA's convolutions many times slower in a loop."""
        return "scan" if self.looped else "host"

    @property
    def preferred_dtype(self) -> str:
        """``"float32"``: in float64 a step takes about six times as long on a CPU."""
        return "float32"

    @property
    def stochastic(self) -> bool:
        """False."""
        return False

    @property
    def slaved_stats(self) -> bool:
        """True: BatchNorm in training mode normalises by the batch at hand."""
        return True

    @property
    def groups(self) -> tuple[str, ...]:
        """The first convolution, ``"in"``, and the head, ``"out"``."""
        return ("in", "out")

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Draw the weights in float64, and statistics of mean 0 and variance 1.

        Returns
        -------
        dict
            ``params`` and ``stats``, nested dictionaries by layer; `stats` is empty without
            BatchNorm.
        """
        images = jnp.zeros((1, SMALLEST_IMAGE, SMALLEST_IMAGE, self.in_channels), jnp.float64)
        shapes = jax.eval_shape(self._network().init, key, images, 1.0)
        return {
            "params": _draw(key, shapes["params"]),
            "stats": jax.tree_util.tree_map_with_path(_constant, shapes.get("batch_stats", {})),
        }

    def apply(
        self,
        params: Any,
        stats: Any,
        inputs: ArrayLike,
        hparams: Hparams,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Any]:
        """Return logits (N, n_classes) for images (N, side, side, channels) with side >= 5."""
        variables = {"params": params, "batch_stats": stats}
        logits, updated = self._network().apply(
            variables, _images(inputs), hparams["skip"], mutable=["batch_stats"]
        )
        return logits, updated.get("batch_stats", {})

    def predict(self, params: Any, stats: Any, inputs: ArrayLike, hparams: Hparams) -> jax.Array:
        """Return logits as `apply` does, with running statistics in place of the batch's."""
        variables = {"params": params, "batch_stats": stats}
        network = self._network(running=True)
        return jnp.asarray(network.apply(variables, _images(inputs), hparams["skip"]))

    def for_batches(self, shape: tuple[int, ...]) -> ResNet:
        """Return the network with `looped` decided, for batches of images of one shape.

        Matrix products read every pixel of every input channel nine times, from an array of its
        own. While such arrays are small they win: 2.8 to 5 times up to 0.9 million entries in a
        step, 1.3 to 1.5 times at 1.7 and 3.3 million, 0.5 to 0.6 times from 6.6 million on
        (`benchmarks/convolutions.py`).
        """
        if self.looped is not None:
            return self
        n_images, side, other, depth = shape
        entries = 9 * n_images * side * other * depth
        depth = self.channels[0]
        for stage, channels in enumerate(self.channels):
            if stage:
                side, other = -(-side // 2), -(-other // 2)
            inputs = depth + (2 * self.n_blocks - 1) * channels
            entries += 9 * n_images * side * other * inputs
            depth = channels
        return self.replace(looped=entries <= _MOST_ENTRIES)

    def layer_groups(self, params: Any) -> Any:
        """First convolution ``"in"``, head ``"out"``, everything else ``"hidden"``."""
        groups = {"stem": "in", "head": "out"}
        return jax.tree_util.tree_map_with_path(
            lambda path, _: groups.get(path[0].key, "hidden"), params
        )

    def _network(self, running: bool = False) -> ResidualLayers:
        return ResidualLayers(
            self.n_blocks,
            self.channels,
            self.batch_norm,
            self.n_classes,
            self.shortcut,
            self.head_bias,
            running,
            bool(self.looped) and jax.default_backend() == "cpu",
        )


def nearest_depth(depth: int) -> int:
    """Return the number of the form 6n + 2, n >= 1, that is nearest to a depth."""
    return 6 * max(1, depth // 6) + 2


def _images(inputs: ArrayLike) -> jax.Array:
    images = jnp.asarray(inputs)
    if images.ndim != 4 or min(images.shape[1:3]) < SMALLEST_IMAGE:
        raise ValueError(
            f"inputs of shape {images.shape} are not (N, side, side, channels) images with a side "
            f"of at least {SMALLEST_IMAGE} pixels"
        )
    return images


def _draw(key: jax.Array, shapes: Any) -> Any:
    """Fill a tree of shapes with initial weights, in float64.

    All kernels share one draw: one for each takes ten seconds to compile.
    """
    paths = jax.tree_util.tree_leaves_with_path(shapes)
    total = sum(leaf.size for path, leaf in paths if path[-1].key == "kernel")
    normal = jax.random.normal(key, (total,), jnp.float64)
    start = 0

    def fill(path: Any, leaf: jax.ShapeDtypeStruct) -> jax.Array:
        nonlocal start
        if path[-1].key != "kernel":
            return _constant(path, leaf)
        stop = start + leaf.size
        numbers = normal[start:stop].reshape(leaf.shape)
        start = stop
        gain = 1 if path[0].key == "head" else 2
        return numbers * math.sqrt(gain / math.prod(leaf.shape[:-1]))

    return jax.tree_util.tree_map_with_path(fill, shapes)


def _constant(path: Any, leaf: jax.ShapeDtypeStruct) -> jax.Array:
    """Return ones for scales and variances, zeros for biases and means, in float64."""
    return jnp.full(leaf.shape, float(path[-1].key in ("scale", "var")), jnp.float64)
