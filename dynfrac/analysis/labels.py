"""From an array to the set whose dimension is asked for: the boundary between labels, or a mask.

The rules are few and strict, because a picture that is silently misread has a dimension too:

=============================================  ==================================================
array                                          set
=============================================  ==================================================
booleans, integers with at most 16 values      boundary between the labels
floats of both signs                           boundary between negative and not negative
anything real, with a threshold                boundary between above and not above
anything real, as a mask                       the non-zero pixels, or those above the threshold
=============================================  ==================================================

Everything else (colours, volumes, complex numbers, not-a-number) is refused.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

MAX_LABELS = 16
"""Integers with more values than this are taken for measurements, not for labels."""


def as_labels(array: ArrayLike, *, threshold: float | None = None) -> np.ndarray:
    """Turn an array into labels.

    Parameters
    ----------
    array : (ny, nx) array
        Booleans; integers with at most 16 values; floats of both signs; or, with a threshold,
        any real numbers.
    threshold : float, optional
        Label pixels by whether they are above it.

    Returns
    -------
    (ny, nx) bool or integer array
        The boundary runs between pixels whose labels differ.

    Raises
    ------
    ValueError
        If the array is not a picture of real numbers, or is neither labels nor a signed field
        and there is no threshold.

    Examples
    --------
    >>> as_labels([[-1.0, 2.0], [0.0, -3.0]])
    array([[ True, False],
           [False,  True]])
    """
    picture = _real_picture(array)
    if threshold is not None:
        return picture > _checked(threshold)
    if picture.dtype == np.bool_:
        return picture
    if picture.dtype.kind in "iu":
        if _has_few_values(picture):
            return picture
        raise ValueError(
            f"the picture holds integers with more than {MAX_LABELS} values, which are not "
            "labels; give the threshold (--threshold) that separates the two sides, or ask for "
            "the set of non-zero pixels (--mask)"
        )
    negative = picture < 0
    if negative.any() and (picture > 0).any():
        return negative
    raise ValueError(
        f"the picture holds floats from {picture.min():.6g} to {picture.max():.6g}, all on one "
        "side of zero, so it is not a signed field; give the threshold (--threshold) that "
        "separates the two sides, or ask for the set of non-zero pixels (--mask)"
    )


def as_mask(array: ArrayLike, *, threshold: float | None = None) -> np.ndarray:
    """Turn an array into the mask of a set.

    Parameters
    ----------
    array : (ny, nx) array of real numbers
    threshold : float, optional
        Take the pixels above it; the non-zero ones by default.

    Returns
    -------
    (ny, nx) bool array

    Raises
    ------
    ValueError
        If the array is not a picture of real numbers.
    """
    picture = _real_picture(array)
    return picture != 0 if threshold is None else picture > _checked(threshold)


def boundary_cells(labels: np.ndarray) -> np.ndarray:
    """Find the lattice cells that the boundary crosses.

    Parameters
    ----------
    labels : (ny, nx) array
        Labels at the nodes of a square lattice.

    Returns
    -------
    (ny - 1, nx - 1) bool array
        True where the four corners of a cell do not all have the same label.

    Examples
    --------
    >>> boundary_cells(np.array([[0, 0, 1], [0, 0, 1]]))
    array([[False,  True]])
    """
    corner = labels[:-1, :-1]
    mixed = corner != labels[1:, :-1]
    mixed |= corner != labels[:-1, 1:]
    mixed |= corner != labels[1:, 1:]
    return mixed


def _real_picture(array: ArrayLike) -> np.ndarray:
    picture = np.asarray(array)
    if picture.ndim == 3 and picture.shape[-1] in (3, 4) and picture.dtype.kind in "uf":
        raise ValueError(
            f"the picture has {picture.shape[-1]} colour channels; save labels or one grey channel"
        )
    if picture.ndim != 2:
        raise ValueError(
            f"the array has shape {picture.shape}; a picture has two axes, rows and columns"
        )
    if picture.size == 0:
        raise ValueError(f"the array has shape {picture.shape} and holds no pixel")
    if picture.dtype.kind not in "biuf":
        raise ValueError(
            f"the array holds {picture.dtype} values; pass booleans, integers or real numbers"
        )
    if picture.dtype.kind == "f" and np.isnan(picture).any():
        raise ValueError(
            f"{np.isnan(picture).sum()} of the picture's {picture.size} pixels are not-a-number; "
            "decide which label they have first"
        )
    return picture


def _checked(threshold: float) -> float:
    if not math.isfinite(threshold):
        raise ValueError(f"threshold={threshold} is not a finite number; pass one")
    return threshold


def _has_few_values(picture: np.ndarray) -> bool:
    """Whether there are at most `MAX_LABELS` distinct integers, without sorting a large picture."""
    if int(picture.max()) - int(picture.min()) < MAX_LABELS:
        return True
    seen = np.empty(0, picture.dtype)
    for row in picture:
        seen = np.union1d(seen, row)
        if len(seen) > MAX_LABELS:
            return False
    return True
