"""Residual against plain networks, as README.md fixed it beforehand.

Run it by ``python experiments/skip_vs_plain/run.py --out skip_vs_plain``. Stopped at any time, it
goes on where it was; ``--minutes 20`` stops by itself.
"""

import argparse
import functools
import json
import time
import tomllib
from pathlib import Path

from dynfrac import Axis, compare, make_architecture
from dynfrac.boundaries.windows import make_window_rule
from dynfrac.cli.output import format_duration, jsonable
from dynfrac.plots.comparison_reports import answer, comparison_report
from dynfrac.plots.comparisons import comparison_figure
from dynfrac.studies.arms import Arm, Protocol
from dynfrac.studies.readings import seconds_per_run

HERE = Path(__file__).parent


class OutOfTime(Exception):
    """The minutes that were given are over."""


def make(seed, name, arguments):
    """Return the training of a network whose initial weights have this seed."""
    return make_architecture(name, seed=seed, **arguments)


def main() -> None:
    """Run, or go on with, all comparisons of a configuration."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", type=Path, default=HERE / "cpu.toml")
    parser.add_argument("--out", type=Path, default=Path("skip_vs_plain"))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--only", help="name of the one comparison to run")
    parser.add_argument("--seeds", help="FIRST:STOP in place of the configuration's")
    parser.add_argument("--estimate", action="store_true", help="say how long it takes, and stop")
    options = parser.parse_args()
    config = tomllib.loads(options.config.read_text("utf-8"))
    options.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes
    for entry in config["comparison"]:
        if options.only in (None, entry["name"]):
            try:
                run(config, entry, options, deadline)
            except OutOfTime:
                print(f"{entry['name']}: stopped; the same command goes on", flush=True)
                return


def run(config, entry, options, deadline) -> None:
    """Run one comparison and write its record, figure and page."""
    arguments = {**config["arguments"], **entry.get("arguments", {})}
    arms = [
        Arm(entry[side], functools.partial(make, name=entry[side], arguments=arguments))
        for side in ("a", "b")
    ]
    search = (Axis.parse(config["x"]), Axis.parse(config["y"]))
    keywords = {
        "n_steps": config["steps"],
        "budget": config["budget"],
        "seed": config["seed"],
        "rule": config["rule"],
        "lanes": config.get("lanes"),
    }
    seeds = config["seeds"]
    if options.seeds:
        seeds = range(*map(int, options.seeds.split(":")))
    if options.estimate:
        protocol = Protocol(search, window=make_window_rule(config["window"]), **keywords)
        each = sum(seconds_per_run(arm, 0, protocol) for arm in arms) / 2
        n_runs = 2 * (seeds if isinstance(seeds, int) else len(seeds)) * config["budget"]
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
        seeds=seeds if isinstance(seeds, int) else list(seeds),
        window=config["window"],
        margin=config["margin"],
        journal=options.out / entry["name"],
        on_progress=report,
        **keywords,
    )
    stem = options.out / entry["name"]
    record = json.dumps(jsonable(found), indent=2, allow_nan=False)
    stem.with_suffix(".json").write_text(record + "\n", encoding="utf-8")
    comparison_figure(found).savefig(stem.with_suffix(".png"), dpi=200)
    page = comparison_report(found, command=f"experiments/skip_vs_plain/run.py ({entry['name']})")
    stem.with_suffix(".html").write_text(page, encoding="utf-8")
    print(f"{entry['name']}: {answer(found)}\n  power: {found.power.sentence}", flush=True)
    for flag in found.flags:
        print(f"  note: {flag}", flush=True)


if __name__ == "__main__":
    main()
