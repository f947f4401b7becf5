"""What the hyperparameters of trainings are called in words, on axes and in tables."""

from __future__ import annotations

NAMES = {
    "lr": "learning rate",
    "lr_in": "learning rate of the first layer",
    "lr_out": "learning rate of the last layer",
    "weight_offset": "offset of all weights at initialisation",
    "input_offset_per_step": "offset of the first layer at every step",
    "init_scale": "scale of the initial weights",
    "weight_decay": "weight decay",
    "skip": "strength of the shortcuts",
    "n_steps": "number of steps",
    "batch_size": "examples in a batch",
}
"""Name -> words; a name that is not here is said as it is."""
