"""A small network that tells two interleaved half moons apart."""

from flax import nnx


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, width: int = 16):
        self.hidden = nnx.Linear(2, width, rngs=rngs)
        self.head = nnx.Linear(width, 2, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.tanh(self.hidden(x)))
