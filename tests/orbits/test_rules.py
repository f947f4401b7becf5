"""Outcome rules against their formulas, written out in NumPy for whole curves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.orbits.outcomes import Status
from dynfrac.orbits.rules import (
    RULE_FORMS,
    RULES,
    AccuracyRule,
    BoundedRule,
    CurveMeanRule,
    ParityRule,
    PublishedRule,
    ThresholdRule,
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
    "never moves": np.full(60, 2.0),
    "never a number": np.full(60, np.nan),
}


def published(losses, tail=20):
    """(converged, measure, over the limit) by the published formula on a whole curve."""
    first = losses[0]
    losses = np.where(np.isfinite(losses), losses, 1e6)
    v = losses / losses[0]
    over = losses / first > 1e6
    v = np.where(v > 1e6, 1e6, v)
    converged = v[-tail:].mean() < 1
    return converged, -v.sum() if converged else (1 / v).sum(), over


def curve_mean(losses):
    unit = losses[0] + 1e-6 if np.isfinite(losses[0]) else 1e6
    v = np.where(np.isfinite(losses), losses, 1e6) / unit
    measure = np.minimum(v, 1e6).mean() - 1
    return measure < 0, measure, losses / unit > 1e6


def bounded(losses, limit):
    out = ~np.isfinite(losses) | (losses > limit)
    left = out.argmax() + 1 if out.any() else -len(losses)
    return not out.any(), left, losses > limit


def parity(losses, limit):
    out = ~np.isfinite(losses) | (losses > limit)
    left = out.argmax() + 1 if out.any() else len(losses)
    even = out.any() and out.argmax() % 2 == 0
    return even, -left if even else left, losses > limit


def threshold(losses, limit):
    reached = np.isfinite(losses) & (losses <= limit)
    close = [1 if r else limit / x if np.isfinite(x) else 0 for r, x in zip(reached, losses)]  # noqa: B905
    measure = -1 - (~reached).sum() if reached[-1] else 1 + sum(close)
    return reached[-1], measure, losses / losses[0] > 1e6


def tail_mean(losses, limit):
    counted = np.where(np.isfinite(losses), np.minimum(losses, 1e6), 1e6)
    reached = np.isfinite(losses) & (losses <= limit)
    close = np.where(np.isfinite(losses), np.minimum(limit / counted, 1), 0)
    converged = counted[-20:].mean() <= limit
    return (
        converged,
        -1 - (~reached).sum() if converged else 1 + close.sum(),
        losses / losses[0] > 1e6,
    )


def accuracy(values, p):
    reached = np.isfinite(values) & (values > p)
    close = np.where(np.isfinite(values), np.clip(values / p, 0, 1), 0)
    measure = -1 - (~reached).sum() if reached[-1] else 1 + close.sum()
    return reached[-1], measure, np.zeros(len(values), bool)


FORMULAS = {
    "published": published,
    "published:7": lambda losses: published(losses, 7),
    "curve-mean": curve_mean,
    "bounded": lambda losses: bounded(losses, 1e8),
    "bounded:1.5": lambda losses: bounded(losses, 1.5),
    "parity:1.5": lambda losses: parity(losses, 1.5),
    "parity:30": lambda losses: parity(losses, 30.0),
    "threshold:0.1": lambda losses: threshold(losses, 0.1),
    "threshold:3": lambda losses: threshold(losses, 3.0),
    "tail-mean:0.1": lambda losses: tail_mean(losses, 0.1),
    "tail-mean:3": lambda losses: tail_mean(losses, 3.0),
    "accuracy:0.9": lambda values: accuracy(values, 0.9),
    "accuracy:0.5@train_accuracy": lambda values: accuracy(values, 0.5),
}
# Summation in another order: at most 60 terms, so a few units in the last place of the sum. A mean
# near 1 of which 1 is subtracted has an error of the size of 1's last place.
CLOSE = {"rtol": 1e-13, "atol": 1e-14}


@jax.jit
def fold(rule, curves, n_steps):
    def body(t, record):
        return update_record(rule, record, curves[:, t], t, n_steps)

    return jax.lax.fori_loop(0, curves.shape[1], body, start_record(rule, len(curves)))


def run(rule, curves, n_steps=None):
    """Feed curves (n, steps) a value at a time, as the evaluator does."""
    curves = np.atleast_2d(curves)
    n = jnp.asarray(curves.shape[1] if n_steps is None else n_steps)
    record = fold(rule, curves, n)
    return [np.asarray(field) for field in close_record(rule, record, n)]


def expected(formula, curve):
    """Return (status, measure, t_escape, last) of one whole curve."""
    with np.errstate(all="ignore"):
        converged, measure, over = formula(curve)
    finite = np.isfinite(curve)
    out = over | ~finite
    if converged:
        status = Status.CONVERGED
    elif not out.any():
        status = Status.BOUNDED
    else:
        status = Status.ESCAPED if finite.all() else Status.NOT_FINITE
    return status, measure, out.argmax() if out.any() else -1, curve[-1]


def random_curves(n, steps, seed, accuracies=False):
    """Curves that fall, rise or stay, with single values replaced by anything there is."""
    rng = np.random.default_rng(seed)
    if accuracies:
        curves = np.clip(np.linspace(0, rng.uniform(0, 1.2, n), steps).T, 0, 1)
    else:
        rates = rng.normal(0, 0.3, (n, 1))
        curves = np.exp(rng.normal(size=(n, 1)) + rates * np.arange(steps))
        curves *= np.exp(rng.normal(0, 0.1, (n, steps)))
    odd = [np.nan, np.inf, -np.inf, 0.0, 1.0, *([] if accuracies else [1e9, 1e300])]
    places = rng.random((n, steps)) < 0.01
    curves[places] = rng.choice(odd, places.sum())
    curves[0], curves[1, -1], curves[2, 0] = np.nan, np.nan, np.inf
    return curves


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("curve", CURVES)
def test_chosen_curves_are_judged_by_the_formula(name, curve):
    got = run(make_rule(name), CURVES[curve])
    status, measure, t_escape, last = expected(FORMULAS[name], CURVES[curve])
    assert (got[0][0], got[2][0]) == (status, t_escape)
    np.testing.assert_allclose(got[1][0], measure, **CLOSE)
    np.testing.assert_equal(got[3][0], last)


@pytest.mark.parametrize("name", FORMULAS)
def test_random_curves_of_different_lengths_are_judged_by_the_formula(name):
    curves = random_curves(200, 40, seed=5, accuracies="accuracy" in name)
    n_steps = np.random.default_rng(6).integers(1, 41, 200)
    rule = make_rule(name)
    equal, ragged = run(rule, curves), run(rule, curves, n_steps)
    assert len(set(ragged[0])) >= 3 or "accuracy" in name, "the curves are too much alike"
    for i, (curve, n) in enumerate(zip(curves, n_steps, strict=True)):
        for got, whole in ((equal, curve), (ragged, curve[:n])):
            status, measure, t_escape, last = expected(FORMULAS[name], whole)
            assert (got[0][i], got[2][i]) == (status, t_escape)
            np.testing.assert_allclose(got[1][i], measure, **CLOSE)
            np.testing.assert_equal(got[3][i], last)
            assert (got[1][i] < 0) == (status == Status.CONVERGED)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_run_is_judged_alike_in_any_company(name):
    # Of the shape of the test above, for which everything is compiled already.
    curves = random_curves(200, 40, seed=8, accuracies="accuracy" in name)
    order = np.random.default_rng(9).permutation(200)
    rule = make_rule(name)
    together, moved = run(rule, curves), run(rule, curves[order])
    for a, b in zip(together, moved, strict=True):
        np.testing.assert_array_equal(a[order], b)
    # An array of equal lengths is the same as their number, but for the last bit of a division:
    # XLA may multiply by the reciprocal of a single number.
    for a, b in zip(together, run(rule, curves, np.full(200, 40)), strict=True):
        np.testing.assert_allclose(a, b, rtol=4e-16 if name == "curve-mean" else 0)


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
        ("never a number", Status.NOT_FINITE, 0),
    ],
)
def test_published_status_and_escape_time(name, status, t_escape):
    got = run(PublishedRule(), CURVES[name])
    assert (got[0][0], got[2][0]) == (status, t_escape)


@pytest.mark.parametrize(
    ("rule", "losses", "status", "measure", "t_escape"),
    [
        (BoundedRule(2.0), [1.0, 2.0, 2.0], Status.CONVERGED, -3, -1),
        (BoundedRule(2.0), [0.0, 1.0, 2.5, 9.0], Status.ESCAPED, 3, 2),
        (BoundedRule(2.0), [3.0, 0.0, 0.0], Status.ESCAPED, 1, 0),
        (BoundedRule(2.0), [0.0, np.inf, np.nan], Status.NOT_FINITE, 2, 1),
        (BoundedRule(2.0), [0.0, -np.inf, 0.0], Status.NOT_FINITE, 2, 1),
        (ParityRule(2.0), [1.0, 2.0, 2.0], Status.BOUNDED, 3, -1),
        (ParityRule(2.0), [3.0, 0.0, 0.0], Status.CONVERGED, -1, 0),
        (ParityRule(2.0), [0.0, 3.0, 0.0], Status.ESCAPED, 2, 1),
        (ParityRule(2.0), [0.0, np.nan, 0.0], Status.NOT_FINITE, 2, 1),
        (ParityRule(2.0), [0.0, 0.0, np.inf], Status.CONVERGED, -3, 2),
        (ParityRule(2.0), [0.0, 0.0, 3.0, np.inf], Status.CONVERGED, -3, 2),
        (ThresholdRule(0.5), [0.25, 0.25], Status.CONVERGED, -1, -1),
        (ThresholdRule(0.5), [2.0, np.nan, 0.5], Status.CONVERGED, -3, 1),
        (ThresholdRule(0.5), [0.25, 0.5, 1.0, 2.0], Status.BOUNDED, 3.75, -1),
        (ThresholdRule(0.5), [1.0, 1e7, 1e7], Status.ESCAPED, 1.5 + 1e-7, 1),
        (ThresholdRule(0.5), [np.nan], Status.NOT_FINITE, 1, 0),
        (AccuracyRule(0.5), [0.75, 0.75], Status.CONVERGED, -1, -1),
        (AccuracyRule(0.5), [0.5, 0.5, 0.75], Status.CONVERGED, -3, -1),
        (AccuracyRule(0.5), [0.75, 0.25, 0.5], Status.BOUNDED, 3.5, -1),
        (AccuracyRule(0.5), [0.75, np.nan, np.nan], Status.NOT_FINITE, 2, 1),
        (AccuracyRule(0.5), [np.nan], Status.NOT_FINITE, 1, 0),
        (CurveMeanRule(), [1.0, 0.5, 0.5], Status.CONVERGED, -1 / 3, -1),
        (CurveMeanRule(), [1.0, 0.5, 4.5], Status.BOUNDED, 1.0, -1),
    ],
)
def test_measures_that_can_be_done_in_the_head(rule, losses, status, measure, t_escape):
    got = run(rule, losses)
    assert (got[0][0], got[2][0]) == (status, t_escape)
    # The curve mean divides by the first loss + 1e-6.
    np.testing.assert_allclose(got[1][0], measure, rtol=4e-6 if rule == CurveMeanRule() else 1e-14)


def test_fewer_steps_than_the_tail_average_over_all_of_them():
    assert run(PublishedRule(), [1.0, 0.9, 1.05])[0] == Status.CONVERGED
    assert run(PublishedRule(), [1.0, 1.2, 1.05])[0] == Status.BOUNDED


@pytest.mark.parametrize(
    ("name", "rule", "written"),
    [
        (None, PublishedRule(), "published"),
        ("published", PublishedRule(), "published"),
        ("published:20", PublishedRule(), "published"),
        ("published:5@test_loss", PublishedRule(5, "test_loss"), "published:5@test_loss"),
        ("curve-mean", CurveMeanRule(), "curve-mean"),
        ("curve-mean@test_loss", CurveMeanRule("test_loss"), "curve-mean@test_loss"),
        ("bounded", BoundedRule(), "bounded:1e+08"),
        ("bounded:2@norm", BoundedRule(2.0, "norm"), "bounded:2@norm"),
        ("bounded:1234567.125", BoundedRule(1234567.125), "bounded:1234567.125"),
        ("bounded:inf", BoundedRule(np.inf), "bounded:inf"),
        ("parity:0.5", ParityRule(0.5), "parity:0.5"),
        ("parity:1@reach", ParityRule(1.0, "reach"), "parity:1@reach"),
        ("threshold:1e-1", ThresholdRule(0.1), "threshold:0.1"),
        ("threshold:0.1@test_loss", ThresholdRule(0.1, "test_loss"), "threshold:0.1@test_loss"),
        ("threshold:0.1@loss", ThresholdRule(0.1), "threshold:0.1"),
        ("accuracy:0.9", AccuracyRule(0.9), "accuracy:0.9"),
        ("accuracy:0.9@accuracy", AccuracyRule(0.9), "accuracy:0.9"),
        (
            "accuracy:0.123456789@train_accuracy",
            AccuracyRule(0.123456789, "train_accuracy"),
            "accuracy:0.123456789@train_accuracy",
        ),
    ],
)
def test_rules_are_found_by_name_and_name_themselves(name, rule, written):
    assert make_rule(name) == rule == make_rule(rule)
    assert rule.name == written
    assert make_rule(rule.name) == rule


def test_what_is_watched_is_part_of_the_rule():
    watched = {name: make_rule(name).watch for name in FORMULAS}
    assert watched.pop("accuracy:0.9") == "accuracy"
    assert watched.pop("accuracy:0.5@train_accuracy") == "train_accuracy"
    assert set(watched.values()) == {"loss"}
    assert make_rule("published@test_loss") != make_rule("published")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("published", "the mean of the last 20 losses is below the first loss"),
        (
            "published:5@test_loss",
            "the mean of the last 5 test losses is below the first test loss",
        ),
        ("curve-mean", "the mean of all losses is below the first loss"),
        ("bounded", "no loss is above 1e+08"),
        ("bounded:1.5@norm", "no norm is above 1.5"),
        ("parity:1.5@norm", "the first norm above 1.5 is that of an even step"),
        ("curve-mean@norm", "the mean of all norms is below the first norm"),
        ("threshold:0.1@test_loss", "the last test loss is at most 0.1"),
        ("threshold:0@lyapunov", "the last exponent is at most 0"),
        ("tail-mean:0.1", "the mean of the last 20 losses is at most 0.1"),
        ("accuracy:0.9", "the last accuracy is above 0.9"),
        ("accuracy:0.9@train_accuracy", "the last train accuracy is above 0.9"),
    ],
)
def test_a_rule_says_what_converged_means(name, sentence):
    assert make_rule(name).description == sentence


@pytest.mark.parametrize("name", FORMULAS)
def test_the_words_for_the_ends_follow_the_measure(name):
    # A run that is there at once is fast; one that is there at the last value is slow.
    rule = make_rule(name)
    if name.startswith("bounded"):
        assert rule.ends == ("escaped late", "early", "", "")
        return
    if name.startswith("parity"):
        # Late runs are the farthest from zero on both sides.
        curves = [np.where(np.arange(40) < k, 0.0, 1e3) for k in (2, 20, 3, 21)]
        even_early, even_late, odd_early, odd_late = run(rule, curves)[1]
        assert even_late < even_early < 0 < odd_early < odd_late
        assert rule.ends == ("left late, odd", "early", "early", "late, even")
        return
    good, bad = (1.0, 0.0) if "accuracy" in name else (1e-3, 4.0)
    # The published tail must be below the first loss, so both arrive before it.
    fast, slow = (np.where(np.arange(40) < k, bad, good) for k in (1, 15))
    (quick, late), ends = run(rule, [fast, slow])[1], rule.ends
    assert max(quick, late) < 0
    assert (ends.below_zero if quick > late else ends.lowest) == "fast"
    assert (ends.below_zero if late > quick else ends.lowest) == "slowly"
    # Of two that do not converge, one leaves early for far away.
    far = 0.01 if "accuracy" in name else 1e9
    early, later = (np.where(np.arange(40) < k, 0.4 if far < 1 else 4.0, far) for k in (3, 30))
    (early, later), ends = run(rule, [early, later])[1], rule.ends
    assert min(early, later) > 0
    words = {early: "early" if "early" in " ".join(ends) else "stayed far"}
    assert words[early] in (ends.highest if early > later else ends.above_zero)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("publishd", "did you mean 'published'"),
        ("", "unknown rule ''"),
        ("bounded:-1", "LIMIT > 0"),
        ("bounded:nan", "LIMIT > 0"),
        ("bounded:x", r"write bounded\[:LIMIT\] with a LIMIT > 0"),
        ("bounded:", "LIMIT > 0"),
        ("published:2.5", "whole TAIL"),
        ("published:0", "TAIL of at least 1"),
        ("curve-mean:3", "takes no number"),
        ("parity", "write parity:LIMIT with a LIMIT > 0"),
        ("parity:0", "LIMIT > 0"),
        ("parity:inf", "a finite LIMIT"),
        ("parity:1@accuracy", "judges losses"),
        ("threshold", "write threshold:LIMIT with a LIMIT > 0"),
        ("threshold:0", "LIMIT > 0"),
        ("tail-mean:0", "LIMIT > 0"),
        ("tail-mean:1e6", "below 1e6"),
        ("tail-mean:1@accuracy", "judges losses"),
        ("accuracy", "write accuracy:P with a P between 0 and 1"),
        ("accuracy:90", "accuracy:0.9"),
        ("accuracy:1", "between 0 and 1"),
        ("published@", "published@test_loss"),
        ("published@test loss", "published@test_loss"),
        ("published@accuracy", "watch loss or test_loss, or use accuracy:P@accuracy"),
        ("curve-mean@train_accuracy", "judges losses"),
        ("bounded@accuracy", "judges losses"),
        ("threshold:1@accuracy", "judges losses"),
        ("accuracy:0.9@test_loss", "threshold:LIMIT@test_loss"),
        ("accuracy:0.9@loss", "judges accuracies"),
    ],
)
def test_what_is_no_rule_is_refused_in_one_sentence(name, words):
    with pytest.raises(ValueError, match=words) as caught:
        make_rule(name)
    assert "\n" not in str(caught.value)


def test_the_list_of_rules_is_complete():
    assert set(RULE_FORMS.values()) == {type(make_rule(name)) for name in FORMULAS}
    assert [make_rule(name).name.partition(":")[0] for name in RULES] == list(RULES)
    assert list(RULE_FORMS) == [
        "published[:TAIL]",
        "curve-mean",
        "bounded[:LIMIT]",
        "parity:LIMIT",
        "threshold:LIMIT",
        "tail-mean:LIMIT",
        "accuracy:P",
    ]
