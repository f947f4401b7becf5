"""Residual against plain networks, as README.md fixed it beforehand.

Run it by ``python experiments/skip_vs_plain/run.py --out skip_vs_plain``. Stopped at any time, it
goes on where it was; ``--minutes 20`` stops by itself.
"""

import argparse
import functools
import json
import math
import time
import tomllib
from pathlib import Path

import numpy as np

from dynfrac import Axis, compare, make_architecture
from dynfrac.boundaries.windows import make_window_rule
from dynfrac.cli.output import format_duration, jsonable
from dynfrac.plots.comparison_reports import answer, comparison_report
from dynfrac.plots.comparisons import comparison_figure
from dynfrac.studies.arms import Arm, Protocol
from dynfrac.studies.paired_statistics import describe_differences
from dynfrac.studies.readings import seconds_per_run

HERE = Path(__file__).parent
NO_ANSWER = "no answer"


class OutOfTime(Exception):
    """The minutes that were given are over."""


def reading(found, config) -> str:
    """Return what the rule of README.md, fixed beforehand, makes of a comparison.

    The first line of the table that applies counts.
    """
    margin, n_seeds = config["margin"], len(found.readings)
    if found.statistics.n_pairs < math.ceil(config["least_complete"] * n_seeds):
        return f"{NO_ANSWER}: only {found.statistics.n_pairs} of {n_seeds} pairs are complete"
    missing = [arm.n_missing for arm in (found.arms[0], found.arms[-1])]
    if abs(missing[0] - missing[1]) > config["most_unequal"] * n_seeds:
        return f"{NO_ANSWER}: {missing[0]} and {missing[1]} seeds of the arms have no value"
    if not found.difference.has_value:
        return f"{NO_ANSWER}: there is no interval"
    late = [arm.steps.value for arm in (found.arms[0], found.arms[-1])]
    if not (
        max(late) <= config["most_late"] and abs(late[0] - late[1]) <= config["most_late_apart"]
    ):
        return (
            f"{NO_ANSWER}: {late[0]:.0%} and {late[1]:.0%} of the labels next to the boundaries "
            "change with twice the steps"
        )
    means = [arm.dimension.value for arm in (found.arms[0], found.arms[-1])]
    if min(means) > config["fills"]:
        return (
            f"both fill the plane at these scales (D = {means[0]:.2f} and {means[1]:.2f}): the "
            "dimension does not tell them apart"
        )
    difference, equal = found.difference, found.equivalence
    small = ", by less than the margin" if equal is not None and equal.equivalent else ""
    if difference.ci_high < 0:
        return f"supports the claim{small}, at this size"
    if difference.ci_low > 0:
        return f"contradicts the claim{small}, at this size"
    if small:
        return f"equal within the margin of {margin:g}"
    if difference.ci_low > -margin:
        return f"open; a shrinkage by {margin:g} or more is excluded"
    return "open"


def uncertain_shares(found) -> dict:
    """Return what share of the pairs disagrees, and how the arms differ in it, seed by seed.

    The share is the mean over the distances of the range. Where a boundary fills the plane it does
    not fall with the distance, and is half the area in which outcomes are mixed.
    """
    shares = [
        [float(np.mean(r.estimate.curve.y)) if r.estimate.has_value else math.nan for r in row]
        for row in found.readings
    ]
    table = np.array(shares)[:, [0, -1]]
    ratio = describe_differences(np.log(table[:, 0] / table[:, 1]))
    return {
        "shares": table.tolist(),
        "log_ratio": {
            "n_pairs": ratio.n_pairs,
            "mean": ratio.mean,
            "stderr": ratio.stderr,
            "ci_low": ratio.ci_low,
            "ci_high": ratio.ci_high,
        },
    }


def make(seed, name, arguments):
    """Return the training of a network whose initial weights have this seed."""
    return make_architecture(name, seed=seed, **arguments)


def read_seeds(text) -> list[int]:
    """Return the seeds FIRST, ..., STOP - 1 of ``FIRST:STOP``."""
    first, stop = map(int, text.split(":"))
    if not 0 <= first < stop:
        raise ValueError(text)
    return list(range(first, stop))


