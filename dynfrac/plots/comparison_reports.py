"""Report of a comparison: one page that needs nothing beside it."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Iterable, Sequence

from dynfrac.analysis.estimates import Estimate
from dynfrac.plots.comparisons import comparison_figure
from dynfrac.studies.comparison_summaries import Comparison
from dynfrac.studies.readings import Reading

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.05rem; margin-top: 1.6rem; }
.answer { font-size: 1.1rem; border-left: 4px solid #0072B2; padding-left: .8rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { text-align: right; padding: .18rem .7rem; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; } code { font-size: .85rem; overflow-wrap: anywhere; }
small, li { font-size: .85rem; color: #444; }
"""


def comparison_report(found: Comparison, *, command: str = "") -> str:
    """Return a comparison as a page of HTML, with the figure inside.

    Parameters
    ----------
    found : Comparison
    command : str
        What the comparison was made with.

    Returns
    -------
    str
        A whole document without references to other files.
    """
    first, last = found.arms[0].name, found.arms[-1].name
    parts = [
        f"<h1>{_text(first)} against {_text(last)}</h1>",
        f'<p class="answer">{_text(answer(found))}</p>',
        f"<p>{_text(_capital(found.power.sentence))}.</p>",
        _figure(found),
        "<h2>Seed by seed</h2>",
        _table(
            ["seed", *(arm.name for arm in found.arms), "difference"],
            [
                [
                    str(row[0].seed),
                    *(_reading(reading) for reading in row),
                    _signed(row[0].estimate.value - row[-1].estimate.value),
                ]
                for row in found.readings
            ],
        ),
        "<h2>Arms</h2>",
        _table(
            [
                *("", "mean", "smooth null at this budget", "sd", "has a value", "excess"),
                *("smooth null, many runs", "no value", "parameters"),
            ],
            [
                [
                    arm.name,
                    _value(arm.dimension),
                    _value(arm.null_at_budget),
                    _plain(arm.null_spread),
                    f"in {arm.null_values} of {arm.null_repetitions}",
                    _value(arm.excess),
                    _value(arm.null),
                    f"{arm.n_missing} of {arm.n_seeds}",
                    str(arm.n_parameters or "-"),
                ]
                for arm in found.arms
            ],
        ),
        "<h2>Runs</h2>",
        _table(
            [
                *("", "undecided", "labels that change with the last bit"),
                *("with twice the steps", "median loss of converged runs"),
            ],
            [
                [
                    arm.name,
                    *(_share(part) for part in (arm.undecided, arm.rounding, arm.steps)),
                    _plain(arm.converged_loss),
                ]
                for arm in found.arms
            ],
        ),
        "<h2>Conditions</h2>",
        _conditions(found),
    ]
    if found.flags:
        notes = "".join(f"<li>{_text(flag)}</li>" for flag in found.flags)
        parts.append(f"<h2>Doubts</h2><ul>{notes}</ul>")
    if command:
        parts.append(f"<h2>Made by</h2><p><code>{_text(command)}</code></p>")
    body = "\n".join(parts)
    title = _text(f"{first} against {last}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def answer(found: Comparison) -> str:
    """Return the answer in a sentence or three."""
    difference, first, last = found.difference, found.arms[0].name, found.arms[-1].name
    if not difference.has_value:
        return f"No value: {difference.flags[0]}."
    low, high = difference.ci_low, difference.ci_high
    words = (
        f"The boundary of {first} has a dimension {difference.value:+.3f} from that of {last} "
        f"(95 % interval {low:+.3f} to {high:+.3f}, {found.statistics.n_pairs} pairs). "
    )
    if low > 0 or high < 0:
        words += "The interval excludes zero."
    else:
        words += (
            "The interval includes zero: no difference was shown. Differences below "
            f"{low:+.3f} and above {high:+.3f} are excluded, no smaller ones."
        )
    if found.equivalence is not None and found.equivalence.equivalent:
        words += f" They are equal within {found.equivalence.margin:g}."
    return words


def _figure(found: Comparison) -> str:
    buffer = io.StringIO()
    comparison_figure(found, title="").savefig(buffer, format="svg")
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _conditions(found: Comparison) -> str:
    given = found.conditions
    search = ", ".join(f"{n} {low:g} to {high:g} ({s})" for n, low, high, s in given["search"])
    low, high = found.difference.window
    shared = f"{low:.2g} to {high:.2g} of the window" if math.isfinite(low) else "none"
    rows = {
        "searched": search,
        "window rule": given["window"],
        "steps of a run": given["n_steps"],
        "outcome rule": ", ".join(given["rules"]),
        "type": ", ".join(given["dtypes"]),
        "runs for each arm and seed": f"at most {given['budget']}",
        "runs in all": found.difference.n_runs,
        "scales": shared + (" (given)" if given["scales"] is not None else " (shared by all fits)"),
        "runs that check labels": f"{given['checked']:.1%} of those of a reading",
        "seeds": ", ".join(map(str, given["seeds"])),
        "device": given["device"],
        "versions": ", ".join(f"{name} {version}" for name, version in given["versions"].items()),
        "source": given["git"] or "released package",
    }
    return _table(["", ""], [[name, str(value)] for name, value in rows.items()])


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{_text(header)}</th>" for header in headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _reading(reading: Reading) -> str:
    return _value(reading.estimate) + (" *" if reading.estimate.flags else "")


def _value(estimate: Estimate) -> str:
    if not estimate.has_value:
        return "-"
    error = f" ({estimate.stderr:.3f})" if math.isfinite(estimate.stderr) else ""
    return f"{estimate.value:.3f}{error}"


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.1%}" if estimate.has_value else "-"


def _plain(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "-"


def _signed(value: float) -> str:
    return f"{value:+.3f}" if math.isfinite(value) else "-"


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _text(words: str) -> str:
    return html.escape(words)
