"""The stream of batches as a function of files, seed and number: resumed, shared out, padded, counted."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.data import stream
from keras_bert.data.checking import damaged_records_named, group_by_length
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.data.framing import frame
from keras_bert.data.wire import serialize
from keras_bert.errors import UserError

SIZES = (11, 7, 5)  # records of the files: 23, which no batch of 4 divides
ONCE = {"shuffle": False, "repeat": False, "drop_remainder": False}


def flat(batch):
    """Returns {name: array} of all of a batch."""
    x, y, weights = batch
    return {**x, **{f"y.{n}": v for n, v in y.items()}, **{f"w.{n}": v for n, v in weights.items()}}


def batches(*args, take=None, **options):
    options = {"batch_size": 4, **options}
    return [flat(batch) for batch in itertools.islice(pretraining_dataset(*args, **options).as_numpy_iterator(), take)]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def numbers_of(found):
    """Returns the records' own numbers, which stand in segment_ids."""
    return np.concatenate([batch["segment_ids"][:, 0] for batch in found]).tolist()


@pytest.fixture
def make(tmp_path, instances, unmasked, write_dynamic):
    """Returns a function that writes numbered records and returns the glob of their files."""

    def write(kind="masked", sizes=SIZES, **options):
        begins = np.cumsum([0, *sizes])
        for shard, (begin, size) in enumerate(zip(begins, sizes, strict=False)):
            batch = unmasked(size, seed=shard) if kind == "dynamic" else instances(size, seed=shard)
            batch["segment_ids"][:, 0] = begin + np.arange(size)
            path = tmp_path / f"r.tfrecord-{shard:05d}-of-{len(sizes):05d}"
            if kind == "dynamic":
                write_dynamic(path, batch, **options)
            else:
                with tf.io.TFRecordWriter(str(path), options.get("compression", "")) as writer:
                    for record in records_of(batch):
                        writer.write(record)
        return str(tmp_path / "r.tfrecord-*")

    return write


def records_of(batch):
    data, sizes = serialize(batch)
    ends = np.cumsum(sizes)
    return [data[end - size : end].tobytes() for size, end in zip(sizes, ends, strict=True)]


