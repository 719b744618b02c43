"""What a Tokenizer is given by mistake: one sentence that says what was expected, whatever its kind."""

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.text.rules import AddedToken
from keras_bert.text.tokenizer import Tokenizer
from tests.text.kinds import small_tokenizer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["wordpiece", "roberta", "albert"])
def tokenizer(request):
    return small_tokenizer(request.param)


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda it: it.decode([-1]), "The id -1 is outside of the vocabulary"),
        (lambda it: it.decode([len(it)]), "is outside of the vocabulary"),
        (lambda it: it.decode(np.array([10**12])), "The id 1000000000000 is outside of"),
        (lambda it: it.shown("a"), "An id must be a whole number. Received: 'a' (str)"),
        (lambda it: it.shown(True), "An id must be a whole number"),
        (lambda it: it.word_ids(None), "text must be a string. Received: None"),
        (lambda it: it.word_ids(["a"]), "text must be a string. Received: ['a'] (list)"),
        (lambda it: it.word_ids_with_offsets(b"a"), "text must be a string. Received: b'a' (bytes)"),
        (lambda it: it.ids([["a"]]), "The token ['a'] is not among the"),
        (lambda it: it.bulk().token_ids(None), "texts must be a string or a list of strings. Received: None"),
        (lambda it: it.bulk().token_ids(["a", 5]), "texts must be a string or a list of strings. Entry 1 is 5 (int)"),
        (lambda it: it.bulk().token_ids({"a"}), "texts must be a string or a list of strings. Received: {'a'} (set)"),
        (lambda it: it.save_pretrained(None), "The path of a model directory was expected. Received: None"),
        (lambda it: it.save_pretrained(""), "The path of a model directory was expected. Received: ''"),
        (lambda it: it.keeping(5), "Tokens must be given as a list, such as ['[SUBJ]']. Received: 5 (int)"),
        (lambda it: it.graph_layer(keep=5), "Tokens must be given as a list"),
        (lambda it: setattr(it, "layout", 5), "layout must be a Layout"),
        (lambda it: Tokenizer(None), "vocab_file: the path of a file was expected. Received: None"),
    ],
)
def test_a_mistake_is_one_sentence(tokenizer, mistake, sentence):
    with pytest.raises(UserError) as caught:
        mistake(tokenizer)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["added_tokens", "keep"])
@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (None, "Tokens must be given as a list"),
        (5, "Tokens must be given as a list"),
        ({"[A]", "[B]"}, "Tokens must be given as a list"),  # it has no order, and so gives no ids
        ([{"content": "[A]", "left": True}], "An added token has a content, and flags such as lstrip. Received: {'con"),
        ([{}], "An added token has a content"),
        ({"special": True}, "An added token has a content"),
        ([5], "An added token must be a string such as '[SUBJ]'. Received: 5"),
        (["a\ud800"], "An added token must be text that UTF-8 has"),
    ],
)
def test_tokens_to_keep_are_checked(tokenizer, tmp_path, name, tokens, sentence):
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError) as caught:
        Tokenizer.from_pretrained(tmp_path, **{name: tokens})
    assert sentence in str(caught.value)


def test_one_token_may_stand_for_a_list(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    for one in ("[A]", AddedToken("[A]"), {"content": "[A]"}):
        assert Tokenizer.from_pretrained(tmp_path, added_tokens=one).tokenize("[A]") == ["[A]"]
    for one in ("a", AddedToken("a"), {"content": "a"}):
        assert Tokenizer.from_pretrained(tmp_path, keep=one).tokenize("aa") == ["a", "a"]
    mask = tokenizer.mask_token
    assert tokenizer.keeping(mask).tokenize(f"{mask}") == [mask]


def test_the_graph_keeps_what_python_keeps(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    keeping = Tokenizer.from_pretrained(tmp_path, keep=AddedToken("a", lstrip=True))
    layer = keeping.graph_layer()
    again = type(layer).from_config(layer.get_config())
    for text in ("x a b", "xa", "a"):
        assert layer([text])[0].numpy().tolist() == keeping.token_ids(text) == again([text])[0].numpy().tolist()


def test_one_text_may_stand_for_a_list(tokenizer):
    ids, lengths = tokenizer.bulk().token_ids("the fox")
    assert ids.tolist() == tokenizer.token_ids("the fox")
    assert lengths.tolist() == [len(ids)]
