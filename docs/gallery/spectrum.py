"""Gradient descent beyond the edge of stability: the eight leading exponents of one run."""

import jax
import jax.numpy as jnp

from dynfrac import lyapunov_spectrum, training_map
from dynfrac.plots.spectra import spectrum_figure


def init(key: jax.Array) -> dict[str, jax.Array]:
    """Return the weights of two layers."""
    first, second = jax.random.split(key)
    w, v = jax.random.normal(first, (16, 16)), jax.random.normal(second, (16, 1))
    return {"w": w / 4, "v": v / 4}


def apply(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Return the outputs."""
    return jnp.tanh(jnp.tanh(x @ params["w"]) @ params["v"])


net = training_map((init, apply), "teacher", n_data=64)
spectrum = lyapunov_spectrum(net, {"lr": 3.0}, n_exponents=8, n_steps=4000, n_transient=500)
title = f"A tanh network at the learning rate 3: {spectrum.verdict}"
figure = spectrum_figure(spectrum, title=title, loss_label="training loss")
figure.savefig("spectrum.png", dpi=100)
