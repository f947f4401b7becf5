"""Sets of cells with sixty-four cells of a row to a word: shifted, combined and counted as words.

A set of 8192 x 8192 cells takes 8 MiB. Along the last axis a shift moves bits, along the others it
is a slice; `&`, `|` and `^` are NumPy's. Bit i of a row is bit i % 64 of its word i // 64.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

_BITS = 64


def pack_rows(occupied: np.ndarray, pad: int = 0) -> np.ndarray:
    """Pack the cells of each row into words, with empty cells all around.

    Parameters
    ----------
    occupied : bool array of 1 or more axes
    pad : int
        Empty cells before and after, along every axis.

    Returns
    -------
    uint64 array of as many axes
        Row i of the set is row `pad + i`; its cell j is bit `pad + j`. At least one more word is
        empty at the end of every row.

    Examples
    --------
    >>> pack_rows(np.array([[True, False, True]]))
    array([[5, 0]], dtype=uint64)
    """
    length = occupied.shape[-1] + 2 * pad
    n_words = -(-length // _BITS) + 1  # one more, so that what is shifted in is empty
    shape = [n + 2 * pad for n in occupied.shape[:-1]]
    words = np.zeros((*shape, n_words), dtype="<u8")
    inside = tuple(slice(pad, pad + n) for n in occupied.shape[:-1])
    bits = np.packbits(occupied, axis=-1, bitorder="little")
    # Whole bytes now; the rest of the shift is done on words.
    first_byte = pad // 8
    words.view(np.uint8)[*inside, first_byte : first_byte + bits.shape[-1]] = bits
    return shift_rows(words, -(pad % 8)) if pad % 8 else words


def unpack_rows(words: np.ndarray, shape: tuple[int, ...], start: int = 0) -> np.ndarray:
    """Unpack the cells of a box whose first cell has the index `start` along every axis.

    Parameters
    ----------
    words : uint64 array
        As of `pack_rows`.
    shape : tuple of ints
        Of the box.
    start : int

    Returns
    -------
    bool array of that shape

    Examples
    --------
    >>> unpack_rows(pack_rows(np.ones((2, 3), bool), pad=5), (2, 4), start=5)
    array([[ True,  True,  True, False],
           [ True,  True,  True, False]])
    """
    rows = words[tuple(slice(start, start + n) for n in shape[:-1])]
    row_bytes = np.ascontiguousarray(rows).view(np.uint8)
    bits = np.unpackbits(row_bytes, axis=-1, bitorder="little", count=start + shape[-1])
    return bits[..., start:].view(bool)


def shift_rows(words: np.ndarray, step: int) -> np.ndarray:
    """Move rows of bits: bit i of the result is bit i + step, or empty if there is none.

    Parameters
    ----------
    words : (..., W) uint64 array
    step : int
        Of either sign.

    Returns
    -------
    (..., W) uint64 array

    Examples
    --------
    >>> shift_rows(np.array([1, 6], np.uint64), 65)
    array([3, 0], dtype=uint64)
    """
    n_words = words.shape[-1]
    whole, rest = divmod(step, _BITS)
    moved = np.zeros_like(words)
    for n, shift in ((whole, rest), (whole + 1, rest - _BITS)):
        if shift == -_BITS or abs(n) >= n_words:
            continue
        source = words[..., max(n, 0) : n_words + min(n, 0)]
        target = moved[..., max(-n, 0) : n_words - max(n, 0)]
        amount = np.uint64(abs(shift))
        target |= source >> amount if shift >= 0 else source << amount
    return moved


def count_by_tile(words: np.ndarray, cuts: Sequence[np.ndarray]) -> np.ndarray:
    """Count the cells of a set between the cuts of each axis.

    Parameters
    ----------
    words : uint64 array
        As of `pack_rows`.
    cuts : sequence of (K + 1,) int arrays
        One for each axis, strictly ascending: part k of the axis holds the cells from `cut[k]` on,
        below `cut[k + 1]`. Along the last axis they are bits.

    Returns
    -------
    int array of as many axes
        One count for each tile.

    Examples
    --------
    >>> count_by_tile(pack_rows(np.ones((2, 10), bool)), [np.array([0, 2]), np.array([1, 4])])
    array([[6]])
    """
    counts = np.empty([len(cut) - 1 for cut in cuts], dtype=np.int64)
    rows = tuple(slice(cut[0], cut[-1]) for cut in cuts[:-1])
    for j, (first, last) in enumerate(itertools.pairwise(cuts[-1].tolist())):
        stripe = words[*rows, first // _BITS : -(-last // _BITS)] & _bits_between(first, last)
        per_row = np.bitwise_count(stripe).sum(axis=-1, dtype=np.int64)
        for axis, cut in enumerate(cuts[:-1]):
            per_row = np.add.reduceat(per_row, cut[:-1] - cut[0], axis=axis)
        counts[..., j] = per_row
    return counts


def _bits_between(first: int, last: int) -> np.ndarray:
    """Return the words from that of bit `first` to that of bit `last - 1`, with these bits set."""
    start = first // _BITS * _BITS
    places = np.arange(start, -(-last // _BITS) * _BITS)
    inside = (places >= first) & (places < last)
    return np.packbits(inside, bitorder="little").view("<u8")
