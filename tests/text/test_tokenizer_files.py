"""tokenizer.json in the place of vocab.txt: its vocabulary, its rules, and which are not BERT's."""

import json

import pytest

from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS
from keras_bert.text.wordpiece.files import count_entries, find_vocabulary, foreign_kind, unread_files
from tests.reference_huggingface import write_tokenizer

TOKENS = [*SPECIAL_TOKENS, "the", "un", "##aff", "##able", "the東", "東"]


@pytest.mark.parametrize(
    ("normalizer", "rules", "tokens"),
    [
        ({}, (True, None, True), ["the", "un", "##aff", "##able", "the", "東"]),
        ({"lowercase": False}, (False, None, True), ["[UNK]", "[UNK]", "the", "東"]),
        ({"strip_accents": False}, (True, False, True), ["the", "[UNK]", "the", "東"]),
        ({"handle_chinese_chars": False}, (True, None, False), ["the", "un", "##aff", "##able", "the東"]),
    ],
)
def test_vocabulary_and_rules_by_hand(tmp_path, normalizer, rules, tokens):
    write_tokenizer(tmp_path, dict(reversed([(token, index) for index, token in enumerate(TOKENS)])), **normalizer)
    tokenizer = Tokenizer.from_pretrained(tmp_path / "bert_model.ckpt")
    assert tokenizer.vocabulary.tokens == tuple(TOKENS)
    assert (tokenizer.do_lower_case, tokenizer.strip_accents, tokenizer.tokenize_chinese_chars) == rules
    assert tokenizer.tokenize("The Unäffable the東") == tokens
    tokenizer.save_pretrained(tmp_path / "again")
    again = Tokenizer.from_pretrained(tmp_path / "again")
    assert again.vocabulary.tokens == tokenizer.vocabulary.tokens
    assert again.tokenize("The Unäffable the東") == tokens


def test_who_overrules_whom(tmp_path):
    path = write_tokenizer(tmp_path, TOKENS, lowercase=False, strip_accents=True)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "backend": "tokenizers"}))
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert (tokenizer.do_lower_case, tokenizer.strip_accents) == (True, True)
    assert not Tokenizer.from_pretrained(tmp_path, do_lower_case=False).do_lower_case
    assert find_vocabulary(tmp_path) == path
    (tmp_path / "vocab.txt").write_text("\n".join([*TOKENS, "more"]) + "\n")
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert (tokenizer.vocab_size, tokenizer.strip_accents) == (len(TOKENS) + 1, None)
    assert count_entries(find_vocabulary(tmp_path)) == len(TOKENS) + 1


def test_a_class_without_rules_of_its_own_takes_them_from_tokenizer_json(tmp_path):
    path = write_tokenizer(tmp_path, TOKENS, lowercase=False)
    (tmp_path / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
    assert Tokenizer.from_pretrained(tmp_path).do_lower_case  # by the vocabulary
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    assert not Tokenizer.from_pretrained(tmp_path).do_lower_case
    fields = json.loads(path.read_text())
    cls, sep = ({"SpecialToken": {"id": token, "type_id": 0}} for token in ("[CLS]", "[SEP]"))
    texts = [{"Sequence": {"id": name, "type_id": segment}} for segment, name in enumerate("AB")]
    single = [cls, texts[0], sep]
    pair = [*single, texts[1], {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    post = {"type": "TemplateProcessing", "single": single, "pair": pair}
    path.write_text(json.dumps({**fields, "post_processor": post}))
    assert Tokenizer.from_pretrained(tmp_path)
    for other in (None, {**post, "single": single[1:]}, {**post, "pair": [*single, sep]}, {"type": "ByteLevel"}):
        path.write_text(json.dumps({**fields, "post_processor": other}))
        with pytest.raises(UserError, match="its post_processor does not make"):
            Tokenizer.from_pretrained(tmp_path)


def test_special_tokens_that_were_added_are_entries(tmp_path):
    added = [{"content": "[E1]", "id": len(TOKENS), "special": True}, {"content": "the", "id": 5, "special": True}]
    path = write_tokenizer(tmp_path, TOKENS, added_tokens=added)
    tokenizer = Tokenizer.from_pretrained(tmp_path, keep="[E1]")
    assert tokenizer.vocabulary.tokens == (*TOKENS, "[E1]")
    assert tokenizer.tokenize("[E1]the") == ["[E1]", "the"]
    assert count_entries(path) == len(TOKENS) + 1


def test_tokens_lose_their_white_space_as_in_a_vocab_txt(tmp_path):
    write_tokenizer(tmp_path, [*TOKENS, "\u2028", "more "])
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert tokenizer.vocabulary.tokens == (*TOKENS, "", "more")
    tokenizer.save_pretrained(tmp_path / "again")
    assert Tokenizer.from_pretrained(tmp_path / "again").vocabulary.tokens == tokenizer.vocabulary.tokens


def test_an_old_file_does_not_name_the_kind_of_its_model(tmp_path):
    path = write_tokenizer(tmp_path, TOKENS)
    fields = json.loads(path.read_text())
    del fields["model"]["type"]
    path.write_text(json.dumps(fields))
    assert Tokenizer.from_pretrained(tmp_path).vocab_size == count_entries(path) == len(TOKENS)
    del fields["model"]["max_input_chars_per_word"]  # a byte-pair encoding, say
    path.write_text(json.dumps(fields))
    with pytest.raises(UserError, match=r"its model's type is None, and 'WordPiece' was expected"):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"tokenizer.json": '{"model": {"type": "WordLevel", "vocab": {"a": 0}}}'}, "WordLevel"),
        ({"bpe.codes": "", "tokenizer_config.json": '{"tokenizer_class": "PhobertTokenizer"}'}, "PhobertTokenizer"),
        ({"tokenizer_config.json": '{"tokenizer_class": "MarianTokenizer"}'}, "MarianTokenizer"),
    ],
)
def test_a_kind_that_cannot_be_read_is_named_with_its_files(tmp_path, files, kind):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    named = ", ".join(sorted(name for name in files if "config" not in name))
    with pytest.raises(
        UserError, match=rf"cannot be read, {kind}.*\({named}\); WordPiece, byte-level BPE, .* can" if named else kind
    ):
        Tokenizer.from_pretrained(tmp_path)
    assert foreign_kind(tmp_path).startswith(kind)
    assert [path.name for path in unread_files(tmp_path)] == sorted(files.keys() - {"config.json"})


