"""Losses, accuracy, means over part of a batch, and label noise, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.systems.batches import Dataset, FullBatch, MinibatchStream
from dynfrac.systems.losses import (
    LOSSES,
    accuracy,
    cross_entropy,
    draw_label_noise,
    first_rows,
    mean_squared_error,
    weighted_mean,
)

RNG = np.random.default_rng(11)
LOGITS = RNG.standard_normal((5, 3))
LABELS = np.array([0, 2, 1, 1, 2])


def test_losses_are_their_formulas():
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    expected = -np.log(shares[np.arange(5), LABELS]).mean()
    np.testing.assert_allclose(cross_entropy(jnp.asarray(LOGITS), LABELS), expected, rtol=1e-14)
    targets = RNG.standard_normal((5, 3))
    got = mean_squared_error(jnp.asarray(LOGITS), targets)
    np.testing.assert_allclose(got, ((LOGITS - targets) ** 2).sum() / 15, rtol=1e-14)
    assert LOSSES == {"cross-entropy": cross_entropy, "mse": mean_squared_error}


def test_cross_entropy_of_tokens_is_the_mean_over_all_positions():
    many, labels = RNG.standard_normal((2, 4, 3)), RNG.integers(0, 3, (2, 4))
    flat = cross_entropy(jnp.asarray(many.reshape(8, 3)), labels.ravel())
    np.testing.assert_allclose(cross_entropy(jnp.asarray(many), labels), flat, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [1, 7, 49, 103, 107])
def test_accuracy_is_the_share_of_hits_to_the_last_bit(n, dtype):
    # n times the rounded 1/n is not 1 for the last three of these n.
    labels = np.arange(n) % 3
    outputs = jnp.asarray(np.eye(3)[labels], dtype)
    compiled = jax.jit(accuracy)
    assert compiled(outputs, labels) == 1
    wrong = np.where(np.arange(n) < n // 2, (labels + 1) % 3, labels)
    expected = np.asarray(n - n // 2, dtype) / np.asarray(n, dtype)
    assert compiled(outputs, wrong) == expected
    assert compiled(outputs, wrong).dtype == dtype


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_accuracy_of_outputs_that_are_not_finite_is_not_a_number(bad):
    outputs = np.eye(3)[LABELS]
    assert accuracy(jnp.asarray(outputs), LABELS) == 1
    for i, j in ((0, 0), (4, 1)):
        spoilt = outputs.copy()
        spoilt[i, j] = bad
        assert np.isnan(accuracy(jnp.asarray(spoilt), LABELS))


@pytest.mark.parametrize("loss", LOSSES.values())
@pytest.mark.parametrize(("count", "kept"), [(2.6, 3), (5, 5), (9, 5), (-4, 1)])
def test_a_mean_over_part_of_a_batch_is_the_loss_of_that_part(loss, count, kept):
    outputs = jnp.asarray(LOGITS)
    targets = LABELS if loss is cross_entropy else RNG.standard_normal((5, 3))

    def part(outputs):
        return weighted_mean(loss, outputs, jnp.asarray(targets), jnp.asarray(count))

    def whole(outputs):
        return loss(outputs[:kept], targets[:kept])

    for ours, theirs in (
        (jax.jit(part)(outputs), whole(outputs)),
        (jax.grad(part)(outputs), jax.grad(whole)(outputs)),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_what_comes_after_the_count_is_replaced_by_the_first_example():
    whole = Dataset(jnp.asarray(LOGITS), jnp.asarray(LABELS))
    cut = jax.jit(first_rows)(whole, 3.2)
    rows = [0, 1, 2, 0, 0]
    np.testing.assert_array_equal(cut.inputs, LOGITS[rows])
    np.testing.assert_array_equal(cut.targets, LABELS[rows])


def test_examples_that_do_not_count_may_have_any_loss():
    outputs = jnp.asarray(np.where(np.arange(5)[:, None] < 3, LOGITS, np.inf))
    part = weighted_mean(mean_squared_error, outputs, jnp.zeros((5, 3)), 3)
    np.testing.assert_allclose(part, (LOGITS[:3] ** 2).mean(), rtol=1e-14)


N = 20
DATA = Dataset(np.arange(N)[:, None] * 1.0, np.arange(N))


def noisy(share, data=DATA, noise=None):
    noise = draw_label_noise(DATA) if noise is None else noise
    return np.asarray(noise.applied(data, jnp.asarray(share)).targets)


def test_label_noise_changes_exactly_its_share_of_the_examples():
    noise = draw_label_noise(DATA)
    assert sorted(noise.rank) == list(range(N))
    assert set(noise.targets) <= set(DATA.targets)
    np.testing.assert_array_equal(noisy(0.0), DATA.targets)
    np.testing.assert_array_equal(noisy(1.0), noise.targets)
    # Every label is different here, so that what was replaced shows, except by itself.
    itself = noise.targets == DATA.targets
    for share in (0.05, 0.3, 0.5, 0.95):
        replaced = noise.rank < round(share * N)
        assert replaced.sum() == round(share * N)
        np.testing.assert_array_equal(noisy(share) != DATA.targets, replaced & ~itself)


def test_more_label_noise_takes_no_wrong_label_back():
    before = noisy(0.0)
    for share in np.linspace(0, 1, 41):
        after = noisy(share)
        changed = before != DATA.targets
        np.testing.assert_array_equal(after[changed], before[changed])
        before = after


def test_label_noise_is_the_same_for_every_point_and_another_for_another_seed():
    again = draw_label_noise(DATA)
    np.testing.assert_array_equal(again.rank, draw_label_noise(DATA).rank)
    np.testing.assert_array_equal(again.targets, draw_label_noise(DATA).targets)
    other = draw_label_noise(DATA, seed=1)
    assert not np.array_equal(other.rank, again.rank)
    assert not np.array_equal(other.targets, again.targets)
    shares = jnp.asarray([0.2, 0.7, 0.2])
    lanes = jax.vmap(lambda share: again.applied(DATA, share).targets)(shares)
    np.testing.assert_array_equal(lanes[0], lanes[2])
    np.testing.assert_array_equal(lanes[1], noisy(0.7))


def test_a_batch_has_the_noise_of_its_examples():
    noise = draw_label_noise(DATA)
    stream = MinibatchStream(np.array([[3, 7, 11], [0, 19, 3]]))
    for t, rows in enumerate(stream.indices):
        batch, own = stream.select((DATA, noise), t)
        np.testing.assert_array_equal(noisy(0.5, batch, own), noisy(0.5)[rows])
    batch, own = FullBatch().select((DATA, noise), 0)
    np.testing.assert_array_equal(noisy(0.5, batch, own), noisy(0.5))


def test_targets_of_several_numbers_are_replaced_as_a_whole():
    data = Dataset(np.zeros((N, 1)), RNG.standard_normal((N, 2, 3)))
    noise = draw_label_noise(data)
    replaced = noise.rank < N // 2
    expected = np.where(replaced[:, None, None], noise.targets, data.targets)
    np.testing.assert_array_equal(noisy(0.5, data, noise), expected)
    # Each is the target of some example, and not a mixture.
    assert {row.tobytes() for row in noise.targets} <= {row.tobytes() for row in data.targets}
