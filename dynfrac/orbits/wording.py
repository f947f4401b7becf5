"""How outcome rules are written, and the sentences that refuse what cannot be one."""

from __future__ import annotations

from dynfrac.orbits.records import AbstractRule

EXPONENT = "lyapunov"
"""What watches the largest Lyapunov exponent, which any map has."""


def write_name(kind: str, number: float | None, watch: str, usual: str = "loss") -> str:
    """Write the name of a rule, ``KIND[:NUMBER][@WATCH]``.

    Parameters
    ----------
    kind : str
    number : float, optional
        Left out when None.
    watch : str
        Left out when it is the `usual` one.
    usual : str
    """
    argument = "" if number is None else f":{write_number(number)}"
    return kind + argument + ("" if watch == usual else f"@{watch}")


def write_number(number: float) -> str:
    """Write a number as short as it can be read back exactly."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def watched_words(rule: AbstractRule) -> tuple[str, str]:
    """Return what a rule watches in words: one of them, and many."""
    one = "exponent" if rule.watch == EXPONENT else rule.watch.replace("_", " ")
    return one, one + ("es" if one.endswith("s") else "s")


def refuse_unless(possible: bool, rule: AbstractRule, need: str) -> None:
    """Refuse a rule whose number is impossible."""
    if not possible:
        raise ValueError(f"rule {rule.name} is impossible; it needs {need}")


def watch_a_loss(rule: AbstractRule) -> None:
    """Refuse an accuracy, which grows where a loss falls, and an exponent, which has a sign."""
    if rule.watch == EXPONENT:
        raise ValueError(
            f"rule {rule.name} judges losses and {rule.watch} is none; use threshold:0@lyapunov"
        )
    if "accuracy" in rule.watch:
        raise ValueError(
            f"rule {rule.name} judges losses and {rule.watch} is none; watch loss or test_loss, "
            f"or use accuracy:P@{rule.watch}"
        )
