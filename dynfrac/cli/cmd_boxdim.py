"""`dynfrac boxdim`: box dimension of a boundary or a set, from an image or a sweep."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np

from dynfrac.analysis.basin_entropies import BasinEntropy, basin_entropy
from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.labels import as_labels, as_mask
from dynfrac.analysis.local_dimensions import LocalDimension, local_dimension
from dynfrac.analysis.nulls import smooth_null, smooth_uncertainty
from dynfrac.analysis.scaling import local_slopes
from dynfrac.analysis.uncertainty import boundary_dimension_of, uncertainty_exponent
from dynfrac.cli.images import read_picture
from dynfrac.cli.output import echo_flags, print_json, print_table
from dynfrac.cli.targets import FIGURES, check_targets, write_record

VERDICTS = {
    "fractal": "this one is fractal",
    "smooth": "this one is not told apart from it at that radius",
    "open": "too little is known of this one to tell",
}
"""What the verdicts on a basin entropy mean."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--mask", is_flag=True, help="The set is the non-zero pixels, not a boundary.")
@click.option(
    "--threshold",
    type=float,
    metavar="VALUE",
    help="Separate the pixels above this value from the others first.",
)
@click.option(
    "--window",
    type=float,
    nargs=2,
    metavar="LOW HIGH",
    help="Smallest and largest box side to fit, in pixels.  "
    "[default: chosen by the data, at least two octaves between 2 px and 1/8 of the set]",
)
@click.option(
    "--resamples",
    type=click.IntRange(min=2),
    default=1000,
    show_default=True,
    help="Bootstrap resamples behind every interval.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the bootstrap.",
)
@click.option(
    "--uncertainty",
    is_flag=True,
    help="Also the uncertainty exponent alpha of the same labels, and N - alpha.",
)
@click.option(
    "--entropy",
    is_flag=True,
    help="Also their basin entropy, and whether the boundary differs from a smooth one.",
)
@click.option("--curve", is_flag=True, help="Also a table of the counts and their local slopes.")
@click.option(
    "--local",
    type=click.Path(path_type=Path),
    help="Write a map of the local dimension here (.png, .pdf or .svg).",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Write the figure here (.png, .pdf or .svg): the set, its counts, the local slopes.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the JSON record here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(
    file: Path,
    mask: bool,
    threshold: float | None,
    window: tuple[float, float] | None,
    resamples: int,
    seed: int,
    uncertainty: bool,
    entropy: bool,
    curve: bool,
    local: Path | None,
    plot: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Box dimension of a boundary or a set, from an image or a sweep.

    FILE is a .npy array with one, two or three axes, a .png or .tif image, or the .zarr folder of a
    finished sweep. Booleans and integers with at most 16 values are labels, floats of both signs
    are a signed field, and the set is the boundary between them; with --mask it is the non-zero
    pixels. Anything else needs --threshold.

    Prints the dimension with its 95 % interval, the range of box sides that was fitted, and what a
    circle and a straight line (in a volume, a ball and a plane) read at the same size and over the
    same range. Exit status 1 means that there is no value, for instance because there is no
    boundary.

    Two other readings of the same labels can stand beside it: the exponent with which neighbours
    come to agree, whose pairs of points are not blind to what is thinner than a pixel, and the
    entropy of the labels in small boxes and balls, which tells at a glance whether a boundary is
    smooth.

    \b
    Example:
      dynfrac boxdim run.zarr --plot boxdim.png
      dynfrac boxdim gasket.png --mask --json
      dynfrac boxdim basins.npy --uncertainty --entropy --local map.png
    """
    check_targets(
        {"--plot": plot, "--local": local, "--out": out},
        kinds={"--local": FIGURES},
        sources=[file],
    )
    if mask and (uncertainty or entropy):
        option = "--uncertainty" if uncertainty else "--entropy"
        raise ValueError(f"{option} is about labels, and a mask has none; leave out --mask")

    array, reservations = read_picture(file)
    try:
        picture = (as_mask if mask else as_labels)(array, threshold=threshold)
        # First what refuses pictures that the box count would take.
        places = local_dimension(picture, mask=mask) if local is not None else None
        mixture = basin_entropy(picture, n_resamples=resamples, seed=seed) if entropy else None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    estimate = box_dimension(picture, mask=mask, window=window, n_resamples=resamples, seed=seed)
    estimate = dataclasses.replace(estimate, flags=(*estimate.flags, *reservations))
    smooth: dict[str, Estimate] = {}
    if estimate.has_value:
        smooth = smooth_null(picture.shape, mask=mask, window=estimate.window, seed=seed)
    record = {**estimate.to_dict(), "smooth_null": smooth or None}
    alpha = straight = None
    if uncertainty:
        alpha = uncertainty_exponent(picture, n_resamples=resamples, seed=seed)
        straight = {}
        if alpha.has_value:
            straight = smooth_uncertainty(picture.shape, window=alpha.window, seed=seed)
        record["uncertainty"] = {
            **alpha.to_dict(),
            "dimension": boundary_dimension_of(alpha, picture.ndim),
            "smooth_null": straight or None,
        }
    if mixture is not None:
        record["basin_entropy"] = mixture
    if places is not None:
        record["local_dimension"] = places

    write_record(record, out)
    if plot is not None:
        _draw(estimate, picture, mask, smooth, plot, file)
    if local is not None and places is not None:
        _draw_map(places, picture, mask, local, file)
    if as_json:
        print_json(record)
    else:
        _print(file, estimate, smooth, picture, mask)
        if curve:
            _print_curve(estimate)
        if alpha is not None:
            _print_pairs(alpha, straight or {}, picture.ndim)
        if mixture is not None:
            _print_entropy(mixture)
    return 0 if estimate.has_value else 1


def _print(
    file: Path,
    estimate: Estimate,
    smooth: Mapping[str, Estimate],
    picture: np.ndarray,
    mask: bool,
) -> None:
    """Print the reading, those of the smooth curves below it, and the doubts."""
    what = "set of non-zero pixels" if mask else "boundary between labels"
    size = " x ".join(map(str, reversed(picture.shape)))
    click.echo(f"{file}: box dimension of the {what}, {size} px\n")
    if estimate.has_value:
        _print_readings("dimension", _beside(estimate, smooth))
        low, high = estimate.window
        click.echo(f"\nfitted over boxes of {low:g} to {high:g} px")
    else:
        click.echo("no value")
    echo_flags(estimate.flags)


def _beside(estimate: Estimate, smooth: Mapping[str, Estimate]) -> dict[str, Estimate]:
    return {"this picture": estimate, **{f"smooth {k}": v for k, v in smooth.items()}}


def _print_readings(quantity: str, readings: Mapping[str, Estimate]) -> None:
    print_table(
        ("", quantity, "stderr", "95 % interval"),
        [
            (
                name,
                f"{reading.value:.4f}",
                f"{reading.stderr:.4f}",
                f"[{reading.ci_low:.4f}, {reading.ci_high:.4f}]",
            )
            for name, reading in readings.items()
        ],
    )


def _print_curve(estimate: Estimate) -> None:
    """Print the counts, and the dimension between neighbouring sizes."""
    if not len(estimate.curve):
        return
    curve = estimate.curve
    slopes = [f"{-slope:.4f}" for slope in local_slopes(curve.x, curve.y)[1]] + [""]
    click.echo()
    print_table(
        ("box side", "boxes", "stderr", "local slope to the next"),
        [
            (f"{side:g}", f"{count:.6g}", f"{error:.3g}", slope)
            for side, count, error, slope in zip(
                curve.x, curve.y, curve.stderr, slopes, strict=True
            )
        ],
    )


def _print_pairs(alpha: Estimate, smooth: Mapping[str, Estimate], n_axes: int) -> None:
    """Print the exponent, and the dimension that follows from it."""
    click.echo("\nuncertainty exponent: how disagreement falls as points come closer\n")
    if alpha.has_value:
        _print_readings("alpha", _beside(alpha, smooth))
        dimension = boundary_dimension_of(alpha, n_axes)
        click.echo(
            f"\nfitted over {alpha.window[0]:g} to {alpha.window[1]:g} px; dimension {n_axes} - "
            f"alpha = {dimension.value:.4f}, in [{dimension.ci_low:.4f}, {dimension.ci_high:.4f}]"
        )
    else:
        click.echo("no value")
    echo_flags(alpha.flags)


def _print_entropy(mixture: BasinEntropy) -> None:
    """Print the entropies, and what a smooth boundary would read."""
    click.echo(f"\nbasin entropy, {mixture.n_labels} labels\n")
    readings = {
        f"boxes of {mixture.size} px": mixture.sb,
        "boxes on the boundary": mixture.sbb,
        f"balls on the boundary, radius {mixture.radius} px": mixture.balls,
    }
    readings = {name: reading for name, reading in readings.items() if reading.has_value}
    if readings:
        _print_readings("nats", readings)
    click.echo(
        f"\na smooth boundary reads {mixture.smooth:.4f} in balls: {VERDICTS[mixture.verdict]}"
    )
    echo_flags(mixture.flags)


def _draw(
    estimate: Estimate,
    picture: np.ndarray,
    mask: bool,
    smooth: Mapping[str, Estimate],
    path: Path,
    file: Path,
) -> None:
    """Write the figure. The first row of a sweep is its low end, of an image its top."""
    # Imported here: matplotlib takes longer to import than the rest takes to run.
    from dynfrac.plots.scaling_curves import box_dimension_figure

    figure = box_dimension_figure(
        estimate,
        picture,
        mask=mask,
        smooth=smooth,
        origin="lower" if file.suffix.lower() == ".zarr" else "upper",
        title=file.name,
    )
    figure.savefig(path, dpi=200)


def _draw_map(
    places: LocalDimension, picture: np.ndarray, mask: bool, path: Path, file: Path
) -> None:
    """Write the map of the local dimension."""
    from dynfrac.plots.local_dimensions import local_dimension_figure

    origin = "lower" if file.suffix.lower() == ".zarr" else "upper"
    figure = local_dimension_figure(places, picture, mask=mask, origin=origin, title=file.name)
    figure.savefig(path, dpi=200)
