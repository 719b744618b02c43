"""Sequences by hand in each family's order, and all that makes them in Python, against `Tokenizer.encode`."""

import numpy as np
import pytest

from keras_bert.data.texts import text_rows
from keras_bert.errors import UserError
from keras_bert.tasks.answer.examples import Context, Example
from keras_bert.tasks.answer.features import default_query_length, make_features
from keras_bert.tasks.tag.pieces import encode_words
from keras_bert.tasks.windows import check_windows, encode_texts
from keras_bert.text.layout import BERT, ROBERTA, Layout, plan_windows, window_count
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tfrecords.corpus import TokenCorpus
from tfrecords.instances import INSTANCE, assemble, plan_block, segment_tokens
from tfrecords.show_records import original_text

# No family's: gaps of other lengths, so that a number that is BERT's or RoBERTa's by chance shows.
ODD = Layout(before=("cls", "cls"), between=("sep", "cls", "sep"), after=("sep", "cls"), segments=True)
LAYOUTS = {"bert": BERT, "roberta": ROBERTA, "distilbert": BERT.without_segments(), "odd": ODD}
LETTERS = "abcdefghijklmnop"
UNK, CLS, SEP, MASK, PAD = range(16, 21)  # the letters come first, so that no id of a special token is BERT's


def make_tokenizer(layout):
    return Tokenizer(Vocabulary([*LETTERS, *SPECIAL_TOKENS[1:], SPECIAL_TOKENS[0]]).with_layout(layout))


@pytest.fixture(params=LAYOUTS)
def tokenizer(request):
    return make_tokenizer(LAYOUTS[request.param])


def ids(*texts):
    """The ids of texts, each a str of letters."""
    return [[LETTERS.index(letter) for letter in text] for text in texts]


def spaced(letters):
    return " ".join(letters)


