"""Outcome rules against their formulas, written out in NumPy for whole loss curves."""

import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.rules import (
    BoundedRule,
    PublishedRule,
    close_record,
    make_rule,
    start_record,
    update_record,
)

CURVES = {
    "falls": 2.0 * 0.97 ** np.arange(60),
    "stays above": 2.0 + np.arange(60) / 100,
    "explodes": 2.0 * 10.0 ** np.arange(60),
    "overflows at 7": np.where(np.arange(60) < 7, 1.0, np.inf),
    "not a number at 3": np.where(np.arange(60) < 3, 0.5, np.nan),
    "spike, then converges": np.where(np.arange(60) == 5, np.inf, 0.5 ** np.arange(60)),
    "over the limit once": np.where(np.arange(60) == 5, 1e9, 0.5 ** np.arange(60)),
    "first loss not finite": np.where(np.arange(60) == 0, np.inf, 1.0),
}


def published_measure(losses):
    """The published formula on a whole curve."""
    losses = np.where(np.isfinite(losses), losses, 1e6)
    v = losses / losses[0]
    v = np.where(v > 1e6, 1e6, v)
    return -v.sum() if v[-20:].mean() < 1 else (1 / v).sum()


def run(rule, losses):
    """Feed one curve a (1,) loss at a time, as the evaluator does."""
    n = jnp.asarray(len(losses))
    record = start_record(rule, 1)
    for t, loss in enumerate(losses):
        record = update_record(rule, record, jnp.asarray([loss]), jnp.asarray(t), n)
    return [np.asarray(field)[0] for field in close_record(rule, record, n)]


@pytest.mark.parametrize("name", CURVES)
def test_published_measure_is_the_published_formula(name):
    status, measure, _, final = run(PublishedRule(), CURVES[name])
    # Summation in another order: 60 terms, so a few units in the last place.
    np.testing.assert_allclose(measure, published_measure(CURVES[name]), rtol=1e-13)
    assert (status == Status.CONVERGED) == (measure < 0)
    np.testing.assert_equal(final, CURVES[name][-1])


@pytest.mark.parametrize(
    ("name", "status", "t_escape"),
    [
        ("falls", Status.CONVERGED, -1),
        ("stays above", Status.BOUNDED, -1),
        ("explodes", Status.ESCAPED, 7),
        ("overflows at 7", Status.NOT_FINITE, 7),
        ("not a number at 3", Status.NOT_FINITE, 3),
        ("spike, then converges", Status.CONVERGED, 5),
        ("over the limit once", Status.CONVERGED, 5),
        ("first loss not finite", Status.CONVERGED, 0),
    ],
)
def test_published_status_and_escape_time(name, status, t_escape):
    got = run(PublishedRule(), CURVES[name])
    assert (got[0], got[2]) == (status, t_escape)


@pytest.mark.parametrize(
    ("losses", "status", "measure", "t_escape"),
    [
        ([1.0, 2.0, 2.0], Status.CONVERGED, -3, -1),
        ([0.0, 1.0, 2.5, 9.0], Status.ESCAPED, 3, 2),
        ([3.0, 0.0, 0.0], Status.ESCAPED, 1, 0),
        ([0.0, np.inf, np.nan], Status.NOT_FINITE, 2, 1),
        ([0.0, -np.inf, 0.0], Status.NOT_FINITE, 2, 1),
    ],
)
def test_bounded_rule_counts_the_steps_survived(losses, status, measure, t_escape):
    got = run(BoundedRule(2.0), losses)
    assert (got[0], got[1], got[2]) == (status, measure, t_escape)


def test_fewer_steps_than_the_tail_average_over_all_of_them():
    assert run(PublishedRule(), [1.0, 0.9, 1.05])[0] == Status.CONVERGED
    assert run(PublishedRule(), [1.0, 1.2, 1.05])[0] == Status.BOUNDED


def test_rules_are_found_by_name():
    assert make_rule(None) == PublishedRule()
    assert make_rule("bounded:2") == BoundedRule(2.0)
    assert make_rule(make_rule("bounded").name) == BoundedRule()
    assert make_rule(PublishedRule().name) == PublishedRule()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("publishd", "did you mean 'published'"),
        ("bounded:-1", "LIMIT > 0"),
        ("bounded:x", "LIMIT > 0"),
        ("published:3", "bounded:LIMIT"),
    ],
)
def test_unknown_rules_are_refused_in_one_sentence(name, words):
    with pytest.raises(ValueError, match=words):
        make_rule(name)
