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

An array has one axis (a line of hyperparameters), two (a picture) or three (a volume). Everything
else (colours, complex numbers, not-a-number) is refused.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike

MAX_LABELS = 16
"""Integers with more values than this are taken for measurements, not for labels."""
MAX_AXES = 3


def as_labels(array: ArrayLike, *, threshold: float | None = None) -> np.ndarray:
    """Turn an array into labels.

    Parameters
    ----------
    array : array of 1, 2 or 3 axes
        Booleans; integers with at most 16 values; floats of both signs; or, with a threshold,
        any real numbers.
    threshold : float, optional
        Label pixels by whether they are above it.

    Returns
    -------
    bool or integer array of the same shape
        The boundary runs between neighbours whose labels differ.

    Raises
    ------
    ValueError
        If the array is not of real numbers on 1 to 3 axes, or is neither labels nor a signed field
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
    array : array of real numbers, of 1, 2 or 3 axes
    threshold : float, optional
        Take the pixels above it; the non-zero ones by default.

    Returns
    -------
    bool array of the same shape

    Raises
    ------
    ValueError
        If the array is not of real numbers on 1 to 3 axes.
    """
    picture = _real_picture(array)
    return picture != 0 if threshold is None else picture > _checked(threshold)


def boundary_cells(labels: np.ndarray) -> np.ndarray:
    """Find the lattice cells that the boundary crosses.

    Parameters
    ----------
    labels : array of 1, 2 or 3 axes
        Labels at the nodes of a lattice.

    Returns
    -------
    bool array, shorter by one along every axis
        True where the corners of a cell (2, 4 or 8) do not all have the same label.

    Examples
    --------
    >>> boundary_cells(np.array([[0, 0, 1], [0, 0, 1]]))
    array([[False,  True]])
    """
    ends = (slice(None, -1), slice(1, None))
    first, *others = itertools.product(ends, repeat=labels.ndim)
    corner = labels[first]
    mixed = np.zeros(corner.shape, dtype=bool)
    for other in others:
        mixed |= corner != labels[other]
    return mixed


def label_codes(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Replace labels by their numbers, from zero on, in ascending order.

    Parameters
    ----------
    labels : bool or integer array
        With at most 16 values.

    Returns
    -------
    codes : uint8 array of the same shape
    n_labels : int

    Examples
    --------
    >>> label_codes(np.array([7, -3, 7, 900]))
    (array([1, 0, 1, 2], dtype=uint8), 3)
    """
    if labels.dtype == np.bool_:
        if labels.all() or not labels.any():
            return np.zeros(labels.shape, np.uint8), 1
        return labels.view(np.uint8), 2
    values = _distinct(labels)
    low, span = values[0], int(values[-1]) - int(values[0])
    if span >= 2**16:
        return np.searchsorted(values, labels).astype(np.uint8), len(values)
    table = np.zeros(span + 1, np.uint8)
    table[(values - low).astype(int)] = np.arange(len(values))
    return table[labels - low], len(values)


def _real_picture(array: ArrayLike) -> np.ndarray:
    picture = np.asarray(array)
    if picture.ndim == 3 and picture.shape[-1] in (3, 4) and picture.dtype.kind in "uf":
        raise ValueError(
            f"the picture has {picture.shape[-1]} colour channels; save labels or one grey channel "
            "(or, if it is a thin volume, put its short axis first)"
        )
    if not 1 <= picture.ndim <= MAX_AXES:
        raise ValueError(
            f"the array has shape {picture.shape}; pass one with 1, 2 or {MAX_AXES} axes"
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
    return len(_distinct(picture)) <= MAX_LABELS


def _distinct(picture: np.ndarray) -> np.ndarray:
    """Return the sorted distinct integers, no more than a few over `MAX_LABELS`, part by part."""
    seen = np.empty(0, picture.dtype)
    for part in np.array_split(picture.ravel(), math.ceil(picture.size / 2**18)):
        if len(seen) and np.isin(part, seen).all():  # for few values much faster than sorting
            continue
        seen = np.union1d(seen, part)
        if len(seen) > MAX_LABELS:
            break
    return seen
