"""SentencePiece tokenizers in model directories: which file, which family, what is refused by name."""

import base64
import json

import pytest

from keras_bert.errors import UserError
from keras_bert.text.sentence_piece.files import (
    config_fields,
    family_of,
    find_model,
    read_sentence_piece,
    save_sentence_piece,
)
from keras_bert.text.sentence_piece.model import CONTROL, UNKNOWN, write_model
from keras_bert.text.tokenizer import Tokenizer
from tests.text.kinds import small_tokenizer
from tests.text.sentence_piece_models import small_engine, small_model

FILES = {"albert": "spiece.model", "xlm_roberta": "sentencepiece.bpe.model", "deberta_v2": "spm.model"}
FILES |= {"kobert": "tokenizer_78b3253a26.model", "big_bird": "spiece.model"}
CLASSES = {"albert": "AlbertTokenizer", "xlm_roberta": "XLMRobertaTokenizerFast", "deberta_v2": "DebertaV2Tokenizer"}
CLASSES |= {"kobert": "KoBertTokenizer", "big_bird": "BigBirdTokenizer"}
TEXT = "The model, 1999, reads a text. 한국어"


def make(folder, name, *, file=None, **fields):
    folder.mkdir(exist_ok=True)
    (folder / (file or FILES[name])).write_bytes(small_model(name))
    fields = {"tokenizer_class": CLASSES[name]} | fields
    (folder / "tokenizer_config.json").write_text(json.dumps(fields))
    return folder


@pytest.mark.parametrize("name", [*FILES])
def test_families_by_class(tmp_path, name):
    found = read_sentence_piece(make(tmp_path, name))
    assert found.engine.rules == small_engine(name).rules
    assert found.engine.ids(TEXT) == small_engine(name).ids(TEXT)
    assert found.path.name == FILES[name]
    mask = found.engine.special["mask"]
    assert found.ids[mask] == found.engine.tokens.index(mask)
    assert next(token.lstrip for token in found.kept if token.content == mask) == (name != "deberta_v2")


@pytest.mark.parametrize(
    ("name", "model_type"),
    [("albert", "albert"), ("xlm_roberta", "xlm-roberta"), ("deberta_v2", "deberta-v2"), ("kobert", "bert")],
)
def test_families_by_model_type(tmp_path, name, model_type):
    make(tmp_path, name)
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    assert family_of(tmp_path) == name
    assert read_sentence_piece(tmp_path).engine.rules.family == name


def test_a_bert_that_names_xlnet_s_class_is_kobert(tmp_path):
    folder = make(tmp_path, "kobert", tokenizer_class="XLNetTokenizer")
    assert family_of(folder) == "xlnet"
    (folder / "config.json").write_text('{"model_type": "bert"}')
    assert family_of(folder) == "kobert"
    assert read_sentence_piece(folder).engine.special["cls"] == "[CLS]"


def test_files_of_other_names_are_found(tmp_path):
    make(tmp_path, "albert", file="30k-clean.model")
    assert find_model(tmp_path).name == "30k-clean.model"
    (tmp_path / "30k-clean.model").rename(tmp_path / "kobert_news_wiki_ko_cased-1087f8699e.spiece")
    assert find_model(tmp_path).suffix == ".spiece"


def test_two_models_that_differ_are_refused(tmp_path):
    make(tmp_path, "albert")
    (tmp_path / "spm.model").write_bytes(small_model("albert"))
    assert find_model(tmp_path).name == "spiece.model"  # the same twice
    (tmp_path / "spm.model").write_bytes(small_model("deberta_v2"))
    with pytest.raises(UserError, match=r"two SentencePiece models that differ, spiece\.model and spm\.model"):
        find_model(tmp_path)


def test_settings_of_albert(tmp_path):
    make(tmp_path, "albert", do_lower_case=False, keep_accents=True)
    rules = read_sentence_piece(tmp_path).engine.rules
    assert (rules.do_lower_case, rules.keeps_accents, rules.joins_spaces) == (False, True, True)


