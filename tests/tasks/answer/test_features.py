"""Windows: by hand, against the definitions written out once more, and what is refused."""

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.tasks.answer import Context, Example, make_features
from keras_bert.tasks.answer import features as module


def tokens_of(features, tokenizer, window):
    first, last = features.bounds[window : window + 2]
    return [tokenizer.vocabulary.token(index) for index in features.ids[first:last]]


def test_one_window_by_hand(tokenizer):
    context = Context("Rollo, the Norse leader, came\nto Normandy.")
    example = Example("q", "Who came?", context, answer="Norse leader", span=(2, 3))
    features = make_features([example], tokenizer, training=True)
    expected = "[CLS] who came ? [SEP] rollo , the norse leader , came to norman ##dy . [SEP]".split()
    assert tokens_of(features, tokenizer, 0) == expected
    assert features.words.tolist() == [-1] * 5 + [0, 0, 1, 2, 3, 3, 4, 5, 6, 6, 6, -1]
    assert features.is_max_context.tolist() == [False] * 5 + [True] * 11 + [False]
    assert (features.labels["start_logits"].tolist(), features.labels["end_logits"].tolist()) == ([8], [9])
    rows = features.rows()
    assert rows["segment_ids"][0].tolist() == [0] * 5 + [1] * 12
    assert rows["input_ids"][0].tolist() == features.ids.tolist()
    assert rows["input_ids"][0].dtype == rows["segment_ids"][0].dtype == np.int32
    assert (features.example_index.tolist(), features.span_index.tolist()) == ([0], [0])


def test_windows_by_hand(tokenizer):
    """Eight tokens, five at a time, a stride of two: a-e, c-g, e-h."""
    example = Example("q", "who", Context("a b c d e f g h"), answer="d e", span=(3, 4))
    features = make_features([example], tokenizer, max_seq_length=9, doc_stride=2, max_query_length=1, training=True)
    assert [" ".join(tokens_of(features, tokenizer, window)[3:-1]) for window in range(len(features))] == [
        "a b c d e",
        "c d e f g",
        "e f g h",
    ]
    assert features.starts.tolist() == [0, 2, 4]
    assert features.span_index.tolist() == [0, 1, 2]
    # d has one token to its right in the first window and one to its left in the second: the first has it.
    # e has two on both sides in the second. f has one to its right in the second and one to its left in the third,
    # whose length counts less. g has none in the second.
    best = [
        features.is_max_context[first + 3 : last - 1]
        for first, last in zip(features.bounds[:-1], features.bounds[1:], strict=True)
    ]
    assert [flags.astype(int).tolist() for flags in best] == [[1, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1]]
    assert features.labels["start_logits"].tolist() == [6, 4, 0]  # the last has only the answer's end
    assert features.labels["end_logits"].tolist() == [7, 5, 0]
    example = Example("q", "who", example.context, answer="e f", span=(4, 5))
    labels = make_features(
        [example], tokenizer, max_seq_length=9, doc_stride=2, max_query_length=1, training=True
    ).labels
    assert labels["start_logits"].tolist() == [0, 5, 3]  # the first has only the answer's start
    assert labels["end_logits"].tolist() == [0, 6, 4]


def test_a_window_s_length_counts_too(tokenizer):
    """Windows of 300 and 150 tokens: a hundredth of each is added to the context on a token's poorer side."""
    example = Example("q", "", Context(" ".join("abcdefghij" * 40)))
    features = make_features([example], tokenizer, max_seq_length=303, doc_stride=250, max_query_length=1)
    assert np.diff(features.bounds).tolist() == [303, 153]
    # Token 275 has 24 + 3.0 in the first and 25 + 1.5 in the second, token 276 has 23 + 3.0 and 26 + 1.5.
    assert np.flatnonzero(features.is_max_context[:303]).tolist() == list(range(2, 2 + 276))
    assert np.flatnonzero(features.is_max_context[303:]).tolist() == list(range(2 + 26, 2 + 150))


def windows_written_out(size, room, stride):
    """The windows of a context: start and length of each, and for each token the one with most around it."""
    windows, start = [], 0
    while True:
        windows.append((start, min(room, size - start)))
        if start + room >= size:
            break
        start += min(room, stride)

    def score(token, window):
        start, length = window
        if not start <= token < start + length:
            return -1.0
        return min(token - start, start + length - 1 - token) + 0.01 * length

    best = [max(range(len(windows)), key=lambda number: score(token, windows[number])) for token in range(size)]
    return windows, best


@pytest.mark.parametrize("seed", range(5))
def test_windows_against_their_definition(tokenizer, seed):
    rng = np.random.default_rng(seed)
    for _ in range(20):
        size, query = int(rng.integers(1, 60)), int(rng.integers(0, 6))
        max_query_length, stride = int(rng.integers(1, 6)), int(rng.integers(1, 20))
        length = max_query_length + 4 + int(rng.integers(0, 20))
        words = [str(word) for word in rng.choice(list("abcdefghij"), size)]
        example = Example("q", " ".join(["who"] * query), Context(" ".join(words)))
        options = {"max_seq_length": length, "doc_stride": stride, "max_query_length": max_query_length}
        features = make_features([example], tokenizer, **options)
        query = min(query, max_query_length)
        windows, best = windows_written_out(size, length - query - 3, stride)
        assert len(features) == len(windows)
        for number, (start, count) in enumerate(windows):
            assert tokens_of(features, tokenizer, number)[query + 2 : -1] == words[start : start + count]
            first, last = features.bounds[number : number + 2]
            assert last - first == query + count + 3 <= length
            flags = features.is_max_context[first:last].tolist()
            inside = [best[token] == number for token in range(start, start + count)]
            assert flags == [False] * (query + 2) + inside + [False]


