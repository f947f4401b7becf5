"""The Henon attractor, and its dimensions: boxes, information, pairs, and the exponents' own."""

from matplotlib.figure import Figure

from dynfrac import generalized_dimension, iterate, lyapunov_spectrum, make_map
from dynfrac.plots.point_dimensions import draw_spectrum

henon = make_map("henon")
points = iterate(henon, n_steps=40_000, keep_states=True).states[100:]
dimensions = {q: generalized_dimension(points, q) for q in (0, 1, 2, 3)}
spectrum = lyapunov_spectrum(henon, n_steps=20_000, n_transient=100)

figure = Figure(figsize=(9, 3.8), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
left.plot(*points.T, ",", color="#0072B2")
left.set(xlabel="x", ylabel="y", title="40,000 points of the Henon map")
draw_spectrum(right, dimensions)
kaplan_yorke = spectrum.kaplan_yorke.value
right.axhline(kaplan_yorke, color="#D55E00", lw=1, ls="--")
right.set_title(f"D_q; dashed: Kaplan-Yorke, {kaplan_yorke:.3f}")
figure.savefig("attractor.png", dpi=100)
