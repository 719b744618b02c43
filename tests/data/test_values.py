"""Wrong values of records: found in every record, wherever it stands, by numpy and inside tf.data."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.data.checking import damaged_records_named
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.data.records import manifest_path
from keras_bert.data.values import check_values
from keras_bert.errors import UserError

SIZES = {"vocab_size": 30522, "type_vocab_size": 2}
WRONG = {  # a value that XLA trains on without a word, and what is said of it
    "input_ids": [
        (30522, "30522 .*0 to 30,521 were expected, the ids of 30,522 tokens"),
        (-1, "-1"),
        (2**32 + 5, "42"),
    ],
    "input_mask": [(2, "2 .*0 to 1 ")],
    "segment_ids": [(2, "2 .*0 to 1 "), (-1, "-1")],
    "masked_lm_positions": [(16, "16 .*0 to 15 "), (-1, "-1")],
    "masked_lm_ids": [(30522, "30522"), (-1, "-1")],
    "masked_lm_weights": [(np.nan, "nan .*finite numbers"), (np.inf, "inf"), (-1.0, "-1")],
    "next_sentence_labels": [(2, "2 .*0 to 1 "), (-1, "-1")],
}


@pytest.mark.parametrize("name", WRONG)
def test_the_first_wrong_record_of_a_batch_is_named(instances, name):
    for value, said in WRONG[name]:
        batch = instances(6)
        check_values(batch, **SIZES, path="a", number=7)
        batch[name][[3, 5], -1] = value
        batch["next_sentence_labels"][4] = 9
        with pytest.raises(UserError, match=f"a: record 10 has {said}"):
            check_values(batch, **SIZES, path="a", number=7)


def test_what_is_not_known_has_no_limit(instances):
    batch = instances(2)
    batch["input_ids"][0, 0], batch["segment_ids"][0, 0] = 10**6, 99
    check_values(batch, path="a", number=1)


@pytest.mark.parametrize("name", ["input_ids", "masked_lm_positions", "masked_lm_weights"])
def test_a_wrong_value_far_into_a_file_ends_the_stream(instances, write_google_file, tmp_path, name):
    (value, said), *_ = WRONG[name]
    write_google_file(tmp_path / "a", instances(80))
    batch = instances(80)
    batch[name][70, -1] = value
    path = write_google_file(tmp_path / "b", batch)
    dataset = pretraining_dataset(str(tmp_path / "*"), batch_size=16, shuffle=False, **SIZES)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{path}: record 71 has"):
        list(dataset.take(10))
    with pytest.raises(UserError, match=f"b: record 71 has {said}"), damaged_records_named(path):
        list(dataset.take(10))


def test_unmasked_records_are_checked_before_they_are_masked(unmasked, write_dynamic, tmp_path, vocabulary):
    batch = unmasked(80)
    batch["input_ids"][70, 3] = len(vocabulary)
    path = write_dynamic(tmp_path / "a", batch)
    with pytest.raises(UserError, match="a: record 71 has 57 among its input_ids"), damaged_records_named(path):
        list(pretraining_dataset(path, batch_size=16, repeat=False))


def test_without_the_models_size_the_manifests_counts(instances, write_google_file, tmp_path):
    batch = instances(6)
    batch["input_ids"][4, 2] = 30522
    path = write_google_file(tmp_path / "a", batch)
    manifest_path(path).write_text(json.dumps({"vocab_size": 30522}))
    with pytest.raises(UserError, match="record 5 has 30522"), damaged_records_named(path):
        list(pretraining_dataset(path, batch_size=2, repeat=False))


def test_the_first_records_are_checked_before_anything_is_read(instances, write_google_file, tmp_path):
    batch = instances(6)
    batch["masked_lm_weights"][5, 0] = np.nan
    path = write_google_file(tmp_path / "a", batch)
    with pytest.raises(UserError, match="a: record 6 has nan among its masked_lm_weights"):
        pretraining_dataset(path, batch_size=2)


def test_shares_and_padding_are_read_as_before(instances, write_google_file, tmp_path):
    path = write_google_file(tmp_path / "a", instances(5))
    share = {"batch_size": 4, "num_shards": 2, "shard_index": 1, "repeat": False, "pad_remainder": True}
    batches = list(pretraining_dataset(path, shuffle=False, **share, **SIZES))
    assert [float(tf.reduce_sum(weights["next_sentence"])) for _, _, weights in batches] == [2.0, 0.0]
