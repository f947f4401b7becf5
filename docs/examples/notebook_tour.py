# %% [markdown]
# A sweep shows its axes, outcomes and conditions. The map is `z' = z^2 + c` over its initial state,
# for the `c` of Douady's rabbit, whose boundary has a dimension that is known: 1.3934.

# %%
from dynfrac import Axis, boundary_dimension, box_dimension, lyapunov_spectrum, make_map, sweep

rabbit = {"c_re": -0.12256, "c_im": 0.74486}
window = [Axis("z_re", -1.5, 1.5, 320), Axis("z_im", -1.2, 1.2, 256)]
quadratic = make_map("quadratic")
runs = sweep(quadratic, window, hparams=rabbit, n_steps=100, out="rabbit.zarr")
runs

# %% [markdown]
# All fields with their coordinates are an `xarray.Dataset`. Selecting, averaging and writing are
# xarray's; pending cells are blank.

# %%
data = runs.to_xarray()
print(data)
row = data.status.sel(z_im=0.5, method="nearest")
print("share of the row at 0.5 that stays:", float((row == 1).mean()))

# %% [markdown]
# Plot functions take arrays and return matplotlib's `Axes`, which a notebook draws.

# %%
from dynfrac.plots.trainability import plot_measure

plot_measure(runs.measure, runs.status, runs.axes, title="the rabbit", palette="safe")

# %% [markdown]
# The dimension by counting boxes. Every estimate shows its error, the scales of its fit and its
# doubts.

# %%
box = box_dimension(runs.labels)
box

# %%
from dynfrac.analysis.nulls import smooth_null
from dynfrac.plots.scaling_curves import box_dimension_figure

smooth = smooth_null(runs.labels.shape, window=box.window)
box_dimension_figure(box, runs.labels, smooth=smooth, origin="lower")

# %% [markdown]
# The same without a picture: a tenth of the runs, at places that the method chooses.

# %%
boundary_dimension(quadratic, window, hparams=rabbit, n_steps=100, budget=8000)

# %% [markdown]
# Exponents of one orbit: gradient descent on a double well, at a learning rate where it is chaotic.

# %%
descent = lyapunov_spectrum(make_map("gd-cubic"), {"lr": 1.6}, n_steps=20_000)
descent

# %%
from dynfrac.plots.spectra import spectrum_figure

spectrum_figure(descent, loss_label="loss")
