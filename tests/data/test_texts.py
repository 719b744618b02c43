"""Fine-tuning batches from strings."""

import numpy as np
import pytest

from keras_bert.data.texts import text_dataset
from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer


@pytest.fixture
def tokenizer(vocabulary):
    return Tokenizer(vocabulary)


TEXTS = ["a1 a2 a3", "a4", "a5 a6 a7 a8 a9 a10 a11", "a12 a13", "a14 a15 a16 a17"]


def collect(dataset):
    return list(dataset.as_numpy_iterator())


@pytest.mark.parametrize("pairs", [None, ["a20", "a21 a22 a23 a24", "a25", "a26 a27", "a28 a29"]])
def test_rows_are_what_encode_gives(tokenizer, pairs):
    dataset = text_dataset(TEXTS, None, tokenizer, pairs=pairs, batch_size=2, max_seq_length=8)
    rows = [row for x in collect(dataset) for row in zip(*x.values(), strict=True)]
    assert list(collect(dataset)[0]) == ["input_ids", "input_mask", "segment_ids"]
    assert len(rows) == len(TEXTS)
    for number, (ids, mask, segments) in enumerate(rows):
        expected = tokenizer.encode(TEXTS[number], pairs[number] if pairs else None, len(ids))
        np.testing.assert_array_equal(ids, expected["input_ids"])
        np.testing.assert_array_equal(mask, expected["input_mask"])
        np.testing.assert_array_equal(segments, expected["segment_ids"])
        assert ids.dtype == mask.dtype == segments.dtype == np.int32


def test_tuples_are_pairs(tokenizer):
    (tuples,) = collect(text_dataset([("a1", "a2 a3"), ("a4 a5", "a6")], None, tokenizer))
    (pairs,) = collect(text_dataset(["a1", "a4 a5"], None, tokenizer, pairs=["a2 a3", "a6"]))
    for name in pairs:
        np.testing.assert_array_equal(tuples[name], pairs[name])
    assert tuples["segment_ids"][0, :7].tolist() == [0, 0, 0, 1, 1, 1, 0]


def test_length_follows_the_batch_up_to_the_limit(tokenizer):
    texts = ["a1", "a1 " * 20, "a1 " * 200]
    lengths = [
        x["input_ids"].shape[1] for x in collect(text_dataset(texts, None, tokenizer, batch_size=1, max_seq_length=100))
    ]
    assert lengths == [32, 32, 100]


def test_one_shape_when_asked(tokenizer):
    dataset = text_dataset(TEXTS, [0] * 5, tokenizer, max_seq_length=24, pad_to_multiple=24, batch_size=2)
    x, _ = dataset.element_spec
    assert {spec.shape[1] for spec in x.values()} == {24}
    assert {x["input_mask"].shape[1] for x, _ in collect(dataset)} == {24}


def test_labels_stay_with_their_texts_through_shuffling(tokenizer, vocabulary):
    texts = [f"a{i}" for i in range(40)]
    dataset = text_dataset(texts, range(40), tokenizer, batch_size=7, seed=5)
    seen = []
    for x, labels in collect(dataset):
        assert labels.dtype == np.int32
        words = [int(vocabulary.token(token)[1:]) for token in x["input_ids"][:, 1]]
        assert words == labels.tolist()
        seen += words
    assert sorted(seen) == list(range(40))
    assert seen != list(range(40))
    again = text_dataset(texts, range(40), tokenizer, batch_size=7, seed=5)
    assert np.concatenate([labels for _, labels in collect(again)]).tolist() == seen


def test_without_labels_the_order_stays(tokenizer, vocabulary):
    texts = [f"a{i}" for i in range(40)]
    batches = collect(text_dataset(texts, None, tokenizer, batch_size=7))
    first = np.concatenate([x["input_ids"][:, 1] for x in batches])
    assert [vocabulary.token(token) for token in first] == texts


def test_float_labels_and_the_last_batch(tokenizer):
    dataset = text_dataset(TEXTS, [0.5, 1, 2, 3, 4.5], tokenizer, batch_size=2, shuffle=False, drop_remainder=True)
    labels = [labels for _, labels in collect(dataset)]
    assert np.array(labels).tolist() == [[0.5, 1.0], [2.0, 3.0]]
    assert labels[0].dtype == np.float32


@pytest.mark.parametrize(
    ("texts", "labels", "options", "message"),
    [
        ([], None, {}, "texts is empty"),
        (["a1", 7], None, {}, "Entry 1 is '7'"),
        ("a1", None, {}, "texts must be a list"),
        ([("a1", "a2", "a3")], None, {}, "Entry 0"),
        (["a1"], [0, 1], {}, "as many as texts"),
        (["a1"], ["positive"], {}, "must be numbers"),
        (["a1", "a2"], None, {"pairs": ["a3"]}, "pairs must be as many"),
        (["a1"], None, {"batch_size": 0}, "batch_size"),
        (["a1"], None, {"max_seq_length": 1}, "max_seq_length"),
    ],
)
def test_bad_input(tokenizer, texts, labels, options, message):
    with pytest.raises(UserError, match=message):
        text_dataset(texts, labels, tokenizer, **options)
