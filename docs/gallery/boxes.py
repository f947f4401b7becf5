"""Box counts of Douady's rabbit, whose dimension is known: 1.3934."""

from dynfrac import Axis, box_dimension, make_map, sweep
from dynfrac.analysis.nulls import smooth_null
from dynfrac.plots.scaling_curves import box_dimension_figure

rabbit = {"c_re": -0.12256116687665361, "c_im": 0.74486176661974424}
window = [Axis("z_re", -1.5, 1.5, 1024), Axis("z_im", -1.2, 1.2, 1024)]
runs = sweep(make_map("quadratic"), window, hparams=rabbit, n_steps=100, out="rabbit.zarr")

box = box_dimension(runs.labels)
smooth = smooth_null(runs.labels.shape, window=box.window)
figure = box_dimension_figure(box, runs.labels, smooth=smooth, origin="lower")
figure.savefig("boxes.png", dpi=100)
