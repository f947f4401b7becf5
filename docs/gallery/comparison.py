"""Has tanh a rougher boundary than ReLU? Six pairs of small networks, each pair of one seed."""

from dynfrac import Axis, compare, make_architecture
from dynfrac.plots.comparisons import comparison_figure
from dynfrac.studies.arms import Arm

tanh = Arm("tanh", lambda seed: make_architecture("mlp", width=4, seed=seed))
relu = Arm("relu", lambda seed: make_architecture("mlp", width=4, nonlinearity="relu", seed=seed))
box = [Axis("lr_in", 1e-3, 1e6), Axis("lr_out", 1e-3, 1e6)]

found = compare(tanh, relu, box, n_steps=60, seeds=6, budget=1500)
figure = comparison_figure(found)
figure.savefig("comparison.png", dpi=100)