SEQUENCES = {
    # of "ab", and of "ab" and "cde": ids and segments
    "bert": (
        ([CLS, 0, 1, SEP], [0, 0, 0, 0]),
        ([CLS, 0, 1, SEP, 2, 3, 4, SEP], [0, 0, 0, 0, 1, 1, 1, 1]),
    ),
    "roberta": (
        ([CLS, 0, 1, SEP], [0, 0, 0, 0]),
        ([CLS, 0, 1, SEP, SEP, 2, 3, 4, SEP], [0] * 9),
    ),
    "distilbert": (
        ([CLS, 0, 1, SEP], [0, 0, 0, 0]),
        ([CLS, 0, 1, SEP, 2, 3, 4, SEP], [0] * 8),
    ),
    "odd": (
        ([CLS, CLS, 0, 1, SEP, CLS], [0] * 6),
        ([CLS, CLS, 0, 1, SEP, CLS, SEP, 2, 3, 4, SEP, CLS], [0] * 7 + [1] * 5),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_sequences_by_hand(name):
    layout, tokenizer = LAYOUTS[name], make_tokenizer(LAYOUTS[name])
    for texts, (row, segments) in zip((["ab"], ["ab", "cde"]), SEQUENCES[name], strict=True):
        count = len(texts)
        made = layout.assemble(ids(*texts), layout.gaps(tokenizer, texts=count))
        assert [each.tolist() for each in made] == [row, segments]
        assert {each.dtype for each in made} == {np.dtype("int32")}
        assert layout.num_special(count) == len(row) - sum(map(len, texts))
        assert layout.room(20, texts=count) == 20 - layout.num_special(count)
        for text, start in zip(texts, layout.starts(2), strict=False):
            assert row[start : start + len(text)] == ids(text)[0]
        places = dict.fromkeys(range(len(row)))
        lengths = [np.array([len(text)]) for text in texts]
        places |= {int(np.ravel(place)[0]): token for token, place in layout.special_places(tokenizer, *lengths)}
        assert places == {place: token if token >= UNK else None for place, token in enumerate(row)}
        made = layout.texts_of(np.array(row), np.array(segments), tokenizer)
        texts_alone = [[token for token in each.tolist() if token < UNK] for each in made]
        assert texts_alone == ids(*texts)


def test_a_tokenizer_has_the_layout_of_its_vocabulary():
    vocabulary = make_tokenizer(BERT).vocabulary
    tokenizer = Tokenizer(vocabulary)
    assert (tokenizer.layout, vocabulary.layout) == (BERT, BERT)
    tokenizer.layout = ROBERTA
    assert {each.layout for each in (tokenizer, tokenizer.vocabulary, tokenizer.keeping(["[MASK]"]))} == {ROBERTA}
    assert vocabulary.layout == BERT
    assert tokenizer.vocabulary.with_added(["[X]"]).layout == ROBERTA


def test_encode_follows_the_layout(tokenizer):
    name = next(name for name in LAYOUTS if LAYOUTS[name] == tokenizer.layout)
    row, segments = SEQUENCES[name][1]
    size = len(row) + 2
    inputs = tokenizer.encode("a b", "c d e", size, return_offsets=True)
    assert inputs["input_ids"].tolist() == [*row, PAD, PAD]
    assert inputs["input_mask"].tolist() == [1] * len(row) + [0, 0]
    assert inputs["segment_ids"].tolist() == [*segments, 0, 0]
    places = {place: tuple(offset) for place, offset in enumerate(inputs["offsets"].tolist()) if any(offset)}
    first, second = tokenizer.layout.starts(2)
    assert places == dict(
        zip([first, first + 1, second, second + 1, second + 2], [(0, 1), (2, 3), (0, 1), (2, 3), (4, 5)], strict=True)
    )
    cut = tokenizer.encode("a b", "c d e", len(row) - 2)["input_ids"].tolist()
    assert [token for token in cut if token < UNK] == [0, 1, 2]  # of equal ones the second is cut
    assert tokenizer.decode(inputs["input_ids"]) == "a b c d e"
    assert tokenizer(["a", "a b"])["input_ids"][0].tolist()[-1] == PAD


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("texts", [1, 2])
def test_what_has_no_room_is_refused(name, texts):
    layout, tokenizer = LAYOUTS[name], make_tokenizer(LAYOUTS[name])
    special = layout.num_special(texts)
    pair = "b" if texts == 2 else None
    assert len(tokenizer.encode("a", pair, special)["input_ids"]) == special
    message = f"at least {special} to hold the {special} special tokens. Received: {special - 1}"
    with pytest.raises(UserError, match=message):
        tokenizer.encode("a", pair, special - 1)
    with pytest.raises(UserError, match=message):
        text_rows([("a", pair)], tokenizer, max_seq_length=special - 1)
    check_windows(special + texts, "windows", None, texts=texts, layout=layout)
    with pytest.raises(UserError, match=f"at least {special + texts} to hold the {special} special tokens and 1 of"):
        check_windows(special + texts - 1, "windows", None, texts=texts, layout=layout)


def encoded(tokenizer, *both, size=None):
    """The row that `encode` gives, as lists without padding."""
    inputs = tokenizer.encode(*both, max_seq_length=size)
    used = inputs["input_mask"].sum()
    return [inputs[name][:used].tolist() for name in ("input_ids", "segment_ids")]


def rows_of(rows):
    return [[ids.tolist(), segments.tolist()] for ids, segments in zip(*rows.values(), strict=True)]


@pytest.mark.parametrize("count", [6, 102])  # more than 100 are tokenized by the bulk tokenizer
def test_many_rows_are_those_of_encode(tokenizer, count):
    texts = [("a b c d e f", "g h i j k l m"), ("a b", None), ("", "a"), ("c d e f g h i", "k"), ("", None), ("a", "")]
    texts *= count // len(texts)
    rows = text_rows(texts, tokenizer, max_seq_length=12)
    assert rows_of(rows) == [encoded(tokenizer, *both, size=12) for both in texts]


def test_windows_of_long_texts(tokenizer):
    layout = tokenizer.layout
    texts = ["a b c d e f g h", "a b", "i"]
    size = layout.num_special(1) + 4
    rows, counts = encode_texts(texts, None, tokenizer, max_seq_length=size, long_texts="windows")
    assert counts.tolist() == [3, 1, 1]
    expected = ["a b c d", "c d e f", "e f g h", "a b", "i"]
    assert rows_of(rows) == [encoded(tokenizer, each) for each in expected]
    size = layout.num_special(2) + 5  # the shorter text keeps two tokens, and the longer one is read three at a time
    rows, counts = encode_texts(
        ["a b c d e", "a b"], ["i j k", "i j"], tokenizer, max_seq_length=size, long_texts="windows"
    )
    assert counts.tolist() == [3, 1]
    pairs = [("a b c", "i j"), ("b c d", "i j"), ("c d e", "i j"), ("a b", "i j")]
    assert rows_of(rows) == [encoded(tokenizer, *both) for both in pairs]


def test_a_plan_without_a_width():
    """Nothing is read in windows where a pair fills the room; its step of 0 must not divide."""
    plan = plan_windows([np.array([2, 0]), np.array([1, 0])], 3)
    assert plan.counts.tolist() == [1, 1]
    assert not np.any(plan.is_read)
    assert window_count(7, 4, 3) == 2


def test_words_are_found_at_their_pieces(tokenizer):
    for joined, between in ((False, ""), (True, " ")):
        words = [list(between.join(letters)) for letters in ("abcdefgh", "ij")]
        pieces = encode_words(words, tokenizer, max_seq_length=tokenizer.layout.num_special(1) + 5, joined=joined)
        places = [place for place in zip(pieces.row, pieces.column, strict=True) if place[0] >= 0]
        found = [pieces.rows["input_ids"][row][column] for row, column in places]
        assert found == [LETTERS.index(letter) for letter in "abcdefghij"]
        expected = [spaced("abcde"), spaced("cdefg"), spaced("defgh"), "i j"]
        assert rows_of(pieces.rows) == [encoded(tokenizer, each) for each in expected]
    with pytest.raises(UserError, match="special tokens and 1 of the text"):
        encode_words(words, tokenizer, max_seq_length=tokenizer.layout.num_special(1))


def test_windows_of_contexts(tokenizer):
    layout = tokenizer.layout
    context = Context(spaced("cdefgh"))
    examples = [Example("1", "a b", context, answer="f", span=(3, 3)), Example("2", "i", context, answer="", span=None)]
    lengths = {"max_seq_length": layout.num_special(2) + 6, "doc_stride": 2, "max_query_length": 5}
    features = make_features(examples, tokenizer, training=True, **lengths)
    expected = [("a b", "c d e f"), ("a b", "e f g h"), ("i", "c d e f g"), ("i", "e f g h")]
    assert rows_of(features.rows()) == [encoded(tokenizer, *both) for both in expected]
    of_context = features.words >= 0
    assert features.ids[of_context].tolist() == [
        token for _, text in expected for token in ids(text.replace(" ", ""))[0]
    ]
    first = layout.starts(2)[1]
    assert features.labels["start_logits"].tolist() == [first + 3, first + 1, 0, 0]
    with pytest.raises(UserError, match=f"max_query_length \\+ {layout.num_special(2)}, the number of special tokens"):
        make_features(examples, tokenizer, max_seq_length=layout.num_special(2) + 5, max_query_length=5)


def test_questions_that_nobody_limits_leave_room_for_a_context():
    for layout in LAYOUTS.values():
        for size in range(layout.num_special(2) + 2, 60):
            assert 1 <= default_query_length(size, layout) < layout.room(size, texts=2)
        assert default_query_length(384, layout) == 64
    assert [default_query_length(size, BERT) for size in (8, 32, 100)] == [4, 16, 50]


def test_records(tokenizer):
    vocabulary = tokenizer.vocabulary
    layout = vocabulary.layout
    corpus = TokenCorpus.from_documents([[ids("abc")[0], ids("de")[0]]], vocab_size=len(vocabulary))
    size = layout.num_special(2) + 6
    plan = np.array([(0, 3, 3, 2, 0), (1, 0, 4, 0, 0)], INSTANCE)  # "abc" and "de", and "bcde" alone
    made = assemble(segment_tokens(corpus, plan, size, layout=layout), plan, vocabulary)
    expected = [tokenizer.encode(*both, max_seq_length=size) for both in (("a b c", "d e"), ("b c d e", None))]
    for name, rows in zip(("input_ids", "input_mask", "segment_ids"), made, strict=True):
        np.testing.assert_array_equal(rows, [each[name] for each in expected], err_msg=name)
        assert rows.dtype == np.int32
    record = dict(zip(("input_ids", "input_mask", "segment_ids"), (rows[0] for rows in made), strict=True))
    assert original_text(record, vocabulary) == ["a b c", "d e"]
    options = {"short_seq_prob": 0, "dupe_factor": 1, "rng": np.random.default_rng(0), "layout": layout}
    for task, texts in (("sop", 2), ("none", 1)):
        size = layout.num_special(texts) + 3
        plans = list(plan_block(corpus, (0, 2), sentence_task=task, max_seq_length=size, **options))
        assert max((plan["a_length"] + plan["b_length"]).max() for plan in plans) == 3
