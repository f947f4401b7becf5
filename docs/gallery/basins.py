"""The three basins of Newton's method for z^3 = 1: darker starts take longer."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from dynfrac import Axis, make_map, sweep

window = [Axis("z_re", -1.5, 1.5, 400), Axis("z_im", -1.5, 1.5, 400)]
newton = make_map("newton")
roots = [
    sweep(newton, window, n_steps=n, record=["root"], out=f"newton{n}.zarr").field("root")
    for n in (1, 2, 3, 4, 5, 6, 8, 12)
]
# How often the nearest root was not yet the one where the run ends.
wrong = np.sum([r != roots[-1] for r in roots], axis=0)
colours = np.array([to_rgb(name) for name in ("#E69F00", "#0072B2", "#009E73")])

figure = Figure(figsize=(5, 5), layout="constrained")
ax = figure.subplots()
picture = colours[roots[-1].astype(int)] * 0.75 ** wrong[..., None]
ax.imshow(picture, extent=(-1.5, 1.5, -1.5, 1.5), origin="lower")
ax.set(xlabel="re z", ylabel="im z", title="Newton's method for z^3 = 1")
figure.savefig("basins.png", dpi=100)
