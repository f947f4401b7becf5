"""The order of the data is part of the map: fixed by a seed, and the same whatever the length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.systems.batches import (
    ORDERS,
    AbstractBatches,
    Dataset,
    FullBatch,
    MinibatchStream,
    epoch_stream,
    minibatch_stream,
)

STREAMS = {
    "full": FullBatch(),
    "drawn": minibatch_stream(20, 3, 5),
    **{order: epoch_stream(20, 3, 4, order=order) for order in ORDERS},
}


def epochs(stream):
    return stream.indices.reshape(-1, stream.epoch_steps * stream.indices.shape[1])


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_every_step_selects_the_same_number_of_matching_examples(stream):
    data = Dataset(np.arange(20.0)[:, None], np.arange(20))
    shapes = set()
    for t in (0, 1, 4, 23, 1000):
        batch = stream.select(data, t)
        assert np.array_equal(batch.inputs[:, 0], batch.targets)
        shapes.add(batch.inputs.shape)
    assert len(shapes) == 1
    assert isinstance(stream.epoch_steps, int) and stream.epoch_steps >= 1


def test_the_number_of_steps_in_an_epoch_is_part_of_the_contract():
    assert AbstractBatches.__abstractmethods__ == {"epoch_steps", "select"}
    assert FullBatch().epoch_steps == 1


# Stored sweeps and the comparison with the published code depend on these rows.
def test_draws_with_replacement_are_the_recorded_ones():
    stream = minibatch_stream(10, 4, 2)
    assert stream.indices.tolist() == [[6, 6, 1, 6], [3, 4, 7, 2]]
    assert stream.epoch_steps == 3  # 10 examples in fours, rounded up
    longer = minibatch_stream(10, 4, 50)
    assert np.array_equal(longer.indices[:2], stream.indices)
    # With replacement: some batch of 50 holds an example twice.
    assert any(len(set(row)) < 4 for row in longer.indices.tolist())


def test_permutations_are_the_recorded_ones():
    # PCG64 promises its words for ever, so these rows may never change.
    stream = epoch_stream(10, 4, 2)
    assert stream.indices.tolist() == [[4, 8, 1, 9], [3, 6, 0, 7], [1, 2, 8, 5], [3, 9, 6, 0]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("n_data", "batch"), [(12, 4), (13, 4), (7, 7), (5, 1)])
def test_an_epoch_shows_no_example_twice_and_drops_only_what_is_incomplete(order, n_data, batch):
    stream = epoch_stream(n_data, batch, 3, order=order)
    assert stream.epoch_steps == n_data // batch
    for shown in epochs(stream):
        assert len(set(shown.tolist())) == len(shown) == n_data - n_data % batch
        assert set(shown.tolist()) <= set(range(n_data))


def test_reshuffled_epochs_differ_and_longer_streams_begin_with_shorter_ones():
    short, long = (epoch_stream(40, 8, n) for n in (2, 5))
    assert np.array_equal(long.indices[: len(short.indices)], short.indices)
    assert len({tuple(epoch) for epoch in epochs(long).tolist()}) == 5


def test_a_fixed_order_is_the_first_epoch_again_and_again():
    fixed = epoch_stream(40, 8, 5, order="fixed")
    assert fixed.indices.shape == (5, 8)
    assert np.array_equal(fixed.indices, epoch_stream(40, 8, 1).indices)
    data = Dataset(np.arange(40.0), np.arange(40))
    assert np.array_equal(fixed.select(data, 3).targets, fixed.select(data, 13).targets)


def test_sequential_order_is_the_stored_one_whatever_the_seed():
    stream = epoch_stream(9, 4, 5, order="sequential", seed=1)
    assert stream.indices.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize("order", ["reshuffled", "fixed"])
def test_the_seed_chooses_the_order(order):
    one, same, other = (epoch_stream(40, 8, 2, order=order, seed=s).indices for s in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("n_data", "dtype"), [(256, "uint8"), (257, "uint16"), (65536, "uint16"), (65537, "uint32")]
)
def test_small_indices_select_right_up_to_the_last_example(n_data, dtype):
    stream = epoch_stream(n_data, n_data, 1)
    assert stream.indices.dtype == dtype
    data = Dataset(np.arange(n_data), np.arange(n_data))
    chosen = jax.jit(lambda t: stream.select(data, t).inputs)(0)
    assert np.array_equal(np.sort(chosen), np.arange(n_data))


def test_a_stream_of_ones_own_has_one_epoch_unless_it_says_otherwise():
    assert MinibatchStream(np.zeros((6, 2), int)).epoch_steps == 6
    assert MinibatchStream(np.zeros((6, 2), int), 3).epoch_steps == 3


@pytest.mark.parametrize("build", [minibatch_stream, epoch_stream])
def test_adjustable_is_kept_beside_the_same_indices(build):
    plain, adjustable = build(20, 4, 3), build(20, 4, 3, adjustable=True)
    assert (plain.adjustable, adjustable.adjustable) == (False, True)
    assert np.array_equal(plain.indices, adjustable.indices)


def test_only_the_indices_are_traced():
    stream = epoch_stream(20, 4, 3, adjustable=True)
    assert len(jax.tree.leaves(stream)) == 1
    doubled = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), stream)
    assert (doubled.epoch_steps, doubled.adjustable) == (5, True)


@pytest.mark.parametrize("build", [minibatch_stream, epoch_stream])
@pytest.mark.parametrize(
    ("n_data", "batch", "length", "message"),
    [
        (20, 0, 5, "batch=0 must be between 1 and the 20"),
        (20, 21, 5, "batch=21 must be between 1 and the 20"),
        (20, 3, 0, "n_[a-z]*=0 must be positive"),
    ],
)
def test_sizes_out_of_range_are_refused(build, n_data, batch, length, message):
    with pytest.raises(ValueError, match=message):
        build(n_data, batch, length)


def test_misuse_of_epochs_is_one_sentence():
    with pytest.raises(ValueError, match="did you mean 'reshuffled'"):
        epoch_stream(20, 3, 5, order="reshufled")
    with pytest.raises(ValueError, match="seed=-1 must not be negative"):
        epoch_stream(20, 3, 5, seed=-1)
