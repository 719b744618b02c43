"""Where answers are learnt and found with tokens that say where they stand: byte-level BPE and SentencePiece."""

import json

import numpy as np
import pytest

from keras_bert.tasks.answer import Context, Example
from keras_bert.tasks.answer.examples import read_examples
from keras_bert.tasks.answer.features import make_features
from keras_bert.tasks.answer.original_text import texts_for
from keras_bert.text.bpe.byte_pairs import ALPHABET, BytePairs
from keras_bert.text.bpe.engine import BytePairEngine
from keras_bert.text.spelling import ANGLED
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tests.text.kinds import slow_but, small_tokenizer

CONTEXT = "In  (1895-1943). ha-ha-ha \u3000 cafe\u0301 《나는》에서 ½ \u0301x \u200b 👩\u200d👧! T(n2), 1998"


@pytest.fixture(scope="module")
def letters():
    """A byte-level BPE of single bytes, but for one token that ends an answer and goes on."""
    model = BytePairs([*ANGLED, *ALPHABET, "),"], [(")", ",")])
    engine = BytePairEngine(model, ANGLED)
    return Tokenizer.of_engine(engine, Vocabulary(model.tokens, spelling=engine.spelling))


def learnt(context, answers, tokenizer):
    """Returns of (answer, its place) what tokens are learnt, and the text that they are of."""
    context = context if isinstance(context, Context) else Context(context)
    examples = []
    for number, (answer, start) in enumerate(answers):
        words = context.word_at(start), context.word_at(start + len(answer) - 1)
        examples.append(Example(str(number), "?", context, answer=answer, span=words, start=start))
    features, texts = make_features(examples, tokenizer, training=True), texts_for(tokenizer)
    assert len(features) == len(examples)
    found = []
    for bound, first, last in zip(features.bounds, *features.labels.values(), strict=False):
        first, last = int(bound + first), int(bound + last)
        tokens = [tokenizer.vocabulary.token(index) for index in features.ids[first : last + 1]]
        found.append((tokens, *texts.find(features, context, first, last)))
    return found


@pytest.mark.parametrize(
    ("answer", "start", "tokens", "text"),
    [
        ("1895", 5, "1895", "1895"),  # the word is "Ġ(1895-1943)."
        ("In", 0, "ĠIn", "In"),
        ("ha", 20, "ha", "ha"),  # not the first one
        ("ha-ha", 20, "ha-ha", "ha-ha"),
        ("In (1895", 0, "ĠInĠ(1895", "In (1895"),
        ("T(n2)", CONTEXT.index("T(n2)"), "ĠT(n2),", "T(n2),"),  # a token that the answer ends in is learnt whole
    ],
)
def test_tokens_of_an_answer_by_hand(letters, answer, start, tokens, text):
    [(found, *where)] = learnt(CONTEXT, [(answer, start)], letters)
    assert "".join(found) == tokens
    assert where[0] == text


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["roberta", "modern", "albert", "xlm_roberta", "deberta_v2", "kobert"])
def test_the_fewest_tokens_that_hold_an_answer_are_learnt(kind):
    """Of any part of a context; and their text is the answer's, where no token goes past its ends."""
    tokenizer, rng, context = small_tokenizer(kind), np.random.default_rng(1), Context(CONTEXT)
    places = []
    for word, begin in zip(context.words, context.starts, strict=True):
        places += [(begin + a, begin + b) for a, b in tokenizer.word_ids_with_offsets(word)[1] if a < b]
    chosen = []
    while len(chosen) < 200:
        start, end = sorted(rng.integers(0, len(CONTEXT) + 1, 2).tolist())
        answer = CONTEXT[start:end]
        is_one = answer and answer == " ".join(answer.split())
        if is_one and any(a < end and b > start for a, b in places):
            chosen.append((answer, start))
    exact = 0
    for (answer, start), (_, text, *where) in zip(chosen, learnt(context, chosen, tokenizer), strict=True):
        held = [(a, b) for a, b in places if a < start + len(answer) and b > start]
        assert where == [held[0][0], held[-1][1]], (answer, text)
        exact += where == [start, start + len(answer)]
        assert where != [start, start + len(answer)] or text == answer
    assert exact > 50


@pytest.mark.parametrize("kind", slow_but(["roberta"], ["roberta", "albert", "kobert"]))
def test_tokens_without_a_character_at_the_ends_count_for_nothing(kind):
    tokenizer, context = small_tokenizer(kind), Context("the quick ½ xyz")
    features, texts = make_features([Example("q", "?", context)], tokenizer), texts_for(tokenizer)
    first = [features.words.tolist().index(word) for word in range(4)]
    assert all(tokenizer.vocabulary.token(features.ids[place]) in ("Ġ", "▁", "▁1") for place in first[2:3])
    empty = {
        place: tokenizer.word_ids_with_offsets(context.words[features.words[place]])[1][features.pieces[place]]
        == (0, 0)
        for place in first
    }
    assert any(empty.values())
    for place in first[1:]:
        text, start, end = texts.find(features, context, first[0], place)
        assert (context.text[start:end], text) == (text, text.strip())
        if empty[place]:
            assert end == context.starts[features.words[place] - 1] + len(context.words[features.words[place] - 1])
            assert texts.find(features, context, place, place)[0] == context.words[features.words[place]]


def test_a_file_says_which_of_equal_answers_is_meant(tmp_path):
    context = "ha-ha  ha-ha"
    qa = {"id": "q", "question": "?", "answers": [{"text": "ha  ha", "answer_start": 3}]}
    (tmp_path / "squad.json").write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": [qa]}]}]}))
    [example] = read_examples(tmp_path / "squad.json", training=True)
    assert example.answer_ends() == ((0, 3), (1, 2))
    for text, start, ends in ((" ha", 2, ((0, 3), (0, 5))), ("ha", 10, ((1, 3), (1, 5))), ("no", 0, ((0, 0), (1, 5)))):
        example.answer, example.start, example.span = text, start, (start // 7, start // 7 if text != "no" else 1)
        assert example.answer_ends() == ends
