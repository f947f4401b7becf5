"""The dimension of a trainability boundary scale by scale, without a picture."""

from dynfrac import Axis, make_architecture, report_dimension
from dynfrac.plots.boundary_dimensions import boundary_dimension_figure

window = [Axis("lr_in", 1e-3, 1e6), Axis("lr_out", 1e-3, 1e6)]
net = make_architecture("mlp", width=8)
report = report_dimension(net, window, n_steps=100, budget=20_000)
figure = boundary_dimension_figure(report, title="Two-layer tanh network, 20,000 trainings")
figure.savefig("scales.png", dpi=100)
