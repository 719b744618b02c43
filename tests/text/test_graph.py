"""The tokenizer in the graph gives the ids of the tokenizer in Python, on every string."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from tests.text.fuzzing import spelling_vocabulary

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_text")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a TensorFlow layer")

ROOT = Path(__file__).resolve().parents[2]
SPELLING = spelling_vocabulary()


def in_graph(tokenizer):
    """Returns a function from a list of str or bytes to a list of lists of ids."""
    function = tf.function(tokenizer.graph_layer(), input_signature=[tf.TensorSpec([None], tf.string)])
    return lambda texts: function(tf.constant(texts, tf.string, shape=[len(texts)])).to_list()


@pytest.mark.parametrize("casing", ["uncased", "cased"])
def test_golden(golden_tokenization, casing):
    vocab, cases = golden_tokenization
    ids = in_graph(Tokenizer(vocab, do_lower_case=casing == "uncased"))
    texts = [case["text"] for case in cases]
    assert dict(zip(texts, ids(texts), strict=True)) == {case["text"]: case[f"{casing}_ids"] for case in cases}
    one_by_one = [ids([text])[0] for text in texts]  # what else is in the batch must not matter
    assert one_by_one == [case[f"{casing}_ids"] for case in cases]


@pytest.mark.parametrize("length", [199, 200, 201])
@pytest.mark.parametrize("char", ["a", "é", "e\u0301", "한", "\U00010400"])
def test_long_words(char, length):
    tokenizer = Tokenizer(SPELLING)
    text = char * length
    ids = tokenizer.token_ids(f"b {text} b")
    assert in_graph(tokenizer)([f"b {text} b", "c"]) == [ids, tokenizer.token_ids("c")]
    letters = 3 * length if char == "한" else length  # of NFD, without marks
    assert (tokenizer.unk_id in ids) == (letters > 200)


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


@pytest.mark.slow
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
