"""Damaged record files: what is damaged is told, and the rest is read."""

import gzip
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bert.data import damage
from keras_bert.data.checking import damaged_records_named, group_by_length, record_files
from keras_bert.data.damage import damaged_records, scan, walk
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.data.framing import frame
from keras_bert.data.manifests import count_examples
from keras_bert.data.reading import read_records
from keras_bert.data.wire import serialize
from keras_bert.errors import UserError

MESSAGES = [bytes([65 + i]) * (20 + 3 * i) + bytes(i) for i in range(9)]  # "AAA...", with more and more zeros behind
SIZES = [len(message) for message in MESSAGES]
FRAMED = frame(np.frombuffer(b"".join(MESSAGES), np.uint8), np.array(SIZES))
BEGINS = [0, *itertools.accumulate(size + 16 for size in SIZES)]  # of the records, and the end


def flipped(data, *places):
    data = bytearray(data)
    for place in places:
        data[place] ^= 4
    return bytes(data)


def one(index, *, till=None):
    """Returns the (number, offset, lost) of a stretch from record `index` (from 0) to another's begin."""
    return index + 1, BEGINS[index], BEGINS[till or index + 1] - BEGINS[index]


DAMAGED = {  # bytes of the file -> (which messages are left, the damages)
    "none": (FRAMED, range(9), []),
    "a byte": (flipped(FRAMED, BEGINS[3] + 14), (0, 1, 2, 4, 5, 6, 7, 8), [one(3)]),
    "its checksum": (flipped(FRAMED, BEGINS[4] - 1), (0, 1, 2, 4, 5, 6, 7, 8), [one(3)]),
    "a length": (flipped(FRAMED, BEGINS[3]), (0, 1, 2, 4, 5, 6, 7, 8), [one(3)]),
    "a length far too large": (flipped(FRAMED, BEGINS[3] + 5), (0, 1, 2, 4, 5, 6, 7, 8), [one(3)]),
    "a length's checksum": (flipped(FRAMED, BEGINS[3] + 9), (0, 1, 2, 4, 5, 6, 7, 8), [one(3)]),
    "the first": (flipped(FRAMED, 2), range(1, 9), [one(0)]),
    "the last": (flipped(FRAMED, BEGINS[8] + 20), range(8), [one(8)]),
    "the last one's length": (flipped(FRAMED, BEGINS[8]), range(8), [one(8)]),
    "two apart": (
        flipped(FRAMED, BEGINS[2] + 20, BEGINS[6]),
        (0, 1, 3, 4, 5, 7, 8),
        [one(2), one(6)],
    ),
    "two in a row": (flipped(FRAMED, BEGINS[2] + 20, BEGINS[3] + 20), (0, 1, 4, 5, 6, 7, 8), [one(2), one(3)]),
    "two lengths in a row": (
        flipped(FRAMED, BEGINS[2], BEGINS[3]),
        (0, 1, 4, 5, 6, 7, 8),
        [one(2, till=4)],
    ),
    "a zeroed block": (
        FRAMED[: BEGINS[2] + 5] + bytes(BEGINS[4] + 3 - BEGINS[2] - 5) + FRAMED[BEGINS[4] + 3 :],
        (0, 1, 5, 6, 7, 8),
        [one(2, till=5)],
    ),
    "bytes gone": (
        FRAMED[: BEGINS[2] + 15] + FRAMED[BEGINS[2] + 18 :],
        (0, 1, 3, 4, 5, 6, 7, 8),
        [(3, BEGINS[2], BEGINS[3] - BEGINS[2] - 3)],
    ),
    "bytes too many": (
        FRAMED[: BEGINS[4]] + b"abc" + FRAMED[BEGINS[4] :],
        range(9),
        [(5, BEGINS[4], 3)],
    ),
    "torn": (FRAMED[:-3], range(8), [(9, BEGINS[8], BEGINS[9] - BEGINS[8] - 3)]),
    "torn in a length": (FRAMED[: BEGINS[8] + 5], range(8), [(9, BEGINS[8], 5)]),
}


