"""Leading Lyapunov exponents and sharpness of gradient descent across the learning rate."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from net import make

from dynfrac import lyapunov_spectrum, training_map
from dynfrac.analysis.curvature import sharpness


def draw(rates: np.ndarray, exponents: np.ndarray, ratios: np.ndarray, path: Path) -> None:
    """Draw the leading exponents above the sharpness in units of 2 / lr."""
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(5, 5), layout="constrained")
    above.semilogx(rates, exponents, "o-", ms=3, label=["first", "second"])
    above.axhline(0.0, color="0.6", lw=0.8)
    above.set_ylabel("exponent (nats per step)")
    above.legend(frameon=False)
    below.semilogx(rates, ratios, "o-", ms=3, color="C2")
    below.axhline(1.0, color="0.6", lw=0.8)
    below.set(xlabel="learning rate", ylabel="sharpness / (2 / learning rate)", ylim=(0, 3))
    figure.savefig(path, dpi=200)


def main() -> None:
    """Print a table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, default=41, help="learning rates from 0.1 to 8")
    parser.add_argument("--steps", type=int, default=1000, help="averaged, after as many before")
    parser.add_argument("--plot", type=Path, default=Path("edge.png"))
    args = parser.parse_args()
    map_ = training_map(make(), "teacher", n_data=64)
    rates = np.geomspace(0.1, 8.0, args.rates)
    exponents, ratios = [], []
    print("    lr   first exponent   second   sharpness / (2 / lr)   verdict")
    for lr in rates:
        hparams = {"lr": lr}
        spectrum = lyapunov_spectrum(
            map_, hparams, n_steps=args.steps, n_transient=args.steps, n_exponents=2
        )
        threshold = map_.stability_threshold({**map_.defaults, **hparams})
        ratio = sharpness(map_, spectrum.final_state, hparams).value / threshold
        (first, second), error = spectrum.exponents, spectrum.stderr[0]
        print(
            f"{lr:6.3f}   {first:+.4f} +- {error:.4f}   {second:+.4f}   {ratio:.3f}   "
            f"{spectrum.verdict}"
        )
        exponents.append(spectrum.exponents)
        ratios.append(ratio)
    draw(rates, np.array(exponents), np.array(ratios), args.plot)


if __name__ == "__main__":
    main()
