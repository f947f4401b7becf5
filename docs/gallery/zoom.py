"""Each picture is a part of the one before, four times smaller, about one place."""

from matplotlib.figure import Figure

from dynfrac import Axis, make_architecture
from dynfrac.plots.trainability import plot_measure
from dynfrac.studies.zooms import zoom

window = [Axis("lr_in", 1e-3, 1e6, 160), Axis("lr_out", 1e-3, 1e6, 160)]
net = make_architecture("mlp", width=8)
place = {"lr_in": 4e4, "lr_out": 25}
settings = {"n_steps": 100, "adaptive": True}
found = zoom(net, window, out="zoom", frames=4, factor=4, at=place, **settings)

figure = Figure(figsize=(9, 7.4), layout="compressed")
for i, (frame, ax) in enumerate(zip(found.frames, figure.subplots(2, 2).flat, strict=True)):
    runs, box = frame.sweep, frame.dimension
    title = f"x {4**i}: D = {box.value:.2f}({100 * box.stderr:.0f})"
    plot_measure(runs.measure, runs.status, runs.axes, ax=ax, title=title)
figure.savefig("zoom.png", dpi=100)
