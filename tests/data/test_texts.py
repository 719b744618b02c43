"""Fine-tuning batches from strings."""

import types

import numpy as np
import pytest

from keras_bert.data.labels import as_labels
from keras_bert.data.texts import text_dataset, text_rows
from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer


@pytest.fixture
def tokenizer(vocabulary):
    return Tokenizer(vocabulary)


NAMES = {"label_names": ["a", "b"]}
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
    assert lengths == [8, 24, 100]


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
        (["a1"], ["positive"], {}, r"must be numbers.*labels\[0\] is 'positive'; give label_names="),
        ({"a1": 1}, None, {}, "texts must be a list of strings, or one column of a table.*Received: a dict"),
        (np.array([["a1"]]), None, {}, "or one column of a table"),
        (7, None, {}, "Received: a int"),
        (["a1"], "0", {}, "labels must be a list"),
        (["a1", "a2"], [1, None], {}, r"labels\[1\] is None"),
        (["a1", "a2"], [1.0, float("nan")], {}, r"labels\[1\] is nan, which is not a number that a model can learn"),
        (["a1", "a2"], [1.0, 1e39], {}, r"labels\[1\] is 1e\+39"),
        (["a1", "a2"], [2**40, 1], {}, r"labels\[0\] is 1099511627776"),
        (["a1", "a2"], [2**70, 1], {}, r"labels\[0\] is 1180591620717411303424"),
        (["a1"], [[0, 2**40]], {}, r"labels\[0, 1\] is 1099511627776"),
        (["a1", "a2"], ["b", "c"], NAMES, r"labels\[1\] is 'c', which is not one of the 2 classes: a, b"),
        (["a1", "a2"], [0, 0.9], NAMES, r"labels\[1\] is 0.9, which is not one of the 2 classes"),
        (["a1", "a2"], [0, 2], NAMES, r"labels\[1\] is 2, which"),
        (["a1", "a2"], [0, float("nan")], NAMES, r"labels\[1\] is nan, which"),
        (["a1", "a2"], [["a"], "b"], NAMES, r"labels\[1\] is 'b', where others are lists"),
        (["a1"], ["a", "b"], NAMES, "labels must be as many as texts"),
        (["a1"], ["a"], {"label_names": "ab"}, "label_names must be a list of names, or a model"),
        (["a1", "a2"], None, {"pairs": ["a3"]}, "pairs must be as many"),
        (["a1"], None, {"batch_size": 0}, "batch_size"),
        (["a1"], None, {"max_seq_length": 1}, "max_seq_length"),
    ],
)
def test_bad_input(tokenizer, texts, labels, options, message):
    with pytest.raises(UserError, match=message):
        text_dataset(texts, labels, tokenizer, **options)


def test_rows_of_many_lengths_are_what_encode_gives(tokenizer):
    rng = np.random.default_rng(0)
    texts, pairs = ([" ".join(f"a{i}" for i in rng.integers(0, 40, n)) for n in rng.integers(0, 12, 60)] for _ in "ab")
    texts[0], pairs[1] = "Ünknown words, [SEP] and a1b0b1!", "a1 a2 a3 a4 a5 a6 a7 a8 a9"
    for second in (None, pairs):
        for limit in (4, 9, 30):
            rows = text_rows(texts, tokenizer, pairs=second, max_seq_length=limit)
            for number, text in enumerate(texts):
                expected = tokenizer.encode(text, second and second[number], limit)
                length = expected["input_mask"].sum()
                for name in ("input_ids", "segment_ids"):
                    np.testing.assert_array_equal(rows[name][number], expected[name][:length])
                    assert rows[name][number].dtype == np.int32


def test_texts_of_like_length_share_a_batch(tokenizer):
    texts = ["a1 " * (1 + number % 30) for number in range(240)]
    dataset = text_dataset(texts, range(240), tokenizer, batch_size=8, max_seq_length=32)
    batches = collect(dataset)
    assert sorted(np.concatenate([labels for _, labels in batches])) == list(range(240))
    assert sum(x["input_mask"].size for x, _ in batches) < 1.25 * sum(x["input_mask"].sum() for x, _ in batches)
    one_shape = text_dataset(texts, range(240), tokenizer, batch_size=8, max_seq_length=32, pad_to_multiple=32)
    spread = [x["input_mask"].sum(axis=1).std() for x, _ in collect(one_shape)]
    assert np.mean(spread) > 5  # nothing to gain, so like lengths are not sought


def test_weights_follow_their_texts(tokenizer):
    dataset = text_dataset(TEXTS, range(5), tokenizer, batch_size=2, sample_weights=[0.0, 1.0, 2.0, 3.0, 4.0])
    for _, labels, weights in collect(dataset):
        assert labels.tolist() == weights.tolist()


def test_generators_give_texts_and_labels(tokenizer):
    dataset = text_dataset((text for text in TEXTS), (n for n in range(5)), tokenizer, shuffle=False)
    [(x, labels)] = collect(dataset)
    [(expected, _)] = collect(text_dataset(TEXTS, range(5), tokenizer, shuffle=False))
    np.testing.assert_array_equal(x["input_ids"], expected["input_ids"])
    assert labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["bad", "good", "bad"], [0, 1, 0]),
        (np.array(["bad", "good", "bad"]), [0, 1, 0]),
        (np.array(["bad", "good", "bad"], object), [0, 1, 0]),
        (np.array([b"bad", b"good", b"bad"]), [0, 1, 0]),  # as TensorFlow's strings are
        ((name for name in ("good", 0, 1.0)), [1, 0, 1]),
        ([["good", "bad"], [], ("bad",)], [[1, 1], [0, 0], [1, 0]]),
        ([[0, 1], [1, 1], [0, 0]], [[0, 1], [1, 1], [0, 0]]),
    ],
)
def test_labels_by_name(labels, expected):
    array = as_labels(labels, 3, ["bad", "good"])
    assert array.tolist() == expected
    assert array.dtype == (np.int32 if array.ndim == 1 else np.float32)


def test_the_names_may_be_a_model_s(tokenizer):
    model = types.SimpleNamespace(labels=["bad", "good"])
    [(_, labels)] = collect(text_dataset(TEXTS[:2], ["good", "bad"], tokenizer, shuffle=False, label_names=model))
    assert (labels.tolist(), labels.dtype) == ([1, 0], np.int32)


def test_what_has_no_order_or_is_no_tokenizer_is_refused(tokenizer):
    with pytest.raises(UserError, match="texts must be a list"):
        text_dataset({"a", "b"}, [0, 1], tokenizer)
    with pytest.raises(UserError, match="text must be a string or a list"):
        tokenizer({"a", "b"})
    with pytest.raises(UserError, match="tokenizer must be a keras_bert"):
        text_dataset(["a", "b"], tokenizer, [0, 1])
    with pytest.raises(UserError, match="label_names has 'a' twice"):
        as_labels(["a", "a"], 2, ["a", "a"])
