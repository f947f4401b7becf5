"""`dynfrac boxdim`: box dimension of a boundary or a set, from an image or a sweep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np

from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.estimates import Estimate
from dynfrac.analysis.labels import as_labels, as_mask
from dynfrac.analysis.nulls import smooth_null
from dynfrac.cli.images import read_picture
from dynfrac.cli.output import check_output, echo_flags, jsonable, print_json, print_table

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


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
    help="Bootstrap resamples behind the interval.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the bootstrap.",
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
    plot: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Box dimension of a boundary or a set, from an image or a sweep.

    FILE is a .npy array, a .png or .tif image, or the .zarr folder of a finished sweep. Booleans
    and integers with at most 16 values are labels, floats of both signs are a signed field, and
    the set is the boundary between them; with --mask it is the non-zero pixels. Anything else needs
    --threshold.

    Prints the dimension with its 95 % interval, the range of box sides that was fitted, and what a
    circle and a straight line read at the same size and over the same range. Exit status 1 means
    that there is no value, for instance because there is no boundary.

    \b
    Example:
      dynfrac boxdim run.zarr --plot boxdim.png
      dynfrac boxdim gasket.png --mask --json
    """
    for path, option in ((plot, "--plot"), (out, "--out")):
        if path is not None:
            check_output(path, option)
    if plot is not None and plot.suffix.lower() not in FIGURE_SUFFIXES:
        raise ValueError(f"--plot {plot}: figures are written as {', '.join(FIGURE_SUFFIXES)}")

    array = read_picture(file)
    try:
        picture = (as_mask if mask else as_labels)(array, threshold=threshold)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    estimate = box_dimension(picture, mask=mask, window=window, n_resamples=resamples, seed=seed)
    smooth: dict[str, Estimate] = {}
    if estimate.has_value:
        smooth = smooth_null(picture.shape, mask=mask, window=estimate.window, seed=seed)

    record = {**estimate.to_dict(), "smooth_null": smooth or None}
    if out is not None:
        out.write_text(json.dumps(jsonable(record), indent=2) + "\n", encoding="utf-8")
    if plot is not None:
        _draw(estimate, picture, mask, smooth, plot, file)
    if as_json:
        print_json(record)
    else:
        _print(file, estimate, smooth, picture, mask)
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
    rows, columns = picture.shape
    click.echo(f"{file}: box dimension of the {what}, {columns} x {rows} px\n")
    if estimate.has_value:
        readings = {"this picture": estimate, **{f"smooth {k}": v for k, v in smooth.items()}}
        print_table(
            ("", "dimension", "stderr", "95 % interval"),
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
        low, high = estimate.window
        click.echo(f"\nfitted over boxes of {low:g} to {high:g} px")
    else:
        click.echo("no value")
    echo_flags(estimate.flags)


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
