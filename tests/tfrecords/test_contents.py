"""What records hold, counted, against what the data tool counted when it made them."""

import numpy as np
import pytest

from keras_bert.data.framing import frame
from keras_bert.data.records import UNMASKED_FEATURES
from keras_bert.data.values import MOST_IDS
from keras_bert.data.wire import serialize
from keras_bert.errors import UserError
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tfrecords.contents import Contents, contents_of, disagreements, original_ids
from tfrecords.create_pretraining_data import create_pretraining_data

WORDS = Vocabulary([*SPECIAL_TOKENS, "the", "cat", "sat", "##s"])  # ids 0 to 8
BY_HAND = {
    # [CLS] the [MASK] sat [SEP] [UNK] ##s [SEP]: "cat" masked, "sat" kept, and "the" replaced by "##s"
    # [CLS] the [SEP] cat [SEP]: "the" kept
    "input_ids": [[2, 5, 4, 7, 3, 1, 8, 3], [2, 5, 3, 6, 3, 0, 0, 0]],
    "input_mask": [[1] * 8, [1] * 5 + [0] * 3],
    "segment_ids": [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0, 0]],
    "masked_lm_positions": [[2, 3, 6], [1, 0, 0]],
    "masked_lm_ids": [[6, 7, 5], [5, 0, 0]],
    "masked_lm_weights": [[1, 1, 1], [1, 0, 0]],
    "next_sentence_labels": [[1], [0]],
}


def by_hand(**replaced):
    return {name: np.array(values) for name, values in (BY_HAND | replaced).items()}


def write(path, batch):
    path.write_bytes(frame(*serialize(batch)))
    return path


@pytest.mark.parametrize("vocabulary", [WORDS, None], ids=["words", "ids alone"])
def test_counts_by_hand(tmp_path, vocabulary):
    contents = contents_of([write(tmp_path / "a", by_hand())], vocabulary)
    statistics = contents.statistics
    assert (statistics.instances, statistics.label_1, statistics.real_tokens, statistics.slots) == (2, 1, 13, 16)
    assert (statistics.predictions, statistics.actions) == (4, [1, 2, 1])
    assert contents.lengths.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 1]
    #                                    PAD UNK CLS SEP MASK the cat sat ##s
    assert contents.tokens.tolist() == [0, 1, 2, 4, 0, 3, 2, 1] + [0] * (vocabulary is not None)
    assert contents.layouts == [(8, 3)]
    assert contents.mask_id == 4
    assert not contents.dynamic


def test_unmasked_records():
    contents = Contents(WORDS)
    batch = {name: values for name, values in by_hand().items() if name in UNMASKED_FEATURES}
    contents.add(batch, path="a", number=1)
    assert contents.dynamic
    assert contents.layouts == [(8, None)]
    assert contents.statistics.predictions == 0
    assert contents.tokens[WORDS.id("the")] == 2


def test_without_a_vocabulary_the_mask_is_what_hides_most():
    contents = Contents()
    kept = by_hand(masked_lm_ids=[[4, 7, 8], [5, 0, 0]])
    contents.add(kept, path="a", number=1)  # nothing is hidden yet
    assert contents.mask_id is None
    assert contents.statistics.actions == [0, 4, 0]
    contents.add(by_hand(input_ids=[[2, 5, 11, 7, 3, 1, 11, 3], [2, 11, 3, 6, 3, 0, 0, 0]]), path="a", number=3)
    assert contents.mask_id == 11
    assert contents.statistics.actions == [3, 5, 0]
    contents.add(by_hand(), path="a", number=5)  # by itself this would say 4
    assert contents.mask_id == 11
    assert contents.statistics.actions == [3, 7, 2]


def test_undoing_the_masks():
    batch = by_hand()
    expected = [[2, 5, 6, 7, 3, 1, 5, 3], [2, 5, 3, 6, 3, 0, 0, 0]]
    assert original_ids(batch).tolist() == expected
    np.testing.assert_array_equal(batch["input_ids"], BY_HAND["input_ids"])  # which stay as they were