@pytest.mark.parametrize("compression", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("at_once", [5, 1 << 20])
@pytest.mark.parametrize(("data", "left", "expected"), DAMAGED.values(), ids=DAMAGED.keys())
def test_what_is_damaged_is_told_and_the_rest_read(tmp_path, monkeypatch, data, left, expected, at_once, compression):
    monkeypatch.setattr(damage, "READ_BYTES", at_once)
    path = tmp_path / "a"
    path.write_bytes(compression(data))
    assert list(read_records(path, skip_damaged=True)) == [MESSAGES[i] for i in left]
    assert [found[:3] for found in damaged_records(path)] == expected
    assert scan(path).intact == count_examples([path], skip_damaged=True) == len(left)
    if not expected:
        return
    with pytest.raises(UserError) as caught:
        list(read_records(path))
    number, offset, _ = expected[0]
    assert f"record {number}" in str(caught.value)
    assert f"(at byte {offset})" in str(caught.value)
    assert damaged_records(path)[0].reason in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(FRAMED)), st.integers(0, 90), st.binary(max_size=90))
def test_whatever_is_overwritten_what_lies_outside_is_found(tmp_path_factory, begin, size, instead):
    path = tmp_path_factory.mktemp("damage") / "a"
    path.write_bytes(FRAMED[:begin] + instead + FRAMED[begin + size :])
    found = list(walk(path, skip_damaged=True))
    read = [record.data for record in found if isinstance(record, damage.Record)]
    outside = [
        message
        for message, first, last in zip(MESSAGES, BEGINS, BEGINS[1:], strict=False)
        if last <= begin or first >= begin + size
    ]
    assert [message for message in read if message in outside] == outside
    assert len(read) <= len(outside) + 2  # what was overwritten with itself
    lost = sum(record.lost for record in found if isinstance(record, damage.Damage))
    assert lost + sum(len(message) + 16 for message in read) == path.stat().st_size