def test_many_examples_are_each_as_if_alone(tokenizer, monkeypatch):
    rng = np.random.default_rng(7)
    words = np.array("who came when Norman, Normandys norman 911. (leader) of and-the".split())
    contexts = [Context(" ".join(rng.choice(words, rng.integers(1, 40)))) for _ in range(40)]
    examples = []
    for number in range(130):
        context = contexts[rng.integers(len(contexts))]
        first = int(rng.integers(len(context.words)))
        last = min(first + int(rng.integers(3)), len(context.words) - 1)
        question = " ".join(rng.choice(words, rng.integers(0, 9)))
        answer = " ".join(context.words[first : last + 1]).strip("().,")
        examples.append(Example(str(number), question, context, answer=answer, span=(first, last)))
    examples[5] = Example("5", "who", contexts[0], answer="")
    options = {"max_seq_length": 24, "doc_stride": 7, "max_query_length": 6, "training": True}
    monkeypatch.setattr(module, "BLOCK_WINDOWS", 16)
    assert len(examples) >= module.BULK_EXAMPLES
    together = make_features(examples, tokenizer, **options)
    windows = together.of_examples(len(examples))
    assert windows[-1] == len(together)
    for number, example in enumerate(examples):
        alone = make_features([example], tokenizer, **options)
        mine = slice(windows[number], windows[number + 1])
        begin, end = together.bounds[windows[number]], together.bounds[windows[number + 1]]
        for name in ("ids", "words", "is_max_context"):
            assert np.array_equal(getattr(together, name)[begin:end], getattr(alone, name)), name
        for name in ("span_index", "starts", "question_lengths"):
            assert np.array_equal(getattr(together, name)[mine], getattr(alone, name)), name
        for name, labels in alone.labels.items():
            assert np.array_equal(together.labels[name][mine], labels)
        assert set(together.example_index[mine]) == {number}


@pytest.mark.parametrize(
    ("context", "answer", "span", "expected"),
    [
        ("in (911-911).", "911", (1, 1), "911"),  # of the word's tokens those of the answer, the first time they come
        ("in (911-911).", "(911-911).", (1, 1), "( 911 - 911 ) ."),
        ("in Normandy", "Norman", (1, 1), "norman"),
        ("in Normandy", "Nor", (1, 1), "norman ##dy"),  # spelled otherwise: the whole word
        ("of Normandys, and", "of Normandys", (0, 1), "of norman ##dy ##s"),
    ],
)
def test_an_answer_becomes_its_own_tokens(tokenizer, context, answer, span, expected):
    example = Example("q", "who", Context(context), answer=answer, span=span)
    features = make_features([example], tokenizer, training=True)
    first, last = features.labels["start_logits"][0], features.labels["end_logits"][0]
    assert " ".join(tokens_of(features, tokenizer, 0)[first : last + 1]) == expected


def test_no_answer_is_learnt_as_the_first_position(tokenizer):
    examples = [
        Example("q", "who", Context("rollo came"), answer="", is_impossible=True),
        Example("r", "who", Context("rollo came"), answer="came", span=(1, 1)),
    ]
    labels = make_features(examples, tokenizer, training=True).labels
    assert (labels["start_logits"].tolist(), labels["end_logits"].tolist()) == ([0, 4], [0, 4])


def test_empty_questions_and_contexts(tokenizer):
    nothing = Example("q", "who", Context(" \u200b "))  # a word without tokens
    assert len(nothing.context.words) == 1
    features = make_features([nothing, Example("r", "", Context("rollo")), nothing], tokenizer)
    assert features.example_index.tolist() == [1]
    assert tokens_of(features, tokenizer, 0) == ["[CLS]", "[SEP]", "rollo", "[SEP]"]
    assert features.of_examples(3).tolist() == [0, 0, 1, 1]
    assert len(make_features([], tokenizer)) == 0
    assert make_features([], tokenizer).rows() == {"input_ids": [], "segment_ids": []}


def test_what_leaves_no_room_is_refused(tokenizer):
    example = Example("q", "who", Context("rollo"))
    with pytest.raises(UserError, match=r"greater than max_query_length.*: 67 and 64"):
        make_features([example], tokenizer, max_seq_length=67)
    with pytest.raises(UserError, match=r"doc_stride must be at least 1\. Received: 0"):
        make_features([example], tokenizer, doc_stride=0)
    with pytest.raises(UserError, match="max_query_length must be at least 1"):
        make_features([example], tokenizer, max_query_length=0)
    with pytest.raises(UserError, match="read_examples"):
        make_features([example], tokenizer, training=True)
