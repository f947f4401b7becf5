"""dynfrac: training runs as iterated maps, analysed as dynamical systems.

The public names are imported when they are first used, so that `import dynfrac` and
``dynfrac --help`` cost nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynfrac.analysis.boxes import box_dimension as box_dimension
    from dynfrac.analysis.estimates import Estimate as Estimate
    from dynfrac.analysis.kaplan_yorke import kaplan_yorke_dimension as kaplan_yorke_dimension
    from dynfrac.analysis.lyapunov import LyapunovSpectrum as LyapunovSpectrum
    from dynfrac.analysis.lyapunov import lyapunov_spectrum as lyapunov_spectrum
    from dynfrac.orbits.axes import Axis as Axis
    from dynfrac.orbits.evaluator import evaluate as evaluate
    from dynfrac.orbits.iteration import iterate as iterate
    from dynfrac.orbits.outcomes import Outcomes as Outcomes
    from dynfrac.orbits.outcomes import Status as Status
    from dynfrac.sweeps.runs import open_sweep as open_sweep
    from dynfrac.sweeps.runs import sweep as sweep
    from dynfrac.systems.abstract import AbstractMap as AbstractMap
    from dynfrac.systems.training import TrainingMap as TrainingMap

_HOMES = {
    "AbstractMap": "dynfrac.systems.abstract",
    "Axis": "dynfrac.orbits.axes",
    "Estimate": "dynfrac.analysis.estimates",
    "LyapunovSpectrum": "dynfrac.analysis.lyapunov",
    "Outcomes": "dynfrac.orbits.outcomes",
    "Status": "dynfrac.orbits.outcomes",
    "TrainingMap": "dynfrac.systems.training",
    "box_dimension": "dynfrac.analysis.boxes",
    "evaluate": "dynfrac.orbits.evaluator",
    "iterate": "dynfrac.orbits.iteration",
    "kaplan_yorke_dimension": "dynfrac.analysis.kaplan_yorke",
    "lyapunov_spectrum": "dynfrac.analysis.lyapunov",
    "open_sweep": "dynfrac.sweeps.runs",
    "sweep": "dynfrac.sweeps.runs",
}

__all__ = [
    "AbstractMap",
    "Axis",
    "Estimate",
    "LyapunovSpectrum",
    "Outcomes",
    "Status",
    "TrainingMap",
    "box_dimension",
    "evaluate",
    "iterate",
    "kaplan_yorke_dimension",
    "lyapunov_spectrum",
    "open_sweep",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dynfrac' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return __all__