def test_vocabulary_beside_kobert_numbers_the_pieces(tmp_path):
    make(tmp_path, "kobert")
    tokens = small_engine("kobert").tokens
    rows = [*tokens[:5], *sorted(tokens[5:])]
    (tmp_path / "vocab.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    engine = read_sentence_piece(tmp_path).engine
    assert engine.tokens == tuple(rows)
    assert [engine.tokens[index] for index in engine.ids(TEXT)] == [tokens[i] for i in small_engine("kobert").ids(TEXT)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sp_model_kwargs": {"enable_sampling": True}}, r"sp_model_kwargs\.enable_sampling is True, and False was"),
        ({"sp_model_kwargs": {"nbest_size": -1}}, r"sp_model_kwargs\.nbest_size is -1"),
        ({"sp_model_kwargs": {"emit": 1}}, r"sp_model_kwargs\.emit is 1, and none was expected"),
        ({"split_by_punct": True}, "split_by_punct is True"),
        ({"vocab_type": "gpt2"}, "vocab_type is 'gpt2', and 'spm' was expected"),
        ({"padding_side": "left"}, "padding_side is 'left'"),
        ({"do_lower_case": "no"}, "do_lower_case must be true or false"),
        ({"mask_token": "[M]"}, None),
        ({"cls_token": "[C]"}, r"lacks '\[C\]', which is the cls token"),
        ({"tokenizer_class": "T5Tokenizer"}, "tokenizer_class is 'T5Tokenizer', and one of AlbertTokenizer"),
        ({"added_tokens_decoder": {"900": {"content": "[X]"}}}, r"token '\[X\]' has the id 900, but .* it is 601"),
        ({"added_tokens_decoder": ["[X]"]}, "added_tokens_decoder must be an object"),
        ({"additional_special_tokens": "[X]"}, "additional_special_tokens must be a list"),
        ({"pad_token": {"id": 1}}, "a token must be a string or an object with content"),
    ],
)
def test_what_changes_ids_is_refused_by_name(tmp_path, fields, message):
    make(tmp_path, "deberta_v2", **fields)
    if message is None:
        assert read_sentence_piece(tmp_path).engine.tokens[-1] == "[M]"
        return
    with pytest.raises(UserError, match=message):
        read_sentence_piece(tmp_path)


def test_lower_casing_where_the_class_does_not_is_refused(tmp_path):
    make(tmp_path, "xlm_roberta", do_lower_case=True)
    with pytest.raises(UserError, match="do_lower_case is True, and False was expected"):
        read_sentence_piece(tmp_path)


def test_added_tokens(tmp_path):
    decoder = {"601": {"content": "[S]", "special": True}, "602": {"content": "covid", "lstrip": True}}
    found = read_sentence_piece(make(tmp_path, "deberta_v2", added_tokens_decoder=decoder))
    assert (found.ids["[S]"], found.ids["covid"]) == (601, 602)
    assert {token.content: token.lstrip for token in found.kept}["covid"]
    make(tmp_path, "deberta_v2")
    (tmp_path / "added_tokens.json").write_text('{"[S]": 601}')
    (tmp_path / "special_tokens_map.json").write_text('{"additional_special_tokens": ["[T]", "[S]"]}')
    assert read_sentence_piece(tmp_path).ids | {"[S]": 601, "[T]": 602} == read_sentence_piece(tmp_path).ids


def test_saved_files_are_read_again(tmp_path):
    engine = read_sentence_piece(make(tmp_path, "albert", file="30k-clean.model", do_lower_case=False)).engine
    out = tmp_path / "out"
    names = save_sentence_piece(engine, out)
    (out / "tokenizer_config.json").write_text(json.dumps(config_fields(engine)))
    assert names == ("spiece.model",)
    again = read_sentence_piece(out).engine
    assert again.rules == engine.rules
    assert again.ids(TEXT) == engine.ids(TEXT)


def write_json(folder, name, **changes):
    """Writes a tokenizer.json as transformers 5 does of a small model, and nothing of the model itself."""
    engine = small_engine(name)
    scores = dict(zip(engine.model.pieces, engine.model.scores.tolist(), strict=True))
    quotes = [{"type": "Replace", "pattern": {"String": string}, "content": '"'} for string in ("``", "''")]
    normalizers = quotes if engine.rules.cleans else []
    normalizers += [{"type": "NFKD"}, {"type": "StripAccents"}] if not engine.rules.keeps_accents else []
    normalizers += [{"type": "Lowercase"}] if engine.rules.do_lower_case else []
    charsmap = base64.b64encode(engine.model.charsmap).decode()
    fields = {
        "added_tokens": [
            {"id": engine.tokens.index(token), "content": token, "special": True} for token in engine.special.values()
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [*normalizers, {"type": "Precompiled", "precompiled_charsmap": charsmap}],
        },
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "model": {
            "type": "Unigram",
            "unk_id": engine.unk_id,
            "vocab": [[token, scores.get(token, 0.0)] for token in engine.tokens],
        },
    }
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(fields | changes), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": CLASSES[name]}))
    return fields


