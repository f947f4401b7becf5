"""Populations of boxes on a boundary, each with a lattice of labels, and their children.

A box of side s carries (m + 1)^d labels on a lattice that includes its border, and is *mixed* if
they are not all the same. Its 2^d children share the lattice of 2 m + 1 nodes a side, of which the
box already has every other one: refining costs (2 m + 1)^d - (m + 1)^d labels.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import final

import numpy as np

from dynfrac.boundaries.oracles import Oracle


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of one size.

    Attributes
    ----------
    corners : (P, d) float array
        Lowest corners, in the unit cube.
    side : float
    labels : (P, m + 1, ...) int array
        On the lattice of each box, d axes of it.
    owners : (P,) int array
        Number of the population that each box belongs to; ascending.
    """

    corners: np.ndarray
    side: float
    labels: np.ndarray
    owners: np.ndarray

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.corners)

    @property
    def mixed(self) -> np.ndarray:
        """(P,) bool array: whether a box has more than one label."""
        flat = self.labels.reshape(len(self), -1)
        return (flat != flat[:, :1]).any(axis=1)

    def take(self, chosen: np.ndarray, owners: np.ndarray | None = None) -> Boxes:
        """Return the boxes of an index or a mask, with other owners if they are given."""
        owners = self.owners[chosen] if owners is None else owners
        return Boxes(self.corners[chosen], self.side, self.labels[chosen], owners)


def refining_cost(m: int, n_axes: int) -> int:
    """Return the labels that the children of one box cost."""
    return (2 * m + 1) ** n_axes - (m + 1) ** n_axes


def root_boxes(oracle: Oracle, m: int, n_boxes: int, corner: np.ndarray) -> Boxes:
    """Return a grid of boxes that all share their lattice.

    Parameters
    ----------
    oracle : Oracle
        Asked for (m n_boxes + 1)^d labels.
    m : int
        Cells of a box's lattice along an axis.
    n_boxes : int
        Boxes along an axis. Their side is 1 / (n_boxes + 1), so that the grid can be moved.
    corner : (d,) float array
        Lowest corner of the grid, between 0 and a side.
    """
    d, side = oracle.n_axes, 1 / (n_boxes + 1)
    nodes = np.indices((m * n_boxes + 1,) * d).reshape(d, -1).T * (side / m)
    shape = (m * n_boxes + 1,) * d
    labels = oracle(np.minimum(corner + nodes, 1.0)).reshape(shape)
    # A view of overlapping lattices: (boxes along each axis, ..., nodes along each axis).
    windows = np.lib.stride_tricks.sliding_window_view(labels, (m + 1,) * d)
    windows = windows[(slice(None, None, m),) * d]
    index = np.indices((n_boxes,) * d).reshape(d, -1).T
    return Boxes(
        corner + index * side,
        side,
        windows.reshape(len(index), *(m + 1,) * d).copy(),
        np.zeros(len(index), int),
    )


def children(oracle: Oracle, boxes: Boxes) -> Boxes:
    """Return the 2^d children of every box, in the order of the boxes.

    Parameters
    ----------
    oracle : Oracle
        Asked for `refining_cost` labels for each box.
    boxes : Boxes
    """
    n, d = boxes.corners.shape
    m = boxes.labels.shape[1] - 1
    fine = np.empty((n, *(2 * m + 1,) * d), boxes.labels.dtype)
    fine[(slice(None), *(slice(None, None, 2),) * d)] = boxes.labels
    nodes = np.indices(fine.shape[1:]).reshape(d, -1)
    new = nodes[:, (nodes % 2).any(axis=0)]
    positions = boxes.corners[:, None, :] + new.T * (boxes.side / (2 * m))
    labels = oracle(np.minimum(positions.reshape(-1, d), 1.0)).reshape(n, -1)
    fine[(slice(None), *new)] = labels
    places = np.array(list(itertools.product((0, 1), repeat=d)))
    lattices = [
        fine[(slice(None), *(slice(m * bit, m * bit + m + 1) for bit in place))] for place in places
    ]
    corners = boxes.corners[:, None, :] + places * (boxes.side / 2)
    return Boxes(
        corners.reshape(-1, d),
        boxes.side / 2,
        np.stack(lattices, axis=1).reshape(-1, *(m + 1,) * d),
        np.repeat(boxes.owners, len(places)),
    )


def thin_out(boxes: Boxes, size: int, n_owners: int, rng: np.random.Generator) -> Boxes:
    """Keep at most so many boxes of each owner, spread evenly over the order they come in.

    Every box of an owner has the same chance. Siblings stand together, so that an even spread
    represents every family in proportion, which scatters less than a free draw.
    """
    chosen = []
    for owner in range(n_owners):
        members = np.flatnonzero(boxes.owners == owner)
        if len(members) > size:
            places = (np.arange(size) + rng.random()) * (len(members) / size)
            members = members[np.minimum(places.astype(int), len(members) - 1)]
        chosen.append(members)
    return boxes.take(np.concatenate(chosen))
