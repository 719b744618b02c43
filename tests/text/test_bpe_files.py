"""The files of a byte-level BPE: what is read, written and refused."""

import json
import lzma

import pytest
import tokenizers

from keras_bert.errors import UserError
from keras_bert.text.bpe.files import Template, read_tokenizer_json, read_vocab_and_merges, write_vocab_and_merges
from keras_bert.text.rules import AddedToken
from tests.text.byte_pairs import odd_engine, small_engine

ENGINE = odd_engine()
SPECIAL = ["<s>", "</s>", "<mask>"]
ROBERTA = Template(
    (("<s>", 0), ("A", 0), ("</s>", 0)),
    (("<s>", 0), ("A", 0), ("</s>", 0), ("</s>", 0), ("B", 0), ("</s>", 0)),
)


def library(engine=ENGINE):
    """A tokenizer of the `tokenizers` library with RoBERTa's parts."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(engine.token_ids, list(engine.merges)))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens([tokenizers.AddedToken(token, lstrip=token == "<mask>") for token in SPECIAL])
    ids = [(token, made.token_to_id(token)) for token in ("</s>", "<s>")]
    made.post_processor = tokenizers.processors.RobertaProcessing(*ids)
    return made


def changed(tmp_path, **changes):
    """Writes a tokenizer.json with some fields changed: "model.dropout" as model__dropout."""
    fields = json.loads(library().to_str())
    for name, value in changes.items():
        *parts, last = name.split("__")
        place = fields
        for part in parts:
            place = place[part]
        place[last] = value
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(fields))
    return path


def test_vocab_and_merges_there_and_back(tmp_path):
    for engine in (ENGINE, small_engine()):
        write_vocab_and_merges(engine, tmp_path)
        again = read_vocab_and_merges(tmp_path)
        assert (again.tokens, again.merges) == (engine.tokens, engine.merges)
        theirs = tokenizers.models.BPE.from_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
        assert [token.id for token in theirs.tokenize("Ġxy")] == engine.spell("Ġxy")
    assert read_vocab_and_merges(tmp_path, normalizer="NFC", add_prefix_space=True).add_prefix_space


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_merges_as_people_write_them(tmp_path, end):
    write_vocab_and_merges(ENGINE, tmp_path)
    lines = [" ".join(merge) for merge in ENGINE.merges]
    for header in (["#version: 0.2"], ["#version: 0.2 - Trained by `huggingface/tokenizers`"], []):
        (tmp_path / "merges.txt").write_bytes((end.join([*header, *lines]) + end).encode())
        assert read_vocab_and_merges(tmp_path).merges == ENGINE.merges


@pytest.mark.parametrize("as_pairs", [True, False])
def test_tokenizer_json(tmp_path, as_pairs):
    merges = [list(merge) if as_pairs else " ".join(merge) for merge in ENGINE.merges]
    found = read_tokenizer_json(changed(tmp_path, model__merges=merges))
    assert found.engine.merges == ENGINE.merges
    assert found.engine.tokens == (*ENGINE.tokens, "</s>", "<mask>")
    assert (found.engine.normalizer, found.engine.add_prefix_space) == (None, False)
    assert found.added == [
        (AddedToken(token, lstrip=token == "<mask>"), found.engine.token_ids[token]) for token in SPECIAL
    ]
    assert found.template == ROBERTA
    text = "abc xyz's  111 1 de"
    assert found.engine.ids(text) == library().encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("template", [True, False])
def test_what_modernbert_says(tmp_path, template):
    made = library()
    made.normalizer = tokenizers.normalizers.NFC()
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    if template:
        ids = [(token, made.token_to_id(token)) for token in ("<s>", "</s>")]
        made.post_processor = tokenizers.processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=ids
        )
    else:
        made.post_processor = tokenizers.processors.ByteLevel()
    made.save(str(tmp_path / "tokenizer.json"))
    found = read_tokenizer_json(tmp_path / "tokenizer.json")
    assert (found.engine.normalizer, found.engine.add_prefix_space) == ("NFC", True)
    around = (("A", 0), ("B", 1))
    if template:
        single = (("<s>", 0), ("A", 0), ("</s>", 0))
        assert found.template == Template(single, (*single, ("B", 1), ("</s>", 1)))
    else:
        assert found.template == Template(around[:1], around)
    text = "e\u0301abc  xyz"
    assert found.engine.ids(text) == made.encode(text, add_special_tokens=False).ids


def test_parts_in_sequences_and_none(tmp_path):
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    path = changed(
        tmp_path,
        normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}]},
        pre_tokenizer={"type": "Sequence", "pretokenizers": [byte_level]},
        post_processor=None,
    )
    found = read_tokenizer_json(path)
    assert (found.engine.normalizer, found.template) == ("NFC", None)
    path = changed(tmp_path, post_processor={"type": "BertProcessing", "sep": ["</s>", 281], "cls": ["<s>", 280]})
    fields = json.loads(path.read_text())
    ids = {token["content"]: token["id"] for token in fields["added_tokens"]}
    fields["post_processor"] |= {"sep": ["</s>", ids["</s>"]], "cls": ["<s>", ids["<s>"]]}
    path.write_text(json.dumps(fields))
    single = (("<s>", 0), ("A", 0), ("</s>", 0))
    assert read_tokenizer_json(path).template == Template(single, (*single, ("B", 1), ("</s>", 1)))


def test_harmless_fields(tmp_path):
    path = changed(
        tmp_path, model__dropout=0.0, model__unk_token="<s>", model__fuse_unk=True, model__end_of_word_suffix=""
    )
    assert read_tokenizer_json(path).engine.merges == ENGINE.merges


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
ROBERTA_POST = {"type": "RobertaProcessing", "sep": ["</s>", 5], "cls": ["<s>", ENGINE.token_ids["<s>"]]}
WRITTEN_POST = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": {"x": 5}, "tokens": ["<s>"]}},
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__type": "WordPiece"}, 'model\'s type is "WordPiece"'),
        ({"model__dropout": 0.1}, "model's dropout is 0.1, and null or 0 was expected"),
        ({"model__continuing_subword_prefix": "##"}, 'model\'s continuing_subword_prefix is "##"'),
        ({"model__end_of_word_suffix": "</w>"}, 'model\'s end_of_word_suffix is "</w>"'),
        ({"model__ignore_merges": True}, "model's ignore_merges is true"),
        ({"model__new": 1}, "its model has a field 'new'"),
        ({"model": []}, "its model must be an object"),
        ({"model__vocab": []}, "model's vocab must be an object"),
        ({"model__vocab": {"a": True}}, "model's vocab gives 'a' the id True"),
        ({"model__vocab": {"a": 0, "b": 0}}, "'a' and 'b' both have the id 0"),
        ({"model__vocab": {"a": 0, "b": 9999}}, "no token has the id 1"),
        ({"model__merges": None}, "model's merges must be a list"),
        ({"model__merges": ["a b", "a"]}, "entry 1 of its model's merges must be two tokens"),
        ({"model__merges": [["a", "b", "c"]]}, "entry 0 of its model's merges"),
        ({"model__merges": ["q q"]}, "tokenizer.json: Merge 0, 'q q', does not fit the vocabulary"),
        ({"normalizer": {"type": "NFKC"}}, 'normalizer\'s type is "NFKC"'),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}}, '"Lowercase"'),
        ({"normalizer": {"type": "Sequence"}}, "normalizer's normalizers must be a list"),
        ({"normalizer": "NFC"}, "its normalizer must be an object"),
        ({"pre_tokenizer": None}, "pre_tokenizer's type is null"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, 'pre_tokenizer\'s type is "Metaspace"'),
        ({"pre_tokenizer": BYTE_LEVEL}, "pre_tokenizer's use_regex is false"),
        ({"pre_tokenizer__add_prefix_space": "no"}, "add_prefix_space must be true or false"),
        ({"post_processor": {"type": "New"}}, 'post_processor\'s type is "New"'),
        ({"post_processor": ROBERTA_POST}, "'</s>' has the id 5, but in its vocabulary it is"),
        ({"post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 5]}}, "post_processor's cls must be"),
        ({"post_processor": {"type": "TemplateProcessing", "single": []}}, "its post_processor must be templates"),
        ({"post_processor": WRITTEN_POST}, "its post_processor must be templates"),
        (
            {"added_tokens": [{"content": "<s>", "id": ENGINE.token_ids["<s>"], "lstrip": 1}]},
            "lstrip of the added token",
        ),
        ({"added_tokens": {}}, "added_tokens must be a list"),
        ({"added_tokens": ["<s>"]}, "added_tokens must be tokens with content and id"),
        ({"added_tokens": [{"content": "<s>", "id": 3}]}, "'<s>' has two ids"),
        ({"added_tokens": [{"content": "<x>", "id": 3}]}, "both have the id 3"),
        ({"added_tokens": [{"content": "<x>", "id": 281, "odd": 1}]}, "a field 'odd'"),
    ],
)
def test_what_a_tokenizer_json_must_not_say(tmp_path, changes, message):
    path = changed(tmp_path, **changes)
    with pytest.raises(UserError, match=message) as caught:
        read_tokenizer_json(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("vocab.json", None, "vocab.json does not exist"),
        ("vocab.json", b"{", "vocab.json is not JSON"),
        ("vocab.json", b"[]", "holds a list where an object"),
        ("vocab.json", b"{}", "vocab must be an object"),
        ("vocab.json", b'{"a": 1, "b": 1}', "'a' and 'b' both have the id 1"),
        ("vocab.json", b'{"a": 0, "b": 2}', "no token has the id 1"),
        ("vocab.json", b'{"a": 0, "b": "1"}', "gives 'b' the id '1'"),
        ("vocab.json", b'{"a": 0, "b": 1}', "lacks"),
        ("merges.txt", None, "merges.txt does not exist; vocab.json needs the merges"),
        ("merges.txt", b"#version: 0.2\nb c\nb\n", "line 3 must be two tokens"),
        ("merges.txt", b"b c d\n", "line 1 must be two tokens"),
        ("merges.txt", b"#version: 0.2\nb c\nq q\n", "Merge 1, 'q q', does not fit the vocabulary, .* no token 'qq'"),
        ("merges.txt", b"b c\n\xff\n", "line 2"),
    ],
)
def test_damaged_files(tmp_path, name, data, message):
    write_vocab_and_merges(ENGINE, tmp_path)
    if data is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_vocab_and_merges(tmp_path)


def test_the_rebuilt_file_of_modernbert(shared, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(lzma.decompress((shared / "golden/tokenizers/modernbert_rebuilt/tokenizer.json.xz").read_bytes()))
    found = read_tokenizer_json(path)
    assert found.template.single == (("[CLS]", 0), ("A", 0), ("[SEP]", 0))
    assert (found.engine.normalizer, len(found.engine.tokens), len(found.added)) == ("NFC", 50_368, 116)
    assert {token.content: token for token, _ in found.added}["[MASK]"].lstrip