@pytest.mark.parametrize(
    ("part", "changes", "sentence"),
    [
        ("model", {"type": ["BPE"]}, "its model's type is ['BPE'], and 'WordPiece' was"),
        ("model", {"unk_token": "<unk>"}, "its model's unk_token is '<unk>', and '[UNK]' was"),
        ("model", {"continuing_subword_prefix": ""}, "its model's continuing_subword_prefix is '', and '##' was"),
        ("model", {"max_input_chars_per_word": 20}, "max_input_chars_per_word is 20, and 100 or 200 was expected."),
        ("normalizer", {"type": "Lowercase"}, "its normalizer's type is 'Lowercase', and 'BertNormalizer' was"),
        ("normalizer", {"clean_text": False}, "its normalizer's clean_text is False, and True was"),
        ("normalizer", None, "its normalizer's type is None, and 'BertNormalizer' was"),
        ("pre_tokenizer", {"type": "Whitespace"}, "its pre_tokenizer's type is 'Whitespace', and 'BertPreTokenizer'"),
    ],
)
def test_another_kind_of_tokenizer_is_one_sentence(tmp_path, part, changes, sentence):
    path = write_tokenizer(tmp_path, TOKENS)
    fields = json.loads(path.read_text())
    fields[part] = None if changes is None else fields[part] | changes
    path.write_text(json.dumps(fields))
    with pytest.raises(UserError) as caught:
        Tokenizer.from_pretrained(tmp_path)
    assert str(caught.value).startswith(f"{path} is not a BERT tokenizer: ")
    assert sentence in str(caught.value)
    assert count_entries(path) == len(TOKENS)


def test_added_words_are_found_inside_of_others(tmp_path):
    write_tokenizer(tmp_path, TOKENS, added_tokens=[{"content": "covid", "id": len(TOKENS), "special": False}])
    assert Tokenizer.from_pretrained(tmp_path).tokenize("unCOVID") == ["un", "covid"]


def test_an_entry_with_white_space_does_not_take_the_place_of_the_one_without(tmp_path):
    write_tokenizer(tmp_path, [*TOKENS, "more", "more "])
    assert Tokenizer.from_pretrained(tmp_path).token_ids("more") == [len(TOKENS)]


@pytest.mark.parametrize(
    ("last", "missing"),
    [({"a": 7}, 6), ({"a": -1}, 6), ({"a": 5}, 6), ({"a": "6"}, 6), ({"a": [6]}, 6), ({"a": 6.0}, 6)],
)
def test_ids_with_a_gap_are_one_sentence_with_the_numbers(tmp_path, last, missing):
    path = write_tokenizer(tmp_path, {**{token: index for index, token in enumerate(TOKENS[:6])}, **last})
    for read in (Tokenizer.from_pretrained, lambda folder: count_entries(path)):
        with pytest.raises(UserError, match=rf"ids of its 7 tokens must be 0 to 6, and no token has the id {missing};"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"added_tokens": {"a": 1}}, "its added_tokens must be a list of tokens with content"),
        ({"added_tokens": ["a"]}, "its added_tokens must be a list of tokens with content"),
        ({"added_tokens": [{"content": 5}]}, "its added_tokens must be a list of tokens with content"),
        ({"vocab": None}, "its model has no vocab from tokens to ids"),
        ({"vocab": ["a"]}, "its model has no vocab from tokens to ids"),
        ({"vocab": {}}, "tokenizer.json is empty"),
        ({"vocab": {"a": 0}}, "tokenizer.json lacks [PAD] [UNK] [CLS] [SEP] [MASK]"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, changes, sentence):
    path = write_tokenizer(tmp_path, TOKENS)
    fields = json.loads(path.read_text())
    (fields["model"] if "vocab" in changes else fields).update(changes)
    path.write_text(json.dumps(fields))
    with pytest.raises(UserError) as caught:
        Tokenizer.from_pretrained(tmp_path)
    assert str(path) in str(caught.value) and sentence in str(caught.value)


def test_what_is_no_json_is_one_sentence(tmp_path):
    for content, sentence in (("{", "is not JSON"), ("[]", "holds a list")):
        (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(UserError, match=f"tokenizer.json {sentence}"):
            Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(("rule", "value"), [("lowercase", None), ("strip_accents", "no"), ("handle_chinese_chars", 1)])
def test_a_rule_that_is_neither_true_nor_false_is_refused_by_name(tmp_path, rule, value):
    path = write_tokenizer(tmp_path, TOKENS, **{rule: value})
    with pytest.raises(UserError) as caught:
        Tokenizer.from_pretrained(tmp_path)
    assert str(caught.value) == f"{path}: its normalizer's {rule} must be true or false. Found: {value!r}; correct it."
