"""Results as plain values: what can be written as JSON, on a command line and on a page alike."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np


def jsonable(obj: Any) -> Any:
    """Turn a result into what JSON can say.

    Parameters
    ----------
    obj : object
        Dataclasses (by `to_dict` where they have one, else field by field), mappings, sequences,
        NumPy and jax arrays and scalars, paths, strings, numbers, None.

    Returns
    -------
    dict, list, str, int, float, bool or None
        Numbers that are not finite become None.

    Raises
    ------
    TypeError
        If something has no JSON form.
    """
    if obj is None or isinstance(obj, str | bool):
        return obj
    if isinstance(obj, int):
        return int(obj)
    if isinstance(obj, float):
        return float(obj) if math.isfinite(obj) else None
    if isinstance(obj, Mapping):
        return {str(key): jsonable(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple | set | frozenset):
        return [jsonable(item) for item in obj]
    if isinstance(obj, os.PathLike):
        return os.fspath(obj)
    if hasattr(obj, "to_dict"):
        return jsonable(obj.to_dict())
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        fields = dataclasses.fields(obj)
        return {field.name: jsonable(getattr(obj, field.name)) for field in fields}
    if isinstance(obj, np.ndarray | np.generic) or hasattr(obj, "__array__"):
        array = np.asarray(obj)
        if array.dtype.kind in "biufU":
            return jsonable(array.tolist())
        if array.dtype.kind == "V" and "float" in array.dtype.name:  # bfloat16 and its kin
            return jsonable(array.astype(np.float64).tolist())
    raise TypeError(f"{type(obj).__name__} has no JSON form")
