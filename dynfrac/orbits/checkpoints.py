"""Where a run with tangents stands: enough to go on from there, and no file.

A run that is interrupted and goes on from its checkpoint gives the bits of the run that was left
alone, on one kind of device with one version of jax.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from dynfrac.orbits.lanes import Lanes
from dynfrac.systems.provenance import versions


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a run of L orbits with k tangents each.

    Attributes
    ----------
    specification : str
        Hash of all that the run depends on; empty if nobody asked for it.
    t : int
        Steps done, transient and warm-up included.
    next_check : int
        Averaged steps after which the stopping rule is asked next; 0 if there is none.
    leaves : tuple of arrays
        Leaves of the states at time t, the lanes along their first axis.
    frames : (L, k, d) array
        Orthonormal tangents there.
    stopped_at : (L,) int array
        Index of the first state of an orbit that is not finite or has no finite tangent, else -1.
    increments : tuple of (n_i, L, k) float64 arrays
        ln abs(R_jj) of the averaged steps so far, in pieces; not-a-number once an orbit stopped.
    steps : tuple of int
        Averaged steps after which the map was observed.
    observations : tuple of (L,) float arrays
        What it observed.
    """

    specification: str
    t: int
    next_check: int
    leaves: tuple[Any, ...]
    frames: Any
    stopped_at: np.ndarray
    increments: tuple[np.ndarray, ...] = ()
    steps: tuple[int, ...] = ()
    observations: tuple[np.ndarray, ...] = ()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the checkpoint as named arrays, as `numpy.savez` takes them."""
        n_lanes, k, _ = np.shape(self.frames)
        rows = [np.empty((0, n_lanes, k)), *self.increments]
        seen = [np.empty((0, n_lanes)), *(row[None] for row in self.observations)]
        return {
            "specification": np.array(self.specification),
            "t": np.array(self.t),
            "next_check": np.array(self.next_check),
            "frames": np.asarray(self.frames),
            "stopped_at": self.stopped_at,
            "increments": np.concatenate(rows),
            "steps": np.array(self.steps, int),
            "observations": np.concatenate(seen),
            **{f"leaf_{i:05d}": _plain(leaf) for i, leaf in enumerate(self.leaves)},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Checkpoint:
        """Return the checkpoint that `to_arrays` took apart.

        Raises
        ------
        ValueError
            If an array is missing.
        """
        try:
            return cls(
                specification=str(arrays["specification"]),
                t=int(arrays["t"]),
                next_check=int(arrays["next_check"]),
                leaves=tuple(arrays[n] for n in sorted(arrays) if n.startswith("leaf_")),
                frames=arrays["frames"],
                stopped_at=np.asarray(arrays["stopped_at"]),
                increments=(np.asarray(arrays["increments"]),),
                steps=tuple(map(int, arrays["steps"])),
                observations=tuple(np.asarray(arrays["observations"])),
            )
        except KeyError as error:
            raise ValueError(f"the arrays are no checkpoint: {error} is missing") from error


def specification_of(lanes: Lanes, frames: jax.Array, **numbers: Any) -> str:
    """Return a hash of all that a run depends on.

    Parameters
    ----------
    lanes : Lanes
    frames : (L, k, d) array
        The first frames.
    **numbers
        Lengths, tolerances and whatever else decides about the run; plain values.

    Returns
    -------
    str
        Hexadecimal SHA-256 over the numbers, the versions of jax, the device, every array that the
        run starts with, and the program of one step as jax traces it. So a map whose code has
        changed is another map even if its name and its arrays are the same.
    """
    digest = hashlib.sha256()
    facts = {
        "numbers": numbers,
        "driver": lanes.driver,
        "coordinates": list(lanes.space.is_coordinate),
        "device": jax.devices()[0].device_kind,
        "versions": versions(("jax", "jaxlib")),
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    state = jax.tree.map(lambda leaf: leaf[0], lanes.states)
    program = jax.make_jaxpr(lanes.map_.step)(state, lanes.hparams_of(0), jnp.int32(0))
    # Functions print with their address, which differs from process to process.
    digest.update(re.sub(r"0x[0-9a-f]+", "", str(program.jaxpr)).encode())
    trees = (lanes.map_, lanes.hparams, lanes.states, frames, program.consts)
    for leaf in jax.tree.leaves(trees):
        array = np.ascontiguousarray(_plain(leaf))
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def restored_leaves(checkpoint: Checkpoint, lanes: Lanes) -> tuple[Any, ...]:
    """Return the leaves of a checkpoint's states as arrays on the device, keys as keys."""
    return tuple(
        jax.random.wrap_key_data(jnp.asarray(kept), impl=jax.random.key_impl(leaf))
        if _is_key(leaf)
        else jnp.asarray(kept)
        for kept, leaf in zip(checkpoint.leaves, jax.tree.leaves(lanes.states), strict=True)
    )


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)


def _plain(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
