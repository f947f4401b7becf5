"""Run-steps a second of small residual networks: XLA's convolution against matrix products.

Training through the evaluator, on a CPU: convolutions stepped from the host, one lane at a time,
and matrix products in a compiled loop with all lanes at once (`looped`). Both sides run in one
process, in turns, warm, on the same runs, which live to the end; compilation is excluded. Ratios
are those of wall time and of processor time, which other work beside it disturbs less.

    python benchmarks/convolutions.py --width 0.25 --image-size 7 --lanes 4
"""

import argparse
import json
import os
import statistics
import time

import jax
import numpy as np

from dynfrac.orbits.evaluator import Evaluator
from dynfrac.systems.catalogue import make_architecture
from dynfrac.systems.resnets import ResNet
from dynfrac.systems.training import TrainingMap


def ratios(slow, fast):
    """Return how many times longer one side took in each turn, in ascending order."""
    return sorted(round(a / b, 2) for a, b in zip(slow, fast, strict=True))


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--arch", default="resnet8")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--image-size", type=int, default=7)
    parser.add_argument("--n-data", type=int, default=32)
    parser.add_argument("--no-batch-norm", action="store_true")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 4], help="of the loop")
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="processors to use")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])

    map_ = make_architecture(
        options.arch,
        width=options.width,
        image_size=options.image_size,
        n_data=options.n_data,
        batch_norm=not options.no_batch_norm,
    )
    assert isinstance(map_, TrainingMap) and isinstance(map_.model, ResNet)
    rng = np.random.default_rng(5)
    least, most = (-3, -1) if options.no_batch_norm else (-0.3, 1)
    hparams = {
        "weight_offset": 10 ** rng.uniform(-2, -0.5, options.runs),
        "lr": 10 ** rng.uniform(least, most, options.runs),
    }
    sides = {"convolution": (False, 1)}
    sides |= {f"products, {lanes} lanes": (True, lanes) for lanes in options.lanes}
    runs, labels = {}, {}
    for side, (looped, lanes) in sides.items():
        model = map_.model.replace(looped=looped)
        run = Evaluator(
            map_.replace(model=model), n_steps=options.steps, lanes=lanes, dtype=options.dtype
        )
        labels[side] = run(hparams).labels  # this also compiles
        runs[side] = run
    seconds, busy = {side: [] for side in runs}, {side: [] for side in runs}
    for _ in range(options.repeats):
        for side, run in runs.items():
            start, used = time.perf_counter(), time.process_time()
            run(hparams)
            seconds[side].append(time.perf_counter() - start)
            busy[side].append(time.process_time() - used)
    first = "convolution"
    figures = {
        **vars(options),
        "jax": jax.__version__,
        "sides": {
            side: {
                "run_steps_per_second": round(
                    options.runs * options.steps / statistics.median(seconds[side])
                ),
                "wall_ratios": ratios(seconds[first], seconds[side]),
                "processor_ratios": ratios(busy[first], busy[side]),
                "labels_agree": float(np.mean(labels[side] == labels[first])),
            }
            for side in runs
        },
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
