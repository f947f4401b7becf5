"""Which learning rates train a small network, and which do not."""

from dynfrac import Axis, make_architecture, sweep
from dynfrac.plots.trainability import plot_measure

# A learning rate for each of two layers, and 8 tanh units on random data.
window = [Axis("lr_in", 1e-3, 1e6, 256), Axis("lr_out", 1e-3, 1e6, 256)]
runs = sweep(make_architecture("mlp", width=8), window, n_steps=100, out="boundary.zarr")

caption = f"65,536 trainings of 100 steps; {runs.labels.mean():.0%} converge"
ax = plot_measure(
    runs.measure, runs.status, runs.axes, title="Two-layer tanh network", caption=caption
)
ax.figure.savefig("boundary.png", dpi=100)
