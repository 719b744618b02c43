"""Records as text."""

import itertools

import numpy as np
import pytest

from keras_bert.data.framing import frame
from keras_bert.data.masking import mask_tokens
from keras_bert.data.records import UNMASKED_FEATURES
from keras_bert.data.wire import serialize
from keras_bert.errors import UserError
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tfrecords.show_records import examples, original_text, record_text

WORDS = Vocabulary([*SPECIAL_TOKENS, "the", "cat", "##s", "sat"])  # ids 0 to 8
RECORD = {  # [CLS] the cats [SEP] the cat sat [SEP]
    "input_ids": [2, 5, 4, 7, 3, 8, 6, 8, 3, 0],
    "input_mask": [1] * 9 + [0],
    "segment_ids": [0] * 5 + [1] * 4 + [0],
    "masked_lm_positions": [2, 5, 7, 0],
    "masked_lm_ids": [6, 5, 8, 0],
    "masked_lm_weights": [1, 1, 1, 0],
    "next_sentence_labels": [1],
}
UNMASKED = {name: RECORD[name] for name in UNMASKED_FEATURES} | {"input_ids": [2, 5, 6, 7, 3, 5, 6, 8, 3, 0]}


def test_masked_kept_and_replaced():
    assert record_text(RECORD, WORDS) == (
        "[CLS] the {cat} ##s [SEP] {the -> sat} cat {sat kept} [SEP]\n"
        "(b is random, of another document; {word} stands behind [MASK])"
    )


def test_without_a_vocabulary_ids_are_shown():
    assert record_text(RECORD, None) == (
        "2 5 {6 -> 4} 7 3 {5 -> 8} 6 {8 kept} 3\n(b is random, of another document; {id -> what stands there})"
    )


def test_marks_stand_around_what_is_to_predict_and_nothing_else():
    assert record_text(RECORD, WORDS, mark="<{}>".format).startswith(
        "[CLS] the <{cat}> ##s [SEP] <{the -> sat}> cat <{sat kept}> [SEP]\n"
    )


@pytest.mark.parametrize(
    ("task", "label", "note"),
    [
        ("nsp", 0, "\n(b is the next of the same document)"),
        ("nsp", 1, "\n(b is random, of another document)"),
        ("sop", 0, "\n(a and b are in order)"),
        ("sop", 1, "\n(a and b are swapped)"),
        ("none", 0, ""),
    ],
)
def test_unmasked_records(task, label, note):
    record = UNMASKED | {"next_sentence_labels": [label]}
    assert record_text(record, WORDS, sentence_task=task) == "[CLS] the cat ##s [SEP] the cat sat [SEP]" + note


@pytest.mark.parametrize("record", [RECORD, UNMASKED], ids=["masked", "unmasked"])
def test_the_text_that_it_was(record):
    assert original_text(record, WORDS) == ["the cats", "the cat sat"]


def test_the_text_of_a_single_segment():
    assert original_text(RECORD | {"segment_ids": [0] * 10}, WORDS) == ["the cats the cat sat"]


def test_masking_undone_gives_the_text(vocabulary):
    rng = np.random.default_rng(0)
    tokens = rng.choice(vocabulary.replacement_ids, (50, 20))
    tokens[:, 0], tokens[:, -1] = vocabulary.cls_id, vocabulary.sep_id
    masked = mask_tokens(tokens, vocabulary, rate=0.5, rng=rng)
    for row, expected in enumerate(tokens):
        record = {
            "input_ids": masked.input_ids[row],
            "input_mask": np.ones(20, int),
            "segment_ids": np.zeros(20, int),
            "masked_lm_positions": masked.positions[row],
            "masked_lm_ids": masked.ids[row],
            "masked_lm_weights": masked.weights[row],
        }
        assert original_text(record, vocabulary) == [" ".join(map(vocabulary.token, expected[1:-1])).replace(" ##", "")]


@pytest.fixture
def files(tmp_path):
    """Three files of 3, 9 and 1 records; the first id counts them."""
    paths = []
    for name, count in (("a", 3), ("b", 9), ("c", 1)):
        batch = {feature: np.tile(values, (count, 1)) for feature, values in RECORD.items()}
        batch["input_ids"][:, 0] = np.arange(count) + 10 * len(paths)
        paths.append(tmp_path / name)
        paths[-1].write_bytes(frame(*serialize(batch)))
    return paths


EVERY = [("a", 1, 0), ("a", 2, 1), ("a", 3, 2), *(("b", n, 9 + n) for n in range(1, 10)), ("c", 1, 20)]


@pytest.mark.parametrize("skip", range(15))
def test_skipping(files, skip):
    found = [(path.name, number, record["input_ids"][0]) for path, number, record in examples(files, skip=skip)]
    assert found == EVERY[skip:]


def test_examples_are_read_as_they_are_asked_for(files):
    files[1].write_bytes(b"no records at all")
    assert len(list(itertools.islice(examples(files), 3))) == 3
    with pytest.raises(UserError, match="/b is text, not a TFRecord file; make records of it first"):
        list(itertools.islice(examples(files), 4))


def test_ids_outside_of_the_vocabulary(files):
    with pytest.raises(UserError, match="b: record 1 has 10 among its input_ids, where 0 to 8 were expected"):
        list(examples(files, vocab_size=len(WORDS)))