@pytest.mark.parametrize("name", ["albert", "xlm_roberta", "deberta_v2", "kobert"])
def test_a_tokenizer_json_alone_is_the_model(tmp_path, name):
    write_json(tmp_path, name)
    engine = read_sentence_piece(tmp_path).engine
    assert engine.tokens == small_engine(name).tokens
    assert engine.model.pieces == small_engine(name).model.pieces
    for text in (TEXT, "½ Å ﬁ (a-b) £5", "☃ 9,9"):
        assert engine.ids(text) == small_engine(name).ids(text)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("normalizer", None, "no precompiled_charsmap"),
        ("normalizer", {"type": "NFC"}, 'its normalizer has the part {"type": "NFC"}'),
        ("normalizer", {"type": "Sequence", "normalizers": 5}, "its normalizers must be a list of objects, not 5"),
        ("normalizer", {"type": "Sequence", "normalizers": ["NFC"]}, "its normalizers must be a list of objects"),
        (
            "normalizer",
            {"type": "Replace", "pattern": {"String": "a"}, "content": "b"},
            "has the part .*Replace.*do not",
        ),
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "%"}, "precompiled_charsmap; save it again"),
        ("pre_tokenizer", {"type": "ByteLevel"}, 'its pre_tokenizer has {"type": "ByteLevel"}'),
        ("pre_tokenizer", None, "its pre_tokenizer has no Metaspace"),
        ("model", {"type": "BPE"}, "its model's type is 'BPE'"),
        ("model", None, "its model's type is None"),
        ("model", {"type": "Unigram", "vocab": [["<unk>", 0.0]], "unk_id": 0, "alpha": 1}, "has a field 'alpha'"),
        ("model", {"type": "Unigram", "vocab": [["<unk>", 1e300]], "unk_id": 0}, "each score a finite number"),
        ("model", {"type": "Unigram", "vocab": [["<unk>", float("nan")]], "unk_id": 0}, "each score a finite number"),
        ("model", {"type": "Unigram", "vocab": [["", 0.0]], "unk_id": 0}, "no piece empty"),
        ("model", {"type": "Unigram", "vocab": [["<unk>", 0.0]] * 2, "unk_id": 0}, "has the piece '<unk>' twice"),
        ("model", {"type": "Unigram", "vocab": {}, "unk_id": 0}, "must be a list of"),
        ("model", {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 5}, "unk_id is 5"),
        ("model", {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0, "byte_fallback": True}, "byte_fallback"),
        (
            "model",
            {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0},
            "unk_id is the id of 'a', and that of '<unk>'",
        ),
        ("model", {"type": "Unigram", "vocab": [["<unk>", 0.0]], "unk_id": 0}, "must begin with <s>, <pad>"),
    ],
)
def test_a_tokenizer_json_of_another_form_is_refused(tmp_path, part, value, message):
    write_json(tmp_path, "xlm_roberta", **{part: value})
    with pytest.raises(UserError, match=message) as caught:
        read_sentence_piece(tmp_path)
    assert "tokenizer.json" in str(caught.value)


def test_a_tokenizer_json_that_cleans_in_another_way_is_refused(tmp_path):
    fields = write_json(tmp_path, "albert")
    fields["normalizer"]["normalizers"] = fields["normalizer"]["normalizers"][-1:]
    write_json(tmp_path, "albert", normalizer=fields["normalizer"])
    with pytest.raises(UserError, match=r"its normalizer lacks {.*``.*}, against what"):
        read_sentence_piece(tmp_path)


def test_the_parts_of_a_normalizer_have_their_order(tmp_path):
    fields = write_json(tmp_path, "albert")
    parts = fields["normalizer"]["normalizers"]
    spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    for order in ([*parts, spaces], [{"type": "Strip", "strip_left": True, "strip_right": True}, *parts]):
        write_json(tmp_path, "albert", normalizer={"type": "Sequence", "normalizers": order})
        assert read_sentence_piece(tmp_path)
    for order in (parts[::-1], [*parts, parts[0]]):
        write_json(tmp_path, "albert", normalizer={"type": "Sequence", "normalizers": order})
        with pytest.raises(UserError, match="its normalizer has its parts in another order, or twice"):
            read_sentence_piece(tmp_path)


