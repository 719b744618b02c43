"""Packed records: the instances that unpacked ones have, several to a row, each whole and by itself."""

import collections
import json

import numpy as np
import pytest

from keras_bert.data.columns import read_columns
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.data.records import FEATURES, features_of
from keras_bert.data.values import check_values
from keras_bert.errors import UserError
from tests.tfrecords.tool import small_pieces
from tfrecords.contents import contents_of, disagreements
from tfrecords.show_records import examples, original_text, record_text, texts_of

SHORT = {"max_seq_length": 128, "max_predictions_per_seq": 20, "short_seq_prob": 1.0}  # instances of any length to it


def columns(path):
    batches = list(read_columns(path))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def instances_of(path):
    """Counts the instances of a record file: ids before masking, segments and label of each."""
    found = []
    for _, _, record in examples([path]):
        for text in texts_of(record):
            ids, segments = text["input_ids"].copy(), text["segment_ids"]
            if "masked_lm_ids" in text:
                taken = text["masked_lm_weights"] > 0
                ids[text["masked_lm_positions"][taken]] = text["masked_lm_ids"][taken]
            real = text["input_mask"] > 0
            found.append((tuple(ids[real]), tuple(segments[real]), int(text["next_sentence_labels"][0])))
    return collections.Counter(found)


@pytest.mark.slow
@pytest.mark.parametrize("sentence_task", ["nsp", "sop", "none"])
@pytest.mark.parametrize("dynamic", [False, True], ids=["masked", "unmasked"])
def test_rows_hold_the_instances_that_records_would(make, tmp_path, sentence_task, dynamic):
    options = {"sentence_task": sentence_task, "dynamic": dynamic, "dupe_factor": 3, **SHORT}
    plain = make("plain.tfrecord", **options)
    packed = make("packed.tfrecord", **options, pack="isolated")
    path = tmp_path / "out" / "packed.tfrecord"
    expected = instances_of(tmp_path / "out" / "plain.tfrecord")
    assert instances_of(path) == expected
    assert sum(expected.values()) == packed["texts"] == plain["instances"] > 1.1 * packed["instances"]
    assert (packed["pack"], packed["max_seq_length"]) == ("isolated", 128)
    assert packed["statistics"]["padding_share"] < plain["statistics"]["padding_share"]
    rows = columns(path)
    assert list(rows) == list(features_of(masked=not dynamic, packed=True))
    assert len(rows["input_ids"]) == packed["instances"]
    assert rows["sequence_starts"].shape[1] == packed["max_texts_per_row"]
    check_values(rows, path=path, number=1)
    starts = np.take_along_axis(rows["input_ids"], rows["sequence_starts"], axis=1)
    assert (starts[rows["next_sentence_weights"] > 0] == starts[0, 0]).all()  # [CLS], which is never masked


@pytest.mark.slow
def test_a_row_masks_its_share_of_all_its_texts(make, tmp_path):
    manifest = make(pack="isolated", **SHORT)
    rows = columns(tmp_path / "out" / "a.tfrecord")
    wanted = np.minimum(20, np.maximum(1, np.rint(0.15 * rows["input_mask"].sum(axis=1))))
    np.testing.assert_array_equal(rows["masked_lm_weights"].sum(axis=1), wanted)
    assert manifest["statistics"]["predictions"] == wanted.sum()


@pytest.mark.slow
def test_any_number_of_workers_and_shards_of_the_same_bytes(make, tmp_path, monkeypatch):
    small_pieces(monkeypatch)
    options = {"pack": "isolated", **SHORT, "num_shards": 2}
    one, two = (make(f"{name}.tfrecord", num_workers=name, **options) for name in (1, 2))
    for shard in range(2):
        first, second = (tmp_path / "out" / f"{name}.tfrecord-0000{shard}-of-00002" for name in (1, 2))
        assert first.read_bytes() == second.read_bytes()
    assert one["statistics"] == two["statistics"]
    assert (tmp_path / "out").joinpath("1.manifest.json").exists()


