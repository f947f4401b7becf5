"""dynfrac: training runs as iterated maps, analysed as dynamical systems.

The public names are imported when they are first used, so that `import dynfrac` and
``dynfrac --help`` cost nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynfrac.analysis.basin_entropies import BasinEntropy as BasinEntropy
    from dynfrac.analysis.basin_entropies import basin_entropy as basin_entropy
    from dynfrac.analysis.boxes import box_dimension as box_dimension
    from dynfrac.analysis.cascades import OrbitDiagram as OrbitDiagram
    from dynfrac.analysis.correlations import correlation_dimension as correlation_dimension
    from dynfrac.analysis.correlations import correlation_sum as correlation_sum
    from dynfrac.analysis.covariant import (
        covariant_lyapunov_vectors as covariant_lyapunov_vectors,
    )
    from dynfrac.analysis.diagrams import orbit_diagram as orbit_diagram
    from dynfrac.analysis.estimates import Estimate as Estimate
    from dynfrac.analysis.finite_time import finite_time_lyapunov as finite_time_lyapunov
    from dynfrac.analysis.generalized import generalized_dimension as generalized_dimension
    from dynfrac.analysis.kaplan_yorke import kaplan_yorke_dimension as kaplan_yorke_dimension
    from dynfrac.analysis.lyapunov import lyapunov_spectrum as lyapunov_spectrum
    from dynfrac.analysis.lyapunov import max_lyapunov as max_lyapunov
    from dynfrac.analysis.spectra import LyapunovSpectrum as LyapunovSpectrum
    from dynfrac.analysis.takens import takens_dimension as takens_dimension
    from dynfrac.analysis.uncertainty import uncertainty_exponent as uncertainty_exponent
    from dynfrac.boundaries.dimensions import boundary_dimension as boundary_dimension
    from dynfrac.boundaries.edges import track_edge as track_edge
    from dynfrac.boundaries.windows import RayWindow as RayWindow
    from dynfrac.orbits.axes import Axis as Axis
    from dynfrac.orbits.evaluator import evaluate as evaluate
    from dynfrac.orbits.iteration import iterate as iterate
    from dynfrac.orbits.outcomes import Outcomes as Outcomes
    from dynfrac.orbits.outcomes import Status as Status
    from dynfrac.studies.comparison_summaries import Comparison as Comparison
    from dynfrac.studies.comparisons import compare as compare
    from dynfrac.studies.comparisons import compare_levels as compare_levels
    from dynfrac.studies.dimension_reports import DimensionReport as DimensionReport
    from dynfrac.studies.dimension_reports import report_dimension as report_dimension
    from dynfrac.sweeps.results import open_sweep as open_sweep
    from dynfrac.sweeps.runs import sweep as sweep
    from dynfrac.systems.abstract import AbstractMap as AbstractMap
    from dynfrac.systems.catalogue import make_architecture as make_architecture
    from dynfrac.systems.catalogue import make_map as make_map
    from dynfrac.systems.datasets import load_data as load_data
    from dynfrac.systems.mnist import load_mnist as load_mnist
    from dynfrac.systems.optimizers import make_optimizer as make_optimizer
    from dynfrac.systems.recipes import training_map as training_map
    from dynfrac.systems.training import TrainingMap as TrainingMap

_HOMES = {
    "AbstractMap": "dynfrac.systems.abstract",
    "Axis": "dynfrac.orbits.axes",
    "BasinEntropy": "dynfrac.analysis.basin_entropies",
    "Comparison": "dynfrac.studies.comparison_summaries",
    "DimensionReport": "dynfrac.studies.dimension_reports",
    "Estimate": "dynfrac.analysis.estimates",
    "LyapunovSpectrum": "dynfrac.analysis.spectra",
    "OrbitDiagram": "dynfrac.analysis.cascades",
    "Outcomes": "dynfrac.orbits.outcomes",
    "RayWindow": "dynfrac.boundaries.windows",
    "Status": "dynfrac.orbits.outcomes",
    "TrainingMap": "dynfrac.systems.training",
    "basin_entropy": "dynfrac.analysis.basin_entropies",
    "boundary_dimension": "dynfrac.boundaries.dimensions",
    "box_dimension": "dynfrac.analysis.boxes",
    "compare": "dynfrac.studies.comparisons",
    "compare_levels": "dynfrac.studies.comparisons",
    "correlation_dimension": "dynfrac.analysis.correlations",
    "correlation_sum": "dynfrac.analysis.correlations",
    "covariant_lyapunov_vectors": "dynfrac.analysis.covariant",
    "evaluate": "dynfrac.orbits.evaluator",
    "finite_time_lyapunov": "dynfrac.analysis.finite_time",
    "generalized_dimension": "dynfrac.analysis.generalized",
    "iterate": "dynfrac.orbits.iteration",
    "kaplan_yorke_dimension": "dynfrac.analysis.kaplan_yorke",
    "load_data": "dynfrac.systems.datasets",
    "load_mnist": "dynfrac.systems.mnist",
    "lyapunov_spectrum": "dynfrac.analysis.lyapunov",
    "make_architecture": "dynfrac.systems.catalogue",
    "make_map": "dynfrac.systems.catalogue",
    "make_optimizer": "dynfrac.systems.optimizers",
    "max_lyapunov": "dynfrac.analysis.lyapunov",
    "open_sweep": "dynfrac.sweeps.results",
    "orbit_diagram": "dynfrac.analysis.diagrams",
    "report_dimension": "dynfrac.studies.dimension_reports",
    "sweep": "dynfrac.sweeps.runs",
    "takens_dimension": "dynfrac.analysis.takens",
    "track_edge": "dynfrac.boundaries.edges",
    "training_map": "dynfrac.systems.recipes",
    "uncertainty_exponent": "dynfrac.analysis.uncertainty",
}

__all__ = [
    "AbstractMap",
    "Axis",
    "BasinEntropy",
    "Comparison",
    "DimensionReport",
    "Estimate",
    "LyapunovSpectrum",
    "OrbitDiagram",
    "Outcomes",
    "RayWindow",
    "Status",
    "TrainingMap",
    "basin_entropy",
    "boundary_dimension",
    "box_dimension",
    "compare",
    "compare_levels",
    "correlation_dimension",
    "correlation_sum",
    "covariant_lyapunov_vectors",
    "evaluate",
    "finite_time_lyapunov",
    "generalized_dimension",
    "iterate",
    "kaplan_yorke_dimension",
    "load_data",
    "load_mnist",
    "lyapunov_spectrum",
    "make_architecture",
    "make_map",
    "make_optimizer",
    "max_lyapunov",
    "open_sweep",
    "orbit_diagram",
    "report_dimension",
    "sweep",
    "takens_dimension",
    "track_edge",
    "training_map",
    "uncertainty_exponent",
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