def test_a_gzip_file_that_cannot_be_unpacked_to_its_end(tmp_path, instances):
    framed = frame(*serialize(instances(400)))
    path = tmp_path / "a"
    path.write_bytes(framed)
    records = list(read_records(path))
    packed = gzip.compress(framed)
    for cut in (len(packed) // 2, len(packed) - 4):  # within the data, within the checksum behind them
        path.write_bytes(packed[:cut])
        found = list(read_records(path, skip_damaged=True))
        assert found == records[: len(found)]
        assert len(found) > 0.4 * len(records)
        (told,) = damaged_records(path)
        assert told.number == len(found) + 1
        assert told.lost is None
        assert told.offset == sum(len(record) + 16 for record in found)
        assert "cannot be unpacked" in told.reason
    path.write_bytes(flipped(packed, len(packed) // 2))
    found = list(read_records(path, skip_damaged=True))
    assert found == [record for record in records if record in set(found)]
    assert 0 < len(found) < len(records)
    assert damaged_records(path)


def test_a_file_that_changes_is_scanned_again(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(FRAMED)
    assert damaged_records(path) == []
    path.write_bytes(FRAMED[:-1])
    assert len(damaged_records(path)) == 1
    with pytest.raises(UserError, match="none cannot be read: No such file"):
        damaged_records(tmp_path / "none")


@pytest.fixture
def shards(tmp_path, unmasked, write_dynamic, vocabulary):
    """Returns a function that writes numbered records in three files, damages two of them, and returns the glob."""

    def write(kind="masked", compress=bytes):
        for shard in range(3):
            batch = unmasked(10, seed=shard)
            batch["segment_ids"][:, 0] = 10 * shard + np.arange(10)
            if kind == "masked":
                names = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
                batch |= {name: np.ones((10, 3), int) for name in names}
                batch["masked_lm_weights"] = batch["masked_lm_weights"].astype(np.float32)
            path = tmp_path / f"r.tfrecord-{shard:05d}-of-00003"
            if kind == "dynamic":
                write_dynamic(path, batch)
            else:
                path.write_bytes(frame(*serialize(batch)))
            places = [found.offset for found in walk(path)]
            data = path.read_bytes()
            data = {0: data, 1: flipped(data, places[0] + 30, places[4]), 2: data[:-1]}[shard]
            path.write_bytes(compress(data))
        return str(tmp_path / "r.tfrecord-*")

    return write


INTACT = sorted({*range(30)} - {10, 14, 29})


def numbers(batches):
    return np.concatenate([x["segment_ids"][:, 0] for x, _, _ in batches]).tolist()


@pytest.mark.parametrize(("kind", "compress"), [("masked", bytes), ("masked", gzip.compress), ("dynamic", bytes)])
def test_training_leaves_damaged_records_out(shards, kind, compress):
    files = shards(kind, compress)
    options = {"batch_size": 4, "skip_damaged": True}
    once = pretraining_dataset(files, repeat=False, drop_remainder=False, **options)
    assert once.cardinality() == 7
    assert sorted(numbers(once.as_numpy_iterator())) == INTACT
    whole = list(pretraining_dataset(files, **options).take(11).as_numpy_iterator())
    assert sorted(numbers(whole)[:27]) == INTACT
    rest = pretraining_dataset(files, start_batch=8, **options).take(3).as_numpy_iterator()
    for (x, *_), (expected, *_) in zip(rest, whole[8:], strict=True):
        for name in x:
            np.testing.assert_array_equal(x[name], expected[name])


def test_training_that_is_to_stop_names_file_record_and_place(shards):
    files = shards()
    with pytest.raises(UserError, match=r"00001-of-00003 is damaged.*checksum of record 1 .*\(at byte 0\)"):
        pretraining_dataset(files, batch_size=4)
    first = str(files).replace("*", "00002-of-00003")
    with pytest.raises(UserError, match=r"00002-of-00003 is damaged: it ends within record 10 \(at byte \d+\)"):
        with damaged_records_named(first):
            list(pretraining_dataset(first, batch_size=4, drop_remainder=False))


def test_a_record_that_is_no_example_is_named_past_the_damaged_ones(tmp_path, instances):
    path = tmp_path / "a"
    good, other = (frame(*serialize(instances(3, seq_length=length))) for length in (16, 32))
    path.write_bytes(flipped(good, 40) + other)
    options = {"skip_damaged": True}
    with pytest.raises(UserError, match=rf"a is damaged: record 4 \(at byte {len(good)}\) has max_seq_length 32"):
        with damaged_records_named(path, **options):
            list(pretraining_dataset(path, batch_size=2, repeat=False, **options))
    path.write_bytes(good + frame(np.full(3, 0xFF, np.uint8), np.array([3])))
    with pytest.raises(UserError, match=rf"record 4 \(at byte {len(good)}\) is not a tf.train.Example"):
        with damaged_records_named(path):
            list(pretraining_dataset(path, batch_size=4, repeat=False))


def test_files_without_an_intact_record(shards, tmp_path):
    files = shards()
    for shard in (0, 2):
        path = tmp_path / f"r.tfrecord-{shard:05d}-of-00003"
        path.write_bytes(path.read_bytes()[:50])
    assert group_by_length(record_files(files), skip_damaged=True) == {
        32: [path.with_name("r.tfrecord-00001-of-00003")]
    }
    dataset = pretraining_dataset(files, batch_size=4, skip_damaged=True, repeat=False)
    assert sorted(numbers(dataset.as_numpy_iterator())) == [11, 12, 13, 15, 16, 17, 18, 19]
    with pytest.raises(UserError, match="8 records do not fill a batch of 9"):
        pretraining_dataset(files, batch_size=9, skip_damaged=True)
    (tmp_path / "r.tfrecord-00001-of-00003").write_bytes(b"\xffOnly rubbish.")
    with pytest.raises(UserError, match="00000-of-00003 and the rest hold no intact record"):
        pretraining_dataset(files, batch_size=4, skip_damaged=True)