@pytest.mark.slow
def test_a_limit_of_texts_drops_none(make, tmp_path):
    free = make("free.tfrecord", pack="isolated", **SHORT)
    bound = make("bound.tfrecord", pack="isolated", **SHORT, max_texts_per_row=2)
    assert instances_of(tmp_path / "out" / "bound.tfrecord") == instances_of(tmp_path / "out" / "free.tfrecord")
    assert bound["max_texts_per_row"] == 2 < free["max_texts_per_row"]
    weights = columns(tmp_path / "out" / "bound.tfrecord")["next_sentence_weights"]
    assert set(weights.sum(axis=1)) <= {1.0, 2.0}


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True], ids=["masked", "unmasked"])
def test_the_dataset_gives_the_rows(make, tmp_path, dynamic):
    manifest = make(pack="isolated", **SHORT, dynamic=dynamic)
    path = tmp_path / "out" / "a.tfrecord"
    rows, most = columns(path), manifest["max_texts_per_row"]
    dataset = pretraining_dataset(path, batch_size=16, shuffle=False, repeat=False, pad_remainder=True)
    batches = list(dataset.as_numpy_iterator())
    assert len(batches) == len(dataset) == -(-manifest["instances"] // 16)
    x, y, weights = batches[0]
    for name in ("input_mask", "segment_ids", "sequence_ids", "sequence_starts"):
        assert x[name].dtype == np.int32
        np.testing.assert_array_equal(x[name], rows[name][:16])
    assert y["next_sentence"].shape == weights["next_sentence"].shape == (16, most)
    np.testing.assert_array_equal(y["next_sentence"], rows["next_sentence_labels"][:16])
    np.testing.assert_array_equal(weights["next_sentence"], rows["next_sentence_weights"][:16])
    assert sum(batch[2]["next_sentence"].sum() for batch in batches) == manifest["texts"]
    hidden = np.take_along_axis(x["input_ids"], x["masked_lm_positions"], axis=1)[weights["masked_lm"] > 0]
    assert 0.5 < (hidden == 4).mean() < 0.95  # [MASK]


@pytest.mark.slow
def test_without_a_sentence_task_the_labels_weigh_nothing(make, tmp_path):
    make(pack="isolated", sentence_task="none")
    (_, _, weights) = next(pretraining_dataset(tmp_path / "out" / "a.tfrecord", batch_size=4).as_numpy_iterator())
    assert not weights["next_sentence"].any()
    assert weights["masked_lm"].any()


@pytest.mark.slow
def test_packed_and_other_records_are_not_mixed(make, tmp_path):
    make("a.tfrecord")
    make("b.tfrecord", pack="isolated")
    with pytest.raises(UserError, match=r"texts a row.* train on files of one kind at a time"):
        pretraining_dataset(str(tmp_path / "out" / "*.tfrecord"), batch_size=4)


@pytest.mark.slow
def test_an_older_reader_says_what_it_does_not_know(make, tmp_path):
    """A reader that knows the seven features alone finds too many labels."""
    make(pack="isolated")
    import tensorflow as tf

    record = next(iter(tf.data.TFRecordDataset(str(tmp_path / "out" / "a.tfrecord"))))
    spec = {name: tf.io.FixedLenFeature([1], tf.int64) for name in FEATURES if name == "next_sentence_labels"}
    with pytest.raises(tf.errors.InvalidArgumentError, match="next_sentence_labels"):
        tf.io.parse_single_example(record, spec)


@pytest.mark.slow
def test_the_manifest_says_what_the_records_hold(make, tmp_path, vocabulary):
    manifest = make(pack="isolated", **SHORT)
    path = tmp_path / "out" / "a.tfrecord"
    contents = contents_of([path], vocabulary)
    assert contents.packed
    assert contents.lengths.sum() == contents.statistics.texts == manifest["texts"]
    assert (np.arange(len(contents.lengths)) * contents.lengths).sum() == contents.statistics.real_tokens
    assert not list(disagreements(manifest, contents, whole=True))
    found = {what: said for what, *said in disagreements({**manifest, "max_texts_per_row": 9}, contents, whole=True)}
    assert found == {"max_texts_per_row": [9, manifest["max_texts_per_row"]]}
    assert json.loads((tmp_path / "out" / "a.manifest.json").read_text()) == manifest


def test_a_row_as_text(vocabulary):
    words = {name: vocabulary.id(name) for name in ("[CLS]", "[SEP]", "[MASK]", "ka", "lo")}
    cls, sep, mask, ka, lo = words.values()
    record = {
        "input_ids": [cls, ka, sep, lo, sep, cls, mask, sep, ka, sep, 0],
        "input_mask": [1] * 10 + [0],
        "segment_ids": [0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0],
        "masked_lm_positions": [3, 6, 0],
        "masked_lm_ids": [lo, lo, 0],
        "masked_lm_weights": [1, 1, 0],
        "sequence_ids": [1] * 5 + [2] * 5 + [0],
        "sequence_starts": [0, 5, 0],
        "next_sentence_labels": [0, 1, 0],
        "next_sentence_weights": [1, 1, 0],
    }
    assert record_text(record, vocabulary) == (
        "1: [CLS] ka [SEP] {lo kept} [SEP]\n(b is the next of the same document; {word} stands behind [MASK])\n"
        "2: [CLS] {lo} [SEP] ka [SEP]\n(b is random, of another document; {word} stands behind [MASK])"
    )
    assert original_text(record, vocabulary) == ["ka", "lo", "lo", "ka"]


def test_a_limit_without_packing_is_refused(make):
    with pytest.raises(UserError, match=r"--max_texts_per_row is about rows of several texts; add --pack=isolated"):
        make(max_texts_per_row=3)
    with pytest.raises(UserError, match="--pack must be one of none, isolated"):
        make(pack="open")


@pytest.mark.parametrize("dynamic", [False, True], ids=["masked", "unmasked"])
def test_full_rows_hold_the_text_in_order(make, tmp_path, vocabulary, dynamic):
    """Each row is one text of the corpus' own order, with separators where documents meet."""
    options = {"sentence_task": "none", "short_seq_prob": 0.0, "max_seq_length": 64, "max_predictions_per_seq": 10}
    plain = make("plain.tfrecord", **options, dupe_factor=1, dynamic=dynamic)
    full = make("full.tfrecord", **options, dupe_factor=1, dynamic=dynamic, pack="full")
    assert full["pack"] == "full" and full["instances"] < plain["instances"]
    assert full["statistics"]["padding_share"] < plain["statistics"]["padding_share"]
    words, separators = [], 0
    for name in ("plain", "full"):
        found = instances_of(tmp_path / "out" / f"{name}.tfrecord")
        rows = [ids[1:-1] for (ids, segments, _), count in found.items() for _ in range(count) if not any(segments)]
        words.append(collections.Counter(token for row in rows for token in row if token != vocabulary.sep_id))
        separators = sum(row.count(vocabulary.sep_id) for row in rows)
    assert words[0] == words[1]
    assert separators > 0


def test_full_rows_leave_no_pairs(make):
    with pytest.raises(UserError, match=r"--pack=full puts sentences .*; add --sentence_task=none. Received: nsp"):
        make(pack="full")