@pytest.mark.parametrize(("name", "model_type"), [("xlm_roberta", "xlm-roberta"), ("albert", "albert")])
def test_a_class_without_a_family_takes_its_template_from_tokenizer_json(tmp_path, name, model_type):
    layout, special = small_tokenizer(name).layout, small_engine(name).special
    cls, sep = ({"SpecialToken": {"id": special[role], "type_id": 0}} for role in ("cls", "sep"))
    first, second = ({"Sequence": {"id": text, "type_id": layout.segments * (text == "B")}} for text in "AB")
    last = {"SpecialToken": {"id": special["sep"], "type_id": int(layout.segments)}}
    single, pair = [cls, first, sep], [cls, first, *[sep] * len(layout.between), second, last]
    post = {"type": "TemplateProcessing", "single": single, "pair": pair}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    for given in (post, None, {**post, "pair": [*single, second]}, {**post, "single": [first]}, {"type": "ByteLevel"}):
        write_json(tmp_path, name, post_processor=given)
        assert Tokenizer.from_pretrained(tmp_path)  # the family's class puts its tokens whatever the file says
        (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        if given == post:
            assert Tokenizer.from_pretrained(tmp_path).layout == layout
            continue
        with pytest.raises(UserError, match=r"tokenizer\.json: its post_processor does not put the special tokens"):
            Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("kwargs", [5, ["nbest_size"], "alpha", True])
def test_options_of_sentencepiece_are_an_object(tmp_path, kwargs):
    with pytest.raises(UserError, match=r"tokenizer_config\.json: sp_model_kwargs must be an object"):
        read_sentence_piece(make(tmp_path, "albert", sp_model_kwargs=kwargs))


def test_a_vocabulary_beside_kobert_is_checked_and_saved(tmp_path):
    folder = make(tmp_path / "kobert", "kobert")
    pieces = small_engine("kobert").tokens
    (folder / "vocab.txt").write_text("\n".join([*reversed(pieces), ""]), encoding="utf-8")
    tokenizer = Tokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(tmp_path / "again")
    again = Tokenizer.from_pretrained(tmp_path / "again")
    assert again.token_ids(TEXT) == tokenizer.token_ids(TEXT) != small_engine("kobert").ids(TEXT)
    assert again.fingerprint == tokenizer.fingerprint
    (folder / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(UserError, match=r"vocab\.txt is not UTF-8 text: line 2"):
        Tokenizer.from_pretrained(folder)


@pytest.mark.parametrize("flags", [{"remove_space": False}, {"remove_space": False, "keep_accents": True}])
def test_the_cleaning_is_saved_whatever_of_it_is_left(tmp_path, flags):
    tokenizer = Tokenizer.from_pretrained(make(tmp_path / "albert", "albert", **flags))
    tokenizer.save_pretrained(tmp_path / "again")
    again = Tokenizer.from_pretrained(tmp_path / "again")
    assert again.engine.model.rules == tokenizer.engine.model.rules
    assert again.fingerprint == tokenizer.fingerprint


def test_damaged_tables_and_numbers_where_bytes_belong(tmp_path):
    data, path = small_model("albert"), make(tmp_path, "albert") / FILES["albert"]
    charsmap = small_engine("albert").model.charsmap
    begin = data.index(charsmap)
    texts = begin + 4 + int.from_bytes(charsmap[:4], "little")
    damaged = [data[: texts + 1] + b"\xff" + data[texts + 2 :]]
    damaged += [b"\x0d" + data[1:], data + b"\x15\0\0\0\0", data + b"\x1a\x05\x15\0\0\0\0"]
    for changed in damaged:  # the last three: a float for a piece, for trainer_spec and for precompiled_charsmap
        path.write_bytes(changed)
        with pytest.raises(UserError, match=r"spiece\.model is damaged"):
            read_sentence_piece(tmp_path)


def test_no_model_damaged_models_and_huge_ones(tmp_path):
    make(tmp_path, "xlm_roberta")
    path = tmp_path / FILES["xlm_roberta"]
    empty = write_model(["<unk>", "<s>"], [0, 0], [UNKNOWN, CONTROL])
    for data in (b"", small_model("xlm_roberta")[:900], b"a" * 99, empty):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"sentencepiece\.bpe\.model is damaged"):
            read_sentence_piece(tmp_path)
    with path.open("wb") as file:
        file.truncate(1 << 28)
    with pytest.raises(UserError, match="more than 128 MiB"):
        read_sentence_piece(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"no SentencePiece model \(\*\.model\) and no tokenizer\.json"):
        read_sentence_piece(tmp_path)
