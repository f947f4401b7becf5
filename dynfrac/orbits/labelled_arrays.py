"""Results as xarray's data sets: arrays with named dimensions, their points and their conditions.

xarray is optional, and imported only when a data set is asked for.
"""

from __future__ import annotations

import json
import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dynfrac.orbits.axes import Axis
from dynfrac.orbits.axis_names import NAMES

if TYPE_CHECKING:
    import xarray

Labelled = tuple[Sequence[str], np.ndarray, Mapping[str, Any]]
"""Dimensions, values, and attributes such as `long_name`."""


def make_dataset(
    variables: Mapping[str, Labelled],
    coordinates: Mapping[str, Labelled],
    conditions: Mapping[str, Any],
) -> xarray.Dataset:
    """Return a data set that can be written to a file as it is.

    Parameters
    ----------
    variables, coordinates : mapping of str to (dimensions, values, attributes)
    conditions : mapping
        Anything that JSON knows; they become attributes of the data set, by `plain_attributes`.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    ImportError
        If xarray is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise ImportError('labelled arrays need xarray: pip install "dynfrac[xarray]"') from None
    return xarray.Dataset(
        {name: (tuple(d), values, dict(about)) for name, (d, values, about) in variables.items()},
        {name: (tuple(d), values, dict(about)) for name, (d, values, about) in coordinates.items()},
        plain_attributes(conditions),
    )


def axis_coordinate(axis: Axis, points: np.ndarray) -> Labelled:
    """Return the coordinate of an axis: its points, what it is in words, and its scale.

    Parameters
    ----------
    axis : Axis
    points : (n,) array
    """
    about = {"long_name": NAMES.get(axis.name, axis.name), "scale": axis.scale}
    return (axis.name,), points, about


def plain_attributes(conditions: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Return conditions as attributes that every file format holds: numbers and text.

    Parameters
    ----------
    conditions : mapping
        Lists and mappings become JSON text; None is left out, as files have no word for it.

    Examples
    --------
    >>> plain_attributes({"n_steps": 100, "hparams": {"lr": 0.5}, "git": None})
    {'n_steps': 100, 'hparams': '{"lr": 0.5}'}
    """
    return {key: _plain(value) for key, value in conditions.items() if value is not None}


def _plain(value: Any) -> str | int | float:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return int(value)  # netCDF has no truth values
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    return json.dumps(value, default=_simplify)


def _simplify(value: Any) -> Any:
    """Turn what JSON does not know into what it does: arrays and their numbers, else text."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
