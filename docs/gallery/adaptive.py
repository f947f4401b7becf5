"""A picture of 512 x 512 trainings of which one in eight was run: those near the boundary."""

from matplotlib.figure import Figure

from dynfrac import Axis, make_architecture, sweep
from dynfrac.plots.strides import plot_stride
from dynfrac.plots.trainability import plot_boundary

window = [Axis("lr_in", 1e-3, 1e6, 512), Axis("lr_out", 1e-3, 1e6, 512)]
net = make_architecture("mlp", width=8)
runs = sweep(net, window, n_steps=100, adaptive=True, out="adaptive.zarr")

figure = Figure(figsize=(10, 4.4), layout="compressed")
left, right = figure.subplots(1, 2)
plot_boundary(runs.status, runs.axes, ax=left, title="the boundary")
share = f"{runs.was_run.mean():.1%} of the cells were run"
plot_stride(runs.field("stride"), runs.status, runs.axes, ax=right, title=share)
figure.savefig("adaptive.png", dpi=100)
