"""The tokenizer in the graph gives the ids of the tokenizer in Python, on every string."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_bert.errors import UserError
from keras_bert.text import characters
from keras_bert.text.normalize import decompose, lower
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_text")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a TensorFlow layer")

ROOT = Path(__file__).resolve().parents[2]
# Each is here for a rule that the three tables (Python's, RE2's, ICU's) see differently, or for a trap.
TRAPS = [
    *"aAzZéÉßẞıİiIσςΣάΆ'’.:·-_#[]$^`~ \t\n\r\x00\x01\x02\x0b\x0c\x1c\x85\xa0\xad",
    *"\u0301\u0323\u0345\u0307\u200b\u200d\u2028\u2029\u3000\u180e\ufeff\ufffd",
    *"한가東京豈𠀀ǅﬁ½①ºʰ\u037e\u1fef\u2260",
    *"\u2c2f\ua7d0\U00010570\U00010595\U0001e900",  # capitals of Unicode 14, and older ones beyond the BMP
    *"\u302e\u302f\u1b44\U00016ff0\U0001d165\U0001d16d",  # combining, ordered by NFD, but no Mn
    *"\u0897\u1c89\u1cff\U00010d50\U00010d69\U00010efd\U000105c9\U0001fae8\U0001e4ee",  # newer than Unicode 14
    "[MASK]", "[SEP]", "[mask]", "[MA", "SK]", "##a", "a" * 99, "é" * 100, "e\u0301" * 100, "ΑΣ",
]  # fmt: skip
KNOWN = st.characters(exclude_categories=["Cs"])
MARKS = st.sampled_from([chr(code) for first, last in characters.MARKS for code in range(first, last + 1)])
NEWER = st.sampled_from([chr(code) for first, last in characters.UNASSIGNED for code in range(first, last + 1)])
CASED = st.sampled_from([chr(code) for first, last in characters.CASED for code in range(first, last + 1)])
TEXTS = st.lists(st.sampled_from(TRAPS) | KNOWN | MARKS | NEWER | CASED | st.text("abc ABC.,", max_size=20)).map(
    "".join
)
ASCII_TEXTS = st.text(st.characters(max_codepoint=127))


def spelling_vocabulary():
    """A vocabulary that spells much, so that ids tell normalizations apart that [UNK] would hide."""
    plain = {chr(code) for code in range(0x21, 0x600)} | {char for trap in TRAPS for char in trap}
    plain |= {chr(code) for first, last in characters.CASED + characters.MARKS for code in range(first, last + 1)}
    plain |= {part for char in plain for part in lower(char) + decompose(lower(char))}
    plain = sorted(char for char in plain if char.strip())
    return Vocabulary([*SPECIAL_TOKENS, *plain, *(f"##{char}" for char in plain), "ab", "##bc", "[unused0]"])


SPELLING = spelling_vocabulary()
RULES = [
    {},
    {"do_lower_case": False},
    {"strip_accents": False},
    {"do_lower_case": False, "strip_accents": True},
    {"tokenize_chinese_chars": False},
    {"keep": ("[MASK]", "[SEP]")},
]


def in_graph(tokenizer):
    """Returns a function from a list of str or bytes to a list of lists of ids."""
    function = tf.function(tokenizer.graph_layer(), input_signature=[tf.TensorSpec([None], tf.string)])
    return lambda texts: function(tf.constant(texts, tf.string, shape=[len(texts)])).to_list()


@pytest.fixture(scope="module", params=RULES, ids=str)
def both(request):
    tokenizer = Tokenizer(SPELLING, **request.param)
    return tokenizer, in_graph(tokenizer)


@pytest.mark.parametrize("casing", ["uncased", "cased"])
def test_golden(golden_tokenization, casing):
    vocab, cases = golden_tokenization
    ids = in_graph(Tokenizer(vocab, do_lower_case=casing == "uncased"))
    texts = [case["text"] for case in cases]
    assert dict(zip(texts, ids(texts), strict=True)) == {case["text"]: case[f"{casing}_ids"] for case in cases}
    one_by_one = [ids([text])[0] for text in texts]  # what else is in the batch must not matter
    assert one_by_one == [case[f"{casing}_ids"] for case in cases]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS | ASCII_TEXTS, min_size=1, max_size=10))
def test_any_text(both, texts):
    tokenizer, ids = both
    assert ids(texts) == [tokenizer.token_ids(text) for text in texts]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.binary() | TEXTS.map(lambda text: text.encode()[:-1]), min_size=1, max_size=10))
def test_any_bytes(both, texts):
    tokenizer, ids = both
    assert ids(texts) == [tokenizer.token_ids(text) for text in texts]


def test_every_character(both):
    """Each by itself, within a word, and before a mark that NFD may move across it."""
    tokenizer, ids = both
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    every = every[:0x3100] + every[0xA000:0x20000] + every[0xE0000:0xE0200]
    for start in range(0, len(every), 20_000):
        texts = [f"{char} a{char}b\u0323 {char}Σ AΣ{char}A" for char in every[start : start + 20_000]]
        expected = [tokenizer.token_ids(text) for text in texts]
        assert [pair for pair in zip(texts, ids(texts), expected, strict=True) if pair[1] != pair[2]] == []


@pytest.mark.parametrize("length", [199, 200, 201])
@pytest.mark.parametrize("char", ["a", "é", "e\u0301", "한", "\U00010400"])
def test_long_words(char, length):
    tokenizer = Tokenizer(SPELLING)
    text = char * length
    ids = tokenizer.token_ids(f"b {text} b")
    assert in_graph(tokenizer)([f"b {text} b", "c"]) == [ids, tokenizer.token_ids("c")]
    letters = 3 * length if char == "한" else length  # of NFD, without marks
    assert (tokenizer.unk_id in ids) == (letters > 200)


def test_a_long_text():
    tokenizer = Tokenizer(SPELLING)
    ids = in_graph(tokenizer)
    for text in ("a b, " * 40_000, "é東 " * 40_000, "ΑΣ'" * 20_000, "e\u0301\u0323" * 20_000, "\U0001fae8 Σ" * 20_000):
        assert ids([text]) == [tokenizer.token_ids(text)]


def test_empty_batches_and_texts():
    tokenizer = Tokenizer(SPELLING)
    ids = in_graph(tokenizer)
    assert ids([]) == [] and ids(["", " ", "\u200b"]) == [[], [], []]
    layer = tokenizer.graph_layer(keep=("[MASK]",))
    assert layer(tf.constant([], tf.string)).to_list() == []
    assert layer(["", "[MASK]"]).to_list() == [[], [tokenizer.mask_id]]


def test_what_the_layer_returns():
    ids = Tokenizer(SPELLING).graph_layer(name="ids")(tf.constant(["a b", "c"]))
    assert isinstance(ids, tf.RaggedTensor)
    assert ids.dtype == tf.int32 and ids.shape.as_list() == [2, None]


def test_the_layer_takes_its_kept_tokens_from_the_tokenizer_unless_told():
    tokenizer = Tokenizer(SPELLING, keep=("[SEP]",))
    assert tokenizer.graph_layer().keep == ("[SEP]",)
    assert tokenizer.graph_layer(keep=("[MASK]",))(["[MASK]"]).to_list() == [[tokenizer.mask_id]]
    with pytest.raises(UserError, match=r"'\[NONE\]' is not among"):
        tokenizer.graph_layer(keep=("[NONE]",))


def test_configuration_and_keras_files(tmp_path):
    tokenizer = Tokenizer(SPELLING, False, strip_accents=True, tokenize_chinese_chars=False, keep=("[MASK]",))
    layer = tokenizer.graph_layer()
    texts = tf.constant(["A[MASK]é 東京", ""])
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert again(texts).to_list() == layer(texts).to_list()
    text = keras.Input(shape=(), dtype="string")
    keras.Model(text, layer(text)).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded(texts).to_list() == [tokenizer.token_ids(text) for text in ("A[MASK]é 東京", "")]


def test_the_vocabulary_travels_inside_a_saved_model(tmp_path):
    vocab = tmp_path / "vocab.txt"
    SPELLING.save(vocab)
    tokenizer = Tokenizer(vocab)
    module = tf.Module()
    module.layer = tokenizer.graph_layer()
    module.ids = tf.function(module.layer, input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, tmp_path / "saved")
    vocab.unlink()
    shutil.move(tmp_path / "saved", tmp_path / "elsewhere")
    assert not any((tmp_path / "elsewhere" / "assets").iterdir())
    texts = ["ab ABC, Éa", "\u2c2fΣ"]
    loaded = tf.saved_model.load(tmp_path / "elsewhere")
    assert loaded.ids(tf.constant(texts)).to_list() == [tokenizer.token_ids(text) for text in texts]


def test_a_turkish_machine_answers_alike():
    """There ICU takes ı for the lower case of I."""
    script = (
        "import tensorflow as tf\n"
        "from tests.text.test_graph import SPELLING, in_graph\n"
        "from keras_bert.text.tokenizer import Tokenizer\n"
        "assert tf.strings.lower('I', encoding='utf-8').numpy().decode() == 'ı', 'this ICU asks no locale'\n"
        "tokenizer = Tokenizer(SPELLING, strip_accents=False)\n"
        "texts = ['éI İ Iİ', 'I']\n"
        "assert in_graph(tokenizer)(texts) == [tokenizer.token_ids(text) for text in texts]"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    if "this ICU asks no locale" in done.stderr:
        pytest.skip("this build of TensorFlow does not look at the locale")
    assert done.returncode == 0, done.stderr[-2000:]
