"""tokenizer_config.json and its neighbours: added tokens are read, and what means other ids is refused by name."""

import json

import pytest

from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

ROWS = [*SPECIAL_TOKENS, "the", "ann", "[SUBJ]"]
NEW = len(ROWS)
OBJECT = {"content": "[OBJ]", "special": True, "lstrip": False, "rstrip": False, "normalized": False}


@pytest.fixture
def folder(tmp_path):
    """A function that writes a vocab.txt and JSON files, and returns the directory."""

    def write(**files):
        Vocabulary(ROWS).save(tmp_path / "vocab.txt")
        for name, fields in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(fields))
        return tmp_path

    return write


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer_config": {"additional_special_tokens": ["[SUBJ]", "[OBJ]"]}},
        {"tokenizer_config": {"extra_special_tokens": {"subject": "[SUBJ]", "object": "[OBJ]"}}},
        {"tokenizer_config": {"subject_token": "[SUBJ]", "bos_token": "[OBJ]", "eos_token": "[SEP]"}},
        {
            "tokenizer_config": {"additional_special_tokens": ["[SUBJ]"], "added_tokens_decoder": {str(NEW): OBJECT}},
            "added_tokens": {"the": 5},  # older files do not count then
        },
        {"special_tokens_map": {"additional_special_tokens": ["[SUBJ]", {"content": "[OBJ]", "lstrip": True}]}},
        {"added_tokens": {"[OBJ]": NEW, "[SUBJ]": 7}, "special_tokens_map": {"mask_token": {"content": "[MASK]"}}},
        {"tokenizer": {"added_tokens": [{"id": NEW, **OBJECT}, {"id": 7, **OBJECT, "content": "[SUBJ]"}]}},
    ],
    ids=str,
)
def test_tokens_are_kept_wherever_they_are_listed(folder, files):
    tokenizer = Tokenizer.from_pretrained(folder(**files))
    assert tokenizer.token_ids("the [SUBJ] ann[OBJ]") == [5, 7, 6, NEW]
    assert len(tokenizer) == NEW + 1


def test_a_token_that_is_not_special_is_found_in_either_case(folder):
    assert Tokenizer.from_pretrained(folder(added_tokens={"[OBJ]": NEW})).token_ids("[obj]") == [NEW]


def test_google_s_five_are_taken_literally(folder):
    fields = {"added_tokens_decoder": {str(index): {"content": token} for index, token in enumerate(SPECIAL_TOKENS)}}
    tokenizer = Tokenizer.from_pretrained(folder(tokenizer_config=fields))
    assert tokenizer.tokenize("[MASK]") == ["[UNK]"] * 3 and tokenizer.vocabulary.added == ()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"tokenizer_class": "KoBertTokenizer"},
            "tokenizer_class KoBertTokenizer, and BertTokenizer was expected",
        ),
        (
            {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"},
            "says tokenizer_class BertJapaneseTokenizer (mecab, wordpiece), and",
        ),
        ({"tokenizer_class": "RobertaTokenizerFast"}, "says tokenizer_class RobertaTokenizerFast, and"),
        (
            {"tokenizer_class": "BertTokenizer", "word_tokenizer_type": "sudachi"},
            "word_tokenizer_type is 'sudachi'",
        ),
        ({"subword_tokenizer_type": "character"}, "its subword_tokenizer_type is 'character', and 'wordpiece' was"),
        ({"auto_map": {"AutoTokenizer": ["a.B", None]}}, "has code of its own"),
        ({"do_basic_tokenize": False}, "its do_basic_tokenize is False, and True was expected"),
        ({"do_split_on_punc": False}, "its do_split_on_punc is False"),
        ({"never_split": ["[MASK]", "ann"]}, "never to split 'ann'"),
        ({"never_split": [["ann"]]}, "never to split ['ann']"),
        ({"mask_token": {"content": ""}}, "its mask_token is '', and '[MASK]' was expected"),
        ({"do_lower_case": "false"}, "do_lower_case must be true or false, without quotes. Found: 'false'"),
        ({"do_lower_case": None}, "do_lower_case must be true or false"),
        ({"tokenize_chinese_chars": 1}, "tokenize_chinese_chars must be true or false"),
        ({"strip_accents": "no"}, "strip_accents must be true or false"),
        ({"padding_side": "left"}, "its padding_side is 'left', and 'right' was expected"),
        ({"cls_token": "<s>"}, "its cls_token is '<s>', and '[CLS]' was expected"),
        ({"split_special_tokens": True, "additional_special_tokens": ["[SUBJ]"]}, "its split_special_tokens is True"),
        ({"added_tokens_decoder": {"99": OBJECT}}, "'[OBJ]' has the id 99, but by vocab.txt it is 8, which"),
        ({"added_tokens_decoder": {"5": {"content": "ann"}}}, "'ann' has the id 5, but by vocab.txt it is 6"),
        ({"added_tokens_decoder": {"9" * 5000: OBJECT}}, "added_tokens_decoder must be an object from ids to tokens"),
        ({"added_tokens_decoder": ["[OBJ]"]}, "added_tokens_decoder must be an object from ids to tokens"),
        ({"additional_special_tokens": "[OBJ]"}, "additional_special_tokens must be a list"),
        ({"additional_special_tokens": [5]}, "a token must be a string or an object with content, not 5"),
    ],
    ids=str,
)
def test_what_means_other_ids_is_refused_by_name(folder, fields, sentence):
    path = folder(tokenizer_config=fields)
    with pytest.raises(UserError) as caught:
        Tokenizer.from_pretrained(path)
    assert sentence in str(caught.value) and str(path) in str(caught.value)