def choose(config, entry, seeds):
    """Return the arms of a comparison, its search box, its seeds, and the keywords of `compare`."""
    arguments = {**config["arguments"], **entry.get("arguments", {})}
    arms = [
        Arm(entry[side], functools.partial(make, name=entry[side], arguments=arguments))
        for side in ("a", "b")
    ]
    given = {**config, **entry}
    search = (Axis.parse(given["x"]), Axis.parse(given["y"]))
    keywords = {
        "n_steps": given["steps"],
        "budget": given["budget"],
        "seed": given["seed"],
        "rule": given["rule"],
        "scales": tuple(given["scales"]),
        "lanes": given.get("lanes"),
        "dtype": given.get("dtype"),
    }
    return arms, search, list(range(given["seeds"])) if seeds is None else seeds, keywords


def main() -> None:
    """Run, or go on with, all comparisons of a configuration."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", type=Path, default=HERE / "cpu.toml")
    parser.add_argument("--out", type=Path, default=Path("skip_vs_plain"))
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    parser.add_argument("--only", help="name of the one comparison to run")
    parser.add_argument("--seeds", help="FIRST:STOP in place of the configuration's")
    parser.add_argument("--estimate", action="store_true", help="say how long it takes, and stop")
    options = parser.parse_args()
    config = tomllib.loads(options.config.read_text("utf-8"))
    names = [entry["name"] for entry in config["comparison"]]
    if options.only not in (None, *names):
        parser.error(f"--only {options.only} is none of {', '.join(names)}")
    try:
        seeds = None if options.seeds is None else read_seeds(options.seeds)
    except ValueError:
        parser.error(f"--seeds {options.seeds} is not FIRST:STOP, such as 0:10")
    options.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes
    for entry in config["comparison"]:
        if options.only in (None, entry["name"]):
            try:
                run(config, entry, seeds, options, deadline)
            except OutOfTime:
                print(f"{entry['name']}: stopped; the same command goes on", flush=True)
                return


def run(config, entry, seeds, options, deadline) -> None:
    """Run one comparison and write its record, figure and page."""
    arms, search, chosen, keywords = choose(config, entry, seeds)
    window = {**config, **entry}["window"]
    if options.estimate:
        protocol = Protocol(search, window=make_window_rule(window), **keywords)
        each = sum(seconds_per_run(arm, 0, protocol) for arm in arms) / 2
        n_runs = 2 * len(chosen) * keywords["budget"]
        print(
            f"{entry['name']}: {n_runs} runs at most, {each:.3g} s each, "
            f"{format_duration(each * n_runs)}"
        )
        return
    told = [0]

    def report(done, total):
        if time.monotonic() > deadline:
            raise OutOfTime
        percent = 100 * done // total
        if percent > told[0]:
            told[0] = percent
            print(f"{entry['name']}: {percent} % at {time.strftime('%H:%M')}", flush=True)

    found = compare(
        *arms,
        search,
        seeds=chosen,
        window=window,
        margin=config["margin"],
        journal=options.out / entry["name"],
        on_progress=report,
        **keywords,
    )
    # A part of the seeds must not pass for the study.
    part = "" if seeds is None else f"-seeds-{options.seeds.replace(':', '-')}"
    stem = options.out / f"{entry['name']}{part}"
    shares = uncertain_shares(found)
    record = jsonable(
        {
            "reading": reading(found, config),
            "config": {**config, "comparison": entry},
            "uncertain": shares,
        }
    ) | jsonable(found)
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    stem.with_suffix(".json").write_text(text, encoding="utf-8")
    comparison_figure(found).savefig(stem.with_suffix(".png"), dpi=200)
    command = f"run.py --config {options.config.name} --only {entry['name']}"
    page = comparison_report(found, command=f"experiments/skip_vs_plain/{command}")
    stem.with_suffix(".html").write_text(page, encoding="utf-8")
    print(f"{entry['name']}: {record['reading']}\n  {answer(found)}", flush=True)
    print(f"  power: {found.power.sentence}", flush=True)
    ratio = shares["log_ratio"]
    ends = [math.exp(ratio[key]) for key in ("mean", "ci_low", "ci_high")]
    print("  uncertain share, a over b: {:.2f} [{:.2f}, {:.2f}]".format(*ends), flush=True)
    for flag in found.flags:
        print(f"  note: {flag}", flush=True)


if __name__ == "__main__":
    main()
