"""Wrong values of records: found in every record, wherever it stands, by numpy and inside tf.data."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.data.checking import damaged_records_named
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.data.framing import frame
from keras_bert.data.records import manifest_path
from keras_bert.data.values import check_values
from keras_bert.data.wire import serialize
from keras_bert.errors import UserError
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

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


PACKED = {  # two rows of up to three texts
    "input_ids": [[2, 5, 3, 2, 3, 0], [2, 7, 8, 9, 3, 0]],
    "input_mask": [[1, 1, 1, 1, 1, 0]] * 2,
    "segment_ids": [[0] * 6] * 2,
    "next_sentence_labels": [[1, 0, 0], [1, 0, 0]],
    "sequence_ids": [[1, 1, 1, 2, 2, 0], [1] * 5 + [0]],
    "sequence_starts": [[0, 3, 0], [0, 0, 0]],
    "next_sentence_weights": [[1, 1, 0], [1, 0, 0]],
}
WRONG_ROWS = [
    ("sequence_ids", [1, 1, 2, 2, 1, 0], "1 among its sequence_ids, where each text was expected to have a number"),
    ("sequence_ids", [1, 2, 3, 4, 4, 0], "4 among its sequence_ids"),  # where three fit
    ("sequence_ids", [1, 1, 1, 3, 3, 0], "3 among its sequence_ids"),
    ("sequence_ids", [0, 0, 1, 2, 2, 0], "0 among its sequence_ids"),
    ("sequence_ids", [1, 1, 1, 2, 2, 2], "2 among its sequence_ids"),  # of padding
    ("sequence_ids", [1, 1, 1, -2, -2, 0], "-2 among its sequence_ids"),
    ("sequence_starts", [0, 2, 0], "2 among its sequence_starts, where the first place of each text was expected"),
    ("sequence_starts", [0, 3, 5], "5 among its sequence_starts"),
    ("next_sentence_weights", [1, np.nan, 0], "nan among its next_sentence_weights, where finite numbers"),
    ("next_sentence_labels", [1, 2, 0], "2 among its next_sentence_labels, where 0 to 1"),
]


def packed_batch():
    weights = "next_sentence_weights"
    return {name: np.array(rows, np.float32 if name == weights else np.int64) for name, rows in PACKED.items()}


@pytest.mark.parametrize(("name", "row", "said"), WRONG_ROWS)
def test_a_packed_row_whose_texts_do_not_lie_one_by_one_is_named(name, row, said):
    batch = packed_batch()
    check_values(batch, path="a", number=7)
    batch[name][0] = row
    with pytest.raises(UserError, match=f"a: record 7 has {said}"):
        check_values(batch, path="a", number=7)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "row", "said"), WRONG_ROWS[::3])
def test_a_wrong_packed_row_ends_the_stream(tmp_path, name, row, said):
    batch = packed_batch()
    (tmp_path / "a").write_bytes(frame(*serialize(batch)))
    masks = {"vocabulary": Vocabulary([*SPECIAL_TOKENS, *"abcde"]), "max_predictions": 2}
    options = {"batch_size": 2, "shuffle": False, "repeat": False, **masks}
    ((x, _, _),) = pretraining_dataset(tmp_path / "a", **options).as_numpy_iterator()
    np.testing.assert_array_equal(x["sequence_ids"], batch["sequence_ids"])
    many = {each: np.tile(values, (40, 1)) for each, values in batch.items()}
    many[name][72] = row
    (tmp_path / "b").write_bytes(frame(*serialize(many)))
    with pytest.raises(UserError, match=f"b: record 73 has {said}"), damaged_records_named(tmp_path / "b"):
        list(pretraining_dataset(tmp_path / "b", **options))
