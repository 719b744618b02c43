"""The graph tokenizer with vocabularies that lead tensorflow-text astray, and far from where it was made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.conftest import GOLDEN

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_text")

ROOT = Path(__file__).resolve().parents[2]
OURS = Vocabulary.from_file(GOLDEN / "tokenization" / "vocab.txt")
# Entries that Google's rules never reach: white space, control characters, punctuation within a word.
ODD = Vocabulary(
    [
        *(*SPECIAL_TOKENS, *"abcdot.#[]'", "##a", "##b", "##on", "##t", "##", "###", "[mask]", "mask"),
        *("##.", "##'", "a.b", "##a.b", "don't", "a#", "##]", "..", "##.."),
        *("a b", "ba r", " ", "x\x00", "\x00", "\x033", "b\u2028", "é" * 100),
    ]
)


@pytest.mark.parametrize("keep", [(), ("[MASK]",)], ids=str)
def test_entries_that_no_word_has(keep):
    tokenizer = Tokenizer(ODD, keep=keep)
    ids = tf.function(tokenizer.graph_layer(), input_signature=[tf.TensorSpec([None], tf.string)])

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.text(st.sampled_from("aabbcdot.#[]' é\x00\x03\u2028")), min_size=1, max_size=20))
    def compare(texts):
        assert ids(tf.constant(texts)).to_list() == [tokenizer.token_ids(text) for text in texts]

    compare()


def test_double_and_blank_rows():
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "a", "", "##b", "a", "##b", "", "c", ""]))
    assert tokenizer.graph_layer()(["ab c", "cb ab a"]).to_list() == [[8, 9, 11], [11, 9, 8, 9, 8]]


def test_added_tokens():
    """By hand in test_added.py; here the same ids, and the lengths of their pieces."""
    from tests.text.test_added import CASES, ROWS

    for added in {tuple(case[0]) for case in CASES}:
        tokenizer = Tokenizer(Vocabulary(ROWS), added_tokens=added, keep=("[MASK]",))
        layer = tokenizer.graph_layer()
        layer = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
        texts = [text for _, text, _, _ in CASES]
        expected = [tokenizer.token_ids(text) for text in texts]
        assert layer(tf.constant(texts)).to_list() == expected
        ids, lengths = layer.pieces(tf.constant(texts))
        assert ids.to_list() == expected
        assert [sum(row) for row in lengths.to_list()] == layer.normalized_lengths(texts).numpy().tolist()


def test_a_kept_token_is_found_across_bytes_that_are_not_utf_8():
    tokenizer = Tokenizer(OURS, keep=("[MASK]",))
    texts = [b"[MA\xffSK]", b"a[MASK\xe6\x9d]b", b"[MA\x00SK]", b"\x01[MASK]\x02", b"[MASK][MASK]"]
    ids = tokenizer.graph_layer()(tf.constant(texts)).to_list()
    assert ids == [tokenizer.token_ids(text) for text in texts]
    assert [row.count(tokenizer.mask_id) for row in ids] == [1, 1, 0, 1, 2]


def test_an_entry_too_long_for_tensorflow_text_is_named():
    with pytest.raises(UserError, match=r"at most 256 bytes.*한"):
        Tokenizer(Vocabulary([*SPECIAL_TOKENS, "한" * 86])).graph_layer()
    assert Tokenizer(Vocabulary([*SPECIAL_TOKENS, "##" + "x" * 256])).graph_layer()(["x"]).to_list() == [[1]]


TEXTS = ["Hello, World! [MASK]", "Ελληνικά ΟΔΥΣΣΕΥΣ naïve", "東京 한국 \u200b", "", "a" * 201]


def test_in_a_data_set():
    tokenizer = Tokenizer(OURS)
    data = tf.data.Dataset.from_tensor_slices(TEXTS).batch(2).map(tokenizer.graph_layer())
    assert [ids for batch in data for ids in batch.to_list()] == [tokenizer.token_ids(text) for text in TEXTS]


@pytest.mark.slow
def test_a_saved_model_that_moved_to_a_process_without_this_package(tmp_path):
    tokenizer = Tokenizer(OURS, keep=("[MASK]",))
    module = tf.Module()
    module.layer = tokenizer.graph_layer()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def serve(texts):
        return {"ids": module.layer(texts).to_tensor(default_value=-1)}

    tf.saved_model.save(module, str(tmp_path / "here"), signatures=serve)
    (tmp_path / "here").rename(tmp_path / "there")
    script = (
        "import json, sys\nimport tensorflow as tf, tensorflow_text\n"
        "serve = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "ids = serve(tf.constant(json.loads(sys.argv[2])))['ids'].numpy().tolist()\n"
        "assert 'keras_bert' not in sys.modules\n"
        "print('IDS', json.dumps(ids))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "there"), json.dumps(TEXTS)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(done.stdout.partition("IDS ")[2])
    assert [[index for index in row if index != -1] for row in rows] == [tokenizer.token_ids(text) for text in TEXTS]


@pytest.mark.slow
def test_a_lithuanian_machine_answers_alike():
    """There ICU puts a dot under the accent of a lower-cased Í."""
    script = (
        "import tensorflow as tf\n"
        "from tests.text.test_graph_vocabulary import OURS, Vocabulary\n"
        "from keras_bert.text.tokenizer import Tokenizer\n"
        "assert len(tf.strings.lower('Í', encoding='utf-8').numpy().decode()) > 1, 'this ICU asks no locale'\n"
        "tokens = dict.fromkeys([*OURS.tokens, *'ìíĩį', '##\\u0301', '##\\u0307'])\n"
        "tokenizer = Tokenizer(Vocabulary(tokens), strip_accents=False)\n"
        "texts = ['Ì Í Ĩ Į\\u0301 I\\u0301 J\\u0301 É', 'Í']\n"
        "assert tokenizer.graph_layer()(texts).to_list() == [tokenizer.token_ids(text) for text in texts]"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "lt_LT.UTF-8", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    if "this ICU asks no locale" in done.stderr:
        pytest.skip("this build of TensorFlow does not look at the locale")
    assert done.returncode == 0, done.stderr[-2000:]
