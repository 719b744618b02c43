"""Rows of ids: as Tokenizer.encode cuts them, or windows that leave nothing out."""

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.tasks.windows import encode_texts
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

WORDS = [f"w{i}" for i in range(30)]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))


def words(start, stop):
    return " ".join(WORDS[start:stop])


def test_cut_is_what_encode_gives(tokenizer):
    texts, pairs = [words(0, 9), "w1", "", words(3, 6)], ["w2", words(4, 20), "", words(8, 11)]
    for second in (None, pairs):
        rows, counts = encode_texts(texts, second, tokenizer, max_seq_length=8)
        assert counts.tolist() == [1, 1, 1, 1]
        for i, text in enumerate(texts):
            encoded = tokenizer.encode(text, second and second[i], 8)
            length = encoded["input_mask"].sum()
            assert rows["input_ids"][i].tolist() == encoded["input_ids"][:length].tolist()
            assert rows["segment_ids"][i].tolist() == encoded["segment_ids"][:length].tolist()


def shown(tokenizer, rows):
    return [tokenizer.decode(ids, skip_special_tokens=False) for ids in rows["input_ids"]]


def test_windows_by_hand(tokenizer):
    rows, counts = encode_texts(
        [words(0, 7), "w9"], None, tokenizer, max_seq_length=6, long_texts="windows", doc_stride=3
    )
    assert shown(tokenizer, rows) == [
        "[CLS] w0 w1 w2 w3 [SEP]",
        "[CLS] w3 w4 w5 w6 [SEP]",
        "[CLS] w9 [SEP]",
    ]
    assert counts.tolist() == [2, 1]


def test_the_longer_text_of_a_pair_is_read_in_windows(tokenizer):
    rows, counts = encode_texts(
        ["w20 w21", words(0, 6), words(0, 9)],
        [words(0, 6), "w20", words(10, 19)],
        tokenizer,
        max_seq_length=9,  # six tokens beside [CLS] and two [SEP]
        long_texts="windows",
    )
    assert counts.tolist() == [2, 2, 7]
    found = shown(tokenizer, rows)
    assert found[:4] == [
        "[CLS] w20 w21 [SEP] w0 w1 w2 w3 [SEP]",
        "[CLS] w20 w21 [SEP] w2 w3 w4 w5 [SEP]",
        "[CLS] w0 w1 w2 w3 w4 [SEP] w20 [SEP]",
        "[CLS] w2 w3 w4 w5 [SEP] w20 [SEP]",
    ]
    # Of two long ones the second is read in windows, and the first keeps half of the room.
    assert found[4] == "[CLS] w0 w1 w2 [SEP] w10 w11 w12 [SEP]"
    assert found[-1] == "[CLS] w0 w1 w2 [SEP] w16 w17 w18 [SEP]"
    assert rows["segment_ids"][0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("stride", [None, 1, 3, 50])
@pytest.mark.parametrize("length", [0, 1, 6, 7, 12, 13, 30])
def test_windows_leave_nothing_out_and_end_with_the_text(tokenizer, stride, length):
    options = {"max_seq_length": 8, "long_texts": "windows", "doc_stride": stride}
    rows, counts = encode_texts([words(0, length)], None, tokenizer, **options)
    inner = [ids[1:-1] for ids in rows["input_ids"]]
    assert counts.tolist() == [len(inner)]
    assert set(np.concatenate(inner)) == set(tokenizer.token_ids(words(0, length)))
    assert all(len(ids) == 6 for ids in inner[:-1])
    assert len(inner) < 2 or len(set(inner[-1]) - set(inner[-2])) > 0  # none is there for nothing
    step = min(stride or 3, 6)
    assert [ids[0] - inner[0][0] for ids in inner if len(ids)] == list(range(0, step * len(inner), step))[:length]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_seq_length": 2}, "max_seq_length must be at least 3 .* Received: 2"),
        ({"max_seq_length": 4, "pairs": ["b"]}, "max_seq_length must be at least 5 .* Received: 4"),
        ({"max_seq_length": 8, "long_texts": "fold"}, "long_texts must be cut or windows. Received: 'fold'"),
        ({"max_seq_length": 8, "doc_stride": 0}, "doc_stride must be at least 1"),
    ],
)
def test_what_cannot_be(tokenizer, options, message):
    with pytest.raises(UserError, match=message):
        encode_texts(["a"], options.pop("pairs", None), tokenizer, **options)
