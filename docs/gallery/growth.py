"""Where a small change of the weights grows during training, and where it dies out."""

from dynfrac import Axis, make_architecture, sweep
from dynfrac.plots.metrics import plot_exponent

# Digits pooled to 8 x 8, odd against even; the exponent of each run is recorded beside its outcome.
net = make_architecture("mnist-mlp", task="parity", width=8, n_data=64)
window = [Axis("lr_in", 1, 1e4, 96), Axis("lr_out", 2, 200, 96)]
runs = sweep(net, window, n_steps=60, record=["lyapunov"], out="growth.zarr")

ax = plot_exponent(
    runs.field("lyapunov"), runs.status, runs.axes, title="Largest exponent of 9,216 trainings"
)
ax.figure.savefig("growth.png", dpi=100)
