"""Small tokenizers of each kind in directories, and texts to compare them on."""

import random
from pathlib import Path

import pytest

from keras_bert.text.bpe.engine import BytePairEngine
from keras_bert.text.layout import BERT, ROBERTA
from keras_bert.text.rules import AddedToken
from keras_bert.text.sentence_piece.engine import LAYOUTS, SentencePieceEngine
from keras_bert.text.spelling import ANGLED, SPECIAL_TOKENS
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tests.text import byte_pairs, sentence_piece_models
from tests.text.nasty import NastyTexts

# Of each kind that has a graph of its own one; the others of a parametrised test are slow, some of them nightly.
FIRST, NIGHTLY = ("roberta", "albert"), ("deberta_v2", "kobert", "big_bird")
SENTENCE_PIECES = tuple(sentence_piece_models.SMALL)
KINDS = ("wordpiece", "roberta", "modern", *SENTENCE_PIECES)
TEXTS = [
    "Hello, world! The quick brown fox.",
    "",
    "  two  spaces\tand\na line ",
    "나는 학교에 간다. 東京 café e\u0301 ½ 1,000, 2,",
    "don't they'll  I'm",
    "a <mask> b [MASK] c </s>[SEP]d",
    "\u2028 \u3000x\u00a0y ㅎㅏㄴ ﾊﾟ 👩\u200d👧",
]


def slow_but(first, names):
    """Returns names as parameters of a test, slow or nightly but for the first ones."""
    marks = {name: pytest.mark.nightly if name in NIGHTLY else pytest.mark.slow for name in names if name not in first}
    return [pytest.param(name, marks=marks.get(name, [])) for name in names]


def small_tokenizer(kind):
    """Returns a Tokenizer of one of KINDS."""
    if kind == "wordpiece":
        letters = [chr(code) for code in range(0x21, 0x7F)]
        words = ["the", "quick", "hello", "##lo", *letters, *(f"##{letter}" for letter in letters)]
        return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *dict.fromkeys(words)]))
    if kind in ("roberta", "modern"):
        model = byte_pairs.small_engine("NFC" if kind == "modern" else None)
        engine = BytePairEngine(model, ANGLED)
        added = [AddedToken(token, lstrip=token == "<mask>") for token in ANGLED]
        layout = ROBERTA if kind == "roberta" else BERT.without_segments()
        vocabulary = Vocabulary(model.tokens, spelling=engine.spelling).with_added(added).with_layout(layout)
        return Tokenizer.of_engine(engine, vocabulary)
    model = sentence_piece_models.small_engine(kind)
    engine = SentencePieceEngine(model)
    layout = LAYOUTS.get(model.rules.family, BERT)
    vocabulary = Vocabulary(model.tokens, spelling=engine.spelling).with_added(model.added).with_layout(layout)
    return Tokenizer.of_engine(engine, vocabulary)


def fuzzed(count, tokenizer, seed=0):
    """Returns nasty strings in which pieces and special tokens of a tokenizer stand."""
    rng = random.Random(seed)
    tokens = [token for token in tokenizer.vocabulary.tokens if token]
    made, texts = NastyTexts(rng, rng.sample(tokens, min(200, len(tokens)))), []
    special = tokenizer.vocabulary.spelling.special
    while len(texts) < count:
        batch = made.batch(100)
        for number in range(0, len(batch), 5):  # a fifth have special tokens in them
            place = rng.randint(0, len(batch[number]))
            batch[number] = batch[number][:place] + rng.choice(special) + batch[number][place:]
        texts += batch
    return texts[:count]


def folder_of(tokenizer, folder):
    """Saves a tokenizer into a new folder. Returns its path."""
    Path(folder).mkdir(parents=True)
    tokenizer.save_pretrained(folder)
    return Path(folder)
