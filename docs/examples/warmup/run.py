"""The largest learning rate at which Adam trains a network, with and without warm-up."""

import argparse
from pathlib import Path

import numpy as np
from digits import Net

from dynfrac import Axis, sweep, training_map

EPOCHS = 8
OPTIMIZERS = {"adam": {}, "adam+warmup": {"warmup_steps": 64.0}}


def main() -> None:
    """Sweep learning rate x seed for both optimizers and print what they reach."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, default=17, help="learning rates from 0.03 to 3")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("."))
    args = parser.parse_args()
    axes = [Axis("lr", 0.03, 3.0, args.rates), Axis("seed", 0, args.seeds - 1, args.seeds)]
    for optimizer, settings in OPTIMIZERS.items():
        map_ = training_map(
            Net(),
            "mini",
            n_data=512,
            n_test=512,
            image_size=14,
            optimizer=optimizer,
            batch=32,
            n_epochs=EPOCHS,
            seed=None,
        )
        every = map_.batches.epoch_steps
        result = sweep(
            map_,
            axes,
            n_steps=EPOCHS * every,
            every=every,
            hparams=settings,
            rule="accuracy:0.5",
            record=("accuracy",),
            out=args.out / f"{optimizer}.zarr",
        )
        print(f"{optimizer}: seeds that learn, and median accuracy of all seeds")
        rates, learnt = result.points[0], result.labels
        medians = np.median(result.field("accuracy"), axis=0)
        for lr, n, median in zip(rates, learnt.sum(axis=0), medians, strict=True):
            print(f"  lr {lr:6.3f}   {n} of {args.seeds}   {median:.2f}")
        edges = np.where(learnt, rates, 0.0).max(axis=1)
        print(f"  the largest that learns, median over the seeds: {np.median(edges):.3g}")


if __name__ == "__main__":
    main()
