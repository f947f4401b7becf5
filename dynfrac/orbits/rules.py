"""Outcome rules by name: what "converged" means, as an object whose name travels with every result.

The name of a rule is ``NAME[:NUMBER][@WATCH]``: which rule, its number, and what it watches in
place of its usual quantity. Some examples::

    published                   the rule of the published pictures
    threshold:0.1@test_loss     the last test loss is at most 0.1
    tail-mean:0.1               the mean of the last 20 losses is at most 0.1
    accuracy:0.9                the last accuracy on the test data is above 0.9

The rules are in `dynfrac.orbits.criteria` (whole curves), `dynfrac.orbits.levels` (last values) and
`dynfrac.orbits.escapes` (leaving), their contract in `dynfrac.orbits.records`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dynfrac.orbits.criteria import CurveMeanRule as CurveMeanRule
from dynfrac.orbits.criteria import PublishedRule as PublishedRule
from dynfrac.orbits.escapes import BoundedRule as BoundedRule
from dynfrac.orbits.escapes import ParityRule as ParityRule
from dynfrac.orbits.levels import AccuracyRule as AccuracyRule
from dynfrac.orbits.levels import TailMeanRule as TailMeanRule
from dynfrac.orbits.levels import ThresholdRule as ThresholdRule
from dynfrac.orbits.records import AbstractRule as AbstractRule
from dynfrac.orbits.records import Ends as Ends
from dynfrac.orbits.records import Record as Record
from dynfrac.orbits.records import close_record as close_record
from dynfrac.orbits.records import start_record as start_record
from dynfrac.orbits.records import update_record as update_record
from dynfrac.systems.abstract import unknown_name


class _Kind(NamedTuple):
    """A rule, how it is written, and the field and type of its number."""

    rule: type[AbstractRule]
    form: str
    field: str = ""
    read: Callable[[str], float] = float
    needed: str = ""


_KINDS = {
    "published": _Kind(PublishedRule, "published[:TAIL]", "tail", int, "a whole TAIL"),
    "curve-mean": _Kind(CurveMeanRule, "curve-mean"),
    "bounded": _Kind(BoundedRule, "bounded[:LIMIT]", "limit", float, "a LIMIT > 0"),
    "parity": _Kind(ParityRule, "parity:LIMIT", "limit", float, "a LIMIT > 0"),
    "threshold": _Kind(ThresholdRule, "threshold:LIMIT", "limit", float, "a LIMIT > 0"),
    "tail-mean": _Kind(
        TailMeanRule, "tail-mean:LIMIT", "limit", float, "a LIMIT > 0 and below 1e6"
    ),
    "accuracy": _Kind(AccuracyRule, "accuracy:P", "p", float, "a P between 0 and 1"),
}

RULE_FORMS: Mapping[str, type[AbstractRule]] = {k.form: k.rule for k in _KINDS.values()}
"""How each rule is written on the command line, and its class."""

RULES = tuple(name for name, kind in _KINDS.items() if "[" in kind.form or not kind.field)
"""The names that are complete without a number."""


def make_rule(rule: str | AbstractRule | None) -> AbstractRule:
    """Return an outcome rule from its name.

    Parameters
    ----------
    rule : str or AbstractRule, optional
        ``NAME[:NUMBER][@WATCH]``. A rule object is returned as it is, and None is the published
        rule.

        ``published[:TAIL]``
            The mean of the last 20 (or TAIL) losses is below the first one.
        ``curve-mean``
            The mean of all losses is below the first one.
        ``bounded[:LIMIT]``
            No loss is above LIMIT (1e8).
        ``parity:LIMIT``
            The first loss above LIMIT is that of an even step. For open maps.
        ``threshold:LIMIT``
            The last loss is at most LIMIT.
        ``tail-mean:LIMIT``
            The mean of the last 20 losses is at most LIMIT.
        ``accuracy:P``
            The last accuracy is above P.

        WATCH is the quantity that is read: ``loss`` (the usual one, but for ``accuracy``) or a
        metric of the map, such as ``test_loss``.

    Returns
    -------
    AbstractRule
        Whose `name` makes an equal rule again.

    Raises
    ------
    ValueError
        If the name is unknown, its number is missing or impossible, or a rule for losses is to
        watch an accuracy or the other way round.

    Examples
    --------
    >>> make_rule("threshold:0.1@test_loss").description
    'the last test loss is at most 0.1'
    """
    if isinstance(rule, AbstractRule):
        return rule
    text = "published" if rule is None else rule
    head, at, watch = text.partition("@")
    name, colon, number = head.partition(":")
    if name not in _KINDS:
        raise unknown_name("rule", name, _KINDS)
    kind = _KINDS[name]
    fields: dict[str, Any] = {}
    if at:
        if not watch.isidentifier():
            raise ValueError(
                f"rule={text!r} does not name what to watch; write {name}@NAME, "
                "such as published@test_loss"
            )
        fields["watch"] = watch
    if colon or name not in RULES:
        if not kind.field:
            raise ValueError(f"rule={text!r} is not understood; {name} takes no number")
        try:
            fields[kind.field] = kind.read(number)
        except ValueError:
            raise ValueError(
                f"rule={text!r} is not understood; write {kind.form} with {kind.needed}"
            ) from None
    return kind.rule(**fields)
