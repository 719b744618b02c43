"""No difference among the three tokenizers on 10,000 random texts, on any that hypothesis finds, and on long ones.

`python -m benchmarks.fuzz_tokenizers` is the same on a million.
"""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_bert.text import characters
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tests.conftest import GOLDEN
from tests.text.fuzzing import RULES, TRAPS, Rivals, TextMaker, spelling_vocabulary

pytest.importorskip("tensorflow_text")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a TensorFlow layer")

SPELLING = spelling_vocabulary()
OURS = Vocabulary.from_file(GOLDEN / "tokenization" / "vocab.txt")
VOCABULARIES = ["bert-base-uncased", "bert-base-cased", "bert-base-chinese", "koelectra-v3"]
VOCABULARIES += ["bert-base-multilingual-cased"]
BATCH_SIZES = [1, 3, 60, 300, 500]


def compare(rivals, *, texts, seed):
    """Makes at least so many texts, compares, and returns the number of tokens."""
    maker, tokens = TextMaker(random.Random(seed), rivals.tokenizer.vocabulary), 0
    while texts > 0:
        batch = maker.batch(maker.rng.choice(BATCH_SIZES))
        count, found = rivals.differing(batch)
        assert not found, f"{len(found)} texts differ, for example {found[0]}; shrunk: {rivals.shortest(found[0][0])!r}"
        texts -= len(batch)
        tokens += count
    return tokens


@pytest.fixture(scope="module", params=RULES, ids=str)
def spelling_rivals(request):
    return Rivals(Tokenizer(SPELLING, **request.param))


@pytest.fixture(scope="module")
def rivals_with_kept_tokens():
    return Rivals(Tokenizer(SPELLING, keep=("[MASK]", "[SEP]")))


def test_random_texts_with_a_vocabulary_that_spells_them(spelling_rivals):
    assert compare(spelling_rivals, texts=1500, seed=1) > 5000


@pytest.mark.parametrize("lower_case", [True, False])
def test_random_texts_with_a_small_vocabulary(lower_case):
    assert compare(Rivals(Tokenizer(OURS, lower_case)), texts=500, seed=2) > 1500


@pytest.mark.parametrize(
    "name", [VOCABULARIES[0], *(pytest.param(n, marks=pytest.mark.slow) for n in VOCABULARIES[1:])]
)
def test_random_texts_with_the_vocabularies_that_people_use(shared, name):
    tokenizer = Tokenizer(shared / "data" / "vocab" / name / "vocab.txt", do_lower_case="uncased" in name)
    assert compare(Rivals(tokenizer), texts=500, seed=3) > 1500


_FRAGMENTS = st.sampled_from(TRAPS) | st.characters(exclude_categories=["Cs"])
for _class in (characters.MARKS, characters.UNASSIGNED, characters.CASED):
    _FRAGMENTS |= st.sampled_from([chr(code) for first, last in _class for code in range(first, last + 1)])
_TEXTS = st.lists(_FRAGMENTS | st.text("abc ABC.,", max_size=20)).map("".join)
_BYTES = st.binary() | _TEXTS.map(lambda text: text.encode()[:-1])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(_TEXTS | _BYTES, min_size=1, max_size=10))
def test_texts_that_hypothesis_finds(spelling_rivals, texts):
    assert not spelling_rivals.differing(texts)[1]


# Planes 0 and 1 but for most ideographs, hieroglyphs and syllables, which no rule touches, and the tags.
RANGES = ((0, 0x3100), (0xA620, 0xAC80), (0xD7A0, 0xD800), (0xF8F0, 0x12000), (0x1D000, 0x1F200), (0xE0000, 0xE0200))


EVERY = [RULES[0], *(pytest.param(rules, marks=pytest.mark.slow) for rules in RULES[1:4])]


@pytest.mark.parametrize("spelling_rivals", EVERY, indirect=True, ids=str)
def test_every_character(spelling_rivals):
    """Each by itself, within a word, beside a sigma, and before marks that NFD may move across it."""
    every = [chr(code) for first, end in RANGES for code in range(first, end)]
    texts = [f"{char} a{char}b\u0323 AΣ.{char}A{char}\u302e\u0301!" for char in every]
    assert not spelling_rivals.differing(texts)[1]


@pytest.mark.parametrize("count", [60, 100, 101, 200, 201, 255, 256, 257, 400])
def test_long_runs_of_what_nfd_sorts(rivals_with_kept_tokens, count):
    marks, letters = "\u0301" * count, "\u302e\U0001d165"
    texts = [f"a\u302e{marks}\u034f\U0001d165", f"a{letters}{marks}b", f"\u302e{marks}\U0001d165", "\u0f73" * count]
    texts += [letters * count, "\u302e" * count, f"{letters * (count // 2)}\u034f{letters}"]
    assert not rivals_with_kept_tokens.differing(texts)[1]


MEGABYTES = [
    *(
        "a",
        "a b, ",
        "é東 ",
        "東",
        "한",
        "Σ",
        "ΑΣ'",
        "'Σ",
        "e\u0301\u0323",
        "\U0001fae8 Σ",
        "\U0001fae8é",
        "\0",
        "[MASK]",
    ),
    # Marks that NFD sorts, which takes quadratic time: those that are dropped, those that stay, those it takes apart.
    *("\u0301\u0323", "\u302e\U0001d165", "\u0f73", "\u0301\u302e\u0323\U0001d165", "\u302e\U0001d165\u034f"),
]


FEW = ("a", "é東 ", "ΑΣ'", "\u0301\u0323", "\u302e\U0001d165")
SLOW = [pytest.param(fragment, marks=pytest.mark.slow) for fragment in MEGABYTES if fragment not in FEW]


@pytest.mark.parametrize("fragment", [*FEW, *SLOW], ids=ascii)
def test_a_text_of_a_megabyte(rivals_with_kept_tokens, fragment):
    """A quadratic step anywhere would take minutes here."""
    text = fragment * (10**6 // len(fragment.encode()))
    assert not rivals_with_kept_tokens.differing([f"a{text}b"])[1]


@pytest.mark.slow
def test_a_megabyte_of_everything(rivals_with_kept_tokens):
    maker, texts = TextMaker(random.Random(7), SPELLING), []
    while sum(map(len, texts)) < 500_000:
        texts += [text for text in maker.batch(100) if isinstance(text, str)]
    text = "".join(texts)
    assert len(text.encode()) > 10**6
    assert not rivals_with_kept_tokens.differing([text])[1]


def test_the_shortest_text_with_a_difference_is_found():
    rivals = Rivals(Tokenizer(OURS), in_graph=False)
    rivals.rivals["other"] = Rivals(Tokenizer(OURS, False), in_graph=False).rivals["bulk"]
    _, found = rivals.differing(["the cat", "the Unaffable London x", "abc"])
    assert [(text, rival) for text, rival, _, _ in found] == [("the Unaffable London x", "other")]
    assert len(rivals.shortest(found[0][0])) == 1