CASES = {
    "masked": (("masked",), {}),
    "one gzip file": (("masked", (23,)), {"compression": "GZIP"}),
    "dynamic": (("dynamic",), {}),
    "dynamic, one file": (("dynamic", (23,)), {}),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_stream_resumed_is_the_rest_of_the_stream(make, monkeypatch, kind):
    monkeypatch.setattr(stream, "SHUFFLE_BUFFER", 6)  # smaller than an epoch
    monkeypatch.setattr(stream, "BLOCK_RECORDS", 2)
    arguments, options = CASES[kind]
    files = make(*arguments, **options)
    whole = batches(files, seed=5, take=13)  # over two ends of epochs
    for start in (1, 2, 4, 5, 6, 7, 11, 12) if kind == "masked" else (2, 5, 6, 12):
        assert_equal(batches(files, seed=5, start_batch=start, take=13 - start), whole[start:])
    assert_equal(batches(files, seed=5, take=13), whole)


@pytest.mark.parametrize("kind", ["masked", "dynamic"])
def test_resuming_without_shuffling_or_without_end(make, kind):
    files = make(kind)
    for options in ({"shuffle": False}, {"shuffle": False, "remask": False}, ONCE):
        whole = batches(files, take=8, **options)
        found = batches(files, start_batch=3, take=5, **options)
        if options == ONCE and kind == "dynamic":  # its masks are those of the next iteration each time
            whole, found = ([{"ids": batch["segment_ids"]} for batch in part] for part in (whole, found))
        assert_equal(found, whole[3:])
    assert batches(files, start_batch=9, **ONCE) == []


def test_batches_left_out(make):
    files = make()
    whole = batches(files, take=12)
    assert_equal(batches(files, skip_batches=[0, 5, 9], take=9), [b for i, b in enumerate(whole) if i not in (0, 5, 9)])
    assert_equal(batches(files, start_batch=4, skip_batches=(1, 6, 4), take=6), [whole[5], *whole[7:12]])
    assert_equal(
        batches(files, skip_batches={1, 70}, **ONCE), [b for i, b in enumerate(batches(files, **ONCE)) if i != 1]
    )


def test_an_epoch_has_every_record_once_in_an_order_of_its_own(make):
    files = make()
    records = numbers_of(batches(files, seed=3, take=23))  # four epochs
    epochs = [records[begin : begin + 23] for begin in range(0, 92, 23)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert numbers_of(batches(files, seed=4, take=5)) != records[:20]
    firsts = {numbers_of(batches(files, seed=seed, take=1))[0] // 12 for seed in range(8)}
    assert len(firsts) == 2  # files too are in another order


@pytest.mark.parametrize("seed", [-1, 1 << 63])
def test_any_whole_number_is_a_seed(make, seed):
    files = make("dynamic")
    assert_equal(batches(files, seed=seed, take=3), batches(files, seed=seed, take=3))
    assert numbers_of(batches(files, seed=seed, take=3)) != numbers_of(batches(files, seed=2, take=3))


def test_nothing_else_decides_the_stream(make):
    files = make("dynamic")
    dataset = pretraining_dataset(files, batch_size=4, seed=5)
    expected = [flat(batch) for batch in dataset.take(9).as_numpy_iterator()]
    assert_equal([flat(batch) for batch in dataset.take(9).as_numpy_iterator()], expected)
    keras.utils.set_random_seed(99)
    try:
        assert_equal(batches(files, seed=5, take=9), expected)
    finally:
        tf.random.set_seed(None)


def test_one_epoch_is_the_next_one_whenever_it_is_iterated(make):
    files = make("dynamic")
    endless = batches(files, batch_size=23, take=3)
    once = pretraining_dataset(files, batch_size=23, repeat=False)
    for epoch in endless:
        assert_equal([flat(batch) for batch in once.as_numpy_iterator()], [epoch])


@pytest.mark.parametrize(("kind", "num_shards"), [pytest.param("masked", 4, marks=pytest.mark.slow), ("dynamic", 2)])
def test_the_shares_of_a_batch_are_the_batch(make, kind, num_shards):
    files = make(kind, sizes=(23,))  # fewer files than workers
    for options in ({"take": 5, "start_batch": 1}, {"repeat": False, "pad_remainder": True}):
        options = {"batch_size": 8, **options}
        whole = batches(files, **options)
        shares = [batches(files, num_shards=num_shards, shard_index=i, **options) for i in range(num_shards)]
        joined = [{n: np.concatenate([p[n] for p in parts]) for n in parts[0]} for parts in zip(*shares, strict=True)]
        assert_equal(joined, whole)
        assert all(len(batch["input_ids"]) == 8 // num_shards for share in shares for batch in share)


def test_the_rest_is_shared_out_as_well(make):
    files = make(sizes=(10,))
    shares = [batches(files, batch_size=8, num_shards=4, shard_index=i, **ONCE) for i in range(4)]
    assert [[len(batch["input_ids"]) for batch in share] for share in shares] == [[2, 2], [2, 0], [2, 0], [2, 0]]
    assert sorted(itertools.chain.from_iterable(map(numbers_of, shares))) == list(range(10))


@pytest.mark.parametrize("kind", ["masked", "dynamic"])
def test_padding_has_one_shape_and_no_weight(make, kind):
    files = make(kind)
    options = {**ONCE, "remask": False, "batch_size": 8}
    plain, padded = batches(files, **options), batches(files, pad_remainder=True, **options)
    assert_equal(padded[:2], plain[:2])
    for name, values in padded[2].items():
        np.testing.assert_array_equal(values[:7], plain[2][name])
        assert values.shape == padded[0][name].shape
        assert values.dtype == padded[0][name].dtype
        assert not values[7].any()
    dataset = pretraining_dataset(files, pad_remainder=True, **options)
    assert all(spec.shape[0] == 8 for spec in tf.nest.flatten(dataset.element_spec))
    assert (
        len(batches(files, batch_size=50, pad_remainder=True, repeat=False)) == 1
    )  # the default drop_remainder gives way


def test_shapes_are_static_where_batches_are_whole(make):
    files = make()
    for options in ({}, {"drop_remainder": False}, {"repeat": False}, {"num_shards": 2, "batch_size": 8}):
        dataset = pretraining_dataset(files, **{"batch_size": 4, **options})
        assert all(spec.shape[0] == 4 for spec in tf.nest.flatten(dataset.element_spec))


def test_held_out_masks_depend_on_neither_batch_size_nor_shares(make):
    files = make("dynamic")
    options = {**ONCE, "remask": False}

    def all_of(**more):
        found = batches(files, **options, **more)
        return {name: np.concatenate([batch[name] for batch in found]) for name in found[0]}

    expected = all_of(batch_size=23)
    for size in (1, 4, 10):
        assert_equal([all_of(batch_size=size)], [expected])
    shuffled = batches(files, batch_size=23, repeat=False, remask=False)[0]
    order = np.argsort(shuffled["segment_ids"][:, 0])
    assert_equal([{name: values[order] for name, values in shuffled.items()}], [expected])


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, tf.data.INFINITE_CARDINALITY),
        ({"repeat": False}, 5),
        ({"repeat": False, "drop_remainder": False}, 6),
        ({"repeat": False, "pad_remainder": True, "start_batch": 2, "skip_batches": [0, 3, 5, 6]}, 2),
        ({"repeat": False, "start_batch": 7}, 0),
        ({"repeat": False, "batch_size": 8, "num_shards": 2, "pad_remainder": True}, 3),
    ],
)
def test_the_number_of_batches_is_known(make, options, count):
    options = {"batch_size": 4, **options}
    assert pretraining_dataset(make(), **options).cardinality() == count
    if count >= 0:
        assert len(batches(make(), **options)) == count


def test_a_manifest_that_counts_wrongly_is_named(make, tmp_path):
    files = make(sizes=(8,))
    name = "r.tfrecord-00000-of-00001"
    (tmp_path / "r.manifest.json").write_text(json.dumps({"instances": 16, "files": [name]}))
    with pytest.raises(UserError, match=rf"{name}: 8 records where the manifest says 16"):
        with damaged_records_named(files):
            batches(files, repeat=False)


def test_files_by_length(tmp_path, instances):
    files = []
    for name, length in (("a", 32), ("b", 8), ("c", 32)):
        files.append(tmp_path / name)
        files[-1].write_bytes(frame(*serialize(instances(2, seq_length=length))))
    groups = group_by_length(files)
    assert list(groups.items()) == [(8, [files[1]]), (32, [files[0], files[2]])]
    files[1].touch()
    files[1].write_bytes(b"")
    with pytest.raises(UserError, match="b is empty"):
        group_by_length(files)