@pytest.mark.parametrize(("limit", "instances"), [(None, 6), (6, 6), (5, 5), (3, 3), (2, 2), (1, 1), (100, 6)])
def test_the_limit(tmp_path, limit, instances):
    files = [write(tmp_path / name, by_hand()) for name in "abc"]
    seen = []
    contents = contents_of(files, WORDS, limit=limit, progress=lambda *args: seen.append(args))
    assert contents.statistics.instances == contents.lengths.sum() == instances
    stage, done, total, unit = seen[-1]
    assert (stage, done, total, unit) == ("reading", instances, instances, "record")
    assert all(done < total for _, done, total, _ in seen[:-1])


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("input_ids", [2, 9, 3, 6, 3, 0, 0, 0], "9"),
        ("masked_lm_ids", [9, 0, 0], "9"),
        ("masked_lm_positions", [8, 0, 0], "8"),
        ("input_mask", [2, 1, 1, 1, 1, 0, 0, 0], "2"),
        ("next_sentence_labels", [2], "2"),
    ],
)
def test_values_that_no_record_has(tmp_path, name, row, value):
    path = write(tmp_path / "a", by_hand(**{name: [BY_HAND[name][0], row]}))
    with pytest.raises(UserError, match=f"a: record 2 has {value} among its {name}"):
        contents_of([path], WORDS)


def test_an_id_that_no_vocabulary_has():
    with pytest.raises(UserError, match=f"record 7 has {MOST_IDS} among its input_ids"):
        Contents().add(by_hand(input_ids=[[MOST_IDS] * 8, [0] * 8]), path="a", number=7)
    with pytest.raises(UserError, match="record 8 has -1 among its input_ids"):
        Contents().add(by_hand(input_ids=[[1] * 8, [-1] * 8]), path="a", number=7)


@pytest.fixture
def make(corpus_file, vocab_file, tmp_path):
    """Returns a function that writes records and returns their files and manifest."""

    def run(**options):
        settings = {"max_seq_length": 32, "max_predictions_per_seq": 5, "num_shards": 3, "num_workers": 1}
        manifest = create_pretraining_data(
            str(corpus_file), f"{tmp_path}/out/a.tfrecord", str(vocab_file), **(settings | options)
        )
        return sorted(tmp_path.glob("out/a.tfrecord*")), manifest

    return run


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"masking": "whole_word", "sentence_task": "sop", "compression": "gzip"},
        {"dynamic": True},
        {"sentence_task": "none", "masking": "ngram"},
    ],
    ids=["default", "sop", "dynamic", "none"],
)
def test_the_records_hold_what_the_manifest_says(make, vocabulary, options):
    files, manifest = make(**options)
    contents = contents_of(files, vocabulary)
    assert list(disagreements(manifest, contents, whole=True)) == []
    found = contents.statistics.as_dict(sentence_task=manifest["sentence_task"], dynamic=manifest["dynamic"])
    chance = 5  # tokens that were drawn anew and are the same
    if not contents.dynamic:
        for name, count in found.pop("actions").items():
            assert abs(count - manifest["statistics"]["actions"][name]) <= chance * (name != "masked")
    assert found.items() <= manifest["statistics"].items()
    assert contents.lengths.sum() == manifest["instances"]
    assert contents.tokens.sum() == contents.statistics.real_tokens
    assert contents.tokens[vocabulary.mask_id] == 0  # all are undone


def test_a_truncated_set_does_not_agree(make, vocabulary):
    files, manifest = make()
    contents = contents_of(files[:2], vocabulary)
    found = {what: (said, seen) for what, said, seen in disagreements(manifest, contents, whole=True)}
    assert found["instances"] == (manifest["instances"], contents.statistics.instances)
    assert {"instances", "real tokens", "predictions", "tokens behind [MASK]"} <= found.keys()
    assert list(disagreements(manifest, contents, whole=False)) == []  # of a part nothing is known


def test_a_mixed_set_does_not_agree(make, vocabulary, tmp_path):
    files, manifest = make()
    other = {**manifest, "max_seq_length": 64, "max_predictions_per_seq": 9, "dynamic": True}
    found = list(disagreements(other, contents_of(files, vocabulary), whole=False))
    assert found == [("max_seq_length", 64, 32), ("max_predictions_per_seq", 9, 5), ("dynamic", True, False)]
    twice = contents_of([*files, *files], vocabulary)
    found = list(disagreements(manifest, twice, whole=False))
    assert found == [("instances", manifest["instances"], 2 * manifest["instances"])]


def test_labels_where_there_is_no_sentence_task(make, vocabulary):
    files, manifest = make()
    contents = contents_of(files, vocabulary)
    found = list(disagreements({**manifest, "sentence_task": "none"}, contents, whole=False))
    assert found == [("records whose label is 1", 0, contents.statistics.label_1)]


def test_a_manifest_that_says_little(make, vocabulary):
    files, _ = make()
    assert list(disagreements({}, contents_of(files, vocabulary), whole=True)) == []
