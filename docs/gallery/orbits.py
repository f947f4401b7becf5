"""Gradient descent on a double well: the period doubles, chaos begins, and the run escapes."""

from dynfrac import Axis, make_map, orbit_diagram
from dynfrac.plots.diagrams import orbit_figure

diagram = orbit_diagram(
    make_map("gd-cubic"),
    Axis("lr", 0.8, 2.05, 1000, scale="linear"),
    observable="x0",
    n_steps=2000,
)
figure = orbit_figure(diagram, label="weight", title="Gradient descent on (w^2 - 1)^2 / 4")
figure.savefig("orbits.png", dpi=100)
