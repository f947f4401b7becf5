"""How many runs are computed together: in a batch, in a call, and in flight.

All three are functions of the map and the kind of device alone. The first one decides how outcomes
are rounded, the other two change no bit.
"""

from __future__ import annotations

import jax
import numpy as np

from dynfrac.orbits.inspection import host_driven, largest_array, state_size
from dynfrac.orbits.stretching import plain_map
from dynfrac.systems.abstract import AbstractMap

_POOL_RUNS = 4096
_POOL_BYTES = 2**28
_CALL_ENTRIES = 2**17
"""Entries of the largest arrays of all batches in a call: ten milliseconds of work or so."""


def default_lanes(map_: AbstractMap) -> int:
    """Return the number of runs per batch, a function of the map's size and the kind of device.

    Notes
    -----
    On a CPU the largest array of a batch should take about 128 KiB, so that all of them stay in the
    cache of one core: the published network is fastest with 4 lanes at width 16 (a quarter faster
    than with 16, two fifths faster than with 32) and with 16 to 32 at width 8. Maps that are
    stepped from the host take one lane. On an accelerator the largest array takes about a
    thirty-second of the memory in float64, which leaves room for the other layers and their
    derivatives, and a batch has at most 4096 runs; neither has been tuned on one.
    """
    map_ = plain_map(map_)  # recording an exponent must not change how runs are rounded
    if host_driven(map_):
        return 1
    fit = max(1.0, _batch_entries() / largest_array(map_))
    return int(min(2**12, 2 ** round(np.log2(fit))))


def _batch_entries() -> int:
    """Return the entries that the largest array of a batch should have on the present device."""
    if jax.default_backend() == "cpu":
        return 2**14
    memory = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", 2**34)
    # A power of two: devices of a kind agree, although programs are given different shares of them.
    return 2 ** (int(memory).bit_length() - 1) // 2**8


def call_groups(map_: AbstractMap, lanes: int) -> int:
    """Return how many batches of a map's runs are advanced in one call.

    So many that a call outweighs what it costs to make it, and at most a pool. It changes no bit.
    """
    most = max(1, _CALL_ENTRIES // (lanes * largest_array(map_)))
    return min(most, pool_runs(map_, lanes) // lanes)


def pool_runs(map_: AbstractMap, lanes: int) -> int:
    """Return how many runs are in flight together: whole batches, at most 256 MiB of states."""
    fit = min(_POOL_RUNS, _POOL_BYTES // (8 * max(1, state_size(plain_map(map_)))))
    return max(1, fit // lanes) * lanes
