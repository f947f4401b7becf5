"""What dynfrac does, in one picture: a boundary, a zoom, and its dimension at every scale."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dynfrac import Axis, make_architecture, report_dimension
from dynfrac.plots.boundary_dimensions import draw_scale_dimensions
from dynfrac.plots.palettes import find_palette
from dynfrac.plots.trainability import equalise
from dynfrac.studies.zooms import zoom

net = make_architecture("mlp", width=8)
window = [Axis("lr_in", 1e-3, 1e6, 160), Axis("lr_out", 1e-3, 1e6, 160)]
place = {"lr_in": 4e4, "lr_out": 25}
found = zoom(net, window, out="zoom", frames=2, factor=16, at=place, n_steps=100)
report = report_dimension(net, window, n_steps=100, budget=20_000)

figure = Figure(figsize=(11, 3.4), layout="constrained")
panels = figure.subplots(1, 3, width_ratios=(1, 1, 1.25))
shown = [frame.sweep for frame in found.frames]
edges = [np.log10([end for axis in runs.axes for end in (axis.low, axis.high)]) for runs in shown]
titles = "Which learning rates train a network?", "The border, 16 times closer"
signed = find_palette("published").signed
for runs, extent, title, ax in zip(shown, edges, titles, panels, strict=False):
    colours = {"cmap": signed, "vmin": -1, "vmax": 1}
    ax.imshow(equalise(runs.measure), extent=extent, origin="lower", **colours)
    ax.set_title(title, fontsize=10)
    ax.set(xlabel="first layer (powers of ten)", ylabel="last layer (powers of ten)")
left, right, bottom, top = edges[1]
panels[0].add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False, lw=1.2))
draw_scale_dimensions(panels[2], report)
panels[2].set_title("Its dimension, scale by scale", fontsize=10)
figure.savefig("front.png", dpi=110)
