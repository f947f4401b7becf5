"""Orbit diagrams of gradient descent over the learning rate, for networks of two widths."""

import argparse
from pathlib import Path

from net import make

from dynfrac import Axis, iterate, orbit_diagram, training_map
from dynfrac.analysis.curvature import sharpness
from dynfrac.plots.diagrams import orbit_figure

DECAY = {"weight_decay": 0.01}


def main() -> None:
    """Print where periods double and chaos begins, and draw one figure for each width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=496, help="learning rates from 0.05 to 5")
    parser.add_argument("--steps", type=int, default=1000, help="averaged, after 4000 before")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder for the figures")
    args = parser.parse_args()
    for width in (1, 16):
        map_ = training_map(make(width), "teacher", n_data=64, optimizer="decay+sgd")
        axis = Axis("lr", 0.05, 5.0, args.values, "linear")
        diagram = orbit_diagram(map_, axis, DECAY, n_steps=args.steps, n_transient=4000)
        print(f"width {width}")
        for change in diagram.cascade:
            name = f"period {change.period}" if change.period else "chaos"
            print(f"  {name:10}{change.low:.2f} to {change.high:.2f}")
        # The decay adds itself to every eigenvalue of the Hessian.
        settled = {**DECAY, "lr": diagram.cascade[0].low}
        orbit = iterate(map_, settled, n_steps=5000)
        curvature = sharpness(map_, orbit.final_state, settled).value + DECAY["weight_decay"]
        print(f"  sharpness x lr / 2 = {curvature * settled['lr'] / 2:.3f} at {settled['lr']:.2f}")
        figure = orbit_figure(
            diagram,
            title=f"{width} hidden unit{'s' * (width > 1)}",
            label="training loss",
            y_range=(0.008, 1.2),
            logarithmic=True,
        )
        figure.savefig(args.out / f"doubling_{width}.png", dpi=200)


if __name__ == "__main__":
    main()
