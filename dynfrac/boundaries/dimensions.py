"""The dimension of a boundary without a sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from dynfrac.analysis.estimates import Estimate
from dynfrac.boundaries.box_cascades import box_cascade
from dynfrac.boundaries.budgets import check_budget, check_seed
from dynfrac.boundaries.oracles import Labels, Oracle
from dynfrac.boundaries.pair_fits import dimension_estimate
from dynfrac.boundaries.pairs import draw_pairs
from dynfrac.boundaries.stretch_tails import stretch_tail
from dynfrac.boundaries.transects import transect_dimension
from dynfrac.orbits.axes import Axis
from dynfrac.orbits.criteria import AbstractRule
from dynfrac.systems.abstract import AbstractMap, unknown_name

PAIRS, STRETCH_TAIL = "pairs", "stretch-tail"


def stratified_pairs(
    oracle: Oracle, *, seed: int = 0, on_progress: Callable[[int], None] | None = None
) -> Estimate:
    """Draw stratified pairs and fit the dimension of the boundary to them.

    Parameters
    ----------
    oracle : Oracle
    seed : int
        Of the points and the bootstrap.
    on_progress : callable, optional
        Called with the number of labels used so far.
    """
    return dimension_estimate(draw_pairs(oracle, seed=seed, on_progress=on_progress), seed=seed)


ROUTES: Mapping[str, Callable[..., Estimate]] = MappingProxyType(
    {PAIRS: stratified_pairs, "box-cascade": box_cascade, "transects": transect_dimension}
)
"""Methods that need labels and nothing else, by name: `route(oracle, *, seed, on_progress)`."""

METHODS = ("auto", *ROUTES, STRETCH_TAIL)


def boundary_dimension(
    target: AbstractMap | Labels,
    axes: Sequence[Axis],
    *,
    budget: int,
    method: str = "auto",
    seed: int = 0,
    n_steps: int | None = None,
    hparams: Mapping[str, float] | None = None,
    rule: str | AbstractRule | None = None,
    dtype: str | None = None,
    lanes: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Estimate:
    """Box dimension of the boundary between outcomes, from runs at chosen points.

    Parameters
    ----------
    target : AbstractMap or callable
        A map, whose label is whether a run converged by its rule; or any function of a float64
        array (N, d) of axis values that returns N integers. The boundary is where labels differ.
    axes : sequence of Axis
        One to three. Distances are in units of the window, in decades on logarithmic axes.
    budget : int
        Most runs or labels to spend, at least 500, those of the pilot grid included.
    method : {"auto", "pairs", "box-cascade", "transects", "stretch-tail"}
        Stratified pairs of points (`dynfrac.boundaries.pairs`), which is what "auto" means; a
        nested sample of boxes; label changes along random segments; or, of a map, how much the
        derivatives of its runs grow. Each module says where its method misleads.
    seed : int, default 0
        Of the points and the bootstrap.
    n_steps, hparams, rule, dtype, lanes
        Of a map, as in `dynfrac.evaluate`; `n_steps` is required.
    on_progress : callable, optional
        Called with the number of labels used so far.

    Returns
    -------
    Estimate
        Of pairs: `curve` is the fraction f that disagree against their distance, `window` the
        distances fitted, `n_runs` the labels used. Not-a-number, with the reason in `flags`, if no
        boundary was met or too few pairs disagree. Isolated points are not met, but on one axis.

    Raises
    ------
    ValueError
        If the budget is below 500, the method unknown or not for this target, or axes and target
        do not fit.

    Notes
    -----
    f ~ eps^alpha and D = N - alpha (`grebogi1983`, `mcdonald1985` in docs/references.bib). The
    error is a bootstrap over centres; it says how well the slope over these scales is known, and
    nothing of other scales. Where the dimension depends on the scale, as it does on trainability
    boundaries, quote `window` with the number. A second opinion, and what is needed to judge both,
    are added by `dynfrac.report_dimension` and the command `dynfrac dimension`.

    Examples
    --------
    >>> def inside(points):
    ...     return (points**2).sum(axis=1) < 1
    >>> axes = [Axis("x", -2.0, 2.0), Axis("y", -2.0, 2.0)]
    >>> estimate = boundary_dimension(inside, axes, budget=40_000)
    >>> round(float(estimate), 1)
    1.0
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    budget, seed = check_budget(budget), check_seed(seed)
    settings = {
        "n_steps": n_steps,
        "hparams": hparams,
        "rule": rule,
        "dtype": dtype,
        "lanes": lanes,
    }
    # What does not fit is said in the same words for all methods.
    oracle = Oracle(target, axes, budget=budget, **settings)
    if method == STRETCH_TAIL:
        if not isinstance(target, AbstractMap):
            raise ValueError(f"method={method!r} needs a map, whose runs it follows; use 'pairs'")
        settings |= {"budget": budget, "seed": seed, "on_progress": on_progress}
        return stretch_tail(target, axes, **settings).estimate
    route = ROUTES[PAIRS if method == "auto" else method]
    return route(oracle, seed=seed, on_progress=on_progress)
