"""The table of known values: what the package is checked against, one row per number.

The table is a TOML file that ships with the package, so that a reader, the tests and
``dynfrac validate`` look at the same numbers. It has one section for each computation::

    [henon]
    title = "Henon map, a = 1.4, b = 0.3"
    measure = "spectrum"
    quick = true
    given = { map = "henon", steps = 200_000 }
    rows = [
      { quantity = "exponent 1", reference = 0.41922, tolerance = 2e-3, known = "published", ... },
    ]

Here `measure` and `given` are the name and the arguments of a function of
`dynfrac.studies.measurements`, and there is one row for each of the numbers wanted of it.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import tomllib
from collections.abc import Mapping
from typing import Any, final

PROVENANCE: Mapping[str, str] = {
    "exact": "a closed form, an identity or a theorem",
    "published": "measured or computed in the publication that is cited",
    "computed": "computed for this project by two independent methods that agree",
}
"""How a reference value is known."""


@final
@dataclasses.dataclass(frozen=True)
class Known:
    """One known value.

    Attributes
    ----------
    id : str
        Name of the case and of the quantity, unique in the table.
    quantity : str
        Which of the readings of the case.
    reference : float
        The value.
    tolerance : float
        Absolute, for the effort of the case.
    known : str
        A key of `PROVENANCE`.
    source : str
        Formula, or author and year as in the bibliography.
    """

    id: str
    quantity: str
    reference: float
    tolerance: float
    known: str
    source: str


@final
@dataclasses.dataclass(frozen=True)
class Case:
    """One computation and the known values it is compared with.

    Attributes
    ----------
    name : str
    title : str
        The system in words.
    measure : str
        Name of a measurement.
    given : mapping
        Its arguments.
    quick : bool
        Whether it belongs to the quick table.
    rows : tuple of Known
    """

    name: str
    title: str
    measure: str
    given: Mapping[str, Any]
    quick: bool
    rows: tuple[Known, ...]


@functools.cache
def known_values() -> tuple[Case, ...]:
    """Read the table.

    Returns
    -------
    tuple of Case
        In the order of the file.
    """
    file = importlib.resources.files("dynfrac.studies") / "data" / "known_values.toml"
    sections = tomllib.loads(file.read_text(encoding="utf-8"))
    return tuple(_case(name, section) for name, section in sections.items())


def _case(name: str, section: Mapping[str, Any]) -> Case:
    rows = tuple(
        Known(
            id=f"{name}: {row['quantity']}",
            quantity=row["quantity"],
            reference=float(row["reference"]),
            tolerance=float(row["tolerance"]),
            known=row["known"],
            source=row["source"],
        )
        for row in section["rows"]
    )
    return Case(
        name=name,
        title=section["title"],
        measure=section["measure"],
        given=section["given"],
        quick=section.get("quick", False),
        rows=rows,
    )