def test_the_class_may_stand_in_the_model_s_configuration(folder):
    with pytest.raises(UserError, match=r"config\.json says tokenizer_class BertJapaneseTokenizer"):
        Tokenizer.from_pretrained(folder(config={"tokenizer_class": "BertJapaneseTokenizer"}))
    assert Tokenizer.from_pretrained(folder(config={"tokenizer_class": "BertTokenizerLegacy"}))


def test_what_makes_no_difference_is_read(folder):
    fields = {
        **{"tokenizer_class": "DistilBertTokenizerFast", "do_basic_tokenize": True, "never_split": ["[SUBJ]", "[CLS]"]},
        **{"additional_special_tokens": ["[SUBJ]"], "model_max_length": 512, "padding_side": "right"},
        **{"mask_token": {"__type": "AddedToken", "content": "[MASK]", "lstrip": True}, "strip_accents": None},
    }
    assert Tokenizer.from_pretrained(folder(tokenizer_config=fields)).tokenize("ann [SUBJ]") == ["ann", "[SUBJ]"]


def test_a_directory_that_is_not_there(tmp_path, monkeypatch):
    Vocabulary(ROWS).save(tmp_path / "vocab.txt")
    monkeypatch.chdir(tmp_path)  # whose vocab.txt must not be taken for the named model's
    for name in ("bert-base-uncased", "google-bert/bert"):
        with pytest.raises(UserError, match=f"{name} does not exist.*: hf download {name} --local-dir {name}$"):
            Tokenizer.from_pretrained(name)
    for name in (str(tmp_path / "none" / "model"), "./none", "none/bert_model.ckpt"):
        with pytest.raises(UserError, match=rf"^{name} does not exist; expected a model directory .*Check the path"):
            Tokenizer.from_pretrained(name)
    for name in ("", None, 5):
        with pytest.raises(UserError, match="path of a model directory was expected"):
            Tokenizer.from_pretrained(name)
    (tmp_path / "bert_model.ckpt.index").touch()
    assert len(Tokenizer.from_pretrained("bert_model.ckpt")) == len(ROWS)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "spiece.model").touch()
    with pytest.raises(UserError, match=r"^other/tokenizer_config\.json does not say which family's SentencePiece"):
        Tokenizer.from_pretrained("other")
