"""Strange, long, many and random texts to every head's SavedModel: an answer that is right, and Python's."""

import random

import pytest
import tensorflow as tf

from tests.serving.asking import assert_same, in_fresh_process, in_python, requests
from tests.serving.fresh import ask
from tests.serving.valid import check_rows
from tests.text.fuzzing import TextMaker

NAMES = ["embed", "classify", "pair", "score", "fill_mask", "multi_label", "ner", "squad", "multiple_choice"]
NO_UTF_8 = [
    *(b"\xff", b"\xfe\xff", b"\x80\xbf"),
    *(b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf"),  # longer than need be
    *(b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80"),  # surrogates
    *(b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"),  # cut short
    *(b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfd\xbf\xbf\xbf\xbf\xbf"),  # past the last character
]
BROKEN = [each.decode(errors="surrogateescape") for each in NO_UTF_8]
STRANGE = [
    *("", " ", "   ", " \t\r\n\u3000\u2003\u202f\x1c\x85\u2028\u2029 "),
    *("\x00", "\x00" * 50, "a\x00b the\x00", "\x00 paris \x00", "\x01\x02 a\x02b \x01 [MASK]\x02"),
    *BROKEN,
    *(f"pa{each}ris is {each} the{each}" for each in BROKEN),
    *("[MA\udcffSK]", "[MASK][MASK]", "[CLS] [SEP] [PAD] [UNK]", "##a ## ##", "'" * 40, "e" + "\u0301" * 300),
    *("\ufeffparis \ufeff", "\ufffe\uffff\U0010ffff", "\ufffd the \ufffd", "\u0301\u0323", "\u200b\u200d", "Σ ΑΣ"),
    *(
        "東" * 50,
        "日本。中国、人",
        "한국" * 30,
        "👍🏽 👩\u200d👩\u200d👧 🏳\ufe0f",
        "שלום العربية हिन्दी ไทย",
        "x" * 201,
        "ﬁ ½ ǅ ß İ",
    ),
]
KINDS = {
    "word": lambda size: "x" * size,
    "words": lambda size: ("the paris, a b's " * size)[:size],
    "ideographs": lambda size: ("日本語中国人" * size)[: size // 3],
    "marks": lambda size: "\u0301" * (size // 2),
    "punctuation": lambda size: ("!?." * size)[:size],
}
ROOM = ("--room", str(4 << 30))  # the bytes that a process may take for its answers
BATCH = 250
ALIKE = ("pair", "score", "multi_label")  # classifiers of other shapes: "classify" stands for them
each_name = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in ALIKE else []) for name in NAMES]
)


@each_name
def test_strange_texts(models, signatures, tokenizer, name):
    inputs = requests(STRANGE)[name]
    rows = ask(signatures[name], inputs)
    check_rows(name, rows, inputs, models[name], tokenizer)
    assert_same(rows, in_python(name, models[name], tokenizer, inputs), name)
    assert_same(ask(signatures[name], inputs, rows=1), rows, f"{name}, alone")


@pytest.mark.parametrize("name", NAMES)
def test_no_texts(signatures, name):
    assert ask(signatures[name], requests([])[name]) == []


@each_name
def test_4096_texts_at_once(signatures, name):
    few = requests([text for text in STRANGE if len(text) < 60])[name]
    many = {key: (rows * 4096)[:4096] for key, rows in few.items()}
    expected = ask(signatures[name], few)
    assert_same(ask(signatures[name], many), (expected * 4096)[:4096], name)


def test_choices_of_one_and_of_none(signatures):
    signature, contexts = signatures["multiple_choice"], ["the", ""]
    found = ask(signature, {"context": contexts, "choices": [["paris"], [""]]})
    assert found == [{"choice": 0, "probabilities": [1.0]}] * 2
    with pytest.raises(tf.errors.InvalidArgumentError):
        ask(signature, {"context": contexts, "choices": [[], []]})


def test_questions_and_contexts_of_nothing_and_of_too_much(models, signatures, tokenizer):
    context = "Paris, the capital of France, is 'a b c'."
    pairs = [("", context), (" ", context), ("who is the paris " * 100, context), ("x" * 500, context)]
    pairs += [("東" * 500, context * 20), ("\udcff\x00", context), ("is?", "."), ("is?", f"\u200b {context}\x00 \x07")]
    pairs += [(question, nothing) for question in ("", "is?") for nothing in ("", " \n ", "\x00", "\u3000", "\udcff")]
    inputs = dict(zip(("question", "context"), map(list, zip(*pairs, strict=True)), strict=True))
    rows = ask(signatures["squad"], inputs)
    check_rows("squad", rows, inputs, models["squad"], tokenizer)
    assert_same(rows, in_python("squad", models["squad"], tokenizer, inputs), "squad")
    assert_same(ask(signatures["squad"], inputs, rows=1), rows, "squad, alone")


def check_long_texts(size, names, exported, models, tokenizer, folder, *flags, compared):
    """Asks in a process of its own, whose memory has a bound, checks, and compares with Python."""
    every = requests([make(size) for make in KINDS.values()])
    found = in_fresh_process({exported[name].path: every[name] for name in names}, folder, *ROOM, *flags)
    for name, rows in zip(names, found, strict=True):
        check_rows(name, rows, every[name], models[name], tokenizer)
        if name in compared:
            assert_same(rows, in_python(name, models[name], tokenizer, every[name]), name)


@pytest.mark.slow
def test_long_texts(exported, models, tokenizer, tmp_path):
    check_long_texts(20_000, NAMES, exported, models, tokenizer, tmp_path, compared=NAMES)


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_a_megabyte(exported, models, tokenizer, tmp_path, name):
    compared = {*NAMES} - {"squad"}  # Python's own takes minutes for the answers in a word of a megabyte
    check_long_texts(1_000_000, [name], exported, models, tokenizer, tmp_path, "--rows", "1", compared=compared)


@pytest.mark.nightly
def test_a_long_context_among_4096(exported, signatures, tmp_path):
    """Were every context as long as the longest, there would be more than 2 ** 31 pieces."""
    contexts = ["the paris"] * 4093 + ["", ("x" * 199 + " ") * 2700, "is of"]
    inputs = {"question": ["is?"] * 4096, "context": contexts}
    [rows] = in_fresh_process({exported["squad"].path: inputs}, tmp_path, *ROOM)
    few = {key: each[-4:] for key, each in inputs.items()}
    assert_same(rows[-4:], ask(signatures["squad"], few, rows=1), "squad")
    assert_same(rows[:4093], rows[-4:-3] * 4093, "squad")


def random_texts(maker):
    """Returns texts of mixed scripts and traps, and a fifth of any bytes."""
    texts = maker.batch(BATCH)
    texts[::5] = [maker.rng.randbytes(maker.rng.randrange(60)) for _ in texts[::5]]
    return [text if isinstance(text, str) else text.decode(errors="surrogateescape") for text in texts]


@pytest.mark.parametrize("name", ["classify", "ner", "squad"])
@pytest.mark.parametrize("count", [500, pytest.param(100_000, marks=pytest.mark.nightly)])
def test_random_texts(models, signatures, tokenizer, name, count):
    maker = TextMaker(random.Random(count), tokenizer.vocabulary)
    for number in range(count // BATCH):
        inputs = requests(random_texts(maker))[name]
        rows = ask(signatures[name], inputs)
        check_rows(name, rows, inputs, models[name], tokenizer)
        if number % 20 == 0:
            assert_same(rows, in_python(name, models[name], tokenizer, inputs), name)
        some = maker.rng.sample(range(BATCH), 3)
        alone = ask(signatures[name], {key: [each[row] for row in some] for key, each in inputs.items()}, rows=1)
        assert_same(alone, [rows[row] for row in some], f"{name}, alone")
